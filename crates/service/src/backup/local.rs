//! Backups as files on the server's disk: there whole, or not at all.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};

use crate::backup::frame::writing;
use crate::backup::preamble::MAGIC;
use crate::backup::target::{file_name, only_backup};

/// The file a backup of `database` to `path` is written to.
pub fn file_for_backup(path: &Path, database: &str) -> PathBuf {
    let folder = path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/');
    if folder { path.join(file_name(database)) } else { path.to_owned() }
}

/// The file a restore from `path` reads.
pub fn file_for_restore(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let listed = fs::read_dir(path).map_err(|e| failed("read", path, &e))?;
    let names = listed.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    Ok(path.join(only_backup(&path.display().to_string(), names)?))
}

pub fn open(path: &Path) -> Result<BufReader<File>> {
    // A pipe or device may give bytes for ever, or none.
    let is = fs::metadata(path).map_err(|e| failed_or_absent(path, &e))?;
    if !is.is_file() {
        return Err(Error::invalid(format!("{} is no file, so no backup", path.display())));
    }
    let file = File::open(path).map_err(|e| failed_or_absent(path, &e))?;
    Ok(BufReader::with_capacity(1 << 18, file))
}

/// A file under a temporary name; gone again unless it is [kept](NewFile::keep).
#[derive(Debug)]
pub struct NewFile {
    out: Option<BufWriter<File>>,
    temporary: PathBuf,
    path: PathBuf,
    overwrite: bool,
}

impl NewFile {
    /// Begins a file; one that is there is refused unless it may be overwritten.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self> {
        if path.exists() {
            if !overwrite {
                return Err(exists(&path.display().to_string()));
            }
            only_backups_are_replaced(path)?;
        }
        let file = Self::begin(path, overwrite)?;
        remove_leftovers(path);
        Ok(file)
    }

    /// As [`NewFile::create`], of a file whose name tells whose it is.
    pub fn begin(path: &Path, overwrite: bool) -> Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::invalid(format!("'{}' is no name of a file", path.display())));
        };
        fs::create_dir_all(folder).map_err(|e| failed("written", path, &e))?;
        let mut number = [0u8; 8];
        crate::seal::random(&mut number)?;
        let start = temporary_start(&name.to_string_lossy());
        let temporary = folder.join(format!("{start}{}{PART}", hex::encode(number)));
        let file = File::create_new(&temporary).map_err(|e| failed("written", path, &e))?;
        let out = Some(BufWriter::with_capacity(1 << 18, file));
        Ok(Self { out, temporary, path: path.to_owned(), overwrite })
    }

    /// Brings the file to the disk and gives it its name.
    pub fn keep(mut self) -> Result<()> {
        if let Some(out) = self.out.take() {
            let file = out.into_inner().map_err(|e| writing(e.error()))?;
            file.sync_all().map_err(|e| writing(&e))?;
        }
        let named = if self.overwrite {
            fs::rename(&self.temporary, &self.path)
        } else {
            // Unlike a rename, a link never replaces a file that came up meanwhile.
            match fs::hard_link(&self.temporary, &self.path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    return Err(exists(&self.path.display().to_string()));
                }
                Err(_) if !self.path.exists() => fs::rename(&self.temporary, &self.path),
                linked => linked,
            }
        };
        named.map_err(|e| failed("written", &self.path, &e))?;
        if let Some(folder) = self.path.parent() {
            let synced = File::open(folder).and_then(|f| f.sync_all());
            synced.map_err(|e| failed("written", &self.path, &e))?;
        }
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.out.as_mut().map_or(Ok(0), |out| out.write(bytes))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.temporary);
    }
}

const PART: &str = ".part";
/// What was not written for so long was left by a server that was killed.
const LEFT: Duration = Duration::from_secs(3600);

fn temporary_start(name: &str) -> String {
    format!(".{name}.")
}

/// Whether a file was left in the middle of being written.
pub fn is_leftover(path: &Path, facts: &fs::Metadata) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let age = facts.modified().ok().and_then(|t| t.elapsed().ok());
    name.starts_with('.') && name.ends_with(PART) && age.is_some_and(|age| age > LEFT)
}

