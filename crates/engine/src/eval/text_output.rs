//! `TOCSV` and `TOJSON`: tables as text.

use std::fmt::Write;

use evercube_base::{Result, Value};
use evercube_work::watched;

use super::rows::CellTable;
use super::{Cells, Evaluator, Scalars};
use crate::plan::{Node, TableColumn, TextForm};
use crate::scalar::{self as rules, Culture};

impl Evaluator<'_> {
    pub(crate) fn to_text_table(
        &self,
        cells: &Cells,
        table: &Node,
        form: &TextForm,
        limit: &Node,
    ) -> Result<Scalars> {
        let schema = table.schema();
        let names: Vec<String> = schema.iter().map(shown_name).collect();
        let table = self.table(cells, table)?;
        let limit = self.scalars(cells, limit)?;
        let mut out = Vec::with_capacity(cells.n);
        let delimiter = match form {
            TextForm::Csv { delimiter, .. } => Some(self.scalars(cells, delimiter)?),
            TextForm::Json => None,
        };
        let header = match form {
            TextForm::Csv { header, .. } => Some(self.scalars(cells, header)?),
            TextForm::Json => None,
        };
        for cell in watched(0..cells.n) {
            let limit = rules::to_f64(limit.get(cell), &self.culture)?;
            let count = table.range(cell).len();
            let rows =
                self.rows_to_show(&table, cell, if limit < 0.0 { count } else { limit as usize });
            out.push(Value::from(match (&delimiter, &header) {
                (Some(d), Some(h)) => {
                    let names =
                        rules::to_bool(h.get(cell), &self.culture)?.then_some(names.as_slice());
                    csv(&self.culture, names, &rows, &rules::to_text(d.get(cell), &self.culture))
                }
                _ => json(&names, count, &rows),
            }));
        }
        Ok(Scalars::each(out))
    }

    fn rows_to_show(&self, table: &CellTable, cell: usize, limit: usize) -> Vec<Vec<Value>> {
        table.range(cell).take(limit).map(|r| table.rows.row(self.store, r)).collect()
    }
}

/// `'Table'[Column]`, or `[Column]` for a column that an expression named.
fn shown_name(c: &TableColumn) -> String {
    match &c.table {
        Some(t) => format!("'{}'[{}]", t.replace('\'', "''"), c.name),
        None => format!("[{}]", c.name),
    }
}

fn csv(
    culture: &Culture,
    names: Option<&[String]>,
    rows: &[Vec<Value>],
    delimiter: &str,
) -> String {
    let quoted = |text: String| {
        let special = text.contains(['"', '\n', '\r']) || text.contains(delimiter);
        if special { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    let mut lines: Vec<String> = Vec::with_capacity(rows.len() + 1);
    lines.extend(names.map(|n| n.join(delimiter)));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|v| quoted(rules::to_text(v, culture))).collect();
        lines.push(cells.join(delimiter));
    }
    lines.join("\n")
}

fn json(names: &[String], count: usize, rows: &[Vec<Value>]) -> String {
    let header: Vec<String> = names.iter().map(|n| json_text(n)).collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells: Vec<String> = row.iter().map(json_value).collect();
            format!("[{}]", cells.join(", "))
        })
        .collect();
    format!(
        "{{\n\"header\": [{}],\n\"rowCount\": {count},\n\"data\": [\n{}\n]\n}}",
        header.join(", "),
        lines.join(",\n")
    )
}

fn json_value(v: &Value) -> String {
    match v {
        Value::Blank => "null".to_owned(),
        Value::Boolean(b) => b.to_string(),
        Value::Double(f) if !f.is_finite() => json_text(&rules::plain_text(v)),
        // A double that is whole shows that it is one.
        Value::Double(f) if f.fract() == 0.0 && f.abs() < 1e15 => format!("{f:.1}"),
        Value::Int(_) | Value::Decimal(_) | Value::Double(_) => rules::plain_text(v),
        Value::DateTime(d) => json_text(&d.to_string()),
        Value::String(s) => json_text(s),
    }
}

fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
