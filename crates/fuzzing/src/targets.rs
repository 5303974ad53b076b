//! What is tried, by name.

mod group;
mod messages;
mod queries;
mod sources;
mod stored;
mod tokens;

use evercube_base::{ErrorKind, Result};

/// Something that reads bytes of others.
pub struct Target {
    pub name: &'static str,
    /// Panics where the code under test is wrong.
    pub run: fn(&[u8]),
    /// Good inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of its language.
    pub words: &'static [&'static str],
}

pub const TARGETS: [Target; 13] = [
    messages::XMLA,
    messages::TMSL,
    queries::PARSE,
    queries::QUERY,
    queries::DMV,
    sources::M,
    sources::CSV,
    stored::SEGMENT,
    stored::MANIFEST,
    stored::BACKUP,
    group::COMMAND,
    tokens::SESSION,
    tokens::CRON,
];

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|t| t.as_bytes().to_vec()).collect()
}

/// An error must say something, and not that the product is wrong.
fn judged<T>(outcome: Result<T>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(e) => {
            assert!(!e.message.is_empty(), "an error without words: {e:?}");
            assert!(e.kind != ErrorKind::Internal, "{e}");
            None
        }
    }
}
