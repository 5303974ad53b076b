//! Sets of rows, the first rows by an order, rows joined to rows.

use std::cmp::Ordering;

use evercube_base::{Collation, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::scalar as rules;

use super::table::cross;
use super::{Env, Reference, Table};

pub(super) fn is_same(a: &[Value], b: &[Value]) -> bool {
    let same =
        |x: &Value, y: &Value| rules::strict_equal(x, y, &Collation::default()).unwrap_or_default();
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y))
}

impl Reference {
    pub(super) fn set(&self, env: &Env, function: &str, arguments: &[Expr]) -> Result<Table> {
        let mut tables = arguments.iter().map(|a| self.shown_table(env, a));
        let mut out = tables.next().unwrap_or_else(|| Ok(Table::default()))?;
        for other in tables {
            let other = other?;
            if other.columns.len() != out.columns.len() {
                return Err(Error::invalid("The tables have different numbers of columns."));
            }
            let has = |row: &Vec<Value>| other.rows.iter().any(|o| is_same(o, row));
            match function {
                "INTERSECT" => out.rows.retain(has),
                "EXCEPT" => out.rows.retain(|row| !has(row)),
                _ => {
                    out.rows.extend(other.rows);
                    for (own, of) in out.columns.iter_mut().zip(&other.columns) {
                        if own.lineage != of.lineage {
                            own.lineage = None;
                        }
                    }
                }
            }
        }
        if function == "UNION" {
            self.texts_together(out.columns.len(), &mut out.rows);
        }
        Ok(Table { whole: None, ..out })
    }

    /// `TOPN`: rows equal to the last in everything the order looks at come too.
    pub(super) fn top_n(&self, env: &Env, arguments: &[Expr]) -> Result<Table> {
        let n = rules::to_f64(&self.scalar(env, &arguments[0])?, &self.culture)?.max(0.0) as usize;
        let table = self.table(env, &arguments[1])?;
        let descending = |order: Option<&Expr>| match order.map(|e| &e.kind) {
            Some(ExprKind::Name { name, .. }) => !name.eq_ignore_ascii_case("asc"),
            _ => true,
        };
        let orders: Vec<(&Expr, bool)> =
            arguments[2..].chunks(2).map(|pair| (&pair[0], descending(pair.get(1)))).collect();
        let mut keyed = Vec::new();
        for (inner, row) in env.with_rows(&table).iter().zip(&table.rows) {
            let keys: Result<Vec<Value>> =
                orders.iter().map(|(e, _)| self.scalar(inner, e)).collect();
            keyed.push((keys?, row.clone()));
        }
        let order = |a: &[Value], b: &[Value]| {
            let each = a.iter().zip(b).zip(&orders).map(|((x, y), (_, descending))| {
                let order = rules::total_order(x, y, &Collation::default());
                if *descending { order.reverse() } else { order }
            });
            each.fold(Ordering::Equal, Ordering::then)
        };
        keyed.sort_by(|(a, _), (b, _)| order(a, b));
        let last = keyed.get(n.wrapping_sub(1)).map(|(keys, _)| keys.clone());
        let kept = keyed.into_iter().enumerate().filter(|(i, (keys, _))| {
            *i < n || last.as_ref().is_some_and(|last| order(keys, last).is_eq())
        });
        let rows = kept.map(|(_, (_, row))| row).collect();
        Ok(Table { rows, ..table })
    }

    pub(super) fn generate(
        &self,
        env: &Env,
        outer: &Expr,
        inner: &Expr,
        all: bool,
    ) -> Result<Table> {
        let outer = self.table(env, outer)?;
        let mut out: Option<Table> = None;
        for (row_env, row) in env.with_rows(&outer).iter().zip(&outer.rows) {
            let one = Table { rows: vec![row.clone()], keep: false, ..outer.clone() };
            let mut found = self.table(row_env, inner)?;
            if found.rows.is_empty() && all {
                found.rows.push(vec![Value::Blank; found.columns.len()]);
            }
            let joined = cross(&one, &found);
            match &mut out {
                Some(out) => out.rows.extend(joined.rows),
                none => *none = Some(joined),
            }
        }
        match out {
            Some(out) => Ok(out),
            None => Err(super::unsupported("GENERATE over no rows")),
        }
    }
}
