//! What clients and other members ask over HTTP, and where it is answered.
//!
//! Any server takes any request: writes go to the leader, reads to a member that can serve them,
//! and both wait for one for as long as a client would.

pub mod access;
pub mod answer;
pub mod asked;
pub mod audit;
pub mod azure;
mod backups;
pub mod body;
pub mod caller;
pub mod connections;
mod credentials;
pub mod forward;
pub mod gate;
pub mod group;
pub mod health;
pub mod incoming;
pub mod large;
pub mod listen;
mod metrics;
pub mod openapi;
pub mod origin;
mod outgoing;
mod patient;
pub mod peer;
pub mod refreshes;
pub mod rest;
mod schedules;
mod schema_query;
mod shared;
mod sync;
pub mod xmla;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_service::Service;
use evercube_service::auth::Identity;
use evercube_service::group::Writer;
use evercube_service::status::out_of_touch;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::issuer::Issuer;
use crate::tls::accept::Notes;
use crate::transport::PeerClient;
use answer::{Answer, failed};
use asked::Asked;
use audit::Noted;
use caller::{Caller, LOGIN_COOKIE};

/// How long a request waits for a member that can answer it.
const HOLD: Duration = Duration::from_secs(30);

/// How long a member that was replaced as the writer may take to answer what it has been sent.
const LAST_ANSWER: Duration = Duration::from_millis(100);

/// How long a read waits here for a leader before other servers are asked, which may see one: longer
/// than an election takes.
const ELECTION: Duration = Duration::from_secs(5);

/// How long a read waits here for what this server lacks before another one is asked.
const CATCH_UP: Duration = Duration::from_millis(100);

pub struct ServerState {
    pub service: Arc<Service>,
    pub peers: Arc<PeerClient>,
    /// How members prove who they are; `None`: they do not.
    pub gate: Option<gate::Gate>,
    /// Whose bearer tokens count besides those of the group.
    pub issuer: Option<Issuer>,
    /// Messages from servers that are no members any more.
    pub refusals: Notes,
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
    /// As Azure Analysis Services has it.
    Refreshes(refreshes::Route),
    Xmla(Box<xmla::Message>),
}

impl Task {
    fn of(asked: &Asked) -> Result<Self> {
        if xmla::is_endpoint(asked) {
            return Ok(Self::Xmla(Box::new(xmla::Message::read(asked)?)));
        }
        Ok(refreshes::route(asked).map_or(Self::Rest, Self::Refreshes))
    }

    fn place(&self, asked: &Asked) -> Place {
        match self {
            Self::Rest => rest::place(asked),
            Self::Refreshes(_) => Place::Reader,
            Self::Xmla(message) => match message.place() {
                Place::Reader if asked.wants_primary() => Place::Writer,
                place => place,
            },
        }
    }

    async fn run(&self, state: &Arc<ServerState>, asked: &Asked, by: &Identity) -> Result<Answer> {
        // Boxed: the use cases' futures are large, and held at several places above.
        match self {
            Self::Rest => Box::pin(rest::run(state, asked, by)).await,
            Self::Refreshes(route) => Box::pin(refreshes::run(state, asked, route, by)).await,
            Self::Xmla(message) => Box::pin(xmla::run(state, asked, message, by)).await,
        }
    }

    fn failed(&self, error: &Error) -> Answer {
        match self {
            Self::Rest => failed(error),
            Self::Refreshes(_) => refreshes::failure(error),
            Self::Xmla(message) => message.fault(error),
        }
    }
}

