//! Properties of TMSL as values of rowset columns.

use evercube_base::{DateTime, Value};
use serde_json::{Map, Value as Json};

use super::fields::{Field, Of, Special};
use super::graph::{text_at, value_at};
use crate::enums::{DATA_TYPE, PARTITION_TYPE};

type Own = Map<String, Json>;

const AUTOMATIC: i64 = 1;
const UNKNOWN: i64 = 19;

/// Value of a column that stands for one property; blank where it has neither value nor default.
pub fn plain(own: &Own, field: &Field) -> Value {
    match field.of {
        Of::Text(property) => text(value_at(own, property)),
        Of::Flag(property, default) => {
            Value::Boolean(value_at(own, property).and_then(flag).unwrap_or(default))
        }
        Of::Int(property, default) => {
            let given = value_at(own, property).and_then(whole);
            given.or(default).map_or(Value::Blank, Value::Int)
        }
        Of::Enum(property, names, default) => {
            let given = text_at(own, property).and_then(|w| names.number(w));
            given.or(default).map_or(Value::Blank, Value::Int)
        }
        Of::Json(property) => match value_at(own, property) {
            None | Some(Json::Null) => Value::Blank,
            Some(Json::String(text)) => text.as_str().into(),
            Some(json) => json.to_string().into(),
        },
        Of::Time(property) => text_at(own, property)
            .and_then(DateTime::parse_iso)
            .map_or(Value::Blank, Value::DateTime),
        _ => Value::Blank,
    }
}

/// Value of a column with rules of its own, as far as they need the object alone.
pub fn special(own: &Own, special: Special) -> Value {
    let is = |property: &str| own.get(property).and_then(flag).unwrap_or(false);
    match special {
        Special::ExplicitName if is("isNameInferred") => Value::Blank,
        Special::InferredName if !is("isNameInferred") => Value::Blank,
        Special::ExplicitName | Special::InferredName => text(own.get("name")),
        Special::ExplicitDataType => {
            Value::Int(if is("isDataTypeInferred") { AUTOMATIC } else { data_type(own, AUTOMATIC) })
        }
        Special::InferredDataType => Value::Int(data_type(own, UNKNOWN)),
        Special::PartitionType => Value::Int(partition_type(own)),
        Special::QueryDefinition => text(value_at(own, definition_of(partition_type(own)))),
        Special::Credential => match own.get("credential") {
            Some(Json::Object(map)) => {
                let mut map = map.clone();
                map.retain(|key, _| !is_secret(key));
                Json::Object(map).to_string().into()
            }
            _ => Value::Blank,
        },
        Special::ExtendedValue => match own.get("value") {
            Some(json @ (Json::Object(_) | Json::Number(_) | Json::Bool(_))) => {
                json.to_string().into()
            }
            Some(json @ Json::Array(_)) if text_at(own, "type") == Some("json") => {
                json.to_string().into()
            }
            other => text(other),
        },
        Special::LinguisticContent => match own.get("content") {
            Some(json @ Json::Object(_)) => json.to_string().into(),
            other => text(other),
        },
        Special::LevelOrdinal => Value::Int(own.get("ordinal").and_then(whole).unwrap_or(0)),
        _ => Value::Blank,
    }
}

/// Number of the kind of source a partition has.
pub fn partition_type(own: &Own) -> i64 {
    let given = text_at(own, "source.type").and_then(|w| PARTITION_TYPE.number(w));
    let has = |property| value_at(own, property).is_some();
    given.unwrap_or(if has("source.query") {
        1
    } else if has("source.expression") {
        4
    } else {
        3
    })
}

/// Property that holds the definition of a partition of a kind.
pub fn definition_of(partition_type: i64) -> &'static str {
    match partition_type {
        1 => "source.query",
        5 => "source.entityName",
        _ => "source.expression",
    }
}

/// A connection string without its password.
pub fn without_password(text: &str) -> String {
    let is_password = |part: &&str| {
        let key = part.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        key == "password" || key == "pwd"
    };
    if !text.split(';').any(|p| is_password(&p)) {
        return text.to_owned();
    }
    text.split(';').filter(|p| !is_password(p)).collect::<Vec<_>>().join(";")
}

/// Keys of a credential whose values are never shown.
pub fn is_secret(key: &str) -> bool {
    const SECRETS: &[&str] = &["password", "key", "token", "accesstoken", "refreshtoken", "secret"];
    SECRETS.contains(&key.to_ascii_lowercase().as_str())
}

pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Blank => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn data_type(own: &Own, otherwise: i64) -> i64 {
    text_at(own, "dataType").and_then(|w| DATA_TYPE.number(w)).unwrap_or(otherwise)
}

/// Text, also where it is written as lines.
fn text(json: Option<&Json>) -> Value {
    match json {
        Some(Json::String(text)) => text.as_str().into(),
        Some(Json::Array(lines)) => lines
            .iter()
            .map(|l| l.as_str().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n")
            .into(),
        Some(json @ (Json::Number(_) | Json::Bool(_) | Json::Object(_))) => json.to_string().into(),
        Some(Json::Null) | None => Value::Blank,
    }
}

fn flag(json: &Json) -> Option<bool> {
    json.as_bool().or_else(|| match json.as_str()? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    })
}

fn whole(json: &Json) -> Option<i64> {
    json.as_i64().or_else(|| json.as_str()?.parse().ok())
}
