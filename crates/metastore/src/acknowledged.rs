//! What members have answered while this server led.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use openraft::{LogId, Vote};
use tokio::time::Instant;

use crate::dated::Dated;
use crate::metastore::millis;
use crate::raft::Types;

/// What a member has answered while this server led.
struct Said {
    under: Vote<u64>,
    /// The last entry up to which its log matches.
    upto: Option<LogId<u64>>,
    /// When the newest of the messages was sent that it answered.
    asked_at: Instant,
    /// The number of that message, where it has one.
    number: Option<u64>,
}

/// How far the logs of members match this server's, as they said while it led, and when they were
/// in contact with it.
///
/// The library holds that a log never becomes shorter. A folder that was emptied in part, or
/// brought back from a copy, breaks that, and the library would stop, or count acknowledgements
/// of entries that are gone; so such an answer is kept from it.
#[derive(Clone, Default)]
pub(crate) struct Acknowledged(Arc<Told>);

#[derive(Default)]
struct Told {
    by: Mutex<BTreeMap<u64, Said>>,
    /// Messages sent, to whomever.
    sent: AtomicU64,
    /// When a majority was in contact with the leader of this vote, as it saw with its last heartbeat.
    majority: Mutex<Option<(Vote<u64>, Instant)>>,
}

impl Acknowledged {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Said>> {
        self.0.by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, id: u64, upto: Option<LogId<u64>>, asked: &Asked) {
        let (under, asked_at, number) = (asked.vote, asked.at, asked.dated.number);
        let mut all = self.lock();
        match all.get_mut(&id) {
            Some(said) if said.under == under => {
                said.upto = said.upto.max(upto);
                said.asked_at = said.asked_at.max(asked_at);
                said.number = said.number.max(number);
            }
            _ => {
                all.insert(id, Said { under, upto, asked_at, number });
            }
        }
    }

    /// Notes, at the leader of this vote, when a majority was in contact.
    pub(crate) fn majority_was_at(&self, under: Vote<u64>, at: Option<Instant>) {
        let mut majority = self.0.majority.lock().unwrap_or_else(PoisonError::into_inner);
        *majority = at.map(|at| (under, at));
    }

    /// What the next message to a member says of its age.
    fn dated(&self, id: u64, under: &Vote<u64>) -> Dated {
        let answered = self.lock().get(&id).filter(|s| s.under == *under).and_then(|s| s.number);
        let majority = *self.0.majority.lock().unwrap_or_else(PoisonError::into_inner);
        let at = majority.filter(|(of, _)| of == under).map(|(_, at)| at);
        Dated {
            number: Some(self.0.sent.fetch_add(1, Ordering::Relaxed)),
            answered,
            majority_ms: at.map(|at| millis(at.elapsed())),
        }
    }

    /// When a majority was in contact with the leader `me` under this vote: of each set of voters,
    /// where one is about to take the place of another. It is told by the answers themselves, so
    /// that it grows old also while the consensus waits for a disk or the process stood still.
    pub(crate) fn majority_at(
        &self,
        me: u64,
        under: &Vote<u64>,
        configurations: &[BTreeSet<u64>],
    ) -> Option<Instant> {
        let (all, now) = (self.lock(), Instant::now());
        let of_one = |voters: &BTreeSet<u64>| {
            let heard = voters.iter().filter_map(|id| match all.get(id) {
                _ if *id == me => Some(now),
                Some(said) if said.under == *under => Some(said.asked_at),
                _ => None,
            });
            let mut heard: Vec<Instant> = heard.collect();
            heard.sort_unstable_by(|a, b| b.cmp(a));
            heard.get(voters.len() / 2).copied()
        };
        let each: Option<Vec<Instant>> = configurations.iter().map(of_one).collect();
        each?.into_iter().min()
    }

    /// Whether a member has said that it holds this entry.
    fn has(&self, id: u64, vote: &Vote<u64>, entry: &LogId<u64>) -> bool {
        let all = self.lock();
        all.get(&id).is_some_and(|s| s.under == *vote && s.upto.is_some_and(|u| *entry <= u))
    }

    /// A message about to be sent to a member.
    pub(crate) fn asking(&self, id: u64, request: &AppendEntriesRequest<Types>) -> Asked {
        let (vote, after) = (request.vote, request.prev_log_id);
        Asked {
            vote,
            was_held: after.is_some_and(|entry| self.has(id, &vote, &entry)),
            last: request.entries.last().map(|e| e.log_id).or(after),
            at: Instant::now(),
            dated: self.dated(id, &vote),
        }
    }

