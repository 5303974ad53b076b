//! `evercube status`: what every server of the group is doing.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use evercube_service::status::{DatabaseStatus, Status as Report};

use super::credentials::Account;
use super::encryption;
use crate::client::json;
use crate::failure::Outcome;
use crate::output::print;

/// Show the servers of the group and the databases they hold
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube status --server http://127.0.0.1:8383 --json")]
pub struct Status {
    #[command(flatten)]
    account: Account,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Status) -> Outcome {
    let bytes = args.account.client()?.get("/api/v1/status").await?;
    let report: Report = json(&bytes)?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    print(&text(&report))
}

fn text(report: &Report) -> String {
    let leader = report.leader.as_deref().unwrap_or("none");
    let quorum = if report.quorum { "yes" } else { "no" };
    let mut out = format!("group {}, leader {leader}, quorum {quorum}", report.cluster);
    if !report.seen_by.is_empty() {
        out.push_str(&format!(", {}", seen(&report.seen_by, report.last_contact_ms)));
    }
    out.push('\n');
    for domain in &report.degraded {
        out.push_str(&format!("DEGRADED: going on without {domain}\n"));
    }
    for difference in &report.drift {
        out.push_str(&format!("DRIFT: {difference}\n"));
    }
    for clock in &report.clocks {
        out.push_str(&format!("CLOCK: {clock}\n"));
    }
    for s in &report.servers {
        if let Some(why) = &s.error {
            out.push_str(&format!("FENCED: {}: {why}\n", s.name));
        }
        for difference in &s.agreement.diverged {
            out.push_str(&format!("DIVERGED on {}: {difference}\n", s.name));
        }
        if let Some(e) = &s.encryption {
            out.push_str(&format!("encrypted on {}: {}\n", s.name, encryption::text(e)));
        }
        if let Some(why) = &s.files.refuses {
            out.push_str(&format!("DISK of {}: it takes no files: {why}\n", s.name));
        }
        for damage in &s.files.open {
            out.push_str(&format!("DAMAGED on {}: {damage}\n", s.name));
        }
        if let Some(healed) = &s.files.last_healed {
            let count = match s.files.healed {
                1 => "one file".to_owned(),
                n => format!("{n} files, the last one"),
            };
            out.push_str(&format!("healed on {}: {count}: {healed}\n", s.name));
        }
    }
    for (server, d) in report.servers.iter().flat_map(|s| s.databases.iter().map(move |d| (s, d))) {
        if let Some(e) = &d.standby_error {
            out.push_str(&format!(
                "{} is not kept up in the other group ({}): {e}\n",
                d.name, server.name
            ));
        }
    }
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["server", "region", "kind", "address", "state", "applied", "databases"]);
    for s in &report.servers {
        let databases = s.databases.iter().map(|d| {
            let version = d.version.map_or("none".into(), |v| v.to_string());
            let version = format!("{version}{}", kept(d));
            match (&d.error, d.ready) {
                (Some(e), _) => format!("{} {version}: {e}", d.name),
                (None, true) => format!("{} {version}", d.name),
                (None, false) => format!("{} {version} (not ready)", d.name),
            }
        });
        table.add_row([
            s.name.clone(),
            s.region.clone(),
            s.kind.clone(),
            s.address.clone(),
            s.state.clone(),
            s.applied_seq.map_or(String::new(), |n| n.to_string()),
            databases.collect::<Vec<_>>().join("\n"),
        ]);
    }
    out.push_str(&format!("{table}\n"));
    out
}

/// Who says so, and how old that is.
fn seen(by: &str, last_contact_ms: Option<u64>) -> String {
    match last_contact_ms {
        Some(ms) => format!("as {by} heard {}.{} s ago", ms / 1000, ms % 1000 / 100),
        None => format!("as {by} sees it, which has heard nobody yet"),
    }
}

/// How a database is kept, where that is not the usual way.
fn kept(d: &DatabaseStatus) -> String {
    let words = [(&d.sync_mode, "replicate"), (&d.policy, "available")];
    let told = words.iter().filter(|(word, usual)| !word.is_empty() && word != usual);
    let mut text: String = told.map(|(word, _)| format!(", {word}")).collect();
    if let Some(s) = &d.standby {
        let age = s.stale_ms.map_or_else(|| "?".into(), |ms| format!("{} s", ms / 1000));
        let held = s.version.map_or_else(|| "nothing".into(), |v| v.to_string());
        let proved = if s.verified { "verified" } else { "NOT VERIFIED" };
        text.push_str(&format!(", standby: version {held} of {}, {proved}, {age} old", s.group));
    }
    text
}
