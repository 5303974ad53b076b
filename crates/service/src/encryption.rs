//! Encryption of this server's data folder while it runs: files that are plain, or encrypted with an
//! older data key, are written anew one after another; keys are rotated when somebody asks.

use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evercube_base::Result;
use evercube_vault::Vault;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::call::Call;
use crate::identity::read_sealed;
use crate::objects::blocking;
use crate::operations::member_named;
use crate::service::{Service, from_json, to_json};

/// Bytes written anew in a second, so that queries and refreshes keep the disk.
const RATE: u64 = 64 << 20;
/// From the end of a look to the next one.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a server may take to ask for its keys and write its keyring.
const ROTATE_TIMEOUT: Duration = Duration::from_secs(120);

/// How a server's data folder is encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionStatus {
    /// Number of the data key that files are encrypted with now.
    pub data_key: u32,
    /// Older ones that files may still be encrypted with.
    pub older_data_keys: usize,
    /// Names of the operator's keys that open the folder.
    pub opened_by: Vec<String>,
    /// Files that are plain or encrypted with an older data key, and their bytes; null before they
    /// were counted.
    pub files_left: Option<u64>,
    pub bytes_left: Option<u64>,
    /// Why files are not written anew.
    pub trouble: Option<String>,
    /// What lies in the folder unencrypted: it is the operator's.
    pub in_the_clear: Vec<String>,
}

/// What is asked of one server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Rotation {
    /// Whether a new data key is drawn and every file written anew, besides the keys that open.
    pub new_data_key: bool,
}

/// A server's answer to a rotation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rotated {
    pub server: String,
    /// `None` where the folder is not encrypted.
    pub encryption: Option<EncryptionStatus>,
    pub error: Option<String>,
}

#[derive(Debug, Default)]
struct Renewal {
    left: Option<(u64, u64)>,
    trouble: Option<String>,
}

/// How far files are written anew.
#[derive(Debug, Default)]
pub(crate) struct RenewalBook {
    book: Mutex<Renewal>,
    /// Told when there is something to do.
    changed: Notify,
}

impl RenewalBook {
    fn note(&self, change: impl FnOnce(&mut Renewal)) {
        change(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Writes files anew; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    let Some(vault) = service.config.vault.clone() else { return };
    let weak = Arc::downgrade(service);
    tokio::spawn(async move {
        loop {
            let Some(service) = weak.upgrade() else { return };
            let done = service.renew_files(&vault).await;
            if let Err(e) = &done {
                tracing::warn!(error = %e, "files could not be encrypted anew");
            }
            service.renewal.note(|r| r.trouble = done.err().map(|e| e.message));
            let told = service.renewal.changed.notified();
            let _or_after_a_while = tokio::time::timeout(PAUSE, told).await;
        }
    });
}

/// Whether a file is a backup that whoever finds it can read.
fn is_plain_backup(path: &std::path::Path) -> bool {
    let mut start = [0; 12];
    let read = std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut start));
    read.is_ok() && crate::backup::preamble::is_plain(&start)
}

impl Service {
    /// Writes every file anew that is not encrypted with the current data key, and forgets older
    /// keys once there was none.
    async fn renew_files(&self, vault: &Arc<Vault>) -> Result<()> {
        let current = vault.data_key();
        let objects = Arc::clone(&self.objects);
        let stale = blocking(move || objects.stale()).await?;
        let mut any = !stale.is_empty();
        let mut left = (stale.len() as u64, stale.iter().map(|s| s.length).sum::<u64>());
        // What was counted says nothing of a key that was drawn since.
        let tell = |left| {
            if vault.data_key() == current {
                self.renewal.note(|r| r.left = Some(left));
            }
        };
        tell(left);
        let mut failed = None;
        for file in stale {
            let (length, objects) = (file.length, Arc::clone(&self.objects));
            match blocking(move || objects.renew(&file)).await {
                Ok(()) => left = (left.0 - 1, left.1 - length),
                Err(e) => failed = Some(e),
            }
            tell(left);
            let pause = length.saturating_mul(1_000_000) / RATE;
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        let metastore = Arc::clone(&self.metastore);
        any |= blocking(move || metastore.reseal()).await?;
        any |= self.audit.reseal().await?;
        self.renew_certificates(vault).await?;
        if let Some(e) = failed {
            return Err(e);
        }
        if !any && vault.data_keys().first().is_some_and(|first| *first < current) {
            let vault = Arc::clone(vault);
            blocking(move || vault.forget_before(current)).await?;
        }
        Ok(())
    }

    async fn renew_certificates(&self, vault: &Arc<Vault>) -> Result<()> {
        let (folder, vault) = (self.config.data_dir.join("tls"), Arc::clone(vault));
        blocking(move || {
            for name in ["member.json", "authority.json"] {
                read_sealed(Some(&vault), &folder.join(name))?;
            }
            Ok(())
        })
        .await
    }

    /// How the folder is encrypted; `None` where it is not.
    pub fn encryption_status(&self) -> Option<EncryptionStatus> {
        let vault = self.config.vault.as_ref()?;
        let book = self.renewal.book.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |name: &&str| {
            let path = self.config.data_dir.join(name);
            match std::fs::read_dir(&path) {
                Ok(mut files) if *name == "backup" => {
                    files.any(|f| f.is_ok_and(|f| is_plain_backup(&f.path())))
                }
                Ok(mut files) => files.next().is_some(),
                Err(_) => path.exists(),
            }
        };
        Some(EncryptionStatus {
            data_key: vault.data_key(),
            older_data_keys: vault.data_keys().len().saturating_sub(1),
            opened_by: vault.slots(),
            files_left: book.left.map(|(files, _)| files),
            bytes_left: book.left.map(|(_, bytes)| bytes),
            trouble: book.trouble.clone(),
            in_the_clear: ["admin-password", "files", "backup"]
                .iter()
                .filter(|name| is_there(name))
                .map(|name| (*name).to_owned())
                .collect(),
        })
    }

    /// Asks for the operator's keys again on one server, or all, and lets exactly these open its
    /// folder.
    pub async fn rotate_encryption(
        &self,
        call: &Call,
        server: Option<&str>,
        rotation: Rotation,
    ) -> Result<Vec<Rotated>> {
        self.may_operate(call, "Rotating encryption keys").await?;
        let state = self.metastore.state();
        if let Some(name) = server {
            member_named(&state, name)?;
        }
        let mut all = Vec::new();
        for (id, member) in &state.members {
            if server.is_some_and(|name| !member.name.eq_ignore_ascii_case(name)) {
                continue;
            }
            let answer = match *id == self.identity.node_id {
                true => self.rotate_here(rotation).await,
                false => {
                    let (address, body) = (&member.peer_address, to_json(&rotation)?);
                    let asked =
                        self.transport.call(address, "encryption/rotate", body, ROTATE_TIMEOUT);
                    asked.await.and_then(|b| from_json(&b))
                }
            };
            all.push(answer.unwrap_or_else(|e| Rotated {
                server: member.name.clone(),
                encryption: None,
                error: Some(e.message),
            }));
        }
        Ok(all)
    }

    pub(crate) async fn rotate_here(&self, rotation: Rotation) -> Result<Rotated> {
        if let Some(vault) = self.config.vault.clone() {
            blocking(move || vault.rotate(rotation.new_data_key)).await?;
            if rotation.new_data_key {
                self.renewal.note(|r| r.left = None);
            }
            self.renewal.changed.notify_one();
        }
        let encryption = self.encryption_status();
        Ok(Rotated { server: self.config.name.clone(), encryption, error: None })
    }
}
