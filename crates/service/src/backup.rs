//! Backups: one version of a database as one file, complete, compressed, checked, encrypted where
//! a password is given.

pub mod archive;
mod foreign;
mod frame;
pub mod header;
pub mod preamble;
#[cfg(test)]
mod tests;

pub use self::header::{BackupHeader, BackupSummary, ObjectEntry};
