//! Whether a server can keep what is committed: it takes part, and its disk has room. Where it cannot,
//! another one takes the writes.

use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::Member;
use tokio::time::Instant;

use crate::service::Service;

/// How long a member may take to answer at least.
const ANSWER: Duration = Duration::from_millis(250);
/// How long a disk that had no room for a file counts as full.
const FULL: Duration = Duration::from_secs(60);
/// How long a write that failed here waits for another server to take over.
const HANDED_OVER: Duration = Duration::from_secs(4);

fn unavailable(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, why)
}

impl Service {
    /// Whether the disk had no room for an object of late.
    pub(crate) fn is_full(&self) -> bool {
        self.objects.full_at().is_some_and(|at| at.elapsed() < FULL)
    }

    /// # Errors
    /// `Unavailable` with the reason where this server cannot keep what is committed.
    pub(crate) fn able(&self) -> Result<()> {
        match self.metastore.why_out() {
            Some(why) => Err(unavailable(why)),
            None if self.is_full() => Err(unavailable("the disk of this server is full")),
            None => Ok(()),
        }
    }

    /// Whether a member is there and able, by one short question.
    pub(crate) async fn is_able(&self, member: &Member) -> bool {
        let limit = (self.metastore.timing().heartbeat() * 3 / 2).max(ANSWER);
        let call = self.transport.call(&member.peer_address, "server/able", Vec::new(), limit);
        // A server of an earlier release does not know the question, but is there.
        call.await.map_or_else(|e| e.kind == ErrorKind::NotFound, |_| true)
    }

    /// What a write that failed here is answered with: where the disk is full and another server
    /// takes over, `Unavailable`, so that it is done there.
    pub async fn or_elsewhere(&self, error: Error) -> Error {
        let others = self.metastore.state().data_members().count() > 1;
        if error.kind != ErrorKind::Limit || !others || !self.is_full() {
            return error;
        }
        let mut changes = self.metastore.changes();
        let moved = async {
            while self.is_writer() {
                if changes.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        match tokio::time::timeout_at(Instant::now() + HANDED_OVER, moved).await {
            Ok(()) => unavailable(format!("{error}; another server takes the writes now")),
            Err(_) => error,
        }
    }
}
