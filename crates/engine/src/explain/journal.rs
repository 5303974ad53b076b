//! What an evaluation does, written down while it goes on.
//!
//! The only place of the engine that looks at a clock; no answer depends on it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Explanation, Fallback, Operator, Scan, ScanSource};

#[derive(Debug)]
pub(crate) struct Journal {
    began: Instant,
    pub(super) logical: String,
    operators: Vec<Operator>,
    /// Operators the evaluation is inside of.
    open: Vec<usize>,
    /// Operators by the one around them and their node.
    known: HashMap<(Option<usize>, usize), usize>,
    scans: Vec<Scan>,
    fallbacks: Vec<Fallback>,
}

/// An operator under way.
pub(crate) struct Mark {
    operator: usize,
    began: Instant,
}

impl Journal {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            logical: String::new(),
            operators: Vec::new(),
            open: Vec::new(),
            known: HashMap::new(),
            scans: Vec::new(),
            fallbacks: Vec::new(),
        }
    }

    pub fn add_logical(&mut self, tree: &str) {
        self.logical.push_str(tree);
    }

    /// A node begins to be evaluated for some cells.
    pub fn begin(&mut self, node: usize, label: impl FnOnce() -> String, cells: usize) -> Mark {
        let key = (self.open.last().copied(), node);
        let next = self.operators.len();
        let operator = *self.known.entry(key).or_insert(next);
        if operator == next {
            self.operators.push(Operator {
                depth: self.open.len(),
                label: label(),
                ..Operator::default()
            });
        }
        let entry = &mut self.operators[operator];
        entry.evaluations += 1;
        entry.cells += cells as u64;
        self.open.push(operator);
        Mark { operator, began: Instant::now() }
    }

    /// The node ends with so many rows, or values.
    pub fn end(&mut self, mark: &Mark, rows: usize) {
        let entry = &mut self.operators[mark.operator];
        entry.rows += rows as u64;
        entry.time += mark.began.elapsed();
        while self.open.pop().is_some_and(|o| o != mark.operator) {}
    }

    pub fn scanned(&mut self, began: Instant, mut scan: Scan) {
        scan.number = self.scans.len() + 1;
        scan.start = began.saturating_duration_since(self.began);
        scan.time = match scan.source {
            ScanSource::Storage => began.elapsed(),
            ScanSource::Cache | ScanSource::SameQuery => Duration::ZERO,
        };
        if let Some(operator) = self.open.last() {
            self.operators[*operator].scans.push(scan.number);
        }
        self.scans.push(scan);
    }

    /// Work that could not be done for all cells at once.
    pub fn not_batched(&mut self, why: &'static str, times: usize) {
        let operator =
            self.open.last().map_or_else(String::new, |o| self.operators[*o].label.clone());
        let same = |f: &&mut Fallback| f.operator == operator && f.why == why;
        match self.fallbacks.iter_mut().find(same) {
            Some(f) => f.times += times as u64,
            None => self.fallbacks.push(Fallback { operator, why, times: times as u64 }),
        }
    }

    pub fn explanation(self) -> Explanation {
        Explanation {
            logical: self.logical,
            operators: self.operators,
            scans: self.scans,
            fallbacks: self.fallbacks,
            time: self.began.elapsed(),
        }
    }
}
