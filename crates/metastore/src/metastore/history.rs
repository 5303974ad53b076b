//! Going on alone, by an operator's word: where no majority can be had any more, one member starts
//! a new history of the group with what it holds. Members of the old one are refused from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use openraft::{
    BasicNode, CommittedLeaderId, EntryPayload, LogId, Membership, RaftLogReader as _,
    StoredMembership, Vote,
};

use super::Metastore;
use crate::state_machine::Applied;

/// How long no majority must have been in contact before it is given up, and between two looks.
const LOST: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

fn failed(e: impl std::fmt::Display) -> Error {
    Error::internal(format!("the new history could not be written: {e}"))
}

impl Metastore {
    /// Makes this member the only one of a new history. Entries of its log that it does not know
    /// to be committed are kept: the old majority may have acknowledged them. The new history
    /// remembers `request_id` as done.
    ///
    /// # Errors
    /// `Conflict` for a witness, which holds nothing to go on with, and while a majority is in
    /// touch.
    pub async fn go_on_alone(&self, branch: u64, request_id: &str) -> Result<()> {
        let _one_change = self.membership.lock().await;
        let _one_restart = self.restarting.lock().await;
        let me = self.config.node_id;
        let term = self.raft().metrics().borrow().current_term;
        if let Err(e) = self.raft().shutdown().await {
            tracing::debug!(error = %e, "consensus had already stopped");
        }
        let begun = self.write_history(me, term, branch, request_id).await;
        self.heard_commit.store(0, Ordering::Relaxed);
        // Whatever came of it, the consensus goes on: in the new history or in the old one.
        let raft = self.start_again(self.timing()).await?;
        self.put_raft(raft);
        self.refused.clear();
        self.introduce();
        begun
    }

    async fn write_history(&self, me: u64, term: u64, branch: u64, request_id: &str) -> Result<()> {
        let mut applied = self.state.applied();
        let next = applied.last.map_or(0, |l| l.index + 1);
        let mut log = self.log.clone();
        for entry in log.try_get_log_entries(next..).await.map_err(failed)? {
            applied.last = Some(entry.log_id);
            if let EntryPayload::Normal(command) = entry.payload {
                applied.change(entry.log_id.index, command);
            }
        }
        let index = applied.last.map_or(1, |l| l.index + 1);
        let state = applied.state.branch_off(me, index, branch, request_id)?;
        let address = self.config.peer_address.clone();
        let nodes = BTreeMap::from([(me, BasicNode { addr: address })]);
        let last = LogId::new(CommittedLeaderId::new(term + 1, me), index);
        let alone = Membership::new(vec![BTreeSet::from([me])], nodes);
        let applied = Applied {
            last: Some(last),
            membership: StoredMembership::new(Some(last), alone),
            state: std::sync::Arc::new(state),
        };
        self.state.begin_history(applied, &Vote::new(term + 1, me)).map_err(failed)?;
        tracing::warn!(index, "this server goes on alone, in a new history of the group");
        Ok(())
    }

    /// Refuses to leave a majority that is there. While one was in contact a moment ago it may come
    /// back by itself, which is waited for.
    pub async fn require_no_majority(&self) -> Result<()> {
        loop {
            let status = self.status();
            let silent = status.millis_since_quorum.map(Duration::from_millis);
            let Some(silent) = silent.filter(|s| status.leader.is_some() && *s < LOST) else {
                return Ok(());
            };
            if silent <= status.timing.without_majority() {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "a majority of the group is in contact, so nothing has to be given up; use failover",
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
