//! Statements of the scripting language, from text to commands.

use evercube_base::{Error, Result};
use serde_json::{Map, Value as Json};

use super::arguments::{Arguments, text};
use super::command::{BackupCommand, Command, Definition, RestoreCommand};
use super::path::{ObjectKind, ObjectPath};
use super::refresh;
use crate::document::{canonical_database, canonical_object, read_json_text};

/// Commands of the language that this product does not carry out, with the way round.
const UNSUPPORTED: [(&str, &str); 12] = [
    ("attach", "restore a backup instead"),
    ("detach", "back the database up and delete it instead"),
    ("synchronize", "servers of one group synchronize by themselves; else back up and restore"),
    ("mergePartitions", "define one partition over both sources and refresh it"),
    ("export", "read the model as a script instead"),
    ("script", "read the model as a script instead"),
    ("updateCulture", "deploy the model with the new culture and refresh it"),
    ("refreshCredentials", "give the data source its credential with createOrReplace"),
    ("rename", "use alter with the new name in the definition"),
    ("generateDatabaseDdl", "read the model as a script instead"),
    ("analyzeRefreshPolicyImpact", "refresh with applyRefreshPolicy instead"),
    ("applyRefreshPolicy", "refresh with applyRefreshPolicy instead"),
];

/// Reads one statement. Command and property names are taken in any letter case; a property that
/// a command does not have is refused by name.
pub fn parse_statement(text: &str) -> Result<Command> {
    let value = read_json_text(text)?;
    parse_value(&value)
}

/// Reads one command from a JSON value.
pub(super) fn parse_value(value: &Json) -> Result<Command> {
    let command = command(value, false)?;
    one_database(&command)?;
    Ok(command)
}

/// True where the object has the form of a command, known or not.
pub(super) fn looks_like_command(map: &Map<String, Json>) -> bool {
    let known = ["createOrReplace", "create", "alter", "delete", "refresh", "sequence", "backup"];
    let mut names = known.into_iter().chain(["restore"]).chain(UNSUPPORTED.map(|(n, _)| n));
    names.any(|n| map.len() == 1 && map.keys().any(|k| k.eq_ignore_ascii_case(n)))
}

fn command(value: &Json, in_sequence: bool) -> Result<Command> {
    let map = value.as_object().ok_or_else(|| {
        Error::invalid("a command must be a JSON object such as {\"refresh\": {…}}")
    })?;
    let mut entries = map.iter();
    let (Some((key, body)), None) = (entries.next(), entries.next()) else {
        return Err(Error::invalid(format!(
            "a statement must hold exactly one command, but the object has {} properties; put \
             several commands into a sequence",
            map.len()
        )));
    };
    match key.to_ascii_lowercase().as_str() {
        "createorreplace" => {
            let mut args = Arguments::of(body, "createOrReplace")?;
            let path =
                args.take("object").map(|v| path(v, "createOrReplace.object")).transpose()?;
            let (definition, path) = definition(&mut args, path)?;
            args.finish()?;
            Ok(Command::CreateOrReplace { path, definition })
        }
        "create" => {
            let mut args = Arguments::of(body, "create")?;
            let parent =
                args.take("parentObject").map(|v| path(v, "create.parentObject")).transpose()?;
            let command = create(&mut args, parent)?;
            args.finish()?;
            Ok(command)
        }
        "alter" => {
            let mut args = Arguments::of(body, "alter")?;
            let path = Some(path(args.require("object")?, "alter.object")?);
            let (definition, path) = definition(&mut args, path)?;
            args.finish()?;
            Ok(Command::Alter { path, definition })
        }
        "delete" => {
            let mut args = Arguments::of(body, "delete")?;
            let path = path(args.require("object")?, "delete.object")?;
            args.finish()?;
            Ok(Command::Delete { path })
        }
        "refresh" => Ok(Command::Refresh(refresh::read(body)?)),
        "sequence" if in_sequence => {
            Err(Error::invalid("a sequence cannot hold another sequence; join their operations"))
        }
        "sequence" => sequence(body),
        "backup" => backup(body),
        "restore" => restore(body),
        _ => {
            if let Some((name, instead)) =
                UNSUPPORTED.iter().find(|(n, _)| n.eq_ignore_ascii_case(key))
            {
                return Err(Error::unsupported(format!(
                    "the command '{name}' is not supported; {instead}"
                )));
            }
            Err(Error::invalid(format!(
                "'{key}' is no command; known are create, createOrReplace, alter, delete, \
                 refresh, sequence, backup and restore"
            )))
        }
    }
}

fn sequence(body: &Json) -> Result<Command> {
    let mut args = Arguments::of(body, "sequence")?;
    let max_parallelism = args.count("maxParallelism")?;
    let list = args.list("operations")?.ok_or_else(|| {
        Error::invalid("'sequence' needs the property 'operations', which is missing")
    })?;
    let operations: Result<Vec<Command>> = list
        .iter()
        .enumerate()
        .map(|(i, v)| {
            command(v, true).map_err(|e| e.context(format_args!("sequence.operations[{i}]")))
        })
        .collect();
    args.finish()?;
    Ok(Command::Sequence { max_parallelism, operations: operations? })
}

