//! Arithmetic over the rows of a morsel, typed once for the whole scan.

use std::sync::Arc;

use evercube_base::arithmetic::{self, Num};
use evercube_base::{Error, Result, Value};

use super::path::CodeReader;
use super::rows::Rows;
use crate::scan_request::RowExpr;
use crate::version::StoreVersion;

/// A row expression with its columns resolved.
pub(super) enum RowPlan<'a> {
    Column(CodeReader<'a>),
    Constant(Value),
    /// The value of each code.
    Coded(CodeReader<'a>, Arc<Vec<Value>>),
    Binary(Operator, Box<RowPlan<'a>>, Box<RowPlan<'a>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    SafeDivide,
}

impl<'a> RowPlan<'a> {
    pub(super) fn new(version: &'a StoreVersion, scan: u64, expression: &RowExpr) -> Result<Self> {
        let binary = |op, a: &RowExpr, b: &RowExpr| -> Result<Self> {
            let (a, b) = (Self::new(version, scan, a)?, Self::new(version, scan, b)?);
            Ok(Self::Binary(op, Box::new(a), Box::new(b)))
        };
        match expression {
            RowExpr::Column(c) => Ok(Self::Column(CodeReader::new(version, scan, c)?)),
            RowExpr::Constant(v) => Ok(Self::Constant(v.clone())),
            RowExpr::Coded { column, values } => {
                Ok(Self::Coded(CodeReader::new(version, scan, column)?, Arc::clone(values)))
            }
            RowExpr::Add(a, b) => binary(Operator::Add, a, b),
            RowExpr::Subtract(a, b) => binary(Operator::Subtract, a, b),
            RowExpr::Multiply(a, b) => binary(Operator::Multiply, a, b),
            RowExpr::Divide(a, b) => binary(Operator::Divide, a, b),
            RowExpr::SafeDivide(a, b) => binary(Operator::SafeDivide, a, b),
        }
    }

    /// Values of a block's rows.
    pub(super) fn evaluate(&self, rows: Rows<'_>) -> Result<Vec<Value>> {
        match self {
            Self::Constant(v) => Ok(vec![v.clone(); rows.len()]),
            Self::Column(reader) => {
                let mut codes = Vec::with_capacity(rows.len());
                reader.read(rows, &mut codes);
                Ok(codes.into_iter().map(|c| reader.column.value(c)).collect())
            }
            Self::Coded(reader, values) => {
                let mut codes = Vec::with_capacity(rows.len());
                reader.read(rows, &mut codes);
                Ok(codes.into_iter().map(|code| values[code as usize].clone()).collect())
            }
            Self::Binary(op, a, b) => {
                let (a, b) = (a.evaluate(rows)?, b.evaluate(rows)?);
                a.iter().zip(&b).map(|(a, b)| combine(*op, a, b)).collect()
            }
        }
    }
}

/// Blank counts as zero in sums and differences (blank when both are) and makes a product blank.
fn combine(op: Operator, a: &Value, b: &Value) -> Result<Value> {
    match (op, a.is_blank(), b.is_blank()) {
        (_, true, true) | (Operator::Multiply, true, _) | (Operator::Multiply, _, true) => {
            return Ok(Value::Blank);
        }
        (Operator::Divide | Operator::SafeDivide, true, false) => return Ok(Value::Blank),
        _ => {}
    }
    let number =
        |v| Num::of(v).ok_or_else(|| Error::internal("a scan was asked to calculate with text"));
    let (a, b) = (number(a)?, number(b)?);
    match op {
        Operator::Add => arithmetic::add(a, b),
        Operator::Subtract => arithmetic::subtract(a, b),
        Operator::Multiply => arithmetic::multiply(a, b),
        Operator::Divide => Ok(arithmetic::divide(a, b)),
        Operator::SafeDivide if b.f64() == 0.0 => Ok(Value::Blank),
        Operator::SafeDivide => Ok(Value::Double(a.f64() / b.f64())),
    }
}

pub(super) fn overflow() -> Error {
    Error::evaluation(
        "An arithmetic overflow has been detected while calculating an expression; the result does not fit its type.",
    )
}
