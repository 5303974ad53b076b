//! Answers scans over the coded columns: filters become bits over codes or one-side rows, keys
//! become group numbers, values are decoded only where an aggregate needs them.
//!
//! The rows are cut into chunks by their number alone, each chunk aggregates for itself, and the
//! chunks are put together in order: the answer does not depend on the number of threads.

mod accumulate;
mod aggregate_plan;
mod beside;
mod comparison;
mod determined;
mod distinct_pairs;
mod few_groups;
mod filter;
mod groups;
mod integers;
mod kernel;
mod keys;
mod multiples;
mod part;
mod passing;
mod path;
mod reals;
mod row_value;
mod rows;
mod segment_test;
mod sum;
mod tuple_test;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evercube_base::{Error, ErrorKind, Result};
use evercube_work::{check, for_all, share};

use crate::scan_request::{ScanRequest, ScanResult};
use crate::version::StoreVersion;
use accumulate::ValueSpace;
use aggregate_plan::Plan;
pub(crate) use beside::Attributes;
pub(crate) use comparison::rows_where;
use determined::Reduced;
use filter::{RowFilter, Selector};
use groups::{Groups, KeySpace};
use keys::{Keys, Most};
use part::{Block, blocks};
pub(crate) use passing::passing;
use rows::BLOCK;

/// Limits of one scan.
#[derive(Debug, Clone)]
pub struct ScanControl {
    pub max_groups: usize,
    /// Counts the rows that pass the filters of the scans made with this.
    pub rows_passed: Arc<AtomicU64>,
    /// Rows that one thread takes at a time; fewer than [`SCAN_PART`] where tests want many parts.
    pub part: usize,
}

impl Default for ScanControl {
    fn default() -> Self {
        Self { max_groups: 50_000_000, rows_passed: Arc::default(), part: SCAN_PART }
    }
}

/// A scan whose parts add up in any order is cut into parts of so many rows.
pub const SCAN_PART: usize = 1 << 17;
/// A scan whose parts must be put together in order is cut into at most this many.
const ORDERED_PARTS: usize = 32;
/// Up to this many groups are numbered by an array.
const MOST_DENSE: u64 = 1 << 22;
/// Up to this many are found in an array that gives those that are met their numbers.
const MOST_SPARSE: u64 = 1 << 25;

pub(crate) fn run(
    version: &StoreVersion,
    request: &ScanRequest,
    control: &ScanControl,
) -> Result<ScanResult> {
    if let Some(found) = values_of_column(version, request) {
        return Ok(found);
    }
    if let Some(reduced) = Reduced::new(version, request)? {
        let found = run(version, &reduced.request, control)?;
        return reduced.complete(version, request, found);
    }
    let scan = Scan::new(version, request, control)?;
    let groups =
        if scan.plans.iter().all(Plan::is_exact) { scan.in_any_order()? } else { scan.in_order()? };
    let found = groups.finish(&scan.plans)?;
    if found.groups > control.max_groups {
        return Err(too_many(control.max_groups));
    }
    Ok(found)
}

/// A scan with all it needs.
struct Scan<'a> {
    control: &'a ScanControl,
    rows: usize,
    /// Rows of a part.
    part: usize,
    /// Ends of the table's segments.
    ends: Vec<usize>,
    filter: RowFilter<'a>,
    keys: Keys<'a>,
    plans: Vec<Plan<'a>>,
}

impl<'a> Scan<'a> {
    fn new(
        version: &'a StoreVersion,
        request: &ScanRequest,
        control: &'a ScanControl,
    ) -> Result<Self> {
        let table = version.table(request.table);
        let rows = table.rows();
        let scan = version.attributes.begin();
        let filter = RowFilter::new(version, scan, request)?;
        let plan = |a| Plan::new(version, scan, a, rows);
        let plans: Vec<Plan<'a>> = request.aggregates.iter().map(plan).collect::<Result<_>>()?;
        let is_exact = plans.iter().all(Plan::is_exact);
        let part = match is_exact {
            false if control.part >= SCAN_PART => {
                rows.div_ceil(ORDERED_PARTS).next_multiple_of(BLOCK).max(SCAN_PART / 2)
            }
            _ => control.part.max(1),
        };
        // An array much longer than a part has rows costs more than it saves.
        let most = match is_exact {
            true if plans.iter().any(Plan::is_large) => rows as u64 / 16,
            true => rows as u64 / 2,
            false => part as u64 * 2,
        };
        // Groups of few rows are found by hashing before much of an array is touched.
        let at_once = if is_exact { rows } else { part };
        let expected = (at_once as f64 * filter.share()) as u64;
        let sparse = if is_exact { (expected * 2).min(MOST_SPARSE) } else { 0 };
        let most = Most { dense: most.min(MOST_DENSE), sparse, expected };
        let keys = Keys::new(version, scan, request, &most)?;
        Ok(Self { control, rows, part, ends: table.piece_ends(), filter, keys, plans })
    }

