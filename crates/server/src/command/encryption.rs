//! `evercube encryption`: the keys of the servers' data folders.

use evercube_service::encryption::{EncryptionStatus, Rotated};
use evercube_service::status::Status as Report;
use serde::Deserialize;
use serde_json::json;

use super::credentials::Account;
use crate::client::{json, request_id};
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Show and rotate the keys that data folders are encrypted with
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube encryption rotate --server http://127.0.0.1:8383\n\n\
    A folder is encrypted once its server is started with encryption_key_file,\n\
    encryption_key_command or EVERCUBE_ENCRYPTION_KEY.")]
pub struct Encryption {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show which keys open the folders, and how many files are still to be encrypted
    Status(StatusArgs),
    /// Ask for the operator's keys again: exactly these open the folders from now on
    Rotate(Rotate),
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    #[command(flatten)]
    account: Account,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Rotate {
    #[command(flatten)]
    account: Account,
    /// Name of one server; all where it is left out
    #[arg(long, value_name = "SERVER")]
    on: Option<String>,
    /// Draw a new data key too, and write all files anew with it
    #[arg(long)]
    new_data_key: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Encryption) -> Outcome {
    match &args.action {
        Action::Status(args) => status(args).await,
        Action::Rotate(args) => rotate(args).await,
    }
}

async fn status(args: &StatusArgs) -> Outcome {
    let report: Report = json(&args.account.client()?.get("/api/v1/status").await?)?;
    if args.json {
        let all =
            report.servers.iter().map(|s| json!({ "server": s.name, "encryption": s.encryption }));
        return print(&format!("{}\n", json!({ "servers": all.collect::<Vec<_>>() })));
    }
    let lines = report.servers.iter().map(|s| match &s.encryption {
        Some(e) => format!("{}: {}\n", s.name, text(e)),
        None if s.state == "unreachable" => format!("{}: unreachable\n", s.name),
        None => format!("{}: not encrypted\n", s.name),
    });
    print(&lines.collect::<String>())
}

#[derive(Deserialize)]
struct Answer {
    servers: Vec<Rotated>,
}

async fn rotate(args: &Rotate) -> Outcome {
    let body = json!({ "server": args.on, "new_data_key": args.new_data_key });
    let client = args.account.client()?;
    let bytes = client.post_json("/api/v1/encryption/rotate", &body, &request_id()?).await?;
    let answer: Answer = json(&bytes)?;
    if args.json {
        print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()))?;
    } else {
        let lines = answer.servers.iter().filter(|s| s.error.is_none()).map(|s| {
            let what = s.encryption.as_ref().map_or("not encrypted".into(), text);
            format!("{}: {what}\n", s.server)
        });
        print(&lines.collect::<String>())?;
    }
    let failed = answer.servers.iter().filter_map(|s| {
        s.error.as_ref().map(|e| format!("the keys of '{}' were not rotated: {e}", s.server))
    });
    match failed.collect::<Vec<_>>().join("; ") {
        none if none.is_empty() => Ok(()),
        some => Err(Failure::Refused(some)),
    }
}

/// How a folder is encrypted, in words.
pub fn text(e: &EncryptionStatus) -> String {
    let mut out = format!("data key {}, opened by {}", e.data_key, e.opened_by.join(" or "));
    match (e.files_left, e.bytes_left) {
        (Some(0), _) => {}
        (Some(files), Some(bytes)) => {
            out.push_str(&format!(", {files} files ({} MB) still to be encrypted", bytes >> 20));
        }
        _ => out.push_str(", files not counted yet"),
    }
    if e.older_data_keys > 0 {
        out.push_str(&format!(", {} older data keys still kept", e.older_data_keys));
    }
    if !e.in_the_clear.is_empty() {
        out.push_str(&format!("; not encrypted: {}", e.in_the_clear.join(", ")));
    }
    if let Some(trouble) = &e.trouble {
        out.push_str(&format!("; TROUBLE: {trouble}"));
    }
    out
}
