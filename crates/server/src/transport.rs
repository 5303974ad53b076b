//! Messages to servers over HTTP: consensus, objects, forwarded and relayed requests.

pub mod connect;
pub mod reach;
pub mod warm;

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use evercube_base::{Error, ErrorKind, Result};
use http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::failure::Outcome;
use crate::tls::authority::MEMBER_NAME;
use crate::tls::{explained, failed};
use connect::Connector;

/// A pooled client for servers.
pub struct PeerClient {
    pool: Client<Connector, Full<Bytes>>,
    /// How members are addressed: `https` where they prove to each other who they are.
    scheme: &'static str,
    /// What messages to members say about their sender.
    introduction: RwLock<Option<HeaderValue>>,
}

/// Who sends a message to a member: group, history and member, as `id/incarnation/member`.
pub const SENDER: &str = "x-evercube-member";

const CONNECT_LIMIT: Duration = Duration::from_millis(1000);

impl PeerClient {
    /// For servers by http, or by https with this configuration; members speak plainly.
    pub fn new(config: ClientConfig) -> Self {
        Self::over("http", config, None)
    }

    /// For members that show the certificate this configuration wants to see.
    ///
    /// # Errors
    /// `Refused` where connections cannot be set up at all.
    pub fn to_members(config: ClientConfig) -> Outcome<Self> {
        let name = ServerName::try_from(MEMBER_NAME).map_err(failed)?;
        Ok(Self::over("https", config, Some(name)))
    }

    fn over(scheme: &'static str, config: ClientConfig, name: Option<ServerName<'static>>) -> Self {
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(Connector::new(config, CONNECT_LIMIT, name));
        Self { pool, scheme, introduction: RwLock::default() }
    }

    /// Where a member takes requests below `/peer/`.
    pub fn member_url(&self, peer_address: &str, path: &str) -> String {
        format!("{}://{peer_address}/peer/{path}", self.scheme)
    }

    /// What messages to members say of their sender from now on.
    pub fn introduce_as(&self, identity: &str) {
        let value = HeaderValue::from_str(identity).ok().filter(|_| !identity.is_empty());
        *self.introduction.write().unwrap_or_else(PoisonError::into_inner) = value;
    }

    /// Adds to a message for a member who sends it.
    pub fn introduce_sender<B>(&self, request: &mut Request<B>) {
        let introduction = self.introduction.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = introduction.as_ref() {
            request.headers_mut().insert(HeaderName::from_static(SENDER), value.clone());
        }
    }

    /// Sends a request and gives the answer's head as soon as it is there.
    ///
    /// # Errors
    /// `Unavailable` where the server surely did not get the request, `Unknown` otherwise.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> Result<http::Response<Incoming>> {
        let to = authority_of(&request);
        self.pool.request(request).await.map_err(|e| {
            let kind = if e.is_connect() { ErrorKind::Unavailable } else { ErrorKind::Unknown };
            Error::new(kind, format!("the server at {to} was not reached: {}", explained(&e)))
        })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// As [`Self::open`]; also where the answer is not whole within `limit`.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<http::Response<Bytes>> {
        let to = authority_of(&request);
        let whole = self.send_over_slow_way(request, limit);
        tokio::time::timeout(limit, whole).await.unwrap_or_else(|_| Err(late(&to, limit)))
    }

    /// As [`Self::send`], but the answer may take as long as a slow way makes it: only where it does not
    /// begin, or nothing more of it comes, within `limit`, it is given up.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_over_slow_way(
        &self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<http::Response<Bytes>> {
        let to = authority_of(&request);
        let answer = tokio::time::timeout(limit, self.open(request)).await;
        let (head, mut body) = answer.unwrap_or_else(|_| Err(late(&to, limit)))?.into_parts();
        let mut bytes = BytesMut::new();
        loop {
            let Ok(frame) = tokio::time::timeout(limit, body.frame()).await else {
                return Err(late(&to, limit));
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|e| {
                let message = format!("the connection to the server at {to} broke: {e}");
                Error::new(ErrorKind::Unknown, message)
            })?;
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Ok(http::Response::from_parts(head, bytes.freeze()))
    }
}

fn late(to: &str, limit: Duration) -> Error {
    let message = format!("the server at {to} did not answer within {} ms", limit.as_millis());
    Error::new(ErrorKind::Unknown, message)
}

fn authority_of<B>(request: &Request<B>) -> String {
    request.uri().authority().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;
    use crate::tls::client_config;

    /// Answers with so many of ten bytes, one every 50 ms, and then nothing more.
    async fn slow_server(bytes: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _read = stream.read(&mut asked).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await.unwrap();
            for _ in 0..bytes {
                tokio::time::sleep(Duration::from_millis(50)).await;
                stream.write_all(b"x").await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        address
    }

    #[tokio::test]
    async fn an_answer_over_a_slow_way_is_waited_for_while_it_comes() {
        let limit = Duration::from_millis(300);
        let client = PeerClient::new(client_config(rustls::RootCertStore::empty()).unwrap());
        let ask = |address: &str| {
            let request = Request::builder().uri(format!("http://{address}/"));
            request.body(Full::new(Bytes::new())).unwrap()
        };
        let whole = client.send_over_slow_way(ask(&slow_server(10).await), limit).await.unwrap();
        assert_eq!(whole.body().len(), 10);
        let cut = client.send(ask(&slow_server(10).await), limit).await.unwrap_err();
        assert!(cut.message.contains("within 300 ms"), "{cut}");
        let begun = Instant::now();
        client.send_over_slow_way(ask(&slow_server(2).await), limit).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
