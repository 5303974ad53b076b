//! Documents that describe a database: from bytes to typed objects.

mod canonical;
mod json_text;
mod once;
mod values;

use evercube_base::{Error, Result};
use serde_json::Value as Json;

pub(crate) use self::canonical::{canonical_database, canonical_object};
pub use self::json_text::{read_json, read_json_text};
use crate::tabular::Database;

/// Reads a database as TMSL writes it. Property names and words of enumerations are taken in any
/// letter case; what is not known is kept as it is. Errors name the place as a JSON path.
pub fn read_database(value: &Json) -> Result<Database> {
    typed(canonical_database(value, "$")?)
}

/// A database from its canonical form.
pub(crate) fn typed(value: Json) -> Result<Database> {
    serde_json::from_value(value)
        .map_err(|e| Error::invalid(format!("cannot read the definition of the database: {e}")))
}
