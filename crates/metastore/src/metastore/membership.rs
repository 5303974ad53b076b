//! Members come and go, one at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use openraft::{BasicNode, ChangeMembers};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::propose::{HOLD, PAUSE};
use super::{Metastore, unavailable};
use crate::coding::{decode, encode};
use crate::command::{Command, RECORDED, Reply};
use crate::raft::ADDRESSED;
use crate::state::{Member, MemberKind};

/// What a server is told that has lost what it acknowledged.
pub(crate) const LOST: &str = "the group knows this server, but its folder lacks what it had acknowledged: part of it was emptied, or it was brought back from a copy; empty the folder wholly, and start the server again under its name with --join";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JoinRequest {
    pub(super) id: u64,
    pub(super) member: Member,
    /// Whether its log holds nothing.
    #[serde(default)]
    pub(super) is_empty: bool,
}

/// A member to be taken out, and the request that asked for it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Removal {
    pub(super) id: u64,
    pub(super) request_id: String,
}

impl Metastore {
    /// Takes a server into the group, here or at the leader.
    pub(super) async fn let_in(&self, body: &[u8]) -> Result<()> {
        match self.leader() {
            None => Err(unavailable("no leader is elected")),
            Some((id, address)) if id != self.config.node_id => {
                self.transport.call(&address, "raft/join", body.to_vec(), HOLD).await.map(|_| ())
            }
            Some(_) => {
                let request: JoinRequest = decode(body)?;
                tokio::time::timeout(HOLD, self.admit(request))
                    .await
                    .unwrap_or_else(|_| Err(unavailable("the joining server did not catch up")))
            }
        }
    }

