//! The settings of a repository: its id, and the passwords that open it.

use std::collections::BTreeSet;

use evercube_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::keys::{Keys, Secret};
use crate::backup::preamble::{Chance, FrameKey, KdfCost, damaged};

pub const FILE: &str = "repo.json";
/// The same once more: a bit that flips in the first one must not cost every backup.
pub const COPY: &str = "repo.copy.json";
const FORMAT: u32 = 1;
pub const GRACE_SECONDS: u64 = 24 * 3600;
const MOST_SLOTS: usize = 32;
/// What it may take to try a password with all slots, memory times passes.
const MOST_WORK_KIB: u64 = 8 << 20;

/// How a repository is made.
#[derive(Clone, Default)]
pub struct Setup {
    /// Encrypts all of it.
    pub password: Option<String>,
    /// What the password is called; `first` where nothing is said.
    pub label: Option<String>,
    /// How long what nothing names any more stays; a day where nothing is said.
    pub grace_seconds: Option<u64>,
    /// Tests take cheaper ones.
    pub kdf: KdfCost,
}

/// A password as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotFacts {
    pub label: String,
    /// UTC.
    pub created: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    format: u32,
    id: String,
    product: String,
    created_micros: i64,
    pub grace_seconds: u64,
    /// None: it is not encrypted.
    slots: Vec<Slot>,
    /// Of all above, with the repository's key.
    proof: String,
    /// Of all above.
    sum: String,
}

/// A password and the repository's key sealed with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    label: String,
    created_micros: i64,
    kdf: KdfCost,
    salt: String,
    nonce: String,
    sealed: String,
}

