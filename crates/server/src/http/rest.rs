//! The REST interface that the commands and scripts use; `openapi.rs` describes it.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{DataType, Error, Result, Value};
use evercube_model::tmsl::RefreshKind;
use evercube_service::auth::Identity;
use evercube_service::backup::ReadBack;
use evercube_service::backup_use::{BackupRequest, RestoreRequest};
use evercube_service::call::{At, Call, WriteAnswer};
use evercube_service::deploy::DeployRequest;
use evercube_service::discover::dmv;
use evercube_service::query::{Explanation, QueryAnswer, QueryResult, ScanSource};
use evercube_service::refresh::RefreshRequest;
use evercube_service::refresh::overrides::SourceOverrides;
use evercube_service::running::NamedRequest;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::answer::{Answer, answer, json_of};
use super::asked::{Asked, at, percent_decode};
use super::backups::{self, BackupsRoute};
use super::incoming;
use super::schedules::{self, SchedulesRoute};
use super::{Place, ServerState, access, credentials, group, large, openapi, schema_query, shared};

/// A value takes many times its bytes once it is read.
const LARGEST_JSON: usize = 16 << 20;

/// A path below `/api/v1`, taken apart.
pub(super) enum Route {
    Status,
    OpenApi,
    Deploy,
    Operation(String),
    Cancel(String),
    ClearCache,
    Drop(String),
    Refresh(String),
    Query(String),
    Explain(String),
    Verify(String),
    Backup(String),
    Backups(BackupsRoute),
    Versions(String),
    Rollback(String),
    Restore,
    Audit,
    Schedules(SchedulesRoute),
    Credentials(credentials::Verb),
    Group(group::Operation),
    Access(access::Kind, access::Verb),
    Shared(shared::Kind, access::Verb),
}

pub(super) fn route(asked: &Asked) -> Option<Route> {
    let rest = asked.path.strip_prefix("/api/v1/")?;
    let parts: Vec<String> =
        rest.trim_end_matches('/').split('/').map(percent_decode).collect::<Option<_>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let get = asked.method == Method::GET;
    let post = asked.method == Method::POST;
    Some(match parts.as_slice() {
        ["status"] if get => Route::Status,
        ["openapi.json"] if get => Route::OpenApi,
        ["deploy"] if post => Route::Deploy,
        ["operations", id] if get => Route::Operation((*id).to_owned()),
        ["operations", id] if asked.method == Method::DELETE => Route::Cancel((*id).to_owned()),
        ["databases", name] if asked.method == Method::DELETE => Route::Drop((*name).to_owned()),
        ["databases", name, "refresh"] if post => Route::Refresh((*name).to_owned()),
        ["databases", name, "query"] if post => Route::Query((*name).to_owned()),
        ["databases", name, "explain"] if post => Route::Explain((*name).to_owned()),
        ["databases", name, "backup"] if post => Route::Backup((*name).to_owned()),
        ["databases", name, "versions"] if get => Route::Versions((*name).to_owned()),
        ["databases", name, "rollback"] if post => Route::Rollback((*name).to_owned()),
        ["restore"] if post => Route::Restore,
        ["backups", operation] if post => Route::Backups(BackupsRoute::parse(operation)?),
        ["audit", "verify"] if get => Route::Audit,
        ["cache", "clear"] if post => Route::ClearCache,
        ["databases", name, "verify"] if get => Route::Verify((*name).to_owned()),
        ["credentials", ..] => {
            Route::Credentials(credentials::request(&asked.method, parts.as_slice())?)
        }
        parts => match access::request(&asked.method, parts) {
            Some((kind, verb)) => Route::Access(kind, verb),
            None => return further(&asked.method, parts),
        },
    })
}

fn further(method: &Method, parts: &[&str]) -> Option<Route> {
    if let Some((kind, verb)) = shared::request(method, parts) {
        return Some(Route::Shared(kind, verb));
    }
    let schedules = schedules::request(method, parts).map(Route::Schedules);
    schedules.or_else(|| group::operation(method, parts).map(Route::Group))
}

