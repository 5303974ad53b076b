//! The files of a repository, in a folder of a disk or below a prefix of object storage.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use evercube_base::{Error, ErrorKind, Result};
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{
    Error as Cause, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    UpdateVersion, WriteMultipart,
};

use super::place::Base;
use crate::backup::cloud::{self, BLOCK};
use crate::backup::connect::connect;
use crate::backup::frame::writing;
use crate::backup::local::{NewFile, failed, is_leftover};
use crate::backup::target::CloudPlace;
use crate::objects::blocking;

/// Files up to this length are sent with one request.
const WHOLE: usize = 16 << 20;
/// Parts of one file that are sent at the same time.
const PARTS: usize = 2;

/// A file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    pub length: u64,
    /// When it was written by the clock of the storage, microseconds since 1970.
    pub modified: i64,
}

#[derive(Debug)]
pub enum Store {
    Folder(PathBuf),
    Cloud { at: CloudPlace, root: Path, store: Arc<dyn ObjectStore> },
}

impl Store {
    pub async fn at(base: &Base) -> Result<Self> {
        Ok(match base {
            Base::Folder(path) => Self::Folder(path.clone()),
            Base::Cloud(at) => {
                let root = Path::parse(&at.name)
                    .map_err(|e| Error::invalid(format!("'{}' is no place: {e}", at.describe())))?;
                Self::Cloud { at: at.clone(), root, store: connect(at)? }
            }
        })
    }

    pub fn place(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Cloud { at, .. } => at.describe(),
        }
    }

    /// The bytes of a file; `None` where it is not there.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                blocking(move || match std::fs::read(&path) {
                    Ok(bytes) => Ok(Some(bytes.into())),
                    Err(e) if is_absent(&e) => Ok(None),
                    Err(e) => Err(failed("read", &path, &e)),
                })
                .await
            }
            Self::Cloud { at, root, store } => {
                let got = async { store.get(&below(root, name)).await?.bytes().await };
                match got.await {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(e @ Cause::NotFound { .. }) => match cloud::failed(at, "read", &e) {
                        e if e.message.contains("does not exist; make it first") => Err(e),
                        _ => Ok(None),
                    },
                    Err(e) => Err(cloud::failed(at, "read", &e)),
                }
            }
        }
    }

    /// Writes a file, in place of one that is there.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        match self {
            Self::Folder(folder) => write(folder.join(name), bytes, true).await.map(|_| ()),
            Self::Cloud { at, root, store } => {
                let path = below(root, name);
                let failed = |e: Cause| cloud::failed(at, "written", &e);
                if bytes.len() <= WHOLE {
                    let options = PutOptions::from(PutMode::Overwrite);
                    store.put_opts(&path, bytes.into(), options).await.map_err(failed)?;
                    return Ok(());
                }
                let upload = store.put_multipart(&path).await.map_err(failed)?;
                let mut upload = WriteMultipart::new_with_chunk_size(upload, BLOCK);
                let mut rest = Bytes::from(bytes);
                while !rest.is_empty() {
                    upload.wait_for_capacity(PARTS).await.map_err(failed)?;
                    upload.put(rest.split_to(rest.len().min(BLOCK)));
                }
                upload.finish().await.map_err(failed)?;
                Ok(())
            }
        }
    }

    /// Writes a file that must not be there; `false` where another one is. One that holds these
    /// very bytes is this one: its answer was lost.
    pub async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool> {
        match self {
            Self::Folder(folder) => write(folder.join(name), bytes, false).await,
            Self::Cloud { at, root, store } => {
                let payload = PutPayload::from(Bytes::from(bytes.clone()));
                let options = PutOptions::from(PutMode::Create);
                match store.put_opts(&below(root, name), payload, options).await {
                    Ok(_) => Ok(true),
                    Err(Cause::AlreadyExists { .. } | Cause::Precondition { .. }) => {
                        match self.get(name).await? {
                            Some(there) => Ok(there == bytes),
                            None => Err(Error::new(
                                ErrorKind::Source,
                                format!(
                                    "{} refused {name} as being there, and it is not; try again",
                                    self.place()
                                ),
                            )),
                        }
                    }
                    Err(e) => Err(cloud::failed(at, "written", &e)),
                }
            }
        }
    }

    /// Writes a file in place of one that holds `old`, and of no other where the storage can tell.
    pub async fn replace(&self, name: &str, old: &[u8], new: Vec<u8>) -> Result<()> {
        let changed = || {
            Error::new(
                ErrorKind::Conflict,
                format!("{name} at {} was changed meanwhile; try again", self.place()),
            )
        };
        let Self::Cloud { at, root, store } = self else {
            return match self.get(name).await? {
                Some(there) if there == old => self.put(name, new).await,
                _ => Err(changed()),
            };
        };
        let path = below(root, name);
        let failed = |e: Cause| match e {
            Cause::Precondition { .. } | Cause::AlreadyExists { .. } => changed(),
            e => cloud::failed(at, "written", &e),
        };
        let there = store.get(&path).await.map_err(failed)?;
        let version = UpdateVersion { e_tag: there.meta.e_tag.clone(), version: None };
        if there.bytes().await.map_err(failed)? != old {
            return Err(changed());
        }
        let options = PutOptions::from(PutMode::Update(version));
        match store.put_opts(&path, new.clone().into(), options).await {
            Ok(_) => Ok(()),
            Err(Cause::NotImplemented { .. } | Cause::NotSupported { .. }) => {
                self.put(name, new).await
            }
            Err(e) => Err(failed(e)),
        }
    }

    /// The files below a folder of the repository, by their names in it.
    pub async fn list(&self, folder: &str) -> Result<BTreeMap<String, Listed>> {
        match self {
            Self::Folder(root) => {
                let (root, from) = (root.clone(), root.join(folder));
                blocking(move || listed_below(&root, &from)).await
            }
            Self::Cloud { at, root, store } => {
                let from = if folder.is_empty() { root.clone() } else { below(root, folder) };
                let all: Vec<ObjectMeta> = store
                    .list(Some(&from))
                    .try_collect()
                    .await
                    .map_err(|e| cloud::failed(at, "listed", &e))?;
                let start = root.as_ref().len() + 1;
                let named = all.into_iter().filter_map(|o| {
                    let name = o.location.as_ref().get(start..)?.to_owned();
                    let modified = o.last_modified.timestamp_micros();
                    Some((name, Listed { length: o.size, modified }))
                });
                Ok(named.collect())
            }
        }
    }

    /// Removes what servers that were killed left in the middle of being written; object storage has
    /// no such files.
    pub async fn remove_leftovers(&self) -> Result<()> {
        let Self::Folder(root) = self else { return Ok(()) };
        let root = root.clone();
        blocking(move || {
            walk(&root, &mut |path, facts| {
                if is_leftover(&path, facts) {
                    let _another_time = std::fs::remove_file(path);
                }
            })
        })
        .await
    }

    /// Removes a file; one that is gone already is as good.
    pub async fn delete(&self, name: &str) -> Result<()> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                blocking(move || match std::fs::remove_file(&path) {
                    Err(e) if !is_absent(&e) => Err(failed("removed", &path, &e)),
                    _ => Ok(()),
                })
                .await
            }
            Self::Cloud { at, root, store } => match store.delete(&below(root, name)).await {
                Ok(()) | Err(Cause::NotFound { .. }) => Ok(()),
                Err(e) => Err(cloud::failed(at, "removed", &e)),
            },
        }
    }
}

