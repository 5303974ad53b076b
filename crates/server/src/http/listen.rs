//! Accepting connections and serving them until the process stops.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::connections::Connections;
use super::patient::Patient;
use crate::tls::accept::{Accepted, Acceptor, Shown};

/// How long a client may take for the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// How long a client may take nothing of an answer that waits for it.
const TAKE_LIMIT: Duration = Duration::from_secs(300);
/// The largest head of a request of a client.
const LARGEST_HEAD: usize = 64 << 10;
/// How long requests in flight may go on once the process is to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Serves every connection of `listener` with `answer` until `stop` turns true, then waits for
/// the requests in flight.
pub async fn serve<A, F, B>(
    listener: TcpListener,
    acceptor: Acceptor,
    limits: Option<Connections>,
    answer: A,
    mut stop: watch::Receiver<bool>,
) where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + From<&'static str> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let answer = Arc::new(answer);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let place = limits.as_ref().map(|l| l.enter(from.ip()));
                    if matches!(place, Some(None)) {
                        tracing::debug!(%from, "a connection too many is closed");
                        continue;
                    }
                    let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                    let of = connection(stream, from, acceptor, answer, limits.is_some(), stop.clone());
                    connections.spawn(async move {
                        of.await;
                        drop(place);
                    });
                }
                Err(e) => {
                    // Out of file handles, most likely: wait for connections to end.
                    tracing::warn!("a connection could not be accepted: {e}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_LIMIT, all).await.is_err() {
        tracing::warn!("requests were still running when the server stopped");
    }
}

async fn connection<A, F, B>(
    stream: TcpStream,
    from: SocketAddr,
    acceptor: Acceptor,
    answer: Arc<A>,
    of_client: bool,
    mut stop: watch::Receiver<bool>,
) where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + From<&'static str> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _best_effort = stream.set_nodelay(true);
    let accepted = tokio::select! {
        accepted = acceptor.accept(stream) => accepted,
        () = stopped(&mut stop) => return,
    };
    match accepted {
        Ok(Accepted::Plain(stream)) => requests(stream, from, None, answer, of_client, stop).await,
        Ok(Accepted::Encrypted(stream)) => {
            let chain = stream.get_ref().1.peer_certificates();
            let first = chain.and_then(|c| c.first()).map(|c| c.clone().into_owned());
            let shown = first.map(|certificate| Shown(Arc::new(certificate)));
            requests(stream, from, shown, answer, of_client, stop).await;
        }
        Err(why) => acceptor.refused(from, &why),
    }
}

/// The requests of one connection, one after the other.
async fn requests<S, A, F, B>(
    stream: S,
    from: SocketAddr,
    shown: Option<Shown>,
    answer: Arc<A>,
    of_client: bool,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + From<&'static str> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from);
        if let Some(certificate) = &shown {
            request.extensions_mut().insert(certificate.clone());
        }
        let answered = std::panic::AssertUnwindSafe(answer(request)).catch_unwind();
        async move {
            Ok::<_, Infallible>(answered.await.unwrap_or_else(|_| {
                let text = "a defect of the server stopped this request";
                let mut response = Response::new(B::from(text));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }))
        }
    });
    let mut http1 = hyper::server::conn::http1::Builder::new();
    http1.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
    if of_client {
        http1.max_buf_size(LARGEST_HEAD);
    }
    let serving = http1.serve_connection(TokioIo::new(Patient::new(stream, TAKE_LIMIT)), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => {
            if let Err(e) = ended {
                tracing::debug!("a connection ended early: {e}");
            }
        }
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            let _ended = serving.await;
        }
    }
}

/// Waits until the server is told to stop, or nobody can tell it any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _sender_gone = stop.wait_for(|s| *s).await.is_err();
}
