//! What the codes of a column stand for.

use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use evercube_base::{DataType, DateTime, Decimal, Value};
use foldhash::fast::FixedState;

/// What codes above 0 stand for.
#[derive(Debug, Clone, PartialEq)]
pub enum Dictionary {
    /// Code `c` is the integer `base + (c - 1) * unit` (the raw value: microseconds for dates,
    /// ten-thousandths for decimals). `count` codes besides blank.
    Range {
        base: i64,
        unit: i64,
        count: u32,
    },
    /// Ascending in a segment.
    Integers(Arc<Vec<i64>>),
    Doubles(Arc<Vec<f64>>),
    Strings(Arc<Texts>),
}

impl Dictionary {
    pub(crate) fn none() -> Self {
        Self::Integers(Arc::default())
    }

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

    pub(crate) fn texts(&self) -> Option<&Texts> {
        match self {
            Self::Strings(v) => Some(v),
            _ => None,
        }
    }

    /// Bytes it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Range { .. } => 0,
            Self::Integers(v) => v.len() * 8,
            Self::Doubles(v) => v.len() * 8,
            Self::Strings(v) => v.bytes(),
        }
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
            Self::Strings(v) => Value::String(v.shared(code as usize - 1)),
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

/// What texts, or their keys, are found by again within a process.
pub(crate) fn text_hash(text: &str) -> u64 {
    FixedState::default().hash_one(text)
}

/// Texts one behind the other.
#[derive(Debug, Default)]
pub struct Texts {
    text: String,
    /// Where each ends.
    ends: Vec<u64>,
    /// The texts as values, where they are few enough to be kept.
    values: OnceLock<Vec<Arc<str>>>,
}

/// Texts up to this many are kept as values too, so that giving one out copies nothing.
const KEPT: usize = 1 << 16;

impl Texts {
    /// Room for so many texts of so many bytes in all.
    pub(crate) fn with_capacity(texts: usize, bytes: usize) -> Self {
        let (text, ends) = (String::with_capacity(bytes), Vec::with_capacity(texts));
        Self { text, ends, values: OnceLock::new() }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len() as u64);
        self.values = OnceLock::new();
    }

    pub fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start as usize..self.ends[at] as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// All of them without a break between.
    pub(crate) fn joined(&self) -> &str {
        &self.text
    }

    fn shared(&self, at: usize) -> Arc<str> {
        if self.len() > KEPT {
            return Arc::from(self.get(at));
        }
        Arc::clone(&self.values.get_or_init(|| self.iter().map(Arc::from).collect())[at])
    }

    fn bytes(&self) -> usize {
        let kept: usize = self.values.get().map_or(0, |v| v.iter().map(|t| t.len() + 32).sum());
        self.text.len() + self.ends.len() * 8 + kept
    }

    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        self.ends == other.ends && self.text == other.text
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut all = Self::default();
        texts.into_iter().for_each(|t| all.push(t));
        all.shrink();
        all
    }
}
