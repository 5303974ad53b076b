//! How far a refresh, backup or restore has come, by request id, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `reading`, `writing`, `calculating`, `shipping`, `committing`, `done`, `failed`.
    pub state: String,
    pub rows: u64,
    pub partitions_done: u32,
    pub partitions_total: u32,
    /// Who asked for it; nobody else but an administrator is told.
    #[serde(default)]
    pub by: String,
    /// What is being worked on, as `Sales/2024`.
    pub current: String,
}

/// Progress of the operations of this server; the newest thousand are kept.
#[derive(Debug, Clone, Default)]
pub struct ProgressBook(Arc<Mutex<BTreeMap<u64, (String, Progress)>>>);

impl ProgressBook {
    pub fn update(&self, request_id: &str, change: impl FnOnce(&mut Progress)) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, p)) = book.values_mut().find(|(id, _)| id == request_id) {
            change(p);
            return;
        }
        let mut p = Progress::default();
        change(&mut p);
        let next = book.last_key_value().map_or(0, |(n, _)| n + 1);
        book.insert(next, (request_id.to_owned(), p));
        while book.len() > 1000 {
            book.pop_first();
        }
    }

    pub fn get(&self, request_id: &str) -> Option<Progress> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.values().find(|(id, _)| id == request_id).map(|(_, p)| p.clone())
    }
}
