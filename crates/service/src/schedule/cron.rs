//! When a schedule is due: five fields of a cron expression, meant in a time zone.
//!
//! Where clocks are put forward, a time that does not exist comes at the end of the gap; where they
//! are put back, a time that comes twice counts the first time. An expression for every hour goes
//! by the time that passes instead: nothing is moved and nothing is left out.

use chrono::{DateTime, Datelike, Days, LocalResult, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use evercube_base::{Error, Result};

/// Days that are looked through for the next time: a 29 February may be eight years away.
const HORIZON: u64 = 366 * 9;

/// The times of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Day of month and day of week are both given: either is enough.
    either_day: bool,
    zone: Tz,
}

struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, names: &[] },
    Field { name: "hour", first: 0, last: 23, names: &[] },
    Field { name: "day of month", first: 1, last: 31, names: &[] },
    Field { name: "month", first: 1, last: 12, names: &MONTHS },
    // 7 is Sunday as well.
    Field { name: "day of week", first: 0, last: 7, names: &WEEKDAYS },
];
const EVERY_HOUR: u64 = (1 << 24) - 1;

impl Cron {
    /// Reads `minute hour day month weekday`, or `@hourly`, `@daily`, `@weekly`, `@monthly`.
    pub fn parse(text: &str, zone: &str) -> Result<Self> {
        let zone = time_zone(zone)?;
        let plain = match text.trim().to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *".to_owned(),
            "@daily" | "@midnight" => "0 0 * * *".to_owned(),
            "@weekly" => "0 0 * * 0".to_owned(),
            "@monthly" => "0 0 1 * *".to_owned(),
            "@yearly" | "@annually" => "0 0 1 1 *".to_owned(),
            other => other.to_owned(),
        };
        let words: Vec<&str> = plain.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            return Err(Error::invalid(format!(
                "'{text}' is no cron expression: it has {} fields; write minute, hour, day of month, month and day of week, as '30 2 * * *' or '@daily'",
                words.len()
            )));
        };
        let mut sets = [0_u64; 5];
        for ((set, field), word) in
            sets.iter_mut().zip(&FIELDS).zip([minute, hour, day, month, weekday])
        {
            *set = field
                .read(word)
                .map_err(|why| Error::invalid(format!("'{text}' is no cron expression: {why}")))?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let weekdays = (weekdays | weekdays >> 7) & 0x7f;
        let either_day = !day.starts_with('*') && !weekday.starts_with('*');
        let cron = Self { minutes, hours, days, months, weekdays, either_day, zone };
        // 30 February and the like never come.
        let some_day = DateTime::<Utc>::UNIX_EPOCH;
        if cron.after(some_day).is_none() {
            return Err(Error::invalid(format!("'{text}' names a day that never comes")));
        }
        Ok(cron)
    }

    /// The first time after `t`.
    pub fn after(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // A day's last times may lie behind the start of the next one where clocks change.
        let from = t.with_timezone(&self.zone).date_naive().pred_opt()?;
        let days = (0..HORIZON).map_while(|n| from.checked_add_days(Days::new(n)));
        days.flat_map(|day| self.of_day(day)).find(|time| *time > t)
    }

    /// The first time after `t`, as clocks in the time zone show it.
    pub fn next_local(&self, t: DateTime<Utc>) -> Option<String> {
        let next = self.after(t)?.with_timezone(&self.zone);
        Some(next.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }

    /// The last time that is not after `t`.
    pub fn at_or_before(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let from = t.with_timezone(&self.zone).date_naive().succ_opt()?;
        let days = (0..HORIZON).map_while(|n| from.checked_sub_days(Days::new(n)));
        days.flat_map(|day| self.of_day(day).into_iter().rev()).find(|time| *time <= t)
    }

    /// How many times there are after `from` and before `to`, at most `most`.
    pub fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>, most: u32) -> u32 {
        let mut at = from;
        let mut count = 0;
        while let Some(next) = self.after(at).filter(|n| *n < to && count < most) {
            count += 1;
            at = next;
        }
        count
    }

    /// The times of a local day, in order.
    fn of_day(&self, day: NaiveDate) -> Vec<DateTime<Utc>> {
        if !self.is_on(day) {
            return Vec::new();
        }
        let mut times = Vec::new();
        for hour in bits(self.hours) {
            for minute in bits(self.minutes) {
                let Some(local) = day.and_hms_opt(hour, minute, 0) else { continue };
                match self.zone.from_local_datetime(&local) {
                    LocalResult::Single(time) => times.push(time.with_timezone(&Utc)),
                    LocalResult::Ambiguous(first, second) => {
                        times.push(first.with_timezone(&Utc));
                        if self.hours == EVERY_HOUR {
                            times.push(second.with_timezone(&Utc));
                        }
                    }
                    LocalResult::None if self.hours == EVERY_HOUR => {}
                    LocalResult::None => times.extend(self.end_of_gap(local)),
                }
            }
        }
        times.sort_unstable();
        times.dedup();
        times
    }

    fn is_on(&self, day: NaiveDate) -> bool {
        let of_month = has(self.days, day.day());
        let of_week = has(self.weekdays, day.weekday().num_days_from_sunday());
        let fits = if self.either_day { of_month || of_week } else { of_month && of_week };
        fits && has(self.months, day.month())
    }

    /// The first minute that exists after a local time that does not.
    fn end_of_gap(&self, local: chrono::NaiveDateTime) -> Option<DateTime<Utc>> {
        let minute = |n| local.checked_add_signed(chrono::TimeDelta::minutes(n));
        let exists = |at| self.zone.from_local_datetime(&at).earliest();
        // The longest gap is a whole day that was left out.
        (1..=26 * 60).filter_map(minute).find_map(exists).map(|time| time.with_timezone(&Utc))
    }
}

