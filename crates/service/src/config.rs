//! What a server is told at start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evercube_sources::{Authorities, FilePolicy};
use evercube_store::half_of_memory;
use evercube_vault::Vault;

use crate::audit::AuditConfig;
use crate::backup::NamedTargets;
use crate::certificates::CertificateBook;

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
    /// Who vouches for the servers of databases that models read.
    pub authorities: Authorities,
    /// Where relative paths of a model start.
    pub working_dir: PathBuf,
    pub no_auth: bool,
    /// How old the users and roles may be that a server goes by which is cut off from its group.
    pub rights_age: Duration,
    /// Threads of the compute pool.
    pub threads: usize,
    /// Peer addresses of members to join; only looked at when the folder is empty.
    pub join: Vec<String>,
    pub limits: ServerLimits,
    /// Names of the limits that were set for this server itself: before those of the group.
    pub own_limits: BTreeSet<String>,
    pub audit: AuditConfig,
    /// How long a commit waits for a member that is away before the group says it is degraded.
    pub degrade_grace: Duration,
    /// Places for backups that have a name here.
    pub targets: NamedTargets,
    /// What certificates this server shows.
    pub certificates: CertificateBook,
    /// The settings as they are compared with those of the other servers; no secrets.
    pub settings: BTreeMap<String, String>,
    /// What the data folder is encrypted with.
    pub vault: Option<Arc<Vault>>,
}

/// What queries, requests and connections may use of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Memory one query may hold, in bytes.
    pub query_memory: usize,
    /// Memory all queries together may hold, in bytes.
    pub queries_memory: usize,
    /// Memory the calculated columns and tables of a new version may hold, in bytes.
    pub calculation_memory: usize,
    /// Rows one result may have.
    pub query_rows: usize,
    /// How long one query may run; `None`: as long as its caller waits.
    pub query_timeout: Option<Duration>,
    /// Memory for results of scans that are kept for later queries, in bytes.
    pub scan_cache: usize,
    /// Bytes of the largest request, which carries a model or a query.
    pub request_size: usize,
    /// Connections that clients may hold open.
    pub connections: usize,
    /// Those of them from one address.
    pub connections_per_address: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            query_memory: 4 << 30,
            queries_memory: 8 << 30,
            calculation_memory: half_of_memory(),
            query_rows: 10_000_000,
            query_timeout: None,
            scan_cache: 256 << 20,
            request_size: MOST_REQUEST_SIZE,
            connections: 8192,
            connections_per_address: 2048,
        }
    }
}

impl ServerLimits {
    /// Names of the limits in the order of the documentation.
    pub const NAMES: [&str; 9] = [
        "query_memory",
        "queries_memory",
        "calculation_memory",
        "query_rows",
        "query_timeout",
        "scan_cache",
        "request_size",
        "connections",
        "connections_per_address",
    ];
    /// Those of them that the group may keep for its servers: what begins finds them.
    pub const SHARED: [&str; 7] = [
        "query_memory",
        "queries_memory",
        "query_rows",
        "query_timeout",
        "request_size",
        "connections",
        "connections_per_address",
    ];

    /// Sets a limit by its name and text; in words how the text is written, where it is wrong. What
    /// would let nothing through at all, so that it could not be taken back, is wrong.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), &'static str> {
        let memory = || {
            let of = bytes(text).filter(|bytes| *bytes >= SMALLEST);
            of.ok_or("write it as 512MB or 4GB; it is at least 64KB")
        };
        let number = || {
            let of = text.trim().parse().ok().filter(|number| *number > 0);
            of.ok_or("it is a number from 1")
        };
        match name {
            "query_memory" => self.query_memory = memory()?,
            "queries_memory" => self.queries_memory = memory()?,
            "calculation_memory" => self.calculation_memory = memory()?,
            "scan_cache" => {
                self.scan_cache = bytes(text).ok_or("write it as 512MB, or 0MB for none")?;
            }
            "request_size" => {
                self.request_size = memory()?;
                if self.request_size > MOST_REQUEST_SIZE {
                    return Err("it is at most 256MB, which is what gateways take");
                }
            }
            "query_rows" => self.query_rows = number()?,
            "connections" => self.connections = number()?,
            "connections_per_address" => self.connections_per_address = number()?,
            "query_timeout" => {
                let timeout = seconds(text).ok_or("write it as 30s, or 0s for none")?;
                self.query_timeout = Some(timeout).filter(|t| !t.is_zero());
            }
            _ => return Err("there is no such limit"),
        }
        Ok(())
    }
}

/// Bytes of the largest request that gateways and servers take.
pub const MOST_REQUEST_SIZE: usize = 256 << 20;
/// Bytes of memory with which queries and requests can still do something.
const SMALLEST: usize = 64 << 10;

/// `64KB`, `512MB`, `4GB`, or a number of bytes.
pub fn bytes(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_uppercase();
    let units = [("KB", 10), ("MB", 20), ("GB", 30)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .unwrap_or((text.as_str(), 0));
    number.trim().parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// `30s` or `30`.
pub fn seconds(text: &str) -> Option<Duration> {
    let number = text.trim().trim_end_matches('s');
    Duration::try_from_secs_f64(number.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_by_name() {
        let mut limits = ServerLimits::default();
        for (name, text) in
            [("query_memory", "64KB"), ("query_rows", "7"), ("query_timeout", "1.5s")]
        {
            limits.set(name, text).unwrap();
        }
        assert_eq!((limits.query_memory, limits.query_rows), (64 << 10, 7));
        assert_eq!(limits.query_timeout, Some(Duration::from_millis(1500)));
        limits.set("query_timeout", "0s").unwrap();
        assert_eq!(limits.query_timeout, None);
        for (name, text) in [("request_size", "1MB"), ("connections", "9"), ("scan_cache", "0MB")] {
            limits.set(name, text).unwrap();
        }
        assert_eq!((limits.request_size, limits.connections, limits.scan_cache), (1 << 20, 9, 0));
        for (name, text) in [
            ("query_memory", "much"),
            ("query_memory", "4"),
            ("queries_memory", "0MB"),
            ("request_size", "63KB"),
            ("request_size", "257MB"),
            ("query_rows", "-1"),
            ("query_rows", "0"),
            ("connections", "0"),
            ("connections_per_address", "all"),
            ("rows", "1"),
        ] {
            assert!(limits.set(name, text).is_err(), "{name} {text}");
        }
        assert!(ServerLimits::SHARED.iter().all(|name| ServerLimits::NAMES.contains(name)));
    }
}
