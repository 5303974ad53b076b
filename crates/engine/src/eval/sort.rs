//! Sorting rows within their cells: `TOPN`, `SAMPLE` and the orders of other functions.

use std::cmp::Ordering;
use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_work::tick;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::rows::CellTable;
use super::sort_column::{SortColumn, compare};
use crate::plan::{Node, SortKey};
use crate::scalar as rules;

impl Evaluator<'_> {
    /// Sort keys for all rows of all cells, in the order of `CellTable::pairs`.
    fn sort_keys(
        &self,
        cells: &Cells,
        table: &CellTable,
        order_by: &[SortKey],
    ) -> Result<Vec<SortColumn>> {
        let (inner, _) = cells.iterate(table);
        self.sort_columns(&inner, order_by)
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
        let keys = self.sort_keys(cells, table, order_by)?;
        let (of, rows) = table.pairs(cells.n);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| {
            tick();
            of[*a].cmp(&of[*b]).then_with(|| compare(&keys, *a, *b, &self.collation))
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
        let is_constant = count.uses.is_constant() && skip.is_none_or(|s| s.uses.is_constant());
        if let [key] = order_by
            && is_constant
            && let Some((some, place)) = self.same_rows(cells, &table, &key.expression)
        {
            let skips = skip.is_some().then_some(&skips);
            let found = self.first_rows(&some, &table, &counts, skips, order_by)?;
            return self.for_same(&some, &found, &place);
        }
        self.first_rows(cells, &table, &counts, skip.is_some().then_some(&skips), order_by)
    }

    /// So many rows of each cell in the order of the keys, after so many that are skipped.
    fn first_rows(
        &self,
        cells: &Cells,
        table: &CellTable,
        counts: &Scalars,
        skips: Option<&Scalars>,
        order_by: &[SortKey],
    ) -> Result<CellTable> {
        let keys = self.sort_keys(cells, table, order_by)?;
        let by_keys = |a: &u32, b: &u32| {
            tick();
            compare(&keys, *a as usize, *b as usize, &self.collation)
        };
        // Equal rows keep their order.
        let by_place = |a: &u32, b: &u32| by_keys(a, b).then_with(|| a.cmp(b));
        let (_, rows) = table.pairs(cells.n);
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        let (mut kept, mut kept_of) = (Vec::new(), Vec::new());
        let mut start = 0;
        for cell in 0..cells.n {
            let len = table.range(cell).len();
            let here = &mut order[start..start + len];
            start += len;
            let first =
                usize::try_from(self.whole_number(skips.map_or(&Value::Blank, |s| s.get(cell)))?)
                    .unwrap_or(0)
                    .min(len);
            let wanted = usize::try_from(self.whole_number(counts.get(cell))?).unwrap_or(0);
            let end = first.saturating_add(wanted).min(len);
            if end == first {
                continue;
            }
            let mut ties = Vec::new();
            if end < len {
                let (_, last, after) = here.select_nth_unstable_by(end - 1, by_place);
                if skips.is_none() && !order_by.is_empty() {
                    ties.extend(after.iter().copied().filter(|i| by_keys(last, i).is_eq()));
                    ties.sort_unstable();
                }
            }
            here[..end].sort_unstable_by(by_place);
            for i in here[first..end].iter().chain(&ties) {
                kept.push(rows[*i as usize]);
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
    ) -> Result<Vec<u32>> {
        let mut order: Vec<u32> = (0..table.rows.len as u32).collect();
        if !order_by.is_empty() {
            let keys = self.sort_keys(cells, table, order_by)?;
            order.sort_by(|a, b| {
                tick();
                compare(&keys, *a as usize, *b as usize, &self.collation)
            });
        }
        Ok(order)
    }

    /// Values of the sort keys for each row of a result.
    pub(crate) fn result_keys(
        &self,
        cells: &Cells,
        table: &CellTable,
        order_by: &[SortKey],
    ) -> Result<Vec<Scalars>> {
        let (inner, _) = cells.iterate(table);
        order_by.iter().map(|k| self.scalars(&inner, &k.expression)).collect()
    }
}

impl CellTable {
    /// Empty for every cell.
    pub(crate) fn none(rows: super::rows::Rows) -> Self {
        Self { rows: Arc::new(rows), starts: None }
    }
}
