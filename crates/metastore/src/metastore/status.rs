//! What this server knows of the group, and whether it takes part.

use std::sync::atomic::Ordering;
use std::time::Duration;

use evercube_base::Error;
use tokio::time::Instant;

use super::{Metastore, Timing, millis};
use crate::raft::Metrics;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub leader: Option<u64>,
    pub term: u64,
    /// Age of the last contact with a majority (at the leader) or with the leader (elsewhere).
    pub millis_since_quorum: Option<u64>,
    pub applied: u64,
    pub me: u64,
    /// Whether this server has once applied all it had heard of since its start.
    pub caught_up: bool,
    pub timing: Timing,
    /// Why other members refuse this server, where they do.
    pub refused: Option<String>,
}

impl Status {
    /// Whether this server knows who leads: for as long as a leader goes on without a majority.
    pub fn is_in_contact(&self) -> bool {
        let age = self.millis_since_quorum.map(Duration::from_millis);
        self.leader.is_some() && age.is_some_and(|age| age <= self.timing.without_majority())
    }
}

/// Whether this leader knows what is committed: a new one does not until an entry of its own is.
pub(super) fn knows_committed(m: &Metrics) -> bool {
    m.last_applied.is_some_and(|l| l.leader_id.term == m.current_term)
}

impl Metastore {
    pub fn status(&self) -> Status {
        let metrics = self.raft().metrics();
        let m = metrics.borrow();
        let me = self.config.node_id;
        let history = || self.state().history();
        let ailing = self.is_out();
        let leader = m.current_leader.filter(|_| !ailing);
        let millis = if ailing {
            None
        } else if leader == Some(me) {
            // Before it knows what is committed, a new leader is as fresh as it was before.
            self.quorum_age(&m).filter(|_| knows_committed(&m)).or_else(|| self.fresh_age())
        } else {
            self.fresh_age()
        };
        let applied = m.last_applied.map_or(0, |l| l.index);
        if leader == Some(me) || (millis.is_some() && applied >= self.heard_commit()) {
            self.caught_up.store(true, Ordering::Relaxed);
        }
        let patience = self.timing().without_majority();
        let in_touch = millis.is_some_and(|ms| Duration::from_millis(ms) < patience);
        Status {
            leader,
            term: m.current_term,
            millis_since_quorum: millis,
            applied,
            me,
            caught_up: self.caught_up.load(Ordering::Relaxed),
            timing: self.timing(),
            refused: self.refused.told(in_touch, history),
        }
    }

    /// Milliseconds since a majority was in contact with this leader; a group of one always is.
    pub(super) fn quorum_age(&self, m: &Metrics) -> Option<u64> {
        let at = self.majority_at(m)?;
        Some(millis(at.elapsed()))
    }

    pub(super) fn majority_at(&self, m: &Metrics) -> Option<Instant> {
        let configurations = m.membership_config.membership().get_joint_config();
        self.acknowledged.majority_at(self.config.node_id, &m.vote, configurations)
    }

    fn fresh_age(&self) -> Option<u64> {
        match self.fresh_contact.load(Ordering::Relaxed) {
            0 => None,
            at => Some(self.elapsed_millis().saturating_sub(at)),
        }
    }

    /// The newest entry this server has heard to be committed.
    pub fn heard_commit(&self) -> u64 {
        self.heard_commit.load(Ordering::Relaxed)
    }

    /// Whether this server takes no part: its consensus has stopped, its disk hangs, or the group went
    /// on in a history after this one.
    pub(super) fn is_out(&self) -> bool {
        self.why_out().is_some()
    }

    /// Why this server takes no part, where it does not.
    pub fn why_out(&self) -> Option<String> {
        if self.ailing.load(Ordering::SeqCst) {
            return Some(
                "consensus has stopped on this server, whose disk failed or is full; its log says more"
                    .to_owned(),
            );
        }
        if self.hangs.load(Ordering::SeqCst) {
            return Some("the disk of this server does not answer".to_owned());
        }
        self.left_behind()
    }

    pub(super) fn left_behind(&self) -> Option<String> {
        self.refused.left_behind(|| self.state().history())
    }

    /// Notes what the member at `address` answered to this server, where it refuses it.
    pub fn refused_by(&self, address: &str, error: &Error) {
        self.refused.by(address, error);
    }
}
