//! What the group does at set times, and once when asked: refreshes, backups, restores, drills.
//!
//! Schedules and runs are state of the group. The leader asks for what is due and gives it to a
//! server; that server does it and tells the end. Another one takes over where it dies.

pub mod asked;
mod backup_task;
pub mod cron;
mod decide;
mod drill_task;
pub mod facts;
mod lead;
mod refresh_task;
mod restore_task;
mod work;

use std::sync::Arc;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Command, DrillTask, JobChange, Reply, Schedule, ScheduleChange, Task};
use evercube_model::tmsl::RefreshKind;

use crate::auth::require_admin;
use crate::backup::Target;
use crate::backup::repository::Pick;
use crate::backup_use::restore::Roles;
use crate::call::Call;
use crate::once::request_id;
use crate::service::Service;
use cron::Cron;
use decide::run_of;
use facts::{RunFacts, ScheduleFacts};

/// Starts the leader's part and this server's own.
pub(crate) fn spawn(service: &Arc<Service>) {
    service.clear_scratch();
    lead::spawn(service);
    work::spawn(service);
}

/// A schedule as it is asked for.
#[derive(Debug, Clone)]
pub struct ScheduleRequest {
    pub name: String,
    pub task: Task,
    pub cron: String,
    pub zone: String,
    pub run_on: Option<String>,
    pub retries: u32,
    pub retry_pause_seconds: u32,
    pub catch_up: bool,
    /// Replace one of the same name.
    pub replace: bool,
}

const MOST_RETRIES: u32 = 100;

/// A word for a request that is the same for the same one.
fn short(request_id: &str) -> String {
    hex::encode(&blake3::hash(request_id.as_bytes()).as_bytes()[..8])
}

