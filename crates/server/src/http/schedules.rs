//! The part of the REST interface about what the group does at set times.

use std::sync::Arc;

use evercube_base::Result;
use evercube_metastore::{
    BackupTask, DrillTask, RefreshObject, RefreshTask, RestoreTask, Retention, Task,
};
use evercube_service::Service;
use evercube_service::backup::ReadBack;
use evercube_service::call::Call;
use evercube_service::schedule::ScheduleRequest;
use http::Method;
use serde_json::json;

use super::answer::{Answer, json_of};
use super::asked::Asked;
use super::rest::{body, read_back};

/// What is asked below `/api/v1/schedules`.
pub enum SchedulesRoute {
    List,
    Add,
    Runs(String),
    Run(String),
    Remove(String),
}

/// The request that a path names.
pub fn request(method: &Method, parts: &[&str]) -> Option<SchedulesRoute> {
    let [first, rest @ ..] = parts else { return None };
    if *first != "schedules" {
        return None;
    }
    let (get, post) = (method == Method::GET, method == Method::POST);
    Some(match rest {
        [] if get => SchedulesRoute::List,
        [] if post => SchedulesRoute::Add,
        [name] if get => SchedulesRoute::Runs((*name).to_owned()),
        [name] if method == Method::DELETE => SchedulesRoute::Remove((*name).to_owned()),
        [name, "run"] if post => SchedulesRoute::Run((*name).to_owned()),
        _ => return None,
    })
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Refresh,
    Backup,
    Restore,
    Drill,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleBody {
    name: String,
    kind: Kind,
    database: String,
    cron: String,
    #[serde(default = "utc")]
    time_zone: String,
    /// Where backups are, or go to.
    target: Option<String>,
    /// Of a restore: whose backups.
    of: Option<String>,
    #[serde(default)]
    roles: String,
    /// Of a refresh.
    #[serde(rename = "type", default = "full")]
    way: String,
    #[serde(default)]
    objects: Vec<RefreshObject>,
    #[serde(default)]
    keep: Retention,
    /// Of a backup: `all`, `sample:10%` or `none`; or whether it is read back.
    verify: Option<Verify>,
    /// Of a backup: every version, as soon as it is committed.
    #[serde(default)]
    continuous: bool,
    #[serde(default)]
    queries: Vec<String>,
    on: Option<String>,
    #[serde(default = "retries")]
    retries: u32,
    #[serde(default = "pause")]
    retry_pause_seconds: u32,
    #[serde(default = "yes")]
    catch_up: bool,
    #[serde(default)]
    replace: bool,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Verify {
    Whether(bool),
    How(String),
}

impl Verify {
    fn how(self) -> Result<ReadBack> {
        match self {
            Self::Whether(true) => Ok(ReadBack::All),
            Self::Whether(false) => Ok(ReadBack::None),
            Self::How(text) => read_back(Some(&text)),
        }
    }
}

fn utc() -> String {
    "UTC".into()
}

fn full() -> String {
    "full".into()
}

fn yes() -> bool {
    true
}

fn retries() -> u32 {
    2
}

fn pause() -> u32 {
    60
}

impl ScheduleBody {
    fn into_request(self) -> Result<ScheduleRequest> {
        let Self { database, target, objects, queries, .. } = self;
        let task = match self.kind {
            Kind::Refresh => {
                let way = self.way;
                Task::Refresh(RefreshTask { database, way, objects, ..RefreshTask::default() })
            }
            Kind::Backup => {
                let (retention, continuous) = (self.keep, self.continuous);
                let how = self.verify.map_or(Ok(ReadBack::All), Verify::how)?;
                let task =
                    BackupTask { database, target, retention, continuous, ..BackupTask::default() };
                Task::Backup(how.said_in(task))
            }
            Kind::Restore => {
                let (source, of, roles) = (target.unwrap_or_default(), self.of, self.roles);
                Task::Restore(RestoreTask { source, of, database, roles })
            }
            Kind::Drill => Task::Drill(DrillTask { database, target, queries }),
        };
        Ok(ScheduleRequest {
            name: self.name,
            task,
            cron: self.cron,
            zone: self.time_zone,
            run_on: self.on,
            retries: self.retries,
            retry_pause_seconds: self.retry_pause_seconds,
            catch_up: self.catch_up,
            replace: self.replace,
        })
    }
}

pub async fn run(
    service: &Arc<Service>,
    call: &Call,
    asked: &Asked,
    route: SchedulesRoute,
) -> Result<Answer> {
    Ok(match route {
        SchedulesRoute::List => {
            let schedules = service.schedules(call).await?;
            let verified = service.verified_backups(call)?;
            json_of(&json!({ "schedules": schedules, "verified_backups": verified }))
        }
        SchedulesRoute::Add => {
            let given: ScheduleBody = body(asked)?;
            let name = given.name.clone();
            service.put_schedule(call, given.into_request()?).await?;
            json_of(&json!({ "name": name }))
        }
        SchedulesRoute::Runs(name) => {
            json_of(&json!({ "runs": service.runs_of(call, &name).await? }))
        }
        SchedulesRoute::Run(name) => {
            json_of(&json!({ "run": service.run_schedule(call, &name).await? }))
        }
        SchedulesRoute::Remove(name) => {
            service.delete_schedule(call, &name).await?;
            json_of(&json!({ "name": name }))
        }
    })
}
