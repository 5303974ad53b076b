//! The replicated state and how commands change it. Pure: the same commands in the same order
//! give the same state on every machine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use evercube_base::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::backups::{self, BackupRecord};
use crate::command::{Command, Reply};
use crate::earlier::EarlierVersions;
use crate::jobs::Jobs;
use crate::joining::Joining;
use crate::keeping::{StandbyOf, Sync};
use crate::links::{self, Link};
use crate::logins::{self, SealedLogins};
use crate::reads::{self, ReadSoFar};
use crate::schedules::{self, Schedule};
use crate::shared::Shared;

mod commit;
mod digest;
mod lease;

pub use digest::digest;
pub use lease::{Lease, Leases};

/// BLAKE3 hash of an object.
pub type Hash = [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum MemberKind {
    /// Votes and keeps data.
    #[default]
    Data,
    /// Votes, keeps no data, serves no queries.
    Witness,
    /// Keeps data, does not vote.
    Learner,
    /// As a learner; meant to come and go for load.
    Replica,
}

impl MemberKind {
    pub fn votes(self) -> bool {
        matches!(self, Self::Data | Self::Witness)
    }
}

impl fmt::Display for MemberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::Witness => "witness",
            Self::Learner => "learner",
            Self::Replica => "replica",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub region: String,
    pub kind: MemberKind,
    pub peer_address: String,
    pub http_address: String,
    /// Changes when the folder is replaced; receipts of another disk do not count.
    pub disk_id: u64,
    /// The newest commands this server understands; see [`Command::level`].
    #[serde(default)]
    pub level: u32,
}

/// What a commit does while a failure domain it needs is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Policy {
    /// After the grace the group goes on without it, and says so.
    #[default]
    Available,
    /// It is refused.
    Strict,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Available => "available",
            Self::Strict => "strict",
        })
    }
}

/// The current version of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseEntry {
    pub name: String,
    pub seq: u64,
    pub epoch: u64,
    pub model: Hash,
    pub manifest: Hash,
    /// Every object the version needs, model and manifest included.
    pub objects: Vec<Hash>,
    pub root: Hash,
    pub created_micros: i64,
    pub updated_micros: i64,
    /// Who writes this database; `None`: whoever holds the group's lease.
    #[serde(default)]
    pub lease: Option<Lease>,
    #[serde(default)]
    pub policy: Policy,
    #[serde(default)]
    pub sync: Sync,
    /// The database of another group that this one follows.
    #[serde(default)]
    pub standby_of: Option<StandbyOf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestOutcome {
    pub seq: u64,
    pub error: Option<Error>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKey {
    pub id: u32,
    pub bytes: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEntry {
    pub password_hash: String,
    pub admin: bool,
}

/// A secret that stands for a user, as programs use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// BLAKE3 of the secret, which is random and long.
    pub hash: Hash,
    pub user: String,
    /// Seconds since 1970 after which it counts no more.
    pub expires_unix: Option<i64>,
}

/// Addresses from which clients may come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallRule {
    pub first: std::net::IpAddr,
    pub last: std::net::IpAddr,
}

impl FirewallRule {
    pub fn lets_in(&self, address: std::net::IpAddr) -> bool {
        let same_kind = self.first.is_ipv4() == address.is_ipv4();
        same_kind && self.first <= address && address <= self.last
    }
}

