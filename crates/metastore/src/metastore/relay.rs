//! What is asked of the leader while the leadership changes hands. It goes to the member that is about
//! to lead, and waits there: to be refused by the one that leads no more, and to ask again when the new
//! one is known, would cost every caller some round trips.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use openraft::ServerState;
use openraft::error::{CheckIsLeaderError, ClientWriteError, RaftError};

use super::handover::ELECTION;
use super::propose::CALL;
use super::{Metastore, unavailable};
use crate::coding::{decode, encode};
use crate::command::{Command, HANDED_ON, Reply};
use crate::raft::Coming;

/// How long a majority may take to confirm who leads.
const CONFIRMED: Duration = Duration::from_secs(2);

/// Whom to ask for what only the leader does.
pub(super) struct Leading {
    pub(super) id: u64,
    pub(super) address: String,
    /// It does not lead yet, and holds what it is asked until it does.
    pub(super) is_next: bool,
}

impl Leading {
    /// The path of a question to it.
    pub(super) fn path(&self, path: &str) -> String {
        if self.is_next { format!("{path}-next") } else { path.to_owned() }
    }
}

/// Counts a proposal that waits, until dropped.
struct Held(Arc<Coming>);

impl Held {
    fn new(coming: &Arc<Coming>) -> Self {
        coming.held.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(coming))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Metastore {
    pub(super) fn leading(&self) -> Option<Leading> {
        if let Some(next) = self.next_leader() {
            return Some(next);
        }
        self.leader().map(|(id, address)| Leading { id, address, is_next: false })
    }

    /// Who is about to lead, where it knows to wait until then.
    fn next_leader(&self) -> Option<Leading> {
        let id = self.yielded_to()?;
        let state = self.state();
        let member = state.members.get(&id).filter(|m| m.level >= HANDED_ON)?;
        Some(Leading { id, address: member.peer_address.clone(), is_next: true })
    }

    /// As [`Self::next_leader`], where that is another one.
    fn handed_to(&self) -> Option<Leading> {
        self.next_leader().filter(|next| next.id != self.config.node_id)
    }

    /// Waits until this member leads, which it is about to.
    async fn wait_to_lead(&self) -> Result<()> {
        let me = self.config.node_id;
        let term = self.raft().metrics().borrow().current_term;
        let another = |m: &crate::raft::Metrics| {
            m.current_term > term && m.current_leader.is_some_and(|leader| leader != me)
        };
        self.until(ELECTION, |m| m.state == ServerState::Leader || another(m)).await;
        if self.is_leader() { Ok(()) } else { Err(unavailable("this server does not lead")) }
    }

    /// Gets a command into the log as soon as this member leads.
    pub(super) async fn propose_when_leading(&self, command: Command) -> Result<Reply> {
        let held = Held::new(&self.coming);
        self.wait_to_lead().await?;
        self.write(command, Some(held)).await
    }

    pub(super) async fn propose_here(&self, command: Command) -> Result<Reply> {
        self.write(command, None).await
    }

    async fn write(&self, command: Command, held: Option<Held>) -> Result<Reply> {
        let Ok(open) = tokio::time::timeout(CALL, self.gate.read()).await else {
            return Err(unavailable("the leadership is being handed over"));
        };
        if let Some(next) = self.handed_to() {
            drop(open);
            let answer = self.relay(&next, "raft/propose", encode(&command)?, CALL).await?;
            return decode(&answer);
        }
        let _under_way = self.under_way.read().await;
        let written = self.raft().client_write_ff(command).await;
        drop((open, held));
        let Ok(written) = written else {
            return Err(unavailable("consensus has stopped on the server that leads"));
        };
        match tokio::time::timeout(CALL, written).await {
            Ok(Ok(Ok(r))) => Ok(r.data),
            Ok(Ok(Err(ClientWriteError::ForwardToLeader(_)))) => {
                Err(unavailable("this server does not lead any more"))
            }
            Ok(Ok(Err(e))) => Err(Error::new(ErrorKind::Unknown, e.to_string())),
            // The entry may have reached others before consensus ended here.
            Ok(Err(_)) => {
                Err(Error::new(ErrorKind::Unknown, "consensus stopped on the server that leads"))
            }
            Err(_) => Err(Error::new(ErrorKind::Unknown, "a majority did not answer in time")),
        }
    }

    pub(super) async fn read_index_when_leading(&self) -> Result<u64> {
        self.wait_to_lead().await?;
        self.confirmed().await
    }

    pub(super) async fn read_index_here(&self) -> Result<u64> {
        let asked = match self.handed_to() {
            Some(_) => Err(unavailable("the leadership is being handed over")),
            None => self.confirmed().await,
        };
        match (asked, self.handed_to()) {
            (Err(_), Some(next)) => {
                let answer = self.relay(&next, "raft/read-index", Vec::new(), CONFIRMED).await?;
                decode(&answer)
            }
            (asked, _) => asked,
        }
    }

    /// What a member answers that leads, or is about to.
    pub(super) async fn relay(
        &self,
        to: &Leading,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>> {
        self.transport.call(&to.address, &to.path(path), body, limit).await
    }

    /// The newest entry that may be committed, once a majority has confirmed that this member leads.
    async fn confirmed(&self) -> Result<u64> {
        let raft = self.raft();
        match tokio::time::timeout(CONFIRMED, raft.get_read_log_id()).await {
            Ok(Ok((read, _))) => Ok(read.map_or(0, |l| l.index)),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_)))) | Err(_) => {
                Err(unavailable("a majority did not answer in time"))
            }
            Ok(Err(_)) => Err(unavailable("this server does not lead any more")),
        }
    }
}
