//! Objects for another member in as few messages as the way there allows: all their names, and the
//! bytes of the small ones it surely lacks, answered by what is missing still and a receipt.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::Transport;
use evercube_store::{Hash, ObjectDir};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::objects::{CALL_TIMEOUT, Receipt, blocking};

/// Bytes of objects that a parcel carries at most: more would take longer than asking first.
const CARRIED: u64 = 256 << 10;
/// Objects that are sent to one member at the same time.
const AT_ONCE: usize = 4;
/// Bytes a second that an object comes forward at least.
const SLOWEST: u64 = 16 << 10;

#[derive(Debug)]
pub(crate) struct Parcel {
    hashes: Vec<Hash>,
    /// The message as it is sent first.
    bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    hashes: Vec<Hash>,
    objects: Vec<Vec<u8>>,
}

/// The answer to a parcel. The receipt counts where nothing is missing.
#[derive(Serialize, Deserialize)]
struct Taken {
    receipt: Receipt,
    missing: Vec<Hash>,
}

fn packed(hashes: Vec<Hash>, objects: Vec<Vec<u8>>) -> Vec<u8> {
    // Numbers and bytes in memory: there is nothing that could fail.
    postcard::to_stdvec(&Content { hashes, objects }).unwrap_or_default()
}

impl Parcel {
    /// Objects of which nobody knows whether the other member has them.
    pub fn list(hashes: Vec<Hash>) -> Self {
        Self { bytes: packed(hashes.clone(), Vec::new()), hashes }
    }

    /// Objects of which the other member should have those in `known`.
    pub fn pack(objects: &ObjectDir, hashes: Vec<Hash>, known: &[Hash]) -> Result<Self> {
        let known: BTreeSet<&Hash> = known.iter().collect();
        let (mut carried, mut left) = (Vec::new(), CARRIED);
        for hash in hashes.iter().filter(|h| !known.contains(h)) {
            let length = objects.length(hash)?;
            if length <= left {
                left -= length;
                carried.push(objects.get(hash)?);
            }
        }
        Ok(Self { bytes: packed(hashes.clone(), carried), hashes })
    }

    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

/// Takes a parcel in: stores what it carries, and says what is still missing.
pub(crate) fn take(objects: &ObjectDir, receipt: Receipt, body: &[u8]) -> Result<Vec<u8>> {
    let unreadable = |e| Error::invalid(format!("a parcel of objects cannot be read: {e}"));
    let content: Content = postcard::from_bytes(body).map_err(unreadable)?;
    for object in &content.objects {
        objects.put(object)?;
    }
    // Who sends it goes on to count on what is here.
    let missing = content.hashes.into_iter().filter(|h| !objects.hold(h)).collect();
    postcard::to_stdvec(&Taken { receipt, missing })
        .map_err(|e| Error::internal(format!("a receipt could not be written: {e}")))
}

/// Brings every object to one member; its receipt once all are on its disk.
pub(crate) async fn push(
    transport: Arc<dyn Transport>,
    objects: Arc<ObjectDir>,
    address: String,
    parcel: Arc<Parcel>,
) -> Result<Receipt> {
    let member = Member { transport, objects, address };
    let taken = match member.hand(parcel.bytes.clone()).await {
        Err(e) if e.kind == ErrorKind::NotFound => return member.one_by_one(&parcel.hashes).await,
        taken => taken?,
    };
    if taken.missing.is_empty() {
        return Ok(taken.receipt);
    }
    member.send_all(&taken.missing).await?;
    let again = member.hand(packed(parcel.hashes.clone(), Vec::new())).await?;
    match again.missing.len() {
        0 => Ok(again.receipt),
        n => Err(Error::internal(format!(
            "{} took {n} objects that it does not hold now",
            member.address
        ))),
    }
}

/// The one that objects are brought to.
struct Member {
    transport: Arc<dyn Transport>,
    objects: Arc<ObjectDir>,
    address: String,
}

impl Member {
    async fn call(&self, operation: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let path = format!("objects/{operation}");
        // A slow way is no reason to give up: whether the member is there at all is looked at beside.
        let limit = CALL_TIMEOUT + Duration::from_secs(body.len() as u64 / SLOWEST);
        self.transport.call(&self.address, &path, body, limit).await
    }

