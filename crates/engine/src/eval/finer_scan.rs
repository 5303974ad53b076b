//! Scans answered from a finer one that was made: where its groups tell what the keys and filters
//! of a request ask, the groups are put together in memory. Totals come from details, months from
//! days, and a period shifted by a year from the same days.

use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_store::{
    Aggregate, BitSet, Column, ColumnId, PathColumn, RelationshipId, RelationshipIndex, ScanFilter,
    ScanRequest, ScanResult,
};
use hashbrown::HashMap;

use super::Evaluator;
use super::known_scans::KnownScan;
use super::numbering::Numbering;
use crate::rules::Rule;

/// Where the code of a column is found in the groups of a scan: that of a key, or what it says.
#[derive(Clone)]
struct CodesOf {
    key: usize,
    map: Option<Arc<Vec<u32>>>,
}

/// What a group has to be to count.
enum Test {
    /// Its code or row is in the set.
    In(CodesOf, Arc<BitSet>),
    /// Its codes are one of the tuples, which are sorted.
    OneOf(Vec<CodesOf>, Arc<Vec<Vec<u32>>>),
}

/// Where an aggregate of the request comes from.
enum Part {
    /// This aggregate of the finer scan, put together.
    Joined(usize),
    /// Different codes among the groups.
    Distinct(CodesOf, bool),
}

/// Tables with fewer rows have few groups.
const SHORT: usize = 1 << 16;

/// How the groups of a scan answer another request.
struct Way {
    tests: Vec<Test>,
    keys: Vec<CodesOf>,
    parts: Vec<Part>,
}

/// What the codes of a key say, by the key and the column or, without one, the rows at the path.
pub(super) type CodeMaps = HashMap<(PathColumn, Vec<RelationshipId>, Option<u32>), Arc<Vec<u32>>>;

impl CodesOf {
    fn get(&self, result: &ScanResult, group: usize) -> u32 {
        let code = result.keys[self.key][group];
        self.map.as_ref().map_or(code, |m| m[code as usize])
    }
}

