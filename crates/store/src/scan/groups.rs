//! Groups of a scan: each row's group number, and what is known of each group.

use std::collections::HashMap;

use evercube_base::Result;
use foldhash::fast::FixedState;

use super::accumulate::Accumulator;
use super::aggregate_plan::Plan;
use super::few_groups;
use super::keys::{Keys, Numbering};
use super::rows::{BLOCK, Rows};
use crate::scan_request::ScanResult;

/// Groups met so far and what is known of each.
pub(super) struct Groups<'a> {
    keys: &'a Keys<'a>,
    known: Known,
    len: usize,
    pub(super) accumulators: Vec<Accumulator>,
    /// The aggregate that tells which groups of a dense numbering have rows, so that this need not
    /// be noted row by row.
    told_by: Option<usize>,
}

enum Known {
    /// Whether any row was met.
    One(bool),
    /// Whether a row of each number was met, and of all.
    Dense(Vec<bool>, bool),
    Renumbered(Renumbered),
    Listed(Listed),
}

/// Groups in the order they were met, where a dense numbering has many numbers that none has.
struct Renumbered {
    /// For each dense number one more than the number of its group; 0: not met.
    places: Vec<u32>,
    /// The dense number of each group.
    dense: Vec<u32>,
}

/// Groups in the order they were met.
#[derive(Default)]
struct Listed {
    packed: HashMap<u64, u32, FixedState>,
    wide: HashMap<Box<[u32]>, u32, FixedState>,
    /// The key whose codes lead to groups.
    leading: Option<usize>,
    /// For each code of the leading key one more than the number of the first group that has it,
    /// which is in neither map; 0: none has it.
    first_of: Vec<u32>,
    /// The codes of one group after the other.
    codes: Vec<u32>,
}

/// Memory that lasts from block to block.
#[derive(Default)]
pub(super) struct KeySpace {
    codes: Vec<Vec<u32>>,
    /// What the codes of the present segment stand for, see [`Keys::enter`].
    own: Vec<Option<Vec<u32>>>,
    pub(super) numbers: Vec<u32>,
}

impl KeySpace {
    /// Goes to the segment of a row.
    pub(super) fn enter(&mut self, keys: &Keys<'_>, row: usize) {
        keys.enter(row, &mut self.own);
    }
}

