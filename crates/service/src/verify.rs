//! The proof that servers hold the same: each reads its own files again, computes the state root
//! from what it read, and the roots are compared at one version.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_store::{Hash, Manifest, state_root};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::call::Call;
use crate::objects::blocking;
use crate::service::{Service, from_json, to_json};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyRequest {
    pub database: String,
    pub seq: u64,
    /// Also compare checksums of the decoded values in memory.
    pub deep: bool,
}

/// What one server found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerProof {
    pub server: String,
    pub region: String,
    pub seq: Option<u64>,
    /// Root over the contents of the files read, hexadecimal.
    pub root: Option<String>,
    /// Table name and checksum of its decoded values; only when asked for.
    pub checksums: Vec<(String, String)>,
    pub objects: usize,
    pub bytes: u64,
    /// Files that are missing or not what their name says, with what they belong to.
    pub problems: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyReport {
    pub database: String,
    pub seq: u64,
    /// Root the group committed, hexadecimal.
    pub root: String,
    pub same: bool,
    /// The first difference, in words.
    pub difference: Option<String>,
    pub servers: Vec<ServerProof>,
}

const CALL_TIMEOUT: Duration = Duration::from_secs(300);

impl Service {
    /// Compares the database on all servers that keep data.
    pub async fn verify(&self, call: &Call, database: &str, deep: bool) -> Result<VerifyReport> {
        self.wait_fresh(call).await?;
        let state = self.metastore.state();
        let Some(entry) = state.database(database) else {
            return Err(self.no_such_database(database));
        };
        let ask = VerifyRequest { database: entry.name.clone(), seq: entry.seq, deep };
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
                        seq: None,
                        root: None,
                        checksums: Vec::new(),
                        objects: 0,
                        bytes: 0,
                        problems: vec![format!("did not answer: {e}")],
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
        let difference = first_difference(&servers, &root);
        Ok(VerifyReport {
            database: ask.database,
            seq: ask.seq,
            root,
            same: difference.is_none(),
            difference,
            servers,
        })
    }

    /// This server's proof, from the bytes on its disk.
    pub(crate) async fn verify_here(&self, ask: &VerifyRequest) -> ServerProof {
        let mut proof = ServerProof {
            server: self.config.name.clone(),
            region: self.config.region.clone(),
            seq: None,
            root: None,
            checksums: Vec::new(),
            objects: 0,
            bytes: 0,
            problems: Vec::new(),
        };
        if let Err(e) = self.fill_proof(ask, &mut proof).await {
            proof.problems.push(e.message);
        }
        proof
    }

    async fn fill_proof(&self, ask: &VerifyRequest, proof: &mut ServerProof) -> Result<()> {
        self.metastore.wait_applied(ask.seq, Duration::from_secs(10)).await?;
        let state = self.metastore.state();
        let Some(entry) = state.database(&ask.database).cloned() else {
            return Err(self.no_such_database(&ask.database));
        };
        if entry.seq != ask.seq {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("version {} was asked for, version {} is current", ask.seq, entry.seq),
            ));
        }
        proof.seq = Some(entry.seq);
        let objects = Arc::clone(&self.objects);
        let (root, count, bytes, problems) = blocking(move || {
            let mut problems = Vec::new();
            let mut bytes = 0u64;
            let mut check = |hash: &Hash, what: &str| match objects.verify(hash) {
                Ok(len) => bytes += len,
                Err(e) => problems.push(format!("{what}: {e}")),
            };
            check(&entry.model, "model");
            check(&entry.manifest, "manifest");
            let manifest = Manifest::from_bytes(&objects.get(&entry.manifest)?)?;
            let mut count = 2;
            for (what, hash) in manifest.objects() {
                check(&hash, &what);
                count += 1;
            }
            let root = problems.is_empty().then(|| state_root(&entry.model, &manifest));
            Ok((root, count, bytes, problems))
        })
        .await?;
        proof.root = root.map(hex::encode);
        proof.objects = count;
        proof.bytes = bytes;
        proof.problems = problems;
        if ask.deep
            && let Some(v) = self.versions.get_at(&ask.database, ask.seq)
        {
            proof.checksums = blocking(move || {
                let tables = v.model.database.model.tables.iter().zip(&v.store.tables);
                Ok(tables
                    .map(|(t, data)| {
                        (t.name.clone(), hex::encode(evercube_store::logical_checksum(data)))
                    })
                    .collect())
            })
            .await?;
        }
        Ok(())
    }
}

fn first_difference(servers: &[ServerProof], root: &str) -> Option<String> {
    for s in servers {
        if let Some(problem) = s.problems.first() {
            return Some(format!("server '{}': {problem}", s.server));
        }
        match s.root.as_deref() {
            Some(r) if r == root => {}
            Some(r) => {
                return Some(format!(
                    "server '{}' has state root {r}, the group committed {root}",
                    s.server
                ));
            }
            None => return Some(format!("server '{}' gave no state root", s.server)),
        }
    }
    let mut with_checksums = servers.iter().filter(|s| !s.checksums.is_empty());
    let first = with_checksums.next()?;
    for other in with_checksums {
        let differs = first.checksums.iter().zip(&other.checksums).find(|(a, b)| a != b);
        if let Some((a, _)) = differs {
            return Some(format!(
                "table '{}' decodes differently on servers '{}' and '{}'",
                a.0, first.server, other.server
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(server: &str, root: &str) -> ServerProof {
        ServerProof {
            server: server.into(),
            region: String::new(),
            seq: Some(1),
            root: Some(root.into()),
            checksums: Vec::new(),
            objects: 1,
            bytes: 1,
            problems: Vec::new(),
        }
    }

    #[test]
    fn the_first_difference_names_the_server() {
        assert_eq!(first_difference(&[proof("a", "r"), proof("b", "r")], "r"), None);
        let d = first_difference(&[proof("a", "r"), proof("b", "x")], "r").unwrap();
        assert!(d.contains("'b'"), "{d}");
        let mut broken = proof("c", "r");
        broken.problems.push("segment of Sales: wrong hash".into());
        assert!(first_difference(&[proof("a", "r"), broken], "r").unwrap().contains("Sales"));
    }
}
