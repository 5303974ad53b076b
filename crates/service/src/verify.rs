//! The proof that servers hold the same: each reads its own files again, computes the state root
//! from what it read, and the roots are compared at one version. A deep proof also compares what
//! the values say, on the disk and in memory, and what queries answer.

mod compare;
mod probe;
mod proof;

use std::sync::Arc;
use std::time::Duration;

use evercube_base::Result;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::call::Call;
use crate::service::{Service, from_json, to_json};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyRequest {
    pub database: String,
    pub seq: u64,
    /// Also recompute what the values say, and ask probe queries.
    pub deep: bool,
    /// What probe queries take for the time: the same on every server.
    #[serde(default)]
    pub now_micros: i64,
}

/// What one server found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ServerProof {
    pub server: String,
    pub region: String,
    /// Whether it answered at all.
    #[serde(default = "yes")]
    pub answered: bool,
    pub seq: Option<u64>,
    /// Root over the contents of the files read, hexadecimal.
    pub root: Option<String>,
    /// Partition, as `table 'Sales' partition '2024'`, and checksum of the values in its files;
    /// only when asked for.
    pub checksums: Vec<(String, String)>,
    /// Probe query and its answer; only when asked for.
    #[serde(default)]
    pub probes: Vec<(String, String)>,
    pub objects: usize,
    pub bytes: u64,
    /// What is missing, not what its name says, or not the same in memory, in words.
    pub problems: Vec<String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyReport {
    pub database: String,
    pub seq: u64,
    /// Root the group committed, hexadecimal.
    pub root: String,
    /// Whether every server answered, and all hold the same.
    pub same: bool,
    /// The first difference, in words.
    pub difference: Option<String>,
    /// All of them.
    #[serde(default)]
    pub differences: Vec<String>,
    /// Servers that did not answer, of which nothing is known.
    #[serde(default)]
    pub unreachable: Vec<String>,
    /// What the servers were told differently, in words. It is no difference of the data.
    #[serde(default)]
    pub drift: Vec<String>,
    pub servers: Vec<ServerProof>,
}

/// A deep proof of much data takes long.
const CALL_TIMEOUT: Duration = Duration::from_secs(3600);

impl Service {
    /// Compares the database on all servers that keep data.
    pub async fn verify(&self, call: &Call, database: &str, deep: bool) -> Result<VerifyReport> {
        self.wait_fresh(call).await?;
        self.need_administrator_of(&call.session, database, "Verifying database")?;
        let mut report = self.prove_everywhere(database, deep).await?;
        report.drift = self.status_for(call).await.drift;
        Ok(report)
    }

    /// As [`Service::verify`], for what the server does by itself.
    pub(crate) async fn prove_everywhere(
        &self,
        database: &str,
        deep: bool,
    ) -> Result<VerifyReport> {
        let state = self.metastore.state();
        let Some(entry) = state.database(database) else {
            return Err(self.no_such_database(database));
        };
        let now_micros = self.now().unix_micros();
        let ask = VerifyRequest { database: entry.name.clone(), seq: entry.seq, deep, now_micros };
        let mut asked = JoinSet::new();
        for (_, member) in crate::objects::data_peers(&state, self.identity.node_id) {
            let transport = Arc::clone(&self.transport);
            let body = to_json(&ask)?;
            asked.spawn(async move {
                transport
                    .call(&member.peer_address, "database/verify", body, CALL_TIMEOUT)
                    .await
                    .and_then(|b| from_json::<ServerProof>(&b))
                    .unwrap_or_else(|e| ServerProof {
                        server: member.name.clone(),
                        region: member.region.clone(),
                        problems: vec![format!("did not answer: {e}")],
                        ..ServerProof::default()
                    })
            });
        }
        let mut servers = Vec::new();
        if self.serves_queries() {
            servers.push(self.verify_here(&ask).await);
        }
        while let Some(joined) = asked.join_next().await {
            servers.extend(joined.ok());
        }
        servers.sort_by(|a, b| a.server.cmp(&b.server));
        let root = hex::encode(entry.root);
        let differences = compare::differences(&servers, &root);
        let unreachable: Vec<String> =
            servers.iter().filter(|s| !s.answered).map(|s| s.server.clone()).collect();
        Ok(VerifyReport {
            database: ask.database,
            seq: ask.seq,
            root,
            same: differences.is_empty() && unreachable.is_empty(),
            difference: differences.first().cloned(),
            differences,
            unreachable,
            drift: Vec::new(),
            servers,
        })
    }
}
