//! What must be true at every step, found out without the help of what is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use evercube_base::Value;
use evercube_store::Hash;
use tokio::time::{Instant, sleep};

use super::moves::GUEST;
use super::world::{World, admin};
use super::{NAMES, PATIENCE, is_whole, listening, rot, rows_of};
use crate::host::files;

/// What every version holds: the number of the refresh that made it.
#[derive(Default)]
pub struct Oracle {
    known: BTreeMap<u64, i64>,
    acknowledged: BTreeMap<u64, i64>,
    tried: BTreeSet<i64>,
    roots: BTreeMap<u64, Hash>,
    reads: u64,
    violations: Vec<(&'static str, String)>,
}

impl Oracle {
    pub fn tried(&mut self, number: i64) {
        self.tried.insert(number);
    }

    pub fn acknowledged(&mut self, seq: u64, number: i64) {
        self.acknowledged.insert(seq, number);
        self.is(seq, number);
    }

    /// The newest version that was acknowledged.
    pub fn newest(&self) -> u64 {
        self.acknowledged.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// What the newest version holds that was acknowledged: also that of a change of the model, which
    /// keeps its data.
    pub fn held(&self) -> Option<i64> {
        self.acknowledged.last_key_value().map(|(_, number)| *number)
    }

    /// An answer of a version; it was to be no older than `floor`.
    pub fn answered(&mut self, seq: u64, row: &[Value], floor: Option<u64>) {
        self.reads += 1;
        if floor.is_some_and(|floor| seq < floor) {
            self.violations
                .push(("I2", format!("version {seq} was read when {floor:?} was known")));
        }
        if let Some(number) = self.number(row) {
            self.is(seq, number);
        }
    }

    /// What a backup gave back.
    pub fn restored(&mut self, row: &[Value]) {
        if let Some(number) = self.number(row)
            && !self.acknowledged.values().any(|n| *n == number)
        {
            self.violations.push(("I4", format!("a backup held {number}, which never was")));
        }
    }

    /// Which refresh an answer is of, where it is of one alone.
    fn number(&mut self, row: &[Value]) -> Option<i64> {
        if row.iter().all(|v| *v == Value::Blank) {
            return Some(0);
        }
        match row {
            [
                Value::Int(a),
                Value::Int(b),
                Value::Int(c),
                Value::Int(d),
                Value::Int(n),
                Value::Int(m),
            ] if a == b && b == c && c == d && n == m && *n == rows_of(*a) => Some(*a),
            _ => {
                self.violations.push(("I7", format!("an answer is of a half state: {row:?}")));
                None
            }
        }
    }

    fn is(&mut self, seq: u64, number: i64) {
        let known = *self.known.entry(seq).or_insert(number);
        if known != number {
            self.violations.push(("I4", format!("version {seq} holds {known}, and {number}")));
        } else if number != 0 && !self.tried.contains(&number) {
            self.violations
                .push(("I4", format!("version {seq} holds {number}, which nobody wrote")));
        }
    }

    /// What a server holds of a version, which is the same on all.
    pub fn is_of(&mut self, seq: u64, root: Option<Hash>, server: &str) {
        let Some(root) = root else { return };
        if *self.roots.entry(seq).or_insert(root) != root {
            self.violations.push(("I5", format!("{server} holds another version {seq}")));
        }
    }

    /// What a session has seen, and what it is answered next.
    pub fn in_session(&mut self, seen: u64, seq: u64) {
        if seq < seen {
            self.violations
                .push(("I2", format!("a session that saw version {seen} was given {seq}")));
        }
    }

    /// How many versions were acknowledged, and how many answers were looked at.
    pub fn counts(&self) -> (u64, u64) {
        (self.acknowledged.len() as u64, self.reads)
    }

    pub fn take_violations(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.violations)
    }
}

fn file_of(objects: &Path, hash: &Hash) -> PathBuf {
    let name = hex::encode(hash);
    objects.join(&name[..2]).join(name)
}

/// The objects of the newest version that any server knows of.
fn newest_objects(world: &World) -> (u64, Vec<Hash>) {
    let of = |s: &std::sync::Arc<evercube_service::Service>| {
        s.metastore.state().database("Retail").map(|d| (d.seq, d.objects.clone()))
    };
    world.running().iter().filter_map(of).max_by_key(|(seq, _)| *seq).unwrap_or_default()
}

/// What was acknowledged is whole on the disks of two failure domains, unless the group has said
/// that it goes on without some.
pub fn is_on_two_disks(world: &World, seq: u64) {
    let (newest, objects) = newest_objects(world);
    let degraded = world.running().iter().any(|s| !s.metastore.state().degraded.is_empty());
    if degraded || newest != seq {
        return;
    }
    for hash in objects {
        let on: Vec<&str> = NAMES
            .into_iter()
            .chain([GUEST])
            .filter(|name| {
                let file = file_of(&world.objects_of(name), &hash);
                is_whole(&file, &hash) && files::is_synced(&file)
            })
            .collect();
        if on.len() < 2 {
            let name = hex::encode(hash);
            world.violation("I6", format!("version {seq} is acknowledged and {name} is on {on:?}"));
        }
    }
}

/// A server's files of the newest version are whole again, once it was asked to prove them.
pub async fn is_healed(world: &World, name: &str) {
    let until = Instant::now() + PATIENCE / 2;
    loop {
        let (_, objects) = newest_objects(world);
        let folder = world.objects_of(name);
        let damaged: Vec<String> = objects
            .iter()
            .filter(|hash| !is_whole(&file_of(&folder, hash), hash))
            .map(hex::encode)
            .collect();
        if damaged.is_empty() {
            return;
        }
        if Instant::now() > until {
            return world
                .violation("healing", format!("files of {name} stay damaged: {damaged:?}"));
        }
        let server = world.wires.servers.lock().unwrap().get(name).cloned();
        if let Some(server) = server {
            // It says what differs; what counts here is the disk afterwards.
            let _said = server.verify(&admin(), "Retail", false).await;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Every acknowledged version is among those that are, or were before, and the newest of all is
/// no older, once all servers have had some time for it.
pub async fn acknowledged_are_there(world: &World) {
    let newest = world.oracle().newest();
    let is_behind = |s: &std::sync::Arc<evercube_service::Service>| {
        s.metastore.state().database("Retail").is_none_or(|d| d.seq < newest)
    };
    let until = Instant::now() + PATIENCE;
    while world.running().iter().any(is_behind) && Instant::now() < until {
        sleep(Duration::from_millis(20)).await;
    }
    for server in world.running() {
        let state = server.metastore.state();
        let seq = state.database("Retail").map_or(0, |d| d.seq);
        let earlier: BTreeSet<u64> = state.earlier.of("Retail").map(|v| v.seq).collect();
        let kept_from = earlier.first().copied().unwrap_or(seq);
        let lost: Vec<u64> = world
            .oracle()
            .acknowledged
            .keys()
            .copied()
            .filter(|s| *s >= kept_from && *s != seq && !earlier.contains(s))
            .collect();
        world.oracle().is_of(seq, state.database("Retail").map(|d| d.root), &server.config.name);
        if seq < newest || !lost.is_empty() {
            let name = &server.config.name;
            let what = format!("{name} ends at version {seq} of {newest}, without {lost:?}");
            world.violation("I1", what);
        }
    }
}

/// No secret is in the log, or in any file of the servers and the stores.
pub fn secrets_are_kept(world: &World) {
    let secret = world.secret();
    for line in listening::heard(&secret) {
        world.violation("I9", format!("the log tells a secret: {line}"));
    }
    for file in rot::all_below(&world.path("")) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        if bytes.windows(secret.len()).any(|w| w == secret.as_bytes()) {
            world.violation("I9", format!("{} tells a secret", file.display()));
        }
    }
}
