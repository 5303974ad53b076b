//! The consensus log, the vote and the newest snapshot in one `redb` file; durable before it is
//! acknowledged.

#![allow(clippy::result_large_err, reason = "the consensus library fixes the error type")]

use std::fmt::Debug;
use std::io::Write as _;
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_vault::Vault;
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{
    AnyError, Entry, ErrorSubject, ErrorVerb, LogId, OptionalSend, RaftLogReader, StorageError,
    StorageIOError, Vote,
};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::coding;
use crate::raft::Types;

mod reseal;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

type Stored<T> = std::result::Result<T, StorageError<u64>>;

/// Opens the file, as often as it has to be.
type Opener = Box<dyn Fn() -> Result<Database> + Send + Sync>;

/// How long a disk takes from now until what is written is on it, beyond what writing takes.
pub(crate) type Pace = Box<dyn Fn() -> Duration + Send + Sync>;

/// What the log is written to.
enum Disk {
    /// A file, whose writing takes as long as it takes; and one beside it, to see whether the disk answers.
    Real {
        beside: PathBuf,
    },
    Paced(Pace),
}

struct Shared {
    /// `None` while it cannot be opened. Read by every transaction, so that none goes to a file that
    /// is not the log any more.
    db: RwLock<Option<Database>>,
    open: Opener,
    disk: Disk,
    /// What values are encrypted with.
    vault: Option<Arc<Vault>>,
    /// Read from the choice of a value's key until it is written; written to while all are sealed
    /// anew.
    sealing: RwLock<()>,
}

/// Handle to the file; clones share it.
#[derive(Clone)]
pub(crate) struct LogStore(Arc<Shared>);

fn fault(verb: ErrorVerb, e: impl std::error::Error + 'static) -> StorageError<u64> {
    StorageIOError::new(ErrorSubject::Store, verb, AnyError::new(&e)).into()
}

/// What a value is bound to where it is encrypted: the table and the key.
fn entry_place(index: u64) -> Vec<u8> {
    format!("log {index}").into_bytes()
}

fn meta_place(key: &str) -> Vec<u8> {
    format!("meta {key}").into_bytes()
}

fn cannot_open(what: &str, e: &redb::Error) -> Error {
    if matches!(e, redb::Error::DatabaseAlreadyOpen) {
        return Error::new(
            ErrorKind::Conflict,
            format!(
                "the metadata log {what} is already open: another server runs on this folder; stop it first, or name another folder with --data"
            ),
        );
    }
    Error::new(
        ErrorKind::Corrupt,
        format!(
            "the metadata log {what} cannot be opened: {e}; a server of a group starts again in an empty folder, under its old name and with --join, and replaces itself"
        ),
    )
}

/// The file as the log needs it; what a crash left half done is put right, damage is refused.
fn with_tables(mut db: Database) -> std::result::Result<Database, redb::Error> {
    if !db.check_integrity()? {
        tracing::warn!("the metadata log was repaired");
    }
    let write = db.begin_write()?;
    write.open_table(LOG)?;
    write.open_table(META)?;
    write.commit()?;
    Ok(db)
}

impl LogStore {
    /// The log in a file. With a vault its values are written encrypted, and those that are not, or
    /// with an older key, are written anew first.
    pub(crate) fn open(file: &Path, vault: Option<Arc<Vault>>) -> Result<Self> {
        let path = file.to_owned();
        let open = move || {
            let opened = Database::create(&path).map_err(redb::Error::from);
            opened.and_then(with_tables).map_err(|e| cannot_open(&path.display().to_string(), &e))
        };
        let log = Self::opened_by(
            Box::new(open),
            Disk::Real { beside: file.with_extension("probe") },
            vault,
        )?;
        log.reseal(file)?;
        Ok(log)
    }

    /// A log on something else than a file.
    pub(crate) fn on(disk: impl StorageBackend + Clone, pace: Pace) -> Result<Self> {
        let open: Opener = Box::new(move || {
            let opened = Database::builder().create_with_backend(disk.clone());
            let opened = opened.map_err(redb::Error::from);
            opened.and_then(with_tables).map_err(|e| cannot_open("given", &e))
        });
        Self::opened_by(open, Disk::Paced(pace), None)
    }

