//! Answers scans over the coded columns: filters become bits over codes or one-side rows, keys
//! become group numbers, values are decoded only where an aggregate needs them.
//!
//! The rows are cut into chunks by their number alone, each chunk aggregates for itself, and the
//! chunks are put together in order: the answer does not depend on the number of threads.

mod accumulate;
mod code_set;
mod filter;
mod groups;
mod integers;
mod path;
mod row_value;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evercube_base::{Error, ErrorKind, Result};
use rayon::prelude::*;

use crate::scan_request::{ScanRequest, ScanResult};
use crate::version::StoreVersion;
use accumulate::Plan;
use filter::RowFilter;
use groups::{Groups, KeySpace};
use path::CodeReader;

/// Limits of one scan.
#[derive(Debug, Clone)]
pub struct ScanControl {
    /// Set from outside to stop; looked at once per morsel.
    pub cancel: Arc<AtomicBool>,
    pub max_groups: usize,
}

impl Default for ScanControl {
    fn default() -> Self {
        Self { cancel: Arc::default(), max_groups: 50_000_000 }
    }
}

/// Rows decoded at a time.
const MORSEL: usize = 8192;
/// A scan is cut into at most this many chunks.
const CHUNKS: usize = 32;

pub(crate) fn run(
    version: &StoreVersion,
    request: &ScanRequest,
    control: &ScanControl,
) -> Result<ScanResult> {
    if let Some(found) = values_of_column(version, request) {
        return Ok(found);
    }
    let rows = version.table(request.table).rows();
    let filter = RowFilter::new(version, request)?;
    let keys: Vec<CodeReader<'_>> =
        request.keys.iter().map(|k| CodeReader::new(version, k)).collect::<Result<_>>()?;
    let plans: Vec<Plan<'_>> =
        request.aggregates.iter().map(|a| Plan::new(version, a)).collect::<Result<_>>()?;
    let chunk = rows.div_ceil(CHUNKS).next_multiple_of(MORSEL).max(MORSEL * 8);
    let starts: Vec<usize> = (0..rows).step_by(chunk).collect();
    let space = KeySpace::new(&keys, chunk);
    let mut all = Groups::new(&space, &plans);
    all.settle(&plans);
    // Some chunks at a time: many groups of many chunks would take much memory.
    for some in starts.chunks(rayon::current_num_threads() * 2) {
        let parts: Vec<Groups<'_>> = some
            .par_iter()
            .map(|start| {
                let end = (start + chunk).min(rows);
                scan_chunk((*start, end), &filter, (&keys, &space), &plans, control)
            })
            .collect::<Result<_>>()?;
        for part in parts {
            all.merge(part)?;
            if all.len() > control.max_groups {
                return Err(too_many(control.max_groups));
            }
        }
    }
    all.finish()
}

/// All values of one column of the table itself, which the column knows.
fn values_of_column(version: &StoreVersion, request: &ScanRequest) -> Option<ScanResult> {
    let [key] = request.keys.as_slice() else { return None };
    if !key.path.is_empty() || !request.filters.is_empty() || !request.aggregates.is_empty() {
        return None;
    }
    let column = version.table(key.column.table).column(key.column.column);
    let codes: Vec<u32> = column.present().iter().map(|c| c as u32).collect();
    Some(ScanResult { groups: codes.len(), keys: vec![codes], aggregates: Vec::new() })
}

fn too_many(limit: usize) -> Error {
    Error::new(
        ErrorKind::Limit,
        format!("the query forms more than {limit} groups; narrow it with a filter"),
    )
}

fn scan_chunk<'s>(
    (start, end): (usize, usize),
    filter: &RowFilter<'_>,
    (keys, space): (&[CodeReader<'_>], &'s KeySpace),
    plans: &[Plan<'_>],
    control: &ScanControl,
) -> Result<Groups<'s>> {
    let mut groups = Groups::new(space, plans);
    let mut selected = Vec::with_capacity(MORSEL);
    let mut scratch = vec![0; MORSEL];
    let mut key_codes = vec![Vec::with_capacity(MORSEL); keys.len()];
    let mut numbers = Vec::with_capacity(MORSEL);
    for first in (start..end).step_by(MORSEL) {
        if control.cancel.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "the query was cancelled"));
        }
        let scratch = &mut scratch[..MORSEL.min(end - first)];
        filter.select(first, scratch, &mut selected);
        if selected.is_empty() {
            continue;
        }
        for (reader, codes) in keys.iter().zip(&mut key_codes) {
            reader.read_selected(first, &selected, scratch, codes);
        }
        groups.number_all(&key_codes, selected.len(), &mut numbers);
        if groups.len() > control.max_groups {
            return Err(too_many(control.max_groups));
        }
        groups.grow();
        for (accumulator, plan) in groups.accumulators.iter_mut().zip(plans) {
            accumulator.add(plan, first, &selected, &numbers, scratch)?;
        }
    }
    groups.settle(plans);
    Ok(groups)
}
