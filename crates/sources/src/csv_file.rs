//! Delimited text: encodings, quoting, and columns by position.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::rc::Rc;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use evercube_base::{Error, ErrorKind, Result};

use crate::files_read::open_file;
use crate::m::eval::Interp;
use crate::m::value::Binary;
use crate::table::{Batch, Column, Name, Origin, Place, Rows, Table};
use crate::text_check::Checked;

const READ_ROWS: usize = 16_384;
/// Of the rows that are read at once, so that they fit where one of them is long.
const READ_BYTES: usize = 64 << 20;
const MOST_COLUMNS: usize = 16_384;

#[derive(Clone)]
pub(crate) struct Options {
    pub delimiter: u8,
    /// Windows code page: 65001, 1252, 1200, 1201, 20127, 28591.
    pub encoding: i64,
    /// Line breaks inside quotes belong to the cell.
    pub quoted_breaks: bool,
    pub columns: Option<Vec<Name>>,
    pub width: Option<usize>,
}

struct CsvFile {
    binary: Binary,
    options: Options,
    width: usize,
}

fn fault(binary: &Binary, e: impl std::fmt::Display) -> Error {
    let what = match binary {
        Binary::File(p) => format!("the text file '{}'", p.display()),
        Binary::Bytes(_) => "the text".to_owned(),
    };
    Error::new(ErrorKind::Source, format!("cannot read {what}: {e}"))
}

fn reader(binary: &Binary, o: &Options) -> Result<csv::Reader<Box<dyn Read>>> {
    let mut raw: Box<dyn BufRead> = match binary {
        Binary::File(p) => {
            Box::new(BufReader::with_capacity(1 << 18, open_file(p).map_err(|e| fault(binary, e))?))
        }
        Binary::Bytes(b) => Box::new(Cursor::new(b.to_vec())),
    };
    let head: Vec<u8> =
        raw.fill_buf().map_err(|e| fault(binary, e))?.iter().take(3).copied().collect();
    let encoding = match head.as_slice() {
        [0xef, 0xbb, 0xbf] => {
            raw.consume(3);
            65001
        }
        [0xff, 0xfe, ..] => {
            raw.consume(2);
            1200
        }
        [0xfe, 0xff, ..] => {
            raw.consume(2);
            1201
        }
        _ => o.encoding,
    };
    let mut text: Box<dyn Read> = match encoding {
        65001 | 20127 => raw,
        1252 | 28591 | 1200 | 1201 => {
            Box::new(Transcoder { raw, encoding, out: Vec::new(), at: 0, high: None })
        }
        other => {
            return Err(Error::unsupported(format!(
                "Csv.Document does not support the encoding {other}: use 65001 (UTF-8), 1252, \
                 28591, 1200 or 1201"
            )));
        }
    };
    text = Box::new(Checked::new(text, o.delimiter, o.quoted_breaks));
    if !o.quoted_breaks {
        text = Box::new(LineQuotes { raw: BufReader::new(text), out: Vec::new(), at: 0 });
    }
    Ok(csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(o.delimiter)
        .from_reader(text))
}

/// The table of a delimited text; only the first record is read here.
pub(crate) fn open(binary: &Binary, options: Options) -> Result<Table> {
    let width = match (&options.columns, options.width) {
        (Some(c), _) => c.len(),
        (None, Some(w)) => w,
        (None, None) => {
            let mut first = csv::ByteRecord::new();
            reader(binary, &options)?.read_byte_record(&mut first).map_err(|e| fault(binary, e))?;
            first.len()
        }
    };
    if width > MOST_COLUMNS {
        let found = format!(
            "its first row has {width} values, and a table has {MOST_COLUMNS} columns at most"
        );
        return Err(fault(binary, found));
    }
    let names = options
        .columns
        .clone()
        .unwrap_or_else(|| (1..=width).map(|i| format!("Column{i}").into()).collect());
    Ok(Table::new(names, Rc::new(CsvFile { binary: binary.clone(), options, width })))
}

impl Origin for CsvFile {
    fn open(&self, it: &Rc<Interp>, wanted: &[usize]) -> Result<Box<dyn Rows>> {
        Ok(Box::new(CsvRows {
            it: it.clone(),
            reader: reader(&self.binary, &self.options)?,
            wanted: wanted.to_vec(),
            width: self.width,
            file: self.binary.file(),
            binary: self.binary.clone(),
        }))
    }
}

struct CsvRows {
    it: Rc<Interp>,
    reader: csv::Reader<Box<dyn Read>>,
    wanted: Vec<usize>,
    width: usize,
    file: Option<Name>,
    binary: Binary,
}

