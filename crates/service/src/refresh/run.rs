//! The reading of many partitions, two at a time, all or none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::SyncMode;
use evercube_model::tabular::Database;
use evercube_model::tmsl::RefreshKind;
use evercube_sources::SourceContext;
use evercube_store::SegmentRef;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::change::draft::Draft;
use crate::objects::blocking;
use crate::progress::PartitionProgress;
use crate::refresh::RefreshRequest;
use crate::refresh::partition::{TableShape, read};
use crate::refresh::plan::{Place, has_source, not_readable, places};
use crate::service::Service;

/// Partitions that are read at the same time where nothing else is said.
const READERS: usize = 2;
const MOST_READERS: usize = 32;

/// Row groups of a partition.
pub(crate) type Groups = Vec<Vec<SegmentRef>>;

/// Tells readers to stop when the one who waits for them is gone.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Service {
    /// Carries out a refresh on a draft; what is calculated follows when the draft is finished.
    pub(crate) async fn refresh_draft(
        &self,
        draft: &mut Draft,
        request: &RefreshRequest,
    ) -> Result<()> {
        let database = draft.existing()?;
        let chosen = places(database, &request.objects)?;
        let with_source: Vec<Place> = chosen
            .into_iter()
            .filter(|(t, p)| {
                let table = database.model.tables.get(*t);
                table.and_then(|t| t.partitions.get(*p)).is_some_and(has_source)
            })
            .collect();
        draft.data_changed |= request.kind != RefreshKind::Defragment;
        match request.kind {
            RefreshKind::Calculate | RefreshKind::Defragment => Ok(()),
            RefreshKind::ClearValues => {
                for place in with_source {
                    if let Some(partition) = draft.partition(place) {
                        partition.groups.clear();
                        partition.refreshed_micros = None;
                    }
                }
                Ok(())
            }
            kind @ (RefreshKind::Full
            | RefreshKind::DataOnly
            | RefreshKind::Add
            | RefreshKind::Automatic) => {
                let wanted = with_source.into_iter().filter(|place| {
                    let never = |d: &mut Draft| {
                        d.partition(*place).is_some_and(|p| p.refreshed_micros.is_none())
                    };
                    kind != RefreshKind::Automatic || never(draft)
                });
                let wanted: Vec<Place> = wanted.collect();
                for (place, mut groups) in self.read_wanted(draft, wanted, request.readers).await? {
                    let now = self.now().unix_micros();
                    draft.is_fresh(place);
                    if let Some(partition) = draft.partition(place) {
                        if kind == RefreshKind::Add {
                            partition.groups.append(&mut groups);
                        } else {
                            partition.groups = groups;
                        }
                        partition.refreshed_micros = Some(now);
                    }
                }
                Ok(())
            }
        }
    }

    /// Reads here, or on every server at once, as the database is kept.
    async fn read_wanted(
        &self,
        draft: &mut Draft,
        wanted: Vec<Place>,
        readers: Option<usize>,
    ) -> Result<Vec<(Place, Groups)>> {
        let state = self.metastore.state();
        let name = draft.current.as_ref().map_or(&draft.name, |v| &v.name);
        let sync = state.database(name).map(|d| d.sync.clone()).unwrap_or_default();
        if sync.mode == SyncMode::Parallel && !wanted.is_empty() {
            return self.read_everywhere(draft, (wanted, readers), sync.on_difference).await;
        }
        let (id, cancel) = (&draft.request_id, &draft.cancel);
        self.read_all(draft.existing()?, id, cancel, (wanted, readers)).await
    }

    /// Reads partitions here, all or none.
    pub(crate) async fn read_all(
        &self,
        database: &Database,
        request_id: &str,
        cancel: &Arc<AtomicBool>,
        (wanted, readers): (Vec<Place>, Option<usize>),
    ) -> Result<Vec<(Place, Groups)>> {
        let context = self.source_context(database, cancel);
        let collation = crate::loader::collation(database);
        let slots = readers.unwrap_or(READERS).clamp(1, MOST_READERS);
        let slots = Arc::new(Semaphore::new(slots));
        let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
        self.progress.update(request_id, |p| {
            p.state = "reading".into();
            p.partitions_total += u32::try_from(wanted.len()).unwrap_or(u32::MAX);
            let names = wanted.iter().filter_map(|place| names_of(database, *place));
            p.partitions.extend(names.map(|(table, partition)| PartitionProgress {
                table: table.to_owned(),
                partition: partition.to_owned(),
                state: "notStarted".into(),
            }));
        });
        let mut readers = JoinSet::new();
        for place in wanted {
            let Some(table) = database.model.tables.get(place.0) else { continue };
            let Some(partition) = table.partitions.get(place.1) else { continue };
            let name = format!("table '{}', partition '{}'", table.name, partition.name);
            if let Some(why) = not_readable(partition) {
                return Err(Error::unsupported(format!("{name}: {why}")));
            }
            let shape = TableShape::of(table, collation);
            let (source, context) = (partition.source.clone(), context.clone());
            let (objects, slots) = (Arc::clone(&self.objects), Arc::clone(&slots));
            let pool = Arc::clone(&self.pool);
            let (progress, id) = (self.progress.clone(), request_id.to_owned());
            let label = (table.name.clone(), partition.name.clone());
            let stopped = Arc::clone(&stop.0);
            readers.spawn(async move {
                let _slot = slots.acquire_owned().await;
                if stopped.load(Ordering::Relaxed) {
                    return Err(cancelled());
                }
                let read = blocking(move || {
                    progress.update(&id, |p| p.partition_is(&label, "inProgress"));
                    let on = (&*objects, &*pool);
                    let groups = read(on, &context, &source, &shape, &|rows| {
                        progress.update(&id, |p| p.rows += rows);
                        if stopped.load(Ordering::Relaxed) {
                            context.cancel.store(true, Ordering::Relaxed);
                        }
                    });
                    progress.update(&id, |p| match &groups {
                        Ok(_) => p.partition_is(&label, "succeeded"),
                        Err(e) if e.kind == ErrorKind::Cancelled => {
                            p.partition_is(&label, "cancelled");
                        }
                        Err(_) => p.partition_is(&label, "failed"),
                    });
                    groups
                });
                read.await.map(|groups| (place, groups)).map_err(|e| e.context(name))
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
                    cancel.store(true, Ordering::Relaxed);
                    // The others only stop because of the first.
                    if failure.as_ref().is_none_or(|f| f.kind == ErrorKind::Cancelled) {
                        failure = Some(e);
                    }
                }
            }
        }
        failure.map_or(Ok(done), Err)
    }

    fn source_context(&self, database: &Database, cancel: &Arc<AtomicBool>) -> SourceContext {
        SourceContext {
            expressions: shared_expressions(database),
            data_sources: database.model.data_sources.clone(),
            policy: self.config.file_policy.clone(),
            working_dir: self.config.working_dir.clone(),
            cancel: Arc::clone(cancel),
        }
    }
}

/// Table and partition at a place.
fn names_of(database: &Database, (table, partition): Place) -> Option<(&str, &str)> {
    let table = database.model.tables.get(table)?;
    Some((&table.name, &table.partitions.get(partition)?.name))
}

/// Shared expressions by name.
pub(crate) fn shared_expressions(database: &Database) -> Vec<(String, String)> {
    let all = database.model.expressions.iter();
    all.map(|e| (e.name.clone(), e.expression.0.clone())).collect()
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the refresh was cancelled")
}
