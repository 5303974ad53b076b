//! Dates of periods, over sorted distinct day numbers (days since 1899-12-30).
//!
//! `all` are the days of the date column, `current` the visible ones; results are sorted and hold
//! only days of `all`. No visible day gives no day.

use evercube_base::DateTime;
use evercube_base::datetime::days_in_month;

use super::date_text::parse_date_time;
use super::day_count;
use crate::scalar::Culture;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    Day,
    Month,
    Quarter,
    Year,
}

impl Interval {
    /// Reads `DAY`, `MONTH`, `QUARTER` or `YEAR`, letter case aside.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_uppercase().as_str() {
            "DAY" => Self::Day,
            "MONTH" => Self::Month,
            "QUARTER" => Self::Quarter,
            "YEAR" => Self::Year,
            _ => return None,
        })
    }
    fn months(self) -> i64 {
        match self {
            Self::Day => 0,
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        }
    }
}

/// Month and day a year ends on; none is the 31st of December.
pub type YearEnd = Option<(u32, u32)>;

/// Reads a year end as text, day and month in the order of the culture: `6/30`, `6-30`, `30.6.`,
/// `2024-06-30`, `June 30`.
pub fn parse_year_end(text: &str, culture: &Culture) -> YearEnd {
    let t = text.trim();
    let parts = t.split(['/', '-', '.', ' ']).filter(|p| !p.is_empty()).count();
    // A leap year, so that the 29th of February is read.
    let date = parse_date_time(t, culture)
        .filter(|_| parts > 2)
        .or_else(|| parse_date_time(&format!("{}/2024", t.replace([' ', '-'], "/")), culture));
    date.map(|d| (d.ymd().1, d.ymd().2))
}

fn ymd(day: i64) -> (i32, u32, u32) {
    DateTime::from_days(day).ymd()
}

fn date(year: i32, month: u32, day: u32) -> i64 {
    let day = day.clamp(1, days_in_month(year, month));
    DateTime::from_ymd(year, month, day).map_or(0, DateTime::days)
}

/// `day` moved by months, its day of the month cut to the month's length; the day itself where
/// the result would leave the calendar.
fn add_months(day: i64, months: i64) -> i64 {
    day_count::add_months(DateTime::from_days(day), months).map_or(day, DateTime::days)
}

fn is_month_end(day: i64) -> bool {
    day_count::is_month_end(DateTime::from_days(day))
}

/// The last day of the year that `day` is in.
fn year_end_of(day: i64, end: YearEnd) -> i64 {
    let (m, d) = end.unwrap_or((12, 31));
    let m = m.clamp(1, 12);
    let d = if (m, d) == (2, 28) { 29 } else { d };
    let y = ymd(day).0;
    let this = date(y, m, d);
    if day <= this { this } else { date(y + 1, m, d) }
}

/// First and last day of the period of `interval` that `day` is in.
pub fn period(day: i64, interval: Interval, end: YearEnd) -> (i64, i64) {
    let (y, m, _) = ymd(day);
    match interval {
        Interval::Day => (day, day),
        Interval::Month => (date(y, m, 1), date(y, m, 31)),
        Interval::Quarter => {
            let first = (m - 1) / 3 * 3 + 1;
            (date(y, first, 1), date(y, first + 2, 31))
        }
        Interval::Year => {
            let last = year_end_of(day, end);
            let (m, d) = end.unwrap_or((12, 31));
            let m = m.clamp(1, 12);
            let d = if (m, d) == (2, 28) { 29 } else { d };
            (date(ymd(last).0 - 1, m, d) + 1, last)
        }
    }
}

/// The days of `all` from `start` to `end`, both included.
pub fn dates_between(all: &[i64], start: i64, end: i64) -> Vec<i64> {
    let from = all.partition_point(|d| *d < start);
    let to = all.partition_point(|d| *d <= end);
    all.get(from..to).unwrap_or(&[]).to_vec()
}

fn to_date(current: &[i64], all: &[i64], interval: Interval, end: YearEnd) -> Vec<i64> {
    current.last().map_or_else(Vec::new, |d| dates_between(all, period(*d, interval, end).0, *d))
}

/// From the start of the last visible day's year to that day.
pub fn dates_ytd(current: &[i64], all: &[i64], year_end: YearEnd) -> Vec<i64> {
    to_date(current, all, Interval::Year, year_end)
}

/// From the start of the last visible day's quarter to that day.
pub fn dates_qtd(current: &[i64], all: &[i64]) -> Vec<i64> {
    to_date(current, all, Interval::Quarter, None)
}