impl Rows for CsvRows {
    fn next(&mut self) -> Result<Option<Batch>> {
        self.it.check_cancel()?;
        let mut out: Vec<StringBuilder> =
            self.wanted.iter().map(|_| StringBuilder::new()).collect();
        let mut record = csv::ByteRecord::new();
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < READ_ROWS
            && bytes < READ_BYTES
            && self.reader.read_byte_record(&mut record).map_err(|e| fault(&self.binary, e))?
        {
            let line = line_of(&record);
            for (w, b) in self.wanted.iter().zip(&mut out) {
                match record.get(*w).filter(|_| *w < self.width) {
                    Some(c) => b.append_value(self.text(c, line)?),
                    None => b.append_null(),
                }
            }
            bytes += record.as_slice().len();
            lines.push(line);
        }
        let rows = lines.len();
        if rows == 0 {
            return Ok(None);
        }
        let place = self.file.clone().map(|file| Rc::new(Place::lines(file, lines)));
        let column = |b: &mut StringBuilder| Column::read(Arc::new(b.finish()), place.clone());
        Ok(Some(Batch { columns: out.iter_mut().map(column).collect(), rows }))
    }
}

impl CsvRows {
    fn text<'a>(&self, cell: &'a [u8], line: u32) -> Result<&'a str> {
        std::str::from_utf8(cell).map_err(|_| {
            fault(
                &self.binary,
                format!(
                    "line {line} holds bytes that are no UTF-8: the option Encoding of Csv.Document says \
                     what the file is written in, as 1252 for Windows"
                ),
            )
        })
    }
}

/// The line a record begins in; where lines end without a line feed, its number.
fn line_of(record: &csv::ByteRecord) -> u32 {
    let at = record.position();
    let line = at.map_or(0, |p| p.line().max(p.record() + 1));
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// Windows-1252 or UTF-16 text, read as UTF-8.
struct Transcoder {
    raw: Box<dyn BufRead>,
    encoding: i64,
    out: Vec<u8>,
    at: usize,
    high: Option<u16>,
}

/// What Windows-1252 has at 0x80–0x9f.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

impl Transcoder {
    fn fill(&mut self) -> std::io::Result<()> {
        self.out.clear();
        self.at = 0;
        let mut block = Vec::new();
        self.raw.by_ref().take(1 << 16).read_to_end(&mut block)?;
        if block.is_empty() && self.high.is_some() {
            return Err(not_utf16());
        }
        let mut text = String::with_capacity(block.len() * 2);
        if matches!(self.encoding, 1252 | 28591) {
            for b in block {
                let c = (0x80..0xa0).contains(&b).then(|| WINDOWS.get(usize::from(b) - 0x80));
                text.push(
                    c.flatten().copied().filter(|_| self.encoding == 1252).unwrap_or(b.into()),
                );
            }
        } else {
            for p in block.chunks(2) {
                let (a, b) = (p.first().copied().unwrap_or(0), p.get(1).copied().unwrap_or(0));
                let unit = if self.encoding == 1200 {
                    u16::from_le_bytes([a, b])
                } else {
                    u16::from_be_bytes([a, b])
                };
                let before = self.high.take();
                if p.len() < 2 {
                    return Err(not_utf16());
                }
                if before.is_none() && (0xd800..0xdc00).contains(&unit) {
                    self.high = Some(unit);
                    continue;
                }
                let units = before.into_iter().chain([unit]);
                for c in char::decode_utf16(units) {
                    text.push(c.map_err(|_| not_utf16())?);
                }
            }
        }
        self.out = text.into_bytes();
        Ok(())
    }
}

fn not_utf16() -> std::io::Error {
    std::io::Error::other(
        "it holds what is no UTF-16: the file is cut off or damaged, or its encoding is another one than \
         the option Encoding says",
    )
}

impl Read for Transcoder {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= self.out.len() {
            self.fill()?;
        }
        drain(&self.out, &mut self.at, buf)
    }
}

fn drain(out: &[u8], at: &mut usize, buf: &mut [u8]) -> std::io::Result<usize> {
    let n = out.get(*at..).unwrap_or_default().read(buf)?;
    *at += n;
    Ok(n)
}

/// Ends every line's open quote at its end, so that a line is always a record.
struct LineQuotes<R> {
    raw: BufReader<R>,
    out: Vec<u8>,
    at: usize,
}

impl<R: Read> Read for LineQuotes<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= self.out.len() {
            self.out.clear();
            self.at = 0;
            self.raw.read_until(b'\n', &mut self.out)?;
            if self.out.iter().filter(|b| **b == b'"').count() % 2 == 1 {
                let end = self.out.iter().rposition(|b| !matches!(b, b'\r' | b'\n'));
                self.out.insert(end.map_or(0, |e| e + 1), b'"');
            }
        }
        drain(&self.out, &mut self.at, buf)
    }
}