    /// Whether the rows that pass are counted and nothing else.
    fn only_counts(&self) -> bool {
        self.keys.len() == 0 && self.plans.iter().all(|p| matches!(p, Plan::CountRows))
    }

    fn parts(&self) -> usize {
        self.rows.div_ceil(self.part)
    }

    /// Each thread takes parts, and adds them to groups of its own, until there are none.
    fn in_any_order(&self) -> Result<Groups<'_>> {
        let begin = || Worker::new(self);
        let found = share(self.parts(), begin, |worker, part| worker.part(part))?;
        self.together(found.into_iter().map(|worker| worker.groups).collect())
    }

    /// Parts have groups of their own and are put together in the order of the rows.
    fn in_order(&self) -> Result<Groups<'_>> {
        let mut all = Groups::new(&self.keys, &self.plans);
        // Some parts at a time: many groups of many parts would take much memory.
        let some = rayon::current_num_threads() * 2;
        for first in (0..self.parts()).step_by(some) {
            let work = |at: usize| {
                let mut worker = Worker::new(self);
                worker.part(first + at).map(|()| worker.groups)
            };
            let mut found = vec![all];
            found.extend(for_all(some.min(self.parts() - first), work)?);
            all = self.together(found)?;
        }
        Ok(all)
    }

    fn together<'s>(&'s self, found: Vec<Groups<'s>>) -> Result<Groups<'s>> {
        let mut found = found.into_iter();
        let mut all = found.next().unwrap_or_else(|| Groups::new(&self.keys, &self.plans));
        for groups in found {
            all.merge(groups)?;
            if all.exceeds(self.control.max_groups) {
                return Err(too_many(self.control.max_groups));
            }
        }
        Ok(all)
    }
}

/// One thread's way through parts of a scan.
struct Worker<'s> {
    scan: &'s Scan<'s>,
    groups: Groups<'s>,
    selector: Selector<'s>,
    /// The segment the selector is in.
    segment: std::ops::Range<usize>,
    keys: KeySpace,
    values: ValueSpace,
    /// Rows of the current part that passed the filter.
    passed: u64,
}

impl<'s> Worker<'s> {
    fn new(scan: &'s Scan<'s>) -> Self {
        Self {
            scan,
            groups: Groups::new(&scan.keys, &scan.plans),
            selector: scan.filter.selector(),
            segment: 0..0,
            keys: KeySpace::default(),
            values: ValueSpace::default(),
            passed: 0,
        }
    }

    fn part(&mut self, part: usize) -> Result<()> {
        let scan = self.scan;
        let first = part * scan.part;
        for Block { first, n, segment } in
            blocks(first..(first + scan.part).min(scan.rows), &scan.ends)
        {
            if segment != self.segment {
                self.segment = segment;
                self.selector.enter(first);
                self.keys.enter(&scan.keys, first);
            }
            if self.selector.passes() {
                self.block(first, n)?;
            }
        }
        let passed = std::mem::take(&mut self.passed);
        self.scan.control.rows_passed.fetch_add(passed, Ordering::Relaxed);
        Ok(())
    }

    fn block(&mut self, first: usize, n: usize) -> Result<()> {
        let Self { scan, groups, selector, keys, values, passed, .. } = self;
        check()?;
        if scan.only_counts() {
            let counted = selector.count(first, n);
            *passed += counted;
            groups.count(counted);
            return Ok(());
        }
        let rows = selector.select(first, n);
        if rows.len() == 0 {
            return Ok(());
        }
        *passed += rows.len() as u64;
        groups.number(rows, keys);
        if groups.exceeds(scan.control.max_groups) {
            return Err(too_many(scan.control.max_groups));
        }
        let numbers = (scan.keys.len() > 0).then_some(keys.numbers.as_slice());
        for (accumulator, plan) in groups.accumulators.iter_mut().zip(&scan.plans) {
            accumulator.add(plan, rows, numbers, values)?;
        }
        Ok(())
    }
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
