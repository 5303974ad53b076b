//! `COLUMNSTATISTICS`: smallest and largest value, number and length of values of every column.

use std::cmp::Ordering;

use evercube_base::{Error, Result, Value};
use evercube_store::{Column, TableId};

use super::Evaluator;
use super::cells::Cells;
use super::rows::{CellTable, Rows};
use crate::plan::Schema;
use crate::scalar as rules;

impl Evaluator<'_> {
    pub(crate) fn column_statistics(&self, cells: &Cells, schema: &Schema) -> Result<CellTable> {
        let is_filtered = cells.distinct.iter().any(|c| !c.filters.is_empty());
        if is_filtered || !cells.keys.is_empty() {
            return Err(Error::evaluation("COLUMNSTATISTICS is not possible under filters."));
        }
        if !self.base_context.secured.is_empty() {
            return Err(Error::evaluation(
                "COLUMNSTATISTICS is not possible for callers whose roles filter rows.",
            ));
        }
        let mut out = Vec::new();
        for (id, table) in (0..).map(TableId).zip(self.model.tables()) {
            for (at, column) in (0..).zip(&table.columns).filter(|(_, c)| !c.hidden) {
                let mut row: Vec<Value> =
                    vec![table.name.as_str().into(), column.name.as_str().into()];
                row.extend(self.statistics_of(self.store.table(id).column(at)));
                out.push(row);
            }
        }
        Ok(CellTable::shared(Rows::from_values(schema.clone(), out)))
    }

    fn statistics_of(&self, column: &Column) -> [Value; 4] {
        let (mut least, mut most): (Option<Value>, Option<Value>) = (None, None);
        let (mut count, mut length) = (i64::from(column.has_blank()), None);
        for code in used_codes(column) {
            let v = column.value(code);
            let is = |o: Ordering, than: &Option<Value>| {
                than.as_ref().is_none_or(|t| rules::total_order(&v, t, &self.collation) == o)
            };
            if let Value::String(s) = &v {
                length = length.max(Some(s.chars().count() as i64));
            }
            count += 1;
            let (smaller, larger) = (is(Ordering::Less, &least), is(Ordering::Greater, &most));
            if larger {
                most = Some(v.clone());
            }
            if smaller {
                least = Some(v);
            }
        }
        let length = length.map_or(Value::Blank, Value::Int);
        [least.unwrap_or_default(), most.unwrap_or_default(), Value::Int(count), length]
    }
}

/// The codes of values that some row has.
fn used_codes(column: &Column) -> impl Iterator<Item = u32> {
    const RUN: usize = 1 << 16;
    let mut used = vec![false; column.cardinality() as usize];
    let mut codes = vec![0u32; RUN.min(column.rows())];
    for first in (0..column.rows()).step_by(RUN) {
        let run = &mut codes[..RUN.min(column.rows() - first)];
        column.read_codes(first, run);
        run.iter().for_each(|c| used[*c as usize] = true);
    }
    (1..).zip(used.into_iter().skip(1)).filter(|(_, is_used)| *is_used).map(|(code, _)| code)
}
