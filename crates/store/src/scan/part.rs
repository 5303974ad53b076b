//! A part of a table's rows, block by block.

use std::ops::Range;

use super::rows::BLOCK;

/// Rows looked at together, all of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) first: usize,
    pub(super) n: usize,
    /// Rows of the segment.
    pub(super) segment: Range<usize>,
}

/// The blocks of some rows; `ends` are those of the table's segments.
pub(super) fn blocks(rows: Range<usize>, ends: &[usize]) -> impl Iterator<Item = Block> + '_ {
    let mut segment = 0..0;
    let mut row = rows.start;
    std::iter::from_fn(move || {
        if row >= rows.end {
            return None;
        }
        if !segment.contains(&row) {
            let at = ends.partition_point(|end| *end <= row);
            segment = at.checked_sub(1).map_or(0, |before| ends[before])..ends[at];
        }
        // Segments pack their rows in blocks of this size from their first row on.
        let within = (row - segment.start) % BLOCK;
        let n = (BLOCK - within).min(segment.end.min(rows.end) - row);
        row += n;
        Some(Block { first: row - n, n, segment: segment.clone() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_begin_anew_with_each_segment() {
        let ends = [10, 10 + BLOCK + 5, 10 + BLOCK + 6];
        let found: Vec<_> = blocks(4..10 + BLOCK + 6, &ends).map(|b| (b.first, b.n)).collect();
        assert_eq!(found, [(4, 6), (10, BLOCK), (10 + BLOCK, 5), (15 + BLOCK, 1)]);
        let inner: Vec<_> = blocks(12..13 + BLOCK, &ends).collect();
        let segment = 10..15 + BLOCK;
        let block = |first, n| Block { first, n, segment: segment.clone() };
        assert_eq!(inner, [block(12, BLOCK - 2), block(10 + BLOCK, 3)]);
        assert_eq!(blocks(3..3, &ends).next(), None);
    }
}
