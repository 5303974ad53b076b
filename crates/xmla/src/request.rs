//! A decoded XMLA message.

use evercube_base::Value;

/// Session header block of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionHeader {
    /// Open a session; its id goes back in the answer's header.
    Begin,
    /// Use the session with this id.
    Continue(String),
    /// Close the session with this id.
    End(String),
}

/// One SOAP message from a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub session: Option<SessionHeader>,
    pub method: Method,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    Discover(Discover),
    Execute(Execute),
}

/// A schema request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discover {
    pub request_type: String,
    /// Name and accepted values; empty restrictions are left out.
    pub restrictions: Vec<(String, Vec<String>)>,
    pub properties: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Execute {
    pub command: Command,
    pub properties: Vec<(String, String)>,
    pub parameters: Vec<(String, Value)>,
}

/// Rows of one collection inside an object command: (element name, text) per cell. Element names
/// are decoded (`_x005B_` forms) and may contain dots (`TableID.Table`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectRows {
    /// `Tables`, `Columns`, `Model` …
    pub collection: String,
    pub rows: Vec<Vec<(String, String)>>,
}

/// Which family of object commands an element belongs to, by its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// `…/2003/engine`: databases as documents.
    Y2003,
    /// `…/2014/engine`: tabular metadata as rows.
    Y2014,
}

/// An object command: which database, what else it refers to, and its rows or document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ObjectCommand {
    /// `DatabaseID`, from `<DatabaseID>` or `<Object><DatabaseID>`; empty for the server or a new one.
    pub database_id: String,
    /// Attributes of the command element: `AllowCreate`, `ObjectExpansion`, `Transaction` …
    pub attributes: Vec<(String, String)>,
    /// Collections of a 2014 command.
    pub objects: Vec<ObjectRows>,
    /// Simple children and leaf elements of `ObjectDefinition` (2003), path joined by `/`:
    /// `Database/Name`, `Type`, `Object/CubeID`.
    pub fields: Vec<(String, String)>,
}

impl ObjectCommand {
    /// Text of a field by path.
    pub fn field(&self, path: &str) -> Option<&str> {
        self.fields.iter().find(|(k, _)| k == path).map(|(_, v)| v.as_str())
    }
    /// Value of an attribute by name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectVerb {
    Alter,
    Create,
    Delete,
    Drop,
    Rename,
    Refresh,
    /// 2003 `Process`; `fields` has `Type` and the object's ids.
    Process,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cancel {
    pub connection_id: Option<String>,
    pub session_id: Option<String>,
    pub spid: Option<String>,
    /// `CancelAssociated`.
    pub associated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backup {
    pub database_id: String,
    pub file: String,
    pub allow_overwrite: bool,
    pub apply_compression: Option<bool>,
    pub password: Option<String>,
    /// `Security`: `CopyAll`, `SkipMembership`, `IgnoreSecurity`.
    pub security: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restore {
    pub file: String,
    pub database_name: Option<String>,
    pub database_id: Option<String>,
    pub allow_overwrite: bool,
    pub password: Option<String>,
    pub security: Option<String>,
    pub read_write_mode: Option<String>,
}

/// What `Execute` asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Text of a query or script: DAX, MDX, DMV `SELECT`, TMSL JSON, `BEGIN TRANSACTION`.
    Statement(String),
    /// An empty statement; opens and closes sessions.
    Empty,
    Cancel(Cancel),
    ClearCache {
        database_id: String,
    },
    Object {
        verb: ObjectVerb,
        engine: Engine,
        command: ObjectCommand,
    },
    /// 2014 `SequencePoint`: later commands see what earlier ones did.
    SequencePoint {
        database_id: String,
    },
    Batch {
        transaction: bool,
        commands: Vec<Command>,
    },
    /// A schema request inside a batch.
    Discover(Discover),
    Backup(Backup),
    Restore(Restore),
    BeginTransaction,
    CommitTransaction,
    RollbackTransaction,
    /// A command known by name that is not carried out: `Attach`, `Detach`, `Synchronize`,
    /// `ImageLoad`, `ImageSave`, `Subscribe`, `Lock`, `Unlock` …
    Unsupported {
        name: String,
        fields: Vec<(String, String)>,
    },
}
