//! How old a leader's message is. One that waited for a process that stood still, or on a slow way, tells
//! what was committed when it was sent, and says nothing of now. So a leader numbers its messages and says
//! which one the member answered last: the message is younger than that answer, by the member's own clock.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use openraft::Vote;
use openraft::raft::AppendEntriesRequest;
use serde::{Deserialize, Serialize};

use crate::raft::Types;

/// Answers that are remembered: more than a leader has under way to a member.
const KEPT: usize = 32;

/// What a message says of its age. Members of releases before say and read nothing of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dated {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<u64>,
    /// The newest message that the member is known to have answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answered: Option<u64>,
    /// Milliseconds, when it was sent, since a majority was in contact with the leader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) majority_ms: Option<u64>,
}

/// A message with its age, as it is sent; who reads only one of them leaves out the other.
#[derive(Serialize)]
pub(crate) struct Sent<'a> {
    #[serde(flatten)]
    pub(crate) request: &'a AppendEntriesRequest<Types>,
    #[serde(flatten)]
    pub(crate) dated: Dated,
}

/// When this member answered which messages of a leader, in its own milliseconds.
#[derive(Default)]
pub(crate) struct Answers(Mutex<Answered>);

#[derive(Default)]
struct Answered {
    leader: Option<Vote<u64>>,
    /// Number and time of the newest ones, the last first.
    newest: VecDeque<(u64, u64)>,
}

impl Answers {
    pub(crate) fn note(&self, leader: Vote<u64>, dated: &Dated, now: u64) {
        let Some(number) = dated.number else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.leader != Some(leader) {
            *kept = Answered { leader: Some(leader), ..Answered::default() };
        }
        kept.newest.push_front((number, now));
        kept.newest.truncate(KEPT);
    }

    /// How many milliseconds ago what a message that came at `arrived` tells may have ceased to hold, at
    /// most; `None` where that is not known, and 0 for members that do not say.
    pub(crate) fn age(&self, leader: Vote<u64>, dated: &Dated, arrived: u64) -> Option<u64> {
        if dated.number.is_none() {
            return Some(0);
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = dated.answered.filter(|_| kept.leader == Some(leader))?;
        let (_, at) = kept.newest.iter().find(|(number, _)| *number == answered)?;
        Some(arrived.saturating_sub(*at) + dated.majority_ms.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(number: u64, answered: Option<u64>) -> Dated {
        Dated { number: Some(number), answered, majority_ms: Some(7) }
    }

    #[test]
    fn a_message_is_as_old_as_the_answer_it_knows_of() {
        let (leader, answers) = (Vote::new_committed(1, 1), Answers::default());
        assert_eq!(answers.age(leader, &Dated::default(), 50), Some(0), "a release before");
        assert_eq!(answers.age(leader, &dated(1, None), 50), None);
        answers.note(leader, &dated(1, None), 60);
        assert_eq!(answers.age(leader, &dated(2, Some(1)), 160), Some(107));
        assert_eq!(answers.age(leader, &dated(2, Some(1)), 9060), Some(9007), "it waited");
        assert_eq!(answers.age(leader, &dated(9, Some(8)), 160), None, "before a restart");
        assert_eq!(answers.age(Vote::new_committed(2, 1), &dated(2, Some(1)), 160), None);
        (0..=KEPT as u64).for_each(|n| answers.note(leader, &dated(n, None), 200 + n));
        assert_eq!(answers.age(leader, &dated(99, Some(0)), 500), None, "long forgotten");
        assert_eq!(answers.age(leader, &dated(99, Some(5)), 500), Some(302));
    }

    #[test]
    fn a_message_is_read_by_who_knows_nothing_of_its_age() {
        let request = AppendEntriesRequest::<Types> {
            vote: Vote::new_committed(3, 1),
            prev_log_id: None,
            entries: Vec::new(),
            leader_commit: None,
        };
        let sent =
            serde_json::to_vec(&Sent { request: &request, dated: dated(4, Some(3)) }).unwrap();
        let plain: AppendEntriesRequest<Types> = serde_json::from_slice(&sent).unwrap();
        assert_eq!(plain.vote, request.vote);
        assert_eq!(serde_json::from_slice::<Dated>(&sent).unwrap(), dated(4, Some(3)));
        let before = serde_json::to_vec(&request).unwrap();
        assert_eq!(serde_json::from_slice::<Dated>(&before).unwrap(), Dated::default());
    }
}
