//! The first bytes of an archive: what it is, how it is protected, and whether the password is
//! the right one.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use evercube_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::backup::frame::fill;
use crate::backup::slots::{self, Keys};

/// What an Evercube backup starts with.
pub const MAGIC: [u8; 8] = *b"EVBACKUP";
/// The newest format read here.
pub const VERSION: u16 = 2;
/// The format of archives that are plain or have a password.
const FIRST: u16 = 1;
/// Length of the preamble: magic 8, version 2, protection 1, zero 1, memory 4, passes 4, lanes 4,
/// salt 16, nonce 16, check of the key 16, checksum 32. Where slots follow, their length stands in
/// the place of memory, and the start of their hash in that of the salt.
pub const LENGTH: usize = 104;

const CHECKED: usize = 56;
const SUMMED: usize = 72;
/// The protection of archives whose key is sealed under others.
const SLOTS: u8 = 2;
/// Counter of the frame that proves the key; no archive has so many frames.
const KEY_PROOF: u64 = u64::MAX;

/// How costly it is to try a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KdfCost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Default for KdfCost {
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

impl KdfCost {
    /// The most memory one password may take to be tried.
    const MOST_MEMORY_KIB: u32 = 256 << 10;
    /// The most work: memory times passes. Some seconds on a slow machine, and more than twice what
    /// is asked for where backups are made.
    const MOST_WORK_KIB: u64 = 512 << 10;

    /// A file must not decide how much memory and time the server spends on it.
    pub fn check(self) -> Result<()> {
        let sane = (1..=16).contains(&self.lanes)
            && (8 * self.lanes..=Self::MOST_MEMORY_KIB).contains(&self.memory_kib)
            && self.passes >= 1
            && self.work_kib() <= Self::MOST_WORK_KIB;
        if sane {
            return Ok(());
        }
        Err(damaged(&format!(
            "to try a password it asks for {} MiB of memory in {} passes and {} lanes, and no more than {} MiB, or {} MiB times passes, are spent on what a file says",
            self.memory_kib >> 10,
            self.passes,
            self.lanes,
            Self::MOST_MEMORY_KIB >> 10,
            Self::MOST_WORK_KIB >> 10
        )))
    }

    /// Memory times passes, which is what the time goes with.
    pub fn work_kib(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }
}

/// What is drawn by chance for every archive.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    pub salt: [u8; 16],
    pub nonce: [u8; 16],
}

impl Chance {
    pub fn draw() -> Result<Self> {
        let (mut salt, mut nonce) = ([0; 16], [0; 16]);
        crate::seal::random(&mut salt)?;
        crate::seal::random(&mut nonce)?;
        Ok(Self { salt, nonce })
    }
}

/// A key with the nonce its frames count up from.
#[derive(Clone)]
pub struct FrameKey {
    cipher: XChaCha20Poly1305,
    nonce: [u8; 16],
}

impl FrameKey {
    pub fn new(key: [u8; 32], nonce: [u8; 16]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&key.into()), nonce }
    }

    /// The key that a password stands for.
    pub fn derive(password: &str, cost: KdfCost, chance: &Chance) -> Result<Self> {
        let failed = |e: argon2::Error| {
            Error::internal(format!("the key of a backup could not be derived: {e}"))
        };
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
        let params = params.map_err(failed)?;
        let mut key = [0u8; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), &chance.salt, &mut key)
            .map_err(failed)?;
        Ok(Self::new(key, chance.nonce))
    }

    fn nonce(&self, counter: u64) -> XNonce {
        let mut nonce = [0u8; 24];
        let (prefix, count) = nonce.split_at_mut(16);
        prefix.copy_from_slice(&self.nonce);
        count.copy_from_slice(&counter.to_le_bytes());
        nonce.into()
    }

    pub fn seal(&self, counter: u64, bound_to: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let payload = Payload { msg: plain, aad: bound_to };
        self.cipher
            .encrypt(&self.nonce(counter), payload)
            .map_err(|_| Error::internal("a part of a backup could not be encrypted"))
    }

    /// `None` where the bytes are not what was sealed.
    pub fn open(&self, counter: u64, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: sealed, aad: bound_to };
        self.cipher.decrypt(&self.nonce(counter), payload).ok()
    }
}

