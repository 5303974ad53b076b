//! The filters of a context as conditions on the rows of a scan's base table.

use std::sync::Arc;

use evercube_store::{BitSet, PathColumn, RelationshipId, ScanFilter, TableId};

use super::Evaluator;
use super::keyed_cells::KeyedCells;
use super::scan::Reach;
use crate::filter_context::{Filter, FilterContext};

impl Evaluator<'_> {
    /// The filters of a context as conditions on the rows of a base table.
    pub(crate) fn scan_filters(
        &self,
        context: &Arc<FilterContext>,
        base: TableId,
        reach: &Reach,
    ) -> Vec<ScanFilter> {
        let mut out = Vec::new();
        let reaches = |t: TableId| self.visibility().reaches(context, t, base);
        for filter in context.filters.iter().chain(context.secured.iter()) {
            match filter {
                Filter::Column { column, codes } => match reach.column(*column) {
                    Some(column) => {
                        out.push(ScanFilter::Codes { column, codes: Arc::clone(codes) });
                    }
                    None if !reaches(column.table) => {}
                    None => return vec![self.row_filter(context, base)],
                },
                Filter::Tuples { columns, tuples } => {
                    let paths: Vec<Option<PathColumn>> =
                        columns.iter().map(|c| reach.column(*c)).collect();
                    if paths.iter().all(Option::is_some) {
                        let mut sorted = evercube_work::map_blocks(tuples, Vec::clone);
                        sorted.sort_unstable_by(|a, b| {
                            evercube_work::tick();
                            a.cmp(b)
                        });
                        out.push(ScanFilter::Tuples {
                            columns: paths.into_iter().flatten().collect(),
                            tuples: Arc::new(sorted),
                        });
                    } else if columns.iter().any(|c| reaches(c.table)) {
                        return vec![self.row_filter(context, base)];
                    }
                }
                Filter::Rows { table, rows, without, relationships } => match reach.path(*table) {
                    Some(path) if without.is_empty() && relationships.is_none() => {
                        out.push(ScanFilter::Rows { path: path.clone(), rows: Arc::clone(rows) });
                    }
                    _ => {
                        let found_under = relationships.as_ref().unwrap_or(context);
                        let expanded = self.visibility().expanded(found_under, *table);
                        if expanded.iter().any(|(t, _)| *t == base || reaches(*t)) {
                            return vec![self.row_filter(context, base)];
                        }
                    }
                },
            }
        }
        out
    }

    fn row_filter(&self, context: &Arc<FilterContext>, base: TableId) -> ScanFilter {
        ScanFilter::Rows { path: Vec::new(), rows: self.visible(context, base) }
    }

    /// Leaves out groups that no cell asks for.
    pub(super) fn narrow(&self, keyed: &KeyedCells, filters: &mut Vec<ScanFilter>) {
        for (i, column) in keyed.columns.iter().enumerate() {
            let of = self.store.table(column.column.table).column(column.column.column);
            let mut codes = BitSet::new(of.cardinality() as usize, false);
            for c in keyed.codes[i].iter().filter(|c| **c < of.cardinality()) {
                codes.insert(*c as usize);
            }
            filters.extend(self.codes_filter(column, codes));
        }
    }

    /// A filter to codes of a column, where it leaves out any.
    pub(super) fn codes_filter(&self, column: &PathColumn, codes: BitSet) -> Option<ScanFilter> {
        let mut codes = codes;
        if !codes.get(0) && !self.may_be_blank(column) {
            codes.insert(0);
        }
        (!codes.all()).then(|| ScanFilter::Codes { column: column.clone(), codes: Arc::new(codes) })
    }

    /// Whether some row reaches a blank in the column.
    fn may_be_blank(&self, column: &PathColumn) -> bool {
        let to = |r: &RelationshipId| self.model.relationship(*r).def.to.table;
        column.path.iter().any(|r| self.store.has_blank_row(to(r)))
            || self.store.table(column.column.table).column(column.column.column).has_blank()
    }
}
