//! The versions this server holds in memory, one newest per database, and who waits for them.
//!
//! A version is immutable; a commit swaps one pointer here once everything it needs has been
//! loaded and verified, and queries in flight keep the version they started with.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use evercube_base::{Error, Result};
use evercube_engine::{CompiledModel, Dataset};
use evercube_model::ids::ObjectIds;
use evercube_model::tabular::Database;
use evercube_store::{Hash, Manifest, StoreVersion};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The model as it is stored: an object of its own, named by hash like a segment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StoredModel {
    pub database: Database,
    /// Numbers of the model's objects; stable over versions.
    #[serde(default)]
    pub ids: ObjectIds,
    /// What could not be computed when the version was made: object, as `Sales[Margin]`, and why.
    #[serde(default)]
    pub failures: BTreeMap<String, String>,
}

impl StoredModel {
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|e| Error::internal(format!("a model could not be written: {e}")))
    }
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| {
            Error::new(
                evercube_base::ErrorKind::Corrupt,
                format!("a stored model cannot be read: {e}"),
            )
        })
    }
}

/// One committed, immutable state of a database, ready for queries.
#[derive(Debug)]
pub struct LoadedVersion {
    pub name: String,
    pub seq: u64,
    pub model: StoredModel,
    pub compiled: Arc<CompiledModel>,
    pub store: Arc<StoreVersion>,
    pub manifest: Manifest,
    pub model_hash: Hash,
    pub manifest_hash: Hash,
    /// State root computed here from the objects this server read.
    pub root: Hash,
    pub updated_micros: i64,
}

impl LoadedVersion {
    /// What the engine works on.
    pub fn dataset(&self) -> Dataset {
        Dataset { model: Arc::clone(&self.compiled), store: Arc::clone(&self.store) }
    }
}

#[derive(Debug, Default)]
struct Slot {
    current: Option<Arc<LoadedVersion>>,
    /// Versions that were current before, newest first, for queries at a version.
    earlier: VecDeque<Arc<LoadedVersion>>,
    /// Why the committed version is not served here.
    failure: Option<Error>,
}

/// Earlier versions kept in memory for queries at a version; older ones are loaded when asked for.
const EARLIER: usize = 2;

/// All databases of this server by lower-case name.
#[derive(Debug)]
pub struct Versions {
    slots: RwLock<BTreeMap<String, Slot>>,
    changes: watch::Sender<u64>,
}

impl Default for Versions {
    fn default() -> Self {
        Self { slots: RwLock::default(), changes: watch::Sender::new(0) }
    }
}

impl Versions {
    /// The newest version loaded here.
    pub fn get(&self, name: &str) -> Option<Arc<LoadedVersion>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(&name.to_lowercase())?.current.clone()
    }

    /// A version that is still in memory, by number.
    pub fn get_at(&self, name: &str, seq: u64) -> Option<Arc<LoadedVersion>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(&name.to_lowercase())?;
        slot.current.iter().chain(&slot.earlier).find(|v| v.seq == seq).cloned()
    }

    /// Keeps a version that was read again, for the next one who asks for it.
    pub(crate) fn add_earlier(&self, name: &str, version: Arc<LoadedVersion>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(&name.to_lowercase()) {
            slot.earlier.push_front(version);
            slot.earlier.truncate(EARLIER);
        }
    }

    pub fn failure(&self, name: &str) -> Option<Error> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(&name.to_lowercase())?.failure.clone()
    }

    pub fn all(&self) -> Vec<Arc<LoadedVersion>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter_map(|s| s.current.clone()).collect()
    }

    /// A version in memory whose model or manifest is this object.
    pub(crate) fn made_of(&self, object: &Hash) -> Option<Arc<LoadedVersion>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let mut versions = slots.values().flat_map(|s| s.current.iter().chain(&s.earlier));
        versions.find(|v| v.model_hash == *object || v.manifest_hash == *object).cloned()
    }

    /// The objects of every version in memory.
    pub(crate) fn objects(&self) -> Vec<Hash> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let versions = slots.values().flat_map(|s| s.current.iter().chain(&s.earlier));
        let of = |v: &Arc<LoadedVersion>| {
            let segments = v.manifest.objects().into_iter().map(|(_, hash)| hash);
            segments.chain([v.model_hash, v.manifest_hash]).collect::<Vec<_>>()
        };
        versions.flat_map(of).collect()
    }

    /// Makes `version` the one that queries get.
    pub fn set(&self, version: Arc<LoadedVersion>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(version.name.to_lowercase()).or_default();
        slot.failure = None;
        if let Some(old) = slot.current.replace(version) {
            slot.earlier.push_front(old);
            slot.earlier.truncate(EARLIER);
        }
        drop(slots);
        self.changes.send_modify(|n| *n += 1);
    }

    /// Records why the committed version cannot be served; the older one, if any, stays.
    pub fn set_failure(&self, name: &str, error: Error) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.entry(name.to_lowercase()).or_default().failure = Some(error);
        drop(slots);
        self.changes.send_modify(|n| *n += 1);
    }

    /// Forgets databases that no longer exist.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|name, _| exists(name));
        drop(slots);
        self.changes.send_modify(|n| *n += 1);
    }

    /// Counts up whenever something changed here.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
