//! Segments as bytes, and from rows. `docs/formats/segment.md` describes every byte.

use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, Error, ErrorKind, Result, RowBatch};
use serde::{Deserialize, Serialize};

use crate::segment::{Codes, Dictionary, Segment, SegmentColumn};

/// Rows after which a segment is closed.
pub const SEGMENT_ROWS: usize = 1 << 20;

const MAGIC: &[u8; 8] = b"EVSEG\x00\x01\n";
const LEVEL: i32 = 3;

/// Collects the rows of one segment.
#[derive(Debug)]
pub struct SegmentBuilder {
    collation: Collation,
    columns: Vec<ColumnData>,
    rows: usize,
}

impl SegmentBuilder {
    pub fn new(types: &[DataType], collation: Collation) -> Self {
        let columns = types.iter().map(|t| ColumnData::empty(*t)).collect();
        Self { collation, columns, rows: 0 }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds rows; their columns have the builder's types, in its order.
    pub fn push(&mut self, batch: RowBatch) -> Result<()> {
        if batch.columns.len() != self.columns.len() {
            return Err(Error::internal(format!(
                "a batch of {} columns came for a segment of {}",
                batch.columns.len(),
                self.columns.len()
            )));
        }
        for (into, from) in self.columns.iter_mut().zip(batch.columns) {
            append(into, from)?;
        }
        self.rows += batch.rows;
        Ok(())
    }

    /// Codes the rows.
    pub fn finish(self) -> Segment {
        let columns = self.columns.iter().map(|c| encode_column(c, self.collation)).collect();
        Segment { rows: self.rows, columns }
    }
}

fn append(into: &mut ColumnData, from: ColumnData) -> Result<()> {
    match (into, from) {
        (ColumnData::Boolean(a), ColumnData::Boolean(b)) => a.extend(b),
        (ColumnData::Int64(a), ColumnData::Int64(b)) => a.extend(b),
        (ColumnData::Decimal(a), ColumnData::Decimal(b)) => a.extend(b),
        (ColumnData::Double(a), ColumnData::Double(b)) => a.extend(b),
        (ColumnData::DateTime(a), ColumnData::DateTime(b)) => a.extend(b),
        (ColumnData::String(a), ColumnData::String(b)) => a.extend(b),
        (into, from) => {
            return Err(Error::internal(format!(
                "a column of {} came for a segment column of {}",
                from.data_type(),
                into.data_type()
            )));
        }
    }
    Ok(())
}

pub(crate) fn encode_column(data: &ColumnData, collation: Collation) -> SegmentColumn {
    let (dictionary, codes) = match data {
        ColumnData::Boolean(v) => encode_integers(v.iter().map(|x| x.map(i64::from))),
        ColumnData::Int64(v) => encode_integers(v.iter().copied()),
        ColumnData::Decimal(v) => encode_integers(v.iter().map(|x| x.map(|d| d.0))),
        ColumnData::DateTime(v) => encode_integers(v.iter().map(|x| x.map(|d| d.0))),
        ColumnData::Double(v) => encode_doubles(v),
        ColumnData::String(v) => encode_strings(v, collation),
    };
    SegmentColumn { data_type: data.data_type(), dictionary, codes: Codes::pack(&codes) }
}

pub(crate) fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Whether a column's values repeat so little that a dictionary would be about as long as the
/// column, told by some rows spread over it.
fn repeats_little(values: impl Iterator<Item = Option<i64>>, rows: u64) -> bool {
    const SAMPLE: u64 = 4096;
    let step = usize::try_from(rows / SAMPLE).unwrap_or(1).max(1);
    let mut sample: Vec<i64> = values.flatten().step_by(step).collect();
    let taken = sample.len();
    sample.sort_unstable();
    sample.dedup();
    sample.len() * 2 > taken
}

/// Offsets from the smallest value, in the largest unit that divides all of them, where the range
/// is not much wider than the rows are many, or not very much and a dictionary would not be short;
/// a dictionary elsewhere.
fn encode_integers(values: impl Iterator<Item = Option<i64>> + Clone) -> (Dictionary, Vec<u32>) {
    let present = || values.clone().flatten();
    let Some(min) = present().min() else {
        return (Dictionary::Integers(Vec::new()), values.map(|_| 0).collect());
    };
    let mut unit = 0u64;
    let mut widest = 0u64;
    let mut rows = 0u64;
    for v in present() {
        let offset = v.wrapping_sub(min) as u64;
        unit = greatest_common_divisor(unit, offset);
        widest = widest.max(offset);
        rows += 1;
    }
    let unit = unit.max(1);
    let count = widest / unit + 1;
    let is_narrow = count <= 256.max(rows.saturating_mul(8)).min(1 << 31);
    let is_usable = count <= rows.saturating_mul(64).min(1 << 28);
    if (is_narrow || is_usable && repeats_little(values.clone(), rows))
        && let (Ok(unit), Ok(count)) = (i64::try_from(unit), u32::try_from(count))
    {
        let code = |v: i64| ((v.wrapping_sub(min) as u64 / unit as u64) as u32).saturating_add(1);
        let codes = values.map(|v| v.map_or(0, code)).collect();
        return (Dictionary::Range { base: min, unit, count }, codes);
    }
    let mut distinct: Vec<i64> = present().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let at: HashMap<i64, u32> =
        distinct.iter().enumerate().map(|(i, v)| (*v, i as u32 + 1)).collect();
    let codes = values.map(|v| v.map_or(0, |v| at.get(&v).copied().unwrap_or(0))).collect();
    (Dictionary::Integers(distinct), codes)
}

/// One bit pattern for each number that compares equal: −0 is 0, every NaN is one NaN.
pub(crate) fn double_key(v: f64) -> u64 {
    if v == 0.0 {
        0
    } else if v.is_nan() {
        f64::NAN.to_bits()
    } else {
        v.to_bits()
    }
}

fn encode_doubles(values: &[Option<f64>]) -> (Dictionary, Vec<u32>) {
    let mut at = HashMap::new();
    let mut distinct = Vec::new();
    let codes = values
        .iter()
        .map(|v| {
            let Some(v) = v else { return 0 };
            *at.entry(double_key(*v)).or_insert_with(|| {
                distinct.push(*v);
                distinct.len() as u32
            })
        })
        .collect();
    (Dictionary::Doubles(distinct), codes)
}

fn encode_strings(values: &[Option<Arc<str>>], collation: Collation) -> (Dictionary, Vec<u32>) {
    let mut exact: HashMap<&str, u32> = HashMap::new();
    let mut folded: HashMap<String, u32> = HashMap::new();
    let mut distinct: Vec<Arc<str>> = Vec::new();
    let codes = values
        .iter()
        .map(|v| {
            let Some(v) = v else { return 0 };
            if let Some(code) = exact.get(&**v) {
                return *code;
            }
            let code = *folded.entry(collation.key(v).into_owned()).or_insert_with(|| {
                distinct.push(Arc::clone(v));
                distinct.len() as u32
            });
            exact.insert(v, code);
            code
        })
        .collect();
    (Dictionary::Strings(distinct), codes)
}

// Bytes ------------------------------------------------------------------------------------

#[derive(Serialize, Deserialize)]
struct Directory {
    rows: u64,
    columns: Vec<ColumnEntry>,
}

#[derive(Serialize, Deserialize)]
struct ColumnEntry {
    data_type: DataType,
    dictionary: DictionaryKind,
    /// Compressed and plain length of the dictionary block.
    dictionary_bytes: (u64, u64),
    /// Bytes per code: 1, 2 or 4; 0 where every row has `constant`.
    width: u8,
    constant: u32,
    codes_bytes: (u64, u64),
}

#[derive(Serialize, Deserialize)]
enum DictionaryKind {
    Range { base: i64, unit: i64, count: u32 },
    Integers,
    Doubles,
    Strings,
}

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the segment is damaged: {what}"))
}

fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL)
        .map_err(|e| Error::internal(format!("a column could not be compressed: {e}")))
}

impl Segment {
    /// The bytes of the file. The same segment always gives the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut blocks = Vec::new();
        let mut columns = Vec::new();
        for c in &self.columns {
            let plain = dictionary_bytes(&c.dictionary)?;
            let packed = compress(&plain)?;
            let (width, constant, codes) = code_bytes(&c.codes);
            let packed_codes = compress(&codes)?;
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
                width,
                constant,
                codes_bytes: (packed_codes.len() as u64, codes.len() as u64),
            });
            blocks.extend(packed);
            blocks.extend(packed_codes);
        }
        let directory = postcard::to_stdvec(&Directory { rows: self.rows as u64, columns })
            .map_err(|e| Error::internal(format!("a segment could not be written: {e}")))?;
        let mut out = MAGIC.to_vec();
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(directory);
        out.extend(blocks);
        Ok(out)
    }

    /// Reads a file. Damaged bytes give `ErrorKind::Corrupt`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| corrupt("it does not begin as one"))?;
        let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("it is cut off"))?;
        let len = u32::from_le_bytes(*len) as usize;
        let (directory, mut blocks) =
            rest.split_at_checked(len).ok_or_else(|| corrupt("it is cut off"))?;
        let directory: Directory =
            postcard::from_bytes(directory).map_err(|_| corrupt("its directory is unreadable"))?;
        let rows = usize::try_from(directory.rows).map_err(corrupt)?;
        if rows > SEGMENT_ROWS * 16 {
            return Err(corrupt("it claims too many rows"));
        }
        let mut columns = Vec::new();
        for entry in directory.columns {
            let plain = take_block(&mut blocks, entry.dictionary_bytes)?;
            let dictionary = read_dictionary(&entry.dictionary, &plain)?;
            let plain = take_block(&mut blocks, entry.codes_bytes)?;
            let codes = read_codes(entry.width, entry.constant, rows, &plain)?;
            let highest = (0..codes.len()).map(|r| codes.get(r)).max();
            if codes.len() != rows || highest.is_some_and(|h| h > dictionary.len()) {
                return Err(corrupt("a column's codes do not fit"));
            }
            columns.push(SegmentColumn { data_type: entry.data_type, dictionary, codes });
        }
        Ok(Self { rows, columns })
    }
}

