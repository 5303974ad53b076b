//! Levels of a column's hierarchy, as `Sales[Date].[Year]`: columns of the table that the column's
//! variation names. Power BI makes such a table for every column of dates.

use std::collections::HashMap;
use std::sync::Arc;

use evercube_dax::ast::{Expr, ExprKind};
use evercube_model::tabular::Model;

use super::key;

/// For each table and column with a variation the table of its hierarchy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Levels(HashMap<(String, String), Arc<str>>);

impl Levels {
    pub(crate) fn of(model: &Model) -> Self {
        let mut found = HashMap::new();
        for table in &model.tables {
            for column in &table.columns {
                let variations = column.extra.get("variations").and_then(|v| v.as_array());
                let hierarchy = variations.into_iter().flatten().find_map(|variation| {
                    variation.get("defaultHierarchy")?.get("table")?.as_str()
                });
                if let Some(of) = hierarchy {
                    found.insert((key(&table.name), key(&column.name)), of.into());
                }
            }
        }
        Self(found)
    }

    /// Whether a table is that of some column's hierarchy.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        self.0.values().any(|table| key(table) == key(name))
    }

    /// Puts the columns that levels stand for in their places; what is none stays.
    pub(crate) fn resolve(&self, e: &mut Expr) {
        if let ExprKind::Level { table, column, level } = &e.kind
            && let Some(of) = self.table(table.as_deref(), column)
        {
            e.kind = ExprKind::Qualified { table: of, name: Arc::clone(level) };
        }
        e.parts_mut().into_iter().for_each(|part| self.resolve(part));
    }

    /// Where no table is named, the only column of that name with a hierarchy is meant.
    fn table(&self, table: Option<&str>, column: &str) -> Option<Arc<str>> {
        let of = |(t, c): &(String, String)| {
            *c == key(column) && table.is_none_or(|table| *t == key(table))
        };
        let mut found = self.0.iter().filter(|(place, _)| of(place)).map(|(_, table)| table);
        found.next().filter(|_| found.next().is_none()).map(Arc::clone)
    }
}