/// From the start of the last visible day's month to that day.
pub fn dates_mtd(current: &[i64], all: &[i64]) -> Vec<i64> {
    to_date(current, all, Interval::Month, None)
}

/// The days of `n` intervals that begin with `start`, or end with it where `n` is negative.
pub fn dates_in_period(all: &[i64], start: i64, n: i64, interval: Interval) -> Vec<i64> {
    if n == 0 {
        return Vec::new();
    }
    let edge = match interval {
        Interval::Day => start.saturating_add(n),
        _ => {
            let moved = add_months(start, n.saturating_mul(interval.months()));
            // Backwards from a month's end the span ends at the end of the month it reaches.
            if n < 0 && is_month_end(start) {
                period(moved, Interval::Month, None).1
            } else {
                moved
            }
        }
    };
    if n > 0 { dates_between(all, start, edge - 1) } else { dates_between(all, edge + 1, start) }
}

/// The visible days moved by `n` intervals.
///
/// Where the last two days of a month are visible, the move ends on the last day of the month it
/// reaches, so that whole months become whole months of whatever length.
pub fn date_add(current: &[i64], all: &[i64], n: i64, interval: Interval) -> Vec<i64> {
    let (Some(first), Some(last)) = (all.first().copied(), all.last().copied()) else {
        return Vec::new();
    };
    let mut out = Vec::with_capacity(current.len());
    let keep = |d: i64, out: &mut Vec<i64>| {
        if (first..=last).contains(&d) && all.binary_search(&d).is_ok() {
            out.push(d);
        }
    };
    if interval == Interval::Day {
        for d in current {
            keep(d.saturating_add(n), &mut out);
        }
        return out;
    }
    let months = n.saturating_mul(interval.months());
    let mut i = 0;
    while let Some(&d) = current.get(i) {
        let moved = add_months(d, months);
        keep(moved, &mut out);
        // The last two days of a month stand for its end: the rest of a longer target month comes
        // with them.
        let end = period(d, Interval::Month, None).1;
        let day_before = i.checked_sub(1).and_then(|i| current.get(i));
        if d == end && day_before == Some(&(end - 1)) {
            for extra in moved + 1..=period(moved, Interval::Month, None).1 {
                keep(extra, &mut out);
            }
        }
        i += 1;
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// The visible days one year back.
pub fn same_period_last_year(current: &[i64], all: &[i64]) -> Vec<i64> {
    date_add(current, all, -1, Interval::Year)
}

/// The whole periods the visible days lie in, moved by `n`.
pub fn parallel_period(current: &[i64], all: &[i64], n: i64, interval: Interval) -> Vec<i64> {
    let (Some(first), Some(last)) = (current.first(), current.last()) else { return Vec::new() };
    if interval == Interval::Day {
        return dates_between(all, first.saturating_add(n), last.saturating_add(n));
    }
    let months = n.saturating_mul(interval.months());
    let start = add_months(period(*first, interval, None).0, months);
    let end = period(add_months(period(*last, interval, None).0, months), interval, None).1;
    dates_between(all, start, end)
}

/// The whole period before the one of the first visible day.
pub fn previous(current: &[i64], all: &[i64], interval: Interval, end: YearEnd) -> Vec<i64> {
    current.first().map_or_else(Vec::new, |d| {
        let (start, last) = period(period(*d, interval, end).0 - 1, interval, end);
        dates_between(all, start, last)
    })
}

/// The whole period after the one of the last visible day; for years after that of the first.
pub fn next(current: &[i64], all: &[i64], interval: Interval, end: YearEnd) -> Vec<i64> {
    current.last().map_or_else(Vec::new, |d| {
        let (start, last) = period(period(*d, interval, end).1 + 1, interval, end);
        dates_between(all, start, last)
    })
}

/// The first day of `all` in the period of the first visible day.
pub fn start_of(current: &[i64], all: &[i64], interval: Interval, end: YearEnd) -> Vec<i64> {
    current.first().map_or_else(Vec::new, |d| {
        let (start, last) = period(*d, interval, end);
        dates_between(all, start, last).first().copied().into_iter().collect()
    })
}

/// The last day of `all` in the period of the last visible day.
pub fn end_of(current: &[i64], all: &[i64], interval: Interval, end: YearEnd) -> Vec<i64> {
    current.last().map_or_else(Vec::new, |d| {
        let (start, last) = period(*d, interval, end);
        dates_between(all, start, last).last().copied().into_iter().collect()
    })
}

/// The first visible day.
pub fn first_date(current: &[i64]) -> Vec<i64> {
    current.first().copied().into_iter().collect()
}

/// The last visible day.
pub fn last_date(current: &[i64]) -> Vec<i64> {
    current.last().copied().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &Culture = &Culture::UNITED_STATES;

    fn d(text: &str) -> i64 {
        DateTime::parse_iso(text).unwrap().days()
    }
    fn days(from: &str, to: &str) -> Vec<i64> {
        (d(from)..=d(to)).collect()
    }
    fn all() -> Vec<i64> {
        days("2022-01-01", "2025-12-31")
    }

    #[test]
    fn whole_months_stay_whole() {
        let feb = days("2023-02-01", "2023-02-28");
        assert_eq!(date_add(&feb, &all(), 1, Interval::Month), days("2023-03-01", "2023-03-31"));
        assert_eq!(date_add(&feb, &all(), 1, Interval::Year), days("2024-02-01", "2024-02-29"));
        let ends = days("2023-02-27", "2023-02-28");
        assert_eq!(date_add(&ends, &all(), 1, Interval::Month), days("2023-03-27", "2023-03-31"));
        assert_eq!(date_add(&ends, &all(), 1, Interval::Year), days("2024-02-27", "2024-02-29"));
        let mar = days("2024-03-01", "2024-03-31");
        assert_eq!(date_add(&mar, &all(), -1, Interval::Month), days("2024-02-01", "2024-02-29"));
        assert_eq!(date_add(&[d("2023-02-28")], &all(), 1, Interval::Month), [d("2023-03-28")]);
        let quarter = days("2024-01-01", "2024-03-31");
        assert_eq!(
            date_add(&quarter, &all(), -1, Interval::Quarter),
            days("2023-10-01", "2023-12-31")
        );
        assert_eq!(same_period_last_year(&quarter, &all()), days("2023-01-01", "2023-03-31"));
        assert!(date_add(&quarter, &all(), -10, Interval::Year).is_empty());
    }

    #[test]
    fn periods_to_date() {
        let now = [d("2024-05-17")];
        assert_eq!(dates_ytd(&now, &all(), None), days("2024-01-01", "2024-05-17"));
        assert_eq!(dates_ytd(&now, &all(), Some((6, 30))), days("2023-07-01", "2024-05-17"));
        assert_eq!(dates_qtd(&now, &all()), days("2024-04-01", "2024-05-17"));
        assert_eq!(dates_mtd(&now, &all()), days("2024-05-01", "2024-05-17"));
        assert_eq!(parse_year_end("6/30", US), Some((6, 30)));
        assert_eq!(parse_year_end("2012-06-30", US), Some((6, 30)));
        assert_eq!(parse_year_end("6-30", US), Some((6, 30)));
        assert_eq!(parse_year_end("never", US), None);
        let german = &Culture::without_year("de-DE");
        assert_eq!(parse_year_end("5/6", US), Some((5, 6)));
        assert_eq!(parse_year_end("5/6", german), Some((6, 5)));
        assert_eq!(parse_year_end("30.6.", german), Some((6, 30)));
        assert_eq!(parse_year_end("30.6.2023", german), Some((6, 30)));
    }

    #[test]
    fn spans_begin_or_end_at_their_start() {
        let at = d("2024-03-31");
        assert_eq!(
            dates_in_period(&all(), at, -1, Interval::Month),
            days("2024-03-01", "2024-03-31")
        );
        assert_eq!(
            dates_in_period(&all(), d("2024-02-29"), -12, Interval::Month),
            days("2023-03-01", "2024-02-29")
        );
        assert_eq!(
            dates_in_period(&all(), d("2024-01-15"), 1, Interval::Month),
            days("2024-01-15", "2024-02-14")
        );
        assert_eq!(
            dates_in_period(&all(), at, -3, Interval::Day),
            days("2024-03-29", "2024-03-31")
        );
    }

    #[test]
    fn neighbours_and_edges() {
        let now = days("2024-05-10", "2024-06-02");
        assert_eq!(previous(&now, &all(), Interval::Month, None), days("2024-04-01", "2024-04-30"));
        assert_eq!(next(&now, &all(), Interval::Month, None), days("2024-07-01", "2024-07-31"));
        assert_eq!(previous(&now, &all(), Interval::Day, None), [d("2024-05-09")]);
        assert_eq!(previous(&now, &all(), Interval::Year, None), days("2023-01-01", "2023-12-31"));
        assert_eq!(start_of(&now, &all(), Interval::Quarter, None), [d("2024-04-01")]);
        assert_eq!(end_of(&now, &all(), Interval::Year, Some((6, 30))), [d("2024-06-30")]);
        assert_eq!(
            parallel_period(&now, &all(), -1, Interval::Quarter),
            days("2024-01-01", "2024-03-31")
        );
        assert!(previous(&[], &all(), Interval::Day, None).is_empty());
    }
}
