//! What the leader does for the group: it sees that somebody able to holds every lease, counts on
//! failure domains again, and keeps the timing fit for the network.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use evercube_metastore::{Command, Leases, MemberKind, Reply, State};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::objects::data_peers;
use crate::service::{Service, from_json};
use crate::status::ServerStatus;

const EVERY: Duration = Duration::from_millis(40);
const RECOVER_EVERY: Duration = Duration::from_millis(500);
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// How long a holder must be silent before its leases move. An election was such a silence.
const WINDOW: Duration = Duration::from_millis(500);
/// How long after its election a leader takes the first silence it meets for more than a hiccup.
const NEW_LEADER: Duration = Duration::from_secs(2);

/// What the leader has seen so far; forgotten when it leads no more.
struct Watch {
    leading_since: Instant,
    /// Until the first look is over.
    is_new: bool,
    silent_since: BTreeMap<u64, Instant>,
    recovered: Instant,
}

impl Watch {
    fn new() -> Self {
        let now = Instant::now();
        Self { leading_since: now, is_new: true, silent_since: BTreeMap::new(), recovered: now }
    }
}

/// Starts watching; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    let weak: Weak<Service> = Arc::downgrade(service);
    // Beside the consensus, where no load of queries delays it.
    service.metastore.spawn(async move {
        let mut watch: Option<Watch> = None;
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(service) = weak.upgrade() else { return };
            if service.metastore.status().leader == Some(service.identity.node_id) {
                service.guard(watch.get_or_insert_with(Watch::new)).await;
            } else {
                watch = None;
            }
        }
    });
    let weak = Arc::downgrade(service);
    // Not in the loop above: members that do not answer are waited for.
    service.metastore.spawn(async move {
        loop {
            tokio::time::sleep(MEASURE_EVERY).await;
            let Some(service) = weak.upgrade() else { return };
            if service.metastore.status().leader == Some(service.identity.node_id) {
                service.metastore.suit_timing(None).await;
            }
        }
    });
    if service.identity.is_new {
        return;
    }
    // A server that was drained to be stopped takes work again once it is back.
    let weak = Arc::downgrade(service);
    service.metastore.spawn(async move {
        let Some(service) = weak.upgrade() else { return };
        let Ok(index) = service.metastore.read_index().await else { return };
        let caught_up = service.metastore.wait_applied(index, crate::read::HOLD).await;
        let me = service.identity.node_id;
        if caught_up.is_ok() && service.metastore.state().draining.contains(&me) {
            let command = Command::Drain { member: me, draining: false };
            if let Err(e) = service.metastore.propose(command).await {
                tracing::warn!(error = %e, "this server is still marked as draining");
            }
        }
    });
}

impl Service {
    async fn guard(&self, watch: &mut Watch) {
        let state = self.metastore.state();
        if state.lease.is_none() {
            self.move_leases(&state, Leases::All).await;
        }
        for holder in state.lease_holders() {
            if self.must_give_up(&state, holder, watch).await {
                self.move_leases(&state, Leases::HeldBy(holder)).await;
            }
        }
        watch.is_new = false;
        if watch.recovered.elapsed() >= RECOVER_EVERY {
            watch.recovered = Instant::now();
            self.recover_domains().await;
        }
    }

    /// Whether a holder's leases must move: it left, it is about to stop, it is silent, or it cannot
    /// keep what is committed.
    async fn must_give_up(&self, state: &State, holder: u64, watch: &mut Watch) -> bool {
        if !state.may_write(holder) || state.draining.contains(&holder) {
            return true;
        }
        let Some(member) = state.members.get(&holder) else { return true };
        // One that a majority missed as the leader need not be asked.
        if watch.is_new && self.metastore.silence_of(holder).is_some_and(|s| s >= WINDOW) {
            return true;
        }
        let able = match holder == self.identity.node_id {
            true => self.unable().is_none(),
            false => self.is_able(member).await,
        };
        if able {
            watch.silent_since.remove(&holder);
            return false;
        }
        let since = *watch.silent_since.entry(holder).or_insert_with(Instant::now);
        since.elapsed() >= WINDOW || watch.leading_since.elapsed() < NEW_LEADER
    }

