//! Scalar functions of text.

use evercube_base::DataType::{Boolean, Int64, String as TextType, Variant as AnyType};
use evercube_base::{Collation, Error, Result, Value, letter_case};

use super::FunctionKind::Scalar as F;
use super::ReturnType::{self, Fixed, Variant};
use super::arguments::{Args, arg, domain_error, flag, int, int_or, num, require, text, text_ref};
use super::math::round_to;
use super::text_search::find;
use super::{Family, Row, ScalarContext};
use crate::scalar::{self, Culture};

const S: ReturnType = Fixed(TextType);
const I: ReturnType = Fixed(Int64);
const B: ReturnType = Fixed(Boolean);

pub(crate) const FAMILIES: &[Family] = &[
    Family("Text", TEXT),
    Family("Information", CONTAINS),
    Family("Parent and child", PATHS),
    Family("Other", OTHER),
];

const OTHER: &[Row] = &[Row(
    "ERROR",
    "ErrorText",
    "Fails with a message.",
    Fixed(AnyType),
    F(|_, a| Err(Error::evaluation(text(a, 0)))),
)];

const CONTAINS: &[Row] = &[
    Row(
        "CONTAINSSTRING",
        "WithinText,FindText",
        "Whether a text holds another; ? and * stand for any characters.",
        B,
        F(|c, a| {
            let (hay, needle) = (text_ref(a, 0), text_ref(a, 1));
            Ok(find(&needle, &hay, 0, &c.collation, true).is_some().into())
        }),
    ),
    Row(
        "CONTAINSSTRINGEXACT",
        "WithinText,FindText",
        "Whether a text holds another, letter by letter.",
        B,
        F(|_, a| Ok(text_ref(a, 0).contains(text_ref(a, 1).as_ref()).into())),
    ),
];

