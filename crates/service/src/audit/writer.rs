//! The thread that writes the log.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use evercube_base::{DateTime, Error, Outage, Result, Told as Word};
use tokio::sync::oneshot;

use super::Shared;
use super::chain::{Chain, Position};
use super::heads::{local_head, put_local_head};
use super::record::{Event, Stream};
use crate::seal::SealingKey;

pub(super) enum Told {
    Event(Box<Event>),
    /// Answered with where the logs end, once everything told before is in their files.
    Flush(oneshot::Sender<[Position; 2]>),
    /// Answered with whether any was not, once every line is encrypted with the current data key.
    Reseal(oneshot::Sender<Result<bool>>),
}

/// How often the disk is waited for, and the head of each log is written down.
const SYNC: Duration = Duration::from_secs(1);
/// Records written at once.
const BATCH: usize = 512;

pub(super) struct Writer {
    chains: [Chain; 2],
    told: Receiver<Told>,
    shared: Arc<Shared>,
    keys: Box<dyn Fn() -> Vec<SealingKey> + Send>,
    folder: std::path::PathBuf,
    synced: Instant,
    begun: Instant,
    /// While the disk does not take what is written.
    outage: Outage,
    /// Why it did not in this round.
    failed: Option<String>,
    /// Whether the heads of the last run were compared with the files.
    compared: bool,
}

fn now() -> DateTime {
    DateTime::from_unix_micros(chrono::Utc::now().timestamp_micros()).unwrap_or_default()
}

impl Writer {
    pub(super) fn start(
        folder: &std::path::Path,
        chains: [Chain; 2],
        told: Receiver<Told>,
        shared: Arc<Shared>,
        keys: Box<dyn Fn() -> Vec<SealingKey> + Send>,
    ) -> Result<()> {
        let folder = folder.to_owned();
        let now = Instant::now();
        let mut writer = Self {
            chains,
            told,
            shared,
            keys,
            folder,
            synced: now,
            begun: now,
            outage: Outage::default(),
            failed: None,
            compared: false,
        };
        let thread = std::thread::Builder::new().name("audit".into());
        let started = thread.spawn(move || writer.run());
        started.map(drop).map_err(|e| Error::internal(format!("no thread for the audit log: {e}")))
    }

    /// Ends when nobody can tell anything any more.
    fn run(&mut self) {
        loop {
            let mut waiting = Vec::new();
            let ended = match self.told.recv_timeout(SYNC) {
                Ok(first) => {
                    self.take(first, &mut waiting);
                    for _ in 1..BATCH {
                        let Ok(next) = self.told.try_recv() else { break };
                        self.take(next, &mut waiting);
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            self.compare();
            self.tell_lost();
            self.flush();
            if ended || !waiting.is_empty() || self.synced.elapsed() >= SYNC {
                self.sync();
            }
            self.tell_outage();
            for done in waiting {
                let _nobody_waits = done.send(self.chains.each_ref().map(Chain::position));
            }
            if ended {
                return;
            }
        }
    }

    fn chain(&mut self, stream: Stream) -> &mut Chain {
        let [changes, queries] = &mut self.chains;
        match stream {
            Stream::Changes => changes,
            Stream::Queries => queries,
        }
    }

    fn take(&mut self, told: Told, waiting: &mut Vec<oneshot::Sender<[Position; 2]>>) {
        match told {
            Told::Event(event) => {
                self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                self.chain(event.stream).append(&event);
            }
            Told::Flush(done) => waiting.push(done),
            Told::Reseal(done) => {
                self.flush();
                let resealed: Result<Vec<bool>> =
                    self.chains.iter_mut().map(Chain::reseal).collect();
                let _nobody_waits = done.send(resealed.map(|any| any.contains(&true)));
            }
        }
    }

    /// Compares the heads of the last run with the files, once the group's keys are known.
    fn compare(&mut self) {
        if self.compared || (self.keys)().is_empty() {
            return;
        }
        self.compared = true;
        for at in 0..self.chains.len() {
            let chain = &self.chains[at];
            let (stream, here) = (chain.stream, chain.position());
            let Some(head) = local_head(&self.folder, stream, &(self.keys)()) else { continue };
            if head.n > here.n {
                let what = format!(
                    "the audit log '{}' ended at record {} when the server stopped, and now ends at {}",
                    stream.name(),
                    head.n,
                    here.n
                );
                self.note("truncated", &what);
                self.trouble(what);
            }
        }
    }

    fn note(&mut self, action: &str, what: &str) {
        let text = Some(what.to_owned());
        let event = Event { time: now(), action: action.into(), text, ..Event::default() };
        self.chain(Stream::Changes).append(&event);
    }

    /// A record for those that are lost.
    fn tell_lost(&mut self) {
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return;
        }
        self.note("lost", &format!("{lost} records found no room"));
        // The count must not be lost with its record.
        if let Err((_, e)) = self.chain(Stream::Changes).flush(now()) {
            self.shared.lost.fetch_add(lost, Ordering::Relaxed);
            self.fails(&e);
        } else {
            self.trouble(format!("{lost} records of the audit log found no room and are lost"));
        }
    }

    fn flush(&mut self) {
        for at in 0..self.chains.len() {
            if let Err((lost, e)) = self.chains[at].flush(now()) {
                self.shared.lost.fetch_add(lost, Ordering::Relaxed);
                self.fails(&e);
            }
        }
    }

    /// Waits for the disk, then writes the heads down: a head never tells of more than is there.
    fn sync(&mut self) {
        self.synced = Instant::now();
        for at in 0..self.chains.len() {
            let done = self.chains[at].sync().and_then(|any| {
                let chain = &self.chains[at];
                if any && self.compared {
                    put_local_head(&self.folder, chain.stream, chain.position(), &(self.keys)())?;
                }
                Ok(())
            });
            if let Err(e) = done {
                self.fails(&e);
            }
        }
    }

    fn fails(&mut self, e: &Error) {
        self.failed = Some(e.message.clone());
    }

    /// Tells that the disk takes nothing, now and then: a full one is tried every second, and each
    /// alarm would be one more record without room.
    fn tell_outage(&mut self) {
        let failed = self.failed.take();
        match self.outage.look(self.begun.elapsed(), failed.is_none()) {
            Some(Word::Fails(lasts)) => {
                let why = failed.unwrap_or_default();
                self.found(format!("nothing has been audited for {} s: {why}", lasts.as_secs()));
            }
            Some(Word::Over(lasted)) => {
                tracing::warn!("the audit log is written again, after {} s", lasted.as_secs());
            }
            None => {}
        }
    }

    fn trouble(&self, what: String) {
        tracing::error!("{what}");
        self.found(what);
    }

    /// What is wrong with the log, for whoever alarms.
    fn found(&self, what: String) {
        let mut trouble = self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = Some(what);
    }
}
