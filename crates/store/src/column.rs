//! A column of a table: segments side by side under one set of codes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use evercube_base::{Collation, DataType, DateTime, Decimal, Value};

use crate::scan_request::BitSet;
use crate::segment::{CodeMap, Dictionary, SegmentColumn};
use crate::segment_file::{double_key, greatest_common_divisor};

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
    integers: HashMap<i64, u32>,
    doubles: HashMap<u64, u32>,
    strings: HashMap<String, u32>,
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
        let mut column = Self {
            data_type,
            collation,
            dictionary,
            pieces,
            rows,
            has_blank: false,
            lookup: OnceLock::new(),
            ranks: OnceLock::new(),
            present: OnceLock::new(),
        };
        column.has_blank = column.pieces.iter().any(|p| match p.source.column() {
            Some(c) => (0..c.codes.len()).any(|r| c.codes.get(r) == 0),
            None => p.source.rows > 0,
        });
        column
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
        match &self.dictionary {
            Dictionary::Range { .. } => 0,
            Dictionary::Integers(v) => v.len() * 8,
            Dictionary::Doubles(v) => v.len() * 8,
            Dictionary::Strings(v) => v.iter().map(|s| s.len() + 16).sum(),
        }
    }

    /// Whether values are kept in a dictionary rather than as offsets.
    pub fn has_dictionary(&self) -> bool {
        !matches!(self.dictionary, Dictionary::Range { .. })
    }

    /// Rows and bits for each value of the column's segments, in the order of the rows.
    pub fn segments(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.pieces.iter().map(|p| (p.source.rows, p.source.column().map_or(0, |c| c.codes.bits())))
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
        let mut row = first_row;
        let mut filled = 0;
        while filled < out.len() && row < self.rows {
            let Some(piece) = self.piece(row) else { break };
            let offset = row - piece.first_row;
            let n = (piece.source.rows - offset).min(out.len() - filled);
            match piece.source.column() {
                Some(c) => {
                    c.codes.read_mapped(offset, &piece.map, &mut out[filled..filled + n]);
                }
                None => out[filled..filled + n].fill(0),
            }
            filled += n;
            row += n;
        }
        out[filled..].fill(0);
    }

    /// The code of a value, by the column's type and collation; numbers of other types match
    /// where they are equal. Blank is code 0.
    pub fn code_of(&self, value: &Value) -> Option<u32> {
        if value.is_blank() {
            return Some(0);
        }
        match (&self.dictionary, value) {
            (Dictionary::Strings(_), Value::String(s)) => {
                self.lookup().strings.get(self.collation.key(s).as_ref()).copied()
            }
            (Dictionary::Doubles(_), v) => {
                self.lookup().doubles.get(&double_key(number(v)?)).copied()
            }
            (Dictionary::Range { base, unit, count }, v) => {
                let offset = self.raw(v)?.checked_sub(*base)?;
                let fits = offset >= 0 && offset % unit == 0 && offset / unit < i64::from(*count);
                fits.then(|| (offset / unit) as u32 + 1)
            }
            (Dictionary::Integers(_), v) => self.lookup().integers.get(&self.raw(v)?).copied(),
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
                Dictionary::Range { .. } => {}
                Dictionary::Integers(v) => {
                    l.integers = v.iter().zip(1..).map(|(x, c)| (*x, c)).collect();
                }
                Dictionary::Doubles(v) => {
                    l.doubles = v.iter().zip(1..).map(|(x, c)| (double_key(*x), c)).collect();
                }
                Dictionary::Strings(v) => {
                    let key = |s: &Arc<str>| self.collation.key(s).into_owned();
                    l.strings = v.iter().zip(1..).map(|(x, c)| (key(x), c)).collect();
                }
            }
            l
        })
    }

    /// The codes some row has. Offsets of a range may have no row, others always have one.
    pub(crate) fn present(&self) -> &BitSet {
        self.present.get_or_init(|| {
            let mut present = BitSet::new(self.cardinality() as usize, false);
            let mut codes = vec![0; 1 << 14];
            for first in (0..self.rows).step_by(codes.len()) {
                let n = codes.len().min(self.rows - first);
                self.read_codes(first, &mut codes[..n]);
                codes[..n].iter().for_each(|c| present.insert(*c as usize));
            }
            present
        })
    }

    /// Place of each code in the order of the values, blank first.
    pub fn sorted_ranks(&self) -> Arc<Vec<u32>> {
        Arc::clone(self.ranks.get_or_init(|| {
            let mut codes: Vec<u32> = (1..self.cardinality()).collect();
            match &self.dictionary {
                Dictionary::Range { .. } => {}
                Dictionary::Integers(v) => codes.sort_by_key(|c| v[*c as usize - 1]),
                Dictionary::Doubles(v) => {
                    codes.sort_by(|a, b| v[*a as usize - 1].total_cmp(&v[*b as usize - 1]));
                }
                Dictionary::Strings(v) => codes.sort_by(|a, b| {
                    self.collation.compare(&v[*a as usize - 1], &v[*b as usize - 1])
                }),
            }
            let mut ranks = vec![0; self.cardinality() as usize];
            for (rank, code) in (1..).zip(codes) {
                ranks[code as usize] = rank;
            }
            Arc::new(ranks)
        }))
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Blank | Value::String(_) | Value::Boolean(_) => None,
        v => v.as_f64(),
    }
}