impl Evaluator<'_> {
    /// The answer to a request out of the scans that were made, where they have it.
    pub(super) fn answered_by_finer(&self, request: &ScanRequest) -> Result<Option<ScanResult>> {
        if !self.has(Rule::FinerScan) {
            return Ok(None);
        }
        let rows = self.store.table(request.table).rows();
        for known in self.known_scans.borrow().iter() {
            let is_finer = known.request.table == request.table
                && !known.request.keys.is_empty()
                && (known.result.groups * 2 <= rows || rows < SHORT);
            if is_finer && let Some(way) = self.way(known, request) {
                return self.regrouped(known, &way, request).map(Some);
            }
        }
        Ok(None)
    }

    fn way(&self, known: &KnownScan, request: &ScanRequest) -> Option<Way> {
        let has = &known.request;
        // What the finer scan left out must be left out here too.
        let is_implied = |f: &ScanFilter| {
            request.filters.iter().any(|g| is_within(g, f)) || self.is_implied(f, &request.filters)
        };
        if !has.filters.iter().all(is_implied) {
            return None;
        }
        let parts = request.aggregates.iter().map(|a| match a {
            Aggregate::DistinctCount { column, with_blank } => {
                Some(Part::Distinct(self.codes_of(has, column)?, *with_blank))
            }
            Aggregate::SingleValue(_) => None,
            a => has.aggregates.iter().position(|k| k == a).map(Part::Joined),
        });
        let parts = parts.collect::<Option<_>>()?;
        let keys = request.keys.iter().map(|k| self.codes_of(has, k)).collect::<Option<_>>()?;
        let own = request.filters.iter().filter(|f| !has.filters.contains(f));
        let tests = own.map(|f| self.test(has, f)).collect::<Option<_>>()?;
        Some(Way { tests, keys, parts })
    }

    /// Whether filters on rows of a table together leave out what another one leaves out.
    fn is_implied(&self, wide: &ScanFilter, filters: &[ScanFilter]) -> bool {
        let (ScanFilter::Rows { path, .. }
        | ScanFilter::Codes { column: PathColumn { path, .. }, .. }) = wide
        else {
            return false;
        };
        let rows = |f: &[ScanFilter]| self.rows_left(path, &mut f.iter());
        match (rows(filters), rows(std::slice::from_ref(wide))) {
            (Some(narrow), Some(wide)) => is_subset(&narrow, &wide),
            _ => false,
        }
    }

    fn test(&self, has: &ScanRequest, filter: &ScanFilter) -> Option<Test> {
        Some(match filter {
            ScanFilter::Codes { column, codes } => {
                Test::In(self.codes_of(has, column)?, Arc::clone(codes))
            }
            ScanFilter::Rows { path, rows } => Test::In(self.rows_of(has, path)?, Arc::clone(rows)),
            ScanFilter::Tuples { columns, tuples } => {
                let columns = columns.iter().map(|c| self.codes_of(has, c));
                Test::OneOf(columns.collect::<Option<_>>()?, Arc::clone(tuples))
            }
        })
    }

    /// Where the groups of a scan tell the code of a column.
    fn codes_of(&self, has: &ScanRequest, column: &PathColumn) -> Option<CodesOf> {
        if let Some(key) = has.keys.iter().position(|k| k == column) {
            return Some(CodesOf { key, map: None });
        }
        for (key, k) in has.keys.iter().enumerate().filter(|(_, k)| k.path == column.path) {
            if let Some(map) = self.decided_codes(k.column, column.column) {
                return Some(CodesOf { key, map: Some(map) });
            }
        }
        let asked = Some(column.column.column);
        self.mapped(has, &column.path, asked, |row| {
            self.store.table(column.column.table).column(column.column.column).code(row)
        })
    }

    /// Where the groups of a scan tell the row that a path leads to.
    fn rows_of(&self, has: &ScanRequest, path: &[RelationshipId]) -> Option<CodesOf> {
        self.mapped(has, path, None, |row| row as u32)
    }

    /// What a row at the end of `path` says, by the codes of a key that tells the row.
    fn mapped(
        &self,
        has: &ScanRequest,
        path: &[RelationshipId],
        asked: Option<u32>,
        of_row: impl Fn(usize) -> u32,
    ) -> Option<CodesOf> {
        for (key, column) in has.keys.iter().enumerate() {
            let Some((told, rest)) = self.told(column, path) else { continue };
            let place = (column.clone(), path.to_vec(), asked);
            if let Some(map) = self.code_maps.borrow().get(&place) {
                return Some(CodesOf { key, map: Some(Arc::clone(map)) });
            }
            let end = |row: u32| of_row(self.visibility().reached(rest, row as usize));
            let map: Arc<Vec<u32>> = Arc::new(told.rows().into_iter().map(end).collect());
            self.code_maps.borrow_mut().insert(place, Arc::clone(&map));
            return Some(CodesOf { key, map: Some(map) });
        }
        None
    }

    /// Whether a key tells the rows at some step of the path, and the steps that are left.
    fn told<'p>(
        &self,
        key: &PathColumn,
        path: &'p [RelationshipId],
    ) -> Option<(Told<'_>, &'p [RelationshipId])> {
        let rest = path.strip_prefix(key.path.as_slice())?;
        if let [step, rest @ ..] = rest
            && let Some(index) = self.store.relationship(*step)
            && index.def.from == key.column
        {
            return Some((Told::Foreign(index), rest));
        }
        let table = key.column.table;
        let column = self.store.table(table).column(key.column.column);
        let is_told = !key.path.is_empty() && self.tells_rows(key.column);
        is_told.then_some((Told::Own(column), rest))
    }

    /// Groups of a finer scan as those of the request.
    fn regrouped(&self, known: &KnownScan, way: &Way, request: &ScanRequest) -> Result<ScanResult> {
        let from = &known.result;
        let cards = request.keys.iter().map(|k| u64::from(self.cardinality(k.column)));
        let mut numbering = Numbering::new(cards.collect(), from.groups);
        let mut out = ScanResult {
            keys: vec![Vec::new(); way.keys.len()],
            aggregates: vec![Vec::new(); way.parts.len()],
            groups: 0,
        };
        let mut distinct: Vec<Vec<u64>> = vec![Vec::new(); way.parts.len()];
        let mut codes = vec![0; way.keys.len()];
        for g in (0..from.groups).filter(|g| way.tests.iter().all(|t| t.holds(from, *g))) {
            codes.iter_mut().zip(&way.keys).for_each(|(code, of)| *code = of.get(from, g));
            let number = numbering.number(codes.iter().copied()) as usize;
            let is_new = number == out.groups;
            if is_new {
                out.groups += 1;
                out.keys.iter_mut().zip(&codes).for_each(|(k, c)| k.push(*c));
            }
            for (i, part) in way.parts.iter().enumerate() {
                let to = &mut out.aggregates[i];
                match part {
                    Part::Joined(at) if is_new => to.push(from.aggregates[*at][g].clone()),
                    Part::Joined(at) => {
                        let more = &from.aggregates[*at][g];
                        to[number] = self.joined(&request.aggregates[i], &to[number], more)?;
                    }
                    Part::Distinct(of, with_blank) => {
                        let code = of.get(from, g);
                        if *with_blank || code > 0 {
                            distinct[i].push((number as u64) << 32 | u64::from(code));
                        }
                    }
                }
            }
        }
        if request.keys.is_empty() && out.groups == 0 {
            out.groups = 1;
            for (to, aggregate) in out.aggregates.iter_mut().zip(&request.aggregates) {
                to.push(of_nothing(aggregate));
            }
        }
        for ((part, to), mut pairs) in way.parts.iter().zip(&mut out.aggregates).zip(distinct) {
            if let Part::Distinct(..) = part {
                pairs.sort_unstable();
                pairs.dedup();
                let mut counts = vec![0_i64; out.groups];
                pairs.iter().for_each(|p| counts[(*p >> 32) as usize] += 1);
                *to = counts.into_iter().map(Value::Int).collect();
            }
        }
        Ok(out)
    }

    /// The row of each code of a column whose values are different in every row.
    pub(super) fn rows_of_codes(&self, column: ColumnId) -> Arc<Vec<u32>> {
        let place = (PathColumn { path: Vec::new(), column }, Vec::new(), None);
        if let Some(map) = self.code_maps.borrow().get(&place) {
            return Arc::clone(map);
        }
        let of = self.store.table(column.table).column(column.column);
        let rows = Arc::new(Told::Own(of).rows());
        self.code_maps.borrow_mut().insert(place, Arc::clone(&rows));
        rows
    }
}

