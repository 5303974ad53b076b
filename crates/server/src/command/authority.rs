//! `evercube authority`: the certificate authority by which members know each other.

use serde_json::json;

use super::{credentials::Account, report};
use crate::client::request_id;
use crate::failure::Outcome;

/// Exchange the certificate authority by which the members of the group know each other
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube authority rotate --server https://10.0.0.1:8383 --ca ca.pem\n\n\
    Both authorities are trusted until every member has a certificate of the new one; nothing stops\n\
    meanwhile. Where a member is away the exchange waits; run again, it goes on from there."
)]
pub struct Authority {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a new authority, give every member a certificate of it, forget the old one
    Rotate(Rotate),
}

#[derive(Debug, clap::Args)]
struct Rotate {
    #[command(flatten)]
    account: Account,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Authority) -> Outcome {
    let Action::Rotate(args) = &args.action;
    let client = args.account.client()?;
    let answer = client.post_json("/api/v1/authority/rotate", &json!({}), &request_id()?).await?;
    report::show(&answer, args.json)
}
