//! Expressions over the row of an iteration as arithmetic that a scan does by itself.
//!
//! What depends on one column of few values, whatever functions it is made of, is worked out once
//! for each value: `SWITCH ( Sales[Priority], "high", 2, 1 ) * Sales[Quantity]` is a product then.

use std::sync::Arc;

use evercube_base::{DataType, Value};
use evercube_dax::ast::BinaryOperator;
use evercube_store::{Aggregate, PathColumn, RowExpr, TableId};

use super::Evaluator;
use super::cells::{Cells, Frame};
use super::iterate::column_of_row;
use super::rows::{CellTable, RowColumn, Rows};
use crate::plan::{Fold, Kind, Node};
use crate::rules::Rule;
use crate::scalar as rules;

/// An expression is worked out for at most so many values.
const MOST_VALUES: u32 = 1 << 12;

impl Evaluator<'_> {
    /// The aggregates a scan takes for an iteration over a model table that is row context `frame`;
    /// none where its body is more than plain arithmetic.
    pub(super) fn plain_aggregates(
        &self,
        fold: Fold,
        table: TableId,
        body: &Node,
        frame: usize,
    ) -> Vec<Aggregate> {
        let plain = column_of_row(body, (frame, table));
        let numeric = body.data_type().is_numeric();
        let expression = match fold {
            Fold::Sum | Fold::Average if !numeric => None,
            Fold::Min | Fold::Max | Fold::Count if plain.is_some() => {
                plain.clone().map(RowExpr::Column)
            }
            _ => self.row_expression(body, frame, table),
        };
        match (fold, expression, plain) {
            (Fold::DistinctCount | Fold::DistinctCountNoBlank, _, Some(c)) => {
                let with_blank = fold == Fold::DistinctCount;
                vec![Aggregate::DistinctCount { column: c, with_blank }]
            }
            (Fold::Sum, Some(e), _) => vec![Aggregate::Sum(e)],
            (Fold::Min, Some(e), _) => vec![Aggregate::Min(e)],
            (Fold::Max, Some(e), _) => vec![Aggregate::Max(e)],
            (Fold::Count, Some(e), _) => vec![Aggregate::Count(e)],
            (Fold::CountBlank, Some(e), _) => vec![Aggregate::CountRows, Aggregate::Count(e)],
            (Fold::Average, Some(e), _) => vec![Aggregate::Sum(e.clone()), Aggregate::Count(e)],
            _ => Vec::new(),
        }
    }

    /// Arithmetic that a scan can do by itself.
    pub(super) fn row_expression(
        &self,
        node: &Node,
        frame: usize,
        table: TableId,
    ) -> Option<RowExpr> {
        if !node.data_type().is_numeric() {
            return None;
        }
        let part = |node: &Node| self.row_part(node, frame, table).map(Box::new);
        let found = match &node.kind {
            Kind::Literal(v) => Some(RowExpr::Constant(v.clone())),
            Kind::RowColumn { .. } | Kind::Related { .. } => {
                column_of_row(node, (frame, table)).map(RowExpr::Column)
            }
            Kind::Binary { operator, left, right } => {
                let make = match operator {
                    BinaryOperator::Add => RowExpr::Add,
                    BinaryOperator::Subtract => RowExpr::Subtract,
                    BinaryOperator::Multiply => RowExpr::Multiply,
                    BinaryOperator::Divide => RowExpr::Divide,
                    _ => return None,
                };
                part(left).and_then(|left| Some(make(left, part(right)?)))
            }
            Kind::Scalar { name: "DIVIDE", arguments, .. } => match arguments.as_slice() {
                [n, d, rest @ ..] if rest.iter().all(Node::is_blank_literal) => {
                    part(n).and_then(|n| Some(RowExpr::SafeDivide(n, part(d)?)))
                }
                _ => None,
            },
            _ => None,
        };
        found.or_else(|| self.coded(node, frame, table))
    }

    /// What stands in arithmetic: such, or a choice.
    fn row_part(&self, node: &Node, frame: usize, table: TableId) -> Option<RowExpr> {
        let part = self.row_expression(node, frame, table);
        part.or_else(|| self.choice(node, frame, table))
    }

    /// An expression of one column as what it is for each of the column's values.
    fn coded(&self, node: &Node, frame: usize, table: TableId) -> Option<RowExpr> {
        let (column, values) = self.by_code(node, frame, table)?;
        Some(RowExpr::Coded { column, values: Arc::new(values) })
    }

    /// A choice between whole numbers, or fixed decimals, by a condition on one column: the sum of
    /// both, each as often as it is chosen.
    fn choice(&self, node: &Node, frame: usize, table: TableId) -> Option<RowExpr> {
        let Kind::If { condition, then, otherwise: Some(otherwise) } = &node.kind else {
            return None;
        };
        let is_exact =
            |node: &Node| matches!(node.data_type(), DataType::Int64 | DataType::Decimal);
        if !is_exact(then) || then.data_type() != otherwise.data_type() {
            return None;
        }
        let (column, tests) = self.by_code(condition, frame, table)?;
        let holds: Vec<bool> = tests
            .iter()
            .map(|test| rules::to_bool(test, &self.culture))
            .collect::<Result<_, _>>()
            .ok()?;
        let times = |chosen: bool, node: &Node| {
            let flags = holds.iter().map(|holds| Value::Int(i64::from(*holds == chosen)));
            let flags =
                RowExpr::Coded { column: column.clone(), values: Arc::new(flags.collect()) };
            let of = self.row_part(node, frame, table)?;
            self.is_filled(&of).then(|| RowExpr::Multiply(Box::new(flags), Box::new(of)))
        };
        Some(RowExpr::Add(Box::new(times(true, then)?), Box::new(times(false, otherwise)?)))
    }

    /// Whether an expression of sums, differences and products has a value in every row.
    pub(super) fn is_filled(&self, value: &RowExpr) -> bool {
        match value {
            RowExpr::Constant(value) => !value.is_blank(),
            RowExpr::Coded { values, .. } => values.iter().all(|value| !value.is_blank()),
            RowExpr::Column(PathColumn { path, column }) => {
                path.is_empty() && !self.store.table(column.table).column(column.column).has_blank()
            }
            RowExpr::Add(a, b) | RowExpr::Subtract(a, b) | RowExpr::Multiply(a, b) => {
                self.is_filled(a) && self.is_filled(b)
            }
            RowExpr::Divide(..) | RowExpr::SafeDivide(..) => false,
        }
    }

    /// The one column an expression looks at, and what it is for each code; `None` where it looks
    /// at more, at a column of many values, or fails for one: whoever goes row by row finds out
    /// whether a row has that.
    pub(crate) fn by_code(
        &self,
        node: &Node,
        frame: usize,
        table: TableId,
    ) -> Option<(PathColumn, Vec<Value>)> {
        let uses = node.uses;
        if !self.has(Rule::CodeFilter) || uses.filter_context || uses.volatile {
            return None;
        }
        let mut column = None;
        if !is_of_column(node, (frame, table), &|_| false, &mut column) {
            return None;
        }
        let at = column?;
        let column = at.column;
        let n = self.store.table(column.table).column(column.column).cardinality();
        if n > MOST_VALUES {
            return None;
        }
        let codes = Arc::new((0..n).collect::<Vec<u32>>());
        let width = self.store.table(table).columns();
        let rows = Rows {
            len: n as usize,
            columns: vec![RowColumn::Codes { column, codes }; width],
            ..Rows::default()
        };
        let (inner, _) = self.in_frames(frame).iterate(&CellTable::shared(rows));
        let found = self.scalars(&inner, node).ok()?;
        Some((at, found.into_vec(n as usize)))
    }

    /// A cell with so many row contexts that nothing looks at.
    fn in_frames(&self, frames: usize) -> Cells {
        let mut cell = self.start();
        let frame = Frame { rows: Arc::default(), index: Arc::new(vec![0]) };
        cell.frames = vec![frame; frames];
        cell
    }
}

