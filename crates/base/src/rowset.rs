//! A rowset: named, typed columns and rows of values, as schema requests answer them.
//!
//! Plain data shared by the code that makes rows and the code that writes them as bytes.

use crate::{DataType, Value};

/// Type of a rowset column on the wire. Clients cast without looking, so it must be exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ColumnKind {
    UnsignedLong,
    Long,
    UnsignedInt,
    Int,
    UnsignedShort,
    Short,
    Boolean,
    DateTime,
    String,
    Double,
    Decimal,
    /// 36 characters, upper case, with hyphens.
    Uuid,
    /// The cell is a text holding well-formed XML, written as it stands.
    Xml,
    /// Every value carries its own type.
    Variant,
    /// The cell is in [`Rowset::nested`], not in the row.
    Nested,
}

impl ColumnKind {
    /// The type of a table's column with these values.
    pub fn data_type(self) -> DataType {
        match self {
            Self::UnsignedLong
            | Self::Long
            | Self::UnsignedInt
            | Self::Int
            | Self::UnsignedShort
            | Self::Short => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::DateTime => DataType::DateTime,
            Self::Double => DataType::Double,
            Self::Decimal => DataType::Decimal,
            Self::String | Self::Uuid | Self::Xml => DataType::String,
            Self::Variant | Self::Nested => DataType::Variant,
        }
    }
}

/// One column of a rowset.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowsetColumn {
    pub name: String,
    pub kind: ColumnKind,
    /// Columns of the inner rows, for [`ColumnKind::Nested`] only.
    pub nested: Vec<RowsetColumn>,
}

impl RowsetColumn {
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self { name: name.into(), kind, nested: Vec::new() }
    }
    pub fn nested(name: impl Into<String>, columns: Vec<RowsetColumn>) -> Self {
        Self { name: name.into(), kind: ColumnKind::Nested, nested: columns }
    }
}

/// Inner rows of one nested cell.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NestedRows {
    /// Index of the outer row.
    pub row: usize,
    /// Index of the nested column.
    pub column: usize,
    pub rows: Vec<Vec<Value>>,
}

/// Typed columns and rows. A row has one value per column; blank means null, which is left out on
/// the wire. The cell of a nested column is blank here and its rows are in `nested`.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Rowset {
    pub name: String,
    pub columns: Vec<RowsetColumn>,
    pub rows: Vec<Vec<Value>>,
    /// Ordered by row.
    pub nested: Vec<NestedRows>,
}

impl Rowset {
    pub fn new(name: impl Into<String>, columns: Vec<RowsetColumn>) -> Self {
        Self { name: name.into(), columns, rows: Vec::new(), nested: Vec::new() }
    }
    /// Position of the column named so, letter case aside.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
    }
    /// Adds a row from (column, value) pairs; names that are no column are left out, columns that
    /// are not named stay blank.
    pub fn push(&mut self, cells: &[(&str, Value)]) {
        let mut row = vec![Value::Blank; self.columns.len()];
        for (name, value) in cells {
            if let Some(slot) = self.column(name).and_then(|i| row.get_mut(i)) {
                *slot = value.clone();
            }
        }
        self.rows.push(row);
    }
    /// Keeps the rows for which `keep` holds, with their nested rows.
    pub fn retain(&mut self, mut keep: impl FnMut(&[Value]) -> bool) {
        let mut moved = vec![None; self.rows.len()];
        let mut rows = Vec::with_capacity(self.rows.len());
        for (i, row) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            if keep(&row) {
                if let Some(slot) = moved.get_mut(i) {
                    *slot = Some(rows.len());
                }
                rows.push(row);
            }
        }
        self.rows = rows;
        self.nested.retain_mut(|n| match moved.get(n.row).copied().flatten() {
            Some(i) => {
                n.row = i;
                true
            }
            None => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_rows_follow_their_row() {
        let mut r = Rowset::new(
            "R",
            vec![
                RowsetColumn::new("A", ColumnKind::String),
                RowsetColumn::nested("N", vec![RowsetColumn::new("B", ColumnKind::String)]),
            ],
        );
        r.push(&[("a", "x".into())]);
        r.push(&[("A", "y".into()), ("other", "z".into())]);
        r.nested.push(NestedRows { row: 1, column: 1, rows: vec![vec!["b".into()]] });
        r.retain(|row| row.first() == Some(&Value::from("y")));
        assert_eq!(r.rows, [vec![Value::from("y"), Value::Blank]]);
        assert_eq!(r.nested.first().map(|n| n.row), Some(0));
    }
}
