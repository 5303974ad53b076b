//! Cells for which an iteration is the same: it goes through the same rows, and what its expression
//! asks there comes after the rows have become filters in place of what told the cells apart.
//! `RANKX ( ALL ( Customer[Name] ), [Total] )` for each customer is one ranking.

use evercube_base::Result;
use evercube_store::ColumnId;

use super::Evaluator;
use super::alike::differing_contexts;
use super::cells::{Cells, KeyTarget};
use super::rows::CellTable;
use crate::plan::{FilterArgument, Kind, Node};
use crate::rules::Rule;

impl Evaluator<'_> {
    /// Cells that stand for others in an iteration over a table, and for each cell which one does;
    /// `None` where all of them may differ.
    pub(super) fn same_rows(
        &self,
        cells: &Cells,
        table: &CellTable,
        body: &Node,
    ) -> Option<(Cells, Vec<u32>)> {
        let frame = cells.frames.len();
        let is_alike = self.has(Rule::SameRows)
            && cells.n > 1
            && table.starts.is_none()
            && !table.rows.keep
            && cells.shadows.iter().all(|s| s.grouped.is_some() || s.table.starts.is_none())
            && is_of_row(body, frame);
        if !is_alike {
            return None;
        }
        if !body.uses.filter_context {
            return Some((cells.select(&[0]), vec![0; cells.n]));
        }
        let mut outside = self.transition(cells).ok()?;
        let mut gone: Vec<ColumnId> = table.rows.schema.iter().filter_map(|c| c.lineage).collect();
        if let Some((base, _)) = &table.rows.base {
            for context in outside.distinct.iter() {
                for (reached, _) in self.visibility().expanded(context, *base) {
                    gone.extend(self.model.columns_of(reached));
                }
            }
            let whole =
                |k: &KeyTarget| self.model.columns_of(k.table()).iter().all(|c| gone.contains(c));
            outside.keys.retain(|k| !whole(&k.target));
        }
        outside.remove(&gone);
        let (first, place) = differing_contexts(&outside)?;
        Some((cells.select(&first), place))
    }
}

impl Evaluator<'_> {
    /// A table of the cells that stand for others, for all of them.
    pub(super) fn for_same(
        &self,
        some: &Cells,
        table: &CellTable,
        place: &[u32],
    ) -> Result<CellTable> {
        if some.n == 1 {
            return Ok(table.as_shared());
        }
        self.check_size(place.iter().map(|at| table.range(*at as usize).len()).sum())?;
        Ok(table.for_cells(place))
    }
}

/// Whether an expression looks at the row of the iteration, or at filters only after the row has
/// become one.
pub(super) fn is_of_row(node: &Node, frame: usize) -> bool {
    if node.uses.volatile || node.uses.slot != crate::plan::Uses::NONE {
        return false;
    }
    match &node.kind {
        Kind::Literal(_) => true,
        Kind::RowColumn { frame: f, .. } | Kind::Related { frame: f, .. } => *f == frame,
        Kind::Measure { .. } => true,
        Kind::Calculate { transition: true, filters, body } => {
            let is_constant = |f: &FilterArgument| f.table().is_none_or(|t| t.uses.is_constant());
            filters.iter().all(is_constant) && is_of_filters(body, frame)
        }
        kind if kind.is_of_its_parts() => {
            node.children().into_iter().all(|part| is_of_row(part, frame))
        }
        _ => false,
    }
}

/// Whether an expression, once the rows have become filters, looks at no row around the iteration.
fn is_of_filters(node: &Node, frame: usize) -> bool {
    match &node.kind {
        Kind::Measure { .. } | Kind::Calculate { transition: true, .. } => is_of_row(node, frame),
        kind if kind.is_of_its_parts() => {
            node.children().into_iter().all(|part| is_of_filters(part, frame))
        }
        _ => node.uses.frame >= frame,
    }
}
