//! Values as text by a format picture: the FORMAT function and the format strings of models.

mod date_picture;
mod locale;
mod number_picture;
mod text_picture;

use crate::{DateTime, Decimal, Value};
use date_picture::format_date;
pub use locale::{DateOrder, Locale};
use number_picture::{Digits, format_number};
use text_picture::{format_text, is_text_picture};

/// `value` written by `picture`, a predefined name such as `Short Date` or a custom picture, in the
/// ways of `locale` (`en-US` where it is unknown). Blank gives empty text; text that is no number
/// stays as it is.
pub fn format(value: &Value, picture: &str, locale: &str) -> String {
    let l = Locale::named(locale);
    match value {
        Value::Blank => String::new(),
        Value::Boolean(b) => format_boolean(*b, picture),
        Value::String(s) if is_text_picture(picture) => format_text(s, picture),
        Value::String(s) => match s.trim().parse::<f64>() {
            Ok(f) if f.is_finite() && !picture.trim().is_empty() => {
                format(&Value::Double(f), picture, locale)
            }
            _ => s.to_string(),
        },
        Value::DateTime(d) => {
            if let Some(text) = named_date(*d, picture, l) {
                return text;
            }
            if let Some(text) = named_number(value, picture, l) {
                return text;
            }
            if has_date_letters(picture) {
                format_date(*d, picture, l)
            } else {
                format_number(&Digits::of_f64(d.to_ole()), picture, l)
            }
        }
        Value::Int(_) | Value::Decimal(_) | Value::Double(_) => {
            if let Value::Double(f) = value
                && !f.is_finite()
            {
                return general_number(*f);
            }
            if let Some(text) = named_number(value, picture, l) {
                return text;
            }
            if is_text_picture(picture) && !has_date_letters(picture) {
                return format_text(&format(value, "", locale), picture);
            }
            let date = value.as_f64().and_then(DateTime::from_ole);
            if let Some(text) = date.and_then(|d| named_date(d, picture, l)) {
                return text;
            }
            match date {
                Some(d) if !has_digit_places(picture) && has_date_letters(picture) => {
                    format_date(d, picture, l)
                }
                _ => format_number(&digits(value), picture, l),
            }
        }
    }
}

fn digits(value: &Value) -> Digits {
    match value {
        Value::Int(i) => Digits::of_scaled(i128::from(*i), 0),
        Value::Decimal(Decimal(d)) => Digits::of_scaled(i128::from(*d), 4),
        other => Digits::of_f64(other.as_f64().unwrap_or(0.0)),
    }
}

fn format_boolean(b: bool, picture: &str) -> String {
    match picture.trim().to_ascii_lowercase().as_str() {
        "yes/no" => if b { "Yes" } else { "No" }.into(),
        "on/off" => if b { "On" } else { "Off" }.into(),
        _ => {
            // A picture of text sections chooses by the number behind the truth.
            let sections: Vec<&str> = picture.split(';').collect();
            let quoted = |s: &&str| s.len() >= 2 && s.starts_with('"') && s.ends_with('"');
            match (sections.first(), sections.get(1), sections.get(2)) {
                (Some(yes), Some(_), Some(no)) if quoted(yes) && quoted(no) => {
                    if b { yes } else { no }.trim_matches('"').into()
                }
                _ => if b { "True" } else { "False" }.into(),
            }
        }
    }
}

/// A number or a date as `&` and the picture `General Number` write it; empty for what is neither.
pub fn general(value: &Value, l: &Locale) -> String {
    let text = match value {
        Value::Int(i) => i.to_string(),
        Value::Decimal(d) => d.to_string(),
        Value::Double(f) => general_number(*f),
        Value::DateTime(d) => return date_and_time(*d, l),
        Value::Blank | Value::Boolean(_) | Value::String(_) => String::new(),
    };
    if l.decimal == "." { text } else { text.replace('.', l.decimal) }
}

/// A double with up to 15 digits.
pub fn general_number(f: f64) -> String {
    if f.is_nan() {
        return "NaN".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    if f == 0.0 {
        return "0".into();
    }
    let text = format!("{f:.14e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |m| ("-", m));
    let all: String = mantissa.chars().filter(|c| *c != '.').collect();
    let all = all.trim_end_matches('0');
    if !(-5..15).contains(&exponent) {
        let (head, tail) = all.split_at(1.min(all.len()));
        let point = if tail.is_empty() { "" } else { "." };
        let e = exponent.abs();
        let es = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{head}{point}{tail}E{es}{e:02}");
    }
    if exponent < 0 {
        return format!("{sign}0.{}{all}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if all.len() <= whole {
        format!("{sign}{all}{}", "0".repeat(whole - all.len()))
    } else {
        let (head, tail) = all.split_at(whole);
        format!("{sign}{head}.{tail}")
    }
}

/// `1/31/2024`, with the time where there is one.
fn date_and_time(d: DateTime, l: &Locale) -> String {
    // Only a time: the day is the zero of the calendar.
    match (d.days() == 0, d.time_micros() == 0) {
        (true, false) => format_date(d, l.long_time, l),
        (_, true) => format_date(d, l.short_date, l),
        _ => format!("{} {}", format_date(d, l.short_date, l), format_date(d, l.long_time, l)),
    }
}

fn named_number(v: &Value, picture: &str, l: &Locale) -> Option<String> {
    let number = |p: &str| Some(format_number(&digits(v), p, l));
    match picture.trim().to_ascii_lowercase().as_str() {
        "" | "general number" | "general" | "g" => Some(general(v, l)),
        "currency" => number(l.currency),
        "fixed" => number("0.00"),
        "standard" => number("#,##0.00"),
        "percent" => number("0.00%"),
        "scientific" => number("0.00E+00"),
        "yes/no" | "on/off" | "true/false" => {
            Some(format_boolean(v.as_f64().unwrap_or(0.0) != 0.0, picture))
        }
        _ => None,
    }
}

fn named_date(d: DateTime, picture: &str, l: &Locale) -> Option<String> {
    let p = match picture.trim().to_ascii_lowercase().as_str() {
        "general date" | "c" => return Some(date_and_time(d, l)),
        "long date" | "medium date" => l.long_date,
        "short date" => l.short_date,
        "long time" => l.long_time,
        "medium time" => "hh:nn AM/PM",
        "short time" => "hh:nn",
        _ => return None,
    };
    Some(format_date(d, p, l))
}

/// The characters of a picture that are neither quoted nor escaped.
fn active(picture: &str) -> impl Iterator<Item = char> + '_ {
    let mut quoted = false;
    let mut escaped = false;
    picture.chars().filter(move |c| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '"' => {
                quoted = !quoted;
                false
            }
            '\\' if !quoted => {
                escaped = true;
                false
            }
            _ => !quoted,
        }
    })
}

fn has_digit_places(picture: &str) -> bool {
    active(picture).any(|c| c == '0' || c == '#')
}

fn has_date_letters(picture: &str) -> bool {
    active(picture).any(|c| "dmyhnsqwtDMYHNSQWT".contains(c))
}

#[cfg(test)]
mod tests;
