//! `evercube user`, `admin`, `token`, `firewall`: who may come in.

use std::path::PathBuf;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::{Value as Json, json};

use super::credentials::Account;
use crate::client::{percent_encode, request_id, secret_of};
use crate::failure::Outcome;
use crate::output::print;

/// List, add and remove the users that sign in with a password
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube user add --server http://127.0.0.1:8383 ann")]
pub struct Users {
    #[command(subcommand)]
    action: Action<AddUser>,
}

/// List, add and remove the administrators
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube admin add --server http://127.0.0.1:8383 ann\n\n\
    Remove takes the rights away and leaves the user.")]
pub struct Admins {
    #[command(subcommand)]
    action: Action<AddUser>,
}

/// List, add and remove the tokens that programs use instead of a password
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube token add --server http://127.0.0.1:8383 nightly --for-user ann --days 90"
)]
pub struct Tokens {
    #[command(subcommand)]
    action: Action<AddToken>,
}

/// List, add and remove the addresses clients may come from; without any: from anywhere
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube firewall add --server http://127.0.0.1:8383 office 10.1.0.0 10.1.255.255"
)]
pub struct Firewall {
    #[command(subcommand)]
    action: Action<AddRule>,
}

#[derive(Debug, clap::Subcommand)]
enum Action<A: clap::Args> {
    /// Show what there is
    List(List),
    /// Add one
    Add(A),
    /// Remove one
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    pub account: Account,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
struct Remove {
    #[command(flatten)]
    account: Account,
    /// Its name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct AddUser {
    #[command(flatten)]
    account: Account,
    /// Name to sign in with
    name: String,
    /// File that holds the new password; without it one is drawn and printed
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct AddToken {
    #[command(flatten)]
    account: Account,
    /// Name of the token
    name: String,
    /// User the token stands for; without it the one who asks
    #[arg(long, value_name = "NAME")]
    for_user: Option<String>,
    /// Days after which it counts no more
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct AddRule {
    #[command(flatten)]
    account: Account,
    /// Name of the rule
    name: String,
    /// First address
    first: String,
    /// Last address; without it the first one alone
    last: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn users(args: &Users) -> Outcome {
    match &args.action {
        Action::List(args) => list(args, "users").await,
        Action::Add(args) => add_user(args, "users").await,
        Action::Remove(args) => remove(args, "users").await,
    }
}

pub async fn admins(args: &Admins) -> Outcome {
    match &args.action {
        Action::List(args) => list(args, "admins").await,
        Action::Add(args) => add_user(args, "admins").await,
        Action::Remove(args) => remove(args, "admins").await,
    }
}

pub async fn tokens(args: &Tokens) -> Outcome {
    match &args.action {
        Action::List(args) => list(args, "tokens").await,
        Action::Add(args) => {
            let body = json!({ "name": args.name, "user": args.for_user, "days": args.days });
            add(&args.account, "tokens", &body, args.json).await
        }
        Action::Remove(args) => remove(args, "tokens").await,
    }
}

pub async fn firewall(args: &Firewall) -> Outcome {
    match &args.action {
        Action::List(args) => list(args, "firewall").await,
        Action::Add(args) => {
            let body = json!({ "name": args.name, "first": args.first, "last": args.last });
            add(&args.account, "firewall", &body, args.json).await
        }
        Action::Remove(args) => remove(args, "firewall").await,
    }
}

async fn add_user(args: &AddUser, what: &str) -> Outcome {
    let password = args.new_password_file.as_deref().map(secret_of).transpose()?;
    let body = json!({ "name": args.name, "password": password });
    add(&args.account, what, &body, args.json).await
}

async fn add(account: &Account, what: &str, body: &Json, as_json: bool) -> Outcome {
    let path = format!("/api/v1/{what}");
    let bytes = account.client()?.post_json(&path, body, &request_id()?).await?;
    let made: Json = crate::client::json(&bytes)?;
    if as_json {
        return print(&format!("{made}\n"));
    }
    let name = made["name"].as_str().unwrap_or_default();
    match made["secret"].as_str() {
        Some(secret) => print(&format!("added '{name}'; its secret, shown this once: {secret}\n")),
        None => print(&format!("added '{name}'\n")),
    }
}

async fn remove(args: &Remove, what: &str) -> Outcome {
    let path = format!("/api/v1/{what}/{}", percent_encode(&args.name));
    let bytes = args.account.client()?.delete(&path, &request_id()?).await?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    print(&format!("removed '{}'\n", args.name))
}

/// Prints everything of a kind.
pub(super) async fn list(args: &List, what: &str) -> Outcome {
    let bytes = args.account.client()?.get(&format!("/api/v1/{what}")).await?;
    let found: Json = crate::client::json(&bytes)?;
    if args.json {
        return print(&format!("{found}\n"));
    }
    let rows = found.as_object().and_then(|o| o.values().next()).and_then(Json::as_array);
    if rows.is_none_or(Vec::is_empty) {
        return print("there are none\n");
    }
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    for (i, row) in rows.into_iter().flatten().filter_map(Json::as_object).enumerate() {
        if i == 0 {
            table.set_header(row.keys());
        }
        table.add_row(row.values().map(|v| match v {
            Json::String(text) => text.clone(),
            Json::Null => String::new(),
            other => other.to_string(),
        }));
    }
    print(&format!("{table}\n"))
}
