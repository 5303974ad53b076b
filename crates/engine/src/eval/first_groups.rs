//! The first rows of a query's table by the values of a group column, as a table that is shown page
//! by page asks for them: only groups of the first values are looked for, more where these have not
//! enough.

use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_store::{BitSet, ColumnId};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::rows::{CellTable, RowColumn};
use super::summarize_columns::schema_of;
use crate::filter_context::{Filter, FilterContext};
use crate::plan::{Kind, Node, SortKey};
use crate::rules::Rule;

/// More rows than this are asked for with all others.
const MOST_ROWS: usize = 1 << 14;
/// How many times as many values are tried where some were not enough.
const MORE: usize = 8;
/// Finding what filters leave of a table with more rows takes about as long as all groups of it.
const SHORT: usize = 1 << 16;
/// Where not so many times as many values are left out, all are taken.
const WORTH_IT: usize = 16;

impl Evaluator<'_> {
    /// The groups that `TOPN` finds its rows among, at least; `None` where all have to be looked at.
    pub(super) fn first_groups(
        &self,
        cells: &Cells,
        counts: &Scalars,
        table: &Node,
        order_by: &[SortKey],
    ) -> Result<Option<CellTable>> {
        let Some((column, descending)) = self.leading_group(cells, table, order_by) else {
            return Ok(None);
        };
        let wanted = match counts.get(0) {
            Value::Int(n) => usize::try_from(*n).unwrap_or(0),
            _ => return Ok(None),
        };
        let is_worth_it = self.cardinality(column) as usize / WORTH_IT >= wanted;
        if !(1..=MOST_ROWS).contains(&wanted) || !is_worth_it || self.foresees() {
            return Ok(None);
        }
        let Some(mut codes) = self.values_in_order(cells, table, column)? else { return Ok(None) };
        if descending {
            codes.reverse();
        }
        let mut taken = wanted;
        while codes.len() / WORTH_IT >= taken {
            let mut some = BitSet::new(self.cardinality(column) as usize, false);
            codes[..taken].iter().for_each(|code| some.insert(*code as usize));
            let only = Filter::Column { column, codes: Arc::new(some) };
            let found = self.summarize_columns_of(cells, table, Some(&only))?;
            if found.rows.len >= wanted {
                return Ok(Some(found));
            }
            taken *= MORE;
        }
        Ok(None)
    }

    /// The group column that decides first which row comes first, and whether its last values do;
    /// `None` where something else decides, or where an expression might look at other groups.
    fn leading_group(
        &self,
        cells: &Cells,
        table: &Node,
        order_by: &[SortKey],
    ) -> Option<(ColumnId, bool)> {
        let Kind::SummarizeColumns { groups, rollup, columns, ignored, filters } = &table.kind
        else {
            return None;
        };
        let first = order_by.first()?;
        let Kind::RowColumn { frame, column } = first.expression.kind else { return None };
        let is_free = cells.n == 1
            && cells.keys.is_empty()
            && cells.transitioned == cells.frames.len()
            && cells.distinct.iter().all(|c| c.filters.is_empty());
        let is_plain = rollup.chains.is_empty()
            && ignored.is_empty()
            && filters.iter().all(|f| f.visual)
            && !columns.is_empty()
            && columns.iter().all(|c| self.is_plain(&c.node));
        let column = groups.get(column).filter(|_| frame == cells.frames.len())?;
        (self.has(Rule::FirstGroups) && is_free && is_plain).then_some((*column, first.descending))
    }

    /// The values of a column that are seen under the filters of a query's table, in their order.
    fn values_in_order(
        &self,
        cells: &Cells,
        table: &Node,
        column: ColumnId,
    ) -> Result<Option<Vec<u32>>> {
        let Kind::SummarizeColumns { filters, .. } = &table.kind else { return Ok(None) };
        let filters: Vec<_> = filters.iter().map(|f| f.filter.clone()).collect();
        let outer = self.calculate_cells(cells, &filters, true)?;
        let is_filtered = |c: &Arc<FilterContext>| !c.filters.is_empty() || !c.secured.is_empty();
        let is_long = self.store.table(column.table).rows() >= SHORT;
        if is_long && outer.distinct.iter().any(is_filtered) {
            return Ok(None);
        }
        let schema = schema_of(self.model, &[column]);
        let found = self.distinct_over(&outer, &[column.table], &[column], true, &schema)?;
        Ok(match found.rows.columns.as_slice() {
            [RowColumn::Codes { codes, .. }] => Some(codes.to_vec()),
            _ => None,
        })
    }
}
