//! Refreshes in the background, as the REST interface of Azure Analysis Services has them:
//! `/servers/S/models/M/refreshes`. Any server of the group takes them and knows of all.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use evercube_base::{Error, Result};
use evercube_metastore::{Job, JobState, RefreshObject, RefreshTask, Task};
use evercube_service::audit::Event;
use evercube_service::auth::Identity;
use evercube_service::schedule::asked::public_id;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value as Json, json};

use super::answer::{Answer, answer, failed, json_of};
use super::asked::{Asked, REQUEST_ID, percent_decode};
use super::{ServerState, audit, sync};

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub model: String,
    pub operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Start,
    List,
    Show(String),
    Cancel(String),
    Sync,
    /// Of one operation, or of the newest version.
    Synced(Option<String>),
}

/// Partitions that are read at the same time where nothing is said of it.
const PARALLEL: u32 = 10;
const MOST_RETRIES: u32 = 100;
const FIVE_HOURS: u64 = 5 * 3600;

/// What the path names; the server's name in it may be any.
pub fn route(asked: &Asked) -> Option<Route> {
    let rest = asked.path.strip_prefix("/servers/")?;
    let parts: Vec<String> =
        rest.trim_end_matches('/').split('/').map(percent_decode).collect::<Option<_>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let [_server, models, model, what, id @ ..] = parts.as_slice() else { return None };
    if !models.eq_ignore_ascii_case("models") {
        return None;
    }
    let operation = match (what.to_ascii_lowercase().as_str(), id, &asked.method) {
        ("refreshes", [], &Method::POST) => Operation::Start,
        ("refreshes", [], &Method::GET) => Operation::List,
        ("refreshes", [id], &Method::GET) => Operation::Show((*id).to_owned()),
        ("refreshes", [id], &Method::DELETE) => Operation::Cancel((*id).to_owned()),
        ("sync", [], &Method::POST) => Operation::Sync,
        ("sync", [], &Method::GET) => Operation::Synced(None),
        ("sync", [id], &Method::GET) => Operation::Synced(Some((*id).to_owned())),
        _ => return None,
    };
    Some(Route { model: (*model).to_owned(), operation })
}

/// For the audit log, and whether it only looks.
pub fn noted(route: &Route) -> (Event, bool) {
    let (action, plain) = match route.operation {
        Operation::Start => ("refresh", false),
        Operation::Cancel(_) => ("cancel refresh", false),
        Operation::List | Operation::Show(_) => ("refreshes", true),
        Operation::Sync | Operation::Synced(_) => ("sync", true),
    };
    (audit::event(action, Some(&route.model)), plain)
}

/// An error as these clients read it: the text in a header as well.
pub fn failure(error: &Error) -> Answer {
    let mut response = failed(error);
    let text: String =
        error.to_string().chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
    if let Ok(value) = HeaderValue::from_str(text.trim()) {
        response.headers_mut().insert(HeaderName::from_static("x-ms-xmlaerror-extended"), value);
    }
    response
}

pub async fn run(
    state: &Arc<ServerState>,
    asked: &Asked,
    route: &Route,
    by: &Identity,
) -> Result<Answer> {
    let service = &state.service;
    let mut call = asked.call()?;
    call.session.user.clone_from(&by.user);
    call.session.is_admin = by.is_admin;
    call.session.groups.clone_from(&by.groups);
    let model = &route.model;
    match &route.operation {
        Operation::Start => {
            let (task, retries) = read(model, &asked.body)?;
            let job = service.ask_refresh(&call, task, retries).await?;
            Ok(accepted(asked, &job))
        }
        Operation::List => {
            let top = asked.parameter("$top").and_then(|t| t.parse().ok()).unwrap_or(usize::MAX);
            let jobs = service.refreshes(&call, model).await?;
            let row = |job: &Job| {
                let mut row = json!({ "refreshId": public_id(job), "startTime": started(job) });
                ends(&mut row, job);
                row["status"] = status(job).into();
                row["refreshType"] =
                    if job.schedule.is_some() { "Scheduled" } else { "ViaApi" }.into();
                row
            };
            Ok(json_of(&jobs.iter().take(top).map(row).collect::<Vec<_>>()))
        }
        Operation::Show(id) => Ok(json_of(&details(&service.refresh_run(&call, model, id).await?))),
        Operation::Cancel(id) => {
            Ok(json_of(&details(&service.cancel_refresh(&call, model, id).await?)))
        }
        Operation::Sync => sync::start(service, &call, asked, model).await,
        Operation::Synced(id) => sync::show(service, &call, model, id.as_deref()).await,
    }
}

