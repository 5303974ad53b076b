//! What one request may use of a server: memory, time, turns on the processors; and the flag that
//! stops it.
//!
//! A thread knows whose work it does, so that the loops deep inside of an evaluation need no
//! handle: [`check`] where an error can be returned, [`interrupt_point`] where it cannot.

mod allocator;
mod current;
mod first_turn;
mod helpers;
mod threads;
mod turns;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};

pub use allocator::Counting;
pub use current::{
    Watched, busy, check, interrupt, interrupt_point, map_blocks, map_range, room_for, tick,
    watched,
};
pub use first_turn::{FirstTurn, Ready};
pub use helpers::{for_all, share};
pub use threads::Threads;
pub use turns::Turns;
use turns::Waiter;

/// Why a request has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled it.
    Cancelled,
    /// Its time is over.
    TimedOut,
}

/// What a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes it may hold at a time.
    pub memory: usize,
    /// Only for the message: whoever starts the request watches the clock.
    pub timeout: Option<Duration>,
    /// Only for the message: what the work is.
    pub of: Of,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Of {
    #[default]
    Query,
    /// The calculated columns and tables of a new version.
    Calculation,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: usize::MAX, timeout: None, of: Of::Query }
    }
}

/// Memory that all requests of a server together may hold.
#[derive(Debug)]
pub struct SharedMemory {
    limit: AtomicUsize,
    /// In two's complement: a thread may give back what another one's count has not reached yet.
    held: AtomicUsize,
}

impl SharedMemory {
    pub fn new(limit: usize) -> Self {
        Self { limit: AtomicUsize::new(limit), held: AtomicUsize::new(0) }
    }

    /// Sets another limit, for what runs already, too.
    pub fn limit_to(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }
}

/// The work on one request.
#[derive(Debug, Default)]
pub struct Work {
    limits: Limits,
    cancelled: Arc<AtomicBool>,
    timed_out: AtomicBool,
    /// Bytes held, in two's complement.
    held: AtomicUsize,
    most_held: AtomicUsize,
    shared: Option<Arc<SharedMemory>>,
    turns: Option<Arc<Turns>>,
    /// Processor time of the threads that were at it, in nanoseconds.
    busy: AtomicUsize,
    has_turn: AtomicBool,
    /// Its place among those that wait for a turn.
    waits: Mutex<Option<Arc<Waiter>>>,
}

fn positive(held: usize) -> usize {
    if held > usize::MAX / 2 { 0 } else { held }
}

impl Work {
    pub fn new(limits: Limits) -> Self {
        let mut work = Self::default();
        work.limits = limits;
        work
    }

    /// Work that takes turns with others and shares memory with them.
    #[must_use]
    pub fn among(mut self, turns: &Arc<Turns>, shared: &Arc<SharedMemory>) -> Self {
        self.turns = Some(Arc::clone(turns));
        self.shared = Some(Arc::clone(shared));
        self
    }

    /// Work that is cancelled by a flag others have.
    #[must_use]
    pub fn cancelled_by(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancelled = flag;
        self
    }

    /// Makes the work end with an error as soon as it looks.
    pub fn stop(&self, why: Stop) {
        match why {
            Stop::Cancelled => self.cancelled.store(true, Ordering::Relaxed),
            Stop::TimedOut => self.timed_out.store(true, Ordering::Relaxed),
        }
        if let Some(waiter) = &*self.waits.lock().unwrap_or_else(PoisonError::into_inner) {
            waiter.wake();
        }
    }

    fn waits_as(&self, waiter: Option<Arc<Waiter>>) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = waiter;
    }

    pub fn is_stopped(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.timed_out.load(Ordering::Relaxed)
    }

    /// The most memory the work has held so far.
    pub fn most_memory(&self) -> usize {
        positive(self.most_held.load(Ordering::Relaxed))
    }

    /// Time that threads spent on it, waiting for turns not counted.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed) as u64)
    }

    /// The error of a work that must stop now.
    ///
    /// # Errors
    /// `Cancelled`, `TimeLimit`, `MemoryLimit`.
    pub fn verdict(&self) -> Result<()> {
        if self.timed_out.load(Ordering::Relaxed) {
            let seconds = self.limits.timeout.unwrap_or_default().as_secs_f64();
            return Err(Error::new(
                ErrorKind::TimeLimit,
                format!("The query ran longer than its timeout of {seconds} s and was stopped."),
            ));
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "The query was cancelled."));
        }
        self.memory_verdict(0)
    }

    /// Whether `more` bytes can be held on top of those that are.
    fn memory_verdict(&self, more: usize) -> Result<()> {
        let held = positive(self.held.load(Ordering::Relaxed)).saturating_add(more);
        if held > self.limits.memory {
            let limit = megabytes(self.limits.memory);
            let message = match self.limits.of {
                Of::Query => format!(
                    "The query needs more than the {limit} of memory one query may use; narrow it with a filter, or raise the setting query_memory or the property DbpropMsmdRequestMemoryLimit."
                ),
                Of::Calculation => format!(
                    "The calculated columns and tables need more than the {limit} of memory they may use; let them look at fewer rows at a time, or raise the setting calculation_memory."
                ),
            };
            return Err(Error::new(ErrorKind::MemoryLimit, message));
        }
        let Some(shared) = &self.shared else { return Ok(()) };
        let limit = shared.limit.load(Ordering::Relaxed);
        if positive(shared.held.load(Ordering::Relaxed)).saturating_add(more) > limit
            && held > limit / 8
        {
            return Err(Error::new(
                ErrorKind::MemoryLimit,
                format!(
                    "The server's queries together use the {} they may, and this one has a large part of it; try again later, or raise the setting queries_memory.",
                    megabytes(limit)
                ),
            ));
        }
        Ok(())
    }

    /// Notes that this thread holds `by` bytes more (in two's complement) than before.
    fn hold(&self, by: usize) {
        let held = self.held.fetch_add(by, Ordering::Relaxed).wrapping_add(by);
        self.most_held.fetch_max(positive(held), Ordering::Relaxed);
        if let Some(shared) = &self.shared {
            shared.held.fetch_add(by, Ordering::Relaxed);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.held.fetch_sub(self.held.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

fn megabytes(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{} KB", bytes >> 10),
        n => format!("{n} MB"),
    }
}

#[cfg(test)]
mod tests;
