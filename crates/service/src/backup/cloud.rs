//! Backups in object storage. An upload is seen by nobody until its last request is done.

use std::sync::Arc;

use bytes::Bytes;
use evercube_base::{Error, ErrorKind, Result};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::sync::mpsc;

use crate::backup::connect::connect;
use crate::backup::local::exists;
use crate::backup::target::{CloudPlace, Provider, only_backup};

/// Bytes of one part. The services take 10 000 parts of an object at least.
pub const BLOCK: usize = 8 << 20;
/// Blocks that are sent at the same time.
const TOGETHER: usize = 3;

/// An object of a bucket or container.
#[derive(Debug, Clone)]
pub struct Blob {
    store: Arc<dyn ObjectStore>,
    path: Path,
    at: CloudPlace,
    place: String,
}

impl Blob {
    /// The object a backup goes to.
    pub fn for_backup(at: &CloudPlace) -> Result<Self> {
        Self::named(at, &at.name)
    }

    /// The object a restore reads.
    pub async fn for_restore(at: &CloudPlace) -> Result<Self> {
        if !at.is_folder() {
            return Self::named(at, &at.name);
        }
        let folder = Self::named(at, &at.name)?;
        let prefix = Some(&folder.path).filter(|p| !p.as_ref().is_empty());
        let listed = folder.store.list_with_delimiter(prefix).await;
        let listed = listed.map_err(|e| folder.failed("listed", &e))?;
        let names = listed.objects.iter().filter_map(|o| o.location.filename());
        let one = only_backup(&folder.place, names.map(str::to_owned).collect())?;
        Self::named(at, &format!("{}{one}", at.name))
    }

    fn named(at: &CloudPlace, name: &str) -> Result<Self> {
        let at = CloudPlace { name: name.to_owned(), ..at.clone() };
        let place = at.describe();
        let path = Path::parse(name.trim_end_matches('/'))
            .map_err(|e| Error::invalid(format!("'{place}' is no name of a backup: {e}")))?;
        Ok(Self { store: connect(&at)?, path, at, place })
    }

    /// Refuses an object that is there unless it may be overwritten.
    pub async fn check_free(&self, overwrite: bool) -> Result<()> {
        if overwrite {
            return Ok(());
        }
        match self.store.head(&self.path).await {
            Ok(_) => Err(exists(&self.place)),
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed("looked for", &e)),
        }
    }

    /// Stores the pieces until they end. `finished` then says whether they were all of it:
    /// without its word nothing is committed.
    pub async fn upload(
        &self,
        mut pieces: mpsc::Receiver<Bytes>,
        finished: impl Future<Output = bool>,
        overwrite: bool,
    ) -> Result<()> {
        let failed = |e: object_store::Error| match e {
            object_store::Error::AlreadyExists { .. } => exists(&self.place),
            e => self.failed("written", &e),
        };
        let first = pieces.recv().await.unwrap_or_default();
        let Some(second) = pieces.recv().await else {
            if finished.await {
                let mode = if overwrite { PutMode::Overwrite } else { PutMode::Create };
                let options = PutOptions::from(mode);
                let put = self.store.put_opts(&self.path, PutPayload::from(first), options);
                put.await.map_err(failed)?;
            }
            return Ok(());
        };
        let mut upload = self.store.put_multipart(&self.path).await.map_err(failed)?;
        let mut sending = FuturesUnordered::new();
        sending.push(upload.put_part(first.into()));
        sending.push(upload.put_part(second.into()));
        while let Some(piece) = pieces.recv().await {
            if sending.len() >= TOGETHER
                && let Some(sent) = sending.next().await
            {
                sent.map_err(failed)?;
            }
            sending.push(upload.put_part(piece.into()));
        }
        while let Some(sent) = sending.next().await {
            sent.map_err(failed)?;
        }
        if !finished.await {
            // What could not be taken back is thrown away by the service itself, or its rules.
            let _taken_back = upload.abort().await;
            return Ok(());
        }
        self.check_free(overwrite).await?;
        upload.complete().await.map_err(failed)?;
        Ok(())
    }

    /// Gives the object's bytes on until they end or nobody takes them.
    pub async fn download(&self, pieces: mpsc::Sender<Result<Bytes>>) {
        let mut stream = match self.store.get(&self.path).await {
            Ok(found) => found.into_stream(),
            Err(e) => {
                let _nobody_listens = pieces.send(Err(self.failed("read", &e))).await;
                return;
            }
        };
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|e| self.failed("read", &e));
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    }

    fn failed(&self, what: &str, e: &object_store::Error) -> Error {
        failed(&self.at, what, e)
    }
}

/// A failure of the storage in the user's words, without what an address may hold of secrets.
pub fn failed(at: &CloudPlace, what: &str, e: &object_store::Error) -> Error {
    use object_store::Error as Cause;
    let place = at.describe();
    let text = without_queries(&e.to_string());
    match e {
        _ if ["ContainerNotFound", "NoSuchBucket"].iter().any(|t| text.contains(t)) => {
            let kind = if at.provider == Provider::Azure { "container" } else { "bucket" };
            Error::not_found(format!("the {kind} of {place} does not exist; make it first"))
        }
        Cause::NotFound { .. } => Error::not_found(format!("there is no backup at {place}")),
        Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => Error::new(
            ErrorKind::Denied,
            format!(
                "the backup at {place} could not be {what}: the storage refused the server's credentials ({}): {text}",
                at.provider.variables()
            ),
        ),
        _ => Error::new(
            ErrorKind::Source,
            format!("the backup at {place} could not be {what}: {text}"),
        ),
    }
}

/// Addresses lose what follows their `?`: signatures and tokens travel there.
pub(crate) fn without_queries(text: &str) -> String {
    let mut out = String::new();
    for (i, word) in text.split(' ').enumerate() {
        if i > 0 {
            out.push(' ');
        }
        match word.split_once('?') {
            Some((address, _)) if word.contains("://") => {
                out.push_str(address);
                out.push_str("?…");
            }
            _ => out.push_str(word),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_carries_stays_out_of_errors() {
        let text = "error for url (https://h/box/x?sv=1&sig=SECRET) after 3 tries";
        assert_eq!(without_queries(text), "error for url (https://h/box/x?… after 3 tries");
        assert_eq!(without_queries("why? no reason"), "why? no reason");
    }
}
