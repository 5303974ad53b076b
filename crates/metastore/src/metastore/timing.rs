//! Timing that follows the network: the slower the members reach each other, the longer a silence
//! must be before it means anything. The leader measures; the group's setting tells everybody.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use evercube_base::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Metastore, introduction};
use crate::command::Command;
use crate::log_store::LogStore;
use crate::metastore::Transport;
use crate::raft::{Network, Raft, config};
use crate::state::MemberKind;
use crate::state_machine::StateMachine;

/// The group's setting with the heartbeat in milliseconds.
const SETTING: &str = "heartbeat_ms";
/// How far apart the waits before an election are at least.
const SPREAD: Duration = Duration::from_millis(150);

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
        let millis = u64::try_from((round_trip * 3).as_millis()).unwrap_or(u64::MAX);
        Self::of_heartbeat(millis)
    }

    pub fn heartbeat(self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// Shortest and longest wait before a member stands for election. The range is wide enough
    /// that two seldom stand together, and no wider, since the longest is what everybody waits
    /// first. A witness waits longer, so that a data server leads wherever one can.
    pub fn election(self, kind: MemberKind) -> (Duration, Duration) {
        let heartbeat = self.heartbeat();
        if kind == MemberKind::Witness {
            return (heartbeat * 5, heartbeat * 6);
        }
        (heartbeat * 3, heartbeat * 3 + heartbeat.max(SPREAD))
    }

    /// Whether `needed` is so far from this that the group should change over to it.
    fn is_off(self, needed: Self) -> bool {
        let (now, needed) = (self.heartbeat_ms, needed.heartbeat_ms);
        needed > now + now / 5 || needed * 3 < now
    }
}

/// What a consensus is made of.
pub(super) struct Parts {
    pub transport: Arc<dyn Transport>,
    pub log: LogStore,
    pub state: StateMachine,
    pub refused: Arc<Mutex<Option<String>>>,
}

impl Parts {
    pub(super) async fn start(
        self,
        runtime: &tokio::runtime::Handle,
        id: u64,
        kind: MemberKind,
        timing: Timing,
    ) -> Result<Raft> {
        let (least, most) = timing.election(kind);
        let config = config(timing.heartbeat(), least, most)
            .map_err(|e| Error::invalid(format!("the consensus timing is not usable: {e}")))?;
        let Self { transport, log, state, refused } = self;
        let network = Network { transport, state: state.clone(), refused };
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
        *self.raft.write().unwrap_or_else(PoisonError::into_inner) = raft;
        *self.timing.write().unwrap_or_else(PoisonError::into_inner) = timing;
        Ok(())
    }

    /// A consensus on what the folder holds; the one before must have stopped.
    pub(super) async fn start_again(&self, timing: Timing) -> Result<Raft> {
        let parts = Parts {
            transport: Arc::clone(&self.transport),
            log: self.log.clone(),
            state: self.state.clone(),
            refused: Arc::clone(&self.refused),
        };
        let kind = self.member().kind;
        parts.start(&self.runtime, self.config.node_id, kind, timing).await
    }

    /// Takes over what the group's settings say, now and whenever they change.
    pub(super) fn follow_settings(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        let mut applied = self.changes();
        self.runtime.spawn(async move {
            while applied.changed().await.is_ok() {
                let Some(store) = weak.upgrade() else { return };
                let state = store.state();
                store.transport.introduce(&introduction(&state, store.config.node_id));
                let wanted = state.settings.get(SETTING).and_then(|v| v.parse().ok());
                let wanted = wanted.map(Timing::of_heartbeat);
                if let Some(timing) = wanted.filter(|t| *t != store.timing())
                    && let Err(e) = store.restart_consensus(timing).await
                {
                    tracing::error!(error = %e, "the consensus did not start with its new timing");
                }
            }
        });
    }

    /// The shortest of some round trips to a member, `None` where it does not answer.
    pub async fn round_trip(&self, address: &str) -> Option<Duration> {
        let mut best: Option<Duration> = None;
        for _ in 0..3 {
            let asked = Instant::now();
            let limit = Duration::from_secs(1);
            let answer = self.transport.call(address, "raft/who", Vec::new(), limit).await;
            let took = answer.ok().map(|_| asked.elapsed());
            best = match (best, took) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        best
    }

    /// At the leader: measures the way to the voters, and to one that is about to join, and has
    /// the group change over where its timing does not suit.
    pub async fn suit_timing(&self, joining: Option<&str>) {
        let state = self.state();
        let (voters, me) = (self.voters(), self.config.node_id);
        let voters = state.members.iter().filter(|(id, _)| **id != me && voters.contains(id));
        let addresses = voters.map(|(_, m)| m.peer_address.as_str()).chain(joining);
        let mut longest = Duration::ZERO;
        for address in addresses {
            longest = longest.max(self.round_trip(address).await.unwrap_or_default());
        }
        let needed = Timing::for_round_trip(longest);
        if !self.timing().is_off(needed) {
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
            for kind in [MemberKind::Data, MemberKind::Witness] {
                let (least, most) = of(ms).election(kind);
                assert!(least >= of(ms).heartbeat() * 3 && most <= of(ms).heartbeat() * 6);
            }
        }
        assert!(of(0).is_off(of(80)) && of(80).is_off(of(0)));
        assert!(!of(80).is_off(of(90)) && !of(80).is_off(of(60)), "small changes move nothing");
    }
}
