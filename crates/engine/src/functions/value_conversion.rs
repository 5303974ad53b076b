//! Conversions by name: CONVERT and CURRENCY.

use evercube_base::{DataType, Error, Result};

use super::FunctionKind::Scalar as F;
use super::ReturnType::{Fixed, Variant};
use super::Row;
use super::arguments::{arg, text};
use crate::scalar::convert;

pub(crate) const ROWS: &[Row] = &[
    Row(
        "CONVERT",
        "Expression,DataType",
        "A value in another data type.",
        Variant,
        F(|_, a| convert(arg(a, 0), type_by_name(&text(a, 1))?, a.culture)),
    ),
    Row(
        "CURRENCY",
        "Value",
        "A value as fixed decimal number.",
        Fixed(DataType::Decimal),
        F(|_, a| convert(arg(a, 0), DataType::Decimal, a.culture)),
    ),
];

/// The data type of a DAX type name such as `INTEGER` or `DATETIME`.
pub fn type_by_name(name: &str) -> Result<DataType> {
    Ok(match name.trim().to_ascii_uppercase().as_str() {
        "INTEGER" | "INT64" => DataType::Int64,
        "DOUBLE" | "DECIMAL NUMBER" => DataType::Double,
        "CURRENCY" | "DECIMAL" => DataType::Decimal,
        "STRING" | "TEXT" => DataType::String,
        "BOOLEAN" => DataType::Boolean,
        "DATETIME" | "DATE" => DataType::DateTime,
        _ => {
            return Err(Error::invalid(format!(
                "'{name}' is no data type. Use INTEGER, DOUBLE, CURRENCY, STRING, BOOLEAN or DATETIME."
            )));
        }
    })
}
