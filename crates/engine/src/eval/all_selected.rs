//! `ALLSELECTED`: back to the filters in force before the innermost iteration.
//!
//! An iteration leaves the rows it goes through as a shadow filter. `ALLSELECTED` takes away the
//! filters on its columns and puts the innermost shadow's in their place; the groups of
//! `SUMMARIZECOLUMNS` leave the filters the groups were formed under.

use std::collections::BTreeSet;

use evercube_store::{ColumnId, TableId};
use evercube_work::watched;

use super::Evaluator;
use super::cells::{Cells, Key, KeyTarget, Shadow, compose};
use super::rows::Rows;
use crate::filter_context::Filter;

impl Evaluator<'_> {
    pub(crate) fn restore_selected(
        &self,
        inner: &mut Cells,
        columns: Option<&[ColumnId]>,
        outer: &Cells,
    ) {
        // Where nothing was iterated, what is selected is what is filtered.
        let Some((shadow, of_shadow)) = self.shadow_of(outer, columns) else { return };
        if let Some(outside) = &shadow.grouped {
            return self.restore_query(inner, outside, &shadow.index, &of_shadow);
        }
        inner.remove(&of_shadow);
        self.put_shadow(inner, shadow, &of_shadow);
    }

    /// The innermost shadow on some of these columns, with those of them that it is on.
    pub(super) fn shadow_of<'c>(
        &self,
        cells: &'c Cells,
        columns: Option<&[ColumnId]>,
    ) -> Option<(&'c Shadow, Vec<ColumnId>)> {
        cells.shadows.iter().rev().find_map(|shadow| {
            let mut on = self.columns_of_rows(&shadow.table.rows, &shadow.relationships);
            on.retain(|c| columns.is_none_or(|of| of.contains(c)));
            (!on.is_empty()).then_some((shadow, on))
        })
    }

    /// The filters on columns as they are in the cells that a query's groups stand on; `of` says
    /// in which of them.
    fn restore_query(&self, inner: &mut Cells, outside: &Cells, of: &[u32], columns: &[ColumnId]) {
        inner.remove_keys(columns);
        let on = |k: &&Key| matches!(k.target, KeyTarget::Column(c) if columns.contains(&c));
        for key in outside.keys.iter().filter(on) {
            let codes = compose(&key.codes, of);
            inner.keys.push(Key { target: key.target.clone(), codes });
        }
        let others: Vec<ColumnId> = (0..self.model.tables().len() as u32)
            .flat_map(|t| self.model.columns_of(TableId(t)))
            .filter(|c| !columns.contains(c))
            .collect();
        let pairs: BTreeSet<(usize, usize)> = watched(0..inner.n)
            .map(|cell| (inner.context_of(cell), outside.context_of(of[cell] as usize)))
            .collect();
        let is_same =
            |(a, b): &(usize, usize)| inner.distinct[*a].filters == outside.distinct[*b].filters;
        if pairs.iter().all(is_same) {
            return;
        }
        let restored: Vec<Vec<Filter>> = outside
            .distinct
            .iter()
            .map(|c| {
                let mut restored = c.as_ref().clone();
                restored.remove(&others);
                restored.filters
            })
            .collect();
        inner.edit(|c| c.remove(columns));
        inner.add_filters(&restored, |cell| outside.context_of(of[cell] as usize));
    }

    fn put_shadow(&self, inner: &mut Cells, shadow: &Shadow, columns: &[ColumnId]) {
        // Only the columns asked for come back.
        let rows = &shadow.table.rows;
        let mut others = self.columns_of_rows(rows, &shadow.relationships);
        others.retain(|c| !columns.contains(c));
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
        let place: Vec<usize> = watched(of.iter())
            .map(|cell| {
                let key = if table.starts.is_none() { 0 } else { *cell };
                *known.entry(key).or_insert_with(|| {
                    let mut filter = self.rows_filter(&table.rows, table.range(key as usize));
                    if let Some(Filter::Rows { without, .. }) = &mut filter {
                        without.clone_from(&others);
                    }
                    if let (Some(filter), Some(now)) = (&mut filter, inner.distinct.first()) {
                        filter.found_under(&shadow.relationships, now, &self.visibility());
                    }
                    filters.push(filter);
                    filters.len() - 1
                })
            })
            .collect();
        inner.add_each(&filters, |cell| place[cell]);
    }
}
