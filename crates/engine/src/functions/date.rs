//! Scalar functions of dates and times.

use evercube_base::DataType::{DateTime as DateType, Double, Int64};
use evercube_base::datetime::MICROS_PER_DAY;
use evercube_base::{DateTime, Error, Result, Value};

use super::FunctionKind::Scalar as F;
use super::ReturnType::{self, Fixed};
use super::arguments::{Args, arg, date, domain_error, int, int_or, num, require, text};
use super::date_text::{parse_date_time, parse_time};
use super::day_count::{add_months, end_of_month, year_fraction};
use super::{Family, Row, ScalarContext};
use crate::scalar::Culture;

const T: ReturnType = Fixed(DateType);
const D: ReturnType = Fixed(Double);
const I: ReturnType = Fixed(Int64);

pub(crate) const FAMILIES: &[Family] = &[Family("Date and time", DATES)];

const DATES: &[Row] = &[
    Row(
        "DATE",
        "Year,Month,Day",
        "A date of year, month and day; what exceeds a part flows into the next.",
        T,
        F(make_date),
    ),
    Row(
        "DATEVALUE",
        "DateText",
        "The date written in a text.",
        T,
        F(|_, a| {
            if let Value::DateTime(d) = arg(a, 0) {
                return Ok(d.with_time(0).into());
            }
            let t = text(a, 0);
            parse_date_time(&t, a.culture)
                .map(|d| d.with_time(0).into())
                .ok_or_else(|| unreadable(&t, "date"))
        }),
    ),
    Row(
        "TIME",
        "Hour,Minute,Second",
        "A time of hour, minute and second.",
        T,
        F(|_, a| {
            let (h, m, s) = (int(a, 0)?, int(a, 1)?, int(a, 2)?);
            let limit = 0..=32_767;
            require("TIME", limit.contains(&h) && limit.contains(&m) && limit.contains(&s))?;
            Ok(DateTime(((h * 3600 + m * 60 + s) * 1_000_000).rem_euclid(MICROS_PER_DAY)).into())
        }),
    ),
    Row(
        "TIMEVALUE",
        "TimeText",
        "The time written in a text.",
        T,
        F(|_, a| {
            if let Value::DateTime(d) = arg(a, 0) {
                return Ok(DateTime(d.time_micros()).into());
            }
            let t = text(a, 0);
            parse_time(&t)
                .or_else(|| parse_date_time(&t, a.culture).map(DateTime::time_micros))
                .map(|m| DateTime(m).into())
                .ok_or_else(|| unreadable(&t, "time"))
        }),
    ),
    Row("YEAR", "Date", "The year.", I, F(|_, a| part(a, |d| i64::from(d.ymd().0)))),
    Row(
        "QUARTER",
        "Date",
        "The quarter, 1 to 4.",
        I,
        F(|_, a| part(a, |d| i64::from((d.ymd().1 - 1) / 3 + 1))),
    ),
    Row("MONTH", "Date", "The month, 1 to 12.", I, F(|_, a| part(a, |d| i64::from(d.ymd().1)))),
    Row("DAY", "Date", "The day of the month.", I, F(|_, a| part(a, |d| i64::from(d.ymd().2)))),
    Row(
        "HOUR",
        "Datetime",
        "The hour, 0 to 23.",
        I,
        F(|_, a| part(a, |d| i64::from(nearest_second(d).hms().0))),
    ),
    Row(
        "MINUTE",
        "Datetime",
        "The minute, 0 to 59.",
        I,
        F(|_, a| part(a, |d| i64::from(nearest_second(d).hms().1))),
    ),
    Row(
        "SECOND",
        "Datetime",
        "The second, 0 to 59.",
        I,
        F(|_, a| part(a, |d| i64::from(nearest_second(d).hms().2))),
    ),
    Row(
        "WEEKDAY",
        "Date,[ReturnType]",
        "The day of the week.",
        I,
        F(|_, a| {
            let kind = int_or(a, 1, 1)?;
            let sunday = i64::from(date(a, 0)?.weekday());
            let from = |first: i64| (sunday - first).rem_euclid(7);
            Ok(Value::Int(match kind {
                1 => from(0) + 1,
                2 => from(1) + 1,
                3 => from(1),
                11..=17 => from(kind - 10) + 1,
                _ => return Err(domain_error("WEEKDAY")),
            }))
        }),
    ),
    Row("WEEKNUM", "Date,[ReturnType]", "The week of the year.", I, F(week_number)),
    Row(
        "EDATE",
        "StartDate,Months",
        "The date some months later.",
        T,
        F(|_, a| {
            let months = int(a, 1)?;
            add_months(date(a, 0)?, months).map(Value::from).ok_or_else(|| domain_error("EDATE"))
        }),
    ),
    Row(
        "EOMONTH",
        "StartDate,Months",
        "The last day of the month some months later.",
        T,
        F(|_, a| {
            // Unlike EDATE, it rounds.
            let months = num(a, 1)?.round() as i64;
            end_of_month(date(a, 0)?, months)
                .map(Value::from)
                .ok_or_else(|| domain_error("EOMONTH"))
        }),
    ),
    Row(
        "DATEDIFF",
        "Date1,Date2,Interval",
        "Interval boundaries between two dates.",
        I,
        F(date_difference),
    ),
    Row(
        "YEARFRAC",
        "StartDate,EndDate,[Basis]",
        "The part of a year between two dates.",
        D,
        F(|_, a| {
            let basis = int_or(a, 2, 0)?;
            require("YEARFRAC", (0..=4).contains(&basis))?;
            Ok(year_fraction(date(a, 0)?, date(a, 1)?, basis).into())
        }),
    ),
    Row("NOW", "", "The date and time now.", T, F(|c, _| Ok(c.now.into()))),
    Row("TODAY", "", "The date today.", T, F(|c, _| Ok(c.now.with_time(0).into()))),
    Row(
        "UTCNOW",
        "",
        "The date and time now, in universal time.",
        T,
        F(|c, _| Ok(c.utc_now.into())),
    ),
    Row(
        "UTCTODAY",
        "",
        "The date today, in universal time.",
        T,
        F(|c, _| Ok(c.utc_now.with_time(0).into())),
    ),
];

