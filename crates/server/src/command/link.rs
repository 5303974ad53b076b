//! `evercube link`: where the aliases by which clients find a server lead.

use serde_json::json;

use super::access::{List, list};
use super::credentials::Account;
use super::report;
use crate::client::{percent_encode, request_id};
use crate::failure::Outcome;

/// Say where the aliases link://HOST/link/NAME lead, which clients keep when a group takes over
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube link set --server http://127.0.0.1:8500 sales https://a.example:8443 --database Sales\n\n\
    A link that nobody set leads to the group it is asked at."
)]
pub struct Links {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show where links lead
    List(List),
    /// Make a link lead somewhere
    Set(Set),
    /// Make a link lead to the group it is asked at
    Remove(Remove),
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

#[derive(Debug, clap::Args)]
struct Remove {
    #[command(flatten)]
    account: Account,
    /// Name of the link
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Links) -> Outcome {
    match &args.action {
        Action::List(args) => list(args, "links").await,
        Action::Set(args) => {
            let body =
                json!({ "name": args.name, "target": args.target, "database": args.database });
            let client = args.account.client()?;
            let answer = client.post_json("/api/v1/links", &body, &request_id()?).await?;
            report::show(&answer, args.json)
        }
        Action::Remove(args) => {
            let path = format!("/api/v1/links/{}", percent_encode(&args.name));
            let answer = args.account.client()?.delete(&path, &request_id()?).await?;
            report::show(&answer, args.json)
        }
    }
}
