//! The innermost loops of scans: codes of neighbouring rows against a condition, one bit a row.
//!
//! Each loop exists as plain code and, where the processor has them, with AVX2 or AVX-512; which
//! one runs is chosen once. All of them refine a mask: bit `i` of word `i / 64` stays set where
//! row `i` passes; where few words have a bit left, the others are not looked at.

/// Whole words by `word_mask`, the last rows as plain code.
#[cfg(target_arch = "x86_64")]
macro_rules! refine_words {
    ($codes:expr, $mask:expr, |$block:ident| $word_mask:expr, $pass:expr) => {{
        let (blocks, rest) = $codes.as_chunks::<64>();
        if $crate::scan::kernel::scalar::is_sparse($mask) {
            for ($block, word) in blocks.iter().zip($mask.iter_mut()).filter(|(_, w)| **w != 0) {
                *word &= $word_mask;
            }
        } else {
            for ($block, word) in blocks.iter().zip($mask.iter_mut()) {
                *word &= $word_mask;
            }
        }
        if let (false, Some(word)) = (rest.is_empty(), $mask.get_mut(blocks.len())) {
            $crate::scan::kernel::scalar::refine_word(rest, word, $pass);
        }
    }};
}

/// Words of bits of pairs, so many pairs at once by `compare`, the last ones as plain code.
#[cfg(target_arch = "x86_64")]
macro_rules! compare_words {
    ($a:expr, $b:expr, $words:expr, $lanes:literal, |$x:ident, $y:ident| $compare:expr, $holds:expr) => {{
        let (a, left) = $a.as_chunks::<64>();
        let (b, right) = $b.as_chunks::<64>();
        for (word, (a, b)) in $words.iter_mut().zip(a.iter().zip(b)) {
            let pairs = a.as_chunks::<$lanes>().0.iter().zip(b.as_chunks::<$lanes>().0);
            *word = 0;
            for (i, ($x, $y)) in pairs.enumerate() {
                *word |= u64::from($compare) << (i * $lanes);
            }
        }
        $crate::scan::kernel::scalar::compare(left, right, &mut $words[a.len()..], $holds);
    }};
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use std::sync::OnceLock;

use crate::segment::CodeBlock;

/// What the processor can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// All that this processor has, the best last.
    pub(super) fn available() -> Vec<Self> {
        let mut levels = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                levels.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vbmi")
            {
                levels.push(Self::Avx512);
            }
        }
        levels
    }

    pub(super) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Scalar))
    }
}

/// Keeps the rows whose code lies in `low..=high`.
pub(super) fn in_range(
    level: Level,
    codes: CodeBlock<'_>,
    (low, high): (u32, u32),
    mask: &mut [u64],
) {
    // Codes of a width cannot lie above its largest.
    let clamp = |most: u32| (low.min(most), high.min(most));
    match codes {
        CodeBlock::Constant(code) if (low..=high).contains(&code) => {}
        CodeBlock::Constant(_) => mask.fill(0),
        CodeBlock::U8(_) if low > 0xff => mask.fill(0),
        CodeBlock::U16(_) if low > 0xffff => mask.fill(0),
        CodeBlock::U8(codes) => {
            let (low, high) = clamp(0xff);
            let range = (low as u8, high as u8);
            match level {
                Level::Scalar => scalar::in_range(codes, range, mask),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2::in_range_u8(codes, range, mask),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => avx512::in_range_u8(codes, range, mask),
            }
        }
        CodeBlock::U16(codes) => {
            let (low, high) = clamp(0xffff);
            let range = (low as u16, high as u16);
            match level {
                Level::Scalar => scalar::in_range(codes, range, mask),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2::in_range_u16(codes, range, mask),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => avx512::in_range_u16(codes, range, mask),
            }
        }
        CodeBlock::U32(codes) => match level {
            Level::Scalar => scalar::in_range(codes, (low, high), mask),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::in_range_u32(codes, (low, high), mask),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::in_range_u32(codes, (low, high), mask),
        },
    }
}

/// Keeps the rows whose code's bit is set in `set`; codes past its end do not pass.
pub(super) fn in_set(level: Level, codes: CodeBlock<'_>, set: &[u64], mask: &mut [u64]) {
    match codes {
        CodeBlock::Constant(code) if scalar::has(set, code) => {}
        CodeBlock::Constant(_) => mask.fill(0),
        CodeBlock::U8(codes) => {
            let set = std::array::from_fn(|i| set.get(i).copied().unwrap_or(0));
            match level {
                Level::Scalar => scalar::in_set(codes, &set, mask),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2::in_set_u8(codes, &set, mask),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => avx512::in_set_u8(codes, &set, mask),
            }
        }
        CodeBlock::U16(codes) => match level {
            Level::Scalar => scalar::in_set(codes, set, mask),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::in_set_u16(codes, set, mask),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::in_set_u16(codes, set, mask),
        },
        CodeBlock::U32(codes) => match level {
            Level::Scalar => scalar::in_set(codes, set, mask),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::in_set_u32(codes, set, mask),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::in_set_u32(codes, set, mask),
        },
    }
}

/// Adds to each row what `table` has for its code; nothing for codes past its end.
pub(super) fn look_up(level: Level, codes: CodeBlock<'_>, table: &[u32], rows: &mut [u32]) {
    match codes {
        CodeBlock::Constant(code) => {
            let number = scalar::entry(table, code);
            rows.iter_mut().for_each(|row| *row = row.wrapping_add(number));
        }
        CodeBlock::U8(codes) => match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::look_up_u8(codes, table, rows),
            _ => scalar::look_up_u8(codes, table, rows),
        },
        CodeBlock::U16(codes) => match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::look_up_u16(codes, table, rows),
            _ => scalar::look_up(codes, table, rows),
        },
        CodeBlock::U32(codes) => match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::look_up_u32(codes, table, rows),
            _ => scalar::look_up(codes, table, rows),
        },
    }
}

/// One bit for each pair of numbers, set where the first one is less; bits past the last are not.
pub(super) fn less(level: Level, a: &[i64], b: &[i64], words: &mut [u64]) {
    match level {
        Level::Scalar => scalar::compare(a, b, words, |a, b| a < b),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2::less(a, b, words),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512::less(a, b, words),
    }
}

/// As [`less`], set where both are equal.
pub(super) fn equal(level: Level, a: &[i64], b: &[i64], words: &mut [u64]) {
    match level {
        Level::Scalar => scalar::compare(a, b, words, |a, b| a == b),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2::equal(a, b, words),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512::equal(a, b, words),
    }
}

/// The numbers of the set bits, appended to `out`.
pub(super) fn positions(level: Level, mask: &[u64], out: &mut Vec<u32>) {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512::positions(mask, out),
        _ => scalar::positions(mask, out),
    }
}

#[cfg(test)]
mod tests;