pub fn place(asked: &Asked) -> Place {
    match route(asked) {
        // Cancelling asks every server.
        Some(
            Route::Status
            | Route::OpenApi
            | Route::Cancel(_)
            | Route::ClearCache
            | Route::Audit
            | Route::Schedules(_)
            | Route::Credentials(_)
            | Route::Access(..)
            | Route::Shared(..),
        )
        | None => Place::Here,
        // Backups are made and restored where writes are.
        Some(Route::Group(
            group::Operation::SyncMode(_)
            | group::Operation::Follow(_)
            | group::Operation::Parallel(_),
        )) => Place::Writer,
        Some(Route::Group(_)) => Place::Here,
        Some(Route::Query(_) | Route::Explain(_)) => Place::Reader,
        // Progress is known where the work is done.
        Some(
            Route::Deploy
            | Route::Refresh(_)
            | Route::Drop(_)
            | Route::Operation(_)
            | Route::Backup(_)
            | Route::Backups(_)
            | Route::Versions(_)
            | Route::Rollback(_)
            | Route::Restore
            | Route::Verify(_),
        ) => Place::Writer,
    }
}

/// Bytes a body may have: models are large, and whatever else is asked for is not.
pub fn largest_body(asked: &Asked) -> usize {
    match route(asked) {
        Some(Route::Deploy) => incoming::LARGEST,
        _ => LARGEST_JSON,
    }
}

/// Whether a request is carried out once under its id, however often and to whomever it is sent:
/// whatever ends in one commit.
pub fn is_done_once(asked: &Asked) -> bool {
    let route = route(asked);
    matches!(route, Some(Route::Deploy | Route::Refresh(_) | Route::Drop(_) | Route::Rollback(_)))
}

/// Whether a request is about the very server that is asked, so that another one is not asked
/// instead once it may have been done.
pub fn is_for_one_server(asked: &Asked) -> bool {
    matches!(route(asked), Some(Route::Group(group::Operation::Promote)))
}

/// Whether a request that any server answers changes the group, for which a majority is needed.
pub fn changes_group(asked: &Asked) -> bool {
    let is_change = asked.method != Method::GET && place(asked) == Place::Here;
    let alone = |route: &Route| {
        let is_promotion = matches!(route, Route::Group(group::Operation::Promote));
        is_promotion || matches!(route, Route::Cancel(_) | Route::ClearCache)
    };
    is_change && route(asked).is_some_and(|route| !alone(&route))
}

pub async fn run(state: &Arc<ServerState>, asked: &Asked, by: &Identity) -> Result<Answer> {
    let Some(route) = route(asked) else {
        return Err(Error::not_found(format!(
            "there is no {} {}; /api/v1/openapi.json lists what there is",
            asked.method, asked.path
        )));
    };
    let service = &state.service;
    let mut call = asked.call()?;
    call.session.user.clone_from(&by.user);
    call.session.is_admin = by.is_admin;
    call.session.groups.clone_from(&by.groups);
    match route {
        Route::Status => Ok(json_of(&service.status_for(&call).await)),
        Route::OpenApi => Ok(answer(StatusCode::OK, "application/json", openapi::document())),
        Route::Deploy => {
            let request = deploy_request(asked)?;
            written(service.deploy(&call, request).await?)
        }
        Route::Operation(id) => match service.operation(&call, &id) {
            Some(progress) => Ok(json_of(&progress)),
            None => Err(Error::not_found(format!("no operation '{id}' is known here"))),
        },
        Route::Cancel(id) => {
            let session = &call.session;
            let (user, by_admin) = (session.user.clone(), session.rules());
            let named = NamedRequest { id, user, by_admin };
            match service.cancel_request(&named).await? {
                0 => {
                    Err(Error::not_found(format!("no request '{}' of yours is running", named.id)))
                }
                n => Ok(json_of(&json!({ "cancelled": n }))),
            }
        }
        Route::ClearCache => {
            service.clear_cache(&call, None).await?;
            Ok(json_of(&json!({})))
        }
        Route::Drop(database) => written(service.drop_database(&call, &database).await?),
        Route::Refresh(database) => {
            let request = refresh_request(asked)?;
            refreshed(state, &call, service.refresh(&call, &database, request).await?)
        }
        Route::Backup(database) => {
            let given: BackupBody = body(asked)?;
            let request = BackupRequest {
                database,
                target: given.target,
                password: given.password,
                overwrite: given.overwrite,
                read_back: read_back(given.verify.as_deref())?,
            };
            written(service.backup(&call, request).await?)
        }
        Route::Backups(operation) => backups::run(service, &call, asked, operation).await,
        Route::Versions(database) => {
            let versions = service.versions_of(&call, &database).await?;
            Ok(json_of(&json!({ "versions": versions })))
        }
        Route::Rollback(database) => {
            let given: RollbackBody = body(asked)?;
            let to = version_or_time(&given.version)?;
            written(service.roll_back(&call, &database, to).await?)
        }
        Route::Restore => {
            let given: RestoreBody = body(asked)?;
            let request = RestoreRequest {
                source: given.source,
                database: given.database,
                password: given.password,
                overwrite: given.overwrite,
                roles: given.roles,
                at: given.at.as_ref().map(version_or_time).transpose()?,
                table: given.table,
                partition: given.partition,
            };
            written(service.restore(&call, request).await?)
        }
        Route::Query(database) => {
            let text = query_text(asked, &mut call, database)?;
            if dmv::is_dmv(&text) {
                return schema_query::run(service, &call, &text).await;
            }
            let write = |found: QueryAnswer| Ok((json_of(&results(&found.result)), found.seq));
            let (mut response, seq) = service.query(&call, &text, Vec::new(), write).await?;
            response.headers_mut().insert("x-evercube-version", seq.into());
            Ok(response)
        }
        Route::Explain(database) => {
            let text = query_text(asked, &mut call, database)?;
            Ok(json_of(&explained(&service.explain(&call, &text).await?)))
        }
        Route::Verify(database) => {
            let deep = asked.parameter("deep").as_deref() == Some("true");
            Ok(json_of(&service.verify(&call, &database, deep).await?))
        }
        Route::Audit => Ok(json_of(&service.verify_audit(&call).await?)),
        Route::Access(kind, verb) => access::run(state, asked, &call, kind, verb).await,
        Route::Shared(kind, verb) => shared::run(service, asked, &call, kind, verb).await,
        Route::Credentials(verb) => credentials::run(service, &call, asked, verb).await,
        Route::Schedules(route) => schedules::run(service, &call, asked, route).await,
        Route::Group(operation) => group::run(state, asked, &call, operation).await,
    }
}

