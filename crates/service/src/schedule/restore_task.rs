//! Restores at set times: the newest backup at a place becomes a database of this group.

use std::sync::Arc;

use evercube_base::Result;
use evercube_metastore::{Job, JobReport, JobState, RestoreTask};

use crate::backup_use::RestoreRequest;
use crate::call::Call;
use crate::service::Service;

impl Service {
    pub(super) async fn restore_task(
        self: &Arc<Self>,
        call: &Call,
        job: &Job,
        task: &RestoreTask,
    ) -> Result<JobReport> {
        let place = Some(task.source.as_str()).filter(|s| !s.is_empty());
        let (newest, target) = self.newest_backup(place, task.of.as_deref()).await?;
        let place = match &newest.created {
            Some(created) => format!("{} of {created}", newest.place),
            None => newest.place.clone(),
        };
        if let Some(version) = self.restored_before(job, task, &place) {
            let messages = vec!["there is no newer backup; nothing was changed".to_owned()];
            let (version, place) = (Some(version), Some(place));
            return Ok(JobReport { version, place, messages, ..JobReport::default() });
        }
        let request = RestoreRequest {
            database: Some(task.database.clone()),
            overwrite: true,
            roles: task.roles.clone(),
            ..RestoreRequest::default()
        };
        let done = self.restore_from(call, &target, request).await?;
        let messages = done.messages.into_iter().map(|m| m.message).collect();
        let (version, place) = (Some(done.seq), Some(place));
        Ok(JobReport { version, place, messages, ..JobReport::default() })
    }

    /// The version of the database where the schedule made it of this very backup, and nobody
    /// changed it since.
    fn restored_before(&self, job: &Job, task: &RestoreTask, place: &str) -> Option<u64> {
        let state = self.metastore.state();
        let now = state.database(&task.database)?.seq;
        let runs = state.jobs.of_schedule(job.schedule.as_deref()?);
        let last = runs.into_iter().find(|j| j.state == JobState::Succeeded)?;
        let same = last.task == job.task && last.report.place.as_deref() == Some(place);
        last.report.version.filter(|version| same && *version == now)
    }
}
