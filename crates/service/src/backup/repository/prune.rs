//! What nothing names any more goes: manifests first, objects a grace later.
//!
//! A manifest that is pruned is kept aside for the grace, and its objects with it. Whoever saw it
//! before relies on them for half of that time, and no longer.

use std::collections::BTreeSet;

use evercube_base::Result;

use super::{Repository, SnapshotName};

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    pub objects: u64,
    pub bytes: u64,
}

impl Repository {
    /// Removes the objects that no backup has named for the grace.
    ///
    /// # Errors
    /// A manifest that cannot be read stops it: nobody knows what it names.
    pub async fn sweep(&self) -> Result<Swept> {
        let grace = i64::try_from(self.config.grace_seconds).unwrap_or(i64::MAX);
        let grace = grace.saturating_mul(1_000_000);
        // Listed before the manifests: what comes later is not looked at.
        let objects = self.objects().await?;
        let clock = self.clock().await?;
        let mut named = BTreeSet::new();
        for name in self.snapshots().await? {
            self.names_of(&name, &name.path(), &mut named).await?;
        }
        // A manifest is set aside before it is taken out, so that it is in one of both.
        let gone = self.store.list("gone").await?;
        let mut over = Vec::new();
        for (path, listed) in &gone {
            let Ok(name) = SnapshotName::of_file(path) else { continue };
            if clock.saturating_sub(listed.modified) >= grace {
                over.push((path, name));
            } else {
                self.names_of(&name, path, &mut named).await?;
            }
        }
        self.store.remove_leftovers().await?;
        let mut swept = Swept::default();
        for (name, listed) in &objects {
            if !named.contains(name) && clock.saturating_sub(listed.modified) >= grace {
                self.store.delete(name).await?;
                swept.objects += 1;
                swept.bytes += listed.length;
            }
        }
        for (path, name) in over {
            // One that was verified while it was pruned got its proof back.
            self.store.delete(&name.proved()).await?;
            self.store.delete(path).await?;
        }
        Ok(swept)
    }

    async fn names_of(
        &self,
        name: &SnapshotName,
        path: &str,
        named: &mut BTreeSet<String>,
    ) -> Result<()> {
        let snapshot = match self.manifest(name, path).await {
            Ok(snapshot) => snapshot,
            Err(e) if e.kind == evercube_base::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e.context("No object was removed")),
        };
        let all = snapshot.header.objects.iter().zip(&snapshot.stored);
        named.extend(all.map(|(o, stored)| self.object_name(&o.hash, stored)));
        Ok(())
    }

    /// What time it is by the clock of the storage, whatever this server's says.
    pub(super) async fn clock(&self) -> Result<i64> {
        self.store.put("clock/now", Vec::new()).await?;
        let listed = self.store.list("clock").await?;
        Ok(listed.get("clock/now").map_or(0, |l| l.modified))
    }
}
