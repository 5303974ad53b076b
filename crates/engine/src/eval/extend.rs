//! `ADDCOLUMNS`, `SELECTCOLUMNS`, `GENERATE`, `CROSSJOIN`.

use std::sync::Arc;

use evercube_base::Result;
use evercube_work::watched;

use super::Evaluator;
use super::cells::Cells;
use super::rows::{CellTable, RowColumn, Rows};
use crate::plan::{Kind, NamedNode, Node, Schema};

impl Evaluator<'_> {
    pub(crate) fn extend(
        &self,
        cells: &Cells,
        table: &CellTable,
        columns: &[NamedNode],
        keep: bool,
        schema: &Schema,
    ) -> Result<CellTable> {
        // Rows that every cell shares are multiplied: their new columns differ by cell.
        let table = self.spread(cells, table, columns)?;
        let n = if table.starts.is_some() { cells.n } else { 1 };
        let (inner, _) = if table.starts.is_some() {
            cells.iterate(&table)
        } else {
            cells.representative_with_keys().iterate(&table)
        };
        debug_assert!(n == 1 || inner.n == table.rows.len);
        self.share_scans_of(&inner, &columns.iter().map(|c| &c.node).collect::<Vec<_>>())?;
        let mut out: Vec<RowColumn> = Vec::new();
        if keep {
            out.extend((0..table.rows.columns.len()).map(|c| table.rows.columns[c].clone()));
        }
        let frame = inner.frames.len() - 1;
        for column in columns {
            // A plain reference keeps its codes.
            if let Kind::RowColumn { frame: f, column } = column.node.kind
                && f == frame
            {
                out.push(table.rows.detached(self.store, column));
                continue;
            }
            let values = self.scalars(&inner, &column.node)?;
            out.push(RowColumn::Values(Arc::new(values.into_vec(inner.n))));
        }
        let base = if keep { table.rows.base.clone() } else { None };
        let rows = Rows {
            keep: false,
            schema: Arc::clone(schema),
            len: table.rows.len,
            base,
            columns: out,
        };
        Ok(table.with_rows(rows))
    }

    /// Rows of their own for every cell, unless all cells are alike anyway.
    fn spread(&self, cells: &Cells, table: &CellTable, columns: &[NamedNode]) -> Result<CellTable> {
        let alike = cells.n == 1 || columns.iter().all(|c| c.node.uses.is_constant());
        if table.starts.is_some() || alike {
            return Ok(table.clone());
        }
        self.check_size(table.rows.len.saturating_mul(cells.n))?;
        let (of, rows) = table.pairs(cells.n);
        Ok(CellTable::from_cells(&table.rows.take(&rows), &of, cells.n))
    }

    pub(crate) fn cross_join(
        &self,
        cells: &Cells,
        tables: &[Node],
        node: &Node,
    ) -> Result<CellTable> {
        let mut parts = tables.iter().map(|t| self.table(cells, t));
        let Some(first) = parts.next() else {
            return Ok(CellTable::shared(Rows::default()));
        };
        let mut joined = first?;
        for part in parts {
            joined = self.cross(cells.n, &joined, &part?)?;
        }
        Ok(joined.with_rows(joined.rows.renamed(self.store, node.schema(), false)))
    }

    /// Every row of the left with every row of the right, cell by cell.
    pub(crate) fn cross(&self, n: usize, left: &CellTable, right: &CellTable) -> Result<CellTable> {
        let shared = left.starts.is_none() && right.starts.is_none();
        let n = if shared { 1 } else { n };
        let of_cell = |c| left.range(c).len().saturating_mul(right.range(c).len());
        let size = watched(0..n).map(of_cell).fold(0, usize::saturating_add);
        self.check_size(size)?;
        let (mut of, mut a, mut b) =
            (Vec::with_capacity(size), Vec::with_capacity(size), Vec::with_capacity(size));
        for cell in watched(0..n) {
            for l in left.range(cell) {
                evercube_work::tick();
                let range = right.range(cell);
                of.extend(std::iter::repeat_n(cell as u32, range.len()));
                a.extend(std::iter::repeat_n(l as u32, range.len()));
                b.extend(range.start as u32..range.end as u32);
            }
        }
        let rows = self.side_by_side(&left.rows.take(&a), &right.rows.take(&b));
        Ok(if shared { CellTable::shared(rows) } else { CellTable::from_cells(&rows, &of, n) })
    }

    /// Two sets of rows of equal length as one.
    pub(crate) fn side_by_side(&self, left: &Rows, right: &Rows) -> Rows {
        let schema = left.schema.iter().chain(right.schema.iter()).cloned().collect();
        let columns = (0..left.columns.len())
            .map(|c| left.detached(self.store, c))
            .chain((0..right.columns.len()).map(|c| right.detached(self.store, c)));
        Rows {
            keep: false,
            schema: Arc::new(schema),
            len: left.len,
            base: None,
            columns: columns.collect(),
        }
    }

    pub(crate) fn generate(
        &self,
        cells: &Cells,
        outer: &Node,
        inner: &Node,
        all: bool,
        schema: &Schema,
    ) -> Result<CellTable> {
        let table = self.table(cells, outer)?;
        let (rows_cells, parents) = cells.iterate(&table);
        let (_, rows) = table.pairs(cells.n);
        let found = self.table(&rows_cells, inner)?;
        let (mut of, mut a, mut b) = (Vec::new(), Vec::new(), Vec::new());
        let mut missing = Vec::new();
        for i in watched(0..rows_cells.n) {
            let range = found.range(i);
            if range.is_empty() && all {
                missing.push(of.len());
                of.push(parents[i]);
                a.push(rows[i]);
                b.push(0);
            }
            for r in range {
                evercube_work::tick();
                of.push(parents[i]);
                a.push(rows[i]);
                b.push(r as u32);
            }
        }
        self.check_size(of.len())?;
        let right = if missing.is_empty() {
            found.rows.take(&b)
        } else {
            self.take_or_blank(&found.rows, &b, &missing)
        };
        let rows = self.side_by_side(&table.rows.take(&a), &right);
        let rows = rows.renamed(self.store, Arc::clone(schema), true);
        Ok(CellTable::from_cells(&rows, &of, cells.n))
    }

    /// Rows by number, blank at the places in `missing`.
    pub(crate) fn take_or_blank(&self, rows: &Rows, take: &[u32], missing: &[usize]) -> Rows {
        let mut blank = vec![false; take.len()];
        missing.iter().for_each(|m| blank[*m] = true);
        let columns = (0..rows.columns.len()).map(|c| {
            let value = |(i, r): (usize, &u32)| match blank[i] {
                true => evercube_base::Value::Blank,
                false => rows.value(self.store, c, *r as usize),
            };
            RowColumn::Values(Arc::new(watched(take).enumerate().map(value).collect()))
        });
        let columns = columns.collect();
        Rows { keep: false, schema: Arc::clone(&rows.schema), len: take.len(), base: None, columns }
    }
}

impl Cells {
    /// The first cell, keys and all.
    pub(crate) fn representative_with_keys(&self) -> Self {
        self.select(&[0])
    }
}
