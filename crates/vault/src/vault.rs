//! An open folder: seals and opens contents, and changes its keys.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use evercube_base::{Error, ErrorKind, Result};

use crate::frames::{Header, Key, Pieces, seal_to};
use crate::key_source::KeySources;
use crate::keyring::{self, Closed, Keyring};
use crate::operator_key::OperatorKey;

/// The keys of one data folder.
pub struct Vault {
    data: PathBuf,
    sources: KeySources,
    ring: RwLock<Keyring>,
    /// Keys of the operator's: what the keys of backups are sealed under, by name. As the sources
    /// gave them last.
    operator: RwLock<Vec<(String, Key)>>,
    /// One change of the keys at a time.
    changing: Mutex<()>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("data", &self.data).finish_non_exhaustive()
    }
}

/// A folder that must not be opened as it is asked for.
fn refused(message: String) -> Error {
    Error::new(ErrorKind::Denied, message)
}

const SETTINGS: &str =
    "encryption_key_file, encryption_key_command or the variable EVERCUBE_ENCRYPTION_KEY";

impl Vault {
    /// Opens the keys of `data`, or makes them where the folder has none yet and keys are given.
    /// `None`: the folder is not encrypted and is not to be.
    ///
    /// # Errors
    /// `Denied` where the folder is encrypted and no key opens it; `Corrupt` where its keys are
    /// damaged; what a source of keys says.
    pub fn open(data: &Path, sources: &KeySources) -> Result<Option<Arc<Self>>> {
        let closed = Closed::load(data)?;
        let (ring, keys) = match (closed, sources.is_empty()) {
            (None, _) if is_encrypted(data) => {
                return Err(refused(format!(
                    "the data folder {0} is encrypted and its keys are gone: put {0}/encryption.json back from a copy; without it nothing in the folder can be read, and the server starts again in an empty folder with --join",
                    data.display()
                )));
            }
            (None, true) => return Ok(None),
            (None, false) => {
                let keys = sources.all()?;
                let ring = Keyring::new(&keys)?;
                std::fs::create_dir_all(data).map_err(|e| {
                    let message = format!("{} cannot be made: {e}", data.display());
                    Error::new(ErrorKind::Source, message)
                })?;
                ring.save(data)?;
                (ring, keys)
            }
            (Some(closed), true) => {
                return Err(refused(format!(
                    "the data folder {} is encrypted: give its key by {SETTINGS} (it is opened by {})",
                    data.display(),
                    closed.slots().join(" or ")
                )));
            }
            (Some(closed), false) => open(&closed, data, sources)?,
        };
        Ok(Some(Arc::new(Self {
            data: data.to_owned(),
            sources: sources.clone(),
            ring: RwLock::new(ring),
            operator: RwLock::new(for_backups(&keys)),
            changing: Mutex::default(),
        })))
    }

