//! Which backups of a database outlive a pruning.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike};

/// How many are kept: the newest ones, and the newest one of each of so many days, weeks, months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Keep {
    #[serde(default)]
    pub last: usize,
    #[serde(default)]
    pub daily: usize,
    #[serde(default)]
    pub weekly: usize,
    #[serde(default)]
    pub monthly: usize,
    /// Every one of so many days before the newest.
    #[serde(default)]
    pub within_days: usize,
}

const DAY_MICROS: i64 = 24 * 3600 * 1_000_000;

impl Keep {
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// For each of the times, newest first, whether it is kept. The newest one always is.
    pub fn kept(self, times: &[i64]) -> Vec<bool> {
        let mut kept: Vec<bool> = (0..times.len()).map(|i| i < self.last.max(1)).collect();
        let within = i64::try_from(self.within_days).unwrap_or(i64::MAX).saturating_mul(DAY_MICROS);
        let newest = times.first().copied().unwrap_or(0);
        for (micros, keep) in times.iter().zip(&mut kept) {
            // One that a clock which was set back made later is within them.
            *keep |= within > 0 && newest.saturating_sub(*micros) < within;
        }
        let day = |d: &DateTime<chrono::Utc>| (i64::from(d.num_days_from_ce()), 0);
        let week = |d: &DateTime<chrono::Utc>| {
            let w = d.iso_week();
            (i64::from(w.year()), w.week())
        };
        let month = |d: &DateTime<chrono::Utc>| (i64::from(d.year()), d.month());
        /// Names the day, week or month of a time.
        type Period<'a> = &'a dyn Fn(&DateTime<chrono::Utc>) -> (i64, u32);
        let rules: [(usize, Period<'_>); 3] =
            [(self.daily, &day), (self.weekly, &week), (self.monthly, &month)];
        for (most, period) in rules {
            let mut seen = BTreeSet::new();
            for (micros, keep) in times.iter().zip(&mut kept) {
                let Some(date) = DateTime::from_timestamp_micros(*micros) else { continue };
                if seen.len() < most && seen.insert(period(&date)) {
                    *keep = true;
                }
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_weeks_and_months_are_kept() {
        // A backup every twelve hours, the newest first, from 2026-03-31T12:00Z.
        let newest = 1_774_958_400_000_000_i64;
        let times: Vec<i64> = (0..200).map(|i| newest - i * 43_200_000_000).collect();
        let count = |keep: Keep| keep.kept(&times).iter().filter(|k| **k).count();
        assert_eq!(count(Keep { last: 3, ..Keep::default() }), 3);
        assert_eq!(count(Keep { daily: 7, ..Keep::default() }), 7);
        // The third month back ends within the first days.
        assert_eq!(count(Keep { monthly: 3, ..Keep::default() }), 3);
        assert_eq!(count(Keep::default()), 1);
        assert_eq!(count(Keep { within_days: 3, ..Keep::default() }), 6);
        let all = Keep { last: 1, daily: 2, weekly: 2, monthly: 2, within_days: 0 }.kept(&times);
        let which: Vec<usize> = (0..200).filter(|i| all[*i]).collect();
        // 31 March, 30 March, Sunday 29 March (the week before), the last of February.
        assert_eq!(which, [0, 2, 4, 62]);
    }
}
