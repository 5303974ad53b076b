//! Between a blocking reader or writer and an async stream: a channel of a few pieces, so that
//! neither side runs away from the other.

use std::io::{Error as IoError, ErrorKind as IoErrorKind, Read, Result as IoResult, Write};

use bytes::Bytes;
use evercube_base::Error;
use tokio::sync::mpsc;

/// Pieces in flight.
const DEPTH: usize = 2;

/// The writing end: gives pieces of one size on, the last one shorter.
pub struct PipeWriter {
    pieces: mpsc::Sender<Bytes>,
    filling: Vec<u8>,
    size: usize,
}

/// A writer of pieces of `size`, and where they come out.
pub fn writer(size: usize) -> (PipeWriter, mpsc::Receiver<Bytes>) {
    let (pieces, receiver) = mpsc::channel(DEPTH);
    (PipeWriter { pieces, filling: Vec::with_capacity(size), size }, receiver)
}

impl PipeWriter {
    fn give(&mut self) -> IoResult<()> {
        let piece = std::mem::replace(&mut self.filling, Vec::with_capacity(self.size));
        // Nobody receives any more: the upload failed, and says itself why.
        self.pieces.blocking_send(piece.into()).map_err(|_| IoErrorKind::BrokenPipe.into())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        let free = self.size - self.filling.len();
        let (now, _) = bytes.split_at(bytes.len().min(free));
        self.filling.extend_from_slice(now);
        if self.filling.len() == self.size {
            self.give()?;
        }
        Ok(now.len())
    }

    /// Ends the last piece.
    fn flush(&mut self) -> IoResult<()> {
        if self.filling.is_empty() { Ok(()) } else { self.give() }
    }
}

/// The reading end.
pub struct PipeReader {
    pieces: mpsc::Receiver<Result<Bytes, Error>>,
    rest: Bytes,
}

/// A reader, and where its pieces go in.
pub fn reader() -> (mpsc::Sender<Result<Bytes, Error>>, PipeReader) {
    let (sender, pieces) = mpsc::channel(DEPTH);
    (sender, PipeReader { pieces, rest: Bytes::new() })
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(Ok(piece)) => self.rest = piece,
                Some(Err(e)) => return Err(IoError::other(e)),
            }
        }
        let now = self.rest.split_to(buffer.len().min(self.rest.len()));
        if let Some(into) = buffer.get_mut(..now.len()) {
            into.copy_from_slice(&now);
        }
        Ok(now.len())
    }
}
