//! The rows of a table that pass filters, as a set.

use std::borrow::Cow;
use std::sync::Arc;

use evercube_base::Result;
use evercube_work::{check, for_all};

use super::SCAN_PART;
use super::filter::RowFilter;
use super::part::{Block, blocks};
use super::path::index;
use crate::scan_request::{BitSet, PathColumn, RelationshipId, ScanFilter, ScanRequest, TableId};
use crate::version::StoreVersion;

/// The rows that pass all filters, and one bit more that is not set: that of the blank row.
pub(crate) fn passing(
    version: &StoreVersion,
    table: TableId,
    filters: Vec<ScanFilter>,
) -> Result<BitSet> {
    let data = version.table(table);
    let (rows, ends) = (data.rows(), data.piece_ends());
    let request = ScanRequest { table, filters, keys: Vec::new(), aggregates: Vec::new() };
    let filter = RowFilter::new(version, version.attributes.begin(), &request)?;
    let part = |at: usize| {
        let first = at * SCAN_PART;
        let mut words = vec![0_u64; SCAN_PART.min(rows - first).div_ceil(64)];
        of_part(&filter, first..(first + SCAN_PART).min(rows), &ends, &mut words)?;
        Ok(words)
    };
    let parts = for_all(rows.div_ceil(SCAN_PART), part)?;
    Ok(BitSet::from_words(parts.concat(), rows + 1))
}

/// A filter by tuples of columns that are all reached over the same relationships, as one by the rows
/// of the table these lead to, which are fewer; any other filter as it is.
pub(super) fn of_one_table<'f>(
    version: &StoreVersion,
    table: TableId,
    filter: &'f ScanFilter,
) -> Result<Cow<'f, ScanFilter>> {
    let ScanFilter::Tuples { columns, tuples } = filter else { return Ok(Cow::Borrowed(filter)) };
    let Some((first, rest)) = columns.split_first() else { return Ok(Cow::Borrowed(filter)) };
    let same =
        |path: &[RelationshipId]| first.path.iter().zip(path).take_while(|(a, b)| a == b).count();
    let steps = rest.iter().map(|c| same(&c.path)).min().unwrap_or(first.path.len());
    let Some(last) = steps.checked_sub(1) else { return Ok(Cow::Borrowed(filter)) };
    let there = index(version, first.path[last])?.def.to.table;
    if version.table(there).rows() >= version.table(table).rows() {
        return Ok(Cow::Borrowed(filter));
    }
    let from_there =
        |c: &PathColumn| PathColumn { path: c.path[steps..].to_vec(), column: c.column };
    let columns = columns.iter().map(from_there).collect();
    let on_rows = ScanFilter::Tuples { columns, tuples: Arc::clone(tuples) };
    let mut rows = passing(version, there, vec![on_rows])?;
    // The blank row has no values; where rows of the base table lead nowhere they lead there.
    if tuples.iter().any(|tuple| tuple.iter().all(|code| *code == 0)) {
        rows.insert(rows.len() - 1);
    }
    let path = first.path[..steps].to_vec();
    Ok(Cow::Owned(ScanFilter::Rows { path, rows: Arc::new(rows) }))
}

fn of_part(
    filter: &RowFilter<'_>,
    part: std::ops::Range<usize>,
    ends: &[usize],
    words: &mut [u64],
) -> Result<()> {
    let mut selector = filter.selector();
    let mut entered = 0..0;
    for Block { first, n, segment } in blocks(part.clone(), ends) {
        check()?;
        if segment != entered {
            entered = segment;
            selector.enter(first);
        }
        if selector.passes() {
            selector.write_bits(first, n, words, first - part.start);
        }
    }
    Ok(())
}