    fn opened_by(open: Opener, disk: Disk, vault: Option<Arc<Vault>>) -> Result<Self> {
        let db = RwLock::new(Some(open()?));
        Ok(Self(Arc::new(Shared { db, open, disk, vault, sealing: RwLock::default() })))
    }

    /// Waits until what was written is on the disk, where writing did not.
    async fn settled(&self) {
        if let Disk::Paced(pace) = &self.0.disk {
            tokio::time::sleep(pace()).await;
        }
    }

    /// Ends when the disk has taken something in, or has refused it.
    pub(crate) async fn answers(&self) {
        match &self.0.disk {
            Disk::Paced(_) => self.settled().await,
            Disk::Real { beside } => {
                let beside = beside.clone();
                let written = tokio::task::spawn_blocking(move || {
                    let mut file = std::fs::File::create(beside)?;
                    file.write_all(b"\n")?;
                    file.sync_data()
                });
                if let Ok(Err(e)) = written.await {
                    tracing::debug!(error = %e, "the disk of the metadata refuses a byte");
                }
            }
        }
    }

    /// A value as it is stored at a place.
    fn encode<T: Serialize>(&self, place: &[u8], value: &T) -> Stored<Vec<u8>> {
        let bytes = coding::encode_stored(value).map_err(|e| fault(ErrorVerb::Write, e))?;
        match &self.0.vault {
            None => Ok(bytes),
            Some(vault) => vault.seal(place, &bytes).map_err(|e| fault(ErrorVerb::Write, e)),
        }
    }

    fn decode<T: DeserializeOwned>(&self, place: &[u8], bytes: &[u8]) -> Stored<T> {
        let read = match &self.0.vault {
            Some(vault) if evercube_vault::is_sealed(bytes) => vault
                .open_sealed(place, bytes)
                .map_err(|e| e.context("a value of the metadata log is damaged"))
                .and_then(|plain| coding::decode(&plain)),
            _ => coding::decode(bytes),
        };
        read.map_err(|e| fault(ErrorVerb::Read, e))
    }

    /// Closes the file, which after a failed write takes no more, and opens it again.
    pub(crate) fn reopen(&self) -> Result<()> {
        let mut db = self.0.db.write().unwrap_or_else(PoisonError::into_inner);
        *db = None;
        *db = Some((self.0.open)()?);
        Ok(())
    }

