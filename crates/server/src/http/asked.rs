//! A request read in full: what both the client listener and a forwarding member hand on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use evercube_base::{Error, Result};
use evercube_service::call::{At, Call, ReadLevel};
use http::request::Parts;
use http::{HeaderMap, Method, Request, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::incoming::{self, Held};
use super::{rest, xmla};

/// The largest body of a request that anybody may make.
const SMALL: usize = 64 << 10;
/// On a request of a gateway, which looks further by itself.
pub const RELAYED: &str = "x-evercube-relayed";
/// On the answer to a gateway, for somebody who signed in: where the servers of the group are.
pub const SERVERS: &str = "x-evercube-servers";
pub const REQUEST_ID: &str = "x-evercube-request-id";

#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    /// Path without the query.
    pub path: String,
    /// What stands after `?`.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Counts the body as held.
    pub held: Arc<Held>,
    /// How long a read may wait here before another member is asked; `None`: as long as any.
    pub patience: Option<Duration>,
    /// When a read is given up that waits for a leader or its version; `None`: it has just begun.
    pub deadline: Option<Instant>,
}

/// Refuses a head that names several hosts: a proxy and the server behind it may take different ones.
///
/// # Errors
/// `Invalid`; nothing more should be read from the connection.
pub fn check_hosts(headers: &HeaderMap) -> Result<()> {
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(Error::invalid("the request names several hosts"));
    }
    Ok(())
}

impl Asked {
    /// The head of a request; its body comes after.
    pub fn of_head(head: Parts) -> Self {
        Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: Bytes::new(),
            held: Arc::default(),
            patience: None,
            deadline: None,
        }
    }

    /// Reads the body, of at most as many bytes as such a request may have, or `most`.
    pub async fn take_body(&mut self, body: Incoming, most: usize) -> Result<()> {
        let largest = match xmla::is_endpoint(self) {
            true => incoming::LARGEST,
            false => rest::largest_body(self),
        };
        self.take_body_of(body, largest.min(most)).await
    }

    /// As [`Self::take_body`], for what is answered to anybody.
    pub async fn take_small_body(&mut self, body: Incoming) -> Result<()> {
        self.take_body_of(body, SMALL).await
    }

    async fn take_body_of(&mut self, body: Incoming, largest: usize) -> Result<()> {
        if let Some(how) =
            self.header("content-encoding").filter(|e| !e.eq_ignore_ascii_case("identity"))
        {
            return Err(Error::unsupported(format!(
                "the request's body is compressed ({how}), which is not taken; send it as it is"
            )));
        }
        let codings = self.headers.get_all(header::TRANSFER_ENCODING);
        if codings.iter().any(|v| !v.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            return Err(Error::unsupported(
                "the request's body comes in a transfer coding that is not taken; send it chunked or with its length",
            ));
        }
        let (body, held) = incoming::read(body, largest).await?;
        (self.body, self.held) = (body, Arc::new(held));
        Ok(())
    }

    pub async fn read(request: Request<Incoming>) -> Result<Self> {
        let (head, body) = request.into_parts();
        let mut asked = Self::of_head(head);
        asked.take_body(body, incoming::LARGEST).await?;
        Ok(asked)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// Whether a gateway sent it.
    pub fn is_relayed(&self) -> bool {
        self.headers.contains_key(RELAYED)
    }

    /// Gives a write without an id one, so that it is done once however often it is sent on.
    pub fn ensure_request_id(&mut self) {
        if self.method == Method::GET || self.headers.contains_key(REQUEST_ID) {
            return;
        }
        let id = crate::client::request_id().ok().and_then(|id| id.parse().ok());
        if let Some(value) = id {
            self.headers.insert(REQUEST_ID, value);
        }
    }

    /// Whether the read is to be answered by the server that takes writes: `…:rw` or `?readwrite`.
    pub fn wants_primary(&self) -> bool {
        let says = |name: &str| name.trim_end_matches('/').to_ascii_lowercase().ends_with(":rw");
        says(&self.path)
            || self.header(super::azure::SERVER).is_some_and(says)
            || self.query.split('&').any(|p| {
                let name = p.split_once('=').map_or(p, |(name, _)| name);
                name.eq_ignore_ascii_case("readwrite")
            })
    }

    /// A parameter of the URL, percent-decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).next()
    }

    /// All values of a parameter of the URL.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        self.query
            .split('&')
            .filter_map(|pair| {
                let (k, v) = pair.split_once('=').unwrap_or((pair, ""));
                Some((percent_decode(k)?, percent_decode(v)?))
            })
            .filter(move |(k, _)| k == name)
            .map(|(_, v)| v)
    }

    /// A cookie of the request.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let all = self.headers.get_all(http::header::COOKIE);
        all.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';')).find_map(|pair| {
            let (k, v) = pair.trim().split_once('=')?;
            (k == name).then_some(v)
        })
    }

    /// What the headers and the URL say about the read and the write, whoever asks.
    ///
    /// # Errors
    /// `Invalid` for a read level or a version that cannot be read.
    pub fn call(&self) -> Result<Call> {
        let is_relayed = self.is_relayed();
        let (patience, deadline) = (self.patience, self.deadline);
        let mut call = Call { patience, deadline, is_relayed, ..Call::default() };
        let read =
            self.header("x-evercube-read").map(str::to_owned).or_else(|| self.parameter("read"));
        if let Some(text) = read {
            call.read = ReadLevel::parse(&text).ok_or_else(|| {
                Error::invalid(format!(
                    "the read level '{text}' is none of strong, session, any, bounded:2s"
                ))
            })?;
        }
        if let Some(text) = self.header("x-evercube-at") {
            call.at = Some(at(text)?);
        }
        call.request_id = self.header("x-evercube-request-id").map(str::to_owned);
        Ok(call)
    }
}

/// A version number or a time.
pub fn at(text: &str) -> Result<At> {
    At::parse(text).ok_or_else(|| {
        Error::invalid(format!(
            "'{text}' is neither a version number nor a time such as 2026-01-31T12:00:00 (UTC) or 2026-01-31T13:00:00+01:00"
        ))
    })
}

/// `None` where the escapes do not give UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'+' => b' ',
            b'%' => {
                let pair = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            b => b,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_cookies_are_found() {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", "a=1; evercube-login=x.y".parse().unwrap());
        let asked = Asked {
            method: Method::GET,
            path: "/".into(),
            query: "parameter=A%3D1&read=any&parameter=B+C".into(),
            headers,
            body: Bytes::new(),
            held: Arc::default(),
            patience: None,
            deadline: None,
        };
        assert_eq!(asked.parameters("parameter").collect::<Vec<_>>(), ["A=1", "B C"]);
        assert_eq!(asked.cookie("evercube-login"), Some("x.y"));
        assert_eq!(asked.call().unwrap().read, ReadLevel::Any);
        assert_eq!(percent_decode("%zz"), None);
        let to = |path: &str, query: &str| {
            Asked { path: path.into(), query: query.into(), ..asked.clone() }.wants_primary()
        };
        assert!(to("/xmla:rw", "") && to("/xmla", "ReadWrite") && to("/", "a=1&readwrite=true"));
        assert!(!to("/xmla", "read=any") && !to("/rw", ""));
    }
}
