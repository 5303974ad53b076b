//! Where the logs end, written down in two places beside them: a sealed file, every second, and
//! the state of the group, every minute. Who cuts or rewrites a log contradicts them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::Command;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::chain::{Files, Position};
use super::proof::{lacks, prove};
use super::record::{Event, Stream};
use crate::auth::require_admin;
use crate::call::Call;
use crate::objects::blocking;
use crate::seal::{Purpose, SealingKey, open, seal};
use crate::service::{Service, from_json, to_json};

/// How often heads go to the state of the group.
const TELL_GROUP: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_secs(1);
const PROOF_TIMEOUT: Duration = Duration::from_secs(300);

/// The head in the sealed file; `None` where there is none that this group sealed.
pub(super) fn local_head(folder: &Path, stream: Stream, keys: &[SealingKey]) -> Option<Position> {
    let text = std::fs::read_to_string(folder.join(format!("{}.head", stream.name()))).ok()?;
    let plain = open(keys, Purpose::Audit, text.trim())?;
    let (name, head): (String, Position) = serde_json::from_slice(&plain).ok()?;
    (name == stream.name()).then_some(head)
}

pub(super) fn put_local_head(
    folder: &Path,
    stream: Stream,
    head: Position,
    keys: &[SealingKey],
) -> Result<()> {
    let sealed = seal(keys, Purpose::Audit, &to_json(&(stream.name(), head))?)?;
    let file = folder.join(format!("{}.head", stream.name()));
    super::chain::point("before a head is written");
    crate::identity::write_secret(&file, sealed.as_bytes())
}

/// The setting of the group that holds the heads of one server.
fn setting(node: u64) -> String {
    format!("audit-head/{node:016x}")
}

/// Hands heads to the group and troubles to whoever listens; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    let weak = Arc::downgrade(service);
    let mut alarms = service.alarms.subscribe();
    tokio::spawn(async move {
        let mut told: Option<[Position; 2]> = None;
        let mut due = Instant::now() + LOOK;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                alarm = alarms.recv() => {
                    let Some(service) = weak.upgrade() else { return };
                    let Ok(alarm) = alarm else { continue };
                    service.audit.tell(Event {
                        time: service.now(),
                        action: format!("alarm: {}", alarm.kind),
                        text: Some(alarm.message),
                        ..Event::default()
                    });
                    continue;
                }
            }
            let Some(service) = weak.upgrade() else { return };
            if let Some(trouble) = service.audit.take_trouble() {
                service.alarm("audit", &trouble);
            }
            if Instant::now() >= due {
                due = Instant::now() + TELL_GROUP;
                service.tell_group_heads(&mut told).await;
            }
        }
    });
}

impl Service {
    /// Tells the log that the server starts or stops; in the file when this returns.
    pub async fn audit_process(&self, action: &str) {
        self.audit.tell(Event {
            time: self.now(),
            action: action.to_owned(),
            object: Some(format!("evercube {}", env!("CARGO_PKG_VERSION"))),
            ..Event::default()
        });
        self.audit.flushed().await;
    }
}

/// What one server found in its logs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AuditProof {
    pub server: String,
    pub region: String,
    pub files: usize,
    pub records: u64,
    pub bytes: u64,
    /// What is not as it was written.
    pub problems: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditReport {
    pub same: bool,
    pub servers: Vec<AuditProof>,
}

impl Service {
    async fn tell_group_heads(&self, told: &mut Option<[Position; 2]>) {
        let Some(heads) = self.audit.flushed().await else { return };
        if *told == Some(heads) || self.metastore.state().cluster_id.is_empty() {
            return;
        }
        let Ok(value) = serde_json::to_string(&heads) else { return };
        let name = setting(self.identity.node_id);
        // What the group was told before is looked for once, before it is replaced.
        if told.is_none() {
            self.compare_group_head(heads).await;
        }
        // Without a leader it is told the next time.
        if self.metastore.propose(Command::PutSetting { name, value }).await.is_ok() {
            *told = Some(heads);
        }
    }

