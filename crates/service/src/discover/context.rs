//! What schema rowsets are made from: plain facts about the server, its databases and its work.

use evercube_base::{DataType, DateTime, Rowset, Value};
use evercube_model::tabular::Database;

/// Facts about one database that its model does not hold. Every method has an answer for "unknown".
pub trait DatabaseFacts {
    /// A `TMSCHEMA_` rowset by name, unfiltered.
    fn tmschema(&self, _name: &str) -> Option<Rowset> {
        None
    }
    fn row_count(&self, _table: &str) -> Option<u64> {
        None
    }
    fn distinct_count(&self, _table: &str, _column: &str) -> Option<u64> {
        None
    }
    /// Distinct values of a column in its sort order, at most `limit`.
    fn members(&self, _table: &str, _column: &str, _limit: usize) -> Vec<Value> {
        Vec::new()
    }
    /// Static type of a measure.
    fn measure_type(&self, _measure: &str) -> Option<DataType> {
        None
    }
    /// The asking user may not know of the table, or of the column or measure in it.
    fn is_secured(&self, _table: &str, _object: Option<&str>) -> bool {
        false
    }
    /// What is stored, column by column.
    fn storage(&self) -> Vec<StorageColumn> {
        Vec::new()
    }
    /// Which object uses which.
    fn dependencies(&self) -> Vec<Dependency> {
        Vec::new()
    }
    /// Objects a query's text uses, as (type, table, object, expression).
    fn query_dependencies(&self, _query: &str) -> Vec<Dependency> {
        Vec::new()
    }
}

/// [`DatabaseFacts`] that knows nothing beyond the model.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFacts;

impl DatabaseFacts for NoFacts {}

/// Stored form of one column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StorageColumn {
    pub table: String,
    pub column: String,
    pub data_type: Option<DataType>,
    /// Dictionary (hash) rather than value encoding.
    pub is_dictionary: bool,
    pub dictionary_bytes: u64,
    pub segments: Vec<StorageSegment>,
}

/// One column in one segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageSegment {
    pub partition: String,
    pub number: u64,
    pub rows: u64,
    pub bytes: u64,
    /// Bits per value.
    pub bits: u32,
    /// Short name of the encoding.
    pub compression: String,
}

/// One object using another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dependency {
    /// `MEASURE`, `CALC_COLUMN`, `CALC_TABLE`, `COLUMN`, `TABLE`, `RELATIONSHIP`, `QUERY` …
    pub object_type: String,
    pub table: String,
    pub object: String,
    pub expression: String,
    pub referenced_type: String,
    pub referenced_table: String,
    pub referenced_object: String,
    pub referenced_expression: String,
}

/// A database the asking user may see.
#[derive(Clone, Copy)]
pub struct DatabaseInfo<'a> {
    pub name: &'a str,
    pub id: &'a str,
    pub compatibility_level: u32,
    pub created: DateTime,
    pub schema_updated: DateTime,
    /// `None` before the first refresh.
    pub data_updated: Option<DateTime>,
    /// Number of the version the answers speak of.
    pub version: u64,
    pub is_read_only: bool,
    /// The user's roles in it; an administrator has `*`.
    pub roles: &'a [String],
    /// The user may read all of its metadata.
    pub is_admin: bool,
    pub database: &'a Database,
    pub facts: &'a dyn DatabaseFacts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    pub name: String,
    /// Four numbers, as `16.0.43.208`: what clients take for the server's generation.
    pub version: String,
    pub edition: String,
    pub created: DateTime,
    pub schema_updated: DateTime,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionInfo {
    pub id: String,
    /// A short number for clients; also what `Cancel` takes.
    pub spid: i64,
    pub connection: i64,
    pub user: String,
    pub catalog: Option<String>,
    pub application: Option<String>,
    pub host: Option<String>,
    pub started: DateTime,
    pub commands: u64,
    pub last_command: String,
    pub last_start: Option<DateTime>,
    pub last_end: Option<DateTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandInfo {
    pub spid: i64,
    pub session_id: String,
    pub number: u64,
    pub started: DateTime,
    pub ended: Option<DateTime>,
    pub text: String,
}

/// A function of the language: name, category as in the documentation, description, parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunctionInfo {
    pub name: String,
    pub category: String,
    pub description: String,
    pub returns_table: bool,
    pub parameters: Vec<ParameterInfo>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParameterInfo {
    pub name: String,
    pub description: String,
    pub is_optional: bool,
    pub is_repeatable: bool,
}

/// Everything a schema request is answered from.
#[derive(Clone, Copy)]
pub struct DiscoverContext<'a> {
    pub server: &'a ServerInfo,
    /// Databases the user may see, in the order to show them.
    pub databases: &'a [DatabaseInfo<'a>],
    /// The current database by name, from the session or the request.
    pub catalog: Option<&'a str>,
    pub user: &'a str,
    /// The user administers the server.
    pub is_admin: bool,
    pub session_id: Option<&'a str>,
    /// Properties of the session and the request, the request's last.
    pub properties: &'a [(String, String)],
    pub sessions: &'a [SessionInfo],
    pub commands: &'a [CommandInfo],
    pub functions: &'a [FunctionInfo],
    pub keywords: &'a [&'a str],
    pub traces: &'a [crate::traces::TraceInfo],
    pub now: DateTime,
}

impl<'a> DiscoverContext<'a> {
    /// A database by name or id, letter case aside.
    pub fn database(&self, name: &str) -> Option<&'a DatabaseInfo<'a>> {
        let same = |a: &str| a.to_lowercase() == name.to_lowercase();
        self.databases
            .iter()
            .find(|d| same(d.name))
            .or_else(|| self.databases.iter().find(|d| same(d.id)))
    }
    /// The current database, or the first where none is set.
    pub fn current(&self) -> Option<&'a DatabaseInfo<'a>> {
        match self.catalog {
            Some(c) if !c.is_empty() => self.database(c),
            _ => self.databases.first(),
        }
    }
    /// Value of a property in force.
    pub fn property(&self, name: &str) -> Option<&'a str> {
        let found = self.properties.iter().rev().find(|(k, _)| k.eq_ignore_ascii_case(name));
        found.map(|(_, v)| v.as_str())
    }
}
