//! Connections to servers, made on tasks of their own: who asked may give up waiting, and the next
//! one finds the connection there. Over a long way a handshake takes longer than a heartbeat may.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{
    FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream,
};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower_service::Service;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// How long a connection nobody waits for any more is kept; servers close one they hear nothing on.
const SPARE: Duration = Duration::from_secs(10);
/// What a handshake may take beyond the time for a connection itself.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Connects by http or https, as the address says.
#[derive(Clone)]
pub struct Connector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
    /// Connections that came too late for who asked for them, by address.
    spare: Arc<Mutex<HashMap<Uri, (Instant, Stream)>>>,
}

impl Connector {
    /// `limit` is for reaching the server; `name` is the one certificates must hold, where it is
    /// not that of the address.
    pub fn new(config: ClientConfig, limit: Duration, name: Option<ServerName<'static>>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limit));
        tcp.enforce_http(false);
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let inner = match name {
            Some(name) => builder
                .with_server_name_resolver(FixedServerNameResolver::new(name))
                .enable_http1()
                .wrap_connector(tcp),
            None => builder.enable_http1().wrap_connector(tcp),
        };
        Self { inner, limit: limit + HANDSHAKE, spare: Arc::default() }
    }

    fn take_spare(&self, to: &Uri) -> Option<Stream> {
        let found = self.spare.lock().unwrap_or_else(PoisonError::into_inner).remove(to);
        found.filter(|(since, _)| since.elapsed() < SPARE).map(|(_, stream)| stream)
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        if let Some(stream) = self.take_spare(&to) {
            return Box::pin(std::future::ready(Ok(stream)));
        }
        let (done, wanted) = oneshot::channel();
        let connecting = tokio::time::timeout(self.limit, self.inner.call(to.clone()));
        let spare = Arc::clone(&self.spare);
        tokio::spawn(async move {
            let made = match connecting.await {
                Ok(made) => made,
                Err(_) => Err("no connection within the time for it".into()),
            };
            if let Err(Ok(stream)) = done.send(made) {
                let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
                spare.insert(to, (Instant::now(), stream));
            }
        });
        Box::pin(async move { wanted.await.unwrap_or_else(|gone| Err(gone.into())) })
    }
}
