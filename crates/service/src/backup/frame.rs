//! Frames: the authenticated pieces an archive consists of after its preamble.
//!
//! Each frame is bound to its place, its kind and the archive it is part of, so that frames
//! cannot be changed, left out, put elsewhere or brought in from another archive.

use std::io::{Read, Write};

use evercube_base::{Error, Result};

use crate::backup::preamble::{FrameKey, LENGTH, Preamble, damaged};

/// Most bytes of content in one frame.
pub const CONTENT: usize = 1 << 20;
/// A frame's length on disk: its content as it is or compressed, and up to 33 bytes around it.
const STORED_MOST: usize = CONTENT + 64;
const PACKED: u8 = 1;
const PLAIN: u8 = 0;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The header, in JSON.
    Header,
    /// A part of an object.
    Object,
    /// The end of the archive.
    End,
}

/// Set in a kind's byte where the frame ends what it is a part of.
const LAST: u8 = 0x80;

impl Kind {
    fn code(self, last: bool) -> u8 {
        let kind = match self {
            Self::Header => 1,
            Self::Object => 2,
            Self::End => 3,
        };
        kind | if last { LAST } else { 0 }
    }

    fn of(code: u8) -> Option<(Self, bool)> {
        let kind = match code & !LAST {
            1 => Self::Header,
            2 => Self::Object,
            3 => Self::End,
            _ => return None,
        };
        Some((kind, code & LAST != 0))
    }
}

/// What the next frame is bound to: the archive, or all frames before it, and its own place.
pub struct Chain {
    /// `None` where nothing is encrypted.
    key: Option<FrameKey>,
    link: [u8; 32],
    index: u64,
}

impl Chain {
    /// The frames of an archive.
    fn new(preamble: Preamble) -> Self {
        Self::bound(preamble.key, *blake3::hash(&preamble.bytes).as_bytes())
    }

    /// Frames that are bound to `link`.
    pub fn bound(key: Option<FrameKey>, link: [u8; 32]) -> Self {
        Self { key, link, index: 0 }
    }

    fn bound_to(&self, code: u8) -> Vec<u8> {
        let mut bound = self.link.to_vec();
        bound.extend_from_slice(&self.index.to_le_bytes());
        bound.push(code);
        bound
    }

    fn tag(bound: &[u8], content: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(bound).update(content);
        *hasher.finalize().as_bytes()
    }

    fn seal(&mut self, code: u8, content: Vec<u8>) -> Result<Vec<u8>> {
        let bound = self.bound_to(code);
        let sealed = if let Some(key) = &self.key {
            key.seal(self.index, &bound, &content)?
        } else {
            self.link = Self::tag(&bound, &content);
            let mut sealed = content;
            sealed.extend_from_slice(&self.link);
            sealed
        };
        self.index += 1;
        Ok(sealed)
    }

    fn open(&mut self, code: u8, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let bound = self.bound_to(code);
        let content = if let Some(key) = &self.key {
            key.open(self.index, &bound, &sealed)?
        } else {
            let tag = sealed.split_off(sealed.len().checked_sub(32)?);
            self.link = Self::tag(&bound, &sealed);
            if self.link.as_slice() != tag {
                return None;
            }
            sealed
        };
        self.index += 1;
        Some(content)
    }
}

/// Writes frames.
pub struct FrameWriter<W> {
    out: W,
    chain: Chain,
    /// Bytes written so far, the preamble too.
    pub written: u64,
}

impl<W: Write> FrameWriter<W> {
    pub fn new(mut out: W, preamble: Preamble) -> Result<Self> {
        for part in [preamble.bytes.as_slice(), &preamble.slots] {
            out.write_all(part).map_err(|e| writing(&e))?;
        }
        let written = (LENGTH + preamble.slots.len()) as u64;
        Ok(Self { out, chain: Chain::new(preamble), written })
    }

    /// Writes frames alone; what they are bound to was written before.
    pub fn bound(out: W, chain: Chain) -> Self {
        Self { out, chain, written: 0 }
    }

