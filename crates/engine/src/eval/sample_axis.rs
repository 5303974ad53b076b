//! `SAMPLEAXISWITHLOCALMINMAX`: so many rows of a line that its shape stays: of every stretch of
//! the axis the rows where a measure is lowest and highest.

use std::cmp::Ordering;

use evercube_base::Result;
use evercube_work::watched;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::rows::CellTable;
use crate::plan::Node;
use crate::scalar as rules;

impl Evaluator<'_> {
    pub(crate) fn sample_axis(
        &self,
        cells: &Cells,
        count: &Node,
        table: &Node,
        axis: &Node,
        measures: &[Node],
    ) -> Result<CellTable> {
        let counts = self.scalars(cells, count)?;
        let table = self.table(cells, table)?;
        let (inner, _) = cells.iterate(&table);
        let axis = self.scalars(&inner, axis)?;
        let measures: Vec<Scalars> =
            measures.iter().map(|m| self.scalars(&inner, m)).collect::<Result<_>>()?;
        let (mut kept, mut of, mut start) = (Vec::new(), Vec::new(), 0);
        for cell in watched(0..cells.n) {
            let range = table.range(cell);
            let wanted = usize::try_from(self.whole_number(counts.get(cell))?).unwrap_or(0);
            // Places in the order of the inner cells.
            let mut order: Vec<usize> = (start..start + range.len()).collect();
            if order.len() > wanted {
                let by = |a: &usize, b: &usize| self.order(&axis, *a, *b);
                order.sort_by(by);
                order = self.extremes(&order, &measures, wanted);
            }
            kept.extend(order.iter().map(|i| (range.start + i - start) as u32));
            of.resize(kept.len(), cell as u32);
            start += range.len();
        }
        Ok(CellTable::from_cells(&table.rows.take(&kept), &of, cells.n))
    }

    fn order(&self, values: &Scalars, a: usize, b: usize) -> Ordering {
        rules::total_order(values.get(a), values.get(b), &self.collation)
    }

    /// Of equal stretches the rows where some measure is lowest or highest, at most `wanted`.
    fn extremes(&self, order: &[usize], measures: &[Scalars], wanted: usize) -> Vec<usize> {
        let stretches = (wanted / (2 * measures.len().max(1))).max(1);
        let length = order.len().div_ceil(stretches);
        let mut kept = Vec::new();
        for stretch in order.chunks(length) {
            let mut picked: Vec<usize> = Vec::new();
            for m in measures {
                let by = |a: &&usize, b: &&usize| self.order(m, **a, **b);
                picked.extend(stretch.iter().min_by(by));
                picked.extend(stretch.iter().max_by(by));
            }
            picked.sort_unstable();
            picked.dedup();
            kept.extend(picked);
        }
        kept.truncate(wanted);
        kept.sort_unstable();
        kept
    }
}
