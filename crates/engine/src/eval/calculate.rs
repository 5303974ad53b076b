//! `CALCULATE`: from the filter contexts outside to those inside.
//!
//! In this order: filter arguments are evaluated in the contexts outside, rows become filters,
//! relationships are changed, filters are removed, explicit filters are put in place.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use evercube_base::Result;
use evercube_store::{BitSet, ColumnId};
use evercube_work::{map_range, watched};

use super::Evaluator;
use super::cells::{Cells, Key, KeyTarget};
use super::column_set::ColumnSet;
use super::rows::{CellTable, Rows};
use super::scan::key_code;
use super::whole_table::FilterRows;
use crate::filter_context::{Filter, FilterContext};
use crate::plan::{FilterArgument, Node};

impl Evaluator<'_> {
    /// The cells inside `CALCULATE` with these arguments.
    pub(crate) fn calculate_cells(
        &self,
        cells: &Cells,
        arguments: &[FilterArgument],
        transition: bool,
    ) -> Result<Cells> {
        let mut tables = Vec::new();
        for argument in arguments {
            if let FilterArgument::Table { table, keep } = argument {
                let (found, place) = self.filter_table(cells, table)?;
                tables.push((found, place, *keep));
            }
        }
        let mut inner = if transition { self.transition(cells)? } else { cells.clone() };
        let mut selected = Vec::new();
        for argument in arguments {
            match argument {
                FilterArgument::Use(id) => {
                    inner.edit(|c| c.relate(&self.visibility(), |c| c.used.push(*id)));
                }
                FilterArgument::Direct(id, d) => {
                    inner.edit(|c| c.relate(&self.visibility(), |c| c.directions.push((*id, *d))));
                }
                FilterArgument::Remove(columns) => inner.remove(columns),
                FilterArgument::RemoveAll => inner.remove_all(),
                FilterArgument::Selected(columns) => selected.push(columns.clone()),
                FilterArgument::Table { .. } => {}
            }
        }
        for columns in selected {
            self.restore_selected(&mut inner, columns.as_deref(), cells);
        }
        let outside = cells.distinct.first().map_or(&self.base_context, |c| c.as_ref());
        for (table, _, keep) in &tables {
            if !keep {
                inner.remove(&self.filter_columns(table.columns(), outside));
            }
        }
        for (table, place, keep) in tables {
            match table {
                FilterRows::Listed(table) => {
                    self.put_filter(&mut inner, &table, place.as_deref(), keep);
                }
                FilterRows::Values(ColumnSet { column, codes }, _) => {
                    inner.add_each(&[Some(Filter::Column { column, codes })], |_| 0);
                }
                FilterRows::Sets(sets) => {
                    let (filters, of) = sets.filters();
                    let at = |cell: usize| place.as_ref().map_or(cell, |p| p[cell] as usize);
                    inner.add_each(&filters, |cell| of(at(cell)));
                }
            }
        }
        inner.found_under(&cells.relationships(), &self.visibility());
        Ok(inner)
    }

    /// A filter argument's rows; evaluated once for cells that do not differ, with the one that
    /// stands for each cell.
    fn filter_table(&self, cells: &Cells, table: &Node) -> Result<(FilterRows, Option<Vec<u32>>)> {
        let rows = |cells: &Cells| {
            if let Some(sets) = self.whole_table(cells, table)? {
                return Ok(FilterRows::Sets(sets));
            }
            if let Some(set) = self.column_set(cells, table)? {
                let columns = Rows { schema: table.schema(), ..Rows::default() };
                return Ok(FilterRows::Values(set, columns));
            }
            self.table(cells, table).map(FilterRows::Listed)
        };
        if !table.uses.is_constant()
            && let Some((one_of_each, place)) = self.alike(cells, table)
        {
            return Ok((rows(&cells.select(&one_of_each))?, Some(place)));
        }
        Ok((rows(cells)?, None))
    }

    /// Model columns a table filters when it is an argument of `CALCULATE`; relationships are those
    /// where it is evaluated.
    pub(crate) fn filter_columns(&self, rows: &Rows, outside: &FilterContext) -> Vec<ColumnId> {
        self.model.columns_replaced(self.columns_of_rows(rows, outside))
    }

    /// Model columns that rows have values of, those of the expanded table of whole rows among them.
    pub(crate) fn columns_of_rows(&self, rows: &Rows, outside: &FilterContext) -> Vec<ColumnId> {
        let mut out: Vec<ColumnId> = rows.schema.iter().filter_map(|c| c.lineage).collect();
        if let Some((table, _)) = &rows.base {
            for (t, _) in self.visibility().expanded(outside, *table) {
                out.extend(self.model.columns_of(t));
            }
        }
        out
    }

    /// Adds each cell's rows as a filter: those of the cell that `place` says, else its own.
    pub(crate) fn put_filter(
        &self,
        inner: &mut Cells,
        table: &CellTable,
        place: Option<&[u32]>,
        keep: bool,
    ) {
        let rows = &table.rows;
        let at = |cell: usize| place.map_or(cell, |p| p[cell] as usize);
        let Some(starts) = table.starts.as_ref().filter(|_| inner.n > 1) else {
            let range = if inner.n == 0 { 0..0 } else { table.range(at(0)) };
            let filter = self.rows_filter(rows, range);
            inner.add_each(&[filter], |_| 0);
            return;
        };
        let n = starts.len() - 1;
        let lineages: Vec<usize> =
            (0..rows.schema.len()).filter(|i| rows.schema[*i].lineage.is_some()).collect();
        // One value of one column in every cell is a key.
        if !keep
            && rows.base.is_none()
            && let [only] = lineages[..]
            && (0..n).all(|c| table.range(c).len() == 1)
            && let Some(lineage) = rows.schema[only].lineage
        {
            let code = |c| key_code(rows.code(self.store, only, lineage, table.range(c).start));
            let codes = map_range(n, code);
            // Filters of other arguments on the column stay: those outside are gone already.
            let codes = map_range(inner.n, |cell| codes[at(cell)]);
            inner.keys.push(Key { target: KeyTarget::Column(lineage), codes: Arc::new(codes) });
            return;
        }
        let mut known: HashMap<Option<Filter>, usize> = HashMap::new();
        let mut filters: Vec<Option<Filter>> = Vec::new();
        let mut of = Vec::with_capacity(n);
        for cell in watched(0..n) {
            let filter = self.rows_filter(rows, table.range(cell));
            let next = filters.len();
            let at = *known.entry(filter.clone()).or_insert(next);
            if at == next {
                filters.push(filter);
            }
            of.push(at);
        }
        inner.add_each(&filters, |cell| of[at(cell)]);
    }

    /// Rows as a filter on the model columns they stand for; `None` where they stand for none.
    pub(crate) fn rows_filter(&self, rows: &Rows, range: std::ops::Range<usize>) -> Option<Filter> {
        if let Some((table, numbers)) = &rows.base {
            let mut set = BitSet::new(self.store.table(*table).rows() + 1, false);
            for row in watched(range) {
                set.insert(numbers[row] as usize);
            }
            return Some(Filter::Rows {
                table: *table,
                rows: Arc::new(set),
                without: Vec::new(),
                relationships: None,
            });
        }
        let columns: Vec<(usize, ColumnId)> =
            rows.schema.iter().enumerate().filter_map(|(i, c)| Some((i, c.lineage?))).collect();
        if let [(i, column)] = columns[..] {
            let of = self.store.table(column.table).column(column.column);
            let mut codes = BitSet::new(of.cardinality() as usize, false);
            for row in range {
                if let Some(code) = rows.code(self.store, i, column, row) {
                    codes.insert(code as usize);
                }
            }
            return Some(Filter::Column { column, codes: Arc::new(codes) });
        }
        if columns.is_empty() {
            return None;
        }
        let tuple =
            |row: usize| columns.iter().map(|(i, c)| rows.code(self.store, *i, *c, row)).collect();
        // A value that its column does not have lets nothing through.
        let tuples: BTreeSet<Vec<u32>> =
            range.filter_map(|row| -> Option<Vec<u32>> { tuple(row) }).collect();
        Some(Filter::Tuples {
            columns: columns.iter().map(|(_, c)| *c).collect(),
            tuples: Arc::new(tuples.into_iter().collect()),
        })
    }
}
