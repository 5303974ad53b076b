//! The face of the crate: open, propose, read, watch.

mod contact_log;
mod disk_watch;
mod elections;
mod ground;
mod handover;
mod heartbeats;
mod history;
mod membership;
mod messages;
mod propose;
mod relay;
mod revive;
mod status;
mod timing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use evercube_base::{Error, ErrorKind, Outage, Result, Told};
use evercube_vault::Vault;
use openraft::BasicNode;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::acknowledged::Acknowledged;
use crate::coding::encode;
use crate::command::{Command, LEVEL};
use crate::dated::Answers;
use crate::log_store::LogStore;
use crate::raft::{Coming, Raft};
use crate::refusal::Refusal;
use crate::state::{Member, MemberKind, State};
use crate::state_machine::StateMachine;
pub use ground::Ground;
use handover::Yielding;
use membership::JoinRequest;
pub(crate) use membership::LOST;
use propose::HOLD;
pub use status::Status;
use status::knows_committed;
pub use timing::Timing;
pub(crate) use timing::millis;

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

    /// Posts `body` to a path of another group's REST interface, at its base URL.
    ///
    /// # Errors
    /// As [`Transport::call`]; also what the other group says.
    async fn ask_group(
        &self,
        url: &str,
        _path: &str,
        _token: Option<&str>,
        _body: Vec<u8>,
        _timeout: Duration,
    ) -> Result<Vec<u8>> {
        Err(Error::unsupported(format!("the group at {url} cannot be asked from here")))
    }

    /// What messages say about their sender from now on; a receiver of another group, or of a
    /// newer history of this one, refuses them.
    fn introduce(&self, _identity: &str) {}
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
    /// The timing to start with where the folder remembers none.
    pub timing: Timing,
    /// What the log is encrypted with.
    pub vault: Option<Arc<Vault>>,
}

/// How a server comes to its group, if its folder does not already belong to one.
#[derive(Debug, Clone)]
pub enum Bootstrap {
    /// Forms a group of one.
    New { cluster_id: String, session_key: [u8; 32] },
    /// Asks any of these members; goes on asking in the background until one lets it in. Where the
    /// folder belongs to a group already it is as a restart.
    Join { addresses: Vec<String> },
    /// Goes on where the folder stands.
    Restart,
}

/// This server's part of the replicated metadata.
pub struct Metastore {
    /// For work that goes on when nobody waits for it any more.
    own: Weak<Self>,
    /// Replaced as a whole when the timing changes.
    raft: RwLock<Raft>,
    timing: RwLock<Timing>,
    log: LogStore,
    state: StateMachine,
    config: Config,
    transport: Arc<dyn Transport>,
    started: Instant,
    /// Milliseconds after `started` of the leader's last message; 0 for none yet.
    leader_contact: AtomicU64,
    /// As `leader_contact`, of the last message from which this member knew what was committed: a
    /// new leader does not until it has committed an entry of its own.
    fresh_contact: AtomicU64,
    /// Who leads by the last message; 0 for nobody yet.
    heard_from: AtomicU64,
    /// The last leader that was another member, and milliseconds after `started` of its last message.
    followed: Mutex<Option<(u64, u64)>>,
    /// Milliseconds after `started` of this member's last vote for another one.
    voted_at: AtomicU64,
    /// To whom the leadership is being handed over.
    yielding: Mutex<Option<Yielding>>,
    /// The newest entry the leader said is committed.
    heard_commit: AtomicU64,
    /// Whether this server has once applied all it had heard of since its start.
    caught_up: AtomicBool,
    /// One change of the membership at a time.
    membership: tokio::sync::Mutex<()>,
    /// Held by every proposal on its way into the log; closed while the leadership is handed over.
    gate: tokio::sync::RwLock<()>,
    /// Held by every proposal until it is committed.
    under_way: tokio::sync::RwLock<()>,
    coming: Arc<Coming>,
    /// Whether this member, as the leader, sends no heartbeats.
    quiet: AtomicBool,
    restarting: tokio::sync::Mutex<()>,
    /// Counts the consensuses there were, one after another.
    run: AtomicU64,
    /// Whether the consensus has ended by itself.
    ailing: AtomicBool,
    /// Whether the disk of the log does not answer.
    hangs: AtomicBool,
    refused: Arc<Refusal>,
    acknowledged: Acknowledged,
    /// When this member answered the leader's messages.
    answers: Answers,
    /// Voters that did not say whether they miss the leader when they were asked last, and why.
    unheard: Mutex<BTreeMap<u64, String>>,
    runtime: tokio::runtime::Handle,
    _stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl std::fmt::Debug for Metastore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metastore").field("config", &self.config).finish_non_exhaustive()
    }
}

