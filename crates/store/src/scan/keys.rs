//! The keys of a scan, and how their codes become one number.

use std::ops::{Range, RangeInclusive};

use evercube_base::Result;

use super::filter::pass_set;
use super::kernel::{self, Level};
use super::path::CodeReader;
use super::rows::{Rows, Source};
use crate::code_map::CodeMap;
use crate::relationship::RelationshipIndex;
use crate::scan_request::{BitSet, PathColumn, ScanFilter, ScanRequest};
use crate::version::StoreVersion;

/// Up to this many combinations are numbered by an array whatever the table.
const FEW: u64 = 1 << 12;
/// More combinations than this are worth looking for codes that no passing row has.
const WORTH_NARROWING: u64 = 1 << 15;

/// Codes of a relationship's key are looked through where there are at least so many rows for each.
const MOST_CODES_OF_ROWS: usize = 8;

/// A key of so many values may have an array of them, where there is a row for so many of them.
const WORTH_AN_ARRAY: RangeInclusive<u64> = 1 << 16..=1 << 23;
const CODES_A_ROW: u64 = 16;

/// Codes of a segment that are few enough to have a table of their own.
const MOST_OWN: u32 = 1 << 16;

pub(super) struct Keys<'a> {
    readers: Vec<CodeReader<'a>>,
    numbering: Numbering,
    /// About how many rows will be numbered by one thread or in one part.
    expected: u64,
}

/// How many groups may be numbered in which way.
pub(super) struct Most {
    /// Combinations that may be numbered by an array.
    pub(super) dense: u64,
    /// Those where groups are numbered anew in an array of 32 bits for each.
    pub(super) sparse: u64,
    /// Rows that will be numbered by one thread or in one part, about.
    pub(super) expected: u64,
}

pub(super) enum Numbering {
    /// There is one group.
    None,
    /// The group's number is the sum of what each key's code stands for.
    Dense {
        keys: Vec<DenseKey>,
        size: usize,
        /// Few of the numbers are groups.
        is_sparse: bool,
    },
    /// Combinations of codes as one number.
    Packed,
    /// Combinations of codes as they are.
    Wide,
}

/// One key of a dense numbering.
pub(super) struct DenseKey {
    /// For each code of the source: its place among the codes there can be, times `stride`.
    numbers: Vec<u32>,
    /// The codes there can be.
    codes: Vec<u32>,
    stride: u32,
}

impl<'a> Keys<'a> {
    pub(super) fn new(
        version: &'a StoreVersion,
        scan: u64,
        request: &ScanRequest,
        most: &Most,
    ) -> Result<Self> {
        let reader = |k| CodeReader::new(version, scan, k);
        let readers: Vec<CodeReader<'a>> =
            request.keys.iter().map(reader).collect::<Result<_>>()?;
        let mut numbering = Numbering::Wide;
        if readers.is_empty() {
            numbering = Numbering::None;
        } else if let Some(all) = size(readers.iter().map(|r| u64::from(r.column.cardinality()))) {
            numbering = Numbering::Packed;
            let codes = possible_codes(version, request, &readers, all)?;
            let narrow = size(codes.iter().zip(&readers).map(|(c, r)| match c {
                Some(codes) => codes.len() as u64,
                None => all_codes(r).len() as u64,
            }));
            if let Some(size) = narrow.filter(|n| *n <= most.dense.max(most.sparse).max(FEW)) {
                let keys = dense(&readers, codes);
                let is_sparse = size > most.dense.max(FEW);
                numbering = Numbering::Dense { keys, size: size as usize, is_sparse };
            }
        }
        Ok(Self { readers, numbering, expected: most.expected })
    }

    pub(super) fn len(&self) -> usize {
        self.readers.len()
    }

    pub(super) fn numbering(&self) -> &Numbering {
        &self.numbering
    }

    /// How many codes each key has.
    pub(super) fn radix(&self) -> impl Iterator<Item = u64> + '_ {
        self.readers.iter().map(|r| u64::from(r.column.cardinality()))
    }

    /// The key of most values, where an array of them is worth it: the number of an order tells its
    /// day, so that groups of both are found without hashing.
    pub(super) fn leading(&self) -> Option<usize> {
        let most = self.radix().max().filter(|most| WORTH_AN_ARRAY.contains(most))?;
        let at = self.radix().position(|codes| codes == most);
        at.filter(|_| most <= self.expected.saturating_mul(CODES_A_ROW))
    }

    /// The codes of each key.
    pub(super) fn read(&self, rows: Rows<'_>, out: &mut [Vec<u32>]) {
        for (reader, codes) in self.readers.iter().zip(out) {
            reader.read(rows, codes);
        }
    }

    /// Goes to the segment of a row: for each key of a dense numbering what the segment's own codes
    /// stand for, where these differ from the column's and are few.
    pub(super) fn enter(&self, row: usize, own: &mut Vec<Option<Vec<u32>>>) {
        own.clear();
        let Numbering::Dense { keys, .. } = &self.numbering else { return };
        own.extend(self.readers.iter().zip(keys).map(|(reader, key)| {
            let local = reader.source.local(row);
            let codes = local.dictionary.map_or(0, |d| d.len() + 1);
            let differ = !matches!(local.map, CodeMap::Same) && (1..=MOST_OWN).contains(&codes);
            let number = |code| key.numbers[local.map.get(code) as usize];
            differ.then(|| (0..codes).map(number).collect())
        }));
    }

    /// Group numbers of the rows in a dense numbering; `own` is of their segment.
    pub(super) fn number(
        &self,
        keys: &[DenseKey],
        own: &[Option<Vec<u32>>],
        rows: Rows<'_>,
        out: &mut Vec<u32>,
    ) {
        out.clear();
        out.resize(rows.len(), 0);
        let level = Level::best();
        for ((reader, key), own) in self.readers.iter().zip(keys).zip(own) {
            let local = reader.source.local(rows.first);
            let numbers = own.as_ref().unwrap_or(&key.numbers).as_slice();
            if own.is_none() && !matches!(local.map, CodeMap::Same) {
                local.fill_mapped(rows, out.iter_mut(), |o, c| *o += numbers[c as usize]);
            } else if rows.picked.is_some() {
                local.fill(rows, out.iter_mut(), |o, c| *o += numbers[c as usize]);
            } else {
                local.with_block(rows.first, rows.n, |codes| {
                    kernel::look_up(level, codes, numbers, out);
                });
            }
        }
    }
}

