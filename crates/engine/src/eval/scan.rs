//! From cells to scans: visible rows, groups and aggregates of a model table for many cells.
//!
//! Cells that share an explicit filter context are answered by one scan grouped by their key
//! columns. A key that reaches the table only over a two-way or limited relationship cannot be a
//! scan key: it becomes an explicit filter first.

use std::cmp::Ordering;
use std::sync::Arc;

use evercube_base::{Error, Result, Value};
use evercube_store::{
    Aggregate, BitSet, ColumnId, PathColumn, RelationshipId, ScanFilter, ScanRequest, TableId,
};
use hashbrown::HashMap;

use super::Evaluator;
use super::cells::{Cells, KeyTarget, NO_CODE};
use super::numbering::{ByNumber, Numbering};
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
    /// For each column, the code of each combination.
    codes: Vec<Vec<u32>>,
    numbering: Numbering,
    /// Number of the combination and cell.
    pub numbers: Vec<(u32, u32)>,
}

impl KeyedCells {
    /// The number of the combination of these codes, where some cell has it.
    pub fn find(&self, codes: impl Iterator<Item = u32>) -> Option<u32> {
        self.numbering.find(codes)
    }

    pub fn combinations(&self) -> u32 {
        self.numbering.len
    }

    pub fn by_number(&self) -> ByNumber {
        ByNumber::new(&self.numbers, self.numbering.len)
    }
}

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

    /// Whether each row of its table has a value of its own in the column.
    pub(super) fn tells_rows(&self, column: ColumnId) -> bool {
        self.store.table(column.table).column(column.column).is_unique()
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
        // For each scan key: its column, and the codes of the cells.
        let mut keys: Vec<(PathColumn, Vec<u32>)> = Vec::new();
        for i in easy {
            let key = &cells.keys[i];
            for column in self.key_columns(&key.target) {
                let Some(path) = reach.column(column) else { continue };
                let of = self.store.table(column.table).column(column.column);
                let code = |cell: &u32| match (&key.target, key.codes[*cell as usize]) {
                    (_, NO_CODE) => NO_CODE,
                    (KeyTarget::Row { .. }, row) => of.code(row as usize),
                    (KeyTarget::Column(_), code) => code,
                };
                keys.push((path, members.iter().map(code).collect()));
            }
        }
        self.drop_told(&mut keys);
        let width = keys.len();
        let (columns, codes): (Vec<PathColumn>, Vec<Vec<u32>>) = keys.into_iter().unzip();
        // No row has these: the cells stay without groups.
        let all = 0..members.len();
        let known = |i: &usize| codes.iter().all(|c| c[*i] != NO_CODE);
        let asked: Vec<usize> = all.filter(known).collect();
        let card = |c: &Vec<u32>| asked.iter().map(|i| u64::from(c[*i]) + 1).max().unwrap_or(0);
        let mut numbering = Numbering::new(codes.iter().map(card).collect(), asked.len());
        let mut of_number = vec![Vec::new(); width];
        let mut numbers = Vec::with_capacity(asked.len());
        for i in asked {
            let next = numbering.len;
            let number = numbering.number(codes.iter().map(|c| c[i]));
            if number == next {
                of_number.iter_mut().zip(&codes).for_each(|(to, c)| to.push(c[i]));
            }
            numbers.push((number, members[i]));
        }
        Ok(KeyedCells { columns, codes: of_number, numbering, numbers })
    }

    /// Leaves out keys that another one tells, as the region where the customer is a key too. Cells
    /// whose codes contradict each other get none.
    fn drop_told(&self, keys: &mut Vec<(PathColumn, Vec<u32>)>) {
        let is_telling = |(k, _): &(PathColumn, Vec<u32>)| self.tells_rows(k.column);
        if keys.len() < 2 {
            return;
        }
        while let Some(telling) = keys.iter().position(|k| {
            is_telling(k) && keys.iter().any(|other| other.0 != k.0 && other.0.path == k.0.path)
        }) {
            let (key, mut codes) = keys[telling].clone();
            let rows = self.rows_of_codes(key.column);
            let data = self.store.table(key.column.table);
            keys.retain(|(told, of)| {
                if told.path != key.path || *told == key {
                    return true;
                }
                let column = data.column(told.column.column);
                for (code, other) in codes.iter_mut().zip(of) {
                    let fits = *code != NO_CODE
                        && rows
                            .get(*code as usize)
                            .is_some_and(|r| column.code(*r as usize) == *other);
                    if !fits {
                        *code = NO_CODE;
                    }
                }
                false
            });
            for (k, of) in keys.iter_mut().filter(|(k, _)| *k == key) {
                debug_assert_eq!(*k, key);
                of.clone_from(&codes);
            }
        }
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
                        let mut sorted = evercube_work::map_blocks(tuples, Vec::clone);
                        sorted.sort_unstable_by(|a, b| {
                            evercube_work::tick();
                            a.cmp(b)
                        });
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
        if contexts.len() > 1 {
            self.not_batched("filter contexts are scanned one after the other", contexts.len());
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
            let by_number = keyed.by_number();
            for g in 0..result.groups {
                evercube_work::tick();
                let codes = result.keys[..width].iter().map(|k| k[g]);
                let Some(number) = keyed.find(codes) else { continue };
                for cell in by_number.get(number) {
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
            for c in keyed.codes[i].iter().filter(|c| **c < of.cardinality()) {
                codes.insert(*c as usize);
            }
            filters.extend(self.codes_filter(column, codes));
        }
    }

    /// A filter to codes of a column, where it leaves out any.
    pub(super) fn codes_filter(&self, column: &PathColumn, codes: BitSet) -> Option<ScanFilter> {
        let mut codes = codes;
        if !codes.get(0) && !self.may_be_blank(column) {
            codes.insert(0);
        }
        (!codes.all()).then(|| ScanFilter::Codes { column: column.clone(), codes: Arc::new(codes) })
    }

    /// Whether some row reaches a blank in the column.
    fn may_be_blank(&self, column: &PathColumn) -> bool {
        let to = |r: &RelationshipId| self.model.relationship(*r).def.to.table;
        column.path.iter().any(|r| self.store.has_blank_row(to(r)))
            || self.store.table(column.column.table).column(column.column.column).has_blank()
    }

    /// The blank row has blank in every column of the expanded table.
    fn add_blank_row(&self, keyed: &KeyedCells, out: &mut Grouped, width: usize) {
        let blank = keyed.columns.iter().map(|_| 0);
        let Some(number) = keyed.find(blank) else { return };
        for cell in keyed.by_number().get(number) {
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
        let contexts = Self::by_context(cells);
        if contexts.len() > 1 {
            self.not_batched(
                "rows are found for one filter context after the other",
                contexts.len(),
            );
        }
        for (context, members) in contexts {
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
            let by_number = keyed.by_number();
            for row in wanted {
                let codes = keyed.columns.iter();
                let codes = codes.map(|c| self.visibility().code(c.column, &c.path, row));
                let Some(number) = keyed.find(codes) else { continue };
                for cell in by_number.get(number) {
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
        let ranks: Vec<Arc<Vec<u32>>> = columns
            .iter()
            .map(|c| self.store.table(c.table).column(c.column).sorted_ranks())
            .collect();
        let order = in_order(&grouped, cells.n, &ranks);
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

/// Groups by cell, then by the ranks of their codes.
fn in_order(grouped: &Grouped, cells: usize, ranks: &[Arc<Vec<u32>>]) -> Vec<u32> {
    let groups = grouped.cells.len();
    let rank = |g: usize, i: usize| ranks[i][grouped.keys[i][g] as usize];
    let space =
        ranks.iter().try_fold(cells.max(1) as u64, |n, r| n.checked_mul(r.len().max(1) as u64));
    let Some(space) = space else {
        let mut order: Vec<u32> = (0..groups as u32).collect();
        order.sort_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            let by_value = || (0..ranks.len()).map(|i| rank(a, i).cmp(&rank(b, i)));
            grouped.cells[a]
                .cmp(&grouped.cells[b])
                .then_with(|| by_value().find(|o| o.is_ne()).unwrap_or(Ordering::Equal))
        });
        return order;
    };
    let packed = |g: usize| {
        (0..ranks.len()).fold(u64::from(grouped.cells[g]), |packed, i| {
            packed * ranks[i].len() as u64 + u64::from(rank(g, i))
        })
    };
    // No two groups are the same, so that each has a place of its own.
    if space <= (groups as u64 * 8).max(1 << 12) {
        let mut places = vec![u32::MAX; space as usize];
        (0..groups).for_each(|g| places[packed(g) as usize] = g as u32);
        places.retain(|g| *g != u32::MAX);
        return places;
    }
    let mut order: Vec<(u64, u32)> = (0..groups).map(|g| (packed(g), g as u32)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, g)| g).collect()
}
