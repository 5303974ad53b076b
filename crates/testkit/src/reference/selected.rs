//! `ALLSELECTED`: what was selected before iterators and groupings took single rows of it.
//!
//! Whoever goes through rows leaves a shadow of the whole table behind; it filters nothing until
//! `ALLSELECTED` puts it in the place of the filters on its columns. The shadow is the last one that
//! has any of the columns asked for; filters on those it has not stay. `SUMMARIZECOLUMNS` leaves
//! the filters it was called with, for the columns it groups by.

use std::rc::Rc;

use evercube_base::Result;
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::FilterContext;
use evercube_store::{ColumnId, TableId};

use super::{Env, Reference, Table};

/// What `ALLSELECTED` can go back to.
#[derive(Debug, Clone)]
pub(super) enum Shadow {
    /// The rows gone through, and relationships as they were there.
    Rows(Rc<Table>, Rc<FilterContext>),
    /// The filters of a query before it grouped, and the columns it groups by.
    Query(Rc<FilterContext>, Vec<ColumnId>),
}

impl Reference {
    /// Columns that a shadow filters, and its filters.
    fn shadow(&self, shadow: &Shadow) -> Result<(Vec<ColumnId>, FilterContext)> {
        match shadow {
            Shadow::Query(context, columns) => Ok((columns.clone(), context.as_ref().clone())),
            Shadow::Rows(table, relationships) => {
                let mut columns: Vec<ColumnId> =
                    table.columns.iter().filter_map(|c| c.lineage).collect();
                if columns.is_empty() {
                    return Ok((columns, self.unfiltered()));
                }
                if let Some(id) = table.whole {
                    columns.extend(self.beyond(relationships, id).into_iter().map(|(_, _, c)| c));
                }
                let filters = vec![self.filter_of(relationships, table)?];
                Ok((columns, FilterContext { filters, ..self.unfiltered() }))
            }
        }
    }

    /// The filters where the columns are selected as their shadows say; no columns: all.
    pub(super) fn selected(
        &self,
        env: &Env,
        from: &FilterContext,
        columns: Option<Vec<ColumnId>>,
    ) -> Result<FilterContext> {
        let every = self.every_column();
        let asked = columns.unwrap_or_else(|| every.clone());
        for shadow in env.shadows.iter().rev() {
            let (covered, mut restored) = self.shadow(shadow)?;
            let own: Vec<ColumnId> = covered.into_iter().filter(|c| asked.contains(c)).collect();
            if own.is_empty() {
                continue;
            }
            let others: Vec<ColumnId> =
                every.iter().filter(|c| !own.contains(c)).copied().collect();
            restored.remove(&others);
            let mut context = from.clone();
            context.remove(&own);
            context.filters.extend(restored.filters);
            return Ok(context);
        }
        Ok(from.clone())
    }

    fn every_column(&self) -> Vec<ColumnId> {
        let tables = (0..self.model.tables().len() as u32).map(TableId);
        let of = |table: TableId| {
            (0..self.model.table(table).columns.len() as u32)
                .map(move |column| ColumnId { table, column })
        };
        tables.flat_map(of).collect()
    }

    /// `ALLSELECTED` as a table.
    pub(super) fn all_selected(&self, env: &Env, arguments: &[Expr]) -> Result<Table> {
        let columns = self.named_columns(arguments)?;
        let context = self.selected(env, &env.filters, Some(columns.clone()))?;
        match arguments {
            [Expr { kind: ExprKind::Name { name, .. }, .. }] => {
                let id = self.table_named(name).unwrap_or(columns[0].table);
                Ok(self.whole_table(&context, id, true))
            }
            _ => Ok(self.combinations(&context, &columns, true)),
        }
    }
}
