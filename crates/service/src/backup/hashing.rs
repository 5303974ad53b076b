//! The hash of a whole backup, taken while it passes.

use std::io::{Read, Result, Write};

use evercube_store::Hash;

/// Hashes what is read or written through it.
pub struct Hashing<T> {
    inner: T,
    hasher: blake3::Hasher,
    passed: u64,
}

impl<T> Hashing<T> {
    pub fn new(inner: T) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), passed: 0 }
    }

    /// Hash and number of the bytes so far.
    pub fn content(&self) -> (Hash, u64) {
        (*self.hasher.finalize().as_bytes(), self.passed)
    }

    pub fn into_inner(self) -> T {
        self.inner
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.passed += bytes.len() as u64;
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n = self.inner.read(buffer)?;
        self.pass(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let n = self.inner.write(bytes)?;
        self.pass(bytes.get(..n).unwrap_or_default());
        Ok(n)
    }
    fn flush(&mut self) -> Result<()> {
        self.inner.flush()
    }
}
