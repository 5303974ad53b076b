//! Results of queries as tables, CSV and JSON.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Deserialize;
use serde_json::Value as Json;

/// How `query` prints what it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Boxes for people
    Table,
    /// Comma separated, a header line first; results are parted by an empty line
    Csv,
    /// The contract's JSON: blank is null, dates ISO, decimals exact text
    Json,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Results {
    pub results: Vec<ResultTable>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ResultTable {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Json>>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

impl Results {
    pub fn to_text(&self, format: Format) -> String {
        let tables = self.results.iter().map(|t| match format {
            Format::Csv => t.to_csv(),
            Format::Table | Format::Json => t.to_table(),
        });
        tables.collect::<Vec<_>>().join("\n")
    }
}

impl ResultTable {
    pub fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(self.columns.iter().map(|c| visible(&c.name)));
        for row in &self.rows {
            table.add_row(row.iter().map(shown));
        }
        for (column, described) in table.column_iter_mut().zip(&self.columns) {
            let kind = described.kind.to_ascii_lowercase();
            if matches!(kind.as_str(), "int64" | "double" | "decimal" | "fixeddecimal") {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let n = self.rows.len();
        format!("{table}\n{n} row{}\n", if n == 1 { "" } else { "s" })
    }

    pub fn to_csv(&self) -> String {
        let mut out = String::new();
        line(&mut out, self.columns.iter().map(|c| quoted(&c.name)));
        for row in &self.rows {
            line(
                &mut out,
                row.iter().map(|v| match v {
                    Json::Null => String::new(),
                    Json::String(s) => quoted(s),
                    other => other.to_string(),
                }),
            );
        }
        out
    }
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    out.push_str(&cells.collect::<Vec<_>>().join(","));
    out.push_str("\r\n");
}

/// Text of others as a terminal may get it: without characters that steer it.
pub fn visible(text: &str) -> String {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn shown(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(s) => visible(s),
        other => other.to_string(),
    }
}

/// Quotes where CSV needs it, and around empty text, which is not blank.
fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Writes to stdout; a reader that went away is not an error worth words.
///
/// # Errors
/// `Refused` when the output cannot be written.
pub fn print(text: &str) -> crate::failure::Outcome {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_tells_blank_from_empty_text() {
        let results: Results = serde_json::from_str(
            r#"{"results":[{"columns":[{"name":"A,b","type":"string"},{"name":"N","type":"int64"}],
                "rows":[["x \"y\"",1],["",null]]}]}"#,
        )
        .unwrap();
        let text = results.to_text(Format::Csv);
        assert_eq!(text, "\"A,b\",N\r\n\"x \"\"y\"\"\",1\r\n\"\",\r\n");
        assert!(results.to_text(Format::Table).contains("2 rows"));
    }

    #[test]
    fn data_does_not_steer_the_terminal() {
        let results: Results = serde_json::from_str(
            r#"{"results":[{"columns":[{"name":"A\u001b[2J","type":"string"}],"rows":[["x\u001b[31m\u0007y"]]}]}"#,
        )
        .unwrap();
        let text = results.to_text(Format::Table);
        assert!(!text.contains(['\u{1b}', '\u{7}']) && text.contains("[31m"), "{text}");
        assert!(results.to_text(Format::Csv).contains('\u{1b}'), "programs get what is there");
    }
}
