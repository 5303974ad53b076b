//! `evercube limit`: limits that the group keeps for its servers.

use serde_json::json;

use super::credentials::Account;
use super::named::{Named, Put, run as run_named};
use crate::failure::Outcome;

/// Set limits of queries, requests and connections, and the hosts that models read from, for all servers
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube limit set --server http://127.0.0.1:8400 query_memory 2GB\n\n\
    What a server's own settings say comes before; 'evercube status' shows where they differ."
)]
pub struct Limits {
    #[command(subcommand)]
    action: Named<Set>,
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    account: Account,
    /// query_memory, queries_memory, query_rows, query_timeout, request_size, connections,
    /// connections_per_address or source_hosts
    name: String,
    /// As in the settings file: 2GB, 1000000, 30s; hosts with commas between
    value: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Limits) -> Outcome {
    run_named(&args.action, "limits", |set| {
        let body = json!({ "name": set.name, "value": set.value });
        Ok(Put { account: &set.account, body, as_json: set.json })
    })
    .await
}
