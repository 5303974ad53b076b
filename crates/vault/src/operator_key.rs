//! Keys that the operator supplies.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use evercube_base::{Error, Result};

use crate::frames::Key;

/// 32 random bytes that open the keys of a data folder.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorKey([u8; 32]);

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorKey({})", self.name())
    }
}

impl OperatorKey {
    /// Keys one after another, as 64 hexadecimal digits or base64, with blanks, commas or lines
    /// between them and comments from `#` to the end of a line; or the 32 bytes of one.
    ///
    /// # Errors
    /// `Invalid`, with `origin` and never with what was read.
    pub fn parse_all(bytes: &[u8], origin: &str) -> Result<Vec<Self>> {
        let wrong = |why: &str| {
            Error::invalid(format!(
                "the encryption key of {origin} {why}: a key is 32 random bytes in hexadecimal or base64, as 'openssl rand -hex 32' makes one"
            ))
        };
        if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
            return Ok(vec![Self(raw)]);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("is no text"))?;
        let lines = text.lines().map(|l| l.split('#').next().unwrap_or_default());
        let words = lines.flat_map(|l| l.split(|c: char| c.is_whitespace() || c == ','));
        let keys: Vec<Self> = words
            .filter(|w| !w.is_empty())
            .map(|w| Self::parse(w).ok_or_else(|| wrong("cannot be read")))
            .collect::<Result<_>>()?;
        if keys.is_empty() { Err(wrong("is missing")) } else { Ok(keys) }
    }

    fn parse(word: &str) -> Option<Self> {
        let decoded = hex::decode(word)
            .or_else(|_| STANDARD.decode(word).or_else(|_| STANDARD_NO_PAD.decode(word)));
        decoded.ok()?.try_into().ok().map(Self)
    }

    /// What the key is called in messages and in the folder: 16 hexadecimal digits that say nothing
    /// of it.
    pub fn name(&self) -> String {
        let hash = blake3::derive_key("evercube 2026-11 name of an operator's key", &self.0);
        hex::encode(&hash[..8])
    }

    /// What the keys of backups are sealed under.
    pub(crate) fn for_backups(&self) -> Key {
        blake3::derive_key("evercube 2026-11 backups under an operator's key", &self.0)
    }

    pub(crate) fn wrapping(&self) -> Key {
        blake3::derive_key("evercube 2026-11 slot of an operator's key", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_every_form_and_nothing_else_is_taken_for_one() {
        let hex = "00".repeat(31) + "ff";
        let base64 = STANDARD.encode(hex::decode(&hex).unwrap());
        let read = |t: &str| OperatorKey::parse_all(t.as_bytes(), "here").map_err(|e| e.message);
        let one = read(&hex).unwrap();
        assert_eq!(read(&format!("# new\n{base64} # of May\n{hex}\n")).unwrap().len(), 2);
        assert_eq!(read(&format!("{base64},{hex}")).unwrap()[1], one[0]);
        assert_eq!(read(base64.trim_end_matches('=')).unwrap(), one);
        assert_eq!(OperatorKey::parse_all(&[7; 32], "here").unwrap().len(), 1);
        for bad in ["", "# nothing", "hunter2", &hex[2..], &"zz".repeat(32)] {
            let e = read(bad).unwrap_err();
            assert!(e.contains("of here") && (bad.is_empty() || !e.contains(bad)), "{e}");
        }
        assert!(!format!("{one:?}").contains("ff\""), "{one:?}");
    }
}
