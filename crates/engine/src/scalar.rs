//! Operators, comparison and conversion of DAX scalars.

use std::cmp::Ordering;

use evercube_base::arithmetic::{Num, add, currency, dec, divide, multiply, overflow, subtract};
use evercube_base::format::general;
use evercube_base::{Collation, DataType, DateTime, Decimal, Error, Result, Value};
use evercube_dax::ast::BinaryOperator;

use crate::functions::date_text::parse_date_time;

mod culture;

pub use culture::Culture;

/// The type's name as error messages call it.
pub fn type_name(v: &Value) -> &'static str {
    match v {
        Value::Blank => "Blank",
        Value::Boolean(_) => "True/False",
        Value::Int(_) => "Integer",
        Value::Decimal(_) => "Currency",
        Value::Double(_) => "Number",
        Value::DateTime(_) => "Date",
        Value::String(_) => "Text",
    }
}

pub(crate) fn cannot_convert(v: &Value, target: &str, culture: &Culture) -> Error {
    Error::evaluation(format!(
        "Cannot convert value '{}' of type {} to type {target}.",
        to_text(v, culture),
        type_name(v)
    ))
}

fn order_f64(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Order of two numbers or dates; exact where both are exact.
fn order_numbers(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => x.cmp(y),
        (Value::Decimal(x), Value::Decimal(y)) => x.cmp(y),
        (Value::DateTime(x), Value::DateTime(y)) => x.cmp(y),
        (Value::Int(x), Value::Decimal(y)) => (i128::from(*x) * 10_000).cmp(&i128::from(y.0)),
        (Value::Decimal(x), Value::Int(y)) => i128::from(x.0).cmp(&(i128::from(*y) * 10_000)),
        _ => order_f64(a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0)),
    }
}

fn is_number(v: &Value) -> bool {
    matches!(v, Value::Int(_) | Value::Decimal(_) | Value::Double(_) | Value::DateTime(_))
}

/// Order under the rules of `<`: blank is zero, empty text and false.
///
/// # Errors
/// Evaluation error where the types do not compare, such as text with a number.
pub fn compare(a: &Value, b: &Value, c: &Collation) -> Result<Ordering> {
    Ok(match (a, b) {
        (Value::Blank, Value::Blank) => Ordering::Equal,
        (Value::String(x), Value::String(y)) => c.compare(x, y),
        (Value::Boolean(x), Value::Boolean(y)) => x.cmp(y),
        (Value::Blank, Value::String(y)) => c.compare("", y),
        (Value::String(x), Value::Blank) => c.compare(x, ""),
        (Value::Blank, Value::Boolean(y)) => false.cmp(y),
        (Value::Boolean(x), Value::Blank) => x.cmp(&false),
        (Value::Blank, y) => order_numbers(&Value::Int(0), y),
        (x, Value::Blank) => order_numbers(x, &Value::Int(0)),
        (x, y) if is_number(x) && is_number(y) => order_numbers(x, y),
        (x, y) => {
            return Err(Error::evaluation(format!(
                "DAX comparison operations do not support comparing values of type {} with values of type {}. Consider using the VALUE or FORMAT function to convert one of the values.",
                type_name(x),
                type_name(y)
            )));
        }
    })
}

/// The `=` operator.
pub fn equal(a: &Value, b: &Value, c: &Collation) -> Result<bool> {
    if let (Value::String(x), Value::String(y)) = (a, b) {
        return Ok(c.eq(x, y));
    }
    compare(a, b, c).map(Ordering::is_eq)
}

/// The `==` operator: as `=`, but blank equals only blank.
pub fn strict_equal(a: &Value, b: &Value, c: &Collation) -> Result<bool> {
    if a.is_blank() != b.is_blank() {
        return Ok(false);
    }
    equal(a, b, c)
}

/// An order of all values for sorting: blank, numbers and dates, text, booleans.
pub fn total_order(a: &Value, b: &Value, c: &Collation) -> Ordering {
    let rank = |v: &Value| match v {
        Value::Blank => 0,
        Value::String(_) => 2,
        Value::Boolean(_) => 3,
        _ => 1,
    };
    rank(a).cmp(&rank(b)).then_with(|| compare(a, b, c).unwrap_or(Ordering::Equal))
}