fn below(root: &Path, name: &str) -> Path {
    name.split('/').fold(root.clone(), |path, part| path.join(part))
}

fn is_absent(e: &std::io::Error) -> bool {
    matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Brings a file to the disk; whether it was written.
async fn write(path: PathBuf, bytes: Vec<u8>, overwrite: bool) -> Result<bool> {
    blocking(move || {
        if !overwrite && path.exists() {
            return Ok(false);
        }
        let mut file = NewFile::begin(&path, overwrite)?;
        file.write_all(&bytes).map_err(|e| writing(&e))?;
        match file.keep() {
            Ok(()) => Ok(true),
            Err(e) if e.kind == ErrorKind::Conflict && !overwrite => Ok(false),
            Err(e) => Err(e),
        }
    })
    .await
}

/// Gives each file below a folder. Folders that links lead to are nothing of the repository's: what is
/// listed may be removed.
fn walk(from: &FilePath, each: &mut dyn FnMut(PathBuf, &std::fs::Metadata)) -> Result<()> {
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(e) if is_absent(&e) => return Ok(()),
        Err(e) => return Err(failed("listed", from, &e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| failed("listed", from, &e))?.path();
        match std::fs::metadata(&path) {
            Ok(facts) if !facts.is_dir() => each(path, &facts),
            Ok(_) if path.is_symlink() => {}
            Ok(_) => walk(&path, each)?,
            // It went meanwhile.
            Err(e) if is_absent(&e) => {}
            Err(e) => return Err(failed("listed", &path, &e)),
        }
    }
    Ok(())
}

/// The files below a folder of a repository, by their names in it.
fn listed_below(root: &FilePath, from: &FilePath) -> Result<BTreeMap<String, Listed>> {
    let mut found = BTreeMap::new();
    walk(from, &mut |path, facts| {
        let name = path.strip_prefix(root).ok().and_then(FilePath::to_str);
        let is_part = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if let Some(name) = name.filter(|_| !is_part) {
            let since = facts.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            let modified = since.and_then(|d| i64::try_from(d.as_micros()).ok()).unwrap_or(0);
            found.insert(name.to_owned(), Listed { length: facts.len(), modified });
        }
    })?;
    Ok(found)
}
