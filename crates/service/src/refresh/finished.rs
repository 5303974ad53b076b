//! Partitions that were read and are not committed yet: taken over instead of being read again,
//! where neither their definition nor what their source says of itself changed since.

use std::collections::BTreeMap;

use evercube_base::{Error, Result};
use evercube_model::tabular::{Database, PartitionSource};
use evercube_sources::FileMark;
use evercube_store::{Hash, SegmentRef};
use serde::{Deserialize, Serialize};

use crate::refresh::partition::TableShape;

/// Row groups of a partition.
pub(crate) type Groups = Vec<Vec<SegmentRef>>;

/// By table and partition.
pub(crate) type Ahead = BTreeMap<(String, String), Finished>;

/// A partition that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub table: String,
    pub partition: String,
    /// Of everything in the model that the rows depend on.
    fingerprint: Hash,
    /// Files it was read from: path, length, time of the last change.
    files: Vec<(std::path::PathBuf, u64, u64)>,
    /// When the partition had been read before, in the version it was read for.
    was_micros: Option<i64>,
    pub groups: Groups,
}

const VERSION: u8 = 1;

/// Hash of the definition of a partition's rows.
pub(crate) fn fingerprint(
    database: &Database,
    source: &PartitionSource,
    shape: &TableShape,
) -> Result<Hash> {
    let model = &database.model;
    let text = |e: serde_json::Error| Error::internal(format!("a source cannot be written: {e}"));
    let mut hasher = blake3::Hasher::new();
    let expressions = crate::refresh::run::shared_expressions(database);
    for part in [
        serde_json::to_vec(source).map_err(text)?,
        serde_json::to_vec(&model.data_sources).map_err(text)?,
        serde_json::to_vec(&expressions).map_err(text)?,
        format!("{shape:?}").into_bytes(),
    ] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(&part);
    }
    Ok(*hasher.finalize().as_bytes())
}

impl Finished {
    pub fn new(
        (table, partition): (String, String),
        fingerprint: Hash,
        files: Vec<FileMark>,
        was_micros: Option<i64>,
        groups: Groups,
    ) -> Self {
        let files = files.into_iter().map(|f| (f.path, f.length, f.modified_micros)).collect();
        Self { table, partition, fingerprint, files, was_micros, groups }
    }

    /// Whether reading it again now would read the same as far as anybody can tell, and nobody
    /// else read it since.
    pub fn still_holds(&self, fingerprint: Hash, refreshed_micros: Option<i64>) -> bool {
        self.fingerprint == fingerprint
            && self.was_micros == refreshed_micros
            && self.files.iter().all(|(path, length, modified_micros)| {
                let (path, length) = (path.clone(), *length);
                FileMark { path, length, modified_micros: *modified_micros }.holds()
            })
    }

    pub fn segments(&self) -> impl Iterator<Item = Hash> {
        self.groups.iter().flatten().map(|s| s.hash)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, vec![VERSION])
            .map_err(|e| Error::internal(format!("a read partition could not be written: {e}")))
    }

    /// `None` for what another release wrote: it is read again.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => postcard::from_bytes(rest).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_holds_until_its_definition_its_file_or_the_partition_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "a").unwrap();
        let marks = FileMark::of(&file).into_iter().collect();
        let label = ("T".to_owned(), "p".to_owned());
        let read = Finished::new(label, [1; 32], marks, Some(5), Vec::new());
        let read = Finished::from_bytes(&read.to_bytes().unwrap()).unwrap();
        assert!(read.still_holds([1; 32], Some(5)));
        assert!(!read.still_holds([2; 32], Some(5)), "it is defined in another way");
        assert!(!read.still_holds([1; 32], Some(6)), "somebody else read it");
        std::fs::write(&file, "ab").unwrap();
        assert!(!read.still_holds([1; 32], Some(5)), "its file changed");
        assert_eq!(Finished::from_bytes(&[9]), None);
    }
}
