//! The leader's heartbeats. The library would give a follower no more time to answer than lies
//! between two of them; here the two are apart.

use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Metastore;

/// A leader that sends no heartbeats until this is dropped.
pub(super) struct Quiet<'a>(&'a AtomicBool);

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Metastore {
    /// Sends heartbeats for as long as this member leads.
    pub(super) fn beat(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        self.runtime.spawn(async move {
            loop {
                let Some(store) = weak.upgrade() else { return };
                let is_quiet =
                    store.quiet.load(Ordering::SeqCst) || store.hangs.load(Ordering::SeqCst);
                if store.is_leader() && !is_quiet {
                    // One that has ended is started again by others.
                    let _ended = store.raft().trigger().heartbeat().await;
                }
                let pause = store.timing().heartbeat();
                drop(store);
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Nothing renews this leader's lease while what is returned lives.
    pub(super) fn fall_quiet(&self) -> Quiet<'_> {
        self.quiet.store(true, Ordering::SeqCst);
        Quiet(&self.quiet)
    }
}