/// A preamble's bytes and what its frames are sealed with.
#[derive(Clone)]
pub struct Preamble {
    pub bytes: [u8; LENGTH],
    /// What follows them: the key of the archive, sealed under others. Empty where it has a password
    /// or none.
    pub slots: Vec<u8>,
    /// `None` where nothing is encrypted.
    pub key: Option<FrameKey>,
}

/// What may open an archive.
#[derive(Clone, Default)]
pub struct Secrets {
    pub password: Option<String>,
    pub keys: Keys,
}

impl Secrets {
    pub fn of_password(password: Option<&str>) -> Self {
        Self { password: password.map(str::to_owned), keys: Keys::default() }
    }
}

impl Preamble {
    pub fn new(password: Option<&str>, cost: KdfCost, chance: &Chance) -> Result<Self> {
        let mut head = Vec::with_capacity(LENGTH);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&FIRST.to_le_bytes());
        head.extend_from_slice(&[u8::from(password.is_some()), 0]);
        let key = match password {
            None => {
                head.resize(SUMMED, 0);
                None
            }
            Some(password) => {
                for n in [cost.memory_kib, cost.passes, cost.lanes] {
                    head.extend_from_slice(&n.to_le_bytes());
                }
                head.extend_from_slice(&chance.salt);
                head.extend_from_slice(&chance.nonce);
                let key = FrameKey::derive(password, cost, chance)?;
                head.extend_from_slice(&key.seal(KEY_PROOF, &head, &[])?);
                Some(key)
            }
        };
        Self::summed(head, Vec::new(), key)
    }

    /// Of an archive that is sealed under a key of its own, which `keys` open.
    pub fn sealed(keys: &Keys, chance: &Chance) -> Result<Self> {
        let mut own = [0; 32];
        crate::seal::random(&mut own)?;
        let slots = keys.seal(&own)?;
        let length = u32::try_from(slots.len()).ok().filter(|_| slots.len() <= slots::MOST);
        let length = length.ok_or_else(|| {
            Error::invalid("the operator gives more keys than fit into a backup; give fewer")
        })?;
        let mut head = Vec::with_capacity(LENGTH);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&[SLOTS, 0]);
        head.extend_from_slice(&length.to_le_bytes());
        head.extend_from_slice(&[0; 8]);
        head.extend_from_slice(&start_of_hash(&slots));
        head.extend_from_slice(&chance.nonce);
        let key = FrameKey::new(own, chance.nonce);
        head.extend_from_slice(&key.seal(KEY_PROOF, &head, &[])?);
        Self::summed(head, slots, Some(key))
    }

    fn summed(mut head: Vec<u8>, slots: Vec<u8>, key: Option<FrameKey>) -> Result<Self> {
        head.extend_from_slice(blake3::hash(&head).as_bytes());
        let bytes = head
            .try_into()
            .map_err(|_| Error::internal("the start of a backup has another length"))?;
        Ok(Self { bytes, slots, key })
    }

    /// Reads a preamble, and what of it follows its first bytes, and tries what may open it.
    pub fn open(
        bytes: [u8; LENGTH],
        rest: &mut impl std::io::Read,
        secrets: &Secrets,
    ) -> Result<Self> {
        let password = secrets.password.as_deref();
        let (version, protected) = recognise(&bytes)?;
        if version > VERSION {
            return Err(Error::unsupported(format!(
                "the backup has format {version} and this server reads formats up to {VERSION}: restore it with a newer Evercube"
            )));
        }
        let (summed, sum) = bytes.split_at(SUMMED);
        if blake3::hash(summed).as_bytes() != sum {
            return Err(damaged("its first bytes were changed"));
        }
        let mut slots = Vec::new();
        let key = match (protected, password) {
            (0, None) => None,
            (0, Some(_)) => {
                return Err(Error::invalid(
                    "the backup is not encrypted, but a password was given; leave the password out if this is the backup that is meant",
                ));
            }
            (1, None) => {
                return Err(Error::invalid(
                    "the backup is encrypted and no password was given; give the password it was made with",
                ));
            }
            (1, Some(password)) => Some(unlock(&bytes, password)?),
            (SLOTS, None) => {
                slots = read_slots(&bytes, rest)?;
                let key = FrameKey::new(secrets.keys.open(&slots)?, sixteen(&bytes, 40));
                Some(proved(key, &bytes).ok_or_else(|| damaged("its key does not open it"))?)
            }
            (SLOTS, Some(_)) => {
                return Err(Error::invalid(
                    "the backup has no password, but one was given; leave the password out if this is the backup that is meant",
                ));
            }
            (other, _) => {
                return Err(damaged(&format!("it names the unknown protection {other}")));
            }
        };
        Ok(Self { bytes, slots, key })
    }
}

