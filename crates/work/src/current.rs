//! The work of the current thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use evercube_base::{Error, Result};

use super::{Work, allocator};

struct Current {
    work: Arc<Work>,
    /// When the thread's turn began; `None` for a helper, whose turn is short anyway.
    turn: Option<Instant>,
    /// Whether that is its first one.
    is_first: bool,
    since: Instant,
    /// What the thread's count of bytes was when it was last passed on.
    counted: usize,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
    /// Calls of [`tick`] until the next interrupt point.
    static TICKS: Cell<u32> = const { Cell::new(0) };
}

/// Thrown through code that returns no error; becomes the work's error in [`Work::run`].
struct Interrupted(Error);

impl Current {
    fn pass_on_count(&mut self) {
        let taken = allocator::taken();
        self.work.hold(taken.wrapping_sub(self.counted));
        self.counted = taken;
    }
}

/// Ends with an error where the current thread's work has to stop, and lets other work have its
/// turn where that is due. No lock may be held by the caller. Without work, nothing happens.
pub fn check() -> Result<()> {
    let due = CURRENT.with_borrow_mut(|current| {
        let Some(current) = current else { return Ok(None) };
        current.pass_on_count();
        current.work.verdict()?;
        let due = |t: Instant| {
            current.work.turns.as_ref().is_some_and(|turns| turns.is_over(t, current.is_first))
        };
        Ok::<_, Error>(current.turn.is_some_and(due).then(|| Arc::clone(&current.work)))
    })?;
    let Some(work) = due else { return Ok(()) };
    work.rest();
    let waited = match &work.turns {
        Some(turns) => turns.pass_on(&work),
        None => Ok(()),
    };
    CURRENT.with_borrow_mut(|current| {
        if let Some(current) = current {
            current.turn = Some(Instant::now());
            current.is_first = false;
            current.since = Instant::now();
        }
    });
    waited
}

/// As [`check`] for code that cannot return an error: unwinds to [`Work::run`]. Locks may be held;
/// the turn stays.
pub fn interrupt_point() {
    let stopped = CURRENT.with_borrow_mut(|current| {
        let current = current.as_mut()?;
        current.pass_on_count();
        current.work.verdict().err()
    });
    if let Some(error) = stopped {
        interrupt(error);
    }
}

/// Ends the current work with an error, for code that cannot return one: unwinds to [`Work::run`].
pub fn interrupt(error: Error) -> ! {
    resume_unwind(Box::new(Interrupted(error)))
}

/// An [`interrupt_point`] every so many calls: cheap enough for every comparison of a sort.
pub fn tick() {
    let left = TICKS.get();
    if left > 0 {
        TICKS.set(left - 1);
    } else {
        TICKS.set(255);
        interrupt_point();
    }
}

/// Each item mapped, with an [`interrupt_point`] every so many: for items that take no time at all.
pub fn map_blocks<T, U>(items: &[T], mut map: impl FnMut(&T) -> U) -> Vec<U> {
    let mut out = Vec::with_capacity(items.len());
    for block in items.chunks(1 << 14) {
        interrupt_point();
        out.extend(block.iter().map(&mut map));
    }
    out
}

/// `map` of each number below `n`, in their order, with an [`interrupt_point`] every so many.
pub fn map_range<U>(n: usize, mut map: impl FnMut(usize) -> U) -> Vec<U> {
    let mut out = Vec::with_capacity(n);
    for first in (0..n).step_by(1 << 12) {
        interrupt_point();
        out.extend((first..n.min(first + (1 << 12))).map(&mut map));
    }
    out
}

/// The items of a loop, with an [`interrupt_point`] every so many: for loops over cells, rows or
/// groups, of which there may be millions, that call nothing that looks whether the work must end.
pub fn watched<I: IntoIterator>(items: I) -> Watched<I::IntoIter> {
    Watched { items: items.into_iter(), left: BETWEEN }
}

/// Items between two looks of [`watched`].
const BETWEEN: u32 = 255;

/// See [`watched`].
#[derive(Debug)]
pub struct Watched<I> {
    items: I,
    left: u32,
}

impl<I: Iterator> Iterator for Watched<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => {
                self.left = BETWEEN;
                interrupt_point();
            }
        }
        self.items.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

/// Ends with an error where the current work may not hold `bytes` more. To be asked before much
/// is taken at once.
pub fn room_for(bytes: usize) -> Result<()> {
    CURRENT.with_borrow_mut(|current| {
        let Some(current) = current else { return Ok(()) };
        current.pass_on_count();
        current.work.verdict()?;
        current.work.memory_verdict(bytes)
    })
}

/// Time that threads have spent on the current work so far.
pub fn busy() -> Duration {
    CURRENT
        .with_borrow(|c| c.as_ref().map_or(Duration::ZERO, |c| c.work.busy() + c.since.elapsed()))
}

/// The work of this thread, for threads that help it.
pub(super) fn current() -> Option<Arc<Work>> {
    CURRENT.with_borrow(|c| c.as_ref().map(|c| Arc::clone(&c.work)))
}

/// Does something as part of a work on this thread.
pub(super) fn inside<T>(work: &Arc<Work>, has_turn: bool, run: impl FnOnce() -> T) -> T {
    struct Restore(Option<Current>);
    impl Drop for Restore {
        fn drop(&mut self) {
            if let Some(mut ended) = CURRENT.replace(self.0.take()) {
                ended.pass_on_count();
                ended.work.add_busy(ended.since);
            }
        }
    }
    let now = Instant::now();
    let current = Current {
        work: Arc::clone(work),
        turn: has_turn.then_some(now),
        is_first: true,
        since: now,
        counted: allocator::taken(),
    };
    let _restore = Restore(CURRENT.replace(Some(current)));
    run()
}

impl Work {
    fn add_busy(&self, since: Instant) {
        let spent = usize::try_from(since.elapsed().as_nanos()).unwrap_or(usize::MAX);
        self.busy.fetch_add(spent, Ordering::Relaxed);
    }

    /// Counts the time of the turn that ends.
    fn rest(&self) {
        CURRENT.with_borrow(|c| c.iter().for_each(|c| self.add_busy(c.since)));
    }

    /// Waits for a turn and does the work on this thread. A stop ends it with its error; a defect
    /// that panics becomes an error too.
    ///
    /// # Errors
    /// Those of `run`; `Cancelled`, `TimeLimit`, `MemoryLimit`; `Internal` for a panic.
    pub fn run<T>(self: &Arc<Self>, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.verdict()?;
        if let Some(turns) = &self.turns {
            turns.take(self)?;
        }
        self.run_in_turn(run)
    }

    /// Does the work on this thread in the turn it has.
    pub(super) fn run_in_turn<T>(self: &Arc<Self>, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = catch_unwind(AssertUnwindSafe(|| inside(self, true, run)));
        if let Some(turns) = &self.turns {
            turns.give_back(self);
        }
        done.unwrap_or_else(|thrown| Err(as_error(thrown)))
    }
}

/// The error of what was thrown: a stop, or a defect.
fn as_error(thrown: Box<dyn Any + Send>) -> Error {
    match thrown.downcast::<Interrupted>() {
        Ok(interrupted) => interrupted.0,
        Err(_) => Error::internal(
            "the query stopped on a defect of the engine; please report it with the query text",
        ),
    }
}
