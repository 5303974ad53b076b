//! Custom date pictures: `dddd, mmmm d, yyyy h:nn AM/PM`.

use super::locale::Locale;
use crate::DateTime;
use crate::datetime::MICROS_PER_DAY;

enum Token {
    /// A letter in lower case and how often it stands.
    Run(char, usize),
    Text(String),
    /// Texts of morning and afternoon.
    Half(&'static str, &'static str),
    /// The locale's own.
    LocalHalf,
    DateSeparator,
}

fn tokens(picture: &str) -> Vec<Token> {
    const HALVES: [(&str, &str, &str); 4] =
        [("AM/PM", "AM", "PM"), ("am/pm", "am", "pm"), ("A/P", "A", "P"), ("a/p", "a", "p")];
    let mut out: Vec<Token> = Vec::new();
    let mut rest = picture;
    while let Some(c) = rest.chars().next() {
        if let Some((p, am, pm)) = HALVES.iter().find(|(p, ..)| rest.starts_with(p)) {
            out.push(Token::Half(am, pm));
            rest = rest.get(p.len()..).unwrap_or("");
            continue;
        }
        if rest.get(..4).is_some_and(|w| w.eq_ignore_ascii_case("AMPM")) {
            out.push(Token::LocalHalf);
            rest = rest.get(4..).unwrap_or("");
            continue;
        }
        let tail = rest.get(c.len_utf8()..).unwrap_or("");
        match c {
            '"' => {
                let (text, after) = tail.split_once('"').unwrap_or((tail, ""));
                out.push(Token::Text(text.into()));
                rest = after;
            }
            '\\' => {
                let next = tail.chars().next();
                out.extend(next.map(|n| Token::Text(n.into())));
                rest = tail.get(next.map_or(0, char::len_utf8)..).unwrap_or("");
            }
            '/' => {
                out.push(Token::DateSeparator);
                rest = tail;
            }
            _ => {
                let l = c.to_ascii_lowercase();
                let n = rest.chars().take_while(|x| x.to_ascii_lowercase() == l).count();
                // A single T stands between date and time.
                if "dmyhnsqwtc".contains(l) && (l != 't' || n > 1) {
                    let half = l == 't' && n == 2;
                    out.push(if half { Token::Half("AM", "PM") } else { Token::Run(l, n) });
                    rest = rest.get(n..).unwrap_or("");
                } else {
                    out.push(Token::Text(c.into()));
                    rest = tail;
                }
            }
        }
    }
    out
}

/// Whether the month letters at `i` stand for minutes: after hours or before seconds.
fn is_minutes(tokens: &[Token], i: usize) -> bool {
    let letter = |t: &Token| match t {
        Token::Run(c, _) => Some(*c),
        _ => None,
    };
    let before = tokens.get(..i).unwrap_or(&[]).iter().rev().find_map(letter);
    let after = tokens.get(i + 1..).unwrap_or(&[]).iter().find_map(letter);
    before == Some('h') || after == Some('s')
}

fn day_of_year(d: DateTime) -> i64 {
    let (y, ..) = d.ymd();
    d.days() - DateTime::from_ymd(y, 1, 1).map_or(0, DateTime::days) + 1
}

pub(super) fn format_date(d: DateTime, picture: &str, l: &Locale) -> String {
    // Fractions of a second are rounded to the second shown.
    let d = DateTime((d.0 + 500_000).div_euclid(1_000_000) * 1_000_000);
    let tokens = tokens(picture);
    let twelve = tokens.iter().any(|t| matches!(t, Token::Half(..) | Token::LocalHalf));
    let has_day = tokens.iter().any(|t| matches!(t, Token::Run('d', 1..=2)));
    let months = l.months_of_day.as_ref().filter(|_| has_day).unwrap_or(&l.months);
    let ((year, month, day), (hour, minute, second, _)) = (d.ymd(), d.hms());
    let name = |list: &[&'static str], i: u32| list.get(i as usize).copied().unwrap_or("");
    let padded = |v: u32, n: usize| format!("{v:0n$}");
    let mut out = String::new();
    for (i, t) in tokens.iter().enumerate() {
        let text = match t {
            Token::Text(text) => text.clone(),
            Token::DateSeparator => l.date_separator.into(),
            Token::LocalHalf => l.halves[usize::from(hour >= 12)].to_owned(),
            Token::Half(am, pm) => if hour < 12 { am } else { pm }.to_string(),
            Token::Run('m', n @ 1..=2) if is_minutes(&tokens, i) => padded(minute, *n),
            Token::Run('d', n @ 1..=2) => padded(day, *n),
            Token::Run('d', 3) => name(&l.short_days, d.weekday()).into(),
            Token::Run('d', 4) => name(&l.days, d.weekday()).into(),
            Token::Run('d', 5) => format_date(d, l.short_date, l),
            Token::Run('d', _) => format_date(d, l.long_date, l),
            Token::Run('w', 1) => (d.weekday() + 1).to_string(),
            Token::Run('w', _) => {
                let first = DateTime(d.0 - (day_of_year(d) - 1) * MICROS_PER_DAY).weekday();
                ((day_of_year(d) - 1 + i64::from(first)) / 7 + 1).to_string()
            }
            Token::Run('m', n @ 1..=2) => padded(month, *n),
            Token::Run('m', 3) => name(&l.short_months, month - 1).into(),
            Token::Run('m', _) => name(months, month - 1).into(),
            Token::Run('q', _) => ((month - 1) / 3 + 1).to_string(),
            Token::Run('y', 1) => day_of_year(d).to_string(),
            Token::Run('y', 2) => format!("{:02}", year.rem_euclid(100)),
            Token::Run('y', _) => format!("{year:04}"),
            Token::Run('h', n) => {
                let h = if twelve { (hour + 11) % 12 + 1 } else { hour };
                padded(h, (*n).min(2))
            }
            Token::Run('n', n) => padded(minute, (*n).min(2)),
            Token::Run('s', n) => padded(second, (*n).min(2)),
            Token::Run('t', _) => format_date(d, l.long_time, l),
            Token::Run(_, _) => {
                format!("{} {}", format_date(d, l.short_date, l), format_date(d, l.long_time, l))
            }
        };
        out.push_str(&text);
    }
    out
}