/// What tells a row by the codes of a key.
enum Told<'a> {
    /// The key leads to the row.
    Foreign(&'a RelationshipIndex),
    /// The key is the row's own, different in every row.
    Own(&'a Column),
}

impl Told<'_> {
    /// The row of each code.
    fn rows(&self) -> Vec<u32> {
        match self {
            Self::Foreign(index) => index.row_of_code().to_vec(),
            Self::Own(column) => {
                // Code 0 is that of the blank row, whose number comes after the last row's.
                let mut rows = vec![column.rows() as u32; column.cardinality() as usize];
                for (row, code) in (0..column.rows() as u32).zip(column.all_codes()) {
                    rows[code as usize] = row;
                }
                rows
            }
        }
    }
}

impl Test {
    fn holds(&self, result: &ScanResult, group: usize) -> bool {
        match self {
            Self::In(of, set) => set.get(of.get(result, group) as usize),
            Self::OneOf(of, tuples) => {
                let codes: Vec<u32> = of.iter().map(|c| c.get(result, group)).collect();
                tuples.binary_search(&codes).is_ok()
            }
        }
    }
}

/// What a scan without keys gives where it passes no row.
fn of_nothing(aggregate: &Aggregate) -> Value {
    match aggregate {
        Aggregate::CountRows | Aggregate::Count(_) | Aggregate::DistinctCount { .. } => {
            Value::Int(0)
        }
        _ => Value::Blank,
    }
}

fn is_subset(a: &BitSet, b: &BitSet) -> bool {
    a.len() == b.len() && a.words().iter().zip(b.words()).all(|(x, y)| x & !y == 0)
}

/// Whether every row that passes `narrow` passes `wide`.
pub(super) fn is_within(narrow: &ScanFilter, wide: &ScanFilter) -> bool {
    match (narrow, wide) {
        (ScanFilter::Codes { column: a, codes: x }, ScanFilter::Codes { column: b, codes: y }) => {
            a == b && is_subset(x, y)
        }
        (ScanFilter::Rows { path: a, rows: x }, ScanFilter::Rows { path: b, rows: y }) => {
            a == b && is_subset(x, y)
        }
        (a, b) => a == b,
    }
}
