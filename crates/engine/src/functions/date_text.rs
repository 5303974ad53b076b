//! Dates and times read from text, month before day as in the United States.

use evercube_base::DateTime;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

fn month_by_name(word: &str) -> Option<u32> {
    let w = word.to_ascii_lowercase();
    let w = w.trim_end_matches('.');
    if w.len() < 3 {
        return None;
    }
    MONTHS.iter().position(|m| m.starts_with(w)).and_then(|i| u32::try_from(i + 1).ok())
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
pub fn parse_date_time(text: &str) -> Option<DateTime> {
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
        if let (Some(d), Some(micros)) = (parse_date(head), parse_time(tail)) {
            return Some(d.with_time(micros));
        }
    }
    parse_date(t)
}

fn parse_date(text: &str) -> Option<DateTime> {
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
            if let Some(m) = month_by_name(a) {
                return DateTime::from_ymd(year(c)?, m, b.parse().ok()?);
            }
            if let Some(m) = month_by_name(b) {
                return DateTime::from_ymd(year(c)?, m, a.parse().ok()?);
            }
            if a.len() == 4 {
                return DateTime::from_ymd(a.parse().ok()?, b.parse().ok()?, c.parse().ok()?);
            }
            let (m, d): (u32, u32) = (a.parse().ok()?, b.parse().ok()?);
            let (m, d) = if m > 12 { (d, m) } else { (m, d) };
            DateTime::from_ymd(year(c)?, m, d)
        }
        [a, b] => {
            // A month and a year.
            let m = month_by_name(a).or_else(|| a.parse().ok())?;
            (b.len() == 4).then(|| year(b)).flatten().and_then(|y| DateTime::from_ymd(y, m, 1))
        }
        _ => None,
    }
}
