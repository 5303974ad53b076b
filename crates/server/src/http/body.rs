//! The body of an answer: whole, or coming in pieces.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// An answer's body. A streamed one that ends with an error breaks the client's connection, so
/// that a part is never taken for the whole.
#[derive(Debug)]
pub enum AnswerBody {
    Whole(Full<Bytes>),
    Streamed(mpsc::Receiver<io::Result<Bytes>>),
    /// Another one, and what stands behind it.
    Ended(Box<Self>, Option<Bytes>),
}

impl AnswerBody {
    pub fn ended(body: Self, end: &'static [u8]) -> Self {
        Self::Ended(Box::new(body), Some(Bytes::from_static(end)))
    }
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl From<Full<Bytes>> for AnswerBody {
    fn from(body: Full<Bytes>) -> Self {
        Self::Whole(body)
    }
}

impl From<&'static str> for AnswerBody {
    fn from(text: &'static str) -> Self {
        Self::Whole(Full::from(text))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(body) => {
                Pin::new(body).poll_frame(cx).map(|f| f.map(|r| r.map_err(|never| match never {})))
            }
            Self::Streamed(pieces) => {
                pieces.poll_recv(cx).map(|piece| piece.map(|r| r.map(Frame::data)))
            }
            Self::Ended(body, end) => match ready!(Pin::new(&mut **body).poll_frame(cx)) {
                Some(frame) => Poll::Ready(Some(frame)),
                None => Poll::Ready(end.take().map(|bytes| Ok(Frame::data(bytes)))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(_) => false,
            Self::Ended(_, end) => end.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(_) => SizeHint::default(),
            Self::Ended(body, end) => match body.size_hint().exact() {
                Some(length) => {
                    let end = end.as_ref().map_or(0, Bytes::len);
                    SizeHint::with_exact(length + u64::try_from(end).unwrap_or(u64::MAX))
                }
                None => SizeHint::default(),
            },
        }
    }
}
