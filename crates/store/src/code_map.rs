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
