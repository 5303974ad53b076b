//! A folder of immutable objects, each named by the BLAKE3 hash of its bytes.
//!
//! `objects/ab/<64 hexadecimal digits>`; a file appears whole or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use evercube_base::{Error, ErrorKind, Result};

/// BLAKE3 hash of an object's bytes, which is its name.
pub type Hash = [u8; 32];

#[derive(Debug)]
pub struct ObjectDir {
    root: PathBuf,
    temporary: AtomicU64,
}

fn failed(what: &str, path: &Path, e: &std::io::Error) -> Error {
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
        let root = folder.join("objects");
        fs::create_dir_all(&root).map_err(|e| failed("made", &root, &e))?;
        Ok(Self { root, temporary: AtomicU64::new(0) })
    }

    fn path(&self, hash: &Hash) -> PathBuf {
        let name = hex(hash);
        let (shelf, _) = name.split_at(2);
        self.root.join(shelf).join(&name)
    }

    /// Stores bytes under their hash and waits until they are on the disk.
    pub fn put(&self, bytes: &[u8]) -> Result<Hash> {
        let hash = *blake3::hash(bytes).as_bytes();
        let path = self.path(&hash);
        if path.exists() {
            return Ok(hash);
        }
        let shelf = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(shelf).map_err(|e| failed("made", shelf, &e))?;
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = shelf.join(format!("{}.{}-{number}.part", hex(&hash), std::process::id()));
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            fs::File::open(shelf)?.sync_all()
        };
        write().map_err(|e| {
            let _left_behind = fs::remove_file(&temporary);
            failed("written", &path, &e)
        })?;
        Ok(hash)
    }

    pub fn has(&self, hash: &Hash) -> bool {
        self.path(hash).exists()
    }

    /// Length of an object, without reading it.
    pub fn length(&self, hash: &Hash) -> Result<u64> {
        let path = self.path(hash);
        fs::metadata(&path).map(|m| m.len()).map_err(|e| failed("read", &path, &e))
    }

    /// The bytes of an object, checked against its name. A damaged file is set aside, so that
    /// it counts as missing and is fetched again.
    ///
    /// # Errors
    /// `NotFound`, or `Corrupt` where the bytes are not what the name says.
    pub fn get(&self, hash: &Hash) -> Result<Vec<u8>> {
        let path = self.path(hash);
        let bytes = fs::read(&path).map_err(|e| {
            if e.kind() == std::io::ErrorKind::NotFound {
                Error::not_found(format!("object {} is not on this server", hex(hash)))
            } else {
                failed("read", &path, &e)
            }
        })?;
        if blake3::hash(&bytes).as_bytes() == hash {
            return Ok(bytes);
        }
        let aside = path.with_extension("damaged");
        let _best_effort = fs::rename(&path, &aside);
        Err(damaged(hash))
    }

    /// Reads an object again and compares it with its name, leaving it where it is; its length.
    pub fn verify(&self, hash: &Hash) -> Result<u64> {
        let path = self.path(hash);
        let bytes = fs::read(&path).map_err(|e| failed("read", &path, &e))?;
        if blake3::hash(&bytes).as_bytes() == hash {
            Ok(bytes.len() as u64)
        } else {
            Err(damaged(hash))
        }
    }

    pub fn delete(&self, hash: &Hash) -> Result<()> {
        let path = self.path(hash);
        fs::remove_file(&path).map_err(|e| failed("deleted", &path, &e))
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
    }
}
