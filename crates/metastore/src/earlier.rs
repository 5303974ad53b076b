//! Versions that were current before: what a database goes back to, and what is read as of then.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::state::{DatabaseEntry, Hash};

/// Versions kept of a database beside its current one.
pub const VERSIONS_KEPT: usize = 8;
/// Ended databases of which versions are kept.
const ENDED: usize = 20;

/// A version that was replaced, or was the last one of its database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierVersion {
    pub name: String,
    pub seq: u64,
    pub model: Hash,
    pub manifest: Hash,
    pub root: Hash,
    pub created_micros: i64,
    pub updated_micros: i64,
}

/// By lower-case name of the database, each oldest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EarlierVersions(BTreeMap<String, VecDeque<EarlierVersion>>);

impl EarlierVersions {
    /// The earlier versions of a database, oldest first.
    pub fn of(&self, database: &str) -> impl DoubleEndedIterator<Item = &EarlierVersion> {
        self.0.get(&database.to_lowercase()).into_iter().flatten()
    }

    pub fn all(&self) -> impl Iterator<Item = &EarlierVersion> {
        self.0.values().flatten()
    }

    /// Keeps a version that another one replaces, under the name the database has from now on.
    pub(crate) fn keep(&mut self, entry: &DatabaseEntry, name: &str) {
        let (old, new) = (entry.name.to_lowercase(), name.to_lowercase());
        let mut all = self.0.remove(&old).unwrap_or_default();
        all.push_back(EarlierVersion {
            name: entry.name.clone(),
            seq: entry.seq,
            model: entry.model,
            manifest: entry.manifest,
            root: entry.root,
            created_micros: entry.created_micros,
            updated_micros: entry.updated_micros,
        });
        while all.len() > VERSIONS_KEPT {
            all.pop_front();
        }
        self.0.insert(new, all);
    }

    /// Forgets the databases that ended longest ago.
    pub(crate) fn forget_ended(&mut self, exists: impl Fn(&str) -> bool) {
        let newest = |versions: &VecDeque<EarlierVersion>| versions.back().map_or(0, |v| v.seq);
        let mut ended: Vec<(u64, String)> = self
            .0
            .iter()
            .filter(|(name, _)| !exists(name))
            .map(|(name, versions)| (newest(versions), name.clone()))
            .collect();
        ended.sort();
        let many = ended.len().saturating_sub(ENDED);
        for (_, name) in ended.into_iter().take(many) {
            self.0.remove(&name);
        }
    }
}
