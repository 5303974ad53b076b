//! Answers on their way out: how much of them the server holds at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use evercube_base::{Error, ErrorKind};
use futures::FutureExt as _;
use http_body_util::BodyExt as _;

use super::answer::{Answer, failed};
use super::body::AnswerBody;

/// Answers that are not counted.
const SMALL: usize = 64 << 10;
/// Bytes of all other answers together, beyond which no further one is begun.
const ALL: usize = 2 << 30;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// An answer's bytes, which count as held until the last of them is sent or given up.
struct Held(Bytes);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

/// Counts an answer while it is sent; refuses it where clients hold as much as there may be.
pub fn counted(answer: Answer) -> Answer {
    let (head, body) = answer.into_parts();
    let whole = match body {
        AnswerBody::Whole(whole) => whole,
        other => return Answer::from_parts(head, other),
    };
    // It is there already, in one piece.
    let bytes = whole.collect().now_or_never().and_then(Result::ok).map(|b| b.to_bytes());
    let bytes = bytes.unwrap_or_default();
    if bytes.len() <= SMALL {
        return Answer::from_parts(head, bytes.into());
    }
    let before = HELD.fetch_add(bytes.len(), Ordering::Relaxed);
    let bytes = Held(bytes);
    if before >= ALL {
        return failed(&Error::new(
            ErrorKind::Unavailable,
            "The server sends as many large answers as it can; ask again later.",
        ));
    }
    Answer::from_parts(head, Bytes::from_owner(bytes).into())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::http::answer::answer;

    #[test]
    fn answers_count_until_they_are_gone() {
        let large = || answer(StatusCode::OK, "text/plain", vec![7; SMALL + 1]);
        let first = counted(large());
        let held = HELD.load(Ordering::Relaxed);
        assert!(held > SMALL);
        // As if others held that much.
        HELD.fetch_add(ALL, Ordering::Relaxed);
        assert_eq!(counted(large()).status(), StatusCode::SERVICE_UNAVAILABLE);
        let small = counted(answer(StatusCode::OK, "text/plain", "x"));
        assert_eq!(small.status(), StatusCode::OK);
        HELD.fetch_sub(ALL, Ordering::Relaxed);
        assert_eq!(HELD.load(Ordering::Relaxed), held);
        let AnswerBody::Whole(body) = first.into_body() else { panic!("it is whole") };
        let bytes = body.collect().now_or_never().unwrap().unwrap().to_bytes();
        assert_eq!((bytes.len(), bytes[SMALL]), (SMALL + 1, 7));
        let part = bytes.slice(..10);
        drop(bytes);
        assert_eq!(HELD.load(Ordering::Relaxed), held);
        drop(part);
        assert_eq!(HELD.load(Ordering::Relaxed), held - SMALL - 1);
    }
}
