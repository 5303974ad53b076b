//! Answers as HTTP responses.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use evercube_base::{Error, ErrorKind};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::body::AnswerBody;

pub type Answer = Response<AnswerBody>;

pub fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    with_body(status, kind, AnswerBody::from(body.into()))
}

/// An answer that comes in pieces.
pub fn streamed(kind: &'static str, pieces: mpsc::Receiver<io::Result<Bytes>>) -> Answer {
    with_body(StatusCode::OK, kind, AnswerBody::Streamed(pieces))
}

fn with_body(status: StatusCode, kind: &'static str, body: AnswerBody) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What is written under the limits of the request it answers.
struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        evercube_work::tick();
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Something as JSON, with status 200.
pub fn json_of(value: &impl Serialize) -> Answer {
    let mut out = Limited(Vec::new());
    match serde_json::to_writer(&mut out, value) {
        Ok(()) => answer(StatusCode::OK, "application/json", out.0),
        Err(e) => failed(&Error::internal(format!("the answer cannot be written: {e}"))),
    }
}

/// An error as REST callers see it.
pub fn failed(error: &Error) -> Answer {
    let message = error.to_string();
    let body = json!({ "error": { "kind": format!("{:?}", error.kind), "message": message } });
    let mut answer = answer(status_of(error.kind), "application/json", body.to_string());
    // Within the server, for those who write down how requests end.
    answer.extensions_mut().insert(error.kind);
    answer
}

/// An error after which nothing more is read from the connection.
pub fn last(error: &Error) -> Answer {
    let mut answer = failed(error);
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid | ErrorKind::Evaluation => StatusCode::BAD_REQUEST,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::Limit
        | ErrorKind::MemoryLimit
        | ErrorKind::RowLimit
        | ErrorKind::NestingLimit => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Cancelled | ErrorKind::TimeLimit => StatusCode::REQUEST_TIMEOUT,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Source => StatusCode::BAD_GATEWAY,
        ErrorKind::Unknown | ErrorKind::Corrupt | ErrorKind::Internal => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The request must say who sends it.
pub fn challenge(with_bearer: bool) -> Answer {
    let error = Error::new(
        ErrorKind::Denied,
        "The server needs a user name and password, as Basic authentication, or a bearer token.",
    );
    refused(&error, with_bearer)
}

/// What the request said of its sender does not count.
pub fn refused(error: &Error, with_bearer: bool) -> Answer {
    let mut response = failed(error);
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let ways = ["Basic realm=\"Evercube\"", "Bearer realm=\"Evercube\""];
    for way in ways.into_iter().take(if with_bearer { 2 } else { 1 }) {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
    }
    response
}

/// The caller has to wait.
pub fn too_many(wait: Duration) -> Answer {
    let seconds = wait.as_secs().max(1);
    let message = format!("Too many sign-ins failed or wait; try again in {seconds} seconds.");
    let mut response = failed(&Error::new(ErrorKind::Denied, message));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
