//! What is stored, for tools that show where the memory goes; and which object uses which.

use evercube_base::{DataType, Error, ErrorKind, Result, Rowset, Value};

use super::context::{DatabaseInfo, DiscoverContext, StorageColumn};
use super::filter::{self, Restrictions};
use super::{count, databases_of, needs_administrator, text};

/// Databases whose stored form the user may look at.
fn allowed<'a>(
    restrictions: &Restrictions,
    context: &DiscoverContext<'a>,
) -> Result<Vec<&'a DatabaseInfo<'a>>> {
    let databases = databases_of("DATABASE_NAME", restrictions, context);
    match databases.iter().find(|d| !d.is_admin) {
        Some(d) => Err(Error::new(
            ErrorKind::Denied,
            format!("Storage of database '{}' may be read by its administrators only.", d.name),
        )),
        None => Ok(databases),
    }
}

fn table_id(name: &str) -> Value {
    text(name)
}

fn column_id(column: &StorageColumn) -> Value {
    text(&column.column)
}

fn head(database: &DatabaseInfo<'_>, table: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("DATABASE_NAME", text(database.name)),
        ("CUBE_NAME", text("Model")),
        ("MEASURE_GROUP_NAME", text(table)),
        ("DIMENSION_NAME", text(table)),
        ("TABLE_ID", table_id(table)),
    ]
}

fn data_type(value: Option<DataType>) -> &'static str {
    match value {
        Some(DataType::Int64) => "DBTYPE_I8",
        Some(DataType::Double) => "DBTYPE_R8",
        Some(DataType::DateTime) => "DBTYPE_DATE",
        Some(DataType::Decimal) => "DBTYPE_CY",
        Some(DataType::Boolean) => "DBTYPE_BOOL",
        Some(DataType::Binary) => "DBTYPE_BYTES",
        Some(DataType::String | DataType::Variant) | None => "DBTYPE_WSTR",
    }
}

pub(super) fn tables(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) -> Result<()> {
    for d in allowed(restrictions, context)? {
        for t in &d.database.model.tables {
            let mut row = head(d, &t.name);
            row.extend([
                ("PARTITION_NAME", text(t.partitions.first().map_or("", |p| p.name.as_str()))),
                ("TABLE_PARTITIONS_COUNT", count(t.partitions.len() as u64)),
                ("HINT_TABLE_TYPE", text("")),
                ("ROWS_COUNT", count(d.facts.row_count(&t.name).unwrap_or(0))),
                ("RIVIOLATION_COUNT", Value::Int(0)),
            ]);
            out.push(&row);
        }
        // Tools read a column's distinct values as the rows of its hierarchy, less three.
        for c in d.facts.storage() {
            let Some(n) = d.facts.distinct_count(&c.table, &c.column) else { continue };
            let mut row = head(d, &c.table);
            let id = format!("H${}${}", c.table, c.column);
            row.extend([
                ("TABLE_ID", Value::from(id)),
                ("TABLE_PARTITIONS_COUNT", Value::Int(1)),
                ("HINT_TABLE_TYPE", text("")),
                ("ROWS_COUNT", count(n.saturating_add(3))),
                ("RIVIOLATION_COUNT", Value::Int(0)),
            ]);
            out.push(&row);
        }
    }
    Ok(())
}

pub(super) fn columns(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) -> Result<()> {
    for d in allowed(restrictions, context)? {
        for c in d.facts.storage() {
            let model = d.database.model.tables.iter().find(|t| t.name == c.table);
            let model = model.and_then(|t| t.columns.iter().find(|m| m.name == c.column));
            let mut row = head(d, &c.table);
            row.extend([
                ("ATTRIBUTE_NAME", text(&c.column)),
                ("COLUMN_ID", column_id(&c)),
                ("COLUMN_TYPE", text("BASIC_DATA")),
                ("COLUMN_ENCODING", Value::Int(if c.is_dictionary { 1 } else { 2 })),
                ("DATATYPE", text(data_type(c.data_type))),
                ("ISKEY", Value::Boolean(model.is_some_and(|m| m.is_key))),
                ("ISUNIQUE", Value::Boolean(model.is_some_and(|m| m.is_unique))),
                ("ISNULLABLE", Value::Boolean(model.is_none_or(|m| m.is_nullable))),
                ("ISROWNUMBER", Value::Boolean(false)),
                ("DICTIONARY_SIZE", count(c.dictionary_bytes)),
                ("DICTIONARY_LAST_VERSION", count(d.version)),
                ("DICTIONARY_ISPAGEABLE", Value::Boolean(false)),
                ("DICTIONARY_ISRESIDENT", Value::Boolean(true)),
            ]);
            out.push(&row);
        }
    }
    Ok(())
}