fn backup(body: &Json) -> Result<Command> {
    let mut args = Arguments::of(body, "backup")?;
    let command = BackupCommand {
        database: args.required_text("database")?,
        file: args.required_text("file")?,
        password: args.text("password")?.filter(|p| !p.is_empty()),
        allow_overwrite: args.flag("allowOverwrite")?.unwrap_or(false),
        apply_compression: args.flag("applyCompression")?,
    };
    args.finish()?;
    Ok(Command::Backup(command))
}

fn restore(body: &Json) -> Result<Command> {
    let mut args = Arguments::of(body, "restore")?;
    let security = args.text("security")?;
    let command = RestoreCommand {
        database: args.text("database")?.filter(|d| !d.trim().is_empty()),
        file: args.required_text("file")?,
        password: args.text("password")?.filter(|p| !p.is_empty()),
        allow_overwrite: args.flag("allowOverwrite")?.unwrap_or(false),
        table: args.text("table")?,
        partition: args.text("partition")?,
        security: security.map(|word| spelled(&word)).transpose()?,
    };
    // Where the original keeps its files has no meaning here.
    for ignored in ["dbStorageLocation", "storageLocation", "locations", "readWriteMode"] {
        args.take(ignored);
    }
    args.flag("ignoreIncompatibilities")?;
    args.flag("forceRestore")?;
    args.finish()?;
    Ok(Command::Restore(command))
}

fn spelled(word: &str) -> Result<String> {
    let known = ["copyAll", "skipMembership", "ignoreSecurity"];
    match known.into_iter().find(|k| k.eq_ignore_ascii_case(word)) {
        Some(known) => Ok(known.to_owned()),
        None => Err(Error::invalid(format!(
            "'restore.security' is '{word}'; it must be copyAll, skipMembership or ignoreSecurity"
        ))),
    }
}

/// Reads an object path such as `{"database": "D", "table": "T", "measure": "M"}`.
pub(super) fn path(value: &Json, place: &str) -> Result<ObjectPath> {
    let mut args = Arguments::of(value, place)?;
    let mut path = ObjectPath::of_database(args.required_text("database")?);
    path.table = args.text("table")?;
    path.role = args.text("role")?;
    if let Some((kind, key, value)) = args.take_first(ObjectKind::parse) {
        path.object = Some((kind, text(value, &format!("{place}.{key}"))?));
    }
    args.finish()?;
    Ok(path)
}

/// The definition that stands in a command, with the path it is meant for.
fn definition(
    args: &mut Arguments<'_>,
    path: Option<ObjectPath>,
) -> Result<(Definition, ObjectPath)> {
    let place = args.place.clone();
    let definition = take_definition(args)?;
    let Some(mut path) = path else {
        if let (ObjectKind::Database, Some(name)) = (definition.kind, definition.name()) {
            let path = ObjectPath::of_database(name);
            return Ok((definition, path));
        }
        return Err(Error::invalid(format!(
            "'{place}' needs the property 'object', which is missing"
        )));
    };
    let single = matches!(definition.kind, ObjectKind::Model | ObjectKind::CalculationGroup);
    if single && path.object.is_none() {
        path.object = Some((definition.kind, String::new()));
    }
    if path.kind() != definition.kind {
        return Err(Error::invalid(format!(
            "'{place}' names a {} but defines a {}; both must be of one kind",
            path.kind(),
            definition.kind
        )));
    }
    Ok((definition, path))
}

fn create(args: &mut Arguments<'_>, parent: Option<ObjectPath>) -> Result<Command> {
    let definition = take_definition(args)?;
    let kind = definition.kind;
    let parent = match parent {
        Some(parent) if kind != ObjectKind::Database => parent,
        None if kind == ObjectKind::Database => ObjectPath::default(),
        Some(_) => return Err(Error::invalid("a database has no 'parentObject'; remove it")),
        None => {
            return Err(Error::invalid(format!(
                "'create' needs the property 'parentObject' to know where the {kind} belongs"
            )));
        }
    };
    Ok(Command::Create { parent, definition })
}

fn take_definition(args: &mut Arguments<'_>) -> Result<Definition> {
    let Some((kind, key, value)) = args.take_first(ObjectKind::parse) else {
        return Err(Error::invalid(format!(
            "'{}' holds no definition; give one of database, table, partition, column, measure, \
             hierarchy, role, dataSource, relationship, expression, perspective or culture",
            args.place
        )));
    };
    let place = format!("{}.{key}", args.place);
    let value = match kind.kind() {
        None => canonical_database(value, &place)?,
        Some(kind) => canonical_object(kind, value, &place)?,
    };
    Ok(Definition { kind, value })
}

/// One statement may speak of one database only.
fn one_database(command: &Command) -> Result<()> {
    let Command::Sequence { operations, .. } = command else { return Ok(()) };
    let mut names = operations.iter().filter_map(Command::database);
    let Some(first) = names.next() else { return Ok(()) };
    match names.find(|n| !n.eq_ignore_ascii_case(first)) {
        None => Ok(()),
        Some(other) => Err(Error::invalid(format!(
            "the sequence speaks of the databases '{first}' and '{other}'; one statement may \
             speak of one database only"
        ))),
    }
}