/// Outcomes of writes that are remembered for callers who lost the answer.
const REQUESTS_KEPT: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    pub cluster_id: String,
    pub members: BTreeMap<u64, Member>,
    /// By lower-case name.
    pub databases: BTreeMap<String, DatabaseEntry>,
    pub requests: BTreeMap<String, RequestOutcome>,
    request_order: VecDeque<String>,
    pub keys: Vec<SessionKey>,
    pub users: BTreeMap<String, UserEntry>,
    pub settings: BTreeMap<String, String>,
    /// Failure domains the group goes on without.
    pub degraded: BTreeSet<String>,
    /// Who writes the databases that have no lease of their own.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Members that take no new work because they are about to stop.
    #[serde(default)]
    pub draining: BTreeSet<u64>,
    /// Former members by id, with the name each had; what they send is refused.
    #[serde(default)]
    pub removed: BTreeMap<u64, String>,
    /// Counts the histories of this group: a side that went on by an operator's word alone starts
    /// a new one, which members of the older ones cannot write into.
    #[serde(default)]
    pub incarnation: u64,
    /// By name.
    #[serde(default)]
    pub tokens: BTreeMap<String, TokenEntry>,
    /// By name; none: clients may come from anywhere.
    #[serde(default)]
    pub firewall: BTreeMap<String, FirewallRule>,
    /// Drawn when the history began: two sides that both went on have different ones.
    #[serde(default)]
    pub branch: u64,
    /// Versions that were current before.
    #[serde(default)]
    pub earlier: EarlierVersions,
    /// Backups by their place.
    #[serde(default)]
    pub backups: BTreeMap<String, BackupRecord>,
    /// By name.
    #[serde(default)]
    pub schedules: BTreeMap<String, Schedule>,
    #[serde(default)]
    pub jobs: Jobs,
    /// How servers join.
    #[serde(default)]
    pub joining: Joining,
    /// How far refreshes have come, by request id.
    #[serde(default)]
    pub reads: BTreeMap<String, ReadSoFar>,
    /// By lower-case name. Written only where there are any, as everything that is new, so that
    /// servers of the release before compare equal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Link>,
    #[serde(default, skip_serializing_if = "Shared::is_empty")]
    pub shared: Shared,
    /// How data sources are logged in to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub logins: SealedLogins,
}

fn last_admin(name: &str) -> Error {
    let message = format!("'{name}' is the last administrator; make another one first");
    Error::new(ErrorKind::Conflict, message)
}

impl State {
    pub fn database(&self, name: &str) -> Option<&DatabaseEntry> {
        self.databases.get(&name.to_lowercase())
    }

    /// Members that keep data and vote: the ones commits count on.
    pub fn data_members(&self) -> impl Iterator<Item = (&u64, &Member)> {
        self.members.iter().filter(|(_, m)| m.kind == MemberKind::Data)
    }

    /// Whether regions (two or more hold data) or single servers are what fails together.
    fn domains_are_regions(&self) -> bool {
        self.data_members().map(|(_, m)| &m.region).collect::<BTreeSet<_>>().len() >= 2
    }

    /// The failure domain of a data member.
    pub fn failure_domain(&self, member: u64) -> Option<String> {
        let m = self.members.get(&member).filter(|m| m.kind == MemberKind::Data)?;
        Some(if self.domains_are_regions() { m.region.clone() } else { m.name.clone() })
    }

    pub fn failure_domains(&self) -> BTreeSet<String> {
        self.data_members().filter_map(|(id, _)| self.failure_domain(*id)).collect()
    }

    /// Whether the holders `(member, disk)` cover the failure domains a commit needs:
    /// two, or as many as there are. Under [`Policy::Available`] domains the group goes on without
    /// are not counted on.
    pub fn receipts_suffice(&self, receipts: &[(u64, u64)], policy: Policy) -> bool {
        let valid = receipts
            .iter()
            .filter(|(id, disk)| self.members.get(id).is_some_and(|m| m.disk_id == *disk));
        let covered: BTreeSet<String> =
            valid.filter_map(|(id, _)| self.failure_domain(*id)).collect();
        let domains = self.failure_domains();
        let counted_on = match policy {
            Policy::Strict => domains.len(),
            Policy::Available => domains.difference(&self.degraded).count(),
        };
        covered.len() >= counted_on.clamp(1, 2)
    }

    /// The policy of a database; a new one starts with the default.
    pub fn policy(&self, database: &str) -> Policy {
        self.database(database).map_or(Policy::default(), |d| d.policy)
    }

    /// The member of this name.
    pub fn member_named(&self, name: &str) -> Option<(u64, &Member)> {
        let mut all = self.members.iter();
        all.find(|(_, m)| m.name.eq_ignore_ascii_case(name)).map(|(id, m)| (*id, m))
    }

    /// Which history of which group this is, as members tell each other.
    pub fn identity(&self) -> String {
        format!("{}/{}", self.cluster_id, self.history())
    }

