//! What the group does again and again at set times.

use evercube_base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::jobs::Task;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub task: Task,
    /// Five fields: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// Name of the time zone the fields are meant in, as `Europe/Zurich`.
    pub zone: String,
    /// A server or region that runs it if it can.
    #[serde(default)]
    pub run_on: Option<String>,
    #[serde(default)]
    pub retries: u32,
    #[serde(default)]
    pub retry_pause_seconds: u32,
    /// What went by while no server could run it is run once, late.
    #[serde(default)]
    pub catch_up: bool,
    pub made_micros: i64,
    pub made_by: String,
    /// The newest of its times that was run, or found to be missed.
    #[serde(default)]
    pub last_due_micros: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScheduleChange {
    Put { name: String, schedule: Box<Schedule> },
    Remove { name: String },
}

impl ScheduleChange {
    /// Whether it says what releases before did not understand, and would leave out.
    pub(crate) fn is_of_level_3(&self) -> bool {
        let Self::Put { schedule, .. } = self else { return false };
        let Task::Backup(task) = &schedule.task else { return false };
        task.continuous || task.retention.within_days > 0 || task.sample.is_some()
    }
}

/// The most schedules a group keeps.
const MOST: usize = 1_000;

pub(crate) fn change(all: &mut BTreeMap<String, Schedule>, change: ScheduleChange) -> Result<()> {
    match change {
        ScheduleChange::Put { name, schedule } => {
            if all.len() >= MOST && !all.contains_key(&name) {
                return Err(Error::invalid(format!("a group keeps {MOST} schedules at most")));
            }
            all.insert(name, *schedule);
        }
        ScheduleChange::Remove { name } => {
            if all.remove(&name).is_none() {
                return Err(Error::not_found(format!("there is no schedule '{name}'")));
            }
        }
    }
    Ok(())
}
