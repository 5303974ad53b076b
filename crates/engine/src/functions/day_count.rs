//! Day counts of finance and month arithmetic.

use evercube_base::DateTime;
use evercube_base::datetime::{days_in_month, is_leap_year};

/// A calendar day `months` after `d`, the day of the month cut to the month's length; no time.
/// `None` outside the years 1 to 9999.
pub fn add_months(d: DateTime, months: i64) -> Option<DateTime> {
    let (y, m, day) = d.ymd();
    let total = (i64::from(y) * 12 + i64::from(m) - 1).checked_add(months)?;
    let year = i32::try_from(total.div_euclid(12)).ok()?;
    let month = u32::try_from(total.rem_euclid(12)).ok()? + 1;
    if !(1..=9999).contains(&year) {
        return None;
    }
    DateTime::from_ymd(year, month, day.min(days_in_month(year, month)))
}

/// The last day of the month `months` after that of `d`.
pub fn end_of_month(d: DateTime, months: i64) -> Option<DateTime> {
    let (y, m, _) = d.ymd();
    let first = add_months(DateTime::from_ymd(y, m, 1)?, months)?;
    let (y, m, _) = first.ymd();
    DateTime::from_ymd(y, m, days_in_month(y, m))
}

pub fn is_month_end(d: DateTime) -> bool {
    let (y, m, day) = d.ymd();
    day == days_in_month(y, m)
}

/// Days between two dates under a day-count basis: 0 US 30/360, 1 to 3 actual, 4 European 30/360.
pub fn days_between(a: DateTime, b: DateTime, basis: i64) -> f64 {
    match basis {
        0 => days_360(a, b, false),
        4 => days_360(a, b, true),
        _ => (b.days() - a.days()) as f64,
    }
}

/// Days of a year under a basis, for dates of the year of `d`.
pub fn days_of_year(d: DateTime, basis: i64) -> f64 {
    match basis {
        3 => 365.0,
        1 => {
            if is_leap_year(d.ymd().0) {
                366.0
            } else {
                365.0
            }
        }
        _ => 360.0,
    }
}

fn days_360(a: DateTime, b: DateTime, european: bool) -> f64 {
    let ((y1, m1, d1), (y2, m2, d2)) = (a.ymd(), b.ymd());
    let (mut s, mut e) = (i64::from(d1), i64::from(d2));
    if european {
        s = s.min(30);
        e = e.min(30);
    } else {
        let end_feb = |d: DateTime| d.ymd().1 == 2 && is_month_end(d);
        if end_feb(a) {
            if end_feb(b) {
                e = 30;
            }
            s = 30;
        }
        if e == 31 && s >= 30 {
            e = 30;
        }
        s = s.min(30);
    }
    ((i64::from(y2) - i64::from(y1)) * 360 + (i64::from(m2) - i64::from(m1)) * 30 + e - s) as f64
}

/// Part of a year between two dates under a basis, never negative.
pub fn year_fraction(a: DateTime, b: DateTime, basis: i64) -> f64 {
    let (a, b) = if a.days() <= b.days() { (a, b) } else { (b, a) };
    let days = days_between(a, b, basis);
    match basis {
        1 => {
            let ((y1, m1, d1), (y2, m2, d2)) = (a.ymd(), b.ymd());
            let within_year = y1 == y2 || (y2 == y1 + 1 && (m1, d1) >= (m2, d2));
            let average = if within_year {
                let leap = if y1 == y2 {
                    is_leap_year(y1)
                } else {
                    (is_leap_year(y1) && (m1, d1) <= (2, 29))
                        || (is_leap_year(y2) && (m2, d2) >= (2, 29))
                };
                if leap { 366.0 } else { 365.0 }
            } else {
                let years = f64::from(y2 - y1 + 1);
                let leaps = f64::from((y1..=y2).filter(|y| is_leap_year(*y)).count() as u32);
                365.0 + leaps / years
            };
            days / average
        }
        3 => days / 365.0,
        _ => days / 360.0,
    }
}
