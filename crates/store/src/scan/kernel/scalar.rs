//! The loops as plain code: what the others must agree with, and what they use for ends of blocks.

/// A code of any width.
pub(super) trait Code: Copy + PartialOrd + Into<u32> {}
impl Code for u8 {}
impl Code for u16 {}
impl Code for u32 {}

/// Few rows of a word are tested one by one.
pub(super) const FEW: u32 = 6;

#[inline]
pub(super) fn has(set: &[u64], code: u32) -> bool {
    set.get(code as usize / 64).is_some_and(|w| w >> (code % 64) & 1 == 1)
}

/// Whether so many words have no row left that looking costs less than testing them all.
#[inline]
pub(super) fn is_sparse(mask: &[u64]) -> bool {
    mask.iter().filter(|w| **w != 0).count() * 4 < mask.len()
}

/// One word's rows, at most 64.
#[inline]
pub(super) fn refine_word<T: Copy>(codes: &[T], word: &mut u64, pass: impl Fn(T) -> bool) {
    let mut passed = 0;
    for (i, code) in codes.iter().enumerate().take(64) {
        passed |= u64::from(pass(*code)) << i;
    }
    *word &= passed;
}

/// As [`refine_word`], looking at rows whose bit is set alone.
#[inline]
pub(super) fn refine_few<T: Copy>(codes: &[T], word: &mut u64, pass: impl Fn(T) -> bool) {
    let mut rest = *word;
    while rest != 0 {
        let at = rest.trailing_zeros() as usize;
        let lowest = rest & rest.wrapping_neg();
        rest ^= lowest;
        if !codes.get(at).is_some_and(|c| pass(*c)) {
            *word ^= lowest;
        }
    }
}

pub(super) fn in_range<T: Code>(codes: &[T], (low, high): (T, T), mask: &mut [u64]) {
    for (codes, word) in codes.chunks(64).zip(mask).filter(|(_, w)| **w != 0) {
        refine_word(codes, word, |c| low <= c && c <= high);
    }
}

pub(super) fn in_set<T: Code>(codes: &[T], set: &[u64], mask: &mut [u64]) {
    for (codes, word) in codes.chunks(64).zip(mask).filter(|(_, w)| **w != 0) {
        if word.count_ones() <= FEW {
            refine_few(codes, word, |c| has(set, c.into()));
        } else {
            refine_word(codes, word, |c| has(set, c.into()));
        }
    }
}

#[inline]
pub(super) fn entry(table: &[u32], code: u32) -> u32 {
    table.get(code as usize).copied().unwrap_or(0)
}

pub(super) fn look_up<T: Code>(codes: &[T], table: &[u32], rows: &mut [u32]) {
    for (row, code) in rows.iter_mut().zip(codes) {
        *row = row.wrapping_add(entry(table, (*code).into()));
    }
}

pub(super) fn look_up_u8(codes: &[u8], table: &[u32], rows: &mut [u32]) {
    // Any code of one byte has its place in a table of 256.
    let Some(table) = table.first_chunk::<256>() else { return look_up(codes, table, rows) };
    for (row, code) in rows.iter_mut().zip(codes) {
        *row = row.wrapping_add(table[usize::from(*code)]);
    }
}

pub(super) fn positions(mask: &[u64], out: &mut Vec<u32>) {
    for (word, first) in mask.iter().zip((0u32..).step_by(64)) {
        let mut rest = *word;
        while rest != 0 {
            out.push(first + rest.trailing_zeros());
            rest &= rest - 1;
        }
    }
}

/// Bits of the pairs for which `holds`, at most 64 a word.
pub(super) fn compare(a: &[i64], b: &[i64], words: &mut [u64], holds: impl Fn(i64, i64) -> bool) {
    for (word, (a, b)) in words.iter_mut().zip(a.chunks(64).zip(b.chunks(64))) {
        let pairs = a.iter().zip(b).enumerate();
        *word = pairs.fold(0, |word, (i, (a, b))| word | u64::from(holds(*a, *b)) << i);
    }
}
