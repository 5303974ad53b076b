//! The servers, their disks and wires, and what happens to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Bootstrap, Config, Ground, MemberKind, Metastore, Timing};
use tokio::sync::watch;

use crate::chance::Chance;
use crate::disk::Disk;
use crate::history::History;
use crate::mutation::Mutation;
use crate::network::{Network, Wire};
use crate::watch::Watch;

/// One server from its start to its crash.
pub struct Life {
    pub number: u64,
    pub node: u64,
    pub metastore: Arc<Metastore>,
    ended: watch::Sender<bool>,
}

impl Life {
    /// Answers a message, for as long as the server lives.
    pub async fn handle(&self, path: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        self.until_the_end(self.metastore.handle(path, &body)).await
    }

    /// What comes of `work`, unless the server crashes first: then its caller loses it.
    pub async fn until_the_end<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut ended = self.ended.subscribe();
        tokio::select! {
            biased;
            _ = ended.wait_for(|e| *e) => {
                Err(Error::new(ErrorKind::Unknown, "the server crashed meanwhile"))
            }
            done = work => done,
        }
    }
}

/// A place in the group: what is there while no process runs.
struct Seat {
    region: String,
    kind: MemberKind,
    node: u64,
    disk: Disk,
    /// The one that was here when the disks were looked at last, where it was replaced since.
    disk_before: Option<Disk>,
    life: Option<Arc<Life>>,
}

pub struct World {
    pub seed: u64,
    pub mutation: Mutation,
    pub network: Network,
    pub watch: Watch,
    pub history: History,
    seats: Mutex<BTreeMap<String, Seat>>,
    /// Numbers of lives, disks and members.
    numbers: AtomicU64,
}

