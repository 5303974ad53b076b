//! What the formula side asks of the storage side.
//!
//! A request is data, so that other executors (SQL, distributed) can answer it too.

use std::sync::Arc;

use evercube_base::Value;

/// Position of a table in its version (the same order as in the model).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct TableId(pub u32);

/// A column: its table and its position there (the same order as in the model).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct ColumnId {
    pub table: TableId,
    pub column: u32,
}

/// Position of a relationship in its version (the same order as in the model).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct RelationshipId(pub u32);

/// A column seen from the base table of a scan: follow `path` (each step from the many side to
/// the one side), then read `column` there. An empty path is a column of the base table itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathColumn {
    pub path: Vec<RelationshipId>,
    pub column: ColumnId,
}

/// Sets of codes or rows as bits: bit `i` of word `i / 64`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct BitSet {
    words: Vec<u64>,
    len: usize,
}

impl BitSet {
    /// `len` bits, all equal to `value`.
    pub fn new(len: usize, value: bool) -> Self {
        let mut s = Self { words: vec![if value { u64::MAX } else { 0 }; len.div_ceil(64)], len };
        s.clear_tail();
        s
    }
    fn clear_tail(&mut self) {
        if !self.len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << (self.len % 64)) - 1;
        }
    }
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Bits outside the set's length are not set.
    #[inline]
    pub fn get(&self, i: usize) -> bool {
        self.words.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 == 1)
    }
    #[inline]
    pub fn insert(&mut self, i: usize) {
        self.words[i / 64] |= 1 << (i % 64);
    }
    #[inline]
    pub fn remove(&mut self, i: usize) {
        self.words[i / 64] &= !(1 << (i % 64));
    }
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }
    pub fn all(&self) -> bool {
        self.count() == self.len
    }
    /// The lowest bit that is set.
    pub fn first(&self) -> Option<usize> {
        let (i, word) = self.words.iter().enumerate().find(|(_, w)| **w != 0)?;
        Some(i * 64 + word.trailing_zeros() as usize)
    }
    /// The highest bit that is set.
    pub fn last(&self) -> Option<usize> {
        let (i, word) = self.words.iter().enumerate().rev().find(|(_, w)| **w != 0)?;
        Some(i * 64 + 63 - word.leading_zeros() as usize)
    }
    /// How many bits are set from `first` to `last`.
    pub(crate) fn count_between(&self, first: usize, last: usize) -> usize {
        self.count_between_and_of(first, last, self).0
    }
    /// The same, and how many of them are set in another set as well.
    pub(crate) fn count_between_and_of(
        &self,
        first: usize,
        last: usize,
        other: &Self,
    ) -> (usize, usize) {
        let (mut here, mut both) = (0, 0);
        let words = first / 64..self.words.len().min(last / 64 + 1);
        for at in words {
            let mut word = self.words[at];
            if at == first / 64 {
                word &= u64::MAX << (first % 64);
            }
            if at == last / 64 {
                word &= u64::MAX >> (63 - last % 64);
            }
            here += word.count_ones() as usize;
            both += (word & other.words.get(at).copied().unwrap_or(0)).count_ones() as usize;
        }
        (here, both)
    }
    /// The same bits in a set of another length; those past its end are left out.
    pub(crate) fn resized(&self, len: usize) -> Self {
        Self::from_words(self.words[..self.words.len().min(len.div_ceil(64))].to_vec(), len)
    }
    /// Those of the bits that lie in a range, in a set of the same length.
    #[must_use]
    pub fn between(&self, range: std::ops::Range<usize>) -> Self {
        let mut found = Self::new(self.len, false);
        let (start, end) = (range.start, range.end.min(self.len));
        if start < end {
            let (first, last) = (start / 64, (end - 1) / 64);
            found.words[first..=last].copy_from_slice(&self.words[first..=last]);
            found.words[first] &= u64::MAX << (start % 64);
            found.words[last] &= u64::MAX >> (63 - (end - 1) % 64);
        }
        found
    }
    pub fn intersect(&mut self, other: &Self) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= b;
        }
        for a in self.words.iter_mut().skip(other.words.len()) {
            *a = 0;
        }
    }
    pub fn union(&mut self, other: &Self) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a |= b;
        }
    }
    pub fn invert(&mut self) {
        for w in &mut self.words {
            *w = !*w;
        }
        self.clear_tail();
    }
    /// A set of `len` bits that has these words, or their beginning.
    pub(crate) fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        words.resize(len.div_ceil(64), 0);
        let mut set = Self { words, len };
        set.clear_tail();
        set
    }
    pub fn words(&self) -> &[u64] {
        &self.words
    }
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        each_bit(&self.words)
    }
}

