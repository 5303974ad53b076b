//! Sets of codes: a few of them by hash, many as bits.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use crate::scan_request::BitSet;

#[derive(Default)]
pub(super) struct CodeSet {
    few: HashSet<u32, FixedState>,
    /// Takes the place of `few` once that has grown.
    bits: Option<BitSet>,
}

impl CodeSet {
    /// Adds a code of a column of `all` codes.
    pub(super) fn insert(&mut self, code: u32, all: u32) {
        if let Some(bits) = &mut self.bits {
            bits.insert(code as usize);
            return;
        }
        self.few.insert(code);
        // A hashed code takes about 64 bits.
        if self.few.len() as u32 > all / 64 {
            let mut bits = BitSet::new(all as usize, false);
            self.few.drain().for_each(|c| bits.insert(c as usize));
            self.bits = Some(bits);
        }
    }

    /// Adds the codes of another set over the same column.
    pub(super) fn merge(&mut self, other: Self) {
        match (&mut self.bits, other.bits) {
            (Some(mine), Some(theirs)) => mine.union(&theirs),
            (Some(mine), None) => other.few.iter().for_each(|c| mine.insert(*c as usize)),
            (None, Some(mut theirs)) => {
                self.few.drain().for_each(|c| theirs.insert(c as usize));
                self.bits = Some(theirs);
            }
            (None, None) => self.few.extend(other.few),
        }
    }

    pub(super) fn contains(&self, code: u32) -> bool {
        match &self.bits {
            Some(bits) => bits.get(code as usize),
            None => self.few.contains(&code),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.bits.as_ref().map_or(self.few.len(), BitSet::count) as u64
    }
}
