//! Tables put together by the columns they have in common.

use std::cmp::Ordering;

use evercube_base::{Collation, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::scalar as rules;

use super::sets::is_same;
use super::{Env, Reference, Table, TableColumn};

/// Columns of the left table with the same of the right one.
fn common(left: &Table, right: &Table) -> Vec<(usize, usize)> {
    let same = |a: &TableColumn, b: &TableColumn| {
        a.lineage == b.lineage && a.name.eq_ignore_ascii_case(&b.name)
    };
    let of = |(i, a): (usize, &TableColumn)| {
        right.columns.iter().position(|b| same(a, b)).map(|j| (i, j))
    };
    left.columns.iter().enumerate().filter_map(of).collect()
}

fn at(row: &[Value], places: impl Iterator<Item = usize>) -> Vec<Value> {
    places.map(|i| row[i].clone()).collect()
}

impl Reference {
    /// `NATURALINNERJOIN` and `NATURALLEFTOUTERJOIN`.
    pub(super) fn natural_join(&self, env: &Env, arguments: &[Expr], outer: bool) -> Result<Table> {
        let (left, right) =
            (self.shown_table(env, &arguments[0])?, self.shown_table(env, &arguments[1])?);
        let mut both = common(&left, &right);
        let mut added: Vec<usize> =
            (0..right.columns.len()).filter(|j| !both.iter().any(|(_, r)| r == j)).collect();
        if both.is_empty() {
            both = vec![self.related_columns(&left, &right)?];
            added = (0..right.columns.len()).collect();
        }
        let mut out = Table { columns: left.columns.clone(), ..Table::default() };
        out.columns.extend(added.iter().map(|j| right.columns[*j].clone()));
        for row in &left.rows {
            let key = at(row, both.iter().map(|(i, _)| *i));
            let meets = |r: &&Vec<Value>| is_same(&key, &at(r, both.iter().map(|(_, j)| *j)));
            let mut found: Vec<Vec<Value>> =
                right.rows.iter().filter(meets).map(|r| at(r, added.iter().copied())).collect();
            if found.is_empty() && outer {
                found.push(vec![Value::Blank; added.len()]);
            }
            out.rows.extend(found.into_iter().map(|more| [row.clone(), more].concat()));
        }
        Ok(out)
    }

    /// The ends of a relationship between two tables.
    fn related_columns(&self, left: &Table, right: &Table) -> Result<(usize, usize)> {
        for (i, a) in left.columns.iter().enumerate() {
            for (j, b) in right.columns.iter().enumerate() {
                let ends = [a.lineage, b.lineage];
                let is_joined = self.model.relationships().iter().any(|r| {
                    let (from, to) = (Some(r.def.from), Some(r.def.to));
                    r.active && !r.def.many_to_many && (ends == [from, to] || ends == [to, from])
                });
                if is_joined {
                    let is_plain = [a, b].iter().any(|c| self.shown_name(c).starts_with('['));
                    return match is_plain && a.name.eq_ignore_ascii_case(&b.name) {
                        true => Err(Error::invalid("The columns joined on have one name.")),
                        false => Ok((i, j)),
                    };
                }
            }
        }
        Err(Error::invalid("The tables have no column in common."))
    }

    /// `SUBSTITUTEWITHINDEX`: the columns in common become the place of their row in the other table.
    pub(super) fn substitute_with_index(&self, env: &Env, arguments: &[Expr]) -> Result<Table> {
        let table = self.shown_table(env, &arguments[0])?;
        let name = self.text(env, &arguments[1])?;
        let index = self.shown_table(env, &arguments[2])?;
        let mut keyed = Vec::new();
        let orders: Vec<(&Expr, bool)> = arguments[3..]
            .chunks(2)
            .map(|pair| (&pair[0], !matches!(pair.get(1).map(|e| &e.kind), Some(ExprKind::Name { name, .. }) if name.eq_ignore_ascii_case("asc"))))
            .collect();
        for (inner, row) in env.with_rows(&index).iter().zip(&index.rows) {
            let keys: Vec<Value> =
                orders.iter().map(|(e, _)| self.scalar(inner, e)).collect::<Result<_>>()?;
            keyed.push((keys, row.clone()));
        }
        keyed.sort_by(|(a, _), (b, _)| {
            let each = a.iter().zip(b).zip(&orders).map(|((x, y), (_, descending))| {
                let order = rules::total_order(x, y, &Collation::default());
                if *descending { order.reverse() } else { order }
            });
            each.fold(Ordering::Equal, Ordering::then)
        });
        let both = common(&table, &index);
        let kept: Vec<usize> =
            (0..table.columns.len()).filter(|i| !both.iter().any(|(l, _)| l == i)).collect();
        let mut out = Table::default();
        out.columns.extend(kept.iter().map(|i| table.columns[*i].clone()));
        out.columns.push(TableColumn { name, lineage: None });
        for row in &table.rows {
            let key = at(row, both.iter().map(|(i, _)| *i));
            let place =
                keyed.iter().position(|(_, r)| is_same(&key, &at(r, both.iter().map(|(_, j)| *j))));
            if let Some(place) = place {
                let mut shown = at(row, kept.iter().copied());
                shown.push(Value::Int(place as i64));
                out.rows.push(shown);
            }
        }
        Ok(out)
    }
}