impl Config {
    pub fn make(setup: Setup) -> Result<(Self, Keys)> {
        let Setup { password, label, grace_seconds, kdf } = setup;
        let mut id = [0; 16];
        crate::seal::random(&mut id)?;
        let mut config = Self {
            format: FORMAT,
            id: hex::encode(id),
            product: env!("CARGO_PKG_VERSION").to_owned(),
            created_micros: now(),
            grace_seconds: grace_seconds.unwrap_or(GRACE_SECONDS),
            slots: Vec::new(),
            proof: String::new(),
            sum: String::new(),
        };
        let mut secret: Option<Secret> = None;
        if let Some(password) = password {
            let mut drawn = Secret::default();
            crate::seal::random(&mut drawn)?;
            let label = label.unwrap_or_else(|| "first".to_owned());
            config.slots.push(Slot::new(&config.id, &label, &password, kdf, &drawn)?);
            secret = Some(drawn);
        }
        let keys = Keys::new(id, secret);
        config.signed(&keys)?;
        Ok((config, keys))
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| {
            Error::internal(format!("the settings of a repository could not be written: {e}"))
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the settings; every byte must be as it was written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let bad = || {
            damaged(&format!(
                "{FILE} of the repository is not what was written; {COPY} beside it is the same once more"
            ))
        };
        let format: Format = serde_json::from_slice(bytes).map_err(|_| bad())?;
        if let Ok(config) = serde_json::from_slice::<Self>(bytes)
            && config.to_bytes()? == bytes
            && config.sum == hex::encode(blake3::hash(&config.without_sum()?).as_bytes())
        {
            return match format.format {
                FORMAT => Ok(config),
                other => Err(newer(other)),
            };
        }
        if format.format > FORMAT { Err(newer(format.format)) } else { Err(bad()) }
    }

    fn without_sum(&self) -> Result<Vec<u8>> {
        Self { sum: String::new(), ..self.clone() }.to_bytes()
    }

    fn without_proof(&self) -> Result<Vec<u8>> {
        Self { sum: String::new(), proof: String::new(), ..self.clone() }.to_bytes()
    }

    /// Renews proof and sum.
    fn signed(&mut self, keys: &Keys) -> Result<()> {
        self.proof = hex::encode(keys.proof(&self.without_proof()?));
        self.sum = hex::encode(blake3::hash(&self.without_sum()?).as_bytes());
        Ok(())
    }

    /// The keys, where the password is one of those that open it.
    pub fn unlock(&self, password: Option<&str>) -> Result<Keys> {
        let secret = match (self.slots.is_empty(), password) {
            (true, None) => None,
            (true, Some(_)) => {
                return Err(Error::invalid(
                    "the backup repository is not encrypted, but a password was given; leave the password out if this is the repository that is meant",
                ));
            }
            (false, None) => {
                return Err(Error::invalid(
                    "the backup repository is encrypted and no password was given; give one of its passwords",
                ));
            }
            (false, Some(password)) => Some(self.secret(password)?),
        };
        let mut id = [0; 16];
        hex::decode_to_slice(&self.id, &mut id)
            .map_err(|_| damaged(&format!("{FILE} of the repository names no id")))?;
        let keys = Keys::new(id, secret);
        if self.proof != hex::encode(keys.proof(&self.without_proof()?)) {
            return Err(damaged(&format!(
                "{FILE} of the repository was changed by somebody who does not have its key"
            )));
        }
        Ok(keys)
    }

    fn secret(&self, password: &str) -> Result<Secret> {
        if self.slots.len() > MOST_SLOTS {
            return Err(damaged(&format!("{FILE} of the repository has too many passwords")));
        }
        // Each is tried in turn.
        if self.slots.iter().map(|s| s.kdf.work_kib()).sum::<u64>() > MOST_WORK_KIB {
            return Err(damaged(&format!(
                "{FILE} of the repository asks for more work than {MOST_SLOTS} passwords need"
            )));
        }
        for slot in &self.slots {
            if let Some(secret) = slot.open(&self.id, password)? {
                return Ok(secret);
            }
        }
        Err(Error::invalid("the password is none of those that open the backup repository"))
    }

    pub fn slot_facts(&self) -> Vec<SlotFacts> {
        let fact = |s: &Slot| SlotFacts {
            label: s.label.clone(),
            created: evercube_base::DateTime::from_unix_micros(s.created_micros)
                .unwrap_or_default()
                .to_string(),
        };
        self.slots.iter().map(fact).collect()
    }

    pub fn add(&mut self, keys: &Keys, label: &str, password: &str) -> Result<()> {
        let Some(secret) = keys.secret() else {
            return Err(Error::invalid(
                "the backup repository is not encrypted, so that a password would protect nothing; make a new one with a password",
            ));
        };
        let labels: BTreeSet<&str> = self.slots.iter().map(|s| s.label.as_str()).collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if label.is_empty() || label.len() > 60 || !label.chars().all(plain) {
            return Err(Error::invalid(format!(
                "'{label}' cannot be what a password is called; use letters, digits, - _ and ."
            )));
        }
        if labels.contains(label) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("there is a password called '{label}' already"),
            ));
        }
        if self.slots.len() >= MOST_SLOTS {
            return Err(Error::invalid(format!("a repository has {MOST_SLOTS} passwords at most")));
        }
        let kdf = self.slots.first().map_or_else(KdfCost::default, |s| s.kdf);
        self.slots.push(Slot::new(&self.id, label, password, kdf, secret)?);
        self.signed(keys)
    }

    pub fn remove(&mut self, keys: &Keys, label: &str) -> Result<()> {
        let Some(place) = self.slots.iter().position(|s| s.label == label) else {
            return Err(Error::not_found(format!("there is no password called '{label}'")));
        };
        if self.slots.len() == 1 {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("'{label}' is the only password of the repository; add another one first"),
            ));
        }
        self.slots.remove(place);
        self.signed(keys)
    }
}

fn newer(format: u32) -> Error {
    Error::unsupported(format!(
        "the backup repository has format {format} and this server reads formats up to {FORMAT}: use a newer Evercube"
    ))
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

impl Slot {
    fn new(id: &str, label: &str, password: &str, kdf: KdfCost, secret: &Secret) -> Result<Self> {
        let chance = Chance::draw()?;
        let key = FrameKey::derive(password, kdf, &chance)?;
        Ok(Self {
            label: label.to_owned(),
            created_micros: now(),
            kdf,
            salt: hex::encode(chance.salt),
            nonce: hex::encode(chance.nonce),
            sealed: hex::encode(key.seal(0, id.as_bytes(), secret)?),
        })
    }

    fn open(&self, id: &str, password: &str) -> Result<Option<Secret>> {
        self.kdf.check()?;
        let bad = |_| damaged(&format!("{FILE} of the repository has no readable passwords"));
        let mut chance = Chance { salt: [0; 16], nonce: [0; 16] };
        hex::decode_to_slice(&self.salt, &mut chance.salt).map_err(bad)?;
        hex::decode_to_slice(&self.nonce, &mut chance.nonce).map_err(bad)?;
        let sealed = hex::decode(&self.sealed).map_err(bad)?;
        let key = FrameKey::derive(password, self.kdf, &chance)?;
        Ok(key.open(0, id.as_bytes(), &sealed).and_then(|s| s.try_into().ok()))
    }
}
