//! Values into codes.

mod texts;

use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, Error, Result};
use evercube_work::{interrupt_point, watched};
use foldhash::fast::FixedState;

use crate::blocks::Packing;
use crate::dictionary::Dictionary;
use crate::scan_request::BitSet;
use crate::segment::{Codes, SegmentColumn};
use texts::TextCodes;

/// Collects the values of one column of a segment.
#[derive(Debug)]
pub(crate) enum ColumnEncoder {
    Integers(DataType, Integers),
    Doubles(Doubles),
    Texts(TextCodes),
}

impl ColumnEncoder {
    pub(crate) fn new(data_type: DataType, collation: Collation) -> Self {
        match data_type {
            DataType::Double => Self::Doubles(Doubles::default()),
            DataType::String | DataType::Binary | DataType::Variant => {
                Self::Texts(TextCodes::new(collation))
            }
            other => Self::Integers(other, Integers::default()),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Integers(data_type, _) => *data_type,
            Self::Doubles(_) => DataType::Double,
            Self::Texts(_) => DataType::String,
        }
    }

    /// Adds values of the column's type.
    pub(crate) fn push(&mut self, values: &ColumnData) -> Result<()> {
        interrupt_point();
        let own = self.data_type();
        match (self, values) {
            (Self::Integers(DataType::Boolean, c), ColumnData::Boolean(v)) => {
                c.push(v.iter().map(|x| x.map(i64::from)));
            }
            (Self::Integers(DataType::Int64, c), ColumnData::Int64(v)) => c.push(v.iter().copied()),
            (Self::Integers(DataType::Decimal, c), ColumnData::Decimal(v)) => {
                c.push(v.iter().map(|x| x.map(|d| d.0)));
            }
            (Self::Integers(DataType::DateTime, c), ColumnData::DateTime(v)) => {
                c.push(v.iter().map(|x| x.map(|t| t.0)));
            }
            (Self::Doubles(c), ColumnData::Double(v)) => c.push(v),
            (Self::Texts(c), ColumnData::String(v)) => c.push(v),
            (Self::Texts(c), ColumnData::Texts { values, codes }) => c.push_coded(values, codes)?,
            (_, other) => {
                return Err(Error::internal(format!(
                    "a column of {} came for a segment column of {own}",
                    other.data_type(),
                )));
            }
        }
        Ok(())
    }

    /// The coded column; the encoder is empty again and keeps its memory.
    pub(crate) fn take(&mut self, packing: Packing) -> SegmentColumn {
        interrupt_point();
        let data_type = self.data_type();
        let (dictionary, codes) = match self {
            Self::Integers(_, c) => c.take(),
            Self::Doubles(c) => c.take(),
            Self::Texts(c) => c.take(),
        };
        SegmentColumn { data_type, dictionary, codes: Codes::pack(&codes, packing) }
    }
}

pub(crate) fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Whole numbers and what is stored as such.
#[derive(Debug, Default)]
pub(crate) struct Integers {
    /// 0 where the row is blank.
    values: Vec<i64>,
    blank: Vec<u32>,
}

impl Integers {
    fn push(&mut self, values: impl ExactSizeIterator<Item = Option<i64>>) {
        let first = self.values.len();
        let blank = &mut self.blank;
        self.values.extend(values.enumerate().map(|(i, v)| {
            v.unwrap_or_else(|| {
                blank.push((first + i) as u32);
                0
            })
        }));
    }

    fn take(&mut self) -> (Dictionary, Vec<u32>) {
        let rows = self.values.len();
        let (dictionary, codes) = if self.blank.len() == rows {
            (Dictionary::none(), vec![0; rows])
        } else {
            // A blank row takes a value that occurs, so that it does not count.
            let gap = (0..).zip(&self.blank).find(|(i, b)| i != *b);
            let some = gap.map_or(self.blank.len(), |(i, _)| i as usize);
            let filler = self.values[some];
            self.blank.iter().for_each(|b| self.values[*b as usize] = filler);
            let (dictionary, mut codes) = encode_integers(&self.values);
            self.blank.iter().for_each(|b| codes[*b as usize] = 0);
            (dictionary, codes)
        };
        self.values.clear();
        self.blank.clear();
        (dictionary, codes)
    }
}

