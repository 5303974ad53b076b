//! What this server is told by others that take nothing from it.

use std::sync::{Mutex, PoisonError};

use evercube_base::{Error, ErrorKind};

/// How a member ends what it says to one of another history of the group.
const NEVER_MERGED: &str = "histories are never merged";

/// What becomes of a server in a history that was left.
const REMEDY: &str = "another server was promoted without this one, which takes no part any more; look at what it alone holds (--read any), then start it in an empty folder with --join";

/// What a former member is told.
pub fn removed(name: &str) -> Error {
    let message = format!(
        "server '{name}' was removed from the group, or its disk was replaced; to join again it starts in an empty folder"
    );
    Error::new(ErrorKind::Conflict, message)
}

/// What a member in the history `here` says to one in the history `from`. That it went on in another
/// one is recognized by these words, which releases before say too.
pub fn other_history(here: &str, from: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "this server is in history {here} of the group, the message comes {}{NEVER_MERGED}",
            said_to(from)
        ),
    )
}

fn said_to(history: &str) -> String {
    format!("from history {history}; ")
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    /// The group goes on in another history. The message names the one this server is in.
    Left(String),
    /// The leader found that this server lacks what it acknowledged.
    Lost(String),
    /// The server at an address does not know this one as a member of its group.
    By { address: String, message: String },
}

/// Why this server is refused, if it is.
#[derive(Debug, Default)]
pub struct Refusal(Mutex<Option<Why>>);

impl Refusal {
    fn set(&self, why: Option<Why>) -> Option<Why> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), why)
    }

    /// The server at this address refuses this one, where the error says so; told once in the log.
    pub(crate) fn by(&self, address: &str, error: &Error) {
        if error.kind != ErrorKind::Conflict {
            return;
        }
        let (address, message) = (address.to_owned(), error.message.clone());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = match &*known {
            Some(Why::Lost(_) | Why::Left(_)) => return,
            Some(Why::By { message: before, .. }) => *before != message,
            None => true,
        };
        if is_news {
            tracing::warn!(address, error = message, "this server is refused");
        }
        *known = Some(match message.ends_with(NEVER_MERGED) {
            true => Why::Left(message),
            false => Why::By { address, message },
        });
    }

    /// The server at this address takes messages.
    pub(crate) fn not_by(&self, address: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*known, Some(Why::By { address: by, .. }) if by == address) {
            *known = None;
        }
    }

    /// Told once in the log, too.
    pub(crate) fn lost(&self, message: &str) {
        let lost = Some(Why::Lost(message.to_owned()));
        if self.set(lost.clone()) != lost {
            tracing::error!("this server takes no part: {message}");
        }
    }

    pub(crate) fn clear(&self) {
        self.set(None);
    }

    /// The leader takes this server. One that was left behind with it stays so.
    pub(crate) fn heard(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(&*known, Some(Why::Left(_))) {
            *known = None;
        }
    }

    /// Why this server, which is in this history, has no part in the group any more: somebody
    /// decided to go on without it, and what it does would be lost.
    pub(crate) fn left_behind(&self, history: impl FnOnce() -> String) -> Option<String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Why::Left(message)) if message.contains(&said_to(&history())) => {
                Some(format!("{message}: {REMEDY}"))
            }
            _ => None,
        }
    }

    /// Why this server is refused. While it is in touch with a majority one server's word does not
    /// count: a server of another group may stand at the address of a member that is away.
    pub(crate) fn told(&self, in_touch: bool, history: impl FnOnce() -> String) -> Option<String> {
        let left = self.left_behind(history);
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Why::Lost(message)) => Some(message.clone()),
            Some(Why::By { message, .. }) if !in_touch => Some(message.clone()),
            _ => left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_at_an_address_fences_nobody_that_has_a_majority() {
        let refusal = Refusal::default();
        refusal.by("b:1", &Error::new(ErrorKind::Unavailable, "away"));
        assert_eq!(refusal.told(false, || "0".into()), None, "nobody refuses");
        refusal.by("b:1", &Error::new(ErrorKind::Conflict, "another group"));
        assert_eq!(refusal.told(true, || "0".into()), None);
        assert_eq!(refusal.told(false, || "0".into()).as_deref(), Some("another group"));
        refusal.not_by("c:1");
        assert!(
            refusal.told(false, || "0".into()).is_some(),
            "another server's answer is no excuse"
        );
        refusal.not_by("b:1");
        assert_eq!(refusal.told(false, || "0".into()), None);
    }

    #[test]
    fn what_was_lost_counts_until_the_leader_takes_this_server_again() {
        let refusal = Refusal::default();
        refusal.lost("lost");
        refusal.by("b:1", &Error::new(ErrorKind::Conflict, "another group"));
        refusal.not_by("b:1");
        assert_eq!(refusal.told(true, || "0".into()).as_deref(), Some("lost"));
        refusal.heard();
        assert_eq!(refusal.told(false, || "0".into()), None);
    }

    #[test]
    fn a_server_of_a_history_that_was_left_stays_out_of_it() {
        let refusal = Refusal::default();
        refusal.by("a:1", &other_history("1.a", "0"));
        refusal.heard();
        refusal.not_by("a:1");
        assert!(
            refusal.left_behind(|| "0".into()).is_some()
                && refusal
                    .told(true, || "0".into())
                    .is_some_and(|why| why.contains("empty folder"))
        );
        // It is in the new one itself by now, and had spoken too early.
        assert_eq!(refusal.told(true, || "1.a".into()), None);
    }
}
