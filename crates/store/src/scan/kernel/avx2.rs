//! The loops with AVX2.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::scalar::{self, Code, FEW, has, refine_few, refine_word};

pub(super) fn in_range_u8(codes: &[u8], range: (u8, u8), mask: &mut [u64]) {
    // SAFETY: this module is entered where AVX2 was detected alone.
    unsafe { range_u8(codes, range, mask) }
}

#[target_feature(enable = "avx2")]
fn range_u8(codes: &[u8], (low, high): (u8, u8), mask: &mut [u64]) {
    let (l, h) = (_mm256_set1_epi8(low.cast_signed()), _mm256_set1_epi8(high.cast_signed()));
    let inside = |block: &[u8; 64], at: usize| {
        // SAFETY: `at` is 0 or 32, so that 32 bytes of the block follow.
        let x = unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) };
        let clamped = _mm256_min_epu8(_mm256_max_epu8(x, l), h);
        u64::from(_mm256_movemask_epi8(_mm256_cmpeq_epi8(clamped, x)).cast_unsigned())
    };
    refine_words!(codes, mask, |block| inside(block, 0) | inside(block, 32) << 32, |c| low <= c
        && c <= high);
}

pub(super) fn in_range_u16(codes: &[u16], range: (u16, u16), mask: &mut [u64]) {
    // SAFETY: this module is entered where AVX2 was detected alone.
    unsafe { range_u16(codes, range, mask) }
}

#[target_feature(enable = "avx2")]
fn range_u16(codes: &[u16], (low, high): (u16, u16), mask: &mut [u64]) {
    let (l, h) = (_mm256_set1_epi16(low.cast_signed()), _mm256_set1_epi16(high.cast_signed()));
    let inside = |block: &[u16; 64], at: usize| {
        // SAFETY: `at` is at most 48, so that 16 codes of the block follow.
        let x = unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) };
        _mm256_cmpeq_epi16(_mm256_min_epu16(_mm256_max_epu16(x, l), h), x)
    };
    let half = |block: &[u16; 64], at: usize| {
        let bytes = _mm256_packs_epi16(inside(block, at), inside(block, at + 16));
        // Packing works in halves of a register: their quarters are put in order again.
        let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes);
        u64::from(_mm256_movemask_epi8(ordered).cast_unsigned())
    };
    refine_words!(codes, mask, |block| half(block, 0) | half(block, 32) << 32, |c| low <= c
        && c <= high);
}

pub(super) fn in_range_u32(codes: &[u32], range: (u32, u32), mask: &mut [u64]) {
    // SAFETY: this module is entered where AVX2 was detected alone.
    unsafe { range_u32(codes, range, mask) }
}

#[target_feature(enable = "avx2")]
fn range_u32(codes: &[u32], (low, high): (u32, u32), mask: &mut [u64]) {
    let (l, h) = (_mm256_set1_epi32(low.cast_signed()), _mm256_set1_epi32(high.cast_signed()));
    let word = |block: &[u32; 64]| {
        let mut word = 0u64;
        for at in (0..64).step_by(8) {
            // SAFETY: `at` is at most 56, so that 8 codes of the block follow.
            let x = unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) };
            let inside = _mm256_cmpeq_epi32(_mm256_min_epu32(_mm256_max_epu32(x, l), h), x);
            let bits = _mm256_movemask_ps(_mm256_castsi256_ps(inside)).cast_unsigned();
            word |= u64::from(bits) << at;
        }
        word
    };
    refine_words!(codes, mask, |block| word(block), |c| low <= c && c <= high);
}

pub(super) fn in_set_u8(codes: &[u8], set: &[u64; 4], mask: &mut [u64]) {
    // SAFETY: this module is entered where AVX2 was detected alone.
    unsafe { set_u8(codes, set, mask) }
}

#[target_feature(enable = "avx2")]
fn set_u8(codes: &[u8], set: &[u64; 4], mask: &mut [u64]) {
    // Bytes 0..16 and 16..32 of the set, in both halves of a register.
    let pair = |a: u64, b: u64| {
        _mm256_set_epi64x(b.cast_signed(), a.cast_signed(), b.cast_signed(), a.cast_signed())
    };
    let (first, second) = (pair(set[0], set[1]), pair(set[2], set[3]));
    let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201u64.cast_signed());
    let low_nibble = _mm256_set1_epi8(0x0f);
    let passes = |block: &[u8; 64], at: usize| {
        // SAFETY: `at` is 0 or 32, so that 32 bytes of the block follow.
        let x = unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) };
        let byte = _mm256_and_si256(_mm256_srli_epi16::<3>(x), low_nibble);
        // The highest bit of a code tells the half of the set.
        let held = _mm256_blendv_epi8(
            _mm256_shuffle_epi8(first, byte),
            _mm256_shuffle_epi8(second, byte),
            x,
        );
        let bit = _mm256_shuffle_epi8(bits, _mm256_and_si256(x, _mm256_set1_epi8(7)));
        let found = _mm256_cmpeq_epi8(_mm256_and_si256(held, bit), bit);
        u64::from(_mm256_movemask_epi8(found).cast_unsigned())
    };
    refine_words!(codes, mask, |block| passes(block, 0) | passes(block, 32) << 32, |c| has(
        set,
        u32::from(c)
    ));
}

