//! The meaning of DAX: models made ready for evaluation, expressions bound to them, evaluation over
//! tables of contexts, the function library, calculated columns and tables, row filters.
//!
//! Never here: network, clock, async.

mod bind;
pub mod calculated;
pub mod calculation_group;
pub mod compiled_model;
pub mod dependencies;
mod eval;
mod explain;
pub mod filter_context;
pub mod functions;
mod object_security;
mod plan;
pub mod query;
mod query_column;
mod query_parameter;
mod query_table;
mod references;
mod result_cache;
mod row_filters;
mod row_values;
mod rules;
pub mod scalar;
mod secured;

pub use calculated::{Calculated, calculate, calculated_column_type, calculated_table_columns};
pub use compiled_model::CompiledModel;
pub use dependencies::{Named, named_by, named_by_query};
pub use explain::{Explanation, Fallback, Operator, Scan, ScanSource};
pub use filter_context::{Direction, Filter, FilterContext, Visibility};
pub use object_security::{Hidden, HiddenObject};
pub use query::{
    Dataset, LONG_TABLE, QueryContext, QueryResult, ResultColumn, ResultTable, RowsetSource,
    explain, query,
};
pub use result_cache::{ResultCache, Volatile};
pub use rules::{Rule, Rules};