    /// The history as a word: its number, and what tells it from another of the same number.
    pub fn history(&self) -> String {
        match self.incarnation {
            0 => "0".to_owned(),
            n => format!("{n}.{:x}", self.branch),
        }
    }

    /// The state with which member `me` goes on alone, as the first entry of a new history.
    pub(crate) fn branch_off(
        &self,
        me: u64,
        index: u64,
        branch: u64,
        request_id: &str,
    ) -> Result<Self, Error> {
        let Some(member) = self.members.get(&me).filter(|m| m.kind != MemberKind::Witness) else {
            let message = "only a member that keeps data can go on alone";
            return Err(Error::new(ErrorKind::Conflict, message));
        };
        let mut new = self.clone();
        let member = Member { kind: MemberKind::Data, ..member.clone() };
        new.members = BTreeMap::from([(me, member)]);
        new.lease = Some(Lease { holder: me, epoch: index, home: None, ending: None });
        new.databases.values_mut().for_each(|d| d.lease = None);
        new.degraded.clear();
        new.draining.clear();
        new.incarnation += 1;
        new.branch = branch;
        new.remember(request_id.to_owned(), index, None);
        Ok(new)
    }

    /// Applies one command as log entry `index`.
    pub fn apply(&mut self, index: u64, command: Command) -> Reply {
        match command {
            Command::Init { cluster_id, session_key } => {
                if self.cluster_id.is_empty() {
                    self.cluster_id = cluster_id;
                    self.keys.push(SessionKey { id: 1, bytes: session_key });
                }
            }
            Command::PutMember { id, member } => self.put_member(id, member),
            Command::RemoveMember { id } => self.remove_member(id),
            Command::Grant { leases, to } => return self.grant(index, &leases, to),
            Command::Return { database } => return self.return_home(index, database.as_deref()),
            Command::Drain { member, draining } => {
                if !self.members.contains_key(&member) {
                    return Reply::Refused(Error::not_found("there is no such member any more"));
                }
                match draining {
                    true => self.draining.insert(member),
                    false => self.draining.remove(&member),
                };
            }
            Command::SetPolicy { database, policy } => {
                return self.set(index, &database, |entry| entry.policy = policy);
            }
            Command::SetSync { database, sync } => {
                return self.set(index, &database, |entry| entry.sync = sync);
            }
            Command::SetStandby { database, standby } => {
                return self.set(index, &database, |entry| entry.standby_of = standby);
            }
            Command::Probe => {}
            Command::Commit(commit) => return self.apply_commit(index, commit),
            Command::Planned(command) => return self.move_as_planned(index, *command),
            Command::Once { request_id, command } => {
                return self.apply_once(index, request_id, *command);
            }
            Command::Degrade { domain } => {
                let left = self.failure_domains().difference(&self.degraded).count();
                if left <= 1 && !self.degraded.contains(&domain) {
                    return Reply::Refused(Error::new(
                        ErrorKind::Unavailable,
                        format!(
                            "'{domain}' is the last failure domain with data; the group cannot go on without it"
                        ),
                    ));
                }
                self.degraded.insert(domain);
            }
            Command::Restore { domain } => {
                self.degraded.remove(&domain);
            }
            Command::PutUser { name, password_hash, admin } => {
                self.users.insert(name.to_lowercase(), UserEntry { password_hash, admin });
            }
            Command::DeleteUser { name } => {
                let name = name.to_lowercase();
                if self.is_last_admin(&name) {
                    return Reply::Refused(last_admin(&name));
                }
                self.users.remove(&name);
                self.tokens.retain(|_, t| t.user != name);
            }
            Command::SetAdmin { name, admin } => {
                let name = name.to_lowercase();
                if !admin && self.is_last_admin(&name) {
                    return Reply::Refused(last_admin(&name));
                }
                let Some(user) = self.users.get_mut(&name) else {
                    return Reply::Refused(Error::not_found(format!("there is no user '{name}'")));
                };
                user.admin = admin;
            }
            Command::PutToken { name, token } => {
                self.tokens.insert(name, token);
            }
            Command::DeleteToken { name } => {
                if self.tokens.remove(&name).is_none() {
                    return Reply::Refused(Error::not_found(format!("there is no token '{name}'")));
                }
            }
            Command::PutAuthority(authority) => self.joining.put_authority(authority),
            Command::PutJoinToken { name, token } => {
                if let Err(e) = self.joining.put_token(name, token) {
                    return Reply::Refused(e);
                }
            }
            Command::DeleteJoinToken { name } => {
                if let Err(e) = self.joining.delete_token(&name) {
                    return Reply::Refused(e);
                }
            }
            Command::UseJoinToken { hash, server, now_unix } => {
                if let Err(e) = self.joining.use_token(&hash, server, now_unix) {
                    return Reply::Refused(e);
                }
            }
            Command::PutFirewallRule { name, rule } => {
                self.firewall.insert(name, rule);
            }
            Command::DeleteFirewallRule { name } => {
                if self.firewall.remove(&name).is_none() {
                    let message = format!("there is no firewall rule '{name}'");
                    return Reply::Refused(Error::not_found(message));
                }
            }
            Command::PutBackup { place, record } => {
                backups::put(&mut self.backups, place, record);
            }
            Command::Schedules(change) => {
                if let Err(e) = schedules::change(&mut self.schedules, change) {
                    return Reply::Refused(e);
                }
            }
            Command::Jobs(change) => {
                let name_of = |id: u64| self.members.get(&id).map(|m| m.name.clone());
                if let Err(e) = self.jobs.change(index, change, &mut self.schedules, name_of) {
                    return Reply::Refused(e);
                }
            }
            Command::Reads(change) => {
                if let Err(e) = reads::change(&mut self.reads, index, change) {
                    return Reply::Refused(e);
                }
            }
            Command::Authority(step) => {
                if let Err(e) = self.joining.take_step(step) {
                    return Reply::Refused(e);
                }
            }
            Command::Shared(change) => {
                if let Err(e) = self.shared.change(change) {
                    return Reply::Refused(e);
                }
            }
            Command::Links(change) => {
                if let Err(e) = links::change(&mut self.links, change) {
                    return Reply::Refused(e);
                }
            }
            Command::Login(change) => {
                if let Err(e) = logins::change(&mut self.logins, change) {
                    return Reply::Refused(e);
                }
            }
            Command::PutSetting { name, value } => {
                self.settings.insert(name, value);
            }
        }
        Reply::Done { seq: index }
    }