/// Answers a client.
pub async fn client(state: Arc<ServerState>, request: Request<Incoming>) -> Answer {
    let from = request.extensions().get::<SocketAddr>().map(SocketAddr::ip);
    // Who is behind a gateway is looked at as well: a gateway opens no door that is shut.
    let behind = audit::behind_gateway(request.headers());
    let kept_out = from.into_iter().chain(behind).find(|a| !state.service.lets_in(*a));
    if let Some(address) = kept_out {
        audit::kept_out(&state, address);
        return failed(&Error::new(
            ErrorKind::Denied,
            format!("The firewall of the group lets no client in from {address}."),
        ));
    }
    if let Err(e) = asked::check_hosts(request.headers()) {
        return answer::last(&e);
    }
    if let Err(e) = foreign_page(&state, &request) {
        return failed(&e);
    }
    let near = is_near(from) && !audit::is_forwarded(request.headers());
    let cloud = azure::is_transport(request.uri().path());
    let (head, body) = request.into_parts();
    let mut asked = Asked::of_head(head);
    // Before the body is read: from somebody unknown none is taken.
    let mut answer = match caller::find(&state, &asked, from).await {
        _ if azure::is_asked(&asked) => match asked.take_small_body(body).await {
            Ok(()) => found(&state, &asked),
            Err(e) => failed(&e),
        },
        found if health::is_endpoint(&asked) => match found {
            Err(refusal) if health::tells_names(&asked) && !near => refusal,
            found => {
                let names = near || found.is_ok_and(|c| c.identity.is_admin);
                health::run(&state, &asked, names)
            }
        },
        Ok(Caller { identity, cookie }) => {
            match asked.take_body(body, state.service.limits().request_size).await {
                Ok(()) => {
                    asked.ensure_request_id();
                    let is_relayed = asked.is_relayed();
                    let mut answer = noted(&state, asked, &identity, from).await;
                    if let Some(servers) = is_relayed.then(|| servers(&state)).flatten() {
                        answer.headers_mut().insert(asked::SERVERS, servers);
                    }
                    let login = cookie
                        .map(|c| format!("{LOGIN_COOKIE}={c}; Path=/; HttpOnly; SameSite=Strict"));
                    if let Some(value) = login.and_then(|c| HeaderValue::from_str(&c).ok()) {
                        answer.headers_mut().append(http::header::SET_COOKIE, value);
                    }
                    answer
                }
                Err(e) => failed(&e),
            }
        }
        Err(refusal) => {
            incoming::discard(body).await;
            refusal
        }
    };
    answer = outgoing::counted(answer);
    let version = state.service.metastore.status().applied;
    let headers = answer.headers_mut();
    headers.entry("x-evercube-version").or_insert_with(|| version.into());
    if state.service.is_draining() {
        // The client's next request finds a server that stays.
        headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert("x-transport-caps-negotiation-flags", HeaderValue::from_static("0,0,0,0,0"));
    if cloud { azure::carried(answer) } else { answer }
}

/// Refuses what somebody else's page has a browser ask.
fn foreign_page(state: &ServerState, request: &Request<Incoming>) -> Result<()> {
    let config = &state.service.config;
    if config.no_auth {
        origin::check_name(request.headers(), &config.http_address)?;
    }
    origin::check(request.method(), request.headers())
}

/// Where the servers of the group are, for a gateway that follows them.
fn servers(state: &ServerState) -> Option<HeaderValue> {
    let group = state.service.metastore.state();
    let addresses: Vec<&str> = group.members.values().map(|m| m.http_address.as_str()).collect();
    HeaderValue::from_str(&addresses.join(",")).ok()
}

/// The answer to who looks for a server.
fn found(state: &ServerState, asked: &Asked) -> Answer {
    let target = azure::alias(asked).and_then(|alias| state.service.link_target(&alias));
    match target {
        Some(target) => azure::led(target),
        None => {
            let mut here = azure::found(asked);
            // A gateway knows the address that its client came to.
            here.headers_mut().insert(azure::LEADS_HERE, HeaderValue::from_static("1"));
            here
        }
    }
}

fn is_near(from: Option<IpAddr>) -> bool {
    from.is_some_and(|a| a.to_canonical().is_loopback())
}

/// Answers, and has the audit log tell of it.
async fn noted(
    state: &Arc<ServerState>,
    asked: Asked,
    by: &Identity,
    from: Option<IpAddr>,
) -> Answer {
    let read = || {
        let task = Task::of(&asked);
        let noted = task.as_ref().ok().map(|task| Noted::of(state, &asked, task, by, from));
        (task, noted)
    };
    let (task, noted) = large::taken_apart(asked.body.len(), read).await;
    let answer = answered(state, &task, asked, by, false).await;
    if let Some(noted) = noted {
        noted.end(state, &answer);
    }
    answer
}

/// Answers here or has another member answer. A `forwarded` request is answered here or not at
/// all: the member that forwarded it looks further.
pub async fn answered(
    state: &Arc<ServerState>,
    task: &Result<Task>,
    asked: Asked,
    by: &Identity,
    forwarded: bool,
) -> Answer {
    let task = match task {
        Ok(task) => task,
        Err(e) => return xmla::Message::unread(e),
    };
    let place = task.place(&asked);
    if asked.is_relayed() && !forwarded && rest::changes_group(&asked) {
        // Once it is begun it is not left; a gateway asks again while it may.
        if let Some(e) = state.service.is_out_of_touch().then(out_of_touch) {
            return forward::not_here(&e);
        }
    }
    // A gateway reaches servers that this one may not; a write need not wait here for the network.
    if place == Place::Writer && asked.is_relayed() && !forwarded {
        return tokio::select! {
            answer = Box::pin(at_place(state, task, place, &asked, by, forwarded)) => answer,
            e = state.service.out_of_touch() => forward::not_here(&e),
        };
    }
    at_place(state, task, place, &asked, by, forwarded).await
}

async fn at_place(
    state: &Arc<ServerState>,
    task: &Task,
    place: Place,
    asked: &Asked,
    by: &Identity,
    forwarded: bool,
) -> Answer {
    let now = Instant::now();
    let deadline = now + HOLD;
    // A read that was forwarded is looked for elsewhere sooner.
    let read_by = now + asked.patience.unwrap_or(HOLD);
    loop {
        let found = match place {
            Place::Writer => at_writer(state, task, asked, by, forwarded).await,
            Place::Reader => at_reader(state, task, asked, by, read_by, forwarded).await,
            Place::Here => task.run(state, asked, by).await,
        };
        match found {
            Ok(answer) => return answer,
            Err(e)
                if e.kind == ErrorKind::Unavailable
                    && looks_further(state, place, asked, forwarded) =>
            {
                return forward::not_here(&e);
            }
            Err(e) if e.kind != ErrorKind::Unavailable => return task.failed(&e),
            Err(e) if Instant::now() >= deadline => return task.failed(&given_up(&e)),
            // Nobody takes writes yet, or the one who did has just gone.
            Err(_) => tokio::time::sleep(Duration::from_millis(40)).await,
        }
    }
}

/// What is said of a request for which no server was found in time.
fn given_up(error: &Error) -> Error {
    let message = format!(
        "given up after {} s: {error}; 'evercube status' tells which servers are missing",
        HOLD.as_secs()
    );
    Error::new(error.kind, message)
}

/// Whether the one who sent the request does better elsewhere: a member that forwarded it, or a
/// gateway where this server is cut off, or lacks what a read must see. A gateway knows which server
/// answers; connections from here to others may be what has just been cut.
fn looks_further(state: &ServerState, place: Place, asked: &Asked, forwarded: bool) -> bool {
    let lacks = place == Place::Reader && !state.service.data_peers().is_empty();
    forwarded || (asked.is_relayed() && (lacks || state.service.is_out_of_touch()))
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
            false => at_other_writer(state, &writer, asked, by).await,
        };
        match answer {
            Err(e) if e.kind == ErrorKind::Unavailable => failure = e,
            done => return done,
        }
    }
    Err(failure)
}

