//! Events of traces and their columns, by the numbers clients know.

use evercube_base::{ColumnKind, DateTime, Value};

/// A column of events.
#[derive(Debug, PartialEq, Eq)]
pub struct TraceColumn {
    pub id: i64,
    pub name: &'static str,
    pub kind: ColumnKind,
    pub description: &'static str,
}

const fn column(
    id: i64,
    name: &'static str,
    kind: ColumnKind,
    description: &'static str,
) -> TraceColumn {
    TraceColumn { id, name, kind, description }
}

/// The column that tells what kind of event a row is.
pub(super) const EVENT_CLASS: i64 = 0;

/// The columns there are.
pub const COLUMNS: [TraceColumn; 17] = [
    column(EVENT_CLASS, "EventClass", ColumnKind::Int, "What happened"),
    column(1, "EventSubclass", ColumnKind::Int, "What happened, more exactly"),
    column(2, "CurrentTime", ColumnKind::DateTime, "When the event was told"),
    column(3, "StartTime", ColumnKind::DateTime, "When what is told began"),
    column(4, "EndTime", ColumnKind::DateTime, "When what is told ended"),
    column(5, "Duration", ColumnKind::Long, "Milliseconds it took"),
    column(6, "CPUTime", ColumnKind::Long, "Milliseconds of processor time it took"),
    column(23, "Success", ColumnKind::Int, "1 where it went well, else 0"),
    column(24, "Error", ColumnKind::Int, "Number of the error"),
    column(28, "DatabaseName", ColumnKind::String, "The database"),
    column(32, "NTUserName", ColumnKind::String, "The user"),
    column(37, "ApplicationName", ColumnKind::String, "The application, as it names itself"),
    column(39, "SessionID", ColumnKind::String, "The session"),
    column(41, "SPID", ColumnKind::Int, "Number of the session"),
    column(42, "TextData", ColumnKind::String, "The text of what is told"),
    column(46, "ActivityID", ColumnKind::String, "The activity, as the client names it"),
    column(47, "RequestID", ColumnKind::String, "The request, as the client names it"),
];

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    QueryBegin,
    QueryEnd,
    ScanBegin,
    ScanEnd,
    ScanCached,
    LogicalPlan,
    PhysicalPlan,
}

/// Number, name and description of the events, and the numbers and names of their subclasses.
pub const EVENTS: [(i64, &str, &str, (i64, &str)); 6] = [
    (9, "Query Begin", "A query begins", (3, "DAXQuery")),
    (10, "Query End", "A query ends", (3, "DAXQuery")),
    (82, "VertiPaq SE Query Begin", "A scan begins", (0, "VertiPaq Scan")),
    (83, "VertiPaq SE Query End", "A scan ends", (0, "VertiPaq Scan")),
    (
        85,
        "VertiPaq SE Query Cache Match",
        "A scan's result is known",
        (0, "VertiPaq Cache Exact Match"),
    ),
    (112, "DAX Query Plan", "How a query is answered", (1, "DAX VertiPaq Logical Plan")),
];

impl EventKind {
    pub fn class(self) -> i64 {
        match self {
            Self::QueryBegin => 9,
            Self::QueryEnd => 10,
            Self::ScanBegin => 82,
            Self::ScanEnd => 83,
            Self::ScanCached => 85,
            Self::LogicalPlan | Self::PhysicalPlan => 112,
        }
    }

    fn subclass(self) -> i64 {
        match self {
            Self::QueryBegin | Self::QueryEnd => 3,
            Self::ScanBegin | Self::ScanEnd | Self::ScanCached => 0,
            Self::LogicalPlan => 1,
            Self::PhysicalPlan => 2,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub kind: EventKind,
    pub text: String,
    pub start: DateTime,
    pub end: Option<DateTime>,
    pub duration_ms: Option<i64>,
    pub cpu_ms: Option<i64>,
    pub failed: Option<bool>,
    pub database: String,
    pub user: String,
    pub application: String,
    pub session_id: String,
    pub spid: i64,
    pub activity_id: String,
    pub request_id: String,
}

impl Event {
    pub fn new(kind: EventKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            start: DateTime::default(),
            end: None,
            duration_ms: None,
            cpu_ms: None,
            failed: None,
            database: String::new(),
            user: String::new(),
            application: String::new(),
            session_id: String::new(),
            spid: 0,
            activity_id: String::new(),
            request_id: String::new(),
        }
    }

    /// The value of a column; blank where the event has none.
    pub fn column(&self, id: i64) -> Value {
        let number = |n: Option<i64>| n.map_or(Value::Blank, Value::Int);
        let text = |s: &String| match s.is_empty() {
            true => Value::Blank,
            false => Value::from(s.as_str()),
        };
        match id {
            0 => Value::Int(self.kind.class()),
            1 => Value::Int(self.kind.subclass()),
            2 => Value::DateTime(self.end.unwrap_or(self.start)),
            3 => Value::DateTime(self.start),
            4 => self.end.map_or(Value::Blank, Value::DateTime),
            5 => number(self.duration_ms),
            6 => number(self.cpu_ms),
            23 => number(self.failed.map(|failed| i64::from(!failed))),
            24 => number(self.failed.map(i64::from)),
            28 => text(&self.database),
            32 => text(&self.user),
            37 => text(&self.application),
            39 => text(&self.session_id),
            41 => Value::Int(self.spid),
            42 => text(&self.text),
            46 => text(&self.activity_id),
            47 => text(&self.request_id),
            _ => Value::Blank,
        }
    }
}
