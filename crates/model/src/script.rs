//! A database as the text of its definition.

use crate::tabular::Database;

/// The definition of a database as JSON: canonical spelling, properties in their usual order, two
/// blanks of indentation. The same database always gives the same text.
pub fn script(database: &Database) -> String {
    // Every value of a database is text, a number or a flag, so nothing of it can fail to write.
    serde_json::to_string_pretty(database).unwrap_or_default()
}
