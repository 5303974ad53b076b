//! `DEFINE TABLE`: the query runs over a model and a version that have the table, computed as the
//! caller may see the data. Nothing in it tells the table from one of the model.

use std::sync::Arc;

use evercube_base::{DataType, Error, Result, RowBatch, Value};
use evercube_dax::ast::Expr;
use evercube_store::TableData;

use crate::bind::{Binder, common_type};
use crate::calculated::stored;
use crate::eval::Evaluator;
use crate::query::{Dataset, QueryContext, Variables};
use crate::secured::secured;

/// The dataset with one more table. `define` makes known what the expression may name; it gives
/// the variables of the query.
///
/// # Errors
/// Where the name is taken or the expression is wrong.
pub(crate) fn with_table(
    dataset: &Dataset,
    context: &QueryContext,
    define: impl FnOnce(&mut Binder<'_>) -> Result<Variables>,
    name: &str,
    expression: &Expr,
) -> Result<Dataset> {
    if dataset.model.table_id(name).is_some() {
        return Err(Error::invalid(format!(
            "Cannot define the table '{name}': the model has a table of this name."
        )));
    }
    let mut binder = Binder::of_query(&dataset.model, &dataset.store, context);
    let variables = define(&mut binder)?;
    let scope = binder.query_scope();
    let node = binder.shown_table(&scope, expression)?;
    let mut evaluator = Evaluator::new(&dataset.model, &dataset.store, context, false);
    evaluator.base_context.secured = Arc::new(secured(dataset, context)?);
    evaluator.query_measures = binder.defined.keys().cloned().collect();
    let cells = evaluator.with_variables(&evaluator.start(), &variables);
    let found = evaluator.table(&cells, &node)?;
    let mut columns: Vec<(String, DataType)> = Vec::new();
    let mut data = Vec::new();
    for (at, column) in node.schema().iter().enumerate() {
        if columns.iter().any(|(n, _)| n.eq_ignore_ascii_case(&column.name)) {
            return Err(Error::invalid(format!(
                "The table '{name}' would have two columns of the name '{}'; rename one of them, with SELECTCOLUMNS for example.",
                column.name
            )));
        }
        let values: Vec<Value> =
            (0..found.rows.len).map(|r| found.rows.value(&dataset.store, at, r)).collect();
        let data_type = stored_type(column.data_type, &values);
        data.push(stored(&values, data_type, &evaluator.culture));
        columns.push((column.name.to_string(), data_type));
    }
    let types: Vec<DataType> = columns.iter().map(|(_, data_type)| *data_type).collect();
    let batch = RowBatch { rows: found.rows.len, columns: data };
    let table = TableData::from_batches(&types, evaluator.collation, &[batch])?;
    let mut tables = dataset.store.tables.clone();
    tables.push(Arc::new(table));
    let mut model = (*dataset.model).clone();
    model.add_table(name, &columns);
    let store = dataset.store.with_tables(tables, &model.relationship_defs());
    Ok(Dataset { model: Arc::new(model), store: Arc::new(store) })
}

/// The type a column is stored in: values of several types that do not go together become text.
pub(crate) fn stored_type(bound: DataType, values: &[Value]) -> DataType {
    if bound != DataType::Variant {
        return bound;
    }
    match values.iter().filter_map(Value::data_type).reduce(common_type) {
        None | Some(DataType::Variant) => DataType::String,
        Some(shared) => shared,
    }
}
