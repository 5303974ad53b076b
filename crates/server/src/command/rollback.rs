//! `evercube rollback`: an earlier version of a database becomes the newest again.

use evercube_service::history::VersionFacts;
use serde_json::json as object;

use super::WriteAnswer;
use super::credentials::Account;
use crate::client::{json, percent_encode, request_id};
use crate::failure::Outcome;
use crate::output::print;

/// Undo a deployment or refresh: go back to an earlier version, or list those that are kept
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
#[command(after_help = "Example:\n  evercube rollback --server http://127.0.0.1:8383 Sales\n  \
    evercube rollback --server http://127.0.0.1:8383 Sales 1042")]
pub struct Rollback {
    #[command(flatten)]
    account: Account,
    /// Name of the database; one that was dropped comes back
    database: String,
    /// Version number, or a time such as 2026-01-31T12:00:00 (UTC); without it the versions are listed
    #[arg(id = "to", value_name = "VERSION")]
    version: Option<String>,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Deserialize)]
struct Listed {
    versions: Vec<VersionFacts>,
}

pub async fn run(args: &Rollback) -> Outcome {
    let database = percent_encode(&args.database);
    let client = args.account.client()?;
    if let Some(version) = &args.version {
        let path = format!("/api/v1/databases/{database}/rollback");
        let body = object!({ "version": version });
        let done: WriteAnswer = json(&client.post_json(&path, &body, &request_id()?).await?)?;
        return print(&format!(
            "'{}' is as it was at {version}, as version {}\n",
            args.database, done.seq
        ));
    }
    let bytes = client.get(&format!("/api/v1/databases/{database}/versions")).await?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    let listed: Listed = json(&bytes)?;
    for v in &listed.versions {
        let mark = if v.current { " (current)" } else { "" };
        print(&format!("{} {}{mark}\n", v.version, v.time))?;
    }
    Ok(())
}
