//! The file with a folder's own keys: `encryption.json`, and a copy of it.
//!
//! The keys are sealed under a key that is drawn whenever the file's slots change; each slot holds
//! that one sealed under a key of the operator's.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evercube_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::frames::{Header, Key, Pieces, random, seal_to};
use crate::operator_key::OperatorKey;

const FORMAT: u32 = 1;
/// The two files, which hold the same.
const FILES: [&str; 2] = ["encryption.json", "encryption-copy.json"];

/// What encrypts the folder.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// Number of the data key that new contents are sealed under.
    pub current: u32,
    pub data: BTreeMap<u32, Key>,
    /// Makes the names of files out of those of their contents; never changes.
    pub names: Key,
}

impl Keys {
    pub(crate) fn new() -> Result<Self> {
        let mut names = [0; 32];
        random(&mut names)?;
        let mut keys = Self { current: 0, data: BTreeMap::new(), names };
        keys.add()?;
        Ok(keys)
    }

    /// Draws a new data key, which counts from now on.
    pub(crate) fn add(&mut self) -> Result<()> {
        let mut key = [0; 32];
        random(&mut key)?;
        self.current += 1;
        self.data.insert(self.current, key);
        Ok(())
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Slot {
    /// [`OperatorKey::name`].
    key: String,
    sealed: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    format: u32,
    /// Drawn with the folder's keys, so that files of two folders do not fit each other.
    folder: String,
    slots: Vec<Slot>,
    keys: String,
}

/// A keyring that is open.
#[derive(Clone)]
pub(crate) struct Keyring {
    pub keys: Keys,
    wrapped: Key,
    stored: Stored,
}

fn failed(path: &Path, what: &str, e: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Source, format!("{} cannot be {what}: {e}", path.display()))
}

pub(crate) fn seal(key: &Key, place: &str, plain: &[u8]) -> Result<String> {
    let mut out = Vec::new();
    seal_to((0, key), place.as_bytes(), plain, &mut out)
        .map_err(|e| Error::internal(e.to_string()))?;
    Ok(STANDARD.encode(out))
}

pub(crate) fn open(key: &Key, place: &str, sealed: &str) -> Option<Vec<u8>> {
    let sealed = STANDARD.decode(sealed).ok()?;
    let mut from = sealed.as_slice();
    let header = Header::read(&mut from, sealed.len() as u64).ok()?;
    Pieces::new(&header, key, place.as_bytes(), from).ok()?.all().ok()
}

impl Keyring {
    /// New keys, which `slots` open.
    pub(crate) fn new(slots: &[OperatorKey]) -> Result<Self> {
        let mut folder = [0; 16];
        random(&mut folder)?;
        let stored =
            Stored { format: FORMAT, folder: hex::encode(folder), slots: vec![], keys: "".into() };
        let mut ring = Self { keys: Keys::new()?, wrapped: [0; 32], stored };
        ring.rewrap(slots)?;
        Ok(ring)
    }

    /// Lets exactly these keys open the keyring.
    pub(crate) fn rewrap(&mut self, slots: &[OperatorKey]) -> Result<()> {
        random(&mut self.wrapped)?;
        self.stored.slots.clear();
        slots.iter().try_for_each(|key| self.add_slot(key))?;
        self.seal_keys()
    }

    pub(crate) fn add_slot(&mut self, key: &OperatorKey) -> Result<()> {
        let place = format!("slot {} {}", self.stored.folder, key.name());
        let sealed = seal(&key.wrapping(), &place, &self.wrapped)?;
        self.stored.slots.push(Slot { key: key.name(), sealed });
        Ok(())
    }

    /// Takes changed keys up.
    pub(crate) fn seal_keys(&mut self) -> Result<()> {
        let plain = serde_json::to_vec(&self.keys)
            .map_err(|e| Error::internal(format!("the keys cannot be written: {e}")))?;
        self.stored.keys = seal(&self.wrapped, &format!("keys {}", self.stored.folder), &plain)?;
        Ok(())
    }

    /// Names of the operator's keys that open it.
    pub(crate) fn slots(&self) -> Vec<String> {
        self.stored.slots.iter().map(|s| s.key.clone()).collect()
    }

    /// Writes both files, one after the other: one of them is always whole.
    pub(crate) fn save(&self, data: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.stored)
            .map_err(|e| Error::internal(format!("the keys cannot be written: {e}")))?;
        for name in FILES {
            let file = data.join(name);
            let temporary = file.with_extension("new");
            let write = || -> std::io::Result<()> {
                let mut options = fs::OpenOptions::new();
                let options = options.write(true).create(true).truncate(true).mode(0o600);
                let mut out = options.open(&temporary)?;
                out.write_all(&text)?;
                out.sync_all()?;
                fs::rename(&temporary, &file)?;
                fs::File::open(data)?.sync_all()
            };
            write().map_err(|e| failed(&file, "written", &e))?;
        }
        Ok(())
    }
}

/// A keyring as its files hold it.
pub(crate) struct Closed(Vec<Stored>);

impl Closed {
    /// What lies in the folder; `None` where it has no keys.
    pub(crate) fn load(data: &Path) -> Result<Option<Self>> {
        let (mut found, mut broken) = (Vec::new(), None);
        for file in FILES.map(|name| data.join(name)) {
            match Self::load_one(&file) {
                Ok(stored) => found.extend(stored),
                Err(e) => broken = Some(e),
            }
        }
        match (found.is_empty(), broken) {
            (true, Some(e)) => Err(e),
            (true, None) => Ok(None),
            (false, _) => Ok(Some(Self(found))),
        }
    }

    fn load_one(file: &PathBuf) -> Result<Option<Stored>> {
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(file, "read", &e)),
        };
        let stored: Stored = serde_json::from_slice(&text).map_err(|e| {
            let message = format!("{} is damaged, and so is its copy: {e}", file.display());
            Error::new(ErrorKind::Corrupt, message)
        })?;
        if stored.format != FORMAT {
            let format = stored.format;
            let message = format!("{} has format {format}, not {FORMAT}", file.display());
            return Err(Error::unsupported(message));
        }
        Ok(Some(stored))
    }

    /// Opened by one of `keys`; `None` where none of them does.
    pub(crate) fn open(&self, keys: &[OperatorKey]) -> Option<Keyring> {
        self.0.iter().find_map(|stored| keys.iter().find_map(|key| open_with(stored, key)))
    }

    /// Names of the keys that would open it.
    pub(crate) fn slots(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.0.iter().flat_map(|s| &s.slots).map(|s| s.key.clone()).collect();
        names.dedup();
        names
    }

    /// Whether both files are there and hold the same.
    pub(crate) fn is_whole(&self) -> bool {
        match self.0.as_slice() {
            [a, b] => a.keys == b.keys,
            _ => false,
        }
    }
}

fn open_with(stored: &Stored, key: &OperatorKey) -> Option<Keyring> {
    let name = key.name();
    let slot = stored.slots.iter().find(|s| s.key == name)?;
    let place = format!("slot {} {name}", stored.folder);
    let wrapped: Key = open(&key.wrapping(), &place, &slot.sealed)?.try_into().ok()?;
    let keys = open(&wrapped, &format!("keys {}", stored.folder), &stored.keys)?;
    let keys = serde_json::from_slice(&keys).ok()?;
    Some(Keyring { keys, wrapped, stored: stored.clone() })
}
