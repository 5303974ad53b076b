//! The refresh command with its objects and overrides.

use evercube_base::{Error, Result};
use serde_json::{Map, Value as Json};

use super::arguments::Arguments;
use super::command::{Override, Refresh, RefreshKind, RefreshObject, Replacement};
use super::path::{ObjectKind, ObjectPath};
use crate::document::canonical_object;

pub(super) fn read(body: &Json) -> Result<Refresh> {
    let mut args = Arguments::of(body, "refresh")?;
    let kind = RefreshKind::parse(&args.required_text("type")?)?;
    let list = args.list("objects")?.unwrap_or_default();
    let objects: Result<Vec<RefreshObject>> = list
        .iter()
        .enumerate()
        .map(|(i, value)| object(value, &format!("refresh.objects[{i}]"), None))
        .collect();
    let objects = objects?;
    let Some(first) = objects.first() else {
        return Err(Error::invalid(
            "'refresh.objects' is empty; name at least one database, table or partition",
        ));
    };
    if let Some(other) = objects.iter().find(|o| !o.database.eq_ignore_ascii_case(&first.database))
    {
        return Err(Error::invalid(format!(
            "'refresh.objects' speaks of the databases '{}' and '{}'; one statement may speak of \
             one database only",
            first.database, other.database
        )));
    }
    let database = first.database.clone();
    let overrides: Result<Vec<Override>> = args
        .list("overrides")?
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(i, value)| replaced(value, &format!("refresh.overrides[{i}]"), &database))
        .collect();
    let refresh = Refresh {
        kind,
        overrides: overrides?,
        apply_refresh_policy: args.flag("applyRefreshPolicy")?,
        effective_date: args.text("effectiveDate")?,
        max_parallelism: args.count("maxParallelism")?,
        objects,
    };
    args.finish()?;
    Ok(refresh)
}

/// Reads a database, table or partition; `database` stands in where none is named.
fn object(value: &Json, place: &str, database: Option<&str>) -> Result<RefreshObject> {
    let mut args = Arguments::of(value, place)?;
    let database = match (args.text("database")?, database) {
        (Some(name), _) if !name.trim().is_empty() => name,
        (_, Some(name)) => name.to_owned(),
        _ => return Err(Error::invalid(format!("'{place}' must name its 'database'"))),
    };
    let object =
        RefreshObject { database, table: args.text("table")?, partition: args.text("partition")? };
    args.finish()?;
    if object.partition.is_some() && object.table.is_none() {
        return Err(Error::invalid(format!("'{place}' names a partition but not its 'table'")));
    }
    Ok(object)
}

fn replaced(value: &Json, place: &str, database: &str) -> Result<Override> {
    let mut args = Arguments::of(value, place)?;
    let scope = args.take("scope");
    let scope = scope.map(|v| object(v, &format!("{place}.scope"), Some(database))).transpose()?;
    let mut replacements = Vec::new();
    for (list, kind) in [
        ("dataSources", ObjectKind::DataSource),
        ("partitions", ObjectKind::Partition),
        ("columns", ObjectKind::Column),
        ("expressions", ObjectKind::Expression),
    ] {
        for (i, value) in args.list(list)?.unwrap_or_default().iter().enumerate() {
            let place = format!("{place}.{list}[{i}]");
            replacements.push(replacement(kind, value, &place, database, scope.as_ref())?);
        }
    }
    args.finish()?;
    Ok(Override { scope, replacements })
}

fn replacement(
    kind: ObjectKind,
    value: &Json,
    place: &str,
    database: &str,
    scope: Option<&RefreshObject>,
) -> Result<Replacement> {
    let map = value
        .as_object()
        .ok_or_else(|| Error::invalid(format!("'{place}' must be an object with properties")))?;
    let is_original = |key: &str| key.eq_ignore_ascii_case("originalObject");
    let original = map.iter().find(|(k, _)| is_original(k)).map(|(_, v)| v).ok_or_else(|| {
        Error::invalid(format!("'{place}' needs the property 'originalObject', which is missing"))
    })?;
    let mut args = Arguments::of(original, format!("{place}.originalObject"))?;
    let database = args.text("database")?.unwrap_or_else(|| database.to_owned());
    let mut object = ObjectPath::of_database(database);
    object.table = args.text("table")?;
    if kind.belongs_to_table() && object.table.is_none() {
        object.table = scope.and_then(|s| s.table.clone());
    }
    object.object = Some((kind, args.required_text(kind.word())?));
    args.finish()?;
    let properties: Map<String, Json> =
        map.iter().filter(|(k, _)| !is_original(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let properties = Json::Object(properties);
    let properties = match kind.kind() {
        Some(kind) => canonical_object(kind, &properties, place)?,
        None => properties,
    };
    Ok(Replacement { object, properties })
}
