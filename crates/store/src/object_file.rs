//! The file of one object: as its bytes are, or encrypted.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use evercube_base::{Error, ErrorKind, Result};
use evercube_vault::{Vault, plain_length};

use crate::bytes::Bytes;
use crate::mapped_file::MappedFile;
use crate::object_dir::{Hash, failed};

/// Bytes that are compared at a time.
const RUN: usize = 1 << 20;

/// Where an object's file lies, or would lie.
#[derive(Debug, Clone)]
pub(crate) struct ObjectFile<'a> {
    pub path: PathBuf,
    /// What it is encrypted with.
    pub vault: Option<&'a Vault>,
}

/// What an encrypted file is bound to: its name, so that two files cannot change places.
pub(crate) fn place(path: &Path) -> Vec<u8> {
    let stem = path.file_stem().unwrap_or_default();
    [b"object ", stem.as_encoded_bytes()].concat()
}

impl ObjectFile<'_> {
    fn unread(&self, e: &io::Error) -> Error {
        match e.kind() {
            io::ErrorKind::NotFound => Error::not_found(format!(
                "object {} is not on this server",
                self.path.file_name().unwrap_or_default().display()
            )),
            _ => failed("read", &self.path, e),
        }
    }

    /// An error of an encrypted file with its path.
    fn placed(&self, e: Error) -> Error {
        match e.kind {
            ErrorKind::Corrupt => e.context(format!("the file {}", self.path.display())),
            _ => e,
        }
    }

    fn open(&self) -> Result<(File, u64)> {
        let open = || -> io::Result<(File, u64)> {
            let file = File::open(&self.path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        open().map_err(|e| self.unread(&e))
    }

    pub fn length(&self) -> Result<u64> {
        let meta = fs::metadata(&self.path).map_err(|e| self.unread(&e))?;
        Ok(if self.vault.is_some() { plain_length(meta.len()) } else { meta.len() })
    }

    /// # Errors
    /// `NotFound`; `Corrupt` where it is encrypted and does not open.
    pub fn read(&self) -> Result<Vec<u8>> {
        let Some(vault) = self.vault else {
            return fs::read(&self.path).map_err(|e| self.unread(&e));
        };
        let (file, length) = self.open()?;
        let opened = vault.reader(&place(&self.path), file, length).and_then(|r| r.all());
        opened.map_err(|e| self.placed(e))
    }

    /// As [`ObjectFile::read`]: mapped, where the file holds the bytes as they are.
    pub fn map(&self) -> Result<Bytes> {
        match self.vault {
            Some(_) => self.read().map(Bytes::from),
            None => MappedFile::open(&self.path).map(Bytes::from).map_err(|e| self.unread(&e)),
        }
    }

    /// Hash and length of the bytes, read from the disk where that can be.
    pub fn digest(&self) -> Result<(Hash, u64)> {
        let (file, length) = self.open()?;
        // What the system remembers of the file says nothing about the disk.
        let _as_it_can = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        let mut hasher = blake3::Hasher::new();
        match self.vault {
            None => {
                hasher.update_reader(&file).map_err(|e| failed("read", &self.path, &e))?;
            }
            Some(vault) => self.each_piece(vault, file, length, |piece| {
                hasher.update(piece);
                true
            })?,
        }
        Ok((*hasher.finalize().as_bytes(), hasher.count()))
    }

    /// Calls `each` with piece after piece, until it says that it has enough.
    fn each_piece(
        &self,
        vault: &Vault,
        file: File,
        length: u64,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<()> {
        let reader = io::BufReader::with_capacity(RUN, file);
        let mut pieces =
            vault.reader(&place(&self.path), reader, length).map_err(|e| self.placed(e))?;
        let mut piece = Vec::new();
        while pieces.next_into(&mut piece).map_err(|e| self.placed(e))? && each(&piece) {
            piece.clear();
        }
        Ok(())
    }

    /// Whether it holds exactly these bytes.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        if !self.length().is_ok_and(|length| length == bytes.len() as u64) {
            return false;
        }
        let Ok((mut file, length)) = self.open() else { return false };
        let mut left = bytes;
        let mut same = |found: &[u8]| match left.strip_prefix(found) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        if let Some(vault) = self.vault {
            return self.each_piece(vault, file, length, same).is_ok() && left.is_empty();
        }
        let mut buffer = vec![0; bytes.len().min(RUN)];
        bytes.chunks(RUN).all(|expected| {
            let found = &mut buffer[..expected.len()];
            file.read_exact(found).is_ok() && same(found)
        })
    }

    pub fn write_to(&self, out: &mut File, bytes: &[u8]) -> io::Result<()> {
        match self.vault {
            None => out.write_all(bytes),
            Some(vault) => {
                let mut buffered = io::BufWriter::with_capacity(RUN, out);
                vault.seal_to(&place(&self.path), bytes, &mut buffered)?;
                buffered.flush()
            }
        }
    }
}
