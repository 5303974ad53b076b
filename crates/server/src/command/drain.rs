//! `evercube drain`: a server is emptied before it is stopped.

use serde_json::json;

use super::{credentials::Account, report};
use crate::client::request_id;
use crate::failure::Outcome;

/// Empty a server before it is stopped: writes, leadership and clients go elsewhere
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube drain --server http://127.0.0.1:8400 north-1")]
pub struct Drain {
    #[command(flatten)]
    account: Account,
    /// Name of the server to empty
    name: String,
    /// Let the server take work again
    #[arg(long)]
    end: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Drain) -> Outcome {
    let body = json!({ "server": args.name, "end": args.end });
    let client = args.account.client()?;
    let answer = client.post_json("/api/v1/drain", &body, &request_id()?).await?;
    report::show(&answer, args.json)
}
