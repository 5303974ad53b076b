//! Questions about the filter context itself: `ISFILTERED`, `HASONEFILTER`, `FILTERS` …

use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_store::{BitSet, ColumnId};
use evercube_work::watched;

use super::Evaluator;
use super::cells::{Cells, KeyTarget, Scalars};
use super::rows::{CellTable, RowColumn, Rows};
use crate::filter_context::{Filter, FilterContext};
use crate::plan::{ContextTest, Schema};

impl Evaluator<'_> {
    pub(crate) fn context_test(
        &self,
        cells: &Cells,
        test: ContextTest,
        columns: &[ColumnId],
    ) -> Result<Scalars> {
        let keyed = columns.iter().any(|c| self.is_keyed(cells, *c));
        let answers: Vec<bool> = cells
            .distinct
            .iter()
            .map(|context| match test {
                ContextTest::IsFiltered => {
                    keyed || columns.iter().any(|c| self.filters_column(context, *c))
                }
                ContextTest::IsInScope => keyed,
                ContextTest::HasOneFilter => {
                    keyed || columns.iter().any(|c| self.direct(context, *c).count() == 1)
                }
                ContextTest::IsCrossFiltered => columns.iter().any(|c| {
                    let reaches = |t| self.visibility().reaches(context, t, c.table);
                    cells.keys.iter().any(|k| reaches(k.target.table()))
                        || context.filters.iter().any(|f| match f {
                            Filter::Column { column, .. } => reaches(column.table),
                            Filter::Tuples { columns, .. } => {
                                columns.iter().any(|c| reaches(c.table))
                            }
                            Filter::Rows { table, relationships, .. } => {
                                let found_under = relationships.as_deref().unwrap_or(context);
                                let expanded = self.visibility().expanded(found_under, *table);
                                expanded.iter().any(|(t, _)| reaches(*t))
                            }
                        })
                }),
            })
            .collect();
        self.each(cells.n, |i| Ok(Value::Boolean(answers[cells.context_of(i)])))
    }

    fn is_keyed(&self, cells: &Cells, column: ColumnId) -> bool {
        cells.keys.iter().any(|k| match &k.target {
            KeyTarget::Column(c) => *c == column,
            KeyTarget::Row { table, without } => {
                *table == column.table && !without.contains(&column)
            }
        })
    }

    fn filters_column(&self, context: &FilterContext, column: ColumnId) -> bool {
        context.filters.iter().any(|f| match f {
            Filter::Rows { table, without, relationships, .. } => {
                let found_under = relationships.as_deref().unwrap_or(context);
                let expanded = self.visibility().expanded(found_under, *table);
                expanded.iter().any(|(t, _)| *t == column.table) && !without.contains(&column)
            }
            f => f.is_on(column),
        })
    }

    /// Codes a column is filtered to directly; all of them where nothing filters it.
    fn direct(&self, context: &FilterContext, column: ColumnId) -> BitSet {
        let n = self.store.table(column.table).column(column.column).cardinality() as usize;
        let mut allowed = BitSet::new(n, true);
        let mut any = false;
        for filter in &context.filters {
            let codes = match filter {
                Filter::Column { column: c, codes } if *c == column => codes.as_ref().clone(),
                Filter::Tuples { columns, tuples } => {
                    let Some(at) = columns.iter().position(|c| *c == column) else { continue };
                    let mut codes = BitSet::new(n, false);
                    tuples.iter().for_each(|t| codes.insert(t[at] as usize));
                    codes
                }
                _ => continue,
            };
            any = true;
            allowed.intersect(&codes);
        }
        if !any {
            allowed = self.store.table(column.table).column(column.column).present().clone();
        }
        allowed
    }

    /// `FILTERS`: the values that filter a column directly.
    pub(crate) fn direct_filters(
        &self,
        cells: &Cells,
        column: ColumnId,
        schema: &Schema,
    ) -> Result<CellTable> {
        let explicit = cells.explicit(self.store);
        let (mut of, mut codes) = (Vec::new(), Vec::new());
        for cell in watched(0..explicit.n) {
            let context = &explicit.distinct[explicit.context_of(cell)];
            for code in self.direct(context, column).iter() {
                of.push(cell as u32);
                codes.push(code as u32);
            }
        }
        let rows = Rows {
            keep: false,
            schema: Arc::clone(schema),
            len: codes.len(),
            base: None,
            columns: vec![RowColumn::Codes { column, codes: Arc::new(codes) }],
        };
        Ok(CellTable::from_cells(&rows, &of, cells.n))
    }
}
