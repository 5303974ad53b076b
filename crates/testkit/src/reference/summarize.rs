//! `SUMMARIZE` without subtotals.

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};

use super::{Env, Reference, Table, TableColumn, unsupported};

impl Reference<'_> {
    /// Groups of a table's rows by columns of the table or related to it. Named expressions see the
    /// group's values as filters, and the group's rows where the table is not one of the model.
    pub(super) fn summarize(&self, env: &Env, arguments: &[Expr]) -> Result<Table> {
        let is_group = |e: &&Expr| matches!(e.kind, ExprKind::Qualified { .. });
        let groups: Vec<Expr> = arguments[1..].iter().take_while(is_group).cloned().collect();
        let named = &arguments[1 + groups.len()..];
        if named.iter().step_by(2).any(|e| !matches!(e.kind, ExprKind::Literal(_))) {
            return Err(unsupported("ROLLUP"));
        }
        let source = self.table(env, &arguments[0])?;
        let ids = self.named_columns(&groups)?;
        let mut found: Vec<(Vec<Value>, Vec<Vec<Value>>)> = Vec::new();
        for (inner, row) in env.with_rows(&source).iter().zip(&source.rows) {
            let mut values = Vec::new();
            for (id, e) in ids.iter().zip(&groups) {
                values.push(match source.columns.iter().position(|c| c.lineage == Some(*id)) {
                    Some(at) => row[at].clone(),
                    None => self.related(inner, e)?,
                });
            }
            match found.iter_mut().find(|(of, _)| *of == values) {
                Some((_, members)) => members.push(row.clone()),
                None => found.push((values, vec![row.clone()])),
            }
        }
        let columns: Vec<TableColumn> = ids.iter().map(|id| self.model_column(*id)).collect();
        let mut out = Table { columns: columns.clone(), ..Table::default() };
        for pair in named.chunks_exact(2) {
            let ExprKind::Literal(Value::String(name)) = &pair[0].kind else {
                return Err(Error::invalid("A name is a text."));
            };
            out.columns.push(TableColumn { name: name.to_string(), lineage: None });
        }
        let is_plain = match &arguments[0].kind {
            ExprKind::Name { name, .. } => env.variable(name).is_none(),
            _ => false,
        };
        for (values, members) in found {
            let group =
                Table { columns: columns.clone(), rows: vec![values.clone()], ..Table::default() };
            let row = env.with_rows(&group).remove(0);
            let mut inner = self.calculate(&row, &[])?;
            if !is_plain && !named.is_empty() {
                let members = Table { rows: members, ..source.clone() };
                let filter = self.filter_of(&env.filters, &members)?;
                inner.filters.filters.push(filter);
            }
            let mut shown = values;
            for pair in named.chunks_exact(2) {
                shown.push(self.scalar(&inner, &pair[1])?);
            }
            out.rows.push(shown);
        }
        Ok(out)
    }
}
