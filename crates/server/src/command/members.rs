//! `evercube members` and `replicas`: who belongs to the group.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use evercube_service::operations::MemberRow;
use serde::Deserialize;
use serde_json::json as object;

use super::access::List;
use super::{credentials::Account, report};
use crate::client::{json, percent_encode, request_id};
use crate::failure::Outcome;
use crate::output::print;

/// List the members of the group, take servers in and out
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube members remove --server http://127.0.0.1:8400 north-1"
)]
pub struct Members {
    #[command(subcommand)]
    action: Action,
}

/// List the query replicas of the group, take servers in and out
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube replicas list --server http://127.0.0.1:8400 --json")]
pub struct Replicas {
    #[command(subcommand)]
    action: ReplicaAction,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the members
    List(List),
    /// Make a learner or replica a voting member; one that is not there yet is refused, with how to start it
    Add(Add),
    /// Take a member out, after writes, leadership and clients have left it
    Remove(Remove),
}

#[derive(Debug, clap::Subcommand)]
enum ReplicaAction {
    /// Show the replicas and learners
    List(List),
    /// Make a server a replica, which does not vote; one that is not there yet is refused, with how to start it
    Add(Named),
    /// Take a replica out, after clients have left it
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
struct Named {
    #[command(flatten)]
    account: Account,
    /// Name of the server
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    named: Named,
    /// data, witness, learner or replica
    #[arg(long, value_name = "KIND", default_value = "data")]
    kind: String,
}

type Remove = Named;

#[derive(Deserialize)]
struct Answer {
    members: Vec<MemberRow>,
}

/// The members that only read.
const READERS: &str = "?kind=replica&kind=learner";

pub async fn members(args: &Members) -> Outcome {
    match &args.action {
        Action::List(args) => list(args, "").await,
        Action::Add(args) => add(&args.named, &args.kind).await,
        Action::Remove(args) => remove(args, "").await,
    }
}

pub async fn replicas(args: &Replicas) -> Outcome {
    match &args.action {
        ReplicaAction::List(args) => list(args, READERS).await,
        ReplicaAction::Add(args) => add(args, "replica").await,
        ReplicaAction::Remove(args) => remove(args, READERS).await,
    }
}

async fn list(args: &List, which: &str) -> Outcome {
    let bytes = args.account.client()?.get(&format!("/api/v1/members{which}")).await?;
    let answer: Answer = json(&bytes)?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["server", "region", "kind", "address", "peers", "state"]);
    for m in answer.members {
        table.add_row([m.name, m.region, m.kind, m.address, m.peer_address, m.state]);
    }
    print(&format!("{table}\n"))
}

async fn add(args: &Named, kind: &str) -> Outcome {
    let body = object!({ "name": args.name, "kind": kind });
    let client = args.account.client()?;
    let answer = client.post_json("/api/v1/members", &body, &request_id()?).await?;
    report::show(&answer, args.json)
}

async fn remove(args: &Remove, which: &str) -> Outcome {
    let path = format!("/api/v1/members/{}{which}", percent_encode(&args.name));
    let answer = args.account.client()?.delete(&path, &request_id()?).await?;
    report::show(&answer, args.json)
}
