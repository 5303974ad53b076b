//! Which rows of the base table pass.

use std::collections::HashSet;
use std::sync::Arc;

use evercube_base::Result;

use super::path::{CodeReader, codes_behind, rows_behind, step};
use crate::column::Column;
use crate::relationship::RelationshipIndex;
use crate::scan_request::{BitSet, ScanFilter, ScanRequest};
use crate::version::StoreVersion;

pub(super) struct RowFilter<'a> {
    tests: Vec<Test<'a>>,
}

enum Test<'a> {
    /// The code of a base column, which may be the key of a relationship, is in the set.
    Code(&'a Column, Arc<BitSet>),
    Row(Arc<BitSet>),
    Tuples(Vec<CodeReader<'a>>, HashSet<Vec<u32>>),
}

impl<'a> RowFilter<'a> {
    pub(super) fn new(version: &'a StoreVersion, request: &ScanRequest) -> Result<Self> {
        let mut tests = Vec::new();
        for f in &request.filters {
            tests.push(match f {
                ScanFilter::Codes { column, codes } => {
                    let of = version.table(column.column.table).column(column.column.column);
                    match column.path.split_first() {
                        None => Test::Code(of, Arc::clone(codes)),
                        Some((first, rest)) => {
                            let behind = codes_behind(version, of, *first, rest)?;
                            key_test(step(version, *first)?, &behind, |c| codes.get(c as usize))
                        }
                    }
                }
                ScanFilter::Rows { path, rows } => match path.split_first() {
                    None => Test::Row(Arc::clone(rows)),
                    Some((first, rest)) => {
                        let behind = rows_behind(version, *first, rest)?;
                        key_test(step(version, *first)?, &behind, |r| rows.get(r as usize))
                    }
                },
                ScanFilter::Tuples { columns, tuples } => Test::Tuples(
                    columns.iter().map(|c| CodeReader::new(version, c)).collect::<Result<_>>()?,
                    tuples.iter().cloned().collect(),
                ),
            });
        }
        // Cheap tests first; tuples see only what the others left.
        tests.sort_by_key(|t| match t {
            Test::Row(rows) => (0, per_mille(rows)),
            Test::Code(_, codes) => (1, per_mille(codes)),
            Test::Tuples(..) => (2, 0),
        });
        Ok(Self { tests })
    }

    /// Offsets from `first` of the rows that pass, among as many rows as `scratch` is long.
    pub(super) fn select(&self, first: usize, scratch: &mut [u32], selected: &mut Vec<u32>) {
        let n = scratch.len();
        selected.clear();
        selected.extend(0..n as u32);
        for test in &self.tests {
            if selected.is_empty() {
                return;
            }
            match test {
                Test::Row(rows) => keep(selected, |o| rows.get(first + o)),
                Test::Code(column, set) => {
                    column.read_codes(first, scratch);
                    keep(selected, |o| set.get(scratch[o] as usize));
                }
                Test::Tuples(readers, tuples) => {
                    let columns: Vec<Vec<u32>> = readers
                        .iter()
                        .map(|r| {
                            let mut out = vec![0; n];
                            r.read(first, &mut out);
                            out
                        })
                        .collect();
                    let mut tuple = vec![0; columns.len()];
                    selected.retain(|o| {
                        for (t, c) in tuple.iter_mut().zip(&columns) {
                            *t = c[*o as usize];
                        }
                        tuples.contains(&tuple)
                    });
                }
            }
        }
    }
}

/// `Vec::retain` without branches: which rows pass cannot be foreseen.
fn keep(selected: &mut Vec<u32>, pass: impl Fn(usize) -> bool) {
    let mut kept = 0;
    for i in 0..selected.len() {
        let offset = selected[i];
        selected[kept] = offset;
        kept += usize::from(pass(offset as usize));
    }
    selected.truncate(kept);
}

/// How much of a set passes, to order tests by.
fn per_mille(set: &BitSet) -> usize {
    set.count() * 1000 / set.len().max(1)
}

/// A test of what lies behind the rows of a relationship's one side as a test of its key's codes.
fn key_test<'a>(
    relationship: &'a RelationshipIndex,
    behind: &[u32],
    pass: impl Fn(u32) -> bool,
) -> Test<'a> {
    let rows = relationship.row_of_code();
    let mut codes = BitSet::new(rows.len(), false);
    for (code, row) in rows.iter().enumerate() {
        if pass(behind[*row as usize]) {
            codes.insert(code);
        }
    }
    Test::Code(relationship.key(), Arc::new(codes))
}
