//! The reading of many partitions, some at a time, all or none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{OnDifference, SyncMode};
use evercube_model::tabular::{Database, Partition, Table};
use evercube_model::tmsl::RefreshKind;
use evercube_sources::{FilesRead, SourceContext};
use evercube_store::{Hash, Manifest};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::change::draft::Draft;
use crate::objects::blocking;
use crate::refresh::finished::{Ahead, Finished, Groups, fingerprint};
use crate::refresh::overrides::SourceOverrides;
use crate::refresh::partition::{TableShape, read};
use crate::refresh::plan::{Place, has_source, not_readable, places};
use crate::refresh::resume::Unrecorded;
use crate::refresh::{RefreshRequest, reads_sources};
use crate::service::Service;

/// Partitions that are read at the same time where nothing else is said.
const READERS: usize = 2;
const MOST_READERS: usize = 32;

/// What is read, of which version, for whom.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub database: &'a Database,
    pub manifest: &'a Manifest,
    pub request_id: &'a str,
    pub cancel: &'a Arc<AtomicBool>,
    pub readers: Option<usize>,
    pub overrides: &'a SourceOverrides,
    /// Another server may go on where this one dies.
    pub recorded: bool,
}

impl<'a> Reading<'a> {
    fn at(&self, (table, partition): Place) -> Option<(&'a Table, &'a Partition)> {
        let table = self.database.model.tables.get(table)?;
        Some((table, table.partitions.get(partition)?))
    }

    /// When a partition was read last.
    fn refreshed(&self, (table, partition): Place) -> Option<i64> {
        self.manifest.tables.get(table)?.partitions.get(partition)?.refreshed_micros
    }
}

/// A partition that was read, and where it belongs.
pub(crate) type Read = (Place, Finished);

/// A partition that is to be read, and what that takes.
struct Unread {
    place: Place,
    label: (String, String),
    partition: Partition,
    shape: TableShape,
    fingerprint: Hash,
    was_micros: Option<i64>,
}

/// Tells readers to stop when the one who waits for them is gone.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The partitions with a source that a request means.
fn with_source(database: &Database, request: &RefreshRequest) -> Result<Vec<Place>> {
    let chosen = places(database, &request.objects)?.into_iter().filter(|(t, p)| {
        let table = database.model.tables.get(*t);
        table.and_then(|t| t.partitions.get(*p)).is_some_and(has_source)
    });
    Ok(chosen.collect())
}

/// Those of them that are read from their sources.
pub(crate) fn wanted(reading: &Reading<'_>, request: &RefreshRequest) -> Result<Vec<Place>> {
    let all = with_source(reading.database, request)?.into_iter();
    let is_new = |place: &Place| reading.refreshed(*place).is_none();
    Ok(all.filter(|p| request.kind != RefreshKind::Automatic || is_new(p)).collect())
}

impl Service {
    /// Carries out a refresh on a draft; what is calculated follows when the draft is finished.
    pub(crate) async fn refresh_draft(
        &self,
        draft: &mut Draft,
        request: &RefreshRequest,
    ) -> Result<()> {
        draft.existing()?;
        draft.data_changed |= request.kind != RefreshKind::Defragment;
        if request.kind == RefreshKind::ClearValues {
            for place in with_source(draft.existing()?, request)? {
                if let Some(partition) = draft.partition(place) {
                    partition.groups.clear();
                    partition.refreshed_micros = None;
                }
            }
        }
        if !reads_sources(request.kind) {
            return Ok(());
        }
        let now = self.now().unix_micros();
        for (place, mut groups) in self.read_wanted(draft, request).await? {
            draft.is_fresh(place);
            if let Some(partition) = draft.partition(place) {
                if request.kind == RefreshKind::Add {
                    partition.groups.append(&mut groups);
                } else {
                    partition.groups = groups;
                }
                partition.refreshed_micros = Some(now);
            }
        }
        Ok(())
    }

    /// Reads here, or on every server at once, as the database is kept; in another group, too, where
    /// it has a partner.
    async fn read_wanted(
        &self,
        draft: &mut Draft,
        request: &RefreshRequest,
    ) -> Result<Vec<(Place, Groups)>> {
        let mut ahead = std::mem::take(&mut draft.ahead);
        let overrides = request.overrides.over(&draft.logins);
        let reading = Reading {
            database: draft.existing()?,
            manifest: &draft.manifest,
            request_id: &draft.request_id,
            cancel: &draft.cancel,
            readers: request.readers,
            overrides: &overrides,
            recorded: true,
        };
        let places = wanted(&reading, request)?;
        let name = draft.current.as_ref().map_or(&draft.name, |v| &v.name);
        if let Some(on_difference) = self.read_by_all(name).filter(|_| !places.is_empty()) {
            let readers = request.readers;
            let all = places.clone();
            let own = async move |draft: &mut Draft| {
                self.read_everywhere(draft, (all, readers, overrides), on_difference).await
            };
            return self.read_with_partner(draft, request, &places, own).await;
        }
        let read = self.read_all(&reading, places, &mut ahead).await?;
        draft.ahead = ahead;
        Ok(read.into_iter().map(|(place, finished)| (place, finished.groups)).collect())
    }

    /// Whether every server reads the sources of a database, and what is done about a difference.
    pub(crate) fn read_by_all(&self, name: &str) -> Option<OnDifference> {
        let state = self.metastore.state();
        let sync = &state.database(name)?.sync;
        (sync.mode == SyncMode::Parallel).then_some(sync.on_difference)
    }

