//! A test of codes, in the codes of one segment.

use std::borrow::Cow;

use super::filter::CodeTest;
use super::kernel::{self, Level};
use super::rows::{Local, Source};
use crate::code_map::CodeMap;
use crate::scan_request::BitSet;

pub(super) enum SegmentTest<'f> {
    /// No row of the segment passes.
    Nothing,
    /// Every row does.
    All,
    Range(u32, u32),
    /// By bits; codes of one byte, and few codes of two, are tested as quickly as a range.
    Bits {
        words: Cow<'f, [u64]>,
        is_wide: bool,
    },
}

impl<'f> SegmentTest<'f> {
    /// The test in the segment of a row.
    pub(super) fn new(test: &'f CodeTest<'_>, row: usize) -> Self {
        let local = test.source.local(row);
        if let Some(code) = local.constant() {
            let passes = test.set.get(local.map.get(code) as usize);
            return if passes { Self::All } else { Self::Nothing };
        }
        let codes = local.dictionary.map_or(test.set.len(), |d| d.len() as usize + 1);
        if let Some(found) = Self::of_run(test, &local, codes) {
            return found;
        }
        let words = local_words(&local, codes, test.set.as_ref());
        // What code 0 does is of no interest where no row has it.
        let first = usize::from(!test.source.has_blank());
        let low = lowest(&words, first).filter(|low| *low < codes);
        let Some(low) = low else { return Self::Nothing };
        let high = highest(&words, codes);
        let passing = count_between(&words, low, high);
        if passing == high - low + 1 {
            return if low == first && high + 1 == codes {
                Self::All
            } else {
                Self::Range(low as u32, high as u32)
            };
        }
        Self::Bits { words, is_wide: local.is_wide() && codes > 1024 }
    }

    /// The test of a set that is all codes from one to another, where the segment's codes are in the
    /// column's order.
    fn of_run(test: &CodeTest<'_>, local: &Local<'_>, codes: usize) -> Option<Self> {
        let (low, high) = test.run?;
        let between = local.map.codes_between(low as u32, high as u32)?;
        let (mut first, last) = (*between.start(), (*between.end()).min(codes as u32 - 1));
        let has_blank = test.source.has_blank();
        if has_blank && low == 0 {
            first = 0;
        }
        if first > last {
            return Some(Self::Nothing);
        }
        let is_all = last as usize + 1 == codes && first <= u32::from(!has_blank);
        Some(if is_all { Self::All } else { Self::Range(first, last) })
    }

    /// Keeps the rows that pass, of `n` from `first` on.
    pub(super) fn refine(
        &self,
        level: Level,
        source: &Source<'_>,
        (first, n): (usize, usize),
        mask: &mut [u64],
    ) {
        match self {
            Self::All => {}
            Self::Nothing => mask.fill(0),
            Self::Range(low, high) => {
                let local = source.local(first);
                match local.zone(first, n) {
                    Some((least, most)) if most < *low || least > *high => mask.fill(0),
                    Some((least, most)) if least >= *low && most <= *high => {}
                    _ => local.with_block(first, n, |codes| {
                        kernel::in_range(level, codes, (*low, *high), mask);
                    }),
                }
            }
            Self::Bits { words, .. } => {
                source.local(first).with_block(first, n, |codes| {
                    kernel::in_set(level, codes, words, mask);
                });
            }
        }
    }

    /// About how long a row takes, against others.
    pub(super) fn cost(&self) -> f64 {
        match self {
            Self::Nothing | Self::All => 0.0,
            Self::Range(..) | Self::Bits { is_wide: false, .. } => 1.0,
            Self::Bits { .. } => 8.0,
        }
    }
}

/// The set in the codes of a segment.
fn local_words<'f>(local: &Local<'_>, codes: usize, set: &'f BitSet) -> Cow<'f, [u64]> {
    if matches!(local.map, CodeMap::Same) {
        return Cow::Borrowed(set.words());
    }
    let mut words = vec![0u64; codes.div_ceil(64)];
    let global = set.words();
    if let CodeMap::Shift(by) = local.map {
        // Code c of the segment is code c + by of the column; blank stays.
        let (at, shift) = (*by as usize / 64, by % 64);
        let word = |i: usize| global.get(i).copied().unwrap_or(0);
        for (i, w) in words.iter_mut().enumerate() {
            let high = if shift == 0 { 0 } else { word(at + i + 1) << (64 - shift) };
            *w = word(at + i) >> shift | high;
        }
        words[0] = words[0] & !1 | u64::from(set.get(0));
    } else {
        for code in 0..codes {
            let passes = set.get(local.map.get(code as u32) as usize);
            words[code / 64] |= u64::from(passes) << (code % 64);
        }
    }
    if !codes.is_multiple_of(64)
        && let Some(last) = words.last_mut()
    {
        *last &= (1 << (codes % 64)) - 1;
    }
    Cow::Owned(words)
}

/// The first set bit from `first` on.
fn lowest(words: &[u64], first: usize) -> Option<usize> {
    let masked = |(i, w): (usize, &u64)| {
        let w = if i == first / 64 { w & (u64::MAX << (first % 64)) } else { *w };
        (i >= first / 64 && w != 0).then(|| i * 64 + w.trailing_zeros() as usize)
    };
    words.iter().enumerate().find_map(masked)
}

/// The last set bit below `end`; there is one.
fn highest(words: &[u64], end: usize) -> usize {
    let below = |i: usize| {
        let word = words.get(i).copied().unwrap_or(0);
        if (i + 1) * 64 > end { word & ((1 << (end % 64)) - 1) } else { word }
    };
    let last = (0..end.div_ceil(64)).rev().find(|i| below(*i) != 0);
    last.map_or(0, |i| i * 64 + 63 - below(i).leading_zeros() as usize)
}

fn count_between(words: &[u64], low: usize, high: usize) -> usize {
    let mut n = 0;
    for (i, word) in words.iter().enumerate().take(high / 64 + 1).skip(low / 64) {
        let mut word = *word;
        if i == low / 64 {
            word &= u64::MAX << (low % 64);
        }
        if i == high / 64 && high % 64 != 63 {
            word &= (1 << (high % 64 + 1)) - 1;
        }
        n += word.count_ones() as usize;
    }
    n
}
