//! The rows of a table that pass filters, as a set.

use evercube_base::Result;
use evercube_work::{check, for_all};

use super::SCAN_PART;
use super::filter::RowFilter;
use super::part::{Block, blocks};
use crate::scan_request::{BitSet, ScanFilter, ScanRequest, TableId};
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