/// Removes what backups under this name left when their server was killed.
fn remove_leftovers(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let start = temporary_start(&name.to_string_lossy());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_of_it = entry.file_name().to_string_lossy().starts_with(&start);
        if is_of_it && entry.metadata().is_ok_and(|facts| is_leftover(&entry.path(), &facts)) {
            let _another_time = fs::remove_file(entry.path());
        }
    }
}

/// A slip in a target must not cost a file that is something else.
fn only_backups_are_replaced(path: &Path) -> Result<()> {
    let is_file = fs::metadata(path).is_ok_and(|m| m.is_file());
    let mut start = Vec::new();
    if is_file {
        let file = File::open(path).map_err(|e| failed("written", path, &e))?;
        let read = file.take(MAGIC.len() as u64).read_to_end(&mut start);
        read.map_err(|e| failed("written", path, &e))?;
    }
    if is_file && MAGIC.starts_with(&start) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "what is at {} is no Evercube backup and is not overwritten; remove it or choose another name",
            path.display()
        ),
    ))
}

pub fn exists(place: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("there is a backup at {place} already; allow overwriting or choose another name"),
    )
}

pub fn failed_or_absent(path: &Path, e: &std::io::Error) -> Error {
    if e.kind() == std::io::ErrorKind::NotFound {
        return Error::not_found(format!("there is no backup at {}", path.display()));
    }
    failed("read", path, e)
}

pub fn failed(what: &str, path: &Path, e: &std::io::Error) -> Error {
    if e.kind() == std::io::ErrorKind::StorageFull {
        return writing(e);
    }
    Error::new(
        ErrorKind::Source,
        format!("the backup at {} could not be {what}: {e}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_read() {
        for path in ["/dev/zero", "/dev/stdin", "/proc"] {
            let e = open(Path::new(path)).unwrap_err();
            assert!(e.message.contains("is no file"), "{path}: {e}");
        }
        let folder = tempfile::tempdir().unwrap();
        let e = open(&folder.path().join("none")).unwrap_err();
        assert_eq!(e.kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/x.evb");
        let mut broken = NewFile::create(&path, false).unwrap();
        broken.write_all(b"half").unwrap();
        drop(broken);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        let write = |text: &[u8], overwrite| {
            let mut file = NewFile::create(&path, overwrite)?;
            file.write_all(text).unwrap();
            file.keep()
        };
        let late = NewFile::create(&path, false).unwrap();
        write(b"EVBACKUP one", false).unwrap();
        assert_eq!(late.keep().unwrap_err().kind, ErrorKind::Conflict);
        assert_eq!(write(b"two", false).unwrap_err().kind, ErrorKind::Conflict);
        assert_eq!(fs::read(&path).unwrap(), b"EVBACKUP one");
        write(b"two", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        // What is no backup is not overwritten, nor is what is no file.
        assert_eq!(write(b"three", true).unwrap_err().kind, ErrorKind::Conflict);
        assert!(NewFile::create(Path::new("/dev/null"), true).is_err());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(file_for_restore(path.parent().unwrap()).unwrap(), path);
    }

    #[test]
    fn what_a_killed_server_left_goes_with_the_next_backup_of_that_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [".x.evb.0a.part", ".x.evb.0b.part", ".y.evb.0a.part", ".x.evb.keep"] {
            let file = File::create(at(name)).unwrap();
            if name != ".x.evb.0b.part" {
                file.set_modified(std::time::SystemTime::now() - LEFT * 2).unwrap();
            }
        }
        NewFile::create(&at("x.evb"), false).unwrap().keep().unwrap();
        let there = |name: &str| at(name).exists();
        assert!(!there(".x.evb.0a.part"));
        // One that is being written, another backup's, and what is somebody else's.
        assert!(there(".x.evb.0b.part") && there(".y.evb.0a.part") && there(".x.evb.keep"));
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let e = failed("written", Path::new("/x"), &full);
        assert_eq!(e.kind, ErrorKind::Limit);
        assert!(e.message.contains("no space left"));
    }
}