    /// Writes content as one frame or several; what is empty is a frame too.
    pub fn write(&mut self, kind: Kind, content: &[u8]) -> Result<()> {
        let mut rest = content;
        loop {
            let (part, after) = rest.split_at(rest.len().min(CONTENT));
            rest = after;
            let code = kind.code(rest.is_empty());
            let sealed = self.chain.seal(code, pack(part)?)?;
            let length = u32::try_from(sealed.len())
                .map_err(|_| Error::internal("a frame of a backup became too long"))?;
            let put = |out: &mut W| -> std::io::Result<()> {
                out.write_all(&length.to_le_bytes())?;
                out.write_all(&[code])?;
                out.write_all(&sealed)
            };
            put(&mut self.out).map_err(|e| writing(&e))?;
            self.written += 5 + u64::from(length);
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    pub fn finish(mut self) -> Result<W> {
        self.out.flush().map_err(|e| writing(&e))?;
        Ok(self.out)
    }
}

fn pack(part: &[u8]) -> Result<Vec<u8>> {
    let packed = zstd::bulk::compress(part, 1).map_err(|e| writing(&e))?;
    let (form, body) = if packed.len() < part.len() { (PACKED, &*packed) } else { (PLAIN, part) };
    let mut out = Vec::with_capacity(body.len() + 1);
    out.push(form);
    out.extend_from_slice(body);
    Ok(out)
}

fn unpack(content: Vec<u8>) -> Option<Vec<u8>> {
    match content.split_first()? {
        (&PACKED, body) => zstd::bulk::decompress(body, CONTENT).ok(),
        (&PLAIN, body) if body.len() <= CONTENT => Some(body.to_vec()),
        _ => None,
    }
}

/// Reads frames and checks each.
pub struct FrameReader<R> {
    input: R,
    chain: Chain,
}

impl<R: Read> FrameReader<R> {
    pub fn new(input: R, preamble: Preamble) -> Self {
        Self::bound(input, Chain::new(preamble))
    }

    /// Reads frames alone.
    pub fn bound(input: R, chain: Chain) -> Self {
        Self { input, chain }
    }

    /// The next frame, whether it is the last of what it belongs to; `doing` says what is read.
    pub fn next(&mut self, doing: &str) -> Result<(Kind, bool, Vec<u8>)> {
        let mut head = [0u8; 5];
        fill(&mut self.input, &mut head, doing)?;
        let [a, b, c, d, code] = head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let bad = || damaged(&format!("{doing} is not what was written"));
        let (kind, last) = Kind::of(code).ok_or_else(bad)?;
        if length > STORED_MOST {
            return Err(bad());
        }
        let mut sealed = vec![0u8; length];
        fill(&mut self.input, &mut sealed, doing)?;
        let content = self.chain.open(code, sealed).and_then(unpack).ok_or_else(bad)?;
        Ok((kind, last, content))
    }

    /// Nothing may follow the end.
    pub fn nothing_follows(&mut self) -> Result<()> {
        match self.input.read(&mut [0u8]).map_err(|e| reading(&e))? {
            0 => Ok(()),
            _ => Err(damaged("there are bytes after its end")),
        }
    }
}

/// Reads as many bytes as asked for; fewer mean that the backup was cut off.
pub fn fill(input: &mut impl Read, buffer: &mut [u8], doing: &str) -> Result<()> {
    input.read_exact(buffer).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::new(
            evercube_base::ErrorKind::Corrupt,
            format!(
                "the backup is truncated: it ends within {doing}; copy it again or take another one"
            ),
        ),
        _ => reading(&e),
    })
}

/// The product's own error where one was carried through the reader or writer.
fn carried(e: &std::io::Error) -> Option<Error> {
    e.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned()
}

pub fn writing(e: &std::io::Error) -> Error {
    if let Some(own) = carried(e) {
        return own;
    }
    if e.kind() == std::io::ErrorKind::StorageFull {
        return Error::new(
            evercube_base::ErrorKind::Limit,
            "the backup was not written: there is no space left at its target; make room or choose another target",
        );
    }
    Error::new(evercube_base::ErrorKind::Source, format!("the backup could not be written: {e}"))
}

pub fn reading(e: &std::io::Error) -> Error {
    carried(e).unwrap_or_else(|| {
        Error::new(evercube_base::ErrorKind::Source, format!("the backup could not be read: {e}"))
    })
}
