//! Which rows of the base table pass.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use evercube_base::Result;

use super::kernel::{self, Level};
use super::passing::of_one_table;
use super::path::{close, index, rows_behind};
use super::rows::{BLOCK, Rows, Source};
use super::segment_test::SegmentTest;
use super::tuple_test::TupleTest;
use crate::scan_request::{BitSet, ScanFilter, ScanRequest};
use crate::version::StoreVersion;

pub(super) struct RowFilter<'a> {
    rows: Vec<Arc<BitSet>>,
    pub(super) codes: Vec<CodeTest<'a>>,
    tuples: Vec<TupleTest<'a>>,
}

/// The code of a source is in a set.
pub(super) struct CodeTest<'a> {
    pub(super) source: Source<'a>,
    pub(super) set: Arc<BitSet>,
    /// The set's first and last code, where it is all from one to the other that rows have.
    pub(super) run: Option<(usize, usize)>,
    /// The share of the codes that rows have which is in the set.
    share: f64,
}

impl<'a> RowFilter<'a> {
    pub(super) fn new(version: &'a StoreVersion, scan: u64, request: &ScanRequest) -> Result<Self> {
        let mut filter = Self { rows: Vec::new(), codes: Vec::new(), tuples: Vec::new() };
        let of_one_table = |f| of_one_table(version, request.table, f);
        let filters: Vec<_> = request.filters.iter().map(of_one_table).collect::<Result<_>>()?;
        // What the request asks of each column of the base table, its own or a relationship's key.
        let mut of_columns: BTreeMap<u32, Vec<&ScanFilter>> = BTreeMap::new();
        for f in filters.iter().map(Cow::as_ref) {
            let path = match f {
                ScanFilter::Codes { column, .. } if column.path.is_empty() => {
                    of_columns.entry(column.column.column).or_default().push(f);
                    continue;
                }
                ScanFilter::Codes { column, .. } => &column.path,
                ScanFilter::Rows { path, rows } if path.is_empty() => {
                    filter.rows.push(Arc::clone(rows));
                    continue;
                }
                ScanFilter::Rows { path, .. } => path,
                ScanFilter::Tuples { columns, tuples } => {
                    filter.tuples.push(TupleTest::new(version, scan, columns, tuples)?);
                    continue;
                }
            };
            let key = index(version, path[0])?.def.from.column;
            of_columns.entry(key).or_default().push(f);
        }
        for (column, filters) in of_columns {
            filter.add_column(version, scan, (request, column), &filters)?;
        }
        Ok(filter)
    }

    /// Adds the tests of one column of the base table: one of its codes, or those of attribute
    /// codes where all of them are there or come to be.
    fn add_column(
        &mut self,
        version: &'a StoreVersion,
        scan: u64,
        (request, column): (&ScanRequest, u32),
        filters: &[&ScanFilter],
    ) -> Result<()> {
        let beside = |f: &&ScanFilter| match f {
            ScanFilter::Codes { column, codes } => {
                let source = Source::Beside(version.attributes.known(scan, column)?);
                Some(CodeTest::new(source, Arc::clone(codes)))
            }
            _ => None,
        };
        if let Some(tests) = filters.iter().map(beside).collect::<Option<Vec<_>>>() {
            self.codes.extend(tests);
            return Ok(());
        }
        let column = version.table(request.table).column(column);
        let set = pass_set(version, column.cardinality() as usize, filters)?;
        let test = CodeTest::new(Source::Column(column), set);
        // One range of keys is as quick as attribute codes are.
        if test.run.is_none() && test.set.first().is_some() {
            let mut tests = Vec::new();
            for f in filters {
                if let ScanFilter::Codes { column, codes } = f
                    && !column.path.is_empty()
                    && let Some(codes_beside) = version.attributes.wanted(version, scan, column)?
                {
                    tests.push(CodeTest::new(Source::Beside(codes_beside), Arc::clone(codes)));
                }
            }
            if tests.len() == filters.len() {
                self.codes.extend(tests);
                return Ok(());
            }
        }
        self.codes.push(test);
        Ok(())
    }

    /// The share of the rows that will pass, as far as that is known before they are looked at.
    pub(super) fn share(&self) -> f64 {
        let of_rows = |rows: &Arc<BitSet>| rows.count() as f64 / rows.len().max(1) as f64;
        let tuples = if self.tuples.is_empty() { 1.0 } else { 0.1 };
        let rows: f64 = self.rows.iter().map(of_rows).product();
        rows * self.codes.iter().map(|test| test.share).product::<f64>() * tuples
    }