/// Text is read as a number, or as a date with its year.
fn numeric(v: &Value, culture: &Culture) -> Result<Num> {
    let failure = || cannot_convert(v, "Number", culture);
    let Value::String(s) = v else {
        return Num::of(v).ok_or_else(failure);
    };
    match culture::number(s, culture) {
        Some(Value::Int(i)) => Ok(Num::Int(i)),
        Some(Value::Double(f)) => Ok(Num::Dbl(f)),
        _ => {
            let dated = Culture { year: None, ..*culture };
            parse_date_time(s, &dated).map(Num::Date).ok_or_else(failure)
        }
    }
}

/// The number written in a text, dates as days.
pub fn read_number(text: &str, culture: &Culture) -> Result<Value> {
    Ok(match numeric(&text.into(), culture)? {
        Num::Int(i) => Value::Int(i),
        other => Value::Double(other.f64()),
    })
}

/// Texts that double and double again become large at once.
fn concatenate(a: &Value, b: &Value, culture: &Culture) -> Result<Value> {
    let (a, b) = (to_text(a, culture), to_text(b, culture));
    if a.len() + b.len() > 1 << 16 {
        evercube_work::room_for(2 * (a.len() + b.len()))?;
    }
    Ok(Value::from(a + &b))
}

/// Applies an operator to two values. `&&` and `||` are evaluated on both values here; leaving the
/// second out is the caller's business.
pub fn binary(
    op: BinaryOperator,
    a: &Value,
    b: &Value,
    c: &Collation,
    culture: &Culture,
) -> Result<Value> {
    use BinaryOperator as Op;
    let numeric = |v| numeric(v, culture);
    let to_bool = |v| to_bool(v, culture);
    let both_blank = a.is_blank() && b.is_blank();
    Ok(match op {
        Op::Or => Value::Boolean(to_bool(a)? | to_bool(b)?),
        Op::And => Value::Boolean(to_bool(a)? & to_bool(b)?),
        Op::Equal => Value::Boolean(equal(a, b, c)?),
        Op::StrictEqual => Value::Boolean(strict_equal(a, b, c)?),
        Op::NotEqual => Value::Boolean(!equal(a, b, c)?),
        Op::Less => Value::Boolean(compare(a, b, c)?.is_lt()),
        Op::LessEqual => Value::Boolean(compare(a, b, c)?.is_le()),
        Op::Greater => Value::Boolean(compare(a, b, c)?.is_gt()),
        Op::GreaterEqual => Value::Boolean(compare(a, b, c)?.is_ge()),
        Op::Concatenate => concatenate(a, b, culture)?,
        Op::Add | Op::Subtract if both_blank => Value::Blank,
        Op::Add => add(numeric(a)?, numeric(b)?)?,
        Op::Subtract => subtract(numeric(a)?, numeric(b)?)?,
        Op::Multiply => {
            let (x, y) = (numeric(a)?, numeric(b)?);
            if a.is_blank() || b.is_blank() { Value::Blank } else { multiply(x, y)? }
        }
        Op::Divide => {
            let (x, y) = (numeric(a)?, numeric(b)?);
            if a.is_blank() { Value::Blank } else { divide(x, y) }
        }
        Op::Power if both_blank => Value::Blank,
        Op::Power => power(a, b, culture)?,
    })
}

/// `a ^ b`. A blank that is multiplied by itself, however often, is blank.
pub fn power(a: &Value, b: &Value, culture: &Culture) -> Result<Value> {
    let (x, y) = (to_f64(a, culture)?, to_f64(b, culture)?);
    if a.is_blank() && y > 0.0 {
        return Ok(Value::Blank);
    }
    let p = x.powf(y);
    if p.is_nan() || (p.is_infinite() && x.is_finite() && y.is_finite()) {
        return Err(crate::functions::arguments::domain_error("POWER"));
    }
    Ok(Value::Double(p))
}

