//! The consensus library behind our own types; no other module names it for more than storage.

#![allow(clippy::result_large_err, reason = "the consensus library fixes the error type")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evercube_base::{Error, ErrorKind};
use openraft::error::{
    InstallSnapshotError, NetworkError, PayloadTooLarge, RPCError, RaftError, RemoteError,
    Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Config, LogId, SnapshotPolicy, Vote};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::coding;
use crate::command::{Command, Reply};
use crate::dated::{Dated, Sent};
use crate::metastore::{LOST, Transport};
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

/// What a member has answered while this server led.
struct Said {
    under: Vote<u64>,
    /// The last entry up to which its log matches.
    upto: Option<LogId<u64>>,
    /// When the newest of the messages was sent that it answered.
    asked_at: Instant,
    /// The number of that message, where it has one.
    number: Option<u64>,
}

/// How far the logs of members match this server's, as they said while it led, and when they were
/// in contact with it.
///
/// The library holds that a log never becomes shorter. A folder that was emptied in part, or
/// brought back from a copy, breaks that, and the library would stop, or count acknowledgements
/// of entries that are gone; so such an answer is kept from it.
#[derive(Clone, Default)]
pub(crate) struct Acknowledged(Arc<Told>);

#[derive(Default)]
struct Told {
    by: Mutex<BTreeMap<u64, Said>>,
    /// Messages sent, to whomever.
    sent: AtomicU64,
    /// When a majority was in contact with the leader of this vote, as it saw with its last heartbeat.
    majority: Mutex<Option<(Vote<u64>, Instant)>>,
}

impl Acknowledged {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Said>> {
        self.0.by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, id: u64, upto: Option<LogId<u64>>, asked: &Asked) {
        let (under, asked_at, number) = (asked.vote, asked.at, asked.dated.number);
        let mut all = self.lock();
        match all.get_mut(&id) {
            Some(said) if said.under == under => {
                said.upto = said.upto.max(upto);
                said.asked_at = said.asked_at.max(asked_at);
                said.number = said.number.max(number);
            }
            _ => {
                all.insert(id, Said { under, upto, asked_at, number });
            }
        }
    }

    pub(crate) fn majority_was_at(&self, under: Vote<u64>, at: Option<Instant>) {
        let mut majority = self.0.majority.lock().unwrap_or_else(PoisonError::into_inner);
        *majority = at.map(|at| (under, at));
    }

    /// What the next message to a member says of its age.
    fn dated(&self, id: u64, under: &Vote<u64>) -> Dated {
        let answered = self.lock().get(&id).filter(|s| s.under == *under).and_then(|s| s.number);
        let majority = *self.0.majority.lock().unwrap_or_else(PoisonError::into_inner);
        let at = majority.filter(|(of, _)| of == under).map(|(_, at)| at);
        let millis = |at: Instant| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        Dated {
            number: Some(self.0.sent.fetch_add(1, Ordering::Relaxed)),
            answered,
            majority_ms: at.map(millis),
        }
    }

    /// When a majority was in contact with the leader `me` under this vote: of each set of voters,
    /// where one is about to take the place of another. It is told by the answers themselves, so
    /// that it grows old also while the consensus waits for a disk or the process stood still.
    pub(crate) fn majority_at(
        &self,
        me: u64,
        under: &Vote<u64>,
        configurations: &[BTreeSet<u64>],
    ) -> Option<Instant> {
        let (all, now) = (self.lock(), Instant::now());
        let of_one = |voters: &BTreeSet<u64>| {
            let heard = voters.iter().filter_map(|id| match all.get(id) {
                _ if *id == me => Some(now),
                Some(said) if said.under == *under => Some(said.asked_at),
                _ => None,
            });
            let mut heard: Vec<Instant> = heard.collect();
            heard.sort_unstable_by(|a, b| b.cmp(a));
            heard.get(voters.len() / 2).copied()
        };
        let each: Option<Vec<Instant>> = configurations.iter().map(of_one).collect();
        each?.into_iter().min()
    }

    /// Whether a member that lacks `entry` had said that it holds it.
    fn had(&self, id: u64, vote: &Vote<u64>, entry: &LogId<u64>) -> bool {
        let all = self.lock();
        all.get(&id).is_some_and(|s| s.under == *vote && s.upto.is_some_and(|u| *entry <= u))
    }