fn unreadable(t: &str, what: &str) -> Error {
    Error::evaluation(format!(
        "Cannot convert value '{t}' of type Text to type Date: it is no {what}. Write it as 2024-01-31 or 1/31/2024 10:20:30."
    ))
}

fn part(a: Args<'_>, f: fn(DateTime) -> i64) -> Result<Value> {
    if arg(a, 0).is_blank() {
        return Ok(Value::Blank);
    }
    date(a, 0).map(|d| Value::Int(f(d)))
}

fn nearest_second(d: DateTime) -> DateTime {
    DateTime((d.0 + 500_000).div_euclid(1_000_000) * 1_000_000)
}

fn make_date(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let bad = || domain_error("DATE");
    let rounded = |i| num(a, i).map(|f| f.round());
    let (y, m, d) = (rounded(0)?, rounded(1)?, rounded(2)?);
    if ![y, m, d].iter().all(|v| v.abs() < 4e6) {
        return Err(bad());
    }
    let mut y = y as i64;
    y += match y {
        0..=49 => 2000,
        50..=99 => 1900,
        _ => 0,
    };
    let total = y * 12 + m as i64 - 1;
    let year = i32::try_from(total.div_euclid(12)).map_err(|_| bad())?;
    let month = u32::try_from(total.rem_euclid(12)).map_err(|_| bad())? + 1;
    let first = DateTime::from_ymd(year, month, 1).ok_or_else(bad)?;
    let out = DateTime::from_days(first.days() + d as i64 - 1);
    if (1..=9999).contains(&out.ymd().0) { Ok(out.into()) } else { Err(bad()) }
}

fn week_number(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let (d, kind) = (date(a, 0)?, int_or(a, 1, 1)?);
    let first_day = match kind {
        1 => 0,
        2 => 1,
        11..=17 => (kind - 10) % 7,
        21 => {
            // ISO: the week belongs to the year of its Thursday.
            let thursday = d.days() - (i64::from(d.weekday()) + 6) % 7 + 3;
            let year = DateTime::from_days(thursday).ymd().0;
            let january = DateTime::from_ymd(year, 1, 1).map_or(0, DateTime::days);
            return Ok(Value::Int((thursday - january) / 7 + 1));
        }
        _ => return Err(domain_error("WEEKNUM")),
    };
    let january = DateTime::from_ymd(d.ymd().0, 1, 1).ok_or_else(|| domain_error("WEEKNUM"))?;
    let offset = (i64::from(january.weekday()) - first_day).rem_euclid(7);
    Ok(Value::Int((d.days() - january.days() + offset) / 7 + 1))
}