    /// The newest message that a member has answered: under which vote, and when it was sent.
    pub(crate) fn answered(&self, id: u64) -> Option<(Vote<u64>, Instant)> {
        self.lock().get(&id).map(|said| (said.under, said.asked_at))
    }

    /// Whether a member ever said that it holds anything.
    pub(crate) fn any(&self, id: u64) -> bool {
        self.lock().get(&id).is_some_and(|s| s.upto.is_some())
    }

    /// What a member that is taken out, or comes anew, has said counts no more.
    pub(crate) fn forget(&self, id: u64) {
        self.lock().remove(&id);
    }

    /// Notes what an answer says; whether it takes back what was said before.
    pub(crate) fn reverts(
        &self,
        id: u64,
        asked: &Asked,
        answer: &AppendEntriesResponse<u64>,
    ) -> bool {
        match answer {
            AppendEntriesResponse::Success => self.note(id, asked.last, asked),
            AppendEntriesResponse::PartialSuccess(upto) => self.note(id, *upto, asked),
            AppendEntriesResponse::Conflict => {
                self.note(id, None, asked);
                return asked.was_held;
            }
            AppendEntriesResponse::HigherVote(_) => {}
        }
        false
    }
}

/// What was sent to a member: entries up to `last`.
pub(crate) struct Asked {
    pub(crate) vote: Vote<u64>,
    /// Whether the member had said, when this was sent, that it holds the entry before them. What it
    /// said since proves nothing: where two messages are under way, the answer to the older one may
    /// come last.
    was_held: bool,
    last: Option<LogId<u64>>,
    at: Instant,
    pub(crate) dated: Dated,
}

impl Asked {
    /// A message without entries.
    pub(crate) fn nothing(vote: Vote<u64>, at: Instant) -> Self {
        Self { vote, was_held: false, last: None, at, dated: Dated::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_majority_was_in_contact_when_so_many_had_been_asked_that_answered() {
        let (now, vote) = (Instant::now(), Vote::new_committed(5, 1));
        let before = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        let said = Acknowledged::default();
        let at = |configurations: &[&[u64]]| {
            let sets: Vec<BTreeSet<u64>> =
                configurations.iter().map(|c| c.iter().copied().collect()).collect();
            said.majority_at(1, &vote, &sets)
        };
        assert!(at(&[&[1]]).is_some_and(|t| t >= now), "alone");
        assert_eq!(at(&[&[1, 2, 3]]), None, "nobody has answered");
        said.note(2, None, &Asked::nothing(vote, before(8)));
        said.note(3, None, &Asked::nothing(Vote::new_committed(4, 1), now));
        assert_eq!(at(&[&[1, 2, 3]]), Some(before(8)), "what was said under another vote");
        said.note(3, None, &Asked::nothing(vote, before(3)));
        said.note(3, None, &Asked::nothing(vote, before(5)));
        assert_eq!(at(&[&[1, 2, 3]]), Some(before(3)), "the newest of one");
        assert_eq!(at(&[&[1, 2, 3], &[1, 2]]), Some(before(8)), "of both sets");
        assert_eq!(at(&[&[1, 2, 3, 4, 5]]), Some(before(8)));
        assert_eq!(at(&[&[2, 3]]), Some(before(8)), "who leads and has no vote");
        assert!(!said.any(2), "an answer alone holds nothing");
    }
    #[test]
    fn what_was_said_before_a_message_was_sent_is_taken_back_by_its_refusal() {
        let vote = Vote::new_committed(5, 1);
        let entry = |index| LogId::new(openraft::CommittedLeaderId::new(5, 1), index);
        let after =
            |index| AppendEntriesRequest { prev_log_id: Some(entry(index)), ..request(vote) };
        let said = Acknowledged::default();
        // Two messages are under way to one that comes, and the first is answered last.
        let first = said.asking(2, &after(7));
        let second = said.asking(2, &after(7));
        assert!(!said.reverts(2, &second, &AppendEntriesResponse::Success));
        assert!(!said.reverts(2, &first, &AppendEntriesResponse::Conflict));
        let third = said.asking(2, &after(6));
        assert!(said.reverts(2, &third, &AppendEntriesResponse::Conflict));
        let beyond = said.asking(2, &after(8));
        assert!(!said.reverts(2, &beyond, &AppendEntriesResponse::Conflict));
    }

    fn request(vote: Vote<u64>) -> AppendEntriesRequest<Types> {
        AppendEntriesRequest { vote, prev_log_id: None, entries: Vec::new(), leader_commit: None }
    }
}
