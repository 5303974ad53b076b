//! Operators, comparison and conversion of DAX scalars.

use std::cmp::Ordering;

use evercube_base::arithmetic::{Num, add, currency, dec, divide, multiply, overflow, subtract};
use evercube_base::format::{general_date, general_number};
use evercube_base::{Collation, DataType, Decimal, Error, Result, Value};
use evercube_dax::ast::BinaryOperator;

use crate::functions::date_text::parse_date_time;

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

fn cannot_convert(v: &Value, target: &str) -> Error {
    Error::evaluation(format!(
        "Cannot convert value '{}' of type {} to type {target}.",
        to_text(v),
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

fn numeric(v: &Value) -> Result<Num> {
    let Value::String(s) = v else {
        return Num::of(v).ok_or_else(|| cannot_convert(v, "Number"));
    };
    match parse_number(s) {
        Some(Value::Int(i)) => Ok(Num::Int(i)),
        Some(Value::Double(f)) => Ok(Num::Dbl(f)),
        _ => parse_date_time(s).map(Num::Date).ok_or_else(|| cannot_convert(v, "Number")),
    }
}

/// Texts that double and double again become large at once.
fn concatenate(a: &Value, b: &Value) -> Result<Value> {
    let (a, b) = (to_text(a), to_text(b));
    if a.len() + b.len() > 1 << 16 {
        evercube_work::room_for(2 * (a.len() + b.len()))?;
    }
    Ok(Value::from(a + &b))
}

/// Applies an operator to two values. `&&` and `||` are evaluated on both values here; leaving the
/// second out is the caller's business.
pub fn binary(op: BinaryOperator, a: &Value, b: &Value, c: &Collation) -> Result<Value> {
    use BinaryOperator as Op;
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
        Op::Concatenate => concatenate(a, b)?,
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
        Op::Power => power(a, b)?,
    })
}

/// `a ^ b`; whole numbers stay whole where both are and the result fits.
pub fn power(a: &Value, b: &Value) -> Result<Value> {
    let (x, y) = (to_f64(a)?, to_f64(b)?);
    let p = x.powf(y);
    if p.is_nan() || (p.is_infinite() && x.is_finite() && y.is_finite()) {
        return Err(crate::functions::arguments::domain_error("POWER"));
    }
    Ok(Value::Double(p))
}

/// Unary minus; blank stays blank.
pub fn negate(v: &Value) -> Result<Value> {
    if v.is_blank() {
        return Ok(Value::Blank);
    }
    Ok(match numeric(v)? {
        Num::Int(i) => Value::Int(i.checked_neg().ok_or_else(|| overflow("negation", "Integer"))?),
        Num::Dec(d) => currency(d.checked_neg(), "negation")?,
        Num::Dbl(f) => Value::Double(-f),
        Num::Date(d) => Value::Double(-d.to_ole()),
    })
}

/// Truth of a value: blank and zero are false, the words true and false are read.
pub fn to_bool(v: &Value) -> Result<bool> {
    Ok(match v {
        Value::Blank => false,
        Value::Boolean(b) => *b,
        Value::Int(i) => *i != 0,
        Value::Decimal(d) => d.0 != 0,
        Value::Double(f) => *f != 0.0,
        Value::DateTime(d) => d.0 != 0,
        Value::String(s) if s.trim().eq_ignore_ascii_case("true") => true,
        Value::String(s) if s.trim().eq_ignore_ascii_case("false") => false,
        Value::String(_) => return Err(cannot_convert(v, "True/False")),
    })
}

/// The number behind a value; text is read as a number or date.
pub fn to_f64(v: &Value) -> Result<f64> {
    match v.as_f64() {
        Some(f) => Ok(f),
        None => numeric(v).map(Num::f64),
    }
}

/// The value as `&` writes it.
pub fn to_text(v: &Value) -> String {
    match v {
        Value::Blank => String::new(),
        Value::Boolean(b) => if *b { "True" } else { "False" }.to_owned(),
        Value::Int(i) => i.to_string(),
        Value::Decimal(d) => d.to_string(),
        Value::Double(f) => general_number(*f),
        Value::DateTime(d) => general_date(*d),
        Value::String(s) => s.to_string(),
    }
}

/// Reads a number as written in the United States: `1,234.5`, `$5`, `12%`, `(3)`, `1E3`.
pub fn parse_number(text: &str) -> Option<Value> {
    let t = text.trim();
    let (t, negative) = match t.strip_prefix('(').and_then(|r| r.strip_suffix(')')) {
        Some(inner) => (inner.trim(), true),
        None => (t, false),
    };
    let (t, percent) = match t.strip_suffix('%') {
        Some(r) => (r.trim_end(), true),
        None => (t, false),
    };
    let (sign, rest) = match t.strip_prefix('-') {
        Some(r) => ("-", r),
        None => ("", t.strip_prefix('+').unwrap_or(t)),
    };
    let rest = rest.trim_start().strip_prefix('$').unwrap_or(rest).trim_start();
    if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !rest.bytes().all(|b| b.is_ascii_digit() || b".,eE+-".contains(&b))
    {
        return None;
    }
    let plain = format!("{sign}{}", rest.replace(',', ""));
    if !percent && let Ok(i) = plain.parse::<i64>() {
        return if negative { i.checked_neg().map(Value::Int) } else { Some(Value::Int(i)) };
    }
    let mut f: f64 = plain.parse().ok()?;
    if negative {
        f = -f;
    }
    if percent {
        f /= 100.0;
    }
    f.is_finite().then_some(Value::Double(f))
}

/// The value in another type; blank stays blank, numbers are rounded to whole ones.
///
/// # Errors
/// Evaluation error where the value has no counterpart in `target`.
pub fn convert(v: &Value, target: DataType) -> Result<Value> {
    if v.is_blank() {
        return Ok(Value::Blank);
    }
    match target {
        DataType::Variant | DataType::Binary => Ok(v.clone()),
        DataType::String => Ok(Value::from(to_text(v))),
        DataType::Boolean => to_bool(v).map(Value::Boolean),
        DataType::Double => to_f64(v).map(Value::Double),
        DataType::DateTime => crate::functions::arguments::to_date(v).map(Value::DateTime),
        DataType::Int64 => match numeric(v).map_err(|_| cannot_convert(v, "Integer"))? {
            Num::Int(i) => Ok(Value::Int(i)),
            Num::Dec(d) => Ok(Value::Int(d.round_to_int())),
            other => {
                let f = other.f64().round();
                if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f) {
                    Ok(Value::Int(f as i64))
                } else {
                    Err(cannot_convert(v, "Integer"))
                }
            }
        },
        DataType::Decimal => {
            if let Value::String(s) = v
                && let Some(d) = Decimal::parse(s)
            {
                return Ok(Value::Decimal(d));
            }
            dec(numeric(v)?, "conversion").map(Value::Decimal)
        }
    }
}

#[cfg(test)]
mod tests;
