//! Which rows of the base table pass.

use std::collections::HashSet;
use std::sync::Arc;

use evercube_base::Result;

use super::path::{CodeReader, rows_behind, step};
use crate::column::Column;
use crate::scan_request::{BitSet, ScanFilter, ScanRequest};
use crate::version::StoreVersion;

pub(super) struct RowFilter<'a> {
    tests: Vec<Test<'a>>,
}

enum Test<'a> {
    /// The code of a base column is in the set.
    Code(&'a Column, Arc<BitSet>),
    /// The first step's row of a base row is in the set.
    Target(&'a [u32], BitSet),
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
                            let rows = rows_behind(version, *first, rest)?;
                            let pass = |r: &u32| codes.get(of.code(*r as usize) as usize);
                            Test::Target(step(version, *first)?, bits(&rows, pass))
                        }
                    }
                }
                ScanFilter::Rows { path, rows } => match path.split_first() {
                    None => Test::Row(Arc::clone(rows)),
                    Some((first, rest)) => {
                        let behind = rows_behind(version, *first, rest)?;
                        let pass = |r: &u32| rows.get(*r as usize);
                        Test::Target(step(version, *first)?, bits(&behind, pass))
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
            Test::Row(_) => 0,
            Test::Target(..) => 1,
            Test::Code(..) => 2,
            Test::Tuples(..) => 3,
        });
        Ok(Self { tests })
    }

    /// Offsets from `first` of the rows that pass, among `n` rows.
    pub(super) fn select(&self, first: usize, n: usize, selected: &mut Vec<u32>) {
        selected.clear();
        selected.extend(0..n as u32);
        let mut codes = Vec::new();
        for test in &self.tests {
            if selected.is_empty() {
                return;
            }
            match test {
                Test::Row(rows) => selected.retain(|o| rows.get(first + *o as usize)),
                Test::Target(targets, pass) => {
                    selected.retain(|o| pass.get(targets[first + *o as usize] as usize));
                }
                Test::Code(column, set) => {
                    codes.resize(n, 0);
                    column.read_codes(first, &mut codes);
                    selected.retain(|o| set.get(codes[*o as usize] as usize));
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

fn bits(rows: &[u32], pass: impl Fn(&u32) -> bool) -> BitSet {
    let mut set = BitSet::new(rows.len(), false);
    for (i, r) in rows.iter().enumerate() {
        if pass(r) {
            set.insert(i);
        }
    }
    set
}
