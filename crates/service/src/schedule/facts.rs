//! Schedules and their runs as they are shown.

use chrono::{DateTime, SecondsFormat, Utc};
use evercube_metastore::{Job, JobError, JobState, Schedule, State, Task};
use serde::{Deserialize, Serialize};

use super::cron::Cron;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduleFacts {
    pub name: String,
    #[serde(flatten)]
    pub task: Task,
    pub cron: String,
    pub time_zone: String,
    /// The server or region that is preferred.
    pub on: Option<String>,
    pub retries: u32,
    pub retry_pause_seconds: u32,
    pub catch_up: bool,
    /// The next time, in its time zone.
    pub next: Option<String>,
    pub last: Option<RunFacts>,
    /// When a run last went well, UTC.
    pub last_success: Option<String>,
}

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFacts {
    pub id: String,
    pub state: JobState,
    /// The time that was meant, UTC; null for a run by hand.
    pub due: Option<String>,
    /// Earlier times that this run stands for.
    pub missed: u32,
    pub server: Option<String>,
    pub attempt: u32,
    pub started: Option<String>,
    pub ended: Option<String>,
    pub version: Option<u64>,
    pub place: Option<String>,
    /// What the last attempt took.
    pub millis: u64,
    pub messages: Vec<String>,
    /// What every attempt failed of, in full.
    pub errors: Vec<ErrorFacts>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorFacts {
    pub attempt: u32,
    pub server: String,
    pub time: String,
    pub message: String,
}

/// A time in UTC, to the second.
fn utc(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl ScheduleFacts {
    pub(crate) fn of(name: &str, s: &Schedule, state: &State, now: DateTime<Utc>) -> Self {
        let next = Cron::parse(&s.cron, &s.zone).ok().and_then(|cron| cron.next_local(now));
        let runs = state.jobs.of_schedule(name);
        let well = runs.iter().filter(|j| j.state == JobState::Succeeded);
        Self {
            name: name.to_owned(),
            task: s.task.clone(),
            cron: s.cron.clone(),
            time_zone: s.zone.clone(),
            on: s.run_on.clone(),
            retries: s.retries,
            retry_pause_seconds: s.retry_pause_seconds,
            catch_up: s.catch_up,
            next,
            last_success: well.filter_map(|j| j.ended_micros).max().map(utc),
            last: runs.first().map(|j| RunFacts::of(j)),
        }
    }
}

impl RunFacts {
    pub(crate) fn of(job: &Job) -> Self {
        let error = |e: &JobError| ErrorFacts {
            attempt: e.attempt,
            server: e.server.clone(),
            time: utc(e.micros),
            message: e.message.clone(),
        };
        Self {
            id: job.id.clone(),
            state: job.state,
            due: job.due_micros.map(utc),
            missed: job.missed,
            server: job.server.clone(),
            attempt: job.attempt,
            started: job.started_micros.map(utc),
            ended: job.ended_micros.map(utc),
            version: job.report.version,
            place: job.report.place.clone(),
            millis: job.report.millis,
            messages: job.report.messages.clone(),
            errors: job.errors.iter().map(error).collect(),
        }
    }
}