fn unavailable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

impl Metastore {
    /// Opens the folder. For [`Bootstrap::New`] the group exists when this returns; a joining
    /// server goes on in the background and needs its peer listener up to be let in.
    pub async fn open(
        config: Config,
        transport: Arc<dyn Transport>,
        bootstrap: Bootstrap,
    ) -> Result<Arc<Self>> {
        let ground = Ground::in_folder(&config.data_dir, config.vault.clone())?;
        Self::open_on(ground, config, transport, bootstrap).await
    }

    /// As [`Metastore::open`], on a ground that is given.
    pub async fn open_on(
        ground: Ground,
        config_in: Config,
        transport: Arc<dyn Transport>,
        bootstrap: Bootstrap,
    ) -> Result<Arc<Self>> {
        let Ground { log, runtime, stop } = ground;
        log.step_down(config_in.node_id).map_err(|e| {
            Error::new(ErrorKind::Corrupt, format!("the vote of this server cannot be read: {e}"))
        })?;
        let state = StateMachine::open(log.clone())?;
        let timing = log.get_meta("timing").ok().flatten().unwrap_or(config_in.timing);
        let refused = Arc::default();
        let acknowledged = Acknowledged::default();
        let coming = Arc::<Coming>::default();
        let parts = timing::Parts {
            transport: Arc::clone(&transport),
            log: log.clone(),
            state: state.clone(),
            refused: Arc::clone(&refused),
            acknowledged: acknowledged.clone(),
            coming: Arc::clone(&coming),
        };
        let raft = parts.start(&runtime, config_in.node_id, timing).await?;
        // A server that stopped before its group took it in, or was formed, begins anew.
        let known = raft
            .is_initialized()
            .await
            .map_err(|e| Error::internal(format!("what the folder holds cannot be told: {e}")))?;
        let store = Arc::new_cyclic(|own| Self {
            own: own.clone(),
            raft: RwLock::new(raft),
            timing: RwLock::new(timing),
            log,
            state,
            config: config_in,
            transport,
            started: Instant::now(),
            leader_contact: AtomicU64::new(0),
            fresh_contact: AtomicU64::new(0),
            heard_from: AtomicU64::new(0),
            followed: Mutex::default(),
            voted_at: AtomicU64::new(0),
            yielding: Mutex::default(),
            heard_commit: AtomicU64::new(0),
            caught_up: AtomicBool::new(false),
            membership: tokio::sync::Mutex::new(()),
            gate: tokio::sync::RwLock::new(()),
            under_way: tokio::sync::RwLock::new(()),
            coming,
            quiet: AtomicBool::new(false),
            restarting: tokio::sync::Mutex::new(()),
            run: AtomicU64::new(0),
            ailing: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            refused,
            acknowledged,
            answers: Answers::default(),
            unheard: Mutex::default(),
            runtime,
            _stop: stop,
        });
        store.follow_settings();
        store.watch_leader();
        store.beat();
        store.watch_disk();
        store.watch_contact();
        store.watch_distance();
        store.keep_running();
        match bootstrap {
            Bootstrap::New { cluster_id, session_key } if !known => {
                store.form(cluster_id, session_key).await?;
            }
            Bootstrap::Join { addresses } if !known => {
                let joining = Arc::clone(&store);
                store.runtime.spawn(async move { joining.join(&addresses).await });
            }
            bootstrap => {
                let returning = Arc::clone(&store);
                store.runtime.spawn(async move { returning.announce(bootstrap).await });
            }
        }
        Ok(store)
    }

    /// Writes the log anew where a part of it is not encrypted with the current data key; whether
    /// it was so.
    ///
    /// # Errors
    /// Where the new file cannot be written; the log is then as it was.
    pub fn reseal(&self) -> Result<bool> {
        self.log.reseal(&self.config.data_dir.join(ground::LOG_FILE))
    }

    /// Has this server's messages say who sends them; nothing while it belongs to no group.
    fn introduce(&self) {
        let state = self.state();
        let me = self.config.node_id;
        let is_of_none = state.cluster_id.is_empty();
        let identity =
            if is_of_none { String::new() } else { format!("{}/{me}", state.identity()) };
        self.transport.introduce(&identity);
    }