/// One dictionary for all segments, and each segment's way into it.
fn merge(parts: &[&Dictionary], collation: Collation) -> (Dictionary, Vec<CodeMap>) {
    match parts {
        [] => (Dictionary::Integers(Vec::new()), Vec::new()),
        [only] => ((*only).clone(), vec![CodeMap::Same]),
        _ => merge_ranges(parts).unwrap_or_else(|| merge_values(parts, collation)),
    }
}

/// Ranges, and whole numbers of a dictionary among them, stay a range where that is not much wider
/// than they are.
fn merge_ranges(parts: &[&Dictionary]) -> Option<(Dictionary, Vec<CodeMap>)> {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    let (mut held, mut ranges) = (0u64, 0);
    for p in parts {
        let (first, last) = match p {
            Dictionary::Range { base, unit, count } => {
                ranges += 1;
                (*base, base.checked_add(unit.checked_mul(i64::from(*count) - 1)?)?)
            }
            Dictionary::Integers(v) if v.is_empty() => continue,
            Dictionary::Integers(v) => (*v.iter().min()?, *v.iter().max()?),
            _ => return None,
        };
        (low, high) = (low.min(first), high.max(last));
        held += u64::from(p.len());
    }
    if ranges == 0 {
        return None;
    }
    let width = u64::try_from(high.checked_sub(low)?).ok()?;
    let offset = |v: i64| v.wrapping_sub(low) as u64;
    let mut unit = 0;
    for p in parts {
        match p {
            Dictionary::Range { base, unit: of, count } => {
                unit = greatest_common_divisor(unit, offset(*base));
                if *count > 1 {
                    unit = greatest_common_divisor(unit, *of as u64);
                }
            }
            Dictionary::Integers(v) => {
                unit = v.iter().fold(unit, |u, x| greatest_common_divisor(u, offset(*x)));
            }
            _ => return None,
        }
    }
    let unit = unit.max(1);
    let count = u32::try_from(width / unit + 1).ok().filter(|c| *c < 1 << 31)?;
    if u64::from(count) > held.saturating_mul(8).max(256) {
        return None;
    }
    let steps = |v: i64| (offset(v) / unit) as u32;
    let map = |p: &&Dictionary| match p {
        Dictionary::Range { base, unit: of, .. } => match (steps(*base), *of as u64 / unit) {
            (0, 1) => CodeMap::Same,
            (by, 1) => CodeMap::Shift(by),
            // A single value may be of any unit.
            (by, factor) => CodeMap::Scale { by, factor: factor as u32 },
        },
        Dictionary::Integers(v) => {
            CodeMap::Table(std::iter::once(0).chain(v.iter().map(|x| steps(*x) + 1)).collect())
        }
        _ => CodeMap::Same,
    };
    let maps = parts.iter().map(map).collect();
    Some((Dictionary::Range { base: low, unit: unit as i64, count }, maps))
}

