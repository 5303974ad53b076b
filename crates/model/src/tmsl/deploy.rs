//! Model files that are deployed: what kind they are is told by what they hold.

use evercube_base::{Error, Result};
use serde_json::Value as Json;

use super::command::{Command, Definition};
use super::parameter::with_value;
use super::path::{ObjectKind, ObjectPath};
use super::statement::{looks_like_command, parse_value};
use crate::document::{canonical_database, read_json};

/// The name that design tools give to every model.
const PLACEHOLDER: &str = "SemanticModel";

/// The command that deploys a model file: a bare database, or a command of the scripting language.
///
/// The database is named by `database`, else by the file unless that name is `SemanticModel`, else
/// by `stem`, the file's name without its extension. Each of `parameters` replaces the value of a
/// shared expression of that name.
pub fn deploy_command(
    bytes: &[u8],
    stem: Option<&str>,
    database: Option<&str>,
    parameters: &[(String, String)],
) -> Result<Command> {
    let value = read_json(bytes)?;
    let Some(map) = value.as_object() else {
        return Err(Error::invalid("cannot deploy: the file holds JSON but no model"));
    };
    let has = |name: &str| map.keys().any(|k| k.eq_ignore_ascii_case(name));
    let mut command = if looks_like_command(map) {
        parse_value(&value)?
    } else if has("model") || has("compatibilityLevel") {
        let value = canonical_database(&value, "$")?;
        let definition = Definition { kind: ObjectKind::Database, value };
        create_or_replace(String::new(), definition)
    } else if has("tables") && has("culture") {
        return Err(Error::invalid(
            "cannot deploy: the file holds a model without its database; wrap it as \
             {\"name\": …, \"compatibilityLevel\": …, \"model\": …}",
        ));
    } else {
        return Err(Error::invalid(
            "cannot deploy: the file is neither a database (with 'model') nor a command such as \
             createOrReplace",
        ));
    };
    only_model_changes(&command)?;
    // What is deployed may be there already.
    if let Command::Create { definition, .. } = &command
        && definition.kind == ObjectKind::Database
    {
        let name = definition.name().unwrap_or_default().to_owned();
        command = create_or_replace(name, definition.clone());
    }
    let name = name_of(&command, stem, database)?;
    retarget(&mut command, &name);
    for (parameter, value) in parameters {
        if !set_parameter(&mut command, parameter, value)? {
            return Err(Error::invalid(format!(
                "cannot set the parameter '{parameter}': the model has no shared expression of \
                 that name{}",
                known_parameters(&command)
            )));
        }
    }
    Ok(command)
}

fn create_or_replace(name: String, definition: Definition) -> Command {
    Command::CreateOrReplace { path: ObjectPath::of_database(name), definition }
}

fn only_model_changes(command: &Command) -> Result<()> {
    let word = match command {
        Command::Sequence { operations, .. } => {
            return operations.iter().try_for_each(only_model_changes);
        }
        Command::Refresh(_) => "refresh",
        Command::Backup(_) => "backup",
        Command::Restore(_) => "restore",
        Command::Delete { path } if path.kind() == ObjectKind::Database => {
            return Err(Error::invalid(
                "cannot deploy: the file deletes a database; send it over XMLA, or ask for DELETE \
                 /api/v1/databases/NAME",
            ));
        }
        _ => return Ok(()),
    };
    Err(Error::invalid(format!(
        "cannot deploy: the file holds the command '{word}', which deploys no model; use 'evercube \
         {word}'"
    )))
}

fn name_of(command: &Command, stem: Option<&str>, database: Option<&str>) -> Result<String> {
    let usable = |name: &&str| !name.trim().is_empty();
    if let Some(name) = database.filter(usable) {
        return Ok(name.to_owned());
    }
    let named = match command {
        Command::CreateOrReplace { path, definition }
            if definition.kind == ObjectKind::Database && path.database.is_empty() =>
        {
            definition.name()
        }
        other => other.database(),
    };
    let named = named.filter(|n| usable(n) && !n.eq_ignore_ascii_case(PLACEHOLDER));
    named.or(stem.filter(usable)).map(str::to_owned).ok_or_else(|| {
        Error::invalid("cannot deploy: the model has no name; give one with --database")
    })
}

