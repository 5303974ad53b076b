//! The repository: backups of many versions and databases at one place, each object once. The
//! bytes are described in `docs/formats/repository.md`.

mod config;
mod keys;
mod name;
pub mod place;
pub mod prune;
mod sealed;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;
mod verify;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use evercube_base::{Error, ErrorKind, Result};
use evercube_store::Hash;
use futures::StreamExt as _;
use tokio::sync::mpsc;

use self::config::Config;
pub use self::config::{Setup, SlotFacts};
use self::keys::Keys;
pub use self::name::SnapshotName;
pub use self::place::{Base, Pick, RepositoryPlace};
use self::sealed::Kind;
pub use self::snapshot::{Snapshot, Stored};
pub use self::store::Listed;
use self::store::Store;
pub use self::verify::Proof;
pub use self::write::{Known, Written};
use crate::backup::header::ObjectEntry;
use crate::backup::preamble::damaged;
use crate::backup::{BackupHeader, BackupSummary, Options, Placed, Sink, Target, WholeBackup};
use crate::objects::blocking;

/// Writes a backup into the repository at a place, making it where there is none, and reads back
/// as much of it as is asked for.
pub async fn add(
    place: &RepositoryPlace,
    header: BackupHeader,
    options: Options,
    objects: impl FnMut(&Hash) -> Result<Vec<u8>> + Send + 'static,
) -> Result<Placed> {
    if place.pick != Pick::All {
        return Err(Error::invalid(format!(
            "a backup goes into the repository itself: write {} and nothing after it",
            place.base.describe()
        )));
    }
    let repository = place.open_or_make(options.password.as_deref()).await?;
    let known =
        if options.overwrite { Known::nothing() } else { repository.known(&header).await? };
    let written = repository.write(header, &known, objects).await?;
    repository.prove_written(&written, &options.server, options.read_back).await?;
    let snapshot = &written.snapshot;
    let summary = BackupSummary {
        objects: snapshot.header.objects.len() as u64,
        bytes: snapshot.header.bytes(),
        written: written.new_bytes,
        content: snapshot.content,
    };
    let words = format!("{}@{}", snapshot.header.database, snapshot.header.seq);
    let target = Target::Repository(place.one(snapshot.name.clone(), Some(words)));
    Ok(Placed { summary, target })
}

/// Objects that are fetched or sent at the same time.
const TOGETHER: usize = 4;

/// An open repository.
#[derive(Debug)]
pub struct Repository {
    store: Store,
    config: Config,
    keys: Arc<Keys>,
}

impl Repository {
    /// Opens the repository at a place.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Invalid` for a wrong or missing password, or one that is
    /// given for a repository that has none.
    pub async fn open(base: &Base, password: Option<&str>) -> Result<Self> {
        let store = Store::at(base).await?;
        let found = store.get(config::FILE).await?;
        let found = found.ok_or_else(|| {
            Error::not_found(format!("there is no backup repository at {}", store.place()))
        })?;
        Self::unlocked(store, &found, password).await
    }

    /// Opens the repository at a place, making it where there is none.
    pub async fn open_or_make(base: &Base, setup: Setup) -> Result<Self> {
        let store = Store::at(base).await?;
        let password = setup.password.clone();
        if let Some(found) = store.get(config::FILE).await? {
            return Self::unlocked(store, &found, password.as_deref()).await;
        }
        match Self::make_in(&store, setup).await? {
            Some((config, keys)) => Ok(Self { store, config, keys }),
            // Somebody else made it in the same moment.
            None => Self::open(base, password.as_deref()).await,
        }
    }

    /// Makes a repository; refuses where there is one.
    pub async fn make(base: &Base, setup: Setup) -> Result<Self> {
        let store = Store::at(base).await?;
        match Self::make_in(&store, setup).await? {
            Some((config, keys)) => Ok(Self { store, config, keys }),
            None => Err(Error::new(
                ErrorKind::Conflict,
                format!("there is a backup repository at {} already", store.place()),
            )),
        }
    }

