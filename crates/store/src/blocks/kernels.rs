//! The loops over packed codes, with the widest instructions the processor has. Each has a plain
//! twin that gives the same answers (`plain`).
#![allow(unsafe_code)]

use super::cell::Cell;
use super::plain;

/// Codes in a group; a group of width `w` takes `8 * w` bytes.
pub(crate) const GROUP: usize = 64;
/// Bytes behind the last group that a vector may read.
pub(crate) const SLACK: usize = 64;

/// Decodes whole groups of `width` bits, adding `base` to each code.
pub(super) fn unpack<T: Cell>(bytes: &[u8], width: usize, base: u32, out: &mut [T]) {
    assert!(out.len().is_multiple_of(GROUP) && width <= 32 && width != 31);
    assert!(bytes.len() >= out.len() / GROUP * 8 * width + SLACK);
    #[cfg(target_arch = "x86_64")]
    if avx512::available() && width <= size_of::<T>() * 8 {
        // SAFETY: the processor has the instructions; the lengths were checked above.
        unsafe { avx512::unpack(bytes, width, base, out) };
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if avx2::available() && width <= avx2::WIDEST {
        // SAFETY: the processor has the instructions; the lengths were checked above.
        unsafe { avx2::unpack(bytes, width, base, out) };
        return;
    }
    plain::unpack(bytes, width, base, out);
}

/// The largest value among some groups.
pub(super) fn highest(bytes: &[u8], width: usize, groups: usize) -> u32 {
    assert!(width <= 32 && width != 31);
    assert!(bytes.len() >= groups * 8 * width + SLACK);
    #[cfg(target_arch = "x86_64")]
    if avx512::available() {
        // SAFETY: the processor has the instructions; the length was checked above.
        return unsafe { avx512::highest(bytes, width, groups) };
    }
    plain::highest(bytes, width, groups)
}

/// Writes the value of each row: bit `r` of `starts` begins the next run at row `r`. `run` is the
/// number of runs begun before the first row; `values` has room for [`SPREAD`] more than there are.
pub(super) fn spread<T: Cell>(starts: &[[u8; 8]], run: usize, values: &[T], out: &mut [T]) {
    let begun: usize = starts.iter().map(|s| u64::from_le_bytes(*s).count_ones() as usize).sum();
    assert!(out.len() == starts.len() * GROUP && values.len() >= run + begun + SPREAD);
    assert!(run > 0 || starts.first().is_none_or(|s| s[0] & 1 == 1));
    #[cfg(target_arch = "x86_64")]
    if avx512::available() {
        // SAFETY: the processor has the instructions; the lengths were checked above, and that a
        // run is open before the first row that begins none.
        unsafe { avx512::spread(starts, run, values, out) };
        return;
    }
    plain::spread(starts, run, values, out);
}

/// Rows that are spread at a time.
pub(super) const SPREAD: usize = 16;

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm_permutexvar_epi8, _mm_set_epi64x, _mm_storeu_si128,
        _mm256_cvtepu8_epi16, _mm256_loadu_si256, _mm256_permutexvar_epi16, _mm256_storeu_si256,
        _mm512_add_epi8, _mm512_add_epi16, _mm512_add_epi32, _mm512_and_si512,
        _mm512_cvtepu8_epi32, _mm512_loadu_si512, _mm512_max_epu32, _mm512_multishift_epi64_epi8,
        _mm512_permutexvar_epi8, _mm512_permutexvar_epi32, _mm512_reduce_max_epu32,
        _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_storeu_si512,
    };
    use std::sync::OnceLock;

    use super::{Cell, GROUP, SPREAD};

    pub(super) fn available() -> bool {
        static FOUND: OnceLock<bool> = OnceLock::new();
        *FOUND.get_or_init(|| {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vbmi")
        })
    }

    /// How one vector is decoded: each 64-bit lane takes the bytes that hold its codes, then each
    /// byte of a code takes its 8 bits from the lane.
    #[derive(Clone, Copy)]
    struct Control {
        take: [u8; 64],
        shift: [u8; 64],
    }

    /// Controls by the logarithm of a cell's bytes and the width of a code.
    static CONTROLS: [[Control; 33]; 3] = [controls(1), controls(2), controls(4)];

    const fn controls(cell: usize) -> [Control; 33] {
        let mut all = [Control { take: [0; 64], shift: [0; 64] }; 33];
        let per_lane = 8 / cell;
        let mut width = 0;
        while width <= 32 {
            let mut at = 0;
            while at < 64 {
                let (lane, byte) = (at / 8, at % 8);
                let first_bit = lane * per_lane * width;
                // Widths beyond the cell are never asked for.
                all[width].take[at] = ((first_bit / 8 + byte) % 64) as u8;
                let bit = first_bit % 8 + byte / cell * width + byte % cell * 8;
                all[width].shift[at] = (bit % 64) as u8;
                at += 1;
            }
            width += 1;
        }
        all
    }

    /// # Safety
    /// The processor is [`available`]; `out` is whole groups, `bytes` holds them and `SLACK` more,
    /// and a code fits a cell.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    pub(super) unsafe fn unpack<T: Cell>(bytes: &[u8], width: usize, base: u32, out: &mut [T]) {
        let cell = size_of::<T>();
        let control = &CONTROLS[cell.trailing_zeros() as usize][width];
        // SAFETY: both arrays are 64 bytes.
        let (take, shift) = unsafe {
            (
                _mm512_loadu_si512(control.take.as_ptr().cast()),
                _mm512_loadu_si512(control.shift.as_ptr().cast()),
            )
        };
        let mask = ((1u64 << width) - 1) as u32;
        let (mask, base) = match cell {
            1 => (_mm512_set1_epi8(mask as i8), _mm512_set1_epi8(base as i8)),
            2 => (_mm512_set1_epi16(mask as i16), _mm512_set1_epi16(base as i16)),
            _ => (_mm512_set1_epi32(mask as i32), _mm512_set1_epi32(base as i32)),
        };
        let cells = 64 / cell;
        let step = cells * width / 8;
        for (i, cells) in out.chunks_exact_mut(cells).enumerate() {
            // SAFETY: vector `i` begins inside the groups' bytes, which `SLACK` bytes follow.
            let data = unsafe { _mm512_loadu_si512(bytes.as_ptr().add(i * step).cast()) };
            let lanes = _mm512_permutexvar_epi8(take, data);
            let codes = _mm512_and_si512(_mm512_multishift_epi64_epi8(shift, lanes), mask);
            let codes = match cell {
                1 => _mm512_add_epi8(codes, base),
                2 => _mm512_add_epi16(codes, base),
                _ => _mm512_add_epi32(codes, base),
            };
            // SAFETY: the chunk is 64 bytes.
            unsafe { _mm512_storeu_si512(cells.as_mut_ptr().cast(), codes) };
        }
    }

    /// # Safety
    /// The processor is [`available`]; `bytes` holds the groups and `SLACK` more.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    pub(super) unsafe fn highest(bytes: &[u8], width: usize, groups: usize) -> u32 {
        let control = &CONTROLS[2][width];
        // SAFETY: both arrays are 64 bytes.
        let (take, shift) = unsafe {
            (
                _mm512_loadu_si512(control.take.as_ptr().cast()),
                _mm512_loadu_si512(control.shift.as_ptr().cast()),
            )
        };
        let mask = _mm512_set1_epi32(((1u64 << width) - 1) as u32 as i32);
        let mut most = _mm512_set1_epi32(0);
        for vector in 0..groups * 4 {
            // SAFETY: the vector begins inside the groups' bytes, which `SLACK` bytes follow.
            let data = unsafe { _mm512_loadu_si512(bytes.as_ptr().add(vector * 2 * width).cast()) };
            let lanes = _mm512_permutexvar_epi8(take, data);
            let values = _mm512_and_si512(_mm512_multishift_epi64_epi8(shift, lanes), mask);
            most = _mm512_max_epu32(most, values);
        }
        _mm512_reduce_max_epu32(most)
    }

    /// For each byte: how many runs were begun up to and with each of its bits, one less where the
    /// first bit begins one.
    static BEGUN: [u64; 256] = begun();

    const fn begun() -> [u64; 256] {
        let mut all = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut bit = 0;
            while bit < 8 {
                let up_to = (byte as u32 & ((2 << bit) - 1)).count_ones() - (byte as u32 & 1);
                all[byte] |= (up_to as u64) << (8 * bit);
                bit += 1;
            }
            byte += 1;
        }
        all
    }

    /// # Safety
    /// The processor is [`available`]; `out` has a group for each of `starts`; `values` is longer
    /// by `SPREAD` than `run` and the bits of `starts`; `run` is not 0 unless the first bit is set.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,popcnt")]
    pub(super) unsafe fn spread<T: Cell>(
        starts: &[[u8; 8]],
        run: usize,
        values: &[T],
        out: &mut [T],
    ) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let mut begun = run;
        for (starts, out) in starts.iter().zip(out.chunks_exact_mut(GROUP)) {
            let starts = u64::from_le_bytes(*starts);
            for (part, out) in out.chunks_exact_mut(SPREAD).enumerate() {
                let bits = starts >> (part * SPREAD) & 0xffff;
                let (low, high) = (bits & 0xff, bits >> 8);
                let below = low.count_ones() as u64 - (low & 1);
                let first = BEGUN[low as usize];
                let second = BEGUN[high as usize] + ONES * (below + (high & 1));
                let rows = _mm_set_epi64x(second as i64, first as i64);
                // The run of the first row; the others follow it.
                let at = begun + (bits & 1) as usize - 1;
                // SAFETY: `at` is at most the number of runs, and `SPREAD` values follow that;
                // `out` is `SPREAD` cells.
                unsafe {
                    let from = values.as_ptr().add(at);
                    let into = out.as_mut_ptr();
                    match size_of::<T>() {
                        1 => {
                            let v = _mm_loadu_si128(from.cast::<__m128i>());
                            _mm_storeu_si128(into.cast(), _mm_permutexvar_epi8(rows, v));
                        }
                        2 => {
                            let v = _mm256_loadu_si256(from.cast::<__m256i>());
                            let rows = _mm256_cvtepu8_epi16(rows);
                            _mm256_storeu_si256(into.cast(), _mm256_permutexvar_epi16(rows, v));
                        }
                        _ => {
                            let v = _mm512_loadu_si512(from.cast());
                            let rows = _mm512_cvtepu8_epi32(rows);
                            _mm512_storeu_si512(into.cast(), _mm512_permutexvar_epi32(rows, v));
                        }
                    }
                }
                begun += bits.count_ones() as usize;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m128i, _mm_loadu_si128, _mm256_and_si256, _mm256_loadu_si256, _mm256_set_m128i,
        _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_srlv_epi32, _mm256_storeu_si256,
    };

    use super::{Cell, GROUP};

    /// A code and the bits before it in its first byte are within 32 bits.
    pub(super) const WIDEST: usize = 25;

    pub(super) fn available() -> bool {
        is_x86_feature_detected!("avx2")
    }

    /// # Safety
    /// The processor is [`available`]; `out` is whole groups, `bytes` holds them and `SLACK` more;
    /// `width` is at most [`WIDEST`].
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn unpack<T: Cell>(bytes: &[u8], width: usize, base: u32, out: &mut [T]) {
        // Each half takes four codes from 16 bytes; the second half may begin within a byte.
        let (mut take, mut shift) = ([0u8; 32], [0u32; 8]);
        for code in 0..8 {
            let bit = code % 4 * width + if code < 4 { 0 } else { 4 * width % 8 };
            shift[code] = (bit % 8) as u32;
            for byte in 0..4 {
                take[code * 4 + byte] = (bit / 8 + byte) as u8;
            }
        }
        // SAFETY: both arrays are 32 bytes.
        let (take, shift) = unsafe {
            (_mm256_loadu_si256(take.as_ptr().cast()), _mm256_loadu_si256(shift.as_ptr().cast()))
        };
        let mask = _mm256_set1_epi32(((1u64 << width) - 1) as u32 as i32);
        let mut group = [0u32; GROUP];
        for (number, out) in out.chunks_exact_mut(GROUP).enumerate() {
            for (eight, codes) in group.chunks_exact_mut(8).enumerate() {
                // SAFETY: both halves begin inside the group's bytes, which `SLACK` bytes follow;
                // the codes are 32 bytes.
                unsafe {
                    let from = bytes.as_ptr().add((number * 8 + eight) * width);
                    let low = _mm_loadu_si128(from.cast::<__m128i>());
                    let high = _mm_loadu_si128(from.add(width / 2).cast::<__m128i>());
                    let data = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), take);
                    let found = _mm256_and_si256(_mm256_srlv_epi32(data, shift), mask);
                    _mm256_storeu_si256(codes.as_mut_ptr().cast(), found);
                }
            }
            for (o, code) in out.iter_mut().zip(group) {
                *o = T::of(code.wrapping_add(base));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree<T: Cell>(width: usize, seed: u64) {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 32) as u32
        };
        let groups = 5;
        let bytes: Vec<u8> = (0..groups * 8 * width + SLACK).map(|_| next() as u8).collect();
        let base = next() % 100;
        let (mut fast, mut slow) = (vec![T::of(0); groups * GROUP], vec![T::of(0); groups * GROUP]);
        unpack(&bytes, width, base, &mut fast);
        plain::unpack(&bytes, width, base, &mut slow);
        assert_eq!(fast, slow, "width {width}");
        #[cfg(target_arch = "x86_64")]
        if avx2::available() && width <= avx2::WIDEST {
            // SAFETY: the processor has the instructions; the bytes are those of the groups.
            unsafe { avx2::unpack(&bytes, width, base, &mut fast) };
            assert_eq!(fast, slow, "width {width}");
        }
        assert_eq!(highest(&bytes, width, groups), plain::highest(&bytes, width, groups));
        let mut starts: Vec<[u8; 8]> = (0..groups)
            .map(|i| {
                let dense = (u64::from(next()) << 32 | u64::from(next())).to_le_bytes();
                if i % 2 == 0 { dense } else { dense.map(|b| b & 1 << (i % 8)) }
            })
            .collect();
        let values: Vec<T> = (0..groups * GROUP + SPREAD + 3).map(|_| T::of(next())).collect();
        for run in [0, 3] {
            starts[0][0] |= 1;
            spread(&starts, run, &values, &mut fast);
            plain::spread(&starts, run, &values, &mut slow);
            assert_eq!(fast, slow, "run {run}");
        }
    }

    #[test]
    fn fast_and_plain_loops_agree() {
        for width in (0..=32).filter(|w| *w != 31) {
            for seed in 0..4 {
                if width <= 8 {
                    agree::<u8>(width, seed);
                }
                if width <= 16 {
                    agree::<u16>(width, seed);
                }
                agree::<u32>(width, seed);
            }
        }
    }
}
