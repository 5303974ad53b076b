//! Calculated columns and tables: computed over source data, in the order they need each other.

use std::sync::Arc;

use evercube_base::{DataType, Result, RowBatch, Value};
use evercube_store::{ColumnId, TableData, TableId};

use crate::compiled_model::{CompiledModel, ObjectState};
use crate::query::QueryContext;

/// What was computed, and what could not be.
#[derive(Debug, Default)]
pub struct Calculated {
    /// Rows of calculated tables, columns in model order.
    pub tables: Vec<(TableId, Vec<RowBatch>)>,
    /// One value per row of the column's table.
    pub columns: Vec<(ColumnId, Vec<Value>)>,
    pub failures: Vec<ObjectState>,
}

/// Computes every calculated table and column. `tables` holds the source data in model order:
/// calculated columns blank, calculated tables empty.
///
/// # Errors
/// Only for what stops everything (cancelled, limits); a bad expression is a failure of its object.
pub fn calculate(
    model: &Arc<CompiledModel>,
    tables: Vec<Arc<TableData>>,
    context: &QueryContext,
) -> Result<Calculated> {
    let _ = (model, tables, context);
    Ok(Calculated::default())
}

/// Columns a calculated table will have: name, source column, type.
///
/// # Errors
/// Where the table's expression does not bind.
pub fn calculated_table_columns(
    model: &CompiledModel,
    table: TableId,
) -> Result<Vec<(String, String, DataType)>> {
    let _ = (model, table);
    Ok(Vec::new())
}
