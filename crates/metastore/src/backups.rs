//! What the group wrote where: by this a backup that was put back to an older one is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::state::Hash;

/// Backups that are remembered.
const MOST: usize = 10_000;

/// A backup as it was written, or as it was when it was first verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    pub database: String,
    pub seq: u64,
    pub created_micros: i64,
    /// Hash of all its bytes, and how many there are.
    pub content: Hash,
    pub length: u64,
    /// When all of it was last read back and proved.
    pub verified_micros: Option<i64>,
}

/// Takes a record up, or out; of too many the oldest goes.
pub(crate) fn put(
    all: &mut BTreeMap<String, BackupRecord>,
    place: String,
    record: Option<BackupRecord>,
) {
    match record {
        None => {
            all.remove(&place);
        }
        Some(record) => {
            all.insert(place, record);
        }
    }
    if all.len() > MOST {
        let oldest = all.iter().min_by_key(|(_, r)| r.created_micros).map(|(p, _)| p.clone());
        if let Some(oldest) = oldest {
            all.remove(&oldest);
        }
    }
}
