//! An answer too long to hold, passed on while it comes. If its server is lost, another one gives
//! the answer from the same version, what was passed on is compared and left out, and the rest
//! follows.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::mpsc;

use super::exchange::{Coming, Nature, Sent, open};
use super::{AnswerBody, Gateway};
use crate::http::asked::Asked;

pub(super) struct LongAnswer {
    gateway: Arc<Gateway>,
    asked: Asked,
    /// The version answered from; `None` for what cannot be asked again.
    version: Option<u64>,
    member: usize,
    /// Of everything passed on.
    hash: blake3::Hasher,
    passed: u64,
}

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// Nobody is there to pass on to.
struct ClientGone;

impl LongAnswer {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        asked: Asked,
        version: Option<u64>,
        member: usize,
    ) -> Self {
        Self { gateway, asked, version, member, hash: blake3::Hasher::new(), passed: 0 }
    }

    /// Passes on what is held and what still comes.
    pub(super) fn start(self, held: Bytes, coming: Coming) -> AnswerBody {
        let (pieces, relay) = mpsc::channel(8);
        tokio::spawn(self.run(held, coming, pieces));
        AnswerBody::Streamed(relay)
    }

    async fn run(mut self, held: Bytes, mut coming: Coming, pieces: Pieces) {
        if self.pass(held, &pieces).await.is_err() {
            return;
        }
        loop {
            match coming.piece().await {
                Ok(None) => return,
                Ok(Some(bytes)) => {
                    if self.pass(bytes, &pieces).await.is_err() {
                        return;
                    }
                }
                Err(e) => match self.elsewhere(&pieces).await {
                    Some(next) => coming = next,
                    None => {
                        let _client_may_be_gone = pieces.send(Err(e)).await;
                        return;
                    }
                },
            }
        }
    }

    async fn pass(&mut self, bytes: Bytes, pieces: &Pieces) -> Result<(), ClientGone> {
        self.hash.update(&bytes);
        self.passed += bytes.len() as u64;
        pieces.send(Ok(bytes)).await.map_err(|_| ClientGone)
    }

    /// The same answer from another server, up to where this one ended.
    async fn elsewhere(&mut self, pieces: &Pieces) -> Option<Coming> {
        let version = self.version?;
        self.gateway.pool.failed(self.member);
        let mut tried = vec![self.member];
        while let Some(member) = self.gateway.pool.choose(&tried, true) {
            tried.push(member);
            if let Some(found) = self.again(member, version, pieces).await {
                self.member = member;
                return Some(found);
            }
        }
        None
    }

    async fn again(&mut self, member: usize, version: u64, pieces: &Pieces) -> Option<Coming> {
        let sent = Sent { asked: &self.asked, at: Some(version), nature: Nature::Read };
        let (head, mut coming) = open(&self.gateway, member, &sent).await.ok()?;
        if head.status != StatusCode::OK {
            return None;
        }
        let mut again = blake3::Hasher::new();
        let mut left = self.passed;
        loop {
            let mut bytes = coming.piece().await.ok()??;
            let known = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            again.update(&bytes.split_to(known));
            left -= known as u64;
            if left > 0 {
                continue;
            }
            if again.finalize() != self.hash.finalize() {
                tracing::warn!("an answer differs between servers; the client's was ended");
                return None;
            }
            if !bytes.is_empty() {
                self.pass(bytes, pieces).await.ok()?;
            }
            return Some(coming);
        }
    }
}