/// Makes the command speak of the database `name`.
fn retarget(command: &mut Command, name: &str) {
    let is_alter = matches!(command, Command::Alter { .. });
    match command {
        Command::CreateOrReplace { path, definition } | Command::Alter { path, definition } => {
            let old = std::mem::replace(&mut path.database, name.to_owned());
            if definition.kind != ObjectKind::Database {
                return;
            }
            if let Json::Object(map) = &mut definition.value {
                // An id taken from the old name would tie the database to another one.
                let stale = |id: &Json| {
                    id.as_str().is_some_and(|id| id.eq_ignore_ascii_case(&old) || id == PLACEHOLDER)
                };
                if old != name && map.get("id").is_some_and(stale) {
                    map.remove("id");
                }
                // An alter that gives another name renames the database.
                let renames = is_alter && map.get("name").is_some_and(|new| !stale(new));
                if !renames {
                    map.insert("name".to_owned(), Json::String(name.to_owned()));
                }
            }
        }
        Command::Create { parent, .. } => name.clone_into(&mut parent.database),
        Command::Delete { path } => name.clone_into(&mut path.database),
        Command::Sequence { operations, .. } => {
            operations.iter_mut().for_each(|operation| retarget(operation, name));
        }
        Command::Refresh(_) | Command::Backup(_) | Command::Restore(_) => {}
    }
}

/// The shared expressions a command defines.
fn expressions(command: &Command) -> Vec<&Json> {
    match command {
        Command::Sequence { operations, .. } => operations.iter().flat_map(expressions).collect(),
        Command::CreateOrReplace { definition, .. }
        | Command::Create { definition, .. }
        | Command::Alter { definition, .. } => match definition.kind {
            ObjectKind::Expression => vec![&definition.value],
            ObjectKind::Database => list(definition.value.get("model")),
            ObjectKind::Model => list(Some(&definition.value)),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn list(model: Option<&Json>) -> Vec<&Json> {
    let list = model.and_then(|m| m.get("expressions")).and_then(Json::as_array);
    list.map(|l| l.iter().collect()).unwrap_or_default()
}

fn known_parameters(command: &Command) -> String {
    let names: Vec<&str> = expressions(command)
        .into_iter()
        .filter_map(|e| e.get("name").and_then(Json::as_str))
        .take(20)
        .collect();
    if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
}

/// Gives the parameter its value everywhere it is defined; false where it is nowhere.
fn set_parameter(command: &mut Command, name: &str, value: &str) -> Result<bool> {
    let definition = match command {
        Command::Sequence { operations, .. } => {
            let mut found = false;
            for operation in operations {
                found |= set_parameter(operation, name, value)?;
            }
            return Ok(found);
        }
        Command::CreateOrReplace { definition, .. }
        | Command::Create { definition, .. }
        | Command::Alter { definition, .. } => definition,
        _ => return Ok(false),
    };
    let list = match definition.kind {
        ObjectKind::Expression => return set_expression(&mut definition.value, name, value),
        ObjectKind::Database => definition.value.pointer_mut("/model/expressions"),
        ObjectKind::Model => definition.value.pointer_mut("/expressions"),
        _ => None,
    };
    let mut found = false;
    for expression in list.and_then(Json::as_array_mut).into_iter().flatten() {
        found |= set_expression(expression, name, value)?;
    }
    Ok(found)
}

fn set_expression(expression: &mut Json, name: &str, value: &str) -> Result<bool> {
    let Json::Object(map) = expression else { return Ok(false) };
    let is_it =
        map.get("name").and_then(Json::as_str).is_some_and(|n| n.eq_ignore_ascii_case(name));
    if !is_it {
        return Ok(false);
    }
    let old = match map.get("expression") {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(lines)) => {
            lines.iter().filter_map(Json::as_str).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    map.insert("expression".to_owned(), Json::String(with_value(name, &old, value)?));
    Ok(true)
}
