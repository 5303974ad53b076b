//! The server's side of a connection before its first request: the handshake, within a limit of
//! its own, so that a slow one holds nobody but itself.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use evercube_base::{Error, ErrorKind};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::explained;

/// How long a client may take until its connection is encrypted.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The first byte of every TLS connection.
const HANDSHAKE_RECORD: u8 = 0x16;

/// A connection from its first byte on.
pub enum Accepted {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// The certificate the other side showed, on every request of the connection.
#[derive(Debug, Clone)]
pub struct Shown(pub Arc<CertificateDer<'static>>);

/// What a listener does with new connections.
#[derive(Clone)]
pub struct Acceptor {
    tls: Option<Arc<ServerConfig>>,
    of_members: Option<Arc<Notes>>,
}

impl Acceptor {
    pub fn plain() -> Self {
        Self { tls: None, of_members: None }
    }

    pub fn encrypted(config: Arc<ServerConfig>) -> Self {
        Self { tls: Some(config), of_members: None }
    }

    /// For the listener of members: whoever is refused there is worth a line in the log.
    pub fn of_members(config: Arc<ServerConfig>) -> Self {
        Self { tls: Some(config), of_members: Some(Arc::default()) }
    }

    /// Notes a connection that came to nothing.
    pub fn refused(&self, from: SocketAddr, why: &str) {
        match &self.of_members {
            Some(notes) => notes.refused(from, why),
            None => tracing::debug!(%from, why, "a connection was refused"),
        }
    }

    /// The connection as requests come over it.
    ///
    /// # Errors
    /// With words for the log where the client does not get that far.
    pub async fn accept(&self, stream: TcpStream) -> Result<Accepted, String> {
        let Some(config) = &self.tls else { return Ok(Accepted::Plain(stream)) };
        let shaking = shake_hands(Arc::clone(config), stream, self.of_members.is_some());
        tokio::time::timeout(HANDSHAKE_LIMIT, shaking)
            .await
            .unwrap_or_else(|_| Err(format!("no handshake within {} s", HANDSHAKE_LIMIT.as_secs())))
    }
}

async fn shake_hands(
    config: Arc<ServerConfig>,
    mut stream: TcpStream,
    of_members: bool,
) -> Result<Accepted, String> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) => return Err("it was closed at once".into()),
        Ok(_) if first[0] == HANDSHAKE_RECORD => {}
        Ok(_) => {
            answer_plain(&mut stream, of_members).await;
            return Err("it does not speak TLS".into());
        }
        Err(e) => return Err(e.to_string()),
    }
    let stream = TlsAcceptor::from(config).accept(stream).await;
    stream.map(|s| Accepted::Encrypted(Box::new(s))).map_err(|e| explained(&e))
}

/// Whoever speaks plain HTTP here is told so in its own language: as REST clients read errors, or
/// as members do.
async fn answer_plain(stream: &mut TcpStream, of_members: bool) {
    const TO_CLIENTS: &str =
        r#"{"error":{"kind":"Invalid","message":"this address speaks TLS; use https://"}}"#;
    let to_members = Error::new(
        ErrorKind::Conflict,
        "the members of this group show each other certificates: join without --no-auth, with --join-token-file",
    );
    let (status, body) = match of_members {
        true => ("409 Conflict", serde_json::to_string(&to_members).unwrap_or_default()),
        false => ("400 Bad Request", TO_CLIENTS.to_owned()),
    };
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let told: io::Result<()> = async {
        // What was asked is read first, or closing would throw the answer away.
        let mut asked = [0; 4096];
        let _part = stream.try_read(&mut asked)?;
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    }
    .await;
    if let Err(e) = told {
        tracing::debug!("a client without TLS was not told: {e}");
    }
}

/// Refusals for the log: the same one a minute, and one a second at most, since whoever is refused
/// can come again at will.
#[derive(Default)]
pub struct Notes {
    last: Mutex<Option<(Instant, String)>>,
    unsaid: AtomicU64,
}

impl Notes {
    pub fn refused(&self, from: SocketAddr, why: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = |said: &str| Duration::from_secs(if said == why { 60 } else { 1 });
        if last.as_ref().is_some_and(|(at, said)| at.elapsed() < pause(said)) {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        *last = Some((Instant::now(), why.to_owned()));
        let unsaid = self.unsaid.swap(0, Ordering::Relaxed);
        tracing::warn!(%from, why, unsaid, "refused at the address for members");
    }
}
