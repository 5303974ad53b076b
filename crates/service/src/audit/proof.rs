//! Whether a log's files are what was written: every line against the one before, the ends of it
//! against the heads.

use std::path::Path;

use evercube_base::{Error, Result};

use super::chain::{FORMAT, Files, Position, file_name, files_of};
use super::heads::{AuditProof, differs};
use super::record::{FileStart, Link, Numbered, Stream, link, parts};

/// How often files may be rotated away while they are read.
const TRIES: usize = 3;

/// Reads a log up to `end` and adds to `proof` what it found; `heads` are the ends that were
/// written down elsewhere before.
pub(super) fn prove(
    log: Files<'_>,
    end: Position,
    heads: &[Option<Position>],
    proof: &mut AuditProof,
) {
    let Files { folder, stream, .. } = log;
    for tried in 1..=TRIES {
        let ends: Vec<Position> = heads.iter().flatten().copied().chain([end]).collect();
        let mut of = Walk::new(&ends);
        let walked = of.files(log, end);
        // The oldest may have been rotated away while it was read.
        if walked.is_err() && tried < TRIES && rotated(folder, stream, end) {
            continue;
        }
        if let Err(e) = walked {
            proof.problems.push(format!("{}: {}", stream.name(), e.message));
        }
        proof.files += of.count;
        proof.records += of.records;
        proof.bytes += of.bytes;
        return;
    }
}

/// Whether the files lack what the group was told of them: the log ended at `before` once.
pub(super) fn lacks(log: Files<'_>, before: Position, here: Position) -> Result<bool> {
    // Of a log that was empty, nothing can be missing.
    if before.n == 0 {
        return Ok(false);
    }
    // Records older than the oldest file made room for newer ones.
    if before.n < here.oldest && before.n < here.n {
        return Ok(false);
    }
    Ok(hash_of(log, before.n)? != Some(before.hash))
}

/// The hash of one record, where its file is still there.
fn hash_of(log: Files<'_>, n: u64) -> Result<Option<Link>> {
    let files = files_of(log.folder, log.stream)?;
    let Some((first, _)) = files.into_iter().rfind(|(first, _)| *first <= n) else {
        return Ok(None);
    };
    let (mut at, mut found) = (first, None);
    log.each_line(first, u64::MAX, |line| {
        if at == n {
            found = parts(line).map(|(hash, _)| hash);
        }
        at += 1;
        Ok(())
    })?;
    Ok(found)
}

fn rotated(folder: &Path, stream: Stream, end: Position) -> bool {
    files_of(folder, stream).is_ok_and(|f| f.first().is_some_and(|(first, _)| *first > end.oldest))
}

struct Walk<'a> {
    heads: Vec<&'a Position>,
    last: Option<(u64, Link)>,
    count: usize,
    records: u64,
    bytes: u64,
    truncated: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(heads: &'a [Position]) -> Self {
        let heads = heads.iter().filter(|h| h.n > 0).collect();
        Self { heads, last: None, count: 0, records: 0, bytes: 0, truncated: None }
    }

    fn files(&mut self, log: Files<'_>, end: Position) -> Result<()> {
        let Files { folder, stream, .. } = log;
        let files = files_of(folder, stream)?;
        let oldest = files.first().map_or(0, |(first, _)| *first);
        if end.n > 0 && oldest > end.oldest {
            let began = end.oldest;
            return Err(differs(format!(
                "the records before {oldest} are gone; they began at {began}"
            )));
        }
        for (first, length) in files {
            self.count += 1;
            let mut at_start = true;
            let whole = log.each_line(first, length, |line| {
                let done = self.line(line, std::mem::take(&mut at_start).then_some(first));
                done.map_err(|e| differs(format!("{}: {}", file_name(stream, first), e.message)))
            })?;
            // The newest one may just have been made.
            if at_start && first <= end.n {
                return Err(differs(format!("{} is empty", file_name(stream, first))));
            }
            self.bytes += whole;
        }
        let n = self.last.map_or(0, |(n, _)| n);
        if let Some(head) = self.heads.iter().find(|h| h.n > n) {
            return Err(differs(format!(
                "it ends at record {n}; record {} was written down as its end before",
                head.n
            )));
        }
        match self.truncated.take() {
            Some(what) => Err(differs(what)),
            None => Ok(()),
        }
    }

    /// `first` is the number in the file's name, on its first line.
    fn line(&mut self, line: &[u8], first: Option<u64>) -> Result<()> {
        let next = self.last.map_or(first.unwrap_or(1), |(n, _)| n + 1);
        let unreadable = || differs(format!("record {next} cannot be read"));
        let (hash, json) = parts(line).ok_or_else(unreadable)?;
        let numbered: Numbered = serde_json::from_slice(json).map_err(|_| unreadable())?;
        if let Some(first) = first {
            self.start(json, first)?;
        }
        let previous = self.last.map_or([0; 32], |(_, hash)| hash);
        if numbered.n != next {
            return Err(differs(format!("record {} stands where {next} belongs", numbered.n)));
        }
        if link(&previous, json) != hash {
            return Err(differs(format!(
                "record {next} is not what was written, or one before it"
            )));
        }
        self.last = Some((next, hash));
        self.records += 1;
        if self.heads.iter().any(|h| h.n == next && h.hash != hash) {
            return Err(differs(format!(
                "record {next} is not the one that was written down as its end before"
            )));
        }
        if numbered.action == "truncated" {
            let what = format!("record {next} tells of records that were cut off before");
            self.truncated.get_or_insert(what);
        }
        Ok(())
    }

    /// The first line of a file names the hash before it.
    fn start(&mut self, json: &[u8], first: u64) -> Result<(), Error> {
        let start: FileStart = serde_json::from_slice(json)
            .map_err(|_| differs(format!("record {first} is not the beginning of a file")))?;
        if start.format != FORMAT {
            return Err(differs(format!("its format {} is not known here", start.format)));
        }
        let mut previous: Link = [0; 32];
        let readable = hex::decode_to_slice(&start.previous, &mut previous).is_ok();
        match self.last {
            _ if !readable => Err(differs(format!("record {first} cannot be read"))),
            // What is before the oldest file was removed to make room.
            None => {
                self.last = Some((first.saturating_sub(1), previous));
                Ok(())
            }
            Some((n, hash)) if n + 1 == first && hash == previous => Ok(()),
            Some((n, _)) => Err(differs(format!(
                "the file that begins at record {first} does not follow on record {n}"
            ))),
        }
    }
}
