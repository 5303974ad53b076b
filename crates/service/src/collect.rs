//! Takes away objects nobody needs any more: those of versions gone by, and of changes that failed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use evercube_base::Result;

use crate::objects::blocking;
use crate::service::Service;

const FIRST: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(600);
/// An object no version has may still be on its way into one: from when it is written, or a member
/// says that it has it, until the commit. That does not take as long as this.
const UNUSED: Duration = Duration::from_secs(6 * 3600);

/// Collects from time to time; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    let weak = Arc::downgrade(service);
    tokio::spawn(async move {
        let mut wait = FIRST;
        loop {
            tokio::time::sleep(wait).await;
            wait = EVERY;
            let Some(service) = weak.upgrade() else { return };
            match service.collect(UNUSED).await {
                Ok((0, _)) => {}
                Ok((files, bytes)) => {
                    tracing::info!(files, bytes, "objects that no version needs were deleted");
                }
                Err(e) => tracing::debug!(error = %e, "objects are not collected now"),
            }
        }
    });
}

impl Service {
    /// Deletes what no version that is kept and none in memory needs and nobody has used for `unused`.
    /// How many files that were, and their bytes; none while something is written here.
    pub async fn collect(&self, unused: Duration) -> Result<(usize, u64)> {
        // What is written from here on is new; what was written before is committed or given up.
        if !self.writes.are_free() {
            return Ok((0, 0));
        }
        // A server that is behind does not know what it will need.
        self.see_all_commits().await?;
        let state = self.metastore.state();
        let mut keep: HashSet<_> =
            state.databases.values().flat_map(|d| &d.objects).copied().collect();
        keep.extend(self.versions.objects());
        let objects = Arc::clone(&self.objects);
        blocking(move || {
            keep.extend(crate::history::needed_by_earlier(&objects, &state)?);
            keep.extend(crate::refresh::resume::needed(&objects, &state));
            objects.sweep(&keep, unused)
        })
        .await
    }
}
