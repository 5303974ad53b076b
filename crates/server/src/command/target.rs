//! `evercube target`: places for backups that have a name on every server of the group.

use std::collections::BTreeMap;

use serde_json::json;

use super::credentials::Account;
use super::named::{Named, Put, run as run_named};
use crate::failure::{Failure, Outcome};

/// Name places for backups on all servers, also on one that joins later
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube target set --server http://127.0.0.1:8400 offsite s3://backups/prod --setting region=eu-west-1\n\n\
    What lets a server in there stays in its own settings file, under [targets.NAME] without url,\n\
    or in its environment."
)]
pub struct Targets {
    #[command(subcommand)]
    action: Named<Set>,
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    account: Account,
    /// Name; NAME:rest is then a place below it
    name: String,
    /// Folder or URL, as s3://bucket/prefix
    url: String,
    /// Further setting: endpoint, region, allow_http, or the name of a file with a secret
    #[arg(long, value_name = "NAME=VALUE")]
    setting: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Targets) -> Outcome {
    run_named(&args.action, "targets", |set| {
        let mut settings = BTreeMap::from([("url", set.url.as_str())]);
        for one in &set.setting {
            let (name, value) = one
                .split_once('=')
                .ok_or_else(|| Failure::Usage(format!("--setting {one} is not NAME=VALUE")))?;
            settings.insert(name, value);
        }
        let body = json!({ "name": set.name, "settings": settings });
        Ok(Put { account: &set.account, body, as_json: set.json })
    })
    .await
}
