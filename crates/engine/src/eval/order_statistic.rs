//! The n-th smallest of many numbers, without putting them in order: digit by digit from the
//! highest, counting how many have each.

use evercube_base::Result;
use evercube_work::check;

/// Bits of a digit.
const DIGIT: u32 = 11;
/// Numbers looked at between two looks at whether to stop.
const SOME: usize = 1 << 16;

/// The number at place `n` in the order, counted from 0, and the one after it, which is the same one
/// where that is the last.
///
/// # Errors
/// The query was stopped.
pub(super) fn nth_and_next(numbers: &[u32], n: usize) -> Result<(u32, u32)> {
    let mut prefix = 0;
    // Places left among the numbers that begin with the prefix.
    let mut left = n;
    let mut shift = u32::BITS;
    while shift > 0 {
        let width = DIGIT.min(shift);
        let above = shift;
        shift -= width;
        let mut counts = [0_usize; 1 << DIGIT];
        for some in numbers.chunks(SOME) {
            check()?;
            for number in some {
                let begins = above == u32::BITS || number >> above == prefix;
                counts[(number >> shift) as usize & ((1 << width) - 1)] += usize::from(begins);
            }
        }
        let mut digit = 0;
        while digit + 1 < 1 << width && left >= counts[digit] {
            left -= counts[digit];
            digit += 1;
        }
        prefix = prefix << width | digit as u32;
    }
    let (mut same, mut next) = (0, u32::MAX);
    for some in numbers.chunks(SOME) {
        check()?;
        for number in some {
            same += usize::from(*number == prefix);
            next = next.min(if *number > prefix { *number } else { u32::MAX });
        }
    }
    let is_next = left + 1 >= same && numbers.iter().any(|number| *number > prefix);
    Ok((prefix, if is_next { next } else { prefix }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_sorting_finds() {
        let spread: fn(u32) -> u32 = |i| i.wrapping_mul(2_654_435_761);
        let several: fn(u32) -> u32 = |i| (i * 7 % 11) << 20;
        for make in [spread, several, |_| u32::MAX] {
            let numbers: Vec<u32> = (0..500).map(make).collect();
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            for n in 0..numbers.len() {
                let next = sorted[(n + 1).min(numbers.len() - 1)];
                assert_eq!(nth_and_next(&numbers, n).unwrap(), (sorted[n], next));
            }
        }
    }
}
