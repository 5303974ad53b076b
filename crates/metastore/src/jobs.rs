//! Work the group does on its own: asked for once or by a schedule, given to one server at a time,
//! done once, remembered with its errors.

use std::collections::BTreeMap;

use evercube_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::schedules::Schedule;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Task {
    Refresh(RefreshTask),
    Backup(BackupTask),
    Restore(RestoreTask),
    Drill(DrillTask),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTask {
    pub database: String,
    /// As in TMSL: `full`, `dataOnly`, …
    #[serde(rename = "type")]
    pub way: String,
    /// Empty: the whole database.
    #[serde(default)]
    pub objects: Vec<RefreshObject>,
    /// Each so many objects are a commit of their own, which stays where a later one fails.
    #[serde(default)]
    pub batch: Option<u32>,
    /// Partitions that are read at the same time; `None`: as the server thinks fit.
    #[serde(default)]
    pub parallel: Option<u32>,
    /// What one attempt may take.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
}

/// A table, or one of its partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshObject {
    pub table: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
}

impl RefreshTask {
    /// Whether both read some of the same.
    fn overlaps(&self, other: &Self) -> bool {
        let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        let meets = |a: &RefreshObject, b: &RefreshObject| {
            let partitions = a.partition.as_ref().zip(b.partition.as_ref());
            same(&a.table, &b.table) && partitions.is_none_or(|(a, b)| same(a, b))
        };
        same(&self.database, &other.database)
            && (self.objects.is_empty()
                || other.objects.is_empty()
                || self.objects.iter().any(|a| other.objects.iter().any(|b| meets(a, b))))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupTask {
    pub database: String,
    /// The folder or prefix each backup gets a file of its own in; `None`: the group's own folder.
    #[serde(default)]
    pub target: Option<String>,
    /// Which of its backups stay; all where nothing is said.
    #[serde(default)]
    pub retention: Retention,
    /// Read every backup back and prove it.
    #[serde(default)]
    pub verify: bool,
    /// Of a repository's objects that were there before, no more than this many percent are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u8>,
    /// Besides, every version goes to the target, a repository, as soon as it is committed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub continuous: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The newest ones, and the newest of each of so many days, weeks and months.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    #[serde(default)]
    pub last: usize,
    #[serde(default)]
    pub daily: usize,
    #[serde(default)]
    pub weekly: usize,
    #[serde(default)]
    pub monthly: usize,
    /// Every one of so many days before the newest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub within_days: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// The newest backup at a place becomes a database of this group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreTask {
    pub source: String,
    /// Whose backups; `None`: the place has those of one database only.
    #[serde(default)]
    pub of: Option<String>,
    /// The database that is replaced.
    pub database: String,
    /// `keep`, `skip` or `drop-members`.
    #[serde(default)]
    pub roles: String,
}

/// The newest backup is restored aside, asked, and forgotten again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillTask {
    pub database: String,
    /// Where its backups are; `None`: the group's own folder.
    #[serde(default)]
    pub target: Option<String>,
    /// DAX queries that must answer; none: every table is counted.
    #[serde(default)]
    pub queries: Vec<String>,
}

impl Task {
    /// The database it is about.
    pub fn database(&self) -> &str {
        match self {
            Self::Refresh(t) => &t.database,
            Self::Backup(t) => &t.database,
            Self::Restore(t) => &t.database,
            Self::Drill(t) => &t.database,
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Refresh(_) => "refresh",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Drill(_) => "drill",
        }
    }

