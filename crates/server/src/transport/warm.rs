//! Connections among all members are kept open, so that an election, a forwarded request or a read
//! that asks the leader waits for no handshake.

use std::sync::{Arc, Weak};
use std::time::Duration;

use evercube_service::Service;

/// More often than connections nobody uses are closed.
const EVERY: Duration = Duration::from_secs(8);

/// Connections to each member: as many as are in use at once where one that hardly spoke to the others
/// begins to lead, with proposals and reads that waited for it.
const TO_EACH: usize = 8;

/// Greets every other member from now on.
pub fn spawn(service: &Arc<Service>) {
    let weak: Weak<Service> = Arc::downgrade(service);
    // Beside the consensus, whose messages the connections are for.
    service.metastore.spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(service) = weak.upgrade() else { return };
            let status = service.metastore.status();
            let state = service.metastore.state();
            let others = state.members.iter().filter(|(id, _)| **id != status.me);
            let greeted = others.flat_map(|other| std::iter::repeat_n(other, TO_EACH));
            let greetings = greeted.map(|(_, m)| service.metastore.round_trip(&m.peer_address));
            let _away = futures::future::join_all(greetings).await;
        }
    });
}
