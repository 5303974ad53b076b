//! Disks that are full, that are slow, that hang, and that forget what was not synced when a server
//! crashes.
//!
//! Files outside of the world's folder are written as ever.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::fs::{File, OpenOptions};
use std::mem::MaybeUninit;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::turns::{self, On};
use super::{original, set_errno};
use crate::chance::Chance;

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
    /// The process that used it was killed: what is left of that writes nothing.
    Abandoned,
}

/// How long a sync takes at most where nothing is wrong.
const SYNC: Duration = Duration::from_millis(3);

/// How long a sync hangs at most, lest a world whose threads all wait for it never ends.
const HANGS: Duration = Duration::from_secs(60);

/// The folder of the world, below which disks are those of the world.
static ROOT: Mutex<Option<PathBuf>> = Mutex::new(None);
static TROUBLES: Mutex<Vec<(PathBuf, Trouble)>> = Mutex::new(Vec::new());

/// A file, by device and number.
type Id = (u64, u64);
/// What was written to files since they were synced, in order.
static UNSYNCED: Mutex<BTreeMap<Id, Vec<Change>>> = Mutex::new(BTreeMap::new());

/// One write, or one change of a file's length, and what undoes it.
struct Change {
    at: u64,
    before: Vec<u8>,
    length_before: u64,
    now: Vec<u8>,
    /// Of a change of the length.
    length: Option<u64>,
}

/// While this is so, files are changed by the world and not by a server.
static BY_WORLD: AtomicBool = AtomicBool::new(false);

/// Changes files as no server does, such as a disk that damages them.
pub fn by_the_world<T>(work: impl FnOnce() -> T) -> T {
    BY_WORLD.store(true, Ordering::SeqCst);
    let done = work();
    BY_WORLD.store(false, Ordering::SeqCst);
    done
}

/// Disks below this folder are those of the world.
pub fn watch(root: &Path) {
    *lock(&ROOT) = Some(root.to_owned());
}

/// Trouble that ends when this is dropped.
pub struct InTrouble(PathBuf, Trouble);

impl Drop for InTrouble {
    fn drop(&mut self) {
        let mut all = lock(&TROUBLES);
        if let Some(at) = all.iter().position(|(folder, t)| *folder == self.0 && *t == self.1) {
            all.remove(at);
        }
    }
}

/// Puts everything below a folder in trouble.
pub fn trouble(folder: &Path, what: Trouble) -> InTrouble {
    lock(&TROUBLES).push((folder.to_owned(), what));
    InTrouble(folder.to_owned(), what)
}

/// The process that uses the disk of this folder is killed: what is left of it writes nothing more.
pub fn abandon(folder: &Path) {
    lock(&TROUBLES).push((folder.to_owned(), Trouble::Abandoned));
}

/// Whether a crash at this moment would leave the whole of a file.
pub fn is_synced(file: &Path) -> bool {
    let Ok(meta) = file.metadata() else { return false };
    !lock(&UNSYNCED).contains_key(&(meta.dev(), meta.ino()))
}

