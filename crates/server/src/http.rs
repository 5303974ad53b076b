//! What clients and other members ask over HTTP, and where it is answered.
//!
//! Any server takes any request: writes go to the leader, reads to a member that can serve them,
//! and both wait for one for as long as a client would.

pub mod answer;
pub mod asked;
pub mod caller;
pub mod forward;
pub mod health;
pub mod listen;
pub mod openapi;
pub mod peer;
pub mod rest;
pub mod xmla;

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_service::Service;
use evercube_service::auth::Identity;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::transport::PeerClient;
use answer::{Answer, failed};
use asked::Asked;
use caller::{Caller, LOGIN_COOKIE};

/// How long a request waits for a member that can answer it.
const HOLD: Duration = Duration::from_secs(30);

pub struct ServerState {
    pub service: Arc<Service>,
    pub peers: Arc<PeerClient>,
}

/// Where a request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// By this very server.
    Here,
    /// By any member that holds the data.
    Reader,
    /// By the member that takes writes.
    Writer,
}

/// A request told apart by its path.
pub enum Task {
    Rest,
    Xmla(Box<xmla::Message>),
}

impl Task {
    fn of(asked: &Asked) -> Result<Self> {
        if xmla::is_endpoint(asked) {
            return Ok(Self::Xmla(Box::new(xmla::Message::read(asked)?)));
        }
        Ok(Self::Rest)
    }

    fn place(&self, asked: &Asked) -> Place {
        match self {
            Self::Rest => rest::place(asked),
            Self::Xmla(message) => message.place(),
        }
    }

    async fn run(&self, state: &Arc<ServerState>, asked: &Asked, by: &Identity) -> Result<Answer> {
        // Boxed: the use cases' futures are large, and held at several places above.
        match self {
            Self::Rest => Box::pin(rest::run(state, asked, by)).await,
            Self::Xmla(message) => Box::pin(xmla::run(state, asked, message, by)).await,
        }
    }

    fn failed(&self, error: &Error) -> Answer {
        match self {
            Self::Rest => failed(error),
            Self::Xmla(message) => message.fault(error),
        }
    }
}

/// Answers a client.
pub async fn client(state: Arc<ServerState>, request: Request<Incoming>) -> Answer {
    let mut answer = match Asked::read(request).await {
        Ok(mut asked) => match caller::find(&state, &asked).await {
            _ if health::is_endpoint(&asked) => health::run(&state, &asked),
            Ok(Caller { identity, cookie }) => {
                asked.ensure_request_id();
                let mut answer = answered(&state, asked, &identity, false).await;
                let login = cookie.map(|c| format!("{LOGIN_COOKIE}={c}; Path=/; HttpOnly"));
                if let Some(value) = login.and_then(|c| HeaderValue::from_str(&c).ok()) {
                    answer.headers_mut().append(http::header::SET_COOKIE, value);
                }
                answer
            }
            Err(refusal) => refusal,
        },
        Err(e) => failed(&e),
    };
    let version = state.service.metastore.status().applied;
    let headers = answer.headers_mut();
    headers.entry("x-evercube-version").or_insert_with(|| version.into());
    headers.insert("x-transport-caps-negotiation-flags", HeaderValue::from_static("0,0,0,0,0"));
    answer
}

/// Answers here or has another member answer. A `forwarded` request is answered here or not at
/// all: the member that forwarded it looks further.
pub async fn answered(
    state: &Arc<ServerState>,
    asked: Asked,
    by: &Identity,
    forwarded: bool,
) -> Answer {
    let task = match Task::of(&asked) {
        Ok(task) => task,
        Err(e) => return xmla::Message::unread(&e),
    };
    let place = task.place(&asked);
    let deadline = Instant::now() + HOLD;
    loop {
        let found = match place {
            Place::Writer => at_writer(state, &task, &asked, by, forwarded).await,
            Place::Reader => at_reader(state, &task, &asked, by, forwarded).await,
            Place::Here => task.run(state, &asked, by).await,
        };
        match found {
            Ok(answer) => return answer,
            Err(e) if e.kind == ErrorKind::Unavailable && forwarded => {
                return forward::not_here(&e);
            }
            Err(e) if e.kind != ErrorKind::Unavailable || Instant::now() >= deadline => {
                return task.failed(&e);
            }
            // Nobody takes writes yet, or the one who did has just gone.
            Err(_) => tokio::time::sleep(Duration::from_millis(40)).await,
        }
    }
}

async fn at_writer(
    state: &Arc<ServerState>,
    task: &Task,
    asked: &Asked,
    by: &Identity,
    forwarded: bool,
) -> Result<Answer> {
    let writers = state.service.wait_for_writers(HOLD).await?;
    if forwarded {
        return match writers.iter().any(|w| w.is_me) {
            true => task.run(state, asked, by).await,
            false => Err(Error::new(ErrorKind::Unavailable, "this member does not take writes")),
        };
    }
    let mut failure = Error::new(ErrorKind::Unavailable, "no data server takes writes");
    for writer in writers {
        let answer = match writer.is_me {
            true => task.run(state, asked, by).await,
            false => forward::send(state, &writer.peer_address, asked, by).await,
        };
        match answer {
            Err(e) if e.kind == ErrorKind::Unavailable => failure = e,
            done => return done,
        }
    }
    Err(failure)
}

async fn at_reader(
    state: &Arc<ServerState>,
    task: &Task,
    asked: &Asked,
    by: &Identity,
    forwarded: bool,
) -> Result<Answer> {
    let here = if state.service.serves_queries() {
        task.run(state, asked, by).await
    } else {
        Err(Error::new(ErrorKind::Unavailable, "a witness holds no data"))
    };
    let Err(e) = here else { return here };
    if e.kind != ErrorKind::Unavailable || forwarded {
        return Err(e);
    }
    for address in state.service.data_peers() {
        if let Ok(answer) = forward::send(state, &address, asked, by).await {
            return Ok(answer);
        }
    }
    Err(e)
}
