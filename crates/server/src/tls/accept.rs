//! The server's side of a connection before its first request: the handshake, within a limit of
//! its own, so that a slow one holds nobody but itself.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
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

/// What a listener does with new connections.
#[derive(Clone)]
pub struct Acceptor {
    tls: Option<Arc<ServerConfig>>,
}

impl Acceptor {
    pub fn plain() -> Self {
        Self { tls: None }
    }

    pub fn encrypted(config: Arc<ServerConfig>) -> Self {
        Self { tls: Some(config) }
    }

    /// Notes a connection that came to nothing.
    pub fn refused(&self, from: SocketAddr, why: &str) {
        tracing::debug!(%from, why, "a connection was refused");
    }

    /// The connection as requests come over it.
    ///
    /// # Errors
    /// With words for the log where the client does not get that far.
    pub async fn accept(&self, stream: TcpStream) -> Result<Accepted, String> {
        let Some(config) = &self.tls else { return Ok(Accepted::Plain(stream)) };
        let shaking = shake_hands(Arc::clone(config), stream);
        tokio::time::timeout(HANDSHAKE_LIMIT, shaking)
            .await
            .unwrap_or_else(|_| Err(format!("no handshake within {} s", HANDSHAKE_LIMIT.as_secs())))
    }
}

async fn shake_hands(config: Arc<ServerConfig>, mut stream: TcpStream) -> Result<Accepted, String> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) => return Err("it was closed at once".into()),
        Ok(_) if first[0] == HANDSHAKE_RECORD => {}
        Ok(_) => {
            answer_plain(&mut stream).await;
            return Err("it does not speak TLS".into());
        }
        Err(e) => return Err(e.to_string()),
    }
    let stream = TlsAcceptor::from(config).accept(stream).await;
    stream.map(|s| Accepted::Encrypted(Box::new(s))).map_err(|e| explained(&e))
}

/// Whoever speaks plain HTTP here is told so in its own language.
async fn answer_plain(stream: &mut TcpStream) {
    const BODY: &str =
        r#"{"error":{"kind":"Invalid","message":"this address speaks TLS; use https://"}}"#;
    let text = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{BODY}",
        BODY.len()
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
