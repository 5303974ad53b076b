//! Lines of the audit log that are encrypted: `*` and base64, one for each record, bound to the log
//! and to the record's number. The chain of hashes is one of the plain records.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use evercube_base::Result;
use evercube_vault::Vault;

use super::chain::{Files, failed, file_name, files_of};
use super::record::{LINE, Stream};

const MARK: u8 = b'*';
/// Longest line of a file: base64 makes three bytes four.
pub(super) const LONGEST: usize = LINE / 3 * 4 + 256;

fn place(stream: Stream, n: u64) -> Vec<u8> {
    format!("audit {} {n}", stream.name()).into_bytes()
}

/// Appends a line as it is written.
pub(super) fn put_sealed(
    out: &mut Vec<u8>,
    vault: &Vault,
    stream: Stream,
    n: u64,
    line: &[u8],
) -> Result<()> {
    let sealed = vault.seal(&place(stream, n), line)?;
    out.push(MARK);
    out.extend_from_slice(STANDARD_NO_PAD.encode(sealed).as_bytes());
    out.push(b'\n');
    Ok(())
}

fn sealed_bytes(line: &[u8]) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(line.strip_prefix(&[MARK])?).ok()
}

/// The line behind an encrypted one; `None` where it is none, or does not open.
pub(super) fn open_line(
    vault: Option<&Vault>,
    stream: Stream,
    n: u64,
    line: &[u8],
) -> Option<Vec<u8>> {
    vault?.open_sealed(&place(stream, n), &sealed_bytes(line)?).ok()
}

/// Writes files anew that have lines not encrypted with the current data key; whether there were
/// any. What a crash left of a line goes; a line that does not open stays as it is, for whoever proves the log.
pub(super) fn reseal(log: Files<'_>) -> Result<bool> {
    let Some(vault) = log.vault else { return Ok(false) };
    let mut any = false;
    for (first, length) in files_of(log.folder, log.stream)? {
        let mut current = true;
        log.each_raw_line(first, length, |line| {
            current &= sealed_bytes(line).is_some_and(|sealed| vault.is_current(&sealed));
            Ok(())
        })?;
        if !current {
            rewrite(log, vault, first, length)?;
            any = true;
        }
    }
    Ok(any)
}

fn rewrite(log: Files<'_>, vault: &Vault, first: u64, length: u64) -> Result<()> {
    let path = log.folder.join(file_name(log.stream, first));
    let new = path.with_extension("new");
    let written = |e: std::io::Error| failed(&new, "written", &e);
    let mut options = OpenOptions::new();
    let options = options.create(true).write(true).truncate(true).mode(0o600);
    let mut out = BufWriter::new(options.open(&new).map_err(written)?);
    let (mut n, mut sealed) = (first, Vec::new());
    log.each_raw_line(first, length, |line| {
        sealed.clear();
        match open_line(log.vault, log.stream, n, line) {
            Some(plain) => put_sealed(&mut sealed, vault, log.stream, n, &plain)?,
            None if line.starts_with(&[MARK]) => sealed.extend_from_slice(&[line, b"\n"].concat()),
            None => put_sealed(&mut sealed, vault, log.stream, n, line)?,
        }
        n += 1;
        out.write_all(&sealed).map_err(written)
    })?;
    let synced = out.into_inner().map_err(|e| e.into_error()).and_then(|file| file.sync_all());
    synced.and_then(|()| std::fs::rename(&new, &path)).map_err(written)
}
