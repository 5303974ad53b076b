//! Turns on the processors. There are as many turns as threads may run; whoever has had one for a
//! while hands it to the one that has waited longest, so that many requests go on together and a
//! heavy one does not keep light ones waiting.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use evercube_base::Result;

use super::Work;

#[derive(Debug)]
pub struct Turns {
    /// How long a turn lasts where others wait.
    quantum: Duration,
    /// Length of the queue, readable without the lock.
    waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    queue: VecDeque<Arc<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    thread: Thread,
    granted: AtomicBool,
}

impl Turns {
    /// `turns` at a time, each of `quantum` where others wait.
    pub fn new(turns: usize, quantum: Duration) -> Self {
        let state = State { free: turns.max(1), queue: VecDeque::new() };
        Self { quantum, waiting: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// How many wait for a turn.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a turn that began then has lasted long enough.
    pub(super) fn is_over(&self, began: Instant) -> bool {
        self.waiting() > 0 && began.elapsed() >= self.quantum
    }

    /// Waits for a turn.
    pub(super) fn take(&self, work: &Work) -> Result<()> {
        if self.try_take() {
            work.has_turn.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let mut state = self.lock();
        // One may have become free in between.
        if state.free > 0 && state.queue.is_empty() {
            state.free -= 1;
            work.has_turn.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let waiter = self.enqueue(&mut state);
        drop(state);
        self.wait(work, &waiter)
    }

    /// A turn, if one is free and nobody waits for it.
    pub(super) fn try_take(&self) -> bool {
        let mut state = self.lock();
        let takes = state.free > 0 && state.queue.is_empty();
        state.free -= usize::from(takes);
        takes
    }

    /// Hands the turn to the one that waits longest and waits for another.
    pub(super) fn pass_on(&self, work: &Work) -> Result<()> {
        let mut state = self.lock();
        let Some(next) = state.queue.pop_front() else { return Ok(()) };
        work.has_turn.store(false, Ordering::Relaxed);
        let waiter = self.enqueue(&mut state);
        drop(state);
        next.grant();
        self.wait(work, &waiter)
    }

    pub(super) fn give_back(&self, work: &Work) {
        if work.has_turn.swap(false, Ordering::Relaxed) {
            self.give_one_back();
        }
    }

    pub(super) fn give_one_back(&self) {
        let mut state = self.lock();
        match state.queue.pop_front() {
            Some(next) => {
                self.waiting.store(state.queue.len(), Ordering::Relaxed);
                drop(state);
                next.grant();
            }
            None => state.free += 1,
        }
    }

    fn enqueue(&self, state: &mut State) -> Arc<Waiter> {
        let thread = std::thread::current();
        let waiter = Arc::new(Waiter { thread, granted: AtomicBool::new(false) });
        state.queue.push_back(Arc::clone(&waiter));
        self.waiting.store(state.queue.len(), Ordering::Relaxed);
        waiter
    }

    fn wait(&self, work: &Work, waiter: &Arc<Waiter>) -> Result<()> {
        work.waits_on(Some(waiter.thread.clone()));
        while !waiter.granted.load(Ordering::Acquire) {
            if work.is_stopped() {
                let mut state = self.lock();
                // A turn granted meanwhile is kept until the work ends.
                if !waiter.granted.load(Ordering::Acquire)
                    && let Some(at) = state.queue.iter().position(|w| Arc::ptr_eq(w, waiter))
                {
                    state.queue.remove(at);
                    self.waiting.store(state.queue.len(), Ordering::Relaxed);
                    drop(state);
                    work.waits_on(None);
                    return work.verdict();
                }
                // Taken off the queue already: the grant comes at once.
            }
            std::thread::park();
        }
        work.waits_on(None);
        work.has_turn.store(true, Ordering::Relaxed);
        work.verdict()
    }
}

impl Waiter {
    fn grant(&self) {
        self.granted.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