/// Whether values repeat so little that a dictionary would be about as long as the column, told by
/// some rows spread over it.
fn repeats_little(values: &[i64]) -> bool {
    const SAMPLE: usize = 4096;
    let step = (values.len() / SAMPLE).max(1);
    let mut sample: Vec<i64> = values.iter().copied().step_by(step).collect();
    let taken = sample.len();
    sample.sort_unstable();
    sample.dedup();
    sample.len() * 2 > taken
}

/// The smallest value, the largest unit that divides all offsets from it, and how many units the
/// widest offset has.
fn extent(values: &[i64]) -> (i64, u64, u64) {
    let min = values.iter().copied().min().unwrap_or(0);
    let max = values.iter().copied().max().unwrap_or(0);
    let widest = max.wrapping_sub(min) as u64;
    let mut unit = widest;
    for v in values {
        let offset = v.wrapping_sub(min) as u64;
        if unit == 1 {
            break;
        }
        if unit == 0 || !offset.is_multiple_of(unit) {
            unit = greatest_common_divisor(unit, offset);
        }
    }
    let unit = unit.max(1);
    (min, unit, widest / unit)
}

/// Offsets from the smallest value, in the largest unit that divides all of them, where the range
/// is not much wider than the rows are many, or not very much and a dictionary would not be short;
/// a dictionary elsewhere, and where it makes the codes much shorter.
fn encode_integers(values: &[i64]) -> (Dictionary, Vec<u32>) {
    let (min, unit, last) = extent(values);
    let rows = values.len() as u64;
    let step = |v: i64| {
        let offset = v.wrapping_sub(min) as u64;
        if unit == 1 { offset } else { offset / unit }
    };
    let is_narrow = last < 256.max(rows.saturating_mul(8)).min(1 << 31);
    let is_usable = last < rows.saturating_mul(64).min(1 << 28);
    if (is_narrow || is_usable && repeats_little(values))
        && let Ok(count) = u32::try_from(last + 1)
        && let Ok(unit) = i64::try_from(unit)
    {
        if let Some(found) = with_gaps(values, count, |v| step(v) as u32, (min, unit)) {
            return found;
        }
        let codes = values.iter().map(|v| step(*v) as u32 + 1).collect();
        return (Dictionary::Range { base: min, unit, count }, codes);
    }
    let mut distinct = values.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.shrink_to_fit();
    let at: HashMap<i64, u32, FixedState> =
        distinct.iter().zip(1..).map(|(v, c)| (*v, c)).collect();
    let codes = values.iter().map(|v| at.get(v).copied().unwrap_or(0)).collect();
    (Dictionary::Integers(Arc::new(distinct)), codes)
}