    /// Grants leases to the member best able to write, if there is one.
    async fn move_leases(&self, state: &State, leases: Leases) {
        let without = match leases {
            Leases::HeldBy(holder) => vec![holder],
            Leases::All | Leases::Of(_) => Vec::new(),
        };
        let Some(to) = self.successor(state, &without).await else { return };
        let name = state.members.get(&to).map_or_else(String::new, |m| m.name.clone());
        match self.metastore.propose(Command::Grant { leases: leases.clone(), to }).await {
            Ok(Reply::Done { seq }) => {
                tracing::info!(server = name, epoch = seq, ?leases, "leases were granted");
                if leases != Leases::All {
                    self.alarm("moved", &format!("server {name} takes over the writes of another"));
                }
            }
            Ok(Reply::Refused(e)) | Err(e) => {
                tracing::warn!(server = name, error = %e, "writes could not be given to this server");
            }
        }
    }

    /// The member that writes next: this one if it can, since it leads and lacks nothing, else
    /// the one that is ready and has applied most.
    pub(crate) async fn successor(&self, state: &State, without: &[u64]) -> Option<u64> {
        let able = |id: &u64| {
            state.may_write(*id) && !state.draining.contains(id) && !without.contains(id)
        };
        let me = self.identity.node_id;
        if able(&me) && self.unable().is_none() && self.metastore.status().leader == Some(me) {
            return Some(me);
        }
        let ids: Vec<u64> = state.members.keys().copied().filter(|id| able(id)).collect();
        let mut best: Option<(bool, u64, u64)> = None;
        for (id, status) in self.statuses_of(state, &ids).await {
            if status.files.refuses.is_some() {
                continue;
            }
            let ready = status.state == "ready";
            best = best.max(Some((ready, status.applied_seq.unwrap_or(0), id)));
        }
        best.map(|(_, _, id)| id)
    }

    /// What these members say of themselves; those that do not answer are left out.
    pub(crate) async fn statuses_of(&self, state: &State, ids: &[u64]) -> Vec<(u64, ServerStatus)> {
        let mut asked = JoinSet::new();
        let mut found = Vec::new();
        for id in ids {
            if *id == self.identity.node_id {
                found.push((*id, self.own_status()));
                continue;
            }
            let Some(address) = state.members.get(id).map(|m| m.peer_address.clone()) else {
                continue;
            };
            let (id, transport) = (*id, Arc::clone(&self.transport));
            let metastore = Arc::clone(&self.metastore);
            asked.spawn(async move {
                let limit = Duration::from_millis(800);
                let begun = Instant::now();
                let answer = transport.call(&address, "server/status", Vec::new(), limit).await;
                if let Err(e) = &answer {
                    metastore.refused_by(&address, e);
                }
                let mut status: ServerStatus = answer.and_then(|b| from_json(&b)).ok()?;
                status.came_after(begun.elapsed());
                Some((id, status))
            });
        }
        while let Some(answered) = asked.join_next().await {
            found.extend(answered.ok().flatten());
        }
        found
    }

    /// Takes degraded failure domains back whose members answer and hold everything.
    async fn recover_domains(&self) {
        let state = self.metastore.state();
        for domain in &state.degraded {
            let members = data_peers(&state, self.identity.node_id);
            let of_domain = members
                .iter()
                .filter(|(id, _)| state.failure_domain(*id).as_ref() == Some(domain))
                .map(|(id, _)| *id);
            let ids: Vec<u64> = of_domain.collect();
            let is_mine = state.failure_domain(self.identity.node_id).as_ref() == Some(domain);
            // A domain without data members has nothing left to wait for.
            let gone = ids.is_empty() && !is_mine;
            let keeps = |s: &ServerStatus| s.state == "ready" && s.files.refuses.is_none();
            let back = self.statuses_of(&state, &ids).await.iter().any(|(_, s)| keeps(s));
            let here = is_mine
                && self.config.kind != MemberKind::Witness.to_string()
                && keeps(&self.own_status());
            if gone || back || here {
                let command = Command::Restore { domain: domain.clone() };
                match self.metastore.propose(command).await {
                    Ok(_) => {
                        self.alarm("restored", &format!("{domain} is back and counted on again"));
                    }
                    Err(e) => {
                        tracing::warn!(domain, error = %e, "a failure domain could not be taken back yet");
                    }
                }
            }
        }
    }
}