    fn unreadable(&self, e: postcard::Error) -> Error {
        Error::internal(format!("{} sent a receipt that cannot be read: {e}", self.address))
    }

    async fn hand(&self, parcel: Vec<u8>) -> Result<Taken> {
        let answer = self.call("take", parcel).await?;
        postcard::from_bytes(&answer).map_err(|e| self.unreadable(e))
    }

    async fn send_all(&self, hashes: &[Hash]) -> Result<()> {
        let sent = stream::iter(hashes.to_vec()).map(|hash| async move {
            let from = Arc::clone(&self.objects);
            let bytes = blocking(move || from.get(&hash)).await?;
            self.call("put", bytes).await.map(|_| ())
        });
        sent.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// For a member of an earlier release, which takes no parcels.
    async fn one_by_one(&self, hashes: &[Hash]) -> Result<Receipt> {
        let body: Vec<u8> = hashes.iter().flatten().copied().collect();
        let held = self.call("has", body).await?;
        if held.len() != hashes.len() {
            return Err(Error::internal(format!(
                "{} answered an object list of another length",
                self.address
            )));
        }
        let missing: Vec<Hash> =
            hashes.iter().zip(held).filter(|(_, held)| *held == 0).map(|(h, _)| *h).collect();
        self.send_all(&missing).await?;
        let answer = self.call("receipt", Vec::new()).await?;
        postcard::from_bytes(&answer).map_err(|e| self.unreadable(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member with an object folder; one of an earlier release knows no parcels.
    struct Other {
        objects: Arc<ObjectDir>,
        knows_parcels: bool,
        calls: std::sync::Mutex<Vec<String>>,
    }

    #[async_trait::async_trait]
    impl Transport for Other {
        async fn call(
            &self,
            _: &str,
            path: &str,
            body: Vec<u8>,
            _: std::time::Duration,
        ) -> Result<Vec<u8>> {
            self.calls.lock().unwrap().push(path.to_owned());
            let operation = match path.strip_prefix("objects/").unwrap() {
                "take" if !self.knows_parcels => "unknown",
                operation => operation,
            };
            let me = Receipt { member: 7, disk_id: 70 };
            crate::objects::answer(&self.objects, me, operation, body).await
        }
    }

    #[tokio::test]
    async fn a_parcel_brings_everything_in_as_few_messages_as_can_be() {
        let small = vec![1; 100];
        let large = vec![2; usize::try_from(CARRIED).unwrap() + 1];
        for (knows_parcels, with_large, known, expected) in [
            (true, false, false, &["take"][..]),
            (true, true, false, &["take", "put", "take"]),
            // Thought to be there, and is not.
            (true, false, true, &["take", "put", "take"]),
            (false, false, false, &["take", "has", "put", "receipt"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let open = |name| Arc::new(ObjectDir::open(&folder.path().join(name)).unwrap());
            let (here, there) = (open("here"), open("there"));
            let mut hashes = vec![here.put(&small).unwrap()];
            if with_large {
                hashes.push(here.put(&large).unwrap());
            }
            let known = if known { hashes.clone() } else { Vec::new() };
            let parcel = Arc::new(Parcel::pack(&here, hashes.clone(), &known).unwrap());
            let other = Arc::new(Other {
                objects: Arc::clone(&there),
                knows_parcels,
                calls: std::sync::Mutex::default(),
            });
            let transport: Arc<dyn Transport> = Arc::clone(&other) as _;
            let receipt = push(transport, here, "there".into(), parcel).await.unwrap();
            assert_eq!(receipt, Receipt { member: 7, disk_id: 70 });
            assert!(hashes.iter().all(|h| there.has(h)));
            let calls = other.calls.lock().unwrap();
            let calls: Vec<&str> = calls.iter().map(|c| c.trim_start_matches("objects/")).collect();
            assert_eq!(calls, expected, "parcels known: {knows_parcels}, large: {with_large}");
        }
    }
}
