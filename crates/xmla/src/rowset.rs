//! Rowset roots: schema and rows, of schema requests and of queries.

use evercube_base::{DataType, NestedRows, Rowset, Value};

use crate::escape;
use crate::names::{ROWSET, XSD, XSI};
use crate::schema::{self, WireColumn, WireKind};

/// Property `Content`: which parts of a result the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    #[default]
    SchemaData,
    Data,
    Schema,
    Metadata,
    None,
}

impl Content {
    /// The value of property `Content` among `properties`; `SchemaData` where absent or unknown.
    pub fn from_properties(properties: &[(String, String)]) -> Self {
        let value = properties.iter().rev().find(|(k, _)| k.eq_ignore_ascii_case("Content"));
        match value.map(|(_, v)| v.trim().to_ascii_lowercase()).as_deref() {
            Some("data") => Self::Data,
            Some("schema") => Self::Schema,
            Some("metadata") => Self::Metadata,
            Some("none") => Self::None,
            _ => Self::SchemaData,
        }
    }
    pub(crate) fn has_schema(self) -> bool {
        matches!(self, Self::SchemaData | Self::Schema | Self::Metadata)
    }
    pub(crate) fn has_data(self) -> bool {
        matches!(self, Self::SchemaData | Self::Data)
    }
}

/// `<root …>` and, where wanted, the schema. `name` is the name of the object type the rows are of.
pub(crate) fn open_root(
    out: &mut Vec<u8>,
    name: Option<&str>,
    columns: &[WireColumn],
    content: Content,
) {
    out.extend_from_slice(b"<root");
    if let Some(name) = name {
        out.extend_from_slice(b" name=\"");
        escape::attribute(out, name);
        out.push(b'"');
    }
    let namespaces = format!(" xmlns=\"{ROWSET}\" xmlns:xsi=\"{XSI}\" xmlns:xsd=\"{XSD}\">");
    out.extend_from_slice(namespaces.as_bytes());
    if content.has_schema() {
        schema::write_schema(out, columns);
    }
}

/// One row of a rowset; `nested` are the nested cells of this row.
pub(crate) fn write_rowset_row(
    out: &mut Vec<u8>,
    columns: &[WireColumn],
    row: &[Value],
    nested: &[NestedRows],
) {
    out.extend_from_slice(b"<row>");
    for (i, column) in columns.iter().enumerate() {
        if column.kind != WireKind::Nested {
            if let Some(value) = row.get(i) {
                schema::write_cell(out, column, value);
            }
            continue;
        }
        for inner in nested.iter().filter(|n| n.column == i).flat_map(|n| &n.rows) {
            match column.nested.as_slice() {
                [only] if only.field.is_empty() => {
                    let named = WireColumn { element: column.element.clone(), ..only.clone() };
                    schema::write_cell(out, &named, inner.first().unwrap_or(&Value::Blank));
                }
                cells => {
                    out.extend_from_slice(format!("<{}>", column.element).as_bytes());
                    for (c, v) in cells.iter().zip(inner) {
                        schema::write_cell(out, c, v);
                    }
                    out.extend_from_slice(format!("</{}>", column.element).as_bytes());
                }
            }
        }
    }
    out.extend_from_slice(b"</row>");
}

/// A whole rowset root.
pub fn write_rowset(out: &mut Vec<u8>, rowset: &Rowset, name: Option<&str>, content: Content) {
    let columns = schema::rowset_columns(&rowset.columns);
    open_root(out, name, &columns, content);
    if content.has_data() {
        let mut nested = rowset.nested.as_slice();
        for (i, row) in rowset.rows.iter().enumerate() {
            let before = nested.iter().take_while(|n| n.row < i).count();
            let rest = nested.get(before..).unwrap_or(&[]);
            let here = rest.iter().take_while(|n| n.row == i).count();
            let (mine, later) = rest.split_at_checked(here).unwrap_or((&[], &[]));
            write_rowset_row(out, &columns, row, mine);
            nested = later;
        }
    }
    out.extend_from_slice(b"</root>");
}

/// A whole root of a query's result. `data` holds one vector per column, all of one length; a
/// shorter one counts as blank beyond its end.
pub fn write_table(
    out: &mut Vec<u8>,
    columns: &[(String, DataType)],
    data: &[Vec<Value>],
    content: Content,
) {
    let columns = schema::table_columns(columns);
    open_root(out, None, &columns, content);
    if content.has_data() {
        for i in 0..data.iter().map(Vec::len).max().unwrap_or(0) {
            write_table_row(out, &columns, data.iter().map(|c| c.get(i).unwrap_or(&Value::Blank)));
        }
    }
    out.extend_from_slice(b"</root>");
}

/// One row of a query's result.
pub(crate) fn write_table_row<'v>(
    out: &mut Vec<u8>,
    columns: &[WireColumn],
    values: impl Iterator<Item = &'v Value>,
) {
    out.extend_from_slice(b"<row>");
    for (column, value) in columns.iter().zip(values) {
        schema::write_cell(out, column, value);
    }
    out.extend_from_slice(b"</row>");
}
