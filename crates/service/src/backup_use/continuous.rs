//! The continuous log: each new version of a database goes to a repository as soon as it is
//! committed, so that losing every server loses seconds.
//!
//! The server that takes the writes of the database ships them: it holds a lease of the group, it
//! made the objects, and it hears of the commit first. Two servers that both think they are it
//! write the same thing under the same name, or in another history under another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{BackupRecord, EarlierVersion, Schedule, State, Task};
use tokio::time::Instant;

use crate::backup::repository::{Known, Repository, RepositoryPlace};
use crate::backup::{BackupHeader, ReadBack, Target};
use crate::backup_use::catalog::record_of;
use crate::service::Service;

/// How often is looked where no commit is heard of.
const LOOK: Duration = Duration::from_secs(1);
/// How long is waited after a failure.
const PAUSE: Duration = Duration::from_secs(2);
/// How long what was once listed is relied on: somebody may have emptied the place by hand.
const RELIED_ON: Duration = Duration::from_secs(600);

/// Starts shipping; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    if !service.serves_queries() {
        return;
    }
    let weak: Weak<Service> = Arc::downgrade(service);
    let mut changes = service.metastore.changes();
    let shipping: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    tokio::spawn(async move {
        loop {
            let Some(service) = weak.upgrade() else { return };
            for (name, _) in followed(&service.metastore.state()) {
                let mut busy = shipping.lock().unwrap_or_else(PoisonError::into_inner);
                if service.ships(name) && busy.insert(name.clone()) {
                    let (of, name) = (Arc::downgrade(&service), name.clone());
                    let shipping = Arc::clone(&shipping);
                    tokio::spawn(async move {
                        ship_on(of, &name).await;
                        shipping.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
                    });
                }
            }
            drop(service);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    });
}

/// The schedules that ship continuously.
fn followed(state: &State) -> impl Iterator<Item = (&String, &Schedule)> {
    state.schedules.iter().filter(|(_, s)| matches!(&s.task, Task::Backup(t) if t.continuous))
}

