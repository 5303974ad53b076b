//! Who stands for election, and when. The library's own elections are off: a member that was cut
//! off would raise the term again and again and, once back, depose a leader that nobody misses.
//! Here a member stands only where a majority says that it misses the leader too, and would vote
//! for it; and then without a further random wait.
//!
//! A leader that hears no majority leads no more, and says so: where its messages still reach others
//! while theirs do not reach it, nobody would miss it, and the group would stand still for as long.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use openraft::error::RaftError;
use openraft::raft::{VoteRequest, VoteResponse};
use openraft::storage::RaftLogStorage as _;
use openraft::{LogId, ServerState};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Metastore, Timing, knows_committed, millis};
use crate::coding::{decode, encode};
use crate::raft::addressed;
use crate::state::MemberKind;

/// Least time between two looks, and between two members that stand for election.
const STEP: Duration = Duration::from_millis(10);
const TURN: Duration = Duration::from_millis(50);

/// How long an election may take at least: votes are written to disks.
const ELECTION: Duration = Duration::from_millis(300);

/// How long a leader that is to vote for the next one waits for what is under way.
const LAST_ANSWERS: Duration = Duration::from_millis(60);

/// How long a leader must be silent at least: on a busy machine one is late by as much as a few of
/// the shortest heartbeats.
const QUIET: Duration = Duration::from_millis(450);

/// What a voter says when it is asked whether it misses the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    /// Time since the leader's last message; 0 at a leader with a majority.
    silent_ms: u64,
    last: Option<LogId<u64>>,
}

/// What comes of a vote.
pub(super) type Voted = std::result::Result<VoteResponse<u64>, RaftError<u64>>;

/// What a leader says that leads no more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Left {
    leader: u64,
    term: u64,
}

/// Whether those that count are more than half of the voters; of each set of voters, where one is
/// about to take the place of another.
fn is_majority(configurations: &[BTreeSet<u64>], counts: impl Fn(u64) -> bool) -> bool {
    configurations.iter().all(|voters| {
        let counted = voters.iter().filter(|id| counts(**id)).count();
        counted * 2 > voters.len()
    })
}

impl Metastore {
    /// Stands for election whenever it is this member's turn to, and steps aside as a leader that
    /// has lost its majority.
    pub(super) fn watch_leader(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        self.runtime.spawn(async move {
            // Since when this member leads, or a majority was in contact with it as the leader.
            let mut led = None;
            loop {
                let Some(store) = weak.upgrade() else { return };
                let timing = store.timing();
                let pause = (timing.heartbeat() / 8).max(STEP);
                if store.is_leader() {
                    let last =
                        led.map_or_else(Instant::now, |(last, looked): (Instant, Instant)| {
                            // Answers that came while this machine stood still are not looked at yet.
                            let late = looked.elapsed().saturating_sub(timing.heartbeat());
                            last + late
                        });
                    let last = last.max(store.note_own_majority());
                    led = Some((last, Instant::now()));
                    if store.has_lost_majority(last, timing).await {
                        store.step_aside(timing).await;
                        led = None;
                    }
                } else {
                    led = None;
                    if store.misses_leader(timing) && store.is_missed_by_majority(timing).await {
                        store.stand(timing).await;
                    }
                }
                drop(store);
                tokio::time::sleep(pause).await;
            }
        });
    }

    pub(super) fn is_leader(&self) -> bool {
        self.raft().metrics().borrow().state == ServerState::Leader
    }

    /// Notes, at the leader, when a majority was in contact last; so that, when it leads no more,
    /// this member knows how fresh its state is, and waits for a new leader as the others do.
    fn note_own_majority(&self) -> Instant {
        let metrics = self.raft().metrics();
        let (age, knows) = {
            let m = metrics.borrow();
            (self.quorum_age(&m), knows_committed(&m))
        };
        let Some(age) = age else { return self.started };
        let at = self.elapsed_millis().saturating_sub(age).max(1);
        self.heard_from.store(self.config.node_id, Ordering::Relaxed);
        self.leader_contact.fetch_max(at, Ordering::Relaxed);
        if knows {
            self.fresh_contact.fetch_max(at, Ordering::Relaxed);
        }
        self.started + Duration::from_millis(at)
    }

