//! The consensus library behind our own types; no other module names it for more than storage.

#![allow(clippy::result_large_err, reason = "the consensus library fixes the error type")]

use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evercube_base::ErrorKind;
use openraft::error::{
    InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Config, SnapshotPolicy};
use serde::{Serialize, de::DeserializeOwned};

use crate::coding;
use crate::command::{Command, Reply};
use crate::metastore::Transport;
use crate::state::Member;
use crate::state_machine::StateMachine;

/// The level from which on a member looks at whom a message is meant for.
const ADDRESSED: u32 = 2;

openraft::declare_raft_types!(
    /// The types of our group.
    pub(crate) Types:
        D = Command,
        R = Reply,
        SnapshotData = Cursor<Vec<u8>>,
);

pub(crate) type Raft = openraft::Raft<Types>;
pub(crate) type Metrics = openraft::RaftMetrics<u64, BasicNode>;

/// Timing of the consensus, which holds no elections and sends no heartbeats by itself; snapshots
/// every 2,000 entries, of which 500 stay in the log.
pub(crate) fn config(lease: Duration) -> Result<Config, openraft::ConfigError> {
    let millis = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    Config {
        cluster_name: "evercube".into(),
        // How long entries may take to be on a follower's disk and answered: with less than a slow
        // disk needs they would be sent again and again, and never be acknowledged.
        heartbeat_interval: millis.saturating_sub(20),
        enable_heartbeat: false,
        // How long a candidate waits for an answer, and how long nobody votes after the leader's
        // last message.
        election_timeout_min: millis.saturating_sub(10),
        election_timeout_max: millis,
        enable_elect: false,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(2000),
        max_in_snapshot_log_to_keep: 500,
        install_snapshot_timeout: 10_000,
        ..Config::default()
    }
    .validate()
}

/// Makes connections to members; their addresses are looked up for every message, since a
/// restarted server may come back elsewhere.
pub(crate) struct Network {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) state: StateMachine,
    /// Why other members refuse this server, where they do.
    pub(crate) refused: Arc<Mutex<Option<String>>>,
}

pub(crate) struct Peer {
    id: u64,
    /// Address the membership remembers, for a member the state does not know yet.
    fallback: String,
    transport: Arc<dyn Transport>,
    state: StateMachine,
    refused: Arc<Mutex<Option<String>>>,
}

/// A folder that was emptied is another member at the same address: its votes and
/// acknowledgements must not count as those of the one before.
pub(crate) fn addressed(path: &str, id: u64, member: Option<&Member>) -> String {
    match member {
        Some(m) if m.level >= ADDRESSED => format!("{path}/{id}"),
        _ => path.to_owned(),
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;
    async fn new_client(&mut self, id: u64, node: &BasicNode) -> Peer {
        Peer {
            id,
            fallback: node.addr.clone(),
            transport: Arc::clone(&self.transport),
            state: self.state.clone(),
            refused: Arc::clone(&self.refused),
        }
    }
}

type Rpc<T, E> = Result<T, RPCError<u64, BasicNode, RaftError<u64, E>>>;

impl Peer {
    async fn send<Q, T, E>(&self, path: &str, request: &Q, limit: Duration) -> Rpc<T, E>
    where
        Q: Serialize,
        T: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let state = self.state.state();
        let member = state.members.get(&self.id);
        let address = member.map_or(&self.fallback, |m| &m.peer_address);
        let path = addressed(path, self.id, member);
        let body = coding::encode(request).map_err(|e| RPCError::Network(NetworkError::new(&e)))?;
        let answer = self.transport.call(address, &path, body, limit).await.map_err(|e| {
            if e.kind == ErrorKind::Conflict {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                if refused.as_ref() != Some(&e.message) {
                    tracing::warn!(address, error = %e, "a member refuses this server");
                    *refused = Some(e.message.clone());
                }
            }
            if matches!(e.kind, ErrorKind::Unavailable | ErrorKind::Conflict) {
                RPCError::Unreachable(Unreachable::new(&e))
            } else {
                RPCError::Network(NetworkError::new(&e))
            }
        })?;
        let decoded: Result<T, RaftError<u64, E>> =
            coding::decode(&answer).map_err(|e| RPCError::Network(NetworkError::new(&e)))?;
        decoded.map_err(|e| RPCError::RemoteError(RemoteError::new(self.id, e)))
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<u64>, openraft::error::Infallible> {
        self.send("raft/append", &request, option.hard_ttl()).await
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Rpc<InstallSnapshotResponse<u64>, InstallSnapshotError> {
        self.send("raft/snapshot", &request, option.hard_ttl()).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<u64>, openraft::error::Infallible> {
        self.send("raft/vote", &request, option.hard_ttl()).await
    }

    fn backoff(&self) -> openraft::network::Backoff {
        openraft::network::Backoff::new(std::iter::repeat(Duration::from_millis(100)))
    }
}
