//! Running sums of values of one group.

use evercube_base::{Decimal, Error, Result, Value};

use super::row_value::overflow;

/// A running sum: exact for whole numbers and fixed decimals, in row order for doubles.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    any: bool,
    integers: i128,
    decimals: i128,
    doubles: f64,
    has_decimal: bool,
    has_double: bool,
}

impl Sum {
    pub(super) fn add(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::Blank => return Ok(()),
            Value::Int(i) => self.integers += i128::from(*i),
            Value::Decimal(d) => {
                self.decimals += i128::from(d.0);
                self.has_decimal = true;
            }
            Value::Double(_) | Value::DateTime(_) => {
                self.doubles += value.as_f64().unwrap_or(0.0);
                self.has_double = true;
            }
            Value::Boolean(_) | Value::String(_) => {
                return Err(Error::evaluation("only numbers and dates can be summed"));
            }
        }
        self.any = true;
        Ok(())
    }

    pub(super) fn add_double(&mut self, value: f64) {
        self.doubles += value;
        self.has_double = true;
        self.any = true;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.any |= other.any;
        self.integers += other.integers;
        self.decimals += other.decimals;
        self.doubles += other.doubles;
        self.has_decimal |= other.has_decimal;
        self.has_double |= other.has_double;
    }

    pub(super) fn finish(self) -> Result<Value> {
        if !self.any {
            return Ok(Value::Blank);
        }
        if self.has_double {
            let exact = self.integers as f64 + self.decimals as f64 / 10_000.0;
            return Ok(Value::Double(self.doubles + exact));
        }
        if self.has_decimal {
            let scaled = self.integers.checked_mul(10_000).ok_or_else(overflow)?;
            return whole(scaled + self.decimals, true);
        }
        whole(self.integers, false)
    }
}

/// A sum as a value.
///
/// # Errors
/// It does not fit 64 bits.
pub(super) fn whole(sum: i128, decimal: bool) -> Result<Value> {
    let fit = i64::try_from(sum).map_err(|_| overflow())?;
    Ok(if decimal { Value::Decimal(Decimal(fit)) } else { Value::Int(fit) })
}
