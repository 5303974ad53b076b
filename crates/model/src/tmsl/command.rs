//! The commands of the scripting language, as this product carries them out.

use evercube_base::{Error, Result};
use serde_json::Value as Json;

use super::path::{ObjectKind, ObjectPath};
use crate::tabular::Database;

/// One command.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    CreateOrReplace { path: ObjectPath, definition: Definition },
    Create { parent: ObjectPath, definition: Definition },
    Alter { path: ObjectPath, definition: Definition },
    Delete { path: ObjectPath },
    Refresh(Refresh),
    Sequence { max_parallelism: Option<u32>, operations: Vec<Command> },
    Backup(BackupCommand),
    Restore(RestoreCommand),
}

/// The definition of an object: its kind and its properties in canonical spelling.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub kind: ObjectKind,
    pub(crate) value: Json,
}

impl Definition {
    /// The whole definition of a database.
    pub fn of_database(database: &Database) -> Result<Self> {
        let value = serde_json::to_value(database).map_err(|e| {
            Error::internal(format!("cannot write the definition of '{}': {e}", database.name))
        })?;
        Ok(Self { kind: ObjectKind::Database, value })
    }

    /// Name of the object, where the definition gives one.
    pub fn name(&self) -> Option<&str> {
        let key = self.kind.kind().map_or("name", |kind| kind.spec().key);
        self.value.get(key).and_then(Json::as_str)
    }

    /// The object's properties, in canonical spelling.
    pub fn value(&self) -> &Json {
        &self.value
    }
}

/// What a refresh does to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RefreshKind {
    /// Load again, then calculate what depends on it.
    Full,
    /// Empty the object and what depends on it.
    ClearValues,
    /// Calculate what is not calculated.
    Calculate,
    /// Load again and clear what depends on it.
    DataOnly,
    /// Load and calculate what is not ready.
    Automatic,
    /// Append to a partition, then calculate what depends on it.
    Add,
    /// Rebuild dictionaries without values nobody uses.
    Defragment,
}

impl RefreshKind {
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::ClearValues,
        Self::Calculate,
        Self::DataOnly,
        Self::Automatic,
        Self::Add,
        Self::Defragment,
    ];

    /// The kind as commands write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ClearValues => "clearValues",
            Self::Calculate => "calculate",
            Self::DataOnly => "dataOnly",
            Self::Automatic => "automatic",
            Self::Add => "add",
            Self::Defragment => "defragment",
        }
    }

    /// The kind a word stands for, letter case aside.
    pub fn parse(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|k| k.word().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let known = Self::ALL.map(Self::word).join(", ");
            Error::invalid(format!("'{text}' is no type of refresh; known are {known}"))
        })
    }

    /// The kind a number of the object model's protocol stands for.
    pub fn from_tom(number: i64) -> Result<Self> {
        let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        index.and_then(|i| Self::ALL.get(i)).copied().ok_or_else(|| {
            Error::invalid(format!(
                "{number} is no type of refresh; 1 (full) to 7 (defragment) are"
            ))
        })
    }
}

/// A refresh of a database or parts of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Refresh {
    pub kind: RefreshKind,
    pub objects: Vec<RefreshObject>,
    /// Definitions used by this refresh only.
    pub overrides: Vec<Override>,
    pub apply_refresh_policy: Option<bool>,
    /// `MM/DD/YYYY`, as given.
    pub effective_date: Option<String>,
    pub max_parallelism: Option<u32>,
}

/// A database, a table or a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefreshObject {
    pub database: String,
    pub table: Option<String>,
    pub partition: Option<String>,
}

/// Definitions that replace stored ones while one refresh runs, within `scope` or everywhere.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Override {
    pub scope: Option<RefreshObject>,
    pub replacements: Vec<Replacement>,
}

/// Properties that an object has while one refresh runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    pub object: ObjectPath,
    /// In canonical spelling, without `originalObject`.
    pub properties: Json,
}

/// A backup of one database into a file.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BackupCommand {
    pub database: String,
    pub file: String,
    pub password: Option<String>,
    /// Replace a file that is there.
    pub allow_overwrite: bool,
    pub apply_compression: Option<bool>,
}

/// A database from a backup file.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RestoreCommand {
    /// The backed-up name where absent.
    pub database: Option<String>,
    pub file: String,
    pub password: Option<String>,
    /// Replace a database that is there.
    pub allow_overwrite: bool,
    /// `copyAll`, `skipMembership` or `ignoreSecurity`, in this spelling.
    pub security: Option<String>,
    /// This table alone, into the database that is there. Not known to the original.
    pub table: Option<String>,
    /// This partition of the table alone.
    pub partition: Option<String>,
}

/// Passwords never reach a log.
fn hidden(password: Option<&String>) -> &'static str {
    if password.is_some() { "given" } else { "none" }
}

impl std::fmt::Debug for BackupCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupCommand")
            .field("database", &self.database)
            .field("file", &self.file)
            .field("password", &hidden(self.password.as_ref()))
            .field("allow_overwrite", &self.allow_overwrite)
            .field("apply_compression", &self.apply_compression)
            .finish()
    }
}

impl std::fmt::Debug for RestoreCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreCommand")
            .field("database", &self.database)
            .field("file", &self.file)
            .field("password", &hidden(self.password.as_ref()))
            .field("allow_overwrite", &self.allow_overwrite)
            .field("security", &self.security)
            .field("table", &self.table)
            .field("partition", &self.partition)
            .finish()
    }
}

impl Command {
    /// The database the command speaks of, where it names one.
    pub fn database(&self) -> Option<&str> {
        match self {
            Self::CreateOrReplace { path, .. }
            | Self::Alter { path, .. }
            | Self::Delete { path } => Some(&path.database),
            Self::Create { definition, .. } if definition.kind == ObjectKind::Database => {
                definition.name()
            }
            Self::Create { parent, .. } => Some(&parent.database),
            Self::Refresh(refresh) => refresh.objects.first().map(|o| o.database.as_str()),
            Self::Sequence { operations, .. } => operations.iter().find_map(Self::database),
            Self::Backup(backup) => Some(&backup.database),
            Self::Restore(restore) => restore.database.as_deref(),
        }
    }
}
