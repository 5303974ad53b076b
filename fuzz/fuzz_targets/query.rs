//! Binder and evaluator: no query panics, over a version without tables.
#![no_main]

use std::sync::Arc;

use evercube_engine::{CompiledModel, Dataset, QueryContext, query};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let dataset = Dataset { model: Arc::new(CompiledModel::default()), store: Arc::default() };
    let context = QueryContext { memory_limit: 1 << 20, ..QueryContext::default() };
    let _ = query(&dataset, text, &context);
});
