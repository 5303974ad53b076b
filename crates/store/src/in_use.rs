//! Segments that somebody uses, and how much of their files is held in memory.
//!
//! A file that is held in memory answers right whatever becomes of it on the disk, and the disk's
//! file can be written anew from it. What does not fit into the budget is mapped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::bytes::Bytes;
use crate::object_dir::Hash;
use crate::segment::Segment;

#[derive(Debug)]
struct Entry {
    segment: Weak<Segment>,
    /// The file's bytes, where they are held.
    file: Weak<Vec<u8>>,
    length: usize,
}

#[derive(Debug)]
pub(crate) struct InUse {
    /// Bytes of files that may be held together.
    budget: usize,
    segments: Mutex<HashMap<Hash, Entry>>,
}

impl InUse {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, segments: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Entry>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, hash: &Hash) -> Option<Arc<Segment>> {
        self.lock().get(hash)?.segment.upgrade()
    }

    /// The bytes of a segment's file, where they are held.
    pub(crate) fn file(&self, hash: &Hash) -> Option<Arc<Vec<u8>>> {
        self.lock().get(hash)?.file.upgrade()
    }

    /// Whether a file of this length may be held too.
    pub(crate) fn has_room(&self, length: u64) -> bool {
        let segments = self.lock();
        let held = segments.values().filter(|e| e.file.strong_count() > 0).map(|e| e.length);
        let free = self.budget.saturating_sub(held.sum());
        usize::try_from(length).is_ok_and(|length| length <= free)
    }

    pub(crate) fn add(&self, hash: Hash, segment: &Arc<Segment>, bytes: &Bytes) {
        let entry = Entry {
            segment: Arc::downgrade(segment),
            file: bytes.memory().map(Arc::downgrade).unwrap_or_default(),
            length: bytes.len(),
        };
        let mut segments = self.lock();
        segments.retain(|_, e| e.segment.strong_count() > 0);
        segments.insert(hash, entry);
    }
}

/// Half of the memory this process may have.
pub fn half_of_memory() -> usize {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
        let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes << 10)
    });
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min().unwrap_or(2 << 30) / 2
}
