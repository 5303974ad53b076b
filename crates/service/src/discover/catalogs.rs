//! `DBSCHEMA_` rowsets: databases, their tables and columns as a relational client sees them.

use evercube_base::{ColumnKind, DataType, Rowset, Value};
use evercube_model::tabular::Column;

use super::context::{DatabaseInfo, DiscoverContext};
use super::cubes::{cubes_of, is_row_number};
use super::definitions::{DEFINITIONS, METADATA_ROWSETS};
use super::filter::Restrictions;
use super::{databases_of, shape, text};

/// OLE DB number of a type.
pub(super) fn ole_type(data_type: Option<DataType>) -> i64 {
    match data_type {
        Some(DataType::String) => 130,
        Some(DataType::Int64) => 20,
        Some(DataType::Double) => 5,
        Some(DataType::DateTime) => 7,
        Some(DataType::Decimal) => 6,
        Some(DataType::Boolean) => 11,
        Some(DataType::Binary) => 128,
        Some(DataType::Variant) | None => 12,
    }
}

pub(super) fn catalogs(out: &mut Rowset, context: &DiscoverContext<'_>) {
    for d in context.databases {
        let changed = d.data_updated.map_or(d.schema_updated, |t| t.max(d.schema_updated));
        out.push(&[
            ("CATALOG_NAME", text(d.name)),
            ("DESCRIPTION", text(d.database.description.as_deref().map_or("", |t| t))),
            ("ROLES", text(d.roles.join(","))),
            ("DATE_MODIFIED", Value::DateTime(changed)),
            ("COMPATIBILITY_LEVEL", Value::Int(i64::from(d.compatibility_level))),
            ("TYPE", Value::Int(0)),
            ("VERSION", super::count(d.version)),
            ("DATABASE_ID", text(d.id)),
            ("DATE_QUERIED", Value::Blank),
            ("CURRENTLY_USED", Value::Boolean(context.current().is_some_and(|c| c.name == d.name))),
        ]);
    }
}

fn type_text(kind: ColumnKind) -> i64 {
    match kind {
        ColumnKind::UnsignedLong => 21,
        ColumnKind::Long => 20,
        ColumnKind::UnsignedInt => 19,
        ColumnKind::Int => 3,
        ColumnKind::UnsignedShort => 18,
        ColumnKind::Short => 2,
        ColumnKind::Boolean => 11,
        ColumnKind::DateTime => 7,
        ColumnKind::Double => 5,
        ColumnKind::Decimal => 6,
        ColumnKind::Uuid => 72,
        ColumnKind::Variant => 12,
        ColumnKind::Nested => 136,
        ColumnKind::String | ColumnKind::Xml => 130,
    }
}

/// Tables a user may see, with the columns they may see.
pub(super) fn readable_columns<'a>(
    database: &DatabaseInfo<'a>,
    table: &'a evercube_model::tabular::Table,
) -> impl Iterator<Item = &'a Column> {
    let facts = database.facts;
    table
        .columns
        .iter()
        .filter(|c| !is_row_number(c))
        .filter(move |c| !facts.is_secured(&table.name, Some(&c.name)))
}

pub(super) fn tables(out: &mut Rowset, restrictions: &Restrictions, context: &DiscoverContext<'_>) {
    for d in databases_of("TABLE_CATALOG", restrictions, context) {
        for cube in cubes_of(d) {
            for t in cube.tables() {
                let stamps = [
                    ("TABLE_CATALOG", text(d.name)),
                    ("TABLE_SCHEMA", text(&cube.name)),
                    ("DESCRIPTION", text(t.description.as_deref().map_or("", |t| t))),
                    ("DATE_CREATED", Value::DateTime(d.created)),
                    ("DATE_MODIFIED", Value::DateTime(d.schema_updated)),
                ];
                let mut row = stamps.to_vec();
                row.extend([
                    ("TABLE_NAME", text(format!("${}", t.name))),
                    ("TABLE_TYPE", text("TABLE")),
                    ("TABLE_OLAP_TYPE", text("CUBE_DIMENSION")),
                ]);
                out.push(&row);
                if t.measures.iter().any(|m| cube.has_measure(t, m)) {
                    let mut row = stamps.to_vec();
                    row.extend([
                        ("TABLE_NAME", text(&t.name)),
                        ("TABLE_TYPE", text("SYSTEM TABLE")),
                        ("TABLE_OLAP_TYPE", text("MEASURE_GROUP")),
                    ]);
                    out.push(&row);
                }
            }
        }
    }
    let catalog = context.current().map_or(Value::Blank, |d| text(d.name));
    let names = DEFINITIONS.iter().map(|d| d.name);
    for name in names.chain(METADATA_ROWSETS.iter().map(|(n, _)| *n)) {
        out.push(&[
            ("TABLE_CATALOG", catalog.clone()),
            ("TABLE_SCHEMA", text("$SYSTEM")),
            ("TABLE_NAME", text(name)),
            ("TABLE_TYPE", text("SCHEMA")),
            ("TABLE_OLAP_TYPE", text("SCHEMA")),
        ]);
    }
}