/// The keys that open an archive, as they stand behind the first bytes.
fn read_slots(bytes: &[u8; LENGTH], rest: &mut impl std::io::Read) -> Result<Vec<u8>> {
    let length = usize::try_from(number(bytes, 12)).unwrap_or(usize::MAX);
    if length > slots::MOST {
        return Err(damaged("its list of keys is longer than any that is written"));
    }
    let mut slots = vec![0; length];
    fill(rest, &mut slots, "the list of the keys that open it")?;
    match start_of_hash(&slots) == sixteen(bytes, 24) {
        true => Ok(slots),
        false => Err(damaged("the list of the keys that open it was changed")),
    }
}

fn start_of_hash(slots: &[u8]) -> [u8; 16] {
    let hash = blake3::hash(slots);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    found.map_or(0, u32::from_le_bytes)
}

fn sixteen(bytes: &[u8], at: usize) -> [u8; 16] {
    bytes.get(at..at + 16).and_then(|b| b.try_into().ok()).unwrap_or_default()
}

/// The key, where it is the one that sealed the archive.
fn proved(key: FrameKey, bytes: &[u8]) -> Option<FrameKey> {
    let (head, proof) = bytes.split_at(CHECKED);
    let proof = proof.get(..SUMMED - CHECKED).unwrap_or_default();
    key.open(KEY_PROOF, head, proof).map(|_| key)
}

/// Whether what starts so is a backup that nothing protects.
pub(crate) fn is_plain(start: &[u8; 12]) -> bool {
    start.starts_with(&MAGIC) && start.get(10) == Some(&0)
}

/// Format and protection of what starts with an Evercube backup's first bytes.
fn recognise(bytes: &[u8; LENGTH]) -> Result<(u16, u8)> {
    let Some([a, b, protection, _, ..]) = bytes.strip_prefix(MAGIC.as_slice()) else {
        return Err(Error::invalid("the file is not an Evercube backup"));
    };
    Ok((u16::from_le_bytes([*a, *b]), *protection))
}

fn unlock(bytes: &[u8; LENGTH], password: &str) -> Result<FrameKey> {
    let cost = KdfCost {
        memory_kib: number(bytes, 12),
        passes: number(bytes, 16),
        lanes: number(bytes, 20),
    };
    cost.check()?;
    let chance = Chance { salt: sixteen(bytes, 24), nonce: sixteen(bytes, 40) };
    let key = FrameKey::derive(password, cost, &chance)?;
    proved(key, bytes)
        .ok_or_else(|| Error::invalid("the password is not the one the backup was made with"))
}

pub fn damaged(how: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the backup is damaged or was tampered with: {how}; nothing of it is used"),
    )
}
