//! Waiting for the first turn without a thread: however many requests wait, threads are there for
//! those that go on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use evercube_base::Result;

use super::Work;
use super::turns::Waiter;

/// A future that is ready with the first turn of a work, or with the error of one that was stopped.
pub struct FirstTurn {
    work: Arc<Work>,
    waiter: Option<Arc<Waiter>>,
}

/// A work that has a turn, which is given back once it is done or dropped.
pub struct Ready {
    work: Arc<Work>,
}

impl Work {
    /// Waits for the first turn.
    pub fn first_turn(self: &Arc<Self>) -> FirstTurn {
        FirstTurn { work: Arc::clone(self), waiter: None }
    }
}

impl Ready {
    /// Does the work on this thread, as [`Work::run`] does.
    ///
    /// # Errors
    /// As those of [`Work::run`].
    pub fn run<T>(self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.work.run_in_turn(run)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(turns) = &self.work.turns {
            turns.give_back(&self.work);
        }
    }
}

impl FirstTurn {
    fn ready(&mut self) -> Ready {
        self.waiter = None;
        self.work.waits_as(None);
        let has_turns = self.work.turns.is_some();
        self.work.has_turn.store(has_turns, Ordering::Relaxed);
        Ready { work: Arc::clone(&self.work) }
    }

    /// The turn this was waiting for is not wanted any more.
    fn give_up(&mut self) {
        let (Some(turns), Some(waiter)) = (&self.work.turns, self.waiter.take()) else { return };
        self.work.waits_as(None);
        if !turns.leave(&waiter) {
            turns.give_one_back();
        }
    }
}

impl Future for FirstTurn {
    type Output = Result<Ready>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Err(stopped) = this.work.verdict() {
            this.give_up();
            return Poll::Ready(Err(stopped));
        }
        let Some(turns) = &this.work.turns else { return Poll::Ready(Ok(this.ready())) };
        match &this.waiter {
            // Whoever grants or stops after this wakes the waker that is there now.
            Some(waiter) => waiter.woken_by(context.waker()),
            None => match turns.queue_up(&this.work, context.waker()) {
                Some(waiter) => this.waiter = Some(waiter),
                None => return Poll::Ready(Ok(this.ready())),
            },
        }
        if this.waiter.as_ref().is_some_and(|w| w.is_granted()) {
            return Poll::Ready(Ok(this.ready()));
        }
        match this.work.verdict() {
            Ok(()) => Poll::Pending,
            Err(stopped) => {
                this.give_up();
                Poll::Ready(Err(stopped))
            }
        }
    }
}

impl Drop for FirstTurn {
    fn drop(&mut self) {
        self.give_up();
    }
}
