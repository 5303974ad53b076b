//! From cells to scans: visible rows, groups and aggregates of a model table for many cells.
//!
//! Cells that share an explicit filter context are answered by one scan grouped by their key
//! columns. A key that reaches the table only over a two-way or limited relationship cannot be a
//! scan key: it becomes an explicit filter first.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use evercube_base::{Error, ErrorKind, Result, Value};
use evercube_store::{
    Aggregate, BitSet, ColumnId, PathColumn, RelationshipId, ScanFilter, ScanRequest, TableId,
};
use hashbrown::HashMap;

use super::Evaluator;
use super::cells::{Cells, KeyTarget, NO_CODE};
use super::rows::{CellTable, RowColumn, Rows};
use crate::filter_context::{Filter, FilterContext, Visibility};
use crate::plan::Schema;

/// Tables whose columns a row of the base table knows, and the way there.
pub(crate) struct Reach {
    tables: Vec<(TableId, Vec<RelationshipId>)>,
}

impl Reach {
    pub fn path(&self, table: TableId) -> Option<&Vec<RelationshipId>> {
        self.tables.iter().find(|(t, _)| *t == table).map(|(_, p)| p)
    }
    pub fn column(&self, column: ColumnId) -> Option<PathColumn> {
        Some(PathColumn { path: self.path(column.table)?.clone(), column })
    }
}

/// Groups found: for each its cell, its key codes, its aggregates.
#[derive(Debug, Default)]
pub(crate) struct Grouped {
    pub cells: Vec<u32>,
    pub keys: Vec<Vec<u32>>,
    pub aggregates: Vec<Vec<Value>>,
}

/// Aggregates of a scan, once the ways to their columns are known.
pub(crate) type MakeAggregates<'f> = &'f dyn Fn(&Reach) -> Result<Vec<Aggregate>>;

/// The cells of one explicit context with their easy keys: columns to group by, and which cells
/// have which codes.
pub(super) struct KeyedCells {
    pub columns: Vec<PathColumn>,
    pub by_codes: HashMap<Vec<u32>, Vec<u32>>,
}

