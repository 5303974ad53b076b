//! Conditions on the rows of a model table as sets of its rows: comparisons of several columns,
//! as `FILTER ( Sales, Sales[Price] < Sales[Cost] * 2 )`, made by the store for all rows at once.

use std::cmp::Ordering;
use std::sync::Arc;

use evercube_base::{DataType, Result};
use evercube_dax::ast::BinaryOperator;
use evercube_store::{BitSet, RelationshipId, RowComparison, RowExpr, ScanFilter, TableId};

use super::Evaluator;
use super::cells::Cells;
use super::iterate::column_of_row;
use super::logic::Logic;
use crate::filter_context::Filter;
use crate::plan::{Kind, Node};

/// Comparisons of a query whose rows are remembered.
const MOST_KNOWN: usize = 16;

/// The rows of a table for which a comparison holds.
pub(super) struct KnownRows {
    table: TableId,
    comparison: RowComparison,
    rows: Arc<BitSet>,
}

impl Evaluator<'_> {
    /// A condition on the rows of `table` as a filter of it; `None` where it looks at more than
    /// the row, or has to be evaluated row by row.
    pub(super) fn condition(
        &self,
        cells: &Cells,
        table: TableId,
        condition: &Node,
    ) -> Result<Option<Filter>> {
        if let Some((at, codes)) = self.codes_where(cells, table, condition)?
            && at.path.is_empty()
        {
            return Ok(Some(Filter::Column { column: at.column, codes }));
        }
        let found = self.rows_where(cells, table, condition)?;
        Ok(found.map(|rows| Filter::Rows { table, rows, without: Vec::new(), relationships: None }))
    }

    fn rows_where(
        &self,
        cells: &Cells,
        table: TableId,
        condition: &Node,
    ) -> Result<Option<Arc<BitSet>>> {
        let both = |left: &Node, right: &Node, join: fn(&mut BitSet, &BitSet)| {
            let Some(mut rows) = self.rows_where(cells, table, left)? else { return Ok(None) };
            let Some(others) = self.rows_where(cells, table, right)? else { return Ok(None) };
            join(Arc::make_mut(&mut rows), &others);
            Ok(Some(rows))
        };
        match Logic::of(condition) {
            Logic::And(left, right) => both(left, right, BitSet::intersect),
            Logic::Or(left, right) => both(left, right, BitSet::union),
            Logic::Not(inner) => {
                let rows = self.rows_where(cells, table, inner)?;
                Ok(rows.map(|rows| Arc::new(other_rows(&rows))))
            }
            Logic::One(condition) => match self.codes_where(cells, table, condition)? {
                Some((column, codes)) => {
                    let has_index =
                        |step: &RelationshipId| self.store.relationship(*step).is_some();
                    if !column.path.iter().all(has_index) {
                        return Ok(None);
                    }
                    let filter = ScanFilter::Codes { column, codes };
                    Ok(Some(Arc::new(self.visibility().passing(table, vec![filter]))))
                }
                None => self.compared(cells, table, condition),
            },
        }
    }

    fn compared(&self, cells: &Cells, table: TableId, node: &Node) -> Result<Option<Arc<BitSet>>> {
        let Kind::Binary { operator, left, right } = &node.kind else { return Ok(None) };
        let Some(holds) = holds(*operator) else { return Ok(None) };
        let frame = cells.frames.len();
        let (Some(left), Some(right)) =
            (self.operand(left, frame, table), self.operand(right, frame, table))
        else {
            return Ok(None);
        };
        let comparison = RowComparison { left, holds, right };
        let is_it = |k: &&KnownRows| k.table == table && k.comparison == comparison;
        if let Some(known) = self.known_rows.borrow().iter().find(is_it) {
            return Ok(Some(Arc::clone(&known.rows)));
        }
        let Some(rows) = self.store.rows_where(table, &comparison)? else { return Ok(None) };
        let rows = Arc::new(rows);
        let mut known = self.known_rows.borrow_mut();
        if known.len() < MOST_KNOWN {
            known.push(KnownRows { table, comparison, rows: Arc::clone(&rows) });
        }
        Ok(Some(rows))
    }

    /// Arithmetic, a date, or text.
    fn operand(&self, node: &Node, frame: usize, table: TableId) -> Option<RowExpr> {
        if !matches!(node.data_type(), DataType::DateTime | DataType::String) {
            return self.row_expression(node, frame, table);
        }
        match &node.kind {
            Kind::Literal(value) => Some(RowExpr::Constant(value.clone())),
            _ => column_of_row(node, (frame, table)).map(RowExpr::Column),
        }
    }
}

/// What a filter of this module leaves out.
pub(super) fn complement(filter: &Filter) -> Option<Filter> {
    match filter {
        Filter::Column { column, codes } => {
            let mut others = codes.as_ref().clone();
            others.invert();
            Some(Filter::Column { column: *column, codes: Arc::new(others) })
        }
        Filter::Rows { table, rows, without, relationships } => Some(Filter::Rows {
            table: *table,
            rows: Arc::new(other_rows(rows)),
            without: without.clone(),
            relationships: relationships.clone(),
        }),
        Filter::Tuples { .. } => None,
    }
}

/// The other rows, the blank row apart.
fn other_rows(rows: &BitSet) -> BitSet {
    let mut others = rows.clone();
    others.invert();
    if let Some(blank) = others.len().checked_sub(1) {
        others.remove(blank);
    }
    others
}

/// How the left side may be to the right one.
fn holds(operator: BinaryOperator) -> Option<Vec<Ordering>> {
    use Ordering::{Equal, Greater, Less};
    Some(match operator {
        BinaryOperator::Less => vec![Less],
        BinaryOperator::LessEqual => vec![Less, Equal],
        BinaryOperator::Equal => vec![Equal],
        BinaryOperator::NotEqual => vec![Less, Greater],
        BinaryOperator::GreaterEqual => vec![Equal, Greater],
        BinaryOperator::Greater => vec![Greater],
        _ => return None,
    })
}
