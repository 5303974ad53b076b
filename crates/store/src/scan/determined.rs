//! Keys that other keys determine, as the number of a customer does its name, its city and its
//! country: groups are formed without them, and get their codes when the scan is done.

use evercube_base::Result;

use super::path::index;
use crate::column::Column;
use crate::scan_request::{PathColumn, ScanRequest, ScanResult};
use crate::version::StoreVersion;

/// Where at most one row in so many is asked for, each is looked up for itself.
const SPARSE: usize = 16;

/// A request without such keys.
pub(super) struct Reduced {
    pub(super) request: ScanRequest,
    /// How each key of the original request is found.
    keys: Vec<KeyFrom>,
}

enum KeyFrom {
    /// It is this key of the reduced request.
    Key(usize),
    /// That key determines it.
    Determined(usize),
}

impl Reduced {
    /// `None` where no key determines another.
    pub(super) fn new(version: &StoreVersion, request: &ScanRequest) -> Result<Option<Self>> {
        let all = &request.keys;
        let mut kept: Vec<usize> = (0..all.len()).collect();
        for at in (0..all.len()).rev() {
            if kept.iter().any(|by| *by != at && determines(version, &all[*by], &all[at])) {
                kept.retain(|key| *key != at);
            }
        }
        if kept.len() == all.len() {
            return Ok(None);
        }
        let mut keys = Vec::new();
        for (at, key) in all.iter().enumerate() {
            if let Some(place) = kept.iter().position(|k| *k == at) {
                keys.push(KeyFrom::Key(place));
                continue;
            }
            let by = kept.iter().position(|by| determines(version, &all[*by], key));
            let Some(place) = by else { return Ok(None) };
            keys.push(KeyFrom::Determined(place));
        }
        let kept = kept.iter().map(|at| all[*at].clone()).collect();
        Ok(Some(Self { request: ScanRequest { keys: kept, ..request.clone() }, keys }))
    }

    /// The result of the original request, from that of the reduced one.
    pub(super) fn complete(
        &self,
        version: &StoreVersion,
        request: &ScanRequest,
        found: ScanResult,
    ) -> Result<ScanResult> {
        let key = |(from, key): (&KeyFrom, &PathColumn)| match from {
            KeyFrom::Key(at) => Ok(found.keys[*at].clone()),
            KeyFrom::Determined(at) => {
                codes_by(version, (&self.request.keys[*at], &found.keys[*at]), key)
            }
        };
        let keys = self.keys.iter().zip(&request.keys).map(key).collect::<Result<_>>()?;
        Ok(ScanResult { keys, ..found })
    }
}

/// Whether rows with the same code in one column have the same in another: it tells a row on the way
/// to the other, or is the key of the next step there.
fn determines(version: &StoreVersion, one: &PathColumn, other: &PathColumn) -> bool {
    if one == other {
        return true;
    }
    if !other.path.starts_with(&one.path) {
        return false;
    }
    let next = other.path.get(one.path.len()).and_then(|step| version.relationship(*step));
    let is_key = next.is_some_and(|step| step.def.from == one.column);
    is_key || version.table(one.column.table).column(one.column.column).is_unique()
}

/// The codes of a column for some codes of one that determines it.
fn codes_by(
    version: &StoreVersion,
    (one, codes): (&PathColumn, &[u32]),
    other: &PathColumn,
) -> Result<Vec<u32>> {
    if one == other {
        return Ok(codes.to_vec());
    }
    let column = version.table(one.column.table).column(one.column.column);
    let mut rest = &other.path[one.path.len()..];
    let mut rows = match rest.split_first() {
        Some((step, after)) if index(version, *step)?.def.from == one.column => {
            rest = after;
            let row_of_code = index(version, *step)?.row_of_code();
            codes.iter().map(|code| row_of_code[*code as usize]).collect()
        }
        _ => rows_of(column, codes),
    };
    for step in rest {
        let step = index(version, *step)?;
        rows.iter_mut().for_each(|row| *row = step.target(*row as usize));
    }
    let of = version.table(other.column.table).column(other.column.column);
    // Reading all codes in their order costs less than looking up those of many rows.
    if rows.len() >= of.rows() / SPARSE {
        let codes = of.all_codes();
        return Ok(rows.iter().map(|row| codes[(*row as usize).min(of.rows())]).collect());
    }
    Ok(rows.iter().map(|row| of.code(*row as usize)).collect())
}

/// The rows that have some codes of a column whose values are different in every row. The blank
/// row, which is no row of the table, comes after the last.
fn rows_of(column: &Column, codes: &[u32]) -> Vec<u32> {
    let mut rows = vec![column.rows() as u32; column.cardinality() as usize];
    for (row, code) in column.all_codes().iter().enumerate().take(column.rows()) {
        rows[*code as usize] = row as u32;
    }
    codes.iter().map(|code| rows[*code as usize]).collect()
}