    /// The running consensus.
    fn raft(&self) -> Raft {
        self.raft.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This server as a member. Its kind is what the group made of it since it joined.
    fn member(&self) -> Member {
        let c = &self.config;
        let known = self.state().members.get(&c.node_id).map(|m| m.kind);
        Member {
            name: c.node_name.clone(),
            region: c.region.clone(),
            kind: known.unwrap_or(c.kind),
            peer_address: c.peer_address.clone(),
            http_address: c.http_address.clone(),
            disk_id: c.disk_id,
            level: LEVEL,
        }
    }

    async fn form(&self, cluster_id: String, session_key: [u8; 32]) -> Result<()> {
        let me = BasicNode { addr: self.config.peer_address.clone() };
        self.raft()
            .initialize(BTreeMap::from([(self.config.node_id, me)]))
            .await
            .map_err(|e| Error::internal(format!("the group cannot be formed: {e}")))?;
        self.found(cluster_id, session_key).await
    }

    /// The first commands of a group.
    async fn found(&self, cluster_id: String, session_key: [u8; 32]) -> Result<()> {
        self.propose(Command::Init { cluster_id, session_key }).await?;
        self.propose(Command::PutMember { id: self.config.node_id, member: self.member() }).await?;
        Ok(())
    }

    async fn join(&self, addresses: &[String]) {
        let mut outage = Outage::default();
        loop {
            let mut why = Vec::new();
            let is_empty = self.last_entry().await.is_ok_and(|last| last.is_none());
            let request = JoinRequest { id: self.config.node_id, member: self.member(), is_empty };
            let Ok(body) = encode(&request) else { return };
            for address in addresses {
                match self.transport.call(address, "raft/join", body.clone(), HOLD).await {
                    Ok(_) => {
                        if outage.look(self.started.elapsed(), true).is_some() {
                            tracing::warn!(address, "this server is let into the group");
                        }
                        return;
                    }
                    Err(e) => {
                        self.refused_by(address, &e);
                        why.push(format!("{address}: {e}"));
                    }
                }
            }
            if let Some(Told::Fails(lasts)) = outage.look(self.started.elapsed(), false) {
                tracing::warn!(
                    "not let into a group for {} s, asking again: {}; --join names the peer address of a member, which its start-up line tells as 'peers on'",
                    lasts.as_secs(),
                    why.join("; ")
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Tells the group where this server is now, if that changed while it was away, and ends what
    /// a stop interrupted: the forming of the group, or its being let in.
    async fn announce(&self, bootstrap: Bootstrap) {
        let me = self.config.node_id;
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            // What the group made of this server is known once the leader was heard.
            let (status, state) = (self.status(), self.state());
            if status.millis_since_quorum.is_none() {
                continue;
            }
            let told = match (&bootstrap, state.members.get(&me)) {
                (_, Some(known)) if *known == self.member() => return,
                (_, Some(_)) => {
                    let command = Command::PutMember { id: me, member: self.member() };
                    self.propose(command).await.map(|_| ())
                }
                (Bootstrap::New { cluster_id, session_key }, None)
                    if state.cluster_id.is_empty() && status.leader == Some(me) =>
                {
                    self.found(cluster_id.clone(), *session_key).await
                }
                _ if state.members.is_empty() || state.removed.contains_key(&me) => continue,
                (_, None) => {
                    let members = state.members.values();
                    let addresses: Vec<_> = members.map(|m| m.peer_address.clone()).collect();
                    return self.join(&addresses).await;
                }
            };
            match told {
                Ok(()) => return,
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

    fn elapsed_millis(&self) -> u64 {
        millis(self.started.elapsed())
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

    /// States by log entry that other members can be compared with, newest first.
    pub fn checkpoints(&self) -> Vec<(u64, Arc<State>)> {
        self.state.checkpoints()
    }

    /// Takes over the state that is right at a log entry, and applies what came after it again.
    ///
    /// # Errors
    /// `Unavailable` where this server is not that far, or lacks entries after it.
    pub fn repair(&self, index: u64, right: State) -> Result<()> {
        self.state.repair(index, right)
    }

    /// Runs `work` beside the consensus, away from the load of queries.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Stops taking part; what is on disk stays.
    pub async fn shutdown(&self) {
        if let Err(e) = self.raft().shutdown().await {
            tracing::debug!(error = %e, "consensus had already stopped");
        }
    }
}
