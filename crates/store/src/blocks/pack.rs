//! Codes into a block.

use super::kernels::GROUP;
use super::{Head, MARKS, MAX_RUNS, Packing, plain};

/// Bits of a value that is at most `range`.
pub(super) fn width_of(range: u32) -> u8 {
    match 32 - range.leading_zeros() {
        31 => 32,
        w => w as u8,
    }
}

/// Appends a block to `data`; `runs` is room for its runs.
pub(super) fn pack_block(
    codes: &[u32],
    packing: Packing,
    data: &mut Vec<u8>,
    runs: &mut Vec<u32>,
) -> Head {
    let (mut min, mut max) = (u32::MAX, 0);
    let mut count = 1;
    let mut before = codes.first().copied().unwrap_or(0);
    for code in codes {
        (min, max) = (min.min(*code), max.max(*code));
        count += usize::from(*code != before);
        before = *code;
    }
    let width = match packing {
        Packing::Bytes => width_of(max - min).next_multiple_of(8),
        _ => width_of(max - min),
    };
    let groups = |n: usize| n.div_ceil(GROUP) * 8 * usize::from(width);
    let as_runs = match packing {
        Packing::Shortest => (MARKS + groups(count)) * 4 < groups(codes.len()) * 3,
        Packing::Runs => true,
        Packing::Fixed | Packing::Bytes => false,
    };
    let as_runs = as_runs && count <= MAX_RUNS && width > 0;
    let mut head = Head { offset: data.len() as u32, min, max, runs: 0, width };
    if as_runs {
        head.runs = count as u16;
        let mut marks = [0u8; MARKS];
        runs.clear();
        for (row, code) in codes.iter().enumerate() {
            if runs.last() != Some(code) {
                marks[row / 8] |= 1 << (row % 8);
                runs.push(*code);
            }
        }
        data.extend(marks);
        plain::pack(runs, min, width.into(), data);
    } else {
        plain::pack(codes, min, width.into(), data);
    }
    head
}
