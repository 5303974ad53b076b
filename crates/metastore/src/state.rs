//! The replicated state and how commands change it. Pure: the same commands in the same order
//! give the same state on every machine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use evercube_base::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::command::{Command, Commit, Reply};

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
    /// two, or as many as there are left.
    pub fn receipts_suffice(&self, receipts: &[(u64, u64)]) -> bool {
        let valid = receipts
            .iter()
            .filter(|(id, disk)| self.members.get(id).is_some_and(|m| m.disk_id == *disk));
        let covered: BTreeSet<String> =
            valid.filter_map(|(id, _)| self.failure_domain(*id)).collect();
        let healthy = self.failure_domains().difference(&self.degraded).count();
        covered.len() >= healthy.clamp(1, 2)
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
            Command::PutMember { id, member } => {
                self.members.retain(|other, m| *other == id || m.name != member.name);
                self.members.insert(id, member);
            }
            Command::RemoveMember { id } => {
                self.members.remove(&id);
            }
            Command::Commit(commit) => return self.apply_commit(index, commit),
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
                self.users.remove(&name.to_lowercase());
            }
            Command::PutSetting { name, value } => {
                self.settings.insert(name, value);
            }
        }
        Reply::Done { seq: index }
    }

    fn apply_commit(&mut self, index: u64, commit: Commit) -> Reply {
        if let Some(known) = self.requests.get(&commit.request_id) {
            return match &known.error {
                None => Reply::Done { seq: known.seq },
                Some(e) => Reply::Refused(e.clone()),
            };
        }
        let request_id = commit.request_id.clone();
        let outcome = self.commit(index, commit);
        // What only has to be tried again must not answer the next try.
        if !matches!(&outcome, Err(e) if e.kind == ErrorKind::Unavailable) {
            self.remember(request_id, index, outcome.clone().err());
        }
        match outcome {
            Ok(()) => Reply::Done { seq: index },
            Err(e) => Reply::Refused(e),
        }
    }

    fn commit(&mut self, index: u64, c: Commit) -> Result<(), Error> {
        let key = c.database.to_lowercase();
        let current = self.databases.get(&key);
        let seq = current.map_or(0, |d| d.seq);
        let name = &c.database;
        if let Some(d) = current.filter(|d| c.epoch < d.epoch) {
            let message = format!(
                "the server that wrote database '{name}' was replaced (its epoch {} is older than {})",
                c.epoch, d.epoch
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        if let Some(expected) = c.expected_seq.filter(|e| *e != seq) {
            let message = match (expected, seq) {
                (0, _) => format!("database '{name}' exists already"),
                (_, 0) => format!("database '{name}' does not exist any more"),
                _ => format!(
                    "database '{name}' was changed meanwhile (version {seq}, expected {expected}); try again"
                ),
            };
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        if c.drop {
            self.databases.remove(&key);
            return Ok(());
        }
        if !self.receipts_suffice(&c.receipts) {
            let message = format!(
                "version of database '{name}' is held by too few failure domains; nothing was changed"
            );
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let created = current.map_or(c.now_micros, |d| d.created_micros);
        let name = c.rename_to.unwrap_or(c.database);
        if name.to_lowercase() != key && self.database(&name).is_some() {
            let message = format!(
                "the database cannot be renamed to '{name}': a database of that name exists already"
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        self.databases.remove(&key);
        self.databases.insert(
            name.to_lowercase(),
            DatabaseEntry {
                name,
                seq: index,
                epoch: c.epoch,
                model: c.model,
                manifest: c.manifest,
                objects: c.objects,
                root: c.root,
                created_micros: created,
                updated_micros: c.now_micros,
            },
        );
        Ok(())
    }

    fn remember(&mut self, request_id: String, seq: u64, error: Option<Error>) {
        if request_id.is_empty() {
            return;
        }
        self.requests.insert(request_id.clone(), RequestOutcome { seq, error });
        self.request_order.push_back(request_id);
        while self.request_order.len() > REQUESTS_KEPT {
            if let Some(oldest) = self.request_order.pop_front() {
                self.requests.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, region: &str) -> Member {
        Member {
            name: name.into(),
            region: region.into(),
            kind: MemberKind::Data,
            peer_address: String::new(),
            http_address: String::new(),
            disk_id: 1,
        }
    }

    fn group(regions: &[(&str, &str)]) -> State {
        let mut s = State::default();
        for (i, (name, region)) in regions.iter().enumerate() {
            let id = i as u64 + 1;
            s.apply(id, Command::PutMember { id, member: member(name, region) });
        }
        s
    }

    fn commit(id: &str, expected: u64, receipts: &[(u64, u64)]) -> Command {
        Command::Commit(Commit {
            request_id: id.into(),
            database: "Retail".into(),
            expected_seq: Some(expected),
            epoch: 1,
            receipts: receipts.to_vec(),
            ..Commit::default()
        })
    }

    fn refused(reply: &Reply) -> ErrorKind {
        match reply {
            Reply::Refused(e) => e.kind,
            Reply::Done { seq } => panic!("was applied as {seq}"),
        }
    }

    #[test]
    fn a_repeated_request_is_answered_from_the_record() {
        let mut s = group(&[("a", "x")]);
        assert_eq!(s.apply(10, commit("r1", 0, &[(1, 1)])), Reply::Done { seq: 10 });
        assert_eq!(s.apply(11, commit("r1", 0, &[(1, 1)])), Reply::Done { seq: 10 });
        assert_eq!(refused(&s.apply(12, commit("r2", 0, &[(1, 1)]))), ErrorKind::Conflict);
        assert_eq!(refused(&s.apply(13, commit("r2", 10, &[(1, 1)]))), ErrorKind::Conflict);
        assert_eq!(s.apply(14, commit("r3", 10, &[(1, 1)])), Reply::Done { seq: 14 });
        assert_eq!(s.database("RETAIL").unwrap().seq, 14);
    }

    #[test]
    fn a_commit_needs_two_regions_unless_the_group_is_degraded() {
        let mut s = group(&[("a", "north"), ("b", "north"), ("c", "west"), ("d", "east")]);
        assert_eq!(
            refused(&s.apply(10, commit("r1", 0, &[(1, 1), (2, 1)]))),
            ErrorKind::Unavailable
        );
        // A receipt for a disk that was replaced does not count.
        assert_eq!(
            refused(&s.apply(11, commit("r2", 0, &[(1, 1), (3, 9)]))),
            ErrorKind::Unavailable
        );
        assert_eq!(s.apply(12, commit("r3", 0, &[(1, 1), (3, 1)])), Reply::Done { seq: 12 });
        s.apply(13, Command::Degrade { domain: "west".into() });
        s.apply(14, Command::Degrade { domain: "east".into() });
        assert_eq!(s.apply(15, commit("r4", 12, &[(1, 1)])), Reply::Done { seq: 15 });
        let last = s.apply(16, Command::Degrade { domain: "north".into() });
        assert_eq!(refused(&last), ErrorKind::Unavailable);
        s.apply(17, Command::Restore { domain: "west".into() });
        assert_eq!(refused(&s.apply(18, commit("r5", 15, &[(1, 1)]))), ErrorKind::Unavailable);
    }

    #[test]
    fn a_refusal_that_passes_does_not_answer_the_next_try() {
        let mut s = group(&[("a", "north"), ("b", "west")]);
        assert_eq!(refused(&s.apply(10, commit("r1", 0, &[(1, 1)]))), ErrorKind::Unavailable);
        let again = s.apply(11, commit("r1", 0, &[(1, 1), (2, 1)]));
        assert_eq!(again, Reply::Done { seq: 11 });
        assert_eq!(s.apply(12, commit("r1", 0, &[])), Reply::Done { seq: 11 });
    }

    #[test]
    fn a_rename_never_replaces_another_database() {
        let mut s = group(&[("a", "x")]);
        s.apply(10, commit("r1", 0, &[(1, 1)]));
        let rename = |id: &str, to: &str| {
            let Command::Commit(c) = commit(id, 10, &[(1, 1)]) else { unreachable!() };
            Command::Commit(Commit { rename_to: Some(to.into()), ..c })
        };
        let Command::Commit(c) = commit("r2", 0, &[(1, 1)]) else { unreachable!() };
        s.apply(11, Command::Commit(Commit { database: "Other".into(), ..c }));
        assert_eq!(refused(&s.apply(12, rename("r3", "OTHER"))), ErrorKind::Conflict);
        assert_eq!(s.database("other").unwrap().seq, 11);
        assert_eq!(s.apply(13, rename("r4", "RETAIL")), Reply::Done { seq: 13 });
        assert_eq!(s.database("retail").unwrap().name, "RETAIL");
    }

    #[test]
    fn servers_of_one_region_are_domains_of_their_own() {
        let s = group(&[("a", "x"), ("b", "x"), ("c", "x")]);
        assert!(!s.receipts_suffice(&[(1, 1)]));
        assert!(s.receipts_suffice(&[(1, 1), (2, 1)]));
    }

    #[test]
    fn an_older_epoch_is_fenced() {
        let mut s = group(&[("a", "x")]);
        let with_epoch = |epoch, id: &str, expected| {
            let Command::Commit(c) = commit(id, expected, &[(1, 1)]) else { unreachable!() };
            Command::Commit(Commit { epoch, ..c })
        };
        s.apply(10, with_epoch(5, "r1", 0));
        assert_eq!(refused(&s.apply(11, with_epoch(4, "r2", 10))), ErrorKind::Conflict);
        assert_eq!(s.apply(12, with_epoch(5, "r3", 10)), Reply::Done { seq: 12 });
    }

    #[test]
    fn a_member_that_comes_back_on_a_new_disk_replaces_itself() {
        let mut s = group(&[("a", "x"), ("b", "y")]);
        s.apply(10, Command::PutMember { id: 77, member: member("b", "y") });
        assert_eq!(s.members.keys().copied().collect::<Vec<_>>(), [1, 77]);
    }
}
