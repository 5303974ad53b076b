//! Threads as the C library makes them, and what they wait for, in turns (`turns`).

use std::collections::BTreeMap;
use std::ffi::{c_int, c_long, c_void};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::turns::{self, On};
use super::{clock, original, set_errno};

/// Numbers of threads by what the C library calls them.
static NUMBERS: Mutex<BTreeMap<libc::pthread_t, usize>> = Mutex::new(BTreeMap::new());
/// Where a thread keeps how often its end was put off; made with the first thread.
static LAST_WORDS: AtomicUsize = AtomicUsize::new(usize::MAX);

/// What waits for a word, or wakes who does; `None` for what the kernel is to do.
///
/// # Safety
/// As `futex(2)`: `word` is the address of a word, and `time` that of a `timespec` or null.
pub(super) unsafe fn futex(word: usize, op: usize, value: usize, time: usize) -> Option<c_long> {
    let op = c_int::try_from(op).ok()?;
    let value = u32::try_from(value & 0xffff_ffff).ok()?;
    match op & libc::FUTEX_CMD_MASK {
        libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET => {
            let woken = turns::wake(On::Word(word), value as usize);
            Some(c_long::try_from(woken).unwrap_or(c_long::MAX))
        }
        wait @ (libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET) => {
            // SAFETY: the caller's promise.
            let holds = unsafe { &*(word as *const AtomicU32) }.load(Ordering::SeqCst);
            if holds != value {
                set_errno(libc::EAGAIN);
                return Some(-1);
            }
            let until = (time != 0).then(|| {
                // SAFETY: the caller's promise.
                let time = unsafe { *(time as *const libc::timespec) };
                match (wait, op & libc::FUTEX_CLOCK_REALTIME) {
                    (libc::FUTEX_WAIT, _) => clock::after(time),
                    (_, 0) => clock::at(libc::CLOCK_MONOTONIC, time),
                    _ => clock::at(libc::CLOCK_REALTIME, time),
                }
            });
            if turns::wait(On::Word(word), until) {
                return Some(0);
            }
            set_errno(libc::ETIMEDOUT);
            Some(-1)
        }
        _ => None,
    }
}

type Start = extern "C" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    Start,
    *mut c_void,
) -> c_int;
type Join = unsafe extern "C" fn(libc::pthread_t, *mut *mut c_void) -> c_int;
type Yield = unsafe extern "C" fn() -> c_int;
type EpollWait = unsafe extern "C" fn(c_int, *mut libc::epoll_event, c_int, c_int) -> c_int;

static PTHREAD_CREATE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static PTHREAD_JOIN: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static SCHED_YIELD: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static EPOLL_WAIT: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// What a new thread is to do.
struct Beginning {
    start: Start,
    argument: *mut c_void,
    number: usize,
    baton: &'static AtomicI32,
}

/// `pthread_create(3)` of a thread that takes turns.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the C library's function has this type.
    let function: Create = unsafe { original(c"pthread_create", &PTHREAD_CREATE) };
    if !turns::takes_part() {
        // SAFETY: the arguments are the caller's.
        return unsafe { function(thread, attributes, start, argument) };
    }
    make_key();
    let (number, baton) = turns::add();
    let beginning = Box::into_raw(Box::new(Beginning { start, argument, number, baton }));
    // SAFETY: the arguments are the caller's, and `live` takes what it is given.
    let made = unsafe { function(thread, attributes, live, beginning.cast()) };
    if made == 0 {
        // SAFETY: the number of the thread was written there.
        let name = unsafe { *thread };
        NUMBERS.lock().unwrap_or_else(PoisonError::into_inner).insert(name, number);
    } else {
        // SAFETY: nobody else has it, since there is no thread.
        drop(unsafe { Box::from_raw(beginning) });
        turns::end(number, false);
    }
    made
}

/// The whole of a thread's life but for what it leaves to be cleared away.
extern "C" fn live(beginning: *mut c_void) -> *mut c_void {
    // SAFETY: it was made for this thread.
    let beginning = unsafe { Box::from_raw(beginning.cast::<Beginning>()) };
    let Beginning { start, argument, number, baton } = *beginning;
    turns::arrive(number, baton);
    say_last(number, 1);
    start(argument)
}

fn make_key() {
    if LAST_WORDS.load(Ordering::Relaxed) != usize::MAX {
        return;
    }
    let mut key = 0;
    // SAFETY: the place has room for a key.
    let made = unsafe { libc::pthread_key_create(&raw mut key, Some(last_words)) };
    assert_eq!(made, 0, "a key of threads cannot be made");
    LAST_WORDS.store(key as usize, Ordering::Relaxed);
}

/// Numbers of a thread and of the round in which its values are cleared away, in one word that is not 0.
fn say_last(number: usize, round: usize) {
    let key = libc::pthread_key_t::try_from(LAST_WORDS.load(Ordering::Relaxed)).unwrap_or(0);
    // SAFETY: the key was made before the first thread, and the value is never followed.
    unsafe { libc::pthread_setspecific(key, (number * ROUNDS + round) as *const c_void) };
}

/// As often the C library clears away a thread's values that come again (`PTHREAD_DESTRUCTOR_ITERATIONS`).
const ROUNDS: usize = 4;

/// The turn is given up after everything else that a thread clears away, which may take locks.
unsafe extern "C" fn last_words(value: *mut c_void) {
    let (number, round) = ((value as usize - 1) / ROUNDS, (value as usize - 1) % ROUNDS + 1);
    if round < ROUNDS {
        say_last(number, round + 1);
    } else {
        turns::end(number, true);
    }
}

/// `pthread_join(3)` that lets others have their turns.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_join(thread: libc::pthread_t, value: *mut *mut c_void) -> c_int {
    if turns::takes_part() {
        let number = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner).get(&thread).copied();
        while number.is_some_and(|n| !turns::is_over(n)) {
            turns::wait(On::End(number.unwrap_or_default()), None);
        }
    }
    // SAFETY: the C library's function has this type.
    let function: Join = unsafe { original(c"pthread_join", &PTHREAD_JOIN) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(thread, value) }
}

/// `sched_yield(2)` in turns.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sched_yield() -> c_int {
    if turns::takes_part() {
        turns::pause();
        return 0;
    }
    // SAFETY: the C library's function has this type.
    let function: Yield = unsafe { original(c"sched_yield", &SCHED_YIELD) };
    // SAFETY: it takes nothing.
    unsafe { function() }
}

/// `epoll_wait(2)` in turns: in the world only its own writes make something to be read.
///
/// # Safety
/// As the C library's: `events` has room for as many as `most` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut libc::epoll_event,
    most: c_int,
    millis: c_int,
) -> c_int {
    // SAFETY: the C library's function has this type.
    let function: EpollWait = unsafe { original(c"epoll_wait", &EPOLL_WAIT) };
    if !turns::takes_part() {
        // SAFETY: the arguments are the caller's.
        return unsafe { function(epoll, events, most, millis) };
    }
    let wait = u64::try_from(millis).ok();
    let until = wait.map(|wait| clock::nanos() + wait * 1_000_000);
    loop {
        // SAFETY: the arguments are the caller's.
        let found = unsafe { function(epoll, events, most, 0) };
        if found != 0 || until.is_some_and(|until| until <= clock::nanos()) {
            return found;
        }
        turns::wait(On::Events, until);
    }
}