/// The task of a request's body. Keys and words are read without regard to case, as clients write
/// them both ways.
fn read(model: &str, body: &[u8]) -> Result<(RefreshTask, u32)> {
    let given = object(body)?;
    let mut task = RefreshTask {
        database: model.to_owned(),
        way: "automatic".into(),
        parallel: Some(PARALLEL),
        timeout_seconds: Some(FIVE_HOURS),
        ..RefreshTask::default()
    };
    let (mut retries, mut by_batch, mut by_policy) = (0, false, false);
    for (key, value) in &given {
        if value.is_null() {
            continue;
        }
        match key.to_ascii_lowercase().as_str() {
            "type" => task.way = word(key, value)?,
            "commitmode" => {
                by_batch = match word(key, value)?.to_ascii_lowercase().as_str() {
                    "transactional" | "default" => false,
                    "partialbatch" => true,
                    other => return Err(wrong(key, other, "transactional or partialBatch")),
                }
            }
            "maxparallelism" => match number(key, value)? {
                0 => return Err(wrong(key, "0", "a whole number from 1")),
                most => task.parallel = Some(most),
            },
            "retrycount" => retries = number(key, value)?.min(MOST_RETRIES),
            "objects" => task.objects = objects(value)?,
            "timeout" => task.timeout_seconds = Some(seconds(key, &word(key, value)?)?),
            // No model has a refresh policy here, and nobody is written to.
            "applyrefreshpolicy" => by_policy = flag(key, value)?,
            "effectivedate" | "notifyoption" => {}
            _ => return Err(Error::invalid(format!("the refresh has no setting '{key}'"))),
        }
    }
    if by_batch && by_policy {
        return Err(Error::invalid(
            "commitMode is 'partialBatch', so applyRefreshPolicy must be false",
        ));
    }
    if task.way.eq_ignore_ascii_case("add") {
        return Err(Error::invalid("the type 'add' is not for this interface; use a TMSL refresh"));
    }
    task.batch = task.parallel.filter(|_| by_batch);
    Ok((task, retries))
}

/// Nothing at all is a refresh of the whole model.
fn object(body: &[u8]) -> Result<Map<String, Json>> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Json::Object(given)) => Ok(given),
        Ok(_) => Err(Error::invalid("the request's body is no JSON object")),
        Err(e) => Err(Error::invalid(format!("the request's JSON cannot be read: {e}"))),
    }
}

fn wrong(key: &str, value: &str, wanted: &str) -> Error {
    Error::invalid(format!("{key} is '{value}'; it must be {wanted}"))
}

fn word(key: &str, value: &Json) -> Result<String> {
    let text = value.as_str().ok_or_else(|| wrong(key, &value.to_string(), "a text"))?;
    Ok(text.to_owned())
}

fn number(key: &str, value: &Json) -> Result<u32> {
    // Clients send numbers as texts, too.
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    let number = number.and_then(|n| u32::try_from(n).ok());
    number.ok_or_else(|| wrong(key, &value.to_string(), "a whole number from 0"))
}

fn flag(key: &str, value: &Json) -> Result<bool> {
    let given = value.as_bool().or_else(|| value.as_str()?.to_ascii_lowercase().parse().ok());
    given.ok_or_else(|| wrong(key, &value.to_string(), "true or false"))
}

fn objects(value: &Json) -> Result<Vec<RefreshObject>> {
    let wanted = "a list of {\"table\": …, \"partition\": …}";
    let shown = || wrong("objects", &value.to_string(), wanted);
    let one = |item: &Json| {
        let mut object = RefreshObject::default();
        for (key, name) in item.as_object().ok_or_else(shown)? {
            let name = name.as_str().ok_or_else(shown)?.to_owned();
            match key.to_ascii_lowercase().as_str() {
                "table" => object.table = name,
                "partition" => object.partition = Some(name),
                _ => return Err(shown()),
            }
        }
        if object.table.is_empty() { Err(shown()) } else { Ok(object) }
    };
    value.as_array().ok_or_else(shown)?.iter().map(one).collect()
}

/// `hh:mm:ss`, at most a day.
fn seconds(key: &str, text: &str) -> Result<u64> {
    let parts: Option<Vec<u64>> = text.split(':').map(|p| p.trim().parse().ok()).collect();
    let total = match parts.as_deref() {
        Some([h, m, s]) if *m < 60 && *s < 60 => h.checked_mul(3600).map(|h| h + m * 60 + s),
        _ => None,
    };
    total
        .filter(|t| (1..=24 * 3600).contains(t))
        .ok_or_else(|| wrong(key, text, "hh:mm:ss, at most a day"))
}

