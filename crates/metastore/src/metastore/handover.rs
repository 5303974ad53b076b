//! The leadership changes hands on purpose, without waiting for anybody to be missed.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use evercube_base::{ErrorKind, Result};
use openraft::ServerState;
use openraft::raft::VoteRequest;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::propose::PAUSE;
use super::{Metastore, unavailable};
use crate::coding::{decode, encode};
use crate::command::Command;

/// How long a member that is told to forget its leader leaves the election to another one.
const HANDED_OVER_MS: u64 = 2000;
/// How long each step may take.
const STEP: Duration = Duration::from_secs(2);
/// How long the one that takes over tries to be elected: no longer than it is waited for, because
/// then the old leader leads on.
const ELECTION: Duration = Duration::from_millis(1500);
/// Least time between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// What the member that is to lead must know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TakeOver {
    /// The last entry of the leader's log.
    last: u64,
    /// Voters that are still to be told to forget the leader.
    others: BTreeSet<u64>,
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
        // On its way to the others while what was proposed before it ends.
        if let Some(command) = with {
            self.append(command).await?;
        }
        let Ok(_closed) = tokio::time::timeout(STEP, self.gate.write()).await else {
            return Err(unavailable("changes in progress do not end"));
        };
        // Nothing this leader sends by itself renews its lease with the others meanwhile.
        let _quiet = self.fall_quiet();
        self.yield_to(to);
        self.hand_to(to, &address, voters).await
    }

    /// Puts a proposal into the log without waiting until it is committed.
    async fn append(&self, command: Command) -> Result<()> {
        let raft = self.raft();
        let before = raft.metrics().borrow().last_log_index;
        self.spawn(async move {
            let committed = raft.client_write(command).await;
            tracing::debug!(by_this_leader = committed.is_ok(), "the last proposal");
        });
        match self.until(STEP, |m| m.last_log_index > before).await {
            true => Ok(()),
            false => Err(unavailable("the disk of the leader takes nothing")),
        }
    }

    async fn hand_to(&self, to: u64, address: &str, voters: BTreeSet<u64>) -> Result<()> {
        let me = self.config.node_id;
        let last = self.raft().metrics().borrow().last_log_index.unwrap_or(0);
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
        let body = encode(&TakeOver { last, others: BTreeSet::new() })?;
        self.transport.call(address, "raft/take-over", body, STEP).await?;
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
        *yielding = Some((to, Instant::now() + STEP));
    }

    /// Who is about to lead, while the leadership is handed over.
    pub(super) fn yielded_to(&self) -> Option<u64> {
        let yielding = *self.yielding.lock().unwrap_or_else(PoisonError::into_inner);
        yielding.filter(|(_, until)| Instant::now() < *until).map(|(to, _)| to)
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
        if !self.until(STEP, |m| m.last_log_index.unwrap_or(0) >= ask.last).await {
            return Err(unavailable("this server has not caught up with the leader"));
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
            let wait = (self.timing().heartbeat() * 2).max(AGAIN);
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
