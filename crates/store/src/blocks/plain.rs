//! The loops over packed codes without special instructions, and the packing.

use super::cell::Cell;
use super::kernels::GROUP;

/// The code at a place among packed codes; at least 8 bytes follow its first.
#[inline]
pub(super) fn get(bytes: &[u8], width: usize, at: usize) -> u32 {
    let bit = at * width;
    let word = bytes[bit / 8..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
    (word >> (bit % 8)) as u32 & ((1u64 << width) - 1) as u32
}

pub(super) fn unpack<T: Cell>(bytes: &[u8], width: usize, base: u32, out: &mut [T]) {
    for (i, o) in out.iter_mut().enumerate() {
        *o = T::of(get(bytes, width, i).wrapping_add(base));
    }
}

pub(super) fn highest(bytes: &[u8], width: usize, groups: usize) -> u32 {
    (0..groups * GROUP).map(|i| get(bytes, width, i)).max().unwrap_or(0)
}

pub(super) fn spread<T: Cell>(starts: &[[u8; 8]], run: usize, values: &[T], out: &mut [T]) {
    let mut begun = run;
    for (starts, out) in starts.iter().zip(out.chunks_exact_mut(GROUP)) {
        let starts = u64::from_le_bytes(*starts);
        for (row, o) in out.iter_mut().enumerate() {
            begun += (starts >> row & 1) as usize;
            *o = values[begun - 1];
        }
    }
}

/// Appends codes less `base` at `width` bits each, filled up with zeros to whole groups.
pub(super) fn pack(codes: &[u32], base: u32, width: usize, out: &mut Vec<u8>) {
    let end = out.len() + codes.len().div_ceil(GROUP) * 8 * width;
    let (mut word, mut filled) = (0u64, 0);
    for code in codes {
        let code = u64::from(code - base);
        word |= code << filled;
        filled += width;
        if filled >= 64 {
            out.extend(word.to_le_bytes());
            filled -= 64;
            word = if filled == 0 { 0 } else { code >> (width - filled) };
        }
    }
    if filled > 0 {
        out.extend(word.to_le_bytes());
    }
    out.resize(end, 0);
}
