//! Consensus that ended by itself, because the disk was full or failed, is started again on what
//! the disk holds. Until then this server takes no part: it neither answers other members nor
//! counts as in touch with anybody.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use evercube_base::Result;
use openraft::error::Fatal;

use super::Metastore;
use crate::raft::Raft;

/// A disk that failed a moment ago is not tried again at once.
const PAUSE: Duration = Duration::from_secs(1);

impl Metastore {
    /// Watches over the consensus for as long as there is one.
    pub(super) fn keep_running(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        self.runtime.spawn(async move {
            loop {
                let Some(store) = weak.upgrade() else { return };
                let run = store.run.load(Ordering::SeqCst);
                let mut metrics = store.raft().metrics();
                drop(store);
                let ended = metrics.wait_for(|m| m.running_state.is_err()).await;
                let why = ended.ok().and_then(|m| m.running_state.clone().err());
                let Some(store) = weak.upgrade() else { return };
                // One that was told to stop is replaced by who told it, or not at all.
                if store.run.load(Ordering::SeqCst) != run {
                    continue;
                }
                if matches!(why, Some(Fatal::Stopped)) {
                    drop(store);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                store.ailing.store(true, Ordering::SeqCst);
                let why = why.map_or_else(|| "it ended early".to_owned(), |e| e.to_string());
                tracing::error!(why, "consensus has stopped and is started again when it can be");
                // A leader that came back at once would keep others from being elected.
                let election = store.timing().heartbeat() * 12;
                drop(store);
                tokio::time::sleep(PAUSE.max(election)).await;
                let Some(store) = weak.upgrade() else { return };
                if let Err(e) = store.revive(run).await {
                    tracing::error!(error = %e, "consensus cannot be started again yet");
                }
            }
        });
    }

    async fn revive(&self, run: u64) -> Result<()> {
        let _one = self.restarting.lock().await;
        if self.run.load(Ordering::SeqCst) != run {
            return Ok(());
        }
        self.log.reopen()?;
        let stepped_down = self.log.step_down(self.config.node_id);
        stepped_down.map_err(|e| super::unavailable(e.to_string()))?;
        let raft = self.start_again(self.timing()).await?;
        self.put_raft(raft);
        tracing::info!("consensus runs again");
        Ok(())
    }

    /// Puts a consensus in place of one that has ended.
    pub(super) fn put_raft(&self, raft: Raft) {
        *self.raft.write().unwrap_or_else(PoisonError::into_inner) = raft;
        self.run.fetch_add(1, Ordering::SeqCst);
        self.ailing.store(false, Ordering::SeqCst);
    }
}
