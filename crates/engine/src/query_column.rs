//! `DEFINE COLUMN` on tables of the model: the query runs over a model and a version that have the
//! column, computed as the caller may see the data.

use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_dax::ast::Expr;

use crate::bind::Binder;
use crate::calculated::stored;
use crate::eval::Evaluator;
use crate::query::{Dataset, QueryContext, Variables};
use crate::query_table::stored_type;
use crate::row_values::{ByValue, by_value, row_values};
use crate::secured::secured;

/// The dataset with one more column in a table. `define` makes known what the expression may name;
/// it gives the variables of the query.
///
/// # Errors
/// Where the table is unknown, the name is taken, or the expression is wrong.
pub(crate) fn with_column(
    dataset: &Dataset,
    context: &QueryContext,
    define: impl FnOnce(&mut Binder<'_>) -> Result<Variables>,
    (table, name): (&str, &str),
    expression: &Expr,
) -> Result<Dataset> {
    let id = dataset.model.table_id(table).ok_or_else(|| {
        Error::invalid(format!("Cannot define the column '{name}': there is no table '{table}'."))
    })?;
    if dataset.model.column(table, name).is_some() {
        return Err(Error::invalid(format!(
            "Cannot define the column '{table}'[{name}]: the table has a column of this name."
        )));
    }
    let mut binder = Binder::of_query(&dataset.model, &dataset.store, context);
    let variables = define(&mut binder)?;
    let rows = binder.model_table(id, false, expression.span);
    let node = binder.in_rows_of(id, expression)?;
    // Every row gets a value, also those the caller does not see.
    let reader = Evaluator::new(&dataset.model, &dataset.store, context, false);
    let all = reader.table(&reader.start(), &rows)?;
    let mut evaluator = Evaluator::new(&dataset.model, &dataset.store, context, false);
    evaluator.base_context.secured = Arc::new(secured(dataset, context)?);
    let start = evaluator.with_variables(&evaluator.start(), &variables);
    let mut tables = dataset.store.tables.clone();
    let place = &mut tables[id.0 as usize];
    let (data_type, wider) = match by_value(&evaluator, &start, (id, all.rows.len), &node) {
        Some(ByValue { values, rows }) => {
            let data_type = stored_type(node.data_type(), &values);
            let data = stored(&values, data_type, &evaluator.culture);
            (data_type, place.and_column_of(data_type, data, &rows)?)
        }
        None => {
            let values = row_values(&evaluator, &start, (id, &all), &node)?;
            let data_type = stored_type(node.data_type(), &values);
            (
                data_type,
                place.and_column(data_type, stored(&values, data_type, &evaluator.culture))?,
            )
        }
    };
    *place = Arc::new(wider);
    let mut model = (*dataset.model).clone();
    model.add_column(id, name, data_type);
    let store = dataset.store.with_tables(tables, &model.relationship_defs());
    Ok(Dataset { model: Arc::new(model), store: Arc::new(store) })
}