pub(super) fn segments(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) -> Result<()> {
    for d in allowed(restrictions, context)? {
        for c in d.facts.storage() {
            let table = d.database.model.tables.iter().find(|t| t.name == c.table);
            for s in &c.segments {
                evercube_work::tick();
                let partition = table
                    .and_then(|t| t.partitions.iter().position(|p| p.name == s.partition))
                    .unwrap_or(0);
                let mut row = head(d, &c.table);
                row.extend([
                    ("PARTITION_NAME", text(&s.partition)),
                    ("COLUMN_ID", column_id(&c)),
                    ("SEGMENT_NUMBER", count(s.number)),
                    ("TABLE_PARTITION_NUMBER", count(partition as u64)),
                    ("RECORDS_COUNT", count(s.rows)),
                    ("ALLOCATED_SIZE", count(s.bytes)),
                    ("USED_SIZE", count(s.bytes)),
                    ("COMPRESSION_TYPE", text(&s.compression)),
                    ("BITS_COUNT", Value::Int(i64::from(s.bits))),
                    ("BOOKMARK_BITS_COUNT", Value::Int(0)),
                    ("VERTIPAQ_STATE", text("COMPLETED")),
                    ("ISPAGEABLE", Value::Boolean(false)),
                    ("ISRESIDENT", Value::Boolean(true)),
                ]);
                out.push(&row);
            }
        }
    }
    Ok(())
}

pub(super) fn memory(out: &mut Rowset, context: &DiscoverContext<'_>) -> Result<()> {
    if !context.is_admin {
        return Err(needs_administrator("Memory use"));
    }
    for d in context.databases {
        let stored = d.facts.storage();
        for t in &d.database.model.tables {
            let of_table = stored.iter().filter(|c| c.table == t.name);
            let bytes: u64 = of_table
                .map(|c| c.dictionary_bytes + c.segments.iter().map(|s| s.bytes).sum::<u64>())
                .sum();
            out.push(&[
                (
                    "OBJECT_PARENT_PATH",
                    text(format!("{}.Databases.{}.Dimensions", context.server.name, d.id)),
                ),
                ("OBJECT_ID", text(&t.name)),
                ("OBJECT_MEMORY_SHRINKABLE", Value::Int(0)),
                ("OBJECT_MEMORY_NONSHRINKABLE", count(bytes)),
                ("OBJECT_VERSION", count(d.version.min(i32::MAX as u64))),
                ("OBJECT_DATA_VERSION", count(d.version.min(i32::MAX as u64))),
                ("OBJECT_TYPE_ID", Value::Int(100_006)),
                ("OBJECT_TIME_CREATED", Value::DateTime(d.created)),
            ]);
        }
    }
    Ok(())
}

pub(super) fn dependencies(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) -> Result<()> {
    let query = filter::first(restrictions, "QUERY");
    for d in databases_of("DATABASE_NAME", restrictions, context) {
        if !d.is_admin {
            return Err(Error::new(
                ErrorKind::Denied,
                format!("Dependencies of '{}' may be read by its administrators only.", d.name),
            ));
        }
        let found = match query {
            Some(q) => d.facts.query_dependencies(q),
            None => d.facts.dependencies(),
        };
        for x in found {
            out.push(&[
                ("DATABASE_NAME", text(d.name)),
                ("OBJECT_TYPE", text(&x.object_type)),
                ("QUERY", query.map_or(Value::Blank, text)),
                ("TABLE", text(&x.table)),
                ("OBJECT", text(&x.object)),
                ("EXPRESSION", text(&x.expression)),
                ("REFERENCED_OBJECT_TYPE", text(&x.referenced_type)),
                ("REFERENCED_TABLE", text(&x.referenced_table)),
                ("REFERENCED_OBJECT", text(&x.referenced_object)),
                ("REFERENCED_EXPRESSION", text(&x.referenced_expression)),
            ]);
        }
    }
    Ok(())
}