fn merge_values(parts: &[&Dictionary], collation: Collation) -> (Dictionary, Vec<CodeMap>) {
    let mut maps = Vec::new();
    if parts.iter().any(|p| matches!(p, Dictionary::Strings(_))) {
        let (mut at, mut all): (HashMap<String, u32>, Vec<Arc<str>>) = Default::default();
        for p in parts {
            let mut map = vec![0];
            if let Dictionary::Strings(v) = p {
                for s in v {
                    map.push(*at.entry(collation.key(s).into_owned()).or_insert_with(|| {
                        all.push(Arc::clone(s));
                        all.len() as u32
                    }));
                }
            }
            maps.push(CodeMap::Table(map));
        }
        return (Dictionary::Strings(all), maps);
    }
    if parts.iter().any(|p| matches!(p, Dictionary::Doubles(_))) {
        let (mut at, mut all): (HashMap<u64, u32>, Vec<f64>) = Default::default();
        for p in parts {
            let mut map = vec![0];
            if let Dictionary::Doubles(v) = p {
                for x in v {
                    map.push(*at.entry(double_key(*x)).or_insert_with(|| {
                        all.push(*x);
                        all.len() as u32
                    }));
                }
            }
            maps.push(CodeMap::Table(map));
        }
        return (Dictionary::Doubles(all), maps);
    }
    let values = |p: &Dictionary| -> Vec<i64> { (1..=p.len()).map(|c| p.integer(c)).collect() };
    let mut all: Vec<i64> = parts.iter().flat_map(|p| values(p)).collect();
    all.sort_unstable();
    all.dedup();
    let at: HashMap<i64, u32> = all.iter().zip(1..).map(|(v, c)| (*v, c)).collect();
    for p in parts {
        let codes = values(p).into_iter().map(|v| at.get(&v).copied().unwrap_or(0));
        maps.push(CodeMap::Table(std::iter::once(0).chain(codes).collect()));
    }
    (Dictionary::Integers(all), maps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_dictionaries_keep_every_value() {
        let range = |base, unit, count| Dictionary::Range { base, unit, count };
        let listed = |v: &[i64]| Dictionary::Integers(v.to_vec());
        let cases = [
            (true, vec![range(10, 1, 20), range(5, 1, 20)]),
            (true, vec![range(0, 10, 50), range(5, 5, 60), range(-20, 30, 8)]),
            (true, vec![range(7, 3, 40), listed(&[1, 10, 130])]),
            (true, vec![range(7, 1, 1), range(100, 4, 30), listed(&[])]),
            (false, vec![range(0, 1, 100), range(1 << 40, 1, 100)]),
            (false, vec![listed(&[1, 1000]), listed(&[5, 1000, 1 << 50])]),
            (false, vec![range(i64::MIN, 1, 3), range(i64::MAX - 5, 1, 3)]),
        ];
        for (stays_range, parts) in &cases {
            let parts: Vec<&Dictionary> = parts.iter().collect();
            let (merged, maps) = merge(&parts, Collation::default());
            assert_eq!(matches!(merged, Dictionary::Range { .. }), *stays_range, "{parts:?}");
            for (part, map) in parts.iter().zip(&maps) {
                assert_eq!(map.get(0), 0);
                for code in 1..=part.len() {
                    assert_eq!(merged.integer(map.get(code)), part.integer(code), "{parts:?}");
                }
            }
        }
    }
}
