//! Writing a backup: the objects that are not there yet, then the manifest, then a proof.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evercube_base::{Error, ErrorKind, Result};
use evercube_store::Hash;
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::name::{self, SnapshotName};
use super::sealed::{self, Kind};
use super::{Repository, Snapshot, Stored, TOGETHER};
use crate::backup::header::{BackupHeader, ObjectEntry};
use crate::objects::blocking;

/// What is known to be in the repository and to stay for the time being: the file of each object, by
/// its hash.
#[derive(Debug, Clone)]
pub struct Known {
    objects: BTreeMap<Hash, Stored>,
    /// Until when it may be relied on.
    until: Instant,
}

impl Known {
    /// Everything is sent.
    pub fn nothing() -> Self {
        Self { objects: BTreeMap::new(), until: Instant::now() }
    }

    pub fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }

    /// Takes up what a snapshot names that was written just now.
    pub fn learn(&mut self, snapshot: &Snapshot) {
        let all = snapshot.header.objects.iter().zip(&snapshot.stored);
        self.objects.extend(all.map(|(o, stored)| (o.hash, stored.clone())));
    }
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Written {
    pub snapshot: Snapshot,
    /// Objects that were not there, and the bytes sent for them and the manifest.
    pub new_objects: u64,
    pub new_bytes: u64,
    /// These.
    pub uploaded: Vec<ObjectEntry>,
}

impl Repository {
    /// Half of the time for which what nothing names stays: who began to write within it finds
    /// what was there.
    fn patience(&self) -> Duration {
        Duration::from_secs(self.config.grace_seconds / 2)
    }

    /// Which of the objects of a version need not be sent.
    ///
    /// A file counts as there while a manifest names it, since it then outlives that manifest by
    /// the grace, or while it is young: then it does not go before the half of the grace is over.
    pub async fn known(&self, header: &BackupHeader) -> Result<Known> {
        let (begun, patience) = (Instant::now(), self.patience());
        let there = self.objects().await?;
        if there.is_empty() || patience.is_zero() {
            return Ok(Known::nothing());
        }
        let clock = self.clock().await?;
        let wanted: BTreeMap<String, Hash> = header
            .objects
            .iter()
            .map(|o| (hex::encode(self.keys.id_of(&o.hash)), o.hash))
            .collect();
        let mut objects = BTreeMap::new();
        let mut old: BTreeMap<String, (Hash, u64)> = BTreeMap::new();
        for (name, listed) in there {
            let Some((id, file)) = name::parse_object(&name) else { continue };
            let Some(hash) = wanted.get(id) else { continue };
            if u128::from(clock.abs_diff(listed.modified)) < patience.as_micros() {
                let stored = Stored { length: listed.length, file: file.to_owned() };
                objects.insert(*hash, stored);
            } else {
                old.insert(name, (*hash, listed.length));
            }
        }
        old.retain(|_, (hash, _)| !objects.contains_key(hash));
        // The manifests of the same database last, which are looked at first: they name most of it.
        let of = SnapshotName::of(header, &self.keys).database;
        let mut names = self.snapshots().await?;
        names.sort_by_key(|n| (n.database == of, n.clone()));
        while !old.is_empty()
            && let Some(name) = names.pop()
        {
            // One that cannot be read vouches for nothing.
            let Ok(snapshot) = self.snapshot(&name).await else { continue };
            for (object, stored) in snapshot.header.objects.iter().zip(&snapshot.stored) {
                // A file of another length is not what was written.
                let found = old.remove(&self.object_name(&object.hash, stored));
                if let Some((hash, length)) = found
                    && length == stored.length
                {
                    objects.insert(hash, stored.clone());
                }
            }
        }
        Ok(Known { objects, until: begun + patience })
    }

    /// Writes a backup of a version. `objects` gives its objects one after the other; those that
    /// are `known` are left out. Where it ends early, what was sent is found by the next one.
    pub async fn write(
        &self,
        header: BackupHeader,
        known: &Known,
        mut objects: impl FnMut(&Hash) -> Result<Vec<u8>> + Send + 'static,
    ) -> Result<Written> {
        let new: Vec<ObjectEntry> = header
            .objects
            .iter()
            .filter(|o| !known.objects.contains_key(&o.hash))
            .copied()
            .collect();
        let (give, take) = mpsc::channel::<(Hash, String, Vec<u8>)>(1);
        let keys = Arc::clone(&self.keys);
        let wanted = new.clone();
        let sealing = blocking(move || {
            for object in wanted {
                let mut file = [0; 4];
                crate::seal::random(&mut file)?;
                let file = hex::encode(file);
                let name = name::object(&keys.id_of(&object.hash), &file);
                let content = objects(&object.hash)?;
                if content.len() as u64 != object.length
                    || *blake3::hash(&content).as_bytes() != object.hash
                {
                    return Err(Error::internal("a backup was given an object it does not list"));
                }
                let bytes = sealed::seal(&keys, Kind::Object, &name, &content)?;
                drop(content);
                // Nobody takes it any more: the upload failed, and says itself why.
                if give.blocking_send((object.hash, file, bytes)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let sending = async {
            // Taken along, so that the channel ends where a file could not be sent.
            let mut take = take;
            let mut stored: BTreeMap<Hash, Stored> = BTreeMap::new();
            let mut sending = FuturesUnordered::new();
            while let Some((hash, file, bytes)) = take.recv().await {
                if sending.len() >= TOGETHER {
                    sending.try_next().await?;
                }
                let name = name::object(&self.keys.id_of(&hash), &file);
                stored.insert(hash, Stored { length: bytes.len() as u64, file });
                sending.push(async move { self.store.put(&name, bytes).await });
            }
            while let Some(sent) = sending.next().await {
                sent?;
            }
            Ok(stored)
        };
        let (sealed, sent): (Result<()>, Result<BTreeMap<Hash, Stored>>) =
            tokio::join!(sealing, sending);
        let sent = sent?;
        sealed?;
        if !known.objects.is_empty() && !known.is_fresh() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the backup took longer than half of the repository's grace, so that what it relies on may be gone; what was sent is used by the next attempt",
            ));
        }
        let file = |o: &ObjectEntry| sent.get(&o.hash).or_else(|| known.objects.get(&o.hash));
        let stored: Option<Vec<Stored>> = header.objects.iter().map(|o| file(o).cloned()).collect();
        let stored = stored.ok_or_else(|| Error::internal("an object of a backup was not sent"))?;
        let snapshot = self.put_snapshot(header, stored).await?;
        let new_bytes = sent.values().map(|s| s.length).sum::<u64>() + snapshot.length;
        Ok(Written { snapshot, new_objects: new.len() as u64, new_bytes, uploaded: new })
    }
}
