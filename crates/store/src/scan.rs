//! Answers scans over the coded columns: filters become bits over codes or one-side rows, keys
//! become group numbers, values are decoded only where an aggregate needs them.
//!
//! The rows are cut into chunks by their number alone, each chunk aggregates for itself, and the
//! chunks are put together in order: the answer does not depend on the number of threads.

mod accumulate;
mod filter;
mod path;
mod row_value;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evercube_base::{Error, ErrorKind, Result};
use rayon::prelude::*;

use crate::scan_request::{ScanRequest, ScanResult};
use crate::version::StoreVersion;
use accumulate::{Accumulator, Plan};
use filter::RowFilter;
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
    let rows = version.table(request.table).rows();
    let filter = RowFilter::new(version, request)?;
    let keys: Vec<CodeReader<'_>> =
        request.keys.iter().map(|k| CodeReader::new(version, k)).collect::<Result<_>>()?;
    let plans: Vec<Plan<'_>> =
        request.aggregates.iter().map(|a| Plan::new(version, a)).collect::<Result<_>>()?;
    let chunk = rows.div_ceil(CHUNKS).next_multiple_of(MORSEL).max(MORSEL * 8);
    let starts: Vec<usize> = (0..rows).step_by(chunk).collect();
    let parts: Vec<Groups> = starts
        .par_iter()
        .map(|start| {
            let end = (start + chunk).min(rows);
            scan_chunk(*start, end, &filter, &keys, &plans, control)
        })
        .collect::<Result<_>>()?;
    let mut all = Groups::new(&plans);
    for part in parts {
        all.merge(part)?;
        if all.keys.len() > control.max_groups {
            return Err(too_many(control.max_groups));
        }
    }
    if keys.is_empty() {
        all.number(&[]);
        all.grow();
    }
    all.finish(keys.len())
}

fn too_many(limit: usize) -> Error {
    Error::new(
        ErrorKind::Limit,
        format!("the query forms more than {limit} groups; narrow it with a filter"),
    )
}

fn scan_chunk(
    start: usize,
    end: usize,
    filter: &RowFilter<'_>,
    keys: &[CodeReader<'_>],
    plans: &[Plan<'_>],
    control: &ScanControl,
) -> Result<Groups> {
    let mut groups = Groups::new(plans);
    let mut selected = Vec::with_capacity(MORSEL);
    let mut key_codes = vec![vec![0u32; MORSEL]; keys.len()];
    let mut numbers = Vec::with_capacity(MORSEL);
    let mut key = vec![0u32; keys.len()];
    for first in (start..end).step_by(MORSEL) {
        if control.cancel.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "the query was cancelled"));
        }
        let n = MORSEL.min(end - first);
        filter.select(first, n, &mut selected);
        if selected.is_empty() {
            continue;
        }
        for (reader, codes) in keys.iter().zip(&mut key_codes) {
            reader.read(first, &mut codes[..n]);
        }
        numbers.clear();
        for offset in &selected {
            for (k, codes) in key.iter_mut().zip(&key_codes) {
                *k = codes[*offset as usize];
            }
            numbers.push(groups.number(&key));
        }
        if groups.keys.len() > control.max_groups {
            return Err(too_many(control.max_groups));
        }
        groups.grow();
        for (accumulator, plan) in groups.accumulators.iter_mut().zip(plans) {
            accumulator.add(plan, first, n, &selected, &numbers)?;
        }
    }
    Ok(groups)
}

/// Groups met so far, in the order they were met, and what is known of each.
struct Groups {
    numbers: HashMap<Box<[u32]>, u32, foldhash::fast::FixedState>,
    keys: Vec<Box<[u32]>>,
    accumulators: Vec<Accumulator>,
}

impl Groups {
    fn new(plans: &[Plan<'_>]) -> Self {
        Self {
            numbers: HashMap::default(),
            keys: Vec::new(),
            accumulators: plans.iter().map(Plan::accumulator).collect(),
        }
    }

    fn number(&mut self, key: &[u32]) -> u32 {
        if let Some(n) = self.numbers.get(key) {
            return *n;
        }
        let n = self.keys.len() as u32;
        self.numbers.insert(key.into(), n);
        self.keys.push(key.into());
        n
    }

    fn grow(&mut self) {
        let n = self.keys.len();
        for a in &mut self.accumulators {
            a.grow(n);
        }
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        let numbers: Vec<u32> = other.keys.iter().map(|k| self.number(k)).collect();
        self.grow();
        for (mine, theirs) in self.accumulators.iter_mut().zip(other.accumulators) {
            mine.merge(theirs, &numbers)?;
        }
        Ok(())
    }

    fn finish(self, key_count: usize) -> Result<ScanResult> {
        let keys = (0..key_count).map(|i| self.keys.iter().map(|k| k[i]).collect()).collect();
        let aggregates =
            self.accumulators.into_iter().map(Accumulator::finish).collect::<Result<_>>()?;
        Ok(ScanResult { keys, aggregates, groups: self.keys.len() })
    }
}