fn date_difference(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    if arg(a, 0).is_blank() || arg(a, 1).is_blank() {
        return Ok(Value::Blank);
    }
    let (x, y) = (date(a, 0)?, date(a, 1)?);
    let months = |d: DateTime| i64::from(d.ymd().0) * 12 + i64::from(d.ymd().1) - 1;
    let units = |micros: i64| y.0.div_euclid(micros) - x.0.div_euclid(micros);
    let unit = text(a, 2);
    Ok(Value::Int(match unit.to_ascii_uppercase().as_str() {
        "YEAR" => i64::from(y.ymd().0) - i64::from(x.ymd().0),
        "QUARTER" => months(y).div_euclid(3) - months(x).div_euclid(3),
        "MONTH" => months(y) - months(x),
        // Weeks begin on Sunday; day 0 was a Saturday.
        "WEEK" => (y.days() - 1).div_euclid(7) - (x.days() - 1).div_euclid(7),
        "DAY" => y.days() - x.days(),
        "HOUR" => units(3_600_000_000),
        "MINUTE" => units(60_000_000),
        "SECOND" => units(1_000_000),
        _ => {
            return Err(Error::invalid(format!(
                "'{unit}' is no interval of DATEDIFF. Use SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER or YEAR."
            )));
        }
    }))
}

/// Working days from `start` to `end`, both included; negative where they run backwards.
///
/// `weekend` is blank, a number of Excel's list (1 to 7, 11 to 17) or seven digits from Monday
/// with 1 for days off. `holidays` are day numbers.
pub fn network_days(
    start: DateTime,
    end: DateTime,
    weekend: &Value,
    holidays: &[i64],
) -> Result<i64> {
    let off = weekend_days(weekend)?;
    let (lo, hi, sign) = if start.days() <= end.days() {
        (start.days(), end.days(), 1)
    } else {
        (end.days(), start.days(), -1)
    };
    // Day 0 was a Saturday, position 5 from Monday.
    let works = |day: i64| !off.get((day + 5).rem_euclid(7) as usize).copied().unwrap_or(false);
    let days = hi - lo + 1;
    let per_week = (0..7).filter(|d| works(*d)).count() as i64;
    let rest_start = lo + days / 7 * 7;
    let mut n = days / 7 * per_week + (rest_start..=hi).filter(|d| works(*d)).count() as i64;
    let mut free: Vec<i64> = holidays.to_vec();
    free.sort_unstable();
    free.dedup();
    n -= free.into_iter().filter(|d| (lo..=hi).contains(d) && works(*d)).count() as i64;
    Ok(n * sign)
}

/// Days off, Monday first.
fn weekend_days(weekend: &Value) -> Result<[bool; 7]> {
    let mut off = [false; 7];
    if let Value::String(s) = weekend {
        if s.len() == 7 && s.bytes().all(|b| b == b'0' || b == b'1') {
            for (slot, b) in off.iter_mut().zip(s.bytes()) {
                *slot = b == b'1';
            }
            return Ok(off);
        }
        return Err(domain_error("NETWORKDAYS"));
    }
    let days: [i64; 2] =
        match int_or(Args::new(std::slice::from_ref(weekend), &Culture::UNITED_STATES), 0, 1)? {
            // 1 is Saturday and Sunday, 2 Sunday and Monday, and so on.
            n @ 1..=7 => [(n + 4) % 7, (n + 5) % 7],
            // 11 is Sunday only, 12 Monday only, and so on.
            n @ 11..=17 => [(n - 12).rem_euclid(7); 2],
            _ => return Err(domain_error("NETWORKDAYS")),
        };
    for (i, slot) in off.iter_mut().enumerate() {
        *slot = days.contains(&(i as i64));
    }
    Ok(off)
}
