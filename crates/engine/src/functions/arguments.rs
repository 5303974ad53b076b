//! Reading the arguments of a scalar function.

use std::borrow::Cow;
use std::ops::Deref;

use evercube_base::{DateTime, Error, Result, Value};

use crate::scalar::{self, Culture};

/// The arguments of a call, and how those that are texts say numbers and dates.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    values: &'a [Value],
    pub culture: &'a Culture,
}

impl<'a> Args<'a> {
    pub fn new(values: &'a [Value], culture: &'a Culture) -> Self {
        Self { values, culture }
    }

    /// Other values of the same call.
    pub fn with(self, values: &'a [Value]) -> Self {
        Self { values, ..self }
    }
}

impl Deref for Args<'_> {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        self.values
    }
}

/// The error for an argument outside the domain of `function`.
pub fn domain_error(function: &str) -> Error {
    Error::evaluation(format!(
        "An argument of function '{function}' has the wrong data type or the result is too large or too small."
    ))
}

const BLANK: &Value = &Value::Blank;

/// The argument at `i`; blank where it was left out.
pub fn arg(a: Args<'_>, i: usize) -> &Value {
    a.values.get(i).unwrap_or(BLANK)
}

pub fn num(a: Args<'_>, i: usize) -> Result<f64> {
    scalar::to_f64(arg(a, i), a.culture)
}

pub fn num_or(a: Args<'_>, i: usize, default: f64) -> Result<f64> {
    if arg(a, i).is_blank() { Ok(default) } else { num(a, i) }
}

/// A whole number, fractions cut off.
pub fn int(a: Args<'_>, i: usize) -> Result<i64> {
    match arg(a, i) {
        Value::Int(v) => Ok(*v),
        v => {
            let f = scalar::to_f64(v, a.culture)?;
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

/// A whole number, the nearest one.
pub fn nearest(a: Args<'_>, i: usize) -> Result<i64> {
    let rounded = Value::Double(num(a, i)?.round());
    int(Args::new(&[rounded], a.culture), 0)
}

pub fn int_or(a: Args<'_>, i: usize, default: i64) -> Result<i64> {
    if arg(a, i).is_blank() { Ok(default) } else { int(a, i) }
}

pub fn text(a: Args<'_>, i: usize) -> String {
    scalar::to_text(arg(a, i), a.culture)
}

/// The same without a copy of what is text already.
pub fn text_ref(a: Args<'_>, i: usize) -> Cow<'_, str> {
    match a.values.get(i) {
        Some(Value::String(text)) => Cow::Borrowed(text),
        _ => Cow::Owned(text(a, i)),
    }
}

pub fn flag(a: Args<'_>, i: usize) -> Result<bool> {
    scalar::to_bool(arg(a, i), a.culture)
}

pub fn date(a: Args<'_>, i: usize) -> Result<DateTime> {
    scalar::to_date(arg(a, i), a.culture)
}

/// A finite result, or the domain error of `function`.
pub fn real(function: &str, v: f64) -> Result<Value> {
    if v.is_finite() { Ok(Value::Double(v)) } else { Err(domain_error(function)) }
}

/// Fails with the domain error of `function` unless `holds`.
pub fn require(function: &str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(domain_error(function)) }
}