    /// As [`Vault::open`], and never encrypts a folder that is not encrypted.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_existing(data: &Path, sources: &KeySources) -> Result<Option<Arc<Self>>> {
        match Closed::load(data)? {
            None if !is_encrypted(data) => Ok(None),
            _ => Self::open(data, sources),
        }
    }

    fn ring(&self) -> RwLockReadGuard<'_, Keyring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of the data key that contents are sealed under now.
    pub fn data_key(&self) -> u32 {
        self.ring().keys.current
    }

    /// Numbers of all data keys.
    pub fn data_keys(&self) -> Vec<u32> {
        self.ring().keys.data.keys().copied().collect()
    }

    /// Names of the operator's keys that open the folder.
    pub fn slots(&self) -> Vec<String> {
        self.ring().slots()
    }

    /// A key of a backup sealed under each key of the operator's, and the names of those.
    ///
    /// # Errors
    /// `Internal` where there is no chance to be had.
    pub fn seal_for_operator(&self, key: &[u8; 32]) -> Result<Vec<(String, String)>> {
        let all = self.operator.read().unwrap_or_else(PoisonError::into_inner);
        let sealed = |(name, under): &(String, Key)| {
            Ok((name.clone(), keyring::seal(under, &backup_place(name), key)?))
        };
        all.iter().map(sealed).collect()
    }

    /// What [`Vault::seal_for_operator`] sealed under the key of this name; `None` where the
    /// operator gives no such key, or it is not what was sealed.
    pub fn open_for_operator(&self, name: &str, sealed: &str) -> Option<Vec<u8>> {
        let all = self.operator.read().unwrap_or_else(PoisonError::into_inner);
        let (_, under) = all.iter().find(|(known, _)| known == name)?;
        keyring::open(under, &backup_place(name), sealed)
    }

    /// The name under which an object lies in the folder: who does not have the keys cannot tell
    /// what it is, nor whether two folders hold the same.
    pub fn hidden_name(&self, name: &[u8; 32]) -> [u8; 32] {
        *blake3::keyed_hash(&self.ring().keys.names, name).as_bytes()
    }

    /// Writes `plain` sealed for a place, under the current data key.
    pub fn seal_to(&self, place: &[u8], plain: &[u8], out: &mut impl Write) -> std::io::Result<()> {
        let (id, key) = {
            let ring = self.ring();
            let id = ring.keys.current;
            (id, ring.keys.data.get(&id).copied())
        };
        let key = key.ok_or_else(|| std::io::Error::other("the folder has no data key"))?;
        seal_to((id, &key), place, plain, out)
    }

    /// `plain` sealed for a place.
    ///
    /// # Errors
    /// `Internal` where there is no chance to be had.
    pub fn seal(&self, place: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.seal_to(place, plain, &mut out).map_err(|e| Error::internal(e.to_string()))?;
        Ok(out)
    }

    fn key(&self, id: u32) -> Result<Key> {
        self.ring().keys.data.get(&id).copied().ok_or_else(|| {
            let message =
                format!("it is encrypted with data key {id}, which this folder does not have");
            Error::new(ErrorKind::Corrupt, message)
        })
    }

    /// What was sealed for a place.
    ///
    /// # Errors
    /// `Corrupt`, saying which bytes are wrong.
    pub fn open_sealed(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        self.reader(place, sealed, sealed.len() as u64)?.all()
    }

    /// A sealed content of `length` bytes that is read piece by piece.
    ///
    /// # Errors
    /// `Corrupt` where it is not a content of this length that a key of the folder seals; `Source`
    /// where it cannot be read.
    pub fn reader<R: Read>(&self, place: &[u8], mut from: R, length: u64) -> Result<Unsealed<R>> {
        let header = Header::read(&mut from, length)?;
        let key = self.key(header.key_id())?;
        Pieces::new(&header, &key, place, from).map(Unsealed)
    }

    /// Whether a content that begins so is sealed under the current data key.
    pub fn is_current(&self, start: &[u8]) -> bool {
        let id = start.get(8..12).and_then(|id| id.try_into().ok()).map(u32::from_le_bytes);
        crate::is_sealed(start) && id == Some(self.data_key())
    }

    // Changes ------------------------------------------------------------------------------

    /// Asks the sources again and lets exactly the keys they give open the folder; with
    /// `new_data_key` contents are sealed under a new key from now on.
    ///
    /// # Errors
    /// Where a source gives none; nothing is changed then.
    pub fn rotate(&self, new_data_key: bool) -> Result<()> {
        let slots = self.sources.all()?;
        self.change(|ring| {
            if new_data_key {
                ring.keys.add()?;
            }
            ring.rewrap(&slots)
        })?;
        *self.operator.write().unwrap_or_else(PoisonError::into_inner) = for_backups(&slots);
        Ok(())
    }

    /// Forgets the data keys before one, under which nothing is sealed any more.
    ///
    /// # Errors
    /// Where the keys cannot be written.
    pub fn forget_before(&self, id: u32) -> Result<()> {
        self.change(|ring| {
            ring.keys.data.retain(|other, _| *other >= id);
            ring.seal_keys()
        })
    }

    /// What is changed counts once it is on the disk.
    fn change(&self, change: impl FnOnce(&mut Keyring) -> Result<()>) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = self.ring().clone();
        change(&mut new)?;
        new.save(&self.data)?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

