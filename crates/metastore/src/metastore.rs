//! The face of the crate: open, propose, read, watch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use evercube_base::{Error, ErrorKind, Result};
use openraft::error::{ClientWriteError, RaftError};
use openraft::raft::AppendEntriesResponse;
use openraft::{BasicNode, ChangeMembers};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::coding::{decode, encode};
use crate::command::{Command, Reply};
use crate::log_store::LogStore;
use crate::raft::{Network, Raft, config};
use crate::state::{Member, MemberKind, State};
use crate::state_machine::StateMachine;

/// How messages reach another member; given by the server.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `body` to `path` of the member at `peer_address` and waits for its answer.
    ///
    /// # Errors
    /// `Unavailable` where the member was not reached; any other kind is the member's own answer
    /// or a broken connection.
    async fn call(
        &self,
        peer_address: &str,
        path: &str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>>;
}

#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    pub node_id: u64,
    pub node_name: String,
    pub region: String,
    pub kind: MemberKind,
    pub peer_address: String,
    pub http_address: String,
    pub disk_id: u64,
    pub heartbeat: Duration,
    pub election_min: Duration,
    pub election_max: Duration,
}

/// How a server comes to its group.
#[derive(Debug, Clone)]
pub enum Bootstrap {
    /// Forms a group of one.
    New { cluster_id: String, session_key: [u8; 32] },
    /// Asks any of these members; goes on asking in the background until one lets it in.
    Join { addresses: Vec<String> },
    /// Goes on where the folder stands.
    Restart,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub leader: Option<u64>,
    pub term: u64,
    /// Age of the last contact with a majority (at the leader) or with the leader (elsewhere).
    pub millis_since_quorum: Option<u64>,
    pub applied: u64,
    pub me: u64,
}

/// How long a proposal or a read waits through elections.
const HOLD: Duration = Duration::from_secs(30);
const CALL: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(25);

/// This server's part of the replicated metadata.
pub struct Metastore {
    raft: Raft,
    state: StateMachine,
    config: Config,
    transport: Arc<dyn Transport>,
    started: Instant,
    /// Milliseconds after `started` of the leader's last message; 0 for none yet.
    leader_contact: AtomicU64,
    /// One change of the membership at a time.
    membership: tokio::sync::Mutex<()>,
    runtime: tokio::runtime::Handle,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl std::fmt::Debug for Metastore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metastore").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct JoinRequest {
    id: u64,
    member: Member,
}

fn unavailable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

/// Consensus has a thread of its own, so that load elsewhere moves no leader.
fn own_runtime() -> Result<(tokio::runtime::Handle, tokio::sync::oneshot::Sender<()>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("consensus")
        .enable_all()
        .build()
        .map_err(|e| Error::internal(format!("the consensus thread cannot be started: {e}")))?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _dropped = runtime.block_on(stopped);
        runtime.shutdown_background();
    });
    Ok((handle, stop))
}

impl Metastore {
    /// Opens the folder. For [`Bootstrap::New`] the group exists when this returns; a joining
    /// server goes on in the background and needs its peer listener up to be let in.
    pub async fn open(
        config_in: Config,
        transport: Arc<dyn Transport>,
        bootstrap: Bootstrap,
    ) -> Result<Arc<Self>> {
        std::fs::create_dir_all(&config_in.data_dir).map_err(|e| {
            Error::new(
                ErrorKind::Source,
                format!("the folder {} cannot be made: {e}", config_in.data_dir.display()),
            )
        })?;
        let log = LogStore::open(&config_in.data_dir.join("log.redb"))?;
        let state = StateMachine::open(log.clone())?;
        // A witness waits longer, so that a data server leads wherever one can.
        let patience = if config_in.kind == MemberKind::Witness { 2 } else { 1 };
        let (least, most) = (config_in.election_min * patience, config_in.election_max * patience);
        let timing = config(config_in.heartbeat, least, most)
            .map_err(|e| Error::invalid(format!("the consensus timing is not usable: {e}")))?;
        let (runtime, stop) = own_runtime()?;
        let network = Network { transport: Arc::clone(&transport), state: state.clone() };
        let (id, machine) = (config_in.node_id, state.clone());
        let raft = runtime
            .spawn(async move { Raft::new(id, Arc::new(timing), network, log, machine).await })
            .await
            .map_err(|e| Error::internal(format!("consensus ended at its start: {e}")))?
            .map_err(|e| Error::internal(format!("consensus cannot be started: {e}")))?;
        let store = Arc::new(Self {
            raft,
            state,
            config: config_in,
            transport,
            started: Instant::now(),
            leader_contact: AtomicU64::new(0),
            membership: tokio::sync::Mutex::new(()),
            runtime,
            _stop: stop,
        });
        match bootstrap {
            Bootstrap::New { cluster_id, session_key } => {
                store.form(cluster_id, session_key).await?;
            }
            Bootstrap::Join { addresses } => {
                let joining = Arc::clone(&store);
                store.runtime.spawn(async move { joining.join(&addresses).await });
            }
            Bootstrap::Restart => {
                let returning = Arc::clone(&store);
                store.runtime.spawn(async move { returning.announce().await });
            }
        }
        Ok(store)
    }