fn accepted(asked: &Asked, job: &Job) -> Answer {
    let id = public_id(job);
    let body = details(job);
    let mut response = answer(StatusCode::ACCEPTED, "application/json", body.to_string());
    let place = format!("{}/{id}", asked.path.trim_end_matches('/'));
    let now = time(Utc::now());
    let request = asked.header(REQUEST_ID).unwrap_or(&id).to_owned();
    for (name, value) in [
        (header::LOCATION, place),
        (HeaderName::from_static("x-ms-root-activity-id"), id),
        (HeaderName::from_static("x-ms-request-id"), request),
        (HeaderName::from_static("x-ms-current-utc-date"), now),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn status(job: &Job) -> &'static str {
    match job.state {
        JobState::Waiting if job.errors.is_empty() => "notStarted",
        JobState::Waiting | JobState::Running => "inProgress",
        JobState::Succeeded => "succeeded",
        JobState::Failed | JobState::Missed => "failed",
        JobState::Cancelled => "cancelled",
        JobState::TimedOut => "timedOut",
    }
}

/// UTC with seven decimals, as these clients expect it.
fn time(at: DateTime<Utc>) -> String {
    format!("{}0Z", at.format("%Y-%m-%dT%H:%M:%S%.6f"))
}

fn time_of(micros: i64) -> String {
    time(DateTime::from_timestamp_micros(micros).unwrap_or_default())
}

fn started(job: &Job) -> String {
    time_of(job.started_micros.unwrap_or(job.asked_micros))
}

/// The end, once there is one.
fn ends(row: &mut Json, job: &Job) {
    if let Some(ended) = job.ended_micros {
        row["endTime"] = time_of(ended).into();
    }
}

fn details(job: &Job) -> Json {
    let (way, by_batch) = match &job.task {
        Task::Refresh(task) => (task.way.as_str(), task.batch.is_some()),
        _ => ("", false),
    };
    let objects: Vec<Json> = job
        .parts
        .iter()
        .map(|p| json!({ "table": p.table, "partition": p.partition, "status": p.state }))
        .collect();
    let error = |e: &evercube_metastore::JobError| {
        json!({ "code": "RefreshFailed", "type": "Error",
                "message": format!("Attempt {} on server {}: {}", e.attempt, e.server, e.message) })
    };
    let warning = |m: &String| json!({ "code": "Warning", "type": "Warning", "message": m });
    let messages: Vec<Json> =
        job.errors.iter().map(error).chain(job.report.messages.iter().map(warning)).collect();
    let mut row = json!({ "refreshId": public_id(job), "startTime": started(job) });
    ends(&mut row, job);
    for (key, value) in [
        ("type", json!(way)),
        ("commitMode", json!(if by_batch { "partialBatch" } else { "transactional" })),
        ("status", json!(status(job))),
        ("currentRefreshType", json!(way)),
        ("objects", json!(objects)),
        ("messages", json!(messages)),
        ("attempt", json!(job.attempt)),
        ("server", json!(job.server)),
    ] {
        row[key] = value;
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_as_documented_and_as_clients_write_them() {
        let (task, retries) = read("M", b"").unwrap();
        assert_eq!((task.way.as_str(), retries, task.batch), ("automatic", 0, None));
        let body =
            br#"{"Type":"Full","commitMode":"PARTIALBATCH","MaxParallelism":2,"retryCount":"3",
            "Objects":[{"Table":"T"},{"table":"U","PARTITION":"p"}],"timeout":"02:00:00"}"#;
        let (task, retries) = read("M", body).unwrap();
        assert_eq!((task.way.as_str(), retries, task.batch), ("Full", 3, Some(2)));
        assert_eq!(task.timeout_seconds, Some(7200));
        let named: Vec<_> =
            task.objects.iter().map(|o| (o.table.as_str(), o.partition.as_deref())).collect();
        assert_eq!(named, [("T", None), ("U", Some("p"))]);
    }

    #[test]
    fn bodies_that_make_no_sense_are_refused_with_the_reason() {
        for (body, said) in [
            ("[1]", "no JSON object"),
            ("{", "cannot be read"),
            (r#"{"Type":"add"}"#, "add"),
            (r#"{"CommitMode":"x"}"#, "partialBatch"),
            (r#"{"MaxParallelism":-1}"#, "whole number"),
            (r#"{"MaxParallelism":0}"#, "from 1"),
            (r#"{"applyRefreshPolicy":"x"}"#, "true or false"),
            (r#"{"applyRefreshPolicy":true,"commitMode":"partialBatch"}"#, "must be false"),
            (r#"{"Objects":[{}]}"#, "table"),
            (r#"{"Objects":{}}"#, "list"),
            (r#"{"timeout":"1"}"#, "hh:mm:ss"),
            (r#"{"Tpye":"full"}"#, "Tpye"),
        ] {
            let error = read("M", body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{body}: {error}");
        }
    }

    #[test]
    fn times_have_seven_decimals() {
        assert_eq!(time_of(1_500_000), "1970-01-01T00:00:01.5000000Z");
    }
}
