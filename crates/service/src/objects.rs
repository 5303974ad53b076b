//! Objects between servers: a version's segments, model and manifest are pushed to the other data
//! members before the commit counts on them (`parcel`), and pulled by a member that lacks
//! some.
//!
//! Bodies on the peer connection are plain: `has` is a list of 32-byte hashes answered by one byte
//! each; `get` is one hash answered by the object; `put` is the object, answered by its hash;
//! `receipt` is answered by a [`Receipt`]; `take` is a parcel, answered by what was not in it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Member, MemberKind, State, Transport};
use evercube_store::{Hash, ObjectDir};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// A member's word that it holds objects on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub member: u64,
    pub disk_id: u64,
}

pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs file work away from the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(Error::internal(format!("a background task ended early: {e}"))))
}

/// Members that keep data, without `me`.
pub(crate) fn data_peers(state: &State, me: u64) -> Vec<(u64, Member)> {
    let keeps_data = |m: &Member| m.kind != MemberKind::Witness;
    let peers = state.members.iter().filter(|(id, m)| **id != me && keeps_data(m));
    peers.map(|(id, m)| (*id, m.clone())).collect()
}

/// Fetches what is missing here from any member that has it.
pub(crate) async fn pull(
    transport: &Arc<dyn Transport>,
    objects: &Arc<ObjectDir>,
    peers: &[(u64, Member)],
    hashes: &[Hash],
) -> Result<()> {
    let mut wanted = Vec::new();
    for hash in hashes.iter().collect::<BTreeSet<_>>() {
        if !objects.has(hash) {
            wanted.push(*hash);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let wanted = Arc::new(std::sync::Mutex::new(wanted));
    let mut workers = JoinSet::new();
    for _ in 0..3 {
        let (transport, objects, wanted) =
            (Arc::clone(transport), Arc::clone(objects), Arc::clone(&wanted));
        let peers = peers.to_vec();
        workers.spawn(async move {
            loop {
                let next = wanted.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
                let Some(hash) = next else { return Ok(()) };
                pull_one(&transport, &objects, &peers, hash).await?;
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done.map_err(|e| Error::internal(format!("fetching objects ended early: {e}")))??;
    }
    Ok(())
}

/// Fetches an object from the first member that has it; that member's name.
pub(crate) async fn pull_one(
    transport: &Arc<dyn Transport>,
    objects: &Arc<ObjectDir>,
    peers: &[(u64, Member)],
    hash: Hash,
) -> Result<String> {
    let mut last = None;
    for (_, member) in peers {
        let address = &member.peer_address;
        match transport.call(address, "objects/get", hash.to_vec(), CALL_TIMEOUT).await {
            Ok(bytes) if *blake3::hash(&bytes).as_bytes() == hash => {
                let into = Arc::clone(objects);
                return blocking(move || into.put(&bytes)).await.map(|_| member.name.clone());
            }
            Ok(_) => {
                last = Some(Error::new(
                    ErrorKind::Corrupt,
                    format!("{address} sent an object that does not match its name"),
                ));
            }
            Err(e) => last = Some(e),
        }
    }
    let why = last.map_or_else(|| "there is no other data member".to_owned(), |e| e.message);
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("object {} is not here and no member gave it: {why}", hex::encode(hash)),
    ))
}

/// The peer side of this module: `has`, `get`, `put`, `receipt`, `take`.
pub(crate) async fn answer(
    objects: &Arc<ObjectDir>,
    me: Receipt,
    operation: &str,
    body: Vec<u8>,
) -> Result<Vec<u8>> {
    let objects = Arc::clone(objects);
    match operation {
        "has" => {
            blocking(move || {
                let (hashes, _) = body.as_chunks::<32>();
                // Who asks goes on to count on what is here.
                Ok(hashes.iter().map(|h| u8::from(objects.hold(h))).collect())
            })
            .await
        }
        "get" => {
            let hash: Hash = body
                .try_into()
                .map_err(|_| Error::invalid("an object is asked for by its 32-byte hash"))?;
            blocking(move || objects.get(&hash)).await
        }
        "take" => blocking(move || crate::parcel::take(&objects, me, &body)).await,
        "put" => blocking(move || objects.put(&body).map(|h| h.to_vec())).await,
        "receipt" => postcard::to_stdvec(&me)
            .map_err(|e| Error::internal(format!("a receipt could not be written: {e}"))),
        other => Err(Error::not_found(format!("there is no object operation '{other}'"))),
    }
}
