//! `evercube verify`: whether all servers hold the same.

use evercube_service::verify::{ServerProof, VerifyReport};

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
    /// Also decode every partition again, compare its values, and ask probe queries everywhere
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
    match report.difference {
        Some(what) => Err(Failure::Different(format!("'{}' differs: {what}", report.database))),
        None => Err(Failure::Refused(format!(
            "'{}' was not verified everywhere: {} did not answer; the other servers hold the same",
            report.database,
            report.unreachable.join(", ")
        ))),
    }
}

fn text(report: &VerifyReport) -> String {
    let mut out = format!("{} version {} root {}\n", report.database, report.seq, report.root);
    for s in &report.servers {
        let root = s.root.as_deref().unwrap_or("no root");
        out.push_str(&format!(
            "  {} ({}): {root}, {} objects, {} bytes{}\n",
            s.server,
            s.region,
            s.objects,
            s.bytes,
            deep(s)
        ));
        if !s.answered {
            s.problems.iter().for_each(|p| out.push_str(&format!("    {p}\n")));
        }
    }
    for difference in &report.differences {
        out.push_str(&format!("  {difference}\n"));
    }
    for difference in &report.drift {
        out.push_str(&format!("  the servers were told different things: {difference}\n"));
    }
    out.push_str(match (report.same, report.differences.is_empty()) {
        (true, _) => "all servers hold the same\n",
        (false, true) => "NOT COMPLETE\n",
        (false, false) => "DIFFERENT\n",
    });
    out
}

fn deep(s: &ServerProof) -> String {
    match (s.checksums.len(), s.probes.len()) {
        (0, 0) => String::new(),
        (partitions, probes) => {
            format!(", {partitions} partitions decoded, {probes} probe queries")
        }
    }
}
