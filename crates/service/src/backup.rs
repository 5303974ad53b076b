//! Backups: one version of a database as one file, complete, compressed, checked, encrypted where
//! a password is given.

pub mod archive;
mod cloud;
mod connect;
mod exchange;
mod folder;
mod foreign;
mod frame;
mod hashing;
pub mod header;
mod keep;
pub(crate) mod kept;
pub(crate) mod local;
pub mod named;
mod pipe;
pub mod preamble;
mod probe;
mod read_back;
pub mod repository;
pub mod slots;
pub mod target;
#[cfg(test)]
mod tests;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use evercube_base::{Error, Result};
use evercube_store::Hash;
use tokio::task::JoinHandle;

use self::archive::{ArchiveReader, ArchiveWriter};
use self::cloud::Blob;
pub use self::folder::{Found, list, remove};
use self::hashing::Hashing;
pub use self::header::{BackupHeader, BackupSummary, ObjectEntry};
pub use self::keep::Keep;
pub use self::named::NamedTargets;
use self::preamble::{Chance, KdfCost, Preamble, Secrets};
pub use self::probe::{Check, ProbeReport};
pub use self::read_back::ReadBack;
pub use self::target::Target;
use crate::objects::blocking;

/// How a backup is written.
#[derive(Clone, Default)]
pub struct Options {
    pub password: Option<String>,
    /// What a file is sealed under that has no password.
    pub keys: Option<slots::Keys>,
    pub overwrite: bool,
    /// The group's own folder on this server.
    pub own_folder: PathBuf,
    /// Name of this server.
    pub server: String,
    /// In a repository, which reads back while it writes.
    pub read_back: ReadBack,
}

/// A backup that was written, and where it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub summary: BackupSummary,
    pub target: Target,
}

/// Writes a backup. `objects` gives the objects of the header one after the other; a backup that
/// fails on the way leaves nothing behind but, in a repository, objects that the next one finds.
pub async fn write(
    target: &Target,
    header: BackupHeader,
    options: Options,
    objects: impl FnMut(&Hash) -> Result<Vec<u8>> + Send + 'static,
) -> Result<Placed> {
    let target = target.for_database(&header.database);
    let summary = match &target {
        // On the heap: what it keeps while it waits is large.
        Target::Repository(place) => {
            return Box::pin(repository::add(place, header, options, objects)).await;
        }
        Target::Cloud(at) => {
            let blob = Blob::for_backup(at)?;
            blob.check_free(options.overwrite).await?;
            upload(&blob, header, options, objects).await?
        }
        Target::File(path) => write_file(path.clone(), header, options, objects).await?,
        Target::Own(name) => {
            write_file(options.own_folder.join(name), header, options, objects).await?
        }
    };
    Ok(Placed { summary, target })
}

async fn write_file(
    path: PathBuf,
    header: BackupHeader,
    options: Options,
    objects: impl FnMut(&Hash) -> Result<Vec<u8>> + Send + 'static,
) -> Result<BackupSummary> {
    blocking(move || {
        let file = local::NewFile::create(&path, options.overwrite)?;
        let (file, summary) = write_to(file, header, &options, objects)?;
        file.keep()?;
        Ok(summary)
    })
    .await
}

/// Tests whether backups can be kept at a place; what is written for that is removed again.
pub async fn test(target: &Target, own_folder: &Path) -> Result<ProbeReport> {
    let folder = match (target.cloud_place(), target.path()) {
        (Some(at), _) => {
            let prefix = object_store::path::Path::parse(at.name.trim_end_matches('/'))
                .map_err(|e| Error::invalid(format!("'{}' is no place: {e}", at.describe())))?;
            return probe::probe(at.describe(), connect::connect(at)?, &prefix).await;
        }
        (None, Some(path)) => path.to_owned(),
        (None, None) => own_folder.to_owned(),
    };
    let place = folder.display().to_string();
    let made = folder.clone();
    let store = blocking(move || {
        let made_so = std::fs::create_dir_all(&made).map_err(|e| e.to_string());
        let opened = made_so.and_then(|()| {
            object_store::local::LocalFileSystem::new_with_prefix(&made).map_err(|e| e.to_string())
        });
        Ok(opened.map(|store| store.with_automatic_cleanup(true)))
    });
    let store = match store.await? {
        Ok(store) => std::sync::Arc::new(store),
        Err(why) => return Ok(probe::no_folder(place, &why)),
    };
    probe::probe(place, store, &Default::default()).await
}

