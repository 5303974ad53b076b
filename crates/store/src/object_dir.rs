//! A folder of immutable objects, each named by the BLAKE3 hash of its bytes.
//!
//! `objects/ab/<64 hexadecimal digits>`; a file appears whole or not at all. With a vault files are
//! written encrypted, as `sealed/cd/<64 hexadecimal digits>`, under a name made of the hash with a
//! key; those in `objects` are read until [`ObjectDir::renew`] has written them there.

use std::collections::HashSet;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use evercube_base::{Error, ErrorKind, Result};
use evercube_vault::Vault;

use crate::bytes::Bytes;
use crate::in_use::{InUse, half_of_memory};
use crate::object_file::ObjectFile;
use crate::segment::Segment;

/// BLAKE3 hash of an object's bytes, which is its name.
pub type Hash = [u8; 32];

mod renew;

pub use renew::Stale;

#[derive(Debug)]
pub struct ObjectDir {
    root: PathBuf,
    sealed: Option<Sealed>,
    temporary: AtomicU64,
    /// Written to while an object is looked at and deleted.
    sweeping: RwLock<()>,
    /// Read while a file is written, from the choice of its key to its name.
    writing: RwLock<()>,
    in_use: InUse,
    /// What the disk did not take, until it would.
    refused: Mutex<Option<Refused>>,
}

/// A file that the disk did not take.
#[derive(Debug, Clone)]
struct Refused {
    bytes: usize,
    why: String,
}

/// Where encrypted files lie, and what they are encrypted with.
#[derive(Debug)]
struct Sealed {
    root: PathBuf,
    vault: Arc<Vault>,
}

pub(crate) fn failed(what: &str, path: &Path, e: &std::io::Error) -> Error {
    let kind = if e.kind() == std::io::ErrorKind::StorageFull {
        ErrorKind::Limit
    } else {
        ErrorKind::Source
    };
    Error::new(kind, format!("{} could not be {what}: {e}", path.display()))
}

pub(crate) fn hex(hash: &Hash) -> String {
    blake3::Hash::from(*hash).to_hex().to_string()
}

