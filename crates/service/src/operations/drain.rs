//! A server is emptied before it is stopped.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::Result;
use evercube_metastore::{Command, Leases, Member, State};
use tokio::time::Instant;

use super::{Progress, Report, member_named, refused};
use crate::call::Call;
use crate::service::{Service, from_json};

/// How long requests in flight may go on.
const FINISH: Duration = Duration::from_secs(30);

impl Service {
    /// Moves writes and leadership off a server, has balancers and gateways send it nothing new,
    /// and waits for what runs there. It takes work again after a restart, or at once with `end`.
    pub async fn drain(self: &Arc<Self>, call: &Call, server: &str, end: bool) -> Result<Report> {
        self.may_operate(call, "Draining a server").await?;
        let state = self.metastore.state();
        let (id, member) = member_named(&state, server)?;
        if end {
            let mut progress = Progress::new();
            self.order(call, Command::Drain { member: id, draining: false }).await?;
            progress.note(format!("server {} takes work again", member.name));
            return progress.end().await;
        }
        let mut progress = Progress::measured(self, None);
        self.require_majority_while_stopped(&mut progress, &state, id).await?;
        self.empty(call, &mut progress, &state, id, &member).await?;
        progress.note(format!(
            "server {} can be stopped; it takes work again when it is started, or with 'drain {} --end'",
            member.name, member.name
        ));
        progress.end().await
    }

    /// The steps of a drain, which are also the first ones of a removal.
    pub(super) async fn empty(
        &self,
        call: &Call,
        progress: &mut Progress,
        state: &State,
        id: u64,
        member: &Member,
    ) -> Result<()> {
        if state.lease_holders().contains(&id) {
            let Some(to) = self.ready_successor(state, id).await else {
                return Err(refused(format!(
                    "no other data server is ready to take the writes of server '{}'",
                    member.name
                )));
            };
            let before = self.writers_by_database();
            let command = Command::Grant { leases: Leases::HeldBy(id), to };
            let leader = (self.metastore.status().leader == Some(id)).then_some(to);
            self.move_writes(call, progress, command, leader).await?;
            self.note_moves(progress, &before);
        }
        self.order(call, Command::Drain { member: id, draining: true }).await?;
        progress.note(format!("server {} gets no new work", member.name));
        if self.metastore.status().leader == Some(id) {
            match self.next_leader(&self.metastore.state(), &[id]).await {
                Some(to) => self.lead(progress, to, None).await,
                None => progress.note("no other voting server is ready to lead"),
            }
        }
        match self.wait_idle(id, member).await {
            0 => progress.note(format!("nothing runs on server {} any more", member.name)),
            n => progress.note(format!("{n} requests still run on server {}", member.name)),
        }
        Ok(())
    }

    async fn ready_successor(&self, state: &State, without: u64) -> Option<u64> {
        let able =
            |id: &u64| *id != without && state.may_write(*id) && !state.draining.contains(id);
        let ids: Vec<u64> = state.members.keys().copied().filter(able).collect();
        let ready = self.ready_among(state, &ids).await;
        let leader = self.metastore.status().leader;
        ready
            .iter()
            .max_by_key(|(id, s)| (Some(*id) == leader, s.applied_seq, *id))
            .map(|(i, _)| *i)
    }

    /// Requests that still run there after the time they are given; a server that does not
    /// answer runs nothing that could be waited for.
    async fn wait_idle(&self, id: u64, member: &Member) -> usize {
        let deadline = Instant::now() + FINISH;
        loop {
            let running = if id == self.identity.node_id {
                self.running.list().len()
            } else {
                let limit = Duration::from_secs(1);
                let asked =
                    self.transport.call(&member.peer_address, "server/running", Vec::new(), limit);
                asked.await.and_then(|b| from_json::<usize>(&b)).unwrap_or(0)
            };
            if running == 0 || Instant::now() >= deadline {
                return running;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
