//! What is due, and who does it. Pure: the state and the time come in, what is to be proposed goes
//! out.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use evercube_metastore::{Job, JobChange, JobState, Member, MemberKind, Schedule, State};

use super::cron::Cron;

/// What the leader sees.
pub(crate) struct Seen<'a> {
    pub state: &'a State,
    pub now_micros: i64,
    /// Members that answer and take work.
    pub alive: &'a BTreeSet<u64>,
    pub leader: u64,
}

/// A run that begins so long after its time was missed.
pub(crate) const LATE_MICROS: i64 = 5 * 60 * 1_000_000;
/// Backups and drills that one server makes at the same time.
const SIDE_BY_SIDE: usize = 2;
/// Times gone by that are counted.
const MOST_MISSED: u32 = 1_000;

/// What the leader proposes now.
pub(crate) fn decide(seen: &Seen<'_>) -> Vec<JobChange> {
    let mut changes: Vec<JobChange> = due(seen)
        .into_iter()
        .map(|job| JobChange::Ask { job: Box::new(job), alone: false })
        .collect();
    changes.extend(assignments(seen));
    changes
}

/// The schedules whose time has come. One that is still at its last run waits for the end of it.
fn due(seen: &Seen<'_>) -> Vec<Job> {
    let busy: BTreeSet<&str> =
        seen.state.jobs.unfinished().filter_map(|j| j.schedule.as_deref()).collect();
    let idle = seen.state.schedules.iter().filter(|(name, _)| !busy.contains(name.as_str()));
    idle.filter_map(|(name, schedule)| due_run(name, schedule, seen.now_micros)).collect()
}

/// The run of a schedule that is due: for the newest of its times, whichever went by before.
fn due_run(name: &str, schedule: &Schedule, now_micros: i64) -> Option<Job> {
    let cron = Cron::parse(&schedule.cron, &schedule.zone).ok()?;
    let handled = schedule.last_due_micros.unwrap_or(i64::MIN).max(schedule.made_micros);
    let handled = DateTime::from_timestamp_micros(handled)?;
    let time = cron.at_or_before(DateTime::from_timestamp_micros(now_micros)?)?;
    if time <= handled {
        return None;
    }
    let due_micros = time.timestamp_micros();
    let missed = cron.between(handled, time, MOST_MISSED);
    let job = run_of(name, schedule, time_name(time), now_micros);
    let too_late = now_micros - due_micros > LATE_MICROS && !schedule.catch_up;
    Some(Job {
        due_micros: Some(due_micros),
        missed: missed + u32::from(too_late),
        state: if too_late { JobState::Missed } else { JobState::Waiting },
        ended_micros: too_late.then_some(now_micros),
        ..job
    })
}

/// A run of a schedule; `which` tells it from its other runs.
pub(crate) fn run_of(name: &str, schedule: &Schedule, which: String, now_micros: i64) -> Job {
    Job {
        schedule: Some(name.to_owned()),
        asked_by: schedule.made_by.clone(),
        asked_by_admin: true,
        run_on: schedule.run_on.clone(),
        retries: schedule.retries,
        retry_pause_seconds: schedule.retry_pause_seconds,
        ..new_job(format!("{name}@{which}"), schedule.task.clone(), now_micros)
    }
}

/// A job that nobody has begun.
pub(crate) fn new_job(id: String, task: evercube_metastore::Task, now_micros: i64) -> Job {
    Job {
        id,
        task,
        schedule: None,
        due_micros: None,
        missed: 0,
        asked_by: String::new(),
        asked_by_admin: false,
        asked_micros: now_micros,
        run_on: None,
        retries: 0,
        retry_pause_seconds: 0,
        state: JobState::Waiting,
        attempt: 1,
        not_before_micros: 0,
        runner: None,
        epoch: 0,
        server: None,
        started_micros: None,
        ended_micros: None,
        cancel: false,
        errors: Vec::new(),
        report: evercube_metastore::JobReport::default(),
        parts: Vec::new(),
    }
}

pub(crate) fn time_name(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Gives what waits, and what a server gone left behind, to servers.
fn assignments(seen: &Seen<'_>) -> Vec<JobChange> {
    let state = seen.state;
    let stays = |job: &Job| {
        job.runner.filter(|runner| {
            let writer = || state.lease_of(job.task.database()).map(|l| l.holder);
            seen.alive.contains(runner) && (!job.task.writes() || writer() == Some(*runner))
        })
    };
    let mut load: BTreeMap<u64, usize> = BTreeMap::new();
    for job in state.jobs.unfinished().filter(|j| !j.task.writes()) {
        if let Some(runner) = stays(job) {
            *load.entry(runner).or_default() += 1;
        }
    }
    let mut changes = Vec::new();
    for job in state.jobs.unfinished() {
        if stays(job).is_some() || job.not_before_micros > seen.now_micros {
            continue;
        }
        let to = if job.task.writes() {
            let writer = state.lease_of(job.task.database()).map(|l| l.holder);
            writer.filter(|id| seen.alive.contains(id))
        } else {
            best(seen, job, &load)
        };
        let Some(to) = to else { continue };
        if !job.task.writes() {
            *load.entry(to).or_default() += 1;
        }
        let (id, epoch, now_micros) = (job.id.clone(), job.epoch, seen.now_micros);
        changes.push(JobChange::Assign { id, to, epoch, now_micros });
    }
    changes
}

/// The server that makes a backup or a drill: the one that is wanted, else one that takes no
/// writes, else any.
fn best(seen: &Seen<'_>, job: &Job, load: &BTreeMap<u64, usize>) -> Option<u64> {
    let count = |id: &u64| load.get(id).copied().unwrap_or(0);
    let able = |(id, m): &(&u64, &Member)| {
        seen.alive.contains(id) && m.kind != MemberKind::Witness && count(id) < SIDE_BY_SIDE
    };
    let rank = |(id, m): (&u64, &Member)| {
        let is = |name: &String| {
            m.name.eq_ignore_ascii_case(name) || m.region.eq_ignore_ascii_case(name)
        };
        let wanted = job.run_on.as_ref().is_some_and(is);
        let spare = matches!(m.kind, MemberKind::Replica | MemberKind::Learner);
        let leads = *id == seen.leader || seen.state.lease.is_some_and(|l| l.holder == *id);
        (!wanted, count(id), !spare, leads, *id)
    };
    let members = seen.state.members.iter().filter(able);
    members.map(|m| (rank(m), *m.0)).min().map(|(_, id)| id)
}

#[cfg(test)]
mod tests;
