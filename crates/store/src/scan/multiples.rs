//! Sums of multiples of a number: 64 bits tell how often it is in a sum where they do not hold the
//! sum itself. Prices in cents times a share in hundredths are multiples of 10,000 of the smallest
//! step that a product of fixed decimals has, so that sums of many millions of them fit.

/// The largest number that divides both; 0 divides nothing but 0.
pub(super) fn divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// How often 2 divides a step.
pub(super) fn twos(step: i64) -> u32 {
    step.trailing_zeros()
}

/// How often a step is in a sum of which the lower 64 bits are known, where it is so few times that
/// these tell.
pub(super) fn multiple(sum: i64, step: i64) -> i64 {
    let shift = twos(step);
    let odd = (step >> shift) as u64;
    // Each turn doubles how many bits of the inverse are right, of which three are from the start.
    let inverse = (0..5).fold(odd, |inverse, _| {
        inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)))
    });
    let lower = (sum as u64 >> shift).wrapping_mul(inverse);
    (lower << shift) as i64 >> shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_bits_tell_multiples() {
        for step in [1, 2, 3, 8, 100, 10_000, 625 << 20] {
            let most = i64::MAX >> twos(step);
            for times in [0, 1, -1, 7, most, -most, most / 3, -most / 5] {
                let sum = (i128::from(times) * i128::from(step)) as i64;
                assert_eq!(multiple(sum, step), times, "{times} times {step}");
            }
        }
        let of = |a, b| divisor(a, b);
        assert_eq!([of(0, 0), of(0, 6), of(-4, 6), of(100, 7)], [0, 6, 2, 1]);
    }
}
