//! The part of the REST interface about who may come in.

use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_service::call::Call;
use evercube_service::joining::JoinTokenRequest;
use http::Method;
use serde_json::json;

use super::ServerState;
use super::answer::{Answer, json_of};
use super::asked::Asked;
use super::rest::body;
use crate::tls::enroll::Token;
use crate::tls::member::fingerprint;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Admin,
    Token,
    Firewall,
    JoinToken,
}

/// What is asked about it.
pub enum Verb {
    List,
    Add,
    Remove(String),
}

/// The request that a path below `/api/v1` names.
pub fn request(method: &Method, parts: &[&str]) -> Option<(Kind, Verb)> {
    let kind = match *parts.first()? {
        "users" => Kind::User,
        "admins" => Kind::Admin,
        "tokens" => Kind::Token,
        "firewall" => Kind::Firewall,
        "join-tokens" => Kind::JoinToken,
        _ => return None,
    };
    Some((kind, Verb::of(method, parts.get(1..)?)?))
}

impl Verb {
    /// What a request asks about things that have names; `rest` is what the path has behind their kind.
    pub fn of(method: &Method, rest: &[&str]) -> Option<Self> {
        Some(match rest {
            [] if method == Method::GET => Self::List,
            [] if method == Method::POST => Self::Add,
            [name] if method == Method::DELETE => Self::Remove((*name).to_owned()),
            _ => return None,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct UserBody {
    name: String,
    password: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    name: String,
    user: Option<String>,
    days: Option<u32>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleBody {
    name: String,
    first: String,
    last: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinTokenBody {
    name: Option<String>,
    seconds: Option<u32>,
    uses: Option<u32>,
}

/// How long a join token is good for where nothing is said.
const JOIN_TOKEN_SECONDS: u32 = 24 * 3600;

pub async fn run(
    state: &Arc<ServerState>,
    asked: &Asked,
    call: &Call,
    kind: Kind,
    verb: Verb,
) -> Result<Answer> {
    match verb {
        Verb::List => list(state, call, kind),
        Verb::Add => add(state, asked, call, kind).await,
        Verb::Remove(name) => remove(state, call, kind, &name).await,
    }
}

fn list(state: &Arc<ServerState>, call: &Call, kind: Kind) -> Result<Answer> {
    let service = &state.service;
    Ok(json_of(&match kind {
        Kind::User => json!({ "users": service.users(call)? }),
        Kind::Admin => {
            let admins = service.users(call)?.into_iter().filter(|u| u.admin);
            json!({ "admins": admins.collect::<Vec<_>>() })
        }
        Kind::Token => json!({ "tokens": service.tokens(call)? }),
        Kind::JoinToken => json!({ "join_tokens": service.join_tokens(call)? }),
        Kind::Firewall => {
            let rules = service.firewall(call)?.into_iter();
            let rules =
                rules.map(|(name, r)| json!({ "name": name, "first": r.first, "last": r.last }));
            json!({ "rules": rules.collect::<Vec<_>>() })
        }
    }))
}

async fn add(state: &Arc<ServerState>, asked: &Asked, call: &Call, kind: Kind) -> Result<Answer> {
    let service = &state.service;
    let made = match kind {
        Kind::User | Kind::Admin => {
            let given: UserBody = body(asked)?;
            let admin = kind == Kind::Admin;
            service.put_user(call, &given.name, given.password, admin).await?
        }
        Kind::Token => {
            let given: TokenBody = body(asked)?;
            service.put_token(call, &given.name, given.user.as_deref(), given.days).await?
        }
        Kind::JoinToken => return add_join_token(state, asked, call).await,
        Kind::Firewall => {
            let given: RuleBody = body(asked)?;
            let (name, last) = (&given.name, given.last.as_deref());
            service.put_firewall_rule(call, name, &given.first, last).await?
        }
    };
    Ok(json_of(&made))
}

async fn add_join_token(state: &Arc<ServerState>, asked: &Asked, call: &Call) -> Result<Answer> {
    let given: JoinTokenBody = body(asked)?;
    let wanted = JoinTokenRequest {
        name: given.name,
        seconds: given.seconds.unwrap_or(JOIN_TOKEN_SECONDS),
        uses: given.uses.unwrap_or(1),
    };
    let made = state.service.put_join_token(call, &wanted).await?;
    let fingerprint = fingerprint(&made.authority.certificate);
    let fingerprint = fingerprint.map_err(|e| Error::internal(e.to_string()))?;
    let token = Token { fingerprint, secret: made.secret }.to_text();
    let expires_unix = made.expires_unix;
    Ok(json_of(&json!({
        "name": made.name, "token": token, "expires_unix": expires_unix, "uses": made.uses
    })))
}

async fn remove(state: &Arc<ServerState>, call: &Call, kind: Kind, name: &str) -> Result<Answer> {
    let service = &state.service;
    match kind {
        Kind::User => service.delete_user(call, name).await?,
        Kind::Admin => service.demote(call, name).await?,
        Kind::Token => service.delete_token(call, name).await?,
        Kind::JoinToken => service.delete_join_token(call, name).await?,
        Kind::Firewall => service.delete_firewall_rule(call, name).await?,
    }
    Ok(json_of(&json!({ "name": name })))
}