/// A dictionary, where the range has so many gaps that codes and dictionary together are a quarter
/// shorter than offsets.
fn with_gaps(
    values: &[i64],
    count: u32,
    step: impl Fn(i64) -> u32,
    (min, unit): (i64, i64),
) -> Option<(Dictionary, Vec<u32>)> {
    const WIDEST: u32 = 1 << 22;
    if !(256..WIDEST).contains(&count) {
        return None;
    }
    let mut seen = BitSet::new(count as usize, false);
    values.iter().for_each(|v| seen.insert(step(*v) as usize));
    let distinct = seen.count() as u64;
    let bits = |codes: u64| u64::from(64 - codes.leading_zeros());
    let rows = values.len() as u64;
    let listed = rows * bits(distinct) + distinct * 64;
    if listed * 4 > rows * bits(count.into()) * 3 {
        return None;
    }
    let mut code = vec![0; count as usize];
    let mut dictionary = Vec::with_capacity(distinct as usize);
    for (c, s) in (1..).zip(seen.iter()) {
        code[s] = c;
        dictionary.push(min + s as i64 * unit);
    }
    let codes = values.iter().map(|v| code[step(*v) as usize]).collect();
    Some((Dictionary::Integers(Arc::new(dictionary)), codes))
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

#[derive(Debug, Default)]
pub(crate) struct Doubles {
    at: HashMap<u64, u32, FixedState>,
    distinct: Vec<f64>,
    codes: Vec<u32>,
}

impl Doubles {
    fn push(&mut self, values: &[Option<f64>]) {
        let (at, distinct) = (&mut self.at, &mut self.distinct);
        self.codes.extend(watched(values).map(|v| {
            let Some(v) = v else { return 0 };
            *at.entry(double_key(*v)).or_insert_with(|| {
                distinct.push(*v);
                distinct.len() as u32
            })
        }));
    }

    fn take(&mut self) -> (Dictionary, Vec<u32>) {
        self.at.clear();
        let distinct = std::mem::take(&mut self.distinct);
        (Dictionary::Doubles(Arc::new(distinct)), std::mem::take(&mut self.codes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(values: &[Option<i64>]) -> Dictionary {
        let mut column = ColumnEncoder::new(DataType::Int64, Collation::default());
        column.push(&ColumnData::Int64(values.to_vec())).unwrap();
        let made = column.take(Packing::Shortest);
        for (row, v) in values.iter().enumerate() {
            let code = made.codes.get(row);
            let back = (code > 0).then(|| made.dictionary.integer(code));
            assert_eq!(back, *v, "row {row}");
        }
        made.dictionary
    }

    #[test]
    fn integers_take_the_dictionary_that_suits_them() {
        let is_range = |d: &Dictionary| matches!(d, Dictionary::Range { .. });
        assert!(is_range(&round(&[Some(5), None, Some(9)])));
        assert!(is_range(&round(&(0..2000).map(|i| Some(i * 86_400_000_000)).collect::<Vec<_>>())));
        assert!(is_range(&round(&[Some(i64::MIN), Some(i64::MIN + 100), None])));
        assert!(is_range(&round(&[Some(i64::MAX), Some(i64::MAX - 100), None])));
        // Date keys: few values in a wide range.
        let dates: Vec<_> =
            (0..100_000).map(|i| Some(19_920_101 + i % 84 * 100 + i % 28)).collect();
        assert!(!is_range(&round(&dates)));
        let far = |i: i64| Some((i % 7).pow(2) * 1_000_000_007 + i % 2);
        assert!(!is_range(&round(&(0..5000).map(far).chain([None]).collect::<Vec<_>>())));
        assert!(!is_range(&round(&[Some(i64::MIN), Some(i64::MAX), None])));
        assert_eq!(round(&[None, None]).len(), 0);
        assert_eq!(round(&[]).len(), 0);
        assert_eq!(round(&[None, None, Some(3)]).len(), 1);
    }

    #[test]
    fn texts_share_codes_by_collation_and_small_dictionaries_are_sorted() {
        let texts = ["pear", "Fig", "fig", "FIG", "apple", "Pear"];
        let values: Vec<Option<Arc<str>>> = texts.iter().map(|t| Some(Arc::from(*t))).collect();
        let mut column = ColumnEncoder::new(DataType::String, Collation::default());
        column.push(&ColumnData::String(values)).unwrap();
        let (values, codes) = (vec!["PEAR".into(), "apple".into()], vec![2, 0, 1]);
        column.push(&ColumnData::Texts { values, codes }).unwrap();
        let bad = ColumnData::Texts { values: Vec::new(), codes: vec![1] };
        assert!(column.push(&bad).is_err());
        let made = column.take(Packing::Shortest);
        let Dictionary::Strings(all) = &made.dictionary else { panic!("texts") };
        assert_eq!(all.iter().collect::<Vec<_>>(), ["Fig", "apple", "pear"]);
        let codes: Vec<u32> = (0..9).map(|r| made.codes.get(r)).collect();
        assert_eq!(codes, [3, 1, 1, 1, 2, 3, 2, 0, 3]);
        assert!(column.push(&ColumnData::Int64(vec![])).is_err());
    }
}