    /// Whether it changes the database, which only the holder of its lease does.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Refresh(_) | Self::Restore(_))
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// For a server, or for the next attempt.
    #[default]
    Waiting,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    TimedOut,
    /// Its time went by while no server could do it, and it is not caught up.
    Missed,
}

/// One run of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Names the run in the whole group: the same run is never taken up twice.
    pub id: String,
    pub task: Task,
    #[serde(default)]
    pub schedule: Option<String>,
    /// The time the schedule meant.
    #[serde(default)]
    pub due_micros: Option<i64>,
    /// Earlier times of the schedule that this run stands for as well.
    #[serde(default)]
    pub missed: u32,
    pub asked_by: String,
    #[serde(default)]
    pub asked_by_admin: bool,
    pub asked_micros: i64,
    /// A server or region that does it if it can.
    #[serde(default)]
    pub run_on: Option<String>,
    /// Attempts after the first one.
    #[serde(default)]
    pub retries: u32,
    #[serde(default)]
    pub retry_pause_seconds: u32,
    #[serde(default)]
    pub state: JobState,
    /// From 1.
    #[serde(default)]
    pub attempt: u32,
    #[serde(default)]
    pub not_before_micros: i64,
    /// Who does it, and the log entry that said so; what another one says of it does not count.
    #[serde(default)]
    pub runner: Option<u64>,
    #[serde(default)]
    pub epoch: u64,
    /// Name of the server that does it, or did.
    #[serde(default)]
    pub server: Option<String>,
    #[serde(default)]
    pub started_micros: Option<i64>,
    #[serde(default)]
    pub ended_micros: Option<i64>,
    /// Somebody wants it to stop.
    #[serde(default)]
    pub cancel: bool,
    /// What every attempt failed of.
    #[serde(default)]
    pub errors: Vec<JobError>,
    /// What came of it.
    #[serde(default)]
    pub report: JobReport,
    /// Partitions of a refresh.
    #[serde(default)]
    pub parts: Vec<JobPart>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    pub attempt: u32,
    pub server: String,
    pub micros: i64,
    pub message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// Version that was made, written or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Where a backup is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What it took.
    #[serde(default)]
    pub millis: u64,
    /// What should be known though it went well.
    #[serde(default)]
    pub messages: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPart {
    pub table: String,
    pub partition: String,
    /// `notStarted`, `inProgress`, `succeeded`, `failed`, `cancelled`.
    pub state: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobEnd {
    Done(JobReport),
    Failed(String),
    Cancelled,
    TimedOut(String),
}

/// How jobs change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobChange {
    /// A new one; `alone`: refused where an unfinished refresh reads some of the same.
    Ask {
        job: Box<Job>,
        alone: bool,
    },
    /// It is given to a server; refused where it was given away since `epoch`.
    Assign {
        id: String,
        to: u64,
        epoch: u64,
        now_micros: i64,
    },
    /// How far its server has come.
    Parts {
        id: String,
        epoch: u64,
        parts: Vec<JobPart>,
    },
    End {
        id: String,
        epoch: u64,
        end: JobEnd,
        now_micros: i64,
    },
    Cancel {
        id: String,
    },
}

/// Finished jobs that are remembered of a schedule, or of a database's jobs without one.
const KEPT_OF_EACH: usize = 50;
const KEPT: usize = 2_000;
const LONGEST_ERROR: usize = 8_000;

/// By id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Jobs(BTreeMap<String, Job>);

impl Job {
    pub fn is_over(&self) -> bool {
        !matches!(self.state, JobState::Waiting | JobState::Running)
    }

    /// What its history is kept under.
    fn of(&self) -> (bool, String) {
        match &self.schedule {
            Some(name) => (true, name.clone()),
            None => (false, self.task.database().to_lowercase()),
        }
    }

    fn ended(&mut self, end: JobEnd, now_micros: i64) {
        let failed = |job: &mut Self, message: String| {
            let (attempt, server) = (job.attempt, job.server.clone().unwrap_or_default());
            let message = message.chars().take(LONGEST_ERROR).collect();
            job.errors.push(JobError { attempt, server, micros: now_micros, message });
        };
        self.state = match end {
            JobEnd::Done(report) => {
                self.report = report;
                JobState::Succeeded
            }
            JobEnd::Cancelled => JobState::Cancelled,
            JobEnd::TimedOut(message) => {
                failed(self, message);
                JobState::TimedOut
            }
            JobEnd::Failed(message) => {
                failed(self, message);
                JobState::Failed
            }
        };
        let again = matches!(self.state, JobState::Failed | JobState::TimedOut);
        if again && !self.cancel && self.attempt <= self.retries {
            self.attempt += 1;
            self.state = JobState::Waiting;
            self.runner = None;
            self.not_before_micros =
                now_micros.saturating_add(i64::from(self.retry_pause_seconds) * 1_000_000);
        } else {
            self.ended_micros = Some(now_micros);
        }
    }
}

fn conflict(message: String) -> Error {
    Error::new(ErrorKind::Conflict, message)
}

impl Jobs {
    pub fn get(&self, id: &str) -> Option<&Job> {
        self.0.get(id)
    }

