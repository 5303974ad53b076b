//! Single values of a document, read as liberally as the writers of documents are.

use evercube_base::{Error, Result};
use serde_json::{Value as Json, json};

use super::canonical::expected;
use crate::enums::Names;

/// Text of one piece; a list of lines is joined.
pub(super) fn name_text(value: &Json, path: &str) -> Result<Json> {
    match value {
        Json::String(_) => Ok(value.clone()),
        Json::Array(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Json::as_str).collect();
            match lines {
                Some(lines) => Ok(Json::String(lines.join("\n"))),
                None => Err(expected("text or a list of lines", value, path)),
            }
        }
        _ => Err(expected("text", value, path)),
    }
}

/// Text that may stand as one string or as lines; it stays in the form it has.
pub(super) fn words(value: &Json, path: &str) -> Result<Json> {
    match value {
        Json::String(_) => Ok(value.clone()),
        Json::Array(lines) if lines.iter().all(Json::is_string) => Ok(value.clone()),
        Json::Number(_) | Json::Bool(_) => Ok(Json::String(value.to_string())),
        _ => Err(expected("text or a list of lines", value, path)),
    }
}

pub(super) fn flag(value: &Json, path: &str) -> Result<Json> {
    match value {
        Json::Bool(_) => Ok(value.clone()),
        Json::String(t) if t.eq_ignore_ascii_case("true") => Ok(json!(true)),
        Json::String(t) if t.eq_ignore_ascii_case("false") => Ok(json!(false)),
        _ => Err(expected("true or false", value, path)),
    }
}

pub(super) fn integer(value: &Json, path: &str) -> Result<Json> {
    let number = match value {
        Json::Number(n) => {
            // A whole number within the exact range of a double loses nothing.
            let whole = n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9.0e15);
            n.as_i64().or(whole.map(|f| f as i64))
        }
        Json::String(t) => t.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(n) => Ok(json!(n)),
        None => Err(expected("a whole number", value, path)),
    }
}

/// A word of an enumeration as TMSL spells it. A word that is not known may belong to a newer
/// level and is kept.
pub(super) fn word(value: &Json, names: &Names, path: &str) -> Result<Json> {
    match value {
        Json::String(t) => {
            let known = names.number(t.trim()).and_then(|n| names.word(n));
            Ok(Json::String(known.unwrap_or(t).to_owned()))
        }
        Json::Number(n) => match n.as_i64().and_then(|n| names.word(n)) {
            Some(word) => Ok(json!(word)),
            None => Err(Error::invalid(format!("{path} is {n}, which stands for no known word"))),
        },
        _ => Err(expected("a word", value, path)),
    }
}
