//! Backups at set times: each in a file of its own, proved, and those that need not be kept removed.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime};
use evercube_base::Result;
use evercube_metastore::{BackupTask, Job, JobReport, Retention};

use crate::backup::repository::RepositoryPlace;
use crate::backup::target::{EXTENSION, file_name};
use crate::backup::{Found, Keep, ReadBack, Target};
use crate::backup_use::BackupRequest;
use crate::call::Call;
use crate::service::Service;

/// How the time is written in the name of a scheduled backup.
const STAMP: &str = "%Y%m%dT%H%M%SZ";

impl Service {
    pub(super) async fn backup_task(
        self: &Arc<Self>,
        call: &Call,
        job: &Job,
        task: &BackupTask,
    ) -> Result<JobReport> {
        let time = DateTime::from_timestamp_micros(job.due_micros.unwrap_or(job.asked_micros));
        let stem = stem(&task.database);
        let name = format!("{stem}-{}.{EXTENSION}", time.unwrap_or_default().format(STAMP));
        let repository = self.repository_of(task)?;
        let file = match &repository {
            Some(_) => task.target.clone().unwrap_or_default(),
            None => below(task.target.as_deref(), &name),
        };
        let request = BackupRequest {
            database: task.database.clone(),
            target: file.clone(),
            password: None,
            // What an attempt before wrote was found wanting.
            overwrite: job.attempt > 1,
            read_back: ReadBack::of(task),
        };
        let written = self.backup(call, request).await?;
        let place = match &repository {
            Some(_) => below(Some(&file), &format!("{}@{}", task.database, written.seq)),
            None => file,
        };
        let mut messages: Vec<String> = written.messages.into_iter().map(|m| m.message).collect();
        let keep = keep(task.retention);
        if !keep.is_empty() {
            let retained = match &repository {
                Some(place) => self.retain_in(place, &task.database, keep).await,
                None => self.retain(task.target.as_deref(), &stem, keep).await,
            };
            match retained {
                Ok(0) => {}
                Ok(n) => messages.push(format!("removed {n} older backups")),
                // The new backup is there all the same.
                Err(e) => messages.push(format!("older backups could not be removed: {e}")),
            }
        }
        let version = Some(written.seq);
        Ok(JobReport { version, place: Some(place), messages, ..JobReport::default() })
    }

    /// The repository that a task's target is, where it is one.
    fn repository_of(&self, task: &BackupTask) -> Result<Option<RepositoryPlace>> {
        Ok(match task.target.as_deref().map(|t| self.target(t)).transpose()? {
            Some(Target::Repository(place)) => Some(place),
            _ => None,
        })
    }

    /// Removes those of a schedule's backups that need not be kept; how many. Others in the same
    /// folder are left alone.
    async fn retain(&self, target: Option<&str>, stem: &str, keep: Keep) -> Result<usize> {
        let all = self.backups_at(target, None).await?;
        let timed = |found: Found| Some((time_of(&found.name, stem)?, found));
        let mut ours: Vec<(i64, Found)> = all.into_iter().filter_map(timed).collect();
        ours.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let times: Vec<i64> = ours.iter().map(|(time, _)| *time).collect();
        let mut removed = 0;
        for ((_, found), kept) in ours.into_iter().zip(keep.kept(&times)) {
            if !kept {
                self.remove_backup(&found.target).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// What the names of a database's scheduled backups begin with.
pub(super) fn stem(database: &str) -> String {
    let name = file_name(database);
    name.strip_suffix(&format!(".{EXTENSION}")).unwrap_or(&name).to_owned()
}

/// The time in the name of a scheduled backup.
fn time_of(name: &str, stem: &str) -> Option<i64> {
    let stamp = name.strip_prefix(stem)?.strip_prefix('-')?;
    let stamp = stamp.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let time = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?;
    Some(time.and_utc().timestamp_micros())
}

/// A file in the folder a schedule names.
fn below(target: Option<&str>, name: &str) -> String {
    match target {
        None => name.to_owned(),
        Some(folder) if folder.ends_with([':', '/']) => format!("{folder}{name}"),
        Some(folder) => format!("{folder}/{name}"),
    }
}

fn keep(r: Retention) -> Keep {
    Keep {
        last: r.last,
        daily: r.daily,
        weekly: r.weekly,
        monthly: r.monthly,
        within_days: r.within_days,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_database_and_time() {
        assert_eq!(stem("Sales/2024"), "Sales_2024");
        assert_eq!(time_of("Sales-19700101T000001Z.evb", "Sales"), Some(1_000_000));
        for other in ["Sales.evb", "Sales-2.evb", "Sales-Old-19700101T000001Z.evb", "x"] {
            assert_eq!(time_of(other, "Sales"), None, "{other}");
        }
        assert_eq!(below(None, "x"), "x");
        assert_eq!(below(Some("store:"), "x"), "store:x");
        assert_eq!(below(Some("s3://b/p"), "x"), "s3://b/p/x");
        assert_eq!(below(Some("/b/"), "x"), "/b/x");
    }
}
