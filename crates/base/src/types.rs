//! The data types of a tabular column or expression.

use std::fmt;

/// Types a value can have; names as in TMSL.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum DataType {
    String,
    Int64,
    Double,
    DateTime,
    /// Fixed decimal, four digits after the point ("currency").
    Decimal,
    Boolean,
    Binary,
    /// The type differs from row to row; only expressions, never stored columns.
    Variant,
}

impl DataType {
    /// Number used in `TMSCHEMA_COLUMNS.ExplicitDataType` and relatives.
    pub fn tom_code(self) -> i64 {
        match self {
            Self::String => 2,
            Self::Int64 => 6,
            Self::Double => 8,
            Self::DateTime => 9,
            Self::Decimal => 10,
            Self::Boolean => 11,
            Self::Binary => 17,
            Self::Variant => 20,
        }
    }
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Int64 | Self::Double | Self::Decimal)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "Text",
            Self::Int64 => "Integer",
            Self::Double => "Decimal Number",
            Self::DateTime => "Date",
            Self::Decimal => "Fixed Decimal Number",
            Self::Boolean => "True/False",
            Self::Binary => "Binary",
            Self::Variant => "Variant",
        })
    }
}
