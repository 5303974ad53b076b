//! Who is calling: passwords (argon2id), login cookies, administrators.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use evercube_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::seal::{Purpose, SealingKey, open, random, seal};

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    pub user: String,
    pub is_admin: bool,
    /// Groups the issuer of a bearer token says the caller is in.
    pub groups: Vec<String>,
}

impl Identity {
    /// The caller of a server started with `--no-auth`.
    pub fn everyone() -> Self {
        Self { user: "admin".into(), is_admin: true, groups: Vec::new() }
    }
}

/// The argon2id hash of a password, with a fresh salt.
pub fn hash_password(password: &str) -> Result<String> {
    let mut salt = [0u8; 16];
    random(&mut salt)?;
    let salt = SaltString::encode_b64(&salt)
        .map_err(|e| Error::internal(format!("a password salt could not be made: {e}")))?;
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map(|h| h.to_string())
        .map_err(|e| Error::internal(format!("a password could not be hashed: {e}")))
}

/// A password for the first administrator.
pub fn generate_password() -> Result<String> {
    let mut bytes = [0u8; 256];
    random(&mut bytes)?;
    Ok(password_of(&bytes))
}

/// Random bytes as a password: 24 characters from 62, about 142 bits.
pub(crate) fn password_of(bytes: &[u8; 256]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // Values from 248 up are skipped so that every letter is equally likely.
    let fit = bytes.iter().filter(|v| **v < 248).map(|v| LETTERS[usize::from(*v) % 62] as char);
    fit.take(24).collect()
}

/// Whether `password` belongs to `stored` (an argon2 hash). Slow.
pub(crate) fn is_password(stored: &str, password: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(stored) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
}

/// Verifies passwords and remembers the ones that were right, since one check costs milliseconds
/// and the .NET client sends its password with every request.
#[derive(Debug, Default)]
pub struct PasswordCache {
    /// Stored hash → keyed digest of the password that matched it.
    right: Mutex<HashMap<String, [u8; 32]>>,
    secret: [u8; 32],
}

impl PasswordCache {
    pub fn new() -> Result<Self> {
        let mut secret = [0u8; 32];
        random(&mut secret)?;
        Ok(Self { right: Mutex::default(), secret })
    }

    /// True where `password` was right for `stored` before.
    pub fn knows(&self, stored: &str, password: &str) -> bool {
        let digest = *blake3::keyed_hash(&self.secret, password.as_bytes()).as_bytes();
        let known = self.right.lock().unwrap_or_else(PoisonError::into_inner).get(stored).copied();
        known.is_some_and(|k| blake3::Hash::from(k) == blake3::Hash::from(digest))
    }

    /// True where `password` belongs to `stored` (an argon2 hash). Slow the first time.
    pub fn verify(&self, stored: &str, password: &str) -> bool {
        if self.knows(stored, password) {
            return true;
        }
        let digest = *blake3::keyed_hash(&self.secret, password.as_bytes()).as_bytes();
        let right = is_password(stored, password);
        if right {
            let mut cache = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.len() > 10_000 {
                cache.clear();
            }
            cache.insert(stored.to_owned(), digest);
        }
        right
    }
}

/// Seconds a login cookie is good for; a client that stays longer is asked again.
pub const LOGIN_SECONDS: i64 = 8 * 3600;

#[derive(Serialize, Deserialize)]
struct Login {
    user: String,
    is_admin: bool,
    expires_unix: i64,
    /// Part of the stored password hash, so that a changed password ends its cookies.
    stamp: [u8; 8],
}

fn stamp(stored: &str) -> [u8; 8] {
    let mut s = [0u8; 8];
    s.copy_from_slice(&blake3::hash(stored.as_bytes()).as_bytes()[..8]);
    s
}

/// A cookie that stands for a password already checked.
pub fn login_cookie(
    keys: &[SealingKey],
    identity: &Identity,
    stored: &str,
    now_unix: i64,
) -> Result<String> {
    let login = Login {
        user: identity.user.clone(),
        is_admin: identity.is_admin,
        expires_unix: now_unix + LOGIN_SECONDS,
        stamp: stamp(stored),
    };
    let plain = postcard::to_stdvec(&login)
        .map_err(|e| Error::internal(format!("a login cookie could not be written: {e}")))?;
    seal(keys, Purpose::Login, &plain)
}

/// The identity behind a login cookie. `stored_hash` gives the current password hash of a user.
pub fn read_login_cookie(
    keys: &[SealingKey],
    cookie: &str,
    now_unix: i64,
    stored_hash: impl Fn(&str) -> Option<String>,
) -> Option<Identity> {
    let login: Login = postcard::from_bytes(&open(keys, Purpose::Login, cookie)?).ok()?;
    let stored = stored_hash(&login.user)?;
    let counts = login.expires_unix > now_unix && login.stamp == stamp(&stored);
    let Login { user, is_admin, .. } = login;
    counts.then(|| Identity { user, is_admin, groups: Vec::new() })
}

/// Refuses a caller who is not an administrator.
pub fn require_admin(is_admin: bool, attempted: &str) -> Result<()> {
    if is_admin {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Denied,
        format!("{attempted} needs a server administrator; the caller is not one."),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_verified_and_cookies_end_with_them() {
        let cache = PasswordCache::new().unwrap();
        let stored = hash_password("s3cret").unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(!cache.verify(&stored, "S3cret"));
        assert!(cache.verify(&stored, "s3cret"));
        assert!(cache.verify(&stored, "s3cret"));

        let keys = [SealingKey { id: 1, bytes: [1; 32] }];
        let ann = Identity { user: "ann".into(), ..Identity::default() };
        let cookie = login_cookie(&keys, &ann, &stored, 1_000).unwrap();
        let known = |u: &str| (u == "ann").then(|| stored.clone());
        assert_eq!(read_login_cookie(&keys, &cookie, 2_000, known), Some(ann));
        assert_eq!(read_login_cookie(&keys, &cookie, 1_000 + LOGIN_SECONDS, known), None);
        assert_eq!(read_login_cookie(&keys, &cookie, 2_000, |_| Some("other".into())), None);
    }

    #[test]
    fn generated_passwords_differ() {
        let (a, b) = (generate_password().unwrap(), generate_password().unwrap());
        assert_eq!(a.len(), 24);
        assert_ne!(a, b);
    }
}
