//! Files that are not encrypted with the current data key yet: which there are, and writing them
//! anew.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use evercube_base::{Error, ErrorKind, Result};
use evercube_vault::Vault;

use super::{Hash, ObjectDir, Sealed, failed, listed};
use crate::object_file::ObjectFile;

/// Bytes of a file that tell which key it is encrypted with.
const START: usize = 12;

/// A file that is plain, or encrypted with an older data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    path: PathBuf,
    /// Its length on the disk.
    pub length: u64,
}

fn starts_current(vault: &Vault, path: &Path) -> bool {
    let mut start = [0; START];
    File::open(path).and_then(|mut f| f.read_exact(&mut start)).is_ok() && vault.is_current(&start)
}

impl ObjectDir {
    /// The files that are not encrypted with the current data key; none without a vault.
    ///
    /// # Errors
    /// Where a folder cannot be listed.
    pub fn stale(&self) -> Result<Vec<Stale>> {
        let Some(Sealed { vault, .. }) = &self.sealed else { return Ok(Vec::new()) };
        // What is being written with the key before is not missed.
        drop(self.writing.write().unwrap_or_else(PoisonError::into_inner));
        let mut stale = Vec::new();
        for file in self.shelves()?.iter().map(|shelf| listed(shelf)).collect::<Result<Vec<_>>>()? {
            for entry in file {
                let path = entry.path();
                // What is just being written has no object's name yet.
                let is_stale = path.starts_with(&self.root)
                    || name_of(&path).is_some() && !starts_current(vault, &path);
                if let (true, Ok(meta)) = (is_stale, entry.metadata()) {
                    stale.push(Stale { path, length: meta.len() });
                }
            }
        }
        Ok(stale)
    }

    /// Writes a file anew, encrypted with the current data key, and takes the old one away. One
    /// that is damaged is set aside for whoever looks at damage; what no object's file is goes.
    ///
    /// # Errors
    /// Where a file cannot be read or written.
    pub fn renew(&self, stale: &Stale) -> Result<()> {
        let Some(Sealed { vault, .. }) = &self.sealed else { return Ok(()) };
        let path = &stale.path;
        let was_sealed = !path.starts_with(&self.root);
        let old = ObjectFile { path: path.clone(), vault: was_sealed.then_some(&**vault) };
        let Some(name) = name_of(path) else {
            // Left of a write that ended early, or damaged.
            return fs::remove_file(path).or_else(gone).map_err(|e| failed("deleted", path, &e));
        };
        let used = fs::metadata(path).and_then(|m| m.modified()).ok();
        let read = match old.read() {
            Err(e) if e.kind == ErrorKind::NotFound => return Ok(()),
            read => read.and_then(|bytes| match self.is_named(&bytes, &name, was_sealed) {
                true => Ok(bytes),
                false => Err(Error::new(ErrorKind::Corrupt, "its bytes do not match its name")),
            }),
        };
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(e) if e.kind == ErrorKind::Corrupt => {
                let aside = path.with_extension("damaged");
                return fs::rename(path, aside).map_err(|e| failed("set aside", path, &e));
            }
            Err(e) => return Err(e),
        };
        let hash = *blake3::hash(&bytes).as_bytes();
        let new = self.own_file(&hash);
        if new.path != *path && new.path.exists() {
            return fs::remove_file(path).map_err(|e| failed("deleted", path, &e));
        }
        self.write_file(&new, &bytes, used)?;
        if new.path != *path {
            fs::remove_file(path).map_err(|e| failed("deleted", path, &e))?;
        }
        Ok(())
    }

    fn is_named(&self, bytes: &[u8], name: &Hash, was_sealed: bool) -> bool {
        let hash = *blake3::hash(bytes).as_bytes();
        match &self.sealed {
            Some(Sealed { vault, .. }) if was_sealed => vault.hidden_name(&hash) == *name,
            _ => hash == *name,
        }
    }
}

fn gone(e: std::io::Error) -> std::io::Result<()> {
    if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) }
}

