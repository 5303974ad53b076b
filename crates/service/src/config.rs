//! What a server is told at start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evercube_sources::FilePolicy;
use evercube_vault::Vault;

use crate::audit::AuditConfig;
use crate::backup::NamedTargets;

#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Name of the server; empty lets the folder or the process decide.
    pub name: String,
    pub region: String,
    /// `data`, `witness`, `learner` or `replica`.
    pub kind: String,
    /// The id a new server's certificate was made for; `None`: one is drawn.
    pub node_id: Option<u64>,
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
    pub limits: QueryLimits,
    pub audit: AuditConfig,
    /// How long a commit waits for a member that is away before the group says it is degraded.
    pub degrade_grace: Duration,
    /// Places for backups that have a name here.
    pub targets: NamedTargets,
    /// The settings as they are compared with those of the other servers; no secrets.
    pub settings: BTreeMap<String, String>,
    /// What the data folder is encrypted with.
    pub vault: Option<Arc<Vault>>,
}

/// What queries may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Memory one query may hold, in bytes.
    pub query_memory: usize,
    /// Memory all queries together may hold, in bytes.
    pub queries_memory: usize,
    /// Rows one result may have.
    pub query_rows: usize,
    /// How long one query may run; `None`: as long as its caller waits.
    pub query_timeout: Option<Duration>,
    /// Memory for results of scans that are kept for later queries, in bytes.
    pub scan_cache: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            query_memory: 4 << 30,
            queries_memory: 8 << 30,
            query_rows: 10_000_000,
            query_timeout: None,
            scan_cache: 256 << 20,
        }
    }
}