/// Whole words by gathering, few rows of a word and the last rows one by one.
#[target_feature(enable = "avx2")]
fn set_wide<T: Code>(
    codes: &[T],
    set: &[u64],
    mask: &mut [u64],
    load: impl Fn(&[T; 64], usize) -> __m256i,
) {
    // Codes past the end of the set look at its first word and fail.
    let Ok(length) = i32::try_from(set.len() * 2) else { return scalar::in_set(codes, set, mask) };
    let length = _mm256_set1_epi32(length);
    let (blocks, rest) = codes.as_chunks::<64>();
    for (block, word) in blocks.iter().zip(mask.iter_mut()).filter(|(_, w)| **w != 0) {
        if word.count_ones() <= FEW {
            refine_few(block, word, |c| has(set, c.into()));
            continue;
        }
        let mut passed = 0u64;
        for at in (0..64).step_by(8) {
            let code = load(block, at);
            let index = _mm256_srli_epi32::<5>(code);
            let inside = _mm256_cmpgt_epi32(length, index);
            // SAFETY: lanes whose index is not below the set's length in 32-bit words are masked
            // off, and indices are not negative since a code has 32 bits.
            let held = unsafe {
                _mm256_mask_i32gather_epi32::<4>(
                    _mm256_setzero_si256(),
                    set.as_ptr().cast(),
                    index,
                    inside,
                )
            };
            let shifted = _mm256_srlv_epi32(held, _mm256_and_si256(code, _mm256_set1_epi32(31)));
            let sign = _mm256_slli_epi32::<31>(shifted);
            let bits = _mm256_movemask_ps(_mm256_castsi256_ps(sign)).cast_unsigned();
            passed |= u64::from(bits) << at;
        }
        *word &= passed;
    }
    if let (false, Some(word)) = (rest.is_empty(), mask.get_mut(blocks.len())) {
        refine_word(rest, word, |c| has(set, c.into()));
    }
}

pub(super) fn in_set_u16(codes: &[u16], set: &[u64], mask: &mut [u64]) {
    #[target_feature(enable = "avx2")]
    fn run(codes: &[u16], set: &[u64], mask: &mut [u64]) {
        set_wide(codes, set, mask, |block, at| {
            // SAFETY: `at` is at most 56, so that 8 codes of the block follow.
            _mm256_cvtepu16_epi32(unsafe { _mm_loadu_si128(block.as_ptr().add(at).cast()) })
        });
    }
    // SAFETY: this module is entered where AVX2 was detected alone.
    unsafe { run(codes, set, mask) }
}

pub(super) fn in_set_u32(codes: &[u32], set: &[u64], mask: &mut [u64]) {
    #[target_feature(enable = "avx2")]
    fn run(codes: &[u32], set: &[u64], mask: &mut [u64]) {
        set_wide(codes, set, mask, |block, at| {
            // SAFETY: `at` is at most 56, so that 8 codes of the block follow.
            unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) }
        });
    }
    // SAFETY: this module is entered where AVX2 was detected alone.
    unsafe { run(codes, set, mask) }
}

pub(super) fn less(a: &[i64], b: &[i64], words: &mut [u64]) {
    // SAFETY: this module is entered where AVX2 was detected alone.
    unsafe { pairs_less(a, b, words) }
}

#[target_feature(enable = "avx2")]
fn pairs_less(a: &[i64], b: &[i64], words: &mut [u64]) {
    compare_words!(a, b, words, 4, |a, b| signs(_mm256_cmpgt_epi64(four(b), four(a))), |a, b| a
        < b);
}

pub(super) fn equal(a: &[i64], b: &[i64], words: &mut [u64]) {
    // SAFETY: this module is entered where AVX2 was detected alone.
    unsafe { pairs_equal(a, b, words) }
}

#[target_feature(enable = "avx2")]
fn pairs_equal(a: &[i64], b: &[i64], words: &mut [u64]) {
    compare_words!(a, b, words, 4, |a, b| signs(_mm256_cmpeq_epi64(four(a), four(b))), |a, b| a
        == b);
}

#[target_feature(enable = "avx2")]
fn four(values: &[i64; 4]) -> __m256i {
    // SAFETY: four numbers are 32 bytes.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn signs(values: __m256i) -> u8 {
    _mm256_movemask_pd(_mm256_castsi256_pd(values)) as u8
}
