//! Functions of text. Places in a text count characters, from 0.

use evercube_base::{Error, Result};

use super::super::value::{Base, M};
use super::args::Args;
use crate::convert::{text_of, to_type};

pub(super) const NAMES: &[&str] = &[
    "Text.AfterDelimiter",
    "Text.BeforeDelimiter",
    "Text.Combine",
    "Text.Contains",
    "Text.End",
    "Text.EndsWith",
    "Text.From",
    "Text.Insert",
    "Text.Length",
    "Text.Lower",
    "Text.Middle",
    "Text.PadEnd",
    "Text.PadStart",
    "Text.PositionOf",
    "Text.Proper",
    "Text.Remove",
    "Text.Repeat",
    "Text.Replace",
    "Text.Reverse",
    "Text.Select",
    "Text.Split",
    "Text.Start",
    "Text.StartsWith",
    "Text.Trim",
    "Text.TrimEnd",
    "Text.TrimStart",
    "Text.Upper",
];

pub(super) fn call(a: &Args<'_>) -> Result<M> {
    let v = a.m(0)?;
    if matches!(v, M::Null) && a.name != "Text.Combine" {
        return Ok(M::Null);
    }
    if a.name == "Text.From" {
        return to_type(&v, Base::Text, None);
    }
    if a.name == "Text.Combine" {
        let sep = a.opt_text(1)?.unwrap_or_default();
        let parts: Vec<String> = a.list(0)?.iter().filter_map(text_of).collect();
        return Ok(M::text(parts.join(&sep)));
    }
    let t = a.text(0)?;
    let len = || t.chars().count();
    let part = |from: usize, n: usize| M::text(t.chars().skip(from).take(n).collect::<String>());
    Ok(match a.name {
        "Text.Upper" => M::text(t.to_uppercase()),
        "Text.Lower" => M::text(t.to_lowercase()),
        "Text.Trim" => M::text(t.trim_matches(trimmed(a)?)),
        "Text.TrimStart" => M::text(t.trim_start_matches(trimmed(a)?)),
        "Text.TrimEnd" => M::text(t.trim_end_matches(trimmed(a)?)),
        "Text.Proper" => M::text(proper(&t)),
        "Text.Reverse" => M::text(t.chars().rev().collect::<String>()),
        "Text.Repeat" => {
            let n = a.count(1)?;
            if n.saturating_mul(t.len()) > LONGEST {
                return Err(too_long(a));
            }
            M::text(t.repeat(n))
        }
        "Text.Insert" => {
            let at = t.char_indices().map(|(i, _)| i).chain([t.len()]).nth(a.count(1)?);
            let at = at.ok_or_else(|| {
                Error::evaluation(format!("{}: the place is after the end of the text", a.name))
            })?;
            let (before, after) = t.split_at(at);
            M::text(format!("{before}{}{after}", a.text(2)?))
        }
        "Text.PositionOf" => {
            let of = a.text(1)?;
            let found = match a.m(2)? {
                M::Number(n) if n.f64() == 1.0 => t.rfind(&*of),
                M::Number(n) if n.f64() != 0.0 => {
                    return Err(Error::unsupported(
                        "Text.PositionOf gives the first or the last place; Occurrence.All is not supported",
                    ));
                }
                _ => t.find(&*of),
            };
            M::int(found.map_or(-1, |i| t[..i].chars().count() as i64))
        }
        "Text.BeforeDelimiter" => match nth(a, &t)? {
            Some((at, _)) => M::text(&t[..at]),
            None => M::Text(t),
        },
        "Text.AfterDelimiter" => match nth(a, &t)? {
            Some((_, end)) => M::text(&t[end..]),
            None => M::text(""),
        },
        "Text.Remove" | "Text.Select" => {
            let (of, kept) = (characters(a, 1)?, a.name == "Text.Select");
            M::text(t.chars().filter(|c| of.contains(c) == kept).collect::<String>())
        }
        "Text.Length" => M::int(len() as i64),
        "Text.Start" => part(0, a.count(1)?),
        "Text.End" => part(len().saturating_sub(a.count(1)?), usize::MAX),
        "Text.Middle" => {
            let n = if matches!(a.m(2)?, M::Null) { usize::MAX } else { a.count(2)? };
            part(a.count(1)?, n)
        }
        "Text.Contains" => M::Logical(t.contains(&*a.text(1)?)),
        "Text.StartsWith" => M::Logical(t.starts_with(&*a.text(1)?)),
        "Text.EndsWith" => M::Logical(t.ends_with(&*a.text(1)?)),
        "Text.Replace" => M::text(t.replace(&*a.text(1)?, &a.text(2)?)),
        "Text.Split" => M::list(t.split(&*a.text(1)?).map(M::text)),
        _ => {
            let fill = a.opt_text(2)?.and_then(|f| f.chars().next()).unwrap_or(' ');
            let n = a.count(1)?.min(1_000_000).saturating_sub(len());
            let fill = fill.to_string().repeat(n);
            M::text(if a.name == "Text.PadEnd" {
                format!("{t}{fill}")
            } else {
                format!("{fill}{t}")
            })
        }
    })
}

/// Bytes of a text that a function makes.
const LONGEST: usize = 1 << 28;

fn too_long(a: &Args<'_>) -> Error {
    Error::evaluation(format!("{}: the text would be longer than {LONGEST} bytes", a.name))
}

/// The characters of a text, or of a list of texts.
fn characters(a: &Args<'_>, i: usize) -> Result<Vec<char>> {
    let given = match a.m(i)? {
        M::Text(t) => vec![M::Text(t)],
        _ => a.list(i)?,
    };
    let texts = given.iter().map(|v| match v {
        M::Text(t) => Ok(t.chars()),
        v => Err(a.wrong(i, "text or list of texts", v)),
    });
    Ok(texts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Which characters are cut off: white space, unless others are named.
fn trimmed(a: &Args<'_>) -> Result<impl Fn(char) -> bool + use<>> {
    let named = match a.m(1)? {
        M::Null => None,
        _ => Some(characters(a, 1)?),
    };
    Ok(move |c: char| named.as_ref().map_or_else(|| c.is_whitespace(), |n| n.contains(&c)))
}

/// Words begin with a capital letter, all other letters are small.
fn proper(t: &str) -> String {
    let mut out = String::with_capacity(t.len());
    let mut inside = false;
    for c in t.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '\'';
    }
    out
}

/// Where the delimiter that is asked for begins and ends: the first one, or that of the number
/// given, from 0.
fn nth(a: &Args<'_>, t: &str) -> Result<Option<(usize, usize)>> {
    let of = a.text(1)?;
    let n = match a.m(2)? {
        M::Null => 0,
        M::Number(_) => a.count(2)?,
        _ => {
            return Err(Error::unsupported(format!(
                "{}: delimiters are counted from the start only",
                a.name
            )));
        }
    };
    if of.is_empty() {
        return Ok(Some((0, 0)));
    }
    Ok(t.match_indices(&*of).nth(n).map(|(at, found)| (at, at + found.len())))
}
