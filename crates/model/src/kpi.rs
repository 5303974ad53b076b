//! What a KPI makes of its measure: measures of their own, which expressions may name.

use serde_json::Value as Json;

use crate::tabular::Measure;

/// The part of a KPI, and the property with its expression.
const PARTS: [(&str, &str); 3] =
    [("Goal", "targetExpression"), ("Status", "statusExpression"), ("Trend", "trendExpression")];

/// The measures of a measure's KPI: `_Sales Goal`, `_Sales Status`, `_Sales Trend`, with their
/// expressions.
pub fn kpi_measures(measure: &Measure) -> Vec<(String, String)> {
    let Some(kpi) = &measure.kpi else { return Vec::new() };
    let part = |(part, property): &(&str, &str)| {
        let text = text(kpi.get(*property)?)?;
        (!text.trim().is_empty()).then(|| (format!("_{} {part}", measure.name), text))
    };
    PARTS.iter().filter_map(part).collect()
}

/// An expression as a script writes it: one text, or its lines.
fn text(given: &Json) -> Option<String> {
    match given {
        Json::String(text) => Some(text.clone()),
        Json::Array(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Json::as_str).collect();
            lines.map(|l| l.join("\n"))
        }
        _ => None,
    }
}
