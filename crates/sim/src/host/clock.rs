//! Clocks of the world, and what waits for them.

use std::ffi::{c_int, c_long, c_void};
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use super::turns::{self, On};
use super::{entered, original};

/// Nanoseconds since the world began.
static NOW: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds by which the wall clock of who runs now is off.
static WALL_OFF: AtomicI64 = AtomicI64::new(0);

/// The world begins at this time of its monotonic clock, and of its wall clock, in seconds.
const MONOTONIC_BEGIN: u64 = 1_000_000;
const WALL_BEGIN: u64 = 1_900_000_000;
const SECOND: u64 = 1_000_000_000;

/// Time since the world began.
pub fn now() -> Duration {
    Duration::from_nanos(nanos())
}

/// Sets how far the wall clock is off from now on.
pub fn set_wall_clock_off(millis: i64) {
    WALL_OFF.store(millis.saturating_mul(1_000_000), Ordering::Relaxed);
}

/// Nanoseconds since the world began.
pub(super) fn nanos() -> u64 {
    NOW.load(Ordering::Relaxed)
}

/// Lets time pass until then, where it is not later already.
pub(super) fn jump_to(nanos: u64) {
    NOW.fetch_max(nanos, Ordering::Relaxed);
}

/// Lets so much time pass.
pub(super) fn pass(nanos: u64) {
    NOW.fetch_add(nanos, Ordering::Relaxed);
}

/// The end of a wait for this long, in nanoseconds since the world began.
pub(super) fn after(time: libc::timespec) -> u64 {
    nanos().saturating_add(of(time))
}

/// The end of a wait until then on this clock.
pub(super) fn at(clock: libc::clockid_t, end: libc::timespec) -> u64 {
    let (begin, off) = origin(clock);
    of(end).saturating_add_signed(off.saturating_neg()).saturating_sub(begin * SECOND)
}

fn of(time: libc::timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(SECOND).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

fn origin(clock: libc::clockid_t) -> (u64, i64) {
    match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => {
            (WALL_BEGIN, WALL_OFF.load(Ordering::Relaxed))
        }
        _ => (MONOTONIC_BEGIN, 0),
    }
}

static CLOCK_GETTIME: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static CLOCK_NANOSLEEP: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static NANOSLEEP: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

type Time = libc::timespec;
type ClockGetTime = unsafe extern "C" fn(libc::clockid_t, *mut Time) -> c_int;
type ClockNanosleep = unsafe extern "C" fn(libc::clockid_t, c_int, *const Time, *mut Time) -> c_int;
type Nanosleep = unsafe extern "C" fn(*const Time, *mut Time) -> c_int;

/// `clock_gettime(2)` of the world.
///
/// # Safety
/// As the C library's: `out` points to a `timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, out: *mut Time) -> c_int {
    if entered() {
        let (begin, off) = origin(clock);
        let nanos = (begin * SECOND + nanos()).saturating_add_signed(off);
        let seconds = libc::time_t::try_from(nanos / SECOND).unwrap_or(0);
        let rest = c_long::try_from(nanos % SECOND).unwrap_or(0);
        // SAFETY: the caller gives a place for the answer.
        unsafe { *out = Time { tv_sec: seconds, tv_nsec: rest } };
        return 0;
    }
    // SAFETY: the C library's function has this type.
    let function: ClockGetTime = unsafe { original(c"clock_gettime", &CLOCK_GETTIME) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(clock, out) }
}

/// `clock_nanosleep(2)` of the world.
///
/// # Safety
/// As the C library's: `time` points to a `timespec`, and so does `left` where it is not null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    time: *const Time,
    left: *mut Time,
) -> c_int {
    if turns::takes_part() {
        // SAFETY: the caller's promise.
        let time = unsafe { *time };
        let is_absolute = flags & libc::TIMER_ABSTIME != 0;
        turns::wait(On::Time, Some(if is_absolute { at(clock, time) } else { after(time) }));
        return 0;
    }
    // SAFETY: the C library's function has this type.
    let function: ClockNanosleep = unsafe { original(c"clock_nanosleep", &CLOCK_NANOSLEEP) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(clock, flags, time, left) }
}

/// `nanosleep(2)` of the world.
///
/// # Safety
/// As the C library's: `time` points to a `timespec`, and so does `left` where it is not null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nanosleep(time: *const Time, left: *mut Time) -> c_int {
    if turns::takes_part() {
        // SAFETY: the caller's promise.
        let time = unsafe { *time };
        turns::wait(On::Time, Some(after(time)));
        return 0;
    }
    // SAFETY: the C library's function has this type.
    let function: Nanosleep = unsafe { original(c"nanosleep", &NANOSLEEP) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(time, left) }
}
