//! Sorting rows within their cells: `TOPN`, `SAMPLE` and the orders of other functions.

use std::cmp::Ordering;
use std::sync::Arc;

use evercube_base::{Result, Value};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::rows::CellTable;
use crate::plan::{Node, SortKey};
use crate::scalar as rules;

impl Evaluator<'_> {
    /// Values of sort keys for all rows of all cells, in the order of `CellTable::pairs`.
    fn sort_values(
        &self,
        cells: &Cells,
        table: &CellTable,
        order_by: &[SortKey],
    ) -> Result<Vec<Scalars>> {
        let (inner, _) = cells.iterate(table);
        order_by.iter().map(|k| self.scalars(&inner, &k.expression)).collect()
    }

    pub(crate) fn by_keys(
        &self,
        keys: &[Scalars],
        order_by: &[SortKey],
        a: usize,
        b: usize,
    ) -> Ordering {
        keys.iter().zip(order_by).fold(Ordering::Equal, |order, (values, key)| {
            order.then_with(|| {
                let o = rules::total_order(values.get(a), values.get(b), &self.collation);
                if key.descending { o.reverse() } else { o }
            })
        })
    }

    /// The rows of each cell in the order of the keys; equal rows keep their order.
    pub(crate) fn sorted(
        &self,
        cells: &Cells,
        table: &CellTable,
        order_by: &[SortKey],
    ) -> Result<CellTable> {
        let keys = self.sort_values(cells, table, order_by)?;
        let (of, rows) = table.pairs(cells.n);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| {
            of[*a].cmp(&of[*b]).then_with(|| self.by_keys(&keys, order_by, *a, *b))
        });
        let taken: Vec<u32> = order.iter().map(|i| rows[*i]).collect();
        let of: Vec<u32> = order.iter().map(|i| of[*i]).collect();
        Ok(CellTable::from_cells(&table.rows.take(&taken), &of, cells.n))
    }

    /// `TOPN`: rows that tie with the last one come along.
    pub(crate) fn top_n(
        &self,
        cells: &Cells,
        count: &Node,
        skip: Option<&Node>,
        table: &Node,
        order_by: &[SortKey],
    ) -> Result<CellTable> {
        let counts = self.scalars(cells, count)?;
        let skips = match skip {
            Some(s) => self.scalars(cells, s)?,
            None => Scalars::Same(Value::Int(0)),
        };
        let table = self.table(cells, table)?;
        let keys = self.sort_values(cells, &table, order_by)?;
        let (of, rows) = table.pairs(cells.n);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| {
            of[*a].cmp(&of[*b]).then_with(|| self.by_keys(&keys, order_by, *a, *b))
        });
        let (mut kept, mut kept_of) = (Vec::new(), Vec::new());
        let mut start = 0;
        for cell in 0..cells.n {
            let len = table.range(cell).len();
            let sorted = &order[start..start + len];
            start += len;
            let first = usize::try_from(self.whole_number(skips.get(cell))?).unwrap_or(0).min(len);
            let wanted = usize::try_from(self.whole_number(counts.get(cell))?).unwrap_or(0);
            let mut end = first.saturating_add(wanted).min(len);
            if skip.is_none() && !order_by.is_empty() && end > first {
                while end < len
                    && self.by_keys(&keys, order_by, sorted[end - 1], sorted[end]).is_eq()
                {
                    end += 1;
                }
            }
            for i in &sorted[first..end.max(first)] {
                kept.push(rows[*i]);
                kept_of.push(cell as u32);
            }
        }
        Ok(CellTable::from_cells(&table.rows.take(&kept), &kept_of, cells.n))
    }

    /// `SAMPLE`: rows at even distances in the order of the keys, first and last among them.
    pub(crate) fn sample(
        &self,
        cells: &Cells,
        count: &Node,
        table: &Node,
        order_by: &[SortKey],
    ) -> Result<CellTable> {
        let counts = self.scalars(cells, count)?;
        let table = self.table(cells, table)?;
        let table = self.sorted(cells, &table, order_by)?;
        let (mut kept, mut of) = (Vec::new(), Vec::new());
        for cell in 0..cells.n {
            let range = table.range(cell);
            let wanted = usize::try_from(self.whole_number(counts.get(cell))?).unwrap_or(0);
            for i in 0..wanted.min(range.len()) {
                let step = if wanted > 1 { (range.len() - 1) * i / (wanted - 1) } else { 0 };
                let at = if range.len() <= wanted { i } else { step };
                kept.push((range.start + at) as u32);
                of.push(cell as u32);
            }
        }
        Ok(CellTable::from_cells(&table.rows.take(&kept), &of, cells.n))
    }

    /// Order of the rows of a result.
    pub(crate) fn result_order(
        &self,
        cells: &Cells,
        table: &CellTable,
        order_by: &[SortKey],
    ) -> Result<(Vec<u32>, Vec<Scalars>)> {
        let keys = self.sort_values(cells, table, order_by)?;
        let mut order: Vec<u32> = (0..table.rows.len as u32).collect();
        if !order_by.is_empty() {
            order.sort_by(|a, b| self.by_keys(&keys, order_by, *a as usize, *b as usize));
        }
        Ok((order, keys))
    }
}

impl CellTable {
    /// Empty for every cell.
    pub(crate) fn none(rows: super::rows::Rows) -> Self {
        Self { rows: Arc::new(rows), starts: None }
    }
}
