//! The types of what operators and alternatives give.

use evercube_base::DataType;
use evercube_dax::ast::BinaryOperator;

use crate::plan::Node;

/// The type two alternatives share.
pub(crate) fn common_type(a: DataType, b: DataType) -> DataType {
    match (a, b) {
        _ if a == b => a,
        _ if a.is_numeric() && b.is_numeric() => {
            if a == DataType::Double || b == DataType::Double {
                DataType::Double
            } else {
                DataType::Decimal
            }
        }
        _ => DataType::Variant,
    }
}

/// The type several alternatives share; `BLANK ()` is of any.
pub(crate) fn shared_type<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> DataType {
    let typed = nodes.into_iter().filter(|n| !n.is_blank_literal());
    typed.map(Node::data_type).reduce(common_type).unwrap_or(DataType::Variant)
}

/// The type of the values of an arithmetic series with a start, an end and a step of these types:
/// dates go on as dates whatever the step.
pub(crate) fn series_type(types: impl IntoIterator<Item = DataType>) -> DataType {
    let number = |t| match t {
        DataType::Boolean => DataType::Int64,
        DataType::String | DataType::Binary => DataType::Double,
        t => t,
    };
    let shared = |a, b| match (a, b) {
        (DataType::DateTime, _) | (_, DataType::DateTime) => DataType::DateTime,
        (a, b) => common_type(a, b),
    };
    types.into_iter().map(number).reduce(shared).unwrap_or(DataType::Int64)
}

/// As arithmetic sees a value; `None` where only the value tells (text, or of any type).
fn arithmetic_type(t: DataType) -> Option<DataType> {
    match t {
        DataType::Boolean => Some(DataType::Int64),
        DataType::String | DataType::Variant | DataType::Binary => None,
        t => Some(t),
    }
}

pub(super) fn negated_type(t: DataType) -> DataType {
    match arithmetic_type(t) {
        Some(DataType::DateTime) => DataType::Double,
        Some(t) => t,
        None => DataType::Variant,
    }
}

/// The type of what [`crate::scalar::binary`] gives.
pub(super) fn operator_type(operator: BinaryOperator, left: &Node, right: &Node) -> DataType {
    use BinaryOperator as Op;
    use DataType as D;
    let operand = |n: &Node| match n.is_blank_literal() {
        true => Some(D::Int64),
        false => arithmetic_type(n.data_type()),
    };
    match operator {
        Op::Concatenate => return D::String,
        Op::Power => return D::Double,
        Op::Add | Op::Subtract | Op::Multiply | Op::Divide => {}
        _ => return D::Boolean,
    }
    let (Some(a), Some(b)) = (operand(left), operand(right)) else { return D::Variant };
    match (operator, a, b) {
        (Op::Add, D::DateTime, _) | (Op::Add, _, D::DateTime) => D::DateTime,
        (Op::Subtract, D::DateTime, _) => D::DateTime,
        (Op::Multiply | Op::Divide, D::Decimal, D::Decimal) => D::Double,
        (Op::Multiply, D::Decimal, _) | (Op::Multiply, _, D::Decimal) => D::Decimal,
        (Op::Divide, D::Decimal, D::Int64 | D::Double) | (Op::Divide, D::Int64, D::Decimal) => {
            D::Decimal
        }
        (Op::Divide, _, _) => D::Double,
        _ if a == D::DateTime || b == D::DateTime => D::Double,
        _ => common_type(a, b),
    }
}
