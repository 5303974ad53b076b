//! Probe queries: rows, distinct values and sums of every column, and every measure. They find what
//! hashes cannot: a server that decodes or computes otherwise.

use evercube_base::{DataType, Value};
use evercube_engine::QueryContext;
use evercube_work::{Limits, Work};

use crate::versions::LoadedVersion;

/// Measures that are asked for; more would make a proof of a large model long.
const MEASURES: usize = 200;
/// Bytes a probe may hold.
const MEMORY: usize = 1 << 30;

/// The answers of the version that is served, by what was asked.
pub(super) fn ask(version: &LoadedVersion, context: &QueryContext) -> Vec<(String, String)> {
    let compiled = &version.compiled;
    let mut answers = Vec::new();
    for table in compiled.tables() {
        let quoted = format!("'{}'", table.name.replace('\'', "''"));
        let mut parts = vec![format!("\"rows\", COUNTROWS({quoted})")];
        for column in &table.columns {
            let reference = format!("{quoted}[{}]", column.name.replace(']', "]]"));
            let name = column.name.replace('"', "\"\"");
            parts.push(format!("\"distinct {name}\", DISTINCTCOUNT({reference})"));
            if matches!(column.data_type, DataType::Int64 | DataType::Decimal | DataType::Double) {
                parts.push(format!("\"sum {name}\", SUM({reference})"));
            }
        }
        let query = format!("EVALUATE ROW({})", parts.join(", "));
        answers.push((
            format!("the probe of table '{}'", table.name),
            answer(version, &query, context),
        ));
    }
    for measure in compiled.measures().iter().take(MEASURES) {
        let query = format!("EVALUATE ROW(\"m\", [{}])", measure.name.replace(']', "]]"));
        answers.push((format!("measure [{}]", measure.name), answer(version, &query, context)));
    }
    answers
}

fn answer(version: &LoadedVersion, query: &str, context: &QueryContext) -> String {
    let work = Work::new(Limits { memory: MEMORY, ..Limits::default() });
    let run = || evercube_engine::query(&version.dataset(), query, context);
    match std::sync::Arc::new(work).run(run) {
        Ok(result) => {
            let rows = result.results.iter().flat_map(|t| &t.rows);
            let cells: Vec<String> = rows.flatten().map(text).collect();
            cells.join(" ")
        }
        Err(e) => format!("error: {}", e.message),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Blank => "blank".into(),
        Value::String(s) => format!("\"{s}\""),
        Value::Double(v) => format!("{v:?}"),
        other => format!("{other:?}"),
    }
}
