//! `evercube link`: where the aliases by which clients find a server lead.

use serde_json::json;

use super::credentials::Account;
use super::named::{Named, Put, run as run_named};
use crate::failure::Outcome;

/// Say where the aliases link://HOST/link/NAME lead, which clients keep when a group takes over
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube link set --server http://127.0.0.1:8500 sales https://a.example:8443 --database Sales\n\n\
    A link that nobody set leads to the group it is asked at."
)]
pub struct Links {
    #[command(subcommand)]
    action: Named<Set>,
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    account: Account,
    /// Name of the link
    name: String,
    /// asazure://host/name, the base URL of a group (https), or here
    target: String,
    /// Standby of this group whose promotion makes the link lead here
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Links) -> Outcome {
    let put =
        |set: &'_ Set| json!({ "name": set.name, "target": set.target, "database": set.database });
    run_named(&args.action, "links", |set| {
        Ok(Put { account: &set.account, body: put(set), as_json: set.json })
    })
    .await
}
