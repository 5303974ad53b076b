//! Row filters of roles: which rows the caller sees, looked at one by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_engine::{Filter, FilterContext, scalar as rules};
use evercube_store::{BitSet, ColumnId, RelationshipId, TableId};

use super::{Env, Reference, RowContext, unsupported};

/// Rows of a table that are shown, its blank row last.
pub(super) type Rows = BTreeSet<usize>;

impl Reference {
    /// From here on everything is seen as members of these roles see it.
    ///
    /// # Errors
    /// Where filters of roles flow to the one side of relationships, or many to many.
    pub fn see_as(&mut self, roles: &[String]) -> Result<()> {
        if self.model.relationships().iter().any(|r| r.secures_both_directions) {
            return Err(unsupported("filters of roles in both directions"));
        }
        let mut limited = self.model.relationships().iter().filter(|r| r.def.many_to_many);
        if !roles.is_empty() && limited.any(|r| r.active) {
            return Err(unsupported("filters of roles over limited relationships"));
        }
        let tables = (0..self.model.tables().len() as u32).map(TableId);
        // Filters of roles may look at what is hidden from the caller.
        self.own_rows = tables.map(|t| self.shown_by(roles, t)).collect();
        self.hide(roles);
        self.secure();
        Ok(())
    }

    /// Whether roles filter the table itself.
    pub(super) fn has_own_rows(&self, table: TableId) -> bool {
        self.own_rows.get(table.0 as usize).is_some_and(Option::is_some)
    }

    /// The rows that are left of every table.
    pub(super) fn secure(&mut self) {
        let tables = || (0..self.model.tables().len() as u32).map(TableId);
        let own = |t: TableId| self.own_rows.get(t.0 as usize)?.as_ref();
        let mut secured = Vec::new();
        for table in tables() {
            let expanded = self.visibility().expanded(&FilterContext::default(), table);
            let filtered: Vec<(&Rows, TableId, &[RelationshipId])> = expanded
                .iter()
                .filter_map(|(t, path)| Some((own(*t)?, *t, path.as_slice())))
                .collect();
            if filtered.is_empty() {
                continue;
            }
            let n = self.store.table(table).rows();
            let mut rows = BitSet::new(n + 1, false);
            for row in 0..=n {
                let is_shown = |(shown, one, path): &(&Rows, TableId, &[RelationshipId])| {
                    shown.contains(&self.looked_up(table, row, *one, path))
                };
                if filtered.iter().all(is_shown) {
                    rows.insert(row);
                }
            }
            let without = tables().filter(|t| *t != table).flat_map(|t| self.columns_of(t));
            secured.push(Filter::Rows {
                table,
                rows: Arc::new(rows),
                without: without.collect(),
                relationships: None,
            });
        }
        self.shown = Arc::new(secured);
    }

    pub(super) fn columns_of(&self, table: TableId) -> Vec<ColumnId> {
        let n = self.model.table(table).columns.len() as u32;
        (0..n).map(|column| ColumnId { table, column }).collect()
    }

    /// The rows of a table that any of the roles shows; `None` where one of them does not filter it.
    fn shown_by(&self, roles: &[String], table: TableId) -> Option<Rows> {
        let filters: Vec<_> = self.model.role_filters(roles).filter(|f| f.table == table).collect();
        let filters_it = |role: &String| filters.iter().any(|f| f.role.eq_ignore_ascii_case(role));
        if !roles.iter().all(filters_it) || filters.is_empty() {
            return None;
        }
        let shown = filters.iter().map(|filter| {
            let condition = filter.expression.as_ref().ok()?;
            let mut rows = Rows::new();
            for row in 0..=self.store.table(table).rows() {
                let value = self.scalar(&self.in_row(table, row), condition).ok()?;
                if !value.is_blank() && rules::to_bool(&value, &self.culture).ok()? {
                    rows.insert(row);
                }
            }
            Some(rows)
        });
        // A filter with an error shows nothing.
        Some(shown.flatten().flatten().collect())
    }

    /// One row of a table as the only row context.
    pub(super) fn in_row(&self, table: TableId, row: usize) -> Env {
        let data = self.store.table(table);
        let columns = self.columns_of(table);
        let value = |c: &ColumnId| match row < data.rows() {
            true => data.column(c.column).value(data.column(c.column).code(row)),
            false => Value::Blank,
        };
        let context = RowContext {
            values: columns.iter().map(value).collect(),
            columns: columns.iter().map(|c| self.model_column(*c)).collect::<Vec<_>>().into(),
            whole: Some(table),
            keep: false,
            relationships: std::rc::Rc::default(),
            level: 0,
        };
        Env { rows: vec![context], ..Env::default() }
    }

    /// The row of the one side that a row leads to, over relationships; the blank row where there is
    /// none.
    fn looked_up(&self, from: TableId, row: usize, to: TableId, path: &[RelationshipId]) -> usize {
        let mut at = (from, row);
        for id in path {
            let r = self.model.relationship(*id).def;
            let (many, one) = (self.store.table(at.0), self.store.table(r.to.table));
            let value = |table: &evercube_store::TableData, c: u32, row: usize| {
                table.column(c).value(table.column(c).code(row))
            };
            let found = (at.1 < many.rows()).then(|| value(many, r.from.column, at.1));
            let found = found
                .and_then(|key| (0..one.rows()).find(|row| value(one, r.to.column, *row) == key));
            at = (r.to.table, found.unwrap_or(one.rows()));
        }
        debug_assert!(at.0 == to);
        at.1
    }
}
