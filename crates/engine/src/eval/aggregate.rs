//! Folding the values of an iteration, cell by cell.

use std::cmp::Ordering;
use std::collections::HashSet;

use evercube_base::{Decimal, Error, Result, Value};
use evercube_work::watched;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::iterate::not_zero;
use super::rows::CellTable;
use super::set_operations::ValueKey;
use super::statistics;
use crate::plan::{Fold, Node, SortKey};
use crate::scalar as rules;

impl Evaluator<'_> {
    /// One value per outer cell out of the values of its rows (in the order of the inner cells).
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn fold_cells(
        &self,
        cells: &Cells,
        inner: &Cells,
        table: &CellTable,
        fold: Fold,
        values: &Scalars,
        extra: &[Node],
        order_by: &[SortKey],
    ) -> Result<Vec<Value>> {
        let keys: Vec<Scalars> =
            order_by.iter().map(|k| self.scalars(inner, &k.expression)).collect::<Result<_>>()?;
        let dates = match (fold, extra) {
            (Fold::Xirr | Fold::Xnpv, [dates, ..]) => Some(self.scalars(inner, dates)?),
            _ => None,
        };
        let outside = match (fold, extra) {
            (Fold::Xirr | Fold::Xnpv, [_, e, ..]) => Some(self.scalars(cells, e)?),
            (Fold::Xirr | Fold::Xnpv, _) => None,
            (_, [e, ..]) => Some(self.scalars(cells, e)?),
            _ => None,
        };
        let alternative = match (fold, extra) {
            (Fold::Xirr, [_, _, e, ..]) => Some(self.scalars(cells, e)?),
            _ => None,
        };
        let mut out = Vec::with_capacity(cells.n);
        let mut start = 0;
        for cell in watched(0..cells.n) {
            evercube_work::tick();
            let end = start + table.range(cell).len();
            let mut order: Vec<usize> = (start..end).collect();
            start = end;
            if !order_by.is_empty() {
                order.sort_by(|a, b| {
                    evercube_work::tick();
                    self.by_keys(&keys, order_by, *a, *b)
                });
            }
            let argument = outside.as_ref().map(|o| o.get(cell));
            let of_cell = order.iter().map(|i| values.get(*i));
            out.push(match (fold, &dates) {
                (Fold::Xirr | Fold::Xnpv, Some(d)) => {
                    let flows = order.iter().map(|i| {
                        Ok((
                            rules::to_f64(values.get(*i), &self.culture)?,
                            rules::to_f64(d.get(*i), &self.culture)?,
                        ))
                    });
                    let flows: Vec<(f64, f64)> = flows.collect::<Result<_>>()?;
                    let found = statistics::dated_flows(fold, &flows, argument, &self.culture);
                    match (found, alternative.as_ref().map(|a| a.get(cell))) {
                        (Err(_), Some(Value::Blank)) => Value::Blank,
                        (Err(_), Some(v)) => Value::Double(rules::to_f64(v, &self.culture)?),
                        (found, _) => found?,
                    }
                }
                _ => self.fold(fold, &of_cell.collect::<Vec<_>>(), argument)?,
            });
        }
        Ok(out)
    }

    pub(crate) fn fold(
        &self,
        fold: Fold,
        values: &[&Value],
        argument: Option<&Value>,
    ) -> Result<Value> {
        let filled = || values.iter().copied().filter(|v| !v.is_blank());
        match fold {
            Fold::Sum => sum(filled()),
            Fold::Average => {
                let n = filled().count();
                let total = sum(filled())?;
                Ok(match total.as_f64() {
                    Some(t) if n > 0 => Value::Double(t / n as f64),
                    _ => Value::Blank,
                })
            }
            Fold::Min | Fold::Max => {
                let is_larger = fold == Fold::Max;
                if matches!(argument, Some(Value::Boolean(true))) {
                    let order =
                        |a: &Value, b: &Value| Ok(rules::total_order(a, b, &self.collation));
                    return extreme(is_larger, filled(), order);
                }
                let order = |a: &Value, b: &Value| rules::compare(a, b, &self.collation);
                // Among values of several types numbers alone count.
                extreme(is_larger, filled(), order)
                    .or_else(|_| extreme(is_larger, filled().filter(|v| is_number(v)), order))
            }
            Fold::Count => Ok(not_zero(filled().count() as i64)),
            Fold::CountBlank if values.is_empty() => Ok(Value::Blank),
            Fold::CountBlank => Ok(Value::Int((values.len() - filled().count()) as i64)),
            Fold::DistinctCount | Fold::DistinctCountNoBlank => {
                let keep = |v: &&Value| fold == Fold::DistinctCount || !v.is_blank();
                let seen: HashSet<ValueKey> =
                    values.iter().copied().filter(keep).map(|v| self.key(v)).collect();
                Ok(not_zero(seen.len() as i64))
            }
            Fold::Product => {
                let mut product = None;
                for v in filled() {
                    product = Some(product.unwrap_or(1.0) * rules::to_f64(v, &self.culture)?);
                }
                Ok(product.map_or(Value::Blank, Value::Double))
            }
            Fold::Concatenate => {
                let delimiter =
                    argument.map(|d| rules::to_text(d, &self.culture)).unwrap_or_default();
                let Some((first, rest)) = values.split_first() else { return Ok(Value::Blank) };
                let mut joined = rules::to_text(first, &self.culture);
                for value in rest {
                    let text = rules::to_text(value, &self.culture);
                    let more = text.len() + delimiter.len();
                    // Growing may double what is there.
                    if joined.len() + more > joined.capacity() {
                        evercube_work::room_for(joined.len() + more)?;
                    }
                    joined.push_str(&delimiter);
                    joined.push_str(&text);
                }
                Ok(Value::from(joined))
            }
            _ => {
                let numbers = filled().map(|v| Ok((rules::to_f64(v, &self.culture)?, 1)));
                statistics::of_numbers(
                    fold,
                    numbers.collect::<Result<_>>()?,
                    argument,
                    &self.culture,
                )
            }
        }
    }
}

