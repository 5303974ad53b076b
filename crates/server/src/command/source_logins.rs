//! `evercube credentials`: what servers log in to data sources with.

use std::path::PathBuf;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use evercube_service::logins::LoginRow;
use serde::Deserialize;
use serde_json::json;

use super::access::List;
use super::credentials::Account;
use crate::client::{json, request_id, secret_of};
use crate::failure::Outcome;
use crate::output::print;

/// List, add and remove what servers log in to data sources with
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube credentials add --server http://127.0.0.1:8383 PostgreSQL 'db.example.com;sales' --username etl --secret-file password"
)]
pub struct Credentials {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the sources and users; never passwords
    List(List),
    /// Add one, or replace it
    Add(Add),
    /// Remove one
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
struct Source {
    /// Kind of the source: PostgreSQL
    kind: String,
    /// SERVER or SERVER;DATABASE
    path: String,
    /// Database whose model may use it [default: every database]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    source: Source,
    /// User to log in as [default: the one the model names]
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// File that holds the password
    #[arg(long, value_name = "FILE", required_unless_present = "certificate_file")]
    secret_file: Option<PathBuf>,
    /// File with a certificate in PEM, for a server that knows its clients by theirs
    #[arg(long, value_name = "FILE", requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// File with the key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    key_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Remove {
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    source: Source,
}

#[derive(Deserialize)]
struct Rows {
    credentials: Vec<LoginRow>,
}

#[derive(Deserialize)]
struct Done {
    source: String,
}

pub async fn run(args: &Credentials) -> Outcome {
    match &args.action {
        Action::List(args) => list(args).await,
        Action::Add(args) => {
            let Source { kind, path, database } = &args.source;
            let mut body = json!({
                "kind": kind, "path": path, "database": database, "username": args.username,
            });
            for (part, file) in [
                ("password", &args.secret_file),
                ("certificate", &args.certificate_file),
                ("key", &args.key_file),
            ] {
                if let Some(file) = file {
                    body[part] = secret_of(file)?.into();
                }
            }
            let client = args.account.client()?;
            let done = client.post_json("/api/v1/credentials", &body, &request_id()?).await?;
            print(&format!("kept for {}\n", json::<Done>(&done)?.source))
        }
        Action::Remove(args) => {
            let Source { kind, path, database } = &args.source;
            let body = json!({ "kind": kind, "path": path, "database": database });
            let client = args.account.client()?;
            let done =
                client.post_json("/api/v1/credentials/remove", &body, &request_id()?).await?;
            print(&format!("removed for {}\n", json::<Done>(&done)?.source))
        }
    }
}

async fn list(args: &List) -> Outcome {
    let bytes = args.account.client()?.get("/api/v1/credentials").await?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    let rows: Rows = json(&bytes)?;
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["source", "database", "user"]);
    for row in rows.credentials {
        let database = row.database.unwrap_or_else(|| "every one".into());
        table.add_row([row.source, database, row.user.unwrap_or_default()]);
    }
    print(&format!("{table}\n"))
}
