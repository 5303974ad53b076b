//! A file of a repository: a head that says which file it is, and frames that are bound to it.

use evercube_base::{Error, ErrorKind, Result};

use super::keys::Keys;
use crate::backup::frame::{Chain, FrameReader, FrameWriter, Kind as FrameKind};
use crate::backup::preamble::damaged;

const MAGIC: [u8; 8] = *b"EVREPOS\0";
const VERSION: u16 = 1;
/// magic 8, version 2, protection 1, kind 1, nonce 16, name 32, checksum 32.
pub const HEAD: usize = 92;
const SUMMED: usize = 60;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Object = 1,
    Manifest = 2,
    /// The result of a verification.
    Proof = 3,
}

/// The bytes of a file.
pub fn seal(keys: &Keys, kind: Kind, name: &str, content: &[u8]) -> Result<Vec<u8>> {
    // Drawn anew each time: a file that is written again never shares a nonce with the one before.
    let mut nonce = [0; 16];
    crate::seal::random(&mut nonce)?;
    let head = head(keys, kind, name, nonce);
    let mut out = Vec::with_capacity(HEAD + content.len() / 2);
    out.extend_from_slice(&head);
    let mut frames = FrameWriter::bound(out, chain(keys, name, nonce, &head));
    frames.write(FrameKind::Object, content)?;
    frames.finish()
}

/// The content of a file, proved. It may be `most` bytes long.
///
/// # Errors
/// `Corrupt`, each in its own words, for a file that is cut off, changed, or another one;
/// `Unsupported` for one of a newer release.
pub fn open(keys: &Keys, kind: Kind, name: &str, bytes: &[u8], most: u64) -> Result<Vec<u8>> {
    let Some((head, mut rest)) = bytes.split_at_checked(HEAD) else {
        return Err(truncated(name));
    };
    check_head(keys, kind, name, head)?;
    let mut nonce = [0; 16];
    nonce.copy_from_slice(head.get(12..28).unwrap_or(&[0; 16]));
    let mut frames = FrameReader::bound(&mut rest, chain(keys, name, nonce, head));
    let mut content = Vec::new();
    loop {
        let (found, last, part) = frames.next(name)?;
        if found != FrameKind::Object || (content.len() + part.len()) as u64 > most {
            return Err(damaged(&format!("{name} is not what was written")));
        }
        content.extend_from_slice(&part);
        if last {
            break;
        }
    }
    if rest.is_empty() {
        return Ok(content);
    }
    Err(damaged(&format!("{name} has bytes after its end")))
}

fn head(keys: &Keys, kind: Kind, name: &str, nonce: [u8; 16]) -> [u8; HEAD] {
    let mut head = Vec::with_capacity(HEAD);
    head.extend_from_slice(&MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&[u8::from(keys.encrypts()), kind as u8]);
    head.extend_from_slice(&nonce);
    head.extend_from_slice(blake3::hash(name.as_bytes()).as_bytes());
    head.extend_from_slice(blake3::hash(&head).as_bytes());
    let mut out = [0; HEAD];
    out.copy_from_slice(&head);
    out
}

fn chain(keys: &Keys, name: &str, nonce: [u8; 16], head: &[u8]) -> Chain {
    let mut link = blake3::Hasher::new();
    link.update(keys.repository()).update(head);
    Chain::bound(keys.of_file(name, nonce), *link.finalize().as_bytes())
}

fn check_head(keys: &Keys, kind: Kind, name: &str, head: &[u8]) -> Result<()> {
    let (summed, sum) = head.split_at(SUMMED.min(head.len()));
    if blake3::hash(summed).as_bytes() != sum || !summed.starts_with(&MAGIC) {
        return Err(damaged(&format!("the first bytes of {name} were changed")));
    }
    let version = match summed {
        [_, _, _, _, _, _, _, _, a, b, ..] => u16::from_le_bytes([*a, *b]),
        _ => 0,
    };
    if version != VERSION {
        return Err(Error::unsupported(format!(
            "{name} has format {version} and this server reads format {VERSION}: use a newer Evercube"
        )));
    }
    check_named(name, summed)?;
    if summed.get(10..12) != Some(&[u8::from(keys.encrypts()), kind as u8]) {
        return Err(damaged(&format!("{name} is another kind of file than was written")));
    }
    Ok(())
}

fn check_named(name: &str, summed: &[u8]) -> Result<()> {
    let of = summed.get(28..).unwrap_or_default();
    if of == blake3::hash(name.as_bytes()).as_bytes() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        format!(
            "another file was put in the place of {name} (swapped); nothing of the backup is used"
        ),
    ))
}

/// Refuses bytes that begin as another file of a repository does.
pub fn check_is_no_other(name: &str, bytes: &[u8]) -> Result<()> {
    let Some(head) = bytes.get(..HEAD) else { return Ok(()) };
    let (summed, sum) = head.split_at(SUMMED);
    let is_a_head = blake3::hash(summed).as_bytes() == sum && summed.starts_with(&MAGIC);
    if is_a_head { check_named(name, summed) } else { Ok(()) }
}

/// Compares a file's length with the one it was stored with.
pub fn check_length(name: &str, stored: u64, found: u64) -> Result<()> {
    match found.cmp(&stored) {
        std::cmp::Ordering::Less => Err(truncated(name)),
        std::cmp::Ordering::Greater => Err(damaged(&format!("{name} has bytes after its end"))),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

fn truncated(name: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("{name} is truncated in the backup repository; nothing of the backup is used"),
    )
}
