//! Listing, setting and removing what the group keeps under names.

use serde_json::Value as Json;

use super::access::{List, list};
use super::credentials::Account;
use super::report;
use crate::client::{percent_encode, request_id};
use crate::failure::Outcome;

/// What is done with things that have names.
#[derive(Debug, clap::Subcommand)]
pub enum Named<S: clap::Args> {
    /// Show what there is
    List(List),
    /// Set one
    Set(S),
    /// Remove one
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    account: Account,
    /// Its name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is set, and how the answer is printed.
pub struct Put<'a> {
    pub account: &'a Account,
    pub body: Json,
    pub as_json: bool,
}

/// Does it with what is kept below `/api/v1/` under this path.
pub async fn run<'a, S: clap::Args>(
    action: &'a Named<S>,
    path: &str,
    put: impl FnOnce(&'a S) -> Outcome<Put<'a>>,
) -> Outcome {
    match action {
        Named::List(args) => list(args, path).await,
        Named::Set(args) => {
            let Put { account, body, as_json } = put(args)?;
            let path = format!("/api/v1/{path}");
            let answer = account.client()?.post_json(&path, &body, &request_id()?).await?;
            report::show(&answer, as_json)
        }
        Named::Remove(args) => {
            let path = format!("/api/v1/{path}/{}", percent_encode(&args.name));
            let answer = args.account.client()?.delete(&path, &request_id()?).await?;
            report::show(&answer, args.json)
        }
    }
}