/// Whether an expression looks at one column alone of the row, or of one the row refers to, which is
/// noted. `row`: the row context, and the table it goes through; `is_known`: whether a variable is
/// the same for all rows.
pub(super) fn is_of_column(
    node: &Node,
    row: (usize, TableId),
    is_known: &impl Fn(usize) -> bool,
    column: &mut Option<PathColumn>,
) -> bool {
    match &node.kind {
        Kind::Literal(_) => true,
        Kind::RowColumn { .. } | Kind::Related { .. } => match column_of_row(node, row) {
            Some(found) => *column.get_or_insert_with(|| found.clone()) == found,
            None => false,
        },
        Kind::Variable(slot) => !node.is_table() && is_known(*slot),
        Kind::Binary { .. }
        | Kind::And(..)
        | Kind::Or(..)
        | Kind::Not(_)
        | Kind::Negate(_)
        | Kind::Scalar { .. }
        | Kind::If { .. }
        | Kind::Switch { .. }
        | Kind::Coalesce(_)
        | Kind::Pick { .. } => {
            node.children().into_iter().all(|part| is_of_column(part, row, is_known, column))
        }
        Kind::In { left, right } => {
            right.uses.is_constant()
                && left.iter().all(|part| is_of_column(part, row, is_known, column))
        }
        _ => false,
    }
}
