//! Names of the model, without those that the caller's roles hide: to the caller these do not
//! exist, nor does anything that is made of them.

use std::collections::BTreeSet;

use evercube_base::Result;
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::compiled_model::{FunctionInfo, MeasureInfo};
use evercube_store::{ColumnId, TableId};

use super::{Env, Reference, Table, TableColumn};

/// What the caller does not know of; measures and functions by lower-case name.
#[derive(Default, Clone, PartialEq)]
pub(super) struct Hidden {
    tables: BTreeSet<TableId>,
    columns: BTreeSet<ColumnId>,
    measures: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Hidden {
    fn column(&self, id: ColumnId) -> bool {
        self.tables.contains(&id.table) || self.columns.contains(&id)
    }
}

impl Reference {
    pub(super) fn table_named(&self, name: &str) -> Option<TableId> {
        self.model.table_id(name).filter(|id| !self.hidden.tables.contains(id))
    }

    pub(super) fn column_named(&self, table: &str, name: &str) -> Option<ColumnId> {
        self.model.column(table, name).filter(|id| !self.hidden.column(*id))
    }

    /// A measure of the model.
    pub(super) fn measure_named(&self, name: &str) -> Option<&MeasureInfo> {
        let is_hidden = self.hidden.measures.contains(&name.to_lowercase());
        self.model.measure(name).filter(|_| !is_hidden)
    }

    /// A function of the model.
    pub(super) fn function_named(&self, name: &str) -> Option<&FunctionInfo> {
        let is_hidden = self.hidden.functions.contains(&name.to_lowercase());
        self.model.function(name).filter(|_| !is_hidden)
    }

    /// The measure whose format string has this name: `_Sales FormatString` is that of `Sales`.
    pub(super) fn format_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let end = name.len().checked_sub(" FormatString".len())?;
        let is_format = name.get(end..)?.eq_ignore_ascii_case(" FormatString");
        let measure = name.get(..end)?.strip_prefix('_').filter(|_| is_format)?;
        self.measure_named(measure).map(|_| measure)
    }

    pub(super) fn is_hidden(&self, column: &TableColumn) -> bool {
        column.lineage.is_some_and(|id| self.hidden.column(id))
    }

    /// A table with the columns the caller may know of.
    pub(super) fn shown_table(&self, env: &Env, e: &Expr) -> Result<Table> {
        let table = self.table(env, e)?;
        let shown: Vec<usize> =
            (0..table.columns.len()).filter(|i| !self.is_hidden(&table.columns[*i])).collect();
        if shown.len() == table.columns.len() {
            return Ok(table);
        }
        let row = |r: &Vec<_>| shown.iter().map(|i| Clone::clone(&r[*i])).collect();
        Ok(Table {
            columns: shown.iter().map(|i| table.columns[*i].clone()).collect(),
            rows: table.rows.iter().map(row).collect(),
            ..Table::default()
        })
    }

    /// Hides what every one of the roles hides, then again and again what is made of it.
    pub(super) fn hide(&mut self, roles: &[String]) {
        let tables = (0..self.model.tables().len() as u32).map(TableId);
        let hides = |role: &String, table: TableId, column: Option<ColumnId>| {
            self.model.hidden_objects().iter().any(|h| {
                h.role.eq_ignore_ascii_case(role)
                    && h.table == table
                    && (h.column.is_none() || h.column == column)
            })
        };
        let all_hide = |table: TableId, column: Option<ColumnId>| {
            !roles.is_empty() && roles.iter().all(|r| hides(r, table, column))
        };
        let mut hidden = Hidden::default();
        for table in tables {
            if all_hide(table, None) {
                hidden.tables.insert(table);
            }
            let columns = self.columns_of(table).into_iter();
            hidden.columns.extend(columns.filter(|c| all_hide(table, Some(*c))));
        }
        while hidden != self.hidden {
            self.hidden = hidden.clone();
            self.hide_what_is_made(&mut hidden);
        }
    }

    /// Adds what is made of what is hidden already.
    fn hide_what_is_made(&self, hidden: &mut Hidden) {
        let is_made = |e: &Result<Expr>| e.as_ref().is_ok_and(|e| self.names_hidden(e));
        for (id, table) in (0..).map(TableId).zip(self.model.tables()) {
            for (column, info) in (0..).zip(&table.columns) {
                if info.expression.as_ref().is_some_and(is_made) {
                    hidden.columns.insert(ColumnId { table: id, column });
                }
            }
            let Some(expression) = &table.expression else { continue };
            if is_made(expression) {
                hidden.tables.insert(id);
            } else if *hidden != Hidden::default() {
                self.hide_of_calculated(id, expression, hidden);
            }
        }
        for measure in self.model.measures() {
            let parts = [Some(&measure.expression), measure.format.as_ref()];
            if self.hidden.tables.contains(&measure.table)
                || parts.into_iter().flatten().any(is_made)
            {
                hidden.measures.insert(measure.name.to_lowercase());
            }
        }
        for function in self.model.functions() {
            if function.definition.as_ref().is_ok_and(|(_, body)| self.names_hidden(body)) {
                hidden.functions.insert(function.name.to_lowercase());
            }
        }
    }

    /// A calculated table has for the caller what its expression gives without what is hidden:
    /// columns that do not come any more are hidden, and where it cannot be evaluated, all of it.
    fn hide_of_calculated(&self, id: TableId, expression: &Result<Expr>, hidden: &mut Hidden) {
        let Ok(expression) = expression else { return };
        let env = Env { filters: self.unfiltered(), ..Env::default() };
        let Ok(found) = self.shown_table(&env, expression) else {
            hidden.tables.insert(id);
            return;
        };
        for (column, info) in (0..).zip(&self.model.table(id).columns) {
            let source = info.source.as_deref().unwrap_or(&info.name);
            let gives = |c: &TableColumn| {
                self.shown_name(c).eq_ignore_ascii_case(source)
                    || c.name.eq_ignore_ascii_case(source)
            };
            if info.expression.is_none() && !found.columns.iter().any(gives) {
                hidden.columns.insert(ColumnId { table: id, column });
            }
        }
    }

    /// Whether an expression names anything that is hidden.
    fn names_hidden(&self, e: &Expr) -> bool {
        let hidden_measure = |name: &str| {
            let of = self.model.measure(name).map(|m| m.name.to_lowercase());
            of.is_some_and(|name| self.hidden.measures.contains(&name))
        };
        let own = match &e.kind {
            ExprKind::Qualified { table, name } => match self.model.column(table, name) {
                Some(id) => self.hidden.column(id),
                None => hidden_measure(name),
            },
            // Without its table a name may be that of any column.
            ExprKind::Bracketed(name) if self.model.measure(name).is_none() => {
                let mut tables = self.model.tables().iter();
                tables.any(|t| {
                    self.model.column(&t.name, name).is_some_and(|id| self.hidden.column(id))
                })
            }
            ExprKind::Bracketed(name) => hidden_measure(name),
            ExprKind::Name { name, .. } => {
                self.model.table_id(name).is_some_and(|id| self.hidden.tables.contains(&id))
            }
            ExprKind::Call { function, .. } => {
                self.hidden.functions.contains(&function.to_lowercase())
            }
            _ => false,
        };
        own || e.parts().into_iter().any(|part| self.names_hidden(part))
    }
}