impl ObjectDir {
    /// Opens the folder, making it where it is not there.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_with(folder, None)
    }

    /// As [`ObjectDir::open`]; what is written is encrypted with the vault.
    pub fn open_with(folder: &Path, vault: Option<Arc<Vault>>) -> Result<Self> {
        let root = folder.join("objects");
        fs::create_dir_all(&root).map_err(|e| failed("made", &root, &e))?;
        let sealed = vault.map(|vault| Sealed { root: folder.join("sealed"), vault });
        if let Some(Sealed { root, .. }) = &sealed {
            fs::create_dir_all(root).map_err(|e| failed("made", root, &e))?;
        }
        Ok(Self {
            root,
            sealed,
            temporary: AtomicU64::new(0),
            sweeping: RwLock::default(),
            writing: RwLock::default(),
            in_use: InUse::new(half_of_memory()),
            refused: Mutex::default(),
        })
    }

    /// The file of an object as it is without a vault.
    fn plain_file(&self, hash: &Hash) -> ObjectFile<'_> {
        ObjectFile { path: shelved(&self.root, hash), vault: None }
    }

    /// The file an object is written to.
    fn own_file(&self, hash: &Hash) -> ObjectFile<'_> {
        match &self.sealed {
            None => self.plain_file(hash),
            Some(Sealed { root, vault }) => {
                ObjectFile { path: shelved(root, &vault.hidden_name(hash)), vault: Some(vault) }
            }
        }
    }

    /// The file an object lies in, or would lie in.
    fn file(&self, hash: &Hash) -> ObjectFile<'_> {
        let own = self.own_file(hash);
        if self.sealed.is_none() || own.path.exists() {
            return own;
        }
        let plain = self.plain_file(hash);
        if plain.path.exists() { plain } else { own }
    }

    /// What `look` finds in an object's file. The file may be written anew elsewhere meanwhile.
    fn with_file<T>(&self, hash: &Hash, look: impl Fn(&ObjectFile<'_>) -> Result<T>) -> Result<T> {
        let file = self.file(hash);
        let found = look(&file);
        let moved = self.sealed.is_some() && file.vault.is_none();
        let found = match found {
            Err(e) if e.kind == ErrorKind::NotFound && moved => look(&self.own_file(hash)),
            found => found,
        };
        found.map_err(|e| named(hash, e))
    }

    #[cfg(test)]
    fn path(&self, hash: &Hash) -> PathBuf {
        self.file(hash).path
    }

    /// Stores bytes under their hash and waits until they are on the disk.
    pub fn put(&self, bytes: &[u8]) -> Result<Hash> {
        let hash = *blake3::hash(bytes).as_bytes();
        if self.hold(&hash) && self.file(&hash).holds(bytes) {
            return Ok(hash);
        }
        self.write(&hash, bytes)?;
        Ok(hash)
    }

    /// Writes an object's file, in place of one that may be there.
    fn write(&self, hash: &Hash, bytes: &[u8]) -> Result<()> {
        self.write_file(&self.own_file(hash), bytes, None)
    }

    /// Writes a file; `used` is when it was used last, where that is not now.
    fn write_file(
        &self,
        file: &ObjectFile<'_>,
        bytes: &[u8],
        used: Option<SystemTime>,
    ) -> Result<()> {
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        let path = &file.path;
        let shelf = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(shelf).map_err(|e| self.refused("made", shelf, bytes, &e))?;
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{number}.part", std::process::id()));
        let write = || -> std::io::Result<()> {
            let mut out = fs::File::create(&temporary)?;
            file.write_to(&mut out, bytes)?;
            used.map_or(Ok(()), |used| out.set_modified(used))?;
            out.sync_all()?;
            fs::rename(&temporary, path)?;
            fs::File::open(shelf)?.sync_all()
        };
        write().map_err(|e| {
            let _left_behind = fs::remove_file(&temporary);
            self.refused("written", path, bytes, &e)
        })
    }

    fn refused(&self, what: &str, path: &Path, bytes: &[u8], e: &std::io::Error) -> Error {
        let refused = Refused { bytes: bytes.len(), why: e.to_string() };
        *self.last_refused() = Some(refused);
        failed(what, path, e)
    }

    fn last_refused(&self) -> MutexGuard<'_, Option<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the disk takes no objects, since it did not take one: it is full, read only, failing. What
    /// was written of that one is gone again.
    pub fn refuses(&self) -> Option<String> {
        self.last_refused().as_ref().map(|refused| refused.why.clone())
    }

    /// Looks whether a disk that did not take an object would now: it has as much space and takes a
    /// small file.
    pub fn try_again(&self) {
        let Some(Refused { bytes, .. }) = *self.last_refused() else { return };
        let space = rustix::fs::statvfs(&self.root).map(|s| s.f_bavail.saturating_mul(s.f_frsize));
        let small = self.root.join(format!("{}-space.part", std::process::id()));
        let takes = || fs::write(&small, b"x").and_then(|()| fs::File::open(&small)?.sync_all());
        let takes = space.is_ok_and(|space| space >= bytes as u64) && takes().is_ok();
        let _was_not_made = fs::remove_file(&small);
        if takes {
            self.last_refused().take();
        }
    }

    pub fn has(&self, hash: &Hash) -> bool {
        self.file(hash).path.exists()
    }

    /// Whether an object is here; if so it counts as used now and outlives the next
    /// [`ObjectDir::sweep`].
    pub fn hold(&self, hash: &Hash) -> bool {
        let _not_swept = self.sweeping.read().unwrap_or_else(PoisonError::into_inner);
        let used = self.with_file(hash, |file| {
            let used = fs::File::open(&file.path).and_then(|f| f.set_modified(SystemTime::now()));
            used.map_err(|e| failed("used", &file.path, &e))
        });
        used.is_ok()
    }

    /// Deletes what is neither to be kept nor was written or held for `unused`: objects, and what
    /// writing or setting aside left behind. How many files that were, and their bytes.
    pub fn sweep(&self, keep: &HashSet<Hash>, unused: Duration) -> Result<(usize, u64)> {
        let mut kept: HashSet<String> = keep.iter().map(hex).collect();
        if let Some(Sealed { vault, .. }) = &self.sealed {
            kept.extend(keep.iter().map(|hash| hex(&vault.hidden_name(hash))));
        }
        let mut swept = (0, 0);
        for shelf in self.shelves()? {
            for file in listed(&shelf)? {
                if file.file_name().to_str().is_some_and(|name| kept.contains(name)) {
                    continue;
                }
                // Nobody takes hold of the file between the look and the deletion.
                let _alone = self.sweeping.write().unwrap_or_else(PoisonError::into_inner);
                let Ok(meta) = file.metadata() else { continue };
                let age = meta.modified().ok().and_then(|m| m.elapsed().ok());
                if age.is_some_and(|age| age >= unused) && fs::remove_file(file.path()).is_ok() {
                    swept = (swept.0 + 1, swept.1 + meta.len());
                }
            }
        }
        Ok(swept)
    }

    /// The folders that files lie in.
    fn shelves(&self) -> Result<Vec<PathBuf>> {
        let mut shelves = Vec::new();
        for root in [Some(&self.root), self.sealed.as_ref().map(|s| &s.root)].into_iter().flatten()
        {
            shelves.extend(listed(root)?.iter().map(fs::DirEntry::path).filter(|p| p.is_dir()));
        }
        Ok(shelves)
    }

    /// Length of an object, without reading it.
    pub fn length(&self, hash: &Hash) -> Result<u64> {
        self.with_file(hash, |file| file.length())
    }

    /// The bytes of an object, checked against its name. A damaged file is set aside, so that
    /// it counts as missing and is fetched again.
    ///
    /// # Errors
    /// `NotFound`, or `Corrupt` where the bytes are not what the name says.
    pub fn get(&self, hash: &Hash) -> Result<Vec<u8>> {
        self.checked(hash, self.with_file(hash, |file| file.read()))
    }

    /// The bytes of an object as [`ObjectDir::get`] gives them, of its file mapped where it is not
    /// encrypted.
    ///
    /// # Errors
    /// As [`ObjectDir::get`].
    pub fn map(&self, hash: &Hash) -> Result<Bytes> {
        self.checked(hash, self.with_file(hash, |file| file.map()))
    }

    fn checked<T: Deref<Target = [u8]>>(&self, hash: &Hash, read: Result<T>) -> Result<T> {
        let checked = read.and_then(|bytes| match blake3::hash(&bytes).as_bytes() == hash {
            true => Ok(bytes),
            false => Err(damaged(hash)),
        });
        if checked.as_ref().is_err_and(|e| e.kind == ErrorKind::Corrupt) {
            self.set_aside(hash);
        }
        checked
    }

    /// A segment, checked against its name. One that is in use already is shared. Its file is held
    /// in memory while there is room, and else mapped.
    ///
    /// # Errors
    /// As [`ObjectDir::get`], or `Unsupported` where it is of a format this server does not know.
    pub fn segment(&self, hash: &Hash) -> Result<Arc<Segment>> {
        if let Some(known) = self.in_use.get(hash) {
            return Ok(known);
        }
        let length = self.length(hash).unwrap_or(0);
        let bytes = match self.in_use.has_room(length) {
            true => Bytes::from(self.get(hash)?),
            false => self.map(hash)?,
        };
        let segment = Arc::new(Segment::from_bytes(&bytes)?);
        self.in_use.add(*hash, &segment, &bytes);
        Ok(segment)
    }

    /// A segment as its file is now, whoever uses it.
    ///
    /// # Errors
    /// As [`ObjectDir::segment`]; a damaged file is left where it is.
    pub fn segment_afresh(&self, hash: &Hash) -> Result<Arc<Segment>> {
        let bytes = self.with_file(hash, |file| file.read())?;
        if blake3::hash(&bytes).as_bytes() != hash {
            return Err(damaged(hash));
        }
        Segment::from_bytes(&Bytes::from(bytes)).map(Arc::new)
    }

    /// Reads an object again, from the disk where that can be, and compares it with its name,
    /// leaving it where it is; its length.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` where the bytes are not what the name says.
    pub fn verify(&self, hash: &Hash) -> Result<u64> {
        let (found, length) = self.with_file(hash, |file| file.digest())?;
        if found == *hash { Ok(length) } else { Err(damaged(hash)) }
    }

    /// Takes a file whose bytes are not what its name says out of the way; it then counts as missing.
    pub fn set_aside(&self, hash: &Hash) {
        let path = self.file(hash).path;
        let _may_be_gone = fs::rename(&path, path.with_extension("damaged"));
    }

    /// Writes a segment's file anew from memory; false where it is not held there.
    pub fn write_from_memory(&self, hash: &Hash) -> Result<bool> {
        match self.in_use.file(hash).filter(|bytes| blake3::hash(bytes).as_bytes() == hash) {
            Some(bytes) => self.write(hash, &bytes).map(|()| true),
            None => Ok(false),
        }
    }

    pub fn delete(&self, hash: &Hash) -> Result<()> {
        let path = self.file(hash).path;
        fs::remove_file(&path).map_err(|e| failed("deleted", &path, &e))
    }
}

