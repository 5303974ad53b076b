//! Arithmetic over the rows of a morsel, typed once for the whole scan.

use evercube_base::{DataType, Decimal, Error, Result, Value};

use super::path::CodeReader;
use super::rows::Rows;
use crate::scan_request::RowExpr;
use crate::version::StoreVersion;

/// A row expression with its columns resolved.
pub(super) enum RowPlan<'a> {
    Column(CodeReader<'a>),
    Constant(Value),
    Binary(Operator, Box<RowPlan<'a>>, Box<RowPlan<'a>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
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
            RowExpr::Add(a, b) => binary(Operator::Add, a, b),
            RowExpr::Subtract(a, b) => binary(Operator::Subtract, a, b),
            RowExpr::Multiply(a, b) => binary(Operator::Multiply, a, b),
            RowExpr::Divide(a, b) => binary(Operator::Divide, a, b),
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
        (Operator::Divide, true, false) => return Ok(Value::Blank),
        _ => {}
    }
    let (ta, tb) = (kind(a)?, kind(b)?);
    let wide = if op == Operator::Divide { DataType::Double } else { ta.max(tb) };
    match wide {
        DataType::Int64 => {
            let (x, y) = (integer(a), integer(b));
            let r = match op {
                Operator::Add => x.checked_add(y),
                Operator::Subtract => x.checked_sub(y),
                _ => x.checked_mul(y),
            };
            r.map(Value::Int).ok_or_else(overflow)
        }
        DataType::Decimal => {
            let (x, y) = (decimal(a)?, decimal(b)?);
            let r = match op {
                Operator::Add => x.checked_add(y),
                Operator::Subtract => x.checked_sub(y),
                _ => x.checked_mul(y),
            };
            r.map(Value::Decimal).ok_or_else(overflow)
        }
        _ => {
            let (x, y) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
            Ok(Value::Double(match op {
                Operator::Add => x + y,
                Operator::Subtract => x - y,
                Operator::Multiply => x * y,
                Operator::Divide => x / y,
            }))
        }
    }
}

pub(super) fn overflow() -> Error {
    Error::evaluation(
        "An arithmetic overflow has been detected while calculating an expression; the result does not fit its type.",
    )
}

/// `Int64`, `Decimal` or `Double`, ordered by width as the enum is not: wider last.
fn kind(v: &Value) -> Result<NumberWidth> {
    Ok(match v {
        Value::Blank | Value::Int(_) | Value::Boolean(_) => NumberWidth::Int64,
        Value::Decimal(_) => NumberWidth::Decimal,
        Value::Double(_) => NumberWidth::Double,
        Value::DateTime(_) | Value::String(_) => {
            return Err(Error::internal("a scan was asked to calculate with dates or text"));
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NumberWidth {
    Int64,
    Decimal,
    Double,
}

impl NumberWidth {
    fn max(self, other: Self) -> DataType {
        match Ord::max(self, other) {
            Self::Int64 => DataType::Int64,
            Self::Decimal => DataType::Decimal,
            Self::Double => DataType::Double,
        }
    }
}

fn integer(v: &Value) -> i64 {
    match v {
        Value::Int(i) => *i,
        Value::Boolean(b) => i64::from(*b),
        _ => 0,
    }
}

fn decimal(v: &Value) -> Result<Decimal> {
    match v {
        Value::Decimal(d) => Ok(*d),
        other => Decimal::from_int(integer(other)).ok_or_else(overflow),
    }
}
