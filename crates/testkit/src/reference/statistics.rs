//! Ranks, medians and percentiles of the values of an expression over rows.

use std::cmp::Ordering;

use evercube_base::{Collation, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::scalar as rules;

use super::{Env, Reference, unsupported};

impl Reference {
    pub(super) fn values_over(
        &self,
        env: &Env,
        table: &Expr,
        expression: &Expr,
    ) -> Result<Vec<Value>> {
        let table = self.table(env, table)?;
        env.with_rows(&table).iter().map(|inner| self.scalar(inner, expression)).collect()
    }

    /// `RANKX`: one more than the values that go before; blank counts as zero or empty text.
    pub(super) fn rank_x(&self, env: &Env, arguments: &[Expr]) -> Result<Value> {
        let given = |i: usize| arguments.get(i).filter(|e| !matches!(e.kind, ExprKind::Omitted));
        let mut values = self.values_over(env, &arguments[0], &arguments[1])?;
        let mut value = self.scalar(env, given(2).unwrap_or(&arguments[1]))?;
        let is_word = |e: &Expr, word: &str| matches!(&e.kind, ExprKind::Name { name, .. } if name.eq_ignore_ascii_case(word));
        let ascending = match given(3) {
            Some(e) if is_word(e, "ASC") => true,
            Some(e) if is_word(e, "DESC") => false,
            Some(e) => rules::to_bool(&self.scalar(env, e)?, &self.culture)?,
            None => false,
        };
        let is_dense = given(4).is_some_and(|e| is_word(e, "DENSE"));
        let is_text = values.iter().chain([&value]).any(|v| matches!(v, Value::String(_)));
        let blank = if is_text { Value::from("") } else { Value::Int(0) };
        values
            .iter_mut()
            .chain([&mut value])
            .filter(|v| v.is_blank())
            .for_each(|v| *v = blank.clone());
        let collation = Collation::default();
        let want = if ascending { Ordering::Less } else { Ordering::Greater };
        values.retain(|v| rules::total_order(v, &value, &collation) == want);
        values.sort_by(|a, b| rules::total_order(a, b, &collation));
        if is_dense {
            values.dedup_by(|a, b| rules::total_order(a, b, &collation).is_eq());
        }
        Ok(Value::Int(values.len() as i64 + 1))
    }

    /// `STDEV.P`, `STDEV.S`, `VAR.P`, `VAR.S`: from the distances to the mean.
    pub(super) fn spread(&self, function: &str, values: &[Value]) -> Result<Value> {
        let present = values.iter().filter(|v| !v.is_blank());
        let numbers: Vec<f64> =
            present.map(|v| rules::to_f64(v, &self.culture)).collect::<Result<_>>()?;
        let is_sample = function.ends_with(".S");
        if numbers.len() < 2 && is_sample {
            return Err(unsupported("the spread of a sample of less than two"));
        }
        if numbers.is_empty() {
            return Ok(Value::Blank);
        }
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
        let variance = squares / if is_sample { n - 1.0 } else { n };
        Ok(Value::Double(if function.starts_with("STDEV") { variance.sqrt() } else { variance }))
    }

    /// `MEDIAN`, `PERCENTILE.INC` and `PERCENTILE.EXC` of numbers.
    pub(super) fn percentile(&self, values: &[Value], k: f64, inclusive: bool) -> Result<Value> {
        let present = values.iter().filter(|v| !v.is_blank());
        let mut numbers: Vec<f64> =
            present.map(|v| rules::to_f64(v, &self.culture)).collect::<Result<_>>()?;
        if numbers.is_empty() {
            return Ok(Value::Blank);
        }
        numbers.sort_by(f64::total_cmp);
        let n = numbers.len() as f64;
        let place = if inclusive { k * (n - 1.0) } else { k * (n + 1.0) - 1.0 };
        if !(0.0..=n - 1.0).contains(&place) || !(0.0..=1.0).contains(&k) {
            return Err(Error::evaluation("The percentile is out of range."));
        }
        let (low, high) = (numbers[place.floor() as usize], numbers[place.ceil() as usize]);
        Ok(Value::Double((high - low).mul_add(place.fract(), low)))
    }
}
