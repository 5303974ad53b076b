//! Chance, time, threads and files as the process gets them from its operating system, made by the seed.
//!
//! The C library's functions for them are replaced by the ones here (the linker prefers a
//! program's own), so that the code under test needs no seams for them and no library can reach
//! around them: keys of hash maps, ids, election timeouts and clocks all follow the seed. One
//! thread runs at any time (`turns`), and time jumps to the next timer when all would wait.
#![allow(unsafe_code)]

mod clock;
pub mod files;
mod threads;
mod turns;

use std::ffi::{CStr, c_int, c_long, c_uint, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

pub use clock::{now, set_wall_clock_off};

use crate::chance::mix;

/// Whether the process has entered the simulated world; until then everything is passed on.
static ENTERED: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);
/// How many words were drawn.
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// From here on this process lives in the world of `seed`, and this thread and those it makes take
/// turns in it. There is no way back.
pub fn enter(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
    turns::begin(seed);
    ENTERED.store(true, Ordering::SeqCst);
}

fn entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

/// Random bytes of one stream: threads draw in the order of their turns, which follows the seed.
fn draw(out: &mut [u8]) {
    for chunk in out.chunks_mut(8) {
        let n = DRAWN.fetch_add(1, Ordering::Relaxed);
        let word = mix(SEED.load(Ordering::Relaxed) ^ mix(n)).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

/// The C library's own function of this name.
///
/// # Safety
/// `F` is the type of that function.
unsafe fn original<F: Copy>(name: &CStr, known: &AtomicPtr<c_void>) -> F {
    let mut found = known.load(Ordering::Relaxed);
    if found.is_null() {
        // SAFETY: the name ends in a zero byte, and the handle is one the library defines.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        assert!(!found.is_null(), "the C library has no {name:?}");
        known.store(found, Ordering::Relaxed);
    }
    assert_eq!(size_of::<F>(), size_of_val(&found), "a function is a pointer");
    // SAFETY: the caller's promise, and it is not null.
    unsafe { std::mem::transmute_copy(&found) }
}

fn set_errno(error: c_int) {
    // SAFETY: the address of this thread's error number is always valid.
    unsafe { *libc::__errno_location() = error };
}

static GETRANDOM: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static SYSCALL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

type GetRandom = unsafe extern "C" fn(*mut c_void, usize, c_uint) -> isize;
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
    // SAFETY: the C library's function has this type.
    let function: GetRandom = unsafe { original(c"getrandom", &GETRANDOM) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(buffer, length, flags) }
}

/// `syscall(2)`, of which two calls are the world's: random bytes, and waiting for a word and
/// waking who waits for it, of which locks, channels and parked threads are made.
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
    if number == libc::SYS_futex && turns::takes_part() {
        // SAFETY: the arguments are those of this call.
        if let Some(answer) = unsafe { threads::futex(a, b, c, d) } {
            return answer;
        }
    }
    // SAFETY: the arguments are the caller's.
    unsafe { real_syscall(number, a, b, c, d, e, f) }
}

/// The kernel's call of this number.
///
/// # Safety
/// As that call's.
unsafe fn real_syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    // SAFETY: the C library's function has this type.
    let function: Syscall = unsafe { original(c"syscall", &SYSCALL) };
    // SAFETY: the caller's promise.
    unsafe { function(number, a, b, c, d, e, f) }
}
