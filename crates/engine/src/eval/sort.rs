//! Sorting rows within their cells: `TOPN`, `SAMPLE` and the orders of other functions.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_work::{tick, watched};

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
        let first = match skip {
            None => self.first_groups(cells, &counts, table, order_by)?,
            Some(_) => None,
        };
        let table = first.map_or_else(|| self.table(cells, table), Ok)?;
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
        let (_, rows) = table.pairs(cells.n);
        let (mut kept, mut kept_of) = (Vec::new(), Vec::new());
        let mut start = 0;
        for cell in watched(0..cells.n) {
            let here = start..start + table.range(cell).len();
            start = here.end;
            let number = |v: &Value| Ok(usize::try_from(self.whole_number(v)?).unwrap_or(0));
            let first = number(skips.map_or(&Value::Blank, |s| s.get(cell)))?.min(here.len());
            let wanted = number(counts.get(cell))?;
            let end = first.saturating_add(wanted).min(here.len());
            if end == first {
                continue;
            }
            let with_ties = skips.is_none() && !order_by.is_empty();
            let found = first_places(here, end, with_ties, &by_keys);
            kept.extend(found[first..].iter().map(|i| rows[*i as usize]));
            kept_of.resize(kept.len(), cell as u32);
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
        for cell in watched(0..cells.n) {
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

/// The first `n` places of a range in an order, equal ones as they come, and after them those that
/// tie with the last where these are wanted. `n` is at most as long as the range and not 0.
fn first_places(
    range: Range<usize>,
    n: usize,
    with_ties: bool,
    order: &impl Fn(&u32, &u32) -> Ordering,
) -> Vec<u32> {
    let by_place = |a: &u32, b: &u32| order(a, b).then_with(|| a.cmp(b));
    // The best so far, and what has come since that may be better.
    let most = (2 * n).max(1 << 10);
    let mut best: Vec<u32> = Vec::with_capacity(most.min(range.len()));
    let mut ties = Vec::new();
    let mut last: Option<u32> = None;
    let keep_best = |best: &mut Vec<u32>, ties: &mut Vec<u32>| {
        let (_, last, after) = best.select_nth_unstable_by(n - 1, by_place);
        let last = *last;
        if with_ties {
            ties.retain(|i| order(i, &last).is_eq());
            ties.extend(after.iter().copied().filter(|i| order(i, &last).is_eq()));
        }
        best.truncate(n);
        last
    };
    for place in range.start as u32..range.end as u32 {
        match last.as_ref().map(|last| order(&place, last)) {
            Some(Ordering::Greater) => continue,
            // It comes after the ones it equals.
            Some(Ordering::Equal) => {
                if with_ties {
                    ties.push(place);
                }
                continue;
            }
            _ => best.push(place),
        }
        if best.len() >= most {
            last = Some(keep_best(&mut best, &mut ties));
        }
    }
    keep_best(&mut best, &mut ties);
    best.sort_unstable_by(by_place);
    ties.sort_unstable();
    best.extend(ties);
    best
}

impl CellTable {
    /// Empty for every cell.
    pub(crate) fn none(rows: super::rows::Rows) -> Self {
        Self { rows: Arc::new(rows), starts: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_places_are_those_of_a_sorted_list() {
        let mut seed = 1_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        for (len, values) in [(1, 1), (5, 3), (3000, 7), (5000, 100_000), (4000, 1)] {
            let keys: Vec<u64> = (0..len).map(|_| next() % values).collect();
            let order = |a: &u32, b: &u32| keys[*a as usize].cmp(&keys[*b as usize]);
            let from = len / 10;
            let mut sorted: Vec<u32> = (from as u32..len as u32).collect();
            sorted.sort_by(order);
            for n in [1, 2, 10, 1000, len].into_iter().filter(|n| *n <= len - from) {
                let of_last = keys[sorted[n - 1] as usize];
                let tied = sorted[n..].iter().take_while(|i| keys[**i as usize] == of_last).count();
                assert_eq!(first_places(from..len, n, false, &order), sorted[..n]);
                assert_eq!(first_places(from..len, n, true, &order), sorted[..n + tied]);
            }
        }
    }
}
