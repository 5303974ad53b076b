//! Refreshes that clients ask for and come back to later, at any server.

use evercube_base::{Error, Result};
use evercube_metastore::{Command, Job, JobChange, RefreshTask, Task};
use evercube_model::tmsl::RefreshKind;

use super::decide::new_job;
use crate::call::Call;
use crate::change::Step;
use crate::once::request_id;
use crate::refresh::RefreshRequest;
use crate::refresh::overrides::SourceOverrides;
use crate::service::Service;

/// Seconds before an attempt is made again.
const PAUSE: u32 = 5;

/// An id as clients expect one, always the same for the same text.
fn guid(text: &str) -> String {
    let hash = blake3::hash(text.as_bytes());
    let hex = hex::encode(hash.as_bytes().get(..16).unwrap_or_default());
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// The id by which clients know a run.
pub fn public_id(job: &Job) -> String {
    if job.schedule.is_none() { job.id.clone() } else { guid(&job.id) }
}

impl Service {
    /// Takes a refresh up that is done in the background, whichever server lives on.
    pub async fn ask_refresh(&self, call: &Call, task: RefreshTask, retries: u32) -> Result<Job> {
        let kind = RefreshKind::parse(&task.way)?;
        let name = self.refreshable(call, &task.database).await?;
        let objects: Vec<_> =
            task.objects.iter().map(|o| (o.table.clone(), o.partition.clone())).collect();
        self.partitions_of(&Call::default(), &name, &objects).await?;
        let request = request_id(call)?;
        let id = guid(&request);
        let task = RefreshTask { database: name, way: kind.word().into(), ..task };
        let job = Job {
            asked_by: call.session.user.clone(),
            asked_by_admin: call.session.rules(),
            retries,
            retry_pause_seconds: PAUSE,
            ..new_job(id, Task::Refresh(task), self.now().unix_micros())
        };
        let change = JobChange::Ask { job: Box::new(job.clone()), alone: true };
        self.change_once(&request, Command::Jobs(change)).await?;
        Ok(job)
    }

    /// The refreshes of a database, newest first, those of schedules among them.
    pub async fn refreshes(&self, call: &Call, database: &str) -> Result<Vec<Job>> {
        let name = self.refreshable(call, database).await?.to_lowercase();
        let state = self.metastore.state();
        let is_it = |j: &&Job| {
            matches!(j.task, Task::Refresh(_)) && j.task.database().to_lowercase() == name
        };
        let mut found: Vec<Job> = state.jobs.all().filter(is_it).cloned().collect();
        found.sort_by_key(|j| std::cmp::Reverse(j.asked_micros));
        Ok(found)
    }

    pub async fn refresh_run(&self, call: &Call, database: &str, id: &str) -> Result<Job> {
        let all = self.refreshes(call, database).await?;
        let found = all.into_iter().find(|j| public_id(j).eq_ignore_ascii_case(id));
        found.ok_or_else(|| {
            Error::not_found(format!("there is no refresh '{id}' of database '{database}'"))
        })
    }

    /// Stops a refresh; one that is over stays as it is.
    pub async fn cancel_refresh(&self, call: &Call, database: &str, id: &str) -> Result<Job> {
        let job = self.refresh_run(call, database, id).await?;
        if !job.is_over() {
            let change = JobChange::Cancel { id: job.id.clone() };
            self.apply_change(Command::Jobs(change)).await?;
        }
        self.refresh_run(call, database, id).await
    }

    /// The name of a database that the caller may refresh.
    async fn refreshable(&self, call: &Call, database: &str) -> Result<String> {
        self.see_all_commits().await?;
        let name = self.committed_name(database);
        let name = name.ok_or_else(|| self.no_such_database(database))?;
        let version = self.version(&Call::default(), &name).await?;
        let kind = RefreshKind::Automatic;
        let asked = Step::Refresh(RefreshRequest {
            kind,
            objects: Vec::new(),
            readers: None,
            overrides: SourceOverrides::default(),
        });
        // In the caller's words: another spelling would tell that there is one.
        self.check_rights(call, database, Some(&version), &[asked])?;
        Ok(name)
    }

    /// The version of a database that every server is to reach, and how many servers that answer
    /// serve it already, of how many.
    pub async fn reached(&self, call: &Call, database: &str) -> Result<Reached> {
        let name = self.refreshable(call, database).await?;
        let state = self.metastore.state();
        let seq = state.database(&name).map_or(0, |d| d.seq);
        let status = self.status().await;
        let mut reached = Reached { database: name, seq, ..Reached::default() };
        for server in status.servers.iter().filter(|s| s.kind != "witness") {
            if server.state == "unreachable" {
                reached.away.push(server.name.clone());
                continue;
            }
            let of = server.databases.iter().find(|d| d.name == reached.database);
            reached.versions.push((server.name.clone(), of.and_then(|d| d.version)));
        }
        Ok(reached)
    }
}

/// Which version of a database which server serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    pub database: String,
    /// The newest version.
    pub seq: u64,
    pub versions: Vec<(String, Option<u64>)>,
    /// Servers that do not answer.
    pub away: Vec<String>,
}

impl Reached {
    /// Whether every server that answers serves this version or a newer one.
    pub fn everywhere(&self, seq: u64) -> bool {
        self.versions.iter().all(|(_, v)| v.is_some_and(|v| v >= seq))
    }
}
