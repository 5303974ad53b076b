//! Types and other values that have names.

use std::rc::Rc;

use super::super::value::{Base, M, MType};

pub(crate) fn primitive(name: &str) -> Base {
    match name {
        "none" => Base::None,
        "null" => Base::Null,
        "logical" => Base::Logical,
        "number" => Base::Number,
        "text" => Base::Text,
        "date" => Base::Date,
        "datetime" | "datetimezone" => Base::DateTime,
        "time" => Base::Time,
        "duration" => Base::Duration,
        "binary" => Base::Binary,
        "list" => Base::List,
        "record" => Base::Record,
        "table" => Base::Table,
        "function" => Base::Function,
        "type" => Base::Type,
        _ => Base::Any,
    }
}

pub(crate) fn constant(name: &str) -> Option<M> {
    let base = match name {
        "Int64.Type" | "Int32.Type" | "Int16.Type" | "Int8.Type" | "Byte.Type" => Base::Int64,
        "Currency.Type" => Base::Currency,
        "Double.Type" | "Single.Type" | "Percentage.Type" => Base::Double,
        "Number.Type" | "Decimal.Type" => Base::Number,
        "Text.Type" | "Guid.Type" | "Character.Type" => Base::Text,
        "Logical.Type" => Base::Logical,
        "Date.Type" => Base::Date,
        "DateTime.Type" | "DateTimeZone.Type" => Base::DateTime,
        "Time.Type" => Base::Time,
        "Duration.Type" => Base::Duration,
        "Binary.Type" => Base::Binary,
        "Any.Type" => Base::Any,
        "QuoteStyle.None"
        | "CsvStyle.QuoteAfterDelimiter"
        | "MissingField.Error"
        | "Day.Sunday"
        | "Occurrence.First"
        | "Order.Ascending"
        | "ExtraValues.List"
        | "BinaryEncoding.Base64" => return Some(M::int(0)),
        "QuoteStyle.Csv"
        | "CsvStyle.QuoteAlways"
        | "MissingField.Ignore"
        | "Day.Monday"
        | "Occurrence.Last"
        | "Order.Descending"
        | "ExtraValues.Error" => return Some(M::int(1)),
        "MissingField.UseNull" | "Occurrence.All" | "ExtraValues.Ignore" | "Day.Tuesday" => {
            return Some(M::int(2));
        }
        "Day.Wednesday" => return Some(M::int(3)),
        "Day.Thursday" => return Some(M::int(4)),
        "Day.Friday" => return Some(M::int(5)),
        "Day.Saturday" => return Some(M::int(6)),
        "TextEncoding.Utf8" => return Some(M::int(65001)),
        "TextEncoding.Windows" => return Some(M::int(1252)),
        "TextEncoding.Utf16" | "TextEncoding.Unicode" => return Some(M::int(1200)),
        "TextEncoding.BigEndianUnicode" => return Some(M::int(1201)),
        "TextEncoding.Ascii" => return Some(M::int(20127)),
        _ => return None,
    };
    Some(M::Type(Rc::new(MType::new(base))))
}