/// The bits that are set, from the lowest on.
pub(crate) fn each_bit(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    words.iter().enumerate().flat_map(|(wi, w)| {
        let mut w = *w;
        std::iter::from_fn(move || {
            (w != 0).then(|| {
                let b = w.trailing_zeros() as usize;
                w &= w - 1;
                wi * 64 + b
            })
        })
    })
}

/// A condition on the rows of the base table. All conditions of a request hold together.
#[derive(Debug, Clone, PartialEq)]
pub enum ScanFilter {
    /// The code of the column is in the set (global codes of the column; code 0 is blank).
    Codes { column: PathColumn, codes: Arc<BitSet> },
    /// The row reached over `path` is in the set (row numbers of that table, its blank row last);
    /// with an empty path, rows of the base table.
    Rows { path: Vec<RelationshipId>, rows: Arc<BitSet> },
    /// The codes of several columns together are one of the tuples. `tuples` is sorted.
    Tuples { columns: Vec<PathColumn>, tuples: Arc<Vec<Vec<u32>>> },
}

/// Arithmetic on one row; the leaves are columns reached from the base table.
/// Blank follows DAX: in `+`/`-` it counts as zero (blank only if both are), in `*` it gives blank.
#[derive(Debug, Clone, PartialEq)]
pub enum RowExpr {
    Column(PathColumn),
    Constant(Value),
    /// What something that depends on one column is for each of the column's codes.
    Coded {
        column: PathColumn,
        values: Arc<Vec<Value>>,
    },
    Add(Box<RowExpr>, Box<RowExpr>),
    Subtract(Box<RowExpr>, Box<RowExpr>),
    Multiply(Box<RowExpr>, Box<RowExpr>),
    /// Division by zero gives infinity or NaN as in DAX's `/`; the result is a double.
    Divide(Box<RowExpr>, Box<RowExpr>),
    /// The function `DIVIDE`: a double, and blank over zero.
    SafeDivide(Box<RowExpr>, Box<RowExpr>),
}

/// A comparison of two expressions on one row, blank being zero.
#[derive(Debug, Clone, PartialEq)]
pub struct RowComparison {
    pub left: RowExpr,
    /// How left may be to right for it to hold.
    pub holds: Vec<std::cmp::Ordering>,
    pub right: RowExpr,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Aggregate {
    /// Rows, whatever they hold.
    CountRows,
    /// Sum of the values that are not blank; blank where there is none. Int64 and fixed decimal
    /// sums are exact and fail on overflow (`ErrorKind::Evaluation`); booleans are not summed.
    Sum(RowExpr),
    /// Smallest / largest value that is not blank (text by the table's collation).
    Min(RowExpr),
    Max(RowExpr),
    /// Values that are not blank.
    Count(RowExpr),
    /// Number of different codes of the column, blank included when `with_blank`.
    DistinctCount {
        column: PathColumn,
        with_blank: bool,
    },
    /// The single code of the column in the group, if there is just one (for `VALUES`-like uses).
    SingleValue(PathColumn),
}

impl Aggregate {
    /// Whether what it is of several sets of rows tells what it is of all of them together.
    pub fn adds_up(&self) -> bool {
        !matches!(self, Self::DistinctCount { .. } | Self::SingleValue(_))
    }
}

/// Group the rows of `table` that pass `filters` by `keys` and aggregate each group.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanRequest {
    pub table: TableId,
    pub filters: Vec<ScanFilter>,
    pub keys: Vec<PathColumn>,
    pub aggregates: Vec<Aggregate>,
}

/// Groups in no particular order that is still the same on every machine and thread count.
/// Groups without rows are absent; without keys there is always exactly one group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScanResult {
    /// One vector per key: the column's global code in each group.
    pub keys: Vec<Vec<u32>>,
    /// One vector per aggregate: its value in each group.
    pub aggregates: Vec<Vec<Value>>,
    pub groups: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_a_range_are_those_that_lie_in_it() {
        let mut set = BitSet::new(200, false);
        let mut others = BitSet::new(200, false);
        (0..200).filter(|i| i % 3 == 0).for_each(|i| set.insert(i));
        (0..200).filter(|i| i % 5 == 0).for_each(|i| others.insert(i));
        for (first, last) in [(0, 0), (0, 63), (1, 64), (63, 128), (64, 127), (100, 199)] {
            let here: Vec<usize> = (first..=last).filter(|i| i % 3 == 0).collect();
            assert_eq!(set.between(first..last + 1).iter().collect::<Vec<_>>(), here);
            let both = here.iter().filter(|i| *i % 5 == 0).count();
            assert_eq!(set.count_between_and_of(first, last, &others), (here.len(), both));
        }
        assert_eq!(set.between(50..1000).last(), Some(198));
        assert_eq!(set.between(7..7).count(), 0);
    }
}
