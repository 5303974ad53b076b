//! Whether the codes of several columns together are one of some tuples.

use std::collections::HashSet;

use evercube_base::Result;
use foldhash::fast::FixedState;

use super::path::CodeReader;
use super::rows::Rows;
use crate::scan_request::{BitSet, PathColumn};
use crate::version::StoreVersion;

/// Up to so many combinations have a bit each.
const MOST_BITS: u64 = 1 << 24;

pub(super) struct TupleTest<'a> {
    columns: Vec<CodeReader<'a>>,
    tuples: Tuples,
}

enum Tuples {
    /// A bit for every combination; its place is the sum of each code times its column's stride.
    Bits {
        strides: Vec<u32>,
        bits: BitSet,
    },
    Listed(HashSet<Vec<u32>, FixedState>),
}

impl<'a> TupleTest<'a> {
    pub(super) fn new(
        version: &'a StoreVersion,
        scan: u64,
        columns: &[PathColumn],
        tuples: &[Vec<u32>],
    ) -> Result<Self> {
        let reader = |c| CodeReader::new(version, scan, c);
        let columns: Vec<CodeReader<'a>> = columns.iter().map(reader).collect::<Result<_>>()?;
        let cards: Vec<u32> = columns.iter().map(|c| c.column.cardinality()).collect();
        Ok(Self { tuples: Tuples::new(&cards, tuples), columns })
    }

    /// Leaves of the rows picked out of a block those that pass.
    pub(super) fn keep(&self, first: usize, n: usize, picked: &mut Vec<u32>) {
        let rows = Rows { first, n, picked: Some(picked) };
        let mut codes = vec![Vec::new(); self.columns.len()];
        for (reader, codes) in self.columns.iter().zip(&mut codes) {
            reader.read(rows, codes);
        }
        self.tuples.keep(&codes, picked);
    }
}

impl Tuples {
    /// `cards`: how many codes each column has.
    fn new(cards: &[u32], tuples: &[Vec<u32>]) -> Self {
        let mut strides = Vec::new();
        let mut size = 1_u64;
        for card in cards {
            strides.push(size.min(MOST_BITS) as u32);
            size = size.saturating_mul(u64::from(*card));
        }
        let tuples = tuples.iter().inspect(|_| evercube_work::tick());
        if size > MOST_BITS {
            return Self::Listed(tuples.cloned().collect());
        }
        let mut bits = BitSet::new(size as usize, false);
        for tuple in tuples.filter(|t| t.iter().zip(cards).all(|(code, card)| code < card)) {
            let place: u32 = tuple.iter().zip(&strides).map(|(code, stride)| code * stride).sum();
            bits.insert(place as usize);
        }
        Self::Bits { strides, bits }
    }

    /// `codes`: for each column, those of the picked rows.
    fn keep(&self, codes: &[Vec<u32>], picked: &mut Vec<u32>) {
        let mut at = 0..;
        match self {
            Self::Bits { strides, bits } => {
                let mut places = vec![0_u32; picked.len()];
                for (codes, stride) in codes.iter().zip(strides) {
                    places.iter_mut().zip(codes).for_each(|(place, code)| *place += code * stride);
                }
                picked.retain(|_| at.next().is_some_and(|at: usize| bits.get(places[at] as usize)));
            }
            Self::Listed(tuples) => {
                let mut tuple = vec![0; codes.len()];
                picked.retain(|_| {
                    let at: usize = at.next().unwrap_or_default();
                    tuple.iter_mut().zip(codes).for_each(|(t, codes)| *t = codes[at]);
                    tuples.contains(&tuple)
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_lists_keep_the_same_rows() {
        let tuples = [vec![0, 2], vec![3, 1], vec![4, 9], vec![9, 0]];
        let codes = [vec![0, 3, 3, 4, 0], vec![2, 1, 2, 2, 0]];
        for cards in [[5, 3], [1 << 20, 1 << 20]] {
            let test = Tuples::new(&cards, &tuples);
            assert_eq!(matches!(test, Tuples::Bits { .. }), cards[0] == 5);
            let mut picked = vec![10, 11, 12, 13, 14];
            test.keep(&codes, &mut picked);
            assert_eq!(picked, [10, 11]);
        }
    }
}
