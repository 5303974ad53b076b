//! Members of the group: listed, made another kind, taken out.

use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_metastore::{Command, Leases, MemberKind};
use serde::{Deserialize, Serialize};

use super::{OperationPlace, Progress, Report, member_named, refused};
use crate::call::Call;
use crate::once::request_id;
use crate::service::{Service, member_kind};

/// One line of the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberRow {
    pub name: String,
    pub region: String,
    pub kind: String,
    pub address: String,
    pub peer_address: String,
    pub state: String,
}

impl Service {
    /// Members of these kinds; none named: all.
    pub async fn members(&self, kinds: &[String]) -> Result<Vec<MemberRow>> {
        let kinds = kinds.iter().map(|k| member_kind(k)).collect::<Result<Vec<_>>>()?;
        let state = self.metastore.state();
        let status = self.status().await;
        let wanted = state.members.values().filter(|m| kinds.is_empty() || kinds.contains(&m.kind));
        let mut rows: Vec<MemberRow> = wanted
            .map(|m| {
                let found = status.servers.iter().find(|s| s.name == m.name);
                MemberRow {
                    name: m.name.clone(),
                    region: m.region.clone(),
                    kind: m.kind.to_string(),
                    address: m.http_address.clone(),
                    peer_address: m.peer_address.clone(),
                    state: found.map_or("unreachable".into(), |s| s.state.clone()),
                }
            })
            .collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    /// Makes a server of the group another kind: a learner or replica votes from now on, or a
    /// data server stops voting.
    ///
    /// # Errors
    /// `NotFound` for a server the group does not know, saying how it is started.
    pub async fn add_member(
        self: &Arc<Self>,
        call: &Call,
        name: &str,
        kind: &str,
    ) -> Result<Report> {
        self.may_operate(call, "Adding a member").await?;
        let kind = member_kind(kind)?;
        let state = self.metastore.state();
        let Some((id, member)) = state.member_named(name).map(|(id, m)| (id, m.clone())) else {
            let addresses: Vec<&str> =
                state.members.values().map(|m| m.peer_address.as_str()).collect();
            return Err(Error::not_found(format!(
                "there is no server '{name}' in the group; a new one comes in by itself when it is started, in an empty folder, with: evercube serve --name {name} --kind {kind} --region REGION --join {}",
                addresses.join(",")
            )));
        };
        let mut progress = Progress::new();
        if member.kind == kind {
            progress.note(format!("server {} is a {kind} member already", member.name));
            return progress.end().await;
        }
        if member.kind == MemberKind::Witness || kind == MemberKind::Witness {
            return Err(refused(format!(
                "server '{}' is a {} and cannot become a {kind} while it has its folder; remove it and let it join anew",
                member.name, member.kind
            )));
        }
        if kind.votes() {
            self.require_ready(&state, id, "votes only once it holds everything").await?;
        } else {
            self.require_dispensable(&state, id)?;
            self.require_majority_after(&state, id).await?;
            self.move_writes_off(call, &mut progress, id).await?;
        }
        self.metastore.change_kind(id, kind).await?;
        progress.note(format!("server {} is a {kind} member now", member.name));
        progress.end().await
    }

    /// Whether this server can take a member out: none takes itself out, since it could not tell.
    pub async fn removal_place(&self, call: &Call, name: &str) -> Result<OperationPlace> {
        self.may_operate(call, "Removing a member").await?;
        if self.answered(&request_id(call)?).is_some() {
            return Ok(OperationPlace::Here);
        }
        let state = self.metastore.state();
        let (id, _) = member_named(&state, name)?;
        Ok(self.place_without(&state, &[id]))
    }

    /// Takes a member out: writes, leadership and connections leave it first. Only one of these
    /// kinds, where some are named: who takes a replica out means no server that keeps the group up.
    pub async fn remove_member(
        self: &Arc<Self>,
        call: &Call,
        name: &str,
        kinds: &[String],
    ) -> Result<Report> {
        self.may_operate(call, "Removing a member").await?;
        if let Some(report) =
            self.carried_out(call, &format!("server {name} is no member any more"))?
        {
            return Ok(report);
        }
        let state = self.metastore.state();
        let (id, member) = member_named(&state, name)?;
        let kinds = kinds.iter().map(|k| member_kind(k)).collect::<Result<Vec<_>>>()?;
        if !kinds.is_empty() && !kinds.contains(&member.kind) {
            return Err(refused(format!(
                "server '{}' is a {} member and no replica; 'members remove' takes it out",
                member.name, member.kind
            )));
        }
        self.require_dispensable(&state, id)?;
        self.require_majority_after(&state, id).await?;
        let mut progress = Progress::measured(self, None);
        self.empty(call, &mut progress, &state, id, &member).await?;
        self.metastore.remove_member(id, &request_id(call)?).await?;
        progress.note(format!(
            "server {} is no member any more; to take it back, start it in an empty folder with --join",
            member.name
        ));
        progress.end().await
    }

    async fn move_writes_off(&self, call: &Call, progress: &mut Progress, id: u64) -> Result<()> {
        let state = self.metastore.state();
        if state.lease_holders().contains(&id) {
            let to = self.successor(&state, &[id]).await;
            let to = to.ok_or_else(|| refused("no other data server can take the writes"))?;
            let before = self.writers_by_database();
            self.order(call, Command::Grant { leases: Leases::HeldBy(id), to }).await?;
            self.note_moves(progress, &before);
        }
        if self.metastore.status().leader == Some(id)
            && let Some(to) = self.next_leader(&state, &[id]).await
        {
            self.lead(progress, to, None).await;
        }
        Ok(())
    }

    /// Refuses to do without the last server that keeps data.
    fn require_dispensable(&self, state: &evercube_metastore::State, id: u64) -> Result<(), Error> {
        if state.may_write(id) && state.data_members().count() == 1 {
            return Err(refused(format!(
                "server '{}' is the only data server of the group and cannot be done without",
                self.name_of(id)
            )));
        }
        Ok(())
    }
}
