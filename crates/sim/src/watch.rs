//! What can be seen from outside the servers: the messages on the wires, the states they come to,
//! and what lies on their disks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, ReadableDatabase, TableDefinition};
use serde_json::Value;

use crate::disk::Disk;
use crate::network::kind_of;
use crate::world::{Life, World};

/// Where an entry stands in the log: who proposed it, under which term, and its place.
pub type LogId = (u64, u64, u64);

#[derive(Default)]
struct Seen {
    /// State after an entry, by its place, and who had it first.
    states: BTreeMap<u64, (String, blake3::Hash)>,
    /// Entries on the wire: what they hold and which one stands before.
    entries: BTreeMap<LogId, (blake3::Hash, Option<LogId>)>,
    committed: BTreeMap<u64, LogId>,
    newly_committed: Vec<LogId>,
    violations: Vec<(&'static str, String)>,
}

#[derive(Default)]
pub struct Watch(Mutex<Seen>);

fn log_id(value: &Value) -> Option<LogId> {
    let leader = value.get("leader_id")?;
    let number = |v: &Value, name: &str| v.get(name).and_then(Value::as_u64);
    Some((number(leader, "term")?, number(leader, "node_id").unwrap_or(0), number(value, "index")?))
}

impl Seen {
    fn violation(&mut self, invariant: &'static str, what: String) {
        self.violations.push((invariant, what));
    }

    fn entry(&mut self, id: LogId, entry: &Value, before: Option<LogId>) {
        let content = entry.get("payload").map(ToString::to_string).unwrap_or_default();
        let hash = blake3::hash(content.as_bytes());
        let (known, known_before) = *self.entries.entry(id).or_insert((hash, before));
        if known != hash {
            self.violation("I5", format!("entry {id:?} has two contents on the wire"));
        }
        if known_before.is_some() && before.is_some() && known_before != before {
            let what = format!("entry {id:?} follows {known_before:?} and {before:?}");
            self.violation("log matching", what);
        }
    }

    fn committed(&mut self, id: LogId) {
        match self.committed.get(&id.2) {
            None => {
                self.committed.insert(id.2, id);
                self.newly_committed.push(id);
            }
            Some(known) if *known == id => {}
            Some(known) => {
                let what = format!("place {} was committed as {known:?} and as {id:?}", id.2);
                self.violation("committed once", what);
            }
        }
    }
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message is on its way.
    pub fn sent(&self, _from: &str, _to: &str, path: &str, body: &[u8]) {
        if kind_of(path) != "raft/append" {
            return;
        }
        let Some(message) = body.get(1..).and_then(|b| serde_json::from_slice::<Value>(b).ok())
        else {
            return;
        };
        let mut seen = self.seen();
        let mut before = message.get("prev_log_id").and_then(log_id);
        let entries = message.get("entries").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            if let Some(id) = entry.get("log_id").and_then(log_id) {
                seen.entry(id, entry, before);
                before = Some(id);
            }
        }
        if let Some(id) = message.get("leader_commit").and_then(log_id) {
            seen.committed(id);
        }
    }

    /// A server has applied entry `seq` and is in this state now.
    fn applied(&self, server: &str, seq: u64, state: blake3::Hash) {
        let mut seen = self.seen();
        let (first, known) =
            seen.states.entry(seq).or_insert_with(|| (server.to_owned(), state)).clone();
        if known != state {
            let what = format!("{server} and {first} differ after entry {seq}");
            seen.violation("I5", what);
        }
    }

    /// Entries heard to be committed since this was asked last.
    pub fn newly_committed(&self) -> Vec<LogId> {
        std::mem::take(&mut self.seen().newly_committed)
    }

    /// Entries seen on the wires.
    pub fn entries(&self) -> u64 {
        self.seen().entries.len() as u64
    }

    pub fn take_violations(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.seen().violations)
    }
}

/// Looks at the state of a server whenever it changes.
pub fn follow(world: &Arc<World>, name: &str, life: &Arc<Life>) {
    let mut changes = life.metastore.changes();
    let (world, name, life) = (Arc::clone(world), name.to_owned(), Arc::downgrade(life));
    tokio::spawn(async move {
        loop {
            let Some(alive) = life.upgrade() else { return };
            let seq = *changes.borrow_and_update();
            // Both were set in one step, and this is another one.
            let state = alive.metastore.state();
            if let Ok(bytes) = serde_json::to_vec(&*state) {
                world.watch.applied(&name, seq, blake3::hash(&bytes));
            }
            state.lease.iter().for_each(|l| world.history.leased(l.epoch, l.ending.is_some()));
            drop(alive);
            if changes.changed().await.is_err() {
                return;
            }
        }
    });
}

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Whether a crash at this moment would leave entry `id`, or a snapshot of what came of it.
pub fn holds(disk: &Disk, id: LogId) -> Result<bool, redb::Error> {
    let image = Disk::of(disk.synced());
    let db = Database::builder().create_with_backend(image)?;
    let read = db.begin_read()?;
    // A byte tells the format; in the second one a checksum follows.
    let decoded = |bytes: &[u8]| -> Option<Value> {
        let start = if *bytes.first()? == 2 { 17 } else { 1 };
        serde_json::from_slice(bytes.get(start..)?).ok()
    };
    let Ok(log) = read.open_table(LOG) else { return Ok(false) };
    if let Some(entry) = log.get(id.2)? {
        let value = decoded(entry.value());
        return Ok(value.as_ref().and_then(|v| v.get("log_id")).and_then(log_id) == Some(id));
    }
    let meta = read.open_table(META)?;
    let purged = meta.get("purged")?.and_then(|v| decoded(v.value()));
    if purged.as_ref().and_then(log_id).is_some_and(|p| p.2 >= id.2) {
        return Ok(true);
    }
    let snapshot = meta.get("snapshot")?.and_then(|v| decoded(v.value()));
    let last = snapshot.as_ref().and_then(|s| s.get("meta")?.get("last_log_id").and_then(log_id));
    Ok(last.is_some_and(|l| l.2 >= id.2))
}
