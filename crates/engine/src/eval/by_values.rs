//! Percentiles and spreads of a column: a scan counts the rows of each value, and no row is looked
//! at for itself.

use evercube_base::{Result, Value};
use evercube_store::{Aggregate, ColumnId, TableId};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::statistics;
use crate::plan::{Fold, Kind, Node};
use crate::scalar as rules;

impl Evaluator<'_> {
    /// Answers a statistic over a column of a model table; `None` where it is over something else.
    pub(super) fn by_values(
        &self,
        cells: &Cells,
        fold: Fold,
        table: TableId,
        body: &Node,
        extra: &[Node],
    ) -> Result<Option<Scalars>> {
        let column = match body.kind {
            Kind::RowColumn { frame, column } if frame == cells.frames.len() => column as u32,
            _ => return Ok(None),
        };
        let column = ColumnId { table, column };
        if !statistics::is_of_numbers(fold)
            || !body.data_type().is_numeric()
            || self.tells_rows(column)
        {
            return Ok(None);
        }
        let arguments = extra.first().map(|e| self.scalars(cells, e)).transpose()?;
        let count = |_: &_| Ok(vec![Aggregate::CountRows]);
        let grouped = self.scan(cells, table, &[column], false, &count)?;
        let values = self.store.table(table).column(column.column);
        let mut of_cells = vec![Vec::new(); cells.n];
        for (g, cell) in grouped.cells.iter().enumerate() {
            evercube_work::tick();
            let value = values.value(grouped.keys[0][g]);
            if let (false, Value::Int(rows)) = (value.is_blank(), &grouped.aggregates[0][g]) {
                of_cells[*cell as usize].push((rules::to_f64(&value)?, *rows as u64));
            }
        }
        let found = of_cells.into_iter().enumerate().map(|(cell, counted)| {
            statistics::of_numbers(fold, counted, arguments.as_ref().map(|a| a.get(cell)))
        });
        Ok(Some(Scalars::each(found.collect::<Result<_>>()?)))
    }
}