const TEXT: &[Row] = &[
    Row(
        "CONCATENATE",
        "Text1,Text2",
        "Two texts joined.",
        S,
        F(|_, a| Ok((text(a, 0) + &text(a, 1)).into())),
    ),
    Row(
        "COMBINEVALUES",
        "Delimiter,Expression1,Expression2...",
        "Values joined with a delimiter.",
        S,
        F(|_, a| {
            let parts: Vec<String> =
                a.iter().skip(1).map(|v| scalar::to_text(v, a.culture)).collect();
            Ok(parts.join(&text(a, 0)).into())
        }),
    ),
    Row(
        "EXACT",
        "Text1,Text2",
        "Whether texts are the same, letter case included.",
        B,
        F(|_, a| Ok((text(a, 0) == text(a, 1)).into())),
    ),
    Row(
        "FIND",
        "FindText,WithinText,[StartNum],[NotFoundValue]",
        "Position of a text in another, case-sensitive.",
        I,
        F(|c, a| position("FIND", c, a)),
    ),
    Row(
        "SEARCH",
        "FindText,WithinText,[StartNum],[NotFoundValue]",
        "Position of a text in another; ? and * stand for any characters.",
        I,
        F(|c, a| position("SEARCH", c, a)),
    ),
    Row(
        "LEFT",
        "Text,[NumChars]",
        "The first characters.",
        S,
        F(|_, a| {
            let n = count("LEFT", characters(a)?)?;
            Ok(text(a, 0).chars().take(n).collect::<String>().into())
        }),
    ),
    Row(
        "RIGHT",
        "Text,[NumChars]",
        "The last characters.",
        S,
        F(|_, a| {
            let n = count("RIGHT", characters(a)?)?;
            let t = text(a, 0);
            let skip = t.chars().count().saturating_sub(n);
            Ok(t.chars().skip(skip).collect::<String>().into())
        }),
    ),
    Row(
        "MID",
        "Text,StartNum,NumChars",
        "Characters from the middle.",
        S,
        F(|_, a| {
            let (from, n) = (int(a, 1)?, count("MID", int(a, 2)?)?);
            require("MID", from >= 1)?;
            Ok(text(a, 0).chars().skip(count("MID", from - 1)?).take(n).collect::<String>().into())
        }),
    ),
    Row(
        "LEN",
        "Text",
        "The number of characters.",
        I,
        F(|_, a| Ok(Value::Int(text(a, 0).chars().map(char::len_utf16).sum::<usize>() as i64))),
    ),
    Row(
        "LOWER",
        "Text",
        "All letters small.",
        S,
        F(|_, a| Ok(letter_case::lower(&text(a, 0)).into())),
    ),
    Row(
        "UPPER",
        "Text",
        "All letters large.",
        S,
        F(|_, a| Ok(letter_case::upper(&text(a, 0)).into())),
    ),
    Row(
        "TRIM",
        "Text",
        "Spaces removed but one between words.",
        S,
        F(|_, a| {
            let t = text(a, 0);
            Ok(t.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ").into())
        }),
    ),
    Row(
        "REPT",
        "Text,NumTimes",
        "A text repeated.",
        S,
        F(|_, a| {
            let (t, n) = (text(a, 0), count("REPT", int(a, 1)?)?);
            if n == 0 {
                return Ok(Value::Blank);
            }
            // As long as a cell of a worksheet may be.
            require("REPT", t.chars().count().saturating_mul(n) <= 32_767)?;
            Ok(t.repeat(n).into())
        }),
    ),
    Row(
        "REPLACE",
        "OldText,StartNum,NumChars,NewText",
        "Characters at a position replaced.",
        S,
        F(|_, a| {
            let (from, n) = (int(a, 1)?, count("REPLACE", int(a, 2)?)?);
            require("REPLACE", from >= 1)?;
            let (t, from) = (text(a, 0), count("REPLACE", from - 1)?);
            let mut out: String = t.chars().take(from).collect();
            out.push_str(&text(a, 3));
            out.extend(t.chars().skip(from.saturating_add(n)));
            Ok(out.into())
        }),
    ),
    Row(
        "SUBSTITUTE",
        "Text,OldText,NewText,[InstanceNum]",
        "A text inside a text replaced, everywhere or once.",
        S,
        F(|_, a| {
            let (t, old, new) = (text(a, 0), text(a, 1), text(a, 2));
            if old.is_empty() {
                return Ok(t.into());
            }
            if arg(a, 3).is_blank() {
                let grows = new.len().saturating_sub(old.len());
                let hits = if grows > 0 { t.matches(&old).count() } else { 0 };
                evercube_work::room_for(t.len().saturating_add(hits.saturating_mul(grows)))?;
                return Ok(t.replace(&old, &new).into());
            }
            let nth = int(a, 3)?;
            require("SUBSTITUTE", nth >= 1)?;
            let hit = t.match_indices(&old).nth(count("SUBSTITUTE", nth - 1)?).map(|(i, _)| i);
            Ok(match hit {
                Some(i) => format!(
                    "{}{new}{}",
                    t.get(..i).unwrap_or(""),
                    t.get(i + old.len()..).unwrap_or("")
                )
                .into(),
                None => t.into(),
            })
        }),
    ),
    Row(
        "UNICHAR",
        "Number",
        "The character of a code point.",
        S,
        F(|_, a| {
            let c = u32::try_from(int(a, 0)?).ok().filter(|n| *n > 0).and_then(char::from_u32);
            c.map(|c| c.to_string().into()).ok_or_else(|| domain_error("UNICHAR"))
        }),
    ),
    Row(
        "UNICODE",
        "Text",
        "The code point of the first character.",
        I,
        F(|_, a| {
            text(a, 0)
                .chars()
                .next()
                .map(|c| Value::Int(i64::from(u32::from(c))))
                .ok_or_else(|| domain_error("UNICODE"))
        }),
    ),
    Row(
        "VALUE",
        "Text",
        "The number written in a text.",
        Variant,
        F(|_, a| match arg(a, 0) {
            Value::String(s) => scalar::read_number(s, a.culture),
            other => Ok(other.clone()),
        }),
    ),
    Row(
        "FIXED",
        "Number,[Decimals],[NoCommas]",
        "A number rounded and written as text.",
        S,
        F(|c, a| {
            let digits = int_or(a, 1, 2)?.clamp(-300, 100) as i32;
            let x = round_to(num(a, 0)?, digits, f64::round);
            let whole = if flag(a, 2)? { "0" } else { "#,##0" };
            let picture = if digits > 0 {
                format!("{whole}.{}", "0".repeat(digits as usize))
            } else {
                whole.to_owned()
            };
            Ok(evercube_base::format::format(&Value::Double(x), &picture, c.locale).into())
        }),
    ),
    Row(
        "FORMAT",
        "Value,FormatString,[LocaleName]",
        "A value as text by a format.",
        S,
        F(|c, a| {
            let locale = text(a, 2);
            let locale = if locale.is_empty() { c.locale } else { &locale };
            Ok(evercube_base::format::format(arg(a, 0), &text(a, 1), locale).into())
        }),
    ),
];

const PATHS: &[Row] = &[
    Row(
        "PATHCONTAINS",
        "Path,Item",
        "Whether a path holds an item.",
        B,
        F(|c, a| {
            let (path, item) = (text(a, 0), text(a, 1));
            Ok(path.split('|').any(|p| c.collation.eq(p, &item)).into())
        }),
    ),
    Row(
        "PATHITEM",
        "Path,Position,[Type]",
        "The item at a position of a path, from the left.",
        Variant,
        F(|_, a| path_item("PATHITEM", a, false)),
    ),
    Row(
        "PATHITEMREVERSE",
        "Path,Position,[Type]",
        "The item at a position of a path, from the right.",
        Variant,
        F(|_, a| path_item("PATHITEMREVERSE", a, true)),
    ),
    Row(
        "PATHLENGTH",
        "Path",
        "The number of items of a path.",
        I,
        F(|_, a| {
            let path = text(a, 0);
            Ok(if path.is_empty() {
                Value::Blank
            } else {
                Value::Int(path.split('|').count() as i64)
            })
        }),
    ),
];

fn path_item(function: &str, a: Args<'_>, reverse: bool) -> Result<Value> {
    let (path, position) = (text(a, 0), int(a, 1)?);
    // Type 1 or INTEGER asks for a whole number, 0 or TEXT for text.
    let in_numbers = match arg(a, 2) {
        Value::Blank => false,
        given => match scalar::to_text(given, a.culture).to_ascii_uppercase().as_str() {
            "1" | "INTEGER" => true,
            "0" | "TEXT" => false,
            other => {
                return Err(Error::invalid(format!(
                    "'{other}' is no type of {function}'s result. Use TEXT (0) or INTEGER (1)."
                )));
            }
        },
    };
    if path.is_empty() || position < 1 {
        return Ok(Value::Blank);
    }
    let n = count(function, position - 1)?;
    let mut items = path.split('|');
    let item = if reverse { path.rsplit('|').nth(n) } else { items.nth(n) };
    let Some(item) = item else { return Ok(Value::Blank) };
    if in_numbers { whole(item) } else { Ok(item.into()) }
}

fn whole(item: &str) -> Result<Value> {
    scalar::convert(&item.into(), Int64, &Culture::UNITED_STATES)
}

/// How many characters `LEFT` and `RIGHT` take: one where nothing is said, none where it is blank.
fn characters(a: Args<'_>) -> Result<i64> {
    if a.len() > 1 { int(a, 1) } else { Ok(1) }
}

fn count(function: &str, n: i64) -> Result<usize> {
    usize::try_from(n).map_err(|_| domain_error(function))
}

fn position(function: &str, c: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let (needle, hay, start) = (text_ref(a, 0), text_ref(a, 1), int_or(a, 2, 1)?);
    require(function, start >= 1)?;
    let from = count(function, start - 1)?;
    let hit = if function == "FIND" {
        let exact = Collation { case_sensitive: true, accent_sensitive: true };
        find(&needle, &hay, from, &exact, false)
    } else {
        find(&needle, &hay, from, &c.collation, true)
    };
    match hit {
        Some(i) => Ok(Value::Int(i as i64 + 1)),
        None if a.len() > 3 => Ok(arg(a, 3).clone()),
        None => Err(Error::evaluation(
            "The search Text provided to function '".to_owned()
                + function
                + "' could not be found in the given text. Give a value for the case that it is missing as fourth argument.",
        )),
    }
}
