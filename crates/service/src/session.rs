//! Sessions that any server continues: the id is a sealed record of what is fixed at open.

use evercube_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::seal::{Purpose, SealingKey, open, random, seal};

/// What a session fixes when it is opened. The version it has seen is not here: it travels in a
/// cookie of its own, renewed on every answer, because clients keep the first id they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Session {
    /// Distinguishes sessions that are alike; also names the session in `DISCOVER_SESSIONS`.
    pub number: u64,
    /// The authenticated user.
    pub user: String,
    pub is_admin: bool,
    /// Groups of the user; those of each request's own token count.
    #[serde(skip)]
    pub groups: Vec<String>,
    pub catalog: Option<String>,
    /// Locale identifier of Windows (1033 = en-US).
    pub locale: u32,
    /// Roles asked for by an administrator; empty means none were asked for.
    pub roles: Vec<String>,
    pub effective_user: Option<String>,
    pub custom_data: Option<String>,
    pub application: Option<String>,
}

impl Session {
    /// A session with a fresh number.
    pub fn begin(mut self) -> Result<Self> {
        let mut b = [0u8; 8];
        random(&mut b)?;
        self.number = u64::from_le_bytes(b);
        Ok(self)
    }

    pub fn to_id(&self, keys: &[SealingKey]) -> Result<String> {
        let plain = postcard::to_stdvec(self)
            .map_err(|e| Error::internal(format!("a session could not be written: {e}")))?;
        seal(keys, Purpose::Session, &plain)
    }

    /// Continues a session by its id. Only ids sealed by this group are continued.
    pub fn from_id(keys: &[SealingKey], id: &str) -> Result<Self> {
        open(keys, Purpose::Session, id)
            .and_then(|b| postcard::from_bytes(&b).ok())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    "The session id is not one of this server group, or its key has been rotated out; close the connection and open it again.",
                )
            })
    }

    /// The user whose rights and row filters count.
    pub fn acting_user(&self) -> &str {
        self.effective_user.as_deref().unwrap_or(&self.user)
    }
}

/// The newest version (applied index) a session has seen, as a cookie value.
pub fn freshness_cookie(keys: &[SealingKey], seq: u64) -> Result<String> {
    seal(keys, Purpose::Freshness, &seq.to_le_bytes())
}

/// Reads [`freshness_cookie`]; `None` for a cookie that is not ours.
pub fn read_freshness_cookie(keys: &[SealingKey], cookie: &str) -> Option<u64> {
    let bytes = open(keys, Purpose::Freshness, cookie)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_continued_from_its_id() {
        let keys = [SealingKey { id: 1, bytes: [3; 32] }];
        let session = Session {
            user: "ann".into(),
            catalog: Some("Retail".into()),
            roles: vec!["US".into()],
            ..Session::default()
        };
        let session = session.begin().unwrap();
        let id = session.to_id(&keys).unwrap();
        assert_eq!(Session::from_id(&keys, &id).unwrap(), session);
        assert!(Session::from_id(&[], &id).is_err());
        let cookie = freshness_cookie(&keys, 42).unwrap();
        assert_eq!(read_freshness_cookie(&keys, &cookie), Some(42));
        assert_eq!(read_freshness_cookie(&keys, &id), None);
    }
}
