//! Rows on their way from a source or an expression into the store, column by column.

use std::sync::Arc;

use crate::{DataType, DateTime, Decimal, Value};

/// Values of one column; `None` is blank. All values have the column's type.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnData {
    Boolean(Vec<Option<bool>>),
    Int64(Vec<Option<i64>>),
    Decimal(Vec<Option<Decimal>>),
    Double(Vec<Option<f64>>),
    DateTime(Vec<Option<DateTime>>),
    String(Vec<Option<Arc<str>>>),
    /// Texts by number: `codes` has each row's place in `values`, from 1; 0 is blank.
    Texts {
        values: Vec<Arc<str>>,
        codes: Vec<u32>,
    },
}

impl ColumnData {
    /// An empty column of `data_type`; binary and variant have no stored form and become text.
    pub fn empty(data_type: DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(Vec::new()),
            DataType::Int64 => Self::Int64(Vec::new()),
            DataType::Decimal => Self::Decimal(Vec::new()),
            DataType::Double => Self::Double(Vec::new()),
            DataType::DateTime => Self::DateTime(Vec::new()),
            DataType::String | DataType::Binary | DataType::Variant => Self::String(Vec::new()),
        }
    }
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Boolean(_) => DataType::Boolean,
            Self::Int64(_) => DataType::Int64,
            Self::Decimal(_) => DataType::Decimal,
            Self::Double(_) => DataType::Double,
            Self::DateTime(_) => DataType::DateTime,
            Self::String(_) | Self::Texts { .. } => DataType::String,
        }
    }
    pub fn len(&self) -> usize {
        match self {
            Self::Boolean(v) => v.len(),
            Self::Int64(v) => v.len(),
            Self::Decimal(v) => v.len(),
            Self::Double(v) => v.len(),
            Self::DateTime(v) => v.len(),
            Self::String(v) => v.len(),
            Self::Texts { codes, .. } => codes.len(),
        }
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The value of a row; blank outside the column.
    pub fn value(&self, row: usize) -> Value {
        match self {
            Self::Boolean(v) => v.get(row).copied().flatten().map_or(Value::Blank, Value::Boolean),
            Self::Int64(v) => v.get(row).copied().flatten().map_or(Value::Blank, Value::Int),
            Self::Decimal(v) => v.get(row).copied().flatten().map_or(Value::Blank, Value::Decimal),
            Self::Double(v) => v.get(row).copied().flatten().map_or(Value::Blank, Value::Double),
            Self::DateTime(v) => {
                v.get(row).copied().flatten().map_or(Value::Blank, Value::DateTime)
            }
            Self::String(v) => v.get(row).cloned().flatten().map_or(Value::Blank, Value::String),
            Self::Texts { values, codes } => {
                let place = codes.get(row).and_then(|c| (*c as usize).checked_sub(1));
                place.and_then(|i| values.get(i).cloned()).map_or(Value::Blank, Value::String)
            }
        }
    }
    /// Appends a value of the column's own type or blank; gives the value back where it is of another.
    pub fn push(&mut self, value: Value) -> Result<(), Value> {
        match (self, value) {
            (Self::Boolean(v), Value::Boolean(x)) => v.push(Some(x)),
            (Self::Int64(v), Value::Int(x)) => v.push(Some(x)),
            (Self::Decimal(v), Value::Decimal(x)) => v.push(Some(x)),
            (Self::Double(v), Value::Double(x)) => v.push(Some(x)),
            (Self::DateTime(v), Value::DateTime(x)) => v.push(Some(x)),
            (Self::String(v), Value::String(x)) => v.push(Some(x)),
            (Self::Texts { values, codes }, Value::String(x)) => {
                values.push(x);
                codes.push(values.len() as u32);
            }
            (this, Value::Blank) => this.push_blank(),
            (_, other) => return Err(other),
        }
        Ok(())
    }
    pub fn push_blank(&mut self) {
        match self {
            Self::Boolean(v) => v.push(None),
            Self::Int64(v) => v.push(None),
            Self::Decimal(v) => v.push(None),
            Self::Double(v) => v.push(None),
            Self::DateTime(v) => v.push(None),
            Self::String(v) => v.push(None),
            Self::Texts { codes, .. } => codes.push(0),
        }
    }
}

/// Some rows of a table: columns of equal length, in the order the consumer asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowBatch {
    pub columns: Vec<ColumnData>,
    pub rows: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_texts_read_and_grow_as_plain_ones_do() {
        let mut column =
            ColumnData::Texts { values: vec!["a".into(), "b".into()], codes: vec![2, 0] };
        column.push(Value::text("c")).unwrap();
        column.push_blank();
        assert!(column.push(Value::Int(1)).is_err());
        let got: Vec<Value> = (0..5).map(|r| column.value(r)).collect();
        let blank = || Value::Blank;
        assert_eq!(got, [Value::text("b"), blank(), Value::text("c"), blank(), blank()]);
        assert_eq!((column.len(), column.data_type()), (4, DataType::String));
    }
}
