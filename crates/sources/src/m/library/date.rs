//! Functions of dates, times and durations; of null they are null.

use std::sync::Arc;

use evercube_base::format::Locale;
use evercube_base::{DateTime, Error, Result, datetime::MICROS_PER_DAY, datetime::days_in_month};

use super::super::value::{Base, M};
use super::args::Args;
use crate::convert::to_type;

pub(super) const NAMES: &[&str] = &[
    "#date",
    "#datetime",
    "#duration",
    "#time",
    "Date.AddDays",
    "Date.AddMonths",
    "Date.AddQuarters",
    "Date.AddWeeks",
    "Date.AddYears",
    "Date.Day",
    "Date.DayOfWeek",
    "Date.DayOfWeekName",
    "Date.DayOfYear",
    "Date.DaysInMonth",
    "Date.EndOfMonth",
    "Date.EndOfQuarter",
    "Date.EndOfWeek",
    "Date.EndOfYear",
    "Date.From",
    "Date.FromText",
    "Date.IsLeapYear",
    "Date.Month",
    "Date.MonthName",
    "Date.QuarterOfYear",
    "Date.StartOfMonth",
    "Date.StartOfQuarter",
    "Date.StartOfWeek",
    "Date.StartOfYear",
    "Date.ToText",
    "Date.WeekOfYear",
    "Date.Year",
    "DateTime.Date",
    "DateTime.From",
    "DateTime.FromText",
    "DateTime.Time",
    "Duration.Days",
    "Duration.Hours",
    "Duration.Minutes",
    "Duration.Seconds",
    "Duration.TotalDays",
    "Duration.TotalHours",
    "Duration.TotalMinutes",
    "Duration.TotalSeconds",
    "Time.From",
    "Time.Hour",
    "Time.Minute",
    "Time.Second",
];