impl DenseKey {
    /// The key's code in a group.
    pub(super) fn code(&self, group: u32) -> u32 {
        self.codes[(group / self.stride) as usize % self.codes.len()]
    }
}

fn size(mut radix: impl Iterator<Item = u64>) -> Option<u64> {
    radix.try_fold(1u64, u64::checked_mul)
}

/// The codes a key's rows can have: code 0 where some row is blank.
fn all_codes(reader: &CodeReader<'_>) -> Range<u32> {
    u32::from(reader.is_never_blank())..reader.column.cardinality()
}

fn dense(readers: &[CodeReader<'_>], codes: Vec<Option<Vec<u32>>>) -> Vec<DenseKey> {
    let mut keys = Vec::new();
    let mut stride = 1u32;
    for (reader, codes) in readers.iter().zip(codes) {
        let codes = codes.unwrap_or_else(|| all_codes(reader).collect());
        let mut places = vec![0; reader.column.cardinality() as usize];
        for (place, code) in (0u32..).zip(&codes) {
            places[*code as usize] = place * stride;
        }
        let mut numbers = match &reader.behind {
            Some(behind) => behind.codes.iter().map(|c| places[*c as usize]).collect(),
            None => places,
        };
        // Any code of one byte has its place.
        numbers.resize(numbers.len().max(256), 0);
        let length = codes.len() as u32;
        keys.push(DenseKey { numbers, codes, stride });
        stride = stride.saturating_mul(length.max(1));
    }
    keys
}

/// For each key the codes a passing row can have, where filters leave few; `None`: all.
fn possible_codes(
    version: &StoreVersion,
    request: &ScanRequest,
    readers: &[CodeReader<'_>],
    all: u64,
) -> Result<Vec<Option<Vec<u32>>>> {
    let mut found: Vec<Option<Vec<u32>>> = vec![None; readers.len()];
    let mut left = all;
    for (i, (key, reader)) in request.keys.iter().zip(readers).enumerate() {
        if left <= WORTH_NARROWING {
            break;
        }
        let cardinality = u64::from(reader.column.cardinality());
        let passing = codes_that_pass(version, request, key)?;
        let Some(codes) = passing.or_else(|| codes_in_use(reader)) else { continue };
        left = left / cardinality.max(1) * (codes.len() as u64).max(1);
        found[i] = Some(codes);
    }
    Ok(found)
}

/// The codes that some row has, where many have none.
fn codes_in_use(reader: &CodeReader<'_>) -> Option<Vec<u32>> {
    let Source::Column(column) = &reader.source else { return None };
    if reader.behind.is_some() {
        return None;
    }
    let present = column.present();
    (present.count() * 2 <= column.cardinality() as usize)
        .then(|| present.iter().map(|code| code as u32).collect())
}

/// The codes of a key in rows that pass the filters on its own way; `None` where there are none.
fn codes_that_pass(
    version: &StoreVersion,
    request: &ScanRequest,
    key: &PathColumn,
) -> Result<Option<Vec<u32>>> {
    let on_the_way = |f: &&ScanFilter| match f {
        ScanFilter::Codes { column, .. } if key.path.is_empty() => column == key,
        ScanFilter::Codes { column: PathColumn { path, .. }, .. }
        | ScanFilter::Rows { path, .. } => !path.is_empty() && path.first() == key.path.first(),
        ScanFilter::Tuples { .. } => false,
    };
    let filters: Vec<&ScanFilter> = request.filters.iter().filter(on_the_way).collect();
    if filters.is_empty() {
        return Ok(None);
    }
    let mut of_column = BitSet::new(
        version.table(key.column.table).column(key.column.column).cardinality() as usize,
        false,
    );
    let step = key.path.first().and_then(|step| version.relationship(*step));
    let is_worth_it = |step: &&RelationshipIndex| {
        step.row_of_code().len() * MOST_CODES_OF_ROWS <= step.key().rows().max(FEW as usize)
    };
    match step.filter(is_worth_it) {
        None => of_column.invert(),
        Some(_) => {
            let behind = version.attributes.behind(version, key)?;
            let pass = pass_set(version, behind.codes.len(), &filters)?;
            pass.iter().for_each(|code| of_column.insert(behind.codes[code] as usize));
        }
    }
    for f in filters {
        if let ScanFilter::Codes { column, codes } = f
            && column == key
        {
            of_column.intersect(codes);
        }
    }
    Ok(Some(of_column.iter().map(|c| c as u32).collect()))
}
