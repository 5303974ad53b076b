//! Names in expressions: columns, variables, tables, and what a name may mean where it stands.

use evercube_base::{Error, Result};
use evercube_dax::ast::{Expr, ExprKind, Span};
use evercube_store::ColumnId;

use super::{Binder, BoundVariable, Scope, names};
use crate::plan::{Kind, Node, TableColumn, Type, Uses};

impl Binder<'_> {
    /// The model column that a reference names, whatever the row context.
    pub(crate) fn column_reference(&self, e: &Expr) -> Result<ColumnId> {
        let found = match &e.kind {
            ExprKind::Qualified { table, name } => self.model.column(table, name),
            ExprKind::Bracketed(name) if self.home_column(name).is_some() => self.home_column(name),
            ExprKind::Bracketed(name) => {
                let mut tables =
                    self.model.tables().iter().filter_map(|t| self.model.column(&t.name, name));
                tables.next().filter(|_| tables.next().is_none())
            }
            _ => None,
        };
        found.ok_or_else(|| self.no_column_reference(e).at(e.span.place()))
    }

    fn no_column_reference(&self, e: &Expr) -> Error {
        let wanted = match self.callee {
            "" => "A column of the model is expected here, as Table[Column]".to_owned(),
            function => format!("{function} takes a column of the model here, as Table[Column]"),
        };
        Error::invalid(match &e.kind {
            ExprKind::Level { column, level, .. } => return no_level(column, level),
            ExprKind::Qualified { name, .. } | ExprKind::Bracketed(name)
                if self.is_measure(name) =>
            {
                format!("{wanted}; [{name}] is a measure.")
            }
            ExprKind::Qualified { table, name } => return self.no_column(table, name),
            ExprKind::Bracketed(name) => {
                let of = |t: &&str| self.model.column(t, name).is_some();
                let mut tables: Vec<&str> = self.model.table_names().filter(of).collect();
                tables.sort_unstable();
                match tables.as_slice() {
                    [] => format!("{wanted}; no table has a column '{name}'."),
                    [first, ..] => format!(
                        "The column '{name}' is in several tables: {}. Write it with its table, as '{first}'[{name}].",
                        tables.join(", ")
                    ),
                }
            }
            ExprKind::Name { name, .. } if self.model.table_id(name).is_some() => {
                format!("{wanted}; '{name}' is a table.")
            }
            _ => format!("{wanted}."),
        })
    }

    pub(super) fn no_column(&self, table: &str, name: &str) -> Error {
        Error::invalid(match self.model.table_id(table) {
            Some(id) => {
                let near = names::nearest(name, self.model.column_names(id));
                format!("Column '{name}' in table '{table}' cannot be found.{near}")
            }
            None => {
                let near = names::nearest(table, self.model.table_names());
                format!("Cannot find table '{table}'.{near}")
            }
        })
    }

    fn home_column(&self, name: &str) -> Option<ColumnId> {
        self.model.column(&self.model.table(self.home?).name, name)
    }

    /// Variables do not hide tables.
    pub(super) fn check_variable(&self, name: &str) -> Result<()> {
        match self.model.table_id(name) {
            Some(_) => Err(Error::invalid(format!(
                "The variable {name} has the name of a table of the model; give it another name."
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn variable_named<'s>(
        &self,
        scope: &'s Scope,
        name: &str,
        quoted: bool,
    ) -> Option<&'s BoundVariable> {
        let name = name.to_lowercase();
        scope.variables.iter().rev().find(|v| v.name == name && !quoted)
    }

    pub(super) fn is_measure(&self, name: &str) -> bool {
        self.defined.contains_key(&name.to_lowercase()) || self.model.measure(name).is_some()
    }

    pub(super) fn name(
        &mut self,
        scope: &Scope,
        name: &str,
        quoted: bool,
        span: Span,
    ) -> Result<Node> {
        if let Some(v) = self.variable_named(scope, name, quoted) {
            let uses = match v.of_query {
                // Of the one cell a query starts in.
                true => Uses::default(),
                false => Uses { slot: v.slot, ..v.uses },
            };
            return Ok(Self::node(Kind::Variable(v.slot), v.ty.clone(), uses, span));
        }
        match self.model.table_id(name) {
            Some(table) => Ok(self.model_table(table, false, span)),
            None => {
                let variables = scope.variables.iter().map(|v| &*v.name);
                let near = names::nearest(name, self.model.table_names().chain(variables));
                Err(Error::invalid(format!("Cannot find the table or variable '{name}'.{near}")))
            }
        }
    }

    fn row_column(
        &self,
        scope: &Scope,
        find: impl Fn(&TableColumn) -> bool,
        span: Span,
    ) -> Option<Node> {
        let seen = scope.frames.iter().enumerate().filter(|(_, f)| f.is_seen_from(span));
        for (frame, f) in seen.rev() {
            if let Some(column) = f.schema.iter().position(&find) {
                let uses = Uses { frame, ..Uses::default() };
                let ty = Type::Scalar(f.schema[column].data_type);
                return Some(Self::node(Kind::RowColumn { frame, column }, ty, uses, span));
            }
        }
        None
    }

    pub(super) fn bracketed(&mut self, scope: &Scope, name: &str, span: Span) -> Result<Node> {
        let same = |c: &TableColumn| c.name.to_lowercase() == name.to_lowercase();
        let extension = |c: &TableColumn| same(c) && c.table.is_none();
        if let Some(found) = self.row_column(scope, extension, span) {
            return Ok(found);
        }
        if let Some(measure) = self.measure(scope, name, span)? {
            return Ok(measure);
        }
        self.row_column(scope, same, span).ok_or_else(|| {
            let may_be_named =
                |c: &&TableColumn| c.lineage.is_none_or(|id| !self.model.column_info(id).hidden);
            let columns = scope.frames.iter().flat_map(|f| f.schema.iter().filter(may_be_named));
            let columns = columns.map(|c| &*c.name);
            let near = names::nearest(name, self.model.measure_names().chain(columns));
            Error::invalid(format!(
                "The value for '{name}' cannot be determined: there is no such measure, and no column of that name in the row context.{near}"
            ))
        })
    }

    pub(super) fn qualified(
        &mut self,
        scope: &Scope,
        table: &str,
        name: &str,
        span: Span,
    ) -> Result<Node> {
        let (t, n) = (table.to_lowercase(), name.to_lowercase());
        let is_it = |c: &TableColumn| {
            c.name.to_lowercase() == n && c.table.as_ref().is_some_and(|of| of.to_lowercase() == t)
        };
        if let Some(found) = self.row_column(scope, is_it, span) {
            return Ok(found);
        }
        if let Some(column) = self.model.column(table, name) {
            // The level of a date in the row: `Sales[Date].[Year]`.
            if self.model.is_of_levels(table)
                && let Some(found) = self.related_column(scope, column, span)
            {
                return Ok(found);
            }
            return Err(Error::invalid(format!(
                "A single value for column '{name}' in table '{table}' cannot be determined. This happens where a column is named without an aggregation such as MIN, MAX, COUNT or SUM, outside of a row context."
            )));
        }
        if let Some(measure) = self.measure(scope, name, span)? {
            return Ok(measure);
        }
        Err(self.no_column(table, name))
    }
}

/// Of a column whose hierarchy, if it has one, is not known.
pub(super) fn no_level(column: &str, level: &str) -> Error {
    Error::invalid(format!(
        "The column '{column}' has no hierarchy of dates of which [{level}] could be a level: the model gives it no variation. Use a column of a date table."
    ))
}