fn take_block(blocks: &mut &[u8], (packed, plain): (u64, u64)) -> Result<Vec<u8>> {
    let packed = usize::try_from(packed).map_err(corrupt)?;
    let plain = usize::try_from(plain).map_err(corrupt)?;
    let (block, rest) = blocks.split_at_checked(packed).ok_or_else(|| corrupt("it is cut off"))?;
    *blocks = rest;
    // zstd never shrinks by more than this; a larger claim is a lie that would cost memory.
    if plain > packed.saturating_mul(100_000).max(1 << 16) {
        return Err(corrupt("a block claims an impossible size"));
    }
    let bytes = zstd::bulk::decompress(block, plain).map_err(corrupt)?;
    if bytes.len() == plain { Ok(bytes) } else { Err(corrupt("a block has another size")) }
}

fn dictionary_bytes(dictionary: &Dictionary) -> Result<Vec<u8>> {
    Ok(match dictionary {
        Dictionary::Range { .. } => Vec::new(),
        Dictionary::Integers(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dictionary::Doubles(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dictionary::Strings(v) => postcard::to_stdvec(v)
            .map_err(|e| Error::internal(format!("a dictionary could not be written: {e}")))?,
    })
}

fn read_dictionary(kind: &DictionaryKind, bytes: &[u8]) -> Result<Dictionary> {
    let eights = || {
        let (chunks, rest) = bytes.as_chunks::<8>();
        if rest.is_empty() { Ok(chunks) } else { Err(corrupt("a dictionary is cut off")) }
    };
    Ok(match kind {
        DictionaryKind::Range { base, unit, count } => {
            let last = i64::from(*count).checked_mul(*unit).and_then(|w| w.checked_add(*base));
            if *unit < 1 || last.is_none() {
                return Err(corrupt("a range of values is impossible"));
            }
            Dictionary::Range { base: *base, unit: *unit, count: *count }
        }
        DictionaryKind::Integers => {
            Dictionary::Integers(eights()?.iter().map(|b| i64::from_le_bytes(*b)).collect())
        }
        DictionaryKind::Doubles => {
            Dictionary::Doubles(eights()?.iter().map(|b| f64::from_le_bytes(*b)).collect())
        }
        DictionaryKind::Strings => Dictionary::Strings(
            postcard::from_bytes(bytes).map_err(|_| corrupt("a dictionary is unreadable"))?,
        ),
    })
}

fn code_bytes(codes: &Codes) -> (u8, u32, Vec<u8>) {
    match codes {
        Codes::U8(v) => (1, 0, v.clone()),
        Codes::U16(v) => (2, 0, v.iter().flat_map(|c| c.to_le_bytes()).collect()),
        Codes::U32(v) => (4, 0, v.iter().flat_map(|c| c.to_le_bytes()).collect()),
        Codes::Constant { code, .. } => (0, *code, Vec::new()),
    }
}

fn read_codes(width: u8, constant: u32, rows: usize, bytes: &[u8]) -> Result<Codes> {
    Ok(match width {
        0 => Codes::Constant { code: constant, rows },
        1 => Codes::U8(bytes.to_vec()),
        2 => Codes::U16(bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect()),
        4 => Codes::U32(bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()),
        w => return Err(corrupt(format!("a column has codes of {w} bytes"))),
    })
}
