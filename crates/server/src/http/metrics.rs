//! Figures about what the group does on its own, for `/metrics`.

use evercube_metastore::{Job, JobState, State};
use evercube_service::Service;
use evercube_service::backup_use::catalog::newest_verified;

use super::health::label;

/// A figure: its name, what it is, and its values by labels.
pub type Figure = (&'static str, &'static str, Vec<(String, u64)>);

/// How long versions wait that are to be shipped continuously.
pub fn of_logs(service: &Service, now_micros: i64) -> Figure {
    let row = |(name, (database, lag)): (String, (String, i64))| {
        let labels = format!("{{schedule=\"{}\",database=\"{}\"}}", label(&name), label(&database));
        (labels, u64::try_from(lag / 1000).unwrap_or(0))
    };
    let rows = service.log_lags(now_micros).into_iter().map(row).collect();
    ("backup_log_lag_ms", "How long the oldest version waits that was not shipped.", rows)
}

/// Figures of schedules, runs and backups; `now_micros` is the clock.
pub fn of_schedules(state: &State, now_micros: i64) -> Vec<Figure> {
    let seconds = |micros: i64| u64::try_from(micros / 1_000_000).unwrap_or(0);
    let mut of: [Vec<(String, u64)>; 4] = Default::default();
    for (name, schedule) in &state.schedules {
        let labels = format!(
            "{{schedule=\"{}\",kind=\"{}\",database=\"{}\"}}",
            label(name),
            schedule.task.word(),
            label(schedule.task.database())
        );
        let runs = state.jobs.of_schedule(name);
        let over: Vec<&Job> = runs.iter().filter(|j| j.is_over()).copied().collect();
        let well = |j: &&Job| j.state == JobState::Succeeded;
        if let Some(run) = over.iter().copied().find(|j| well(j)) {
            of[0].push((labels.clone(), seconds(run.ended_micros.unwrap_or(0))));
            of[1].push((labels.clone(), run.report.millis));
        }
        let bad = over.first().is_some_and(|j| !well(j) && j.state != JobState::Cancelled);
        of[2].push((labels.clone(), u64::from(bad)));
        of[3].push((labels, over.iter().map(|j| u64::from(j.missed)).sum()));
    }
    let [success, took, failed, missed] = of;
    let verified = newest_verified(state)
        .into_iter()
        .filter_map(|(name, r)| Some((format!("{{database=\"{}\"}}", label(name)), r?)))
        .map(|(labels, r)| (labels, seconds(now_micros.saturating_sub(r.created_micros))))
        .collect();
    let recorded: usize = state.reads.values().map(|r| r.parts.len()).sum();
    let recorded = vec![(String::new(), recorded as u64)];
    let unfinished = state.jobs.unfinished().count() as u64;
    vec![
        (
            "schedule_last_success_seconds",
            "When a run last went well, seconds since 1970.",
            success,
        ),
        ("schedule_last_duration_ms", "What that run took; of a drill: the restore.", took),
        ("schedule_failed", "Whether the newest run failed or was missed.", failed),
        ("schedule_missed", "Times that went by, among the runs that are remembered.", missed),
        ("backup_verified_age_seconds", "Age of the newest backup that was proved.", verified),
        ("reads_recorded", "Partitions that refreshes need not read again.", recorded),
        ("runs_unfinished", "Runs that wait or are being done.", vec![(String::new(), unfinished)]),
    ]
}
