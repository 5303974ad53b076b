//! Changes and strong reads: at the leader, wherever it is, through elections.

use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::relay::Leading;
use super::{Metastore, unavailable};
use crate::coding::{decode, encode};
use crate::command::{Command, Commit, HANDED_ON, RECORDED, REPEATABLE, Reply};

/// How long a proposal or a read waits through elections.
pub(super) const HOLD: Duration = Duration::from_secs(30);
pub(super) const CALL: Duration = Duration::from_secs(10);
pub(super) const PAUSE: Duration = Duration::from_millis(10);

impl Metastore {
    /// The leader, or who is about to lead, and its address; `None` while there is none.
    pub(super) fn leader(&self) -> Option<(u64, String)> {
        if self.is_out() {
            return None;
        }
        let metrics = self.raft().metrics();
        let m = metrics.borrow();
        let id = m.current_leader.or_else(|| self.yielded_to())?;
        let known = self.state().members.get(&id).map(|x| x.peer_address.clone());
        let node = || m.membership_config.membership().get_node(&id).map(|n| n.addr.clone());
        Some((id, known.or_else(node)?))
    }

    /// Gets a command applied by the group, wherever the leader is, through elections.
    ///
    /// # Errors
    /// `Unknown` where the answer was lost: at once for a commit without a request id, at the end
    /// of the time for anything else. `Unavailable` where the change was surely not made: no
    /// leader, or no majority, was found in time.
    pub async fn propose(&self, command: Command) -> Result<Reply> {
        self.require_level(command.level())?;
        let deadline = Instant::now() + HOLD;
        let repeatable = !matches!(&command, Command::Commit(c) if c.request_id.is_empty());
        let body = encode(&command)?;
        let mut last = None;
        let mut perhaps_made = false;
        while Instant::now() < deadline {
            let leading = self.leading();
            let tried = match &leading {
                None => Err(unavailable("no leader is elected")),
                Some(to) if to.id == self.config.node_id && to.is_next => {
                    self.while_leading(to, self.propose_when_leading(command.clone())).await
                }
                Some(to) if to.id == self.config.node_id => {
                    self.while_leading(to, self.propose_here(command.clone())).await
                }
                Some(to) => {
                    self.while_leading(to, self.asked(to, "raft/propose", &body, CALL)).await
                }
            };
            match tried {
                Ok(reply) => return Ok(reply),
                Err(e) if e.kind == ErrorKind::Unavailable || repeatable => {
                    perhaps_made |= e.kind != ErrorKind::Unavailable;
                    last = Some(e);
                }
                Err(e) => {
                    return Err(Error::new(
                        ErrorKind::Unknown,
                        format!(
                            "the answer to a change was lost and it may or may not have been made: {e}"
                        ),
                    ));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        let why = last.map_or_else(String::new, |e| format!(" ({e})"));
        if perhaps_made {
            return Err(Error::new(
                ErrorKind::Unknown,
                format!(
                    "the answer to a change was lost and it may or may not have been made{why}; ask again under the same request id"
                ),
            ));
        }
        Err(unavailable(format!(
            "no majority of the voting servers could be reached within {} s{why}",
            HOLD.as_secs()
        )))
    }

    /// As [`Self::propose`], for a change that is recorded under `request_id`: asked for again it is
    /// answered, not made a second time.
    ///
    /// # Errors
    /// As [`Self::propose`].
    pub async fn propose_once(&self, request_id: &str, command: Command) -> Result<Reply> {
        match self.once(request_id, &command) {
            Some(once) => self.propose(once).await,
            None => self.propose(command).await,
        }
    }

    /// The command such that it is recorded under `request_id`; `None` where a member of an earlier
    /// release would not know the record.
    pub fn once(&self, request_id: &str, command: &Command) -> Option<Command> {
        let request_id = request_id.to_owned();
        self.all_know(RECORDED)
            .then(|| Command::Once { request_id, command: Box::new(command.clone()) })
    }

    /// What the leader, or who is about to lead, answers.
    async fn asked<T: DeserializeOwned>(
        &self,
        to: &Leading,
        path: &str,
        body: &[u8],
        limit: Duration,
    ) -> Result<T> {
        let answer = self.relay(to, path, body.to_vec(), limit).await;
        if answer.is_err() && to.is_next {
            self.yield_no_more(to.id);
        }
        answer.and_then(|b| decode(&b))
    }

    /// The move of leases such that what is under way goes on; the move itself where a member of an
    /// earlier release would not know of that.
    pub fn planned(&self, command: Command) -> Command {
        match self.all_know(HANDED_ON) {
            true => Command::Planned(Box::new(command)),
            false => command,
        }
    }

    /// The commit such that it may be made anew under its request id where its writer was replaced; the
    /// commit itself where a member of an earlier release would judge it otherwise.
    pub fn repeatable(&self, commit: Commit) -> Command {
        Command::Commit(Commit { repeatable: self.all_know(REPEATABLE), ..commit })
    }

    fn all_know(&self, level: u32) -> bool {
        self.state().members.values().all(|m| m.level >= level)
    }

    /// The answer to `asked`, unless another leader is elected before it comes: one that cannot be
    /// reached any more would be waited for in vain.
    async fn while_leading<T>(
        &self,
        to: &Leading,
        asked: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut metrics = self.raft().metrics();
        // While the leadership is handed over, the one before still leads.
        let before = metrics.borrow().current_leader;
        let replaced = async {
            let is_other = |now: &u64| *now != to.id && Some(*now) != before;
            let now = loop {
                let now = metrics.borrow_and_update().current_leader.filter(is_other);
                if let Some(now) = now {
                    break now;
                }
                if metrics.changed().await.is_err() {
                    return;
                }
            };
            // The one before has passed it on, and its answer is on the way.
            if self.was_handed_to(now) {
                tokio::time::sleep(self.timing().heartbeat()).await;
            }
        };
        tokio::select! {
            answer = asked => answer,
            () = replaced => Err(Error::new(ErrorKind::Unknown, "the leader changed meanwhile")),
        }
    }

    /// Refuses a command that a member would not understand.
    fn require_level(&self, level: u32) -> Result<()> {
        match self.state().members.values().find(|m| m.level < level) {
            None => Ok(()),
            Some(old) => Err(Error::unsupported(format!(
                "server '{}' runs a release that does not know this command; upgrade it first",
                old.name
            ))),
        }
    }

    /// An index such that every change acknowledged before this call is at or below it.
    pub async fn read_index(&self) -> Result<u64> {
        self.read_index_within(HOLD).await
    }

    /// As [`Self::read_index`], through elections for at most as long as `limit`.
    pub async fn read_index_within(&self, limit: Duration) -> Result<u64> {
        let deadline = Instant::now() + limit;
        let mut last = None;
        while Instant::now() < deadline {
            // To wait here for what another member knows helps nobody.
            if let Some(why) = self.why_out() {
                return Err(unavailable(why));
            }
            let leading = self.leading();
            let tried = match &leading {
                None => Err(unavailable("no leader is elected")),
                Some(to) if to.id == self.config.node_id && to.is_next => {
                    self.while_leading(to, self.read_index_when_leading()).await
                }
                Some(to) if to.id == self.config.node_id => {
                    self.while_leading(to, self.read_index_here()).await
                }
                Some(to) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let limit = left.min(Duration::from_secs(2));
                    self.while_leading(to, self.asked(to, "raft/read-index", &[], limit)).await
                }
            };
            match tried {
                Ok(index) => return Ok(index),
                Err(e) => last = Some(e),
            }
            tokio::time::sleep(PAUSE).await;
        }
        let why = last.map_or_else(String::new, |e| format!(" ({e})"));
        Err(unavailable(format!("no leader confirmed which version is the newest{why}")))
    }
}