pub(super) fn call(a: &Args<'_>) -> Result<M> {
    if matches!(a.m(0)?, M::Null) {
        return Ok(M::Null);
    }
    let bad = || Error::evaluation(format!("{}: there is no such date or time", a.name));
    let ymd = || -> Result<DateTime> {
        let (y, m, d) = (a.int(0)?, a.int(1)?, a.int(2)?);
        let (Ok(m), Ok(d)) = (u32::try_from(m), u32::try_from(d)) else { return Err(bad()) };
        DateTime::from_ymd(y.clamp(0, 10_000) as i32, m, d)
            .filter(|_| (1..=9999).contains(&y))
            .ok_or_else(bad)
    };
    let clock = |i: usize| -> Result<i64> {
        let (h, m, s) = (a.int(i)?, a.int(i + 1)?, a.num(i + 2)?.f64());
        if !(0..24).contains(&h) || !(0..60).contains(&m) || !(0.0..60.0).contains(&s) {
            return Err(bad());
        }
        Ok((h * 3600 + m * 60) * 1_000_000 + (s * 1e6).round() as i64)
    };
    let day = || match a.m(0)? {
        M::Date(d) | M::DateTime(d) => Ok(d),
        v => Err(a.wrong(0, "date", &v)),
    };
    // The same kind of value as the argument, on another day.
    let on = |d: DateTime| match a.m(0) {
        Ok(M::DateTime(t)) => M::DateTime(d.with_time(t.time_micros())),
        _ => M::Date(d),
    };
    let months = |by: i64| -> Result<M> {
        let (y, m, d) = day()?.ymd();
        let n = i64::from(y) * 12 + i64::from(m) - 1 + by;
        let (y, m) = (n.div_euclid(12).clamp(0, 9999) as i32, n.rem_euclid(12) as u32 + 1);
        DateTime::from_ymd(y, m, d.min(days_in_month(y, m))).map(on).ok_or_else(bad)
    };
    // Days since the first one of the week.
    let in_week = |d: DateTime| -> Result<i64> {
        let first = if matches!(a.m(1)?, M::Null) { 0 } else { a.int(1)? };
        Ok((i64::from(d.weekday()) - first).rem_euclid(7))
    };
    let new_year = |d: DateTime| DateTime::from_ymd(d.ymd().0, 1, 1).ok_or_else(bad);
    Ok(match a.name {
        "#date" => M::Date(ymd()?),
        "#datetime" => M::DateTime(ymd()?.with_time(clock(3)?)),
        "#time" => M::Time(clock(0)?),
        "#duration" => {
            let seconds = a.num(1)?.f64() * 3600.0 + a.num(2)?.f64() * 60.0 + a.num(3)?.f64();
            let days = a.num(0)?.f64() * MICROS_PER_DAY as f64;
            M::Duration((days + seconds * 1e6).round() as i64)
        }
        "Date.Year" => M::int(day()?.ymd().0.into()),
        "Date.Month" => M::int(day()?.ymd().1.into()),
        "Date.Day" => M::int(day()?.ymd().2.into()),
        "Date.QuarterOfYear" => M::int(i64::from(day()?.ymd().1.div_ceil(3))),
        "Date.DayOfWeek" => M::int(in_week(day()?)?),
        "Date.AddDays" => {
            let d = day()?.days().checked_add(a.int(1)?).filter(|d| d.abs() < 4_000_000);
            on(DateTime::from_days(d.ok_or_else(bad)?))
        }
        "Date.AddWeeks" => {
            let by = a.int(1)?.clamp(-1_000_000, 1_000_000) * 7;
            let d = Some(day()?.days() + by).filter(|d| d.abs() < 4_000_000);
            on(DateTime::from_days(d.ok_or_else(bad)?))
        }
        "Date.AddQuarters" => months(a.int(1)?.clamp(-70_000, 70_000) * 3)?,
        "Date.AddMonths" => months(a.int(1)?.clamp(-200_000, 200_000))?,
        "Date.AddYears" => months(a.int(1)?.clamp(-10_000, 10_000) * 12)?,
        "Date.StartOfMonth"
        | "Date.StartOfQuarter"
        | "Date.StartOfYear"
        | "Date.EndOfMonth"
        | "Date.EndOfQuarter"
        | "Date.EndOfYear" => {
            let (y, m, _) = day()?.ymd();
            let quarter = (m - 1) / 3 * 3 + 1;
            let (m, d) = match a.name {
                "Date.StartOfYear" => (1, 1),
                "Date.EndOfYear" => (12, 31),
                "Date.StartOfQuarter" => (quarter, 1),
                "Date.EndOfQuarter" => (quarter + 2, days_in_month(y, quarter + 2)),
                "Date.EndOfMonth" => (m, days_in_month(y, m)),
                _ => (m, 1),
            };
            M::Date(DateTime::from_ymd(y, m, d).ok_or_else(bad)?)
        }
        "Date.StartOfWeek" => M::Date(DateTime::from_days(day()?.days() - in_week(day()?)?)),
        "Date.EndOfWeek" => M::Date(DateTime::from_days(day()?.days() - in_week(day()?)? + 6)),
        "Date.DayOfYear" => M::int(day()?.days() - new_year(day()?)?.days() + 1),
        "Date.WeekOfYear" => {
            let first = new_year(day()?)?;
            M::int((day()?.days() - first.days() + in_week(first)?) / 7 + 1)
        }
        "Date.DaysInMonth" => {
            let (y, m, _) = day()?.ymd();
            M::int(days_in_month(y, m).into())
        }
        "Date.IsLeapYear" => M::Logical(days_in_month(day()?.ymd().0, 2) == 29),
        "Date.MonthName" | "Date.DayOfWeekName" => {
            english(a, a.opt_text(1)?.as_deref())?;
            M::text(picture(day()?, if a.name == "Date.MonthName" { "MMMM" } else { "dddd" }))
        }
        "Date.From" | "Date.FromText" | "DateTime.Date" => {
            to_type(&a.m(0)?, Base::Date, a.opt_text(1)?.as_deref())?
        }
        "DateTime.From" | "DateTime.FromText" => {
            to_type(&a.m(0)?, Base::DateTime, a.opt_text(1)?.as_deref())?
        }
        "DateTime.Time" => to_type(&a.m(0)?, Base::Time, None)?,
        "Date.ToText" => match format_and_culture(a)? {
            (Some(format), culture) => {
                english(a, culture.as_deref())?;
                M::text(picture(day()?, &format))
            }
            (None, culture) => {
                english(a, culture.as_deref())?;
                to_type(&a.m(0)?, Base::Text, None)?
            }
        },
        "Time.From" => to_type(&a.m(0)?, Base::Time, a.opt_text(1)?.as_deref())?,
        "Time.Hour" | "Time.Minute" | "Time.Second" => {
            let micros = match a.m(0)? {
                M::Time(t) => t,
                M::DateTime(d) => d.time_micros(),
                v => return Err(a.wrong(0, "time", &v)),
            };
            match a.name {
                "Time.Hour" => M::int(micros / 3_600_000_000),
                "Time.Minute" => M::int(micros / 60_000_000 % 60),
                _ => M::double((micros % 60_000_000) as f64 / 1e6),
            }
        }
        _ => {
            let M::Duration(d) = a.m(0)? else { return Err(a.wrong(0, "duration", &a.m(0)?)) };
            let total = |unit: i64| M::double(d as f64 / unit as f64);
            match a.name {
                "Duration.Days" => M::int(d / MICROS_PER_DAY),
                "Duration.Hours" => M::int(d / HOUR % 24),
                "Duration.Minutes" => M::int(d / MINUTE % 60),
                "Duration.Seconds" => M::double((d % MINUTE) as f64 / SECOND as f64),
                "Duration.TotalDays" => total(MICROS_PER_DAY),
                "Duration.TotalHours" => total(HOUR),
                "Duration.TotalMinutes" => total(MINUTE),
                _ => total(SECOND),
            }
        }
    })
}

