//! The leadership changes hands on purpose, without waiting for anybody to be missed.
//!
//! With the leader's last word to the next one go all that may be missing in its log and the old
//! leader's vote, so that of three it leads as soon as it hears that. The old leader passes on what it is
//! asked from then on, and the next one holds it until it leads: half a round trip to it, one for its
//! first entry, and half of one back.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use evercube_base::{ErrorKind, Result};
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use openraft::{LogId, RaftLogReader as _, ServerState, Vote};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::propose::PAUSE;
use super::{Metastore, unavailable};
use crate::coding::{decode, encode};
use crate::command::{Command, HANDED_ON};
use crate::raft::{Given, Types, addressed};

/// How long a member that is told to forget its leader leaves the election to another one.
const HANDED_OVER_MS: u64 = 2000;
/// How long each step may take.
const STEP: Duration = Duration::from_secs(2);
/// How long the one that takes over tries to be elected: no longer than it is waited for, because
/// then the old leader leads on.
pub(super) const ELECTION: Duration = Duration::from_millis(1500);
/// Least time between two tries.
const AGAIN: Duration = Duration::from_millis(300);
/// Entries that go with the last word at most.
const TAIL: usize = 300;

/// To whom the leadership is being handed over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Yielding {
    to: u64,
    until: Instant,
    /// The term of the leader that hands it over.
    term: u64,
}

/// What the member that is to lead must know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TakeOver {
    /// The last entry of the leader's log.
    last: u64,
    /// Voters that are still to be told to forget the leader.
    others: BTreeSet<u64>,
    /// Entries that it may lack, as this leader would send them.
    #[serde(default)]
    tail: Option<AppendEntriesRequest<Types>>,
    /// The vote of this leader, which leads no more.
    #[serde(default)]
    given: Option<Given>,
}

/// What the leader is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HandOver {
    to: u64,
    /// The last proposal of this leader.
    with: Option<Command>,
}

impl HandOver {
    /// As an earlier release asks for it.
    pub(super) fn plain(to: u64) -> Self {
        Self { to, with: None }
    }
}

impl Metastore {
    /// Makes member `to` the leader. Proposals wait meanwhile.
    ///
    /// # Errors
    /// `Unavailable` where it does not vote, is behind, or did not win; nothing is lost then.
    pub async fn hand_over(&self, to: u64) -> Result<()> {
        self.hand_over_with(to, None).await
    }

    /// As [`Self::hand_over`]; `with` is the old leader's last proposal, which the new one commits with
    /// its first entry, so that nobody waits for the two one after the other. What became of it, also
    /// where `to` led already, is found out by proposing it again: it must be recorded by an id.
    ///
    /// # Errors
    /// As [`Self::hand_over`].
    pub async fn hand_over_with(&self, to: u64, with: Option<Command>) -> Result<()> {
        match self.leader() {
            None => Err(unavailable("no leader is elected")),
            Some((leader, _)) if leader == to => Ok(()),
            Some((leader, _)) if leader == self.config.node_id => {
                self.hand_over_here(HandOver { to, with }).await
            }
            Some((_, address)) => {
                let ask = encode(&HandOver { to, with })?;
                let limit = STEP * 3;
                let done = match self.transport.call(&address, "raft/hand-to", ask, limit).await {
                    // A leader of an earlier release.
                    Err(e) if e.kind == ErrorKind::NotFound => {
                        let body = encode(&to)?;
                        self.transport.call(&address, "raft/hand-over", body, limit).await
                    }
                    done => done,
                };
                done.map(|_| ())
            }
        }
    }

    pub(super) async fn hand_over_here(&self, HandOver { to, with }: HandOver) -> Result<()> {
        let _one_change = self.membership.lock().await;
        let state = self.state();
        let address = state.members.get(&to).map(|m| m.peer_address.clone());
        let (voters, me) = (self.voters(), self.config.node_id);
        let Some(address) = address.filter(|_| voters.contains(&to) && to != me) else {
            return Err(unavailable("the server that is to lead does not vote"));
        };
        // One that is not there is not waited for later, when nobody leads.
        let greeted = self.transport.call(&address, "raft/who", Vec::new(), STEP / 2).await;
        greeted.map_err(|e| unavailable(format!("the server that is to lead is away: {e}")))?;
        let Ok(closed) = tokio::time::timeout(STEP, self.gate.write()).await else {
            return Err(unavailable("changes in progress do not end"));
        };
        // Nothing this leader sends by itself renews its lease with the others meanwhile.
        let _quiet = self.fall_quiet();
        // What it has sent is acknowledged before it leads no more, where that does not take long.
        let ends = tokio::time::timeout(self.timing().heartbeat() / 2, self.under_way.write());
        drop(ends.await);
        // One that knows to wait is passed what is asked from now on.
        let passed_on = state.members.get(&to).is_some_and(|m| m.level >= HANDED_ON);
        let prepared = self.prepare(to, with).await;
        self.yield_to(to);
        let _closed = (!passed_on).then_some(closed);
        let handed = async {
            let (mut ask, request) = prepared?;
            if let Some(request) = request.filter(|_| passed_on) {
                ask.given = self.step_down_for(request).await?;
            }
            self.hand_to(&ask, to, &address, voters).await
        };
        let handed = handed.await;
        if handed.is_err() {
            self.yield_no_more(to);
        }
        handed
    }