fn shelved(root: &Path, name: &Hash) -> PathBuf {
    let name = hex(name);
    let (shelf, _) = name.split_at(2);
    root.join(shelf).join(&name)
}

fn listed(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    let read = fs::read_dir(folder).map_err(|e| failed("listed", folder, &e))?;
    Ok(read.flatten().collect())
}

/// An error of an object's file with the object's name, which an encrypted one does not have.
fn named(hash: &Hash, e: Error) -> Error {
    match e.kind {
        ErrorKind::NotFound => {
            Error::not_found(format!("object {} is not on this server", hex(hash)))
        }
        ErrorKind::Corrupt => e.context(format!("object {} is damaged", hex(hash))),
        _ => e,
    }
}

fn damaged(hash: &Hash) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("object {} is damaged: its bytes do not match its name", hex(hash)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_comes_back_and_a_flipped_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ObjectDir::open(folder.path()).unwrap();
        let hash = dir.put(b"some bytes").unwrap();
        assert_eq!(dir.put(b"some bytes").unwrap(), hash);
        assert_eq!(dir.get(&hash).unwrap(), b"some bytes");
        assert_eq!(dir.verify(&hash).unwrap(), 10);
        fs::write(dir.path(&hash), b"some bytfs").unwrap();
        assert_eq!(dir.verify(&hash).unwrap_err().kind, ErrorKind::Corrupt);
        assert_eq!(dir.get(&hash).unwrap_err().kind, ErrorKind::Corrupt);
        assert!(!dir.has(&hash));
        assert_eq!(dir.get(&hash).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(dir.verify(&hash).unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_damaged_file_is_written_again_by_who_has_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ObjectDir::open(folder.path()).unwrap();
        let hash = dir.put(b"some bytes").unwrap();
        for damage in [&b"some bytfs"[..], b"some", b""] {
            fs::write(dir.path(&hash), damage).unwrap();
            dir.put(b"some bytes").unwrap();
            assert_eq!(dir.get(&hash).unwrap(), b"some bytes");
        }
    }

    #[test]
    fn a_segment_in_memory_outlives_its_file_and_gives_it_back() {
        use evercube_base::{Collation, ColumnData, DataType, RowBatch};
        let folder = tempfile::tempdir().unwrap();
        let mut dir = ObjectDir::open(folder.path()).unwrap();
        let mut builder = crate::SegmentBuilder::new(&[DataType::Int64], Collation::default());
        let values = (0..1000).map(|v| Some(v * v % 97)).collect();
        builder.push(&RowBatch { columns: vec![ColumnData::Int64(values)], rows: 1000 }).unwrap();
        let hash = dir.put(&builder.finish().to_bytes().unwrap()).unwrap();
        let codes =
            |s: &Segment| (0..1000).map(|row| s.columns[0].codes.get(row)).collect::<Vec<_>>();
        let segment = dir.segment(&hash).unwrap();
        let before = codes(&segment);
        fs::File::options().write(true).open(dir.path(&hash)).unwrap().set_len(20).unwrap();
        assert_eq!(codes(&segment), before);
        assert_eq!(dir.verify(&hash).unwrap_err().kind, ErrorKind::Corrupt);
        assert!(dir.write_from_memory(&hash).unwrap());
        assert_eq!(codes(&dir.segment_afresh(&hash).unwrap()), before);
        // Without room it is mapped, and nothing can be written from memory.
        drop(segment);
        dir.in_use = InUse::new(100);
        let mapped = dir.segment(&hash).unwrap();
        assert_eq!(codes(&mapped), before);
        assert!(!dir.write_from_memory(&hash).unwrap());
    }

    #[test]
    fn a_sweep_leaves_what_is_kept_or_was_used_lately() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ObjectDir::open(folder.path()).unwrap();
        let [kept, held, put, gone] =
            ["kept", "held", "put", "gone"].map(|t| dir.put(t.as_bytes()).unwrap());
        let hour = Duration::from_secs(3600);
        for hash in [kept, held, put, gone] {
            let file = fs::File::open(dir.path(&hash)).unwrap();
            file.set_modified(SystemTime::now() - 2 * hour).unwrap();
        }
        assert!(dir.hold(&held));
        dir.put(b"put").unwrap();
        let fresh = dir.put(b"fresh").unwrap();
        assert_eq!(dir.sweep(&HashSet::from([kept]), hour).unwrap(), (1, 4));
        assert!([kept, held, put, fresh].iter().all(|h| dir.has(h)) && !dir.has(&gone));
        assert!(!dir.hold(&gone));
        assert_eq!(dir.sweep(&HashSet::from([kept]), Duration::ZERO).unwrap(), (3, 12));
    }
}
