//! Columns seen from the base table of a scan, over relationships.

use std::borrow::Cow;
use std::sync::Arc;

use evercube_base::{Error, Result};

use super::part::{Block, blocks};
use super::rows::{Rows, Source};
use crate::column::Column;
use crate::relationship::RelationshipIndex;
use crate::scan_request::{BitSet, PathColumn, RelationshipId};
use crate::version::StoreVersion;

/// Reads the codes of a column for rows of the base table.
pub(super) struct CodeReader<'a> {
    pub(super) column: &'a Column,
    /// The codes that are read.
    pub(super) source: Source<'a>,
    /// The column's code for each code of the source, where they differ.
    pub(super) behind: Option<Arc<Behind>>,
}

impl<'a> CodeReader<'a> {
    /// Reads over the relationships' keys.
    pub(super) fn over(version: &'a StoreVersion, at: &PathColumn) -> Result<Self> {
        let column = version.table(at.column.table).column(at.column.column);
        Ok(match at.path.first() {
            None => Self { column, source: Source::Column(column), behind: None },
            Some(first) => Self {
                column,
                source: Source::Column(index(version, *first)?.key()),
                behind: Some(version.attributes.behind(version, at)?),
            },
        })
    }

    /// Reads attribute codes beside the rows, where there are some.
    pub(super) fn new(version: &'a StoreVersion, scan: u64, at: &PathColumn) -> Result<Self> {
        if !at.path.is_empty()
            && let Some(codes) = version.attributes.wanted(version, scan, at)?
        {
            let column = version.table(at.column.table).column(at.column.column);
            return Ok(Self { column, source: Source::Beside(codes), behind: None });
        }
        Self::over(version, at)
    }

    /// Codes of a block's rows.
    pub(super) fn read(&self, rows: Rows<'_>, out: &mut Vec<u32>) {
        out.clear();
        out.resize(rows.len(), 0);
        self.source.local(rows.first).fill_mapped(rows, out.iter_mut(), |o, code| *o = code);
        if let Some(behind) = &self.behind {
            out.iter_mut().for_each(|o| *o = behind.codes[*o as usize]);
        }
    }

    /// Codes of all rows from `first` on, as many as `out` holds. `ends`: of the table's segments.
    pub(super) fn read_all<T>(
        &self,
        first: usize,
        ends: &[usize],
        out: &mut [T],
        mut narrow: impl FnMut(u32) -> T,
    ) {
        let mut codes = Vec::new();
        for Block { first: row, n, .. } in blocks(first..first + out.len(), ends) {
            self.read(Rows { first: row, n, picked: None }, &mut codes);
            for (o, code) in out[row - first..].iter_mut().zip(&codes) {
                *o = narrow(*code);
            }
        }
    }

    /// Whether no base row has a blank here.
    pub(super) fn is_never_blank(&self) -> bool {
        match (&self.source, &self.behind) {
            (Source::Beside(codes), _) => !codes.has_blank,
            (_, Some(behind)) => !behind.has_blank,
            (Source::Column(column), None) => !column.has_blank(),
        }
    }
}

pub(super) fn index(version: &StoreVersion, id: RelationshipId) -> Result<&RelationshipIndex> {
    version.relationship(id).ok_or_else(|| {
        Error::internal("a scan was asked to follow a relationship that has no index")
    })
}

/// The code of a column over relationships for each code of the first one's key.
#[derive(Debug)]
pub(crate) struct Behind {
    pub(super) codes: Vec<u32>,
    /// Whether a key that occurs leads to a blank.
    pub(super) has_blank: bool,
}

impl Behind {
    pub(super) fn new(version: &StoreVersion, at: &PathColumn) -> Result<Self> {
        let column = version.table(at.column.table).column(at.column.column);
        let rows = rows_behind(version, &at.path)?;
        // Rows past the end are blank, so that one more is the blank row.
        let mut of_rows = vec![0; column.rows() + 1];
        column.read_codes(0, &mut of_rows);
        let last = column.rows();
        let codes: Vec<u32> = rows.iter().map(|r| of_rows[(*r as usize).min(last)]).collect();
        let has_blank = match at.path.first() {
            Some(first) => {
                let index = index(version, *first)?;
                (0..codes.len()).any(|c| codes[c] == 0 && may_occur(index, c))
            }
            None => column.has_blank(),
        };
        Ok(Self { codes, has_blank })
    }
}

/// Whether a row may have this key; that none has is known of some keys alone.
fn may_occur(index: &RelationshipIndex, code: usize) -> bool {
    let is_orphan = index.row_of_code()[code] == index.blank_row();
    (code != 0 || index.key().has_blank()) && (!is_orphan || index.has_orphans())
}

/// For each code of the key of a path's first relationship: the row the path leads to.
pub(super) fn rows_behind<'a>(
    version: &'a StoreVersion,
    path: &[RelationshipId],
) -> Result<Cow<'a, [u32]>> {
    let Some((first, rest)) = path.split_first() else {
        return Err(Error::internal("a scan was asked for rows behind no relationship"));
    };
    let mut rows = Cow::Borrowed(index(version, *first)?.row_of_code());
    for id in rest {
        let relationship = index(version, *id)?;
        rows.to_mut().iter_mut().for_each(|row| *row = relationship.target(*row as usize));
    }
    Ok(rows)
}

/// Keys that no row has are added where that makes what passes one range.
pub(super) fn close(index: &RelationshipIndex, pass: &mut BitSet) {
    let mut set = pass.iter();
    let (Some(low), high) = (set.next(), set.last()) else { return };
    let high = high.unwrap_or(low);
    let joins = (low..=high).all(|code| pass.get(code) || !may_occur(index, code));
    if joins {
        (low..=high).for_each(|code| pass.insert(code));
    }
}
