//! How far a refresh, backup or restore has come, by request id, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::once::given_id;
use crate::refresh::parallel::ServerReading;

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
    /// Of those, the ones an earlier server read.
    #[serde(default)]
    pub partitions_kept: u32,
    /// What is being worked on, as `Sales/2024`.
    pub current: String,
    /// Every partition a refresh reads.
    #[serde(default)]
    pub partitions: Vec<PartitionProgress>,
    /// What every server read, where all read the sources at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerReading>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionProgress {
    pub table: String,
    pub partition: String,
    /// `notStarted`, `inProgress`, `succeeded`, `failed`, `cancelled`.
    pub state: String,
}

impl Progress {
    /// Notes a partition that is read, or was read before. One that must be read again is counted
    /// once.
    pub(crate) fn adds(&mut self, (table, partition): &(String, String), is_read: bool) {
        let mut all = self.partitions.iter_mut();
        match all.find(|p| p.table == *table && p.partition == *partition) {
            Some(known) if !is_read => {
                if known.state == "succeeded" {
                    self.partitions_done = self.partitions_done.saturating_sub(1);
                }
                known.state = "notStarted".into();
            }
            Some(_) => {}
            None => {
                self.partitions_total += 1;
                self.partitions_done += u32::from(is_read);
                self.partitions_kept += u32::from(is_read);
                self.partitions.push(PartitionProgress {
                    table: table.clone(),
                    partition: partition.clone(),
                    state: if is_read { "succeeded" } else { "notStarted" }.into(),
                });
            }
        }
    }

    /// Notes how far a partition has come.
    pub(crate) fn partition_is(&mut self, (table, partition): &(String, String), state: &str) {
        let mut all = self.partitions.iter_mut();
        if let Some(found) = all.find(|p| p.table == *table && p.partition == *partition) {
            state.clone_into(&mut found.state);
        }
        match state {
            "inProgress" => self.current = format!("{table}/{partition}"),
            "succeeded" => self.partitions_done += 1,
            _ => {}
        }
    }
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

    /// Of the newest request that was given this id, whoever asked.
    pub fn of_anybody(&self, given: &str) -> Option<Progress> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.values().rev().find(|(id, _)| given_id(id) == given).map(|(_, p)| p.clone())
    }
}
