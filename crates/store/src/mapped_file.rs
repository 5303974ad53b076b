//! Files as memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

/// A file of the object directory, readable as memory.
#[derive(Debug)]
pub(crate) struct MappedFile(Mmap);

impl MappedFile {
    /// Maps an object's file. Nobody writes to such a file once it has its name.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: an object's file gets its name when it is whole and synced, and is never written
        // again, only unlinked, which leaves the mapping as it is. Someone who cuts the file short
        // from outside ends the process by a signal; no memory of it is changed.
        unsafe { Mmap::map(&file) }.map(Self)
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
