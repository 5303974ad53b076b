//! The files of one log: lines appended, a new file when one is long enough, the oldest removed
//! when all together are too long.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evercube_base::{DateTime, Error, ErrorKind, Result};
use evercube_vault::Vault;
use serde::{Deserialize, Serialize};

use super::record::{Event, FileStart, Link, Numbered, Stream, parts, put_line};
use super::sealed_line::{LONGEST, open_line, put_sealed, reseal};

pub(super) const FORMAT: u32 = 1;
/// Files a log is kept in, so that the oldest can go.
const FILES: u64 = 16;
const SMALLEST: u64 = 64 << 10;
const LARGEST: u64 = 16 << 20;

/// How far a log has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Number and hash of the last line; the number is 0 before the first.
    pub n: u64,
    pub hash: Link,
    /// Number of the first line of the oldest file.
    pub oldest: u64,
}

#[derive(Debug)]
struct LogFile {
    first: u64,
    length: u64,
}

#[derive(Debug)]
pub(super) struct Chain {
    folder: PathBuf,
    /// What lines are encrypted with.
    vault: Option<Arc<Vault>>,
    pub stream: Stream,
    server: String,
    node: u64,
    size: u64,
    /// Oldest first; the last is written to.
    files: VecDeque<LogFile>,
    file: Option<File>,
    /// The last line that is in a file.
    written: (u64, Link),
    /// The last line the disk has said it holds.
    synced: (u64, Link),
    /// The last line that is in `pending`.
    last: (u64, Link),
    pending: Vec<u8>,
    unsynced: bool,
    /// Part of a line that could not be cut off may stand behind what is written.
    torn: bool,
}

pub(super) fn file_name(stream: Stream, first: u64) -> String {
    format!("{}-{first:016}.log", stream.name())
}

pub(super) fn failed(path: &Path, what: &str, e: &std::io::Error) -> Error {
    let message = format!("the audit log {} cannot be {what}: {e}", path.display());
    Error::new(ErrorKind::Source, message)
}

