//! The part of the REST interface that operates the group.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, Result};
use evercube_service::call::Call;
use evercube_service::encryption::Rotation;
use evercube_service::operations::{OperationPlace, SyncRequest};
use http::{Method, StatusCode};
use serde_json::json;

use super::ServerState;
use super::answer::{Answer, answer, json_of};
use super::asked::Asked;
use super::rest::body;
use crate::tls::authority;

/// What is asked of the group.
pub enum Operation {
    Failover,
    Failback,
    Drain,
    Drill,
    Members,
    AddMember,
    RemoveMember(String),
    Policy(String),
    SyncMode(String),
    Follow(String),
    Parallel(String),
    PromoteStandby(String),
    Promote,
    RotateEncryption,
    RotateAuthority,
}

/// How long a drill keeps servers away where nothing is said, in seconds.
const DRILL_SECONDS: f64 = 3.0;

/// The operation that a path below `/api/v1` names.
pub fn operation(method: &Method, parts: &[&str]) -> Option<Operation> {
    let post = method == Method::POST;
    Some(match parts {
        ["failover"] if post => Operation::Failover,
        ["failback"] if post => Operation::Failback,
        ["drain"] if post => Operation::Drain,
        ["drill"] if post => Operation::Drill,
        ["promote"] if post => Operation::Promote,
        ["encryption", "rotate"] if post => Operation::RotateEncryption,
        ["authority", "rotate"] if post => Operation::RotateAuthority,
        ["members"] if method == Method::GET => Operation::Members,
        ["members"] if post => Operation::AddMember,
        ["members", name] if method == Method::DELETE => {
            Operation::RemoveMember((*name).to_owned())
        }
        ["databases", name, "policy"] if post => Operation::Policy((*name).to_owned()),
        ["databases", name, "follow"] if post => Operation::Follow((*name).to_owned()),
        ["databases", name, "parallel"] if post => Operation::Parallel((*name).to_owned()),
        ["databases", name, "promote"] if post => Operation::PromoteStandby((*name).to_owned()),
        ["databases", name, "sync-mode"] if post => Operation::SyncMode((*name).to_owned()),
        _ => return None,
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FailoverBody {
    database: Option<String>,
    to: String,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FailbackBody {
    database: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainBody {
    server: String,
    #[serde(default)]
    end: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DrillBody {
    kill: String,
    seconds: Option<f64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberBody {
    name: String,
    #[serde(default = "data")]
    kind: String,
}

fn data() -> String {
    "data".into()
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyBody {
    policy: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncBody {
    mode: String,
    #[serde(default)]
    on_difference: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    every_seconds: Option<u64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PromoteBody {
    accept_loss: bool,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    server: Option<String>,
    #[serde(default)]
    new_data_key: bool,
}

pub async fn run(
    state: &Arc<ServerState>,
    asked: &Asked,
    call: &Call,
    operation: Operation,
) -> Result<Answer> {
    let service = &state.service;
    let report = match operation {
        Operation::Members => {
            let kinds: Vec<String> = asked.parameters("kind").collect();
            return Ok(json_of(&json!({ "members": service.members(&kinds).await? })));
        }
        Operation::RotateAuthority => {
            let new = authority::create().map_err(|e| Error::internal(e.to_string()))?;
            service.rotate_authority(call, new).await?
        }
        Operation::Failover => {
            let given: FailoverBody = body(asked)?;
            service.failover(call, given.database.as_deref(), &given.to).await?
        }
        Operation::Failback => {
            let given: FailbackBody =
                if asked.body.is_empty() { FailbackBody::default() } else { body(asked)? };
            service.failback(call, given.database.as_deref()).await?
        }
        Operation::Drain => {
            let given: DrainBody = body(asked)?;
            service.drain(call, &given.server, given.end).await?
        }
        Operation::RotateEncryption => {
            let given: RotateBody =
                if asked.body.is_empty() { RotateBody::default() } else { body(asked)? };
            let rotation = Rotation { new_data_key: given.new_data_key };
            let done = service.rotate_encryption(call, given.server.as_deref(), rotation).await?;
            return Ok(json_of(&json!({ "servers": done })));
        }
        Operation::Drill => return drill(state, asked, call).await,
        Operation::AddMember => {
            let given: MemberBody = body(asked)?;
            service.add_member(call, &given.name, &given.kind).await?
        }
        Operation::RemoveMember(name) => return remove_member(state, asked, call, &name).await,
        Operation::Policy(database) => {
            let given: PolicyBody = body(asked)?;
            service.set_policy(call, &database, &given.policy).await?
        }
        Operation::SyncMode(database) => {
            let given: SyncBody = body(asked)?;
            let request = SyncRequest {
                mode: given.mode,
                on_difference: given.on_difference,
                to: given.to,
                token: given.token,
                target: given.target,
                every_seconds: given.every_seconds,
            };
            service.set_sync_mode(call, &database, &request).await?
        }
        Operation::Parallel(database) => {
            return Ok(json_of(&service.answer_partner(call, &database, body(asked)?).await?));
        }
        Operation::Follow(database) => service.follow(call, &database, body(asked)?).await?,
        Operation::PromoteStandby(database) => service.promote_standby(call, &database).await?,
        Operation::Promote => {
            let given: PromoteBody = body(asked)?;
            service.promote(call, given.accept_loss).await?
        }
    };
    Ok(json_of(&report))
}

async fn drill(state: &Arc<ServerState>, asked: &Asked, call: &Call) -> Result<Answer> {
    let given: DrillBody = body(asked)?;
    let away = Duration::try_from_secs_f64(given.seconds.unwrap_or(DRILL_SECONDS))
        .ok()
        .filter(|d| *d <= Duration::from_secs(600))
        .ok_or_else(|| Error::invalid("a drill lasts from 0 to 600 seconds"))?;
    match state.service.drill_place(call, &given.kill).await? {
        OperationPlace::Here => Ok(json_of(&state.service.drill(call, &given.kill, away).await?)),
        OperationPlace::Elsewhere(others) => Ok(misdirected(&others)),
    }
}

async fn remove_member(
    state: &Arc<ServerState>,
    asked: &Asked,
    call: &Call,
    name: &str,
) -> Result<Answer> {
    let kinds: Vec<String> = asked.parameters("kind").collect();
    match state.service.removal_place(call, name).await? {
        OperationPlace::Here => {
            Ok(json_of(&state.service.remove_member(call, name, &kinds).await?))
        }
        OperationPlace::Elsewhere(others) => Ok(misdirected(&others)),
    }
}

/// A server that would not outlive an operation names those that can carry it out.
fn misdirected(others: &[String]) -> Answer {
    let message =
        format!("this server would not outlive the operation; ask one of {}", others.join(", "));
    let text = json!({ "error": { "kind": "Unavailable", "message": message }, "ask": others });
    answer(StatusCode::MISDIRECTED_REQUEST, "application/json", text.to_string())
}
