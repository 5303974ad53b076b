//! Applies committed entries to the [`State`] and keeps snapshots of it.

#![allow(clippy::result_large_err, reason = "the consensus library fixes the error type")]

use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::{Arc, PoisonError, RwLock};

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{
    AnyError, BasicNode, Entry, EntryPayload, ErrorSubject, ErrorVerb, LogId, OptionalSend,
    RaftSnapshotBuilder, SnapshotMeta, StorageError, StorageIOError, StoredMembership, Vote,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::coding;
use crate::command::{Command, Reply};
use crate::log_store::LogStore;
use crate::raft::Types;
use crate::state::State;

type Stored<T> = Result<T, StorageError<u64>>;

/// The state together with the place in the log it stands for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) last: Option<LogId<u64>>,
    pub(crate) membership: StoredMembership<u64, BasicNode>,
    pub(crate) state: Arc<State>,
}

impl Applied {
    pub(crate) fn change(&mut self, index: u64, command: Command) -> Reply {
        Arc::make_mut(&mut self.state).apply(index, command)
    }
}

/// Every so many entries the state is kept for a while, so that members that are not at the same
/// entry can compare theirs.
const CHECKPOINT: u64 = 64;
const CHECKPOINTS_KEPT: usize = 4;

type Checkpoints = VecDeque<(u64, Arc<State>)>;

/// Handle to the applied state; clones share it.
#[derive(Clone)]
pub(crate) struct StateMachine {
    applied: Arc<RwLock<Applied>>,
    /// Newest last.
    checkpoints: Arc<RwLock<Checkpoints>>,
    log: LogStore,
    index: Arc<watch::Sender<u64>>,
}

#[derive(Serialize, Deserialize)]
struct StoredSnapshot {
    meta: SnapshotMeta<u64, BasicNode>,
    applied: Applied,
}

fn meta_of(applied: &Applied) -> SnapshotMeta<u64, BasicNode> {
    SnapshotMeta {
        last_log_id: applied.last,
        last_membership: applied.membership.clone(),
        snapshot_id: applied.last.map_or_else(|| "0".to_owned(), |l| l.to_string()),
    }
}

fn fault(verb: ErrorVerb, e: impl std::error::Error + 'static) -> StorageError<u64> {
    StorageIOError::new(ErrorSubject::StateMachine, verb, AnyError::new(&e)).into()
}

