//! Sort keys as columns of numbers where their values allow it, so that sorting compares numbers.

use std::cmp::Ordering;
use std::sync::Arc;

use evercube_base::{Collation, Decimal, Result, Value};

use evercube_work::map_blocks;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::rows::RowColumn;
use crate::plan::{Kind, SortKey};
use crate::scalar as rules;

/// The values of one sort key, place by place.
pub(crate) struct SortColumn {
    order: Order,
    descending: bool,
}

enum Order {
    /// Numbers in the order of the values; a blank is 0.
    Numbers(Vec<u64>),
    Values(Scalars),
}

impl Evaluator<'_> {
    /// The sort keys of cells that stand in a row each.
    pub(crate) fn sort_columns(
        &self,
        inner: &Cells,
        order_by: &[SortKey],
    ) -> Result<Vec<SortColumn>> {
        let column = |key: &SortKey| {
            let order = match self.ranks(inner, key) {
                Some(ranks) => Order::Numbers(ranks),
                None => {
                    let values = self.scalars(inner, &key.expression)?;
                    match numbers(&values, inner.n) {
                        Some(n) => Order::Numbers(n),
                        None => Order::Values(values),
                    }
                }
            };
            Ok(SortColumn { order, descending: key.descending })
        };
        order_by.iter().map(column).collect()
    }

    /// Places of the values of a model column in the order of all its values.
    fn ranks(&self, inner: &Cells, key: &SortKey) -> Option<Vec<u64>> {
        let Kind::RowColumn { frame, column } = key.expression.kind else { return None };
        let frame = &inner.frames[frame];
        let (column, codes) = match &frame.rows.columns[column] {
            RowColumn::Codes { column, codes } => (*column, Arc::clone(codes)),
            RowColumn::Own(column) => {
                (*column, Arc::new(frame.rows.own_codes(self.store, *column)))
            }
            RowColumn::Values(_) => return None,
        };
        let of = self.store.table(column.table).column(column.column);
        let Some(ranks) = of.ranks() else {
            return Some(map_blocks(&frame.index, |i| u64::from(codes[*i as usize])));
        };
        let rank = |i: &u32| u64::from(ranks[codes[*i as usize] as usize]);
        Some(map_blocks(&frame.index, rank))
    }
}

impl SortColumn {
    fn compare(&self, a: usize, b: usize, collation: &Collation) -> Ordering {
        let order = match &self.order {
            Order::Numbers(n) => n[a].cmp(&n[b]),
            Order::Values(v) => rules::total_order(v.get(a), v.get(b), collation),
        };
        if self.descending { order.reverse() } else { order }
    }
}

/// The order of two places by several keys.
pub(crate) fn compare(keys: &[SortColumn], a: usize, b: usize, collation: &Collation) -> Ordering {
    keys.iter().fold(Ordering::Equal, |o, key| o.then_with(|| key.compare(a, b, collation)))
}

/// Values of one type as numbers in their order; `None` where they have no such numbers.
fn numbers(values: &Scalars, n: usize) -> Option<Vec<u64>> {
    let values = match values {
        Scalars::Same(_) => return Some(vec![0; n]),
        Scalars::Each(v) => v,
    };
    let first = values.iter().find(|v| !v.is_blank())?;
    let kind = std::mem::discriminant(first);
    let number = |v: &Value| {
        let number = match v {
            Value::Blank => return Some(0),
            v if std::mem::discriminant(v) != kind => return None,
            Value::Int(i) | Value::Decimal(Decimal(i)) => (*i as u64) ^ 1 << 63,
            Value::DateTime(t) => (t.0 as u64) ^ 1 << 63,
            Value::Double(d) if !d.is_nan() => {
                // Both zeros are the same.
                let bits = (*d + 0.0).to_bits();
                if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
            }
            _ => return None,
        };
        (number > 0).then_some(number)
    };
    values.iter().map(number).collect()
}
