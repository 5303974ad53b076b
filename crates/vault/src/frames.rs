//! Contents in encrypted frames: a header, then pieces of 64 KiB, each with its seal
//! (`docs/formats/encrypted.md`).
//!
//! Every content has a key of its own, made of the key it is sealed under, its header (which holds a
//! random salt and the length) and the place it stands at. So a content under another name, pieces
//! that change places, and a changed length do not open; within a content the number of a piece is
//! its nonce.

use std::io::{self, Read, Write};

use evercube_base::{Error, ErrorKind, Result};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

pub(crate) type Key = [u8; 32];

const MAGIC: &[u8; 8] = b"EVCRYPT1";
/// Magic, number of the key, salt, length of the plain content.
pub(crate) const HEADER: usize = 8 + 4 + 24 + 8;
const PIECE: usize = 64 << 10;
const TAG: usize = 16;

/// Whether bytes begin as a sealed content does.
pub fn is_sealed(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

/// Length of what a sealed content of this length holds.
pub fn plain_length(sealed: u64) -> u64 {
    let body = sealed.saturating_sub(HEADER as u64);
    body.saturating_sub(body.div_ceil((PIECE + TAG) as u64) * TAG as u64)
}

fn pieces(length: u64) -> u64 {
    length.div_ceil(PIECE as u64).max(1)
}

fn sealed_length(length: u64) -> Option<u64> {
    pieces(length).checked_mul(TAG as u64)?.checked_add(length)?.checked_add(HEADER as u64)
}

/// The first bytes of a sealed content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header([u8; HEADER]);

impl Header {
    fn new(key_id: u32, length: u64) -> Result<Self> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&key_id.to_le_bytes());
        random(&mut header[12..36])?;
        header[36..].copy_from_slice(&length.to_le_bytes());
        Ok(Self(header))
    }

    /// The header of a content of `sealed` bytes.
    pub(crate) fn read(from: &mut impl Read, sealed: u64) -> Result<Self> {
        let mut header = [0; HEADER];
        from.read_exact(&mut header).map_err(|e| unread(&e))?;
        if !is_sealed(&header) {
            return Err(corrupt("it does not begin as an encrypted file does"));
        }
        let header = Self(header);
        if sealed_length(header.length()) != Some(sealed) {
            return Err(corrupt("it is longer or shorter than what was written"));
        }
        Ok(header)
    }

    /// Number of the data key it is sealed under.
    pub(crate) fn key_id(&self) -> u32 {
        u32::from_le_bytes(self.0[8..12].try_into().unwrap_or_default())
    }

    pub(crate) fn length(&self) -> u64 {
        u64::from_le_bytes(self.0[36..].try_into().unwrap_or_default())
    }

    fn own_key(&self, key: &Key, place: &[u8]) -> Result<LessSafeKey> {
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(&self.0).update(place);
        let key = UnboundKey::new(&AES_256_GCM, hasher.finalize().as_bytes());
        key.map(LessSafeKey::new).map_err(|_| Error::internal("a key of a file cannot be made"))
    }
}

fn corrupt(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

fn unread(e: &io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => corrupt("it is shorter than what was written"),
        _ => Error::new(ErrorKind::Source, format!("it cannot be read: {e}")),
    }
}

pub(crate) fn random(buffer: &mut [u8]) -> Result<()> {
    getrandom::fill(buffer)
        .map_err(|e| Error::internal(format!("the operating system gave no random bytes: {e}")))
}