/// Microseconds.
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// A text, where one was given.
type OptionalText = Option<Arc<str>>;

/// The second argument of `Date.ToText`: a format, or a record with `Format` and `Culture`.
fn format_and_culture(a: &Args<'_>) -> Result<(OptionalText, OptionalText)> {
    let M::Record(options) = a.m(1)? else { return Ok((a.opt_text(1)?, a.opt_text(2)?)) };
    let field = |name: &str| -> Result<OptionalText> {
        let found = options.iter().find(|f| &*f.0 == name);
        Ok(match found.map(|f| f.1.force(a.it)).transpose()? {
            Some(M::Text(t)) => Some(t),
            _ => None,
        })
    };
    Ok((field("Format")?, field("Culture")?))
}

/// Names of months and days are English.
fn english(a: &Args<'_>, culture: Option<&str>) -> Result<()> {
    match culture.filter(|c| !c.is_empty() && !c.to_lowercase().starts_with("en")) {
        Some(other) => Err(Error::unsupported(format!(
            "{} writes names of months and days in English only, not for the culture '{other}'",
            a.name
        ))),
        None => Ok(()),
    }
}

/// A date as a format string of .NET says: `yyyy`, `MMM`, `dd`, text in quotes and after `\\`.
fn picture(d: DateTime, format: &str) -> String {
    let (y, m, day) = d.ymd();
    let names = Locale::UNITED_STATES;
    let (month, weekday) = ((m as usize - 1).min(11), d.weekday() as usize % 7);
    let (mut out, mut rest) = (String::new(), format.chars().peekable());
    while let Some(c) = rest.next() {
        if c == '\\' {
            out.extend(rest.next());
            continue;
        }
        if c == '\'' || c == '"' {
            out.extend(rest.by_ref().take_while(|q| *q != c));
            continue;
        }
        let mut n = 1;
        while matches!(c, 'y' | 'M' | 'd') && rest.peek() == Some(&c) {
            rest.next();
            n += 1;
        }
        match (c, n) {
            ('y', 1 | 2) => out.push_str(&format!("{:0n$}", y % 100)),
            ('y', _) => out.push_str(&format!("{y:0n$}")),
            ('M', 1 | 2) => out.push_str(&format!("{m:0n$}")),
            ('M', 3) => out.push_str(names.short_months[month]),
            ('M', _) => out.push_str(names.months[month]),
            ('d', 1 | 2) => out.push_str(&format!("{day:0n$}")),
            ('d', 3) => out.push_str(names.short_days[weekday]),
            ('d', _) => out.push_str(names.days[weekday]),
            (other, _) => out.push(other),
        }
    }
    out
}
