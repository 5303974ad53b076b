//! Manifests: which version of which database a backup is, and what it consists of.

use std::collections::BTreeSet;

use evercube_base::{Error, ErrorKind, Result};
use evercube_store::Hash;
use serde::{Deserialize, Serialize};

use super::Repository;
use super::name::SnapshotName;
use super::sealed::{self, Kind};
use crate::backup::header::BackupHeader;
use crate::backup::preamble::damaged;
use crate::objects::blocking;

/// Longest manifest that is read; a list of three million objects is shorter.
const MOST: u64 = 512 << 20;

/// A backup in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub name: SnapshotName,
    pub header: BackupHeader,
    /// The file of each object, in the order of the header.
    pub stored: Vec<Stored>,
    /// Hash and length of the manifest's file.
    pub content: Hash,
    pub length: u64,
}

impl Snapshot {
    /// Bytes of all the files the backup needs.
    pub fn all_bytes(&self) -> u64 {
        self.length + self.stored.iter().map(|object| object.length).sum::<u64>()
    }
}

/// The file of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its bytes, compressed and sealed.
    pub length: u64,
    /// What its name ends with.
    pub file: String,
}

/// What a manifest says.
#[derive(Serialize, Deserialize)]
struct Manifest {
    #[serde(flatten)]
    header: BackupHeader,
    stored: Vec<Stored>,
}

impl Repository {
    /// The names of all manifests, oldest version first.
    pub async fn snapshots(&self) -> Result<Vec<SnapshotName>> {
        let listed = self.store.list("man").await?;
        // What has no such name is nothing of a repository's.
        let names = listed.keys().filter_map(|path| SnapshotName::of_file(path).ok());
        let mut names: Vec<SnapshotName> = names.collect();
        names.sort();
        Ok(names)
    }

    /// Backups that were proved here and are gone without having been pruned, oldest version first.
    pub async fn lost(&self) -> Result<Vec<SnapshotName>> {
        let mut lost = BTreeSet::new();
        for path in self.store.list("ok").await?.keys() {
            lost.extend(SnapshotName::of_file(path).ok());
        }
        for folder in ["gone", "man"] {
            for path in self.store.list(folder).await?.keys() {
                if let Ok(name) = SnapshotName::of_file(path) {
                    lost.remove(&name);
                }
            }
        }
        Ok(lost.into_iter().collect())
    }

    /// Reads a manifest.
    pub async fn snapshot(&self, name: &SnapshotName) -> Result<Snapshot> {
        self.manifest(name, &name.path()).await
    }

    /// Reads the manifest `name` from the file `path`.
    pub(super) async fn manifest(&self, name: &SnapshotName, path: &str) -> Result<Snapshot> {
        let found = self.store.get(path).await?.ok_or_else(|| {
            Error::not_found(format!(
                "there is no backup {} at {}",
                name.file(),
                self.store.place()
            ))
        })?;
        let (keys, name) = (std::sync::Arc::clone(&self.keys), name.clone());
        blocking(move || {
            let json = sealed::open(&keys, Kind::Manifest, &name.path(), &found, MOST)?;
            let bad = || damaged(&format!("{} is not what was written", name.path()));
            let manifest: Manifest = serde_json::from_slice(&json).map_err(|_| bad())?;
            let Manifest { header, stored } = manifest;
            if SnapshotName::of(&header, &keys) != name || header.objects.len() != stored.len() {
                return Err(bad());
            }
            let content = *blake3::hash(&found).as_bytes();
            Ok(Snapshot { name, header, stored, content, length: found.len() as u64 })
        })
        .await
    }

    /// Writes a manifest under a name of its own; what it is where it is there now.
    pub(super) async fn put_snapshot(
        &self,
        header: BackupHeader,
        stored: Vec<Stored>,
    ) -> Result<Snapshot> {
        let keys = std::sync::Arc::clone(&self.keys);
        let (of, lengths) = (header.clone(), stored.clone());
        let (name, bytes) = blocking(move || {
            let name = SnapshotName::of(&of, &keys);
            let manifest = Manifest { header: of, stored: lengths };
            let json = serde_json::to_vec(&manifest).map_err(|e| {
                Error::internal(format!("the manifest of a backup could not be written: {e}"))
            })?;
            let bytes = sealed::seal(&keys, Kind::Manifest, &name.path(), &json)?;
            Ok((name, bytes))
        })
        .await?;
        let (content, length) = (*blake3::hash(&bytes).as_bytes(), bytes.len() as u64);
        if self.store.create(&name.path(), bytes).await? {
            return Ok(Snapshot { name, header, stored, content, length });
        }
        // Of a version that ships itself there is one manifest, whoever was first; a request that
        // is sent again finds its own.
        let there = self.snapshot(&name).await?;
        if there.header.root == header.root && there.header.request == header.request {
            return Ok(there);
        }
        if header.log && there.header.root == header.root {
            return Ok(there);
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "{} at {} is there already and is another state of the database",
                name.path(),
                self.store.place()
            ),
        ))
    }
}
