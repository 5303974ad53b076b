//! Turns on the processors. There are as many turns as threads may run; whoever has had one for a
//! while hands it to the one that has waited longest, so that many requests go on together and a
//! heavy one does not keep light ones waiting.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::Thread;
use std::time::{Duration, Instant};

use evercube_base::Result;

use super::Work;

/// How much longer the first turn lasts, in which most requests end: one that waits halfway holds a
/// thread and memory, and one that is heavy has only one such turn.
const FIRST: u32 = 5;

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

/// Who waits for a turn.
#[derive(Debug)]
pub(super) struct Waiter {
    wakes: Mutex<Wakes>,
    granted: AtomicBool,
}

/// What is woken by a turn or a stop: a thread, or a task that needs none while it waits.
#[derive(Debug)]
enum Wakes {
    Thread(Thread),
    Task(Waker),
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

    /// Whether a turn that began then, and was the first one or not, has lasted long enough.
    pub(super) fn is_over(&self, began: Instant, is_first: bool) -> bool {
        let lasts = self.quantum * if is_first { FIRST } else { 1 };
        self.waiting() > 0 && began.elapsed() >= lasts
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
        let waiter = self.enqueue(&mut state, Wakes::Thread(std::thread::current()));
        drop(state);
        self.wait(work, &waiter)
    }

    /// A place in the queue for a task; `None` where it has a turn at once.
    pub(super) fn queue_up(&self, work: &Work, waker: &Waker) -> Option<Arc<Waiter>> {
        let mut state = self.lock();
        if state.free > 0 && state.queue.is_empty() {
            state.free -= 1;
            return None;
        }
        let waiter = self.enqueue(&mut state, Wakes::Task(waker.clone()));
        drop(state);
        work.waits_as(Some(Arc::clone(&waiter)));
        Some(waiter)
    }

    /// Gives up a place in the queue; whether it was still there, and not granted a turn.
    pub(super) fn leave(&self, waiter: &Arc<Waiter>) -> bool {
        let mut state = self.lock();
        let place = state.queue.iter().position(|w| Arc::ptr_eq(w, waiter));
        if let Some(at) = place {
            state.queue.remove(at);
            self.waiting.store(state.queue.len(), Ordering::Relaxed);
        }
        place.is_some()
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
        let waiter = self.enqueue(&mut state, Wakes::Thread(std::thread::current()));
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

    fn enqueue(&self, state: &mut State, wakes: Wakes) -> Arc<Waiter> {
        let granted = AtomicBool::new(false);
        let waiter = Arc::new(Waiter { wakes: Mutex::new(wakes), granted });
        state.queue.push_back(Arc::clone(&waiter));
        self.waiting.store(state.queue.len(), Ordering::Relaxed);
        waiter
    }

    fn wait(&self, work: &Work, waiter: &Arc<Waiter>) -> Result<()> {
        work.waits_as(Some(Arc::clone(waiter)));
        while !waiter.is_granted() {
            // A turn granted meanwhile is kept until the work ends.
            if work.is_stopped() && self.leave(waiter) {
                work.waits_as(None);
                return work.verdict();
            }
            std::thread::park();
        }
        work.waits_as(None);
        work.has_turn.store(true, Ordering::Relaxed);
        work.verdict()
    }
}

impl Waiter {
    pub(super) fn is_granted(&self) -> bool {
        self.granted.load(Ordering::Acquire)
    }

    fn grant(&self) {
        self.granted.store(true, Ordering::Release);
        self.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Wakes> {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the waiting task or thread look again.
    pub(super) fn wake(&self) {
        match &*self.lock() {
            Wakes::Thread(thread) => thread.unpark(),
            Wakes::Task(waker) => waker.wake_by_ref(),
        }
    }

    /// The task is woken by another waker from now on.
    pub(super) fn woken_by(&self, waker: &Waker) {
        let mut wakes = self.lock();
        if !matches!(&*wakes, Wakes::Task(known) if known.will_wake(waker)) {
            *wakes = Wakes::Task(waker.clone());
        }
    }
}
