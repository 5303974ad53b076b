//! Writes, and with them the leadership, move to another server; and back.

use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_metastore::{Command, Leases, MemberKind, State};

use super::{Progress, Report, refused};
use crate::call::Call;
use crate::service::Service;

impl Service {
    /// Moves the writes of one database, or of all, to a server or into a region.
    pub async fn failover(
        self: &Arc<Self>,
        call: &Call,
        database: Option<&str>,
        to: &str,
    ) -> Result<Report> {
        self.may_operate(call, "Failing over").await?;
        let state = self.metastore.state();
        if let Some(name) = database.filter(|d| state.database(d).is_none()) {
            return Err(self.no_such_database(name));
        }
        let target = self.server_named(&state, to).await?;
        let before = self.writers_by_database();
        let mut progress = Progress::measured(self, database);
        let leases = database.map_or(Leases::All, |d| Leases::Of(d.to_owned()));
        let leader = database.is_none().then_some(target);
        self.move_writes(call, &mut progress, Command::Grant { leases, to: target }, leader)
            .await?;
        self.note_moves(&mut progress, &before);
        if progress.report.done.is_empty() {
            progress.note(format!("server {} takes these writes already", self.name_of(target)));
        }
        progress.end().await
    }

    /// Gives the writes of one database, or all that were moved, back to who took them before.
    pub async fn failback(self: &Arc<Self>, call: &Call, database: Option<&str>) -> Result<Report> {
        self.may_operate(call, "Failing back").await?;
        let state = self.metastore.state();
        if let Some(name) = database.filter(|d| state.database(d).is_none()) {
            return Err(self.no_such_database(name));
        }
        self.require_homes_ready(&state, database).await?;
        let before = self.writers_by_database();
        let mut progress = Progress::measured(self, database);
        let command = Command::Return { database: database.map(str::to_owned) };
        let lease = state.lease.filter(|_| database.is_none());
        let leader =
            lease.map(|l| l.home.filter(|h| state.members.contains_key(h)).unwrap_or(l.holder));
        self.move_writes(call, &mut progress, command, leader).await?;
        self.note_moves(&mut progress, &before);
        if progress.report.done.is_empty() {
            progress.note("nothing was moved away, so there is nothing to give back");
        }
        progress.end().await
    }

    /// Refuses a failback to a server that is not back itself.
    async fn require_homes_ready(&self, state: &State, database: Option<&str>) -> Result<()> {
        let leases = match database {
            Some(name) => state.database(name).and_then(|d| d.lease).into_iter().collect(),
            None => {
                let own = state.databases.values().filter_map(|d| d.lease);
                state.lease.into_iter().chain(own).collect::<Vec<_>>()
            }
        };
        let mut homes: Vec<u64> = leases.iter().filter_map(|l| l.home).collect();
        homes.retain(|h| state.members.contains_key(h));
        homes.dedup();
        for home in homes {
            self.require_ready(state, home, "cannot take its writes back").await?;
        }
        Ok(())
    }

    /// The server that an operator's word names: a data server, ready, or the one of a region that
    /// has applied most.
    async fn server_named(&self, state: &State, to: &str) -> Result<u64> {
        if let Some((id, member)) = state.member_named(to) {
            if member.kind != MemberKind::Data {
                return Err(refused(format!(
                    "server '{}' is a {} and takes no writes; name a data server",
                    member.name, member.kind
                )));
            }
            self.require_ready(state, id, "cannot take over").await?;
            return Ok(id);
        }
        let in_region = |(_, m): &(&u64, &evercube_metastore::Member)| {
            m.region.eq_ignore_ascii_case(to) && m.kind == MemberKind::Data
        };
        let ids: Vec<u64> = state.members.iter().filter(in_region).map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return Err(Error::not_found(format!(
                "'{to}' names neither a server nor a region with data servers; see 'evercube status'"
            )));
        }
        // One that writes there already stays.
        let ready = self.ready_among(state, &ids).await;
        let writes = |id: u64| state.lease.is_some_and(|l| l.holder == id);
        let best = ready.iter().max_by_key(|(id, s)| (writes(*id), s.applied_seq, *id));
        best.map(|(id, _)| *id).ok_or_else(|| {
            refused(format!("no data server of region '{to}' is ready to take over"))
        })
    }
}
