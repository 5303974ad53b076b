//! `GROUPBY`: groups of rows, gone through by expressions that see no filter of the group.

use std::rc::Rc;

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::functions::lookup;

use super::scalar::unknown;
use super::{Env, Reference, Table, TableColumn};

impl Reference {
    pub(super) fn group_by(&self, env: &Env, arguments: &[Expr]) -> Result<Table> {
        let is_group =
            |e: &&Expr| matches!(e.kind, ExprKind::Qualified { .. } | ExprKind::Bracketed(_));
        let groups: Vec<&Expr> = arguments[1..].iter().take_while(is_group).collect();
        let named = &arguments[1 + groups.len()..];
        for pair in named.chunks_exact(2) {
            self.refuse_filters(&pair[1])?;
        }
        let source = self.table(env, &arguments[0])?;
        let mut found: Vec<(Vec<Value>, Vec<Vec<Value>>)> = Vec::new();
        for (inner, row) in env.with_rows(&source).iter().zip(&source.rows) {
            let values: Vec<Value> = groups
                .iter()
                .map(|e| match self.column_at(&source, e)? {
                    Some(at) => Ok(row[at].clone()),
                    None => self.related(inner, e),
                })
                .collect::<Result<_>>()?;
            match found.iter_mut().find(|(of, _)| *of == values) {
                Some((_, members)) => members.push(row.clone()),
                None => found.push((values, vec![row.clone()])),
            }
        }
        let mut out = Table::default();
        for e in &groups {
            out.columns.push(match self.column_at(&source, e)? {
                Some(at) => source.columns[at].clone(),
                None => self.model_column(self.one_column(e)?),
            });
        }
        for pair in named.chunks_exact(2) {
            out.columns.push(TableColumn { name: self.text(env, &pair[0])?, lineage: None });
        }
        for (mut values, rows) in found {
            let mut inner = env.clone();
            inner.group = Some(Rc::new(Table { rows, ..source.clone() }));
            for pair in named.chunks_exact(2) {
                values.push(self.scalar(&inner, &pair[1])?);
            }
            out.rows.push(values);
        }
        Ok(out)
    }

    /// Where a table has a column that an expression names.
    pub(super) fn column_at(&self, table: &Table, e: &Expr) -> Result<Option<usize>> {
        match &e.kind {
            ExprKind::Qualified { table: of, name } => {
                let id = self.column_named(of, name).ok_or_else(|| unknown(of, name))?;
                Ok(table.columns.iter().position(|c| c.lineage == Some(id)))
            }
            ExprKind::Bracketed(name) => {
                let is_named =
                    |c: &TableColumn| c.name.eq_ignore_ascii_case(name) && !self.is_hidden(c);
                Ok(table.columns.iter().position(is_named))
            }
            _ => Ok(None),
        }
    }

    /// The filter context does not know the group, so what reads it is not allowed.
    fn refuse_filters(&self, e: &Expr) -> Result<()> {
        let refused = || Err(Error::invalid("GROUPBY takes iterators over CURRENTGROUP () only."));
        match &e.kind {
            ExprKind::Bracketed(name) if self.has_measure(name) => return refused(),
            ExprKind::Call { function, arguments, .. } => {
                let function = function.to_ascii_uppercase();
                let is_column = |a: &Expr| {
                    matches!(a.kind, ExprKind::Qualified { .. } | ExprKind::Bracketed(_))
                };
                let is_aggregate = lookup(&function).is_some_and(|f| f.category == "Aggregation");
                let over_column = arguments.len() == 1 && is_column(&arguments[0]);
                if function.starts_with("CALCULATE") || (is_aggregate && over_column) {
                    return refused();
                }
            }
            _ => {}
        }
        e.parts().into_iter().try_for_each(|part| self.refuse_filters(part))
    }
}
