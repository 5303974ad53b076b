//! Writing the whole log anew, so that nothing of it is left that is not encrypted with the current
//! data key: in a file that has parts of it free, what was there before would still be found.

use std::fs::{self, File};
use std::path::Path;
use std::sync::PoisonError;

use evercube_base::{Error, ErrorKind, Result};
use evercube_vault::{Vault, is_sealed};
use redb::{Database, ReadableDatabase, ReadableTable};

use super::{LOG, LogStore, META, entry_place, meta_place};

fn failed(e: impl std::fmt::Display) -> Error {
    let message = format!("the metadata log cannot be written anew, encrypted: {e}");
    Error::new(ErrorKind::Source, message)
}

/// A value sealed under the current data key.
fn renewed(vault: &Vault, place: &[u8], value: &[u8]) -> Result<Vec<u8>> {
    if is_sealed(value) {
        return vault.seal(place, &vault.open_sealed(place, value)?);
    }
    vault.seal(place, value)
}

fn is_current(db: &Database, vault: &Vault) -> Result<bool> {
    let read = db.begin_read().map_err(failed)?;
    for item in read.open_table(LOG).map_err(failed)?.iter().map_err(failed)? {
        if !vault.is_current(item.map_err(failed)?.1.value()) {
            return Ok(false);
        }
    }
    for item in read.open_table(META).map_err(failed)?.iter().map_err(failed)? {
        if !vault.is_current(item.map_err(failed)?.1.value()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn copy(from: &Database, to: &Database, vault: &Vault) -> Result<()> {
    let read = from.begin_read().map_err(failed)?;
    let write = to.begin_write().map_err(failed)?;
    {
        let mut log = write.open_table(LOG).map_err(failed)?;
        for item in read.open_table(LOG).map_err(failed)?.iter().map_err(failed)? {
            let (index, value) = item.map_err(failed)?;
            let index = index.value();
            let value = renewed(vault, &entry_place(index), value.value())?;
            log.insert(index, value.as_slice()).map_err(failed)?;
        }
        let mut meta = write.open_table(META).map_err(failed)?;
        for item in read.open_table(META).map_err(failed)?.iter().map_err(failed)? {
            let (key, value) = item.map_err(failed)?;
            let value = renewed(vault, &meta_place(key.value()), value.value())?;
            meta.insert(key.value(), value.as_slice()).map_err(failed)?;
        }
    }
    write.commit().map_err(failed)
}

impl LogStore {
    /// Writes the log in `file` anew where a value of it is not sealed under the current data key;
    /// whether it was so. Without a vault there is nothing to do.
    ///
    /// # Errors
    /// `Corrupt` where a value cannot be opened, `Source` where the new file cannot be written: the
    /// log is then as it was.
    pub(crate) fn reseal(&self, file: &Path) -> Result<bool> {
        let Some(vault) = &self.0.vault else { return Ok(false) };
        let _sealing = self.0.sealing.write().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.0.db.write().unwrap_or_else(PoisonError::into_inner);
        let Some(db) = open.as_ref() else { return Err(failed("it is not open")) };
        if is_current(db, vault)? {
            return Ok(false);
        }
        let new = file.with_extension("new");
        match fs::remove_file(&new) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let to = Database::create(&new).map_err(failed)?;
        copy(db, &to, vault)?;
        drop(to);
        *open = None;
        let renamed = fs::rename(&new, file).and_then(|()| match file.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        });
        *open = Some((self.0.open)()?);
        renamed.map(|()| true).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use evercube_vault::KeySources;

    use super::*;

    fn vault(folder: &Path) -> Arc<Vault> {
        let sources = KeySources { text: Some("11".repeat(32)), ..KeySources::default() };
        Vault::open(folder, &sources).unwrap().unwrap()
    }

    #[test]
    fn a_plain_log_becomes_encrypted_and_follows_the_data_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.redb");
        let holds = |what: &[u8]| {
            let bytes = fs::read(&file).unwrap();
            bytes.windows(what.len()).any(|w| w == what)
        };
        let value = vec!["a canary sings".to_owned()];
        LogStore::open(&file, None).unwrap().put_meta("x", &value, true).unwrap();
        assert!(holds(b"canary"));
        let vault = vault(folder.path());
        let log = LogStore::open(&file, Some(Arc::clone(&vault))).unwrap();
        assert!(!holds(b"canary"));
        assert_eq!(log.get_meta::<Vec<String>>("x").unwrap(), Some(value.clone()));
        vault.rotate(true).unwrap();
        log.put_meta("y", &value, true).unwrap();
        assert!(log.reseal(&file).unwrap() && !log.reseal(&file).unwrap());
        vault.forget_before(2).unwrap();
        for key in ["x", "y"] {
            assert_eq!(log.get_meta::<Vec<String>>(key).unwrap(), Some(value.clone()));
        }
        drop(log);
        let log = LogStore::open(&file, Some(vault)).unwrap();
        assert_eq!(log.get_meta::<Vec<String>>("x").unwrap(), Some(value));
        assert!(!holds(b"canary"));
    }

    #[test]
    fn values_do_not_open_in_each_others_place() {
        let folder = tempfile::tempdir().unwrap();
        let log =
            LogStore::open(&folder.path().join("log.redb"), Some(vault(folder.path()))).unwrap();
        let sealed = log.encode(&meta_place("x"), &1_u64).unwrap();
        assert_eq!(log.decode::<u64>(&meta_place("x"), &sealed).unwrap(), 1);
        assert!(log.decode::<u64>(&meta_place("y"), &sealed).is_err());
        assert!(log.decode::<u64>(&entry_place(1), &sealed).is_err());
    }
}
