//! Bodies of requests as they come in: how long they may be, how slow, and how much of them the
//! server holds at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use evercube_base::{Error, ErrorKind, Result};
use evercube_service::config::MOST_REQUEST_SIZE;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

/// The largest body a client may send anywhere; servers may take less.
pub const LARGEST: usize = MOST_REQUEST_SIZE;
/// Bytes of all bodies together.
const ALL: usize = 1 << 30;
/// A body that comes slower than this, on the whole and after a while, is not waited for.
const SLOWEST: usize = 1 << 10;
const GRACE: Duration = Duration::from_secs(30);
/// How much of a refused request is read so that its sender gets to see the refusal.
const DISCARDED: usize = 1 << 20;
const DISCARD_LIMIT: Duration = Duration::from_secs(5);

static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes that count as held until this is dropped.
#[derive(Debug, Default)]
pub struct Held(usize);

impl Held {
    fn add(&mut self, bytes: usize) -> Result<()> {
        self.0 += bytes;
        if HELD.fetch_add(bytes, Ordering::Relaxed) + bytes > ALL {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "The server holds as many large requests as it can; send this one again later.",
            ));
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0, Ordering::Relaxed);
    }
}

fn too_large(largest: usize) -> Error {
    let message = format!("the request's body is larger than {largest} bytes; send it in parts");
    Error::new(ErrorKind::Limit, message)
}

/// Reads a body whole.
///
/// # Errors
/// `Limit` for one that is too large, `TimeLimit` for one that comes too slowly.
pub async fn read(mut body: Incoming, largest: usize) -> Result<(Bytes, Held)> {
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > largest {
        return Err(too_large(largest));
    }
    let (begun, mut held, mut whole) = (Instant::now(), Held::default(), BytesMut::new());
    loop {
        let rate = u64::try_from(whole.len() / SLOWEST).unwrap_or(u64::MAX);
        let deadline = begun + GRACE + Duration::from_secs(rate);
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
            Error::new(ErrorKind::TimeLimit, "the request's body comes too slowly; send it again")
        })?;
        let Some(frame) = frame else { return Ok((whole.freeze(), held)) };
        let frame = frame
            .map_err(|e| Error::invalid(format!("the request's body could not be read: {e}")))?;
        let Ok(piece) = frame.into_data() else { continue };
        if whole.len() + piece.len() > largest {
            return Err(too_large(largest));
        }
        held.add(piece.len())?;
        whole.extend_from_slice(&piece);
    }
}

/// Reads some of a body that nobody wants, so that who sends it reads the answer.
pub async fn discard(mut body: Incoming) {
    let mut read = 0;
    let some = async {
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARDED {
                return;
            }
        }
    };
    let _enough = tokio::time::timeout(DISCARD_LIMIT, some).await;
}
