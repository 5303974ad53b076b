//! One open HTTP connection that asks the same query over and over, as an open report would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What the connection saw.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub answers: u64,
    /// What went wrong; after the first failure the connection asks no more.
    pub failure: Option<String>,
    pub longest: Duration,
    /// Answers that differ from each other.
    pub different: usize,
}

const PAUSE: Duration = Duration::from_millis(5);

/// Asks until `stop` is set.
pub async fn ask(to: SocketAddr, path: String, body: String, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    if let Err(why) = asking(to, &path, &body, &stop, &mut seen).await {
        seen.failure = Some(why);
    }
    seen
}

async fn asking(
    to: SocketAddr,
    path: &str,
    body: &str,
    stop: &AtomicBool,
    seen: &mut Seen,
) -> Result<(), String> {
    let stream = TcpStream::connect(to).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    let mut answers: Vec<Bytes> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let request = Request::post(path)
            .header(header::HOST, to.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .map_err(|e| e.to_string())?;
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        if status != StatusCode::OK {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)));
        }
        seen.answers += 1;
        seen.longest = seen.longest.max(begun.elapsed());
        if !answers.contains(&bytes) {
            answers.push(bytes);
        }
        seen.different = answers.len();
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