async fn upload(
    blob: &Blob,
    header: BackupHeader,
    options: Options,
    objects: impl FnMut(&Hash) -> Result<Vec<u8>> + Send + 'static,
) -> Result<BackupSummary> {
    let overwrite = options.overwrite;
    let (out, pieces) = pipe::writer(cloud::BLOCK);
    let mut writing: JoinHandle<Result<BackupSummary>> = tokio::task::spawn_blocking(move || {
        write_to(out, header, &options, objects).map(|(_, summary)| summary)
    });
    let mut written = None;
    let finished = async {
        let outcome = ended(&mut writing).await;
        let complete = outcome.is_ok();
        written = Some(outcome);
        complete
    };
    let uploaded = blob.upload(pieces, finished, overwrite).await;
    // Where the upload failed, the writer only says that nobody takes its bytes any more.
    uploaded?;
    match written {
        Some(outcome) => outcome,
        None => ended(&mut writing).await,
    }
}

async fn ended<T>(task: &mut JoinHandle<Result<T>>) -> Result<T> {
    task.await
        .unwrap_or_else(|e| Err(Error::internal(format!("a background task ended early: {e}"))))
}

fn write_to<W: Write>(
    out: W,
    header: BackupHeader,
    options: &Options,
    mut objects: impl FnMut(&Hash) -> Result<Vec<u8>>,
) -> Result<(W, BackupSummary)> {
    let chance = Chance::draw()?;
    let preamble = match (&options.password, &options.keys) {
        (None, Some(keys)) => Preamble::sealed(keys, &chance)?,
        (password, _) => Preamble::new(password.as_deref(), KdfCost::default(), &chance)?,
    };
    let hashes: Vec<Hash> = header.objects.iter().map(|o| o.hash).collect();
    let mut archive = ArchiveWriter::new(Hashing::new(out), preamble, header)?;
    for hash in &hashes {
        archive.object(&objects(hash)?)?;
    }
    let (out, summary) = archive.finish()?;
    let (content, _) = out.content();
    Ok((out.into_inner(), BackupSummary { content, ..summary }))
}

/// Takes what a backup holds, piece by piece.
pub trait Sink: Send + 'static {
    /// Sees the header first; an error stops before any object is read.
    fn begin(&mut self, header: &BackupHeader) -> Result<()>;
    /// Takes an object that has been checked against its name.
    fn object(&mut self, hash: Hash, content: Vec<u8>) -> Result<()>;
}

/// A backup that was read to its last byte and proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeBackup {
    pub header: BackupHeader,
    /// Hash of all its bytes, and how many there are.
    pub content: Hash,
    pub length: u64,
}

/// Reads a whole backup; what it was once the last byte of it is proved.
pub async fn read(
    source: &Target,
    secrets: Secrets,
    own_folder: &Path,
    sink: impl Sink,
) -> Result<WholeBackup> {
    if let Target::Repository(place) = source {
        let repository = place.open(secrets.password.as_deref()).await?;
        let snapshot = repository.snapshot(place.picked()?).await?;
        return Box::pin(repository.read(&snapshot, sink)).await;
    }
    with_reader(source, own_folder, move |input| read_all(input, &secrets, sink)).await
}

/// Reads the header of a backup and nothing of its objects.
pub async fn inspect(source: &Target, secrets: Secrets, own_folder: &Path) -> Result<BackupHeader> {
    if let Target::Repository(place) = source {
        let repository = place.open(secrets.password.as_deref()).await?;
        return Ok(repository.snapshot(place.picked()?).await?.header);
    }
    with_reader(source, own_folder, move |input| {
        Ok(ArchiveReader::open(input, &secrets)?.header().clone())
    })
    .await
}

/// Runs blocking work on the bytes of a backup, wherever it is.
async fn with_reader<T: Send + 'static>(
    source: &Target,
    own_folder: &Path,
    work: impl FnOnce(Box<dyn Read>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let path = match source {
        Target::Cloud(at) => {
            let blob = Blob::for_restore(at).await?;
            let (pieces, input) = pipe::reader();
            let working = blocking(move || work(Box::new(input)));
            return tokio::join!(blob.download(pieces), working).1;
        }
        Target::File(path) => path.clone(),
        Target::Own(name) => own_folder.join(name),
        Target::Repository(_) => {
            return Err(Error::internal("a repository was read as if it were a file"));
        }
    };
    blocking(move || {
        let path = local::file_for_restore(&path)?;
        work(Box::new(local::open(&path)?))
    })
    .await
}

fn read_all(input: Box<dyn Read>, secrets: &Secrets, mut sink: impl Sink) -> Result<WholeBackup> {
    let mut input = Hashing::new(input);
    let mut archive = ArchiveReader::open(&mut input, secrets)?;
    sink.begin(archive.header())?;
    while let Some((hash, content)) = archive.object()? {
        sink.object(hash, content)?;
    }
    let header = archive.header().clone();
    drop(archive);
    let (content, length) = input.content();
    Ok(WholeBackup { header, content, length })
}
