//! Row filters of roles: which rows of which tables the caller may see.

use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_store::{BitSet, ColumnId, TableId};

use crate::bind::{Binder, Scope};
use crate::compiled_model::{CompiledModel, RoleFilter};
use crate::eval::{CellTable, Evaluator};
use crate::filter_context::{Filter, FilterContext, Visibility};
use crate::query::{Dataset, QueryContext};
use crate::scalar::to_bool;

/// The filters of the caller's roles, united: a row is visible where any of the roles shows it, a
/// table is free where any of them does not filter it. A filter with an error shows nothing.
///
/// # Errors
/// Only what stops the query as a whole, such as cancellation.
pub(crate) fn secured(dataset: &Dataset, context: &QueryContext) -> Result<Vec<Filter>> {
    let filters: Vec<&RoleFilter> = dataset.model.role_filters(&context.roles).collect();
    let mut out = Vec::new();
    for table in tables_with_filters(&dataset.model, &context.roles) {
        let of_table: Vec<&&RoleFilter> = filters.iter().filter(|f| f.table == table).collect();
        let mut rows = BitSet::new(dataset.store.table(table).rows() + 1, false);
        for filter in of_table {
            match visible(dataset, context, filter) {
                Ok(of_role) => of_role.iter().for_each(|row| rows.insert(row)),
                Err(e) if e.kind.is_stop() => return Err(e),
                // What cannot be evaluated lets no row through.
                Err(_) => {}
            }
        }
        out.push(of_table_alone(dataset, table, rows));
    }
    Ok(reached(dataset, out))
}

/// The tables that the caller's roles filter themselves: those that every role has a filter for.
pub(crate) fn tables_with_filters(model: &CompiledModel, roles: &[String]) -> Vec<TableId> {
    let filters: Vec<&RoleFilter> = model.role_filters(roles).collect();
    let is_filtered = |table: TableId, role: &String| {
        filters.iter().any(|f| f.table == table && f.role.eq_ignore_ascii_case(role))
    };
    let mut tables: Vec<TableId> = filters.iter().map(|f| f.table).collect();
    tables.sort_unstable_by_key(|t| t.0);
    tables.dedup();
    tables.retain(|t| roles.iter().all(|role| is_filtered(*t, role)));
    tables
}

/// Rows of a table as a filter of this table: those that it looks up stay as they are.
fn of_table_alone(dataset: &Dataset, table: TableId, rows: BitSet) -> Filter {
    let others = (0..dataset.model.tables().len() as u32).map(TableId).filter(|t| *t != table);
    let columns = |t: TableId| {
        let n = dataset.model.table(t).columns.len() as u32;
        (0..n).map(move |column| ColumnId { table: t, column })
    };
    let without = others.flat_map(columns).collect();
    Filter::Rows { table, rows: Arc::new(rows), without, relationships: None }
}

/// What the filters leave of every table that they reach.
fn reached(dataset: &Dataset, filters: Vec<Filter>) -> Vec<Filter> {
    if filters.is_empty() {
        return filters;
    }
    let visibility = Visibility { model: &dataset.model, store: &dataset.store };
    let context = FilterContext { filters, by_security: true, ..FilterContext::default() };
    let tables = (0..dataset.model.tables().len() as u32).map(TableId);
    let left = |t: TableId| {
        let rows = visibility.restricted(&context, t)?;
        Some(of_table_alone(dataset, t, rows))
    };
    tables.filter_map(left).collect()
}

/// Rows one filter lets through, its blank row last.
fn visible(dataset: &Dataset, context: &QueryContext, filter: &RoleFilter) -> Result<BitSet> {
    let expression = filter.expression.clone()?;
    // A filter may look at what is hidden from the caller.
    let model = dataset.model.whole();
    let mut binder = Binder::new(model, &dataset.store, &[]);
    let scope = Scope::default();
    let table = binder.model_table(filter.table, true, expression.span);
    let inner = binder.inside(&scope, &table);
    let condition = binder.scalar(&inner, &expression)?;
    let evaluator = Evaluator::new(model, &dataset.store, context, false);
    let rows = evaluator.table(&evaluator.start(), &table)?;
    let (cells, _) = evaluator.start().iterate(&rows);
    let test = evaluator.scalars(&cells, &condition)?;
    let mut out = BitSet::new(dataset.store.table(filter.table).rows() + 1, false);
    for cell in 0..cells.n {
        let shown = match test.get(cell) {
            Value::Blank => false,
            v => to_bool(v, &evaluator.culture)?,
        };
        if shown {
            out.insert(base_row(&rows, cell));
        }
    }
    Ok(out)
}

fn base_row(rows: &CellTable, cell: usize) -> usize {
    rows.rows.base_row(cell)
}
