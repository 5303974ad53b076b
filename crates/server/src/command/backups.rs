//! `evercube backups`: the places backups are kept in, and what is there.

use evercube_service::backup::ProbeReport;
use serde_json::json as object;

use super::credentials::Account;
use crate::client::{json, request_id};
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Test a place for backups
#[derive(Debug, clap::Args)]
pub struct Backups {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Debug, clap::Subcommand)]
enum Operation {
    Test(Test),
}

/// Test whether a target can keep backups: reading, writing, races, permissions
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube backups test --server http://127.0.0.1:8383 \
    s3://my-bucket/evercube/")]
struct Test {
    #[command(flatten)]
    account: Account,
    /// The folder, bucket or container with its prefix, or NAME: of a target in the settings
    target: String,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Backups) -> Outcome {
    match &args.operation {
        Operation::Test(args) => test(args).await,
    }
}

async fn test(args: &Test) -> Outcome {
    let body = object!({ "target": args.target });
    let client = args.account.client()?;
    let bytes = client.post_json("/api/v1/backups/test", &body, &request_id()?).await?;
    let report: ProbeReport = json(&bytes)?;
    if args.json {
        print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()))?;
    } else {
        for check in &report.checks {
            let word = match (check.ok, check.needed) {
                (true, _) => "ok",
                (false, true) => "FAILED",
                (false, false) => "no",
            };
            print(&format!("{word:6} {}: {}\n", check.name, check.detail))?;
        }
    }
    if report.usable {
        return Ok(());
    }
    Err(Failure::Refused(format!("backups should not be kept at {}", report.target)))
}
