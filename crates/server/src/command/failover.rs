//! `evercube failover` and `failback`: writes move to another server, and back.

use serde_json::json;

use super::{credentials::Account, report};
use crate::client::request_id;
use crate::failure::Outcome;

/// Move the writes of a database, or of all, to another server or region
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube failover --server http://127.0.0.1:8400 --to west-1\n  \
    evercube failover --server http://127.0.0.1:8400 Sales --to west"
)]
pub struct Failover {
    #[command(flatten)]
    account: Account,
    /// Name of the database; without it all writes and the leadership move
    database: Option<String>,
    /// Server or region to move to
    #[arg(long, value_name = "SERVER|REGION")]
    to: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Give writes that were moved back to the servers that took them before
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube failback --server http://127.0.0.1:8400")]
pub struct Failback {
    #[command(flatten)]
    account: Account,
    /// Name of the database; without it everything that was moved goes back
    database: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn failover(args: &Failover) -> Outcome {
    let body = json!({ "database": args.database, "to": args.to });
    let client = args.account.client()?;
    let answer = client.post_json("/api/v1/failover", &body, &request_id()?).await?;
    report::show(&answer, args.json)
}

pub async fn failback(args: &Failback) -> Outcome {
    let body = json!({ "database": args.database });
    let client = args.account.client()?;
    let answer = client.post_json("/api/v1/failback", &body, &request_id()?).await?;
    report::show(&answer, args.json)
}
