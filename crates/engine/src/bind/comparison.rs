//! Which types compare: told where an expression is bound, whatever its values.

use evercube_base::{DataType, Error, Result};

use super::Binder;
use crate::plan::Node;

/// A type as messages about values call it.
pub(crate) fn type_word(t: DataType) -> &'static str {
    match t {
        DataType::Boolean => "True/False",
        DataType::Int64 => "Integer",
        DataType::Decimal => "Currency",
        DataType::Double => "Number",
        DataType::DateTime => "Date",
        DataType::String => "Text",
        DataType::Binary => "Binary",
        DataType::Variant => "Variant",
    }
}

/// Whether values of two types may compare; of any type: only the values tell.
pub(crate) fn may_compare(a: DataType, b: DataType) -> bool {
    use DataType as D;
    let is_number = |t| matches!(t, D::Int64 | D::Decimal | D::Double | D::DateTime);
    let is_any = |t| matches!(t, D::Variant | D::Binary);
    a == b || is_any(a) || is_any(b) || (is_number(a) && is_number(b))
}

/// Refuses a comparison by `what`, an operator or a function.
fn refused(what: &str, a: DataType, b: DataType) -> Error {
    Error::invalid(format!(
        "{what} not support comparing values of type {} with values of type {}. Consider using the VALUE or FORMAT function to convert one of the values.",
        type_word(a),
        type_word(b)
    ))
}

impl Binder<'_> {
    /// Checks the operands of an operator.
    pub(super) fn check_operands(&self, a: &Node, b: &Node) -> Result<()> {
        self.check("DAX comparison operations do", a, b.data_type(), b.is_blank_literal())
    }

    /// Checks that the function at hand may compare a value with those of a column.
    pub(super) fn check_compared(&self, value: &Node, column: DataType) -> Result<()> {
        self.check(&format!("Function {} does", self.callee), value, column, false)
    }

    /// The same with another value.
    pub(super) fn check_compared_with(&self, value: &Node, other: &Node) -> Result<()> {
        let what = format!("Function {} does", self.callee);
        self.check(&what, value, other.data_type(), other.is_blank_literal())
    }

    fn check(&self, what: &str, a: &Node, b: DataType, b_is_blank: bool) -> Result<()> {
        let is_fine = a.is_blank_literal() || b_is_blank || may_compare(a.data_type(), b);
        // What is passed to a function may be of any type; its body may ask for it first.
        if is_fine || !self.calling.is_empty() {
            return Ok(());
        }
        Err(refused(what, a.data_type(), b))
    }
}