    /// Whether a member ever said that it holds anything.
    pub(crate) fn any(&self, id: u64) -> bool {
        self.lock().get(&id).is_some_and(|s| s.upto.is_some())
    }

    /// What a member that is taken out, or comes anew, has said counts no more.
    pub(crate) fn forget(&self, id: u64) {
        self.lock().remove(&id);
    }

    /// Notes what an answer says; whether it takes back what was said before.
    fn reverts(&self, id: u64, asked: &Asked, answer: &AppendEntriesResponse<u64>) -> bool {
        match answer {
            AppendEntriesResponse::Success => self.note(id, asked.last, asked),
            AppendEntriesResponse::PartialSuccess(upto) => self.note(id, *upto, asked),
            AppendEntriesResponse::Conflict => {
                self.note(id, None, asked);
                return asked.after.is_some_and(|entry| self.had(id, &asked.vote, &entry));
            }
            AppendEntriesResponse::HigherVote(_) => {}
        }
        false
    }
}

/// What was sent to a member: entries after `after`, up to `last`.
struct Asked {
    vote: Vote<u64>,
    after: Option<LogId<u64>>,
    last: Option<LogId<u64>>,
    at: Instant,
    dated: Dated,
}

impl Asked {
    fn of(request: &AppendEntriesRequest<Types>, dated: Dated) -> Self {
        let last = request.entries.last().map(|e| e.log_id).or(request.prev_log_id);
        Self { vote: request.vote, after: request.prev_log_id, last, at: Instant::now(), dated }
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
            self.refused.by(address, &e);
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
    async fn tell_lost(&self) -> Error {
        let state = self.state.state();
        let member = state.members.get(&self.id);
        let address = member.map_or(&self.fallback, |m| &m.peer_address);
        let path = addressed("raft/lost", self.id, member);
        tracing::error!(address, "a member lacks entries that it had acknowledged");
        let told = self.transport.call(address, &path, Vec::new(), TELL).await;
        told.err().unwrap_or_else(|| Error::new(ErrorKind::Unavailable, LOST))
    }
}

type Appended = Rpc<AppendEntriesResponse<u64>, openraft::error::Infallible>;

impl Peer {
    async fn append(&self, request: &AppendEntriesRequest<Types>, limit: Duration) -> Appended {
        let asked = Asked::of(request, self.acknowledged.dated(self.id, &request.vote));
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
        let asked = Asked { vote, after: None, last: None, at, dated: Dated::default() };
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
    use openraft::{CommittedLeaderId, Entry, EntryPayload};

    use super::*;

    #[test]
    fn a_majority_was_in_contact_when_so_many_had_been_asked_that_answered() {
        let (now, vote) = (Instant::now(), Vote::new_committed(5, 1));
        let before = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        let said = Acknowledged::default();
        let at = |configurations: &[&[u64]]| {
            let sets: Vec<BTreeSet<u64>> =
                configurations.iter().map(|c| c.iter().copied().collect()).collect();
            said.majority_at(1, &vote, &sets)
        };
        assert!(at(&[&[1]]).is_some_and(|t| t >= now), "alone");
        assert_eq!(at(&[&[1, 2, 3]]), None, "nobody has answered");
        let asked = |vote, at| Asked { vote, after: None, last: None, at, dated: Dated::default() };
        said.note(2, None, &asked(vote, before(8)));
        said.note(3, None, &asked(Vote::new_committed(4, 1), now));
        assert_eq!(at(&[&[1, 2, 3]]), Some(before(8)), "what was said under another vote");
        said.note(3, None, &asked(vote, before(3)));
        said.note(3, None, &asked(vote, before(5)));
        assert_eq!(at(&[&[1, 2, 3]]), Some(before(3)), "the newest of one");
        assert_eq!(at(&[&[1, 2, 3], &[1, 2]]), Some(before(8)), "of both sets");
        assert_eq!(at(&[&[1, 2, 3, 4, 5]]), Some(before(8)));
        assert_eq!(at(&[&[2, 3]]), Some(before(8)), "who leads and has no vote");
        assert!(!said.any(2), "an answer alone holds nothing");
    }

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
