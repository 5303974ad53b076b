//! What a metastore stands on: where its log lies, and the threads its consensus runs on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_vault::Vault;
use redb::StorageBackend;
use tokio::runtime::Handle;

use crate::log_store::LogStore;

/// The log's name in its folder.
pub(super) const LOG_FILE: &str = "log.redb";

/// A log and a runtime. A server's are a file in its folder and threads of its own; a simulated
/// one gives others.
pub struct Ground {
    pub(super) log: LogStore,
    pub(super) runtime: Handle,
    /// Ends the threads when it is dropped; `None` where they belong to somebody else.
    pub(super) stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Ground {
    /// The log in `folder`, which is made where it is missing, encrypted with the vault; and threads
    /// that load elsewhere cannot hold up.
    ///
    /// # Errors
    /// `Source` where the folder cannot be made, `Corrupt` where the log cannot be opened.
    pub fn in_folder(folder: &Path, vault: Option<Arc<Vault>>) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| {
            Error::new(
                ErrorKind::Source,
                format!("the folder {} cannot be made: {e}", folder.display()),
            )
        })?;
        let log = LogStore::open(&folder.join(LOG_FILE), vault)?;
        let (runtime, stop) = own_runtime()?;
        Ok(Self { log, runtime, stop: Some(stop) })
    }

    /// A log on `disk`, and consensus that runs on `runtime`; `pace` says how long it takes from now
    /// until what is written is on the disk.
    ///
    /// # Errors
    /// `Corrupt` where the log cannot be opened.
    pub fn on(
        disk: impl StorageBackend + Clone,
        pace: impl Fn() -> Duration + Send + Sync + 'static,
        runtime: Handle,
    ) -> Result<Self> {
        Ok(Self { log: LogStore::on(disk, Box::new(pace))?, runtime, stop: None })
    }
}

/// Consensus has threads of its own, so that load elsewhere moves no leader.
fn own_runtime() -> Result<(Handle, tokio::sync::oneshot::Sender<()>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("consensus")
        .enable_all()
        .build()
        .map_err(|e| Error::internal(format!("the consensus thread cannot be started: {e}")))?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _dropped = runtime.block_on(stopped);
        runtime.shutdown_background();
    });
    Ok((handle, stop))
}
