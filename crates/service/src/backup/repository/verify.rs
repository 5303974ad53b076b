//! Reading back: every object that manifests name, once, or a sample of them.

use std::collections::{BTreeMap, BTreeSet};

use evercube_base::{Error, Result};
use evercube_store::Hash;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::sealed::{self, Kind};
use super::{Repository, Snapshot, SnapshotName, Stored, TOGETHER, Written};
use crate::backup::ReadBack;
use crate::backup::header::ObjectEntry;
use crate::backup::preamble::damaged;
use crate::objects::blocking;

/// The result of a verification that went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Hash of the manifest's file, in hexadecimal.
    pub manifest: String,
    /// When it was proved, microseconds since 1970.
    pub micros: i64,
    pub server: String,
    /// How many of its objects were read; the others were there with their lengths.
    pub objects: u64,
    pub of: u64,
}

impl Repository {
    /// Looks at every object of some snapshots, and reads those that `reads` chooses; what is wrong
    /// with each of the snapshots.
    pub async fn prove(
        &self,
        snapshots: &[Snapshot],
        reads: impl Fn(&ObjectEntry) -> bool,
    ) -> Result<Vec<Option<Error>>> {
        let there = self.objects().await?;
        let mut wrong: BTreeMap<String, Error> = BTreeMap::new();
        let mut chosen: BTreeMap<String, (ObjectEntry, Stored)> = BTreeMap::new();
        for snapshot in snapshots {
            for (object, stored) in snapshot.header.objects.iter().zip(&snapshot.stored) {
                let name = self.object_name(&object.hash, stored);
                match self.looked_at(&name, stored, there.get(&name)).await {
                    Err(e) => {
                        wrong.insert(name, e);
                    }
                    Ok(()) if reads(object) => {
                        chosen.insert(name, (*object, stored.clone()));
                    }
                    Ok(()) => {}
                }
            }
        }
        let read = |(name, (object, stored)): (String, (ObjectEntry, Stored))| async move {
            (name, self.object(&object, &stored).await)
        };
        let mut read =
            futures::stream::iter(chosen.into_iter().map(read)).buffer_unordered(TOGETHER);
        while let Some((name, outcome)) = read.next().await {
            if let Err(e) = outcome {
                wrong.insert(name, e);
            }
        }
        let first = |s: &Snapshot| {
            let mut all = s.header.objects.iter().zip(&s.stored);
            all.find_map(|(o, stored)| wrong.get(&self.object_name(&o.hash, stored)).cloned())
        };
        Ok(snapshots.iter().map(first).collect())
    }

    /// Reads back what a backup brought and as much as is asked for of what it needs besides, looks
    /// that the rest is there, and writes that down.
    pub async fn prove_written(
        &self,
        written: &Written,
        server: &str,
        read_back: ReadBack,
    ) -> Result<()> {
        if read_back == ReadBack::None {
            return Ok(());
        }
        let mut drawn = [0; 16];
        crate::seal::random(&mut drawn)?;
        let new: BTreeSet<Hash> = written.uploaded.iter().map(|o| o.hash).collect();
        let reads = |o: &ObjectEntry| new.contains(&o.hash) || read_back.reads(&o.hash, &drawn);
        let snapshot = self.snapshot(&written.snapshot.name).await?;
        let wrong = self.prove(std::slice::from_ref(&snapshot), reads).await?;
        if let Some(e) = wrong.into_iter().flatten().next() {
            return Err(e.context("The backup was written and read back, and is not good"));
        }
        let of = snapshot.header.objects.len() as u64;
        let proof = Proof {
            manifest: hex::encode(snapshot.content),
            micros: chrono::Utc::now().timestamp_micros(),
            server: server.to_owned(),
            objects: snapshot.header.objects.iter().filter(|o| reads(o)).count() as u64,
            of,
        };
        self.put_proof(&snapshot.name, &proof).await
    }

    /// Writes down that a snapshot was proved.
    pub async fn put_proof(&self, name: &SnapshotName, proof: &Proof) -> Result<()> {
        let path = name.proved();
        let json = serde_json::to_vec(proof).map_err(|e| {
            Error::internal(format!("the result of a verification could not be written: {e}"))
        })?;
        let (keys, named) = (std::sync::Arc::clone(&self.keys), path.clone());
        let bytes = blocking(move || sealed::seal(&keys, Kind::Proof, &named, &json)).await?;
        self.store.put(&path, bytes).await
    }

    /// When a snapshot was last proved; `None` where it never was as it is now.
    pub async fn proof(&self, snapshot: &Snapshot) -> Result<Option<Proof>> {
        let path = snapshot.name.proved();
        let Some(found) = self.store.get(&path).await? else { return Ok(None) };
        let keys = std::sync::Arc::clone(&self.keys);
        let proof: Proof = blocking(move || {
            let json = sealed::open(&keys, Kind::Proof, &path, &found, 1 << 16)?;
            serde_json::from_slice(&json)
                .map_err(|_| damaged(&format!("{path} is not what was written")))
        })
        .await?;
        Ok(Some(proof).filter(|p| p.manifest == hex::encode(snapshot.content)))
    }
}
