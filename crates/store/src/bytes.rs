//! Bytes shared by all who read them: of memory, or of a file that is mapped.

use std::ops::Deref;
use std::sync::Arc;

use crate::mapped_file::MappedFile;

#[derive(Debug, Clone)]
enum Owner {
    Memory(Arc<Vec<u8>>),
    File(Arc<MappedFile>),
}

/// A part of some bytes.
#[derive(Debug, Clone)]
pub struct Bytes {
    owner: Owner,
    start: usize,
    end: usize,
}

impl Bytes {
    /// All of the memory these bytes are a part of; `None` where they are a file's.
    pub(crate) fn memory(&self) -> Option<&Arc<Vec<u8>>> {
        match &self.owner {
            Owner::Memory(bytes) => Some(bytes),
            Owner::File(_) => None,
        }
    }

    /// A part of these bytes, cut to what is there.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Self {
        let end = (self.start + end).min(self.end);
        Self { owner: self.owner.clone(), start: (self.start + start).min(end), end }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { owner: Owner::Memory(Arc::new(bytes)), start: 0, end }
    }
}

impl From<MappedFile> for Bytes {
    fn from(file: MappedFile) -> Self {
        let end = file.len();
        Self { owner: Owner::File(Arc::new(file)), start: 0, end }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.owner {
            Owner::Memory(bytes) => bytes,
            Owner::File(file) => file,
        };
        &all[self.start..self.end]
    }
}
