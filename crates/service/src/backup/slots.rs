//! Backups without a password from a server whose data folder is encrypted: sealed under a key of
//! their own, which the keys of the operator and of the group open.

use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_vault::Vault;
use serde::{Deserialize, Serialize};

use crate::backup::preamble::damaged;
use crate::seal::{Purpose, SealingKey, open, seal};

/// Bytes that the slots of an archive may take.
pub const MOST: usize = 64 << 10;

/// The key of an archive, sealed under another key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Slot {
    /// Under a key of the operator's, by its name.
    #[serde(rename = "operator")]
    Operator { key: String, sealed: String },
    /// Under the keys of a group, by its id.
    #[serde(rename = "group")]
    Group { id: String, sealed: String },
}

/// What opens archives that were sealed without a password.
#[derive(Clone, Default)]
pub struct Keys {
    /// The operator's, where the data folder is encrypted.
    pub vault: Option<Arc<Vault>>,
    pub group: String,
    pub of_group: Vec<SealingKey>,
}

impl Keys {
    /// The slots of an archive's key.
    pub(super) fn seal(&self, key: &[u8; 32]) -> Result<Vec<u8>> {
        let mut slots = Vec::new();
        if let Some(vault) = &self.vault {
            let of_operator = vault.seal_for_operator(key)?.into_iter();
            slots.extend(of_operator.map(|(key, sealed)| Slot::Operator { key, sealed }));
        }
        let sealed = seal(&self.of_group, Purpose::Backup, key)?;
        slots.push(Slot::Group { id: self.group.clone(), sealed });
        serde_json::to_vec(&slots)
            .map_err(|e| Error::internal(format!("the slots of a backup cannot be written: {e}")))
    }

    /// The key of an archive.
    ///
    /// # Errors
    /// `Invalid` where no key opens it, naming those that do; `Corrupt` where the slots cannot be
    /// read.
    pub(super) fn open(&self, slots: &[u8]) -> Result<[u8; 32]> {
        let slots: Vec<Slot> = serde_json::from_slice(slots)
            .map_err(|_| damaged("the list of the keys that open it cannot be read"))?;
        let mut names = Vec::new();
        let mut groups = Vec::new();
        for slot in &slots {
            let opened = match slot {
                Slot::Operator { key, sealed } => {
                    names.push(key.as_str());
                    self.vault.as_ref().and_then(|v| v.open_for_operator(key, sealed))
                }
                Slot::Group { id, sealed } => {
                    groups.push(id.as_str());
                    open(&self.of_group, Purpose::Backup, sealed)
                }
            };
            if let Some(key) = opened.and_then(|k| k.try_into().ok()) {
                return Ok(key);
            }
        }
        Err(Error::invalid(format!(
            "the backup was made without a password by a server whose data folder is encrypted, and nothing here opens it: restore it in the group it was made in ({}), or on a server whose data folder is encrypted with one of the operator's keys {}",
            groups.join(", "),
            names.join(", ")
        )))
    }
}