    /// Whether this leader, in contact with a majority at `last`, hears none any more. Entries may
    /// take long to be on a slow disk; a greeting is answered without it, and where no majority
    /// answers even that, nothing comes from them.
    async fn has_lost_majority(&self, last: Instant, timing: Timing) -> bool {
        if last.elapsed() > timing.without_majority() {
            return true;
        }
        last.elapsed() > (timing.heartbeat() * 2).max(QUIET)
            && !self.is_answered(timing).await
            && self.note_own_majority() <= last
    }

    /// Whether a majority answers a greeting within the time for one, this member included.
    async fn is_answered(&self, timing: Timing) -> bool {
        let limit = timing.heartbeat().max(ELECTION);
        let mut asked = self.ask_voters("raft/who", &[], limit);
        let mut answered = BTreeSet::new();
        while !self.makes_majority(&answered) {
            let Some(answer) = asked.join_next().await else { return false };
            let Ok((id, Ok(bytes))) = answer else { continue };
            if decode::<u64>(&bytes).is_ok_and(|at| at == id) {
                answered.insert(id);
            }
        }
        true
    }

    /// Sends the other voters a message; each answer with who gave it.
    fn ask_voters(
        &self,
        path: &str,
        body: &[u8],
        limit: Duration,
    ) -> JoinSet<(u64, Result<Vec<u8>>)> {
        let (state, me) = (self.state(), self.config.node_id);
        let mut asked = JoinSet::new();
        for id in self.voters().into_iter().filter(|id| *id != me) {
            let Some(member) = state.members.get(&id) else { continue };
            let (transport, address) = (Arc::clone(&self.transport), member.peer_address.clone());
            let (path, body) = (addressed(path, id, Some(member)), body.to_vec());
            let call = async move { (id, transport.call(&address, &path, body, limit).await) };
            asked.spawn_on(call, &self.runtime);
        }
        asked
    }

    /// Whether these members and this one are a majority: while the voters change, of those before
    /// and of those after.
    pub(super) fn makes_majority(&self, others: &BTreeSet<u64>) -> bool {
        let metrics = self.raft().metrics();
        let metrics = metrics.borrow();
        let configurations = metrics.membership_config.membership().get_joint_config();
        is_majority(configurations, |id| id == self.config.node_id || others.contains(&id))
    }

    /// Leads no more, and waits like any other member for somebody who does. Those that still hear
    /// this member need not wait until they miss it.
    async fn step_aside(&self, timing: Timing) {
        tracing::warn!("this server leads no more: it has lost its contact with a majority");
        let term = self.raft().metrics().borrow().current_term;
        if let Ok(body) = encode(&Left { leader: self.config.node_id, term }) {
            self.ask_voters("raft/leads-no-more", &body, timing.lease()).detach_all();
        }
        if let Err(e) = self.restart_as_follower().await {
            tracing::error!(error = %e, "the consensus did not start again after the leader stepped aside");
        }
    }