    pub(super) fn selector(&self) -> Selector<'_> {
        Selector {
            filter: self,
            level: Level::best(),
            bound: Vec::new(),
            passes: true,
            order: (0..self.codes.len()).collect(),
            seen: self.codes.iter().map(CodeTest::guess).collect(),
            blocks: 0,
            mask: [0; BLOCK / 64],
            picked: Vec::with_capacity(BLOCK + 16),
        }
    }
}

impl<'a> CodeTest<'a> {
    fn new(source: Source<'a>, set: Arc<BitSet>) -> Self {
        let (Some(first), Some(last)) = (set.first(), set.last()) else {
            return Self { source, set, run: None, share: 0.0 };
        };
        let passing = set.count_between(first, last);
        let (has_all, share) = match &source {
            Source::Column(column) => {
                let present = column.present();
                let (of_range, in_set) = present.count_between_and_of(first, last, &set);
                let all = column.values_present().max(1);
                (passing == last - first + 1 || of_range == in_set, in_set as f64 / all as f64)
            }
            Source::Beside(_) => {
                (passing == last - first + 1, passing as f64 / set.len().max(1) as f64)
            }
        };
        Self { source, set, run: has_all.then_some((first, last)), share }
    }

    /// Rows tested and passed, before any were.
    fn guess(&self) -> (u64, u64) {
        (1024, (self.share * 1024.0) as u64)
    }
}

/// Adds the codes that lead to something wanted.
fn take(set: &mut BitSet, behind: &[u32], wanted: &BitSet) {
    let word = |codes: &[u32]| {
        let bits = codes.iter().map(|c| u64::from(wanted.get(*c as usize)));
        bits.enumerate().fold(0, |word, (i, bit)| word | bit << i)
    };
    set.union(&BitSet::from_words(behind.chunks(64).map(word).collect(), behind.len()));
}

/// The codes of a column of the base table that pass all filters on it or over it.
pub(super) fn pass_set(
    version: &StoreVersion,
    codes: usize,
    filters: &[&ScanFilter],
) -> Result<Arc<BitSet>> {
    let mut all: Option<Arc<BitSet>> = None;
    for f in filters {
        let set = passing_one(version, codes, f)?;
        match &mut all {
            Some(all) => Arc::make_mut(all).intersect(&set),
            None => all = Some(set),
        }
    }
    Ok(all.unwrap_or_else(|| Arc::new(BitSet::new(codes, true))))
}

/// The codes that pass one filter.
fn passing_one(version: &StoreVersion, codes: usize, filter: &ScanFilter) -> Result<Arc<BitSet>> {
    let mut set = BitSet::new(codes, false);
    let path = match filter {
        ScanFilter::Codes { column, codes: wanted } if column.path.is_empty() => {
            let is_same = wanted.len() == codes;
            return Ok(if is_same { Arc::clone(wanted) } else { wanted.resized(codes).into() });
        }
        ScanFilter::Codes { column, codes: wanted } => {
            take(&mut set, &version.attributes.behind(version, column)?.codes, wanted);
            &column.path
        }
        ScanFilter::Rows { path, rows } => {
            take(&mut set, &rows_behind(version, path)?, rows);
            path
        }
        ScanFilter::Tuples { .. } => return Ok(Arc::new(BitSet::new(codes, true))),
    };
    if let Some(first) = path.first() {
        close(index(version, *first)?, &mut set);
    }
    Ok(Arc::new(set))
}

/// Applies a filter block by block; tests that let least through for their cost come first.
pub(super) struct Selector<'f> {
    filter: &'f RowFilter<'f>,
    level: Level,
    /// The tests as they are in the present segment.
    bound: Vec<SegmentTest<'f>>,
    /// Whether any row of the present segment can pass.
    passes: bool,
    order: Vec<usize>,
    /// Rows each test has seen, and how many of them passed.
    seen: Vec<(u64, u64)>,
    blocks: u32,
    mask: [u64; BLOCK / 64],
    picked: Vec<u32>,
}