    /// `None` where there is one.
    async fn make_in(store: &Store, setup: Setup) -> Result<Option<(Config, Arc<Keys>)>> {
        let there = store.list("").await?;
        if there.contains_key(config::FILE) {
            return Ok(None);
        }
        if let Some(left) = there.keys().next() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "{} is not empty ({left}) and has no {}: bring it back from {} beside it, or choose another place",
                    store.place(),
                    config::FILE,
                    config::COPY
                ),
            ));
        }
        let (config, keys) = blocking(move || Config::make(setup)).await?;
        let bytes = config.to_bytes()?;
        if !store.create(config::FILE, bytes.clone()).await? {
            return Ok(None);
        }
        store.put(config::COPY, bytes).await?;
        Ok(Some((config, Arc::new(keys))))
    }

    async fn unlocked(store: Store, found: &[u8], password: Option<&str>) -> Result<Self> {
        let config = Config::from_bytes(found)?;
        let (password, locked) = (password.map(str::to_owned), config.clone());
        let keys = blocking(move || locked.unlock(password.as_deref())).await?;
        Ok(Self { store, config, keys: Arc::new(keys) })
    }

    /// Whether its passwords protect it.
    pub fn is_encrypted(&self) -> bool {
        self.keys.encrypts()
    }

    /// How long what nothing names stays, in seconds.
    pub fn grace_seconds(&self) -> u64 {
        self.config.grace_seconds
    }

    pub fn slots(&self) -> Vec<SlotFacts> {
        self.config.slot_facts()
    }

    /// Lets another password open it; nothing is written anew.
    pub async fn add_password(&mut self, label: &str, password: String) -> Result<()> {
        let (mut config, keys, label) =
            (self.config.clone(), Arc::clone(&self.keys), label.to_owned());
        let changed = blocking(move || config.add(&keys, &label, &password).map(|()| config));
        self.replace_config(changed.await?).await
    }

    /// A password opens it no more. The last one stays.
    pub async fn remove_password(&mut self, label: &str) -> Result<()> {
        let mut config = self.config.clone();
        config.remove(&self.keys, label)?;
        self.replace_config(config).await
    }

    async fn replace_config(&mut self, new: Config) -> Result<()> {
        let old = self.config.to_bytes()?;
        let bytes = new.to_bytes()?;
        self.store.replace(config::FILE, &old, bytes.clone()).await?;
        self.store.put(config::COPY, bytes).await?;
        self.config = new;
        Ok(())
    }

    /// The stored length of every object, and when it was written, by its name.
    async fn objects(&self) -> Result<BTreeMap<String, Listed>> {
        self.store.list("obj").await
    }

    fn object_name(&self, hash: &Hash, stored: &Stored) -> String {
        name::object(&self.keys.id_of(hash), &stored.file)
    }

    /// Reads an object and proves it.
    async fn object(&self, object: &ObjectEntry, stored: &Stored) -> Result<Vec<u8>> {
        let name = self.object_name(&object.hash, stored);
        let ObjectEntry { hash, length } = *object;
        let found = self.store.get(&name).await?.ok_or_else(|| missing(&name))?;
        let keys = Arc::clone(&self.keys);
        blocking(move || {
            let content = sealed::open(&keys, Kind::Object, &name, &found, length)?;
            if content.len() as u64 != length || *blake3::hash(&content).as_bytes() != hash {
                return Err(damaged(&format!("{name} is not what was written")));
            }
            Ok(content)
        })
        .await
    }

    /// Reads all that a snapshot names, each object as it is proved.
    pub async fn read(&self, snapshot: &Snapshot, mut sink: impl Sink) -> Result<WholeBackup> {
        self.look_for_objects(snapshot).await?;
        let (give, mut take) = mpsc::channel::<(Hash, Vec<u8>)>(1);
        let header = snapshot.header.clone();
        let taking = blocking(move || {
            sink.begin(&header)?;
            while let Some((hash, content)) = take.blocking_recv() {
                sink.object(hash, content)?;
            }
            Ok(())
        });
        let fetching = async {
            // Taken along, so that the channel ends with it.
            let give = give;
            let fetch = |(object, stored): (ObjectEntry, Stored)| async move {
                Ok((object.hash, self.object(&object, &stored).await?))
            };
            let all = snapshot.header.objects.iter().copied().zip(snapshot.stored.clone());
            let mut fetched = futures::stream::iter(all.map(fetch)).buffered(TOGETHER);
            while let Some(object) = fetched.next().await {
                let object: Result<(Hash, Vec<u8>)> = object;
                // Nobody takes it any more: the sink says itself why.
                if give.send(object?).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let (taken, fetched): (Result<()>, Result<()>) = tokio::join!(taking, fetching);
        taken?;
        fetched?;
        Ok(WholeBackup {
            header: snapshot.header.clone(),
            content: snapshot.content,
            length: snapshot.length,
        })
    }

    /// Whether every object is there with the length it was stored with, without reading any.
    async fn look_for_objects(&self, snapshot: &Snapshot) -> Result<()> {
        let there = self.objects().await?;
        for (object, stored) in snapshot.header.objects.iter().zip(&snapshot.stored) {
            let name = self.object_name(&object.hash, stored);
            self.looked_at(&name, stored, there.get(&name)).await?;
        }
        Ok(())
    }

    /// Whether an object is there with the length it was stored with; of one with another length, what
    /// became of it.
    async fn looked_at(&self, name: &str, stored: &Stored, found: Option<&Listed>) -> Result<()> {
        let Some(found) = found else { return Err(missing(name)) };
        let Err(wrong) = sealed::check_length(name, stored.length, found.length) else {
            return Ok(());
        };
        let bytes = self.store.get(name).await?.ok_or_else(|| missing(name))?;
        sealed::check_is_no_other(name, &bytes)?;
        Err(wrong)
    }
}

fn missing(name: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("{name} is missing in the backup repository; nothing of the backup is used"),
    )
}
