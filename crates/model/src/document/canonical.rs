//! The canonical form of an object: property names and enumeration words spelled as TMSL spells
//! them, values of the type the property has. What is not known stays as it is.

use evercube_base::{Error, Result};
use serde_json::{Map, Value as Json, json};

use super::values::{flag, integer, name_text, word, words};
use crate::enums::{DATA_TYPE, MODE, Names, PARTITION_TYPE};
use crate::objects::fields::{Link, Of, Special};
use crate::objects::kinds::{Kind, Place};

/// Canonical form of a database; `path` is the JSON path errors begin with.
pub(crate) fn canonical_database(value: &Json, path: &str) -> Result<Json> {
    let mut out = Map::new();
    for (key, value) in object(value, path)? {
        let name = ["name", "id", "compatibilityLevel", "description", "model", "readWriteMode"]
            .iter()
            .find(|n| n.eq_ignore_ascii_case(key))
            .copied();
        let path = format!("{path}.{}", name.unwrap_or(key));
        let value = match name {
            None => value.clone(),
            Some(_) if value.is_null() => continue,
            Some("name" | "id" | "readWriteMode") => name_text(value, &path)?,
            Some("compatibilityLevel") => level(value, &path)?,
            Some("model") => canonical_object(Kind::Model, value, &path)?,
            Some(_) => words(value, &path)?,
        };
        put(&mut out, name.unwrap_or(key), value, &path)?;
    }
    Ok(Json::Object(out))
}

fn level(value: &Json, path: &str) -> Result<Json> {
    let level = integer(value, path)?;
    match level.as_i64() {
        Some(n) if (0..=i64::from(u32::MAX)).contains(&n) => Ok(level),
        _ => Err(Error::invalid(format!("{path} is {level}, which is no compatibility level"))),
    }
}

/// Canonical form of an object of a model and of all that belongs to it.
pub(crate) fn canonical_object(kind: Kind, value: &Json, path: &str) -> Result<Json> {
    let mut out = Map::new();
    for (key, value) in object(value, path)? {
        let property = Property::of(kind, key);
        let name = property.as_ref().map_or(key.as_str(), Property::name);
        let path = format!("{path}.{name}");
        let value = match &property {
            None => value.clone(),
            // A known property without a value is a property that is not given.
            Some(_) if value.is_null() => continue,
            Some(property) => match property.read(value, &path)? {
                Some(value) => value,
                None => continue,
            },
        };
        put(&mut out, name, value, &path)?;
    }
    complete(kind, &mut out);
    Ok(Json::Object(out))
}

