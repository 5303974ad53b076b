//! What operators do with a group on purpose: move writes, empty a server, take members in and
//! out, stage a disaster. Each says what it did and how long clients waited.

mod authority;
mod drain;
mod drill;
mod failover;
pub mod links;
mod majority;
mod members;
mod policy;
mod promote;
mod sync_mode;

use std::sync::Arc;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Command, Member, MemberKind, State};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};

use crate::auth::require_admin;
use crate::call::Call;
use crate::gap::Measuring;
use crate::once::{part_of, request_id};
use crate::service::Service;
use crate::status::ServerStatus;

pub use members::MemberRow;
pub use sync_mode::SyncRequest;

/// How long an operation waits for a server to be ready: one under a stream of commits lacks the
/// newest one now and then.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where an operation can be carried out that one or more servers do not outlive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationPlace {
    Here,
    /// One of the servers at these addresses.
    Elsewhere(Vec<String>),
}

/// What an operation did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// One sentence for each step.
    pub done: Vec<String>,
    /// The longest time without a successful write.
    pub gap_ms: Option<u64>,
    /// The longest time without a successful strong read.
    pub read_gap_ms: Option<u64>,
    pub took_ms: u64,
}

/// An operation on its way.
pub(crate) struct Progress {
    report: Report,
    begun: Instant,
    measuring: Option<Measuring>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { report: Report::default(), begun: Instant::now(), measuring: None }
    }

    fn measured(service: &Arc<Service>, database: Option<&str>) -> Self {
        Self { measuring: Some(Measuring::start(service, database)), ..Self::new() }
    }

    pub(crate) fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        tracing::info!(step = what, "operation");
        self.report.done.push(what);
    }

    pub(crate) async fn end(mut self) -> Result<Report> {
        if let Some(measuring) = self.measuring {
            let gap = measuring.end().await?;
            self.report.gap_ms = Some(gap.writes_ms);
            self.report.read_gap_ms = Some(gap.reads_ms);
        }
        self.report.took_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(self.report)
    }
}

/// Under which name an order of this request is recorded.
fn part_of_order(call: &Call, command: &Command) -> Result<String> {
    let part = match command {
        Command::Grant { .. } => "grant",
        Command::Drain { .. } => "drain",
        _ => "order",
    };
    Ok(part_of(&request_id(call)?, part))
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Conflict, message)
}

/// A member by the name an operator gave.
pub(crate) fn member_named(state: &State, name: &str) -> Result<(u64, Member)> {
    state.member_named(name).map(|(id, m)| (id, m.clone())).ok_or_else(|| {
        let mut names: Vec<&str> = state.members.values().map(|m| m.name.as_str()).collect();
        names.sort_unstable();
        Error::not_found(format!("there is no server '{name}'; the group has {}", names.join(", ")))
    })
}

impl Service {
    /// Lets an administrator go on, on the newest state of the group.
    pub(crate) async fn may_operate(&self, call: &Call, what: &str) -> Result<()> {
        require_admin(call.session.rules(), what)?;
        self.see_all_commits().await
    }

    /// A command whose refusal is the operation's; asked for again, the operation orders it once.
    pub(crate) async fn order(&self, call: &Call, command: Command) -> Result<u64> {
        self.change_once(&part_of_order(call, &command)?, command).await
    }

    /// Moves writes by this command, and the leadership with them where a member is named to lead:
    /// clients wait for both moves at once.
    async fn move_writes(
        &self,
        call: &Call,
        progress: &mut Progress,
        command: Command,
        leader: Option<u64>,
    ) -> Result<u64> {
        let id = part_of_order(call, &command)?;
        let command = self.metastore.planned(command);
        if let Some(leader) = leader {
            self.lead(progress, leader, self.metastore.once(&id, &command)).await;
        }
        // Where it was made with the leadership, this is told from the record.
        self.change_once(&id, command).await
    }

    /// What is said of an operation that was carried out before, under this request id.
    pub(crate) fn carried_out(&self, call: &Call, what: &str) -> Result<Option<Report>> {
        match self.answered(&request_id(call)?) {
            None => Ok(None),
            Some(done) => {
                done?;
                let done = vec![format!("{what}; this was done before, under the same request id")];
                Ok(Some(Report { done, ..Report::default() }))
            }
        }
    }

    fn name_of(&self, id: u64) -> String {
        let state = self.metastore.state();
        state.members.get(&id).map_or_else(|| "a former member".to_owned(), |m| m.name.clone())
    }

