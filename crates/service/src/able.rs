//! Whether a server can keep what is committed: it takes part, and its disk takes files. Where it cannot,
//! another one takes the writes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use evercube_base::{Error, ErrorKind};
use evercube_metastore::Member;
use tokio::time::Instant;

use crate::objects::blocking;
use crate::service::Service;

/// How long a member may take to answer at least.
const ANSWER: Duration = Duration::from_millis(250);
/// How often a disk that did not take a file is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a write that failed here waits for another server to take over.
const HANDED_OVER: Duration = Duration::from_secs(4);

fn unavailable(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, why)
}

/// Starts trying a disk again that did not take a file; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    let weak: Weak<Service> = Arc::downgrade(service);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(AGAIN).await;
            let Some(service) = weak.upgrade() else { return };
            if service.objects.refuses().is_some() {
                let objects = Arc::clone(&service.objects);
                drop(service);
                let tried = blocking(move || {
                    objects.try_again();
                    Ok(())
                });
                if let Err(e) = tried.await {
                    tracing::warn!(error = %e, "the disk could not be tried again");
                }
            }
        }
    });
}

impl Service {
    /// Why this server cannot keep what is committed, where it cannot.
    pub(crate) fn unable(&self) -> Option<String> {
        let of_disk = || {
            let why = self.objects.refuses()?;
            Some(format!("the disk of this server takes no files ({why})"))
        };
        self.metastore.why_out().or_else(of_disk)
    }

    /// Whether a member is there and able, by two short questions. That it is there is asked the way
    /// that consensus goes; who takes longer over the other one, or is of an earlier release and does
    /// not know it, counts as able.
    pub(crate) async fn is_able(&self, member: &Member) -> bool {
        let limit = (self.metastore.timing().heartbeat() * 3 / 2).max(ANSWER);
        let ask = |path| self.transport.call(&member.peer_address, path, Vec::new(), limit);
        let (there, unable) = tokio::join!(ask("raft/who"), ask("server/unable"));
        there.is_ok() && unable.map_or(true, |why| why.is_empty())
    }

    /// What a change that failed here is answered with: where the disk takes no files and another
    /// server takes over, `Unavailable`, so that it is done there.
    pub(crate) async fn or_elsewhere(&self, error: Error) -> Error {
        let others = self.metastore.state().data_members().count() > 1;
        let of_disk = matches!(error.kind, ErrorKind::Limit | ErrorKind::Source);
        if !of_disk || !others || self.objects.refuses().is_none() {
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
