//! What a server is told at start.

use std::path::PathBuf;
use std::time::Duration;

use evercube_sources::FilePolicy;

use crate::backup::NamedTargets;

#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Name of the server; empty lets the folder or the process decide.
    pub name: String,
    pub region: String,
    /// `data`, `witness`, `learner` or `replica`.
    pub kind: String,
    pub data_dir: PathBuf,
    /// Where other members reach this server.
    pub peer_address: String,
    /// Where clients reach this server.
    pub http_address: String,
    /// Folders a model may read files from.
    pub file_policy: FilePolicy,
    /// Where relative paths of a model start.
    pub working_dir: PathBuf,
    pub no_auth: bool,
    /// Threads of the compute pool.
    pub threads: usize,
    /// Peer addresses of members to join; only looked at when the folder is empty.
    pub join: Vec<String>,
    /// Memory one query may use, in bytes.
    pub query_memory: usize,
    /// Rows one query may return.
    pub query_rows: usize,
    /// How long a commit waits for a member that is away before the group says it is degraded.
    pub degrade_grace: Duration,
    /// Places for backups that have a name here.
    pub targets: NamedTargets,
}
