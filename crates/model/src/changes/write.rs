//! The properties a row names, written into an object as TMSL has them.

use evercube_base::{DateTime, Error, Result, Value};
use serde_json::{Map, Value as Json};

use super::find::Row;
use super::is_read_only;
use crate::enums::{DATA_TYPE, Names, PARTITION_TYPE};
use crate::objects::fields::{Field, Of, Special};
use crate::objects::graph::{set_at, value_at};
use crate::objects::kinds::Kind;
use crate::objects::wire;

type Own = Map<String, Json>;

/// Writes every property `row` names. A property that has its default is left out of TMSL; one that
/// does not change is left as it is written.
pub fn properties(own: &mut Own, kind: Kind, row: &Row) -> Result<()> {
    let fields = kind.spec().fields;
    for (name, value) in &row.0 {
        let first = name.split('.').next().unwrap_or(name);
        let known = fields.iter().any(|f| f.column.eq_ignore_ascii_case(first))
            || ["ID", "ModelID", "RefreshType"].iter().any(|n| first.eq_ignore_ascii_case(n))
            || first.eq_ignore_ascii_case("Name");
        if !known && !value.is_empty() {
            return Err(Error::unsupported(format!(
                "property {name} is not known here. Deploy the model as a TMSL document to set it."
            )));
        }
    }
    // What decides on the form of a value is written before it.
    let decides = |f: &&Field| {
        !matches!(f.of, Of::Special(_)) || matches!(f.of, Of::Special(Special::PartitionType))
    };
    let (first, second): (Vec<&Field>, Vec<&Field>) = fields.iter().partition(decides);
    for field in first.into_iter().chain(second) {
        if let Some(text) = row.get(field.column) {
            property(own, field, text).map_err(|e| e.context(field.column))?;
        }
    }
    if kind == Kind::Column
        && row.get("ExplicitName").is_none()
        && let Some(name) = row.get("Name").filter(|n| !n.is_empty())
    {
        own.insert("name".into(), name.into());
    }
    Ok(())
}

/// Properties TMSL always has, although clients leave out their usual values.
pub fn required(own: &mut Own, kind: Kind) {
    let (property, word) = match kind {
        Kind::Expression => ("kind", "m"),
        Kind::ExtendedProperty => ("type", "string"),
        Kind::RefreshPolicy => ("policyType", "basic"),
        Kind::DataSource => ("type", "provider"),
        _ => return,
    };
    if !own.contains_key(property) {
        own.insert(property.into(), word.into());
    }
}

fn property(own: &mut Own, field: &Field, text: &str) -> Result<()> {
    match field.of {
        Of::Text(path) => {
            let now = wire::plain(own, field);
            let shown = match &now {
                Value::String(t) if field.column == "ConnectionString" => wire::without_password(t),
                Value::String(t) => t.to_string(),
                _ => String::new(),
            };
            if shown != text {
                set_at(own, path, (!text.is_empty()).then(|| text.into()));
            }
        }
        Of::Flag(path, default) => {
            let value = match text.trim() {
                "true" | "1" => true,
                "false" | "0" => false,
                "" => default,
                other => return Err(Error::invalid(format!("'{other}' is not true or false"))),
            };
            if wire::plain(own, field) != Value::Boolean(value) {
                set_at(own, path, (value != default).then_some(Json::Bool(value)));
            }
        }
        Of::Int(path, default) => {
            let value = number(text)?;
            let same =
                wire::plain(own, field) == value.or(default).map_or(Value::Blank, Value::Int);
            if !same {
                set_at(own, path, value.filter(|v| Some(*v) != default).map(Json::from));
            }
        }
        Of::Enum(path, names, default) => {
            let value = number(text)?;
            let same =
                wire::plain(own, field) == value.or(default).map_or(Value::Blank, Value::Int);
            if !same {
                let value = value.filter(|v| Some(*v) != default);
                set_at(own, path, value.map(|v| word(names, v)).transpose()?.map(Json::from));
            }
        }
        Of::Json(path) => {
            if wire::plain(own, field) != Value::from(text) {
                set_at(own, path, json(text));
            }
        }
        Of::Time(path) => {
            let value = match text.trim() {
                "" => None,
                t => Some(DateTime::parse_iso(t).ok_or_else(|| {
                    Error::invalid(format!("'{t}' is not a date and time as 2024-01-31T00:00:00"))
                })?),
            };
            if wire::plain(own, field) != value.map_or(Value::Blank, Value::DateTime) {
                set_at(own, path, value.map(|t| t.to_string().into()));
            }
        }
        Of::Special(special) if !is_read_only(special) => special_property(own, special, text)?,
        Of::Special(_) | Of::Link(_) | Of::Child(_) | Of::Parent | Of::Nothing(_) => {}
    }
    Ok(())
}

