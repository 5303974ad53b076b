//! The loops with AVX-512 (F, BW, VBMI).
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::scalar::{self, Code, FEW, has, refine_few, refine_word};

pub(super) fn in_range_u8(codes: &[u8], range: (u8, u8), mask: &mut [u64]) {
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { range_u8(codes, range, mask) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn range_u8(codes: &[u8], (low, high): (u8, u8), mask: &mut [u64]) {
    let l = _mm512_set1_epi8(low.cast_signed());
    let width = _mm512_set1_epi8(high.wrapping_sub(low).cast_signed());
    let word = |block: &[u8; 64]| {
        // SAFETY: a block is 64 bytes.
        let x = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
        _mm512_cmple_epu8_mask(_mm512_sub_epi8(x, l), width)
    };
    refine_words!(codes, mask, |block| word(block), |c| low <= c && c <= high);
}

pub(super) fn in_range_u16(codes: &[u16], range: (u16, u16), mask: &mut [u64]) {
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { range_u16(codes, range, mask) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn range_u16(codes: &[u16], (low, high): (u16, u16), mask: &mut [u64]) {
    let l = _mm512_set1_epi16(low.cast_signed());
    let width = _mm512_set1_epi16(high.wrapping_sub(low).cast_signed());
    let half = |block: &[u16; 64], at: usize| {
        // SAFETY: `at` is 0 or 32, so that 32 codes of the block follow.
        let x = unsafe { _mm512_loadu_si512(block.as_ptr().add(at).cast()) };
        u64::from(_mm512_cmple_epu16_mask(_mm512_sub_epi16(x, l), width))
    };
    refine_words!(codes, mask, |block| half(block, 0) | half(block, 32) << 32, |c| low <= c
        && c <= high);
}

pub(super) fn in_range_u32(codes: &[u32], range: (u32, u32), mask: &mut [u64]) {
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { range_u32(codes, range, mask) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn range_u32(codes: &[u32], (low, high): (u32, u32), mask: &mut [u64]) {
    let l = _mm512_set1_epi32(low.cast_signed());
    let width = _mm512_set1_epi32(high.wrapping_sub(low).cast_signed());
    let quarter = |block: &[u32; 64], at: usize| {
        // SAFETY: `at` is at most 48, so that 16 codes of the block follow.
        let x = unsafe { _mm512_loadu_si512(block.as_ptr().add(at).cast()) };
        u64::from(_mm512_cmple_epu32_mask(_mm512_sub_epi32(x, l), width)) << at
    };
    refine_words!(
        codes,
        mask,
        |block| quarter(block, 0) | quarter(block, 16) | quarter(block, 32) | quarter(block, 48),
        |c| low <= c && c <= high
    );
}

pub(super) fn in_set_u8(codes: &[u8], set: &[u64; 4], mask: &mut [u64]) {
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { set_u8(codes, set, mask) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn set_u8(codes: &[u8], set: &[u64; 4], mask: &mut [u64]) {
    let [a, b, c, d] = set.map(u64::cast_signed);
    let held = _mm512_setr_epi64(a, b, c, d, a, b, c, d);
    let bits = _mm512_set1_epi64(0x8040_2010_0804_0201u64.cast_signed());
    let word = |block: &[u8; 64]| {
        // SAFETY: a block is 64 bytes.
        let x = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
        let byte = _mm512_and_si512(_mm512_srli_epi16::<3>(x), _mm512_set1_epi8(31));
        let bit = _mm512_shuffle_epi8(bits, _mm512_and_si512(x, _mm512_set1_epi8(7)));
        _mm512_test_epi8_mask(_mm512_permutexvar_epi8(byte, held), bit)
    };
    refine_words!(codes, mask, |block| word(block), |c| has(set, u32::from(c)));
}

/// Whole words by gathering, few rows of a word and the last rows one by one.
#[target_feature(enable = "avx512f,avx512bw")]
fn set_wide<T: Code>(
    codes: &[T],
    set: &[u64],
    mask: &mut [u64],
    load: impl Fn(&[T; 64], usize) -> __m512i,
) {
    let Ok(length) = i32::try_from(set.len() * 2) else { return scalar::in_set(codes, set, mask) };
    let length = _mm512_set1_epi32(length);
    let (blocks, rest) = codes.as_chunks::<64>();
    for (block, word) in blocks.iter().zip(mask.iter_mut()).filter(|(_, w)| **w != 0) {
        if word.count_ones() <= FEW {
            refine_few(block, word, |c| has(set, c.into()));
            continue;
        }
        let mut passed = 0u64;
        for at in (0..64).step_by(16) {
            let wanted = (*word >> at) as u16;
            if wanted == 0 {
                continue;
            }
            let code = load(block, at);
            let index = _mm512_srli_epi32::<5>(code);
            let inside = _mm512_mask_cmplt_epu32_mask(wanted, index, length);
            // SAFETY: lanes whose index is not below the set's length in 32-bit words are masked
            // off, and indices are not negative since a code has 32 bits.
            let held = unsafe {
                _mm512_mask_i32gather_epi32::<4>(
                    _mm512_setzero_si512(),
                    inside,
                    index,
                    set.as_ptr().cast(),
                )
            };
            let bit = _mm512_sllv_epi32(
                _mm512_set1_epi32(1),
                _mm512_and_si512(code, _mm512_set1_epi32(31)),
            );
            passed |= u64::from(_mm512_test_epi32_mask(held, bit)) << at;
        }
        *word &= passed;
    }
    if let (false, Some(word)) = (rest.is_empty(), mask.get_mut(blocks.len())) {
        refine_word(rest, word, |c| has(set, c.into()));
    }
}

/// A set of codes below 1024 lies in two registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn small_set_u16(codes: &[u16], set: &[u64; 16], mask: &mut [u64]) {
    // SAFETY: the set is 128 bytes, the second half begins at its ninth word.
    let (first, second) = unsafe {
        (_mm512_loadu_si512(set.as_ptr().cast()), _mm512_loadu_si512(set[8..].as_ptr().cast()))
    };
    let bits = _mm512_set1_epi64(0x8040_2010_0804_0201u64.cast_signed());
    let narrow = |low: __m512i, high: __m512i| {
        let low = _mm512_castsi256_si512(_mm512_cvtepi16_epi8(low));
        _mm512_inserti64x4::<1>(low, _mm512_cvtepi16_epi8(high))
    };
    let word = |block: &[u16; 64]| {
        // SAFETY: a block is 64 codes, so that 32 follow each of these places.
        let (low, high) = unsafe {
            let at = block.as_ptr();
            (_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(32).cast()))
        };
        let byte = narrow(_mm512_srli_epi16::<3>(low), _mm512_srli_epi16::<3>(high));
        let seven = _mm512_set1_epi16(7);
        let bit = narrow(_mm512_and_si512(low, seven), _mm512_and_si512(high, seven));
        let held = _mm512_permutex2var_epi8(first, byte, second);
        let found = _mm512_test_epi8_mask(held, _mm512_shuffle_epi8(bits, bit));
        let end = _mm512_set1_epi16(1024);
        let inside = u64::from(_mm512_cmplt_epu16_mask(low, end))
            | u64::from(_mm512_cmplt_epu16_mask(high, end)) << 32;
        found & inside
    };
    refine_words!(codes, mask, |block| word(block), |c| has(set, u32::from(c)));
}

pub(super) fn in_set_u16(codes: &[u16], set: &[u64], mask: &mut [u64]) {
    if set.len() <= 16 {
        let mut small = [0; 16];
        small[..set.len()].copy_from_slice(set);
        // SAFETY: this module is entered where its features were detected alone.
        return unsafe { small_set_u16(codes, &small, mask) };
    }
    #[target_feature(enable = "avx512f,avx512bw")]
    fn run(codes: &[u16], set: &[u64], mask: &mut [u64]) {
        set_wide(codes, set, mask, |block, at| {
            // SAFETY: `at` is at most 48, so that 16 codes of the block follow.
            _mm512_cvtepu16_epi32(unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) })
        });
    }
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { run(codes, set, mask) }
}

pub(super) fn in_set_u32(codes: &[u32], set: &[u64], mask: &mut [u64]) {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn run(codes: &[u32], set: &[u64], mask: &mut [u64]) {
        set_wide(codes, set, mask, |block, at| {
            // SAFETY: `at` is at most 48, so that 16 codes of the block follow.
            unsafe { _mm512_loadu_si512(block.as_ptr().add(at).cast()) }
        });
    }
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { run(codes, set, mask) }
}

/// Sixteen rows by one gathering, the last ones as plain code.
#[target_feature(enable = "avx512f,avx512bw")]
fn look_up<T: Code>(
    codes: &[T],
    table: &[u32],
    rows: &mut [u32],
    load: impl Fn(&[T; 16]) -> __m512i,
) {
    let Ok(length) = i32::try_from(table.len()) else { return scalar::look_up(codes, table, rows) };
    let length = _mm512_set1_epi32(length);
    let (whole, last) = codes.as_chunks::<16>();
    let (whole_rows, last_rows) = rows.split_at_mut((whole.len() * 16).min(rows.len()));
    for (codes, rows) in whole.iter().zip(whole_rows.as_chunks_mut::<16>().0) {
        let code = load(codes);
        let inside = _mm512_cmplt_epu32_mask(code, length);
        // SAFETY: lanes whose code is not below the table's length are masked off, and the others
        // are not negative since that length is not; a chunk of rows is 64 bytes.
        unsafe {
            let none = _mm512_setzero_si512();
            let found = _mm512_mask_i32gather_epi32::<4>(none, inside, code, table.as_ptr().cast());
            let sum = _mm512_add_epi32(_mm512_loadu_si512(rows.as_ptr().cast()), found);
            _mm512_storeu_si512(rows.as_mut_ptr().cast(), sum);
        }
    }
    scalar::look_up(last, table, last_rows);
}

pub(super) fn look_up_u8(codes: &[u8], table: &[u32], rows: &mut [u32]) {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn run(codes: &[u8], table: &[u32], rows: &mut [u32]) {
        look_up(codes, table, rows, |codes| {
            // SAFETY: the chunk is 16 bytes.
            _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(codes.as_ptr().cast()) })
        });
    }
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { run(codes, table, rows) }
}

pub(super) fn look_up_u16(codes: &[u16], table: &[u32], rows: &mut [u32]) {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn run(codes: &[u16], table: &[u32], rows: &mut [u32]) {
        look_up(codes, table, rows, |codes| {
            // SAFETY: the chunk is 32 bytes.
            _mm512_cvtepu16_epi32(unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) })
        });
    }
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { run(codes, table, rows) }
}

