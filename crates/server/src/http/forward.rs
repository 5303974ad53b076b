//! Requests that another member answers, with the caller's identity beside them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use evercube_base::{Error, ErrorKind, Result};
use evercube_service::auth::Identity;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;

use super::ServerState;
use super::answer::{Answer, failed};
use super::asked::Asked;
use super::body::AnswerBody;

const TARGET: &str = "x-forward-target";
const METHOD: &str = "x-forward-method";
const USER: &str = "x-forward-user";
const ADMIN: &str = "x-forward-admin";
/// Groups of the user, as hexadecimal JSON.
const GROUPS: &str = "x-forward-groups";
/// On an answer: ask another member.
const ELSEWHERE: &str = "x-evercube-elsewhere";
/// A refresh may take long; the client's own timeout ends it earlier.
const LIMIT: Duration = Duration::from_secs(24 * 3600);
/// How long a forwarded read waits here; the member that forwarded it looks further.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the read may wait there, in milliseconds, where that is less.
const LEFT: &str = "x-forward-left";
/// Headers that go along.
const KEPT: [&str; 7] = [
    "content-type",
    "soapaction",
    "cookie",
    "user-agent",
    "x-evercube-read",
    "x-evercube-at",
    "x-evercube-request-id",
];

/// Has the member at `peer_address` answer.
///
/// # Errors
/// `Unavailable` where it cannot answer now; another member, or the same one later, may.
pub async fn send(
    state: &Arc<ServerState>,
    peer_address: &str,
    asked: &Asked,
    by: &Identity,
) -> Result<Answer> {
    let mut request = Request::builder()
        .method("POST")
        .uri(state.peers.member_url(peer_address, "forward"))
        .body(Full::new(asked.body.clone()))
        .map_err(|e| Error::internal(format!("a request cannot be forwarded: {e}")))?;
    state.peers.introduce_sender(&mut request);
    let headers = request.headers_mut();
    for name in KEPT {
        for value in asked.headers.get_all(name) {
            headers.append(HeaderName::from_static(name), value.clone());
        }
    }
    let target = match asked.query.as_str() {
        "" => asked.path.clone(),
        query => format!("{}?{query}", asked.path),
    };
    let admin = if by.is_admin { "1" } else { "0" };
    let user = hex_of(&by.user);
    let groups = hex_of(&serde_json::to_string(&by.groups).unwrap_or_default());
    for (name, value) in [
        (TARGET, target.as_str()),
        (METHOD, asked.method.as_str()),
        (USER, &user),
        (ADMIN, admin),
        (GROUPS, &groups),
    ] {
        let value = HeaderValue::from_str(value).map_err(|_| {
            Error::invalid("the request's path holds characters no header can carry")
        })?;
        headers.insert(HeaderName::from_static(name), value);
    }
    if let Some(deadline) = asked.deadline {
        let left = deadline.saturating_duration_since(Instant::now()).min(PATIENCE);
        let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        headers.insert(HeaderName::from_static(LEFT), HeaderValue::from(millis));
    }
    let is_write_twice_safe = asked.header("x-evercube-request-id").is_some();
    let answer = state.peers.send(request, LIMIT).await.map_err(|e| match e.kind {
        // Sent again under the same id it is done once.
        ErrorKind::Unknown if is_write_twice_safe => Error { kind: ErrorKind::Unavailable, ..e },
        _ => e,
    })?;
    if is_elsewhere(&answer) {
        let why = reason(&answer);
        let why = why.unwrap_or_else(|| String::from_utf8_lossy(answer.body()).into_owned());
        return Err(Error::new(ErrorKind::Unavailable, why));
    }
    if let Some(why) = refusal(&answer) {
        return Ok(failed(&Error::new(
            ErrorKind::Unavailable,
            format!("this server cannot answer: {why}"),
        )));
    }
    let (mut head, body) = answer.into_parts();
    head.headers.remove(http::header::TRANSFER_ENCODING);
    head.headers.remove(http::header::CONTENT_LENGTH);
    let mut answer = Answer::from_parts(head, AnswerBody::from(body));
    super::audit::take_mark(&mut answer);
    Ok(answer)
}

/// Why the other member takes nothing from this server, which was removed or is of another group.
/// Such an answer is for members: it has no `error` around it.
fn refusal(answer: &http::Response<Bytes>) -> Option<String> {
    let refuses = matches!(answer.status(), StatusCode::CONFLICT | StatusCode::FORBIDDEN);
    let error = refuses.then(|| serde_json::from_slice::<Error>(answer.body()).ok())?;
    error.map(|e| e.message)
}

/// Whether an answer means that another member is to be asked.
pub fn is_elsewhere<B>(answer: &http::Response<B>) -> bool {
    answer.headers().contains_key(ELSEWHERE)
}

/// The answer that makes the sender look further.
pub fn not_here(error: &Error) -> Answer {
    let mut answer = failed(error);
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(ELSEWHERE, HeaderValue::from_static("1"));
    answer
}

/// Why a member made the sender look further.
pub fn reason(answer: &http::Response<Bytes>) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(answer.body()).ok()?;
    body.pointer("/error/message")?.as_str().map(str::to_owned)
}

/// The request and caller a member forwarded; `None` where headers are missing.
pub fn received(headers: &HeaderMap, body: Bytes) -> Option<(Asked, Identity)> {
    let get = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let (path, query) = {
        let target = get(TARGET)?;
        target.split_once('?').unwrap_or((target, ""))
    };
    let left = get(LEFT).and_then(|ms| ms.parse().ok()).map_or(PATIENCE, Duration::from_millis);
    let asked = Asked {
        method: get(METHOD)?.parse().ok()?,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.clone(),
        body,
        held: std::sync::Arc::default(),
        patience: Some(PATIENCE.min(left)),
        deadline: None,
    };
    // A member of an earlier release tells of no groups.
    let groups = get(GROUPS).and_then(text_of).and_then(|json| serde_json::from_str(&json).ok());
    let identity = Identity {
        user: text_of(get(USER)?)?,
        is_admin: get(ADMIN)? == "1",
        groups: groups.unwrap_or_default(),
    };
    Some((asked, identity))
}

/// Names hold any character; headers do not.
fn hex_of(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

fn text_of(hex: &str) -> Option<String> {
    let bytes = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok()));
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_in_headers() {
        assert_eq!(text_of(&hex_of("Zoë")).as_deref(), Some("Zoë"));
        assert_eq!(text_of("zz"), None);
    }
}
