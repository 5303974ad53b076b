//! What `+`, `-`, `*` and `/` make of numbers and dates: the type of the result follows those of
//! the operands, and what does not fit its type is an error.
//!
//! The types are those of "Implicit data type conversion in formulas" in Microsoft's DAX overview
//! (<https://learn.microsoft.com/dax/dax-overview>).

use crate::{DateTime, Decimal, Error, Result, Value};

/// A number or date an operator works on.
#[derive(Debug, Clone, Copy)]
pub enum Num {
    Int(i64),
    Dec(Decimal),
    Dbl(f64),
    Date(DateTime),
}

impl Num {
    /// The number a value is, blank being zero; `None` for text.
    pub fn of(v: &Value) -> Option<Self> {
        Some(match v {
            Value::Blank => Self::Int(0),
            Value::Boolean(b) => Self::Int(i64::from(*b)),
            Value::Int(i) => Self::Int(*i),
            Value::Decimal(d) => Self::Dec(*d),
            Value::Double(f) => Self::Dbl(*f),
            Value::DateTime(d) => Self::Date(*d),
            Value::String(_) => return None,
        })
    }

    pub fn f64(self) -> f64 {
        match self {
            Self::Int(i) => i as f64,
            Self::Dec(d) => d.to_f64(),
            Self::Dbl(f) => f,
            Self::Date(d) => d.to_ole(),
        }
    }
}

/// The error of an operation, `what`, whose result does not fit the type `kind`.
pub fn overflow(what: &str, kind: &str) -> Error {
    Error::evaluation(format!(
        "The {what} overflowed: its result does not fit the type {kind}. Convert an operand to a decimal number first."
    ))
}

/// A number as a fixed decimal.
pub fn dec(n: Num, what: &str) -> Result<Decimal> {
    match n {
        Num::Int(i) => Decimal::from_int(i),
        Num::Dec(d) => Some(d),
        other => Decimal::from_f64(other.f64()),
    }
    .ok_or_else(|| overflow(what, "Currency"))
}

fn date_value(days: f64, what: &str) -> Result<Value> {
    DateTime::from_ole(days).map(Value::DateTime).ok_or_else(|| overflow(what, "Date"))
}

/// A fixed decimal, or the error that there is none.
pub fn currency(v: Option<Decimal>, what: &str) -> Result<Value> {
    v.map(Value::Decimal).ok_or_else(|| overflow(what, "Currency"))
}

/// `a + b`; with a date it is a date.
///
/// # Errors
/// Overflow, of this and the other operations.
pub fn add(a: Num, b: Num) -> Result<Value> {
    const W: &str = "addition";
    match (a, b) {
        (Num::Date(_), _) | (_, Num::Date(_)) => date_value(a.f64() + b.f64(), W),
        (Num::Int(x), Num::Int(y)) => {
            x.checked_add(y).map(Value::Int).ok_or_else(|| overflow(W, "Integer"))
        }
        (Num::Dbl(_), _) | (_, Num::Dbl(_)) => Ok(Value::Double(a.f64() + b.f64())),
        _ => currency(dec(a, W)?.checked_add(dec(b, W)?), W),
    }
}

/// `a - b`.
pub fn subtract(a: Num, b: Num) -> Result<Value> {
    const W: &str = "subtraction";
    match (a, b) {
        // The whole row of a date minuend is a date; a date taken from a number is a number.
        (Num::Date(x), Num::Date(y)) => Ok(Value::DateTime(DateTime(x.0.saturating_sub(y.0)))),
        (Num::Date(_), _) => date_value(a.f64() - b.f64(), W),
        (Num::Int(x), Num::Int(y)) => {
            x.checked_sub(y).map(Value::Int).ok_or_else(|| overflow(W, "Integer"))
        }
        (_, Num::Date(_)) | (Num::Dbl(_), _) | (_, Num::Dbl(_)) => {
            Ok(Value::Double(a.f64() - b.f64()))
        }
        _ => currency(dec(a, W)?.checked_sub(dec(b, W)?), W),
    }
}

/// `a * b`; a fixed decimal times a real number is a fixed decimal.
pub fn multiply(a: Num, b: Num) -> Result<Value> {
    const W: &str = "multiplication";
    match (a, b) {
        (Num::Int(x), Num::Int(y)) => {
            x.checked_mul(y).map(Value::Int).ok_or_else(|| overflow(W, "Integer"))
        }
        // The product of two currency numbers is a real number.
        (Num::Dec(_), Num::Dec(_)) => Ok(Value::Double(a.f64() * b.f64())),
        (Num::Dec(x), Num::Int(y)) | (Num::Int(y), Num::Dec(x)) => {
            currency(x.0.checked_mul(y).map(Decimal), W)
        }
        (Num::Dec(_), _) | (_, Num::Dec(_)) => currency(Decimal::from_f64(a.f64() * b.f64()), W),
        _ => Ok(Value::Double(a.f64() * b.f64())),
    }
}

/// `a / b`, infinite or not a number over zero.
pub fn divide(a: Num, b: Num) -> Value {
    let q = a.f64() / b.f64();
    match (a, b) {
        // Currency over integer or real, and integer over currency, stay currency where they fit.
        (Num::Dec(_), Num::Int(_) | Num::Dbl(_)) | (Num::Int(_), Num::Dec(_)) => {
            Decimal::from_f64(q).map_or(Value::Double(q), Value::Decimal)
        }
        _ => Value::Double(q),
    }
}