pub(super) fn look_up_u32(codes: &[u32], table: &[u32], rows: &mut [u32]) {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn run(codes: &[u32], table: &[u32], rows: &mut [u32]) {
        look_up(codes, table, rows, |codes| {
            // SAFETY: the chunk is 64 bytes.
            unsafe { _mm512_loadu_si512(codes.as_ptr().cast()) }
        });
    }
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { run(codes, table, rows) }
}

pub(super) fn positions(mask: &[u64], out: &mut Vec<u32>) {
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { compress(mask, out) }
}

#[target_feature(enable = "avx512f")]
fn compress(mask: &[u64], out: &mut Vec<u32>) {
    // Each step writes sixteen numbers and keeps as many as bits were set.
    out.reserve(mask.len() * 64 + 16);
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let mut len = out.len();
    for (word, first) in mask.iter().zip((0i32..).step_by(64)).filter(|(w, _)| **w != 0) {
        for part in 0..4 {
            let set = (word >> (part * 16)) as u16;
            let numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32(first + part * 16));
            let packed = _mm512_maskz_compress_epi32(set, numbers);
            // SAFETY: at most 64 numbers a word were kept so far, and sixteen more than 64 a word
            // were reserved.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().add(len).cast(), packed) };
            len += set.count_ones() as usize;
        }
    }
    // SAFETY: the first `len` numbers were written, and they fit what was reserved.
    unsafe { out.set_len(len) };
}

pub(super) fn less(a: &[i64], b: &[i64], words: &mut [u64]) {
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { pairs_less(a, b, words) }
}

#[target_feature(enable = "avx512f")]
fn pairs_less(a: &[i64], b: &[i64], words: &mut [u64]) {
    compare_words!(a, b, words, 8, |a, b| _mm512_cmplt_epi64_mask(eight(a), eight(b)), |a, b| a
        < b);
}

pub(super) fn equal(a: &[i64], b: &[i64], words: &mut [u64]) {
    // SAFETY: this module is entered where its features were detected alone.
    unsafe { pairs_equal(a, b, words) }
}

#[target_feature(enable = "avx512f")]
fn pairs_equal(a: &[i64], b: &[i64], words: &mut [u64]) {
    compare_words!(a, b, words, 8, |a, b| _mm512_cmpeq_epi64_mask(eight(a), eight(b)), |a, b| a
        == b);
}

#[target_feature(enable = "avx512f")]
fn eight(values: &[i64; 8]) -> __m512i {
    // SAFETY: eight numbers are 64 bytes.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}
