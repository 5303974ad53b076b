//! The archive: one file that holds one version of a database. The bytes are described in
//! `docs/formats/backup.md`.

use std::io::{Read, Write};

use evercube_base::{Error, Result};
use evercube_store::Hash;

use crate::backup::foreign::refuse_foreign;
use crate::backup::frame::{FrameReader, FrameWriter, Kind, fill};
use crate::backup::header::{BackupHeader, BackupSummary, ObjectEntry};
use crate::backup::preamble::{LENGTH, MAGIC, Preamble, Secrets, damaged};

/// Longest header that is read; a list of three million objects is shorter.
const HEADER_MOST: usize = 512 << 20;

/// Writes an archive object by object, each in the order of the header.
pub struct ArchiveWriter<W> {
    frames: FrameWriter<W>,
    header: BackupHeader,
    done: BackupSummary,
}

impl<W: Write> ArchiveWriter<W> {
    pub fn new(out: W, preamble: Preamble, header: BackupHeader) -> Result<Self> {
        let mut frames = FrameWriter::new(out, preamble)?;
        let json = serde_json::to_vec(&header).map_err(|e| {
            Error::internal(format!("the header of a backup could not be written: {e}"))
        })?;
        frames.write(Kind::Header, &json)?;
        Ok(Self { frames, header, done: BackupSummary::default() })
    }

    /// Writes the next object of the header.
    pub fn object(&mut self, content: &[u8]) -> Result<()> {
        let place = usize::try_from(self.done.objects).unwrap_or(usize::MAX);
        let entry = self.header.objects.get(place);
        let length = content.len() as u64;
        if entry.is_none_or(|e| e.length != length || e.hash != *blake3::hash(content).as_bytes()) {
            return Err(Error::internal("a backup was given an object its header does not list"));
        }
        self.frames.write(Kind::Object, content)?;
        self.done.objects += 1;
        self.done.bytes += length;
        Ok(())
    }

    /// Ends the archive; gives the place it was written to back.
    pub fn finish(mut self) -> Result<(W, BackupSummary)> {
        if self.done.objects != self.header.objects.len() as u64 {
            return Err(Error::internal("a backup was ended before its last object"));
        }
        self.frames.write(Kind::End, &end_of(&self.header))?;
        let summary = BackupSummary { written: self.frames.written, ..self.done };
        Ok((self.frames.finish()?, summary))
    }
}

/// Content of the last frame: number of objects and their bytes.
fn end_of(header: &BackupHeader) -> [u8; 16] {
    let mut end = [0u8; 16];
    let (objects, bytes) = end.split_at_mut(8);
    objects.copy_from_slice(&(header.objects.len() as u64).to_le_bytes());
    bytes.copy_from_slice(&header.bytes().to_le_bytes());
    end
}

/// Reads an archive; what it gives out has been checked.
pub struct ArchiveReader<R> {
    frames: FrameReader<R>,
    header: BackupHeader,
    next: usize,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads up to the first object.
    pub fn open(mut input: R, secrets: &Secrets) -> Result<Self> {
        let start = read_start(&mut input)?;
        let preamble = Preamble::open(start, &mut input, secrets)?;
        let mut frames = FrameReader::new(input, preamble);
        let mut json = Vec::new();
        loop {
            let (kind, last, part) = frames.next("its header")?;
            if kind != Kind::Header || json.len() + part.len() > HEADER_MOST {
                return Err(damaged("its header is not what was written"));
            }
            json.extend_from_slice(&part);
            if last {
                break;
            }
        }
        let header: BackupHeader = serde_json::from_slice(&json)
            .map_err(|e| damaged(&format!("its header cannot be read ({e})")))?;
        Ok(Self { frames, header, next: 0 })
    }

    pub fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// The next object; `None` once the end has been reached and proved.
    pub fn object(&mut self) -> Result<Option<(Hash, Vec<u8>)>> {
        let Some(entry) = self.header.objects.get(self.next).copied() else {
            self.end()?;
            return Ok(None);
        };
        let doing = self.name_of(&entry);
        let bad = || damaged(&format!("{doing} is not what was written"));
        // The length is a claim until the bytes are there: no memory is set aside for it.
        let mut content = Vec::new();
        loop {
            let (kind, last, part) = self.frames.next(&doing)?;
            if kind != Kind::Object || (content.len() + part.len()) as u64 > entry.length {
                return Err(bad());
            }
            content.extend_from_slice(&part);
            if last {
                break;
            }
        }
        if content.len() as u64 != entry.length || *blake3::hash(&content).as_bytes() != entry.hash
        {
            return Err(bad());
        }
        self.next += 1;
        Ok(Some((entry.hash, content)))
    }

    fn end(&mut self) -> Result<()> {
        let (kind, last, content) = self.frames.next("its end")?;
        if kind != Kind::End || !last || content != end_of(&self.header) {
            return Err(damaged("its end is not what was written"));
        }
        self.frames.nothing_follows()
    }

    fn name_of(&self, entry: &ObjectEntry) -> String {
        let number = format!("object {} of {}", self.next + 1, self.header.objects.len());
        let what = if entry.hash == self.header.model {
            "the model, "
        } else if entry.hash == self.header.manifest {
            "the manifest, "
        } else {
            ""
        };
        format!("{number} ({what}{})", hex::encode(entry.hash))
    }
}

/// The preamble's bytes; what is no backup is refused as what it is.
fn read_start(input: &mut impl Read) -> Result<[u8; LENGTH]> {
    let mut start = [0u8; LENGTH];
    let (magic, rest) = start.split_at_mut(MAGIC.len());
    let mut got = 0;
    while let Some(free) = magic.get_mut(got..).filter(|f| !f.is_empty()) {
        match input.read(free) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(crate::backup::frame::reading(&e)),
        }
    }
    let begun = MAGIC.get(..got).unwrap_or_default() == magic.get(..got).unwrap_or_default();
    if begun {
        // Where the magic itself is cut off, this finds the end of the file.
        fill(input, rest, "its first bytes")?;
        return Ok(start);
    }
    let changed = MAGIC.iter().zip(magic.iter()).filter(|(a, b)| a != b).count();
    if got == MAGIC.len() && changed == 1 {
        return Err(damaged("its first bytes were changed"));
    }
    let mut seen = magic.get(..got).unwrap_or_default().to_vec();
    let mut more = input.take(128);
    more.read_to_end(&mut seen).map_err(|e| crate::backup::frame::reading(&e))?;
    refuse_foreign(&seen)?;
    Err(Error::invalid("the file is not an Evercube backup"))
}
