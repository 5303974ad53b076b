//! Sealed tokens: session ids, freshness cookies and login cookies that any server of the group
//! can open and nobody else can make.
//!
//! A token is `base64url( key id · nonce · XChaCha20-Poly1305( purpose as associated data ) )`.
//! The keys are group state; an older key stays valid until it leaves that state.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use evercube_base::{Error, ErrorKind, Result};

/// One sealing key of the group.
#[derive(Debug, Clone)]
pub struct SealingKey {
    pub id: u32,
    pub bytes: [u8; 32],
}

/// What a token is for; a token made for one purpose does not open for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Session,
    Freshness,
    Login,
    Audit,
    /// A token of another group.
    OtherGroup,
    /// The login of a data source.
    SourceLogin,
    /// The key of a backup.
    Backup,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"evercube session 1",
            Self::Freshness => b"evercube freshness 1",
            Self::Login => b"evercube login 1",
            Self::OtherGroup => b"evercube other group 1",
            Self::SourceLogin => b"evercube source login 1",
            Self::Backup => b"evercube backup 1",
            Self::Audit => b"evercube audit head 1",
        }
    }
}

/// Fills `buffer` from the operating system.
pub(crate) fn random(buffer: &mut [u8]) -> Result<()> {
    getrandom::fill(buffer)
        .map_err(|e| Error::internal(format!("the operating system gave no random bytes: {e}")))
}

/// Seals `plain` under the newest key.
pub fn seal(keys: &[SealingKey], purpose: Purpose, plain: &[u8]) -> Result<String> {
    let key = keys
        .iter()
        .max_by_key(|k| k.id)
        .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the group has no sealing key yet"))?;
    let mut nonce = [0u8; 24];
    random(&mut nonce)?;
    let cipher = XChaCha20Poly1305::new((&key.bytes).into());
    let body = cipher
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: purpose.label() })
        .map_err(|_| Error::internal("sealing a token failed"))?;
    let mut token = key.id.to_le_bytes().to_vec();
    token.extend_from_slice(&nonce);
    token.extend_from_slice(&body);
    Ok(URL_SAFE_NO_PAD.encode(token))
}

/// Opens a token; `None` where it was not sealed by this group for this purpose.
pub fn open(keys: &[SealingKey], purpose: Purpose, token: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.trim()).ok()?;
    let (id, rest) = bytes.split_first_chunk::<4>()?;
    let (nonce, body) = rest.split_first_chunk::<24>()?;
    let key = keys.iter().find(|k| k.id == u32::from_le_bytes(*id))?;
    XChaCha20Poly1305::new((&key.bytes).into())
        .decrypt(XNonce::from_slice(nonce), Payload { msg: body, aad: purpose.label() })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u32, fill: u8) -> SealingKey {
        SealingKey { id, bytes: [fill; 32] }
    }

    #[test]
    fn a_token_opens_with_its_key_and_purpose_only() {
        let token = seal(&[key(1, 7)], Purpose::Session, b"hello").unwrap();
        assert_eq!(open(&[key(1, 7), key(2, 8)], Purpose::Session, &token).unwrap(), b"hello");
        assert_eq!(open(&[key(1, 7)], Purpose::Login, &token), None);
        assert_eq!(open(&[key(1, 9)], Purpose::Session, &token), None);
        assert_eq!(open(&[key(2, 7)], Purpose::Session, &token), None);
        let mut changed = token.into_bytes();
        let last = changed.len() - 3;
        changed[last] ^= 1;
        let changed = String::from_utf8_lossy(&changed).into_owned();
        assert_eq!(open(&[key(1, 7)], Purpose::Session, &changed), None);
        assert_eq!(open(&[key(1, 7)], Purpose::Session, "nonsense"), None);
    }

    /// Tokens as they were sealed when each purpose was new.
    #[test]
    fn what_was_sealed_once_opens() {
        const HEAD: &str = "AQAAAAABAgMEBQYHCAkKCwwNDg8QERITFBUWF99_yvHaazrWBbTkJoqH";
        for (purpose, end) in [
            (Purpose::Session, "y6fAVyOFi0PgY0PT1cIRhac"),
            (Purpose::Freshness, "y1tnWAdVuBOTJ3Q8efFcQQc"),
            (Purpose::Login, "y4ZhMRR0-c9q8H4O4J4trIo"),
            (Purpose::OtherGroup, "y16uONrgGIJmuZaRBDu2vVk"),
            (Purpose::Audit, "ywACYQSZHmSuTM-ewIPnfSk"),
        ] {
            let opened = open(&[key(1, 7)], purpose, &format!("{HEAD}{end}"));
            assert_eq!(opened.as_deref(), Some(&b"what was sealed"[..]), "{purpose:?}");
        }
    }

    #[test]
    fn the_newest_key_seals() {
        let token = seal(&[key(1, 7), key(2, 8)], Purpose::Session, b"x").unwrap();
        assert!(open(&[key(2, 8)], Purpose::Session, &token).is_some());
    }
}
