//! How log entries, snapshots and messages are written: one byte with the format, then JSON. What is
//! stored has the JSON's checksum between them, so that a bit that flips on the disk is found and
//! never read as something else.

use evercube_base::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};

/// The format of messages, and of what earlier releases stored.
const FORMAT: u8 = 1;
/// The format of what is stored.
const CHECKED: u8 = 2;
const CHECKSUM: usize = 16;

/// `value` as bytes for a file or another member.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![FORMAT];
    serde_json::to_writer(&mut bytes, value)
        .map_err(|e| Error::internal(format!("metadata could not be written: {e}")))?;
    Ok(bytes)
}

/// `value` as bytes for a file, with a checksum.
pub(crate) fn encode_stored<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![CHECKED];
    bytes.extend([0; CHECKSUM]);
    serde_json::to_writer(&mut bytes, value)
        .map_err(|e| Error::internal(format!("metadata could not be written: {e}")))?;
    let (head, json) = bytes.split_at_mut(1 + CHECKSUM);
    head[1..].copy_from_slice(&checksum(json));
    Ok(bytes)
}

fn checksum(json: &[u8]) -> [u8; CHECKSUM] {
    let mut out = [0; CHECKSUM];
    out.copy_from_slice(&blake3::hash(json).as_bytes()[..CHECKSUM]);
    out
}

/// The value in `bytes`.
///
/// # Errors
/// `Unsupported` for a format of another release, `Corrupt` for anything else.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let corrupt = |what: String| match what.contains("unknown variant") {
        // The bytes are as they were written: this release lacks a word.
        true => Error::unsupported(format!(
            "metadata or a member's message holds what this release does not know; run the newest release of the group on this server ({})",
            what.split(", expected").next().unwrap_or_default()
        )),
        false => {
            let message = format!("metadata or a member's message is damaged: {what}");
            Error::new(ErrorKind::Corrupt, message)
        }
    };
    match bytes.split_first() {
        None => Err(corrupt("it is empty".to_owned())),
        Some((&FORMAT, rest)) => serde_json::from_slice(rest).map_err(|e| corrupt(e.to_string())),
        Some((&CHECKED, rest)) => match rest.split_first_chunk::<CHECKSUM>() {
            Some((sum, json)) if *sum == checksum(json) => {
                serde_json::from_slice(json).map_err(|e| corrupt(e.to_string()))
            }
            _ => Err(corrupt("its bytes do not match their checksum".to_owned())),
        },
        Some((&other, _)) => Err(Error::unsupported(format!(
            "metadata or a member's message has format {other}, this release reads {FORMAT}; run the same release on every server"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_another_format_and_damaged_bytes_are_told_apart() {
        let bytes = encode(&vec![1_u64, 2]).unwrap();
        assert_eq!(decode::<Vec<u64>>(&bytes).unwrap(), [1, 2]);
        let kind = |b: &[u8]| decode::<Vec<u64>>(b).unwrap_err().kind;
        assert_eq!(kind(&[]), ErrorKind::Corrupt);
        assert_eq!(kind(&bytes[..bytes.len() - 1]), ErrorKind::Corrupt);
        assert_eq!(kind(&[9, b'1']), ErrorKind::Unsupported);
        let later = decode::<crate::command::Command>(b"\x01{\"Fly\":{}}").unwrap_err();
        assert_eq!(later.kind, ErrorKind::Unsupported);
        assert!(later.message.ends_with("(unknown variant `Fly`)"), "{later}");
        let stored = encode_stored(&vec![1_u64, 2]).unwrap();
        assert_eq!(decode::<Vec<u64>>(&stored).unwrap(), [1, 2]);
        for at in 1..stored.len() {
            let mut flipped = stored.clone();
            flipped[at] ^= 1;
            assert_eq!(kind(&flipped), ErrorKind::Corrupt, "byte {at}");
        }
    }
}
