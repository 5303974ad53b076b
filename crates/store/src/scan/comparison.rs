//! Rows by a comparison of two expressions over their columns.

use std::cmp::Ordering;

use evercube_base::Result;
use evercube_work::{check, for_all};

use super::SCAN_PART;
use super::integers::{Node, comparable};
use super::rows::{BLOCK, Rows};
use crate::scan_request::{BitSet, RowComparison, TableId};
use crate::version::StoreVersion;

/// The rows of a table for which the comparison holds, and one bit more that is not set: that of
/// its blank row. `None` where the expressions are not whole numbers, fixed decimals, dates or
/// texts that are only asked whether they are equal.
pub(crate) fn rows_where(
    version: &StoreVersion,
    table: TableId,
    comparison: &RowComparison,
) -> Result<Option<BitSet>> {
    let scan = version.attributes.begin();
    let RowComparison { left, holds, right } = comparison;
    let only_equality = holds.contains(&Ordering::Less) == holds.contains(&Ordering::Greater);
    let Some((left, right)) = comparable(version, scan, (left, right), only_equality)? else {
        return Ok(None);
    };
    let data = version.table(table);
    let (rows, ends) = (data.rows(), data.piece_ends());
    let part = |at: usize| {
        let first = at * SCAN_PART;
        let mut words = vec![0_u64; SCAN_PART.min(rows - first).div_ceil(64)];
        of_part(first..(first + SCAN_PART).min(rows), &ends, (&left, &right), holds, &mut words)?;
        Ok(words)
    };
    let parts = for_all(rows.div_ceil(SCAN_PART), part)?;
    Ok(Some(BitSet::from_words(parts.concat(), rows + 1)))
}

fn of_part(
    part: std::ops::Range<usize>,
    ends: &[usize],
    (left, right): (&Node<'_>, &Node<'_>),
    holds: &[Ordering],
    words: &mut [u64],
) -> Result<()> {
    let [less, equal, greater] =
        [Ordering::Less, Ordering::Equal, Ordering::Greater].map(|o| holds.contains(&o));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let mut row = part.start;
    while row < part.end {
        check()?;
        let segment_end = ends[ends.partition_point(|end| *end <= row)];
        let n = BLOCK.min(segment_end.min(part.end) - row);
        let rows = Rows { first: row, n, picked: None };
        left.evaluate(rows, &mut a);
        right.evaluate(rows, &mut b);
        for (bit, (a, b)) in (row - part.start..).zip(a.iter().zip(&b)) {
            let is_in = (less & (a < b)) | (equal & (a == b)) | (greater & (a > b));
            words[bit / 64] |= u64::from(is_in) << (bit % 64);
        }
        row += n;
    }
    Ok(())
}
