//! What the scans of a query found, for those that ask again; and scans made early for several
//! expressions at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use evercube_base::{ErrorKind, Result};
use evercube_store::{Aggregate, ColumnId, PathColumn, ScanRequest, ScanResult, TableId};

use super::Evaluator;
use super::cells::Cells;
use crate::explain::ScanSource;
use crate::filter_context::FilterContext;
use crate::plan::{Kind, NamedNode, Node};
use crate::rules::Rule;

/// A scan that was made.
pub(crate) struct KnownScan {
    pub request: ScanRequest,
    pub result: Arc<ScanResult>,
    /// The context whose every group it holds; `None` where it holds only some.
    of: Option<Arc<FilterContext>>,
}

/// Results with more groups together than this are not kept.
const MOST_GROUPS: usize = 16_000_000;

impl Evaluator<'_> {
    /// Scans, or finds the same scan again. `of`: the context, where the request has all its groups.
    pub(crate) fn run_scan(
        &self,
        request: ScanRequest,
        of: Option<Arc<FilterContext>>,
    ) -> Result<Arc<ScanResult>> {
        let keep = self.has(Rule::KnownScans);
        let began = self.starts();
        let same = |k: &&KnownScan| keep && k.request == request;
        if let Some(known) = self.known_scans.borrow().iter().find(same) {
            self.note_scan(began, &request, &known.result, ScanSource::SameQuery, 0);
            return Ok(Arc::clone(&known.result));
        }
        if let Some(result) = self.answered_by_finer(&request)? {
            let result = Arc::new(result);
            self.note_scan(began, &request, &result, ScanSource::SameQuery, 0);
            return Ok(result);
        }
        if self.foresee(&request) {
            let nothing = vec![Vec::new(); request.keys.len()];
            let aggregates = vec![Vec::new(); request.aggregates.len()];
            return Ok(Arc::new(ScanResult { keys: nothing, aggregates, groups: 0 }));
        }
        let cache = self.cache.as_ref().filter(|_| keep);
        let result = match cache.and_then(|(cache, version)| cache.scans.get(version, &request)) {
            Some(found) => {
                self.note_scan(began, &request, &found, ScanSource::Cache, 0);
                found
            }
            None => {
                let passed = || self.control.rows_passed.load(Ordering::Relaxed);
                let before = passed();
                let found = Arc::new(self.store.scan(&request, &self.control)?);
                let of_scan = passed() - before;
                self.note_scan(began, &request, &found, ScanSource::Storage, of_scan);
                if let Some((cache, version)) = cache {
                    cache.scans.put(version, &request, &found);
                }
                found
            }
        };
        self.scans.set(self.scans.get() + 1);
        let mut known = self.known_scans.borrow_mut();
        let held: usize = known.iter().map(|k| k.result.groups).sum();
        if keep && held + result.groups <= MOST_GROUPS {
            known.push(KnownScan { request, result: Arc::clone(&result), of });
        }
        Ok(result)
    }

    /// The groups of a context by `keys`, where an earlier scan had these aggregates and perhaps
    /// more.
    pub(crate) fn recall(
        &self,
        context: &Arc<FilterContext>,
        base: TableId,
        keys: &[PathColumn],
        aggregates: &[Aggregate],
    ) -> Option<Arc<ScanResult>> {
        for known in self.known_scans.borrow().iter() {
            let is_of = known.of.as_ref().is_some_and(|of| of == context);
            if !is_of || known.request.table != base || known.request.keys != keys {
                continue;
            }
            let place = |a: &Aggregate| known.request.aggregates.iter().position(|k| k == a);
            let Some(places) = aggregates.iter().map(place).collect::<Option<Vec<_>>>() else {
                continue;
            };
            if places.iter().copied().eq(0..known.request.aggregates.len()) {
                return Some(Arc::clone(&known.result));
            }
            let of_place = |i: &usize| known.result.aggregates[*i].clone();
            return Some(Arc::new(ScanResult {
                keys: known.result.keys.clone(),
                aggregates: places.iter().map(of_place).collect(),
                groups: known.result.groups,
            }));
        }
        None
    }

    /// Scans once for all that the expressions will ask of a table in the groups themselves.
    pub(crate) fn scan_ahead(
        &self,
        cells: &Cells,
        groups: &[ColumnId],
        named: &[NamedNode],
    ) -> Result<()> {
        if cells.distinct.len() != 1 || !self.has(Rule::ScanAhead) {
            return Ok(());
        }
        let mut asked = Vec::new();
        named.iter().for_each(|n| self.asked(&n.node, cells.frames.len(), &mut asked));
        let reach_all = |table: TableId| {
            let reach = self.reach(&cells.distinct[0], table);
            groups.iter().all(|c| reach.path(c.table).is_some())
        };
        asked.retain(|(table, _)| reach_all(*table));
        for (table, aggregates) in asked {
            // Groups are looked for first, so that one aggregate is a second scan already.
            if !groups.is_empty() || aggregates.len() > 1 {
                match self.scan(cells, table, groups, false, &|_| Ok(aggregates.clone())) {
                    // The expression itself may never ask for it.
                    Err(e) if e.kind == ErrorKind::Evaluation => {}
                    done => drop(done?),
                }
            }
        }
        Ok(())
    }

    /// Whether an expression is arithmetic over what it asks in its own groups.
    pub(super) fn is_plain(&self, node: &Node) -> bool {
        match &node.kind {
            Kind::Literal(_) => true,
            Kind::Measure { body, .. } => {
                self.model.calculation_groups().is_empty() && self.is_plain(body)
            }
            Kind::Iterate { fold, table, body, .. } => {
                matches!(table.kind, Kind::ModelTable { table, blank_row: false }
                    if !self.plain_aggregates(*fold, table, body, 0).is_empty())
            }
            Kind::CountRows(table) => {
                matches!(table.kind, Kind::ModelTable { blank_row: false, .. })
            }
            Kind::Binary { left, right, .. } => self.is_plain(left) && self.is_plain(right),
            Kind::Negate(inner) => self.is_plain(inner),
            Kind::Scalar { arguments, .. } => arguments.iter().all(|a| self.is_plain(a)),
            _ => false,
        }
    }

    /// Adds, for each table, the aggregates an expression takes of it without changing filters.
    pub(super) fn asked(
        &self,
        node: &Node,
        frame: usize,
        out: &mut Vec<(TableId, Vec<Aggregate>)>,
    ) {
        let mut add = |table: TableId, aggregates: Vec<Aggregate>| {
            if aggregates.is_empty() {
                return;
            }
            let at = out.iter().position(|(t, _)| *t == table).unwrap_or_else(|| {
                out.push((table, Vec::new()));
                out.len() - 1
            });
            for a in aggregates {
                if !out[at].1.contains(&a) {
                    out[at].1.push(a);
                }
            }
        };
        match &node.kind {
            Kind::Measure { body, .. } if self.model.calculation_groups().is_empty() => {
                self.asked(body, 0, out);
            }
            Kind::Iterate { fold, table, body, .. } => {
                if let Kind::ModelTable { table, blank_row: false } = table.kind {
                    add(table, self.plain_aggregates(*fold, table, body, frame));
                }
            }
            Kind::CountRows(table) => {
                if let Kind::ModelTable { table, blank_row: false } = table.kind {
                    add(table, vec![Aggregate::CountRows]);
                }
            }
            Kind::Binary { left, right, .. } => {
                self.asked(left, frame, out);
                self.asked(right, frame, out);
            }
            Kind::Negate(inner) => self.asked(inner, frame, out),
            Kind::Scalar { arguments, .. } => {
                arguments.iter().for_each(|a| self.asked(a, frame, out));
            }
            _ => {}
        }
    }
}
