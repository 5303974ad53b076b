//! A disk that hangs takes its server out. A leader that changes nothing would lead on without it, and
//! what waits for that disk elsewhere, as a refresh for its objects, would keep the writes with it for
//! as long as it hangs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Metastore;

/// A disk that takes longer than this to write a byte hangs: a commit would wait as long.
const HANGS: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_secs(1);

impl Metastore {
    /// Asks the disk of the log again and again. While it does not answer, this server takes no part,
    /// so that another one leads; where there is no other one, nothing is asked.
    pub(super) fn watch_disk(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        self.runtime.spawn(async move {
            loop {
                let Some(store) = weak.upgrade() else { return };
                let (is_alone, log) = (store.voters().len() < 2, store.log.clone());
                drop(store);
                if is_alone {
                    tokio::time::sleep(EVERY).await;
                    continue;
                }
                let mut answered = std::pin::pin!(log.answers());
                if tokio::time::timeout(HANGS, &mut answered).await.is_err() {
                    let Some(store) = weak.upgrade() else { return };
                    tracing::error!(
                        "the disk of the metadata does not answer; another server leads"
                    );
                    store.hangs.store(true, Ordering::SeqCst);
                    drop(store);
                    answered.await;
                    let Some(store) = weak.upgrade() else { return };
                    tracing::info!("the disk of the metadata answers again");
                    store.hangs.store(false, Ordering::SeqCst);
                }
                tokio::time::sleep(EVERY).await;
            }
        });
    }
}