    /// Leads no more, and votes for the one that takes over before it asks for it.
    async fn step_down_for(&self, request: VoteRequest<u64>) -> Result<Option<Given>> {
        self.restart_as_follower().await?;
        let answer = self.vote_here(request).await?.ok().filter(|a| a.vote_granted);
        Ok(answer.map(|answer| Given { by: self.config.node_id, answer, suffices: false }))
    }

    /// Puts the last proposal into the log, and says what the one that takes over must hold; and how it
    /// will ask for votes, where it then needs nothing more of this leader.
    async fn prepare(
        &self,
        to: u64,
        with: Option<Command>,
    ) -> Result<(TakeOver, Option<VoteRequest<u64>>)> {
        let stopped = |e| unavailable(format!("consensus has stopped: {e}"));
        let raft = self.raft();
        if let Some(command) = with {
            let written = raft.client_write_ff(command).await.map_err(stopped)?;
            self.spawn(async move {
                let committed = written.await;
                tracing::debug!(by_this_leader = committed.is_ok(), "the last proposal");
            });
        }
        // Asked after all that was proposed before, so that it is in the log now.
        let held = raft.with_raft_state(|s| (*s.vote_ref(), s.committed)).await;
        let (vote, leader_commit) = held.map_err(stopped)?;
        let last = self.last_entry().await?;
        let request = VoteRequest::new(Vote::new(vote.leader_id.term + 1, to), last);
        let last = last.map_or(0, |l| l.index);
        let replication = raft.metrics().borrow().replication.clone().unwrap_or_default();
        let mut tail = None;
        let after = replication.get(&to).copied().flatten();
        for (member, after) in replication.into_iter().filter(|(id, _)| *id != self.config.node_id)
        {
            let Some(request) = self.tail_after(after, last, (vote, leader_commit)).await else {
                continue;
            };
            match member == to {
                true => tail = Some(request),
                // The next leader needs not find out what each of the others lacks.
                false => self.send_tail(member, &request)?,
            }
        }
        let lacks_nothing = tail.is_some() || after.is_some_and(|after| after.index >= last);
        let request = lacks_nothing.then_some(request);
        Ok((TakeOver { last, others: BTreeSet::new(), tail, given: None }, request))
    }

    /// What may be missing in the log of a member that holds all up to `after`, as this leader would
    /// send it; `None` for nothing, or where it is too much.
    async fn tail_after(
        &self,
        after: Option<LogId<u64>>,
        last: u64,
        (vote, leader_commit): (Vote<u64>, Option<LogId<u64>>),
    ) -> Option<AppendEntriesRequest<Types>> {
        let from = after?.index + 1;
        let entries = self.log.clone().try_get_log_entries(from..=last).await.ok()?;
        let request = AppendEntriesRequest { vote, prev_log_id: after, entries, leader_commit };
        (1..=TAIL).contains(&request.entries.len()).then_some(request)
    }

    /// Sends a member what may be missing in its log, whatever comes of it.
    fn send_tail(&self, id: u64, request: &AppendEntriesRequest<Types>) -> Result<()> {
        let state = self.state();
        let Some(member) = state.members.get(&id) else { return Ok(()) };
        let (transport, address) = (Arc::clone(&self.transport), member.peer_address.clone());
        let (path, body) = (addressed("raft/append", id, Some(member)), encode(request)?);
        self.spawn(async move {
            let sent = transport.call(&address, &path, body, STEP / 4).await;
            tracing::debug!(address, arrived = sent.is_ok(), "the last entries of this leader");
        });
        Ok(())
    }

