//! Sums of few groups. Adding to the same place again and again waits for itself each time; several
//! places for each group, taken in turns, do not.

/// Groups that are few: a mask keeps numbers within them.
pub(super) const FEW: usize = 64;
/// Places of each group.
const TURNS: usize = 4;

/// Sums of at most [`FEW`] groups, as they grow.
pub(super) struct Sums([i64; FEW * TURNS]);

impl Sums {
    pub(super) fn new() -> Self {
        Self([0; FEW * TURNS])
    }

    /// Adds the value of row `at` to the sum of its group.
    #[inline]
    pub(super) fn add(&mut self, at: usize, group: u32, value: i64) {
        let sum = &mut self.0[at % TURNS * FEW + group as usize % FEW];
        *sum = sum.wrapping_add(value);
    }

    pub(super) fn add_to(&self, sums: &mut [i64]) {
        for (group, sum) in sums.iter_mut().enumerate().take(FEW) {
            let places = self.0[group..].iter().step_by(FEW);
            *sum = places.fold(*sum, |sum, turn| sum.wrapping_add(*turn));
        }
    }
}

/// Counts the rows of each group.
pub(super) fn count(counts: &mut [u64], numbers: &[u32]) {
    let mut turns = [[0_u32; FEW]; TURNS];
    let (by_turns, rest) = numbers.as_chunks::<TURNS>();
    for groups in by_turns {
        for turn in 0..TURNS {
            turns[turn][groups[turn] as usize % FEW] += 1;
        }
    }
    rest.iter().for_each(|group| turns[0][*group as usize % FEW] += 1);
    for (group, count) in counts.iter_mut().enumerate().take(FEW) {
        *count += turns.iter().map(|turn| u64::from(turn[group])).sum::<u64>();
    }
}

/// Notes the groups that occur.
pub(super) fn note_met(met: &mut [bool], numbers: &[u32]) {
    let seen = numbers.iter().fold(0_u64, |seen, group| seen | 1 << (group % FEW as u32));
    for (group, met) in met.iter_mut().enumerate().take(FEW) {
        *met |= seen >> group & 1 == 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_goes_to_its_group() {
        for rows in [0, 1, 7, 200] {
            let numbers: Vec<u32> = (0..rows).map(|row| row * 7 % 64).collect();
            let values: Vec<i64> = numbers.iter().map(|n| i64::from(*n) - 30).collect();
            let (mut sums, mut counts, mut met) = (vec![5; 64], vec![1; 64], vec![false; 64]);
            let mut few = Sums::new();
            for (at, (group, value)) in numbers.iter().zip(&values).enumerate() {
                few.add(at, *group, *value);
            }
            few.add_to(&mut sums);
            count(&mut counts, &numbers);
            note_met(&mut met, &numbers);
            for group in 0..64_u32 {
                let n = numbers.iter().filter(|n| **n == group).count();
                let at = group as usize;
                assert_eq!(sums[at], 5 + n as i64 * (i64::from(group) - 30));
                assert_eq!((counts[at], met[at]), (1 + n as u64, n > 0));
            }
        }
    }
}
