//! What every server of the group is doing, in the shape scripts rely on.

use std::collections::BTreeMap;
use std::time::Duration;

use evercube_base::{Error, ErrorKind};
use evercube_metastore::Member;
use serde::{Deserialize, Serialize};

use crate::agreement::Agreement;
use crate::call::Call;
use crate::certificates::Certificates;
use crate::clocks;
use crate::damage::DiskHealth;
use crate::drift;
use crate::encryption::EncryptionStatus;
use crate::service::Service;
use crate::standby::StandbyStatus;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Id of the group.
    pub cluster: String,
    /// Who leads, as far as the server that answers has heard lately.
    pub leader: Option<String>,
    /// Whether a majority of the voters was in contact lately.
    pub quorum: bool,
    /// The server that answers, and the age of what it knows: of its last contact with a majority.
    #[serde(default)]
    pub seen_by: String,
    #[serde(default)]
    pub last_contact_ms: Option<u64>,
    /// Failure domains the group has gone on without.
    pub degraded: Vec<String>,
    /// The newest commands that every member understands.
    #[serde(default)]
    pub feature_level: u32,
    /// What the servers were told differently, in words; told to administrators.
    #[serde(default)]
    pub drift: Vec<String>,
    /// Servers whose clocks are not those of the others, in words.
    #[serde(default)]
    pub clocks: Vec<String>,
    pub servers: Vec<ServerStatus>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ServerStatus {
    pub name: String,
    pub region: String,
    pub kind: String,
    /// Where clients reach it, as `host:port`.
    pub address: String,
    /// `starting`, `catching-up`, `ready`, `draining`, `fenced`, `unreachable`.
    pub state: String,
    pub applied_seq: Option<u64>,
    pub last_contact_ms: Option<u64>,
    pub databases: Vec<DatabaseStatus>,
    /// Its clock when it answered, in microseconds since 1970.
    #[serde(default)]
    pub clock_micros: Option<i64>,
    /// How far that is ahead of the clock of the server that asked; null of one that is away.
    #[serde(default)]
    pub clock_ahead_ms: Option<i64>,
    #[serde(default)]
    pub files: DiskHealth,
    #[serde(default)]
    pub agreement: Agreement,
    /// What it runs; null of a server that is away or runs an earlier release.
    #[serde(default)]
    pub release: Option<String>,
    /// The certificates it shows, and the authorities it trusts.
    #[serde(default)]
    pub certificates: Certificates,
    /// Its settings as they are compared; told to administrators.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Why it is fenced, where it is.
    #[serde(default)]
    pub error: Option<String>,
    /// How its data folder is encrypted; null where it is not.
    #[serde(default)]
    pub encryption: Option<EncryptionStatus>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DatabaseStatus {
    pub name: String,
    /// The version this server serves; null while it has none.
    pub version: Option<u64>,
    pub ready: bool,
    pub root: Option<String>,
    /// Whether this server takes the writes of the database.
    pub primary: bool,
    pub lag_ms: Option<u64>,
    /// Why the database is not ready.
    pub error: Option<String>,
    /// `replicate`, `parallel` or `standby`.
    #[serde(default)]
    pub sync_mode: String,
    /// `available` or `strict`.
    #[serde(default)]
    pub policy: String,
    /// What a database that follows one of another group holds.
    #[serde(default)]
    pub standby: Option<StandbyStatus>,
    /// Why its standby is not kept up.
    #[serde(default)]
    pub standby_error: Option<String>,
}

/// What a server says that lost its majority.
pub fn out_of_touch() -> Error {
    Error::new(ErrorKind::Unavailable, "this server has lost its contact with a majority")
}

impl ServerStatus {
    /// Compares its clock with the one here, where the answer came just now, so long after the question.
    pub(crate) fn came_after(&mut self, took: Duration) {
        let here = chrono::Utc::now().timestamp_micros();
        let on_the_way = i64::try_from(took.as_micros() / 2).unwrap_or(0);
        let ahead = self.clock_micros.map(|there| there.saturating_sub(here - on_the_way));
        self.clock_ahead_ms = ahead.map(|micros| micros / 1000);
    }

    /// What is known of a member that does not answer.
    fn unreachable(member: &Member) -> Self {
        Self {
            name: member.name.clone(),
            region: member.region.clone(),
            kind: member.kind.to_string(),
            address: member.http_address.clone(),
            state: "unreachable".into(),
            ..Self::default()
        }
    }
}

/// Age of the last quorum contact up to which a server counts as in touch.
const IN_TOUCH_MS: u64 = 3000;

/// Without contact for less than this no server is out of touch: on a busy machine answers are late
/// by as much as a few of the shortest heartbeats.
const PATIENCE: Duration = Duration::from_millis(500);

impl Service {
    /// This server's own part of [`Status`].
    pub fn own_status(&self) -> ServerStatus {
        let state = self.metastore.state();
        let raft = self.metastore.status();
        let mut databases = Vec::new();
        for entry in state.databases.values() {
            let loaded = self.versions.get(&entry.name);
            let withheld = self.withheld(&entry.name);
            let current = withheld.is_none()
                && loaded.as_ref().is_some_and(|v| v.seq == entry.seq && v.root == entry.root);
            let behind = self.now().unix_micros().saturating_sub(entry.updated_micros) / 1000;
            databases.push(DatabaseStatus {
                name: entry.name.clone(),
                version: loaded.as_ref().map(|v| v.seq),
                ready: current,
                root: loaded.as_ref().map(|v| hex::encode(v.root)),
                primary: self.is_primary(&entry.name),
                lag_ms: Some(if current { 0 } else { u64::try_from(behind).unwrap_or(0) }),
                error: withheld.or_else(|| self.versions.failure(&entry.name)).map(|e| e.message),
                sync_mode: entry.sync.mode.to_string(),
                policy: entry.policy.to_string(),
                standby: entry.standby_of.as_ref().map(|of| self.standby_status(of)),
                standby_error: self.standby_failure(entry),
            });
        }
        let in_touch = raft.millis_since_quorum.is_some_and(|ms| ms <= IN_TOUCH_MS);
        let complete =
            raft.caught_up && (!self.serves_queries() || databases.iter().all(|d| d.ready));
        let me = raft.me;
        let status = match (raft.leader.is_some() && in_touch, complete) {
            _ if raft.refused.is_some() => "fenced",
            (true, _) if state.draining.contains(&me) => "draining",
            (true, true) => "ready",
            (true, false) => "catching-up",
            (false, _) if raft.applied == 0 => "starting",
            (false, _) => "fenced",
        };
        let error = (status == "fenced").then(|| {
            let why = raft.refused.clone().or_else(|| self.metastore.why_out());
            why.unwrap_or_else(|| self.without_contact(raft.millis_since_quorum))
        });
        ServerStatus {
            name: self.config.name.clone(),
            region: self.config.region.clone(),
            kind: state
                .members
                .get(&me)
                .map_or_else(|| self.config.kind.clone(), |m| m.kind.to_string()),
            address: self.config.http_address.clone(),
            state: status.into(),
            error,
            applied_seq: Some(raft.applied),
            last_contact_ms: raft.millis_since_quorum,
            clock_micros: Some(self.now().unix_micros()),
            clock_ahead_ms: Some(0),
            databases: if self.serves_queries() { databases } else { Vec::new() },
            files: DiskHealth { refuses: self.objects.refuses(), ..self.damage.health() },
            agreement: self.agreement(),
            release: Some(crate::drift::release()),
            certificates: self.config.certificates.get(),
            settings: self.config.settings.clone(),
            encryption: self.encryption_status(),
        }
    }

    fn without_contact(&self, millis: Option<u64>) -> String {
        let since = match millis {
            Some(ms) => format!("for {} s", ms / 1000),
            None => "since it was started".to_owned(),
        };
        let unheard = self.metastore.unheard();
        let why = if unheard.is_empty() { unheard } else { format!(" ({unheard})") };
        format!("no contact with a majority {since}{why}")
    }

    /// The whole group as seen from here; members that do not answer are `unreachable`.
    pub async fn status(&self) -> Status {
        let state = self.metastore.state();
        let me = self.identity.node_id;
        let others: Vec<u64> = state.members.keys().copied().filter(|id| *id != me).collect();
        let answered = self.statuses_of(&state, &others).await;
        let mut servers = vec![self.own_status()];
        for id in others {
            let found = answered.iter().find(|(a, _)| *a == id).map(|(_, s)| s.clone());
            let member = state.members.get(&id);
            servers.extend(found.or_else(|| member.map(ServerStatus::unreachable)));
        }
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        // Now, since those that are away were waited for. Out of touch, the one that was heard last
        // leads nobody that is known of.
        let raft = self.metastore.status();
        let leader = raft.leader.filter(|_| raft.is_in_contact());
        let leader = leader.and_then(|id| state.members.get(&id)).map(|m| m.name.clone());
        Status {
            cluster: state.cluster_id.clone(),
            quorum: leader.is_some(),
            leader,
            seen_by: self.config.name.clone(),
            last_contact_ms: raft.millis_since_quorum,
            clocks: clocks::astray(&servers).into_iter().map(|a| a.words).collect(),
            degraded: state.degraded.iter().cloned().collect(),
            feature_level: state.members.values().map(|m| m.level).min().unwrap_or(0),
            drift: drift::differences(&servers).into_iter().map(|d| d.words).collect(),
            servers,
        }
    }

    /// The group as a caller may see it: without databases that are not theirs.
    pub async fn status_for(&self, call: &Call) -> Status {
        let mut status = self.status().await;
        if !call.session.rules() {
            status.drift.clear();
            status.servers.iter_mut().for_each(|s| s.settings.clear());
        }
        for server in &mut status.servers {
            server.databases.retain(|d| self.rights(&call.session, &d.name).any());
        }
        status
    }

    /// Whether this server has been without contact for longer than an election takes: a majority
    /// that it does not see may have gone on.
    pub fn is_out_of_touch(&self) -> bool {
        let raft = self.metastore.status();
        let limit = (raft.timing.lease() + raft.timing.heartbeat()).max(PATIENCE).as_millis();
        raft.millis_since_quorum.is_some_and(|ms| u128::from(ms) > limit)
    }

    /// Waits until this server is out of touch; says so.
    pub async fn out_of_touch(&self) -> Error {
        while !self.is_out_of_touch() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        out_of_touch()
    }

    /// Whether a balancer should send queries here: in touch with a quorum and complete.
    pub fn is_ready(&self) -> bool {
        self.serves_queries() && self.own_status().state == "ready"
    }
}
