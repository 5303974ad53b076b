//! A column of a table: segments side by side under one set of codes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use evercube_base::{Collation, DataType, DateTime, Decimal, Value};
use evercube_work::{interrupt_point, tick};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::blocks::{BLOCK_ROWS, Cell};
use crate::code_map::CodeMap;
use crate::dictionary::{Dictionary, text_hash};
use crate::encode::double_key;
use crate::merge::merge;
use crate::scan_request::BitSet;
use crate::segment::{CodeBlock, SegmentColumn};

/// One segment's part of a column.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) first_row: usize,
    pub(crate) source: PieceSource,
    pub(crate) map: CodeMap,
}

/// The segment a piece's codes are in, and which of its columns; `None`: blank in every row.
#[derive(Debug, Clone)]
pub(crate) struct PieceSource {
    pub(crate) rows: usize,
    pub(crate) column: Option<(Arc<crate::segment::Segment>, usize)>,
}

impl PieceSource {
    pub(crate) fn column(&self) -> Option<&SegmentColumn> {
        self.column.as_ref().map(|(segment, i)| &segment.columns[*i])
    }
}

/// How a value is found again.
#[derive(Debug, Default)]
struct Lookup {
    doubles: HashMap<u64, u32, FixedState>,
    /// Codes, by the collation's key of their text.
    texts: HashTable<u32>,
}

/// One column of a [`crate::TableData`]. Codes are `0..cardinality()`; code 0 is blank.
#[derive(Debug)]
pub struct Column {
    data_type: DataType,
    collation: Collation,
    dictionary: Dictionary,
    pieces: Vec<Piece>,
    rows: usize,
    has_blank: bool,
    lookup: OnceLock<Lookup>,
    ranks: OnceLock<Arc<Vec<u32>>>,
    present: OnceLock<BitSet>,
    values_present: OnceLock<usize>,
    is_unique: OnceLock<bool>,
}

impl Column {
    pub(crate) fn new(data_type: DataType, collation: Collation, parts: Vec<PieceSource>) -> Self {
        let dictionaries: Vec<&Dictionary> =
            parts.iter().filter_map(|p| p.column()).map(|c| &c.dictionary).collect();
        let (dictionary, maps) = merge(&dictionaries, collation);
        let mut maps = maps.into_iter();
        let mut pieces = Vec::new();
        let mut rows = 0;
        for source in parts {
            let map = match source.column() {
                Some(_) => maps.next().unwrap_or(CodeMap::Same),
                None => CodeMap::Same,
            };
            let first_row = rows;
            rows += source.rows;
            pieces.push(Piece { first_row, source, map });
        }
        let has_blank = pieces.iter().any(|p: &Piece| match p.source.column() {
            Some(c) => c.codes.rows() > 0 && c.codes.zone(0, c.codes.rows()).0 == 0,
            None => p.source.rows > 0,
        });
        Self {
            data_type,
            collation,
            dictionary,
            pieces,
            rows,
            has_blank,
            lookup: OnceLock::new(),
            ranks: OnceLock::new(),
            present: OnceLock::new(),
            values_present: OnceLock::new(),
            is_unique: OnceLock::new(),
        }
    }

    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cardinality(&self) -> u32 {
        self.dictionary.len() + 1
    }

    /// Whether some row really is blank.
    pub fn has_blank(&self) -> bool {
        self.has_blank
    }

    /// The piece that has a row.
    pub(crate) fn piece(&self, row: usize) -> Option<&Piece> {
        let at = self.pieces.partition_point(|p| p.first_row <= row);
        self.pieces.get(at.checked_sub(1)?)
    }

