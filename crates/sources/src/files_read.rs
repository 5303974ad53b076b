//! The files a source was read from, as they were then: whether they changed since.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

/// A file as it was when it was opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileMark {
    pub path: PathBuf,
    pub length: u64,
    pub modified_micros: u64,
}

impl FileMark {
    /// `None` for what has no content of its own, as a pipe, and for what is not there.
    pub fn of(path: &Path) -> Option<Self> {
        let facts = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let since = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let modified_micros = u64::try_from(since.as_micros()).ok()?;
        Some(Self { path: path.to_owned(), length: facts.len(), modified_micros })
    }

    /// Whether the file is still what it was.
    pub fn holds(&self) -> bool {
        Self::of(&self.path).as_ref() == Some(self)
    }
}

/// Opens a file of a source. A pipe has what another program writes; a device has no end.
pub(crate) fn open_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        return Err(std::io::Error::other("it is a device, not a file"));
    }
    File::open(path)
}

/// Collects the files that are opened.
#[derive(Debug, Clone, Default)]
pub struct FilesRead(Arc<Mutex<Vec<FileMark>>>);

impl FilesRead {
    /// Notes a file before it is read.
    pub(crate) fn note(&self, path: &Path) {
        if let Some(mark) = FileMark::of(path) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
        }
    }

    /// The files so far, each once.
    pub fn marks(&self) -> Vec<FileMark> {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        marks.sort();
        marks.dedup();
        marks
    }
}
