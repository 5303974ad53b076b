//! What commands make of a database.

mod place;

use evercube_base::{Error, ErrorKind, Result};
use serde_json::{Map, Value as Json};

use self::place::Slot;
use crate::changes::remove::remove;
use crate::document::typed;
use crate::objects::graph::{Graph, MODEL};
use crate::objects::kinds::Kind;
use crate::tabular::Database;
use crate::tmsl::{Command, Definition, ObjectKind, ObjectPath};

/// The state of a database after a command.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one is made per command, never many")]
pub enum Change {
    /// The database as it is now; another name than the target's renames it.
    Put(Database),
    /// The database is gone.
    Drop,
    /// The command does not change the model.
    Unchanged,
}

/// The database a command speaks of.
pub fn target_database(command: &Command) -> Option<&str> {
    command.database()
}

/// New state of the database after a command that changes the model. `current` is the existing
/// database of that name. A sequence is applied whole or not at all. The outcome is not validated.
pub fn apply(current: Option<&Database>, command: &Command) -> Result<Change> {
    match command {
        Command::Refresh(_) | Command::Backup(_) | Command::Restore(_) => Ok(Change::Unchanged),
        Command::Sequence { operations, .. } => sequence(current, operations),
        Command::CreateOrReplace { path, definition } => match path.kind() {
            ObjectKind::Database => Ok(Change::Put(whole(definition, &path.database)?)),
            _ => edit("create or replace", current, path, |db| {
                renamed(db, path, definition)?.replace(definition, true)
            }),
        },
        Command::Create { definition, .. } if definition.kind == ObjectKind::Database => {
            let name = definition.name().unwrap_or_default();
            match current {
                None => Ok(Change::Put(whole(definition, name)?)),
                Some(_) => Err(exists("create", &ObjectPath::of_database(name))),
            }
        }
        Command::Create { parent, definition } => {
            let path = parent.child(definition.kind, definition.name().unwrap_or_default());
            edit("create", current, &path, |db| {
                let slot = Slot::of(db, &path)?;
                if slot.is_filled() {
                    return Err(exists("create", &path));
                }
                slot.replace(definition, true)
            })
        }
        Command::Alter { path, definition } => {
            edit("alter", current, path, |db| match definition.kind {
                ObjectKind::Database => place::alter_database(db, definition),
                _ => renamed(db, path, definition)?.alter(definition),
            })
        }
        Command::Delete { path } => delete(current, path),
    }
}

fn sequence(current: Option<&Database>, operations: &[Command]) -> Result<Change> {
    let mut state = current.cloned();
    let mut touched = false;
    for (i, operation) in operations.iter().enumerate() {
        let change = apply(state.as_ref(), operation)
            .map_err(|e| e.context(format_args!("sequence.operations[{i}]")))?;
        match change {
            Change::Put(database) => state = Some(database),
            Change::Drop => state = None,
            Change::Unchanged => continue,
        }
        touched = true;
    }
    Ok(match state {
        Some(database) if touched => Change::Put(database),
        None if touched && current.is_some() => Change::Drop,
        _ => Change::Unchanged,
    })
}

/// The database a definition describes; its name where it gives none is `name`.
fn whole(definition: &Definition, name: &str) -> Result<Database> {
    let mut database = typed(definition.value().clone())?;
    if database.name.trim().is_empty() {
        name.clone_into(&mut database.name);
    }
    if database.name.trim().is_empty() {
        return Err(Error::invalid("cannot create a database without a name"));
    }
    Ok(database)
}

fn existing<'a>(
    doing: &str,
    current: Option<&'a Database>,
    path: &ObjectPath,
) -> Result<&'a Database> {
    current.ok_or_else(|| {
        Error::not_found(format!(
            "cannot {doing} {path}: the database '{}' does not exist",
            path.database
        ))
    })
}

fn exists(doing: &str, path: &ObjectPath) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("cannot {doing} {path}: it exists already; use createOrReplace to replace it"),
    )
}

/// Edits the database in its canonical form.
fn edit(
    doing: &str,
    current: Option<&Database>,
    path: &ObjectPath,
    work: impl FnOnce(&mut Json) -> Result<()>,
) -> Result<Change> {
    let database = existing(doing, current, path)?;
    let mut json = serde_json::to_value(database)
        .map_err(|e| Error::internal(format!("cannot read '{}' to edit it: {e}", database.name)))?;
    work(&mut json).map_err(|e| match e.kind {
        ErrorKind::Conflict => e,
        _ => e.context(format_args!("cannot {doing} {path}")),
    })?;
    typed(json).map(Change::Put)
}

/// The slot of the object at `path`, renamed first where the definition gives another name, so
/// that what points at the object follows.
fn renamed<'a>(db: &'a mut Json, path: &ObjectPath, definition: &Definition) -> Result<Slot<'a>> {
    let new = match definition.name() {
        Some(name) if name != path.name() && definition.kind != ObjectKind::Model => name,
        _ => return Slot::of(db, path),
    };
    let renamed = path.child(definition.kind, new);
    let is_spelling = new.to_lowercase() == path.name().to_lowercase();
    if !is_spelling && Slot::of(db, &renamed)?.is_filled() {
        return Err(exists("rename to", &renamed));
    }
    if Slot::of(db, path)?.is_filled() {
        let mut graph = Graph::of(&typed(db.take())?)?;
        let key = definition.kind.kind().map_or("name", |k| k.spec().key);
        if let Some(object) = find(&graph, path).and_then(|i| graph.objects.get_mut(i)) {
            object.own.insert(key.to_owned(), new.into());
        }
        *db = serde_json::to_value(graph.database()?)
            .map_err(|e| Error::internal(format!("cannot rename: {e}")))?;
    }
    Slot::of(db, &renamed)
}

fn delete(current: Option<&Database>, path: &ObjectPath) -> Result<Change> {
    let database = existing("delete", current, path)?;
    match path.kind() {
        ObjectKind::Database => return Ok(Change::Drop),
        ObjectKind::Model => {
            return Err(Error::invalid(format!(
                "cannot delete {path}: a model goes only with its database"
            )));
        }
        _ => {}
    }
    let mut graph = Graph::of(database)?;
    let index = find(&graph, path)
        .ok_or_else(|| Error::not_found(format!("cannot delete {path}: it does not exist")))?;
    remove(&mut graph, index);
    graph.database().map(Change::Put)
}

/// The object at a path.
fn find(graph: &Graph, path: &ObjectPath) -> Option<usize> {
    let mut at = MODEL;
    if let Some(table) = &path.table {
        at = graph.find_child(at, Kind::Table, table)?;
    }
    if let Some(role) = &path.role {
        at = graph.find_child(at, Kind::Role, role)?;
    }
    match &path.object {
        None => Some(at),
        Some((ObjectKind::Model, _)) => Some(MODEL),
        Some((ObjectKind::CalculationGroup, _)) => graph.only_child(at, Kind::CalculationGroup),
        Some((kind, name)) => {
            if *kind == ObjectKind::CalculationItem {
                at = graph.only_child(at, Kind::CalculationGroup)?;
            }
            graph.find_child(at, kind.kind()?, name)
        }
    }
}

/// Properties as a map; anything else has none.
fn properties(value: &Json) -> Map<String, Json> {
    value.as_object().cloned().unwrap_or_default()
}
