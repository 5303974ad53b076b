//! A disk that forgets what was not synced when its server crashes, that fills up, and that takes
//! its time.
//!
//! Reads see every write. A crash keeps what was synced, and of the writes since then some, in
//! any order, some of them only in part, as disks do.

use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redb::StorageBackend;

use crate::chance::Chance;
use crate::host;

/// What a disk writes at once.
const SECTOR: usize = 512;

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Debug, Default)]
struct Platter {
    /// What a crash leaves.
    synced: Vec<u8>,
    /// What reads see.
    seen: Vec<u8>,
    since: Vec<Change>,
    /// How many of the changes since then will be on the disk, and when.
    under_way: Vec<(Duration, usize)>,
    /// Whether the server that had it open has crashed: nothing it does arrives any more.
    torn_off: bool,
    faults: DiskFaults,
}

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFaults {
    /// Nothing can be written.
    pub full: bool,
    /// How long a sync takes.
    pub slow: Duration,
    /// Nothing is synced before this time.
    pub hangs_until: Duration,
    pub lies: Lies,
}

/// What a disk says that is not so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lies {
    #[default]
    Nothing,
    /// That it has synced.
    Always,
    /// That it has taken in what it has no space for.
    WhenFull,
    /// That it has synced what will be on it only later.
    WhenSlow,
}

impl DiskFaults {
    /// Well again, but for what it says.
    pub fn gone(self) -> Self {
        Self { lies: self.lies, ..Self::default() }
    }

    /// How long a sync takes that begins now.
    fn takes(&self) -> Duration {
        self.slow.max(self.hangs_until.saturating_sub(host::now()))
    }
}

/// One server's disk as one of its lives sees it.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

fn apply(to: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(n) => to.resize(*n, 0),
        Change::Write { at, bytes } => {
            if to.len() < at + bytes.len() {
                to.resize(at + bytes.len(), 0);
            }
            to[*at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

fn place(at: u64, length: usize) -> Range<usize> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    at..at.saturating_add(length)
}

impl Disk {
    /// A disk that holds this much.
    pub fn of(content: Vec<u8>) -> Self {
        let platter = Platter { seen: content.clone(), synced: content, ..Platter::default() };
        Self(Arc::new(Mutex::new(platter)))
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_faults(&self, faults: DiskFaults) {
        self.platter().faults = faults;
    }

    pub fn faults(&self) -> DiskFaults {
        self.platter().faults
    }

    /// How long who syncs now has to wait.
    pub fn pace(&self) -> Duration {
        let faults = self.faults();
        if faults.lies == Lies::WhenSlow { Duration::ZERO } else { faults.takes() }
    }

    /// What a crash at this moment is sure to leave.
    pub fn synced(&self) -> Vec<u8> {
        let mut platter = self.platter();
        platter.settle();
        platter.synced.clone()
    }

    /// The server crashes: what it holds of the disk has no effect any more, and the disk as the
    /// next life finds it is given back.
    pub fn crash(&self, chance: &mut Chance) -> Self {
        let mut old = self.platter();
        old.settle();
        old.torn_off = true;
        let mut left = std::mem::take(&mut old.synced);
        let since = std::mem::take(&mut old.since);
        old.seen = Vec::new();
        // Most crashes lose everything or nothing; some lose single writes or halves of them.
        let kind = chance.within(0..4);
        for change in since {
            match kind {
                0 => break,
                1 => apply(&mut left, &change),
                _ if chance.one_in(2) => {}
                _ => apply(&mut left, &torn(change, chance)),
            }
        }
        let new = Self::of(left);
        new.set_faults(old.faults.gone());
        new
    }
}

/// The first sectors of a write, sometimes all of them.
fn torn(change: Change, chance: &mut Chance) -> Change {
    match change {
        Change::Write { at, mut bytes } if chance.one_in(3) => {
            let sectors = chance.within(0..(bytes.len() / SECTOR + 1) as u64);
            bytes.truncate(usize::try_from(sectors).unwrap_or(0) * SECTOR);
            Change::Write { at, bytes }
        }
        whole => whole,
    }
}

impl Platter {
    fn change(&mut self, change: Change) -> Result<()> {
        if self.torn_off {
            return Ok(());
        }
        if self.faults.full && self.faults.lies != Lies::WhenFull {
            return Err(Error::new(ErrorKind::StorageFull, "no space left on the disk"));
        }
        apply(&mut self.seen, &change);
        if !self.faults.full {
            self.since.push(change);
        }
        Ok(())
    }

    /// What was under way until now is on the disk.
    fn settle(&mut self) {
        while let Some((at, count)) = self.under_way.first().copied()
            && at <= host::now()
        {
            self.under_way.remove(0);
            for change in self.since.drain(..count.min(self.since.len())) {
                apply(&mut self.synced, &change);
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.platter().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let platter = self.platter();
        let found = platter.seen.get(place(offset, out.len()));
        out.copy_from_slice(found.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.platter().change(Change::Length(usize::try_from(len).unwrap_or(usize::MAX)))
    }

    fn sync_data(&self) -> Result<()> {
        let mut platter = self.platter();
        if platter.torn_off {
            return Ok(());
        }
        let later = match platter.faults.lies {
            Lies::Always => return Ok(()),
            Lies::WhenSlow => platter.faults.takes(),
            Lies::Nothing | Lies::WhenFull => Duration::ZERO,
        };
        let under_way: usize = platter.under_way.iter().map(|(_, count)| *count).sum();
        let count = platter.since.len().saturating_sub(under_way);
        let last = platter.under_way.last().map_or(Duration::ZERO, |(at, _)| *at);
        platter.under_way.push((last.max(host::now() + later), count));
        platter.settle();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let at = place(offset, 0).start;
        self.platter().change(Change::Write { at, bytes: data.to_vec() })
    }
}