impl World {
    pub fn new(seed: u64, mutation: Mutation) -> Arc<Self> {
        Arc::new(Self {
            seed,
            mutation,
            network: Network::new(seed),
            watch: Watch::default(),
            history: History::default(),
            seats: Mutex::default(),
            numbers: AtomicU64::new(0),
        })
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<String, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Puts a server with an empty disk in place; it is not running yet.
    pub fn place(&self, name: &str, region: &str, kind: MemberKind) {
        let disk = Disk::default();
        self.mutation.spoils(&disk);
        let (region, node) = (region.to_owned(), self.number());
        let seat = Seat { region, kind, node, disk, disk_before: None, life: None };
        self.seats().insert(name.to_owned(), seat);
    }

    /// Names of the servers there are, running or not.
    pub fn names(&self) -> Vec<String> {
        self.seats().keys().cloned().collect()
    }

    pub fn running(&self) -> Vec<String> {
        let seats = self.seats();
        seats.iter().filter(|(_, s)| s.life.is_some()).map(|(n, _)| n.clone()).collect()
    }

    pub fn life(&self, name: &str) -> Option<Arc<Life>> {
        self.seats().get(name)?.life.clone()
    }

    /// The lives there are now of servers that know that they are members, by name.
    pub fn members(&self) -> BTreeMap<String, Arc<Life>> {
        let seats = self.seats();
        let lives = seats.iter().filter_map(|(name, s)| Some((name.clone(), s.life.clone()?)));
        lives.filter(|(_, l)| l.metastore.state().members.contains_key(&l.node)).collect()
    }

    /// A member that reaches a majority of the voters it knows, itself included, and is reached by
    /// it; the one that reaches most. Voters whose disk was replaced are not there; a member that
    /// the operator made a learner does not count.
    pub fn center(&self) -> Option<Arc<Life>> {
        let members = self.members();
        let reached = |name: &String, life: &Arc<Life>| {
            let state = life.metastore.state();
            let voters = state.members.iter().filter(|(_, m)| m.kind.votes());
            let voters: Vec<u64> = voters.map(|(id, _)| *id).collect();
            let near = |(to, other): &(&String, &Arc<Life>)| {
                voters.contains(&other.node) && (*to == name || self.network.are_joined(name, to))
            };
            (members.iter().filter(near).count(), voters.len())
        };
        // Of those that reach as many voters, one may know of fewer changes, or not reach the leader.
        let all_near =
            |name: &String| members.keys().filter(|to| self.network.are_joined(name, to)).count();
        let (name, life) =
            members.iter().max_by_key(|(name, life)| (reached(name, life).0, all_near(name)))?;
        let (near, all) = reached(name, life);
        (near * 2 > all).then(|| Arc::clone(life))
    }

    pub fn lives(&self, name: &str, number: u64) -> bool {
        let seats = self.seats();
        // While it starts, a server speaks before it can be spoken to.
        seats.get(name).is_some_and(|s| s.life.as_ref().is_none_or(|l| l.number == number))
    }

    pub fn disk(&self, name: &str) -> Option<Disk> {
        self.seats().get(name).map(|s| s.disk.clone())
    }

    /// The disks of a server since they were looked at last: the one it has, and the one it had.
    pub fn disks(&self, name: &str) -> Vec<Disk> {
        let seats = self.seats();
        let disks = |s: &Seat| [Some(s.disk.clone()), s.disk_before.clone()];
        seats.get(name).into_iter().flat_map(disks).flatten().collect()
    }

    /// What was replaced before is of no interest any more.
    pub fn disks_were_looked_at(&self) {
        self.seats().values_mut().for_each(|s| s.disk_before = None);
    }

    pub fn note(&self, what: &str) {
        self.history.note(what.to_owned());
    }

    /// Starts a server on its disk.
    pub async fn start(self: &Arc<Self>, name: &str, bootstrap: Bootstrap) -> Result<()> {
        let (region, kind, node, disk) = match self.seats().get(name) {
            Some(s) if s.life.is_none() => (s.region.clone(), s.kind, s.node, s.disk.clone()),
            _ => return Ok(()),
        };
        let number = self.number();
        let wire = Arc::new(Wire {
            world: Arc::downgrade(self),
            from: name.to_owned(),
            life: number,
            introduction: Mutex::default(),
        });
        let config = Config {
            data_dir: std::path::PathBuf::new(),
            node_id: node,
            node_name: name.to_owned(),
            region,
            kind,
            peer_address: name.to_owned(),
            http_address: format!("{name}:80"),
            disk_id: node,
            timing: Timing::default(),
            vault: None,
        };
        let paced = disk.clone();
        let ground = Ground::on(disk, move || paced.pace(), tokio::runtime::Handle::current())?;
        let metastore = Metastore::open_on(ground, config, wire, bootstrap).await?;
        let ended = watch::Sender::new(false);
        let life = Arc::new(Life { number, node, metastore, ended });
        if let Some(seat) = self.seats().get_mut(name) {
            seat.life = Some(Arc::clone(&life));
        }
        self.note(&format!("{name} runs as member {node}, life {number}"));
        crate::watch::follow(self, name, &life);
        Ok(())
    }

    /// The server's process ends at once, and its disk forgets what was not synced.
    pub async fn crash(&self, name: &str, chance: &mut Chance) {
        let life = {
            let mut seats = self.seats();
            let Some(seat) = seats.get_mut(name) else { return };
            let Some(life) = seat.life.take() else { return };
            seat.disk = seat.disk.crash(chance);
            life
        };
        self.note(&format!("{name} crashes (life {})", life.number));
        life.ended.send_replace(true);
        // What is left of the old process has no disk and no wires; it only has to go.
        life.metastore.shutdown().await;
    }

    /// The server's disk is replaced by an empty one: a new member of the same name. Not where the
    /// server runs: what it writes would go to a disk that nobody knows.
    #[must_use]
    pub fn replace_disk(&self, name: &str) -> bool {
        if self.seats().get(name).is_some_and(|s| s.life.is_some()) {
            return false;
        }
        let node = self.number();
        if let Some(seat) = self.seats().get_mut(name) {
            let gone = std::mem::take(&mut seat.disk);
            seat.disk_before.get_or_insert(gone);
            seat.node = node;
            self.mutation.spoils(&seat.disk);
        }
        self.note(&format!("{name} gets an empty disk and is member {node} now"));
        true
    }

    /// Takes a server away for good.
    pub fn take_away(&self, name: &str) {
        self.seats().remove(name);
    }
}
