//! What is asked for again under the same request id, because the first answer was lost: it is done
//! once and answered from the record of the group, and only to who asked for it.

use evercube_base::{Error, Result};
use evercube_metastore::{Command, Reply};

use crate::call::{Call, WriteAnswer};
use crate::seal::{SealingKey, random};
use crate::service::Service;

/// The longest id a client may give, in bytes.
const LONGEST: usize = 200;

/// Under which name a caller's request is recorded. The caller is part of it: nobody else is
/// answered from the record, or keeps somebody's request from being done by asking first.
///
/// # Errors
/// `Invalid` for an id that is too long or holds what no header does.
pub(crate) fn request_id(call: &Call) -> Result<String> {
    let given = call.request_id.as_deref().map(str::trim).filter(|id| !id.is_empty());
    let id = match given {
        Some(id) if id.len() > LONGEST || id.contains(char::is_control) => {
            return Err(Error::invalid(format!(
                "a request id has at most {LONGEST} bytes and no control characters"
            )));
        }
        Some(id) => id.to_owned(),
        None => {
            let mut bytes = [0u8; 16];
            random(&mut bytes)?;
            hex::encode(bytes)
        }
    };
    Ok(of_caller(&id, &call.session.user))
}

/// The name under which this user's request is recorded.
pub(crate) fn of_caller(id: &str, user: &str) -> String {
    format!("by {}\n{id}", user.to_lowercase())
}

/// The id the caller gave, of the name under which the request is recorded.
pub(crate) fn given_id(recorded: &str) -> &str {
    recorded.rsplit_once('\n').map_or(recorded, |(_, id)| id)
}

/// A part of a request that makes several changes.
pub(crate) fn part_of(request_id: &str, part: &str) -> String {
    format!("{request_id} {part}")
}

/// Bytes that are a secret of this request, always the same while the group has the key: so an
/// answer that was lost can be given again, though only the hash of the secret is kept.
pub(crate) fn secret_bytes(key: &SealingKey, request_id: &str, what: &str, out: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key(CONTEXT, &key.bytes));
    hasher.update(what.as_bytes());
    hasher.update(b"\n");
    hasher.update(request_id.as_bytes());
    hasher.finalize_xof().fill(out);
}

const CONTEXT: &str = "evercube secrets of requests 1";

impl Service {
    /// The outcome of a request that was carried out before; `request_id` as [`request_id`] gives
    /// it. What is there now is looked at by the caller: a right may have been lost since.
    pub(crate) fn answered(&self, request_id: &str) -> Option<Result<WriteAnswer>> {
        let state = self.metastore.state();
        let known = state.requests.get(request_id)?;
        Some(match &known.error {
            None => Ok(WriteAnswer { seq: known.seq, messages: Vec::new() }),
            Some(e) => Err(e.clone()),
        })
    }

    /// Makes a change of the group once; its refusal is the caller's. When this returns, the
    /// change is known here.
    pub(crate) async fn change_once(&self, request_id: &str, command: Command) -> Result<u64> {
        match self.metastore.propose_once(request_id, command).await? {
            Reply::Done { seq } => {
                self.metastore.wait_applied(seq, crate::read::HOLD).await?;
                Ok(seq)
            }
            Reply::Refused(e) => Err(e),
        }
    }

    /// The keys from which secrets of requests are made, the newest first.
    pub(crate) fn secret_keys(&self) -> Result<Vec<SealingKey>> {
        let mut keys = self.keys();
        keys.sort_by_key(|k| std::cmp::Reverse(k.id));
        if keys.is_empty() {
            return Err(Error::internal("the group has no key yet"));
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Session;

    fn call(user: &str, id: &str) -> Call {
        let session = Session { user: user.into(), ..Session::default() };
        Call { session, request_id: Some(id.into()), ..Call::default() }
    }

    #[test]
    fn a_record_belongs_to_its_caller() {
        let of = |user: &str, id: &str| request_id(&call(user, id)).unwrap();
        assert_eq!(of("Ann", "7"), of("ann", " 7 "));
        assert_ne!(of("ann", "7"), of("bob", "7"));
        // No name of a user makes the record of another one.
        assert_ne!(of("ann\nx", "7"), of("ann", "x\n7".trim_start_matches("x\n")));
        assert_eq!(given_id(&of("a\nb", "run:1:2")), "run:1:2");
        // Nor that of what the server does by itself.
        assert!(!of("standby", "1").starts_with("standby\n"));
        for bad in ["x".repeat(201), "a\nb".into()] {
            assert!(request_id(&call("ann", &bad)).is_err(), "{bad}");
        }
        assert_ne!(of("ann", ""), of("ann", ""));
    }

    #[test]
    fn a_secret_is_the_same_for_the_same_request_only() {
        let key = |id, fill| SealingKey { id, bytes: [fill; 32] };
        let secret = |key: &SealingKey, id: &str, what: &str| {
            let mut bytes = [0_u8; 32];
            secret_bytes(key, id, what, &mut bytes);
            bytes
        };
        let one = secret(&key(1, 7), "r1", "token a");
        assert_eq!(one, secret(&key(1, 7), "r1", "token a"));
        for other in [
            secret(&key(2, 8), "r1", "token a"),
            secret(&key(1, 7), "r2", "token a"),
            secret(&key(1, 7), "r1", "token b"),
        ] {
            assert_ne!(one, other);
        }
    }
}
