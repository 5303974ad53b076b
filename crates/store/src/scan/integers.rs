//! Arithmetic over whole numbers that are never blank, without a value for each row.

use evercube_base::{DataType, Result, Value};

use super::path::CodeReader;
use super::row_value::overflow;
use crate::scan_request::RowExpr;
use crate::version::StoreVersion;

pub(super) enum Integers<'a> {
    Column(CodeReader<'a>),
    Constant(i64),
    Binary(fn(i64, i64) -> Option<i64>, Box<Integers<'a>>, Box<Integers<'a>>),
}

impl<'a> Integers<'a> {
    /// `None` where the expression is of another kind.
    pub(super) fn new(version: &'a StoreVersion, expression: &RowExpr) -> Result<Option<Self>> {
        let (operator, a, b): (fn(i64, i64) -> Option<i64>, _, _) = match expression {
            RowExpr::Column(c) => {
                let reader = CodeReader::new(version, c)?;
                let fits = reader.column.data_type() == DataType::Int64 && reader.is_never_blank();
                return Ok(fits.then_some(Self::Column(reader)));
            }
            RowExpr::Constant(Value::Int(v)) => return Ok(Some(Self::Constant(*v))),
            RowExpr::Constant(_) | RowExpr::Divide(..) => return Ok(None),
            RowExpr::Add(a, b) => (i64::checked_add, a, b),
            RowExpr::Subtract(a, b) => (i64::checked_sub, a, b),
            RowExpr::Multiply(a, b) => (i64::checked_mul, a, b),
        };
        let (Some(a), Some(b)) = (Self::new(version, a)?, Self::new(version, b)?) else {
            return Ok(None);
        };
        Ok(Some(Self::Binary(operator, Box::new(a), Box::new(b))))
    }

    /// Values of the selected rows.
    ///
    /// # Errors
    /// `Evaluation` where a row's value does not fit.
    pub(super) fn evaluate(
        &self,
        first: usize,
        selected: &[u32],
        scratch: &mut [u32],
    ) -> Result<Vec<i64>> {
        match self {
            Self::Constant(v) => Ok(vec![*v; selected.len()]),
            Self::Column(reader) => {
                let mut codes = Vec::with_capacity(selected.len());
                reader.read_selected(first, selected, scratch, &mut codes);
                Ok(reader.column.integers(&codes))
            }
            Self::Binary(operator, a, b) => {
                let mut left = a.evaluate(first, selected, scratch)?;
                let right = b.evaluate(first, selected, scratch)?;
                for (l, r) in left.iter_mut().zip(right) {
                    *l = operator(*l, r).ok_or_else(overflow)?;
                }
                Ok(left)
            }
        }
    }
}