/// Ships for one schedule as long as there is something to ship and this server ships it.
async fn ship_on(service: Weak<Service>, name: &str) {
    let mut open: Option<Open> = None;
    loop {
        let Some(service) = service.upgrade() else { return };
        if !service.ships(name) {
            return;
        }
        let changes = service.metastore.changes();
        match service.ship_next(name, &mut open).await {
            Ok(true) => {}
            Ok(false) => {
                drop(service);
                let mut changes = changes;
                let _either = tokio::time::timeout(LOOK, changes.changed()).await;
            }
            Err(e) => {
                tracing::warn!(schedule = name, error = %e, "a version could not be shipped");
                // What was believed of the place may be what is wrong.
                open = None;
                drop(service);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A repository that was opened for shipping, and what is known to be in it.
struct Open {
    target: String,
    repository: Arc<Repository>,
    known: Option<(Known, Instant)>,
}

impl Service {
    /// Whether this server ships for a schedule.
    fn ships(&self, schedule: &str) -> bool {
        let state = self.metastore.state();
        let Some(task) = state.schedules.get(schedule).map(|s| &s.task) else { return false };
        let holder = state.lease_of(task.database()).map(|l| l.holder);
        matches!(task, Task::Backup(t) if t.continuous) && holder == Some(self.identity.node_id)
    }

    /// Ships the oldest version that was not shipped; whether there was one.
    async fn ship_next(&self, schedule: &str, open: &mut Option<Open>) -> Result<bool> {
        let state = self.metastore.state();
        let Some(Task::Backup(task)) = state.schedules.get(schedule).map(|s| &s.task) else {
            return Ok(false);
        };
        let target = task.target.as_deref().unwrap_or_default();
        let Target::Repository(place) = self.target(target)? else {
            return Err(Error::invalid(format!("the target '{target}' is no repository")));
        };
        let key = log_key(&place, &state, &task.database, &self.config.name);
        let shipped = state.backups.get(&key).map_or(0, |r| r.seq);
        let mut waiting = self.known_versions(&task.database);
        waiting.retain(|v| v.seq > shipped);
        // The name of one that was dropped is not followed on to its next life's beginning.
        let Some(version) = waiting.first() else { return Ok(false) };
        let header = match self.header_of_earlier(version).await {
            Ok(header) => header,
            // It was kept until a moment ago; the next one is there.
            Err(e) if e.kind == ErrorKind::NotFound && waiting.len() > 1 => {
                tracing::warn!(version = version.seq, error = %e, "a version is gone and is not shipped");
                let record = BackupRecord {
                    database: version.name.clone(),
                    seq: version.seq,
                    created_micros: version.updated_micros,
                    content: version.root,
                    length: 0,
                    verified_micros: None,
                };
                self.put_record(key, Some(record)).await?;
                return Ok(true);
            }
            Err(e) => return Err(e),
        };
        let is_open = open.as_ref().is_some_and(|o| o.target == target);
        if !is_open {
            let password = self.backup_password(&Target::Repository(place.clone()), None)?;
            let repository = place.open_or_make(password.as_deref()).await?;
            *open = Some(Open { target: target.to_owned(), repository, known: None });
        }
        let Some(open) = open else { return Ok(false) };
        let known = match open.known.take() {
            Some((known, since)) if known.is_fresh() && since.elapsed() < RELIED_ON => {
                (known, since)
            }
            _ => (open.repository.known(&header).await?, Instant::now()),
        };
        let objects = Arc::clone(&self.objects);
        let written =
            open.repository.write(header, &known.0, move |hash| objects.get(hash)).await?;
        let (server, new) = (&self.config.name, ReadBack::Sample(0));
        open.repository.prove_written(&written, server, new).await?;
        let (mut relied_on, since) = known;
        relied_on.learn(&written.snapshot);
        open.known = Some((relied_on, since));
        let snapshot = &written.snapshot;
        let record = BackupRecord {
            verified_micros: Some(self.now().unix_micros()),
            ..record_of(&snapshot.header, snapshot.content, snapshot.length)
        };
        // One that was shipped meanwhile by another server is not forgotten.
        let newer = self.metastore.state().backups.get(&key).is_some_and(|r| r.seq > record.seq);
        if !newer {
            self.put_record(key, Some(record)).await?;
        }
        Ok(true)
    }

    /// What a backup of an earlier version, or of the current one, says of itself.
    async fn header_of_earlier(&self, version: &EarlierVersion) -> Result<BackupHeader> {
        let objects = self.objects_of(version).await?;
        let header = self.header(&version.name, version.seq, version.root, objects).await?;
        Ok(BackupHeader { created_micros: version.updated_micros, log: true, ..header })
    }

    /// For every database that is shipped continuously, by schedule: how long its oldest version
    /// that was not shipped has waited, in microseconds.
    pub fn log_lags(&self, now_micros: i64) -> BTreeMap<String, (String, i64)> {
        let state = self.metastore.state();
        let mut lags = BTreeMap::new();
        for (name, schedule) in followed(&state) {
            let Task::Backup(task) = &schedule.task else { continue };
            let Ok(Target::Repository(place)) =
                self.target(task.target.as_deref().unwrap_or_default())
            else {
                continue;
            };
            let holder = state.lease_of(&task.database).and_then(|l| state.members.get(&l.holder));
            let server = holder.map_or("", |m| m.name.as_str());
            let shipped = state.backups.get(&log_key(&place, &state, &task.database, server));
            let shipped = shipped.map_or(0, |r| r.seq);
            let oldest = self.known_versions(&task.database).into_iter().find(|v| v.seq > shipped);
            // It is not late with what was there before it was told to follow.
            let since = oldest.map(|v| v.updated_micros.max(schedule.made_micros));
            let lag = since.map_or(0, |t| now_micros.saturating_sub(t).max(0));
            lags.insert(name.clone(), (task.database.clone(), lag));
        }
        lags
    }
}

/// Where the group remembers what of a database was shipped to a repository. What another history
/// shipped does not count.
fn log_key(place: &RepositoryPlace, state: &State, database: &str, server: &str) -> String {
    let (base, history) = (place.base.describe(), state.history());
    let key = format!("{base}/log/{history}/{}", database.to_lowercase());
    match Target::Repository(place.clone()).path() {
        Some(_) => format!("{key}@{server}"),
        None => key,
    }
}
