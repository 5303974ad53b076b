//! `evercube audit`: the log of who did what.

use std::io::Write as _;

use evercube_service::audit::{AuditReport, Stream, each_record};
use evercube_vault::Vault;

use super::credentials::Account;
use crate::client::json;
use crate::config::{Flags, Settings};
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Prove that the audit logs of all servers are what was written, or print one
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
    /// Print the log of one server, read from its data folder: the settings say where that is
    Show(Box<Show>),
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    flags: Flags,
    /// The log of queries, not the one of changes
    #[arg(long)]
    queries: bool,
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
    match &args.action {
        Action::Verify(args) => verify(args).await,
        Action::Show(args) => show(args),
    }
}

fn show(args: &Show) -> Outcome {
    let settings =
        Settings::resolve(&args.flags, |name| std::env::var(name).ok(), 1)?.for_serve()?;
    let stream = if args.queries { Stream::Queries } else { Stream::Changes };
    let refused = |e: evercube_base::Error| Failure::Refused(e.to_string());
    let vault = Vault::open_existing(&settings.data, &settings.encryption_keys).map_err(refused)?;
    let mut out = std::io::stdout().lock();
    let mut ended = false;
    each_record(&settings.data.join("audit"), stream, vault.as_deref(), |record| {
        // Whoever reads may have had enough.
        ended = ended || writeln!(out, "{record}").is_err();
        Ok(())
    })
    .map_err(refused)
}

async fn verify(args: &Verify) -> Outcome {
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
