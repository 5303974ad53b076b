//! Disks that are full, that are slow, and that forget what was not synced when a server crashes;
//! and a wall clock that is wrong.
//!
//! The C library's functions that write to files and read the clock are replaced by the ones here (the linker prefers a
//! program's own), so that the code under test needs no seam for them. Files outside of folders that
//! are in trouble are written as ever.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is wrong with the disk of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing more can be written.
    Full,
    /// A sync takes this long.
    Slow(Duration),
    /// No sync ends before the trouble does.
    Hangs,
    /// It says that it has synced, and has not.
    Lies,
}

static TROUBLES: Mutex<Vec<(PathBuf, Trouble)>> = Mutex::new(Vec::new());
/// How many there are, for who only wants to know whether there are any.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A file, by device and number.
type File = (u64, u64);
/// Files that were written to since they were synced, and how long they were then.
static UNSYNCED: Mutex<BTreeMap<File, u64>> = Mutex::new(BTreeMap::new());

/// Seconds by which the wall clock is off, for all servers of the process.
static CLOCK_OFF: AtomicI64 = AtomicI64::new(0);

/// Sets how far the wall clock is off from now on.
pub fn set_clock_off(seconds: i64) {
    CLOCK_OFF.store(seconds, Ordering::SeqCst);
}

/// Trouble that ends when this is dropped.
pub struct InTrouble(PathBuf);

impl Drop for InTrouble {
    fn drop(&mut self) {
        let mut all = lock(&TROUBLES);
        if let Some(at) = all.iter().position(|(folder, _)| *folder == self.0) {
            all.remove(at);
        }
        COUNT.store(all.len(), Ordering::SeqCst);
    }
}

/// Puts everything below a folder in trouble.
pub fn trouble(folder: &Path, what: Trouble) -> InTrouble {
    let mut all = lock(&TROUBLES);
    all.push((folder.to_owned(), what));
    COUNT.store(all.len(), Ordering::SeqCst);
    InTrouble(folder.to_owned())
}

/// Whether a crash at this moment would leave the whole of a file.
pub fn is_synced(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = file.metadata() else { return false };
    !lock(&UNSYNCED).contains_key(&(meta.dev(), meta.ino()))
}

/// Takes from a file what was not synced, as a crash does.
pub fn forget_unsynced(file: &Path) {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = file.metadata() else { return };
    let synced = lock(&UNSYNCED).remove(&(meta.dev(), meta.ino()));
    if let Some(length) = synced.filter(|length| *length < meta.len()) {
        // What is left of the process may take a file away that it had not finished.
        if let Ok(file) = std::fs::OpenOptions::new().write(true).open(file) {
            file.set_len(length).expect("a file of this world is shortened");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is wrong where this file lies.
fn trouble_of(fd: c_int) -> Option<Trouble> {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    let all = lock(&TROUBLES);
    all.iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, what)| *what)
}

/// Number and length of a file on a disk; `None` for what is none.
fn file_of(fd: c_int) -> Option<(File, u64)> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the place has room for what is written there, whatever `fd` is.
    let done = unsafe { libc::fstat(fd, stat.as_mut_ptr()) };
    if done != 0 {
        return None;
    }
    // SAFETY: it was filled in, since the call succeeded.
    let stat = unsafe { stat.assume_init() };
    let is_file = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
    is_file.then(|| ((stat.st_dev, stat.st_ino), u64::try_from(stat.st_size).unwrap_or(0)))
}

/// Notes that a file is about to be written to; whether it can be, as the error number says.
fn has_space(fd: c_int) -> bool {
    let Some((file, length)) = file_of(fd) else { return true };
    if trouble_of(fd) == Some(Trouble::Full) {
        // SAFETY: the address of this thread's error number is always valid.
        unsafe { *libc::__errno_location() = libc::ENOSPC };
        return false;
    }
    lock(&UNSYNCED).entry(file).or_insert(length);
    true
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

static WRITE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static PWRITE64: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static FSYNC: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static FDATASYNC: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static CLOCK_GETTIME: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

type Write = unsafe extern "C" fn(c_int, *const c_void, usize) -> isize;
type PWrite64 = unsafe extern "C" fn(c_int, *const c_void, usize, i64) -> isize;
type Sync = unsafe extern "C" fn(c_int) -> c_int;
type ClockGetTime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;

/// `clock_gettime(2)` with a wall clock that may be wrong.
///
/// # Safety
/// As the C library's: `out` points to a `timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, out: *mut libc::timespec) -> c_int {
    let function = original(c"clock_gettime", &CLOCK_GETTIME);
    // SAFETY: the C library's function has this type.
    let function = unsafe { std::mem::transmute::<*mut c_void, ClockGetTime>(function) };
    // SAFETY: the arguments are the caller's.
    let done = unsafe { function(clock, out) };
    if clock == libc::CLOCK_REALTIME && done == 0 {
        // SAFETY: the caller gives a place for the answer, which was filled in.
        unsafe { (*out).tv_sec += CLOCK_OFF.load(Ordering::Relaxed) };
    }
    done
}

/// `write(2)` of the disks of the world.
///
/// # Safety
/// As the C library's: `bytes` points to `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    if !has_space(fd) {
        return -1;
    }
    let function = original(c"write", &WRITE);
    // SAFETY: the C library's function has this type.
    let function = unsafe { std::mem::transmute::<*mut c_void, Write>(function) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(fd, bytes, count) }
}

/// `pwrite64(2)` of the disks of the world.
///
/// # Safety
/// As the C library's: `bytes` points to `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, count: usize, at: i64) -> isize {
    if !has_space(fd) {
        return -1;
    }
    let function = original(c"pwrite64", &PWRITE64);
    // SAFETY: the C library's function has this type.
    let function = unsafe { std::mem::transmute::<*mut c_void, PWrite64>(function) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(fd, bytes, count, at) }
}

/// `fsync(2)` of the disks of the world.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    // SAFETY: the C library's function has this type.
    let sync = || unsafe { std::mem::transmute::<*mut c_void, Sync>(original(c"fsync", &FSYNC)) };
    synced(fd, sync())
}

/// `fdatasync(2)` of the disks of the world.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    let function = original(c"fdatasync", &FDATASYNC);
    // SAFETY: the C library's function has this type.
    synced(fd, unsafe { std::mem::transmute::<*mut c_void, Sync>(function) })
}

fn synced(fd: c_int, sync: Sync) -> c_int {
    match trouble_of(fd) {
        Some(Trouble::Lies) => return 0,
        Some(Trouble::Slow(time)) => std::thread::sleep(time),
        Some(Trouble::Hangs) => {
            while trouble_of(fd) == Some(Trouble::Hangs) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        _ => {}
    }
    // What is written while it syncs may be on the disk or not.
    let file = file_of(fd);
    if let Some((file, _)) = file {
        lock(&UNSYNCED).remove(&file);
    }
    // SAFETY: the argument is the caller's.
    unsafe { sync(fd) }
}