impl<'a> Groups<'a> {
    pub(super) fn new(keys: &'a Keys<'a>, plans: &[Plan<'_>]) -> Self {
        let (known, len) = match keys.numbering() {
            Numbering::None => (Known::One(false), 1),
            Numbering::Dense { size, is_sparse: true, .. } => {
                // Memory that is zero is not touched before it is used.
                let groups = Renumbered { places: vec![0; *size], dense: Vec::new() };
                (Known::Renumbered(groups), 0)
            }
            Numbering::Dense { size, .. } => (Known::Dense(vec![false; *size], false), *size),
            Numbering::Packed | Numbering::Wide => (Known::Listed(Listed::new(keys)), 0),
        };
        let mut accumulators: Vec<Accumulator> =
            plans.iter().map(|plan| plan.accumulator(len)).collect();
        accumulators.iter_mut().for_each(|a| a.grow(len));
        Self { keys, known, len, accumulators, told_by: plans.iter().position(Plan::tells_groups) }
    }

    /// Whether there are more groups than `limit`, as far as that is known before the end.
    pub(super) fn exceeds(&self, limit: usize) -> bool {
        matches!(self.known, Known::Listed(_) | Known::Renumbered(_)) && self.len > limit
    }

    /// Finds the group numbers of rows; they are in `space.numbers`, unless there is one group.
    pub(super) fn number(&mut self, rows: Rows<'_>, space: &mut KeySpace) {
        match (&mut self.known, self.keys.numbering()) {
            (Known::Dense(met, all_met), Numbering::Dense { keys, .. }) => {
                self.keys.number(keys, &space.own, rows, &mut space.numbers);
                if *all_met || self.told_by.is_some() {
                    return;
                }
                match met.len() {
                    0..=few_groups::FEW => few_groups::note_met(met, &space.numbers),
                    _ => space.numbers.iter().for_each(|n| met[*n as usize] = true),
                }
                // Looking through many groups for one that is left would take longer than a block.
                *all_met = met.len() <= BLOCK && met.iter().all(|met| *met);
            }
            (Known::Renumbered(groups), Numbering::Dense { keys, .. }) => {
                self.keys.number(keys, &space.own, rows, &mut space.numbers);
                groups.renumber(&mut space.numbers);
                self.len = groups.dense.len();
                self.accumulators.iter_mut().for_each(|a| a.grow(self.len));
            }
            (Known::Listed(listed), numbering) => {
                space.codes.resize(self.keys.len(), Vec::new());
                self.keys.read(rows, &mut space.codes);
                let is_packed = matches!(numbering, Numbering::Packed);
                let radix: Vec<u64> = self.keys.radix().collect();
                let packed = is_packed.then_some(radix.as_slice());
                listed.number(packed, &space.codes, rows.len(), &mut self.len, &mut space.numbers);
                self.accumulators.iter_mut().for_each(|a| a.grow(self.len));
            }
            (Known::One(met), _) => *met = true,
            _ => {}
        }
    }

    /// Adds rows of which nothing is asked but their number, to the only group.
    pub(super) fn count(&mut self, rows: u64) {
        if let Known::One(met) = &mut self.known {
            *met |= rows > 0;
        }
        for accumulator in &mut self.accumulators {
            if let Accumulator::Count(counts) = accumulator {
                counts[0] += rows;
            }
        }
    }

    /// Adds another part's groups.
    pub(super) fn merge(&mut self, other: Self) -> Result<()> {
        let mut numbers = Vec::new();
        match (&mut self.known, other.known) {
            (Known::Dense(met, _), Known::Dense(theirs, _)) => {
                met.iter_mut().zip(theirs).for_each(|(m, t)| *m |= t);
            }
            (Known::One(met), Known::One(theirs)) => *met |= theirs,
            (Known::Renumbered(groups), Known::Renumbered(theirs)) => {
                numbers = theirs.dense;
                groups.renumber(&mut numbers);
                self.len = groups.dense.len();
                self.accumulators.iter_mut().for_each(|a| a.grow(self.len));
            }
            (Known::Listed(listed), Known::Listed(theirs)) if other.len > 0 => {
                let width = self.keys.len();
                let key = |i| theirs.codes.iter().skip(i).step_by(width).copied().collect();
                let codes: Vec<Vec<u32>> = (0..width).map(key).collect();
                let radix: Vec<u64> = self.keys.radix().collect();
                let is_packed = matches!(self.keys.numbering(), Numbering::Packed);
                let packed = is_packed.then_some(radix.as_slice());
                listed.number(packed, &codes, other.len, &mut self.len, &mut numbers);
                self.accumulators.iter_mut().for_each(|a| a.grow(self.len));
            }
            _ => {}
        }
        let same_numbers = !matches!(self.known, Known::Listed(_) | Known::Renumbered(_));
        let numbers = (!same_numbers).then_some(numbers.as_slice());
        for (mine, theirs) in self.accumulators.iter_mut().zip(other.accumulators) {
            mine.merge(theirs, numbers)?;
        }
        Ok(())
    }

    pub(super) fn finish(self, plans: &[Plan<'_>]) -> Result<ScanResult> {
        let groups: Vec<u32> = match &self.known {
            Known::Dense(met, _) => {
                let told = self.told_by.map(|at| &self.accumulators[at]);
                let has_rows = |group: usize| told.map_or(met[group], |told| told.has_rows(group));
                (0..met.len()).filter(|group| has_rows(*group)).map(|group| group as u32).collect()
            }
            _ => (0..self.len as u32).collect(),
        };
        let keys = match (&self.known, self.keys.numbering()) {
            (Known::Listed(listed), _) => {
                let width = self.keys.len();
                let key = |i| listed.codes.iter().skip(i).step_by(width).copied().collect();
                (0..width).map(key).collect()
            }
            (known, Numbering::Dense { keys, .. }) => {
                let dense = match known {
                    Known::Renumbered(groups) => &groups.dense,
                    _ => &groups,
                };
                keys.iter().map(|key| dense.iter().map(|g| key.code(*g)).collect()).collect()
            }
            _ => Vec::new(),
        };
        let has_rows = !matches!(self.known, Known::One(false));
        let values = |(a, plan): (Accumulator, &Plan<'_>)| a.finish(plan, &groups, has_rows);
        let aggregates =
            self.accumulators.into_iter().zip(plans).map(values).collect::<Result<_>>()?;
        Ok(ScanResult { keys, aggregates, groups: groups.len() })
    }
}

impl Renumbered {
    /// Puts the numbers of groups in place of dense numbers.
    fn renumber(&mut self, numbers: &mut [u32]) {
        for number in numbers {
            let place = &mut self.places[*number as usize];
            if *place == 0 {
                evercube_work::tick();
                self.dense.push(*number);
                *place = self.dense.len() as u32;
            }
            *number = *place - 1;
        }
    }
}

impl Listed {
    fn new(keys: &Keys<'_>) -> Self {
        Self { leading: keys.leading(), ..Self::default() }
    }

    /// Numbers of `n` rows by the codes of each key; `radix` where they fit one number.
    fn number(
        &mut self,
        radix: Option<&[u64]>,
        keys: &[Vec<u32>],
        n: usize,
        len: &mut usize,
        out: &mut Vec<u32>,
    ) {
        let Self { packed, wide, codes, leading, first_of } = self;
        let width = keys.len();
        let mut add = |codes: &mut Vec<u32>, row: usize| {
            evercube_work::tick();
            codes.extend(keys.iter().map(|k| k[row]));
            *len += 1;
            *len as u32 - 1
        };
        out.clear();
        let Some(radix) = radix else {
            out.extend((0..n).map(|row| {
                let key: Box<[u32]> = keys.iter().map(|k| k[row]).collect();
                *wide.entry(key).or_insert_with(|| add(codes, row))
            }));
            return;
        };
        let leading = *leading;
        if let Some(at) = leading
            && first_of.is_empty()
        {
            // Memory that is zero is not touched before it is used.
            *first_of = vec![0; radix[at] as usize];
        }
        // Rows that belong together often come one after the other.
        let mut last = None;
        for row in 0..n {
            let digits = keys.iter().zip(radix);
            let key = digits.fold(0, |all, (k, r)| all * r + u64::from(k[row]));
            let number = match (last, leading) {
                (Some((of, number)), _) if of == key => number,
                (_, Some(at)) => {
                    let first = &mut first_of[keys[at][row] as usize];
                    let group = (*first as usize).wrapping_sub(1).wrapping_mul(width);
                    if *first == 0 {
                        *first = add(codes, row) + 1;
                        *first - 1
                    } else if keys.iter().zip(&codes[group..]).all(|(k, code)| k[row] == *code) {
                        *first - 1
                    } else {
                        *packed.entry(key).or_insert_with(|| add(codes, row))
                    }
                }
                _ => *packed.entry(key).or_insert_with(|| add(codes, row)),
            };
            last = Some((key, number));
            out.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_many_values_finds_the_same_groups() {
        let many = 1 << 16;
        let keys = [vec![1u32, 9, 1, 60_000, 9, 1], vec![4u32, 0, 3, 2, 0, 4]];
        let mut listed = Listed { leading: Some(0), ..Listed::default() };
        let (mut numbers, mut len) = (Vec::new(), 0);
        listed.number(Some(&[many, 5]), &keys, 6, &mut len, &mut numbers);
        assert_eq!(numbers, [0, 1, 2, 3, 1, 0]);
        let more = [vec![1, 1, 9, 2], vec![3, 0, 0, 0]];
        listed.number(Some(&[many, 5]), &more, 4, &mut len, &mut numbers);
        assert_eq!((numbers, len), (vec![2, 4, 1, 5], 6));
    }

    #[test]
    fn packed_and_wide_keys_give_the_same_groups() {
        let keys = [vec![0u32, 2, 1, 2, 0, 1, 2], vec![4u32, 0, 3, 0, 4, 1, 4]];
        for radix in [Some([3, 5].as_slice()), None] {
            let (mut listed, mut numbers, mut len) = (Listed::default(), Vec::new(), 0);
            listed.number(radix, &keys, 7, &mut len, &mut numbers);
            assert_eq!(numbers, [0, 1, 2, 1, 0, 3, 4]);
            listed.number(radix, &[vec![2, 1], vec![2, 1]], 2, &mut len, &mut numbers);
            assert_eq!((numbers, len), (vec![5, 3], 6));
            assert_eq!(listed.codes, [0, 4, 2, 0, 1, 3, 1, 1, 2, 4, 2, 2]);
        }
    }
}