impl Evaluator<'_> {
    pub(crate) fn visibility(&self) -> Visibility<'_> {
        Visibility { model: self.model, store: self.store }
    }

    pub(crate) fn reach(&self, context: &FilterContext, base: TableId) -> Reach {
        Reach { tables: self.visibility().expanded(context, base) }
    }

    pub(crate) fn check_cancelled(&self) -> Result<()> {
        if self.context.cancel.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "The query was cancelled."));
        }
        Ok(())
    }

    /// Refuses to hold more cells or rows than the query may.
    pub(crate) fn check_size(&self, rows: usize) -> Result<()> {
        const BYTES_PER_ROW: usize = 48;
        if rows.saturating_mul(BYTES_PER_ROW) > self.context.memory_limit {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "An intermediate result of {rows} rows is larger than the memory one query may use; narrow the query with a filter."
                ),
            ));
        }
        self.check_cancelled()
    }

    /// Visible rows of a table under one explicit context; kept for the time of the query.
    pub(crate) fn visible(&self, context: &Arc<FilterContext>, table: TableId) -> Arc<BitSet> {
        let key = (Arc::as_ptr(context) as usize, table);
        if let Some((_, rows)) = self.visible_rows.borrow().get(&key) {
            return Arc::clone(rows);
        }
        let rows = Arc::new(self.visibility().rows(context, table));
        self.visible_rows.borrow_mut().insert(key, (Arc::clone(context), Arc::clone(&rows)));
        rows
    }

    /// Cells by explicit context, in the order of first use.
    fn by_context(cells: &Cells) -> Vec<(usize, Vec<u32>)> {
        if cells.of.is_none() {
            return vec![(0, (0..cells.n as u32).collect())];
        }
        let mut groups: Vec<(usize, Vec<u32>)> = Vec::new();
        let mut place: HashMap<usize, usize> = HashMap::new();
        for cell in 0..cells.n {
            let context = cells.context_of(cell);
            let at = *place.entry(context).or_insert_with(|| {
                groups.push((context, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(cell as u32);
        }
        groups
    }

    /// A column whose codes tell the rows of a table apart, its one-side key before others.
    pub(crate) fn unique_column(&self, table: TableId) -> Option<u32> {
        if let Some(known) = self.unique_columns.borrow().get(&table) {
            return *known;
        }
        let keyed = self.model.relationships().iter().find_map(|r| {
            (r.def.to.table == table && !r.def.many_to_many).then_some(r.def.to.column)
        });
        let data = self.store.table(table);
        let tells_apart = |c: &u32| {
            let column = data.column(*c);
            if (column.cardinality() as usize) < data.rows() {
                return false;
            }
            let mut seen = BitSet::new(column.cardinality() as usize, false);
            (0..data.rows()).all(|row| {
                let code = column.code(row) as usize;
                let new = !seen.get(code);
                seen.insert(code);
                new
            })
        };
        let found = keyed.or_else(|| (0..data.columns() as u32).find(tells_apart));
        self.unique_columns.borrow_mut().insert(table, found);
        found
    }

    /// Columns that stand for a key in a scan.
    fn key_columns(&self, target: &KeyTarget) -> Vec<ColumnId> {
        match target {
            KeyTarget::Column(c) => vec![*c],
            KeyTarget::Row { table, without } => {
                let all = 0..self.store.table(*table).columns() as u32;
                let free = |c: &u32| !without.contains(&ColumnId { table: *table, column: *c });
                match self.unique_column(*table).filter(free) {
                    Some(column) => vec![ColumnId { table: *table, column }],
                    None => {
                        all.filter(free).map(|column| ColumnId { table: *table, column }).collect()
                    }
                }
            }
        }
    }

    /// Splits the keys of cells for a base table: `Err` has those that must become filters.
    pub(super) fn keyed(
        &self,
        cells: &Cells,
        members: &[u32],
        context: &FilterContext,
        base: TableId,
        reach: &Reach,
    ) -> std::result::Result<KeyedCells, Vec<usize>> {
        let mut hard = Vec::new();
        let mut easy = Vec::new();
        for (i, key) in cells.keys.iter().enumerate() {
            let table = key.target.table();
            if reach.path(table).is_some() {
                easy.push(i);
            } else if self.visibility().reaches(context, table, base) {
                hard.push(i);
            }
        }
        if !hard.is_empty() {
            return Err(hard);
        }
        let mut columns = Vec::new();
        // For each scan key: the cells' key, and for row keys the column that is read.
        let mut sources: Vec<(usize, Option<ColumnId>)> = Vec::new();
        for i in easy {
            let target = &cells.keys[i].target;
            for column in self.key_columns(target) {
                let path = reach.column(column);
                columns.extend(path);
                sources.push((i, matches!(target, KeyTarget::Row { .. }).then_some(column)));
            }
        }
        let mut by_codes: HashMap<Vec<u32>, Vec<u32>> = HashMap::new();
        for cell in members {
            let codes = sources.iter().map(|(i, column)| {
                let code = cells.keys[*i].codes[*cell as usize];
                column.map_or(code, |c| {
                    self.store.table(c.table).column(c.column).code(code as usize)
                })
            });
            by_codes.entry(codes.collect()).or_default().push(*cell);
        }
        Ok(KeyedCells { columns, by_codes })
    }

    /// The filters of a context as conditions on the rows of a base table.
    pub(crate) fn scan_filters(
        &self,
        context: &Arc<FilterContext>,
        base: TableId,
        reach: &Reach,
    ) -> Vec<ScanFilter> {
        let mut out = Vec::new();
        let reaches = |t: TableId| self.visibility().reaches(context, t, base);
        for filter in context.filters.iter().chain(context.secured.iter()) {
            match filter {
                Filter::Column { column, codes } => match reach.column(*column) {
                    Some(column) => {
                        out.push(ScanFilter::Codes { column, codes: Arc::clone(codes) });
                    }
                    None if !reaches(column.table) => {}
                    None => return vec![self.row_filter(context, base)],
                },
                Filter::Tuples { columns, tuples } => {
                    let paths: Vec<Option<PathColumn>> =
                        columns.iter().map(|c| reach.column(*c)).collect();
                    if paths.iter().all(Option::is_some) {
                        let mut sorted = tuples.as_ref().clone();
                        sorted.sort_unstable();
                        out.push(ScanFilter::Tuples {
                            columns: paths.into_iter().flatten().collect(),
                            tuples: Arc::new(sorted),
                        });
                    } else if columns.iter().any(|c| reaches(c.table)) {
                        return vec![self.row_filter(context, base)];
                    }
                }
                Filter::Rows { table, rows, without } => match reach.path(*table) {
                    Some(path) if without.is_empty() => {
                        out.push(ScanFilter::Rows { path: path.clone(), rows: Arc::clone(rows) });
                    }
                    _ => {
                        let expanded = self.visibility().expanded(context, *table);
                        if expanded.iter().any(|(t, _)| *t == base || reaches(*t)) {
                            return vec![self.row_filter(context, base)];
                        }
                    }
                },
            }
        }
        out
    }

    fn row_filter(&self, context: &Arc<FilterContext>, base: TableId) -> ScanFilter {
        ScanFilter::Rows { path: Vec::new(), rows: self.visible(context, base) }
    }

    /// Groups the visible rows of `base` for each cell by `group` (columns of its expanded table)
    /// and aggregates them. With `blank_row`, the blank row is a row too: it only forms groups.
    pub(crate) fn scan(
        &self,
        cells: &Cells,
        base: TableId,
        group: &[ColumnId],
        blank_row: bool,
        make: MakeAggregates<'_>,
    ) -> Result<Grouped> {
        let contexts = Self::by_context(cells);
        if !blank_row
            && let Some(found) = self.scan_together(cells, &contexts, base, group, make)?
        {
            return Ok(found);
        }
        let mut out = Grouped { keys: vec![Vec::new(); group.len()], ..Grouped::default() };
        for (context, members) in contexts {
            self.check_cancelled()?;
            let context = &cells.distinct[context];
            let reach = self.reach(context, base);
            let keyed = match self.keyed(cells, &members, context, base, &reach) {
                Ok(keyed) => keyed,
                Err(hard) => {
                    let explicit = cells.select(&members).keys_to_filters(self.store, &hard);
                    let inner = self.scan(&explicit, base, group, blank_row, make)?;
                    out.append(inner, &members);
                    continue;
                }
            };
            let mut keys = keyed.columns.clone();
            for column in group {
                keys.push(reach.column(*column).ok_or_else(|| {
                    Error::internal("a group column is not in the expanded table of its scan")
                })?);
            }
            let aggregates = make(&reach)?;
            let result = match self.recall(context, base, &keys, &aggregates) {
                Some(known) => known,
                None => {
                    let mut filters = self.scan_filters(context, base, &reach);
                    let of_context = filters.len();
                    self.narrow(&keyed, &mut filters);
                    let whole = (filters.len() == of_context).then(|| Arc::clone(context));
                    self.run_scan(ScanRequest { table: base, filters, keys, aggregates }, whole)?
                }
            };
            let width = keyed.columns.len();
            for g in 0..result.groups {
                let codes: Vec<u32> = result.keys[..width].iter().map(|k| k[g]).collect();
                let Some(of) = keyed.by_codes.get(&codes) else { continue };
                for cell in of {
                    out.cells.push(*cell);
                    for (to, from) in out.keys.iter_mut().zip(&result.keys[width..]) {
                        to.push(from[g]);
                    }
                    out.push_aggregates(&result.aggregates, g);
                }
            }
            if blank_row && self.visible(context, base).get(self.store.table(base).rows()) {
                self.add_blank_row(&keyed, &mut out, group.len());
            }
        }
        Ok(out)
    }

    /// Leaves out groups that no cell asks for.
    pub(super) fn narrow(&self, keyed: &KeyedCells, filters: &mut Vec<ScanFilter>) {
        for (i, column) in keyed.columns.iter().enumerate() {
            let of = self.store.table(column.column.table).column(column.column.column);
            let mut codes = BitSet::new(of.cardinality() as usize, false);
            for c in keyed.by_codes.keys().map(|k| k[i]).filter(|c| *c < of.cardinality()) {
                codes.insert(c as usize);
            }
            if !codes.all() {
                filters.push(ScanFilter::Codes { column: column.clone(), codes: Arc::new(codes) });
            }
        }
    }

    /// The blank row has blank in every column of the expanded table.
    fn add_blank_row(&self, keyed: &KeyedCells, out: &mut Grouped, width: usize) {
        let blank = vec![0; keyed.columns.len()];
        let Some(of) = keyed.by_codes.get(&blank) else { return };
        for cell in of {
            // A real row may have formed the same group.
            let exists = width > 0
                && (0..out.cells.len())
                    .any(|g| out.cells[g] == *cell && out.keys.iter().all(|k| k[g] == 0));
            if !exists {
                out.cells.push(*cell);
                out.keys.iter_mut().for_each(|k| k.push(0));
                out.aggregates.iter_mut().for_each(|a| a.push(Value::Blank));
            }
        }
    }

    /// Rows of a model table that each cell sees.
    pub(crate) fn model_rows(
        &self,
        cells: &Cells,
        table: TableId,
        blank_row: bool,
        schema: &Schema,
    ) -> Result<CellTable> {
        let n = self.store.table(table).rows();
        let mut rows: Vec<u32> = Vec::new();
        let mut of: Vec<u32> = Vec::new();
        let mut shared = false;
        for (context, members) in Self::by_context(cells) {
            let context = &cells.distinct[context];
            let reach = self.reach(context, table);
            let keyed = match self.keyed(cells, &members, context, table, &reach) {
                Ok(keyed) => keyed,
                Err(hard) => {
                    let explicit = cells.select(&members).keys_to_filters(self.store, &hard);
                    let inner = self.model_rows(&explicit, table, blank_row, schema)?;
                    let (inner_cells, inner_rows) = inner.pairs(members.len());
                    of.extend(inner_cells.iter().map(|c| members[*c as usize]));
                    rows.extend(inner_rows.iter().map(|r| inner.rows.base_row(*r as usize) as u32));
                    continue;
                }
            };
            let visible = self.visible(context, table);
            let wanted = visible.iter().filter(|r| blank_row || *r < n);
            if keyed.columns.is_empty() {
                let found: Vec<u32> = wanted.map(|r| r as u32).collect();
                if members.len() == cells.n {
                    shared = true;
                    rows = found;
                    break;
                }
                self.check_size(rows.len() + found.len() * members.len())?;
                for cell in &members {
                    of.extend(std::iter::repeat_n(*cell, found.len()));
                    rows.extend(&found);
                }
                continue;
            }
            let mut codes = vec![0; keyed.columns.len()];
            for row in wanted {
                for (code, column) in codes.iter_mut().zip(&keyed.columns) {
                    *code = self.visibility().code(column.column, &column.path, row);
                }
                for cell in keyed.by_codes.get(&codes).into_iter().flatten() {
                    of.push(*cell);
                    rows.push(row as u32);
                }
            }
            self.check_size(rows.len())?;
        }
        let rows = self.own_rows(table, rows, schema);
        Ok(if shared {
            CellTable::shared(rows)
        } else {
            CellTable::from_cells(&rows, &of, cells.n)
        })
    }

    /// Rows of a model table by number.
    pub(crate) fn own_rows(&self, table: TableId, rows: Vec<u32>, schema: &Schema) -> Rows {
        let columns =
            (0..schema.len() as u32).map(|column| RowColumn::Own(ColumnId { table, column }));
        Rows {
            keep: false,
            schema: Arc::clone(schema),
            len: rows.len(),
            base: Some((table, Arc::new(rows))),
            columns: columns.collect(),
        }
    }

    /// Distinct visible combinations of columns of one table for each cell.
    pub(crate) fn distinct_values(
        &self,
        cells: &Cells,
        columns: &[ColumnId],
        blank_row: bool,
        schema: &Schema,
    ) -> Result<CellTable> {
        let Some(first) = columns.first() else {
            return Ok(CellTable::shared(Rows { schema: Arc::clone(schema), ..Rows::default() }));
        };
        self.distinct_over(cells, &[first.table], columns, blank_row, schema)
    }

    /// Distinct combinations of columns as they occur in the visible rows of any of the base
    /// tables, whose expanded tables all have the columns.
    pub(crate) fn distinct_over(
        &self,
        cells: &Cells,
        bases: &[TableId],
        columns: &[ColumnId],
        blank_row: bool,
        schema: &Schema,
    ) -> Result<CellTable> {
        let mut grouped = Grouped { keys: vec![Vec::new(); columns.len()], ..Grouped::default() };
        let everyone: Vec<u32> = (0..cells.n as u32).collect();
        for base in bases {
            let found = self.scan(cells, *base, columns, blank_row, &|_| Ok(Vec::new()))?;
            grouped.append(found, &everyone);
        }
        if bases.len() > 1 {
            grouped.deduplicate();
        }
        self.check_size(grouped.cells.len())?;
        // By cell, then by value: an order that every server finds.
        let ranks: Vec<Vec<u32>> = columns
            .iter()
            .zip(&grouped.keys)
            .map(|(c, codes)| {
                let of = self.store.table(c.table).column(c.column).sorted_ranks();
                codes.iter().map(|code| of[*code as usize]).collect()
            })
            .collect();
        let mut order: Vec<u32> = (0..grouped.cells.len() as u32).collect();
        order.sort_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            let by_value = || ranks.iter().map(|r| r[a].cmp(&r[b])).find(|o| o.is_ne());
            grouped.cells[a]
                .cmp(&grouped.cells[b])
                .then_with(|| by_value().unwrap_or(std::cmp::Ordering::Equal))
        });
        let of: Vec<u32> = order.iter().map(|g| grouped.cells[*g as usize]).collect();
        let row_columns = columns.iter().zip(&grouped.keys).map(|(column, codes)| {
            let codes = order.iter().map(|g| codes[*g as usize]).collect();
            RowColumn::Codes { column: *column, codes: Arc::new(codes) }
        });
        let rows = Rows {
            keep: false,
            schema: Arc::clone(schema),
            len: order.len(),
            base: None,
            columns: row_columns.collect(),
        };
        Ok(CellTable::from_cells(&rows, &of, cells.n))
    }
}

impl Grouped {
    fn append(&mut self, other: Self, members: &[u32]) {
        self.cells.extend(other.cells.iter().map(|c| members[*c as usize]));
        for (to, from) in self.keys.iter_mut().zip(other.keys) {
            to.extend(from);
        }
        if self.aggregates.is_empty() {
            self.aggregates = other.aggregates;
        } else {
            for (to, from) in self.aggregates.iter_mut().zip(other.aggregates) {
                to.extend(from);
            }
        }
    }

    /// Leaves each combination once per cell.
    fn deduplicate(&mut self) {
        let mut seen = std::collections::HashSet::new();
        let fresh: Vec<bool> = (0..self.cells.len())
            .map(|g| {
                let codes: Vec<u32> = self.keys.iter().map(|k| k[g]).collect();
                seen.insert((self.cells[g], codes))
            })
            .collect();
        let keep = |v: &mut Vec<u32>| {
            let mut g = 0;
            v.retain(|_| {
                g += 1;
                fresh[g - 1]
            });
        };
        keep(&mut self.cells);
        self.keys.iter_mut().for_each(keep);
    }

    pub(super) fn push_aggregates(&mut self, values: &[Vec<Value>], group: usize) {
        if self.aggregates.len() < values.len() {
            self.aggregates.resize_with(values.len(), Vec::new);
        }
        for (to, from) in self.aggregates.iter_mut().zip(values) {
            to.push(from[group].clone());
        }
    }
}

/// The code of a key, where the value exists in the column.
pub(crate) fn key_code(code: Option<u32>) -> u32 {
    code.unwrap_or(NO_CODE)
}
