//! Conditions on single columns of a model table, or of tables its rows refer to, as filters on
//! codes: what is asked once per value need not be asked per row. `SUMX ( FILTER ( Sales, Sales[Discount] > 5 ), … )` is a scan with a
//! filter then.

use std::sync::Arc;

use evercube_base::Result;
use evercube_store::{BitSet, PathColumn, TableId};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::logic::conjuncts;
use super::row_expression::is_of_column;
use super::rows::{CellTable, RowColumn, Rows};
use super::variable::Evaluated;
use crate::plan::{FilterArgument, Fold, Kind, Node};
use crate::rules::Rule;
use crate::scalar as rules;

/// Columns of more values are gone through row by row.
const MOST_VALUES: u32 = 1 << 20;

impl Evaluator<'_> {
    /// The cells with the rows of `table` that meet a condition on their own columns; `None` where
    /// the condition is no filter.
    pub(super) fn cells_where(
        &self,
        cells: &Cells,
        table: TableId,
        condition: &Node,
    ) -> Result<Option<Cells>> {
        if !self.has(Rule::CodeFilter) || cells.n == 0 {
            return Ok(None);
        }
        let mut parts = Vec::new();
        conjuncts(condition, &mut parts);
        let mut filters = Vec::new();
        for part in parts {
            match self.condition(cells, table, part)? {
                Some(filter) => filters.push(filter),
                None => return Ok(None),
            }
        }
        let mut inner = cells.clone();
        inner.edit(|c| c.filters.extend(filters.iter().cloned()));
        Ok(Some(inner))
    }

    /// The codes of the one column a condition looks at for which it holds.
    pub(super) fn codes_where(
        &self,
        cells: &Cells,
        table: TableId,
        part: &Node,
    ) -> Result<Option<(PathColumn, Arc<BitSet>)>> {
        let frame = (cells.frames.len(), table);
        let mut column = None;
        let is_known = |slot: usize| {
            let found = self.variable(cells, slot);
            matches!(found, Ok((Evaluated::Scalars(Scalars::Same(_)), _)))
        };
        if part.uses.filter_context
            || part.uses.volatile
            || !is_of_column(part, frame, &is_known, &mut column)
        {
            return Ok(None);
        }
        let Some(at) = column else { return Ok(None) };
        let column = at.column;
        let n = self.store.table(column.table).column(column.column).cardinality();
        let data = self.store.table(table);
        if n > MOST_VALUES || n as usize > data.rows().max(1 << 12) {
            return Ok(None);
        }
        // A row for each value; only this column is looked at.
        let codes = Arc::new((0..n).collect::<Vec<u32>>());
        let rows = Rows {
            len: n as usize,
            columns: vec![RowColumn::Codes { column, codes }; data.columns()],
            ..Rows::default()
        };
        let (inner, _) = cells.select(&[0]).iterate(&CellTable::shared(rows));
        // A value that no row has may fail where no row does.
        let Ok(test) = self.scalars(&inner, part) else { return Ok(None) };
        let mut codes = BitSet::new(n as usize, false);
        for code in 0..n as usize {
            match rules::to_bool(test.get(code), &self.culture) {
                Ok(true) => codes.insert(code),
                Ok(false) => {}
                Err(_) => return Ok(None),
            }
        }
        Ok(Some((at, Arc::new(codes))))
    }

    /// An iteration over the rows of a model table that meet a condition.
    pub(super) fn scanned_where(
        &self,
        cells: &Cells,
        fold: Fold,
        rows: &Node,
        body: &Node,
    ) -> Result<Option<Scalars>> {
        let Kind::Filter { table, condition } = &rows.kind else { return Ok(None) };
        let Kind::ModelTable { table, blank_row: false } = table.kind else { return Ok(None) };
        match self.cells_where(cells, table, condition)? {
            Some(inner) => self.scanned(&inner, fold, table, body),
            None => Ok(None),
        }
    }

    /// The cells inside `CALCULATE ( plain aggregates of T, FILTER ( T, condition ) )`: what is
    /// visible of T now, less what the condition leaves out.
    pub(super) fn calculate_where(
        &self,
        cells: &Cells,
        body: &Node,
        filters: &[FilterArgument],
    ) -> Result<Option<Cells>> {
        let [FilterArgument::Table { table, .. }] = filters else { return Ok(None) };
        let Kind::Filter { table, condition } = &table.kind else { return Ok(None) };
        let Kind::ModelTable { table, blank_row: false } = table.kind else { return Ok(None) };
        if cells.transitioned < cells.frames.len() || !self.is_plain(body) {
            return Ok(None);
        }
        let mut asked = Vec::new();
        self.asked(body, cells.frames.len(), &mut asked);
        if asked.is_empty() || asked.iter().any(|(t, _)| *t != table) {
            return Ok(None);
        }
        self.cells_where(cells, table, condition)
    }
}
