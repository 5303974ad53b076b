//! `evercube promote`: a server goes on alone, by a human's word.

use serde_json::json;

use super::{credentials::Account, report};
use crate::client::{percent_encode, request_id};
use crate::failure::{Failure, Outcome};

/// Make a server go on alone where no majority can be had any more, as after the loss of a region;
/// or make a standby of another group's database take writes
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  evercube promote --server http://127.0.0.1:8402 --accept-loss\n  \
    evercube promote --server http://127.0.0.1:8500 Sales\n\n\
    The server starts a new history with what it holds. What the others acknowledged\n\
    without it is lost, and they can never write into the new history."
)]
pub struct Promote {
    #[command(flatten)]
    account: Account,
    /// A database that follows one of another group; it takes writes then
    database: Option<String>,
    /// Say that what this server does not hold may be lost
    #[arg(long)]
    accept_loss: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Promote) -> Outcome {
    if let Some(database) = &args.database {
        let path = format!("/api/v1/databases/{}/promote", percent_encode(database));
        let client = args.account.client()?;
        let answer = client.post_json(&path, &json!({}), &request_id()?).await?;
        return report::show(&answer, args.json);
    }
    if !args.accept_loss {
        let why = "promote gives up what the other servers acknowledged without this one: add --accept-loss to say so";
        return Err(Failure::Usage(why.into()));
    }
    let body = json!({ "accept_loss": true });
    let client = args.account.client()?;
    let answer = client.post_json("/api/v1/promote", &body, &request_id()?).await?;
    report::show(&answer, args.json)
}
