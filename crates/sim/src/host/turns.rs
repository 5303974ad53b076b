//! Whose turn it is: of the threads of the world one runs at any time, until it waits, ends, or
//! hands over as the seed says. So the order in which threads do things follows from the seed.

use std::cell::Cell;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{clock, real_syscall};
use crate::chance::Chance;

/// What a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// That somebody wakes who waits for the word at this address.
    Word(usize),
    /// That something can be read, or is said to be.
    Events,
    /// That a thread ends.
    End(usize),
    /// Its time only.
    Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    /// Would run.
    Ready,
    Waits {
        on: On,
        until: Option<u64>,
    },
    Over,
}

struct Thread {
    /// 1 while it is this thread's turn and it has not taken it.
    baton: &'static AtomicI32,
    state: State,
    /// When it began to wait, as a number that grows.
    since: u64,
    /// Whether its last wait ended because somebody woke it.
    woken: bool,
}

struct Turns {
    threads: Vec<Thread>,
    chance: Chance,
    waits: u64,
}

/// Only the thread whose turn it is takes it, so that nobody ever waits for it.
static TURNS: Mutex<Option<Turns>> = Mutex::new(None);

/// A turn takes some time, so that who asks the clock again and again comes to an end.
const TURN_TAKES: u64 = 1_000;
/// One in so many times who wakes another lets others go first.
const HANDS_OVER: u64 = 4;

thread_local! {
    /// The number of this thread in the world.
    static ME: Cell<Option<usize>> = const { Cell::new(None) };
}

fn turns() -> MutexGuard<'static, Option<Turns>> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<T>(work: impl FnOnce(&mut Turns) -> T) -> T {
    work(turns().as_mut().expect("the world has begun"))
}

/// The first thread of the world is this one.
pub(super) fn begin(seed: u64) {
    let chance = Chance::new(seed, "turns");
    let mut all = Turns { threads: Vec::new(), chance, waits: 0 };
    let me = all.add();
    all.threads[me].state = State::Runs;
    *turns() = Some(all);
    ME.set(Some(me));
}

/// Whether this thread is one of the world's.
pub(super) fn takes_part() -> bool {
    ME.try_with(|me| me.get().is_some()).unwrap_or(false)
}

fn me() -> usize {
    ME.get().expect("it takes part")
}

impl Turns {
    fn add(&mut self) -> usize {
        let baton = Box::leak(Box::new(AtomicI32::new(0)));
        self.threads.push(Thread { baton, state: State::Ready, since: 0, woken: false });
        self.threads.len() - 1
    }

    /// Gives the turn to one of those who would run, after the time at which one does.
    fn next(&mut self) -> &'static AtomicI32 {
        clock::pass(TURN_TAKES);
        loop {
            let now = clock::nanos();
            let (mut ready, mut earliest) = (Vec::new(), None);
            for (n, thread) in self.threads.iter_mut().enumerate() {
                match thread.state {
                    State::Waits { until: Some(until), .. } if until <= now => {
                        thread.state = State::Ready;
                        ready.push(n);
                    }
                    State::Waits { until: Some(until), .. } => {
                        earliest = Some(earliest.map_or(until, |e: u64| e.min(until)));
                    }
                    State::Ready => ready.push(n),
                    State::Waits { until: None, .. } | State::Runs | State::Over => {}
                }
            }
            if !ready.is_empty() {
                let thread = &mut self.threads[*self.chance.of(&ready)];
                thread.state = State::Runs;
                return thread.baton;
            }
            match earliest {
                Some(time) => clock::jump_to(time),
                None => {
                    eprintln!("all threads of the world wait for each other");
                    std::process::abort();
                }
            }
        }
    }

    fn wake(&mut self, on: On, most: usize) -> usize {
        let waits =
            |(_, t): &(usize, &Thread)| matches!(t.state, State::Waits { on: o, .. } if o == on);
        let mut waiting: Vec<(u64, usize)> =
            self.threads.iter().enumerate().filter(waits).map(|(n, t)| (t.since, n)).collect();
        waiting.sort_unstable();
        waiting.truncate(most);
        for (_, n) in &waiting {
            self.threads[*n].state = State::Ready;
            self.threads[*n].woken = true;
        }
        waiting.len()
    }
}

/// Waits, for as long as others have their turns; whether somebody woke it.
pub(super) fn wait(on: On, until: Option<u64>) -> bool {
    let me = me();
    hand_over(|turns| {
        turns.waits += 1;
        let thread = &mut turns.threads[me];
        (thread.state, thread.since, thread.woken) =
            (State::Waits { on, until }, turns.waits, false);
    });
    with(|turns| turns.threads[me].woken)
}

/// Lets others go first.
pub(super) fn pause() {
    let me = me();
    hand_over(|turns| turns.threads[me].state = State::Ready);
}

/// Wakes at most so many of those who wait for this, those first who waited longest; how many.
pub(super) fn wake(on: On, most: usize) -> usize {
    let (woken, hands_over) = with(|turns| (turns.wake(on, most), turns.chance.one_in(HANDS_OVER)));
    if woken > 0 && hands_over {
        pause();
    }
    woken
}

fn hand_over(change: impl FnOnce(&mut Turns)) {
    let (mine, next) = with(|turns| {
        change(turns);
        let mine = turns.threads[me()].baton;
        (mine, turns.next())
    });
    if !std::ptr::eq(mine, next) {
        give(next);
        take(mine);
    }
}

fn give(baton: &AtomicI32) {
    baton.store(1, Ordering::Release);
    let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word is there for ever.
    unsafe { real_syscall(libc::SYS_futex, address(baton), op as usize, 1, 0, 0, 0) };
}

fn take(baton: &AtomicI32) {
    let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    while baton.swap(0, Ordering::Acquire) == 0 {
        // SAFETY: the word is there for ever.
        unsafe { real_syscall(libc::SYS_futex, address(baton), op as usize, 0, 0, 0, 0) };
    }
}

fn address(word: &AtomicI32) -> usize {
    std::ptr::from_ref(word) as usize
}

/// A thread that is about to be made: its number, and what gives it its turns.
pub(super) fn add() -> (usize, &'static AtomicI32) {
    with(|turns| {
        let number = turns.add();
        (number, turns.threads[number].baton)
    })
}

/// This thread is that one; it goes on when it is its turn.
pub(super) fn arrive(number: usize, baton: &'static AtomicI32) {
    take(baton);
    ME.set(Some(number));
}

pub(super) fn is_over(number: usize) -> bool {
    with(|turns| turns.threads[number].state == State::Over)
}

/// This thread, or one that could not be made, has no turn any more.
pub(super) fn end(number: usize, takes_turn: bool) {
    let next = with(|turns| {
        turns.threads[number].state = State::Over;
        turns.wake(On::End(number), usize::MAX);
        takes_turn.then(|| turns.next())
    });
    if let Some(next) = next {
        ME.set(None);
        give(next);
    }
}
