//! `evercube verify`: whether all servers hold the same.

use evercube_service::verify::VerifyReport;

use super::credentials::Account;
use crate::client::{json, percent_encode};
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Compare a database on all servers; exit status 4 when they differ
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube verify --server http://127.0.0.1:8383 Sales --deep")]
pub struct Verify {
    #[command(flatten)]
    account: Account,
    /// Name of the database
    database: String,
    /// Also compare the values in memory
    #[arg(long)]
    deep: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Verify) -> Outcome {
    let database = percent_encode(&args.database);
    let path = format!("/api/v1/databases/{database}/verify?deep={}", args.deep);
    let bytes = args.account.client()?.get(&path).await?;
    let report: VerifyReport = json(&bytes)?;
    if args.json {
        print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()))?;
    } else {
        print(&text(&report))?;
    }
    if report.same {
        return Ok(());
    }
    let what = report.difference.unwrap_or_else(|| "the servers do not agree".into());
    Err(Failure::Different(format!("'{}' differs: {what}", report.database)))
}

fn text(report: &VerifyReport) -> String {
    let mut out = format!("{} version {} root {}\n", report.database, report.seq, report.root);
    for s in &report.servers {
        let root = s.root.as_deref().unwrap_or("no root");
        out.push_str(&format!(
            "  {} ({}): {root}, {} objects, {} bytes\n",
            s.server, s.region, s.objects, s.bytes
        ));
        for problem in &s.problems {
            out.push_str(&format!("    {problem}\n"));
        }
    }
    out.push_str(if report.same { "all servers hold the same\n" } else { "DIFFERENT\n" });
    out
}
