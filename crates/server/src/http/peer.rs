//! The listener of the other members.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use evercube_base::{Error, ErrorKind};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::answer::{Answer, answer, failed};
use super::{ServerState, Task, answered, audit, forward, gate, large};
use crate::process;
use crate::transport::SENDER;

/// Segments travel whole.
const BODY_LIMIT: usize = 1 << 30;

/// Answers a member.
pub async fn member(state: Arc<ServerState>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let Some(path) = head.uri.path().strip_prefix("/peer/") else {
        return failed(&Error::not_found("this address is for the members of the group"));
    };
    if let Some(why) = state.gate.as_ref().and_then(|g| g.refusal(&state.service, &head, path)) {
        return gate::refused(&why);
    }
    let limit = if path == gate::ENROLL { gate::ASK_LIMIT } else { BODY_LIMIT };
    let body = match Limited::new(body, limit).collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) => {
            return failed(&Error::new(
                ErrorKind::Limit,
                format!("a member's request could not be read: {e}"),
            ));
        }
    };
    if path == gate::ENROLL
        && let Some(gate) = &state.gate
    {
        let from = head.extensions.get::<SocketAddr>().copied();
        return gate.enroll(&state.service, &body, from).await;
    }
    let sender = head.headers.get(SENDER).and_then(|v| v.to_str().ok());
    if let Some(refusal) = sender.and_then(|s| state.service.refusal(s)) {
        let from = head.extensions.get::<SocketAddr>().copied();
        let from = from.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
        state.refusals.refused(from, &refusal.message);
        let text = serde_json::to_vec(&refusal).unwrap_or_default();
        return answer(StatusCode::CONFLICT, "application/json", text);
    }
    if path == "process/kill" {
        return match <[u8; 8]>::try_from(body.as_ref()) {
            Ok(millis) => {
                process::die(Duration::from_millis(u64::from_le_bytes(millis)));
                answer(StatusCode::OK, "application/octet-stream", Bytes::new())
            }
            Err(_) => failed(&Error::invalid("a drill says for how many milliseconds")),
        };
    }
    if path == "forward" {
        return match forward::received(&head.headers, body) {
            Some((asked, by)) => {
                let task = large::taken_apart(asked.body.len(), || Task::of(&asked)).await;
                let mut answer = answered(&state, &task, asked, &by, true).await;
                audit::mark(&mut answer);
                answer
            }
            None => failed(&Error::invalid("a forwarded request lacks its headers")),
        };
    }
    match state.service.peer_handle(path, body).await {
        Ok(bytes) => answer(StatusCode::OK, "application/octet-stream", bytes),
        Err(e) => {
            let text = serde_json::to_vec(&e).unwrap_or_default();
            answer(StatusCode::INTERNAL_SERVER_ERROR, "application/json", text)
        }
    }
}