/// The answer of another member, unless it takes writes no longer before it has answered: it may
/// be cut off. The same request is then made elsewhere, and done once.
async fn at_other_writer(
    state: &Arc<ServerState>,
    writer: &Writer,
    asked: &Asked,
    by: &Identity,
) -> Result<Answer> {
    let replaced = async {
        state.service.writer_replaced(writer).await;
        // One that is merely told so itself refuses at once, or has the answer already.
        tokio::time::sleep(LAST_ANSWER).await;
    };
    tokio::select! {
        answer = forward::send(state, &writer.peer_address, asked, by) => answer,
        () = replaced => Err(Error::new(
            ErrorKind::Unavailable,
            "the server that took writes was replaced before it answered",
        )),
    }
}

/// The answer to a read that waits until `deadline` at most, here and elsewhere.
async fn at_reader(
    state: &Arc<ServerState>,
    task: &Task,
    asked: &Asked,
    by: &Identity,
    deadline: Instant,
    forwarded: bool,
) -> Result<Answer> {
    let asked = &Asked { deadline: Some(deadline), ..asked.clone() };
    if forwarded {
        return read_here(state, task, asked, by).await;
    }
    let others = state.service.data_peers();
    // A server that lacks something does not make its callers wait where another one need not. One
    // that comes back seems ready until it has learned what it lacks.
    let waits = others.is_empty() || (state.service.is_ready() && !asked.is_relayed());
    let first = match others.is_empty() {
        true => asked.clone(),
        false => Asked {
            patience: if waits { asked.patience } else { Some(CATCH_UP) },
            deadline: Some(deadline.min(Instant::now() + ELECTION)),
            ..asked.clone()
        },
    };
    let first = read_here(state, task, &first, by).await;
    let Err(e) = first else { return first };
    if e.kind != ErrorKind::Unavailable || looks_further(state, Place::Reader, asked, forwarded) {
        return Err(e);
    }
    for address in others {
        if Instant::now() >= deadline {
            return Err(e);
        }
        let sent = forward::send(state, &address, asked, by);
        if let Ok(answer) = state.service.unless_member_silent(&address, deadline, sent).await {
            return Ok(answer);
        }
    }
    if waits { Err(e) } else { read_here(state, task, asked, by).await }
}

async fn read_here(
    state: &Arc<ServerState>,
    task: &Task,
    asked: &Asked,
    by: &Identity,
) -> Result<Answer> {
    if state.service.serves_queries() {
        return task.run(state, asked, by).await;
    }
    Err(Error::new(ErrorKind::Unavailable, "a witness holds no data"))
}
