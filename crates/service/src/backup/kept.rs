//! Backups under bare names: files in a folder of the members, kept on two of them.
//!
//! Of several copies the one with the newest time counts; a copy has the time of the file it was
//! made from.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use evercube_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::backup::folder::list_files;
use crate::backup::local::{failed, failed_or_absent};
use crate::backup::target::Target;

/// Bytes of a backup that go between members at once.
pub const PIECE: usize = 4 << 20;

/// A file as a member holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    pub length: u64,
    /// Microseconds since 1970.
    pub modified: i64,
}

/// A part of a file on its way to another member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Piece {
    pub name: String,
    /// Chosen by the sender, so that two sendings do not mix.
    pub sending: u64,
    pub offset: u64,
    pub of: Copy,
    pub bytes: Vec<u8>,
}

/// A request for a part of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    pub name: String,
    pub offset: u64,
    pub of: Copy,
}

/// The file of a name; what is no bare name is refused, whoever asks.
fn file(folder: &Path, name: &str) -> Result<PathBuf> {
    match Target::parse(name, folder)? {
        Target::Own(name) => Ok(folder.join(name)),
        _ => Err(Error::invalid(format!("'{name}' is no name of a backup in the own folder"))),
    }
}

/// The backups held here.
pub fn names(folder: &Path) -> Result<Vec<(String, Copy)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let found = list_files(folder)?.into_iter();
    Ok(found.map(|f| (f.name, Copy { length: f.length, modified: f.modified_micros })).collect())
}

/// Removes the copy held here.
pub fn remove(folder: &Path, name: &str) -> Result<()> {
    let path = file(folder, name)?;
    match fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("removed", &path, &e)),
        _ => Ok(()),
    }
}

/// The copy held here.
pub fn copy(folder: &Path, name: &str) -> Result<Option<Copy>> {
    let path = file(folder, name)?;
    match fs::metadata(&path) {
        Ok(found) if found.is_file() => {
            Ok(Some(Copy { length: found.len(), modified: micros(found.modified().ok()) }))
        }
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("read", &path, &e)),
        _ => Ok(None),
    }
}

fn micros(time: Option<SystemTime>) -> i64 {
    let since = time.and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    since.and_then(|d| i64::try_from(d.as_micros()).ok()).unwrap_or(0)
}

fn time_of(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Gives a file held here another time.
pub fn set_modified(folder: &Path, name: &str, micros: i64) -> Result<()> {
    let path = file(folder, name)?;
    let set = || File::options().write(true).open(&path)?.set_modified(time_of(micros));
    set().map_err(|e| failed_or_absent(&path, &e))
}

/// Part of a file held here, as long as it is still the copy that is meant.
pub fn get(folder: &Path, ask: &Ask) -> Result<Vec<u8>> {
    let path = file(folder, &ask.name)?;
    if copy(folder, &ask.name)? != Some(ask.of) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("the backup '{}' was replaced while it was read; try again", ask.name),
        ));
    }
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(ask.offset))?;
        let mut bytes = Vec::new();
        file.take(PIECE as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|e| failed_or_absent(&path, &e))
}

/// Takes a piece; the last one gives the file its name.
pub fn put(folder: &Path, piece: &Piece) -> Result<()> {
    let path = file(folder, &piece.name)?;
    let part = folder.join(format!(".{}.{:016x}.part", piece.name, piece.sending));
    if piece.offset == 0 {
        fs::create_dir_all(folder).map_err(|e| failed("written", &path, &e))?;
        forget_abandoned(folder);
    }
    let done = append(&part, &path, piece);
    if done.is_err() {
        let _gone_already = fs::remove_file(&part);
    }
    done
}

fn append(part: &Path, path: &Path, piece: &Piece) -> Result<()> {
    let io = |e: std::io::Error| failed("written", path, &e);
    let mut options = File::options();
    let mut file = options.append(true).create(piece.offset == 0).open(part).map_err(io)?;
    let there = file.metadata().map_err(io)?.len();
    let after = piece.offset.saturating_add(piece.bytes.len() as u64);
    if there != piece.offset || after > piece.of.length {
        return Err(Error::invalid(format!(
            "a piece of the backup '{}' does not continue what is here",
            piece.name
        )));
    }
    file.write_all(&piece.bytes).map_err(io)?;
    if after < piece.of.length {
        return Ok(());
    }
    file.set_modified(time_of(piece.of.modified)).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(part, path).map_err(io)?;
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|f| f.sync_all()).map_err(io)
}

/// Removes parts of sendings that ended a day ago without an end.
fn forget_abandoned(folder: &Path) {
    let day = Duration::from_secs(24 * 3600);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_part = name.starts_with('.') && name.ends_with(".part");
        let modified = entry.metadata().and_then(|m| m.modified());
        if is_part && modified.is_ok_and(|t| t.elapsed().is_ok_and(|age| age > day)) {
            let _best_effort = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_to_another_folder_piece_by_piece() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let content: Vec<u8> = (0..PIECE + 10).map(|i| (i % 251) as u8).collect();
        fs::write(from.path().join("x.abf"), &content).unwrap();
        let of = copy(from.path(), "x.abf").unwrap().unwrap();
        let mut offset = 0;
        while offset < of.length {
            let bytes = get(from.path(), &Ask { name: "x.abf".into(), offset, of }).unwrap();
            let piece = Piece { name: "x.abf".into(), sending: 1, offset, of, bytes };
            put(to.path(), &piece).unwrap();
            offset += piece.bytes.len() as u64;
        }
        assert_eq!(fs::read(to.path().join("x.abf")).unwrap(), content);
        assert_eq!(copy(to.path(), "x.abf").unwrap(), Some(of));
        let gap = Piece { name: "y".into(), sending: 2, offset: 5, of, bytes: vec![1] };
        assert!(put(to.path(), &gap).is_err());
        for bad in ["../x", "/etc/passwd", "az://a/b"] {
            assert!(copy(to.path(), bad).is_err(), "{bad}");
        }
        fs::write(from.path().join("x.abf"), b"new").unwrap();
        let ask = Ask { name: "x.abf".into(), offset: 0, of };
        assert_eq!(get(from.path(), &ask).unwrap_err().kind, ErrorKind::Conflict);
    }
}