    pub fn all(&self) -> impl Iterator<Item = &Job> {
        self.0.values()
    }

    pub fn unfinished(&self) -> impl Iterator<Item = &Job> {
        self.0.values().filter(|j| !j.is_over())
    }

    /// The runs of a schedule, newest first.
    pub fn of_schedule(&self, name: &str) -> Vec<&Job> {
        let mut found: Vec<&Job> =
            self.0.values().filter(|j| j.schedule.as_deref() == Some(name)).collect();
        found.sort_by_key(|j| std::cmp::Reverse((j.asked_micros, j.due_micros)));
        found
    }

    pub(crate) fn change(
        &mut self,
        index: u64,
        change: JobChange,
        schedules: &mut BTreeMap<String, Schedule>,
        name_of: impl Fn(u64) -> Option<String>,
    ) -> Result<()> {
        match change {
            JobChange::Ask { job, alone } => self.ask(*job, alone, schedules),
            JobChange::Assign { id, to, epoch, now_micros } => {
                let server = name_of(to).ok_or_else(|| {
                    conflict("the server to run it is no member any more".to_owned())
                })?;
                let job = self.current(&id, epoch)?;
                job.state = JobState::Running;
                job.runner = Some(to);
                job.server = Some(server);
                job.epoch = index;
                job.started_micros.get_or_insert(now_micros);
                Ok(())
            }
            JobChange::Parts { id, epoch, parts } => {
                self.current(&id, epoch)?.parts = parts;
                Ok(())
            }
            JobChange::End { id, epoch, end, now_micros } => {
                self.current(&id, epoch)?.ended(end, now_micros);
                self.forget();
                Ok(())
            }
            JobChange::Cancel { id } => {
                let job = self.0.get_mut(&id);
                let job = job.ok_or_else(|| Error::not_found(format!("there is no run '{id}'")))?;
                if !job.is_over() {
                    job.cancel = true;
                }
                Ok(())
            }
        }
    }

    fn ask(
        &mut self,
        job: Job,
        alone: bool,
        schedules: &mut BTreeMap<String, Schedule>,
    ) -> Result<()> {
        if self.0.contains_key(&job.id) {
            return Ok(());
        }
        if let (true, Task::Refresh(asked)) = (alone, &job.task) {
            let busy = self.unfinished().find(|other| match &other.task {
                Task::Refresh(other) => other.overlaps(asked),
                _ => false,
            });
            if let Some(other) = busy {
                return Err(conflict(format!(
                    "a refresh of the same objects of database '{}' is running already ({})",
                    asked.database, other.id
                )));
            }
        }
        if let Some(name) = &job.schedule {
            let Some(schedule) = schedules.get_mut(name) else {
                return Err(Error::not_found(format!("there is no schedule '{name}'")));
            };
            if let Some(due) = job.due_micros {
                if schedule.last_due_micros.is_some_and(|last| due <= last) {
                    return Err(conflict(format!("schedule '{name}' was run for this time")));
                }
                schedule.last_due_micros = Some(due);
            }
        }
        self.0.insert(job.id.clone(), Job { attempt: job.attempt.max(1), ..job });
        self.forget();
        Ok(())
    }

    /// An unfinished job that was not given to another server since `epoch`.
    fn current(&mut self, id: &str, epoch: u64) -> Result<&mut Job> {
        match self.0.get_mut(id) {
            Some(job) if !job.is_over() && job.epoch == epoch => Ok(job),
            Some(_) => Err(conflict(format!("run '{id}' is over or was given to another server"))),
            None => Err(Error::not_found(format!("there is no run '{id}'"))),
        }
    }

    /// Of too many finished jobs the oldest go.
    fn forget(&mut self) {
        let mut over: Vec<(i64, String)> = self
            .0
            .values()
            .filter(|j| j.is_over())
            .map(|j| (j.ended_micros.unwrap_or(j.asked_micros), j.id.clone()))
            .collect();
        over.sort();
        let mut of_each: BTreeMap<(bool, String), usize> = BTreeMap::new();
        for (kept, (_, id)) in over.into_iter().rev().enumerate() {
            let Some(job) = self.0.get(&id) else { continue };
            let count = of_each.entry(job.of()).or_default();
            *count += 1;
            if *count > KEPT_OF_EACH || kept >= KEPT {
                self.0.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
