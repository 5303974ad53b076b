//! `SUMMARIZE`.

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_store::ColumnId;

use super::rollup::{Rollup, groupings};
use super::{Env, Reference, Table, TableColumn};

/// Values of the columns grouped by, and the rows that have them.
type Group = (Vec<Value>, Vec<Vec<Value>>);

impl Reference {
    /// Groups of a table's rows by columns of the table or related to it. Named expressions see the
    /// group's values as filters, and its rows, of which every column is filtered.
    pub(super) fn summarize(&self, env: &Env, arguments: &[Expr]) -> Result<Table> {
        let mut parts: Vec<Rollup> = Vec::new();
        while let Some(e) = arguments.get(1 + parts.len())
            && let Some(part) = self.group_part(env, e)?
        {
            parts.push(part);
        }
        let named = &arguments[1 + parts.len()..];
        let source = self.table(env, &arguments[0])?;
        let all: Vec<ColumnId> =
            parts.iter().flat_map(|p| &p.steps).flat_map(|s| s.columns.clone()).collect();
        let mut out = Table::default();
        out.columns.extend(all.iter().map(|c| self.model_column(*c)));
        for pair in named.chunks_exact(2) {
            let ExprKind::Literal(Value::String(name)) = &pair[0].kind else {
                return Err(Error::invalid("A name is a text."));
            };
            out.columns.push(TableColumn { name: name.to_string(), lineage: None });
        }
        for id in &all {
            let is_own = |c: &TableColumn| c.lineage == Some(*id);
            let leads_there = |c: &TableColumn| {
                let of =
                    c.lineage.map_or_else(Vec::new, |key| self.beyond(&env.filters, key.table));
                of.iter().any(|(key, _, column)| c.lineage == Some(*key) && column == id)
            };
            if !source.columns.iter().any(|c| is_own(c) || leads_there(c)) {
                return Err(Error::invalid("SUMMARIZE groups by columns of its table and beyond."));
            }
        }
        for grouping in groupings(&parts) {
            let steps = parts.iter().zip(&grouping).flat_map(|(p, n)| &p.steps[..*n]);
            let columns: Vec<ColumnId> = steps.flat_map(|s| s.columns.clone()).collect();
            let left_out: Vec<ColumnId> =
                all.iter().filter(|c| !columns.contains(c)).copied().collect();
            let found = self.members(env, &source, &columns)?;
            let groups = Table {
                columns: columns.iter().map(|c| self.model_column(*c)).collect(),
                rows: found.iter().map(|(values, _)| values.clone()).collect(),
                ..Table::default()
            };
            for (row, (values, members)) in env.with_rows(&groups).iter().zip(found) {
                let mut inner = self.calculate(row, &[])?;
                if !named.is_empty() {
                    let members = Table { rows: members, ..source.clone() };
                    let filter = self.filter_of(&env.filters, &members)?;
                    inner.filters.filters.push(filter);
                }
                inner.left_out = Some(left_out.clone());
                let value = |c: &ColumnId| {
                    let at = columns.iter().position(|of| of == c);
                    at.map_or(Value::Blank, |at| values[at].clone())
                };
                let mut shown: Vec<Value> = all.iter().map(value).collect();
                for pair in named.chunks_exact(2) {
                    shown.push(self.scalar(&inner, &pair[1])?);
                }
                out.rows.push(shown);
            }
        }
        Ok(out)
    }

    /// Values of the columns in the rows of a table, each with its rows.
    fn members(&self, env: &Env, source: &Table, columns: &[ColumnId]) -> Result<Vec<Group>> {
        let mut found: Vec<Group> = Vec::new();
        for (inner, row) in env.with_rows(source).iter().zip(&source.rows) {
            let mut values = Vec::new();
            for id in columns {
                values.push(match source.columns.iter().position(|c| c.lineage == Some(*id)) {
                    Some(at) => row[at].clone(),
                    None => self.related_to(inner, *id, 0)?,
                });
            }
            match found.iter_mut().find(|(of, _)| *of == values) {
                Some((_, members)) => members.push(row.clone()),
                None => found.push((values, vec![row.clone()])),
            }
        }
        Ok(found)
    }

    /// Whether the row of `SUMMARIZE` is a subtotal over a column.
    pub(super) fn is_subtotal(&self, env: &Env, column: &Expr) -> Result<Value> {
        let id = self.one_column(column)?;
        match &env.left_out {
            Some(columns) => Ok(columns.contains(&id).into()),
            None => Err(Error::invalid("ISSUBTOTAL stands among the expressions of SUMMARIZE.")),
        }
    }
}
