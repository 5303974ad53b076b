//! The names of the files in a repository.

use evercube_base::Result;
use evercube_store::Hash;

use super::keys::Keys;
use crate::backup::header::{BackupHeader, History};
use crate::backup::preamble::damaged;

/// Where an object is kept. Each time it is written it gets another `file`, eight digits drawn by
/// chance: what is deleted is never what somebody writes in that moment.
pub fn object(id: &Hash, file: &str) -> String {
    let id = hex::encode(id);
    format!("obj/{}/{id}-{file}", id.get(..2).unwrap_or_default())
}

/// Id, in hexadecimal, and file of an object.
pub fn parse_object(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("obj/")?.get(3..)?.split_once('-')
}

/// The name of a manifest: of which database, history and version it is, and which of several of
/// that version.
///
/// The database stands as a keyed hash, so that the name tells nothing without the password. A
/// version that is shipped by itself has one name only, whoever ships it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName {
    pub database: String,
    pub history: History,
    pub seq: u64,
    /// Microseconds since 1970; of a version that is shipped by itself, when it was committed.
    pub created_micros: i64,
    /// `log`, or sixteen digits of the request that asked for it.
    pub which: String,
}

pub const LOG: &str = "log";

impl SnapshotName {
    pub fn of(header: &BackupHeader, keys: &Keys) -> Self {
        let which = if header.log {
            LOG.to_owned()
        } else {
            digits(blake3::hash(header.request.as_bytes()).as_bytes())
        };
        Self {
            database: database(&header.database, &header.cluster, keys),
            history: header.history,
            seq: header.seq,
            created_micros: header.created_micros,
            which,
        }
    }

    /// Its last part.
    pub fn file(&self) -> String {
        let History { incarnation, branch } = self.history;
        let (seq, created) = (self.seq, self.created_micros);
        format!("{incarnation:08x}-{branch:016x}-{seq:016x}-{created:016x}-{}", self.which)
    }

    pub fn path(&self) -> String {
        format!("man/{}/{}", self.database, self.file())
    }

    /// Where the result of its last verification is.
    pub fn proved(&self) -> String {
        format!("ok/{}/{}", self.database, self.file())
    }

    /// Where it waits to be forgotten.
    pub fn gone(&self) -> String {
        format!("gone/{}/{}", self.database, self.file())
    }

    /// What it is called where nothing else names it.
    pub fn text(&self) -> String {
        format!("{}/{}", self.database, self.file())
    }

    pub fn is_log(&self) -> bool {
        self.which == LOG
    }

    /// Reads the name of a file in one of the folders of manifests, proofs and what is gone.
    ///
    /// # Errors
    /// `Corrupt` where it is no such name.
    pub fn of_file(path: &str) -> Result<Self> {
        Self::parse(path.split_once('/').map_or(path, |(_, name)| name))
    }

    /// Reads `DATABASE/FILE`, as it follows `man/`.
    pub fn parse(text: &str) -> Result<Self> {
        let read = || {
            let (database, file) = text.split_once('/')?;
            let mut parts = file.splitn(5, '-');
            let number = |part: Option<&str>| u64::from_str_radix(part?, 16).ok();
            let history =
                History { incarnation: number(parts.next())?, branch: number(parts.next())? };
            let seq = number(parts.next())?;
            let name = Self {
                database: database.to_owned(),
                history,
                seq,
                created_micros: i64::try_from(number(parts.next())?).ok()?,
                which: parts.next()?.to_owned(),
            };
            (name.text() == text).then_some(name)
        };
        read().ok_or_else(|| damaged(&format!("man/{text} is no name of a manifest")))
    }
}

/// A database of one group. Those of two groups are kept apart, whatever they are called.
fn database(name: &str, cluster: &str, keys: &Keys) -> String {
    let text = format!("database\n{cluster}\n{}", name.to_lowercase());
    digits(&keys.id_of(blake3::hash(text.as_bytes()).as_bytes()))
}

fn digits(hash: &Hash) -> String {
    hash.iter().take(8).map(|b| format!("{b:02x}")).collect()
}
