//! Different codes of many groups: pairs of group and code, put in order now and then, take less
//! than a set for each group.

use evercube_work::{check, tick};

/// Pairs that come before they are put in order for the first time: that takes longer than to put
/// each group's codes in order at the end, and is for the memory that it gives back.
const SOME: usize = 1 << 23;

#[derive(Default)]
pub(super) struct Pairs {
    /// The group in the upper half, the code in the lower one.
    pairs: Vec<u64>,
    /// So many at the beginning are different.
    different: usize,
}

impl Pairs {
    #[inline]
    pub(super) fn push(&mut self, group: usize, code: u32) {
        let pair = (group as u64) << 32 | u64::from(code);
        // Rows that belong together often come one after the other.
        if self.pairs.last() != Some(&pair) {
            self.pairs.push(pair);
        }
    }

    /// Drops what occurs again, where much has come since that was done.
    pub(super) fn tidy(&mut self) {
        if self.pairs.len() >= 2 * self.different + SOME {
            self.drop_equals();
        }
    }

    fn drop_equals(&mut self) {
        self.pairs.sort_unstable_by(|a, b| {
            tick();
            a.cmp(b)
        });
        self.pairs.dedup();
        self.different = self.pairs.len();
    }

    /// Adds another part's pairs; `number` gives its groups their numbers here.
    pub(super) fn merge(&mut self, other: &Self, number: impl Fn(usize) -> usize) {
        for pair in &other.pairs {
            self.push(number((pair >> 32) as usize), *pair as u32);
        }
        self.tidy();
    }

    /// How many different codes each of `groups` groups has, and whether code 0 counts.
    ///
    /// # Errors
    /// The query was stopped.
    pub(super) fn counts(
        &mut self,
        groups: usize,
        with_blank: bool,
    ) -> evercube_base::Result<Vec<u64>> {
        // By group first, which needs no comparing.
        let mut ends = vec![0_u32; groups + 1];
        self.pairs.iter().for_each(|pair| ends[(pair >> 32) as usize + 1] += 1);
        (0..groups).for_each(|group| ends[group + 1] += ends[group]);
        let mut next = ends.clone();
        let mut codes = vec![0_u32; self.pairs.len()];
        for pair in &self.pairs {
            let place = &mut next[(pair >> 32) as usize];
            codes[*place as usize] = *pair as u32;
            *place += 1;
        }
        let mut counts = Vec::with_capacity(groups);
        for group in 0..groups {
            if group.is_multiple_of(1024) {
                check()?;
            }
            let codes = &mut codes[ends[group] as usize..ends[group + 1] as usize];
            codes.sort_unstable();
            let different = codes.chunk_by(|a, b| a == b).count() as u64;
            let has_blank = codes.first() == Some(&0);
            counts.push(different - u64::from(has_blank && !with_blank));
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_counts_once_in_its_group() {
        let (mut all, mut other) = (Pairs::default(), Pairs::default());
        for (group, code) in [(0, 5), (2, 0), (2, 7), (0, 5), (2, 7)] {
            all.push(group, code);
        }
        all.drop_equals();
        for (group, code) in [(0, 7), (0, 8), (1, 0)] {
            other.push(group, code);
        }
        all.merge(&other, |group| 2 - group);
        assert_eq!(all.counts(4, true).unwrap(), [1, 1, 3, 0]);
        assert_eq!(all.counts(4, false).unwrap(), [1, 0, 2, 0]);
    }
}
