//! Rows of table expressions, for many cells at once.

use std::sync::Arc;

use evercube_base::Value;
use evercube_store::{ColumnId, StoreVersion, TableId};
use evercube_work::{map_blocks, tick, watched};

use crate::plan::Schema;

/// One column of rows.
#[derive(Debug, Clone)]
pub(crate) enum RowColumn {
    /// Codes of a model column.
    Codes {
        column: ColumnId,
        codes: Arc<Vec<u32>>,
    },
    Values(Arc<Vec<Value>>),
    /// This column of the model table whose row numbers the rows carry.
    Own(ColumnId),
}

impl RowColumn {
    /// The model column whose codes it has.
    pub(super) fn of_model(&self) -> Option<ColumnId> {
        match self {
            Self::Codes { column, .. } | Self::Own(column) => Some(*column),
            Self::Values(_) => None,
        }
    }
}

/// Rows, column by column.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub schema: Schema,
    pub len: usize,
    /// The rows are rows of this table of the model (row numbers; its blank row has the number
    /// after its last row).
    pub base: Option<(TableId, Arc<Vec<u32>>)>,
    pub columns: Vec<RowColumn>,
    /// Where the rows become filters, those that are there stay (`KEEPFILTERS`).
    pub keep: bool,
}

impl Rows {
    pub fn from_values(schema: Schema, rows: Vec<Vec<Value>>) -> Self {
        let len = rows.len();
        let mut columns: Vec<Vec<Value>> = schema.iter().map(|_| Vec::with_capacity(len)).collect();
        for row in watched(rows) {
            for (column, v) in columns.iter_mut().zip(row) {
                column.push(v);
            }
        }
        let columns = columns.into_iter().map(|c| RowColumn::Values(Arc::new(c))).collect();
        Self { keep: false, schema, len, base: None, columns }
    }

    /// The value in a row. Whoever asks for those of many rows is interrupted here.
    pub fn value(&self, store: &StoreVersion, column: usize, row: usize) -> Value {
        tick();
        match &self.columns[column] {
            RowColumn::Values(v) => v[row].clone(),
            RowColumn::Codes { column, codes } => {
                store.table(column.table).column(column.column).value(codes[row])
            }
            RowColumn::Own(c) => {
                let of = store.table(c.table).column(c.column);
                of.value(of.code(self.base_row(row)))
            }
        }
    }

    /// The row number in the model table, for rows that have one.
    pub fn base_row(&self, row: usize) -> usize {
        self.base.as_ref().map_or(0, |(_, rows)| rows[row] as usize)
    }

    /// Codes of a column in the model column it stands for; `None` where the value does not occur
    /// there.
    pub fn code(
        &self,
        store: &StoreVersion,
        column: usize,
        lineage: ColumnId,
        row: usize,
    ) -> Option<u32> {
        tick();
        match &self.columns[column] {
            RowColumn::Codes { column: c, codes } if *c == lineage => Some(codes[row]),
            RowColumn::Own(c) if *c == lineage => {
                Some(store.table(c.table).column(c.column).code(self.base_row(row)))
            }
            _ => {
                let of = store.table(lineage.table).column(lineage.column);
                of.code_of(&self.value(store, column, row))
            }
        }
    }

    pub fn row(&self, store: &StoreVersion, row: usize) -> Vec<Value> {
        (0..self.columns.len()).map(|c| self.value(store, c, row)).collect()
    }

    /// These rows, in this order.
    pub fn take(&self, rows: &[u32]) -> Self {
        let pick = |codes: &Arc<Vec<u32>>| Arc::new(map_blocks(rows, |r| codes[*r as usize]));
        let columns = self.columns.iter().map(|c| match c {
            RowColumn::Codes { column, codes } => {
                RowColumn::Codes { column: *column, codes: pick(codes) }
            }
            RowColumn::Values(v) => {
                RowColumn::Values(Arc::new(map_blocks(rows, |r| v[*r as usize].clone())))
            }
            RowColumn::Own(c) => RowColumn::Own(*c),
        });
        Self {
            keep: self.keep,
            schema: Arc::clone(&self.schema),
            len: rows.len(),
            base: self.base.as_ref().map(|(t, r)| (*t, pick(r))),
            columns: columns.collect(),
        }
    }

    /// A column as values or codes of its own, independent of row numbers.
    pub fn detached(&self, store: &StoreVersion, column: usize) -> RowColumn {
        match &self.columns[column] {
            RowColumn::Own(c) => {
                RowColumn::Codes { column: *c, codes: Arc::new(self.own_codes(store, *c)) }
            }
            other => other.clone(),
        }
    }

    /// Codes of a column of the model table that the rows are rows of.
    pub fn own_codes(&self, store: &StoreVersion, column: ColumnId) -> Vec<u32> {
        let of = store.table(column.table).column(column.column);
        let numbers = self.base.as_ref().map_or(&[][..], |(_, rows)| rows.as_slice());
        let follow = |pair: &[u32]| pair[0].checked_add(1) == Some(pair[1]);
        if let Some(first) = numbers.first()
            && numbers.windows(2).all(follow)
        {
            let mut codes = vec![0; numbers.len()];
            of.read_codes(*first as usize, &mut codes);
            return codes;
        }
        map_blocks(numbers, |row| of.code(*row as usize))
    }

