//! `evercube backups`: the places backups are kept in, and what is there.

use std::path::PathBuf;

use evercube_service::backup::ProbeReport;
use evercube_service::backup::repository::SlotFacts;
use evercube_service::backup_use::catalog::BackupFacts;
use hyper::body::Bytes;
use serde_json::{Value as Json, json as object};

use super::credentials::{Account, AccountOfBackup};
use crate::client::{json, request_id, secret_of};
use crate::failure::{Failure, Outcome};
use crate::output::{print, visible};

/// List, verify and prune backups, and test places for them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube backups verify --server http://127.0.0.1:8383 /backups"
)]
pub struct Backups {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Debug, clap::Subcommand)]
enum Operation {
    List(List),
    Verify(Verify),
    Prune(Prune),
    Test(Test),
    Init(Init),
    #[command(subcommand)]
    Password(PasswordOperation),
}

/// Make a backup repository: backups share what is the same in them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube backups init --server http://127.0.0.1:8383 \
    s3://my-bucket/group.evr --password-file backup.secret")]
struct Init {
    #[command(flatten)]
    account: AccountOfBackup,
    /// Folder or prefix whose name ends in .evr
    target: String,
    /// What its first password is called
    #[arg(long, value_name = "NAME", default_value = "first")]
    label: String,
    /// Hours for which what no backup names any more stays
    #[arg(long, value_name = "N")]
    grace_hours: Option<u64>,
}

/// The passwords that open a backup repository
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Example:\n  evercube backups password add --server http://127.0.0.1:8383 \
    s3://my-bucket/group.evr second --password-file old.secret --new-password-file new.secret")]
enum PasswordOperation {
    /// Show what they are called
    List(Repository),
    /// Let another one open it; nothing is written anew
    Add(AddPassword),
    /// Let one open it no more
    Remove(RemovePassword),
}

#[derive(Debug, clap::Args)]
struct Repository {
    #[command(flatten)]
    account: AccountOfBackup,
    /// The repository
    target: String,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct AddPassword {
    #[command(flatten)]
    repository: Repository,
    /// What the new one is called
    label: String,
    /// File that holds the new one
    #[arg(long, value_name = "FILE")]
    new_password_file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct RemovePassword {
    #[command(flatten)]
    repository: Repository,
    /// What it is called
    label: String,
}

/// Where to look, and how to print what is there.
#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten)]
    account: AccountOfBackup,
    /// A backup, or a folder, bucket or container with its prefix; without it the group's own folder
    target: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// List the backups at a target
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube backups list --server http://127.0.0.1:8383 /backups")]
struct List {
    #[command(flatten)]
    place: Place,
}

/// Read backups back, whole, and prove them; exit status 4 when one is not what was written
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube backups verify --server http://127.0.0.1:8383 \
    s3://my-bucket/evercube/ --password-file backup.secret")]
struct Verify {
    #[command(flatten)]
    place: Place,
}

/// Remove the backups of every database that need not be kept
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube backups prune --server http://127.0.0.1:8383 /backups \
    --daily 7 --weekly 4 --monthly 12 --dry-run"
)]
struct Prune {
    #[command(flatten)]
    place: Place,
    /// Keep the newest N
    #[arg(long, value_name = "N", default_value_t = 0)]
    last: usize,
    /// Keep the newest of each of the last N days that have one (UTC)
    #[arg(long, value_name = "N", default_value_t = 0)]
    daily: usize,
    /// Keep the newest of each of the last N weeks that have one
    #[arg(long, value_name = "N", default_value_t = 0)]
    weekly: usize,
    /// Keep the newest of each of the last N months that have one
    #[arg(long, value_name = "N", default_value_t = 0)]
    monthly: usize,
    /// Keep every one of the N days before the newest
    #[arg(long, value_name = "N", default_value_t = 0)]
    within_days: usize,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Test whether a target can keep backups: reading, writing, races, permissions
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube backups test --server http://127.0.0.1:8383 \
    s3://my-bucket/evercube/")]
struct Test {
    #[command(flatten)]
    account: Account,
    /// The folder, bucket or container with its prefix, or NAME: of a target in the settings
    target: String,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Backups) -> Outcome {
    match &args.operation {
        Operation::List(args) => list(&args.place).await,
        Operation::Verify(args) => verify(&args.place).await,
        Operation::Prune(args) => prune(args).await,
        Operation::Test(args) => test(args).await,
        Operation::Init(args) => init(args).await,
        Operation::Password(operation) => password(operation).await,
    }
}

async fn init(args: &Init) -> Outcome {
    let mut body = object!({ "target": args.target, "label": args.label });
    if let Some(password) = args.account.backup_password()? {
        body["password"] = password.into();
    }
    if let Some(hours) = args.grace_hours {
        body["grace_hours"] = hours.into();
    }
    let client = args.account.client()?;
    client.post_json("/api/v1/backups/init", &body, &request_id()?).await?;
    print(&format!("made the backup repository '{}'\n", args.target))
}

#[derive(serde::Deserialize)]
struct Passwords {
    passwords: Vec<SlotFacts>,
}

async fn password(operation: &PasswordOperation) -> Outcome {
    match operation {
        PasswordOperation::List(repository) => {
            let bytes = repository.ask("passwords", object!({})).await?;
            if repository.json {
                return Ok(());
            }
            let found: Passwords = json(&bytes)?;
            let line = |s: &SlotFacts| format!("{} since {}\n", s.label, s.created);
            let lines: String = found.passwords.iter().map(line).collect();
            print(if lines.is_empty() { "it is not encrypted\n" } else { &lines })
        }
        PasswordOperation::Add(args) => {
            let new = secret_of(&args.new_password_file)?;
            let body = object!({ "label": args.label, "new_password": new });
            args.repository.ask("add-password", body).await?;
            args.repository.say(&format!("the password '{}' opens it now", args.label))
        }
        PasswordOperation::Remove(args) => {
            args.repository.ask("remove-password", object!({ "label": args.label })).await?;
            args.repository.say(&format!("the password '{}' opens it no more", args.label))
        }
    }
}

impl Repository {
    /// Asks, and prints the answer where it is wanted as it is.
    async fn ask(&self, operation: &str, mut body: Json) -> Outcome<Bytes> {
        body["target"] = self.target.as_str().into();
        if let Some(password) = self.account.backup_password()? {
            body["password"] = password.into();
        }
        let path = format!("/api/v1/backups/{operation}");
        let bytes = self.account.client()?.post_json(&path, &body, &request_id()?).await?;
        if self.json {
            print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()))?;
        }
        Ok(bytes)
    }

    fn say(&self, text: &str) -> Outcome {
        if self.json { Ok(()) } else { print(&format!("{text}\n")) }
    }
}

