//! Reading the arguments of a scalar function.

use evercube_base::{DateTime, Error, Result, Value};

use super::date_text::parse_date_time;
use crate::scalar;

/// The error for an argument outside the domain of `function`.
pub fn domain_error(function: &str) -> Error {
    Error::evaluation(format!(
        "An argument of function '{function}' has the wrong data type or the result is too large or too small."
    ))
}

const BLANK: &Value = &Value::Blank;

/// The argument at `i`; blank where it was left out.
pub fn arg(a: &[Value], i: usize) -> &Value {
    a.get(i).unwrap_or(BLANK)
}

pub fn num(a: &[Value], i: usize) -> Result<f64> {
    scalar::to_f64(arg(a, i))
}

pub fn num_or(a: &[Value], i: usize, default: f64) -> Result<f64> {
    if arg(a, i).is_blank() { Ok(default) } else { num(a, i) }
}

/// A whole number, fractions cut off.
pub fn int(a: &[Value], i: usize) -> Result<i64> {
    match arg(a, i) {
        Value::Int(v) => Ok(*v),
        v => {
            let f = scalar::to_f64(v)?;
            if f.abs() < 9.2e18 {
                Ok(f.trunc() as i64)
            } else {
                Err(Error::evaluation(format!(
                    "Cannot convert value {f} to type Integer: it is out of range."
                )))
            }
        }
    }
}

pub fn int_or(a: &[Value], i: usize, default: i64) -> Result<i64> {
    if arg(a, i).is_blank() { Ok(default) } else { int(a, i) }
}

pub fn text(a: &[Value], i: usize) -> String {
    scalar::to_text(arg(a, i))
}

pub fn flag(a: &[Value], i: usize) -> Result<bool> {
    scalar::to_bool(arg(a, i))
}

pub fn date(a: &[Value], i: usize) -> Result<DateTime> {
    to_date(arg(a, i))
}

/// A date from a date, a number of days or text.
pub fn to_date(v: &Value) -> Result<DateTime> {
    let out = match v {
        Value::DateTime(d) => Some(*d),
        Value::String(s) => parse_date_time(s).or_else(|| {
            scalar::parse_number(s).and_then(|n| n.as_f64()).and_then(DateTime::from_ole)
        }),
        other => other.as_f64().and_then(DateTime::from_ole),
    };
    out.ok_or_else(|| {
        Error::evaluation(format!(
            "Cannot convert value '{}' of type {} to type Date.",
            scalar::to_text(v),
            scalar::type_name(v)
        ))
    })
}

/// A finite result, or the domain error of `function`.
pub fn real(function: &str, v: f64) -> Result<Value> {
    if v.is_finite() { Ok(Value::Double(v)) } else { Err(domain_error(function)) }
}

/// Fails with the domain error of `function` unless `holds`.
pub fn require(function: &str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(domain_error(function)) }
}
