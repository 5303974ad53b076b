//! One writer at a time for each database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks of databases by lower-case name.
#[derive(Debug, Default)]
pub(crate) struct WriteLocks(Mutex<HashMap<String, Arc<AsyncMutex<()>>>>);

impl WriteLocks {
    /// Waits until nobody else writes the database; locks nobody holds are forgotten.
    pub async fn lock(&self, database: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, l| Arc::strong_count(l) > 1);
            Arc::clone(all.entry(database.to_lowercase()).or_default())
        };
        lock.lock_owned().await
    }

    /// Whether nobody writes any database.
    pub fn are_free(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().all(|l| Arc::strong_count(l) == 1)
    }
}
