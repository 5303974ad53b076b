//! Segments as bytes, and from rows. `docs/formats/segment.md` describes every byte.

mod format1;

use std::sync::Arc;

use evercube_base::{Collation, DataType, Error, ErrorKind, Result, RowBatch};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::blocks::{Blocks, Packing, SLACK};
use crate::bytes::Bytes;
use crate::dictionary::{Dictionary, Texts};
use crate::encode::ColumnEncoder;
use crate::segment::{Codes, Segment, SegmentColumn};

/// Rows after which a segment is closed.
pub const SEGMENT_ROWS: usize = 1 << 20;

const MAGIC: &[u8; 8] = b"EVSEG\x00\x02\n";
const LEVEL: i32 = 3;

/// Collects the rows of one segment.
#[derive(Debug)]
pub struct SegmentBuilder {
    packing: Packing,
    columns: Vec<ColumnEncoder>,
    rows: usize,
}

impl SegmentBuilder {
    pub fn new(types: &[DataType], collation: Collation) -> Self {
        let columns = types.iter().map(|t| ColumnEncoder::new(*t, collation)).collect();
        Self { packing: Packing::default(), columns, rows: 0 }
    }

    /// Codes packed in one way rather than the shortest.
    #[must_use]
    pub fn packed(self, packing: Packing) -> Self {
        Self { packing, ..self }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds rows; their columns have the builder's types, in its order.
    pub fn push(&mut self, batch: &RowBatch) -> Result<()> {
        if batch.columns.len() != self.columns.len() {
            return Err(Error::internal(format!(
                "a batch of {} columns came for a segment of {}",
                batch.columns.len(),
                self.columns.len()
            )));
        }
        for (into, from) in self.columns.iter_mut().zip(&batch.columns) {
            into.push(from)?;
        }
        self.rows += batch.rows;
        Ok(())
    }

    /// The rows as a segment; the builder is empty again and keeps its memory.
    pub fn take(&mut self) -> Segment {
        let rows = std::mem::take(&mut self.rows);
        let packing = self.packing;
        let columns = self.columns.par_iter_mut().map(|c| c.take(packing)).collect();
        Segment { rows, columns }
    }

    pub fn finish(mut self) -> Segment {
        self.take()
    }
}

#[derive(Serialize, Deserialize)]
struct Directory {
    rows: u64,
    columns: Vec<ColumnEntry>,
}

#[derive(Serialize, Deserialize)]
struct ColumnEntry {
    data_type: DataType,
    dictionary: DictionaryKind,
    /// Compressed and plain length of the dictionary.
    dictionary_bytes: (u64, u64),
    codes: CodesKind,
}

#[derive(Serialize, Deserialize)]
enum DictionaryKind {
    Range { base: i64, unit: i64, count: u32 },
    Integers,
    Doubles,
    Strings,
}

#[derive(Serialize, Deserialize)]
enum CodesKind {
    Constant(u32),
    /// Length of the blocks with their heads.
    Blocks(u64),
}

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the segment is damaged: {what}"))
}

impl Segment {
    /// The bytes of the file. The same segment always gives the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut blocks = Vec::new();
        let mut columns = Vec::new();
        for c in &self.columns {
            let plain = dictionary_bytes(&c.dictionary);
            let packed = zstd::bulk::compress(&plain, LEVEL)
                .map_err(|e| Error::internal(format!("a column could not be compressed: {e}")))?;
            blocks.extend(&packed);
            let codes = match &c.codes {
                Codes::Constant { code, .. } => CodesKind::Constant(*code),
                Codes::Blocks(b) => {
                    b.write(&mut blocks);
                    CodesKind::Blocks(b.len() as u64)
                }
            };
            columns.push(ColumnEntry {
                data_type: c.data_type,
                dictionary: match &c.dictionary {
                    Dictionary::Range { base, unit, count } => {
                        DictionaryKind::Range { base: *base, unit: *unit, count: *count }
                    }
                    Dictionary::Integers(_) => DictionaryKind::Integers,
                    Dictionary::Doubles(_) => DictionaryKind::Doubles,
                    Dictionary::Strings(_) => DictionaryKind::Strings,
                },
                dictionary_bytes: (packed.len() as u64, plain.len() as u64),
                codes,
            });
        }
        let directory = postcard::to_stdvec(&Directory { rows: self.rows as u64, columns })
            .map_err(|e| Error::internal(format!("a segment could not be written: {e}")))?;
        let mut out = Vec::with_capacity(12 + directory.len() + blocks.len() + SLACK);
        out.extend(MAGIC);
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(directory);
        out.extend(blocks);
        out.extend([0; SLACK]);
        Ok(out)
    }

    /// Reads a file, whose bytes go on to be the segment's. Damaged bytes give
    /// `ErrorKind::Corrupt`, those of an unknown format `ErrorKind::Unsupported`.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self> {
        let magic = bytes.first_chunk::<8>().ok_or_else(|| corrupt("it is cut off"))?;
        match magic {
            MAGIC => {}
            format1::MAGIC => return format1::read(bytes),
            [b'E', b'V', b'S', b'E', b'G', 0, version, b'\n'] => {
                return Err(Error::unsupported(format!(
                    "the segment has format {version}; this server reads formats 1 and 2"
                )));
            }
            _ => return Err(corrupt("it does not begin as one")),
        }
        let (directory, start) = directory::<Directory>(bytes)?;
        let rows = row_count(directory.rows)?;
        let mut blocks = bytes.slice(start, bytes.len());
        let mut columns = Vec::new();
        for entry in directory.columns {
            let (packed, plain) = entry.dictionary_bytes;
            let dictionary =
                read_dictionary(&entry.dictionary, &unpacked(&take(&mut blocks, packed)?, plain)?)?;
            let most = dictionary.len();
            let codes = match entry.codes {
                CodesKind::Constant(code) if code <= most => Codes::Constant { code, rows },
                CodesKind::Constant(_) => return Err(corrupt("a column's codes do not fit")),
                CodesKind::Blocks(length) => {
                    // What follows may be read, never used.
                    let area = blocks.slice(0, length_of(length)?.saturating_add(SLACK));
                    take(&mut blocks, length)?;
                    Codes::Blocks(Blocks::read_from(&area, rows, most)?)
                }
            };
            columns.push(SegmentColumn { data_type: entry.data_type, dictionary, codes });
        }
        if blocks.len() == SLACK {
            Ok(Self { rows, columns })
        } else {
            Err(corrupt("it does not end where it should"))
        }
    }
}

