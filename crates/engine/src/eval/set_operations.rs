//! `DISTINCT`, `UNION`, `INTERSECT`, `EXCEPT`, natural joins, `SUBSTITUTEWITHINDEX`.

use std::hash::Hash;
use std::sync::Arc;

use evercube_base::{Decimal, Result, Value};
use evercube_store::ColumnId;
use evercube_work::{tick, watched};
use hashbrown::{HashMap, HashSet};

use super::Evaluator;
use super::cells::Cells;
use super::rows::{CellTable, RowColumn, Rows};
use crate::plan::{Node, Schema, SetOperation, SortKey};

/// A value as the key of a hash table: equal where DAX takes values as the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ValueKey {
    Blank,
    Boolean(bool),
    /// In ten-thousandths, for numbers that are whole there.
    Number(i128),
    Real(u64),
    Time(i64),
    Text(String),
}

impl Evaluator<'_> {
    pub(crate) fn key(&self, v: &Value) -> ValueKey {
        evercube_work::tick();
        match v {
            Value::Blank => ValueKey::Blank,
            Value::Boolean(b) => ValueKey::Boolean(*b),
            Value::Int(i) => ValueKey::Number(i128::from(*i) * 10_000),
            Value::Decimal(Decimal(d)) => ValueKey::Number(i128::from(*d)),
            Value::Double(d) => {
                let scaled = d * 10_000.0;
                if scaled.fract() == 0.0 && scaled.abs() < 9.0e15 {
                    ValueKey::Number(scaled as i128)
                } else {
                    ValueKey::Real(d.to_bits())
                }
            }
            Value::DateTime(t) => ValueKey::Time(t.0),
            Value::String(s) => ValueKey::Text(self.collation.key(s).into_owned()),
        }
    }

    /// The columns whose codes tell rows of all these tables apart, with how many codes they have;
    /// `None` where values have to be compared.
    fn packing(&self, tables: &[CellTable]) -> Option<Vec<(ColumnId, u64)>> {
        let (first, rest) = tables.split_first()?;
        let mut space = 1_u64;
        let columns = (0..first.rows.columns.len()).map(|at| {
            let column = first.rows.columns[at].of_model()?;
            let is_same =
                |t: &CellTable| t.rows.columns.get(at)?.of_model().filter(|c| *c == column);
            rest.iter().all(|t| is_same(t).is_some()).then_some(())?;
            let codes = u64::from(self.cardinality(column));
            space = space.checked_mul(codes)?;
            Some((column, codes))
        });
        columns.collect()
    }

    fn packed_key(&self, packing: &[(ColumnId, u64)], rows: &Rows, row: usize) -> u64 {
        evercube_work::tick();
        packing.iter().enumerate().fold(0, |key, (at, (column, codes))| {
            let code = rows.code(self.store, at, *column, row).unwrap_or_default();
            key * codes + u64::from(code)
        })
    }

    fn row_key(&self, rows: &Rows, row: usize) -> Vec<ValueKey> {
        (0..rows.columns.len()).map(|c| self.key(&rows.value(self.store, c, row))).collect()
    }

    pub(crate) fn distinct_rows(&self, n: usize, table: &CellTable) -> CellTable {
        let shared = table.starts.is_none();
        let n = if shared { 1 } else { n };
        let (of, kept) = match self.packing(std::slice::from_ref(table)) {
            Some(packing) => different(n, table, |row| self.packed_key(&packing, &table.rows, row)),
            None => different(n, table, |row| self.row_key(&table.rows, row)),
        };
        let rows = table.rows.take(&kept);
        if shared { CellTable::shared(rows) } else { CellTable::from_cells(&rows, &of, n) }
    }

    pub(crate) fn set_operation(
        &self,
        cells: &Cells,
        operation: SetOperation,
        tables: &[Node],
        node: &Node,
    ) -> Result<CellTable> {
        let tables: Vec<CellTable> =
            tables.iter().map(|t| self.table(cells, t)).collect::<Result<_>>()?;
        let Some((first, rest)) = tables.split_first() else {
            return Ok(CellTable::shared(Rows::default()));
        };
        if operation == SetOperation::Union {
            return self.union(cells.n, &tables, node);
        }
        let wanted = operation == SetOperation::Intersect;
        let (of, kept) = match self.packing(&tables) {
            Some(packing) => {
                let key = |rows: &Rows, row| self.packed_key(&packing, rows, row);
                found_in(cells.n, first, rest, wanted, key)
            }
            None => found_in(cells.n, first, rest, wanted, |rows, row| self.row_key(rows, row)),
        };
        let rows = first.rows.take(&kept).renamed(self.store, node.schema(), false);
        Ok(CellTable::from_cells(&rows, &of, cells.n))
    }

    fn union(&self, n: usize, tables: &[CellTable], node: &Node) -> Result<CellTable> {
        let mut of = Vec::new();
        let mut parts = Vec::new();
        for t in tables {
            let (cells, rows) = t.pairs(n);
            of.extend(cells);
            parts.push(t.rows.take(&rows));
        }
        self.check_size(of.len())?;
        let rows = Rows::concat(self.store, node.schema(), &parts.iter().collect::<Vec<_>>());
        Ok(CellTable::from_cells(&rows, &of, n))
    }

    pub(crate) fn natural_join(
        &self,
        cells: &Cells,
        sides: (&Node, &Node),
        outer: bool,
        (on, once): (&[(usize, usize)], bool),
        schema: &Schema,
    ) -> Result<CellTable> {
        let (left, right) = (self.table(cells, sides.0)?, self.table(cells, sides.1)?);
        let key = |rows: &Rows, row: usize, columns: &mut dyn Iterator<Item = usize>| {
            columns.map(|c| self.key(&rows.value(self.store, c, row))).collect::<Vec<ValueKey>>()
        };
        let (mut of, mut a, mut b, mut missing) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for cell in watched(0..cells.n) {
            let mut by_key: HashMap<Vec<ValueKey>, Vec<u32>> = HashMap::new();
            for row in right.range(cell) {
                let k = key(&right.rows, row, &mut on.iter().map(|p| p.1));
                by_key.entry(k).or_default().push(row as u32);
            }
            for row in left.range(cell) {
                let k = key(&left.rows, row, &mut on.iter().map(|p| p.0));
                let found = by_key.get(&k);
                if found.is_none() && outer {
                    missing.push(of.len());
                    of.push(cell as u32);
                    a.push(row as u32);
                    b.push(0);
                }
                for r in found.into_iter().flatten() {
                    tick();
                    of.push(cell as u32);
                    a.push(row as u32);
                    b.push(*r);
                }
            }
            self.check_size(of.len())?;
        }
        let right_rows = self.take_or_blank(&right.rows, &b, &missing);
        let mut rows = self.side_by_side(&left.rows.take(&a), &right_rows);
        // Columns of one name that are joined on appear once.
        let width = left.rows.columns.len();
        let mut position = 0;
        rows.columns.retain(|_| {
            position += 1;
            !once || !on.iter().any(|(_, r)| width + r == position - 1)
        });
        rows.schema = Arc::clone(schema);
        Ok(CellTable::from_cells(&rows, &of, cells.n))
    }

    pub(crate) fn substitute_with_index(
        &self,
        cells: &Cells,
        tables: (&Node, &Node),
        on: &[(usize, usize)],
        keep: &[usize],
        order_by: &[SortKey],
        schema: &Schema,
    ) -> Result<CellTable> {
        let (left, index) = (self.table(cells, tables.0)?, self.table(cells, tables.1)?);
        let index = self.sorted(cells, &index, order_by)?;
        let (mut of, mut rows, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for cell in watched(0..cells.n) {
            let mut places: HashMap<Vec<ValueKey>, i64> = HashMap::new();
            for (place, row) in (0..).zip(index.range(cell)) {
                let k = on.iter().map(|p| self.key(&index.rows.value(self.store, p.1, row)));
                places.entry(k.collect()).or_insert(place);
            }
            for row in left.range(cell) {
                let k = on.iter().map(|p| self.key(&left.rows.value(self.store, p.0, row)));
                if let Some(place) = places.get(&k.collect::<Vec<_>>()) {
                    of.push(cell as u32);
                    rows.push(row as u32);
                    numbers.push(Value::Int(*place));
                }
            }
        }
        let taken = left.rows.take(&rows);
        let mut columns: Vec<RowColumn> =
            keep.iter().map(|c| taken.detached(self.store, *c)).collect();
        columns.push(RowColumn::Values(Arc::new(numbers)));
        let rows =
            Rows { keep: false, schema: Arc::clone(schema), len: of.len(), base: None, columns };
        Ok(CellTable::from_cells(&rows, &of, cells.n))
    }
}

