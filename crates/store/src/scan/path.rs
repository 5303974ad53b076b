//! Columns seen from the base table of a scan, over relationships.

use evercube_base::{Error, Result};

use crate::column::Column;
use crate::scan_request::{PathColumn, RelationshipId};
use crate::version::StoreVersion;

/// Reads the codes of a column for rows of the base table.
pub(super) struct CodeReader<'a> {
    pub(super) column: &'a Column,
    /// For a column over relationships: the first step's row for each base row, and the code
    /// behind each of those rows.
    over: Option<(&'a [u32], Vec<u32>)>,
}

impl<'a> CodeReader<'a> {
    pub(super) fn new(version: &'a StoreVersion, at: &PathColumn) -> Result<Self> {
        let column = version.table(at.column.table).column(at.column.column);
        let over = match at.path.split_first() {
            None => None,
            Some((first, rest)) => {
                let targets = step(version, *first)?;
                Some((targets, codes_behind(version, column, *first, rest)?))
            }
        };
        Ok(Self { column, over })
    }

    /// Codes of the base rows at the offsets `selected` from `first`. `scratch` is as long as the
    /// rows there are to choose from.
    pub(super) fn read_selected(
        &self,
        first: usize,
        selected: &[u32],
        scratch: &mut [u32],
        out: &mut Vec<u32>,
    ) {
        out.clear();
        match &self.over {
            Some((targets, codes)) => {
                let targets = &targets[first..];
                out.extend(selected.iter().map(|o| codes[targets[*o as usize] as usize]));
            }
            None => {
                self.column.read_codes(first, scratch);
                if selected.len() == scratch.len() {
                    out.extend_from_slice(scratch);
                } else {
                    out.extend(selected.iter().map(|o| scratch[*o as usize]));
                }
            }
        }
    }

    /// Whether no base row has a blank here.
    pub(super) fn is_never_blank(&self) -> bool {
        match &self.over {
            None => !self.column.has_blank(),
            // The last row is the blank one.
            Some((targets, codes)) => {
                let blank_row = codes.len() as u32 - 1;
                !self.column.has_blank()
                    && codes[..blank_row as usize].iter().all(|c| *c != 0)
                    && !targets.contains(&blank_row)
            }
        }
    }

    /// Codes of `out.len()` base rows from `first` on.
    pub(super) fn read(&self, first: usize, out: &mut [u32]) {
        match &self.over {
            None => self.column.read_codes(first, out),
            Some((targets, codes)) => {
                for (o, t) in out.iter_mut().zip(&targets[first..]) {
                    *o = codes[*t as usize];
                }
            }
        }
    }
}

/// One-side row for each row of the first step's many side.
pub(super) fn step(version: &StoreVersion, id: RelationshipId) -> Result<&[u32]> {
    version.relationship(id).map(|r| r.targets()).ok_or_else(|| {
        Error::internal("a scan was asked to follow a relationship that has no index")
    })
}

/// For each row of the one side of `first` (its blank row last): the code of a column reached over
/// `rest`.
pub(super) fn codes_behind(
    version: &StoreVersion,
    column: &Column,
    first: RelationshipId,
    rest: &[RelationshipId],
) -> Result<Vec<u32>> {
    let rows = rows_behind(version, first, rest)?;
    // Rows past the end are blank, so that one more is the blank row.
    let mut codes = vec![0; column.rows() + 1];
    column.read_codes(0, &mut codes);
    if rest.is_empty() {
        return Ok(codes);
    }
    Ok(rows.into_iter().map(|r| codes[(r as usize).min(column.rows())]).collect())
}

/// For each row of the one side of `first` (its blank row last): the row reached over `rest`.
pub(super) fn rows_behind(
    version: &StoreVersion,
    first: RelationshipId,
    rest: &[RelationshipId],
) -> Result<Vec<u32>> {
    let one_side = version
        .relationship(first)
        .map(|r| version.table(r.def.to.table).rows())
        .ok_or_else(|| Error::internal("a scan path names a relationship without an index"))?;
    let mut rows: Vec<u32> = (0..=one_side as u32).collect();
    for id in rest {
        let relationship = version
            .relationship(*id)
            .ok_or_else(|| Error::internal("a scan path names a relationship without an index"))?;
        for row in &mut rows {
            *row = relationship.target(*row as usize);
        }
    }
    Ok(rows)
}