    /// Changes what is said of a database beside its version.
    fn set(
        &mut self,
        index: u64,
        database: &str,
        change: impl FnOnce(&mut DatabaseEntry),
    ) -> Reply {
        let Some(entry) = self.databases.get_mut(&database.to_lowercase()) else {
            let message = format!("there is no database '{database}'");
            return Reply::Refused(Error::not_found(message));
        };
        change(entry);
        Reply::Done { seq: index }
    }

    fn is_last_admin(&self, name: &str) -> bool {
        let mut admins = self.users.iter().filter(|(_, u)| u.admin).map(|(n, _)| n.as_str());
        admins.next() == Some(name) && admins.next().is_none()
    }

    /// Why a server may not become a member: what every other member understands may be in use, and
    /// it would not.
    pub(crate) fn too_old(&self, id: u64, member: &Member) -> Option<Error> {
        let stays = |(other, m): &(&u64, &Member)| **other != id && m.name != member.name;
        let used = self.members.iter().filter(stays).map(|(_, m)| m.level).min()?;
        let message = || {
            format!(
                "server '{}' runs a release that is too old for this group (feature level {}, the group has {used}); upgrade it first",
                member.name, member.level
            )
        };
        (member.level < used).then(|| Error::new(ErrorKind::Conflict, message()))
    }

    fn put_member(&mut self, id: u64, member: Member) {
        let replaced: Vec<u64> = self
            .members
            .iter()
            .filter(|(other, m)| **other != id && m.name == member.name)
            .map(|(other, _)| *other)
            .collect();
        for old in replaced {
            self.remove_member(old);
            self.leases_mut().for_each(|l| l.member_replaced(old, id));
        }
        self.removed.remove(&id);
        self.members.insert(id, member);
    }

    fn remove_member(&mut self, id: u64) {
        if let Some(member) = self.members.remove(&id) {
            self.removed.insert(id, member.name);
        }
        self.draining.remove(&id);
    }
}

#[cfg(test)]
mod tests;
