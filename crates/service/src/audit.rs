//! The audit log: who asked for what, from where, and how it ended, in files of this server that
//! only grow and whose every line holds the hash of the one before.
//!
//! Nothing that is told here is waited for. A thread of its own writes; what does not fit into its
//! queue is counted, and the count is a record of its own. Secrets are never told: of what clients
//! send there are names and kinds, and the text of queries only where the settings say so.

mod chain;
mod heads;
mod proof;
mod record;
mod sealed_line;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use evercube_base::{Error, ErrorKind, Result};
use evercube_vault::Vault;

pub(crate) use heads::spawn;
pub use heads::{AuditProof, AuditReport};
pub use record::{Event, Stream};

use crate::seal::SealingKey;
use chain::{Chain, Files, Position};
use writer::{Told, Writer};

/// Which queries are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Queries {
    None,
    /// Who queried which database and how it ended.
    #[default]
    Names,
    /// Their text besides.
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditConfig {
    pub queries: Queries,
    /// Bytes the files may take.
    pub size: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { queries: Queries::default(), size: 512 << 20 }
    }
}

/// Records that wait for the writer; the last of them are kept for what is no query.
const WAITING: usize = 8192;
const KEPT_FOR_CHANGES: usize = 1024;

/// How long the same sign-in of the same caller is one record.
const SAME: Duration = Duration::from_secs(600);
/// As long for refusals, of which somebody may cause many.
const SAME_REFUSAL: Duration = Duration::from_secs(10);
/// Callers whose last sign-in is remembered.
const REMEMBERED: usize = 10_000;

/// What the thread that writes and those who tell it share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    waiting: AtomicUsize,
    /// Records that found no room, or no room on the disk, since the last time it was said.
    lost: AtomicU64,
    /// What somebody should know: the disk is full.
    trouble: Mutex<Option<String>>,
}

/// Tells the log.
#[derive(Debug)]
pub struct Audit {
    pub queries: Queries,
    sender: SyncSender<Told>,
    shared: Arc<Shared>,
    /// Sign-ins of late, and how often each was repeated since its record.
    recent: Mutex<HashMap<String, (Instant, u64)>>,
}

impl Audit {
    /// Opens the files in `folder` and starts the thread that writes.
    ///
    /// # Errors
    /// When the files cannot be read or made.
    pub(crate) fn open(
        folder: &Path,
        config: AuditConfig,
        server: (&str, u64),
        vault: Option<Arc<Vault>>,
        keys: impl Fn() -> Vec<SealingKey> + Send + 'static,
    ) -> Result<Self> {
        let open = |stream| Chain::open(folder, stream, config.size / 2, server, vault.clone());
        let chains = [open(Stream::Changes)?, open(Stream::Queries)?];
        let (sender, told) = sync_channel(WAITING);
        let shared = Arc::new(Shared::default());
        Writer::start(folder, chains, told, Arc::clone(&shared), Box::new(keys))?;
        Ok(Self { queries: config.queries, sender, shared, recent: Mutex::default() })
    }

    /// Writes down what happened, soon; never waits.
    pub fn tell(&self, event: Event) {
        let is_query = event.stream == Stream::Queries;
        if is_query && self.queries == Queries::None {
            return;
        }
        let waiting = self.shared.waiting.load(Ordering::Relaxed);
        if is_query && waiting >= WAITING - KEPT_FOR_CHANGES {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.sender.try_send(Told::Event(Box::new(event)))
        {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes down that somebody signed in or was refused; one record for many of the same.
    pub fn tell_sign_in(&self, mut event: Event) {
        let key = format!("{}\n{}\n{}\n{:?}", event.action, event.user, event.from, event.failed);
        let same = if event.failed.is_some() { SAME_REFUSAL } else { SAME };
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            if recent.len() >= REMEMBERED {
                recent.retain(|_, (at, _)| at.elapsed() < SAME_REFUSAL);
            }
            if recent.len() >= REMEMBERED {
                recent.clear();
            }
            match recent.get_mut(&key) {
                Some((at, times)) if at.elapsed() < same => {
                    *times += 1;
                    return;
                }
                Some((at, times)) => {
                    event.repeated = std::mem::take(times);
                    *at = Instant::now();
                }
                None => {
                    recent.insert(key, (Instant::now(), 0));
                }
            }
        }
        self.tell(event);
    }

    /// Waits until everything told before is in the files; where each file ends then.
    pub(crate) async fn flushed(&self) -> Option<[Position; 2]> {
        let (done, flushed) = tokio::sync::oneshot::channel();
        let sender = self.sender.clone();
        // The queue may be full for as long as the disk is slow.
        tokio::task::spawn_blocking(move || sender.send(Told::Flush(done))).await.ok()?.ok()?;
        flushed.await.ok()
    }

    /// Has lines written anew that are not encrypted with the current data key; whether there were
    /// any.
    pub(crate) async fn reseal(&self) -> Result<bool> {
        let gone = || Error::new(ErrorKind::Unavailable, "the audit log is written no more");
        let (done, resealed) = tokio::sync::oneshot::channel();
        let sender = self.sender.clone();
        let told = tokio::task::spawn_blocking(move || sender.send(Told::Reseal(done))).await;
        told.map_err(|_| gone())?.map_err(|_| gone())?;
        resealed.await.map_err(|_| gone())?
    }

    pub(crate) fn take_trouble(&self) -> Option<String> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Calls `each` with every record of a log in `folder`, oldest first, as JSON.
///
/// # Errors
/// Where a file cannot be read; `Corrupt` where a line is none of the log, as one that is encrypted
/// with other keys.
pub fn each_record(
    folder: &Path,
    stream: Stream,
    vault: Option<&Vault>,
    mut each: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let log = Files { folder, stream, vault };
    for (first, length) in chain::files_of(folder, stream)? {
        log.each_line(first, length, |line| {
            let record = record::parts(line).and_then(|(_, json)| std::str::from_utf8(json).ok());
            let what = || format!("a line of {} cannot be read", chain::file_name(stream, first));
            each(record.ok_or_else(|| Error::new(ErrorKind::Corrupt, what()))?)
        })?;
    }
    Ok(())
}

/// How a request that failed ended, in one word of the log.
pub(crate) fn outcome(failed: Option<ErrorKind>) -> String {
    match failed {
        None => "done".to_owned(),
        Some(ErrorKind::Denied) => "denied".to_owned(),
        Some(kind) => format!("failed: {kind:?}"),
    }
}

#[cfg(test)]
mod tests;
