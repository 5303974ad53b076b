//! Variances and standard deviations over long tables from sums: of the values less one number near
//! their mean, and of the squares of these differences. Two scans, and no row is looked at for
//! itself.

use evercube_base::{Result, Value};
use evercube_store::{Aggregate, RowExpr, TableId};
use evercube_work::watched;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use crate::plan::{Fold, Node};

/// The square of a mean may be so much larger than the variance around it. More would leave too few
/// of the digits of a double.
const MOST_CANCELLED: f64 = 1e4;

impl Evaluator<'_> {
    /// As [`Evaluator::variances`], of arithmetic over a model table; `None` as well where the table
    /// is short or some value may be blank.
    pub(super) fn variances_of_expression(
        &self,
        cells: &Cells,
        fold: Fold,
        table: TableId,
        body: &Node,
    ) -> Result<Option<Scalars>> {
        if self.store.table(table).rows() < self.context.long_table {
            return Ok(None);
        }
        match self.row_expression(body, cells.frames.len(), table) {
            Some(value) if self.is_filled(&value) => self.variances(cells, fold, table, value),
            _ => Ok(None),
        }
    }

    /// The variance, or its root, of values that are never blank in each cell; `None` where the
    /// cells differ so much that sums would lose digits.
    pub(super) fn variances(
        &self,
        cells: &Cells,
        fold: Fold,
        table: TableId,
        value: RowExpr,
    ) -> Result<Option<Scalars>> {
        let of_cells = |aggregates: Vec<Aggregate>| {
            self.scan(cells, table, &[], false, &move |_| Ok(aggregates.clone()))
        };
        let number = |v: &Value| v.as_f64().unwrap_or(0.0);
        let totals = of_cells(vec![Aggregate::Sum(value.clone()), Aggregate::CountRows])?;
        let all = |i: usize| totals.aggregates.get(i).map_or(0.0, |a| a.iter().map(number).sum());
        let (sum, rows): (f64, f64) = (all(0), all(1));
        let near = Box::new(RowExpr::Constant(Value::Double((sum / rows.max(1.0)).round())));
        let off = RowExpr::Subtract(Box::new(value), near);
        let square = RowExpr::Multiply(Box::new(off.clone()), Box::new(off.clone()));
        let aggregates = vec![Aggregate::Sum(off), Aggregate::Sum(square), Aggregate::CountRows];
        let sums = of_cells(aggregates)?;
        let mut out = vec![Value::Blank; cells.n];
        for (g, cell) in watched(&sums.cells).enumerate() {
            let [sum, squares, n] = [0, 1, 2].map(|i| number(&sums.aggregates[i][g]));
            let of_mean = sum * sum / n;
            let around = squares - of_mean;
            if of_mean > around * MOST_CANCELLED {
                return Ok(None);
            }
            let value = match fold {
                Fold::VarP => around / n,
                Fold::StdevP => (around / n).sqrt(),
                Fold::VarS if n > 1.0 => around / (n - 1.0),
                Fold::StdevS if n > 1.0 => (around / (n - 1.0)).sqrt(),
                _ => continue,
            };
            out[*cell as usize] = Value::Double(value);
        }
        Ok(Some(Scalars::each(out)))
    }
}