/// The directory of a file of either format, and where it ends.
fn directory<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<(T, usize)> {
    let rest = bytes.get(8..).unwrap_or_default();
    let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("it is cut off"))?;
    let len = u32::from_le_bytes(*len) as usize;
    let text = rest.get(..len).ok_or_else(|| corrupt("it is cut off"))?;
    let found = postcard::from_bytes(text).map_err(|_| corrupt("its directory is unreadable"))?;
    Ok((found, 12 + len))
}

fn row_count(rows: u64) -> Result<usize> {
    match usize::try_from(rows) {
        Ok(rows) if rows <= SEGMENT_ROWS * 16 => Ok(rows),
        _ => Err(corrupt("it claims too many rows")),
    }
}

fn length_of(length: u64) -> Result<usize> {
    usize::try_from(length).map_err(corrupt)
}

/// Cuts the next bytes off.
fn take(rest: &mut Bytes, length: u64) -> Result<Bytes> {
    let length = length_of(length)?;
    if length > rest.len() {
        return Err(corrupt("it is cut off"));
    }
    let taken = rest.slice(0, length);
    *rest = rest.slice(length, rest.len());
    Ok(taken)
}

fn unpacked(packed: &[u8], plain: u64) -> Result<Vec<u8>> {
    let plain = length_of(plain)?;
    // zstd never shrinks by more than this; a larger claim is a lie that would cost memory.
    if plain > packed.len().saturating_mul(100_000).max(1 << 16) {
        return Err(corrupt("a block claims an impossible size"));
    }
    let bytes = zstd::bulk::decompress(packed, plain).map_err(corrupt)?;
    if bytes.len() == plain { Ok(bytes) } else { Err(corrupt("a block has another size")) }
}

fn dictionary_bytes(dictionary: &Dictionary) -> Vec<u8> {
    match dictionary {
        Dictionary::Range { .. } => Vec::new(),
        Dictionary::Integers(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dictionary::Doubles(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dictionary::Strings(v) => {
            let mut out = (v.len() as u32).to_le_bytes().to_vec();
            out.extend(v.iter().flat_map(|t| (t.len() as u32).to_le_bytes()));
            out.extend(v.joined().as_bytes());
            out
        }
    }
}

fn read_dictionary(kind: &DictionaryKind, bytes: &[u8]) -> Result<Dictionary> {
    Ok(match kind {
        DictionaryKind::Range { base, unit, count } => {
            let steps = i64::from(count.saturating_sub(1));
            let last = steps.checked_mul(*unit).and_then(|w| w.checked_add(*base));
            if *unit < 1 || last.is_none() {
                return Err(corrupt("a range of values is impossible"));
            }
            Dictionary::Range { base: *base, unit: *unit, count: *count }
        }
        DictionaryKind::Integers => {
            let all: Vec<i64> = eights(bytes)?.iter().map(|b| i64::from_le_bytes(*b)).collect();
            if !all.is_sorted_by(|a, b| a < b) {
                return Err(corrupt("a dictionary is not in order"));
            }
            Dictionary::Integers(Arc::new(all))
        }
        DictionaryKind::Doubles => {
            let all = eights(bytes)?.iter().map(|b| f64::from_le_bytes(*b));
            Dictionary::Doubles(Arc::new(all.collect()))
        }
        DictionaryKind::Strings => Dictionary::Strings(Arc::new(read_texts(bytes)?)),
    })
}

fn eights(bytes: &[u8]) -> Result<&[[u8; 8]]> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() { Ok(chunks) } else { Err(corrupt("a dictionary is cut off")) }
}

fn read_texts(bytes: &[u8]) -> Result<Texts> {
    let cut = || corrupt("a dictionary is cut off");
    let (count, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    let count = u32::from_le_bytes(*count) as usize;
    let lengths = count.checked_mul(4).ok_or_else(cut)?;
    let (lengths, texts) = rest.split_at_checked(lengths).ok_or_else(cut)?;
    let mut rest = std::str::from_utf8(texts).map_err(|_| corrupt("a text is no UTF-8"))?;
    let mut all = Texts::with_capacity(count, rest.len());
    for length in lengths.as_chunks::<4>().0 {
        let (text, later) =
            rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
        all.push(text);
        rest = later;
    }
    if rest.is_empty() { Ok(all) } else { Err(cut()) }
}
