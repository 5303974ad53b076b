//! Real numbers of rows, without a value for each row: arithmetic in which no operand is blank.
//!
//! What is exact is worked out exactly first; where fixed decimals meet real numbers, the result is
//! rounded to a fixed decimal row by row, as `evercube_base::arithmetic` does.

use evercube_base::{DataType, Decimal, Result, Value};

use super::integers;
use super::path::CodeReader;
use super::row_value::{Operator, overflow};
use super::rows::Rows;
use crate::scan_request::RowExpr;
use crate::version::StoreVersion;

pub(super) struct Reals<'a> {
    node: Node<'a>,
    /// Each value is to be rounded to a fixed decimal.
    pub(super) is_decimal: bool,
}

enum Node<'a> {
    /// Whole numbers, in units of one over this.
    Exact(integers::Node<'a>, f64),
    Column(CodeReader<'a>),
    /// The value of each code.
    Coded(CodeReader<'a>, Vec<f64>),
    Constant(f64),
    Binary(Operator, Box<Node<'a>>, Box<Node<'a>>),
    Rounded(Box<Node<'a>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Decimal,
    Real,
}

/// A part of an expression with what is known of its values.
struct Typed<'a> {
    node: Node<'a>,
    kind: Kind,
    is_never_zero: bool,
}

impl<'a> Reals<'a> {
    /// `None` where an operand may be blank, or where whole numbers or fixed decimals might overflow.
    pub(super) fn new(
        version: &'a StoreVersion,
        scan: u64,
        expression: &RowExpr,
    ) -> Result<Option<Self>> {
        let typed = Typed::new(version, scan, expression)?;
        Ok(typed.and_then(|typed| match typed.node {
            Node::Rounded(node) => Some(Self { node: *node, is_decimal: true }),
            node => (typed.kind == Kind::Real).then_some(Self { node, is_decimal: false }),
        }))
    }

    /// Values of a block's rows.
    pub(super) fn evaluate(&self, rows: Rows<'_>, out: &mut Vec<f64>) -> Result<()> {
        self.node.evaluate(rows, out)
    }
}

impl<'a> Typed<'a> {
    fn new(version: &'a StoreVersion, scan: u64, expression: &RowExpr) -> Result<Option<Self>> {
        if let Some(exact) = integers::Exact::new(version, scan, expression)? {
            let kind = if exact.is_decimal { Kind::Decimal } else { Kind::Whole };
            let unit = if exact.is_decimal { Decimal::SCALE as f64 } else { 1.0 };
            let (node, is_never_zero) = (Node::Exact(exact.node, unit), exact.is_never_zero);
            return Ok(Some(Self { node, kind, is_never_zero }));
        }
        let (operator, a, b) = match expression {
            RowExpr::Column(c) => {
                let reader = CodeReader::new(version, scan, c)?;
                let is_real = reader.column.data_type() == DataType::Double;
                let is_known = is_real && reader.is_never_blank();
                let node = Node::Column(reader);
                return Ok(is_known.then_some(Self {
                    node,
                    kind: Kind::Real,
                    is_never_zero: false,
                }));
            }
            RowExpr::Constant(Value::Double(v)) => {
                let node = Node::Constant(*v);
                return Ok(Some(Self { node, kind: Kind::Real, is_never_zero: *v != 0.0 }));
            }
            RowExpr::Constant(_) => return Ok(None),
            RowExpr::Coded { column, values } => {
                return Ok(Self::coded(CodeReader::new(version, scan, column)?, values));
            }
            RowExpr::Add(a, b) => (Operator::Add, a, b),
            RowExpr::Subtract(a, b) => (Operator::Subtract, a, b),
            RowExpr::Multiply(a, b) => (Operator::Multiply, a, b),
            RowExpr::Divide(a, b) => (Operator::Divide, a, b),
            RowExpr::SafeDivide(a, b) => (Operator::SafeDivide, a, b),
        };
        let (Some(a), Some(b)) = (Self::new(version, scan, a)?, Self::new(version, scan, b)?)
        else {
            return Ok(None);
        };
        Ok(Self::binary(operator, a, b))
    }

    fn coded(reader: CodeReader<'a>, values: &[Value]) -> Option<Self> {
        let first = usize::from(reader.is_never_blank());
        let mut reals = vec![0.0; values.len()];
        for (real, value) in reals.iter_mut().zip(values).skip(first) {
            let Value::Double(v) = value else { return None };
            *real = *v;
        }
        let is_never_zero = reals[first.min(reals.len())..].iter().all(|v| *v != 0.0);
        Some(Self { node: Node::Coded(reader, reals), kind: Kind::Real, is_never_zero })
    }

    fn binary(operator: Operator, a: Self, b: Self) -> Option<Self> {
        use Kind::{Decimal, Real, Whole};
        let kind = match (operator, a.kind, b.kind) {
            (Operator::Multiply, Decimal, Decimal) => Real,
            (Operator::Multiply, Decimal, Real) | (Operator::Multiply, Real, Decimal) => Decimal,
            // Over zero it is no fixed decimal.
            (Operator::Divide, Decimal, Whole | Real) | (Operator::Divide, Whole, Decimal) => {
                b.is_never_zero.then_some(Decimal)?
            }
            (Operator::SafeDivide, ..) => b.is_never_zero.then_some(Real)?,
            (Operator::Divide, ..) | (_, Real, _) | (_, _, Real) => Real,
            _ => return None,
        };
        let node = Node::Binary(operator, Box::new(a.node), Box::new(b.node));
        let node = if kind == Decimal { Node::Rounded(Box::new(node)) } else { node };
        Some(Self { node, kind, is_never_zero: false })
    }
}

impl Node<'_> {
    fn evaluate(&self, rows: Rows<'_>, out: &mut Vec<f64>) -> Result<()> {
        match self {
            Self::Constant(v) => {
                out.clear();
                out.resize(rows.len(), *v);
            }
            Self::Exact(node, unit) => {
                let mut whole = Vec::with_capacity(rows.len());
                node.evaluate(rows, &mut whole);
                out.clear();
                out.extend(whole.iter().map(|v| *v as f64 / unit));
            }
            Self::Column(reader) => {
                let mut codes = Vec::with_capacity(rows.len());
                reader.read(rows, &mut codes);
                out.clear();
                out.extend(codes.iter().map(|code| reader.column.double(*code)));
            }
            Self::Coded(reader, values) => {
                let mut codes = Vec::with_capacity(rows.len());
                reader.read(rows, &mut codes);
                out.clear();
                out.extend(codes.iter().map(|code| values[*code as usize]));
            }
            Self::Binary(operator, a, b) => {
                a.evaluate(rows, out)?;
                if let Self::Constant(b) = **b {
                    apply(*operator, out, std::iter::repeat(b));
                } else {
                    let mut right = Vec::with_capacity(rows.len());
                    b.evaluate(rows, &mut right)?;
                    apply(*operator, out, right.into_iter());
                }
            }
            Self::Rounded(node) => {
                node.evaluate(rows, out)?;
                for v in out {
                    *v = Decimal::from_f64(*v).ok_or_else(overflow)?.to_f64();
                }
            }
        }
        Ok(())
    }
}

fn apply(operator: Operator, left: &mut [f64], right: impl Iterator<Item = f64>) {
    let pairs = left.iter_mut().zip(right);
    match operator {
        Operator::Add => pairs.for_each(|(l, r)| *l += r),
        Operator::Subtract => pairs.for_each(|(l, r)| *l -= r),
        Operator::Multiply => pairs.for_each(|(l, r)| *l *= r),
        Operator::Divide | Operator::SafeDivide => pairs.for_each(|(l, r)| *l /= r),
    }
}