/// Copies a file as a crash leaves it: without what was not synced, of which some may have come to the
/// disk, in any order, and some of that in part. Whether anything was not synced.
///
/// # Errors
/// What goes wrong with one of the files.
pub fn as_after_a_crash(from: &Path, to: &Path, chance: &mut Chance) -> std::io::Result<bool> {
    let meta = from.metadata()?;
    let changes = lock(&UNSYNCED).remove(&(meta.dev(), meta.ino())).unwrap_or_default();
    by_the_world(|| {
        std::fs::create_dir_all(to.parent().unwrap_or(to))?;
        std::fs::copy(from, to)?;
        let file = OpenOptions::new().write(true).open(to)?;
        for change in changes.iter().rev() {
            file.set_len(change.length_before)?;
            file.write_all_at(&change.before, change.at)?;
        }
        for change in &changes {
            let part = match chance.within(0..4) {
                0 | 1 => continue,
                2 => change.now.len() / 2,
                _ => change.now.len(),
            };
            match change.length {
                Some(length) => file.set_len(length)?,
                None => file.write_all_at(&change.now[..part], change.at)?,
            }
        }
        Ok(!changes.is_empty())
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Number and length of a file; `None` for what is none.
fn file_of(fd: c_int) -> Option<(Id, u64)> {
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

/// The file where it is one of the world's, and what is wrong where it lies.
fn in_world(fd: c_int) -> Option<(Id, u64, Option<Trouble>)> {
    if fd <= libc::STDERR_FILENO || BY_WORLD.load(Ordering::SeqCst) {
        return None;
    }
    let (id, length) = file_of(fd)?;
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    if !lock(&ROOT).as_ref().is_some_and(|root| path.starts_with(root)) {
        return None;
    }
    let all = lock(&TROUBLES);
    let is_there = |what: &Trouble| *what != Trouble::Abandoned;
    let of = || all.iter().filter(|(folder, _)| path.starts_with(folder)).map(|(_, what)| *what);
    let what = of().find(|what| !is_there(what)).or_else(|| of().find(is_there));
    Some((id, length, what))
}

/// Notes a change that is about to be made to a file of the world; whether it can be, as the error
/// number says.
fn may_change(fd: c_int, at: Option<u64>, now: &[u8], to: Option<u64>) -> bool {
    let Some((id, length_before, what)) = in_world(fd) else { return true };
    let grows = to.is_none_or(|to| to > length_before);
    match what {
        Some(Trouble::Full) if grows => {
            set_errno(libc::ENOSPC);
            return false;
        }
        Some(Trouble::Abandoned) => {
            set_errno(libc::EIO);
            return false;
        }
        _ => {}
    }
    let at = at.unwrap_or_else(|| position(fd, length_before));
    let end = to.map_or(at + now.len() as u64, |_| length_before).min(length_before);
    let mut before = vec![0; usize::try_from(end.saturating_sub(at)).unwrap_or(0)];
    if !before.is_empty() {
        // It may be open for writing only.
        let read = File::open(format!("/proc/self/fd/{fd}"))
            .and_then(|file| file.read_exact_at(&mut before, at));
        read.expect("a file of the world can be read");
    }
    let change = Change { at, before, length_before, now: now.to_vec(), length: to };
    lock(&UNSYNCED).entry(id).or_default().push(change);
    true
}

/// Where the next write without a place goes.
fn position(fd: c_int, length: u64) -> u64 {
    // SAFETY: both calls only ask, of whatever `fd` is.
    let (flags, at) =
        unsafe { (libc::fcntl(fd, libc::F_GETFL), libc::lseek(fd, 0, libc::SEEK_CUR)) };
    if flags & libc::O_APPEND != 0 { length } else { u64::try_from(at).unwrap_or(0) }
}

static WRITE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static PWRITE64: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static FTRUNCATE64: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static FSYNC: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static FDATASYNC: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

type Write = unsafe extern "C" fn(c_int, *const c_void, usize) -> isize;
type PWrite64 = unsafe extern "C" fn(c_int, *const c_void, usize, i64) -> isize;
type Truncate = unsafe extern "C" fn(c_int, i64) -> c_int;
type Sync = unsafe extern "C" fn(c_int) -> c_int;

/// The bytes that a caller gives.
///
/// # Safety
/// `bytes` points to `count` bytes that stay as they are for as long as the answer is used.
unsafe fn given<'a>(bytes: *const c_void, count: usize) -> &'a [u8] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(bytes.cast(), count) }
}

/// `write(2)` of the disks of the world.
///
/// # Safety
/// As the C library's: `bytes` points to `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    let takes_part = turns::takes_part();
    // SAFETY: the caller's promise.
    if takes_part && !may_change(fd, None, unsafe { given(bytes, count) }, None) {
        return -1;
    }
    // SAFETY: the C library's function has this type.
    let function: Write = unsafe { original(c"write", &WRITE) };
    // SAFETY: the arguments are the caller's.
    let written = unsafe { function(fd, bytes, count) };
    // What the world prints changes nothing in it, wherever that goes.
    if takes_part && fd > libc::STDERR_FILENO && file_of(fd).is_none() {
        turns::wake(On::Events, usize::MAX);
    }
    written
}

/// `pwrite64(2)` of the disks of the world.
///
/// # Safety
/// As the C library's: `bytes` points to `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, count: usize, at: i64) -> isize {
    let place = u64::try_from(at).ok();
    // SAFETY: the caller's promise.
    let now = unsafe { given(bytes, count) };
    if turns::takes_part() && !may_change(fd, place, now, None) {
        return -1;
    }
    // SAFETY: the C library's function has this type.
    let function: PWrite64 = unsafe { original(c"pwrite64", &PWRITE64) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(fd, bytes, count, at) }
}

/// `ftruncate64(2)` of the disks of the world.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(fd: c_int, length: i64) -> c_int {
    let to = u64::try_from(length).ok();
    if turns::takes_part() && !may_change(fd, to, &[], to) {
        return -1;
    }
    // SAFETY: the C library's function has this type.
    let function: Truncate = unsafe { original(c"ftruncate64", &FTRUNCATE64) };
    // SAFETY: the arguments are the caller's.
    unsafe { function(fd, length) }
}

/// `fsync(2)` of the disks of the world.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    // SAFETY: the C library's function has this type.
    synced(fd, unsafe { original(c"fsync", &FSYNC) })
}

/// `fdatasync(2)` of the disks of the world.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    // SAFETY: the C library's function has this type.
    synced(fd, unsafe { original(c"fdatasync", &FDATASYNC) })
}

fn synced(fd: c_int, sync: Sync) -> c_int {
    if turns::takes_part()
        && let Some((id, _, mut what)) = in_world(fd)
    {
        let mut chance = [0];
        super::draw(&mut chance);
        let slow = if let Some(Trouble::Slow(time)) = what { time } else { Duration::ZERO };
        std::thread::sleep(slow + SYNC * u32::from(chance[0]) / 255);
        // Its process may have been killed meanwhile.
        what = in_world(fd).and_then(|(_, _, what)| what);
        let until = super::now() + HANGS;
        while what == Some(Trouble::Hangs) && super::now() < until {
            std::thread::sleep(Duration::from_millis(5));
            what = in_world(fd).and_then(|(_, _, what)| what);
        }
        match what {
            Some(Trouble::Lies) => return 0,
            Some(Trouble::Abandoned) => {
                set_errno(libc::EIO);
                return -1;
            }
            _ => {}
        }
        // What is written while it syncs may be on the disk or not.
        lock(&UNSYNCED).remove(&id);
    }
    // SAFETY: the argument is the caller's.
    unsafe { sync(fd) }
}
