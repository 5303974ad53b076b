//! `evercube sync-mode`: how servers keep a database the same.

use std::path::PathBuf;

use evercube_service::operations::SyncRequest;
use serde_json::json;

use super::{credentials::Account, report};
use crate::client::{percent_encode, request_id, secret_of};
use crate::failure::{Failure, Outcome};

/// Say how servers keep a database the same
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube sync-mode --server http://127.0.0.1:8400 Sales parallel"
)]
pub struct SyncMode {
    #[command(flatten)]
    account: Account,
    /// Name of the database
    database: String,
    /// replicate: one server reads the sources and ships; parallel: all read, and what they read is
    /// compared; standby: as replicate, and another group restores backups
    #[arg(value_parser = ["replicate", "parallel", "standby"])]
    mode: String,
    /// With parallel, what becomes of a difference: what most servers read is taken, or the refresh
    /// is refused
    #[arg(long, value_name = "repair|refuse", value_parser = ["repair", "refuse"])]
    on_difference: Option<String>,
    /// Base URL of another group: with standby the one that restores; with parallel one that reads
    /// the sources at the same time, too
    #[arg(long, value_name = "URL", required_if_eq("mode", "standby"))]
    to: Option<String>,
    /// File with an API token of the other group; not needed under --no-auth
    #[arg(long, value_name = "FILE")]
    to_token_file: Option<PathBuf>,
    /// Folder for backups that both groups reach: for standby, and for the repair of differences
    /// to another group
    #[arg(long, value_name = "TARGET", required_if_eq("mode", "standby"))]
    target: Option<String>,
    /// With standby: how often, as 30s, 15m or 1h [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    every: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &SyncMode) -> Outcome {
    let request = SyncRequest {
        mode: args.mode.clone(),
        on_difference: args.on_difference.clone(),
        to: args.to.clone(),
        token: args.to_token_file.as_deref().map(secret_of).transpose()?,
        target: args.target.clone(),
        every_seconds: args.every,
    };
    let every = (args.every.is_some() && args.mode != "standby").then_some("--every");
    if let Some(option) = request.unused().into_iter().chain(every).next() {
        return Err(Failure::Usage(format!("the mode {} has no use for {option}", args.mode)));
    }
    let path = format!("/api/v1/databases/{}/sync-mode", percent_encode(&args.database));
    let body = json!({
        "mode": request.mode, "on_difference": request.on_difference, "to": request.to,
        "token": request.token, "target": request.target, "every_seconds": request.every_seconds,
    });
    let answer = args.account.client()?.post_json(&path, &body, &request_id()?).await?;
    report::show(&answer, args.json)
}

/// `30s`, `15m`, `1h`, or seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.trim_end().strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.trim_end().chars().last()),
        None => (text, None),
    };
    let unit = match unit {
        Some('m') => 60,
        Some('h') => 3600,
        _ => 1,
    };
    let number: u64 = number.trim().parse().map_err(|_| "write it as 30s, 15m or 1h".to_owned())?;
    number
        .checked_mul(unit)
        .filter(|n| *n > 0)
        .ok_or_else(|| "write it as 30s, 15m or 1h".to_owned())
}
