//! Refreshes that the group does on its own.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::Result;
use evercube_metastore::{Job, JobReport, RefreshTask};
use evercube_model::tmsl::RefreshKind;

use super::work::call_of;
use crate::call::Call;
use crate::once::request_id;
use crate::refresh::RefreshRequest;
use crate::refresh::overrides::SourceOverrides;
use crate::service::Service;

/// Where nothing is said of it.
const BATCH: usize = 10;

impl Service {
    pub(super) async fn refresh_task(
        self: &Arc<Self>,
        job: &Job,
        task: &RefreshTask,
    ) -> Result<JobReport> {
        let kind = RefreshKind::parse(&task.way)?;
        let readers = task.parallel.and_then(|n| usize::try_from(n).ok());
        let mut report = JobReport::default();
        for (number, objects) in self.batches(job, task).await?.into_iter().enumerate() {
            let asked = objects.clone();
            let request =
                RefreshRequest { kind, objects, readers, overrides: SourceOverrides::default() };
            let timeout = task.timeout_seconds.map(Duration::from_secs);
            let call = Call { timeout, ..call_of(job, number) };
            let done = match self.refresh(&call, &task.database, request).await {
                Ok(done) => done,
                Err(e) => {
                    self.nothing_is_kept(&request_id(&call)?);
                    return Err(e);
                }
            };
            self.all_is_read(&call, &task.database, &asked).await;
            report.version = Some(done.seq);
            report.messages.extend(done.messages.into_iter().map(|m| m.message));
        }
        Ok(report)
    }

    /// Where the server before this one had committed already, nothing was read here and all is done.
    async fn all_is_read(&self, call: &Call, database: &str, objects: &[(String, Option<String>)]) {
        let Ok(id) = request_id(call) else { return };
        if self.progress.get(&id).is_some_and(|p| !p.partitions.is_empty()) {
            return;
        }
        // What was deleted since has no partitions to tell of.
        let Ok(parts) = self.partitions_of(call, database, objects).await else { return };
        self.progress.update(&id, |p| parts.iter().for_each(|part| p.adds(part, true)));
    }

    /// Of a batch that failed, what was read well is not kept either.
    fn nothing_is_kept(&self, request_id: &str) {
        self.progress.update(request_id, |p| {
            for part in p.partitions.iter_mut().filter(|p| p.state != "failed") {
                part.state = "cancelled".into();
            }
        });
    }

    /// What is one commit each: everything, or so many partitions.
    async fn batches(
        &self,
        job: &Job,
        task: &RefreshTask,
    ) -> Result<Vec<Vec<(String, Option<String>)>>> {
        let objects: Vec<_> =
            task.objects.iter().map(|o| (o.table.clone(), o.partition.clone())).collect();
        let Some(batch) = task.batch else { return Ok(vec![objects]) };
        let size = usize::try_from(batch).unwrap_or(BATCH).max(1);
        // What an earlier attempt committed stays.
        let is_done = |table: &str, partition: &str| {
            job.attempt > 1
                && job
                    .parts
                    .iter()
                    .any(|p| p.table == table && p.partition == partition && p.state == "succeeded")
        };
        let parts = self.partitions_of(&call_of(job, 0), &task.database, &objects).await?;
        let left: Vec<_> =
            parts.into_iter().filter(|(t, p)| !is_done(t, p)).map(|(t, p)| (t, Some(p))).collect();
        Ok(left.chunks(size).map(<[_]>::to_vec).collect())
    }
}
