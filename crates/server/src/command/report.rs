//! What an operation on the group did, printed.

use bytes::Bytes;
use evercube_service::operations::Report;

use crate::client::json;
use crate::failure::Outcome;
use crate::output::print;

/// Prints the answer of an operation: its sentences and the gap, or the JSON as it came.
pub fn show(answer: &Bytes, as_json: bool) -> Outcome {
    let report: Report = json(answer)?;
    if as_json {
        return print(&format!("{}\n", String::from_utf8_lossy(answer).trim_end()));
    }
    let mut out = String::new();
    for line in &report.done {
        out.push_str(line);
        out.push('\n');
    }
    if let (Some(writes), Some(reads)) = (report.gap_ms, report.read_gap_ms) {
        out.push_str(&format!(
            "measured gap: writes {writes} ms, strong reads {reads} ms; took {} ms\n",
            report.took_ms
        ));
    }
    print(&out)
}