fn written(done: WriteAnswer) -> Result<Answer> {
    Ok(written_with(&done, json!({})))
}

/// The answer to a refresh, with what every server read where all read the sources.
fn refreshed(state: &Arc<ServerState>, call: &Call, done: WriteAnswer) -> Result<Answer> {
    let progress = call.request_id.as_deref().and_then(|id| state.service.operation(call, id));
    let servers = progress.map(|p| p.servers).filter(|s| !s.is_empty());
    Ok(written_with(&done, servers.map_or(json!({}), |servers| json!({ "servers": servers }))))
}

fn written_with(done: &WriteAnswer, mut body: Json) -> Answer {
    let messages: Vec<Json> = done
        .messages
        .iter()
        .map(|m| json!({ "severity": m.severity, "object": m.object, "message": m.message }))
        .collect();
    body["seq"] = done.seq.into();
    body["messages"] = messages.into();
    let mut response = json_of(&body);
    response.headers_mut().insert("x-evercube-version", done.seq.into());
    response
}

pub(super) fn body<T: DeserializeOwned>(asked: &Asked) -> Result<T> {
    large::aside(asked.body.len(), || serde_json::from_slice(&asked.body))
        .map_err(|e| Error::invalid(format!("the request's JSON cannot be read: {e}")))
}

