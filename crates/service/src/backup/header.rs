//! What a backup says about itself.

use serde::{Deserialize, Serialize};

use evercube_store::Hash;

/// One object of a backed-up version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEntry {
    #[serde(with = "hex_hash")]
    pub hash: Hash,
    /// Bytes, uncompressed.
    pub length: u64,
}

/// The version that was backed up and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BackupHeader {
    pub database: String,
    /// The group the backup was made in.
    pub cluster: String,
    pub seq: u64,
    /// Microseconds since 1970.
    pub created_micros: i64,
    /// Request that made the backup; one that is sent again finds its work done.
    #[serde(default)]
    pub request: String,
    /// Version of the product that made the backup.
    pub product: String,
    #[serde(with = "hex_hash")]
    pub root: Hash,
    #[serde(with = "hex_hash")]
    pub model: Hash,
    #[serde(with = "hex_hash")]
    pub manifest: Hash,
    /// In the order in which they follow; each once.
    pub objects: Vec<ObjectEntry>,
    /// The history of the group that the version is of.
    #[serde(default)]
    pub history: History,
    /// Whether it was shipped because it was committed, and not because somebody asked; it counts
    /// as made when it was committed.
    #[serde(default)]
    pub log: bool,
}

/// A history of a group. A side that went on by an operator's word alone began a new one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct History {
    /// Counts them.
    pub incarnation: u64,
    /// Tells two of the same number apart.
    pub branch: u64,
}

impl BackupHeader {
    /// Bytes of all objects.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().fold(0, |sum, o| sum.saturating_add(o.length))
    }
}

/// What became of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackupSummary {
    pub objects: u64,
    /// Bytes of the objects.
    pub bytes: u64,
    /// Bytes of the backup.
    pub written: u64,
    /// Hash of these.
    pub content: Hash,
}

mod hex_hash {
    use evercube_store::Hash;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(hash: &Hash, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(hash))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(d)?;
        let mut hash = Hash::default();
        hex::decode_to_slice(&text, &mut hash).map_err(D::Error::custom)?;
        Ok(hash)
    }
}
