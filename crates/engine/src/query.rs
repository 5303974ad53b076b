//! Whole queries: what a caller brings, what comes back.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use evercube_base::{DataType, DateTime, Error, Result, Value};
use evercube_store::StoreVersion;

use crate::compiled_model::CompiledModel;

/// A model and the data of one version of it.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub model: Arc<CompiledModel>,
    pub store: Arc<StoreVersion>,
}

/// Everything an evaluation may depend on besides model, data and text.
#[derive(Debug, Clone)]
pub struct QueryContext {
    /// Roles whose filters apply; rows any of them lets through are visible. Empty: everything.
    pub roles: Vec<String>,
    pub user: String,
    pub custom_data: Option<String>,
    /// As `en-US`.
    pub locale: String,
    /// Local time of the query's start.
    pub now: DateTime,
    pub utc_now: DateTime,
    /// Start of the random sequence.
    pub seed: u64,
    /// Set from outside to stop the evaluation.
    pub cancel: Arc<AtomicBool>,
    /// Bytes the evaluation may hold at a time.
    pub memory_limit: usize,
    /// Rows one result may have.
    pub row_limit: usize,
    /// Values of `@parameters`.
    pub parameters: Vec<(String, Value)>,
}

impl Default for QueryContext {
    fn default() -> Self {
        Self {
            roles: Vec::new(),
            user: String::new(),
            custom_data: None,
            locale: "en-US".into(),
            now: DateTime::default(),
            utc_now: DateTime::default(),
            seed: 1,
            cancel: Arc::default(),
            memory_limit: usize::MAX,
            row_limit: usize::MAX,
            parameters: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// As clients see it: `Table[Column]` or `[Name]`.
    pub name: String,
    pub data_type: DataType,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResultTable {
    pub columns: Vec<ResultColumn>,
    pub rows: Vec<Vec<Value>>,
}

/// One table per `EVALUATE`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QueryResult {
    pub results: Vec<ResultTable>,
}

/// Answers a query.
///
/// # Errors
/// `Syntax` and `Semantic` with a place in `text`; `Evaluation`; `Cancelled`; `Limit`.
pub fn query(dataset: &Dataset, text: &str, context: &QueryContext) -> Result<QueryResult> {
    let _ = (dataset, context);
    evercube_dax::parse_query(text).into_result()?;
    Err(Error::unsupported("Queries are parsed but not evaluated in this version."))
}

/// How a query is answered, as text.
///
/// # Errors
/// As [`query`].
pub fn explain(dataset: &Dataset, text: &str, context: &QueryContext) -> Result<String> {
    let _ = (dataset, context);
    evercube_dax::parse_query(text).into_result()?;
    Err(Error::unsupported("Queries are parsed but not planned in this version."))
}
