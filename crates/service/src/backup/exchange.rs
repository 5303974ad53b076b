//! Backups under bare names between the members: asked for, sent, fetched.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backup::kept::{self, Ask, Copy, Piece};
use crate::backup::{Found, Target};
use crate::objects::{blocking, data_peers};
use crate::service::Service;

const QUICK: Duration = Duration::from_secs(3);
const PATIENT: Duration = Duration::from_secs(30);

impl Service {
    /// The group's own folder on this server.
    pub(crate) fn backup_folder(&self) -> PathBuf {
        self.config.data_dir.join("backup")
    }

    /// Answers another member: `stat`, `put`, `get`.
    pub(crate) async fn answer_backup(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>> {
        let folder = self.backup_folder();
        match operation {
            "stat" => {
                let name: String = decode(body)?;
                blocking(move || encode(&kept::copy(&folder, &name)?)).await
            }
            "put" => {
                let piece: Piece = decode(body)?;
                blocking(move || kept::put(&folder, &piece).map(|()| Vec::new())).await
            }
            "get" => {
                let ask: Ask = decode(body)?;
                blocking(move || kept::get(&folder, &ask)).await
            }
            "list" => blocking(move || encode(&kept::names(&folder)?)).await,
            "remove" => {
                let name: String = decode(body)?;
                blocking(move || kept::remove(&folder, &name).map(|()| Vec::new())).await
            }
            other => Err(Error::not_found(format!("there is no backup operation '{other}'"))),
        }
    }

    async fn own_copy(&self, name: &str) -> Result<Option<Copy>> {
        let (folder, name) = (self.backup_folder(), name.to_owned());
        blocking(move || kept::copy(&folder, &name)).await
    }

    /// Which other members hold a backup; one that is away holds none.
    async fn copies_elsewhere(&self, name: &str) -> Result<Vec<(String, Copy)>> {
        let body = encode(&name)?;
        let ask = |address: String| {
            let body = body.clone();
            async move {
                let answer =
                    self.transport.call(&address, "backup/stat", body, QUICK).await.ok()?;
                let copy: Option<Copy> = decode(&answer).ok()?;
                copy.map(|c| (address, c))
            }
        };
        let asked = self.data_peers().into_iter().map(ask);
        Ok(futures::future::join_all(asked).await.into_iter().flatten().collect())
    }

    /// Whether any member that answers holds a backup of this name.
    pub(crate) async fn any_copy(&self, name: &str) -> Result<bool> {
        Ok(self.own_copy(name).await?.is_some() || !self.copies_elsewhere(name).await?.is_empty())
    }

    /// The backups in the group's own folder, on whichever members that answer.
    pub(crate) async fn list_own(&self) -> Result<Vec<Found>> {
        let folder = self.backup_folder();
        let mut all = blocking(move || kept::names(&folder)).await?;
        for address in self.data_peers() {
            let asked = self.transport.call(&address, "backup/list", Vec::new(), QUICK).await;
            let there: Result<Vec<(String, Copy)>> = asked.and_then(|a| decode(&a));
            all.extend(there.unwrap_or_default());
        }
        let mut newest: BTreeMap<String, Copy> = BTreeMap::new();
        for (name, copy) in all {
            let known = newest.entry(name).or_insert(copy);
            if copy.modified > known.modified {
                *known = copy;
            }
        }
        let found = newest.into_iter().map(|(name, copy)| Found {
            target: Target::Own(name.clone()),
            name,
            length: copy.length,
            modified_micros: copy.modified,
        });
        Ok(found.collect())
    }

    /// Removes a backup from the own folder of every member that answers.
    pub(crate) async fn remove_own(&self, name: &str) -> Result<()> {
        let (folder, own) = (self.backup_folder(), name.to_owned());
        blocking(move || kept::remove(&folder, &own)).await?;
        let body = encode(&name)?;
        for (address, _) in self.copies_elsewhere(name).await? {
            self.transport.call(&address, "backup/remove", body.clone(), QUICK).await?;
        }
        Ok(())
    }

    /// Makes the copy that is here, just written, the one that counts, whatever clocks say.
    pub(crate) async fn count_own_copy(&self, name: &str) -> Result<()> {
        let elsewhere = self.copies_elsewhere(name).await?;
        let newest = elsewhere.iter().map(|(_, c)| c.modified).max();
        let here = self.own_copy(name).await?;
        let Some(newest) = newest.filter(|n| here.is_some_and(|h| h.modified <= *n)) else {
            return Ok(());
        };
        let (folder, name) = (self.backup_folder(), name.to_owned());
        blocking(move || kept::set_modified(&folder, &name, newest.saturating_add(1))).await
    }

    /// Makes the newest copy of a backup the one that is here.
    pub(crate) async fn bring_backup_here(&self, name: &str) -> Result<()> {
        let here = self.own_copy(name).await?;
        let elsewhere = self.copies_elsewhere(name).await?;
        let newest = elsewhere.into_iter().max_by_key(|(_, c)| c.modified);
        let newer = newest.filter(|(_, c)| here.is_none_or(|h| c.modified > h.modified));
        let Some((address, of)) = newer else {
            return match here {
                Some(_) => Ok(()),
                None => Err(Error::not_found(format!(
                    "there is no backup '{name}' in the group's own folder on any server that answers; a backup elsewhere is named by its path or az://container/name"
                ))),
            };
        };
        let sending = sending()?;
        let mut offset = 0;
        while offset < of.length {
            let ask = encode(&Ask { name: name.to_owned(), offset, of })?;
            let bytes = self.transport.call(&address, "backup/get", ask, PATIENT).await?;
            if bytes.is_empty() {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("{address} sent less of the backup '{name}' than it has"),
                ));
            }
            let piece = Piece { name: name.to_owned(), sending, offset, of, bytes };
            offset += piece.bytes.len() as u64;
            let folder = self.backup_folder();
            blocking(move || kept::put(&folder, &piece)).await?;
        }
        Ok(())
    }

    /// Brings the backup that is here to a second member; `false` where there is no other. Members
    /// of another failure domain come first.
    pub(crate) async fn send_backup_on(&self, name: &str) -> Result<bool> {
        let state = self.metastore.state();
        let me = self.receipt().member;
        let own_domain = state.failure_domain(me);
        let mut peers = data_peers(&state, me);
        peers.sort_by_key(|(id, _)| state.failure_domain(*id) == own_domain);
        let mut last = None;
        for (_, member) in peers {
            match self.send_to(&member.peer_address, name).await {
                Ok(()) => return Ok(true),
                Err(e) => last = Some(e.context(&member.name)),
            }
        }
        last.map_or(Ok(false), Err)
    }

    async fn send_to(&self, address: &str, name: &str) -> Result<()> {
        let of = self.own_copy(name).await?;
        let of = of.ok_or_else(|| Error::not_found(format!("the backup '{name}' is gone")))?;
        let sending = sending()?;
        let mut offset = 0;
        while offset < of.length {
            let ask = Arc::new(Ask { name: name.to_owned(), offset, of });
            let folder = self.backup_folder();
            let bytes = blocking(move || kept::get(&folder, &ask)).await?;
            let sent = bytes.len() as u64;
            if sent == 0 {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("the backup '{name}' became shorter while it was sent"),
                ));
            }
            let piece = encode(&Piece { name: name.to_owned(), sending, offset, of, bytes })?;
            self.transport.call(address, "backup/put", piece, PATIENT).await?;
            offset += sent;
        }
        Ok(())
    }
}

fn sending() -> Result<u64> {
    let mut bytes = [0u8; 8];
    crate::seal::random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(value)
        .map_err(|e| Error::internal(format!("a request about a backup could not be written: {e}")))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes)
        .map_err(|e| Error::invalid(format!("a request about a backup cannot be read: {e}")))
}
