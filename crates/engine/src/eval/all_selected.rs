//! `ALLSELECTED`: back to the filters in force before the innermost iteration.
//!
//! An iteration leaves the rows it goes through as a shadow filter. `ALLSELECTED` takes away the
//! filters on its columns and puts the innermost shadow's in their place; the groups of
//! `SUMMARIZECOLUMNS` leave the filters the groups were formed under.

use evercube_store::ColumnId;

use super::Evaluator;
use super::cells::{Cells, Shadow};
use super::rows::Rows;

impl Evaluator<'_> {
    pub(crate) fn restore_selected(
        &self,
        inner: &mut Cells,
        columns: Option<&[ColumnId]>,
        outer: &Cells,
    ) {
        let concerned = |c: &ColumnId| columns.is_none_or(|of| of.contains(c));
        let shadow = outer
            .shadows
            .iter()
            .rev()
            .find(|s| self.filter_columns(&s.table.rows).iter().any(&concerned));
        let Some(shadow) = shadow.cloned() else {
            // Nothing was iterated: what is selected is what is filtered.
            return;
        };
        let mut of_shadow = self.filter_columns(&shadow.table.rows);
        of_shadow.retain(&concerned);
        if shadow.keys_only {
            inner.remove_keys(&of_shadow);
            return;
        }
        inner.remove(&of_shadow);
        self.put_shadow(inner, &shadow, &of_shadow);
    }

    fn put_shadow(&self, inner: &mut Cells, shadow: &Shadow, columns: &[ColumnId]) {
        // Only the columns asked for come back.
        let rows = &shadow.table.rows;
        let table = if rows.base.is_some() {
            shadow.table.clone()
        } else {
            let kept: Vec<usize> = (0..rows.schema.len())
                .filter(|i| rows.schema[*i].lineage.is_some_and(|l| columns.contains(&l)))
                .collect();
            let narrowed = Rows {
                keep: false,
                schema: std::sync::Arc::new(kept.iter().map(|i| rows.schema[*i].clone()).collect()),
                len: rows.len,
                base: None,
                columns: kept.iter().map(|i| rows.columns[*i].clone()).collect(),
            };
            super::rows::CellTable {
                rows: std::sync::Arc::new(narrowed),
                starts: shadow.table.starts.clone(),
            }
        };
        let of = &shadow.index;
        let mut known = std::collections::HashMap::new();
        let mut filters = Vec::new();
        let place: Vec<usize> = of
            .iter()
            .map(|cell| {
                let key = if table.starts.is_none() { 0 } else { *cell };
                *known.entry(key).or_insert_with(|| {
                    filters.push(self.rows_filter(&table.rows, table.range(key as usize)));
                    filters.len() - 1
                })
            })
            .collect();
        inner.add_each(&filters, |cell| place[cell]);
    }
}