impl StateMachine {
    /// The state of the newest snapshot; the log brings it up to date.
    pub(crate) fn open(log: LogStore) -> evercube_base::Result<Self> {
        let stored: Option<StoredSnapshot> = log.get_meta("snapshot").map_err(|e| {
            evercube_base::Error::new(
                evercube_base::ErrorKind::Corrupt,
                format!("the metadata snapshot cannot be read: {e}"),
            )
        })?;
        let applied = stored.map(|s| s.applied).unwrap_or_default();
        let index = applied.last.map_or(0, |l| l.index);
        Ok(Self {
            applied: Arc::new(RwLock::new(applied)),
            checkpoints: Arc::default(),
            log,
            index: Arc::new(watch::Sender::new(index)),
        })
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.applied.read().unwrap_or_else(PoisonError::into_inner).state)
    }

    /// The index of the last applied entry, and when it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.index.subscribe()
    }

    /// States that other members can be compared with, newest first.
    pub(crate) fn checkpoints(&self) -> Vec<(u64, Arc<State>)> {
        let applied = self.applied.read().unwrap_or_else(PoisonError::into_inner);
        let now = applied.last.map(|last| (last.index, Arc::clone(&applied.state)));
        let kept = self.checkpoints.read().unwrap_or_else(PoisonError::into_inner);
        let current = now.as_ref().map(|(index, _)| *index);
        let earlier = kept.iter().rev().filter(|(index, _)| Some(*index) != current).cloned();
        now.into_iter().chain(earlier).collect()
    }

    /// Takes the right state at an entry over, and applies what came after it again.
    pub(crate) fn repair(&self, index: u64, right: State) -> evercube_base::Result<()> {
        let behind = || {
            let message =
                "this server has not applied that entry, or does not have the ones after it";
            evercube_base::Error::new(evercube_base::ErrorKind::Unavailable, message)
        };
        let mut applied = self.applied.write().unwrap_or_else(PoisonError::into_inner);
        let last = applied.last.map_or(0, |l| l.index);
        if last < index {
            return Err(behind());
        }
        let mut state = Arc::new(right);
        let entries = self.log.entries(index + 1..=last).map_err(|_| behind())?;
        if entries.len() as u64 != last - index {
            return Err(behind());
        }
        for entry in entries {
            if let EntryPayload::Normal(command) = entry.payload {
                let _as_before = Arc::make_mut(&mut state).apply(entry.log_id.index, command);
            }
        }
        applied.state = state;
        let stored = StoredSnapshot { meta: meta_of(&applied), applied: applied.clone() };
        drop(applied);
        self.checkpoints.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.index.send_modify(|_| {});
        self.log.put_meta("snapshot", &stored, true).map_err(|e| {
            evercube_base::Error::internal(format!("the state could not be stored: {e}"))
        })
    }

    pub(crate) fn applied(&self) -> Applied {
        self.applied.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces everything, log included, by the first entry of a new history.
    pub(crate) fn begin_history(&self, applied: Applied, vote: &Vote<u64>) -> Stored<()> {
        let stored = StoredSnapshot { meta: meta_of(&applied), applied: applied.clone() };
        let last = applied.last.unwrap_or_default();
        self.log.begin_history(vote, &last, &stored)?;
        *self.applied.write().unwrap_or_else(PoisonError::into_inner) = applied;
        self.checkpoints.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.index.send_replace(last.index);
        Ok(())
    }

    fn keep_checkpoint(&self, index: u64, state: &Arc<State>) {
        let mut kept = self.checkpoints.write().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((index, Arc::clone(state)));
        if kept.len() > CHECKPOINTS_KEPT {
            kept.pop_front();
        }
    }

    fn snapshot(stored: &StoredSnapshot) -> Stored<Snapshot<Types>> {
        let bytes = coding::encode(&stored.applied).map_err(|e| fault(ErrorVerb::Read, e))?;
        Ok(Snapshot { meta: stored.meta.clone(), snapshot: Box::new(Cursor::new(bytes)) })
    }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<Types>> {
        let applied = self.applied();
        let stored = StoredSnapshot { meta: meta_of(&applied), applied };
        self.log.put_meta("snapshot", &stored, true)?;
        Self::snapshot(&stored)
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>)> {
        let applied = self.applied.read().unwrap_or_else(PoisonError::into_inner);
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<Reply>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut replies = Vec::new();
        let mut applied = self.applied.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            let index = entry.log_id.index;
            // A consensus that was just restarted may hand over again what its forerunner was
            // applying.
            if applied.last.is_some_and(|last| last >= entry.log_id) {
                replies.push(Reply::Done { seq: index });
                continue;
            }
            applied.last = Some(entry.log_id);
            replies.push(match entry.payload {
                EntryPayload::Blank => Reply::Done { seq: index },
                EntryPayload::Membership(m) => {
                    applied.membership = StoredMembership::new(Some(entry.log_id), m);
                    Reply::Done { seq: index }
                }
                EntryPayload::Normal(command) => applied.change(index, command),
            });
            if index % CHECKPOINT == 0 {
                self.keep_checkpoint(index, &applied.state);
            }
        }
        let last = applied.last.map_or(0, |l| l.index);
        drop(applied);
        self.index.send_replace(last);
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Cursor<Vec<u8>>>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, BasicNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Stored<()> {
        let mut applied: Applied =
            coding::decode(snapshot.get_ref()).map_err(|e| fault(ErrorVerb::Read, e))?;
        applied.last = meta.last_log_id;
        applied.membership = meta.last_membership.clone();
        let stored = StoredSnapshot { meta: meta.clone(), applied: applied.clone() };
        self.log.put_meta("snapshot", &stored, true)?;
        let last = applied.last.map_or(0, |l| l.index);
        *self.applied.write().unwrap_or_else(PoisonError::into_inner) = applied;
        self.checkpoints.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.index.send_replace(last);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<Types>>> {
        let stored: Option<StoredSnapshot> = self.log.get_meta("snapshot")?;
        stored.as_ref().map(Self::snapshot).transpose()
    }
}