    /// Reads partitions, except those that were read before and are what they were.
    pub(crate) async fn read_all(
        &self,
        reading: &Reading<'_>,
        wanted: Vec<Place>,
        ahead: &mut Ahead,
    ) -> Result<Vec<Read>> {
        let (mut done, unread) = self.taken_and_left(reading, wanted, ahead)?;
        let new = Unrecorded::default();
        if !reading.recorded {
            done.extend(self.read_unread(reading, unread, &new).await?);
            return Ok(done);
        }
        let recording = self.record_reads(reading.request_id, Arc::clone(&new));
        tokio::select! {
            read = self.read_unread(reading, unread, &new) => done.extend(read?),
            () = recording => {}
        }
        Ok(done)
    }

    /// What is taken over, and what is left to read.
    fn taken_and_left(
        &self,
        reading: &Reading<'_>,
        wanted: Vec<Place>,
        ahead: &mut Ahead,
    ) -> Result<(Vec<Read>, Vec<Unread>)> {
        let collation = crate::loader::collation(reading.database);
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for place in wanted {
            let Some((table, partition)) = reading.at(place) else { continue };
            let label = (table.name.clone(), partition.name.clone());
            if let Some(why) = not_readable(partition) {
                let name = format!("table '{}', partition '{}'", label.0, label.1);
                return Err(Error::unsupported(format!("{name}: {why}")));
            }
            let shape = TableShape::of(table, collation);
            let fingerprint = fingerprint(reading.database, &partition.source, &shape)?;
            let was_micros = reading.refreshed(place);
            let before = ahead.remove(&label).filter(|f| f.still_holds(fingerprint, was_micros));
            let is_taken = before.is_some();
            self.progress.update(reading.request_id, |p| {
                p.state = "reading".into();
                p.adds(&label, is_taken);
            });
            match before {
                Some(finished) => taken.push((place, finished)),
                None => {
                    let partition = partition.clone();
                    left.push(Unread { place, label, partition, shape, fingerprint, was_micros });
                }
            }
        }
        Ok((taken, left))
    }

    async fn read_unread(
        &self,
        reading: &Reading<'_>,
        unread: Vec<Unread>,
        new: &Unrecorded,
    ) -> Result<Vec<Read>> {
        reading.overrides.check(reading.database)?;
        let context = self.source_context(reading);
        let slots = reading.readers.unwrap_or(READERS).clamp(1, MOST_READERS);
        let slots = Arc::new(Semaphore::new(slots));
        let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
        let mut readers = JoinSet::new();
        for one in unread {
            let mut context = SourceContext { files: FilesRead::default(), ..context.clone() };
            reading.overrides.apply(&mut context.data_sources, &one.label)?;
            let slots = Arc::clone(&slots);
            let stopped = Arc::clone(&stop.0);
            let on = (Arc::clone(&self.objects), Arc::clone(&self.pool));
            let (progress, id) = (self.progress.clone(), reading.request_id.to_owned());
            let new = Arc::clone(new);
            readers.spawn(async move {
                let _slot = slots.acquire_owned().await;
                if stopped.load(Ordering::Relaxed) {
                    return Err(cancelled());
                }
                let name = format!("table '{}', partition '{}'", one.label.0, one.label.1);
                let place = one.place;
                let read = blocking(move || {
                    let watch = |rows| {
                        progress.update(&id, |p| p.rows += rows);
                        if stopped.load(Ordering::Relaxed) {
                            context.cancel.store(true, Ordering::Relaxed);
                        }
                    };
                    progress.update(&id, |p| p.partition_is(&one.label, "inProgress"));
                    let groups =
                        read((&on.0, &on.1), &context, &one.partition.source, &one.shape, &watch);
                    progress.update(&id, |p| p.partition_is(&one.label, outcome(&groups)));
                    let files = context.files.marks();
                    Ok(Finished::new(one.label, one.fingerprint, files, one.was_micros, groups?))
                });
                let finished = read.await.map_err(|e| e.context(name))?;
                new.lock().unwrap_or_else(PoisonError::into_inner).push(finished.clone());
                Ok((place, finished))
            });
        }
        let (mut done, mut failure) = (Vec::new(), None::<Error>);
        while let Some(ended) = readers.join_next().await {
            let ended =
                ended.unwrap_or_else(|e| Err(Error::internal(format!("reading ended early: {e}"))));
            match ended {
                Ok(read) => done.push(read),
                Err(e) => {
                    stop.0.store(true, Ordering::Relaxed);
                    reading.cancel.store(true, Ordering::Relaxed);
                    // The others only stop because of the first.
                    if failure.as_ref().is_none_or(|f| f.kind == ErrorKind::Cancelled) {
                        failure = Some(e);
                    }
                }
            }
        }
        failure.map_or(Ok(done), Err)
    }

    fn source_context(&self, reading: &Reading<'_>) -> SourceContext {
        let database = reading.database;
        SourceContext {
            expressions: shared_expressions(database),
            data_sources: database.model.data_sources.clone(),
            logins: reading.overrides.logins_over(self.logins_of(&database.name)),
            authorities: self.config.authorities.clone(),
            policy: self.config.file_policy.clone(),
            hosts: self.source_hosts(),
            working_dir: self.config.working_dir.clone(),
            cancel: Arc::clone(reading.cancel),
            files: FilesRead::default(),
        }
    }
}

/// The word for how the reading of a partition ended.
fn outcome<T>(read: &Result<T>) -> &'static str {
    match read {
        Ok(_) => "succeeded",
        Err(e) if e.kind == ErrorKind::Cancelled => "cancelled",
        Err(_) => "failed",
    }
}

/// Shared expressions by name.
pub(crate) fn shared_expressions(database: &Database) -> Vec<(String, String)> {
    let all = database.model.expressions.iter();
    all.map(|e| (e.name.clone(), e.expression.0.clone())).collect()
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the refresh was cancelled")
}