fn nonce(piece: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&piece.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Writes `plain` sealed.
pub(crate) fn seal_to(
    (key_id, key): (u32, &Key),
    place: &[u8],
    plain: &[u8],
    out: &mut impl Write,
) -> io::Result<()> {
    let header = Header::new(key_id, plain.len() as u64).map_err(io::Error::other)?;
    let own = header.own_key(key, place).map_err(io::Error::other)?;
    out.write_all(&header.0)?;
    let mut piece = Vec::with_capacity(plain.len().min(PIECE) + TAG);
    for number in 0..pieces(plain.len() as u64) {
        let start = number as usize * PIECE;
        piece.clear();
        piece.extend_from_slice(&plain[start..plain.len().min(start + PIECE)]);
        own.seal_in_place_append_tag(nonce(number), Aad::empty(), &mut piece)
            .map_err(|_| io::Error::other("a piece of a file cannot be encrypted"))?;
        out.write_all(&piece)?;
    }
    Ok(())
}

/// A sealed content that is read piece by piece.
pub(crate) struct Pieces<R> {
    from: R,
    own: LessSafeKey,
    length: u64,
    next: u64,
}

impl<R: Read> Pieces<R> {
    /// The content behind `header`, which is read already.
    pub(crate) fn new(header: &Header, key: &Key, place: &[u8], from: R) -> Result<Self> {
        Ok(Self { from, own: header.own_key(key, place)?, length: header.length(), next: 0 })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Appends the next piece to `out`; false where there is none any more.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        if self.next == pieces(self.length) {
            return Ok(false);
        }
        let at = self.next * PIECE as u64;
        let length = self.length.saturating_sub(at).min(PIECE as u64) as usize;
        let start = out.len();
        out.resize(start + length + TAG, 0);
        self.from.read_exact(&mut out[start..]).map_err(|e| unread(&e))?;
        let opened = self.own.open_in_place(nonce(self.next), Aad::empty(), &mut out[start..]);
        if opened.is_err() {
            out.truncate(start);
            return Err(corrupt(format!(
                "its bytes {at} to {} are not what was written there",
                at + length as u64
            )));
        }
        out.truncate(start + length);
        self.next += 1;
        Ok(true)
    }

    /// All pieces.
    pub(crate) fn all(mut self) -> Result<Vec<u8>> {
        let length = usize::try_from(self.length).map_err(|_| corrupt("it is too long"))?;
        let mut out = Vec::with_capacity(length + TAG);
        while self.next(&mut out)? {}
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = [7; 32];

    fn sealed(place: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        seal_to((3, &KEY), place, plain, &mut out).unwrap();
        out
    }

    fn opened(place: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let mut from = sealed;
        let header = Header::read(&mut from, sealed.len() as u64)?;
        Pieces::new(&header, &KEY, place, from)?.all()
    }

    #[test]
    fn contents_of_every_length_come_back() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 17] {
            let plain: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let sealed = sealed(b"here", &plain);
            assert_eq!(plain_length(sealed.len() as u64), length as u64);
            assert_eq!(opened(b"here", &sealed).unwrap(), plain, "{length}");
            let hidden = length < 64 || !sealed.windows(32).any(|w| w == &plain[..32]);
            assert!(hidden, "{length}");
        }
    }

    /// Every flipped bit, every cut, pieces that change places, and another place.
    #[test]
    fn no_change_opens() {
        let plain: Vec<u8> = (0..3 * PIECE + 100).map(|i| (i % 253) as u8).collect();
        let whole = sealed(b"here", &plain);
        let mut tried = 0;
        let mut refused = |what: &str, place: &[u8], bytes: &[u8]| {
            tried += 1;
            let e = opened(place, bytes).expect_err(what);
            assert_eq!(e.kind, ErrorKind::Corrupt, "{what}: {e}");
        };
        for bit in (0..HEADER * 8).chain((HEADER * 8..whole.len() * 8).step_by(8 * 1021 + 3)) {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            refused(&format!("bit {bit}"), b"here", &changed);
        }
        for length in [0, 7, HEADER, HEADER + TAG, HEADER + PIECE + TAG, whole.len() - 1] {
            refused(&format!("cut to {length}"), b"here", &whole[..length]);
        }
        refused("longer", b"here", &[whole.as_slice(), &[0]].concat());
        refused("elsewhere", b"there", &whole);
        let piece = |n: usize| HEADER + n * (PIECE + TAG)..HEADER + (n + 1) * (PIECE + TAG);
        let mut swapped = whole.clone();
        swapped[piece(0)].copy_from_slice(&whole[piece(1)]);
        swapped[piece(1)].copy_from_slice(&whole[piece(0)]);
        refused("pieces swapped", b"here", &swapped);
        let other = sealed(b"here", &plain);
        let mut mixed = whole.clone();
        mixed[piece(2)].copy_from_slice(&other[piece(2)]);
        refused("a piece of another file", b"here", &mixed);
        println!("{tried} changes of an encrypted content, each refused");
    }
}