/// Unary minus; blank stays blank.
pub fn negate(v: &Value, culture: &Culture) -> Result<Value> {
    if v.is_blank() {
        return Ok(Value::Blank);
    }
    Ok(match numeric(v, culture)? {
        Num::Int(i) => Value::Int(i.checked_neg().ok_or_else(|| overflow("negation", "Integer"))?),
        Num::Dec(d) => currency(d.checked_neg(), "negation")?,
        Num::Dbl(f) => Value::Double(-f),
        Num::Date(d) => Value::Double(-d.to_ole()),
    })
}

/// Truth of a value: blank and zero are false, the words true and false are read.
pub fn to_bool(v: &Value, culture: &Culture) -> Result<bool> {
    Ok(match v {
        Value::Blank => false,
        Value::Boolean(b) => *b,
        Value::Int(i) => *i != 0,
        Value::Decimal(d) => d.0 != 0,
        Value::Double(f) => *f != 0.0,
        Value::DateTime(d) => d.0 != 0,
        Value::String(s) if s.trim().eq_ignore_ascii_case("true") => true,
        Value::String(s) if s.trim().eq_ignore_ascii_case("false") => false,
        Value::String(_) => return Err(cannot_convert(v, "True/False", culture)),
    })
}

/// The number behind a value; text is read as a number or date.
pub fn to_f64(v: &Value, culture: &Culture) -> Result<f64> {
    match v.as_f64() {
        Some(f) => Ok(f),
        None => numeric(v, culture).map(Num::f64),
    }
}

/// The value as `&` writes it.
pub fn to_text(v: &Value, culture: &Culture) -> String {
    match v {
        Value::Blank => String::new(),
        Value::Boolean(b) => if *b { "True" } else { "False" }.to_owned(),
        Value::String(s) => s.to_string(),
        number => general(number, culture.locale),
    }
}

/// The value as the United States write it, for names and explanations.
pub fn plain_text(v: &Value) -> String {
    to_text(v, &Culture::UNITED_STATES)
}

/// A date from a date, a number of days or text.
pub fn to_date(v: &Value, culture: &Culture) -> Result<DateTime> {
    let out = match v {
        Value::DateTime(d) => Some(*d),
        Value::String(s) => parse_date_time(s, culture).or_else(|| {
            culture::number(s, culture).and_then(|n| n.as_f64()).and_then(DateTime::from_ole)
        }),
        other => other.as_f64().and_then(DateTime::from_ole),
    };
    out.ok_or_else(|| cannot_convert(v, "Date", culture))
}

/// The value in another type; blank stays blank, numbers are rounded to whole ones.
///
/// # Errors
/// Evaluation error where the value has no counterpart in `target`.
pub fn convert(v: &Value, target: DataType, culture: &Culture) -> Result<Value> {
    if v.is_blank() {
        return Ok(Value::Blank);
    }
    match target {
        DataType::Variant | DataType::Binary => Ok(v.clone()),
        DataType::String => Ok(Value::from(to_text(v, culture))),
        DataType::Boolean => to_bool(v, culture).map(Value::Boolean),
        DataType::Double => to_f64(v, culture).map(Value::Double),
        DataType::DateTime => to_date(v, culture).map(Value::DateTime),
        DataType::Int64 => {
            match numeric(v, culture).map_err(|_| cannot_convert(v, "Integer", culture))? {
                Num::Int(i) => Ok(Value::Int(i)),
                Num::Dec(d) => Ok(Value::Int(d.round_to_int())),
                other => {
                    let f = other.f64().round();
                    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f) {
                        Ok(Value::Int(f as i64))
                    } else {
                        Err(cannot_convert(v, "Integer", culture))
                    }
                }
            }
        }
        DataType::Decimal => {
            if let Value::String(s) = v
                && let Some(figures) = culture::figures(s, culture)
                && !figures.is_percentage
                && let Some(d) = Decimal::parse(&figures.plain)
            {
                return Ok(Value::Decimal(d));
            }
            dec(numeric(v, culture)?, "conversion").map(Value::Decimal)
        }
    }
}

#[cfg(test)]
mod tests;