    /// The leader says that it leads no more: nobody waits for it.
    pub(super) async fn leader_left(&self, left: Left) -> Result<()> {
        let led = {
            let metrics = self.raft().metrics();
            let m = metrics.borrow();
            m.current_leader == Some(left.leader) && m.current_term == left.term
        };
        if led {
            self.restart_as_follower().await?;
            let at = self.elapsed_millis().saturating_sub(millis(self.timing().lease()));
            self.leader_contact.store(at, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether the leader has been silent for long enough that this member asks the others: three
    /// heartbeats are missing.
    fn misses_leader(&self, timing: Timing) -> bool {
        let voters = self.voters();
        // Nobody answers one that was left behind.
        let is_out = self.left_behind().is_some();
        if is_out || !voters.contains(&self.config.node_id) || self.is_leader() {
            return false;
        }
        voters.len() == 1
            || (self.silence() >= (timing.heartbeat() * 3).max(QUIET) && self.is_free(timing))
    }

    /// Whether a candidate that this member voted for last, or it was itself, had the time to win.
    fn is_free(&self, timing: Timing) -> bool {
        self.since(self.voted_at.load(Ordering::Relaxed)) >= (timing.heartbeat() * 2).max(ELECTION)
    }

    /// How long this member leaves the election to those that stand before it, once nobody's lease
    /// is in the way: one after the other, a witness last.
    fn turn(&self, timing: Timing) -> Duration {
        let (state, me, missed) = (self.state(), self.config.node_id, self.last_leader());
        let is_witness =
            |id: &u64| state.members.get(id).is_some_and(|m| m.kind == MemberKind::Witness);
        let voters = self.voters();
        let before_me = voters
            .iter()
            .filter(|id| **id != me && Some(**id) != missed)
            .filter(|id| (is_witness(id), **id) < (is_witness(&me), me));
        let turns = u32::try_from(before_me.count()).unwrap_or(u32::MAX);
        (timing.heartbeat() / 2).max(TURN).saturating_mul(turns)
    }

    /// Time since the leader was last heard, or since this member began to listen.
    fn silence(&self) -> Duration {
        self.since(self.leader_contact.load(Ordering::Relaxed))
    }

    fn since(&self, millis: u64) -> Duration {
        Duration::from_millis(self.elapsed_millis().saturating_sub(millis))
    }

    /// The leader heard last, `None` before any was.
    fn last_leader(&self) -> Option<u64> {
        Some(self.heard_from.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// How long a member has been silent from which this one would have heard: the leader it followed
    /// last, or at the leader any that has answered it; `None` of others.
    pub fn silence_of(&self, member: u64) -> Option<Duration> {
        let followed = *self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let led = followed.filter(|(leader, _)| *leader == member).map(|(_, at)| self.since(at));
        let Some((under, at)) = self.acknowledged.answered(member) else { return led };
        if under == self.raft().metrics().borrow().vote {
            return Some(at.elapsed());
        }
        // One that has answered since it led was not to be heard until this one leads again.
        led.filter(|since| at.elapsed() > *since)
    }

    /// As [`Self::silence_of`], where another member leads, as that one knows it.
    pub async fn silence_told(&self, member: u64) -> Option<Duration> {
        let Some((leader, address)) = self.leader() else { return self.silence_of(member) };
        if leader == self.config.node_id {
            return self.silence_of(member);
        }
        let limit = self.timing().heartbeat().max(ELECTION);
        let asked = self.transport.call(&address, "raft/silence", encode(&member).ok()?, limit);
        // One of an earlier release does not know the question.
        let told: Option<u64> = decode(&asked.await.ok()?).ok()?;
        told.map(Duration::from_millis)
    }

    /// Answers a member that misses the leader. One that has just voted, or stands itself, does not
    /// want another election.
    pub(super) async fn heard(&self) -> Result<Heard> {
        let last = self.last_entry().await?;
        let status = self.status();
        let silent = if status.leader == Some(status.me) {
            Duration::from_millis(status.millis_since_quorum.unwrap_or(u64::MAX))
        } else if !self.is_free(self.timing()) {
            Duration::ZERO
        } else {
            self.silence()
        };
        Ok(Heard { silent_ms: millis(silent), last })
    }

    pub(super) async fn last_entry(&self) -> Result<Option<LogId<u64>>> {
        let read = self.log.clone().get_log_state().await;
        read.map(|s| s.last_log_id).map_err(|e| super::unavailable(e.to_string()))
    }

    /// Whether a majority misses the leader too and is about to be free to vote for this member; true
    /// once it is this member's turn to stand.
    async fn is_missed_by_majority(&self, timing: Timing) -> bool {
        // Nobody else votes, and nobody else's lease is in the way.
        if self.makes_majority(&BTreeSet::new()) {
            return true;
        }
        let heard_before = self.leader_contact.load(Ordering::Relaxed);
        let Some(left) = self.leave_of_majority(timing).await else { return false };
        // Nobody votes while the leader's lease runs. Its end is the same for everybody, so that
        // whose turn it is first counts from there: two at once would take each other's votes.
        let mut at = Instant::now() + left + self.turn(timing);
        let round_trip = timing.heartbeat() / 3;
        // What was said long before may not hold any more: the leader was heard, or another stands.
        if at > Instant::now() + round_trip * 2 {
            tokio::time::sleep_until(at - round_trip).await;
            let Some(left) = self.leave_of_majority(timing).await else { return false };
            at = at.max(Instant::now() + left);
        }
        tokio::time::sleep_until(at).await;
        heard_before == self.leader_contact.load(Ordering::Relaxed) && self.is_free(timing)
    }

    /// Asks the other voters. Once a majority misses the leader too and has no newer entries: how
    /// long the last of them still waits for the leader.
    async fn leave_of_majority(&self, timing: Timing) -> Option<Duration> {
        let last = self.last_entry().await.ok()?;
        let mut asked = self.ask_voters("raft/heard", &[], timing.heartbeat() * 2);
        let mut agreeing = BTreeSet::new();
        let mut wait = timing.lease().saturating_sub(self.silence());
        while !self.makes_majority(&agreeing) {
            let Ok((id, answer)) = asked.join_next().await? else { continue };
            self.note_heard(id, answer.as_ref().err());
            let heard = match answer.and_then(|b| decode::<Heard>(&b)) {
                Ok(heard) => heard,
                // An older release, which votes as it always did.
                Err(e) if e.kind == ErrorKind::NotFound => {
                    Heard { silent_ms: u64::MAX, last: None }
                }
                Err(e) => {
                    if let Some(member) = self.state().members.get(&id) {
                        self.refused.by(&member.peer_address, &e);
                    }
                    continue;
                }
            };
            let silent = Duration::from_millis(heard.silent_ms);
            if silent >= timing.heartbeat() * 2 && heard.last <= last {
                agreeing.insert(id);
                wait = wait.max(timing.lease().saturating_sub(silent));
            }
        }
        Some(wait)
    }

    fn note_heard(&self, id: u64, why_not: Option<&Error>) {
        let mut unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        match why_not {
            None => unheard.remove(&id),
            Some(e) => unheard.insert(id, e.message.clone()),
        };
    }

    async fn stand(&self, timing: Timing) {
        tracing::info!("this server stands for election");
        // A consensus that is being started again, as where the leader has just said that it leads no
        // more, would not hear of it.
        drop(self.restarting.lock().await);
        // A member votes for itself.
        let before = self.voted_at.swap(self.elapsed_millis(), Ordering::Relaxed);
        let term = self.raft().metrics().borrow().current_term;
        if let Err(e) = self.raft().trigger().elect().await {
            tracing::debug!(error = %e, "consensus has stopped");
            // It has voted for nobody, and need not wait before it stands again.
            self.voted_at.store(before, Ordering::Relaxed);
            return;
        }
        let begun = Instant::now();
        let limit = timing.heartbeat().max(TURN * 2);
        let decided =
            self.until(limit, |m| m.current_term > term && m.current_leader.is_some()).await;
        tracing::debug!(decided, took_ms = begun.elapsed().as_millis(), "the election ended");
    }

    /// What this member answers to a candidate. Whose log is empty was not let in yet, or has lost
    /// what it held: for it any candidate would hold enough.
    pub(super) async fn vote(&self, body: &[u8]) -> Result<Vec<u8>> {
        // A consensus that is being started again answers once it runs.
        drop(self.restarting.lock().await);
        if self.last_entry().await?.is_none() {
            return Err(super::unavailable("this server holds nothing and does not vote"));
        }
        let request: VoteRequest<u64> = decode(body)?;
        encode(&self.vote_here(request).await?)
    }

    /// Votes, and notes when it was.
    pub(super) async fn vote_here(&self, request: VoteRequest<u64>) -> Result<Voted> {
        if self.yields_to(&request) {
            if self.is_leader() {
                // What it has sent is acknowledged before it stops; the others need not wait for it.
                let ends = tokio::time::timeout(LAST_ANSWERS, self.under_way.write());
                let _ended = ends.await;
            }
            self.restart_as_follower().await?;
        }
        let answer = self.raft().vote(request).await;
        if answer.as_ref().is_ok_and(|a| a.vote_granted) {
            self.voted_at.store(self.elapsed_millis(), Ordering::Relaxed);
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_voters_change_a_majority_is_one_of_those_before_and_of_those_after() {
        let sets = |sets: &[&[u64]]| -> Vec<BTreeSet<u64>> {
            sets.iter().map(|ids| ids.iter().copied().collect()).collect()
        };
        for (voters, counted, expected) in [
            (sets(&[&[1, 2, 3]]), vec![1, 2], true),
            (sets(&[&[1, 2, 3, 4]]), vec![1, 2], false),
            (sets(&[&[1, 2, 3]]), vec![1, 9], false),
            // Member 6 takes the place of member 5; neither is there.
            (sets(&[&[1, 2, 3, 4, 5], &[1, 2, 3, 4, 6]]), vec![1, 2, 3], true),
            (sets(&[&[1, 2, 3], &[3, 4, 5]]), vec![1, 2, 3], false),
        ] {
            let is = is_majority(&voters, |id| counted.contains(&id));
            assert_eq!(is, expected, "{counted:?} of {voters:?}");
        }
    }
}
