//! `evercube explain`: how a query would be answered.

use serde::Deserialize;
use serde_json::json as object;

use super::credentials::Account;
use super::query::QueryText;
use crate::client::{json, percent_encode, request_id};
use crate::failure::Outcome;
use crate::output::print;

/// Run a DAX query and show how it was answered
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube explain --server http://127.0.0.1:8383 Sales \
    'EVALUATE VALUES(Product[Color])'")]
pub struct Explain {
    #[command(flatten)]
    account: Account,
    /// Name of the database
    database: String,
    #[command(flatten)]
    text: QueryText,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Plan {
    plan: String,
}

pub async fn run(args: &Explain) -> Outcome {
    let path = format!("/api/v1/databases/{}/explain", percent_encode(&args.database));
    let client = args.account.client()?;
    let body = object!({ "query": args.text.read()? });
    let answer = client.post_json(&path, &body, &request_id()?).await?;
    if args.json {
        let all: serde_json::Value = json(&answer)?;
        return print(&format!("{all:#}\n"));
    }
    let answer: Plan = json(&answer)?;
    print(&format!("{}\n", answer.plan.trim_end()))
}
