//! One scan for all that expressions will ask of a long table. What they will ask is found out by
//! evaluating them once with empty answers in place of scans; the requests noted so are put
//! together to one that is fine enough to answer each (`finer_scan.rs`), where that is cheaper.
//! What is not foreseen rightly is scanned for when it is asked.

use std::sync::Arc;

use evercube_base::{ErrorKind, Result};
use evercube_store::{
    Aggregate, BitSet, ColumnId, PathColumn, RelationshipId, ScanFilter, ScanRequest,
};

use super::Evaluator;
use super::cells::Cells;
use crate::filter_context::FilterContext;
use crate::plan::{Kind, Node};
use crate::rules::Rule;

/// More cells than this are not evaluated twice.
const MOST_CELLS: usize = 1 << 16;
/// More different requests than this are not put together.
const MOST_REQUESTS: usize = 256;
/// Rows of a table that are keys in place of its columns.
const FEW_ROWS: f64 = 4096.0;
/// So many groups are numbered and kept at little cost.
const FEW_GROUPS: f64 = 65_536.0;

impl Evaluator<'_> {
    /// Whether it is being found out which scans will be made.
    pub(super) fn foresees(&self) -> bool {
        self.foreseen.borrow().is_some()
    }

    /// Notes a scan that will be made, where that is being found out.
    pub(super) fn foresee(&self, request: &ScanRequest) -> bool {
        let mut foreseen = self.foreseen.borrow_mut();
        let Some(requests) = foreseen.as_mut() else { return false };
        if self.store.table(request.table).rows() < self.context.long_table {
            return false;
        }
        if requests.len() < MOST_REQUESTS && !requests.contains(request) {
            requests.push(request.clone());
        }
        true
    }

    /// Finds out what `ask` scans for and scans for it together.
    pub(super) fn share_scans(&self, ask: impl FnOnce() -> Result<()>) -> Result<()> {
        let random = self.random.get();
        self.foreseeing.set(self.foreseeing.get() + 1);
        self.foreseen.replace(Some(Vec::new()));
        // What fails here fails again where it counts.
        let _outcome = ask();
        let requests = self.foreseen.take().unwrap_or_default();
        self.random.set(random);
        for shared in self.together_in_few(requests) {
            match self.run_scan(shared, None) {
                Err(e) if e.kind == ErrorKind::Evaluation => {}
                done => drop(done?),
            }
        }
        Ok(())
    }

    /// Scans once for what expressions will ask in the same cells.
    pub(super) fn share_scans_of(&self, cells: &Cells, nodes: &[&Node]) -> Result<()> {
        if cells.n > MOST_CELLS || !self.may_share(nodes.iter().copied(), 1) {
            return Ok(());
        }
        self.share_scans(|| {
            for node in nodes {
                drop(self.scalars(cells, node));
            }
            Ok(())
        })
    }

    /// Whether expressions, each evaluated for so many sets of groups, may ask several scans of a
    /// table.
    pub(super) fn may_share<'n>(&self, nodes: impl Iterator<Item = &'n Node>, sets: usize) -> bool {
        let mut scans = 0;
        self.has(Rule::SharedScan)
            && self.has(Rule::FinerScan)
            && !self.foresees()
            && self.store.tables.iter().any(|t| t.rows() >= self.context.long_table)
            && nodes.into_iter().any(|n| {
                count_scans(n, &mut scans);
                scans * sets > 1
            })
    }

    /// Requests put together wherever that costs less than one after the other.
    fn together_in_few(&self, requests: Vec<ScanRequest>) -> Vec<ScanRequest> {
        let mut alike: Vec<(ScanRequest, usize)> = Vec::new();
        for request in requests {
            let same = |k: &&mut (ScanRequest, usize)| {
                let k = &k.0;
                k.table == request.table && k.keys == request.keys && k.filters == request.filters
            };
            match alike.iter_mut().find(same) {
                Some((known, n)) => {
                    add_aggregates(known, &request);
                    *n += 1;
                }
                None => alike.push((request, 1)),
            }
        }
        // Other aggregates are scanned for anyway, with those that add up.
        alike.retain(|(r, _)| r.aggregates.iter().all(Aggregate::adds_up));
        let mut out: Vec<(Vec<ScanRequest>, ScanRequest, usize)> = Vec::new();
        for (request, n) in alike {
            let cheaper = out.iter_mut().find_map(|(parts, shared, count)| {
                let mut all = parts.clone();
                all.push(request.clone());
                let wider = self.shared(&all)?;
                let saves = self.cost(&wider) <= self.cost(shared) + self.cost(&request);
                saves.then(|| {
                    *parts = all;
                    *shared = wider;
                    *count += n;
                })
            });
            if cheaper.is_none() {
                out.push((vec![request.clone()], request, n));
            }
        }
        out.into_iter().filter(|(_, _, n)| *n > 1).map(|(_, shared, _)| shared).collect()
    }

    /// One request whose groups tell all that the requests ask.
    fn shared(&self, requests: &[ScanRequest]) -> Option<ScanRequest> {
        let first = requests.first()?;
        if requests.iter().any(|r| r.table != first.table) {
            return None;
        }
        let in_all = |f: &&ScanFilter| requests.iter().all(|r| r.filters.contains(f));
        let mut shared = ScanRequest {
            table: first.table,
            filters: first.filters.iter().filter(in_all).cloned().collect(),
            keys: Vec::new(),
            aggregates: Vec::new(),
        };
        let mut keys = Vec::new();
        for request in requests {
            add_aggregates(&mut shared, request);
            keys.extend(request.keys.iter().cloned());
            for filter in request.filters.iter().filter(|f| !shared.filters.contains(f)) {
                match filter {
                    ScanFilter::Codes { column, .. } => keys.push(column.clone()),
                    ScanFilter::Tuples { columns, .. } => keys.extend(columns.iter().cloned()),
                    ScanFilter::Rows { path, .. } => keys.push(self.key_of_rows(path)?),
                }
            }
        }
        shared.keys = self.fewest(keys);
        let own: Vec<Vec<&ScanFilter>> = requests
            .iter()
            .map(|r| r.filters.iter().filter(|f| !shared.filters.contains(f)).collect())
            .collect();
        let paths = self.visibility().expanded(&FilterContext::default(), shared.table);
        for (_, path) in paths.iter().filter(|(_, p)| !p.is_empty()) {
            shared.filters.extend(self.any_of(path, &own));
        }
        Some(shared)
    }

    /// The column that tells the rows at the end of a path.
    fn key_of_rows(&self, path: &[RelationshipId]) -> Option<PathColumn> {
        let table = self.model.relationship(*path.last()?).def.to.table;
        let column = self.unique_column(table)?;
        let column = ColumnId { table, column };
        self.tells_rows(column).then(|| PathColumn { path: path.to_vec(), column })
    }

    /// Keys without those that others tell; columns of one table are its rows where there are no
    /// more of these than of combinations.
    fn fewest(&self, keys: Vec<PathColumn>) -> Vec<PathColumn> {
        let mut out: Vec<PathColumn> = Vec::new();
        for key in keys {
            if !out.contains(&key) {
                out.push(key);
            }
        }
        self.leave_out_decided(&mut out);
        let paths: Vec<Vec<RelationshipId>> = out.iter().map(|k| k.path.clone()).collect();
        for path in paths.iter().filter(|p| !p.is_empty()) {
            let here = || out.iter().filter(|k| k.path == *path);
            let telling = here().find(|k| self.tells_rows(k.column)).cloned().or_else(|| {
                let combinations: f64 = here().map(|k| self.values_of(k)).product();
                let key = self.key_of_rows(path)?;
                let rows = self.values_of(&key);
                (rows <= combinations && rows <= FEW_ROWS).then_some(key)
            });
            if let Some(key) = telling {
                out.retain(|k| !k.path.starts_with(path));
                out.push(key);
            }
        }
        out
    }

    /// Leaves out keys that other keys of the same table decide.
    fn leave_out_decided(&self, keys: &mut Vec<PathColumn>) {
        let mut at = 0;
        while let Some(key) = keys.get(at) {
            let decides = |other: &PathColumn| {
                other != key
                    && other.path == key.path
                    && self.decided_codes(other.column, key.column).is_some()
            };
            match keys.iter().any(decides) {
                true => drop(keys.remove(at)),
                false => at += 1,
            }
        }
    }

    fn values_of(&self, key: &PathColumn) -> f64 {
        f64::from(self.cardinality(key.column))
    }

    /// The rows at the end of a path that any of the requests asks, where all of them leave some
    /// out.
    fn any_of(&self, path: &[RelationshipId], requests: &[Vec<&ScanFilter>]) -> Option<ScanFilter> {
        let mut any: Option<BitSet> = None;
        for filters in requests {
            let rows = self.rows_left(path, &mut filters.iter().copied())?;
            match &mut any {
                Some(any) => any.union(&rows),
                None => any = Some(rows),
            }
        }
        // A filter that lets nearly all through costs more than it saves.
        let any = any.filter(|any| any.count() * 8 <= any.len() * 7)?;
        Some(ScanFilter::Rows { path: path.to_vec(), rows: Arc::new(any) })
    }

    /// The rows at the end of a path that filters on them leave; `None` where there are none.
    pub(super) fn rows_left(
        &self,
        path: &[RelationshipId],
        filters: &mut dyn Iterator<Item = &ScanFilter>,
    ) -> Option<BitSet> {
        let table = self.model.relationship(*path.last()?).def.to.table;
        let mut left: Option<BitSet> = None;
        let mut on_columns = Vec::new();
        for filter in filters {
            match filter {
                ScanFilter::Rows { path: p, rows } if p == path => match &mut left {
                    Some(left) => left.intersect(rows),
                    None => left = Some(rows.as_ref().clone()),
                },
                ScanFilter::Codes { column, codes } if column.path == path => {
                    on_columns.push((column.column, Arc::clone(codes)));
                }
                _ => {}
            }
        }
        if on_columns.is_empty() {
            return left;
        }
        let mut rows = self.visibility().rows_with(table, &on_columns);
        left.iter().for_each(|left| rows.intersect(left));
        Some(rows)
    }

    /// What a scan costs, about, as a multiple of looking at each row once.
    fn cost(&self, request: &ScanRequest) -> f64 {
        let share = |f: &ScanFilter| match f {
            ScanFilter::Codes { codes: s, .. } | ScanFilter::Rows { rows: s, .. } => {
                s.count() as f64 / s.len().max(1) as f64
            }
            ScanFilter::Tuples { columns, tuples } => {
                let all: f64 = columns.iter().map(|c| self.values_of(c)).product();
                tuples.len() as f64 / all.max(1.0)
            }
        };
        let passed: f64 = request.filters.iter().map(share).product();
        let groups: f64 = request.keys.iter().map(|k| self.values_of(k)).product();
        let rows = self.store.table(request.table).rows() as f64;
        let groups = groups * passed;
        let per_group = if groups > FEW_GROUPS { 2.0 + 16.0 * groups / rows } else { 1.0 };
        let work = request.keys.len() + request.aggregates.len();
        (0.3 + request.filters.len() as f64 * 0.3 + passed * work as f64) * per_group
    }
}

fn add_aggregates(to: &mut ScanRequest, from: &ScanRequest) {
    for a in &from.aggregates {
        if !to.aggregates.contains(a) {
            to.aggregates.push(a.clone());
        }
    }
}

/// Counts the places of an expression that may scan, up to a few.
fn count_scans(node: &Node, scans: &mut usize) {
    if *scans > 1 {
        return;
    }
    match &node.kind {
        Kind::Iterate { .. } | Kind::CountRows(_) | Kind::IsEmpty(_) => *scans += 1,
        // They evaluate their expression and are evaluated under it again.
        Kind::NonBlank { .. }
        | Kind::RankX { .. }
        | Kind::FormatString { .. }
        | Kind::SelectedMeasure(_) => *scans += 2,
        _ => {}
    }
    node.children().into_iter().for_each(|part| count_scans(part, scans));
}
