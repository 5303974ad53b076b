//! The commands, one file each.

pub mod access;
pub mod audit;
pub mod authority;
pub mod backup;
pub mod backups;
pub mod bench;
pub mod config;
pub mod credentials;
pub mod demo;
pub mod deploy;
pub mod drain;
pub mod drill;
pub mod encryption;
pub mod explain;
pub mod failover;
pub mod gateway;
pub mod join_token;
pub mod limit;
pub mod link;
pub mod members;
pub mod named;
pub mod policy;
pub mod promote;
pub mod query;
pub mod refresh;
pub mod report;
pub mod restore;
pub mod rollback;
pub mod schedule;
pub mod serve;
pub mod source_logins;
pub mod status;
pub mod sync_mode;
pub mod target;
pub mod verify;

use evercube_base::Severity;
use evercube_service::refresh::parallel::ServerReading;
use serde::Deserialize;

/// What a write answers.
#[derive(Debug, Deserialize)]
pub struct WriteAnswer {
    /// The version the write made.
    pub seq: u64,
    #[serde(default)]
    pub messages: Vec<Message>,
    /// What every server read, where all read the sources.
    #[serde(default)]
    pub servers: Vec<ServerReading>,
}

/// A finding that did not stop the write.
#[derive(Debug, Deserialize)]
pub struct Message {
    pub severity: Severity,
    #[serde(default)]
    pub object: String,
    pub message: String,
}

impl WriteAnswer {
    /// Shows the findings on stderr.
    pub fn warn(&self) {
        for m in &self.messages {
            let word = match m.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            if m.object.is_empty() {
                eprintln!("{word}: {}", m.message);
            } else {
                eprintln!("{word}: {}: {}", m.object, m.message);
            }
        }
    }
}