    async fn admit(&self, request: JoinRequest) -> Result<()> {
        let _one_at_a_time = self.membership.lock().await;
        // It may have asked before it was taken out, over a wire that is slow.
        if let Some(name) = self.state().removed.get(&request.id) {
            return Err(crate::removed(name));
        }
        if request.is_empty {
            self.require_nothing_lost(request.id)?;
        }
        let (id, member) = (request.id, request.member);
        if let Some(e) = self.state().too_old(id, &member) {
            return Err(e);
        }
        if member.level < ADDRESSED {
            let message =
                format!("server '{}' runs an earlier release; upgrade it first", member.name);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let mut replaced: BTreeSet<u64> = self
            .state()
            .members
            .iter()
            .filter(|(other, m)| **other != id && m.name == member.name)
            .map(|(other, _)| *other)
            .collect();
        for old in &replaced {
            self.require_gone(*old, &member.name).await?;
        }
        replaced.extend(self.never_let_in(id, &member.peer_address));
        self.suit_timing(Some(&member.peer_address)).await;
        let failed = |what: &str, e: &dyn std::fmt::Display| unavailable(format!("{what}: {e}"));
        let node = BasicNode { addr: member.peer_address.clone() };
        let raft = self.raft();
        tokio::select! {
            added = raft.add_learner(id, node, true) => {
                added.map_err(|e| failed("the server could not be added", &e))?;
            }
            () = self.replaced_at(&member.peer_address, id) => {
                return Err(unavailable("another server has come to its address meanwhile"));
            }
        }
        let mut voters: BTreeSet<u64> =
            self.raft().metrics().borrow().membership_config.voter_ids().collect();
        let before = voters.clone();
        voters.retain(|v| !replaced.contains(v));
        if member.kind.votes() {
            voters.insert(id);
        }
        if voters != before {
            self.raft()
                .change_membership(ChangeMembers::ReplaceAllVoters(voters), false)
                .await
                .map_err(|e| failed("the server could not become a voter", &e))?;
        }
        self.forget_nodes(&replaced).await?;
        replaced.iter().for_each(|old| self.acknowledged.forget(*old));
        self.propose(Command::PutMember { id, member }).await?;
        Ok(())
    }

    /// Refuses a server that has acknowledged entries under its id and holds none of them: its
    /// acknowledgements and its vote would count twice.
    fn require_nothing_lost(&self, id: u64) -> Result<()> {
        let voted = self.voters().contains(&id);
        if !voted && !self.state().members.contains_key(&id) && !self.acknowledged.any(id) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict, LOST))
    }

    /// Members of the consensus at this address that the group never took in: the admission of
    /// each was interrupted, and its disk replaced since.
    fn never_let_in(&self, id: u64, address: &str) -> BTreeSet<u64> {
        let metrics = self.raft().metrics();
        let m = metrics.borrow();
        let state = self.state();
        let nodes = m.membership_config.nodes();
        let gone = nodes.filter(|(other, node)| {
            **other != id && node.addr == address && !state.members.contains_key(other)
        });
        gone.map(|(other, _)| *other).collect()
    }

    /// Refuses a newcomer whose name belongs to a server that still answers under its old id.
    async fn require_gone(&self, old: u64, name: &str) -> Result<()> {
        let Some(address) = self.state().members.get(&old).map(|m| m.peer_address.clone()) else {
            return Ok(());
        };
        let limit = Duration::from_secs(1);
        let answer = self.transport.call(&address, "raft/who", Vec::new(), limit).await;
        match answer.and_then(|b| decode::<u64>(&b)) {
            Ok(id) if id == old => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "a server named '{name}' runs already at {address}; give the new server another name, or stop the other one first"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Waits until another server than this one answers at an address. The one that is being let in
    /// would be waited for in vain, and its successor, with another new disk, as long.
    async fn replaced_at(&self, address: &str, id: u64) {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let limit = Duration::from_secs(1);
            let answer = self.transport.call(address, "raft/who", Vec::new(), limit).await;
            if answer.and_then(|b| decode::<u64>(&b)).is_ok_and(|at| at != id) {
                return;
            }
        }
    }

    /// Ends replication to members that do not vote any more.
    async fn forget_nodes(&self, gone: &BTreeSet<u64>) -> Result<()> {
        let left: BTreeSet<u64> = {
            let metrics = self.raft().metrics();
            let m = metrics.borrow();
            let nodes = m.membership_config.nodes().map(|(id, _)| *id);
            nodes.filter(|id| gone.contains(id)).collect()
        };
        if left.is_empty() {
            return Ok(());
        }
        match self.raft().change_membership(ChangeMembers::RemoveNodes(left), false).await {
            Ok(_) => Ok(()),
            Err(e) => Err(unavailable(format!("the old member could not be removed: {e}"))),
        }
    }

    /// Takes a member out of the group, wherever the leader is.
    ///
    /// # Errors
    /// `Unavailable` without a leader or a majority; asking again is safe.
    pub async fn remove_member(&self, id: u64, request_id: &str) -> Result<()> {
        if self.state().members.values().any(|m| m.level < RECORDED) {
            let here = || self.remove_here(id, |c| self.propose(c));
            return self.at_leader("raft/remove", encode(&id)?, here).await;
        }
        let body = encode(&Removal { id, request_id: request_id.to_owned() })?;
        let here = || self.remove_here(id, |c| self.propose_once(request_id, c));
        self.at_leader("raft/remove-once", body, here).await
    }

    /// Has the leader do what is safe to ask again, here or there, through elections.
    async fn at_leader<F: Future<Output = Result<()>>>(
        &self,
        path: &str,
        body: Vec<u8>,
        here: impl Fn() -> F,
    ) -> Result<()> {
        let deadline = Instant::now() + HOLD;
        loop {
            let tried = match self.leader() {
                None => Err(unavailable("no leader is elected")),
                Some((leader, _)) if leader == self.config.node_id => here().await,
                Some((_, address)) => {
                    self.transport.call(&address, path, body.clone(), HOLD).await.map(|_| ())
                }
            };
            match tried {
                Err(e) if e.kind == ErrorKind::Unavailable && Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    pub(super) async fn remove_here<F: Future<Output = Result<Reply>>>(
        &self,
        id: u64,
        propose: impl Fn(Command) -> F,
    ) -> Result<()> {
        let removing = async {
            let _one_at_a_time = self.membership.lock().await;
            let mut voters: BTreeSet<u64> =
                self.raft().metrics().borrow().membership_config.voter_ids().collect();
            if voters.remove(&id) {
                self.raft()
                    .change_membership(ChangeMembers::ReplaceAllVoters(voters), false)
                    .await
                    .map_err(|e| unavailable(format!("the member could not be removed: {e}")))?;
            }
            self.forget_nodes(&BTreeSet::from([id])).await?;
            self.acknowledged.forget(id);
            propose(Command::RemoveMember { id }).await.map(|_| ())
        };
        tokio::time::timeout(HOLD, removing)
            .await
            .unwrap_or_else(|_| Err(unavailable("the member was not removed in time; try again")))
    }

    /// Makes a member another kind of server, wherever the leader is: one that votes from now on,
    /// or does not any more.
    ///
    /// # Errors
    /// `Unavailable` without a leader or a majority; asking again is safe.
    pub async fn change_kind(&self, id: u64, kind: MemberKind) -> Result<()> {
        let body = encode(&(id, kind))?;
        self.at_leader("raft/kind", body, || self.change_kind_here((id, kind))).await
    }

    pub(super) async fn change_kind_here(&self, (id, kind): (u64, MemberKind)) -> Result<()> {
        let changing = async {
            let _one_at_a_time = self.membership.lock().await;
            let Some(member) = self.state().members.get(&id).cloned() else {
                return Err(Error::not_found("there is no such member any more"));
            };
            let mut voters: BTreeSet<u64> =
                self.raft().metrics().borrow().membership_config.voter_ids().collect();
            let changed = if kind.votes() { voters.insert(id) } else { voters.remove(&id) };
            if changed {
                // One that votes no more stays as a learner.
                self.raft()
                    .change_membership(ChangeMembers::ReplaceAllVoters(voters), true)
                    .await
                    .map_err(|e| unavailable(format!("the member could not be changed: {e}")))?;
            }
            let member = Member { kind, ..member };
            self.propose(Command::PutMember { id, member }).await.map(|_| ())
        };
        tokio::time::timeout(HOLD, changing)
            .await
            .unwrap_or_else(|_| Err(unavailable("the member was not changed in time; try again")))
    }
}
