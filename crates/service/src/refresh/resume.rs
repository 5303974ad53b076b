//! What a refresh has read is brought to another server while it goes on, and recorded by the
//! group, so that the server that takes over reads only the rest.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evercube_base::Result;
use evercube_metastore::{Command, ReadChange, State, Transport};
use evercube_store::{Hash, ObjectDir};

use crate::objects::{blocking, data_peers, pull};
use crate::parcel::{Parcel, push};
use crate::refresh::finished::{Ahead, Finished};
use crate::service::Service;

/// How often what was read since is recorded; a refresh that takes no longer needs no record.
const EVERY: Duration = Duration::from_secs(1);

/// Partitions that are read and not recorded yet.
pub(crate) type Unrecorded = Arc<Mutex<Vec<Finished>>>;

impl Service {
    /// What an earlier attempt at a request read, here or elsewhere.
    pub(crate) async fn read_before(&self, request_id: &str) -> Ahead {
        let state = self.metastore.state();
        let Some(so_far) = state.reads.get(request_id) else { return Ahead::new() };
        let peers = data_peers(&state, self.identity.node_id);
        let mut found = Ahead::new();
        for part in &so_far.parts {
            let taken = async {
                pull(&self.transport, &self.objects, &peers, &[*part]).await?;
                let objects = Arc::clone(&self.objects);
                let part = *part;
                let bytes = blocking(move || objects.get(&part)).await?;
                let Some(finished) = Finished::from_bytes(&bytes) else { return Ok(None) };
                let segments: Vec<Hash> = finished.segments().collect();
                pull(&self.transport, &self.objects, &peers, &segments).await?;
                Ok(Some(finished))
            };
            let taken: Result<Option<Finished>> = taken.await;
            match taken {
                Ok(Some(f)) => {
                    found.insert((f.table.clone(), f.partition.clone()), f);
                }
                Ok(None) => {}
                Err(e) => tracing::info!(error = %e, "a partition is read again"),
            }
        }
        found
    }

    /// Records what is read from time to time, for as long as it is polled.
    pub(crate) async fn record_reads(&self, request_id: &str, read: Unrecorded) {
        loop {
            tokio::time::sleep(EVERY).await;
            let new = std::mem::take(&mut *read.lock().unwrap_or_else(PoisonError::into_inner));
            if new.is_empty() {
                continue;
            }
            if let Err(e) = self.record(request_id, new).await {
                tracing::info!(error = %e, "what was read cannot be recorded now");
            }
        }
    }

    /// Brings partitions to one other data server and tells the group.
    pub(super) async fn record(&self, request_id: &str, new: Vec<Finished>) -> Result<()> {
        let objects = Arc::clone(&self.objects);
        let (parts, all) = blocking(move || {
            let mut parts = Vec::new();
            let mut all = Vec::new();
            for finished in &new {
                parts.push(objects.put(&finished.to_bytes()?)?);
                all.extend(finished.segments());
            }
            all.extend(&parts);
            Ok((parts, all))
        })
        .await?;
        self.bring_to_another(Arc::new(Parcel::list(all))).await;
        let request_id = request_id.to_owned();
        self.apply_change(Command::Reads(ReadChange::Keep { request_id, parts })).await
    }

    /// The first that takes them, those of other failure domains first.
    async fn bring_to_another(&self, parcel: Arc<Parcel>) {
        let state = self.metastore.state();
        let mut peers = data_peers(&state, self.identity.node_id);
        let mine = state.failure_domain(self.identity.node_id);
        peers.sort_by_key(|(id, m)| {
            let domain = state.failure_domain(*id);
            (domain.is_none() || domain == mine, m.name.clone())
        });
        for (_, member) in peers {
            let transport: Arc<dyn Transport> = Arc::clone(&self.transport);
            let objects: Arc<ObjectDir> = Arc::clone(&self.objects);
            if push(transport, objects, member.peer_address, Arc::clone(&parcel)).await.is_ok() {
                return;
            }
        }
    }

    /// What was read is committed, or will never be.
    pub(crate) async fn forget_reads(&self, request_id: &str) {
        if !self.metastore.state().reads.contains_key(request_id) {
            return;
        }
        let request_id = request_id.to_owned();
        let change = Command::Reads(ReadChange::Forget { request_id });
        if let Err(e) = self.apply_change(change).await {
            tracing::debug!(error = %e, "what was read stays recorded");
        }
    }
}

/// Objects that refreshes need which may be gone on with.
pub(crate) fn needed(objects: &ObjectDir, state: &State) -> HashSet<Hash> {
    let mut needed = HashSet::new();
    for part in state.reads.values().flat_map(|r| &r.parts) {
        needed.insert(*part);
        let read = objects.get(part).ok().and_then(|bytes| Finished::from_bytes(&bytes));
        needed.extend(read.iter().flat_map(Finished::segments));
    }
    needed
}
