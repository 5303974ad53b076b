//! `/servers/S/models/M/sync`: whether every server serves what this one was asked about. Servers
//! follow by themselves; nothing has to be started, so the id of an operation is all there is of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use evercube_base::{Error, Result};
use evercube_service::Service;
use evercube_service::call::Call;
use evercube_service::schedule::asked::Reached;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value as Json, json};

use super::answer::{Answer, answer, json_of};
use super::asked::Asked;

/// Being taken over by servers.
const REHYDRATING: i32 = 1;
const COMPLETED: i32 = 2;

/// An operation: the version that is to be everywhere, and when it was asked for.
struct Wanted {
    seq: u64,
    micros: i64,
}

impl Wanted {
    fn id(&self) -> String {
        let hex = format!("{:016x}{:016x}", self.seq, self.micros);
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    fn of(id: &str) -> Option<Self> {
        let hex: String = id.chars().filter(|c| *c != '-').collect();
        let number = u128::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == 32)?;
        let seq = u64::try_from(number >> 64).ok()?;
        let micros = i64::try_from(number & u128::from(u64::MAX)).ok()?;
        Some(Self { seq, micros })
    }
}

pub async fn start(
    service: &Arc<Service>,
    call: &Call,
    asked: &Asked,
    model: &str,
) -> Result<Answer> {
    let reached = service.reached(call, model).await?;
    let wanted = Wanted { seq: reached.seq, micros: Utc::now().timestamp_micros() };
    let body = shown(&reached, &wanted).to_string();
    let mut response = answer(StatusCode::ACCEPTED, "application/json", body);
    let place = format!("{}/{}", asked.path.trim_end_matches('/'), wanted.id());
    let headers = response.headers_mut();
    if let Ok(place) = HeaderValue::from_str(&place) {
        headers.insert(header::LOCATION, place);
    }
    wait(headers);
    Ok(response)
}

pub async fn show(
    service: &Arc<Service>,
    call: &Call,
    model: &str,
    id: Option<&str>,
) -> Result<Answer> {
    let reached = service.reached(call, model).await?;
    let wanted = match id {
        None => Wanted { seq: reached.seq, micros: Utc::now().timestamp_micros() },
        Some(id) => Wanted::of(id)
            .ok_or_else(|| Error::not_found(format!("there is no synchronization '{id}'")))?,
    };
    let mut response = json_of(&shown(&reached, &wanted));
    wait(response.headers_mut());
    Ok(response)
}

/// Clients read it on every answer that is not the last.
fn wait(headers: &mut http::HeaderMap) {
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
}

fn shown(reached: &Reached, wanted: &Wanted) -> Json {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    let complete = reached.everywhere(wanted.seq);
    let away = match reached.away.as_slice() {
        [] => Json::Null,
        names => format!("not counted, because they do not answer: {}", names.join(", ")).into(),
    };
    let servers: Vec<Json> = reached
        .versions
        .iter()
        .map(|(server, version)| json!({ "server": server, "version": version }))
        .collect();
    json!({
        "operationId": wanted.id(),
        "database": reached.database,
        "UpdatedAt": time(Utc::now()),
        "StartedAt": time(DateTime::from_timestamp_micros(wanted.micros).unwrap_or_default()),
        "syncstate": if complete { COMPLETED } else { REHYDRATING },
        "details": away,
        "commitVersion": wanted.seq,
        "minActiveReadVersion": reached.versions.iter().filter_map(|(_, v)| *v).min(),
        "servers": servers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_its_id() {
        let wanted = Wanted { seq: 42, micros: 1_790_000_000_000_000 };
        let id = wanted.id();
        assert_eq!(id.len(), 36);
        let read = Wanted::of(&id).unwrap();
        assert_eq!((read.seq, read.micros), (42, 1_790_000_000_000_000));
        assert!(Wanted::of("x").is_none());
    }
}
