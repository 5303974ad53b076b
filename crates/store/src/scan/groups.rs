//! Groups of a scan: key codes become group numbers, and each group has its aggregates.

use std::collections::HashMap;

use evercube_base::Result;
use foldhash::fast::FixedState;

use super::accumulate::{Accumulator, Plan};
use super::path::CodeReader;
use crate::scan_request::ScanResult;

/// How many codes each key has, and whether a combination of them fits one number.
pub(super) struct KeySpace {
    radix: Vec<u64>,
    /// Combinations there can be; `None` where they are more than a `u64` counts.
    size: Option<u64>,
    /// Up to this many combinations are numbered by an array.
    dense: u64,
}

impl KeySpace {
    /// `rows`: how many rows a chunk has; an array much longer than that costs more than it saves.
    pub(super) fn new(keys: &[CodeReader<'_>], rows: usize) -> Self {
        let radix: Vec<u64> = keys.iter().map(|k| u64::from(k.column.cardinality())).collect();
        let size = radix.iter().try_fold(1u64, |all, r| all.checked_mul(*r));
        Self { radix, size, dense: (rows as u64 * 2).clamp(1 << 12, 1 << 20) }
    }

    fn numbers(&self) -> Numbers {
        match self.size {
            Some(n) if n <= self.dense => Numbers::Dense(vec![NONE; n as usize]),
            Some(_) => Numbers::Packed(HashMap::default()),
            None => Numbers::Wide(HashMap::default()),
        }
    }
}

const NONE: u32 = u32::MAX;

enum Numbers {
    /// By the combination of codes as one number.
    Dense(Vec<u32>),
    Packed(HashMap<u64, u32, FixedState>),
    Wide(HashMap<Box<[u32]>, u32, FixedState>),
}

/// Groups met so far, in the order they were met, and what is known of each.
pub(super) struct Groups<'a> {
    space: &'a KeySpace,
    numbers: Numbers,
    /// The codes of one group after the other.
    codes: Vec<u32>,
    len: usize,
    pub(super) accumulators: Vec<Accumulator>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(space: &'a KeySpace, plans: &[Plan<'_>]) -> Self {
        Self {
            space,
            numbers: space.numbers(),
            codes: Vec::new(),
            len: 0,
            accumulators: plans.iter().map(Plan::accumulator).collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Group numbers of `n` rows; `keys` has the codes of each key.
    pub(super) fn number_all(&mut self, keys: &[Vec<u32>], n: usize, out: &mut Vec<u32>) {
        out.clear();
        let Some((first, rest)) = keys.split_first() else {
            self.len = 1;
            out.resize(n, 0);
            return;
        };
        let Self { space, numbers, codes, len, .. } = self;
        let mut add = |row: usize| {
            codes.extend(keys.iter().map(|k| k[row]));
            *len += 1;
            *len as u32 - 1
        };
        if let Numbers::Wide(known) = numbers {
            for row in 0..n {
                let key: Box<[u32]> = keys.iter().map(|k| k[row]).collect();
                out.push(*known.entry(key).or_insert_with(|| add(row)));
            }
            return;
        }
        let mut packed: Vec<u64> = first.iter().map(|c| u64::from(*c)).collect();
        for (codes, radix) in rest.iter().zip(&space.radix[1..]) {
            for (p, c) in packed.iter_mut().zip(codes) {
                *p = *p * radix + u64::from(*c);
            }
        }
        match numbers {
            Numbers::Dense(slots) => {
                for (row, p) in packed.iter().enumerate() {
                    let slot = &mut slots[*p as usize];
                    if *slot == NONE {
                        *slot = add(row);
                    }
                    out.push(*slot);
                }
            }
            Numbers::Packed(known) => {
                for (row, p) in packed.iter().enumerate() {
                    out.push(*known.entry(*p).or_insert_with(|| add(row)));
                }
            }
            Numbers::Wide(_) => {}
        }
    }

    pub(super) fn grow(&mut self) {
        for a in &mut self.accumulators {
            a.grow(self.len);
        }
    }

    /// Ends a chunk: what follows is merging alone.
    pub(super) fn settle(&mut self, plans: &[Plan<'_>]) {
        for (accumulator, plan) in self.accumulators.iter_mut().zip(plans) {
            accumulator.settle(plan);
        }
    }

    pub(super) fn merge(&mut self, other: Self) -> Result<()> {
        let width = self.space.radix.len();
        let mut keys = vec![Vec::with_capacity(other.len); width];
        for codes in other.codes.chunks_exact(width.max(1)) {
            for (key, code) in keys.iter_mut().zip(codes) {
                key.push(*code);
            }
        }
        let mut numbers = Vec::new();
        if other.len > 0 {
            self.number_all(&keys, other.len, &mut numbers);
        }
        self.grow();
        for (mine, theirs) in self.accumulators.iter_mut().zip(other.accumulators) {
            mine.merge(theirs, &numbers)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<ScanResult> {
        let width = self.space.radix.len();
        if width == 0 {
            // Without keys there is always one group.
            self.len = 1;
            self.grow();
        }
        let key = |i: usize| self.codes.iter().skip(i).step_by(width).copied().collect();
        let keys = (0..width).map(key).collect();
        let aggregates =
            self.accumulators.into_iter().map(Accumulator::finish).collect::<Result<_>>()?;
        Ok(ScanResult { keys, aggregates, groups: self.len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_numbering_gives_the_same_groups() {
        let keys = [vec![0u32, 2, 1, 2, 0, 1, 2], vec![4u32, 0, 3, 0, 4, 1, 4]];
        let of = |size, dense| KeySpace { radix: vec![3, 5], size, dense };
        for space in [of(Some(15), 15), of(Some(15), 0), of(None, 0)] {
            let (mut groups, mut numbers) = (Groups::new(&space, &[]), Vec::new());
            groups.number_all(&keys, 7, &mut numbers);
            assert_eq!(numbers, [0, 1, 2, 1, 0, 3, 4]);
            let mut other = Groups::new(&space, &[]);
            other.number_all(&[vec![2, 1], vec![2, 1]], 2, &mut numbers);
            groups.merge(other).unwrap();
            let found = groups.finish().unwrap();
            assert_eq!(found.keys, [vec![0, 2, 1, 1, 2, 2], vec![4, 0, 3, 1, 4, 2]]);
            assert_eq!(found.groups, 6);
        }
    }
}