/// A sealed content that is read piece by piece.
pub struct Unsealed<R>(Pieces<R>);

impl<R: Read> Unsealed<R> {
    /// Length of the whole content.
    pub fn length(&self) -> u64 {
        self.0.length()
    }

    /// Appends the next piece to `out`; false where there is none any more.
    ///
    /// # Errors
    /// `Corrupt`, saying which bytes are wrong; `Source` where they cannot be read.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        self.0.next(out)
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`Unsealed::next_into`].
    pub fn all(self) -> Result<Vec<u8>> {
        self.0.all()
    }
}

/// Whether something in the folder was encrypted: the place for encrypted objects tells.
fn is_encrypted(data: &Path) -> bool {
    data.join("store").join("sealed").exists()
}

fn for_backups(keys: &[OperatorKey]) -> Vec<(String, Key)> {
    keys.iter().map(|k| (k.name(), k.for_backups())).collect()
}

/// What the key of a backup is sealed for.
fn backup_place(name: &str) -> String {
    format!("backup {name}")
}

/// The keys of a folder, and those of the operator that are given.
fn open(closed: &Closed, data: &Path, sources: &KeySources) -> Result<(Keyring, Vec<OperatorKey>)> {
    let (mut keys, mut failures) = (Vec::<OperatorKey>::new(), Vec::<String>::new());
    for found in sources.ask() {
        match found {
            Ok(found) => keys.extend(found),
            Err(e) => failures.push(e.message),
        }
    }
    let Some(mut ring) = closed.open(&keys) else {
        let given: Vec<String> = keys.iter().map(OperatorKey::name).collect();
        let given = match given.as_slice() {
            [] => "no key was given".to_owned(),
            some => format!("the key given is {}", some.join(", ")),
        };
        let failures: String = failures.iter().map(|f| format!("; {f}")).collect();
        return Err(refused(format!(
            "the data folder {} is encrypted and cannot be opened: it is opened by the key {}, and {given}{failures}. Give that key by {SETTINGS}",
            data.display(),
            closed.slots().join(" or ")
        )));
    };
    let slots = ring.slots();
    let new: Vec<&OperatorKey> = keys.iter().filter(|k| !slots.contains(&k.name())).collect();
    for key in &new {
        ring.add_slot(key)?;
    }
    if !new.is_empty() || !closed.is_whole() {
        ring.save(data)?;
    }
    Ok((ring, keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(keys: &[&str]) -> KeySources {
        let keys: Vec<String> = keys.iter().map(|k| k.repeat(32)).collect();
        KeySources { text: Some(keys.join(",")), ..KeySources::default() }
    }

    fn refusal(data: &Path, sources: &KeySources) -> String {
        Vault::open(data, sources).map(|_| ()).unwrap_err().message
    }

    #[test]
    fn a_folder_opens_with_its_keys_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert!(Vault::open(data, &KeySources::default()).unwrap().is_none());
        let vault = Vault::open(data, &text(&["11"])).unwrap().unwrap();
        let sealed = vault.seal(b"here", b"words").unwrap();
        assert!(vault.is_current(&sealed));
        let e = refusal(data, &KeySources::default());
        assert!(e.contains("encryption_key_file") && e.contains(&vault.slots()[0]), "{e}");
        let e = refusal(data, &text(&["22"]));
        assert!(e.contains("it is opened by the key"), "{e}");
        // A second key gets a slot of its own and opens the folder alone.
        drop(Vault::open(data, &text(&["22", "11"])).unwrap());
        let vault = Vault::open(data, &text(&["22"])).unwrap().unwrap();
        assert_eq!(vault.open_sealed(b"here", &sealed).unwrap(), b"words");
        assert_eq!(vault.slots().len(), 2);
        vault.rotate(false).unwrap();
        assert_eq!(vault.slots().len(), 1);
        assert!(refusal(data, &text(&["11"])).contains("cannot be opened"));
        let vault = Vault::open(data, &text(&["22"])).unwrap().unwrap();
        assert_eq!(vault.open_sealed(b"here", &sealed).unwrap(), b"words");
    }

    #[test]
    fn one_of_the_two_files_is_enough_and_without_both_nothing_new_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let name = Vault::open(data, &text(&["11"])).unwrap().unwrap().hidden_name(&[1; 32]);
        for (broken, with) in [("encryption.json", &b"{"[..]), ("encryption-copy.json", b"")] {
            std::fs::write(data.join(broken), with).unwrap();
            let vault = Vault::open(data, &text(&["11"])).unwrap().unwrap();
            assert_eq!(vault.hidden_name(&[1; 32]), name);
        }
        std::fs::create_dir_all(data.join("store/sealed")).unwrap();
        std::fs::remove_file(data.join("encryption.json")).unwrap();
        std::fs::remove_file(data.join("encryption-copy.json")).unwrap();
        for sources in [KeySources::default(), text(&["11"])] {
            assert!(refusal(data, &sources).contains("its keys are gone"));
        }
    }

    #[test]
    fn a_new_data_key_seals_and_the_old_one_opens_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path(), &text(&["11"])).unwrap().unwrap();
        let old = vault.seal(b"here", b"words").unwrap();
        vault.rotate(true).unwrap();
        let new = vault.seal(b"here", b"words").unwrap();
        assert!(vault.is_current(&new) && !vault.is_current(&old));
        assert_eq!(vault.open_sealed(b"here", &old).unwrap(), b"words");
        assert!(vault.open_sealed(b"there", &old).is_err());
        vault.forget_before(2).unwrap();
        let e = vault.open_sealed(b"here", &old).unwrap_err();
        assert!(e.message.contains("data key 1"), "{e}");
        assert_eq!(vault.open_sealed(b"here", &new).unwrap(), b"words");
        assert_eq!(vault.data_keys(), [2]);
    }

    #[test]
    fn any_key_of_the_operator_opens_a_backup_elsewhere_and_no_other_does() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let vault = Vault::open(here.path(), &text(&["11", "22"])).unwrap().unwrap();
        let sealed = vault.seal_for_operator(&[7; 32]).unwrap();
        assert_eq!(sealed.len(), 2);
        let opens = |vault: &Vault| -> Vec<bool> {
            let opened = sealed.iter().map(|(name, s)| vault.open_for_operator(name, s));
            opened.map(|k| k.as_deref() == Some(&[7; 32][..])).collect()
        };
        assert_eq!(opens(&vault), [true, true]);
        let other = Vault::open(there.path(), &text(&["22"])).unwrap().unwrap();
        assert_eq!(opens(&other), [false, true]);
        let stranger = tempfile::tempdir().unwrap();
        let stranger = Vault::open(stranger.path(), &text(&["33"])).unwrap().unwrap();
        assert_eq!(opens(&stranger), [false, false]);
        assert_eq!(vault.open_for_operator(&sealed[0].0, &sealed[1].1), None);
    }

    #[test]
    fn no_changed_bit_of_the_keys_opens_another_way() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        drop(Vault::open(data, &text(&["11"])).unwrap());
        let whole = std::fs::read(data.join("encryption.json")).unwrap();
        std::fs::remove_file(data.join("encryption-copy.json")).unwrap();
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            std::fs::write(data.join("encryption.json"), changed).unwrap();
            let opened = Vault::open(data, &text(&["11"]));
            if opened.is_err() {
                refused += 1;
            }
            let _copy = std::fs::remove_file(data.join("encryption-copy.json"));
        }
        // What stands between the values may change.
        assert!(refused * 10 > whole.len() * 9, "{refused} of {}", whole.len());
    }
}
