//! The consensus library's types, its timing, and what it sends to members.

#![allow(clippy::result_large_err, reason = "the consensus library fixes the error type")]

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Outage, Told};
use openraft::error::{
    InstallSnapshotError, NetworkError, PayloadTooLarge, RPCError, RaftError, RemoteError,
    Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Config, SnapshotPolicy, Vote};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::acknowledged::{Acknowledged, Asked};
use crate::coding;
use crate::command::{Command, Reply};
use crate::dated::Sent;
use crate::metastore::{LOST, Transport, millis};
use crate::refusal::Refusal;
use crate::state::Member;
use crate::state_machine::StateMachine;

/// The level from which on a member looks at whom a message is meant for.
pub(crate) const ADDRESSED: u32 = 2;
/// Entries in one message at most, and as many as the library may offer at a time: with whatever is
/// in the log it learns in one step that a member holds it.
const MOST_SENT: u64 = 300;
const MOST_OFFERED: u64 = 3000;
/// How long a new leader gathers what waited for it: no more than a moment.
const GATHERING: Duration = Duration::from_millis(10);
/// How long a member may take to hear that it has lost something.
const TELL: Duration = Duration::from_secs(1);

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
    let millis = millis(lease);
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
        max_payload_entries: MOST_OFFERED,
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
    pub(crate) refused: Arc<Refusal>,
    pub(crate) acknowledged: Acknowledged,
    pub(crate) coming: Arc<Coming>,
}

/// What a server has been given that is about to lead.
#[derive(Default)]
pub(crate) struct Coming {
    /// Proposals that wait until it leads.
    pub(crate) held: AtomicUsize,
    vote: Mutex<Option<Given>>,
}

/// A member's vote for a candidate that has not asked for it yet. It is on that member's disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) by: u64,
    pub(crate) answer: VoteResponse<u64>,
    /// Whether it makes a majority, so that nobody else is asked: who votes stops for a moment.
    #[serde(skip)]
    pub(crate) suffices: bool,
}

impl Coming {
    pub(crate) fn is_given(&self, vote: Given) {
        *self.vote.lock().unwrap_or_else(PoisonError::into_inner) = Some(vote);
    }

    /// The vote that was given for this candidate of this term.
    fn vote_for(&self, candidate: &Vote<u64>) -> Option<Given> {
        let given = self.vote.lock().unwrap_or_else(PoisonError::into_inner).clone();
        given.filter(|g| g.answer.is_granted_to(candidate))
    }
}

pub(crate) struct Peer {
    id: u64,
    /// Address the membership remembers, for a member the state does not know yet.
    fallback: String,
    transport: Arc<dyn Transport>,
    state: StateMachine,
    refused: Arc<Refusal>,
    acknowledged: Acknowledged,
    /// Whether it was tried if the member holds all that leaders before this one wrote.
    tried_tail: bool,
    coming: Arc<Coming>,
    /// Whether it was waited for what is held.
    gathered: bool,
    began: Instant,
    outage: Outage,
    /// Why the last message was not answered.
    why: String,
}

/// A folder that was emptied is another member at the same address: its votes and
/// acknowledgements must not count as those of the one before, which may not even have been let
/// in yet.
pub(crate) fn addressed(path: &str, id: u64, member: Option<&Member>) -> String {
    match member {
        Some(m) if m.level < ADDRESSED => path.to_owned(),
        _ => format!("{path}/{id}"),
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
            acknowledged: self.acknowledged.clone(),
            tried_tail: false,
            coming: Arc::clone(&self.coming),
            gathered: false,
            began: Instant::now(),
            outage: Outage::default(),
            why: String::new(),
        }
    }
}

/// The request without the entries of earlier leaders, `None` where it holds none. A member that has
/// the last of these has all of them, and takes what follows.
fn tail(request: &AppendEntriesRequest<Types>) -> Option<AppendEntriesRequest<Types>> {
    let term = request.vote.leader_id.term;
    let earlier = request.entries.partition_point(|e| e.log_id.leader_id.term < term);
    let last = request.entries.get(earlier.checked_sub(1)?)?;
    Some(AppendEntriesRequest {
        vote: request.vote,
        prev_log_id: Some(last.log_id),
        entries: request.entries.get(earlier..)?.to_vec(),
        leader_commit: request.leader_commit,
    })
}

type Rpc<T, E> = Result<T, RPCError<u64, BasicNode, RaftError<u64, E>>>;

impl Peer {
    async fn send<Q, T, E>(&mut self, path: &str, request: &Q, limit: Duration) -> Rpc<T, E>
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
            self.refused.by(address, &e);
            self.why.clone_from(&e.message);
            if matches!(e.kind, ErrorKind::Unavailable | ErrorKind::Conflict) {
                RPCError::Unreachable(Unreachable::new(&e))
            } else {
                RPCError::Network(NetworkError::new(&e))
            }
        })?;
        self.refused.not_by(address);
        let decoded: Result<T, RaftError<u64, E>> =
            coding::decode(&answer).map_err(|e| RPCError::Network(NetworkError::new(&e)))?;
        decoded.map_err(|e| RPCError::RemoteError(RemoteError::new(self.id, e)))
    }
}

impl Peer {
    /// Tells a member that it has lost what it acknowledged, so that it says so itself.
    async fn tell_lost(&mut self) -> Error {
        let state = self.state.state();
        let member = state.members.get(&self.id);
        let address = member.map_or(&self.fallback, |m| &m.peer_address);
        let path = addressed("raft/lost", self.id, member);
        let told = self.transport.call(address, &path, Vec::new(), TELL).await;
        let why = told.err().unwrap_or_else(|| Error::new(ErrorKind::Unavailable, LOST));
        self.why.clone_from(&why.message);
        why
    }
}

