//! Parts of one work on several threads, as many as there are free turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use evercube_base::{Error, Result};

use super::current::{check, current, inside};
use super::{Turns, Work};

/// `step` for all numbers below `n`, on this thread and, while turns are free, on others; each
/// thread begins a state of its own and adds its steps to it. The states, in no order that is the
/// same every time. Of several errors the first by number is told.
pub fn share<S: Send>(
    n: usize,
    begin: impl Fn() -> S + Sync,
    step: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let parts = Parts {
        n,
        next: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
        states: Mutex::new(Vec::new()),
        error: Mutex::new(None),
        begin,
        step,
    };
    let work = current();
    let mut most = rayon::current_num_threads().min(n).saturating_sub(1);
    if most == 0 {
        parts.go_through(|| Ok(true))?;
        return parts.states();
    }
    rayon::in_place_scope(|scope| {
        let mut invite = || {
            while most > 0
                && let Some(helper) = Helper::new(work.as_ref())
            {
                most -= 1;
                let parts = &parts;
                scope.spawn(move |_| helper.help(parts));
            }
        };
        invite();
        parts.go_through(|| {
            check()?;
            invite();
            Ok(true)
        })
    })?;
    parts.states()
}

/// `run` for all numbers below `n` as [`share`] does; the results in order.
pub fn for_all<T: Send>(n: usize, run: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let step = |done: &mut Vec<(usize, T)>, at| {
        done.push((at, run(at)?));
        Ok(())
    };
    let mut done: Vec<(usize, T)> = share(n, Vec::new, step)?.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

struct Parts<S, B, F> {
    n: usize,
    next: AtomicUsize,
    failed: AtomicBool,
    states: Mutex<Vec<S>>,
    error: Mutex<Option<(usize, Error)>>,
    begin: B,
    step: F,
}

impl<S, B, F> Parts<S, B, F>
where
    S: Send,
    B: Fn() -> S + Sync,
    F: Fn(&mut S, usize) -> Result<()> + Sync,
{
    /// Takes one part after the other for as long as `goes_on`.
    fn go_through(&self, mut goes_on: impl FnMut() -> Result<bool>) -> Result<()> {
        let mut state = None;
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if at >= self.n || self.failed.load(Ordering::Relaxed) {
                break;
            }
            if let Err(e) = (self.step)(state.get_or_insert_with(&self.begin), at) {
                self.fail(at, e);
                break;
            }
            if !goes_on().inspect_err(|_| self.failed.store(true, Ordering::Relaxed))? {
                break;
            }
        }
        self.states.lock().unwrap_or_else(PoisonError::into_inner).extend(state);
        Ok(())
    }

    fn fail(&self, at: usize, error: Error) {
        self.failed.store(true, Ordering::Relaxed);
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(known, _)| at < *known) {
            *first = Some((at, error));
        }
    }

    fn states(self) -> Result<Vec<S>> {
        match self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => Ok(self.states.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// Another thread at a work, with a turn of its own where there are turns.
struct Helper {
    work: Option<Arc<Work>>,
}

impl Helper {
    fn new(work: Option<&Arc<Work>>) -> Option<Self> {
        let free = work.and_then(|w| w.turns.as_ref()).is_none_or(|turns| turns.try_take());
        free.then(|| Self { work: work.cloned() })
    }

    fn turns(&self) -> Option<&Arc<Turns>> {
        self.work.as_ref()?.turns.as_ref()
    }

    /// Helps until there is nothing left or somebody waits for the turn.
    fn help<S, B, F>(self, parts: &Parts<S, B, F>)
    where
        S: Send,
        B: Fn() -> S + Sync,
        F: Fn(&mut S, usize) -> Result<()> + Sync,
    {
        let unwanted = || Ok(self.turns().is_none_or(|turns| turns.waiting() == 0));
        let go = || parts.go_through(unwanted);
        // An error is among those of the parts.
        let _told = match &self.work {
            Some(work) => inside(work, false, go),
            None => go(),
        };
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if let Some(turns) = self.turns() {
            turns.give_one_back();
        }
    }
}
