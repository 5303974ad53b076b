//! One error type with a closed set of kinds; each kind is defined by what the caller does with it.

use std::fmt;

/// What the caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ErrorKind {
    /// The request is wrong: syntax, unknown name, wrong argument. Change it.
    Invalid,
    /// The evaluation failed on the data: conversion, overflow, division. Change the expression or data.
    Evaluation,
    /// The thing is valid but this version does not do it. Use the way round named in the message.
    Unsupported,
    /// A named object does not exist (or the caller may not know that it does).
    NotFound,
    /// The object exists already, or the state moved on. Look again, then decide.
    Conflict,
    /// The caller may not do this.
    Denied,
    /// Something is larger than the product takes. Make it smaller.
    Limit,
    /// More memory was needed than the request may use. Narrow it or raise the limit.
    MemoryLimit,
    /// The request's time was over. Narrow it or give it more time.
    TimeLimit,
    /// The result has more rows than it may. Narrow it or raise the limit.
    RowLimit,
    /// Something is nested too deeply. Write it flatter.
    NestingLimit,
    /// The request was cancelled by its user.
    Cancelled,
    /// Not possible right now: no leader, a server is away. Try again.
    Unavailable,
    /// The outcome of a write is unknown. Ask again under the same request id.
    Unknown,
    /// A source outside of the product failed: file, database, network.
    Source,
    /// Stored bytes are not what they should be.
    Corrupt,
    /// A defect of ours.
    Internal,
}

impl ErrorKind {
    /// Whether a request ends with this error whatever its expressions say: no `IFERROR` answers
    /// it.
    pub fn is_stop(self) -> bool {
        matches!(self, Self::Cancelled | Self::MemoryLimit | Self::TimeLimit | Self::NestingLimit)
    }
}

/// An error for people, with the place it belongs to.
///
/// The message says what was attempted, what is wrong and, where it can be known, what to do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    /// Byte range in the expression or statement the error speaks of.
    pub span: Option<(usize, usize)>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), span: None }
    }
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }
    pub fn evaluation(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Evaluation, message)
    }
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
    /// The same error, placed at `span` unless it already has a place.
    #[must_use]
    pub fn at(mut self, span: (usize, usize)) -> Self {
        self.span.get_or_insert(span);
        self
    }
    /// The same error with `context` before its message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Severity {
    Error,
    Warning,
}

/// A finding about a model or an expression: the object's path, what is wrong, where in its text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Path of the object, as `Sales[Amount]`, `role 'US'/table 'Customer'`; empty for the whole.
    pub object: String,
    pub message: String,
    pub span: Option<(usize, usize)>,
}

/// Line and column, both from 1, of a byte offset in `text`; columns count characters.
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}