    fn db(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.0.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealing(&self) -> RwLockReadGuard<'_, ()> {
        self.0.sealing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Stored<redb::ReadTransaction> {
        let db = self.db();
        let begun = db.as_ref().ok_or(redb::Error::DatabaseClosed);
        begun.and_then(|db| Ok(db.begin_read()?)).map_err(|e| fault(ErrorVerb::Read, e))
    }

    pub(crate) fn get_meta<T: DeserializeOwned>(&self, key: &str) -> Stored<Option<T>> {
        let read = self.read()?;
        let table = read.open_table(META).map_err(|e| fault(ErrorVerb::Read, e))?;
        let found = table.get(key).map_err(|e| fault(ErrorVerb::Read, e))?;
        found.map(|v| self.decode(&meta_place(key), v.value())).transpose()
    }

    /// Stores one value; `durable` waits for the disk.
    pub(crate) fn put_meta<T: Serialize>(&self, key: &str, value: &T, durable: bool) -> Stored<()> {
        let _sealing = self.sealing();
        let bytes = self.encode(&meta_place(key), value)?;
        self.write(durable, |_, meta| meta.insert(key, bytes.as_slice()).map(|_| ()))
    }

    /// Has `me` lead no more. A leader that went on in its old term after a restart would not know
    /// which of its entries are committed, and a read would miss some that were acknowledged; one
    /// elected anew commits an entry of its own first.
    pub(crate) fn step_down(&self, me: u64) -> Stored<()> {
        match self.get_meta::<Vote<u64>>("vote")? {
            Some(vote) if vote.leader_id.node_id == me => self.forget_leader(),
            _ => Ok(()),
        }
    }

    /// Whoever leads is, after the next start, one that was merely voted for: nothing keeps this
    /// member from voting for another one.
    pub(crate) fn forget_leader(&self) -> Stored<()> {
        match self.get_meta::<Vote<u64>>("vote")? {
            Some(vote) if vote.committed => {
                self.put_meta("vote", &Vote { committed: false, ..vote }, true)
            }
            _ => Ok(()),
        }
    }

    /// Replaces the log by a snapshot that ends at `last`, all or nothing.
    pub(crate) fn begin_history<S: Serialize>(
        &self,
        vote: &Vote<u64>,
        last: &LogId<u64>,
        snapshot: &S,
    ) -> Stored<()> {
        let _sealing = self.sealing();
        let values = [
            ("vote", self.encode(&meta_place("vote"), vote)?),
            ("purged", self.encode(&meta_place("purged"), last)?),
            ("committed", self.encode(&meta_place("committed"), last)?),
            ("snapshot", self.encode(&meta_place("snapshot"), snapshot)?),
        ];
        self.write(true, |log, meta| {
            log.retain(|_, _| false)?;
            values.iter().try_for_each(|(key, bytes)| meta.insert(*key, bytes.as_slice()).map(drop))
        })
    }

    fn write(
        &self,
        durable: bool,
        change: impl FnOnce(
            &mut redb::Table<'_, u64, &[u8]>,
            &mut redb::Table<'_, &str, &[u8]>,
        ) -> std::result::Result<(), redb::StorageError>,
    ) -> Stored<()> {
        let run = || -> std::result::Result<(), redb::Error> {
            let db = self.db();
            let mut write = db.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_write()?;
            if !durable {
                write.set_durability(Durability::None)?;
            }
            {
                let mut log = write.open_table(LOG)?;
                let mut meta = write.open_table(META)?;
                change(&mut log, &mut meta)?;
            }
            write.commit()?;
            Ok(())
        };
        run().map_err(|e| fault(ErrorVerb::Write, e))
    }
}

impl LogStore {
    /// The entries of a range that are in the log.
    pub(crate) fn entries(&self, range: impl RangeBounds<u64>) -> Stored<Vec<Entry<Types>>> {
        let read = self.read()?;
        let table = read.open_table(LOG).map_err(|e| fault(ErrorVerb::Read, e))?;
        let mut entries = Vec::new();
        for item in table.range(range).map_err(|e| fault(ErrorVerb::Read, e))? {
            let (index, value) = item.map_err(|e| fault(ErrorVerb::Read, e))?;
            entries.push(self.decode(&entry_place(index.value()), value.value())?);
        }
        Ok(entries)
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Stored<Vec<Entry<Types>>> {
        self.entries(range)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        let last_purged_log_id = self.get_meta::<LogId<u64>>("purged")?;
        let read = self.read()?;
        let table = read.open_table(LOG).map_err(|e| fault(ErrorVerb::Read, e))?;
        let last = match table.last().map_err(|e| fault(ErrorVerb::Read, e))? {
            Some((index, value)) => {
                let place = entry_place(index.value());
                Some(self.decode::<Entry<Types>>(&place, value.value())?.log_id)
            }
            None => last_purged_log_id,
        };
        Ok(LogState { last_purged_log_id, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Stored<()> {
        self.put_meta("vote", vote, true)?;
        self.settled().await;
        Ok(())
    }

    async fn read_vote(&mut self) -> Stored<Option<Vote<u64>>> {
        self.get_meta("vote")
    }

    /// Lets a restarted server know at once what it may apply; the next append makes it durable.
    async fn save_committed(&mut self, committed: Option<LogId<u64>>) -> Stored<()> {
        match committed {
            Some(id) => self.put_meta("committed", &id, false),
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> Stored<Option<LogId<u64>>> {
        self.get_meta("committed")
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Stored<()>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let sealing = self.sealing();
        let mut rows = Vec::new();
        for entry in entries {
            let index = entry.log_id.index;
            rows.push((index, self.encode(&entry_place(index), &entry)?));
        }
        self.write(true, |log, _| {
            for (index, bytes) in &rows {
                log.insert(index, bytes.as_slice())?;
            }
            Ok(())
        })?;
        drop(sealing);
        self.settled().await;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Stored<()> {
        self.write(true, |log, _| log.retain_in(from.index.., |_, _| false))
    }

    async fn purge(&mut self, to: LogId<u64>) -> Stored<()> {
        let _sealing = self.sealing();
        let bytes = self.encode(&meta_place("purged"), &to)?;
        self.write(true, |log, meta| {
            meta.insert("purged", bytes.as_slice())?;
            log.retain_in((Bound::Unbounded, Bound::Included(to.index)), |_, _| false)
        })
    }
}
