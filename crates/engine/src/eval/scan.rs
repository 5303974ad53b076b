//! From cells to scans: visible rows, groups and aggregates of a model table for many cells.
//!
//! Cells that share an explicit filter context are answered by one scan grouped by their key
//! columns. A key that reaches the table only over a two-way or limited relationship cannot be a
//! scan key: it becomes an explicit filter first.

use std::sync::Arc;

use evercube_base::{Error, Result, Value};
use evercube_store::{
    Aggregate, BitSet, ColumnId, PathColumn, RelationshipId, ScanRequest, ScanResult, TableId,
};
use evercube_work::watched;
use hashbrown::{HashMap, HashSet};

use super::Evaluator;
use super::cells::{Cells, NO_CODE};
use super::keyed_cells::KeyedCells;
use crate::filter_context::{FilterContext, Visibility};

/// Tables whose columns a row of the base table knows, and the way there.
#[derive(Default)]
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

impl Evaluator<'_> {
    pub(crate) fn visibility(&self) -> Visibility<'_> {
        Visibility { model: self.model, store: self.store }
    }

    pub(crate) fn reach(&self, context: &FilterContext, base: TableId) -> Reach {
        Reach { tables: self.visibility().expanded(context, base) }
    }

    pub(crate) fn check_cancelled(&self) -> Result<()> {
        evercube_work::check()
    }

    /// Refuses to take room for more cells or rows than the query may hold.
    pub(crate) fn check_size(&self, rows: usize) -> Result<()> {
        const BYTES_PER_ROW: usize = 48;
        /// Rows that are gone through twice to foresee scans.
        const MOST_FORESEEN: usize = 1 << 17;
        if rows > MOST_FORESEEN && self.foresees() {
            return Err(Error::internal("not foreseen"));
        }
        // Rows are numbered by 32 bits.
        let bytes = if rows > u32::MAX as usize { usize::MAX } else { rows * BYTES_PER_ROW };
        evercube_work::room_for(bytes)
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
    pub(super) fn by_context(cells: &Cells) -> Vec<(usize, Vec<u32>)> {
        if cells.of.is_none() {
            return vec![(0, (0..cells.n as u32).collect())];
        }
        let mut groups: Vec<(usize, Vec<u32>)> = Vec::new();
        let mut place: HashMap<usize, usize> = HashMap::new();
        for cell in watched(0..cells.n) {
            let context = cells.context_of(cell);
            let at = *place.entry(context).or_insert_with(|| {
                groups.push((context, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(cell as u32);
        }
        groups
    }

    /// A column whose codes tell the rows of a table apart: its one-side key or its date key, the
    /// one of fewer codes, before others.
    pub(crate) fn unique_column(&self, table: TableId) -> Option<u32> {
        if let Some(known) = self.unique_columns.borrow().get(&table) {
            return *known;
        }
        let data = self.store.table(table);
        let to = self.model.relationships().iter().find_map(|r| {
            (r.def.to.table == table && !r.def.many_to_many).then_some(r.def.to.column)
        });
        let date = self.model.table(table).date_column;
        let is_unique = |c: &u32| data.column(*c).is_unique();
        let keys = to.into_iter().chain(date).filter(is_unique);
        let found = keys
            .min_by_key(|c| data.column(*c).cardinality())
            .or(to)
            .or_else(|| (0..data.columns() as u32).find(is_unique));
        self.unique_columns.borrow_mut().insert(table, found);
        found
    }

    /// How many codes a column has.
    pub(super) fn cardinality(&self, column: ColumnId) -> u32 {
        self.store.table(column.table).column(column.column).cardinality()
    }

    /// Whether each row of its table has a value of its own in the column.
    pub(super) fn tells_rows(&self, column: ColumnId) -> bool {
        self.store.table(column.table).column(column.column).is_unique()
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
        let blank_row = blank_row && self.store.has_blank_row(base);
        if !blank_row
            && let Some(found) = self.scan_together(cells, &contexts, base, group, make)?
        {
            return Ok(found);
        }
        if contexts.len() > 1 {
            self.not_batched("filter contexts are scanned one after the other", contexts.len());
        }
        let mut out = Grouped { keys: vec![Vec::new(); group.len()], ..Grouped::default() };
        for (context, members) in contexts {
            self.check_cancelled()?;
            let context = &cells.distinct[context];
            self.check_paths(context, cells, base)?;
            let reach = self.reach(context, base);
            if members.len() == cells.n
                && group.is_empty()
                && !blank_row
                && let Some(found) = self.of_known_groups(cells, context, base, &reach, make)?
            {
                return Ok(found);
            }
            let keyed = match self.keyed(cells, &members, context, base, &reach) {
                Ok(keyed) => keyed,
                Err(hard) => {
                    let of_context = cells.select(&members);
                    let across = match blank_row {
                        true => None,
                        false => {
                            self.scan_across(&of_context, context, base, &hard, group, make)?
                        }
                    };
                    let inner = match across {
                        Some(found) => found,
                        None => {
                            let explicit = of_context.keys_to_filters(self.store, &hard);
                            self.scan(&explicit, base, group, blank_row, make)?
                        }
                    };
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
            out.distribute(&keyed, &result)?;
            if blank_row && self.visible(context, base).get(self.store.table(base).rows()) {
                self.add_blank_row(&keyed, &mut out, group.len());
            }
        }
        Ok(out)
    }

    /// The blank row has blank in every column of the expanded table.
    pub(super) fn add_blank_row(&self, keyed: &KeyedCells, out: &mut Grouped, width: usize) {
        let blank = keyed.columns.iter().map(|_| 0);
        let Some(number) = keyed.find(blank) else { return };
        // A real row may have formed the same group.
        let is_blank = |g: &usize| width > 0 && out.keys.iter().all(|k| k[*g] == 0);
        let have_one: HashSet<u32> =
            watched(0..out.cells.len()).filter(is_blank).map(|g| out.cells[g]).collect();
        for cell in watched(keyed.by_number().get(number)) {
            if !have_one.contains(cell) {
                out.cells.push(*cell);
                out.keys.iter_mut().for_each(|k| k.push(0));
                out.aggregates.iter_mut().for_each(|a| a.push(Value::Blank));
            }
        }
    }
}

impl Grouped {
    /// Gives each cell the groups of a scan that have its keys.
    fn distribute(&mut self, keyed: &KeyedCells, result: &ScanResult) -> Result<()> {
        let width = keyed.columns.len();
        let by_number = keyed.by_number();
        if width == 0 && keyed.combinations() > 0 {
            let columns = result.keys.len() + 1;
            let codes = (keyed.numbers.len() * columns).saturating_mul(size_of::<u32>());
            evercube_work::room_for(codes.saturating_mul(result.groups))?;
            for cell in by_number.get(0) {
                evercube_work::tick();
                self.cells.extend(std::iter::repeat_n(*cell, result.groups));
                let keys = self.keys.iter_mut().zip(&result.keys);
                keys.for_each(|(to, from)| to.extend_from_slice(from));
                self.aggregates.resize_with(result.aggregates.len(), Vec::new);
                let aggregates = self.aggregates.iter_mut().zip(&result.aggregates);
                aggregates.for_each(|(to, from)| to.extend_from_slice(from));
            }
            return Ok(());
        }
        // A group is of one cell, mostly; without columns of their own cells have one group.
        let is_one_each = self.keys.is_empty();
        let expected =
            result.groups.min(if is_one_each { keyed.numbers.len() } else { usize::MAX });
        self.aggregates.resize_with(result.aggregates.len(), Vec::new);
        self.cells.reserve(expected);
        self.keys.iter_mut().for_each(|k| k.reserve(expected));
        self.aggregates.iter_mut().for_each(|a| a.reserve(expected));
        for g in watched(0..result.groups) {
            let codes = result.keys[..width].iter().map(|k| k[g]);
            let Some(number) = keyed.find(codes) else { continue };
            for cell in by_number.get(number) {
                evercube_work::tick();
                self.cells.push(*cell);
                for (to, from) in self.keys.iter_mut().zip(&result.keys[width..]) {
                    to.push(from[g]);
                }
                self.push_aggregates(&result.aggregates, g);
            }
        }
        Ok(())
    }

    pub(super) fn append(&mut self, other: Self, members: &[u32]) {
        self.cells.extend(watched(&other.cells).map(|c| members[*c as usize]));
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
    pub(super) fn deduplicate(&mut self) {
        let mut seen = std::collections::HashSet::new();
        let fresh: Vec<bool> = watched(0..self.cells.len())
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
