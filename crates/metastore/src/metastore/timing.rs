//! Timing that follows the network: the slower the members reach each other, the longer a silence
//! must be before it means anything. The leader measures; the group's setting tells everybody.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use evercube_base::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Metastore;
use crate::acknowledged::Acknowledged;
use crate::command::Command;
use crate::log_store::LogStore;
use crate::metastore::Transport;
use crate::raft::{Coming, Network, Raft, config};
use crate::refusal::Refusal;
use crate::state_machine::StateMachine;

/// The group's setting with the heartbeat in milliseconds.
const SETTING: &str = "heartbeat_ms";
/// What a lease allows at least beyond three heartbeats: a busy machine is late by as much.
const SLACK: Duration = Duration::from_millis(150);
/// Between two looks of a member without contact at how far the others are.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    heartbeat_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self::of_heartbeat(0)
    }
}

impl Timing {
    fn of_heartbeat(millis: u64) -> Self {
        Self { heartbeat_ms: millis.clamp(50, 1000) }
    }

    /// Three round trips fit into a heartbeat: a message may be lost and sent again within one.
    pub fn for_round_trip(round_trip: Duration) -> Self {
        Self::of_heartbeat(millis(round_trip * 3))
    }

    pub fn heartbeat(self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// How long after the leader's last message nobody votes for another one.
    pub fn lease(self) -> Duration {
        self.heartbeat() * 3 + self.heartbeat().max(SLACK)
    }

    /// How long a leader goes on to which no majority acknowledges anything: longer than the others
    /// wait for it.
    pub fn without_majority(self) -> Duration {
        (self.lease() + self.heartbeat()).max(SLACK * 10)
    }

    /// Whether `needed` is so far from this that the group should change over to it.
    fn is_off(self, needed: Self) -> bool {
        let (now, needed) = (self.heartbeat_ms, needed.heartbeat_ms);
        needed > now + now / 5 || needed * 3 < now
    }
}

/// Whole milliseconds, as timing and age are told.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a consensus is made of.
pub(super) struct Parts {
    pub transport: Arc<dyn Transport>,
    pub log: LogStore,
    pub state: StateMachine,
    pub refused: Arc<Refusal>,
    pub acknowledged: Acknowledged,
    pub coming: Arc<Coming>,
}

impl Parts {
    pub(super) async fn start(
        self,
        runtime: &tokio::runtime::Handle,
        id: u64,
        timing: Timing,
    ) -> Result<Raft> {
        let config = config(timing.lease())
            .map_err(|e| Error::invalid(format!("the consensus timing is not usable: {e}")))?;
        let Self { transport, log, state, refused, acknowledged, coming } = self;
        let network = Network { transport, state: state.clone(), refused, acknowledged, coming };
        runtime
            .spawn(async move { Raft::new(id, Arc::new(config), network, log, state).await })
            .await
            .map_err(|e| Error::internal(format!("consensus ended at its start: {e}")))?
            .map_err(|e| Error::internal(format!("consensus cannot be started: {e}")))
    }
}

impl Metastore {
    pub fn timing(&self) -> Timing {
        *self.timing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the consensus and starts it again on the same folder, as a restart of the process
    /// would; a leader goes on leading.
    pub(super) async fn restart_consensus(&self, timing: Timing) -> Result<()> {
        let _one = self.restarting.lock().await;
        self.log.put_meta("timing", &timing, true).map_err(|e| {
            Error::internal(format!("the timing of the consensus cannot be stored: {e}"))
        })?;
        if let Err(e) = self.raft().shutdown().await {
            tracing::debug!(error = %e, "consensus had already stopped");
        }
        let raft = self.start_again(timing).await?;
        self.put_raft(raft);
        *self.timing.write().unwrap_or_else(PoisonError::into_inner) = timing;
        Ok(())
    }

    /// As [`Self::restart_consensus`], but a leader leads no more, and who follows one does not wait
    /// for it before it votes. It is done also where the one who waits for it is gone meanwhile, as
    /// when the connection of a candidate breaks: half of it would leave this member stopped.
    pub(super) async fn restart_as_follower(&self) -> Result<()> {
        let Some(store) = self.own.upgrade() else {
            return Err(super::unavailable("this server is stopping"));
        };
        let restarted = self.runtime.spawn(async move { store.restart_as_follower_here().await });
        restarted.await.map_err(|e| Error::internal(format!("a restart ended early: {e}")))?
    }

    async fn restart_as_follower_here(&self) -> Result<()> {
        let _one = self.restarting.lock().await;
        if let Err(e) = self.raft().shutdown().await {
            tracing::debug!(error = %e, "consensus had already stopped");
        }
        let forget = || self.log.forget_leader().map_err(|e| super::unavailable(e.to_string()));
        let mut forgotten = forget();
        // A disk that is full now may not be so later; until then this member takes no part.
        loop {
            let started = match forgotten {
                Ok(()) => self.start_again(self.timing()).await,
                Err(e) => Err(e),
            };
            match started {
                Ok(raft) => {
                    self.put_raft(raft);
                    return Ok(());
                }
                Err(e) => tracing::error!(error = %e, "consensus cannot be started again yet"),
            }
            self.ailing.store(true, Ordering::SeqCst);
            tokio::time::sleep(LOOK).await;
            forgotten = self.log.reopen().and_then(|()| forget());
        }
    }

    /// A consensus on what the folder holds; the one before must have stopped.
    pub(super) async fn start_again(&self, timing: Timing) -> Result<Raft> {
        let parts = Parts {
            transport: Arc::clone(&self.transport),
            log: self.log.clone(),
            state: self.state.clone(),
            refused: Arc::clone(&self.refused),
            acknowledged: self.acknowledged.clone(),
            coming: Arc::clone(&self.coming),
        };
        parts.start(&self.runtime, self.config.node_id, timing).await
    }

    /// Takes over what the group's settings say whenever they change. What a member found out by
    /// itself stays until then.
    pub(super) fn follow_settings(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        let mut applied = self.changes();
        let mut followed = self.timing_of_group();
        // What the log held was applied as the consensus started, and may be all for a long time.
        self.introduce();
        self.runtime.spawn(async move {
            while applied.changed().await.is_ok() {
                let Some(store) = weak.upgrade() else { return };
                store.introduce();
                let wanted = store.timing_of_group();
                if wanted == followed {
                    continue;
                }
                followed = wanted;
                if let Some(timing) = wanted.filter(|t| *t != store.timing())
                    && let Err(e) = store.restart_consensus(timing).await
                {
                    tracing::error!(error = %e, "the consensus did not start with its new timing");
                }
            }
        });
    }

    fn timing_of_group(&self) -> Option<Timing> {
        let state = self.state();
        state.settings.get(SETTING).and_then(|v| v.parse().ok()).map(Timing::of_heartbeat)
    }

    /// A member without contact may have a timing too short for the network, and then nobody can
    /// change the group's: it takes a longer one by itself.
    pub(super) fn watch_distance(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let Some(store) = weak.upgrade() else { return };
                let status = store.status();
                let patience = (store.timing().lease() * 2).max(SLACK * 10);
                let silent = status.millis_since_quorum.map(Duration::from_millis);
                if silent.is_some_and(|s| s < patience) || store.started.elapsed() < patience {
                    continue;
                }
                let needed = Timing::for_round_trip(store.farthest_voter(None).await.0);
                let now = store.timing();
                if needed.heartbeat_ms <= now.heartbeat_ms + now.heartbeat_ms / 5 {
                    continue;
                }
                tracing::warn!(
                    heartbeat_ms = needed.heartbeat_ms,
                    "the other servers are farther away than the group's timing allows"
                );
                if let Err(e) = store.restart_consensus(needed).await {
                    tracing::error!(error = %e, "the consensus did not start with its new timing");
                }
            }
        });
    }

    /// The shortest of some round trips to a member, `None` where it does not answer.
    pub async fn round_trip(&self, address: &str) -> Option<Duration> {
        round_trip(Arc::clone(&self.transport), address.to_owned()).await
    }

    /// The longest round trip to a voter, or to one that is about to join, among those that
    /// answer, and whether all did.
    async fn farthest_voter(&self, joining: Option<&str>) -> (Duration, bool) {
        let state = self.state();
        let (voters, me) = (self.voters(), self.config.node_id);
        let voters = state.members.iter().filter(|(id, _)| **id != me && voters.contains(id));
        let addresses = voters.map(|(_, m)| m.peer_address.as_str()).chain(joining);
        let mut measuring = JoinSet::new();
        for address in addresses {
            measuring.spawn(round_trip(Arc::clone(&self.transport), address.to_owned()));
        }
        let (mut longest, mut all) = (Duration::ZERO, true);
        while let Some(found) = measuring.join_next().await {
            let found = found.ok().flatten();
            all &= found.is_some();
            longest = longest.max(found.unwrap_or_default());
        }
        (longest, all)
    }

    /// At the leader: measures the way to the voters, and to one that is about to join, and has
    /// the group change over where its timing does not suit. How far away one is that does not
    /// answer nobody knows; so nothing gets shorter without it.
    pub async fn suit_timing(&self, joining: Option<&str>) {
        let (longest, all) = self.farthest_voter(joining).await;
        let needed = Timing::for_round_trip(longest);
        let now = self.timing_of_group().unwrap_or_default();
        if !now.is_off(needed) || (!all && needed.heartbeat_ms < now.heartbeat_ms) {
            return;
        }
        let value = needed.heartbeat_ms.to_string();
        let command = Command::PutSetting { name: SETTING.to_owned(), value };
        tracing::info!(heartbeat_ms = needed.heartbeat_ms, "the timing of the consensus changes");
        if let Err(e) = self.propose(command).await {
            tracing::warn!(error = %e, "the timing of the consensus could not be changed");
        }
    }
}

async fn round_trip(transport: Arc<dyn Transport>, address: String) -> Option<Duration> {
    let mut best: Option<Duration> = None;
    for _ in 0..3 {
        let asked = Instant::now();
        let answer = transport.call(&address, "raft/who", Vec::new(), LOOK).await;
        let took = answer.ok().map(|_| asked.elapsed())?;
        best = Some(best.map_or(took, |b| b.min(took)));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timing_follows_the_round_trip_within_bounds() {
        let of = |ms| Timing::for_round_trip(Duration::from_millis(ms));
        assert_eq!(of(0).heartbeat(), Duration::from_millis(50));
        assert_eq!(of(80).heartbeat(), Duration::from_millis(240));
        assert_eq!(of(5000).heartbeat(), Duration::from_millis(1000));
        for ms in [0, 20, 80, 300] {
            assert!(
                of(ms).lease() > of(ms).heartbeat() * 3 && of(ms).lease() <= of(ms).heartbeat() * 6
            );
        }
        assert!(of(0).is_off(of(80)) && of(80).is_off(of(0)));
        assert!(!of(80).is_off(of(90)) && !of(80).is_off(of(60)), "small changes move nothing");
    }
}
