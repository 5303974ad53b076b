//! Dates and times read from text, in the order and with the names of a culture.

use evercube_base::DateTime;
use evercube_base::format::{DateOrder, Locale};

use crate::scalar::Culture;

/// The month of a name, in the culture's language or in English.
fn month_by_name(word: &str, culture: &Culture) -> Option<u32> {
    let w = word.to_lowercase();
    let w = w.trim_end_matches('.');
    let at = |i: usize| u32::try_from(i + 1).ok();
    let same = |m: &&str| m.to_lowercase().trim_end_matches('.') == w;
    let names = culture.locale;
    let own = names.months_beside_days().iter().position(&same);
    let own = own.or_else(|| names.months.iter().position(&same));
    let own = own.or_else(|| names.short_months.iter().position(same));
    // Months written as figures are no names.
    if let Some(i) = own.filter(|_| !w.starts_with(|c: char| c.is_ascii_digit())) {
        return at(i);
    }
    if w.len() < 3 {
        return None;
    }
    Locale::UNITED_STATES.months.iter().position(|m| m.to_lowercase().starts_with(w)).and_then(at)
}

/// A year of two digits lies between 1930 and 2029.
fn year(text: &str) -> Option<i32> {
    let y: i32 = text.parse().ok()?;
    Some(match text.len() {
        1 | 2 if y < 30 => 2000 + y,
        1 | 2 => 1900 + y,
        _ => y,
    })
}

/// `10:20`, `10:20:30.5`, `3:04 PM`, `3 PM`: microseconds since midnight.
pub fn parse_time(text: &str) -> Option<i64> {
    let lower = text.trim().to_ascii_lowercase();
    let (t, half) = if let Some(r) = lower.strip_suffix("am") {
        (r, Some(0))
    } else if let Some(r) = lower.strip_suffix("pm") {
        (r, Some(12))
    } else {
        (lower.as_str(), None)
    };
    let mut parts = t.trim().split(':');
    let mut hour: i64 = parts.next()?.parse().ok()?;
    let minute: i64 = match parts.next() {
        Some(m) => m.parse().ok()?,
        None if half.is_some() => 0,
        None => return None,
    };
    let second: f64 = parts.next().unwrap_or("0").parse().ok()?;
    if parts.next().is_some() || !(0..60).contains(&minute) || !(0.0..60.0).contains(&second) {
        return None;
    }
    if let Some(offset) = half {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + offset;
    }
    (0..24)
        .contains(&hour)
        .then(|| (hour * 3600 + minute * 60) * 1_000_000 + (second * 1e6).round() as i64)
}

/// `1/31/2024`, `2024-01-31`, `31-Jan-2024`, `January 31, 2024`, with or without a time after it,
/// or a time alone.
pub fn parse_date_time(text: &str, culture: &Culture) -> Option<DateTime> {
    let t = text.trim();
    if let Some(d) = DateTime::parse_iso(t) {
        return Some(d);
    }
    if let Some(micros) = parse_time(t) {
        return Some(DateTime(micros));
    }
    // The time is the longest tail that reads as one.
    let cuts = t.char_indices().filter(|(_, c)| *c == ' ' || *c == 'T').map(|(i, _)| i);
    for i in cuts {
        let (Some(head), Some(tail)) = (t.get(..i), t.get(i + 1..)) else { continue };
        if let (Some(d), Some(micros)) = (parse_date(head, culture), parse_time(tail)) {
            return Some(d.with_time(micros));
        }
    }
    parse_date(t, culture)
}

fn parse_date(text: &str, culture: &Culture) -> Option<DateTime> {
    // A comma stands between words; between figures it is a number's.
    if text.as_bytes().windows(3).any(|w| matches!(w, [b'0'..=b'9', b',', b'0'..=b'9'])) {
        return None;
    }
    let parts: Vec<&str> = text
        .split(|c: char| matches!(c, '/' | '-' | '.' | ',') || c.is_whitespace())
        .filter(|p| !p.is_empty())
        .collect();
    // A weekday before the date says nothing new.
    let parts = match parts.split_first() {
        Some((first, rest)) if first.to_ascii_lowercase().ends_with("day") => rest,
        _ => parts.as_slice(),
    };
    match *parts {
        [a, b, c] => {
            if let Some(m) = month_by_name(a, culture) {
                return DateTime::from_ymd(year(c)?, m, b.parse().ok()?);
            }
            if let Some(m) = month_by_name(b, culture) {
                return DateTime::from_ymd(year(c)?, m, a.parse().ok()?);
            }
            let year_first = culture.locale.date_order() == DateOrder::YearMonthDay && c.len() <= 2;
            if a.len() == 4 || year_first {
                return DateTime::from_ymd(year(a)?, b.parse().ok()?, c.parse().ok()?);
            }
            let (m, d) = month_and_day(a, b, culture)?;
            DateTime::from_ymd(year(c)?, m, d)
        }
        [a, b] => {
            let in_figures = [a, b].iter().all(|p| p.bytes().all(|c| c.is_ascii_digit()));
            if in_figures && text.contains('.') && culture.locale.date_separator != "." {
                return None;
            }
            // A month and a year.
            let month = || month_by_name(a, culture).or_else(|| a.parse().ok());
            if b.len() == 4 {
                return DateTime::from_ymd(year(b)?, month()?, 1);
            }
            let (m, d) = match (month_by_name(a, culture), month_by_name(b, culture)) {
                (Some(m), _) => (m, b.parse().ok()?),
                (_, Some(m)) => (m, a.parse().ok()?),
                _ => month_and_day(a, b, culture)?,
            };
            DateTime::from_ymd(culture.year?, m, d)
        }
        _ => None,
    }
}

/// Month and day in the order of the culture, or in the other where that cannot be.
fn month_and_day(a: &str, b: &str, culture: &Culture) -> Option<(u32, u32)> {
    let (a, b): (u32, u32) = (a.parse().ok()?, b.parse().ok()?);
    let (m, d) =
        if culture.locale.date_order() == DateOrder::DayMonthYear { (b, a) } else { (a, b) };
    Some(if m > 12 { (d, m) } else { (m, d) })
}