    /// The same rows under another schema of equal width; row numbers are dropped where `keep_base`
    /// is not set.
    pub fn renamed(&self, store: &StoreVersion, schema: Schema, keep_base: bool) -> Self {
        if keep_base {
            return Self { schema, ..self.clone() };
        }
        let columns = (0..self.columns.len()).map(|c| self.detached(store, c)).collect();
        Self { keep: false, schema, len: self.len, base: None, columns }
    }

    /// All rows of `parts` one after the other; their schemas have equal width.
    pub fn concat(store: &StoreVersion, schema: Schema, parts: &[&Self]) -> Self {
        let len = parts.iter().map(|p| p.len).sum();
        let columns = (0..schema.len()).map(|c| {
            let same = parts.iter().map(|p| match p.columns.get(c) {
                Some(RowColumn::Codes { column, .. } | RowColumn::Own(column)) => Some(*column),
                _ => None,
            });
            let same: Vec<Option<ColumnId>> = same.collect();
            match same.first().copied().flatten() {
                Some(column) if same.iter().all(|s| *s == Some(column)) => {
                    let mut codes = Vec::with_capacity(len);
                    for p in parts {
                        let code = |r| p.code(store, c, column, r).unwrap_or_default();
                        codes.extend((0..p.len).map(code));
                    }
                    RowColumn::Codes { column, codes: Arc::new(codes) }
                }
                _ => {
                    let mut values = Vec::with_capacity(len);
                    for p in parts {
                        values.extend((0..p.len).map(|r| p.value(store, c, r)));
                    }
                    RowColumn::Values(Arc::new(values))
                }
            }
        });
        let columns = columns.collect();
        Self { keep: false, schema, len, base: None, columns }
    }
}

/// A table for each cell: rows in the order of their cells, or the same rows for every cell.
#[derive(Debug, Clone)]
pub(crate) struct CellTable {
    pub rows: Arc<Rows>,
    /// Rows of cell `i` are `starts[i]..starts[i + 1]`; `None`: every cell has all rows.
    pub starts: Option<Arc<Vec<u32>>>,
}

impl CellTable {
    pub fn shared(rows: Rows) -> Self {
        Self { rows: Arc::new(rows), starts: None }
    }

    /// Rows with the cell of each; stable within a cell.
    pub fn from_cells(rows: &Rows, cells: &[u32], n: usize) -> Self {
        let mut starts = vec![0u32; n + 1];
        for c in watched(cells) {
            starts[*c as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        if cells.is_sorted() {
            return Self { rows: Arc::new(rows.clone()), starts: Some(Arc::new(starts)) };
        }
        let mut next = starts.clone();
        let mut order = vec![0u32; cells.len()];
        for (row, c) in (0..).zip(watched(cells)) {
            order[next[*c as usize] as usize] = row;
            next[*c as usize] += 1;
        }
        Self { rows: Arc::new(rows.take(&order)), starts: Some(Arc::new(starts)) }
    }

    pub fn range(&self, cell: usize) -> std::ops::Range<usize> {
        match &self.starts {
            Some(s) => s[cell] as usize..s[cell + 1] as usize,
            None => 0..self.rows.len,
        }
    }

    /// The table of the cells in `cells` alone.
    pub fn of_cells(&self, cells: std::ops::Range<usize>) -> Self {
        let starts = self.starts.as_ref().map(|s| Arc::new(s[cells.start..=cells.end].to_vec()));
        Self { rows: Arc::clone(&self.rows), starts }
    }

    /// Runs of cells with about `limit` rows each.
    pub fn runs(&self, n: usize, limit: usize) -> Vec<std::ops::Range<usize>> {
        let mut out = Vec::new();
        let (mut first, mut rows) = (0, 0);
        for cell in watched(0..n) {
            let of_cell = self.range(cell).len();
            if cell > first && rows + of_cell > limit {
                out.push(first..cell);
                (first, rows) = (cell, 0);
            }
            rows += of_cell;
        }
        out.push(first..n);
        out
    }

    /// (cell, row) of every row of every cell, cell by cell.
    pub fn pairs(&self, n: usize) -> (Vec<u32>, Vec<u32>) {
        let mut cells = Vec::new();
        let mut rows = Vec::new();
        for cell in watched(0..n) {
            let range = self.range(cell);
            cells.extend(std::iter::repeat_n(cell as u32, range.len()));
            rows.extend(range.start as u32..range.end as u32);
        }
        (cells, rows)
    }

    /// The same with rows that are each of one cell.
    pub fn with_rows_of_its_own(self, n: usize) -> Self {
        if n < 2 || self.starts.is_some() {
            return self;
        }
        let (cells, rows) = self.pairs(n);
        Self::from_cells(&self.rows.take(&rows), &cells, n)
    }

    /// The table of other cells, each taken from the cell that `from` names.
    pub fn for_cells(&self, from: &[u32]) -> Self {
        if self.starts.is_none() {
            return self.clone();
        }
        let (mut order, mut starts) = (Vec::new(), vec![0u32]);
        for cell in watched(from) {
            order.extend(self.range(*cell as usize).map(|r| r as u32));
            starts.push(order.len() as u32);
        }
        Self { rows: Arc::new(self.rows.take(&order)), starts: Some(Arc::new(starts)) }
    }
}
