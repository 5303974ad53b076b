//! `evercube refresh`: data is read again from its sources.

use std::io::IsTerminal as _;
use std::time::Duration;

use evercube_service::refresh::parallel::ServerReading;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::json as object;

use super::{WriteAnswer, credentials::Account};
use crate::client::{Client, json, percent_encode, request_id};
use crate::failure::Outcome;
use crate::output::print;

/// Refresh a database, a table or a partition; returns once committed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube refresh --server http://127.0.0.1:8383 Sales \
    --table Orders --partition 2024")]
pub struct Refresh {
    #[command(flatten)]
    account: Account,
    /// Name of the database
    database: String,
    /// Refresh this table only
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Refresh this partition of the table only
    #[arg(long, value_name = "PARTITION", requires = "table")]
    partition: Option<String>,
    /// What to do: full, dataOnly, calculate, clearValues, automatic
    #[arg(long = "type", value_name = "TYPE", default_value = "full")]
    kind: String,
}

/// How far the server says it is.
#[derive(Debug, Deserialize)]
struct Progress {
    state: String,
    rows: u64,
    partitions_done: u64,
    partitions_total: u64,
    current: String,
}

const ASK_EVERY: Duration = Duration::from_millis(200);

pub async fn run(args: &Refresh) -> Outcome {
    let mut objects = Vec::new();
    if let Some(table) = &args.table {
        let mut named = object!({ "table": table });
        if let Some(partition) = &args.partition {
            named["partition"] = partition.as_str().into();
        }
        objects.push(named);
    }
    let body = object!({ "type": args.kind, "objects": objects });
    let path = format!("/api/v1/databases/{}/refresh", percent_encode(&args.database));
    let id = request_id()?;
    let client = args.account.client()?;
    let work = client.post_json(&path, &body, &id);
    let answer = if std::io::stderr().is_terminal() {
        let bar = ProgressBar::no_length();
        let answer = tokio::select! {
            answer = work => answer,
            never = follow(&client, &id, &bar) => match never {},
        };
        bar.finish_and_clear();
        answer?
    } else {
        work.await?
    };
    let answer: WriteAnswer = json(&answer)?;
    answer.warn();
    if !answer.servers.is_empty() {
        print(&readings(&answer.servers))?;
    }
    print(&format!("refreshed '{}', version {}\n", args.database, answer.seq))
}

/// What every server read, a line each.
fn readings(servers: &[ServerReading]) -> String {
    let line = |r: &ServerReading| {
        let outcome = match (&r.error, r.taken, r.same) {
            (Some(e), ..) => return format!("  {} ({}): failed: {e}\n", r.server, r.region),
            (None, true, _) => "taken",
            (None, false, true) => "the same",
            (None, false, false) => "DIFFERENT",
        };
        let (rows, partitions) = (r.rows, r.partitions.len());
        format!(
            "  {} ({}): {rows} rows of {partitions} partitions in {} ms, {outcome}\n",
            r.server, r.region, r.took_ms
        )
    };
    servers.iter().map(line).collect()
}

/// Draws the progress of `id` for as long as it is polled.
async fn follow(client: &Client, id: &str, bar: &ProgressBar) -> std::convert::Infallible {
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_bar} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let path = format!("/api/v1/operations/{}", percent_encode(id));
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        bar.tick();
        // A question that fails costs a drawing, never the refresh.
        let Ok(bytes) = client.get(&path).await else { continue };
        let Ok(p) = json::<Progress>(&bytes) else { continue };
        bar.set_length(p.partitions_total);
        bar.set_position(p.partitions_done);
        bar.set_message(format!("{} {}, {} rows", p.state, p.current, p.rows));
    }
}
