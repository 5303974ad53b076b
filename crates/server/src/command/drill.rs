//! `evercube drill`: a disaster on purpose, and what clients saw of it.

use serde_json::json;

use super::{credentials::Account, report};
use crate::client::request_id;
use crate::failure::Outcome;

/// Kill a server, or all of a region, as with kill -9, and measure how long clients wait
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube drill --server http://127.0.0.1:8400 --kill north\n\n\
    The servers come back by themselves after --seconds. A drill after which the group\n\
    could not go on is refused."
)]
pub struct Drill {
    #[command(flatten)]
    account: Account,
    /// Server or region to kill
    #[arg(long, value_name = "REGION|SERVER")]
    kill: String,
    /// How long the servers stay away
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    seconds: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Drill) -> Outcome {
    let body = json!({ "kill": args.kill, "seconds": args.seconds });
    let client = args.account.client()?;
    let answer = client.post_json("/api/v1/drill", &body, &request_id()?).await?;
    report::show(&answer, args.json)
}