    /// For each piece, the row after its last.
    pub(crate) fn piece_ends(&self) -> impl Iterator<Item = usize> + '_ {
        self.pieces.iter().map(|p| p.first_row + p.source.rows)
    }

    /// The code of a row; rows outside the table (its blank row) are blank.
    pub fn code(&self, row: usize) -> u32 {
        if row >= self.rows {
            return 0;
        }
        let Some(piece) = self.piece(row) else { return 0 };
        let column = piece.source.column();
        column.map_or(0, |c| piece.map.get(c.codes.get(row - piece.first_row)))
    }

    pub fn value(&self, code: u32) -> Value {
        self.dictionary.value(self.data_type, code)
    }

    /// Bytes of the column's dictionary in memory, about.
    pub fn dictionary_bytes(&self) -> usize {
        self.dictionary.bytes()
    }

    /// Whether values are kept in a dictionary rather than as offsets.
    pub fn has_dictionary(&self) -> bool {
        !matches!(self.dictionary, Dictionary::Range { .. })
    }

    /// Rows of the column's segments and the bytes of their codes, in the order of the rows.
    pub fn segments(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let bytes = |p: &Piece| p.source.column().map_or(0, |c| c.codes.bytes());
        self.pieces.iter().map(move |p| (p.source.rows, bytes(p)))
    }

    /// The raw integer of a code above 0 (see [`Dictionary`]), for exact sums.
    pub(crate) fn integer(&self, code: u32) -> i64 {
        self.dictionary.integer(code)
    }

    /// The smallest and largest raw integer there can be; for the integer-like types.
    pub(crate) fn integer_bounds(&self) -> (i128, i128) {
        match &self.dictionary {
            Dictionary::Range { base, unit, count } => {
                let last = i128::from(*base) + i128::from(*unit) * i128::from(count.max(&1) - 1);
                (i128::from(*base), last)
            }
            Dictionary::Integers(v) => {
                let ends = v.iter().min().zip(v.iter().max());
                ends.map_or((0, 0), |(low, high)| (i128::from(*low), i128::from(*high)))
            }
            Dictionary::Doubles(_) | Dictionary::Strings(_) => (0, 0),
        }
    }

    /// Whether codes are in the order of their values.
    pub fn is_in_order(&self) -> bool {
        matches!(self.dictionary, Dictionary::Range { .. } | Dictionary::Integers(_))
    }

    /// Smallest value and distance of neighbours, where codes are offsets.
    pub(crate) fn range(&self) -> Option<(i64, i64)> {
        match &self.dictionary {
            Dictionary::Range { base, unit, .. } => Some((*base, *unit)),
            _ => None,
        }
    }

    /// The double of a code above 0 of a column of doubles.
    pub(crate) fn double(&self, code: u32) -> f64 {
        match &self.dictionary {
            Dictionary::Doubles(v) => v[code as usize - 1],
            _ => 0.0,
        }
    }

    /// Codes of `out.len()` rows from `first_row` on; rows past the end are blank.
    pub fn read_codes(&self, first_row: usize, out: &mut [u32]) {
        self.read(first_row, out);
    }

    /// The code of every row and, last, that of the table's blank row.
    pub fn all_codes(&self) -> Vec<u32> {
        let mut codes = vec![0; self.rows + 1];
        self.read_codes(0, &mut codes);
        codes
    }

    /// As [`Column::read_codes`], into cells that hold every code of the column.
    pub(crate) fn read<T: Cell>(&self, first_row: usize, out: &mut [T]) {
        let mut row = first_row;
        let mut filled = 0;
        while filled < out.len() && row < self.rows {
            let Some(piece) = self.piece(row) else { break };
            let offset = row - piece.first_row;
            let n = (piece.source.rows - offset).min(out.len() - filled);
            let part = &mut out[filled..filled + n];
            match piece.source.column() {
                Some(c) => c.codes.read(offset, &piece.map, part),
                None => part.fill(T::of(0)),
            }
            filled += n;
            row += n;
        }
        out[filled..].fill(T::of(0));
    }

    /// The code of a value, by the column's type and collation; numbers of other types match
    /// where they are equal. Blank is code 0.
    pub fn code_of(&self, value: &Value) -> Option<u32> {
        if value.is_blank() {
            return Some(0);
        }
        match (&self.dictionary, value) {
            (Dictionary::Strings(texts), Value::String(s)) => {
                let key = self.collation.key(s);
                let same = |c: &u32| self.collation.key(texts.get(*c as usize - 1)) == key;
                self.lookup().texts.find(text_hash(&key), same).copied()
            }
            (Dictionary::Doubles(_), v) => {
                self.lookup().doubles.get(&double_key(number(v)?)).copied()
            }
            (Dictionary::Range { base, unit, count }, v) => {
                let offset = self.raw(v)?.checked_sub(*base)?;
                let fits = offset >= 0 && offset % unit == 0 && offset / unit < i64::from(*count);
                fits.then(|| (offset / unit) as u32 + 1)
            }
            (Dictionary::Integers(all), v) => {
                all.binary_search(&self.raw(v)?).ok().map(|i| i as u32 + 1)
            }
            (Dictionary::Strings(_), _) => None,
        }
    }

    /// The raw integer a value has in this column, where it can have one.
    fn raw(&self, value: &Value) -> Option<i64> {
        match (self.data_type, value) {
            (DataType::Boolean, Value::Boolean(b)) => Some(i64::from(*b)),
            (DataType::DateTime, Value::DateTime(t)) => Some(t.0),
            (DataType::DateTime, v) => DateTime::from_ole(number(v)?).map(|t| t.0),
            (DataType::Int64, Value::Int(i)) => Some(*i),
            (DataType::Int64, v) => {
                let n = number(v)?;
                (n.fract() == 0.0 && n.abs() < 9.0e18).then_some(n as i64)
            }
            (DataType::Decimal, Value::Decimal(d)) => Some(d.0),
            (DataType::Decimal, Value::Int(i)) => Decimal::from_int(*i).map(|d| d.0),
            (DataType::Decimal, v) => {
                let n = number(v)?;
                Decimal::from_f64(n).filter(|d| d.to_f64() == n).map(|d| d.0)
            }
            _ => None,
        }
    }

    fn lookup(&self) -> &Lookup {
        self.lookup.get_or_init(|| {
            let mut l = Lookup::default();
            match &self.dictionary {
                Dictionary::Range { .. } | Dictionary::Integers(_) => {}
                Dictionary::Doubles(v) => {
                    l.doubles = v.iter().zip(1..).map(|(x, c)| (double_key(*x), c)).collect();
                }
                Dictionary::Strings(v) => {
                    let hash = |text: &str| text_hash(&self.collation.key(text));
                    let again = |c: &u32| hash(v.get(*c as usize - 1));
                    l.texts = HashTable::with_capacity(v.len());
                    for (text, code) in v.iter().zip(1..) {
                        tick();
                        l.texts.insert_unique(hash(text), code, again);
                    }
                }
            }
            l
        })
    }

    /// The codes some row has. Offsets of a range may have no row, others always have one.
    pub fn present(&self) -> &BitSet {
        self.present.get_or_init(|| {
            let mut present = BitSet::new(self.cardinality() as usize, false);
            for piece in self.pieces.iter().filter(|p| p.source.rows > 0) {
                interrupt_point();
                match piece.source.column() {
                    Some(c) => {
                        let of = of_segment(c, piece.source.rows);
                        of.iter()
                            .for_each(|code| present.insert(piece.map.get(code as u32) as usize));
                    }
                    None => present.insert(0),
                }
            }
            present
        })
    }

    /// How many codes that are.
    pub(crate) fn values_present(&self) -> usize {
        *self.values_present.get_or_init(|| self.present().count())
    }

    /// Whether every row has a value of its own and none is blank.
    pub fn is_unique(&self) -> bool {
        *self.is_unique.get_or_init(|| {
            !self.has_blank
                && self.cardinality() as usize > self.rows
                && self.values_present() == self.rows
        })
    }

    /// Place of each code in the order of the values, blank first; `None` where codes are in that
    /// order themselves.
    pub fn ranks(&self) -> Option<Arc<Vec<u32>>> {
        if self.is_in_order() {
            return None;
        }
        Some(Arc::clone(self.ranks.get_or_init(|| {
            let mut codes: Vec<u32> = (1..self.cardinality()).collect();
            match &self.dictionary {
                Dictionary::Range { .. } | Dictionary::Integers(_) => {}
                Dictionary::Doubles(v) => {
                    codes.sort_by(|a, b| {
                        tick();
                        v[*a as usize - 1].total_cmp(&v[*b as usize - 1])
                    });
                }
                Dictionary::Strings(v) => codes.sort_by(|a, b| {
                    tick();
                    self.collation.compare(v.get(*a as usize - 1), v.get(*b as usize - 1))
                }),
            }
            let mut ranks = vec![0; self.cardinality() as usize];
            for (rank, code) in (1..).zip(codes) {
                ranks[code as usize] = rank;
            }
            Arc::new(ranks)
        })))
    }
}

/// The codes some row of a segment has.
fn of_segment(column: &SegmentColumn, rows: usize) -> BitSet {
    let mut seen = BitSet::new(column.dictionary.len() as usize + 1, false);
    for first in (0..rows).step_by(BLOCK_ROWS) {
        let n = BLOCK_ROWS.min(rows - first);
        column.codes.with_block(first, n, |block| match block {
            CodeBlock::U8(codes) => codes.iter().for_each(|c| seen.insert((*c).into())),
            CodeBlock::U16(codes) => codes.iter().for_each(|c| seen.insert((*c).into())),
            CodeBlock::U32(codes) => codes.iter().for_each(|c| seen.insert(*c as usize)),
            CodeBlock::Constant(code) => seen.insert(code as usize),
        });
    }
    seen
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Blank | Value::String(_) | Value::Boolean(_) => None,
        v => v.as_f64(),
    }
}
