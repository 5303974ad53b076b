//! The leader's part: what is due is asked for and given to servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use evercube_metastore::{Command, JobChange, JobState, Reply, State};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::decide::{LATE_MICROS, Seen, decide};
use crate::service::Service;

const EVERY: Duration = Duration::from_millis(500);
/// How long a server must be silent before another one takes over its runs.
const WINDOW: Duration = Duration::from_secs(3);

/// Starts looking; ends when the service is dropped.
pub(super) fn spawn(service: &Arc<Service>) {
    let weak: Weak<Service> = Arc::downgrade(service);
    tokio::spawn(async move {
        // When each member answered last, for as long as this one leads.
        let mut heard = BTreeMap::new();
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(service) = weak.upgrade() else { return };
            if service.metastore.status().leader == Some(service.identity.node_id) {
                service.lead_jobs(&mut heard).await;
            } else {
                heard.clear();
            }
        }
    });
}

impl Service {
    async fn lead_jobs(&self, heard: &mut BTreeMap<u64, Instant>) {
        let state = self.metastore.state();
        if state.schedules.is_empty() && state.jobs.unfinished().next().is_none() {
            return;
        }
        let alive = self.alive(&state, heard).await;
        let now_micros = self.now().unix_micros();
        let seen = Seen { state: &state, now_micros, alive: &alive, leader: self.identity.node_id };
        for change in decide(&seen) {
            self.tell_missed(&change, now_micros);
            match self.metastore.propose(Command::Jobs(change)).await {
                Ok(Reply::Done { .. }) => {}
                // It was done meanwhile, or is not there any more.
                Ok(Reply::Refused(e)) => tracing::debug!(error = %e, "a run was not asked for"),
                Err(e) => {
                    tracing::warn!(error = %e, "a scheduled run could not be given to a server");
                    return;
                }
            }
        }
    }

    /// Members that answered lately and take work. Who was never asked is given the same time.
    async fn alive(&self, state: &State, heard: &mut BTreeMap<u64, Instant>) -> BTreeSet<u64> {
        let mut asked = JoinSet::new();
        for (id, member) in &state.members {
            if *id == self.identity.node_id {
                heard.insert(*id, Instant::now());
                continue;
            }
            heard.entry(*id).or_insert_with(Instant::now);
            let (id, address) = (*id, member.peer_address.clone());
            let transport = Arc::clone(&self.transport);
            asked.spawn(async move {
                let limit = Duration::from_secs(1);
                let call = transport.call(&address, "raft/who", Vec::new(), limit);
                call.await.is_ok().then_some(id)
            });
        }
        while let Some(answered) = asked.join_next().await {
            if let Ok(Some(id)) = answered {
                heard.insert(id, Instant::now());
            }
        }
        heard.retain(|id, _| state.members.contains_key(id));
        let lately = heard.iter().filter(|(_, at)| at.elapsed() < WINDOW);
        lately.map(|(id, _)| *id).filter(|id| !state.draining.contains(id)).collect()
    }

    fn tell_missed(&self, change: &JobChange, now_micros: i64) {
        let JobChange::Ask { job, .. } = change else { return };
        let (Some(name), Some(due)) = (&job.schedule, job.due_micros) else { return };
        let late = now_micros - due > LATE_MICROS;
        if !late && job.missed == 0 {
            return;
        }
        let then = match job.state {
            JobState::Missed => "it is not caught up",
            _ => "it is run once now",
        };
        let missed = job.missed + u32::from(late && job.state != JobState::Missed);
        self.alarm("missed", &format!("schedule '{name}' missed {missed} of its times; {then}"));
    }
}
