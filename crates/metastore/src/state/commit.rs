//! How a commit is judged and recorded.

use evercube_base::{Error, ErrorKind};

use super::{DatabaseEntry, Policy, REQUESTS_KEPT, RequestOutcome, State};
use crate::command::{Command, Commit, Reply};
use crate::logins;

impl State {
    pub(super) fn apply_commit(&mut self, index: u64, commit: Commit) -> Reply {
        if let Some(known) = self.recorded(&commit.request_id) {
            return known;
        }
        let request_id = commit.request_id.clone();
        let outcome = self.commit(index, commit);
        // What only has to be tried again must not answer the next try.
        if !matches!(&outcome, Err(e) if e.kind == ErrorKind::Unavailable) {
            self.reads.remove(&request_id);
            self.remember(request_id, index, outcome.clone().err());
        }
        match outcome {
            Ok(()) => Reply::Done { seq: index },
            Err(e) => Reply::Refused(e),
        }
    }

    /// Makes a change unless it was made under this id before.
    pub(super) fn apply_once(&mut self, index: u64, request_id: String, command: Command) -> Reply {
        if let Some(known) = self.recorded(&request_id) {
            return known;
        }
        let reply = self.apply(index, command);
        let refused = match &reply {
            Reply::Done { .. } => None,
            Reply::Refused(e) => Some(e.clone()),
        };
        if !refused.as_ref().is_some_and(|e| e.kind == ErrorKind::Unavailable) {
            self.remember(request_id, index, refused);
        }
        reply
    }

    fn recorded(&self, request_id: &str) -> Option<Reply> {
        let known = self.requests.get(request_id)?;
        Some(match &known.error {
            None => Reply::Done { seq: known.seq },
            Some(e) => Reply::Refused(e.clone()),
        })
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
            let kind = if c.repeatable { ErrorKind::Unavailable } else { ErrorKind::Conflict };
            return Err(Error::new(kind, message));
        }
        let is_as_it_was = c.expected_seq == Some(seq);
        if let Some(epoch) = c.lease
            && !self.lease_of(name).is_some_and(|l| l.lets_commit(epoch, is_as_it_was))
        {
            let message = format!("another server takes the writes of database '{name}' now");
            return Err(Error::new(ErrorKind::Unavailable, message));
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
            if let Some(ended) = self.databases.remove(&key) {
                self.earlier.keep(&ended, &ended.name);
                self.earlier.forget_ended(|name| self.databases.contains_key(name));
                logins::database_is_called(&mut self.logins, &ended.name, None);
            }
            return Ok(());
        }
        let policy = current.map_or(Policy::default(), |d| d.policy);
        if !self.receipts_suffice(&c.receipts, policy) {
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
        let lease = current.and_then(|d| d.lease);
        let sync = current.map(|d| d.sync.clone()).unwrap_or_default();
        let standby_of = current.and_then(|d| d.standby_of.clone());
        for change in c.logins {
            logins::change(&mut self.logins, change)?;
        }
        if let Some(replaced) = self.databases.remove(&key) {
            self.earlier.keep(&replaced, &name);
            logins::database_is_called(&mut self.logins, &replaced.name, Some(&name));
        }

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
                lease,
                policy,
                sync,
                standby_of,
            },
        );
        Ok(())
    }

    pub(super) fn remember(&mut self, request_id: String, seq: u64, error: Option<Error>) {
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
