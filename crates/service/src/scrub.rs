//! Looks at every file this server needs, again and again, and writes damaged ones anew: from
//! memory where it holds their bytes, else from another server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::DatabaseEntry;
use evercube_store::{Hash, Manifest};

use crate::damage::Damage;
use crate::objects::{blocking, data_peers, pull_one};
use crate::service::Service;
use crate::versions::LoadedVersion;

/// Bytes read in a second, so that queries and refreshes keep the disk.
const RATE: u64 = 64 << 20;
/// From the end of a look to the next one.
const PAUSE: Duration = Duration::from_secs(30);
/// How soon what could not be healed is tried again.
const AGAIN: Duration = Duration::from_secs(3);

/// Starts looking; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    if !service.serves_queries() {
        return;
    }
    let weak = Arc::downgrade(service);
    tokio::spawn(async move {
        loop {
            let Some(service) = weak.upgrade() else { return };
            let open = !service.damage.open().is_empty();
            let wait = if open { AGAIN } else { PAUSE };
            let book = Arc::clone(&service.damage);
            drop(service);
            let told = tokio::time::timeout(wait, book.seen.notified()).await.is_ok();
            let Some(service) = weak.upgrade() else { return };
            if open && !told {
                service.heal_open().await;
            } else if let Err(e) = service.scrub().await {
                tracing::warn!(error = %e, "the files could not be looked at");
            }
        }
    });
}

/// A file that is needed.
struct Needed {
    database: String,
    what: String,
    /// Whether it must be here: an earlier version's may never have been.
    always: bool,
}

impl Service {
    /// Looks at every file once, and heals what it finds.
    async fn scrub(&self) -> Result<()> {
        let needed = self.needed_files().await;
        self.damage.retain(|hash| needed.contains_key(hash));
        let (mut files, mut bytes) = (0, 0);
        for (hash, file) in needed {
            if !file.always && !self.objects.has(&hash) {
                continue;
            }
            let objects = Arc::clone(&self.objects);
            let length = match blocking(move || objects.verify(&hash)).await {
                Ok(length) => length,
                Err(e) => {
                    let Needed { database, what, .. } = file;
                    self.heal(Damage { hash, database, what, why: why(&e) }).await;
                    0
                }
            };
            (files, bytes) = (files + 1, bytes + length);
            tokio::time::sleep(Duration::from_micros(length.saturating_mul(1_000_000) / RATE))
                .await;
        }
        self.damage.looked(files, bytes, self.now().to_string());
        Ok(())
    }

    async fn heal_open(&self) {
        for damage in self.damage.open() {
            self.heal(damage).await;
        }
    }

    /// The files of every version that is kept. A version that is still on its way here is left to
    /// the loader.
    async fn needed_files(&self) -> BTreeMap<Hash, Needed> {
        let state = self.metastore.state();
        let mut needed = BTreeMap::new();
        for version in state.earlier.all() {
            let files = self.files_of(&version.name, version.model, version.manifest).await;
            needed.extend(files.into_iter().map(|(hash, mut file)| {
                file.what = format!("{} of version {}", file.what, version.seq);
                (hash, file)
            }));
        }
        for version in self.versions.all() {
            let files = named_files(&version.manifest, version.model_hash, version.manifest_hash);
            needed.extend(files.into_iter().map(|(hash, what)| {
                (hash, Needed { database: version.name.clone(), what, always: true })
            }));
        }
        needed
    }

    async fn files_of(&self, database: &str, model: Hash, manifest: Hash) -> Vec<(Hash, Needed)> {
        let objects = Arc::clone(&self.objects);
        let read = blocking(move || {
            // Read, not taken: a damaged one is found below.
            objects.verify(&manifest)?;
            Manifest::from_bytes(&objects.get(&manifest)?)
        });
        let read = read.await.unwrap_or_default();
        let need =
            |(hash, what)| (hash, Needed { database: database.to_owned(), what, always: false });
        named_files(&read, model, manifest).into_iter().map(need).collect()
    }

    /// Writes a damaged file anew, and tells of it.
    pub(crate) async fn heal(&self, damage: Damage) {
        let new = self.damage.found(&damage);
        match self.write_again(&damage).await {
            Ok(how) => {
                self.damage.healed(&damage, &how);
                self.alarm("damaged", &format!("{}; {how}", damage.describe()));
            }
            Err(e) if new => {
                self.alarm(
                    "damaged",
                    &format!(
                        "{}; it could not be written again: {e}. It is tried again; where no server has it any more, restore the database from a backup",
                        damage.describe()
                    ),
                );
            }
            Err(e) => tracing::debug!(what = damage.describe(), error = %e, "still damaged"),
        }
    }

    async fn write_again(&self, damage: &Damage) -> Result<String> {
        let hash = damage.hash;
        let objects = Arc::clone(&self.objects);
        let version = self.versions.made_of(&hash);
        let from_memory = blocking(move || {
            if objects.verify(&hash).is_ok() {
                return Ok(Some("it is whole again"));
            }
            objects.set_aside(&hash);
            if objects.write_from_memory(&hash)? || put_parsed(&objects, &hash, version.as_deref())?
            {
                return Ok(Some("it was written again from memory"));
            }
            Ok(None)
        });
        if let Some(how) = from_memory.await? {
            return Ok(how.to_owned());
        }
        let peers = data_peers(&self.metastore.state(), self.identity.node_id);
        let from = pull_one(&self.transport, &self.objects, &peers, hash).await?;
        Ok(format!("it was fetched again from server '{from}'"))
    }

    /// Heals the files of a version that a loader found damaged and set aside.
    pub(crate) async fn heal_version(&self, entry: &DatabaseEntry, error: &Error) {
        let objects = Arc::clone(&self.objects);
        let manifest = entry.manifest;
        let read = blocking(move || Manifest::from_bytes(&objects.get(&manifest)?)).await;
        let names: BTreeMap<Hash, String> =
            named_files(&read.unwrap_or_default(), entry.model, entry.manifest)
                .into_iter()
                .collect();
        let all: BTreeSet<Hash> = entry.objects.iter().copied().collect();
        for hash in all.into_iter().filter(|hash| !self.objects.has(hash)) {
            let what = names.get(&hash).cloned().unwrap_or_else(|| hex::encode(hash));
            let (database, why) = (entry.name.clone(), why(error));
            self.heal(Damage { hash, database, what, why }).await;
        }
    }
}

/// Every file of a version with what it is, in words.
fn named_files(manifest: &Manifest, model: Hash, own: Hash) -> Vec<(Hash, String)> {
    let segments = manifest.objects().into_iter().map(|(what, hash)| (hash, what));
    segments
        .chain([(model, "the model".to_owned()), (own, "the list of segments".to_owned())])
        .collect()
}

/// Stores the model or manifest of a version in memory, where it is the one that is missing.
fn put_parsed(
    objects: &evercube_store::ObjectDir,
    hash: &Hash,
    version: Option<&LoadedVersion>,
) -> Result<bool> {
    let Some(version) = version else { return Ok(false) };
    let bytes = match hash {
        h if *h == version.model_hash => version.model.to_bytes()?,
        _ => version.manifest.to_bytes()?,
    };
    let same = blake3::hash(&bytes).as_bytes() == hash;
    if same {
        objects.put(&bytes)?;
    }
    Ok(same)
}

fn why(e: &Error) -> String {
    match e.kind {
        ErrorKind::NotFound => "its file is missing".into(),
        ErrorKind::Corrupt => "the bytes of its file are not what was written".into(),
        _ => e.message.clone(),
    }
}
