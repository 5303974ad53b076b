//! How long a planned change, or a staged disaster, kept writers and strong readers waiting:
//! measured by writing and reading all the while, as a client of this server would.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Command, Reply};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, timeout};

use crate::service::Service;

/// The longest times without success, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    pub writes_ms: u64,
    pub reads_ms: u64,
}

/// Writing and reading until told to stop, or until this is dropped, as where what is measured failed.
pub(crate) struct Measuring {
    stop: watch::Sender<bool>,
    writes: JoinHandle<Duration>,
    reads: JoinHandle<Duration>,
}

/// Between two tries; one does not wait for the one before, which may be under way for long.
const EVERY: Duration = Duration::from_millis(20);
/// A try that hangs is given up, as a client behind a gateway would be served elsewhere.
const TRY: Duration = Duration::from_secs(2);
/// Tries under way at the same time: more would be a load of their own on a busy machine.
const TRIES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

impl Measuring {
    /// `database`: whose writer is written through; `None` for that of the group.
    pub(crate) fn start(service: &Arc<Service>, database: Option<&str>) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (writer, name) = (Arc::clone(service), database.unwrap_or_default().to_owned());
        let writes = longest(stopping.clone(), move || {
            let (writer, name) = (Arc::clone(&writer), name.clone());
            async move { writer.probe(&name).await.is_ok() }
        });
        let reader = Arc::clone(service);
        let reads = longest(stopping, move || {
            let reader = Arc::clone(&reader);
            async move { reader.metastore.read_index().await.is_ok() }
        });
        Self { stop, writes: tokio::spawn(writes), reads: tokio::spawn(reads) }
    }

    /// Waits until both have succeeded once more.
    pub(crate) async fn end(self) -> Result<Gap> {
        self.stop.send_replace(true);
        let millis = |longest: Duration| u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let failed = |e| Error::internal(format!("measuring ended early: {e}"));
        Ok(Gap {
            writes_ms: millis(self.writes.await.map_err(failed)?),
            reads_ms: millis(self.reads.await.map_err(failed)?),
        })
    }
}

async fn longest<F: Future<Output = bool> + Send + 'static>(
    stop: watch::Receiver<bool>,
    mut attempt: impl FnMut() -> F,
) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut tries = JoinSet::new();
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick(), if tries.len() < TRIES => {
                tries.spawn(timeout(TRY, attempt()));
            }
            Some(tried) = tries.join_next() => {
                if matches!(tried, Ok(Ok(true))) {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    if *stop.borrow() {
                        return longest;
                    }
                }
            }
        }
        let is_given_up = stop.has_changed().is_err();
        if is_given_up || (*stop.borrow() && last.elapsed() > PATIENCE) {
            return longest.max(last.elapsed());
        }
    }
}

impl Service {
    /// A write that changes nothing, through the server that writes `database`.
    async fn probe(&self, database: &str) -> Result<()> {
        let state = self.metastore.state();
        let lease = state.lease_of(database);
        let holder = lease.and_then(|l| state.members.get_key_value(&l.holder));
        match holder {
            Some((id, _)) if *id == self.identity.node_id => self.probe_here().await,
            Some((_, member)) => {
                let address = &member.peer_address;
                let body = database.as_bytes().to_vec();
                self.transport.call(address, "primary/probe", body, TRY).await.map(|_| ())
            }
            None => Err(Error::new(ErrorKind::Unavailable, "no server takes writes yet")),
        }
    }

    /// The part of a probe that the writing server does.
    pub(crate) async fn probe_here(&self) -> Result<()> {
        if !self.is_writer() {
            return Err(Error::new(ErrorKind::Unavailable, "this server does not take writes"));
        }
        match self.metastore.propose(Command::Probe).await? {
            Reply::Done { .. } => Ok(()),
            Reply::Refused(e) => Err(e),
        }
    }
}