/// A time zone by its name in the database of time zones.
fn time_zone(name: &str) -> Result<Tz> {
    let wanted = name.trim();
    let named = |z: &&Tz| z.name().eq_ignore_ascii_case(wanted);
    chrono_tz::TZ_VARIANTS.iter().find(named).copied().ok_or_else(|| {
        Error::invalid(format!(
            "there is no time zone '{name}'; give a name such as UTC or Europe/Zurich"
        ))
    })
}

/// The name as the database of time zones writes it.
pub fn zone_name(name: &str) -> Result<&'static str> {
    time_zone(name).map(|zone| zone.name())
}

fn has(set: u64, number: u32) -> bool {
    set >> number & 1 == 1
}

fn bits(set: u64) -> impl Iterator<Item = u32> {
    (0..60).filter(move |n| has(set, *n))
}

impl Field {
    /// `*`, `5`, `1-5`, `*/15`, `8-18/2`, names, and lists of these.
    fn read(&self, text: &str) -> std::result::Result<u64, String> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    fn part(&self, part: &str) -> std::result::Result<u64, String> {
        let wrong = || {
            format!("'{part}' is not a {}; it goes from {} to {}", self.name, self.first, self.last)
        };
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse().ok().filter(|s| (1..=self.last).contains(s));
                (range, Some(step.ok_or_else(wrong)?))
            }
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((a, b)) => (self.number(a).ok_or_else(wrong)?, self.number(b).ok_or_else(wrong)?),
            None => {
                let only = self.number(range).ok_or_else(wrong)?;
                (only, if step.is_some() { self.last } else { only })
            }
        };
        if first > last {
            return Err(format!("'{part}' ends before it begins"));
        }
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(1);
        Ok((first..=last).step_by(step).fold(0, |set, n| set | 1 << n))
    }

    fn number(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|n| text == *n);
        let named = named.and_then(|n| u32::try_from(n).ok()).map(|n| n + self.first);
        named.or_else(|| text.parse().ok().filter(|n| (self.first..=self.last).contains(n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    /// The next times after `from`, as UTC without the year.
    fn next(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(cron, zone).unwrap();
        let mut at = utc(from);
        let mut found = Vec::new();
        for _ in 0..count {
            let time = cron.after(at).unwrap();
            assert_eq!(cron.at_or_before(time), Some(time));
            let just_before = cron.at_or_before(time - chrono::TimeDelta::seconds(1));
            assert!(just_before.is_some_and(|t| t < time && cron.after(t) == Some(time)));
            found.push(time.format("%m-%dT%H:%M").to_string());
            at = time;
        }
        found
    }

    #[test]
    fn fields_lists_ranges_steps_and_names_are_read() {
        let from = "2026-01-01T00:00:00Z";
        assert_eq!(next("30 2 * * *", "UTC", from, 2), ["01-01T02:30", "01-02T02:30"]);
        assert_eq!(
            next("*/20 8-9 * * *", "UTC", from, 4),
            ["01-01T08:00", "01-01T08:20", "01-01T08:40", "01-01T09:00"]
        );
        assert_eq!(
            next("0 0 * jun MON-fri/2", "UTC", from, 3),
            ["06-01T00:00", "06-03T00:00", "06-05T00:00"]
        );
        // 4 January 2026 is a Sunday.
        assert_eq!(next("5,1 12 * * 7", "UTC", from, 2), ["01-04T12:01", "01-04T12:05"]);
        assert_eq!(next("@weekly", "UTC", from, 1), ["01-04T00:00"]);
        // Both kinds of day: either is enough.
        assert_eq!(
            next("0 0 13 * fri", "UTC", from, 3),
            ["01-02T00:00", "01-09T00:00", "01-13T00:00"]
        );
        assert_eq!(next("0 0 29 2 *", "UTC", from, 1), ["02-29T00:00"]);
        assert_eq!(next("0 9 * * *", "asia/KOLKATA", from, 1), ["01-01T03:30"]);
    }

    #[test]
    fn what_is_no_expression_is_refused_with_the_reason() {
        for (text, said) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("60 * * * *", "minute"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day of month"),
            ("* * * foo *", "month"),
            ("*/0 * * * *", "minute"),
            ("5-1 * * * *", "ends before"),
            ("0 0 30 2 *", "never comes"),
            ("@sometimes", "1 fields"),
            ("1,,2 * * * *", "minute"),
        ] {
            let error = Cron::parse(text, "UTC").unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(Cron::parse("@daily", "Mars/Olympus").unwrap_err().message.contains("time zone"));
    }

    #[test]
    fn a_time_that_clocks_skip_comes_at_the_end_of_the_gap() {
        // Zurich, 29 March 2026: 02:00 becomes 03:00.
        let from = "2026-03-28T12:00:00Z";
        assert_eq!(
            next("30 2 * * *", "Europe/Zurich", from, 3),
            ["03-29T01:00", "03-30T00:30", "03-31T00:30"]
        );
        // Two times in the gap are one.
        assert_eq!(next("0,30 2 * * *", "Europe/Zurich", from, 2), ["03-29T01:00", "03-30T00:00"]);
        // Every half hour goes by the time that passes.
        assert_eq!(
            next("*/30 * * * *", "Europe/Zurich", "2026-03-29T00:15:00Z", 3),
            ["03-29T00:30", "03-29T01:00", "03-29T01:30"]
        );
        // Midnight itself may not exist: Cairo, 24 April 2026.
        assert_eq!(
            next("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", 2),
            ["04-23T22:00", "04-24T21:00"]
        );
        // Samoa left out 30 December 2011.
        assert_eq!(
            next("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
            ["12-29T22:00", "12-30T10:00", "12-30T22:00"]
        );
    }

    #[test]
    fn a_time_that_comes_twice_counts_once() {
        // Zurich, 25 October 2026: 03:00 becomes 02:00.
        let from = "2026-10-24T12:00:00Z";
        assert_eq!(next("30 2 * * *", "Europe/Zurich", from, 2), ["10-25T00:30", "10-26T01:30"]);
        assert_eq!(
            next("*/30 * * * *", "Europe/Zurich", "2026-10-24T23:45:00Z", 5),
            ["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30", "10-25T02:00"]
        );
    }

    #[test]
    fn times_that_went_by_are_counted() {
        let cron = Cron::parse("0 * * * *", "UTC").unwrap();
        let count = |to, most| cron.between(utc("2026-01-01T00:00:00Z"), utc(to), most);
        assert_eq!(count("2026-01-01T03:00:00Z", 9), 2);
        assert_eq!(count("2026-01-02T00:00:00Z", 9), 9);
    }
}
