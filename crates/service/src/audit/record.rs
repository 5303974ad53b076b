//! One line of the log: the hash of the line, a blank, and the record as JSON.

use std::time::Duration;

use evercube_base::{DateTime, ErrorKind};
use serde::{Deserialize, Serialize};

/// Two logs, so that many queries never push out who changed what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stream {
    #[default]
    Changes,
    Queries,
}

impl Stream {
    pub(super) const ALL: [Self; 2] = [Self::Changes, Self::Queries];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Queries => "queries",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Default)]
pub struct Event {
    pub stream: Stream,
    pub time: DateTime,
    pub action: String,
    /// Who asked, as authenticated; empty where nobody was.
    pub user: String,
    /// The address the request came from.
    pub from: String,
    /// For whom a gateway says it asked.
    pub forwarded_for: Option<String>,
    /// In whose name an administrator asked: an effective user, roles.
    pub acting_as: Option<String>,
    pub database: Option<String>,
    pub object: Option<String>,
    pub text: Option<String>,
    pub request: Option<String>,
    pub failed: Option<ErrorKind>,
    pub took: Option<Duration>,
    /// How often the same happened since the record before.
    pub repeated: u64,
}

/// Longest name and longest query text of a record, in bytes.
const NAME: usize = 300;
const TEXT: usize = 16 << 10;

#[derive(Serialize)]
struct Written<'a> {
    n: u64,
    time: String,
    action: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    from: &'a str,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    forwarded_for: Option<&'a str>,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    acting_as: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    repeated: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn short(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(|t| cut(t, NAME))
}

impl Event {
    /// The record as JSON, as number `n` of its log.
    pub(super) fn json(&self, n: u64) -> Vec<u8> {
        let written = Written {
            n,
            time: format!("{}Z", self.time),
            action: cut(&self.action, NAME),
            outcome: &super::outcome(self.failed),
            user: cut(&self.user, NAME),
            from: cut(&self.from, NAME),
            forwarded_for: short(&self.forwarded_for),
            acting_as: short(&self.acting_as),
            database: short(&self.database),
            object: short(&self.object),
            text: self.text.as_deref().map(|t| cut(t, TEXT)),
            request: short(&self.request),
            ms: self.took.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX)),
            repeated: self.repeated,
        };
        serde_json::to_vec(&written).unwrap_or_default()
    }
}

/// The first line of every file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FileStart {
    pub n: u64,
    pub time: String,
    pub action: String,
    pub format: u32,
    pub stream: String,
    pub server: String,
    pub node: String,
    /// Hash of the line before, in the file before.
    pub previous: String,
}

/// Longest line a file may have: a text all of escapes, and the rest.
pub(super) const LINE: usize = 6 * TEXT + (32 << 10);

pub(super) type Link = [u8; 32];

/// The hash of a line after the line with hash `previous`.
pub(super) fn link(previous: &Link, json: &[u8]) -> Link {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    hasher.update(json);
    *hasher.finalize().as_bytes()
}

/// Appends the line to `out`; its hash.
pub(super) fn put_line(out: &mut Vec<u8>, previous: &Link, json: &[u8]) -> Link {
    let hash = link(previous, json);
    out.extend_from_slice(hex::encode(hash).as_bytes());
    out.push(b' ');
    out.extend_from_slice(json);
    out.push(b'\n');
    hash
}

/// A line's hash and record, as they stand there.
pub(super) fn parts(line: &[u8]) -> Option<(Link, &[u8])> {
    let (hash, json) = line.split_at_checked(65)?;
    let hash = hash.strip_suffix(b" ")?;
    let mut link = [0; 32];
    hex::decode_to_slice(hash, &mut link).ok()?;
    Some((link, json))
}

/// What the chain needs to know of a record.
#[derive(Deserialize)]
pub(super) struct Numbered {
    pub n: u64,
    #[serde(default)]
    pub action: String,
}
