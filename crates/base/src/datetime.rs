//! Date and time without a zone, counted in microseconds.

use std::fmt;

/// Microseconds since 1899-12-30T00:00:00, the zero of OLE automation dates, which DAX exposes
/// when a date is used as a number (one day = 1.0).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct DateTime(pub i64);

pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Days from 1899-12-30 to 1970-01-01.
pub const UNIX_EPOCH_DAYS: i64 = 25_569;

impl DateTime {
    /// A calendar date of the proleptic Gregorian calendar; `None` where the day does not exist.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        Some(Self::from_days(days_from_civil(year, month, day) + UNIX_EPOCH_DAYS))
    }
    /// Whole days since 1899-12-30.
    pub fn from_days(days: i64) -> Self {
        Self(days * MICROS_PER_DAY)
    }
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        micros.checked_add(UNIX_EPOCH_DAYS * MICROS_PER_DAY).map(Self)
    }
    pub fn unix_micros(self) -> i64 {
        self.0 - UNIX_EPOCH_DAYS * MICROS_PER_DAY
    }
    /// OLE automation number to instant, years 1 to 9999. For numbers below zero the fraction
    /// still counts forward in time here; the OLE quirk of mirrored fractions is not followed.
    pub fn from_ole(days: f64) -> Option<Self> {
        (days.is_finite() && (-693_593.0..2_958_466.0).contains(&days))
            .then(|| Self((days * MICROS_PER_DAY as f64).round() as i64))
    }
    pub fn to_ole(self) -> f64 {
        let day = self.0.div_euclid(MICROS_PER_DAY);
        let rest = self.0.rem_euclid(MICROS_PER_DAY);
        day as f64 + rest as f64 / MICROS_PER_DAY as f64
    }
    /// Days since 1899-12-30, rounded down.
    pub fn days(self) -> i64 {
        self.0.div_euclid(MICROS_PER_DAY)
    }
    /// Microseconds since midnight.
    pub fn time_micros(self) -> i64 {
        self.0.rem_euclid(MICROS_PER_DAY)
    }
    /// Year, month 1–12, day 1–31.
    pub fn ymd(self) -> (i32, u32, u32) {
        civil_from_days(self.days() - UNIX_EPOCH_DAYS)
    }
    /// Hour, minute, second, microsecond.
    pub fn hms(self) -> (u32, u32, u32, u32) {
        let t = self.time_micros();
        let s = t / 1_000_000;
        ((s / 3600) as u32, (s / 60 % 60) as u32, (s % 60) as u32, (t % 1_000_000) as u32)
    }
    /// Day of the week, Sunday = 0.
    pub fn weekday(self) -> u32 {
        // 1899-12-30 was a Saturday.
        (self.days() + 6).rem_euclid(7) as u32
    }
    pub fn with_time(self, micros: i64) -> Self {
        Self(self.days() * MICROS_PER_DAY + micros)
    }
    /// `2024-01-31`, `2024-01-31T10:20:30`, `2024-01-31 10:20:30.5`, optionally ending in `Z`.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let t = text.trim().trim_end_matches('Z');
        let (date, time) = match t.find(['T', ' ']) {
            Some(i) => (t.get(..i)?, Some(t.get(i + 1..)?.trim())),
            None => (t, None),
        };
        let mut p = date.split('-');
        let (y, m, d) = (p.next()?, p.next()?, p.next()?);
        if p.next().is_some() || y.len() != 4 {
            return None;
        }
        let base = Self::from_ymd(y.parse().ok()?, m.parse().ok()?, d.parse().ok()?)?;
        let Some(time) = time else { return Some(base) };
        let mut p = time.split(':');
        let (h, mi, s) = (p.next()?, p.next()?, p.next().unwrap_or("0"));
        let (h, mi, s): (i64, i64, f64) = (h.parse().ok()?, mi.parse().ok()?, s.parse().ok()?);
        if !(0..24).contains(&h) || !(0..60).contains(&mi) || !(0.0..60.0).contains(&s) {
            return None;
        }
        Some(base.with_time((h * 3600 + mi * 60) * 1_000_000 + (s * 1e6).round() as i64))
    }
}

impl fmt::Display for DateTime {
    /// ISO 8601 without zone; the fraction only where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((y, mo, d), (h, mi, s, us)) = (self.ymd(), self.hms());
        write!(f, "{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}")?;
        if us > 0 {
            write!(f, ".{}", format!("{us:06}").trim_end_matches('0'))?;
        }
        Ok(())
    }
}

pub fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let y = i64::from(year) - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (i64::from(month) + 9) % 12;
    let doy = (153 * mp + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

fn civil_from_days(days: i64) -> (i32, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year as i32, month as u32, (doy - (153 * mp + 2) / 5 + 1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(DateTime::from_ymd(1899, 12, 30).unwrap().0, 0);
        assert_eq!(DateTime::from_ymd(1970, 1, 1).unwrap().days(), UNIX_EPOCH_DAYS);
        assert_eq!(DateTime::from_ymd(2024, 2, 29).unwrap().to_ole(), 45351.0);
        assert_eq!(DateTime::from_ymd(2024, 2, 29).unwrap().weekday(), 4);
        assert_eq!(DateTime::from_ymd(2023, 2, 29), None);
    }

    #[test]
    fn iso_text_round_trips() {
        for t in ["0001-01-01T00:00:00", "2024-01-31T10:20:30.5", "9999-12-31T23:59:59"] {
            assert_eq!(DateTime::parse_iso(t).unwrap().to_string(), t);
        }
        assert_eq!(DateTime::parse_iso("2024-13-01"), None);
    }

    #[test]
    fn every_day_of_four_centuries_round_trips() {
        for d in -40_000..110_000 {
            let t = DateTime::from_days(d);
            let (y, m, day) = t.ymd();
            assert_eq!(DateTime::from_ymd(y, m, day), Some(t));
        }
    }
}