pub(super) fn columns(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) {
    for d in databases_of("TABLE_CATALOG", restrictions, context) {
        for cube in cubes_of(d) {
            for t in cube.tables() {
                let columns = readable_columns(d, t).filter(|c| cube.has_column(t, c));
                for (i, c) in columns.enumerate() {
                    out.push(&[
                        ("TABLE_CATALOG", text(d.name)),
                        ("TABLE_SCHEMA", text(&cube.name)),
                        ("TABLE_NAME", text(format!("${}", t.name))),
                        ("COLUMN_NAME", text(&c.name)),
                        ("ORDINAL_POSITION", Value::Int(i as i64 + 1)),
                        ("COLUMN_HAS_DEFAULT", Value::Boolean(false)),
                        ("COLUMN_FLAGS", Value::Int(0)),
                        ("IS_NULLABLE", Value::Boolean(c.is_nullable)),
                        ("DATA_TYPE", Value::Int(ole_type(c.data_type))),
                        ("DESCRIPTION", text(c.description.as_deref().map_or("", |t| t))),
                        ("COLUMN_OLAP_TYPE", text("ATTRIBUTE")),
                    ]);
                }
            }
        }
    }
    let catalog = context.current().map_or(Value::Blank, |d| text(d.name));
    for d in DEFINITIONS {
        for (i, c) in shape::empty(d.name).columns.iter().enumerate() {
            out.push(&[
                ("TABLE_CATALOG", catalog.clone()),
                ("TABLE_SCHEMA", text("$SYSTEM")),
                ("TABLE_NAME", text(d.name)),
                ("COLUMN_NAME", text(&c.name)),
                ("ORDINAL_POSITION", Value::Int(i as i64 + 1)),
                ("COLUMN_HAS_DEFAULT", Value::Boolean(false)),
                ("COLUMN_FLAGS", Value::Int(0)),
                ("IS_NULLABLE", Value::Boolean(true)),
                ("DATA_TYPE", Value::Int(type_text(c.kind))),
                ("COLUMN_OLAP_TYPE", text("SCHEMA")),
            ]);
        }
    }
}

pub(super) fn schemata(out: &mut Rowset, context: &DiscoverContext<'_>) {
    for d in context.databases {
        for cube in cubes_of(d) {
            out.push(&[
                ("CATALOG_NAME", text(d.name)),
                ("SCHEMA_NAME", text(&cube.name)),
                ("SCHEMA_OWNER", text("")),
            ]);
        }
    }
}

pub(super) fn provider_types(out: &mut Rowset) {
    let types: [(&str, i64, i64, bool); 7] = [
        ("Large Integer", 20, 19, true),
        ("Double", 5, 15, true),
        ("Currency", 6, 19, true),
        ("Date", 7, 10, true),
        ("String", 130, 65_535, true),
        ("Boolean", 11, 2, true),
        ("Variant", 12, 0, false),
    ];
    for (name, number, size, best) in types {
        out.push(&[
            ("TYPE_NAME", text(name)),
            ("DATA_TYPE", Value::Int(number)),
            ("COLUMN_SIZE", Value::Int(size)),
            ("IS_NULLABLE", Value::Boolean(true)),
            ("CASE_SENSITIVE", Value::Boolean(false)),
            ("SEARCHABLE", Value::Int(4)),
            ("UNSIGNED_ATTRIBUTE", Value::Boolean(false)),
            ("FIXED_PREC_SCALE", Value::Boolean(number == 6)),
            ("AUTO_UNIQUE_VALUE", Value::Boolean(false)),
            ("IS_LONG", Value::Boolean(false)),
            ("BEST_MATCH", Value::Boolean(best)),
        ]);
    }
}

pub(super) fn input_sources(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) {
    for d in databases_of("CATALOG_NAME", restrictions, context) {
        for s in &d.database.model.data_sources {
            out.push(&[
                ("CATALOG_NAME", text(d.name)),
                ("DATASOURCE_NAME", text(&s.name)),
                ("DATASOURCE_TYPE", text("Relational")),
                ("LAST_SCHEMA_UPDATE", Value::DateTime(d.schema_updated)),
                ("DESCRIPTION", text("")),
                ("TIMEOUT", Value::Int(0)),
            ]);
        }
    }
}
