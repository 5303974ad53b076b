//! Backups in Azure Blob storage. An upload is seen by nobody until its last block is committed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use evercube_base::{Error, ErrorKind, Result};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig};
use tokio::sync::mpsc;

use crate::backup::local::exists;
use crate::backup::target::{file_name, only_backup};

/// Bytes of one block; a blob has at most 50 000 blocks.
pub const BLOCK: usize = 8 << 20;
/// Blocks that are sent at the same time.
const TOGETHER: usize = 3;

/// A blob of a container.
#[derive(Debug, Clone)]
pub struct Blob {
    store: Arc<MicrosoftAzure>,
    path: Path,
    place: String,
}

impl Blob {
    /// The blob a backup of `database` goes to.
    pub fn for_backup(container: &str, name: &str, database: &str) -> Result<Self> {
        let folder = name.is_empty() || name.ends_with('/');
        let name = if folder { format!("{name}{}", file_name(database)) } else { name.to_owned() };
        Self::named(container, &name)
    }

    /// The blob a restore reads.
    pub async fn for_restore(container: &str, name: &str) -> Result<Self> {
        if !name.is_empty() && !name.ends_with('/') {
            return Self::named(container, name);
        }
        let folder = Self::named(container, name)?;
        let prefix = Some(&folder.path).filter(|p| !p.as_ref().is_empty());
        let listed = folder.store.list_with_delimiter(prefix).await;
        let listed = listed.map_err(|e| folder.failed("listed", &e))?;
        let names = listed.objects.iter().filter_map(|o| o.location.filename());
        let one = only_backup(&folder.place, names.map(str::to_owned).collect())?;
        Self::named(container, &format!("{name}{one}"))
    }

    fn named(container: &str, name: &str) -> Result<Self> {
        let place = format!("az://{container}/{name}");
        let path = Path::parse(name.trim_end_matches('/'))
            .map_err(|e| Error::invalid(format!("'{place}' is no name of a blob: {e}")))?;
        Ok(Self { store: Arc::new(connect(container)?), path, place })
    }

    /// Refuses a blob that is there unless it may be overwritten.
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
            // Blocks that are not committed are thrown away by the service itself.
            return Ok(());
        }
        self.check_free(overwrite).await?;
        upload.complete().await.map_err(failed)?;
        Ok(())
    }

    /// Gives the blob's bytes on until they end or nobody takes them.
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
        use object_store::Error as Cause;
        let place = &self.place;
        let text = e.to_string();
        match e {
            _ if text.contains("ContainerNotFound") => {
                Error::not_found(format!("the container of {place} does not exist; make it first"))
            }
            Cause::NotFound { .. } => Error::not_found(format!("there is no backup at {place}")),
            Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => Error::new(
                ErrorKind::Denied,
                format!(
                    "the backup at {place} could not be {what}: the storage refused the server's credentials (AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY): {text}"
                ),
            ),
            _ => Error::new(
                ErrorKind::Source,
                format!("the backup at {place} could not be {what}: {text}"),
            ),
        }
    }
}

/// The storage as the server's environment describes it.
fn connect(container: &str) -> Result<MicrosoftAzure> {
    let mut builder = MicrosoftAzureBuilder::from_env();
    if let Ok(text) = std::env::var("AZURE_STORAGE_CONNECTION_STRING") {
        for (key, value) in connection_string(&text) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = builder.get_config_value(&AzureConfigKey::Endpoint) {
        // An emulator at an address of its own is an endpoint like any other.
        builder = builder.with_use_emulator(false);
        let account = builder.get_config_value(&AzureConfigKey::AccountName);
        if let Some(endpoint) = emulator(&endpoint, account.as_deref()) {
            builder = builder.with_endpoint(endpoint).with_allow_http(true);
        }
    }
    let retry = RetryConfig {
        max_retries: 6,
        retry_timeout: Duration::from_secs(60),
        ..RetryConfig::default()
    };
    builder.with_container_name(container).with_retry(retry).build().map_err(|e| {
        Error::new(
            ErrorKind::Source,
            format!(
                "Azure storage cannot be used: {e}; set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_CONNECTION_STRING) in the environment of the server"
            ),
        )
    })
}

/// An endpoint on this machine, which is an emulator: it has the account in its path.
fn emulator(endpoint: &str, account: Option<&str>) -> Option<String> {
    let host = endpoint.strip_prefix("http://")?;
    if !["127.", "localhost", "[::1]"].iter().any(|h| host.starts_with(h)) {
        return None;
    }
    let whole = endpoint.trim_end_matches('/');
    Some(match account {
        Some(account) if !host.trim_end_matches('/').contains('/') => format!("{whole}/{account}"),
        _ => whole.to_owned(),
    })
}

/// The settings in a connection string, `Name=value` parted by semicolons.
fn connection_string(text: &str) -> Vec<(AzureConfigKey, String)> {
    let mut found = Vec::new();
    for (name, value) in text.split(';').filter_map(|part| part.split_once('=')) {
        let key = match name.trim().to_ascii_lowercase().as_str() {
            "accountname" => AzureConfigKey::AccountName,
            "accountkey" => AzureConfigKey::AccessKey,
            "blobendpoint" => AzureConfigKey::Endpoint,
            "sharedaccesssignature" => AzureConfigKey::SasKey,
            "usedevelopmentstorage" => AzureConfigKey::UseEmulator,
            _ => continue,
        };
        found.push((key, value.trim().to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_read() {
        let text = "DefaultEndpointsProtocol=http;AccountName=dev;AccountKey=a2V5Cg==;BlobEndpoint=http://127.0.0.1:10000/dev;";
        let found = connection_string(text);
        let expected = [
            (AzureConfigKey::AccountName, "dev"),
            (AzureConfigKey::AccessKey, "a2V5Cg=="),
            (AzureConfigKey::Endpoint, "http://127.0.0.1:10000/dev"),
        ];
        assert!(found.iter().map(|(k, v)| (*k, v.as_str())).eq(expected));
    }

    #[test]
    fn an_emulator_is_known_by_its_address() {
        let found = |e: &str| emulator(e, Some("dev"));
        assert_eq!(found("http://127.0.0.1:1").as_deref(), Some("http://127.0.0.1:1/dev"));
        assert_eq!(found("http://localhost:1/dev/").as_deref(), Some("http://localhost:1/dev"));
        assert_eq!(found("https://dev.blob.core.windows.net"), None);
    }
}
