//! Processing leases: which member writes a database. Every grant has a number of its own, its
//! epoch, and a commit under an older one is refused, so that a member that lost a lease without
//! noticing writes nothing; but for one that handed it on, and has begun a change before.

use std::collections::BTreeMap;

use evercube_base::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::{MemberKind, State};
use crate::command::{Command, Reply};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub holder: u64,
    /// The log entry that granted it.
    pub epoch: u64,
    /// Who held it before it was moved, and gets it back on request.
    #[serde(default)]
    pub home: Option<u64>,
    /// Who held it until it was moved as planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// A lease that was handed on: its holder may commit what it had under way, as long as the database is
/// as it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub holder: u64,
    pub epoch: u64,
}

/// The leases a grant speaks of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Leases {
    All,
    Of(String),
    HeldBy(u64),
}

impl Lease {
    fn moved(self, epoch: u64, to: u64) -> Self {
        if self.holder == to {
            return self;
        }
        let home = self.home.or(Some(self.holder)).filter(|h| *h != to);
        Self { holder: to, epoch, home, ending: None }
    }

    fn returned(self, epoch: u64) -> Self {
        self.home.map_or(self, |home| Self { holder: home, epoch, home: None, ending: None })
    }

    /// Whether a commit under `epoch` counts; `is_as_it_was`: it was made from the newest version.
    pub(super) fn lets_commit(self, epoch: u64, is_as_it_was: bool) -> bool {
        self.epoch == epoch || (is_as_it_was && self.ending.is_some_and(|e| e.epoch == epoch))
    }

    /// A lease is not handed to an empty disk; it comes home to the server, though.
    pub(super) fn member_replaced(&mut self, old: u64, new: u64) {
        if self.home == Some(old) || (self.holder == old && self.home.is_none()) {
            self.home = Some(new);
        }
    }
}

impl State {
    /// The lease under which a database, or one that is not there yet, is written; `None` while
    /// no member of the group holds it.
    pub fn lease_of(&self, database: &str) -> Option<Lease> {
        let own = self.database(database).and_then(|d| d.lease);
        own.or(self.lease).filter(|l| self.may_write(l.holder))
    }

    /// Whether a member may hold a lease.
    pub fn may_write(&self, member: u64) -> bool {
        self.members.get(&member).is_some_and(|m| m.kind == MemberKind::Data)
    }

    pub(super) fn leases_mut(&mut self) -> impl Iterator<Item = &mut Lease> {
        let of_databases = self.databases.values_mut().filter_map(|d| d.lease.as_mut());
        self.lease.iter_mut().chain(of_databases)
    }

    /// Members that hold leases, that of the group first.
    pub fn lease_holders(&self) -> Vec<u64> {
        let of_databases = self.databases.values().filter_map(|d| d.lease);
        let mut holders = Vec::new();
        for lease in self.lease.into_iter().chain(of_databases) {
            if !holders.contains(&lease.holder) {
                holders.push(lease.holder);
            }
        }
        holders
    }

    /// Applies a move of leases that was planned.
    pub(super) fn move_as_planned(&mut self, index: u64, command: Command) -> Reply {
        let of_group = self.lease;
        let own = self.databases.iter().filter_map(|(key, d)| Some((key.clone(), d.lease?)));
        let own: BTreeMap<String, Lease> = own.collect();
        let reply = self.apply(index, command);
        let hand_on = |lease: &mut Lease, before: Option<Lease>| {
            let before = before.filter(|b| b.epoch != lease.epoch && b.holder != lease.holder);
            if let Some(Lease { holder, epoch, .. }) = before {
                lease.ending = Some(Ending { holder, epoch });
            }
        };
        self.lease.iter_mut().for_each(|lease| hand_on(lease, of_group));
        for (key, entry) in &mut self.databases {
            let before = own.get(key).copied().or(of_group);
            entry.lease.iter_mut().for_each(|lease| hand_on(lease, before));
        }
        reply
    }

    pub(super) fn grant(&mut self, index: u64, leases: &Leases, to: u64) -> Reply {
        let refused = |message: String| Reply::Refused(Error::new(ErrorKind::Conflict, message));
        let Some(member) = self.members.get(&to) else {
            return refused("the server to take over is no member any more".to_owned());
        };
        if member.kind != MemberKind::Data {
            return refused(format!(
                "server '{}' is a {} and takes no writes; name a data server",
                member.name, member.kind
            ));
        }
        if self.draining.contains(&to) {
            return refused(format!(
                "server '{}' is being drained and takes no writes",
                member.name
            ));
        }
        let new = Lease { holder: to, epoch: index, home: None, ending: None };
        match leases {
            Leases::Of(name) => {
                let of_group = self.lease;
                let Some(entry) = self.databases.get_mut(&name.to_lowercase()) else {
                    return Reply::Refused(Error::not_found(format!(
                        "there is no database '{name}'"
                    )));
                };
                let before = entry.lease.or(of_group);
                entry.lease = Some(before.map_or(new, |l| l.moved(index, to)));
            }
            Leases::All => {
                self.lease.get_or_insert(new);
                self.leases_mut().for_each(|l| *l = l.moved(index, to));
            }
            Leases::HeldBy(member) => {
                for lease in self.leases_mut().filter(|l| l.holder == *member) {
                    *lease = lease.moved(index, to);
                }
            }
        }
        Reply::Done { seq: index }
    }

    /// Gives leases back to who held them before; of one database, or all.
    pub(super) fn return_home(&mut self, index: u64, database: Option<&str>) -> Reply {
        let draining = self.draining.clone();
        let members: Vec<u64> =
            self.members.keys().copied().filter(|id| self.may_write(*id)).collect();
        let can =
            |l: &Lease| l.home.is_some_and(|h| members.contains(&h) && !draining.contains(&h));
        match database {
            Some(name) => {
                let Some(entry) = self.databases.get_mut(&name.to_lowercase()) else {
                    return Reply::Refused(Error::not_found(format!(
                        "there is no database '{name}'"
                    )));
                };
                if let Some(lease) = entry.lease.as_mut().filter(|l| can(l)) {
                    *lease = lease.returned(index);
                }
            }
            None => {
                self.leases_mut().filter(|l| can(l)).for_each(|l| *l = l.returned(index));
            }
        }
        // A database that is back with the group's primary follows the group again.
        let of_group = self.lease.map(|l| l.holder);
        for entry in self.databases.values_mut() {
            if entry.lease.is_some_and(|l| l.home.is_none() && Some(l.holder) == of_group) {
                entry.lease = None;
            }
        }
        Reply::Done { seq: index }
    }
}