/// The largest or the smallest of values; blank where there are none.
fn extreme<'v>(
    is_larger: bool,
    values: impl Iterator<Item = &'v Value>,
    order: impl Fn(&Value, &Value) -> Result<Ordering>,
) -> Result<Value> {
    let mut best: Option<&Value> = None;
    for v in values {
        let better = match best {
            None => true,
            Some(b) if is_larger => order(v, b)?.is_gt(),
            Some(b) => order(v, b)?.is_lt(),
        };
        if better {
            best = Some(v);
        }
    }
    Ok(best.cloned().unwrap_or_default())
}

fn is_number(v: &Value) -> bool {
    matches!(v, Value::Int(_) | Value::Decimal(_) | Value::Double(_) | Value::DateTime(_))
}

/// Sum that is exact for whole numbers and fixed decimals.
pub(crate) fn sum<'v>(values: impl Iterator<Item = &'v Value>) -> Result<Value> {
    let mut whole: Option<i64> = None;
    let mut fixed: Option<i64> = None;
    let mut real: Option<f64> = None;
    let overflow = || Error::evaluation("The sum is larger than its type can hold.");
    for v in values {
        match v {
            Value::Blank => {}
            Value::Int(i) => {
                whole = Some(whole.unwrap_or(0).checked_add(*i).ok_or_else(overflow)?);
            }
            Value::Decimal(Decimal(d)) => {
                fixed = Some(fixed.unwrap_or(0).checked_add(*d).ok_or_else(overflow)?);
            }
            Value::String(_) => {
                return Err(Error::evaluation(
                    "A sum or average was asked over text; it needs numbers.",
                ));
            }
            other => real = Some(real.unwrap_or(0.0) + other.as_f64().unwrap_or(0.0)),
        }
    }
    Ok(match (whole, fixed, real) {
        (None, None, None) => Value::Blank,
        (Some(w), None, None) => Value::Int(w),
        (w, Some(f), None) => {
            let w = w.unwrap_or(0).checked_mul(10_000).ok_or_else(overflow)?;
            Value::Decimal(Decimal(f.checked_add(w).ok_or_else(overflow)?))
        }
        (w, f, Some(r)) => {
            Value::Double(r + w.unwrap_or(0) as f64 + f.map_or(0.0, |f| Decimal(f).to_f64()))
        }
    })
}
