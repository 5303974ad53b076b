//! From a segment's codes to those of the whole column.

use std::sync::Arc;

use crate::blocks::Cell;

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
    Table(Arc<Vec<u32>>),
}

impl CodeMap {
    /// A table, where it changes anything.
    pub(crate) fn table(codes: Vec<u32>) -> Self {
        if codes.iter().zip(0..).all(|(c, i)| *c == i) {
            Self::Same
        } else {
            Self::Table(Arc::new(codes))
        }
    }

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

    /// Which codes above 0 become one between `low` and `high`, blank left out; where the map keeps
    /// the order of the codes.
    pub(crate) fn codes_between(
        &self,
        low: u32,
        high: u32,
    ) -> Option<std::ops::RangeInclusive<u32>> {
        let (by, factor) = match self {
            Self::Same => (0, 1),
            Self::Shift(by) => (*by, 1),
            Self::Scale { by, factor } => (*by, *factor),
            Self::Table(_) => return None,
        };
        // Code c of the segment is code by + (c - 1) * factor + 1 of the column.
        let least = low.saturating_sub(by + 1).div_ceil(factor) + 1;
        let most = high.checked_sub(by + 1).map_or(0, |above| above / factor + 1);
        Some(least..=most)
    }

    /// How far the codes above 0 only move, where that is all.
    pub(crate) fn shift(&self) -> Option<u32> {
        match self {
            Self::Same => Some(0),
            Self::Shift(by) => Some(*by),
            Self::Scale { .. } | Self::Table(_) => None,
        }
    }

    /// Maps codes in place.
    pub(crate) fn apply<T: Cell>(&self, codes: &mut [T]) {
        match self {
            Self::Same => {}
            Self::Table(table) => {
                for c in codes {
                    *c = T::of(table[c.code() as usize]);
                }
            }
            Self::Shift(_) | Self::Scale { .. } => {
                for c in codes {
                    *c = T::of(self.get(c.code()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_between_are_those_that_map_there() {
        let scale = |by, factor| CodeMap::Scale { by, factor };
        for map in [CodeMap::Same, CodeMap::Shift(3), scale(0, 4), scale(5, 3)] {
            for (low, high) in [(0, 0), (0, 7), (1, 1), (4, 4), (5, 20), (6, 8), (30, 40)] {
                let found: Vec<u32> = map.codes_between(low, high).unwrap().collect();
                let is_there = |c: &u32| (low..=high).contains(&map.get(*c));
                assert_eq!(
                    found,
                    (1..60).filter(is_there).collect::<Vec<_>>(),
                    "{map:?} {low} {high}"
                );
            }
        }
        assert_eq!(CodeMap::table(vec![0, 2, 1]).codes_between(1, 2), None);
    }
}
