//! Refuses filters that have several ways to a table, none better than the others.

use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_store::{RelationshipId, TableId};

use super::Evaluator;
use super::cells::Cells;
use crate::filter_context::{Direction, Filter, FilterContext};

type Relationships = (Vec<RelationshipId>, Vec<(RelationshipId, Direction)>);

/// What is ambiguous about the ways to a table, by what is done to relationships.
pub(super) type Ambiguities = HashMap<(Relationships, TableId), Arc<Vec<(TableId, String)>>>;

impl Evaluator<'_> {
    /// Checks the ways of a context's filters, and of the cells' keys, to a table.
    pub(super) fn check_paths(
        &self,
        context: &FilterContext,
        cells: &Cells,
        table: TableId,
    ) -> Result<()> {
        let key = ((context.used.clone(), context.directions.clone()), table);
        let known = self.ambiguities.borrow().get(&key).cloned();
        let found = known.unwrap_or_else(|| {
            let found = Arc::new(self.visibility().ambiguities(context, table));
            self.ambiguities.borrow_mut().insert(key, Arc::clone(&found));
            found
        });
        for (from, message) in found.iter() {
            let is_filtered = |f: &Filter| match f {
                Filter::Column { column, .. } => column.table == *from,
                Filter::Tuples { columns, .. } => columns.iter().any(|c| c.table == *from),
                Filter::Rows { table: t, .. } => t == from,
            };
            if context.filters.iter().any(is_filtered)
                || cells.keys.iter().any(|k| k.target.table() == *from)
            {
                return Err(Error::evaluation(message.clone()));
            }
        }
        Ok(())
    }
}