fn special_property(own: &mut Own, special: Special, text: &str) -> Result<()> {
    let now = wire::special(own, special);
    if now == Value::from(text) || (text.is_empty() && now.is_blank()) {
        return Ok(());
    }
    match special {
        Special::ExplicitName if !text.is_empty() => {
            own.insert("name".into(), text.into());
            own.shift_remove("isNameInferred");
        }
        // An explicit name goes before an inferred one.
        Special::InferredName
            if !text.is_empty() && (!own.contains_key("name") || !now.is_blank()) =>
        {
            own.insert("name".into(), text.into());
            own.insert("isNameInferred".into(), true.into());
        }
        Special::ExplicitDataType => explicit_type(own, number(text)?.unwrap_or(1))?,
        Special::InferredDataType => {
            let word =
                number(text)?.filter(|n| !matches!(n, 1 | 19)).and_then(|n| DATA_TYPE.word(n));
            if let (Some(word), None) = (word, own.get("dataType")) {
                own.insert("dataType".into(), word.into());
                own.insert("isDataTypeInferred".into(), true.into());
            }
        }
        Special::PartitionType => {
            let kind = number(text)?.unwrap_or(3);
            if wire::partition_type(own) != kind || value_at(own, "source.type").is_none() {
                let old = wire::definition_of(wire::partition_type(own));
                let definition = value_at(own, old).cloned();
                set_at(own, old, None);
                set_at(own, "source.type", Some(word(&PARTITION_TYPE, kind)?.into()));
                set_at(own, wire::definition_of(kind), definition);
            }
        }
        Special::QueryDefinition => {
            let path = wire::definition_of(wire::partition_type(own));
            set_at(own, path, (!text.is_empty()).then(|| text.into()));
        }
        Special::Credential => {
            let mut value = json(text);
            if let (Some(Json::Object(new)), Some(Json::Object(old))) =
                (&mut value, own.get("credential"))
            {
                // Secrets are never shown, so what comes back without them keeps them.
                for (key, secret) in old.iter().filter(|(k, _)| wire::is_secret(k)) {
                    new.entry(key.clone()).or_insert_with(|| secret.clone());
                }
            }
            set_at(own, "credential", value);
        }
        Special::ExtendedValue => {
            let is_json = own.get("type").and_then(Json::as_str) == Some("json");
            let value = if is_json { json(text) } else { Some(text.into()) };
            own.insert("value".into(), value.unwrap_or_else(|| String::new().into()));
        }
        Special::LinguisticContent => {
            let is_json = own.get("contentType").and_then(Json::as_str) == Some("json");
            set_at(own, "content", if is_json { json(text) } else { Some(text.into()) });
        }
        Special::LevelOrdinal => {
            own.insert("ordinal".into(), number(text)?.unwrap_or(0).into());
        }
        _ => {}
    }
    Ok(())
}

fn explicit_type(own: &mut Own, number: i64) -> Result<()> {
    if matches!(number, 1 | 19) {
        if own.contains_key("dataType") {
            own.insert("isDataTypeInferred".into(), true.into());
        }
    } else {
        own.insert("dataType".into(), word(&DATA_TYPE, number)?.into());
        own.shift_remove("isDataTypeInferred");
    }
    Ok(())
}

fn number(text: &str) -> Result<Option<i64>> {
    match text.trim() {
        "" => Ok(None),
        t => {
            t.parse().map(Some).map_err(|_| Error::invalid(format!("'{t}' is not a whole number")))
        }
    }
}

fn word(names: &Names, number: i64) -> Result<&'static str> {
    names.word(number).ok_or_else(|| {
        let known: Vec<String> = names.0.iter().map(|(n, w)| format!("{n} {w}")).collect();
        Error::invalid(format!("{number} is none of: {}", known.join(", ")))
    })
}

/// JSON as JSON, other text as a string, no text as nothing.
fn json(text: &str) -> Option<Json> {
    match text.trim() {
        "" => None,
        t => Some(serde_json::from_str(t).unwrap_or_else(|_| text.into())),
    }
}
