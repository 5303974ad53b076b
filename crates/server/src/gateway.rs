//! The gateway: one address in front of a group. Clients keep their connection while servers come
//! and go, because every request is sent again elsewhere until one server has answered it whole.
//!
//! It keeps no results: an answer is held only until it is complete or too long to hold.

mod exchange;
mod long_answer;
mod looks;
mod pool;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use evercube_base::{Error, ErrorKind};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::http::answer::{answer, failed, last};
use crate::http::asked::{Asked, RELAYED, REQUEST_ID, check_hosts};
use crate::http::audit::FORWARDED_FOR;
use crate::http::body::AnswerBody;
use crate::http::origin::FORWARDED_HOST;
use crate::http::{Place, azure, forward, large, origin, rest, xmla};
use exchange::{Nature, Outcome, Sent};
pub use pool::Pool;
use pool::Standing;

/// Between two looks for a server while none can answer.
const PAUSE: Duration = Duration::from_millis(25);
/// Between two rounds of asking others while a server in doubt has not answered.
const AGAIN: Duration = Duration::from_millis(200);
/// Headers about one connection only, not about the request.
const OF_THE_CONNECTION: [&str; 9] = [
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a gateway works with.
#[derive(Debug)]
pub struct Gateway {
    pub pool: Arc<Pool>,
    /// How long a request waits while no server answers.
    pub hold: Duration,
    /// Bytes of an answer that are held until it is complete.
    pub buffer: usize,
}

/// Answers a client with what one of the servers answers.
pub async fn relay(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<AnswerBody> {
    let from = request.extensions().get::<SocketAddr>().map(SocketAddr::ip);
    if let Err(e) = check_hosts(request.headers()) {
        return last(&e);
    }
    if let Err(e) = origin::check(request.method(), request.headers()) {
        return failed(&e);
    }
    let asked = match Asked::read(request).await {
        Ok(asked) => asked,
        Err(e) => return failed(&e),
    };
    if let Some(own) = own_health(&gateway, &asked) {
        return own;
    }
    if azure::alias(&asked).is_some() && azure::is_asked(&asked) {
        let told = relayed(&gateway, asked.clone(), from).await;
        let here = told.headers().contains_key(azure::LEADS_HERE);
        return if here { azure::found(&asked) } else { told };
    }
    if azure::is_asked(&asked) {
        return azure::found(&asked);
    }
    relayed(&gateway, asked, from).await
}

/// The answer of one of the servers.
async fn relayed(
    gateway: &Arc<Gateway>,
    asked: Asked,
    from: Option<IpAddr>,
) -> Response<AnswerBody> {
    let nature = large::taken_apart(asked.body.len(), || nature(&asked)).await;
    let is_read = nature == Nature::Read;
    let asked = prepared(asked, is_read, from);
    let mut last: Option<Response<Bytes>> = None;
    let mut tried: Vec<usize> = Vec::new();
    let mut since = Instant::now();
    loop {
        if let Some(member) = gateway.pool.choose(&tried, is_read) {
            let begun = Instant::now();
            let sent = Sent { asked: &asked, at: None, nature };
            tried.push(member);
            match ask(gateway, member, &sent, &mut tried).await {
                Outcome::Answered(response) => return response,
                // An answer, but one that another server may better.
                Outcome::Refused(response) => last = Some(response),
                Outcome::Lost { why, perhaps_done: true } if rest::is_for_one_server(&asked) => {
                    return lost(gateway.pool.name(member).as_str(), &why);
                }
                Outcome::Lost { why, .. } => {
                    tracing::debug!("{} did not answer: {why}", gateway.pool.name(member));
                    // A server that worked for a while was no silence; one that said "not now" did not.
                    if begun.elapsed() > gateway.hold / 4 {
                        since = Instant::now();
                    }
                }
            }
            continue;
        }
        // Every server has been asked. A refusal that is no "not now" is final.
        if let Some(response) = last.take_if(|r| r.status() != StatusCode::SERVICE_UNAVAILABLE) {
            return response.map(AnswerBody::from);
        }
        if since.elapsed() >= gateway.hold {
            return match last {
                Some(response) if !forward::is_elsewhere(&response) => {
                    response.map(AnswerBody::from)
                }
                last => nobody(gateway, &asked, last.as_ref().and_then(forward::reason)),
            };
        }
        tried.clear();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Has a server answer. What may be sent twice is sent to a better one as well when it falls late,
/// or is away where it is a write, and the first answer is taken.
async fn ask(
    gateway: &Arc<Gateway>,
    member: usize,
    sent: &Sent<'_>,
    tried: &mut Vec<usize>,
) -> Outcome {
    let mut first = Box::pin(exchange::send(gateway, member, sent));
    let doubtful = match sent.nature {
        Nature::Read => (Standing::Late, true),
        Nature::DoneOnce => (Standing::Away, false),
        Nature::Other => return first.await,
    };
    let other = tokio::select! {
        outcome = &mut first => return outcome,
        other = gateway.pool.better_than(member, tried, doubtful) => other,
    };
    tried.push(other);
    let is_lost = AtomicBool::new(false);
    let mut second = Box::pin(ask_others(gateway, (member, other), sent, &is_lost));
    tokio::select! {
        outcome = &mut first => match outcome {
            Outcome::Answered(_) => outcome,
            _ => {
                is_lost.store(true, Ordering::Relaxed);
                second.await
            }
        },
        outcome = &mut second => match outcome {
            Outcome::Answered(_) => outcome,
            _ => first.await,
        },
    }
}

/// Has others answer than the one that is in doubt. That it is in time again says nothing of the
/// request: its answer may have been lost on the way, and who sends it tries again after longer each
/// time. So those that cannot answer now are asked again, for as long as a request waits at all, until
/// the one in doubt has failed.
async fn ask_others(
    gateway: &Arc<Gateway>,
    (doubted, mut other): (usize, usize),
    sent: &Sent<'_>,
    is_lost: &AtomicBool,
) -> Outcome {
    let until = Instant::now() + gateway.hold;
    let is_read = sent.nature == Nature::Read;
    let mut asked = vec![doubted];
    loop {
        asked.push(other);
        let outcome = exchange::send(gateway, other, sent).await;
        match &outcome {
            Outcome::Answered(_) => return outcome,
            Outcome::Refused(r) if r.status() != StatusCode::SERVICE_UNAVAILABLE => return outcome,
            _ => {}
        }
        other = loop {
            if is_lost.load(Ordering::Relaxed) || Instant::now() >= until {
                return outcome;
            }
            if let Some(next) = gateway.pool.ready_beside(&asked, is_read) {
                break next;
            }
            asked.truncate(1);
            tokio::time::sleep(AGAIN).await;
        };
    }
}

fn nature(asked: &Asked) -> Nature {
    if matches!(asked.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Nature::Read;
    }
    let (is_read, is_done_once) = match xmla::is_endpoint(asked).then(|| xmla::Message::read(asked))
    {
        Some(Ok(message)) => (message.place() != Place::Writer, message.is_done_once()),
        // A message that cannot be read changes nothing.
        Some(Err(_)) => (true, false),
        None => {
            let is_post = asked.method == Method::POST;
            (is_post && rest::place(asked) == Place::Reader, rest::is_done_once(asked))
        }
    };
    match (is_read, is_done_once) {
        (true, _) => Nature::Read,
        (false, true) => Nature::DoneOnce,
        (false, false) => Nature::Other,
    }
}

fn prepared(mut asked: Asked, is_read: bool, from: Option<IpAddr>) -> Asked {
    if let Some(host) = asked.headers.remove(header::HOST) {
        asked.headers.append(FORWARDED_HOST, host);
    }
    for name in OF_THE_CONNECTION {
        asked.headers.remove(name);
    }
    asked.headers.remove(header::CONTENT_LENGTH);
    // Servers write down for whom the gateway asks; what the client says of itself comes before.
    if let Some(value) = from.and_then(|a| a.to_canonical().to_string().parse().ok()) {
        asked.headers.append(FORWARDED_FOR, value);
    }
    if !is_read && !asked.headers.contains_key(REQUEST_ID) {
        asked.ensure_request_id();
    }
    asked
}

/// A second server must not do what the first may have done.
fn lost(server: &str, why: &str) -> Response<AnswerBody> {
    failed(&Error::new(
        ErrorKind::Unknown,
        format!(
            "The answer of {server} was lost ({why}), and no other server was asked; its status tells whether it was done."
        ),
    ))
}

fn nobody(gateway: &Gateway, asked: &Asked, why: Option<String>) -> Response<AnswerBody> {
    let why =
        why.map_or_else(String::new, |why| format!(" The last one that was asked said: {why}"));
    let error = Error::new(
        ErrorKind::Unavailable,
        format!(
            "No server of the group answered within {} s; the gateway knows {}.{why}",
            gateway.hold.as_secs(),
            gateway.pool.names().join(", ")
        ),
    );
    if xmla::is_endpoint(asked) {
        return xmla::Message::unread(&error);
    }
    failed(&error)
}

/// The gateway's own health: alive as a process, ready while a server is.
fn own_health(gateway: &Gateway, asked: &Asked) -> Option<Response<AnswerBody>> {
    let text = "text/plain; charset=utf-8";
    let own = match asked.path.as_str() {
        "/health/live" => answer(StatusCode::OK, text, "ok\n"),
        "/health/ready" if gateway.pool.is_ready() => answer(StatusCode::OK, text, "ok\n"),
        "/health/ready" => answer(StatusCode::SERVICE_UNAVAILABLE, text, "no server is ready\n"),
        _ => return None,
    };
    Some(own)
}

/// The request to one server.
fn outgoing(sent: &Sent<'_>, base: &str) -> Option<Request<http_body_util::Full<Bytes>>> {
    let asked = sent.asked;
    let target = match asked.query.as_str() {
        "" => asked.path.clone(),
        query => format!("{}?{query}", asked.path),
    };
    let mut request = Request::builder()
        .method(asked.method.clone())
        .uri(format!("{base}{target}"))
        .body(http_body_util::Full::new(asked.body.clone()))
        .ok()?;
    *request.headers_mut() = asked.headers.clone();
    request.headers_mut().insert(HeaderName::from_static(RELAYED), HeaderValue::from_static("1"));
    if let Some(seq) = sent.at {
        let name = HeaderName::from_static("x-evercube-at");
        request.headers_mut().insert(name, HeaderValue::from(seq));
    }
    Some(request)
}
