//! The backups in a folder, on a disk or in object storage.

use std::io::Read;
use std::path::Path as FilePath;
use std::time::UNIX_EPOCH;

use evercube_base::{Error, Result};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::backup::cloud;
use crate::backup::connect::connect;
use crate::backup::local::failed;
use crate::backup::preamble::MAGIC;
use crate::backup::repository::{Listed, Pick, RepositoryPlace, SnapshotName};
use crate::backup::target::{CloudPlace, EXTENSION, Target};
use crate::objects::blocking;

/// A file that is a backup by its name or its first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub name: String,
    pub target: Target,
    pub length: u64,
    pub modified_micros: i64,
}

/// What is at a place: the backup it names, or those in the folder it names. Bare names are asked
/// of the members instead.
pub async fn list(target: &Target) -> Result<Vec<Found>> {
    let mut found = match target {
        Target::Cloud(at) => list_cloud(at).await?,
        Target::File(path) => {
            let path = path.clone();
            blocking(move || list_files(&path)).await?
        }
        Target::Own(_) => Vec::new(),
        Target::Repository(place) => return list_repository(place).await,
    };
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The backups of a repository, oldest version first.
async fn list_repository(place: &RepositoryPlace) -> Result<Vec<Found>> {
    let names = match &place.pick {
        Pick::One(name, _) => place.names().await?.into_iter().filter(|(n, _)| n == name).collect(),
        _ => place.names().await?,
    };
    let found = |(name, listed): (SnapshotName, Listed)| Found {
        name: name.text(),
        target: Target::Repository(place.one(name, None)),
        length: listed.length,
        modified_micros: listed.modified,
    };
    Ok(names.into_iter().map(found).collect())
}

/// The backups among the files of a folder, or the file itself.
pub fn list_files(path: &FilePath) -> Result<Vec<Found>> {
    let found = |path: &FilePath| {
        let facts = std::fs::metadata(path).ok().filter(|m| m.is_file())?;
        let name = path.file_name()?.to_str()?.to_owned();
        let since = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let modified_micros = i64::try_from(since.as_micros()).ok()?;
        let target = Target::File(path.to_owned());
        Some(Found { name, target, length: facts.len(), modified_micros })
    };
    if !path.is_dir() {
        return Ok(found(path).into_iter().collect());
    }
    let entries = std::fs::read_dir(path).map_err(|e| failed("listed", path, &e))?;
    let files = entries.filter_map(|e| found(&e.ok()?.path()));
    Ok(files.filter(|f| !f.name.starts_with('.') && is_backup(&path.join(&f.name))).collect())
}

fn is_backup(path: &FilePath) -> bool {
    let mut start = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|f| f.take(MAGIC.len() as u64).read_to_end(&mut start));
    named_so(&path.to_string_lossy()) || (read.is_ok() && start == MAGIC)
}

fn named_so(name: &str) -> bool {
    name.ends_with(&format!(".{EXTENSION}"))
}

async fn list_cloud(at: &CloudPlace) -> Result<Vec<Found>> {
    let store = connect(at)?;
    let unread = |e: object_store::Error| cloud::failed(at, "listed", &e);
    let prefix = Path::parse(at.name.trim_end_matches('/'))
        .map_err(|e| Error::invalid(format!("'{}' is no place: {e}", at.describe())))?;
    let found = |o: ObjectMeta, name: String| Found {
        name: o.location.filename().unwrap_or_default().to_owned(),
        target: Target::Cloud(CloudPlace { name, ..at.clone() }),
        length: o.size,
        modified_micros: o.last_modified.timestamp_micros(),
    };
    if !at.is_folder() {
        match store.head(&prefix).await {
            Ok(one) => return Ok(vec![found(one, at.name.clone())]),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(unread(e)),
        }
    }
    let within = Some(&prefix).filter(|p| !p.as_ref().is_empty());
    let objects: Vec<ObjectMeta> = store.list(within).try_collect().await.map_err(unread)?;
    let backups = objects.into_iter().filter(|o| named_so(o.location.as_ref()));
    let named = backups.map(|o| {
        let name = o.location.to_string();
        found(o, name)
    });
    Ok(named.collect())
}

/// Removes a backup; one that is gone already is as good.
pub async fn remove(target: &Target) -> Result<()> {
    match target {
        Target::Cloud(at) => {
            let path = Path::parse(&at.name)
                .map_err(|e| Error::invalid(format!("'{}' is no place: {e}", at.describe())))?;
            match connect(at)?.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(e) => Err(cloud::failed(at, "removed", &e)),
            }
        }
        Target::File(path) => {
            let path = path.clone();
            blocking(move || match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    Err(failed("removed", &path, &e))
                }
                _ => Ok(()),
            })
            .await
        }
        Target::Own(_) => Ok(()),
        Target::Repository(place) => place.forget().await,
    }
}
