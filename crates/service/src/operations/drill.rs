//! A disaster on purpose: servers die as with `kill -9`, and come back after a while.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Command, Member, State};
use tokio::time::Instant;

use super::{OperationPlace, Progress, Report, refused};
use crate::call::Call;
use crate::once::{part_of, request_id};
use crate::service::Service;

/// How long killed servers may take to be ready again, their time away aside.
const RETURN: Duration = Duration::from_secs(60);
/// Once writes go on, how long they are watched.
const SETTLE: Duration = Duration::from_millis(500);

impl Service {
    /// Whether this server can run a drill that kills `what`.
    pub async fn drill_place(&self, call: &Call, what: &str) -> Result<OperationPlace> {
        self.may_operate(call, "A drill").await?;
        let state = self.metastore.state();
        let victims = victims(&state, what)?;
        let gone: Vec<u64> = victims.iter().map(|(id, _)| *id).collect();
        Ok(self.place_without(&state, &gone))
    }

    /// Kills a server, or all of a region, for a while; waits until writes go on and until the
    /// servers are back.
    pub async fn drill(
        self: &Arc<Self>,
        call: &Call,
        what: &str,
        away: Duration,
    ) -> Result<Report> {
        self.may_operate(call, "A drill").await?;
        let state = self.metastore.state();
        let victims = victims(&state, what)?;
        let gone: Vec<u64> = victims.iter().map(|(id, _)| *id).collect();
        self.require_majority_without(&state, &gone).await?;
        if state.data_members().all(|(id, _)| gone.contains(id)) {
            return Err(refused("the group would stop: no data server would be left"));
        }
        self.begin_once(call).await?;
        let before = self.writers_by_database();
        let leader = self.metastore.status().leader;
        let mut progress = Progress::measured(self, None);
        let body = u64::try_from(away.as_millis()).unwrap_or(u64::MAX).to_le_bytes().to_vec();
        for (_, member) in &victims {
            let limit = Duration::from_secs(2);
            let call =
                self.transport.call(&member.peer_address, "process/kill", body.clone(), limit);
            call.await
                .map_err(|e| e.context(format!("server '{}' was not killed", member.name)))?;
            progress.note(format!(
                "server {} was killed for {} s",
                member.name,
                away.as_secs_f32()
            ));
        }
        let killed = Instant::now();
        self.wait_for_new_writers(&victims, killed + RETURN).await?;
        tokio::time::sleep(SETTLE).await;
        self.note_moves(&mut progress, &before);
        let now = self.metastore.status().leader;
        if let (Some(old), Some(new)) = (leader, now)
            && old != new
        {
            progress.note(format!(
                "leadership moved from {} to {}",
                self.name_of(old),
                self.name_of(new)
            ));
        }
        let gap = match progress.measuring.take() {
            Some(measuring) => Some(measuring.end().await?),
            None => None,
        };
        progress.report.gap_ms = gap.map(|g| g.writes_ms);
        progress.report.read_gap_ms = gap.map(|g| g.reads_ms);
        self.note_return(&mut progress, &victims, killed, killed + away + RETURN).await;
        progress.end().await
    }

    /// Servers are not killed a second time because an answer was lost.
    async fn begin_once(&self, call: &Call) -> Result<()> {
        let id = part_of(&request_id(call)?, "begun");
        if self.answered(&id).is_some() {
            return Err(Error::new(
                ErrorKind::Unknown,
                "a drill was begun under this request id and its answer was lost; 'evercube status' tells which servers are back, and the log of the servers what happened",
            ));
        }
        self.change_once(&id, Command::Probe).await.map(drop)
    }

    async fn wait_for_new_writers(
        &self,
        victims: &[(u64, Member)],
        deadline: Instant,
    ) -> Result<()> {
        loop {
            let holders = self.metastore.state().lease_holders();
            let led = self.metastore.status().leader;
            let dead = |id: &u64| victims.iter().any(|(v, _)| v == id);
            if led.is_some_and(|id| !dead(&id)) && !holders.iter().any(dead) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(refused("the other servers did not take over; see 'evercube status'"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn note_return(
        &self,
        progress: &mut Progress,
        victims: &[(u64, Member)],
        killed: Instant,
        deadline: Instant,
    ) {
        let mut away: Vec<(u64, Member)> = victims.to_vec();
        while !away.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let state = self.metastore.state();
            let ids: Vec<u64> = away.iter().map(|(id, _)| *id).collect();
            for (id, status) in self.statuses_of(&state, &ids).await {
                if status.state == "ready" {
                    away.retain(|(a, _)| *a != id);
                    let after = killed.elapsed().as_secs_f32();
                    progress
                        .note(format!("server {} was ready again after {after:.1} s", status.name));
                }
            }
        }
        for (_, member) in away {
            progress.note(format!("server {} is not back yet", member.name));
        }
    }
}

/// The members that a server's or region's name means.
fn victims(state: &State, what: &str) -> Result<Vec<(u64, Member)>> {
    if let Some((id, member)) = state.member_named(what) {
        return Ok(vec![(id, member.clone())]);
    }
    let in_region = state.members.iter().filter(|(_, m)| m.region.eq_ignore_ascii_case(what));
    let found: Vec<(u64, Member)> = in_region.map(|(id, m)| (*id, m.clone())).collect();
    if found.is_empty() {
        return Err(Error::not_found(format!(
            "'{what}' names neither a server nor a region; see 'evercube status'"
        )));
    }
    Ok(found)
}