fn deploy_request(asked: &Asked) -> Result<DeployRequest> {
    let mut parameters = Vec::new();
    for p in asked.parameters("parameter") {
        let (name, value) = p
            .split_once('=')
            .ok_or_else(|| Error::invalid(format!("the parameter '{p}' is not NAME=VALUE")))?;
        parameters.push((name.to_owned(), value.to_owned()));
    }
    Ok(DeployRequest {
        text: asked.body.to_vec(),
        stem: asked.parameter("stem"),
        database: asked.parameter("database"),
        parameters,
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshBody {
    #[serde(rename = "type", default = "full")]
    kind: String,
    #[serde(default)]
    objects: Vec<RefreshObject>,
    /// As in a refresh command.
    #[serde(default)]
    overrides: Json,
    /// Logins of sources for this refresh.
    #[serde(default)]
    credentials: Vec<credentials::AddBody>,
}

fn full() -> String {
    "full".into()
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshObject {
    table: String,
    partition: Option<String>,
}

fn refresh_request(asked: &Asked) -> Result<RefreshRequest> {
    let given: RefreshBody = body(asked)?;
    let kind = RefreshKind::parse(&given.kind)?;
    let objects = given.objects.into_iter().map(|o| (o.table, o.partition)).collect();
    let mut overrides = SourceOverrides::from_json(&given.overrides)?;
    for one in given.credentials {
        let (source, login) = one.login()?;
        overrides.logins.insert(source, login);
    }
    Ok(RefreshRequest { kind, objects, readers: None, overrides })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct BackupBody {
    target: String,
    password: Option<String>,
    #[serde(default)]
    overwrite: bool,
    /// `all`, `sample:10%` or `none`.
    verify: Option<String>,
}

/// How much of a backup is read back; all where nothing is said.
pub(super) fn read_back(given: Option<&str>) -> Result<ReadBack> {
    given.map_or(Ok(ReadBack::All), str::parse)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoreBody {
    source: String,
    database: Option<String>,
    password: Option<String>,
    #[serde(default)]
    overwrite: bool,
    #[serde(default = "keep")]
    roles: String,
    at: Option<Json>,
    table: Option<String>,
    partition: Option<String>,
}

fn keep() -> String {
    "keep".into()
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    version: Json,
}

/// A version number or a time, as JSON writes them.
fn version_or_time(given: &Json) -> Result<At> {
    match given {
        Json::String(text) => at(text),
        other => at(&other.to_string()),
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryBody {
    query: String,
    at: Option<Json>,
    /// Seconds.
    timeout: Option<f64>,
}

fn query_text(asked: &Asked, call: &mut Call, database: String) -> Result<String> {
    let given: QueryBody = body(asked)?;
    call.session.catalog = Some(database);
    if let Some(given) = given.at.filter(|g| !g.is_null()) {
        call.at = Some(version_or_time(&given)?);
    }
    if let Some(seconds) = given.timeout {
        let timeout = Duration::try_from_secs_f64(seconds);
        let wrong = |_| Error::invalid("the timeout is a number of seconds");
        call.timeout = Some(timeout.map_err(wrong)?);
    }
    Ok(given.query)
}

pub(super) fn results(result: &QueryResult) -> Json {
    let tables = result.results.iter().map(|t| {
        let columns =
            t.columns.iter().map(|c| json!({ "name": c.name, "type": type_name(c.data_type) }));
        let rows = t.rows.iter().map(|r| {
            // Texts that many rows share are written for each of them.
            evercube_work::interrupt_point();
            r.iter().map(cell).collect::<Vec<Json>>()
        });
        json!({
            "columns": columns.collect::<Vec<Json>>(),
            "rows": rows.collect::<Vec<_>>(),
        })
    });
    json!({ "results": tables.collect::<Vec<Json>>() })
}

fn explained(how: &Explanation) -> Json {
    let micros = |d: Duration| json!(d.as_secs_f64() * 1e6);
    let operators = how.operators.iter().map(|o| {
        json!({
            "depth": o.depth, "operator": o.label, "evaluations": o.evaluations,
            "cells": o.cells, "rows": o.rows, "microseconds": micros(o.time), "scans": o.scans,
        })
    });
    let scans = how.scans.iter().map(|s| {
        let source = match s.source {
            ScanSource::Storage => "storage",
            ScanSource::Cache => "cache",
            ScanSource::SameQuery => "same query",
        };
        json!({
            "number": s.number, "table": s.table, "text": s.text, "source": source,
            "rowsRead": s.rows_read, "rowsPassed": s.rows_passed, "encodedBytes": s.bytes,
            "groups": s.groups, "startMicroseconds": micros(s.start),
            "microseconds": micros(s.time),
        })
    });
    let fallbacks = how
        .fallbacks
        .iter()
        .map(|f| json!({ "operator": f.operator, "why": f.why, "times": f.times }));
    json!({
        "plan": how.to_string(),
        "logical": how.logical,
        "physical": operators.collect::<Vec<Json>>(),
        "scans": scans.collect::<Vec<Json>>(),
        "notBatched": fallbacks.collect::<Vec<Json>>(),
        "microseconds": micros(how.time),
    })
}

fn type_name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::String => "string",
        DataType::Int64 => "int64",
        DataType::Double => "double",
        DataType::DateTime => "dateTime",
        DataType::Decimal => "decimal",
        DataType::Boolean => "boolean",
        DataType::Binary => "binary",
        DataType::Variant => "variant",
    }
}

/// Of a text so long each one is counted before it is written.
const LONG_TEXT: usize = 64 << 10;

/// Blank is null, a date ISO text, a decimal exact text.
fn cell(v: &Value) -> Json {
    match v {
        Value::Blank => Json::Null,
        Value::Boolean(b) => Json::Bool(*b),
        Value::Int(i) => json!(i),
        Value::Double(d) => match serde_json::Number::from_f64(*d) {
            Some(n) => Json::Number(n),
            None => json!(d.to_string()),
        },
        Value::Decimal(d) => json!(d.to_string()),
        Value::DateTime(t) => json!(t.to_string()),
        Value::String(s) => {
            if s.len() > LONG_TEXT {
                evercube_work::interrupt_point();
            }
            json!(&**s)
        }
    }
}