impl Place {
    fn body(&self) -> Outcome<Json> {
        let mut body = object!({});
        if let Some(target) = &self.target {
            body["target"] = target.as_str().into();
        }
        if let Some(password) = self.account.backup_password()? {
            body["password"] = password.into();
        }
        Ok(body)
    }

    /// Asks, and prints the answer where it is wanted as it is.
    async fn ask(&self, operation: &str, body: &Json) -> Outcome<Answered> {
        let path = format!("/api/v1/backups/{operation}");
        let bytes = self.account.client()?.post_json(&path, body, &request_id()?).await?;
        if self.json {
            print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()))?;
        }
        json(&bytes)
    }
}

#[derive(serde::Deserialize)]
struct Answered {
    #[serde(default)]
    backups: Vec<BackupFacts>,
    #[serde(default)]
    removed: Vec<BackupFacts>,
}

async fn list(place: &Place) -> Outcome {
    let answered = place.ask("list", &place.body()?).await?;
    if place.json {
        return Ok(());
    }
    print(&lines(&answered.backups))
}

async fn verify(place: &Place) -> Outcome {
    let answered = place.ask("verify", &place.body()?).await?;
    if !place.json {
        print(&lines(&answered.backups))?;
    }
    let bad: Vec<&str> =
        answered.backups.iter().filter(|b| b.state != "ok").map(|b| b.name.as_str()).collect();
    if bad.is_empty() {
        return Ok(());
    }
    let total = answered.backups.len();
    Err(Failure::Different(format!(
        "{} of {total} backups are not good: {}",
        bad.len(),
        bad.join(", ")
    )))
}

async fn prune(args: &Prune) -> Outcome {
    let mut body = args.place.body()?;
    for (key, value) in [
        ("last", args.last),
        ("daily", args.daily),
        ("weekly", args.weekly),
        ("monthly", args.monthly),
        ("within_days", args.within_days),
    ] {
        body[key] = value.into();
    }
    body["dry_run"] = args.dry_run.into();
    let answered = args.place.ask("prune", &body).await?;
    if args.place.json {
        return Ok(());
    }
    let word = if args.dry_run { "would remove" } else { "removed" };
    print(&format!("{word} {}\n{}", answered.removed.len(), lines(&answered.removed)))
}

fn lines(backups: &[BackupFacts]) -> String {
    let line = |b: &BackupFacts| {
        let database = b.database.as_deref().unwrap_or("?");
        let version = b.version.map_or("?".to_owned(), |v| v.to_string());
        let created = b.created.as_deref().unwrap_or("?");
        let sampled = b.sampled.map(|(read, of)| format!(" by {read} of {of} objects"));
        let verified = b
            .verified
            .as_ref()
            .map_or(String::new(), |v| format!(", verified {v}{}", sampled.unwrap_or_default()));
        let detail = b.detail.as_ref().map_or(String::new(), |d| format!("\n    {d}"));
        // Names in a folder are given by whoever writes there.
        visible(&format!(
            "{:10} {}: {database} version {version} of {created}, {} bytes{verified}{detail}\n",
            b.state, b.place, b.bytes
        ))
    };
    backups.iter().map(line).collect()
}

async fn test(args: &Test) -> Outcome {
    let body = object!({ "target": args.target });
    let client = args.account.client()?;
    let bytes = client.post_json("/api/v1/backups/test", &body, &request_id()?).await?;
    let report: ProbeReport = json(&bytes)?;
    if args.json {
        print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()))?;
    } else {
        for check in &report.checks {
            let word = match (check.ok, check.needed) {
                (true, _) => "ok",
                (false, true) => "FAILED",
                (false, false) => "no",
            };
            print(&format!("{word:6} {}: {}\n", check.name, check.detail))?;
        }
    }
    if report.usable {
        return Ok(());
    }
    Err(Failure::Refused(format!("backups should not be kept at {}", report.target)))
}
