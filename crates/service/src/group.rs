//! Which member writes which database, as this server knows it.

use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Member, MemberKind, other_history, removed};
use tokio::time::Instant;

use crate::service::Service;

/// Where writes go now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    pub is_me: bool,
    pub peer_address: String,
}

fn unavailable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

impl Service {
    /// The members that take writes: the holder of the group's lease first, then those that hold
    /// the lease of single databases. Each refuses what another one writes.
    pub fn writers(&self) -> Vec<Writer> {
        let state = self.metastore.state();
        let writer = |(id, member): (&u64, &Member)| Writer {
            is_me: *id == self.identity.node_id,
            peer_address: member.peer_address.clone(),
        };
        let holders = state.lease_holders();
        if !holders.is_empty() {
            let able = holders.iter().filter(|id| state.may_write(**id));
            return able.filter_map(|id| state.members.get_key_value(id)).map(writer).collect();
        }
        // Nobody was granted anything yet: the leader, or where it is a witness the data servers.
        let Some(id) = self.metastore.status().leader else { return Vec::new() };
        match state.members.get_key_value(&id) {
            Some((_, leader)) if leader.kind == MemberKind::Witness => {
                state.data_members().map(writer).collect()
            }
            Some(leader) => vec![writer(leader)],
            None => Vec::new(),
        }
    }

    /// Whether this server may take writes now.
    pub fn is_writer(&self) -> bool {
        self.writers().iter().any(|w| w.is_me)
    }

    /// Whether this server takes no new work because it is about to stop.
    pub fn is_draining(&self) -> bool {
        self.metastore.state().draining.contains(&self.identity.node_id)
    }

    /// Whether this server takes the writes of one database.
    pub(crate) fn is_primary(&self, database: &str) -> bool {
        match self.metastore.state().lease_of(database) {
            Some(lease) => lease.holder == self.identity.node_id,
            None => self.writers().first().is_some_and(|w| w.is_me),
        }
    }

    /// The epoch under which this server writes a database; `None` before anybody was granted
    /// anything.
    ///
    /// # Errors
    /// `Unavailable` where another member writes it.
    pub(crate) fn epoch_of(&self, database: &str) -> Result<Option<u64>> {
        let state = self.metastore.state();
        match state.lease_of(database) {
            Some(lease) if lease.holder == self.identity.node_id => Ok(Some(lease.epoch)),
            Some(lease) => {
                let name = state.members.get(&lease.holder).map_or("another", |m| m.name.as_str());
                Err(unavailable(format!("server '{name}' takes the writes of '{database}' now")))
            }
            None if state.lease_holders().is_empty() => Ok(None),
            None => Err(unavailable(format!("no server takes the writes of '{database}' yet"))),
        }
    }

    /// As [`Self::epoch_of`], for a change that was begun while this server wrote the database: one
    /// under way when the writes moved, as planned, is ended here.
    pub(crate) fn epoch_to_end(&self, database: &str) -> Result<Option<u64>> {
        let ending = self.metastore.state().lease_of(database).and_then(|l| l.ending);
        match ending.filter(|e| e.holder == self.identity.node_id) {
            Some(ending) => Ok(Some(ending.epoch)),
            None => self.epoch_of(database),
        }
    }

    /// Whether a member ends what it had under way when its writes moved.
    fn is_ending(&self, writer: &Writer) -> bool {
        let state = self.metastore.state();
        let own = state.databases.values().filter_map(|d| d.lease);
        let ending = state.lease.into_iter().chain(own).filter_map(|l| l.ending);
        let mut members = ending.filter_map(|e| state.members.get(&e.holder));
        members.any(|m| m.peer_address == writer.peer_address)
    }

    /// Why a message from another server is not for this one; `sender` is what it says of itself.
    pub fn refusal(&self, sender: &str) -> Option<Error> {
        let state = self.metastore.state();
        let (history, member) = sender.rsplit_once('/')?;
        let (group, incarnation) = history.rsplit_once('/')?;
        if state.cluster_id.is_empty() {
            return None;
        }
        if group != state.cluster_id {
            return Some(Error::new(
                ErrorKind::Conflict,
                format!(
                    "this server belongs to group {}, the message comes from a member of group {group}",
                    state.cluster_id
                ),
            ));
        }
        if incarnation != state.history() {
            return Some(other_history(&state.history(), incarnation));
        }
        let name = state.removed.get(&member.parse().ok()?)?;
        Some(removed(name))
    }

    /// Waits for as long as `hold` until somebody takes writes.
    pub async fn wait_for_writers(&self, hold: Duration) -> Result<Vec<Writer>> {
        let deadline = Instant::now() + hold;
        loop {
            let writers = self.writers();
            if !writers.is_empty() {
                return Ok(writers);
            }
            if Instant::now() >= deadline {
                return Err(unavailable(format!(
                    "no leader was elected within {} s; a majority of the voting servers must be up and connected",
                    hold.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns when a member takes writes no longer, nor ends those it had begun.
    pub async fn writer_replaced(&self, writer: &Writer) {
        let mut changes = self.metastore.changes();
        while self.writers().contains(writer) {
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
        let ended = async {
            while self.is_ending(writer) {
                if changes.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        tokio::select! {
            () = ended => {}
            () = self.member_silent(&writer.peer_address) => {}
        }
    }
}
