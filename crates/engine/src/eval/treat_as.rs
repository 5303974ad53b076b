//! `TREATAS`: values of a table taken for those of columns of the model.

use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_work::{tick, watched};

use super::Evaluator;
use super::rows::{CellTable, RowColumn, Rows};
use crate::plan::Schema;

impl Evaluator<'_> {
    /// The rows whose values all occur in the columns they are taken for, written as there.
    pub(crate) fn treat_as(
        &self,
        table: &CellTable,
        schema: &Schema,
        cells: usize,
    ) -> Result<CellTable> {
        let rows = &table.rows;
        let mut codes = Vec::with_capacity(schema.len());
        for (at, column) in schema.iter().enumerate() {
            let Some(of) = column.lineage else {
                return Err(Error::internal("TREATAS without a column of the model"));
            };
            let column = self.store.table(of.table).column(of.column);
            // Between the first and the last value there may be some that no row has.
            let has_blank = column.has_blank() || self.store.has_blank_row(of.table);
            let is_there = |code: &u32| match *code {
                0 => has_blank,
                code => column.has_dictionary() || column.present().get(code as usize),
            };
            let code = |row: usize| {
                tick();
                rows.code(self.store, at, of, row).filter(is_there)
            };
            codes.push((of, watched(0..rows.len).map(code).collect::<Vec<Option<u32>>>()));
        }
        let occurs = |row: &usize| codes.iter().all(|(_, c)| c[*row].is_some());
        let starts = table.starts.as_ref().map(|_| {
            let mut starts = vec![0u32];
            for cell in watched(0..cells) {
                let kept = table.range(cell).filter(occurs).count() as u32;
                starts.push(starts.last().copied().unwrap_or_default() + kept);
            }
            Arc::new(starts)
        });
        let kept: Vec<usize> = watched(0..rows.len).filter(occurs).collect();
        let columns = codes.iter().map(|(of, codes)| {
            let kept = kept.iter().filter_map(|row| codes[*row]).collect();
            RowColumn::Codes { column: *of, codes: Arc::new(kept) }
        });
        let columns = columns.collect();
        let schema = Arc::clone(schema);
        let rows = Rows { keep: false, schema, len: kept.len(), base: None, columns };
        Ok(CellTable { rows: Arc::new(rows), starts })
    }
}
