//! `evercube policy`: what commits do while a failure domain is away.

use serde_json::json;

use super::{credentials::Account, report};
use crate::client::{percent_encode, request_id};
use crate::failure::Outcome;

/// Say what commits to a database do while a failure domain they need is away
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube policy --server http://127.0.0.1:8400 Sales strict")]
pub struct Policy {
    #[command(flatten)]
    account: Account,
    /// Name of the database
    database: String,
    /// strict: refuse; available: go on without it, and say so
    #[arg(value_parser = ["strict", "available"])]
    policy: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Policy) -> Outcome {
    let path = format!("/api/v1/databases/{}/policy", percent_encode(&args.database));
    let body = json!({ "policy": args.policy });
    let answer = args.account.client()?.post_json(&path, &body, &request_id()?).await?;
    report::show(&answer, args.json)
}
