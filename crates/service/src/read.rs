//! Which version a read runs on: the read rules, and waiting until it is here.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::DatabaseEntry;
use tokio::time::{Instant, timeout_at};

use crate::call::{Call, ReadLevel};
use crate::objects::blocking;
use crate::service::Service;
use crate::session::Session;
use crate::versions::{LoadedVersion, StoredModel};

/// How long a read waits for a leader or for its version before it gives up.
pub const HOLD: Duration = Duration::from_secs(30);

/// Says what can be done where the newest version cannot be told.
fn without_leader(error: Error) -> Error {
    if error.kind != ErrorKind::Unavailable {
        return error;
    }
    let message = format!(
        "{error}; a majority of the voting servers must be up and connected. What one server holds can be read all the same: --read any (?read=any); where the others are lost for good, 'evercube promote --accept-loss' lets one go on alone"
    );
    Error::new(ErrorKind::Unavailable, message)
}

impl Service {
    /// The applied index a read must not be older than, and how long it may take to be here.
    async fn freshness_floor(&self, call: &Call) -> Result<(u64, Duration)> {
        let status = self.metastore.status();
        let known = match (call.read, call.min_seq) {
            _ if self.rights_are_old(&call.session) => None,
            (ReadLevel::Any, _) if status.applied == 0 => {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "this server has not learned yet what the group holds",
                ));
            }
            (ReadLevel::Any, _) => Some(0),
            (ReadLevel::Session, Some(seen)) => Some(seen),
            (ReadLevel::Strong, _) | (ReadLevel::Session, None) => None,
            (ReadLevel::Bounded(bound), _) => {
                let age = status.millis_since_quorum;
                let fresh = age.is_some_and(|a| u128::from(a) <= bound.as_millis());
                // What the leader had committed at that contact must be here.
                fresh.then(|| self.metastore.heard_commit())
            }
        };
        let patience = call.patience.unwrap_or(HOLD);
        let left = || call.deadline.map_or(HOLD, |d| d.saturating_duration_since(Instant::now()));
        match known {
            Some(floor) => Ok((floor, patience.min(left()))),
            // What the leader has confirmed comes with its next message; to ask elsewhere takes longer.
            None => {
                let index =
                    self.metastore.read_index_within(left()).await.map_err(without_leader)?;
                Ok((index, patience.max(self.metastore.timing().heartbeat()).min(left())))
            }
        }
    }

    /// Whether this server has been cut off for so long that the caller's rights, as it knows them,
    /// may have been taken away: users and roles are part of what the group decides.
    fn rights_are_old(&self, session: &Session) -> bool {
        // Nobody is known where nobody signs in, and the server itself has no user.
        if self.config.no_auth || session.user.is_empty() {
            return false;
        }
        let age = self.metastore.status().millis_since_quorum;
        age.is_none_or(|a| u128::from(a) > self.config.rights_age.as_millis())
    }

    /// Waits until this server has applied what the call must see.
    pub async fn wait_fresh(&self, call: &Call) -> Result<()> {
        let waiting = async {
            let (floor, patience) = self.freshness_floor(call).await?;
            self.metastore.wait_applied(floor, patience).await
        };
        if !call.is_relayed {
            return waiting.await;
        }
        tokio::select! {
            biased;
            done = waiting => done,
            e = self.out_of_touch() => Err(without_leader(e)),
        }
    }

    /// The version of `database` that the call reads, loaded and verified here.
    pub async fn version(&self, call: &Call, database: &str) -> Result<Arc<LoadedVersion>> {
        self.wait_fresh(call).await?;
        if let Some(at) = call.at
            && let Some(earlier) = self.version_at(call, database, at).await?
        {
            return Ok(earlier);
        }
        let deadline = Instant::now() + call.patience.unwrap_or(HOLD);
        let deadline = call.deadline.map_or(deadline, |d| d.min(deadline));
        let mut changes = self.versions.changes();
        let mut applied = self.metastore.changes();
        let mut may_know = None;
        loop {
            let state = self.metastore.state();
            let Some(entry) = state.database(database) else {
                return Err(self.no_such_database(database));
            };
            let withheld = self.withheld(database);
            if withheld.is_none()
                && let Some(v) = self.versions.get(database)
                && (v.seq > entry.seq
                    || (v.seq == entry.seq && v.root == entry.root)
                    || call.read == ReadLevel::Any)
            {
                return Ok(v);
            }
            if may_know != Some(entry.model) {
                self.may_know(&call.session, entry).await?;
                may_know = Some(entry.model);
            }
            if let Some(e) = withheld {
                return Err(e);
            }
            if let Some(e) = self.versions.failure(database) {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("database '{database}' cannot be served by this server: {e}"),
                ));
            }
            let step = async {
                tokio::select! {
                    r = changes.changed() => r.is_ok(),
                    r = applied.changed() => r.is_ok(),
                }
            };
            if !matches!(timeout_at(deadline, step).await, Ok(true)) {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("database '{database}' is still being loaded on this server"),
                ));
            }
        }
    }

    /// Refuses who has no right to a database that cannot be read now, in the words for one that does
    /// not exist: neither errors nor waiting tell that there is one.
    async fn may_know(&self, session: &Session, entry: &DatabaseEntry) -> Result<()> {
        // The server itself has no user.
        if session.is_admin || session.user.is_empty() {
            return Ok(());
        }
        let (objects, model) = (Arc::clone(&self.objects), entry.model);
        let read = blocking(move || StoredModel::from_bytes(&objects.get(&model)?));
        let rights = match read.await {
            Ok(stored) => session.rights(&stored.database.model),
            // Those of the version before; where there is none, nobody is told more.
            Err(_) => self.rights(session, &entry.name),
        };
        if rights.any() { Ok(()) } else { Err(self.no_such_database(&entry.name)) }
    }

    pub(crate) fn no_such_database(&self, database: &str) -> Error {
        crate::query::no_access(database)
    }

    /// The database a request works on: the named one, else the only one there is.
    pub fn resolve_catalog(&self, call: &Call) -> Result<String> {
        if let Some(name) = call.session.catalog.as_deref().filter(|c| !c.is_empty()) {
            return Ok(name.to_owned());
        }
        let state = self.metastore.state();
        let seen = state.databases.values().map(|d| d.name.clone());
        let mut names = seen.filter(|n| self.rights(&call.session, n).any() || call.session.acts());
        match (names.next(), names.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => {
                Err(Error::not_found("There is no database on this server yet; deploy one."))
            }
            _ => Err(Error::invalid(
                "The request names no database and the server has several; set Catalog (Initial Catalog) in the connection string.",
            )),
        }
    }
}
