//! One request to one server: its whole answer, or why there is none.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use evercube_base::{Error, ErrorKind, Result};
use http::{Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::watch;

use super::long_answer::LongAnswer;
use super::pool::{InFlight, Standing};
use super::{AnswerBody, Gateway, outgoing};
use crate::http::asked::{Asked, SERVERS};

/// On every answer of a server; what lacks it comes from something else at that address.
const VERSION: &str = "x-evercube-version";

/// What is sent.
pub(super) struct Sent<'a> {
    pub asked: &'a Asked,
    /// The version to answer from, where part of an answer from it was passed on already.
    pub at: Option<u64>,
    pub nature: Nature,
}

/// What a request that is sent twice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Nothing.
    Read,
    /// The same as once, by its request id.
    DoneOnce,
    /// Perhaps something twice.
    Other,
}

pub(super) enum Outcome {
    /// For the client.
    Answered(Response<AnswerBody>),
    /// An answer that says another server may do better.
    Refused(Response<Bytes>),
    /// No answer, or not all of it.
    Lost {
        why: String,
        /// Whether the server may have done what it was asked.
        perhaps_done: bool,
    },
}

/// An answer that is coming in.
pub(super) struct Coming {
    body: Incoming,
    standing: watch::Receiver<Standing>,
    _counted: InFlight,
}

/// Sends the request and holds the answer until it is whole, or too long to be held.
pub(super) async fn send(gateway: &Arc<Gateway>, member: usize, sent: &Sent<'_>) -> Outcome {
    let (head, mut coming) = match open(gateway, member, sent).await {
        Ok(opened) => opened,
        Err(e) => {
            gateway.pool.failed(member);
            let perhaps_done = e.kind != ErrorKind::Unavailable;
            return Outcome::Lost { why: e.message, perhaps_done };
        }
    };
    let mut held = BytesMut::new();
    loop {
        match coming.piece().await {
            Ok(Some(bytes)) => held.extend_from_slice(&bytes),
            Ok(None) => break,
            Err(e) => {
                gateway.pool.failed(member);
                return Outcome::Lost { why: e.to_string(), perhaps_done: true };
            }
        }
        if held.len() > gateway.buffer {
            let version = version_of(&head).filter(|_| sent.nature == Nature::Read);
            let rest = LongAnswer::new(Arc::clone(gateway), sent.asked.clone(), version, member);
            let relay = rest.start(held.freeze(), coming);
            return Outcome::Answered(cleaned(Response::from_parts(head, relay)));
        }
    }
    let is_ours = head.headers.contains_key(VERSION);
    let elsewhere = match head.status {
        StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT
        | StatusCode::MISDIRECTED_REQUEST
        | StatusCode::INTERNAL_SERVER_ERROR => true,
        other => other.is_server_error() && !is_ours,
    };
    let response = cleaned(Response::from_parts(head, held.freeze()));
    if elsewhere {
        Outcome::Refused(response)
    } else {
        Outcome::Answered(response.map(AnswerBody::from))
    }
}

/// The answer's head, unless the server falls silent before.
pub(super) async fn open(
    gateway: &Arc<Gateway>,
    member: usize,
    sent: &Sent<'_>,
) -> Result<(http::response::Parts, Coming)> {
    let unknown = || Error::internal("the server is not known");
    let (counted, mut standing) = gateway.pool.enter(member).ok_or_else(unknown)?;
    let request = outgoing(sent, &gateway.pool.name(member))
        .ok_or_else(|| Error::invalid("the request's path cannot be written"))?;
    // A server that is silent already is asked all the same, being the last resort.
    standing.mark_unchanged();
    let response = tokio::select! {
        answered = gateway.pool.client.open(request) => answered?,
        () = fell_silent(&mut standing) => return Err(Error::internal("the server fell silent")),
    };
    let (mut head, body) = response.into_parts();
    if let Some(servers) = head.headers.remove(SERVERS) {
        gateway.pool.follow(member, servers.to_str().unwrap_or_default());
    }
    Ok((head, Coming { body, standing, _counted: counted }))
}

async fn fell_silent(standing: &mut watch::Receiver<Standing>) {
    loop {
        if standing.changed().await.is_err() {
            return std::future::pending().await;
        }
        if *standing.borrow_and_update() == Standing::Silent {
            return;
        }
    }
}

impl Coming {
    /// The next bytes, `None` at the end.
    pub(super) async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let frame = tokio::select! {
                frame = self.body.frame() => frame,
                () = fell_silent(&mut self.standing) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the server fell silent"));
                }
            };
            match frame {
                None => return Ok(None),
                Some(Err(e)) => return Err(io::Error::other(e)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

fn version_of(head: &http::response::Parts) -> Option<u64> {
    head.headers.get(VERSION)?.to_str().ok()?.parse().ok()
}

/// Without the headers of the server's own connection.
fn cleaned<B>(mut response: Response<B>) -> Response<B> {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        response.headers_mut().remove(name);
    }
    response
}