    /// Says, in the log itself too, when the files lack what the group was told of them.
    async fn compare_group_head(&self, here: [Position; 2]) {
        let Some(before) = self.group_head(self.identity.node_id) else { return };
        let folder = self.config.data_dir.join("audit");
        for ((stream, before), here) in Stream::ALL.into_iter().zip(before).zip(here) {
            let (folder, vault) = (folder.clone(), self.config.vault.clone());
            let looked = blocking(move || {
                lacks(Files { folder: &folder, stream, vault: vault.as_deref() }, before, here)
            });
            if !looked.await.unwrap_or(true) {
                continue;
            }
            let name = stream.name();
            let what = format!(
                "the audit log '{name}' lacks record {}, which the group was told of",
                before.n
            );
            self.audit.tell(Event {
                time: self.now(),
                action: "truncated".into(),
                text: Some(what.clone()),
                ..Event::default()
            });
            self.alarm("audit", &what);
        }
    }

    fn group_head(&self, node: u64) -> Option<[Position; 2]> {
        let state = self.metastore.state();
        serde_json::from_str(state.settings.get(&setting(node))?).ok()
    }

    /// Proves the logs of every server: each reads its files, and compares them with what the
    /// group was told.
    pub async fn verify_audit(&self, call: &Call) -> Result<AuditReport> {
        require_admin(call.session.rules(), "Verifying the audit log")?;
        self.see_all_commits().await?;
        let state = self.metastore.state();
        let mut asked = JoinSet::new();
        for (id, member) in &state.members {
            if *id == self.identity.node_id {
                continue;
            }
            let (transport, member) = (Arc::clone(&self.transport), member.clone());
            let body = to_json(&self.group_head(*id))?;
            asked.spawn(async move {
                let answer =
                    transport.call(&member.peer_address, "audit/verify", body, PROOF_TIMEOUT).await;
                answer.and_then(|b| from_json::<AuditProof>(&b)).unwrap_or_else(|e| AuditProof {
                    server: member.name,
                    region: member.region,
                    problems: vec![format!("did not answer: {e}")],
                    ..AuditProof::default()
                })
            });
        }
        let mut servers = vec![self.prove_audit_here(self.group_head(self.identity.node_id)).await];
        while let Some(joined) = asked.join_next().await {
            servers.extend(joined.ok());
        }
        servers.sort_by(|a, b| a.server.cmp(&b.server));
        Ok(AuditReport { same: servers.iter().all(|s| s.problems.is_empty()), servers })
    }

    pub(crate) async fn prove_audit_here(&self, group: Option<[Position; 2]>) -> AuditProof {
        let mut proof = AuditProof {
            server: self.config.name.clone(),
            region: self.config.region.clone(),
            ..AuditProof::default()
        };
        let Some(ends) = self.audit.flushed().await else {
            proof.problems.push("the audit log is written no more".into());
            return proof;
        };
        let folder = self.config.data_dir.join("audit");
        let (keys, vault) = (self.keys(), self.config.vault.clone());
        let proved = blocking(move || {
            let mut proof = proof;
            for (at, stream) in Stream::ALL.into_iter().enumerate() {
                let group = group.and_then(|g| g.get(at).copied());
                let Some(end) = ends.get(at) else { continue };
                let heads = [local_head(&folder, stream, &keys), group];
                let log = Files { folder: &folder, stream, vault: vault.as_deref() };
                prove(log, *end, &heads, &mut proof);
            }
            Ok(proof)
        });
        proved.await.unwrap_or_else(|e: Error| AuditProof {
            server: self.config.name.clone(),
            problems: vec![e.to_string()],
            ..AuditProof::default()
        })
    }
}

/// The error of a log that contradicts itself.
pub(super) fn differs(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}
