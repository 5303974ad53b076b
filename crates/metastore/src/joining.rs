//! How servers come into a group whose members prove to each other who they are: the authority
//! that signs their certificates, and the tokens for which it does.

use std::collections::BTreeMap;
use std::fmt;

use evercube_base::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::state::Hash;

/// The group's certificate authority; both parts as PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    pub certificate: String,
    pub key: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// An authority that takes another one's place: both are trusted meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthorityChange {
    /// The next one is trusted; certificates are still of the present one.
    Next(Authority),
    /// Certificates are of the present one; the one before, as PEM, is still trusted.
    Before(String),
}

/// A step of the exchange of the authority; each is refused where it is not the next one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AuthorityStep {
    /// The next authority is trusted, too.
    Trust(Authority),
    /// Certificates are of it from now on.
    Switch,
    /// The one before is trusted no more.
    Forget,
}

/// Lets servers join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// BLAKE3 of the secret, which is random and long.
    pub hash: Hash,
    pub created_by: String,
    pub created_unix: i64,
    /// Seconds since 1970 after which it counts no more.
    pub expires_unix: i64,
    /// How many servers may join with it.
    pub uses: u32,
    /// The servers that did.
    #[serde(default)]
    pub used_by: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Joining {
    /// `None`: members do not prove who they are.
    pub authority: Option<Authority>,
    /// Under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<AuthorityChange>,
    /// By name.
    pub tokens: BTreeMap<String, JoinToken>,
}

fn conflict(message: &str) -> Error {
    Error::new(ErrorKind::Conflict, message)
}

fn denied(message: &str) -> Error {
    Error::new(ErrorKind::Denied, message)
}

impl Joining {
    /// The first authority stays: the certificates of members hang on it.
    pub(crate) fn put_authority(&mut self, authority: Authority) {
        self.authority.get_or_insert(authority);
    }

    /// The certificates of all authorities whose members are trusted, the present one first.
    pub fn trusted(&self) -> Vec<&str> {
        let besides = match &self.change {
            None => None,
            Some(AuthorityChange::Next(next)) => Some(next.certificate.as_str()),
            Some(AuthorityChange::Before(certificate)) => Some(certificate.as_str()),
        };
        self.authority.iter().map(|a| a.certificate.as_str()).chain(besides).collect()
    }

    pub(crate) fn take_step(&mut self, step: AuthorityStep) -> Result<(), Error> {
        let Some(present) = &self.authority else {
            return Err(conflict("the group has no authority"));
        };
        self.change = match (step, self.change.take()) {
            (AuthorityStep::Trust(next), None) => Some(AuthorityChange::Next(next)),
            (AuthorityStep::Switch, Some(AuthorityChange::Next(next))) => {
                let before = AuthorityChange::Before(present.certificate.clone());
                self.authority = Some(next);
                Some(before)
            }
            (AuthorityStep::Forget, Some(AuthorityChange::Before(_))) => None,
            (_, other) => {
                self.change = other;
                return Err(conflict("the exchange of the authority is at another step"));
            }
        };
        Ok(())
    }

    /// Adds a token, and forgets those whose time was over when it was made.
    pub(crate) fn put_token(&mut self, name: String, token: JoinToken) -> Result<(), Error> {
        self.tokens.retain(|_, t| t.expires_unix > token.created_unix);
        if self.tokens.contains_key(&name) {
            let message = format!("there is a join token '{name}' already; remove it first");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        self.tokens.insert(name, token);
        Ok(())
    }

    pub(crate) fn delete_token(&mut self, name: &str) -> Result<(), Error> {
        let gone = self.tokens.remove(name);
        gone.map(drop).ok_or_else(|| Error::not_found(format!("there is no join token '{name}'")))
    }

    /// Counts a server that joins with the token of this hash; one that asks again counts once.
    pub(crate) fn use_token(&mut self, hash: &Hash, server: u64, now: i64) -> Result<(), Error> {
        let Some(token) = self.tokens.values_mut().find(|t| t.hash == *hash) else {
            return Err(denied(
                "the join token is not known here: it was removed, or its time was over long ago",
            ));
        };
        if now >= token.expires_unix {
            return Err(denied("the time of the join token is over; make a new one"));
        }
        if token.used_by.contains(&server) {
            return Ok(());
        }
        if token.used_by.len() >= token.uses as usize {
            return Err(denied("the join token was used as often as it may be; make a new one"));
        }
        token.used_by.push(server);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(secret: u8, created: i64, expires: i64, uses: u32) -> JoinToken {
        JoinToken {
            hash: [secret; 32],
            created_by: "admin".into(),
            created_unix: created,
            expires_unix: expires,
            uses,
            used_by: Vec::new(),
        }
    }

    #[test]
    fn a_token_lets_in_as_many_servers_as_it_says_until_its_time_is_over() {
        let mut joining = Joining::default();
        joining.put_token("a".into(), token(1, 0, 100, 2)).unwrap();
        let mut by = |secret: u8, server, now| joining.use_token(&[secret; 32], server, now);
        let why = |r: Result<(), Error>| r.unwrap_err().message;
        assert!(by(1, 7, 10).is_ok() && by(1, 7, 20).is_ok(), "the same server counts once");
        assert!(why(by(2, 8, 10)).contains("not known"));
        assert!(why(by(1, 8, 100)).contains("is over"));
        assert!(by(1, 8, 99).is_ok());
        assert!(why(by(1, 9, 99)).contains("as often as it may"));
        assert!(joining.put_token("a".into(), token(3, 50, 200, 1)).is_err());
        assert!(joining.delete_token("b").is_err());
        joining.put_token("b".into(), token(3, 100, 200, 1)).unwrap();
        assert_eq!(joining.tokens.keys().collect::<Vec<_>>(), ["b"], "ended ones are forgotten");
        joining.delete_token("b").unwrap();
        assert!(joining.use_token(&[3; 32], 1, 150).is_err());
    }

    #[test]
    fn an_authority_is_exchanged_step_by_step() {
        let of = |name: &str| Authority { certificate: name.into(), key: format!("key {name}") };
        let mut joining = Joining::default();
        assert!(joining.take_step(AuthorityStep::Trust(of("b"))).is_err(), "there is none");
        joining.put_authority(of("a"));
        assert!(joining.take_step(AuthorityStep::Switch).is_err());
        joining.take_step(AuthorityStep::Trust(of("b"))).unwrap();
        assert_eq!(joining.trusted(), ["a", "b"]);
        assert!(joining.take_step(AuthorityStep::Trust(of("c"))).is_err(), "one at a time");
        assert!(joining.take_step(AuthorityStep::Forget).is_err());
        joining.take_step(AuthorityStep::Switch).unwrap();
        assert_eq!(joining.trusted(), ["b", "a"]);
        assert!(!serde_json::to_string(&joining).unwrap().contains("key a"), "its key is gone");
        joining.take_step(AuthorityStep::Forget).unwrap();
        assert_eq!(joining.trusted(), ["b"]);
        assert_eq!(joining.authority, Some(of("b")));
    }

    #[test]
    fn the_first_authority_stays_and_its_key_is_not_shown() {
        let of = |key: &str| Authority { certificate: "c".into(), key: key.into() };
        let mut joining = Joining::default();
        joining.put_authority(of("hush"));
        joining.put_authority(of("other"));
        assert_eq!(joining.authority, Some(of("hush")));
        assert!(!format!("{joining:?}").contains("hush"));
    }
}