/// Numbers and lengths of a log's files, oldest first.
pub(super) fn files_of(folder: &Path, stream: Stream) -> Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| failed(folder, "listed", &e))? {
        let entry = entry.map_err(|e| failed(folder, "listed", &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(stream.name()).and_then(|n| n.strip_prefix('-'));
        let number = number.and_then(|n| n.strip_suffix(".log")).and_then(|n| n.parse().ok());
        if let Some(first) = number {
            found.push((first, entry.metadata().map_or(0, |m| m.len())));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The files of one log, and what their lines are encrypted with.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub folder: &'a Path,
    pub stream: Stream,
    pub vault: Option<&'a Vault>,
}

impl Files<'_> {
    /// Calls `each` with every whole line of the first `length` bytes of the file that begins with
    /// record `first`, decrypted; the bytes of them. A line that does not open is given as it is.
    pub fn each_line(
        &self,
        first: u64,
        length: u64,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let mut n = first;
        self.each_raw_line(first, length, |line| {
            let opened = open_line(self.vault, self.stream, n, line);
            n += 1;
            each(opened.as_deref().unwrap_or(line))
        })
    }

    /// As [`Self::each_line`], with lines as they lie there.
    pub fn each_raw_line(
        &self,
        first: u64,
        length: u64,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let path = &self.folder.join(file_name(self.stream, first));
        let file = File::open(path).map_err(|e| failed(path, "opened", &e))?;
        let mut reader = BufReader::new(file.take(length));
        let (mut line, mut whole) = (Vec::new(), 0);
        loop {
            line.clear();
            let mut bounded = (&mut reader).take(LONGEST as u64);
            let read =
                bounded.read_until(b'\n', &mut line).map_err(|e| failed(path, "read", &e))?;
            if line.pop() != Some(b'\n') {
                return Ok(whole);
            }
            each(&line)?;
            whole += read as u64;
        }
    }
}

impl Chain {
    pub(super) fn open(
        folder: &Path,
        stream: Stream,
        size: u64,
        (server, node): (&str, u64),
        vault: Option<Arc<Vault>>,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| failed(folder, "made", &e))?;
        reseal(Files { folder, stream, vault: vault.as_deref() })?;
        let files = files_of(folder, stream)?;
        let mut chain = Self {
            folder: folder.to_owned(),
            vault,
            stream,
            server: server.to_owned(),
            node,
            size,
            files: files.into_iter().map(|(first, length)| LogFile { first, length }).collect(),
            file: None,
            written: (0, [0; 32]),
            synced: (0, [0; 32]),
            last: (0, [0; 32]),
            pending: Vec::new(),
            unsynced: false,
            torn: false,
        };
        chain.find_end()?;
        Ok(chain)
    }

    fn of_files(&self) -> Files<'_> {
        Files { folder: &self.folder, stream: self.stream, vault: self.vault.as_deref() }
    }

    /// Writes lines anew that are not encrypted with the current data key; whether there were any.
    pub(super) fn reseal(&mut self) -> Result<bool> {
        self.sync()?;
        if !reseal(self.of_files())? {
            return Ok(false);
        }
        // The file that is written to is another one now.
        let lengths = files_of(&self.folder, self.stream)?;
        self.files = lengths.into_iter().map(|(first, length)| LogFile { first, length }).collect();
        self.file = None;
        let Some(last) = self.files.back() else { return Ok(true) };
        let path = self.folder.join(file_name(self.stream, last.first));
        let file = OpenOptions::new().append(true).open(&path);
        self.file = Some(file.map_err(|e| failed(&path, "opened", &e))?);
        Ok(true)
    }

    /// Goes on behind the last record; what a crash left of the next ones is cut off. That may be whole
    /// lines without a record: a disk may keep the end of what was written without its beginning.
    fn find_end(&mut self) -> Result<()> {
        while let Some(first) = self.files.back().map(|f| f.first) {
            let path = self.folder.join(file_name(self.stream, first));
            let (mut end, mut n, mut at) = (None, first, 0);
            let whole = self.of_files().each_raw_line(first, u64::MAX, |line| {
                at += line.len() as u64 + 1;
                let opened = open_line(self.vault.as_deref(), self.stream, n, line);
                n += 1;
                let record = parts(opened.as_deref().unwrap_or(line)).and_then(|(hash, json)| {
                    Some((serde_json::from_slice::<Numbered>(json).ok()?.n, hash))
                });
                end = record.map(|record| (record, at)).or(end);
                Ok(())
            })?;
            let Some((end, behind)) = end else {
                if whole > 0 {
                    // Kept for whoever proves the log: what was synced of it is in the heads.
                    let aside = path.with_extension("damaged");
                    std::fs::rename(&path, &aside).map_err(|e| failed(&path, "moved", &e))?;
                    tracing::warn!(
                        kind = "audit",
                        "no record of the audit log {} can be read; it is kept as {}",
                        path.display(),
                        aside.display()
                    );
                    self.files.pop_back();
                    continue;
                }
                // Begun and not written to.
                std::fs::remove_file(&path).map_err(|e| failed(&path, "removed", &e))?;
                self.files.pop_back();
                continue;
            };
            let file = OpenOptions::new().append(true).open(&path);
            let file = file.map_err(|e| failed(&path, "opened", &e))?;
            file.set_len(behind).map_err(|e| failed(&path, "cut", &e))?;
            // What the process before wrote may not be on the disk yet.
            file.sync_data().map_err(|e| failed(&path, "synced", &e))?;
            if let Some(last) = self.files.back_mut() {
                last.length = behind;
            }
            self.file = Some(file);
            (self.written, self.synced, self.last) = (end, end, end);
            return Ok(());
        }
        Ok(())
    }

    /// How far the log is sure to be there after the machine stops.
    pub(super) fn position(&self) -> Position {
        let (n, hash) = self.synced;
        Position { n, hash, oldest: self.files.front().map_or(0, |f| f.first) }
    }

    /// Puts a record at the end; it is in the file after [`Self::flush`].
    pub(super) fn append(&mut self, event: &Event) {
        let n = self.last.0 + 1;
        let hash = put_line(&mut self.pending, &self.last.1, &event.json(n));
        self.last = (n, hash);
    }

    /// Writes what is pending.
    ///
    /// # Errors
    /// With the number of records that are lost, where the disk takes no more.
    pub(super) fn flush(&mut self, now: DateTime) -> Result<(), (u64, Error)> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let lost = self.last.0 - self.written.0;
        let done = self.room(now).and_then(|()| self.write());
        if let Err(e) = done {
            self.pending.clear();
            self.last = self.written;
            return Err((lost, e));
        }
        Ok(())
    }

    fn file_limit(&self) -> u64 {
        (self.size / FILES).clamp(SMALLEST, LARGEST)
    }

    /// Sees that there is a file to write to that is not too long yet.
    fn room(&mut self, now: DateTime) -> Result<()> {
        // One that was made while the disk took no more lacks its first line.
        let is_used_up = |f: &LogFile| f.length == 0 || f.length >= self.file_limit();
        let full = self.files.back().is_none_or(is_used_up);
        if !full && self.file.is_some() {
            return Ok(());
        }
        self.sync()?;
        // Its first line comes before what is pending, which is numbered and chained anew.
        let pending = std::mem::take(&mut self.pending);
        self.last = self.written;
        let first = self.last.0 + 1;
        let start = FileStart {
            n: first,
            time: format!("{now}Z"),
            action: "begin file".into(),
            format: FORMAT,
            stream: self.stream.name().into(),
            server: self.server.clone(),
            node: format!("{:016x}", self.node),
            previous: hex::encode(self.last.1),
        };
        let json = serde_json::to_vec(&start)
            .map_err(|e| Error::internal(format!("the audit log cannot be written: {e}")))?;
        self.last = (first, put_line(&mut self.pending, &self.last.1, &json));
        for line in pending.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let Some((_, json)) = parts(line) else { continue };
            let n = self.last.0 + 1;
            let json = renumbered(json, n);
            self.last = (n, put_line(&mut self.pending, &self.last.1, &json));
        }
        let path = self.folder.join(file_name(self.stream, first));
        point("before a file is made");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        self.file = Some(file.map_err(|e| failed(&path, "made", &e))?);
        point("after a file is made");
        self.sync_folder()?;
        if self.files.back().is_none_or(|f| f.first != first) {
            self.files.push_back(LogFile { first, length: 0 });
        }
        self.prune()
    }

    fn write(&mut self) -> Result<()> {
        let sealed = match &self.vault {
            None => std::mem::take(&mut self.pending),
            Some(vault) => {
                let mut sealed = Vec::new();
                let lines = self.pending.split(|b| *b == b'\n').filter(|l| !l.is_empty());
                for (n, line) in (self.written.0 + 1..).zip(lines) {
                    put_sealed(&mut sealed, vault, self.stream, n, line)?;
                }
                sealed
            }
        };
        let (Some(file), Some(last)) = (self.file.as_mut(), self.files.back_mut()) else {
            return Err(Error::internal("the audit log has no file"));
        };
        if self.torn {
            file.set_len(last.length).map_err(|e| failed(&self.folder, "cut", &e))?;
            self.torn = false;
        }
        #[cfg(test)]
        if torn("while lines are written") {
            let _torn = file.write_all(sealed.get(..sealed.len() / 2).unwrap_or_default());
            panic!("killed");
        }
        if let Err(e) = file.write_all(&sealed) {
            // Part of it may be there.
            self.torn = file.set_len(last.length).is_err();
            return Err(failed(&self.folder, "written", &e));
        }
        point("after lines are written");
        last.length += sealed.len() as u64;
        self.pending.clear();
        self.written = self.last;
        self.unsynced = true;
        Ok(())
    }

    fn prune(&mut self) -> Result<()> {
        // The new file may become as long as one may be.
        let budget = self.size.saturating_sub(self.file_limit());
        while self.files.len() > 1 && self.files.iter().map(|f| f.length).sum::<u64>() > budget {
            let Some(oldest) = self.files.front() else { break };
            let path = self.folder.join(file_name(self.stream, oldest.first));
            point("before an old file is removed");
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(&path, "removed", &e));
                }
                _ => self.files.pop_front(),
            };
        }
        Ok(())
    }

    /// Waits until the disk has what was written; whether there was anything.
    pub(super) fn sync(&mut self) -> Result<bool> {
        let Some(file) = self.file.as_ref().filter(|_| self.unsynced) else { return Ok(false) };
        point("before a sync");
        file.sync_data().map_err(|e| failed(&self.folder, "synced", &e))?;
        point("after a sync");
        self.unsynced = false;
        self.synced = self.written;
        Ok(true)
    }

    /// Without this a file that was just made may be gone after the machine stops, whatever is
    /// in it.
    fn sync_folder(&self) -> Result<()> {
        let folder = File::open(&self.folder).and_then(|f| f.sync_all());
        folder.map_err(|e| failed(&self.folder, "synced", &e))
    }
}

/// A point at which a process may be killed; the tests do.
#[cfg(not(test))]
pub(super) fn point(_name: &str) {}
#[cfg(test)]
pub(super) use super::tests::kills::point;
#[cfg(test)]
use super::tests::kills::torn;

/// A record with another number: `{"n":17,…` is how each begins.
fn renumbered(json: &[u8], n: u64) -> Vec<u8> {
    let rest = json.iter().position(|b| *b == b',').and_then(|at| json.get(at..));
    let mut out = format!("{{\"n\":{n}").into_bytes();
    out.extend_from_slice(rest.unwrap_or(b"}"));
    out
}
