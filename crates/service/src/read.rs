//! Which version a read runs on: the read rules, and waiting until it is here.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use tokio::time::{Instant, timeout_at};

use crate::call::{Call, ReadLevel};
use crate::service::Service;
use crate::versions::LoadedVersion;

/// How long a read waits for a leader or for its version before it gives up.
pub const HOLD: Duration = Duration::from_secs(30);

impl Service {
    /// The applied index a read must not be older than.
    async fn freshness_floor(&self, call: &Call) -> Result<u64> {
        match (call.read, call.min_seq) {
            (ReadLevel::Any, _) if self.metastore.status().applied == 0 => Err(Error::new(
                ErrorKind::Unavailable,
                "this server has not learned yet what the group holds",
            )),
            (ReadLevel::Any, _) => Ok(0),
            (ReadLevel::Session, Some(seen)) => Ok(seen),
            (ReadLevel::Strong, _) | (ReadLevel::Session, None) => {
                self.metastore.read_index().await
            }
            (ReadLevel::Bounded(bound), _) => {
                let age = self.metastore.status().millis_since_quorum;
                let fresh = age.is_some_and(|a| u128::from(a) <= bound.as_millis());
                // What the leader had committed at that contact must be here.
                match fresh {
                    true => Ok(self.metastore.heard_commit()),
                    false => self.metastore.read_index().await,
                }
            }
        }
    }

    /// Waits until this server has applied what the call must see.
    pub async fn wait_fresh(&self, call: &Call) -> Result<()> {
        let waiting = async {
            let floor = self.freshness_floor(call).await?;
            self.metastore.wait_applied(floor, call.patience.unwrap_or(HOLD)).await
        };
        if !call.is_relayed {
            return waiting.await;
        }
        tokio::select! {
            biased;
            done = waiting => done,
            e = self.out_of_touch() => Err(e),
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
        let mut changes = self.versions.changes();
        let mut applied = self.metastore.changes();
        loop {
            if let Some(e) = self.withheld(database) {
                return Err(e);
            }
            let state = self.metastore.state();
            let Some(entry) = state.database(database) else {
                return Err(self.no_such_database(database));
            };
            if let Some(v) = self.versions.get(database)
                && (v.seq > entry.seq
                    || (v.seq == entry.seq && v.root == entry.root)
                    || call.read == ReadLevel::Any)
            {
                return Ok(v);
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