impl Selector<'_> {
    /// Goes to the segment of a row.
    pub(super) fn enter(&mut self, row: usize) {
        self.bound = self.filter.codes.iter().map(|t| SegmentTest::new(t, row)).collect();
        self.passes = !self.bound.iter().any(|t| matches!(t, SegmentTest::Nothing));
        self.reorder();
    }

    /// Whether any row of the present segment can pass.
    pub(super) fn passes(&self) -> bool {
        self.passes
    }

    /// The rows that pass, of `n` from `first` on; all are of the segment entered last.
    pub(super) fn select(&mut self, first: usize, n: usize) -> Rows<'_> {
        let left = self.mark(first, n);
        if left == 0 {
            return Rows { first, n, picked: Some(&[]) };
        }
        if left == n as u64 && self.filter.tuples.is_empty() {
            return Rows { first, n, picked: None };
        }
        self.picked.clear();
        kernel::positions(self.level, &self.mask[..n.div_ceil(64)], &mut self.picked);
        for test in &self.filter.tuples {
            test.keep(first, n, &mut self.picked);
        }
        Rows { first, n, picked: Some(&self.picked) }
    }

    /// How many rows those are.
    pub(super) fn count(&mut self, first: usize, n: usize) -> u64 {
        match self.filter.tuples.is_empty() {
            true => self.mark(first, n),
            false => self.select(first, n).len() as u64,
        }
    }

    /// Sets the bits in `words`, from bit `at` on, of those of `n` rows from `first` on that pass.
    pub(super) fn write_bits(&mut self, first: usize, n: usize, words: &mut [u64], at: usize) {
        if !self.filter.tuples.is_empty() {
            let picked = self.select(first, n).picked.unwrap_or_default();
            picked
                .iter()
                .map(|o| at + *o as usize)
                .for_each(|bit| words[bit / 64] |= 1 << (bit % 64));
            return;
        }
        if self.mark(first, n) == 0 {
            return;
        }
        let (word, shift) = (at / 64, at % 64);
        for (i, bits) in self.mask[..n.div_ceil(64)].iter().enumerate() {
            words[word + i] |= bits << shift;
            let high = if shift == 0 { 0 } else { bits >> (64 - shift) };
            if high != 0 {
                words[word + i + 1] |= high;
            }
        }
    }

    /// Sets the bits of rows that pass all but the tests of tuples, and counts them.
    fn mark(&mut self, first: usize, n: usize) -> u64 {
        let words = n.div_ceil(64);
        let mask = &mut self.mask[..words];
        mask.fill(u64::MAX);
        if !n.is_multiple_of(64) {
            mask[words - 1] = (1 << (n % 64)) - 1;
        }
        for rows in &self.filter.rows {
            and_rows(mask, rows.words(), first);
        }
        let mut left = n as u64;
        if !self.filter.rows.is_empty() {
            left = count(mask);
        }
        for test in &self.order {
            if left == 0 {
                return 0;
            }
            let bound = &self.bound[*test];
            if matches!(bound, SegmentTest::All) {
                continue;
            }
            bound.refine(self.level, &self.filter.codes[*test].source, (first, n), mask);
            let passed = count(mask);
            let seen = &mut self.seen[*test];
            *seen = (seen.0 + left, seen.1 + passed);
            left = passed;
        }
        self.blocks += 1;
        if self.blocks.is_multiple_of(16) && self.order.len() > 1 {
            self.reorder();
        }
        left
    }

    fn reorder(&mut self) {
        let rank = |test: &usize| {
            let (tested, passed) = self.seen[*test];
            let drops = (tested - passed).max(1) as f64 / tested.max(1) as f64;
            self.bound[*test].cost() / drops
        };
        let mut order = std::mem::take(&mut self.order);
        order.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        self.order = order;
    }
}

fn count(mask: &[u64]) -> u64 {
    mask.iter().map(|w| u64::from(w.count_ones())).sum()
}

/// Keeps rows of the table whose bit is set; the mask's first row is `first`.
fn and_rows(mask: &mut [u64], rows: &[u64], first: usize) {
    let (at, shift) = (first / 64, first % 64);
    let word = |i: usize| rows.get(i).copied().unwrap_or(0);
    for (i, m) in mask.iter_mut().enumerate() {
        let low = word(at + i) >> shift;
        let high = if shift == 0 { 0 } else { word(at + i + 1) << (64 - shift) };
        *m &= low | high;
    }
}
