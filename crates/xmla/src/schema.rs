//! The schema that stands before the rows, and how each type of value is written.

use evercube_base::{ColumnKind, DataType, DateTime, RowsetColumn, Value};

use crate::escape;
use crate::names::{self, ROWSET, SQL};

/// One column as it is written: type, real name, element name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WireColumn {
    pub kind: WireKind,
    pub field: String,
    pub element: String,
    pub nested: Vec<WireColumn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireKind {
    Simple(&'static str),
    Variant,
    Xml,
    Nested,
}

fn kind_of(kind: ColumnKind) -> WireKind {
    WireKind::Simple(match kind {
        ColumnKind::UnsignedLong => "xsd:unsignedLong",
        ColumnKind::Long => "xsd:long",
        ColumnKind::UnsignedInt => "xsd:unsignedInt",
        ColumnKind::Int => "xsd:int",
        ColumnKind::UnsignedShort => "xsd:unsignedShort",
        ColumnKind::Short => "xsd:short",
        ColumnKind::Boolean => "xsd:boolean",
        ColumnKind::DateTime => "xsd:dateTime",
        ColumnKind::String => "xsd:string",
        ColumnKind::Double => "xsd:double",
        ColumnKind::Decimal => "xsd:decimal",
        ColumnKind::Uuid => "uuid",
        ColumnKind::Xml => return WireKind::Xml,
        ColumnKind::Variant => return WireKind::Variant,
        ColumnKind::Nested => return WireKind::Nested,
    })
}

/// Columns of a rowset. A nested column with one unnamed inner column is a repeated plain element.
pub(crate) fn rowset_columns(columns: &[RowsetColumn]) -> Vec<WireColumn> {
    let one = |c: &RowsetColumn| WireColumn {
        kind: kind_of(c.kind),
        element: names::encode(&c.name),
        field: c.name.clone(),
        nested: rowset_columns(&c.nested),
    };
    columns.iter().map(one).collect()
}

/// Columns of a query's result, their names made unique: clients refuse two equal ones.
pub(crate) fn table_columns(columns: &[(String, DataType)]) -> Vec<WireColumn> {
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::with_capacity(columns.len());
    for (name, data_type) in columns {
        let mut field = name.clone();
        let mut n = 1;
        while !seen.insert(field.clone()) {
            field = match name.strip_suffix(']') {
                Some(open) => format!("{open}{n}]"),
                None => format!("{name}{n}"),
            };
            n += 1;
        }
        let kind = match data_type {
            DataType::String => WireKind::Simple("xsd:string"),
            DataType::Int64 => WireKind::Simple("xsd:long"),
            DataType::Double => WireKind::Simple("xsd:double"),
            DataType::DateTime => WireKind::Simple("xsd:dateTime"),
            DataType::Decimal => WireKind::Simple("xsd:decimal"),
            DataType::Boolean => WireKind::Simple("xsd:boolean"),
            DataType::Binary => WireKind::Simple("xsd:base64Binary"),
            DataType::Variant => WireKind::Variant,
        };
        let element = names::encode(&field);
        out.push(WireColumn { kind, field, element, nested: Vec::new() });
    }
    out
}

pub(crate) fn write_schema(out: &mut Vec<u8>, columns: &[WireColumn]) {
    let head = format!(
        "<xsd:schema targetNamespace=\"{ROWSET}\" xmlns:sql=\"{SQL}\" elementFormDefault=\"qualified\">\
         <xsd:element name=\"root\"><xsd:complexType><xsd:sequence minOccurs=\"0\" maxOccurs=\"unbounded\">\
         <xsd:element name=\"row\" type=\"row\"/></xsd:sequence></xsd:complexType></xsd:element>\
         <xsd:simpleType name=\"uuid\"><xsd:restriction base=\"xsd:string\">\
         <xsd:pattern value=\"[0-9a-zA-Z]{{8}}-[0-9a-zA-Z]{{4}}-[0-9a-zA-Z]{{4}}-[0-9a-zA-Z]{{4}}-[0-9a-zA-Z]{{12}}\"/>\
         </xsd:restriction></xsd:simpleType>\
         <xsd:complexType name=\"xmlDocument\"><xsd:sequence><xsd:any/></xsd:sequence></xsd:complexType>\
         <xsd:complexType name=\"row\"><xsd:sequence>"
    );
    out.extend_from_slice(head.as_bytes());
    write_elements(out, columns);
    out.extend_from_slice(b"</xsd:sequence></xsd:complexType></xsd:schema>");
}

fn write_elements(out: &mut Vec<u8>, columns: &[WireColumn]) {
    for c in columns {
        out.extend_from_slice(b"<xsd:element sql:field=\"");
        escape::attribute(out, &c.field);
        out.extend_from_slice(b"\" name=\"");
        out.extend_from_slice(c.element.as_bytes());
        match (c.kind, c.nested.as_slice()) {
            (WireKind::Simple(name), _) => {
                out.extend_from_slice(format!("\" type=\"{name}\" minOccurs=\"0\"/>").as_bytes());
            }
            (WireKind::Variant, _) => out.extend_from_slice(b"\" minOccurs=\"0\"/>"),
            (WireKind::Xml, _) => {
                out.extend_from_slice(b"\" type=\"xmlDocument\" minOccurs=\"0\"/>");
            }
            (WireKind::Nested, [WireColumn { kind: WireKind::Simple(name), field, .. }])
                if field.is_empty() =>
            {
                let rest = format!("\" type=\"{name}\" minOccurs=\"0\" maxOccurs=\"unbounded\"/>");
                out.extend_from_slice(rest.as_bytes());
            }
            (WireKind::Nested, nested) => {
                out.extend_from_slice(
                    b"\" minOccurs=\"0\" maxOccurs=\"unbounded\"><xsd:complexType><xsd:sequence>",
                );
                write_elements(out, nested);
                out.extend_from_slice(b"</xsd:sequence></xsd:complexType></xsd:element>");
            }
        }
    }
}

/// A double as XML Schema writes it: shortest text that reads back to the same number.
pub fn double_text(v: f64) -> String {
    if v.is_nan() {
        "NaN".to_owned()
    } else if v.is_infinite() {
        if v > 0.0 { "INF" } else { "-INF" }.to_owned()
    } else if v != 0.0 && !(1e-5..1e15).contains(&v.abs()) {
        format!("{v:E}")
    } else {
        v.to_string()
    }
}

/// `2024-01-31T10:20:30`, with a fraction where there is one, without zone; instants outside of the
/// years 1 to 9999, which no client reads, become the nearest readable one.
pub fn date_text(v: DateTime) -> String {
    match v.ymd().0 {
        i32::MIN..=0 => "0001-01-01T00:00:00".to_owned(),
        1..=9999 => v.to_string(),
        _ => "9999-12-31T23:59:59".to_owned(),
    }
}

/// Appends a whole number in digits.
fn write_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        if let Some(d) = digits.get_mut(at) {
            *d = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Writes the cell `<element>value</element>`; nothing for blank.
pub(crate) fn write_cell(out: &mut Vec<u8>, column: &WireColumn, value: &Value) {
    if value.is_blank() {
        return;
    }
    let element = column.element.as_bytes();
    out.push(b'<');
    out.extend_from_slice(element);
    if column.kind == WireKind::Variant {
        let name = match value {
            Value::Boolean(_) => "boolean",
            Value::Int(_) => "long",
            Value::Decimal(_) => "decimal",
            Value::Double(_) => "double",
            Value::DateTime(_) => "dateTime",
            Value::String(_) | Value::Blank => "string",
        };
        out.extend_from_slice(b" xsi:type=\"xsd:");
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
    }
    out.push(b'>');
    match value {
        Value::Blank => {}
        Value::Boolean(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::Int(i) => write_integer(out, *i),
        Value::Decimal(d) => out.extend_from_slice(d.to_string().as_bytes()),
        Value::Double(d) => out.extend_from_slice(double_text(*d).as_bytes()),
        Value::DateTime(t) => out.extend_from_slice(date_text(*t).as_bytes()),
        Value::String(s) if column.kind == WireKind::Xml => out.extend_from_slice(s.as_bytes()),
        Value::String(s) => escape::text(out, s),
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(element);
    out.push(b'>');
}