    /// Which server writes what: the group's lease under the empty name, then the databases that
    /// have one of their own.
    fn writers_by_database(&self) -> Vec<(String, u64)> {
        let state = self.metastore.state();
        let own = state.databases.values().filter_map(|d| Some((d.name.clone(), d.lease?.holder)));
        let of_group = state.lease.map(|l| (String::new(), l.holder));
        of_group.into_iter().chain(own).collect()
    }

    /// Notes which writes moved since `before`.
    fn note_moves(&self, progress: &mut Progress, before: &[(String, u64)]) {
        let after = self.writers_by_database();
        let of_group = |all: &[(String, u64)]| all.first().map(|(_, id)| *id);
        for (name, holder) in &after {
            let old = before.iter().find(|(n, _)| n == name).map(|(_, id)| *id);
            let Some(old) = old.or(of_group(before)).filter(|old| old != holder) else { continue };
            let what = match name.as_str() {
                "" => "writes".to_owned(),
                name => format!("writes of database '{name}'"),
            };
            progress.note(format!(
                "{what} moved from {} to {}",
                self.name_of(old),
                self.name_of(*holder)
            ));
        }
        let follow = before.iter().skip(1).filter(|(n, _)| !after.iter().any(|(a, _)| a == n));
        for (name, old) in follow {
            let Some(now) = of_group(&after) else { continue };
            let (old_name, now_name) = (self.name_of(*old), self.name_of(now));
            progress.note(if now == *old {
                format!("writes of database '{name}' stay on {now_name}, with all others")
            } else {
                format!("writes of database '{name}' moved from {old_name} to {now_name}")
            });
        }
    }

    /// Hands the leadership to a member, where it votes and does not lead yet, and what is proposed
    /// with it.
    async fn lead(&self, progress: &mut Progress, to: u64, with: Option<Command>) {
        let state = self.metastore.state();
        let votes = state.members.get(&to).is_some_and(|m| m.kind.votes());
        let from = self.metastore.status().leader;
        if !votes || from == Some(to) {
            return;
        }
        match self.metastore.hand_over_with(to, with).await {
            Ok(()) => {
                let from = from.map(|id| format!(" from {}", self.name_of(id)));
                progress.note(format!(
                    "leadership moved{} to {}",
                    from.unwrap_or_default(),
                    self.name_of(to)
                ));
            }
            Err(e) => progress.note(format!("leadership stayed where it was: {e}")),
        }
    }

    /// Where to carry out what these servers do not outlive.
    fn place_without(&self, state: &State, gone: &[u64]) -> OperationPlace {
        let others = state.members.iter().filter(|(id, _)| !gone.contains(id));
        let others: Vec<String> = others.map(|(_, m)| m.http_address.clone()).collect();
        // Without others it is refused here, with the reason.
        if others.is_empty() || !gone.contains(&self.identity.node_id) {
            return OperationPlace::Here;
        }
        OperationPlace::Elsewhere(others)
    }

    /// What those of these members say that are ready; waits a while for the first of them.
    async fn ready_among(&self, state: &State, ids: &[u64]) -> Vec<(u64, ServerStatus)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut found = self.statuses_of(state, ids).await;
            found.retain(|(_, s)| s.state == "ready");
            if !found.is_empty() || ids.is_empty() || Instant::now() >= deadline {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Refuses what only a server that is ready can do; `what` is that, after the server's name.
    async fn require_ready(&self, state: &State, id: u64, what: &str) -> Result<()> {
        if !self.ready_among(state, &[id]).await.is_empty() {
            return Ok(());
        }
        let now = self.statuses_of(state, &[id]).await.pop();
        let now = now.map_or_else(|| "unreachable".to_owned(), |(_, s)| s.state);
        Err(refused(format!("server '{}' {what}: it is {now}", self.name_of(id))))
    }

    /// A member to lead instead of `without`: one that writes, else any that votes and is ready.
    async fn next_leader(&self, state: &State, without: &[u64]) -> Option<u64> {
        let open = |id: &u64| !without.contains(id) && !state.draining.contains(id);
        let votes = |m: &Member| m.kind.votes();
        let ids: Vec<u64> = state
            .members
            .iter()
            .filter(|(id, m)| open(id) && votes(m))
            .map(|(id, _)| *id)
            .collect();
        let found = self.ready_among(state, &ids).await;
        let writes = |id: u64| state.lease.is_some_and(|l| l.holder == id);
        let is_data = |s: &ServerStatus| s.kind == MemberKind::Data.to_string();
        found.iter().max_by_key(|(id, s)| (writes(*id), is_data(s), *id)).map(|(id, _)| *id)
    }
}