/// The name of an object's file.
fn name_of(path: &Path) -> Option<Hash> {
    let name = path.file_name()?.to_str()?;
    blake3::Hash::from_hex(name).ok().map(|h| *h.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use evercube_vault::KeySources;

    use super::*;

    fn vault(folder: &Path) -> Arc<Vault> {
        let sources = KeySources { text: Some("11".repeat(32)), ..KeySources::default() };
        Vault::open(folder, &sources).unwrap().unwrap()
    }

    fn contents() -> Vec<Vec<u8>> {
        let long = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        vec![b"a canary sings".to_vec(), Vec::new(), long]
    }

    /// Whether a file below the folder holds these bytes.
    fn lies_in(folder: &Path, bytes: &[u8]) -> bool {
        fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).any(|path| match path.is_dir() {
            true => lies_in(&path, bytes),
            false => fs::read(path).unwrap().windows(bytes.len()).any(|w| w == bytes),
        })
    }

    #[test]
    fn what_was_plain_becomes_encrypted_and_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let plain = ObjectDir::open(folder.path()).unwrap();
        let hashes: Vec<Hash> = contents().iter().map(|c| plain.put(c).unwrap()).collect();
        assert!(lies_in(folder.path(), b"canary") && plain.stale().unwrap().is_empty());
        let long_ago = SystemTime::now() - Duration::from_secs(7200);
        let file = File::open(plain.path(&hashes[0])).unwrap();
        file.set_modified(long_ago).unwrap();
        fs::write(plain.path(&hashes[0]).with_extension("damaged"), "a canary sang").unwrap();
        let dir = ObjectDir::open_with(folder.path(), Some(vault(folder.path()))).unwrap();
        let is_whole = |dir: &ObjectDir| {
            for (hash, content) in hashes.iter().zip(contents()) {
                assert_eq!(dir.get(hash).unwrap(), content);
                assert_eq!(&*dir.map(hash).unwrap(), content.as_slice());
                assert_eq!(dir.verify(hash).unwrap(), content.len() as u64);
                assert_eq!(dir.length(hash).unwrap(), content.len() as u64);
            }
        };
        is_whole(&dir);
        let stale = dir.stale().unwrap();
        assert_eq!(stale.len(), 4);
        stale.iter().for_each(|s| dir.renew(s).unwrap());
        assert!(dir.stale().unwrap().is_empty() && !lies_in(folder.path(), b"canary"));
        is_whole(&dir);
        assert!(!dir.path(&hashes[0]).to_str().unwrap().contains(&super::super::hex(&hashes[0])));
        // When it was used last is kept, and what is kept is found under its other name.
        let swept = dir.sweep(&HashSet::from([hashes[1]]), Duration::from_secs(3600)).unwrap();
        assert_eq!((swept.0, dir.has(&hashes[0])), (1, false));
        assert!(dir.has(&hashes[1]) && dir.hold(&hashes[2]));
    }

    #[test]
    fn a_new_data_key_reaches_every_file() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path());
        let dir = ObjectDir::open_with(folder.path(), Some(Arc::clone(&vault))).unwrap();
        let hashes: Vec<Hash> = contents().iter().map(|c| dir.put(c).unwrap()).collect();
        vault.rotate(true).unwrap();
        let stale = dir.stale().unwrap();
        assert_eq!(stale.len(), 3);
        stale.iter().for_each(|s| dir.renew(s).unwrap());
        assert!(dir.stale().unwrap().is_empty());
        vault.forget_before(2).unwrap();
        for (hash, content) in hashes.iter().zip(contents()) {
            assert_eq!(dir.get(hash).unwrap(), content);
        }
    }

    /// Every change of a file is found, says which object it is, and is put right by who has the
    /// bytes.
    #[test]
    fn every_change_of_an_encrypted_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ObjectDir::open_with(folder.path(), Some(vault(folder.path()))).unwrap();
        let all = contents();
        let hashes: Vec<Hash> = all.iter().map(|c| dir.put(c).unwrap()).collect();
        let mut tried = 0;
        for (hash, content) in hashes.iter().zip(&all) {
            let path = dir.path(hash);
            let whole = fs::read(&path).unwrap();
            let mut changes = vec![
                fs::read(dir.path(&hashes[usize::from(*hash == hashes[0])])).unwrap(),
                Vec::new(),
                content.clone(),
                [whole.as_slice(), b"x"].concat(),
                whole[..whole.len() - 1].to_vec(),
            ];
            for at in (0..whole.len()).step_by(whole.len() / 60 + 1) {
                let mut changed = whole.clone();
                changed[at] ^= 0x10;
                changes.push(changed);
            }
            for changed in changes {
                fs::write(&path, changed).unwrap();
                let e = dir.verify(hash).unwrap_err();
                assert_eq!(e.kind, ErrorKind::Corrupt);
                assert!(e.message.contains(&super::super::hex(hash)), "{e}");
                assert_eq!(dir.segment_afresh(hash).unwrap_err().kind, ErrorKind::Corrupt);
                assert_eq!(dir.get(hash).unwrap_err().kind, ErrorKind::Corrupt);
                assert!(!dir.has(hash));
                dir.put(content).unwrap();
                assert_eq!(dir.get(hash).unwrap(), *content);
                tried += 1;
            }
        }
        println!("{tried} changes of encrypted objects, each found");
    }
}
