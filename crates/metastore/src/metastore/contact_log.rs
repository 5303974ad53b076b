//! What the log says of a server that has no leader: once, now and then, and when there is one again.
//! The consensus library would say so at every attempt.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use evercube_base::{Outage, Told};

use super::Metastore;

const EVERY: Duration = Duration::from_millis(500);

impl Metastore {
    /// Watches whether this member is in contact with a leader that has a majority.
    pub(super) fn watch_contact(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        self.runtime.spawn(async move {
            let mut outage = Outage::default();
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(store) = weak.upgrade() else { return };
                // One that is not let in yet says so itself.
                if store.voters().is_empty() {
                    continue;
                }
                match outage.look(store.started.elapsed(), store.status().is_in_contact()) {
                    Some(Told::Fails(lasts)) => store.tell_no_leader(lasts),
                    Some(Told::Over(lasted)) => tracing::warn!(
                        leader = store.name_of(store.status().leader.unwrap_or(0)),
                        "there is a leader again, after {} s",
                        lasted.as_secs()
                    ),
                    None => {}
                }
            }
        });
    }

    fn tell_no_leader(&self, lasts: Duration) {
        if let Some(why) = self.why_out() {
            tracing::warn!("this server has taken no part for {} s: {why}", lasts.as_secs());
            return;
        }
        tracing::warn!(
            voters = self.voters().len(),
            why = self.unheard(),
            "no leader for {} s: nothing is written, and reads wait unless their level is 'any'; a majority of the voting servers must be up and connected",
            lasts.as_secs()
        );
    }

    /// Which voters did not answer when this member missed the leader last, and why; empty where all did.
    pub fn unheard(&self) -> String {
        let unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = unheard.into_iter().map(|(id, why)| format!("{}: {why}", self.name_of(id)));
        why.collect::<Vec<_>>().join("; ")
    }

    fn name_of(&self, id: u64) -> String {
        self.state().members.get(&id).map_or_else(|| format!("{id:x}"), |m| m.name.clone())
    }
}
