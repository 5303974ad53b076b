//! `evercube schedule`: what the group does at set times.

use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use evercube_metastore::{BackupTask, Task};
use evercube_service::backup::ReadBack;
use evercube_service::schedule::facts::{RunFacts, ScheduleFacts};
use serde_json::{Value as Json, json as object};

use super::credentials::Account;
use crate::client::{json, percent_encode, request_id};
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Refreshes, backups, restores and restore drills at set times, done by the group itself
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube schedule add --server http://127.0.0.1:8383 nightly backup Sales \
    /backups --cron '30 2 * * *' --time-zone Europe/Zurich --daily 7 --weekly 4 --monthly 12"
)]
pub struct Schedules {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    List(List),
    Add(Box<Add>),
    /// Remove a schedule
    Remove(Named),
    /// Run a schedule now, beside its times
    Run(Named),
}

/// Show the schedules, or the runs of one with every error in full
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube schedule list --server http://127.0.0.1:8383 nightly")]
struct List {
    #[command(flatten)]
    account: Account,
    /// Show the runs of this one
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Named {
    #[command(flatten)]
    account: Account,
    /// Its name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Read the data again from its sources
    Refresh,
    /// Write a backup, prove it, and remove those that need not be kept
    Backup,
    /// Make the newest backup of TARGET the database
    Restore,
    /// Restore the newest backup aside, ask it, forget it again
    #[value(alias = "restore-drill")]
    Drill,
}

/// Add a schedule
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube schedule add --server http://127.0.0.1:8383 proof drill \
    Sales /backups --cron @weekly --probe 'EVALUATE ROW(\"t\", [Total])' --on west"
)]
struct Add {
    #[command(flatten)]
    account: Account,
    /// Name of the schedule
    name: String,
    /// What is done
    kind: Kind,
    /// The database it is about
    database: String,
    /// Folder or prefix of the backups; without it the group's own folder
    target: Option<String>,
    /// Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly. Of
    /// what is backed up continuously: when all of it is proved and pruned, @daily
    #[arg(long, value_name = "CRON", required_unless_present = "continuous")]
    cron: Option<String>,
    /// Time zone of these, as Europe/Zurich
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Server or region that makes the backup or drill if it can; another one does if not
    #[arg(long, value_name = "SERVER|REGION")]
    on: Option<String>,
    /// Attempts after one that failed
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: u32,
    /// Seconds before the next attempt
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    retry_pause: u32,
    /// Do not run late what was missed while no server could
    #[arg(long)]
    no_catch_up: bool,
    /// Of a refresh: full, dataOnly, calculate, clearValues, automatic [default: full]
    #[arg(long = "type", value_name = "TYPE")]
    way: Option<String>,
    /// Of a refresh: this table only; may be given several times
    #[arg(long, value_name = "TABLE")]
    table: Vec<String>,
    /// Of a backup: keep the newest N
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Of a backup: keep the newest of each of N days that have one (UTC)
    #[arg(long, value_name = "N")]
    daily: Option<usize>,
    /// Of a backup: keep the newest of each of N weeks that have one
    #[arg(long, value_name = "N")]
    weekly: Option<usize>,
    /// Of a backup: keep the newest of each of N months that have one
    #[arg(long, value_name = "N")]
    monthly: Option<usize>,
    /// Of a backup: keep every one of the N days before the newest
    #[arg(long, value_name = "N")]
    within_days: Option<usize>,
    /// Of a backup into a repository: besides, ship every version as soon as it is committed
    #[arg(long)]
    continuous: bool,
    /// Of a backup: how much is read back once it is written: all, none, or sample:10% of what a
    /// repository had already, besides what is new [default: all]
    #[arg(long, value_name = "HOW", conflicts_with = "no_verify")]
    verify: Option<String>,
    /// Of a backup: the same as --verify none
    #[arg(long)]
    no_verify: bool,
    /// Of a restore: the database that was backed up, where it had another name
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// Of a restore: what becomes of the roles [default: keep]
    #[arg(long, value_name = "WHAT", value_parser = ["keep", "skip", "drop-members"])]
    roles: Option<String>,
    /// Of a drill: a DAX query that must answer; may be given several times
    #[arg(long, value_name = "QUERY")]
    probe: Vec<String>,
    /// Replace a schedule of this name
    #[arg(long)]
    replace: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Drill => "drill",
        }
    }
}

impl Add {
    /// Refuses options of other kinds of schedules, which would be of no effect.
    fn check_options(&self) -> Outcome {
        let of_kinds = [
            ("--type", Kind::Refresh, self.way.is_some()),
            ("--table", Kind::Refresh, !self.table.is_empty()),
            ("--last", Kind::Backup, self.last.is_some()),
            ("--daily", Kind::Backup, self.daily.is_some()),
            ("--weekly", Kind::Backup, self.weekly.is_some()),
            ("--monthly", Kind::Backup, self.monthly.is_some()),
            ("--within-days", Kind::Backup, self.within_days.is_some()),
            ("--continuous", Kind::Backup, self.continuous),
            ("--verify", Kind::Backup, self.verify.is_some()),
            ("--no-verify", Kind::Backup, self.no_verify),
            ("--of", Kind::Restore, self.of.is_some()),
            ("--roles", Kind::Restore, self.roles.is_some()),
            ("--probe", Kind::Drill, !self.probe.is_empty()),
        ];
        let foreign = of_kinds.into_iter().find(|(_, kind, given)| *given && *kind != self.kind);
        if let Some((option, kind, _)) = foreign {
            return Err(Failure::Usage(format!(
                "{option} is of a {}, and this is to be a {}",
                kind.word(),
                self.kind.word()
            )));
        }
        if let Some(target) = self.target.as_ref().filter(|_| self.kind == Kind::Refresh) {
            return Err(Failure::Usage(format!(
                "a refresh has no TARGET ('{target}'): it reads what the model names; --table chooses tables"
            )));
        }
        Ok(())
    }
}

