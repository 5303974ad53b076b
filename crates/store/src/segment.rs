//! A segment in memory: an immutable run of rows, column by column, each column coded.
//!
//! Code 0 of every column is blank. Other codes are either positions in the segment's own
//! dictionary (code 1 is its first value) or offsets from a smallest value.

use std::sync::Arc;

use evercube_base::{DataType, DateTime, Decimal, Value};

/// Codes at the smallest width that holds them.
#[derive(Debug, Clone, PartialEq)]
pub enum Codes {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    /// Every row has this code.
    Constant {
        code: u32,
        rows: usize,
    },
}

/// Codes of neighbouring rows, as narrow as they are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CodeBlock<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    /// Every row has this code.
    Constant(u32),
}

impl Codes {
    /// The narrowest form of `codes`.
    pub fn pack(codes: &[u32]) -> Self {
        let max = codes.iter().copied().max().unwrap_or(0);
        match codes.first() {
            Some(first) if codes.iter().all(|c| c == first) => {
                Self::Constant { code: *first, rows: codes.len() }
            }
            _ if max <= 0xff => Self::U8(codes.iter().map(|c| *c as u8).collect()),
            _ if max <= 0xffff => Self::U16(codes.iter().map(|c| *c as u16).collect()),
            _ => Self::U32(codes.to_vec()),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::Constant { rows, .. } => *rows,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bits each row takes.
    pub fn bits(&self) -> u32 {
        match self {
            Self::U8(_) => 8,
            Self::U16(_) => 16,
            Self::U32(_) => 32,
            Self::Constant { .. } => 0,
        }
    }

    #[inline]
    pub fn get(&self, row: usize) -> u32 {
        match self {
            Self::U8(v) => u32::from(v[row]),
            Self::U16(v) => u32::from(v[row]),
            Self::U32(v) => v[row],
            Self::Constant { code, .. } => *code,
        }
    }

    /// Codes of `n` rows from row `first` on.
    pub(crate) fn block(&self, first: usize, n: usize) -> CodeBlock<'_> {
        match self {
            Self::U8(v) => CodeBlock::U8(&v[first..first + n]),
            Self::U16(v) => CodeBlock::U16(&v[first..first + n]),
            Self::U32(v) => CodeBlock::U32(&v[first..first + n]),
            Self::Constant { code, .. } => CodeBlock::Constant(*code),
        }
    }

    /// Translates `out.len()` codes from row `first` on through `map`.
    pub(crate) fn read_mapped(&self, first: usize, map: &CodeMap, out: &mut [u32]) {
        let n = out.len();
        match self {
            Self::U8(v) => translate(&v[first..first + n], map, out, |c| u32::from(*c)),
            Self::U16(v) => translate(&v[first..first + n], map, out, |c| u32::from(*c)),
            Self::U32(v) => translate(&v[first..first + n], map, out, |c| *c),
            Self::Constant { code, .. } => out.fill(map.get(*code)),
        }
    }
}

fn translate<T>(from: &[T], map: &CodeMap, out: &mut [u32], widen: impl Fn(&T) -> u32) {
    match map {
        CodeMap::Same => {
            for (o, c) in out.iter_mut().zip(from) {
                *o = widen(c);
            }
        }
        CodeMap::Shift(by) => {
            for (o, c) in out.iter_mut().zip(from) {
                let c = widen(c);
                *o = if c == 0 { 0 } else { c + by };
            }
        }
        CodeMap::Scale { by, factor } => {
            for (o, c) in out.iter_mut().zip(from) {
                let c = widen(c);
                *o = if c == 0 { 0 } else { by + (c - 1) * factor + 1 };
            }
        }
        CodeMap::Table(t) => {
            for (o, c) in out.iter_mut().zip(from) {
                *o = t[widen(c) as usize];
            }
        }
    }
}

/// From a segment's codes to the codes of the whole column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CodeMap {
    Same,
    /// Value encoding with another smallest value: codes but blank move by this much.
    Shift(u32),
    /// Value encoding with another smallest value and another unit: neighbours become this far
    /// apart.
    Scale {
        by: u32,
        factor: u32,
    },
    Table(Vec<u32>),
}

impl CodeMap {
    #[inline]
    pub(crate) fn get(&self, code: u32) -> u32 {
        match self {
            Self::Same => code,
            Self::Shift(_) if code == 0 => 0,
            Self::Shift(by) => code + by,
            Self::Scale { .. } if code == 0 => 0,
            Self::Scale { by, factor } => by + (code - 1) * factor + 1,
            Self::Table(t) => t[code as usize],
        }
    }
}

/// What codes above 0 stand for.
#[derive(Debug, Clone, PartialEq)]
pub enum Dictionary {
    /// Code `c` is the integer `base + c - 1` (the raw value: days' microseconds for dates with
    /// `unit`, ten-thousandths for decimals). `count` codes besides blank.
    Range {
        base: i64,
        unit: i64,
        count: u32,
    },
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Strings(Vec<Arc<str>>),
}

impl Dictionary {
    /// Number of codes besides blank.
    pub fn len(&self) -> u32 {
        match self {
            Self::Range { count, .. } => *count,
            Self::Integers(v) => v.len() as u32,
            Self::Doubles(v) => v.len() as u32,
            Self::Strings(v) => v.len() as u32,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The raw integer of a code above 0, for the integer-like types.
    #[inline]
    pub(crate) fn integer(&self, code: u32) -> i64 {
        match self {
            Self::Range { base, unit, .. } => base + (i64::from(code) - 1) * unit,
            Self::Integers(v) => v[code as usize - 1],
            Self::Doubles(_) | Self::Strings(_) => 0,
        }
    }

    /// The value of a code of a column of `data_type`; code 0 is blank.
    pub fn value(&self, data_type: DataType, code: u32) -> Value {
        if code == 0 || code > self.len() {
            return Value::Blank;
        }
        match self {
            Self::Doubles(v) => Value::Double(v[code as usize - 1]),
            Self::Strings(v) => Value::String(Arc::clone(&v[code as usize - 1])),
            Self::Range { .. } | Self::Integers(_) => {
                let raw = self.integer(code);
                match data_type {
                    DataType::Boolean => Value::Boolean(raw != 0),
                    DataType::Decimal => Value::Decimal(Decimal(raw)),
                    DataType::DateTime => Value::DateTime(DateTime(raw)),
                    _ => Value::Int(raw),
                }
            }
        }
    }
}

/// One column of a segment.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentColumn {
    pub data_type: DataType,
    pub dictionary: Dictionary,
    pub codes: Codes,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Segment {
    pub rows: usize,
    pub columns: Vec<SegmentColumn>,
}
