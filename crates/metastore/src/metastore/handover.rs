//! The leadership changes hands on purpose, without waiting for anybody to be missed.

use std::collections::BTreeSet;
use std::time::Duration;

use evercube_base::Result;
use openraft::ServerState;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Metastore, unavailable};
use crate::coding::encode;

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

impl Metastore {
    /// Makes member `to` the leader. Proposals wait meanwhile.
    ///
    /// # Errors
    /// `Unavailable` where it does not vote, is behind, or did not win; nothing is lost then.
    pub async fn hand_over(&self, to: u64) -> Result<()> {
        match self.leader() {
            None => Err(unavailable("no leader is elected")),
            Some((leader, _)) if leader == to => Ok(()),
            Some((leader, _)) if leader == self.config.node_id => self.hand_over_here(to).await,
            Some((_, address)) => {
                let body = encode(&to)?;
                self.transport.call(&address, "raft/hand-over", body, STEP * 3).await.map(|_| ())
            }
        }
    }

    pub(super) async fn hand_over_here(&self, to: u64) -> Result<()> {
        let _one_change = self.membership.lock().await;
        let state = self.state();
        let address = state.members.get(&to).map(|m| m.peer_address.clone());
        let (voters, me) = (self.voters(), self.config.node_id);
        let Some(address) = address.filter(|_| voters.contains(&to) && to != me) else {
            return Err(unavailable("the server that is to lead does not vote"));
        };
        let Ok(_closed) = tokio::time::timeout(STEP, self.gate.write()).await else {
            return Err(unavailable("changes in progress do not end"));
        };
        // Nothing this leader sends renews its lease with the others meanwhile.
        let _quiet = self.fall_quiet();
        self.hand_to(to, &address, voters).await
    }

    async fn hand_to(&self, to: u64, address: &str, voters: BTreeSet<u64>) -> Result<()> {
        let me = self.config.node_id;
        let last = self.raft().metrics().borrow().last_log_index.unwrap_or(0);
        // The others refuse to vote while they have just heard of this leader. They are told at the
        // same time: the new leader's question comes to them later than this.
        let state = self.state();
        let others = voters.iter().filter(|v| **v != to && **v != me);
        for member in others.filter_map(|id| state.members.get(id)) {
            let (transport, address) =
                (std::sync::Arc::clone(&self.transport), member.peer_address.clone());
            // One that does not answer is not waited for: a majority may do without it.
            tokio::spawn(async move {
                transport.call(&address, "raft/forget-leader", Vec::new(), STEP / 4).await
            });
        }
        let body = encode(&TakeOver { last, others: BTreeSet::new() })?;
        self.transport.call(address, "raft/take-over", body, STEP).await?;
        let gone = self.until(STEP, |m| m.current_leader.is_some_and(|l| l != me)).await;
        if gone { Ok(()) } else { Err(unavailable("the other server did not win the election")) }
    }

    /// This member takes over from the leader that asks it to.
    pub(super) async fn take_over(&self, ask: TakeOver) -> Result<()> {
        if !self.until(STEP, |m| m.last_log_index.unwrap_or(0) >= ask.last).await {
            return Err(unavailable("this server has not caught up with the leader"));
        }
        let state = self.state();
        let mut calls = tokio::task::JoinSet::new();
        for member in ask.others.iter().filter_map(|id| state.members.get(id)) {
            let (transport, address) =
                (std::sync::Arc::clone(&self.transport), member.peer_address.clone());
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
