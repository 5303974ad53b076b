//! A database that another group keeps ready: this group backs it up into a folder both reach, the
//! other one restores every backup, proves it, and serves it read-only until it is promoted.

mod follow;
mod supply;

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{DateTime, Error, ErrorKind, Result};
use evercube_metastore::{DatabaseEntry, StandbyOf, State};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::service::Service;

pub use follow::FollowRequest;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(1);

/// What a standby holds, as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandbyStatus {
    /// Id of the group it follows.
    pub group: String,
    pub source: String,
    /// The version in the other group that it holds.
    pub version: Option<u64>,
    /// Whether all servers were found to hold the same after the restore.
    pub verified: bool,
    /// Age of the last moment of which nothing is missing here.
    pub stale_ms: Option<u64>,
}

/// Starts supplying and following; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    if !service.serves_queries() {
        return;
    }
    let weak = Arc::downgrade(service);
    tokio::spawn(async move {
        let mut last = std::collections::BTreeMap::new();
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(service) = weak.upgrade() else { return };
            let state = service.metastore.state();
            last.retain(|name: &String, _: &mut Instant| state.databases.contains_key(name));
            service.forget_standby_failures(&state);
            for (key, entry) in &state.databases {
                let Some(every) = interval(entry).filter(|_| service.is_primary(&entry.name))
                else {
                    last.remove(key);
                    continue;
                };
                if last.get(key).is_some_and(|at| at.elapsed() < every) {
                    continue;
                }
                last.insert(key.clone(), Instant::now());
                service.keep_standby(entry).await;
            }
        }
    });
}

fn interval(entry: &DatabaseEntry) -> Option<Duration> {
    let plan = entry.sync.standby.as_ref().map(|p| p.every_seconds);
    let follows = entry.standby_of.as_ref().map(|s| s.every_seconds);
    follows.or(plan).map(|s| Duration::from_secs(s.max(1)))
}

/// Whether another group holds the database too, or this one holds that of another.
fn concerns_another_group(entry: &DatabaseEntry) -> bool {
    entry.standby_of.is_some() || entry.sync.standby.is_some() || entry.sync.partner.is_some()
}

impl Service {
    async fn keep_standby(&self, entry: &DatabaseEntry) {
        let done = match (&entry.standby_of, &entry.sync.standby) {
            (Some(of), _) => self.take_newest(&entry.name, of).await.map(|_| ()),
            (None, Some(plan)) => self.supply(&entry.name, plan).await,
            (None, None) => Ok(()),
        };
        match done {
            Ok(()) => self.standby_works(&entry.name),
            Err(e) => self.standby_fails(&entry.name, &e),
        }
    }

    /// Alarms once until it works again.
    pub(crate) fn standby_fails(&self, database: &str, e: &Error) {
        let mut failing =
            self.failing_standbys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if failing.insert(database.to_lowercase(), e.message.clone()).is_none() {
            self.alarm(
                "standby",
                &format!("database '{database}' is not kept up in the other group: {e}"),
            );
        }
    }

    pub(crate) fn standby_works(&self, database: &str) {
        let mut failing =
            self.failing_standbys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if failing.remove(&database.to_lowercase()).is_some() {
            self.alarm(
                "standby",
                &format!("database '{database}' is kept up in the other group again"),
            );
        }
    }

    /// What failed here is not so any more where another server keeps the database up, or none is to.
    fn forget_standby_failures(&self, state: &State) {
        let mut failing =
            self.failing_standbys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        failing.retain(|name, _| {
            let entry = state.databases.get(name);
            entry.is_some_and(|d| concerns_another_group(d) && self.is_primary(&d.name))
        });
    }

    /// Why a database is not kept up in another group.
    pub(crate) fn standby_failure(&self, entry: &DatabaseEntry) -> Option<String> {
        let failing =
            self.failing_standbys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        failing.get(&entry.name.to_lowercase()).filter(|_| concerns_another_group(entry)).cloned()
    }

    /// Refuses a write to a database that follows one of another group.
    pub(crate) fn not_a_standby(&self, database: &str) -> Result<()> {
        let state = self.metastore.state();
        match state.database(database).and_then(|d| d.standby_of.as_ref()) {
            None => Ok(()),
            Some(of) => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "database '{database}' is a standby of group {} and read-only; to write here, promote it first: evercube promote '{database}'",
                    of.group
                ),
            )),
        }
    }

    pub(crate) fn standby_status(&self, of: &StandbyOf) -> StandbyStatus {
        let age = self.now().unix_micros().saturating_sub(of.as_of_micros) / 1000;
        let known = of.as_of_micros > 0;
        StandbyStatus {
            group: of.group.clone(),
            source: of.source.clone(),
            version: of.restored.as_ref().map(|r| r.seq),
            verified: of.restored.as_ref().is_some_and(|r| r.verified),
            stale_ms: known.then(|| u64::try_from(age).unwrap_or(0)),
        }
    }
}

fn time(micros: i64) -> DateTime {
    DateTime::from_unix_micros(micros).unwrap_or_default()
}
