//! `evercube audit`: the log of who did what.

use evercube_service::audit::AuditReport;

use super::credentials::Account;
use crate::client::json;
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Prove that the audit logs of all servers are what was written
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube audit verify --server http://127.0.0.1:8383\n\n\
    Every server keeps its log in DATA/audit; exit status 4 when one is not what was written.")]
pub struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Read every record again, on every server; exit status 4 for a difference
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    account: Account,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Audit) -> Outcome {
    let Action::Verify(args) = &args.action;
    let bytes = args.account.client()?.get("/api/v1/audit/verify").await?;
    let report: AuditReport = json(&bytes)?;
    if args.json {
        print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()))?;
    } else {
        print(&text(&report))?;
    }
    match report.servers.iter().find(|s| !s.problems.is_empty()) {
        None => Ok(()),
        Some(server) => Err(Failure::Different(format!(
            "the audit log of '{}' is not what was written: {}",
            server.server,
            server.problems.join("; ")
        ))),
    }
}

fn text(report: &AuditReport) -> String {
    let mut out = String::new();
    for s in &report.servers {
        out.push_str(&format!(
            "{} ({}): {} records in {} files, {} bytes\n",
            s.server, s.region, s.records, s.files, s.bytes
        ));
        for problem in &s.problems {
            out.push_str(&format!("  {problem}\n"));
        }
    }
    out.push_str(if report.same { "every record is as it was written\n" } else { "DIFFERENT\n" });
    out
}