    fn member(&self) -> Member {
        let c = &self.config;
        Member {
            name: c.node_name.clone(),
            region: c.region.clone(),
            kind: c.kind,
            peer_address: c.peer_address.clone(),
            http_address: c.http_address.clone(),
            disk_id: c.disk_id,
        }
    }

    async fn form(&self, cluster_id: String, session_key: [u8; 32]) -> Result<()> {
        let me = BasicNode { addr: self.config.peer_address.clone() };
        self.raft
            .initialize(BTreeMap::from([(self.config.node_id, me)]))
            .await
            .map_err(|e| Error::internal(format!("the group cannot be formed: {e}")))?;
        self.propose(Command::Init { cluster_id, session_key }).await?;
        self.propose(Command::PutMember { id: self.config.node_id, member: self.member() }).await?;
        Ok(())
    }

    async fn join(&self, addresses: &[String]) {
        let request = JoinRequest { id: self.config.node_id, member: self.member() };
        let Ok(body) = encode(&request) else { return };
        loop {
            for address in addresses {
                match self.transport.call(address, "raft/join", body.clone(), HOLD).await {
                    Ok(_) => return,
                    Err(e) if e.kind == ErrorKind::Conflict => {
                        tracing::warn!(address, error = %e, "the group refuses this server");
                    }
                    Err(e) => tracing::info!(address, error = %e, "not let in yet; asking again"),
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Tells the group where this server is now, if that changed while it was away.
    async fn announce(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if self.raft.metrics().borrow().current_leader.is_none() {
                continue;
            }
            let me = self.config.node_id;
            if self.state().members.get(&me) == Some(&self.member()) {
                return;
            }
            let command = Command::PutMember { id: me, member: self.member() };
            match self.propose(command).await {
                Ok(_) => return,
                Err(e) => tracing::info!(error = %e, "the group does not know this address yet"),
            }
        }
    }

    pub fn state(&self) -> Arc<State> {
        self.state.state()
    }

    /// The applied index; changes with every applied entry.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.state.watch()
    }

    pub fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let m = metrics.borrow();
        let me = self.config.node_id;
        let millis = if m.current_leader == Some(me) {
            // A group of one is always in touch with its majority.
            let alone = m.membership_config.voter_ids().count() == 1;
            if alone { Some(0) } else { m.millis_since_quorum_ack }
        } else {
            match self.leader_contact.load(Ordering::Relaxed) {
                0 => None,
                at => Some(self.elapsed_millis().saturating_sub(at)),
            }
        };
        Status {
            leader: m.current_leader,
            term: m.current_term,
            millis_since_quorum: millis,
            applied: m.last_applied.map_or(0, |l| l.index),
            me,
        }
    }

    fn elapsed_millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until this server has applied entry `index`.
    pub async fn wait_applied(&self, index: u64, limit: Duration) -> Result<()> {
        let mut applied = self.changes();
        let reached = applied.wait_for(|a| *a >= index);
        match tokio::time::timeout(limit, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(unavailable(format!(
                "this server has not caught up with entry {index} within {} s",
                limit.as_secs()
            ))),
        }
    }

    /// The leader and its address, `None` while there is none.
    fn leader(&self) -> Option<(u64, String)> {
        let metrics = self.raft.metrics();
        let m = metrics.borrow();
        let id = m.current_leader?;
        let known = self.state().members.get(&id).map(|x| x.peer_address.clone());
        let node = || m.membership_config.membership().get_node(&id).map(|n| n.addr.clone());
        Some((id, known.or_else(node)?))
    }

    /// Gets a command applied by the group, wherever the leader is, through elections.
    ///
    /// # Errors
    /// `Unknown` where the answer was lost: at once for a commit without a request id, at the end
    /// of the time for anything else. `Unavailable` where the change was surely not made: no
    /// leader, or no majority, was found in time.
    pub async fn propose(&self, command: Command) -> Result<Reply> {
        let deadline = Instant::now() + HOLD;
        let repeatable = !matches!(&command, Command::Commit(c) if c.request_id.is_empty());
        let body = encode(&command)?;
        let mut last = None;
        let mut perhaps_made = false;
        while Instant::now() < deadline {
            let tried = match self.leader() {
                None => Err(unavailable("no leader is elected")),
                Some((id, _)) if id == self.config.node_id => {
                    self.propose_here(command.clone()).await
                }
                Some((_, address)) => {
                    let answer = self.transport.call(&address, "raft/propose", body.clone(), CALL);
                    answer.await.and_then(|b| decode(&b))
                }
            };
            match tried {
                Ok(reply) => return Ok(reply),
                Err(e) if e.kind == ErrorKind::Unavailable || repeatable => {
                    perhaps_made |= e.kind != ErrorKind::Unavailable;
                    last = Some(e);
                }
                Err(e) => {
                    return Err(Error::new(
                        ErrorKind::Unknown,
                        format!(
                            "the answer to a change was lost and it may or may not have been made: {e}"
                        ),
                    ));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        let why = last.map_or_else(String::new, |e| format!(" ({e})"));
        if perhaps_made {
            return Err(Error::new(
                ErrorKind::Unknown,
                format!(
                    "the answer to a change was lost and it may or may not have been made{why}; ask again under the same request id"
                ),
            ));
        }
        Err(unavailable(format!(
            "no majority of the voting servers could be reached within {} s{why}",
            HOLD.as_secs()
        )))
    }

    async fn propose_here(&self, command: Command) -> Result<Reply> {
        let written = tokio::time::timeout(CALL, self.raft.client_write(command)).await;
        match written {
            Ok(Ok(r)) => Ok(r.data),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                Err(unavailable("this server does not lead any more"))
            }
            Ok(Err(e)) => Err(Error::internal(format!("the change was not taken: {e}"))),
            Err(_) => Err(Error::new(ErrorKind::Unknown, "a majority did not answer in time")),
        }
    }

    /// An index such that every change acknowledged before this call is at or below it.
    pub async fn read_index(&self) -> Result<u64> {
        let deadline = Instant::now() + HOLD;
        let mut last = None;
        while Instant::now() < deadline {
            let tried = match self.leader() {
                None => Err(unavailable("no leader is elected")),
                Some((id, _)) if id == self.config.node_id => self.read_index_here().await,
                Some((_, address)) => {
                    let limit = Duration::from_secs(2);
                    let answer =
                        self.transport.call(&address, "raft/read-index", Vec::new(), limit);
                    answer.await.and_then(|b| decode(&b))
                }
            };
            match tried {
                Ok(index) => return Ok(index),
                Err(e) => last = Some(e),
            }
            tokio::time::sleep(PAUSE).await;
        }
        let why = last.map_or_else(String::new, |e| format!(" ({e})"));
        Err(unavailable(format!("no leader confirmed the newest version in time{why}")))
    }

    async fn read_index_here(&self) -> Result<u64> {
        let confirmed =
            tokio::time::timeout(Duration::from_secs(2), self.raft.ensure_linearizable());
        match confirmed.await {
            Ok(Ok(read)) => Ok(read.map_or(0, |l| l.index)),
            Ok(Err(e)) => Err(unavailable(format!("this server does not lead any more: {e}"))),
            Err(_) => Err(unavailable("a majority did not answer in time")),
        }
    }

    /// Answers another member.
    pub async fn handle(&self, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        match path {
            "raft/append" => {
                let request = decode(body)?;
                let answer = self.raft.append_entries(request).await;
                // A leader that was replaced meanwhile proves nothing about freshness.
                if matches!(&answer, Ok(a) if !matches!(a, AppendEntriesResponse::HigherVote(_))) {
                    self.leader_contact.store(self.elapsed_millis().max(1), Ordering::Relaxed);
                }
                encode(&answer)
            }
            "raft/vote" => encode(&self.raft.vote(decode(body)?).await),
            "raft/snapshot" => encode(&self.raft.install_snapshot(decode(body)?).await),
            "raft/propose" => encode(&self.propose_here(decode(body)?).await?),
            "raft/read-index" => encode(&self.read_index_here().await?),
            "raft/who" => encode(&self.config.node_id),
            "raft/remove" => self.remove_here(decode(body)?).await.map(|()| Vec::new()),
            "raft/join" => self.let_in(body).await.map(|()| Vec::new()),
            _ => Err(Error::not_found(format!("the metastore knows no request '{path}'"))),
        }
    }

    /// Takes a server into the group, here or at the leader.
    async fn let_in(&self, body: &[u8]) -> Result<()> {
        match self.leader() {
            None => Err(unavailable("no leader is elected")),
            Some((id, address)) if id != self.config.node_id => {
                self.transport.call(&address, "raft/join", body.to_vec(), HOLD).await.map(|_| ())
            }
            Some(_) => {
                let request: JoinRequest = decode(body)?;
                tokio::time::timeout(HOLD, self.admit(request))
                    .await
                    .unwrap_or_else(|_| Err(unavailable("the joining server did not catch up")))
            }
        }
    }

    async fn admit(&self, request: JoinRequest) -> Result<()> {
        let _one_at_a_time = self.membership.lock().await;
        let (id, member) = (request.id, request.member);
        let replaced: BTreeSet<u64> = self
            .state()
            .members
            .iter()
            .filter(|(other, m)| **other != id && m.name == member.name)
            .map(|(other, _)| *other)
            .collect();
        for old in &replaced {
            self.require_gone(*old, &member.name).await?;
        }
        let failed = |what: &str, e: &dyn std::fmt::Display| unavailable(format!("{what}: {e}"));
        let node = BasicNode { addr: member.peer_address.clone() };
        self.raft
            .add_learner(id, node, true)
            .await
            .map_err(|e| failed("the server could not be added", &e))?;
        let mut voters: BTreeSet<u64> =
            self.raft.metrics().borrow().membership_config.voter_ids().collect();
        let before = voters.clone();
        voters.retain(|v| !replaced.contains(v));
        if member.kind.votes() {
            voters.insert(id);
        }
        if voters != before {
            self.raft
                .change_membership(ChangeMembers::ReplaceAllVoters(voters), false)
                .await
                .map_err(|e| failed("the server could not become a voter", &e))?;
        }
        self.forget_nodes(&replaced).await?;
        self.propose(Command::PutMember { id, member }).await?;
        Ok(())
    }

    /// Refuses a newcomer whose name belongs to a server that still answers under its old id.
    async fn require_gone(&self, old: u64, name: &str) -> Result<()> {
        let Some(address) = self.state().members.get(&old).map(|m| m.peer_address.clone()) else {
            return Ok(());
        };
        let limit = Duration::from_secs(1);
        let answer = self.transport.call(&address, "raft/who", Vec::new(), limit).await;
        match answer.and_then(|b| decode::<u64>(&b)) {
            Ok(id) if id == old => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "a server named '{name}' runs already at {address}; give the new server another name, or stop the other one first"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Ends replication to members that do not vote any more.
    async fn forget_nodes(&self, gone: &BTreeSet<u64>) -> Result<()> {
        let left: BTreeSet<u64> = {
            let metrics = self.raft.metrics();
            let m = metrics.borrow();
            let nodes = m.membership_config.nodes().map(|(id, _)| *id);
            nodes.filter(|id| gone.contains(id)).collect()
        };
        if left.is_empty() {
            return Ok(());
        }
        match self.raft.change_membership(ChangeMembers::RemoveNodes(left), false).await {
            Ok(_) => Ok(()),
            Err(e) => Err(unavailable(format!("the old member could not be removed: {e}"))),
        }
    }

    /// Takes a member out of the group, wherever the leader is.
    ///
    /// # Errors
    /// `Unavailable` without a leader or a majority; asking again is safe.
    pub async fn remove_member(&self, id: u64) -> Result<()> {
        match self.leader() {
            None => Err(unavailable("no leader is elected")),
            Some((leader, _)) if leader == self.config.node_id => self.remove_here(id).await,
            Some((_, address)) => {
                self.transport.call(&address, "raft/remove", encode(&id)?, HOLD).await.map(|_| ())
            }
        }
    }

    async fn remove_here(&self, id: u64) -> Result<()> {
        let removing = async {
            let _one_at_a_time = self.membership.lock().await;
            let mut voters: BTreeSet<u64> =
                self.raft.metrics().borrow().membership_config.voter_ids().collect();
            if voters.remove(&id) {
                self.raft
                    .change_membership(ChangeMembers::ReplaceAllVoters(voters), false)
                    .await
                    .map_err(|e| unavailable(format!("the member could not be removed: {e}")))?;
            }
            self.forget_nodes(&BTreeSet::from([id])).await?;
            self.propose(Command::RemoveMember { id }).await.map(|_| ())
        };
        tokio::time::timeout(HOLD, removing)
            .await
            .unwrap_or_else(|_| Err(unavailable("the member was not removed in time; try again")))
    }

    /// Stops taking part; what is on disk stays.
    pub async fn shutdown(&self) {
        if let Err(e) = self.raft.shutdown().await {
            tracing::debug!(error = %e, "consensus had already stopped");
        }
    }
}