impl Service {
    pub async fn put_schedule(&self, call: &Call, request: ScheduleRequest) -> Result<()> {
        require_admin(call.session.rules(), "Changing schedules")?;
        let id = request_id(call)?;
        self.see_all_commits().await?;
        if let Some(done) = self.answered(&id) {
            return done.map(drop);
        }
        let ScheduleRequest { name, task, cron, zone, run_on, retries, .. } = request;
        check_name(&name)?;
        Cron::parse(&cron, &zone)?;
        if retries > MOST_RETRIES {
            return Err(Error::invalid(format!("a run is retried {MOST_RETRIES} times at most")));
        }
        self.check_task(&task)?;
        self.check_object(&task).await?;
        self.check_place(&task, run_on.as_deref())?;
        let state = self.metastore.state();
        if state.schedules.contains_key(&name) && !request.replace {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("there is a schedule '{name}' already; remove it first, or replace it"),
            ));
        }
        let schedule = Schedule {
            task,
            cron,
            zone: cron::zone_name(&zone)?.to_owned(),
            run_on,
            retries,
            retry_pause_seconds: request.retry_pause_seconds,
            catch_up: request.catch_up,
            made_micros: self.now().unix_micros(),
            made_by: call.session.user.clone(),
            last_due_micros: None,
        };
        let change = ScheduleChange::Put { name, schedule: Box::new(schedule) };
        self.change_once(&id, Command::Schedules(change)).await.map(drop)
    }

    pub async fn delete_schedule(&self, call: &Call, name: &str) -> Result<()> {
        require_admin(call.session.rules(), "Changing schedules")?;
        let change = ScheduleChange::Remove { name: name.to_owned() };
        self.change_once(&request_id(call)?, Command::Schedules(change)).await.map(drop)
    }

    pub async fn schedules(&self, call: &Call) -> Result<Vec<ScheduleFacts>> {
        require_admin(call.session.rules(), "Listing schedules")?;
        self.see_all_commits().await?;
        let state = self.metastore.state();
        let now = chrono::Utc::now();
        let all = state.schedules.iter();
        Ok(all.map(|(name, s)| ScheduleFacts::of(name, s, &state, now)).collect())
    }

    /// The runs of a schedule, newest first, with every error in full.
    pub async fn runs_of(&self, call: &Call, name: &str) -> Result<Vec<RunFacts>> {
        require_admin(call.session.rules(), "Listing the runs of a schedule")?;
        self.see_all_commits().await?;
        let state = self.metastore.state();
        let runs = state.jobs.of_schedule(name);
        if runs.is_empty() && !state.schedules.contains_key(name) {
            return Err(Error::not_found(format!("there is no schedule '{name}'")));
        }
        Ok(runs.into_iter().map(RunFacts::of).collect())
    }

    /// Runs a schedule now, beside its times; the id of the run.
    pub async fn run_schedule(&self, call: &Call, name: &str) -> Result<String> {
        require_admin(call.session.rules(), "Running a schedule")?;
        self.see_all_commits().await?;
        let which = request_id(call)?;
        let state = self.metastore.state();
        let schedule = state.schedules.get(name);
        let schedule =
            schedule.ok_or_else(|| Error::not_found(format!("there is no schedule '{name}'")))?;
        let job = run_of(name, schedule, short(&which), self.now().unix_micros());
        let id = job.id.clone();
        let change = JobChange::Ask { job: Box::new(job), alone: false };
        self.change_once(&which, Command::Jobs(change)).await?;
        Ok(id)
    }

    pub(crate) async fn apply_change(&self, command: Command) -> Result<()> {
        match self.metastore.propose(command).await? {
            Reply::Done { .. } => Ok(()),
            Reply::Refused(e) => Err(e),
        }
    }

    /// Refuses what reads a database, table or partition that is not there. A restore makes its
    /// database, and a drill of a place for backups needs none.
    async fn check_object(&self, task: &Task) -> Result<()> {
        let asked = task.database();
        if matches!(task, Task::Restore(_) | Task::Drill(DrillTask { target: Some(_), .. })) {
            return Ok(());
        }
        let Some(name) = self.committed_name(asked) else {
            let state = self.metastore.state();
            let names: Vec<&str> = state.databases.values().map(|d| d.name.as_str()).collect();
            let there = match names.is_empty() {
                true => "there is none yet, deploy one first".to_owned(),
                false => format!("the group has {}", names.join(", ")),
            };
            return Err(Error::not_found(format!("there is no database '{asked}'; {there}")));
        };
        if let Task::Refresh(task) = task
            && self.serves_queries()
        {
            let objects: Vec<_> =
                task.objects.iter().map(|o| (o.table.clone(), o.partition.clone())).collect();
            self.partitions_of(&Call::default(), &name, &objects).await?;
        }
        Ok(())
    }

    /// Refuses at once what could never be done.
    fn check_task(&self, task: &Task) -> Result<()> {
        if task.database().trim().is_empty() {
            return Err(Error::invalid(format!("a {} names a database", task.word())));
        }
        let folder = match task {
            Task::Refresh(task) => {
                RefreshKind::parse(&task.way)?;
                return Ok(());
            }
            Task::Restore(task) => {
                Roles::parse(&task.roles)?;
                Some(task.source.as_str()).filter(|s| !s.is_empty())
            }
            Task::Backup(task) => task.target.as_deref(),
            Task::Drill(task) => {
                for query in &task.queries {
                    evercube_dax::parse_query(query).into_result()?;
                }
                task.target.as_deref()
            }
        };
        let own = folder.map(|text| self.target(text)).transpose()?;
        let whole = match &own {
            Some(Target::Repository(place)) => Some(place.pick == Pick::All),
            _ => None,
        };
        if matches!(task, Task::Backup(_)) && whole == Some(false) {
            return Err(Error::invalid(
                "a backup goes into the repository itself: write nothing after its .evr",
            ));
        }
        if matches!(task, Task::Backup(t) if t.continuous) && whole.is_none() {
            return Err(Error::invalid(
                "what is backed up continuously goes to a repository, whose name ends in .evr, as /backups/group.evr or s3://bucket/group.evr",
            ));
        }
        if matches!(own, Some(Target::Own(_))) {
            return Err(Error::invalid(format!(
                "the target of a scheduled {} is a folder, as /backups or s3://bucket/prefix/; leave it out for the group's own folder",
                task.word()
            )));
        }
        Ok(())
    }

    fn check_place(&self, task: &Task, run_on: Option<&str>) -> Result<()> {
        let Some(wanted) = run_on else { return Ok(()) };
        if task.writes() {
            return Err(Error::invalid(format!(
                "a {} is done by the server that takes the writes of the database, wherever that is; 'on' is for backups and drills",
                task.word()
            )));
        }
        let state = self.metastore.state();
        let is = |name: &str| name.eq_ignore_ascii_case(wanted);
        if state.members.values().any(|m| is(&m.name) || is(&m.region)) {
            return Ok(());
        }
        Err(Error::not_found(format!("there is no server and no region '{wanted}'")))
    }
}

fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || " -_.".contains(c);
    if !name.is_empty() && name.len() <= 100 && name.trim() == name && name.chars().all(plain) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "'{name}' cannot be the name of a schedule; use letters, digits, blanks, - _ and ."
    )))
}