/// The first row of each key, by cell.
fn different<K: Eq + Hash>(
    n: usize,
    table: &CellTable,
    key: impl Fn(usize) -> K,
) -> (Vec<u32>, Vec<u32>) {
    let (mut of, mut kept) = (Vec::new(), Vec::new());
    for cell in watched(0..n) {
        let mut seen = HashSet::new();
        for row in table.range(cell) {
            if seen.insert(key(row)) {
                of.push(cell as u32);
                kept.push(row as u32);
            }
        }
    }
    (of, kept)
}

/// The rows of the first table whose keys are, or are not, among those of the others, by cell.
fn found_in<K: Eq + Hash>(
    n: usize,
    first: &CellTable,
    rest: &[CellTable],
    wanted: bool,
    key: impl Fn(&Rows, usize) -> K,
) -> (Vec<u32>, Vec<u32>) {
    let (mut of, mut kept) = (Vec::new(), Vec::new());
    for cell in watched(0..n) {
        let mut others = HashSet::new();
        rest.iter().for_each(|t| others.extend(t.range(cell).map(|row| key(&t.rows, row))));
        for row in first.range(cell) {
            if others.contains(&key(&first.rows, row)) == wanted {
                of.push(cell as u32);
                kept.push(row as u32);
            }
        }
    }
    (of, kept)
}
