//! What was found damaged among this server's files, and what became of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use evercube_store::Hash;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// The state of the files, as `status` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskHealth {
    /// Why the disk takes no files, since it did not take one; null where it does.
    #[serde(default)]
    pub refuses: Option<String>,
    /// Files found damaged or missing since the start.
    pub found: u64,
    /// Of these, the ones that were written again.
    pub healed: u64,
    /// What is damaged now and could not be written again yet.
    pub open: Vec<String>,
    /// The last damage that was healed, in words.
    pub last_healed: Option<String>,
    /// Files and bytes of the last whole look, and when it ended (UTC).
    pub checked: u64,
    pub checked_bytes: u64,
    pub checked_at: Option<String>,
}

/// A file that is needed and is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub hash: Hash,
    pub database: String,
    /// As `table 'Sales' partition '2024' segment 1`.
    pub what: String,
    pub why: String,
}

impl Damage {
    pub fn describe(&self) -> String {
        format!("{} of database '{}': {}", self.what, self.database, self.why)
    }
}

#[derive(Debug, Default)]
struct Book {
    health: DiskHealth,
    open: BTreeMap<Hash, Damage>,
}

#[derive(Debug, Default)]
pub(crate) struct DamageBook {
    book: Mutex<Book>,
    /// Told when somebody saw damage, so that it is not left until the next look.
    pub seen: Notify,
}

impl DamageBook {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes damage up; whether it is new.
    pub fn found(&self, damage: &Damage) -> bool {
        let mut book = self.lock();
        let new = book.open.insert(damage.hash, damage.clone()).is_none();
        book.health.found += u64::from(new);
        new
    }

    pub fn healed(&self, damage: &Damage, how: &str) {
        let mut book = self.lock();
        if book.open.remove(&damage.hash).is_some() {
            book.health.healed += 1;
            book.health.last_healed = Some(format!("{}; {how}", damage.describe()));
        }
    }

    /// Forgets damage of what nobody needs any more.
    pub fn retain(&self, needed: impl Fn(&Hash) -> bool) {
        self.lock().open.retain(|hash, _| needed(hash));
    }

    pub fn open(&self) -> Vec<Damage> {
        self.lock().open.values().cloned().collect()
    }

    pub fn looked(&self, files: u64, bytes: u64, at: String) {
        let mut book = self.lock();
        book.health.checked = files;
        book.health.checked_bytes = bytes;
        book.health.checked_at = Some(at);
    }

    pub fn health(&self) -> DiskHealth {
        let book = self.lock();
        let open = book.open.values().map(Damage::describe).collect();
        DiskHealth { open, ..book.health.clone() }
    }
}
