//! Chance and time as the process gets them from its operating system, made by the seed.
//!
//! The C library's functions for them are replaced by the ones here (the linker prefers a
//! program's own), so that the code under test needs no seams for them and no library can reach
//! around them: keys of hash maps, ids, election timeouts and clocks all follow the seed. Time
//! stands still while the simulating thread works, and jumps to the next timer when it would wait.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_long, c_uint, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use crate::chance::mix;

/// Whether the process has entered the simulated world; until then everything is passed on.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// Nanoseconds since the world began.
static NOW: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds by which the wall clock of who runs now is off.
static WALL_OFF: AtomicI64 = AtomicI64::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);

/// The world begins at this time of its monotonic clock, and of its wall clock, in seconds.
const MONOTONIC_BEGIN: u64 = 1_000_000;
const WALL_BEGIN: u64 = 1_900_000_000;

thread_local! {
    /// The one thread whose waiting moves the time.
    static SIMULATES: Cell<bool> = const { Cell::new(false) };
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// From here on this process lives in the world of `seed`, and this thread is the one that
/// simulates. There is no way back.
pub fn enter(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
    SIMULATES.with(|s| s.set(true));
    ENTERED.store(true, Ordering::SeqCst);
}

/// Time since the world began.
pub fn now() -> Duration {
    Duration::from_nanos(NOW.load(Ordering::Relaxed))
}

/// Sets how far the wall clock is off from now on.
pub fn set_wall_clock_off(millis: i64) {
    WALL_OFF.store(millis.saturating_mul(1_000_000), Ordering::Relaxed);
}

fn entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

fn simulates() -> bool {
    // A thread that is ending has no thread-locals left, and simulates no more.
    entered() && SIMULATES.try_with(Cell::get).unwrap_or(false)
}

/// Random bytes: a stream for the simulating thread, and the same one for every other thread, so
/// that the order in which threads draw changes nothing.
fn draw(out: &mut [u8]) {
    let stream = u64::from(simulates());
    for chunk in out.chunks_mut(8) {
        let n = DRAWN.try_with(|d| d.replace(d.get() + 1)).unwrap_or(0);
        let word = mix(SEED.load(Ordering::Relaxed) ^ (stream << 63) ^ mix(n)).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

/// The C library's own function of this name.
fn original(name: &CStr, known: &AtomicPtr<c_void>) -> *mut c_void {
    let found = known.load(Ordering::Relaxed);
    if !found.is_null() {
        return found;
    }
    // SAFETY: the name ends in a zero byte, and the handle is one the library defines.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null(), "the C library has no {name:?}");
    known.store(found, Ordering::Relaxed);
    found
}

static GETRANDOM: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static CLOCK_GETTIME: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static SYSCALL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

type GetRandom = unsafe extern "C" fn(*mut c_void, usize, c_uint) -> isize;
type ClockGetTime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;
type Syscall = unsafe extern "C" fn(c_long, ...) -> c_long;

/// `getrandom(2)` of the seed.
///
/// # Safety
/// As the C library's: `buffer` has room for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    if entered() {
        // SAFETY: the caller gives room for `length` bytes.
        draw(unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) });
        return isize::try_from(length).unwrap_or(isize::MAX);
    }
    let function = original(c"getrandom", &GETRANDOM);
    // SAFETY: the C library's function has this type.
    let function = unsafe { std::mem::transmute::<*mut c_void, GetRandom>(function) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(buffer, length, flags) }
}

/// `clock_gettime(2)` of the world.
///
/// # Safety
/// As the C library's: `out` points to a `timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, out: *mut libc::timespec) -> c_int {
    if entered() {
        let (begin, off) = match clock {
            libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => {
                (WALL_BEGIN, WALL_OFF.load(Ordering::Relaxed))
            }
            _ => (MONOTONIC_BEGIN, 0),
        };
        let nanos =
            (begin * 1_000_000_000 + NOW.load(Ordering::Relaxed)).saturating_add_signed(off);
        let seconds = libc::time_t::try_from(nanos / 1_000_000_000).unwrap_or(0);
        let rest = c_long::try_from(nanos % 1_000_000_000).unwrap_or(0);
        // SAFETY: the caller gives a place for the answer.
        unsafe { *out = libc::timespec { tv_sec: seconds, tv_nsec: rest } };
        return 0;
    }
    let function = original(c"clock_gettime", &CLOCK_GETTIME);
    // SAFETY: the C library's function has this type.
    let function = unsafe { std::mem::transmute::<*mut c_void, ClockGetTime>(function) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(clock, out) }
}

/// `syscall(2)`, of which two calls are the world's: random bytes, and waiting with a time limit,
/// which ends at once with the clock set forward to its end.
///
/// # Safety
/// As the C library's. It takes any number of arguments, of which the kernel reads six. They come
/// in registers, the last one perhaps in the caller's frame, which is there to be read whether or
/// not the caller gave it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    if entered() && number == libc::SYS_getrandom {
        // SAFETY: of this call `a` is a buffer of `b` bytes.
        draw(unsafe { std::slice::from_raw_parts_mut(a as *mut u8, b) });
        return c_long::try_from(b).unwrap_or(c_long::MAX);
    }
    let waits = c_int::try_from(b).unwrap_or(0) & libc::FUTEX_CMD_MASK == libc::FUTEX_WAIT_BITSET;
    if number == libc::SYS_futex && waits && d != 0 && simulates() {
        // SAFETY: of this call `a` is the word that is waited on, `d` the end of the wait.
        let (word, end) = unsafe { (&*(a as *const AtomicI32), *(d as *const libc::timespec)) };
        let changed = word.load(Ordering::SeqCst) != i32::from_ne_bytes((c as u32).to_ne_bytes());
        if !changed {
            jump_to(end);
        }
        // SAFETY: the address of this thread's error number is always valid.
        unsafe { *libc::__errno_location() = if changed { libc::EAGAIN } else { libc::ETIMEDOUT } };
        return -1;
    }
    let function = original(c"syscall", &SYSCALL);
    // SAFETY: the C library's function has this type.
    let function = unsafe { std::mem::transmute::<*mut c_void, Syscall>(function) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(number, a, b, c, d, e, f) }
}

fn jump_to(end: libc::timespec) {
    let seconds = u64::try_from(end.tv_sec).unwrap_or(0).saturating_sub(MONOTONIC_BEGIN);
    let nanos = seconds * 1_000_000_000 + u64::try_from(end.tv_nsec).unwrap_or(0);
    NOW.fetch_max(nanos, Ordering::Relaxed);
}
