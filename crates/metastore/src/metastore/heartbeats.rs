//! The leader's heartbeats. The library would give a follower no more time to answer than lies
//! between two of them; here the two are apart. And what a member knows by what the leader sends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, Weak};

use evercube_base::Result;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};

use super::{Metastore, millis};
use crate::coding::{decode, encode};
use crate::dated::Dated;
use crate::raft::Types;

/// A leader that sends no heartbeats until this is dropped.
pub(super) struct Quiet<'a>(&'a AtomicBool);

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Metastore {
    /// Sends heartbeats for as long as this member leads.
    pub(super) fn beat(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        self.runtime.spawn(async move {
            loop {
                let Some(store) = weak.upgrade() else { return };
                let is_quiet =
                    store.quiet.load(Ordering::SeqCst) || store.hangs.load(Ordering::SeqCst);
                if store.is_leader() && !is_quiet {
                    store.note_majority();
                    // One that has ended is started again by others.
                    let _ended = store.raft().trigger().heartbeat().await;
                }
                let pause = store.timing().heartbeat();
                drop(store);
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Nothing renews this leader's lease while what is returned lives.
    pub(super) fn fall_quiet(&self) -> Quiet<'_> {
        self.quiet.store(true, Ordering::SeqCst);
        Quiet(&self.quiet)
    }

    /// Notes, for what this leader sends, when a majority was in contact.
    fn note_majority(&self) {
        let metrics = self.raft().metrics();
        let m = metrics.borrow();
        self.acknowledged.majority_was_at(m.vote, self.majority_at(&m));
    }

    /// Takes in what the leader sends, and notes from when it is.
    pub(super) async fn append(&self, body: &[u8]) -> Result<Vec<u8>> {
        let request: AppendEntriesRequest<Types> = decode(body)?;
        let (from, dated) = (request.vote, decode::<Dated>(body)?);
        let committed = request.leader_commit.map_or(0, |l| l.index);
        let knows =
            request.leader_commit.is_some_and(|l| l.leader_id.term == request.vote.leader_id.term);
        let leader = request.vote.leader_id.voted_for().unwrap_or(0);
        // What it tells of is from now at the latest, however long the disk takes.
        let arrived = self.elapsed_millis().max(1);
        let answer = self.raft().append_entries(request).await;
        // A leader that was replaced meanwhile proves nothing about freshness.
        if matches!(&answer, Ok(a) if !matches!(a, AppendEntriesResponse::HigherVote(_))) {
            let now = self.elapsed_millis().max(1);
            self.heard_commit.fetch_max(committed, Ordering::Relaxed);
            self.heard_from.store(leader, Ordering::Relaxed);
            self.leader_contact.store(now, Ordering::Relaxed);
            *self.followed.lock().unwrap_or_else(PoisonError::into_inner) = Some((leader, now));
            // Nobody stands back any more for one that was to take over, and leads now.
            if self.voted_at.load(Ordering::Relaxed) > now && self.yielded_to().is_none() {
                self.voted_at.store(now, Ordering::Relaxed);
            }
            if knows && let Some(age) = self.answers.age(from, &dated, arrived) {
                // As old as a lease it is on any way between them; what is older has waited somewhere.
                let waited = if age > millis(self.timing().lease()) { age } else { 0 };
                self.fresh_contact.fetch_max(arrived.saturating_sub(waited), Ordering::Relaxed);
            }
            self.answers.note(from, &dated, now);
            if !matches!(&answer, Ok(AppendEntriesResponse::Conflict)) {
                self.refused.heard();
            }
        }
        encode(&answer)
    }
}