    async fn hand_to(
        &self,
        ask: &TakeOver,
        to: u64,
        address: &str,
        voters: BTreeSet<u64>,
    ) -> Result<()> {
        let me = self.config.node_id;
        // The others refuse to vote while they have just heard of this leader. They are told at the
        // same time: the new leader's question comes to them later than this.
        let state = self.state();
        let others = voters.iter().filter(|v| **v != to && **v != me);
        let forget = encode(&to)?;
        for member in others.filter_map(|id| state.members.get(id)) {
            let (transport, address) = (Arc::clone(&self.transport), member.peer_address.clone());
            let forget = forget.clone();
            // One that does not answer is not waited for: a majority may do without it.
            tokio::spawn(async move {
                transport.call(&address, "raft/forget-leader", forget, STEP / 4).await
            });
        }
        self.transport.call(address, "raft/take-over", encode(ask)?, STEP).await?;
        let deadline = Instant::now() + STEP;
        while Instant::now() < deadline {
            if self.leader().is_some_and(|(leader, _)| leader != me) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(unavailable("the other server did not win the election"))
    }

    /// This member votes for `to` as soon as it is asked, whoever it has just heard of.
    fn yield_to(&self, to: u64) {
        let mut yielding = self.yielding.lock().unwrap_or_else(PoisonError::into_inner);
        let term = self.raft().metrics().borrow().current_term;
        *yielding = Some(Yielding { to, until: Instant::now() + STEP, term });
    }

    /// The leadership stays where it is, or went to another one.
    pub(super) fn yield_no_more(&self, to: u64) {
        let mut yielding = self.yielding.lock().unwrap_or_else(PoisonError::into_inner);
        yielding.take_if(|y| y.to == to);
    }

    /// Who is about to lead, while the leadership is handed over.
    pub(super) fn yielded_to(&self) -> Option<u64> {
        let yielding = (*self.yielding.lock().unwrap_or_else(PoisonError::into_inner))?;
        let metrics = self.raft().metrics();
        let decided = {
            let m = metrics.borrow();
            m.current_leader.is_some() && m.current_term > yielding.term
        };
        (!decided && Instant::now() < yielding.until).then_some(yielding.to)
    }

    /// Whether the leadership was handed to this member a moment ago.
    pub(super) fn was_handed_to(&self, member: u64) -> bool {
        let yielding = *self.yielding.lock().unwrap_or_else(PoisonError::into_inner);
        yielding.is_some_and(|y| y.to == member && Instant::now() < y.until)
    }

    /// Whether the candidate is one that this member was told to vote for.
    pub(super) fn yields_to(&self, request: &VoteRequest<u64>) -> bool {
        let asks = request.vote.leader_id.voted_for();
        let yields = asks.is_some() && asks == self.yielded_to();
        yields && self.raft().metrics().borrow().vote.committed
    }

    /// The leader tells this member for whom to vote; one of an earlier release does not say it.
    pub(super) async fn forget_leader(&self, body: &[u8]) -> Result<()> {
        // The one that takes over is not to be competed with meanwhile.
        let until = self.elapsed_millis().saturating_add(HANDED_OVER_MS);
        self.voted_at.store(until, Ordering::Relaxed);
        if body.is_empty() {
            return self.restart_as_follower().await;
        }
        self.yield_to(decode(body)?);
        Ok(())
    }

    /// This member takes over from the leader that asks it to.
    pub(super) async fn take_over(&self, ask: TakeOver) -> Result<()> {
        let me = self.config.node_id;
        self.yield_to(me);
        let taken = self.take_over_now(ask).await;
        if taken.is_err() {
            self.yield_no_more(me);
        }
        taken
    }

    async fn take_over_now(&self, ask: TakeOver) -> Result<()> {
        if let Some(tail) = ask.tail {
            let appended = self.raft().append_entries(tail).await;
            tracing::debug!(appended = appended.is_ok(), "the last entries of the old leader");
        }
        if !self.until(STEP, |m| m.last_log_index.unwrap_or(0) >= ask.last).await {
            return Err(unavailable("this server has not caught up with the leader"));
        }
        if let Some(given) = ask.given {
            let suffices = self.makes_majority(&BTreeSet::from([given.by]));
            self.coming.is_given(Given { suffices, ..given });
        }
        let state = self.state();
        let mut calls = tokio::task::JoinSet::new();
        for member in ask.others.iter().filter_map(|id| state.members.get(id)) {
            let (transport, address) = (Arc::clone(&self.transport), member.peer_address.clone());
            calls.spawn(async move {
                transport.call(&address, "raft/forget-leader", Vec::new(), STEP / 4).await
            });
        }
        // One that does not answer is not waited for: a majority may do without it.
        while calls.join_next().await.is_some() {}
        let deadline = Instant::now() + ELECTION;
        while Instant::now() < deadline {
            let elected = self.raft().trigger().elect().await;
            elected.map_err(|e| unavailable(format!("consensus has stopped: {e}")))?;
            // A leader elected a moment ago refuses to vote for as long as a follower would.
            let wait = (self.timing().heartbeat() * 3 / 2).max(AGAIN);
            if self.until(wait, |m| m.state == ServerState::Leader).await {
                return Ok(());
            }
        }
        Err(unavailable("the other servers did not vote for this one"))
    }

    pub(super) fn voters(&self) -> BTreeSet<u64> {
        self.raft().metrics().borrow().membership_config.voter_ids().collect()
    }

    /// Whether the metrics come to hold `what` in time.
    pub(super) async fn until(
        &self,
        limit: Duration,
        what: impl Fn(&crate::raft::Metrics) -> bool,
    ) -> bool {
        let mut metrics = self.raft().metrics();
        let held = metrics.wait_for(|m| what(m));
        matches!(tokio::time::timeout(limit, held).await, Ok(Ok(_)))
    }
}
