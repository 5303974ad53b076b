//! What a server remembers about itself in its folder: name, region, peer address, ids.

use std::io::Write;
use std::path::Path;

use evercube_base::{Error, ErrorKind, Result};
use evercube_vault::Vault;
use serde::{Deserialize, Serialize};

use crate::config::ServiceConfig;
use crate::seal::random;

/// Kept as `server.json` in the data folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerIdentity {
    pub node_id: u64,
    /// Changes with the folder: receipts of a replaced disk no longer count.
    pub disk_id: u64,
    pub name: String,
    pub region: String,
    pub kind: String,
    pub peer_address: String,
    /// The folder was empty; not stored.
    #[serde(skip)]
    pub is_new: bool,
}

/// A new id for a server or a disk.
pub fn random_id() -> Result<u64> {
    let mut b = [0u8; 8];
    random(&mut b)?;
    // Ids travel through JSON, whose readers may keep only 53 bits.
    Ok(u64::from_le_bytes(b) >> 12)
}

fn io_error(path: &Path, what: &str, e: &std::io::Error) -> Error {
    Error::new(ErrorKind::Source, format!("{} cannot be {what}: {e}", path.display()))
}

impl ServerIdentity {
    /// Reads the folder's identity and lets it win over `config`, or makes one from `config`.
    pub fn open(config: &mut ServiceConfig) -> Result<Self> {
        let file = config.data_dir.join("server.json");
        // A folder is a member only once the group took it in: the metastore's folder tells.
        let was_member = config.data_dir.join("metastore").exists();
        // Under another id it would take no part, and say nothing of why.
        if was_member && !file.exists() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "{} is gone, which tells who this server is in its group: bring it back from a copy, or start the server in an empty folder, under its old name and with --join, where it replaces itself",
                    file.display()
                ),
            ));
        }
        if was_member {
            let bytes = std::fs::read(&file).map_err(|e| io_error(&file, "read", &e))?;
            let known: Self = serde_json::from_slice(&bytes).map_err(|e| {
                let message = format!(
                    "{} cannot be read: {e}; a server of a group starts again in an empty folder, under its old name and with --join, and replaces itself",
                    file.display()
                );
                Error::new(ErrorKind::Corrupt, message)
            })?;
            config.name.clone_from(&known.name);
            config.region.clone_from(&known.region);
            config.kind.clone_from(&known.kind);
            return Ok(known);
        }
        if !was_member && config.join.is_empty() {
            require_no_data(&config.data_dir)?;
        }
        let node_id = config.node_id.map_or_else(random_id, Ok)?;
        if config.name.is_empty() {
            config.name = format!("server-{:x}", node_id & 0xffff);
        }
        let new = Self {
            node_id,
            disk_id: random_id()?,
            name: config.name.clone(),
            region: config.region.clone(),
            kind: config.kind.clone(),
            peer_address: config.peer_address.clone(),
            is_new: true,
        };
        let text = serde_json::to_vec_pretty(&new)
            .map_err(|e| Error::internal(format!("the server's identity is not writable: {e}")))?;
        write_secret(&file, &text)?;
        Ok(new)
    }

    pub(crate) fn metastore_config(&self, config: &ServiceConfig) -> evercube_metastore::Config {
        evercube_metastore::Config {
            data_dir: config.data_dir.join("metastore"),
            node_id: self.node_id,
            node_name: self.name.clone(),
            region: self.region.clone(),
            kind: crate::service::member_kind(&self.kind).unwrap_or_default(),
            peer_address: config.peer_address.clone(),
            http_address: config.http_address.clone(),
            disk_id: self.disk_id,
            timing: evercube_metastore::Timing::default(),
            vault: config.vault.clone(),
        }
    }
}

/// Refuses to begin a group in a folder that holds the data of a server: its metadata is lost, and
/// clients would find the group empty.
fn require_no_data(data_dir: &Path) -> Result<()> {
    let objects = std::fs::read_dir(data_dir.join("store").join("objects"));
    if !objects.is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "the folder {} holds data of a server, but its metadata ({}) is gone, and without --join an empty group would begin there; start the server with --join of a member of its group, or in an empty folder",
            data_dir.display(),
            data_dir.join("metastore").display()
        ),
    ))
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_secret(file: &Path, content: &[u8]) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut f = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        f.write_all(content)?;
        f.sync_all()?;
        std::fs::rename(&temporary, file)
    };
    write().map_err(|e| io_error(file, "written", &e))
}

/// What a file of the folder is bound to where it is encrypted.
fn place(file: &Path) -> Vec<u8> {
    [b"file ", file.file_name().unwrap_or_default().as_encoded_bytes()].concat()
}

/// As [`write_secret`], encrypted where the folder is.
///
/// # Errors
/// `Source` where the file cannot be written.
pub fn write_sealed(vault: Option<&Vault>, file: &Path, content: &[u8]) -> Result<()> {
    match vault {
        None => write_secret(file, content),
        Some(vault) => write_secret(file, &vault.seal(&place(file), content)?),
    }
}

/// What [`write_sealed`] wrote; `None` where the file is not there. One that is not encrypted with
/// the current data key is written anew.
///
/// # Errors
/// `Source` where the file cannot be read, `Corrupt` where it is not what was written.
pub fn read_sealed(vault: Option<&Vault>, file: &Path) -> Result<Option<Vec<u8>>> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error(file, "read", &e)),
    };
    let Some(vault) = vault else { return Ok(Some(bytes)) };
    let plain = match evercube_vault::is_sealed(&bytes) {
        false => bytes.clone(),
        true => vault
            .open_sealed(&place(file), &bytes)
            .map_err(|e| e.context(format!("the file {}", file.display())))?,
    };
    if !vault.is_current(&bytes) {
        write_sealed(Some(vault), file, &plain)?;
    }
    Ok(Some(plain))
}

/// The peer address the folder remembers, so that a restarted server is found where it was.
pub fn remembered_peer_address(data_dir: &Path) -> Option<String> {
    let bytes = std::fs::read(data_dir.join("server.json")).ok()?;
    serde_json::from_slice::<ServerIdentity>(&bytes).ok().map(|i| i.peer_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_group_begins_where_data_lies_without_its_metadata() {
        let folder = tempfile::tempdir().unwrap();
        require_no_data(folder.path()).unwrap();
        let objects = folder.path().join("store/objects");
        std::fs::create_dir_all(&objects).unwrap();
        require_no_data(folder.path()).unwrap();
        std::fs::create_dir(objects.join("ab")).unwrap();
        let refused = require_no_data(folder.path()).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict);
        assert!(refused.message.contains("--join"), "{refused}");
    }
}
