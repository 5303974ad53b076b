//! Whole tables as filters, as in `CALCULATE ( [Customers], Sales )`: the rows that each cell sees as
//! sets, without a list of them.

use std::sync::Arc;

use evercube_base::Result;
use evercube_store::{BitSet, TableId};

use super::Evaluator;
use super::cells::Cells;
use super::column_set::ColumnSet;
use super::rows::{CellTable, Rows};
use crate::filter_context::Filter;
use crate::plan::{Kind, Node};

/// Filter contexts that are gone through one after the other, each at the cost of a scan.
const MOST_CONTEXTS: usize = 64;
/// More cells than this are not looked at for how many contexts they have.
const MOST_CELLS: usize = 1 << 12;

/// What a filter argument of `CALCULATE` leaves, for each cell.
pub(super) enum FilterRows {
    Listed(CellTable),
    Sets(RowSets),
    /// The same values of a column for every cell, and no rows, which tell the column.
    Values(ColumnSet, Rows),
}

/// Sets of rows of a table.
pub(super) struct RowSets {
    table: TableId,
    /// No rows of the table, which tell its columns.
    columns: Rows,
    sets: Vec<Arc<BitSet>>,
    /// Which of the sets each cell has; `None`: all the first.
    of: Option<Arc<Vec<u32>>>,
}

impl FilterRows {
    /// Rows that tell the columns.
    pub(super) fn columns(&self) -> &Rows {
        match self {
            Self::Listed(table) => &table.rows,
            Self::Sets(sets) => &sets.columns,
            Self::Values(_, columns) => columns,
        }
    }
}

impl RowSets {
    /// The filters there are, and which of them a cell has.
    pub(super) fn filters(&self) -> (Vec<Option<Filter>>, impl Fn(usize) -> usize + '_) {
        let filter = |rows: &Arc<BitSet>| {
            let rows = Arc::clone(rows);
            Some(Filter::Rows { table: self.table, rows, without: Vec::new(), relationships: None })
        };
        let of = |cell: usize| self.of.as_ref().map_or(0, |of| of[cell] as usize);
        (self.sets.iter().map(filter).collect(), of)
    }
}

impl Evaluator<'_> {
    /// The rows of a whole table that each cell sees; `None` where it is another expression, or
    /// where cells see too many different ones.
    pub(super) fn whole_table(&self, cells: &Cells, node: &Node) -> Result<Option<RowSets>> {
        let Kind::ModelTable { table, blank_row } = node.kind else { return Ok(None) };
        if cells.n == 0 || cells.n > MOST_CELLS {
            return Ok(None);
        }
        let explicit = cells.explicit(self.store);
        if explicit.distinct.len() > MOST_CONTEXTS {
            return Ok(None);
        }
        let mark = self.begin(node, cells.n);
        let mut sets = Vec::new();
        for context in explicit.distinct.iter() {
            self.check_cancelled()?;
            self.check_paths(context, &explicit, table)?;
            let mut rows = self.visible(context, table);
            if !blank_row && rows.get(rows.len() - 1) {
                let set = Arc::make_mut(&mut rows);
                set.remove(set.len() - 1);
            }
            sets.push(rows);
        }
        self.end(mark, sets.iter().map(|rows| rows.count()).sum());
        let columns = self.own_rows(table, Vec::new(), &node.schema());
        Ok(Some(RowSets { table, columns, sets, of: explicit.of }))
    }
}