type Appended = Rpc<AppendEntriesResponse<u64>, openraft::error::Infallible>;

impl Peer {
    async fn append(&mut self, request: &AppendEntriesRequest<Types>, limit: Duration) -> Appended {
        let answer = self.try_append(request, limit).await;
        self.tell(answer.is_ok());
        answer
    }

    /// Has the log say that the member does not answer its leader, and when it does again.
    fn tell(&mut self, is_answered: bool) {
        let Some(told) = self.outage.look(self.began.elapsed(), is_answered) else { return };
        let state = self.state.state();
        let server =
            state.members.get(&self.id).map_or(self.fallback.as_str(), |m| m.name.as_str());
        match told {
            Told::Fails(lasts) => tracing::warn!(
                server,
                why = self.why,
                "a member has not answered its leader for {} s",
                lasts.as_secs()
            ),
            Told::Over(lasted) => tracing::warn!(
                server,
                "a member answers its leader again, after {} s",
                lasted.as_secs()
            ),
        }
    }

    async fn try_append(
        &mut self,
        request: &AppendEntriesRequest<Types>,
        limit: Duration,
    ) -> Appended {
        let asked = self.acknowledged.asking(self.id, request);
        let sent = Sent { request, dated: asked.dated };
        let answer = self.send("raft/append", &sent, limit).await?;
        if self.acknowledged.reverts(self.id, &asked, &answer) {
            return Err(RPCError::Unreachable(Unreachable::new(&self.tell_lost().await)));
        }
        Ok(answer)
    }

    /// A leader's first entry goes together with the proposals that waited for it to lead: the library
    /// would send them only after the first is answered, a round trip later. Whether there were any,
    /// and the message is to be made anew.
    async fn gather(&mut self) -> bool {
        if std::mem::replace(&mut self.gathered, true)
            || self.coming.held.load(Ordering::SeqCst) == 0
        {
            return false;
        }
        let until = Instant::now() + GATHERING;
        while self.coming.held.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        true
    }
}

impl RaftNetwork<Types> for Peer {
    /// A new leader does not know what the others hold, and the library offers them up to half of the
    /// log, or all of it: over a long way that takes several round trips, while nothing is committed.
    /// Nearly always they hold everything, which one short message tells.
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Appended {
        let until = Instant::now() + option.hard_ttl();
        if !request.entries.is_empty() && self.gather().await {
            let more = Error::new(ErrorKind::Unavailable, "more entries came for this message");
            return Err(RPCError::Network(NetworkError::new(&more)));
        }
        if !self.tried_tail
            && let Some(tail) = tail(&request)
        {
            self.tried_tail = true;
            let answer = self.append(&tail, option.hard_ttl()).await?;
            if !matches!(answer, AppendEntriesResponse::Conflict) {
                return Ok(answer);
            }
        }
        if request.entries.len() as u64 > MOST_SENT {
            return Err(RPCError::PayloadTooLarge(PayloadTooLarge::new_entries_hint(MOST_SENT)));
        }
        self.append(&request, until.saturating_duration_since(Instant::now())).await
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Rpc<InstallSnapshotResponse<u64>, InstallSnapshotError> {
        let (vote, at) = (request.vote, Instant::now());
        let asked = Asked::nothing(vote, at);
        let answer: InstallSnapshotResponse<u64> =
            self.send("raft/snapshot", &request, option.hard_ttl()).await?;
        if answer.vote == vote {
            self.acknowledged.note(self.id, None, &asked);
        }
        Ok(answer)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<u64>, openraft::error::Infallible> {
        match self.coming.vote_for(&request.vote) {
            Some(given) if given.by == self.id => return Ok(given.answer),
            Some(given) if given.suffices => {
                let why = Error::new(ErrorKind::Unavailable, "its vote is not needed");
                return Err(RPCError::Unreachable(Unreachable::new(&why)));
            }
            _ => {}
        }
        self.send("raft/vote", &request, option.hard_ttl()).await
    }

    fn backoff(&self) -> openraft::network::Backoff {
        openraft::network::Backoff::new(std::iter::repeat(Duration::from_millis(100)))
    }
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId};

    use super::*;

    #[test]
    fn entries_of_earlier_leaders_are_left_out_of_the_tail() {
        let id = |term, index| LogId::new(CommittedLeaderId::new(term, 1), index);
        let request = |entries: &[(u64, u64)]| AppendEntriesRequest::<Types> {
            vote: Vote::new_committed(5, 1),
            prev_log_id: Some(id(1, 6)),
            entries: entries
                .iter()
                .map(|(term, index)| Entry {
                    log_id: id(*term, *index),
                    payload: EntryPayload::Blank,
                })
                .collect(),
            leader_commit: Some(id(4, 8)),
        };
        let of = |entries: &[(u64, u64)]| {
            let tail = tail(&request(entries))?;
            Some((tail.prev_log_id?, tail.entries.iter().map(|e| e.log_id).collect::<Vec<_>>()))
        };
        assert_eq!(of(&[(2, 7), (4, 8), (5, 9)]), Some((id(4, 8), vec![id(5, 9)])));
        assert_eq!(of(&[(2, 7), (4, 8)]), Some((id(4, 8), vec![])), "all is from before");
        assert_eq!(of(&[(5, 7), (5, 8)]), None);
        assert_eq!(of(&[]), None, "a heartbeat");
    }
}
