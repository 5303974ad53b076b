//! How a query is answered: the bound expressions, the operators that ran, what they scanned, and
//! where the work was not done for all cells at once.

pub(crate) mod journal;
mod logical;
mod scan_text;

use std::fmt;
use std::time::{Duration, Instant};

use evercube_store::{ScanRequest, ScanResult};

use crate::eval::Evaluator;
use crate::plan::{Kind, Node};
pub(crate) use journal::{Journal, Mark};
pub(crate) use logical::{label, tree};

/// Where a scan's result came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanSource {
    Storage,
    /// An earlier query had it.
    Cache,
    /// Another expression of the query had it.
    SameQuery,
}

/// One scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Place among the scans of the query, from 1.
    pub number: usize,
    pub table: String,
    /// The request as text.
    pub text: String,
    pub source: ScanSource,
    pub rows_read: u64,
    pub rows_passed: u64,
    /// Bytes of codes the scan reads at most.
    pub bytes: u64,
    pub groups: usize,
    /// Since the query began.
    pub start: Duration,
    pub time: Duration,
}

/// An expression as it was evaluated.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Operator {
    pub depth: usize,
    pub label: String,
    /// How often it was evaluated, for how many cells in all, and the rows or values it gave.
    pub evaluations: u64,
    pub cells: u64,
    pub rows: u64,
    /// With everything inside of it.
    pub time: Duration,
    /// Numbers of its own scans.
    pub scans: Vec<usize>,
}

/// A place where cells were not evaluated together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    pub operator: String,
    pub why: &'static str,
    pub times: u64,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// The bound expression of every `EVALUATE`, one node a line.
    pub logical: String,
    pub operators: Vec<Operator>,
    pub scans: Vec<Scan>,
    pub fallbacks: Vec<Fallback>,
    pub time: Duration,
}

impl Explanation {
    /// The operators that ran, one a line.
    pub fn physical(&self) -> String {
        let line = |o: &Operator| {
            let scans = match o.scans.as_slice() {
                [] => String::new(),
                numbers => {
                    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
                    format!(", scans {}", numbers.join(" "))
                }
            };
            format!(
                "{:indent$}{}: {} cells in {} evaluations -> {} rows, {}{scans}\n",
                "",
                o.label,
                o.cells,
                o.evaluations,
                o.rows,
                shown(o.time),
                indent = o.depth * 2,
            )
        };
        self.operators.iter().map(line).collect()
    }
}

fn shown(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Logical plan\n{}", self.logical)?;
        writeln!(f, "Physical plan ({})\n{}", shown(self.time), self.physical())?;
        writeln!(f, "Scans: {}", self.scans.len())?;
        for s in &self.scans {
            let source = match s.source {
                ScanSource::Storage => shown(s.time),
                ScanSource::Cache => "from the cache".to_owned(),
                ScanSource::SameQuery => "known from this query".to_owned(),
            };
            writeln!(
                f,
                "scan {} of '{}': {} rows read, {} passed, {} bytes of codes -> {} groups, {source}",
                s.number, s.table, s.rows_read, s.rows_passed, s.bytes, s.groups
            )?;
            s.text.lines().try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        if self.fallbacks.is_empty() {
            return writeln!(f, "\nNot batched: nothing");
        }
        writeln!(f, "\nNot batched:")?;
        for b in &self.fallbacks {
            writeln!(f, "  {}: {} ({} times)", b.operator, b.why, b.times)?;
        }
        Ok(())
    }
}

impl Evaluator<'_> {
    /// Notes work that was not done for all cells at once.
    pub(crate) fn not_batched(&self, why: &'static str, times: usize) {
        if let Some(journal) = &self.journal {
            journal.borrow_mut().not_batched(why, times);
        }
    }

    /// Notes a scan that began then; `passed` rows met its filters.
    pub(crate) fn note_scan(
        &self,
        began: Option<Instant>,
        request: &ScanRequest,
        result: &ScanResult,
        source: ScanSource,
        passed: u64,
    ) {
        let (Some(journal), Some(began)) = (&self.journal, began) else { return };
        let text = scan_text::ScanText { model: self.model, store: self.store };
        let is_read = source == ScanSource::Storage;
        let rows = self.store.table(request.table).rows() as u64;
        let scan = Scan {
            number: 0,
            table: self.model.table(request.table).name.clone(),
            text: text.of(request),
            source,
            rows_read: if is_read { rows } else { 0 },
            rows_passed: passed,
            bytes: if is_read { text.encoded_bytes(request) } else { 0 },
            groups: result.groups,
            start: Duration::ZERO,
            time: Duration::ZERO,
        };
        journal.borrow_mut().scanned(began, scan);
    }

    /// Notes that a node begins to be evaluated; constants and references are left out.
    pub(crate) fn begin(&self, node: &Node, cells: usize) -> Option<Mark> {
        let journal = self.journal.as_ref()?;
        if matches!(node.kind, Kind::Literal(_) | Kind::RowColumn { .. } | Kind::Variable(_)) {
            return None;
        }
        let address = std::ptr::from_ref(node) as usize;
        Some(journal.borrow_mut().begin(address, || label(self.model, node), cells))
    }

    pub(crate) fn end(&self, mark: Option<Mark>, rows: usize) {
        if let (Some(journal), Some(mark)) = (&self.journal, mark) {
            journal.borrow_mut().end(&mark, rows);
        }
    }

    /// When a step began, where that is written down.
    pub(crate) fn starts(&self) -> Option<Instant> {
        self.journal.as_ref().map(|_| Instant::now())
    }
}