/// A property of a kind, by what its value looks like.
enum Property {
    Place(Place),
    Plain(&'static str, Of),
    Name(&'static str),
    Words(&'static str),
    Integer(&'static str),
    DataType,
    /// `source` of a partition.
    Source,
    Any(&'static str),
}

impl Property {
    fn of(kind: Kind, key: &str) -> Option<Self> {
        let is = |name: &str| name.eq_ignore_ascii_case(key);
        if let Some(place) = kind.places().iter().find(|p| is(p.property)) {
            return Some(Self::Place(*place));
        }
        match kind {
            Kind::Partition if is("source") => return Some(Self::Source),
            Kind::Column if is("dataType") => return Some(Self::DataType),
            Kind::Column | Kind::Measure if is("name") => return Some(Self::Name("name")),
            Kind::Level if is("ordinal") => return Some(Self::Integer("ordinal")),
            Kind::CalculationItem if is("ordinal") => return Some(Self::Integer("ordinal")),
            Kind::DataSource if is("credential") => return Some(Self::Any("credential")),
            Kind::Annotation if is("value") => return Some(Self::Words("value")),
            Kind::RoleMembership | Kind::TablePermission | Kind::ColumnPermission => {
                let key = kind.spec().key;
                if is(key) {
                    return Some(Self::Name(key));
                }
            }
            _ => {}
        }
        if kind == Kind::TablePermission && is("filterExpression") {
            return Some(Self::Words("filterExpression"));
        }
        for field in kind.spec().fields {
            match field.of {
                Of::Link(Link::Top(_, p) | Link::Near(_, p)) if is(p) => {
                    return Some(Self::Name(p));
                }
                Of::Link(Link::Pair(_, table, name)) => {
                    if let Some(p) = [table, name].into_iter().find(|p| is(p)) {
                        return Some(Self::Name(p));
                    }
                }
                Of::Text(p) | Of::Flag(p, _) | Of::Int(p, _) | Of::Enum(p, ..) | Of::Json(p)
                    if is(p) =>
                {
                    return Some(Self::Plain(p, field.of));
                }
                Of::Special(Special::ExtendedValue) if is("value") => {
                    return Some(Self::Any("value"));
                }
                _ => {}
            }
        }
        None
    }

    fn name(&self) -> &str {
        match self {
            Self::Place(place) => place.property,
            Self::Plain(name, _)
            | Self::Name(name)
            | Self::Words(name)
            | Self::Integer(name)
            | Self::Any(name) => name,
            Self::DataType => "dataType",
            Self::Source => "source",
        }
    }

    /// The value in its canonical form; nothing where it says what is true anyway.
    fn read(&self, value: &Json, path: &str) -> Result<Option<Json>> {
        Ok(Some(match self {
            Self::Place(place) if place.many => list(place.kind, value, path)?,
            Self::Place(place) => canonical_object(place.kind, value, path)?,
            Self::Plain(name, Of::Text(_)) if is_prose(name) => words(value, path)?,
            Self::Plain(_, Of::Text(_)) | Self::Name(_) => name_text(value, path)?,
            Self::Plain(_, Of::Flag(..)) => flag(value, path)?,
            Self::Plain(_, Of::Int(..)) | Self::Integer(_) => integer(value, path)?,
            Self::Plain(_, Of::Enum(_, names, _)) => word(value, names, path)?,
            Self::Plain(..) | Self::Any(_) => value.clone(),
            Self::Words(_) => words(value, path)?,
            Self::DataType => return data_type(value, path),
            Self::Source => source(value, path)?,
        }))
    }
}

/// Text that people write over several lines.
fn is_prose(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("expression") || name.ends_with("description") || name == "value"
}

fn list(kind: Kind, value: &Json, path: &str) -> Result<Json> {
    let Json::Array(items) = value else {
        return Err(expected("a list of objects", value, path));
    };
    let items: Result<Vec<Json>> = items
        .iter()
        .enumerate()
        .map(|(i, item)| canonical_object(kind, item, &format!("{path}[{i}]")))
        .collect();
    let mut items = items?;
    // Levels without numbers stand in the order in which they are written.
    if kind == Kind::Level && items.iter().all(|l| l.get("ordinal").is_none()) {
        for (i, level) in items.iter_mut().enumerate() {
            if let Json::Object(level) = level {
                level.insert("ordinal".to_owned(), json!(i));
            }
        }
    }
    Ok(Json::Array(items))
}

fn data_type(value: &Json, path: &str) -> Result<Option<Json>> {
    let word = word(value, &DATA_TYPE, path)?;
    match word.as_str() {
        // The type is left to the engine.
        Some("automatic" | "unknown") => Ok(None),
        Some(known) if DATA_TYPE.number(known).is_some() => Ok(Some(word)),
        _ => Err(Error::invalid(format!(
            "{path} is {value}, which is no data type; known are string, int64, double, decimal, \
             dateTime, boolean, binary, variant and automatic"
        ))),
    }
}

const SOURCE_NAMES: [&str; 8] = [
    "dataSource",
    "expressionSource",
    "entityName",
    "schemaName",
    "start",
    "end",
    "refreshBookmark",
    "location",
];

fn source(value: &Json, path: &str) -> Result<Json> {
    static GRANULARITY: &Names = &crate::enums::GRANULARITY;
    let mut out = Map::new();
    for (key, value) in object(value, path)? {
        let is = |name: &&str| name.eq_ignore_ascii_case(key);
        let known = ["type", "expression", "query", "granularity", "mode"].into_iter().find(is);
        let known = known.or_else(|| SOURCE_NAMES.into_iter().find(is));
        let path = format!("{path}.{}", known.unwrap_or(key));
        let value = match known {
            None => value.clone(),
            Some(_) if value.is_null() => continue,
            Some("type") => word(value, &PARTITION_TYPE, &path)?,
            Some("granularity") => word(value, GRANULARITY, &path)?,
            Some("mode") => word(value, &MODE, &path)?,
            Some("expression" | "query") => words(value, &path)?,
            Some(_) => name_text(value, &path)?,
        };
        put(&mut out, known.unwrap_or(key), value, &path)?;
    }
    Ok(Json::Object(out))
}

/// Names that a document may leave out because the tabular model makes them up.
fn complete(kind: Kind, out: &mut Map<String, Json>) {
    if kind != Kind::Relationship || out.contains_key("name") {
        return;
    }
    let end = |key: &str| out.get(key).and_then(Json::as_str).unwrap_or_default();
    let ends = ["fromTable", "fromColumn", "toTable", "toColumn"].map(end).join("\u{1f}");
    let hash = blake3::hash(ends.as_bytes()).to_hex();
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    let name = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
    out.insert("name".to_owned(), Json::String(name));
}

fn object<'a>(value: &'a Json, path: &str) -> Result<&'a Map<String, Json>> {
    value.as_object().ok_or_else(|| expected("an object", value, path))
}

pub(super) fn expected(what: &str, value: &Json, path: &str) -> Error {
    let found = match value {
        Json::Null => "nothing".to_owned(),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "an object".to_owned(),
        other => {
            let text = other.to_string();
            if text.len() > 60 { "a longer text".to_owned() } else { text }
        }
    };
    Error::invalid(format!("{path} must be {what}, but it is {found}"))
}

fn put(out: &mut Map<String, Json>, name: &str, value: Json, path: &str) -> Result<()> {
    match out.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Error::invalid(format!("{path} is given twice, in different letter case"))),
    }
}
