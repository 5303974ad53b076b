//! Columns seen from the base table of a scan, over relationships.

use evercube_base::{Error, Result};

use crate::column::Column;
use crate::relationship::RelationshipIndex;
use crate::scan_request::{PathColumn, RelationshipId};
use crate::version::StoreVersion;

/// Reads the codes of a column for rows of the base table.
pub(super) struct CodeReader<'a> {
    pub(super) column: &'a Column,
    /// For a column over relationships: the key column of the first step, and the code behind each
    /// of its codes.
    over: Option<(&'a Column, Vec<u32>)>,
}

impl<'a> CodeReader<'a> {
    pub(super) fn new(version: &'a StoreVersion, at: &PathColumn) -> Result<Self> {
        let column = version.table(at.column.table).column(at.column.column);
        let over = match at.path.split_first() {
            None => None,
            Some((first, rest)) => {
                let behind = codes_behind(version, column, *first, rest)?;
                let step = step(version, *first)?;
                let codes = step.row_of_code().iter().map(|r| behind[*r as usize]).collect();
                Some((step.key(), codes))
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
        let base = self.over.as_ref().map_or(self.column, |(key, _)| *key);
        if selected.len() * 8 < scratch.len() {
            base.gather(first, selected, out);
        } else {
            base.read_codes(first, scratch);
            out.extend(selected.iter().map(|o| scratch[*o as usize]));
        }
        if let Some((_, codes)) = &self.over {
            for code in out {
                *code = codes[*code as usize];
            }
        }
    }

    /// Whether no base row has a blank here.
    pub(super) fn is_never_blank(&self) -> bool {
        match &self.over {
            None => !self.column.has_blank(),
            Some((key, codes)) => {
                codes.iter().all(|c| *c != 0) || key.present().iter().all(|c| codes[c] != 0)
            }
        }
    }

    /// Codes of `out.len()` base rows from `first` on.
    pub(super) fn read(&self, first: usize, out: &mut [u32]) {
        match &self.over {
            None => self.column.read_codes(first, out),
            Some((key, codes)) => {
                key.read_codes(first, out);
                for o in out {
                    *o = codes[*o as usize];
                }
            }
        }
    }
}

/// The index of a step.
pub(super) fn step(version: &StoreVersion, id: RelationshipId) -> Result<&RelationshipIndex> {
    version.relationship(id).ok_or_else(|| {
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
    let one_side = version.table(step(version, first)?.def.to.table).rows();
    let mut rows: Vec<u32> = (0..=one_side as u32).collect();
    for id in rest {
        let relationship = step(version, *id)?;
        for row in &mut rows {
            *row = relationship.target(*row as usize);
        }
    }
    Ok(rows)
}