pub async fn run(args: &Schedules) -> Outcome {
    match &args.action {
        Action::List(args) => list(args).await,
        Action::Add(args) => add(args).await,
        Action::Remove(args) => remove(args).await,
        Action::Run(args) => run_now(args).await,
    }
}

async fn add(args: &Add) -> Outcome {
    args.check_options()?;
    let objects: Vec<Json> = args.table.iter().map(|t| object!({ "table": t })).collect();
    let verify = if args.no_verify { "none" } else { args.verify.as_deref().unwrap_or("all") };
    let number = |given: Option<usize>| given.unwrap_or(0);
    let body = object!({
        "name": args.name, "kind": args.kind.word(), "database": args.database,
        "target": args.target, "cron": args.cron.as_deref().unwrap_or("@daily"),
        "time_zone": args.time_zone, "on": args.on, "retries": args.retries,
        "retry_pause_seconds": args.retry_pause, "catch_up": !args.no_catch_up,
        "type": args.way.as_deref().unwrap_or("full"), "objects": objects,
        "keep": { "last": number(args.last), "daily": number(args.daily),
                  "weekly": number(args.weekly), "monthly": number(args.monthly),
                  "within_days": number(args.within_days) },
        "verify": verify, "continuous": args.continuous, "of": args.of,
        "roles": args.roles.as_deref().unwrap_or("keep"), "queries": args.probe,
        "replace": args.replace,
    });
    let client = args.account.client()?;
    let bytes = client.post_json("/api/v1/schedules", &body, &request_id()?).await?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    let all: Schedule = json(&client.get("/api/v1/schedules").await?)?;
    let next = all.schedules.into_iter().find(|s| s.name == args.name).and_then(|s| s.next);
    print(&format!("added '{}', next at {}\n", args.name, next.as_deref().unwrap_or("?")))
}

async fn remove(args: &Named) -> Outcome {
    let path = format!("/api/v1/schedules/{}", percent_encode(&args.name));
    let bytes = args.account.client()?.delete(&path, &request_id()?).await?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    print(&format!("removed '{}'\n", args.name))
}

async fn run_now(args: &Named) -> Outcome {
    let path = format!("/api/v1/schedules/{}/run", percent_encode(&args.name));
    let bytes = args.account.client()?.post_json(&path, &object!({}), &request_id()?).await?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    print(&format!("'{}' runs now; 'schedule list {}' shows how it went\n", args.name, args.name))
}

#[derive(serde::Deserialize)]
struct Schedule {
    schedules: Vec<ScheduleFacts>,
}

#[derive(serde::Deserialize)]
struct Runs {
    runs: Vec<RunFacts>,
}

async fn list(args: &List) -> Outcome {
    let path = match &args.name {
        Some(name) => format!("/api/v1/schedules/{}", percent_encode(name)),
        None => "/api/v1/schedules".to_owned(),
    };
    let bytes = args.account.client()?.get(&path).await?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    if args.name.is_some() {
        let found: Runs = json(&bytes)?;
        return print(&runs(&found.runs));
    }
    let found: Schedule = json(&bytes)?;
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["name", "what", "when", "next", "last run"]);
    for s in &found.schedules {
        let continuous = matches!(&s.task, Task::Backup(t) if t.continuous);
        let mut what = format!("{} {}", s.task.word(), s.task.database());
        if continuous {
            what.push_str(", continuously");
        }
        if let Task::Backup(task) = &s.task {
            what.push_str(&read_back(task));
        }
        let when = format!("{} ({})", s.cron, s.time_zone);
        let last = s.last.as_ref().map_or_else(|| "never".to_owned(), outcome);
        table.add_row([&s.name, &what, &when, s.next.as_deref().unwrap_or("never"), &last]);
    }
    print(&format!("{table}\n"))
}

/// How much of a backup is read back, where it is not all of it.
fn read_back(task: &BackupTask) -> String {
    match ReadBack::of(task) {
        ReadBack::None => ", not read back".to_owned(),
        ReadBack::All => String::new(),
        ReadBack::Sample(percent) => format!(", {percent} % read back"),
    }
}

/// The state of a run, when, and in a word where.
fn outcome(run: &RunFacts) -> String {
    let word = format!("{:?}", run.state).to_lowercase();
    let time = run.ended.as_deref().or(run.started.as_deref()).unwrap_or_default();
    let server = run.server.as_ref().map_or_else(String::new, |s| format!(" on {s}"));
    format!("{word} {time}{server}")
}

fn runs(all: &[RunFacts]) -> String {
    let mut text = String::new();
    for run in all {
        let due = run.due.as_ref().map_or_else(|| "by hand".to_owned(), |d| format!("due {d}"));
        let _ = write!(text, "{} ({due}, attempt {})", outcome(run), run.attempt);
        if run.missed > 0 {
            let _ = write!(text, ", {} missed before", run.missed);
        }
        if let Some(version) = run.version {
            let _ = write!(text, ", version {version}");
        }
        let _ = writeln!(text, ", {} ms", run.millis);
        for line in run.place.iter().chain(&run.messages) {
            let _ = writeln!(text, "    {line}");
        }
        for e in &run.errors {
            let _ = writeln!(
                text,
                "    attempt {} on {}, {}: {}",
                e.attempt, e.server, e.time, e.message
            );
        }
    }
    if text.is_empty() { "it has not run yet\n".to_owned() } else { text }
}
