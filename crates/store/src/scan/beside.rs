//! Attribute codes beside the rows: for a column of few values reached over relationships, its
//! code for each row of the base table, in one or two bytes.
//!
//! They are built when a column is asked for a second time, take no more memory than a budget, and
//! go with their version. They hold what the table and its relationships hold, in another order of
//! storage, and nothing of any query or its result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evercube_base::Result;
use rayon::prelude::*;

use super::path::{Behind, CodeReader};
use crate::scan_request::PathColumn;
use crate::segment::CodeBlock;
use crate::version::StoreVersion;

/// Tables of fewer rows are not worth it.
const FEWEST_ROWS: usize = 1 << 16;
/// Bytes for each row of the base table that all attribute codes of a version may take together.
const BYTES_PER_ROW: usize = 8;
/// Rows one task fills.
const PART: usize = 1 << 16;

/// The codes of one column for all rows of a table.
#[derive(Debug)]
pub(crate) struct Beside {
    codes: Narrow,
    pub(super) has_blank: bool,
}

#[derive(Debug)]
enum Narrow {
    U8(Vec<u8>),
    U16(Vec<u16>),
}

impl Beside {
    pub(super) fn block(&self, first: usize, n: usize) -> CodeBlock<'_> {
        match &self.codes {
            Narrow::U8(v) => CodeBlock::U8(&v[first..first + n]),
            Narrow::U16(v) => CodeBlock::U16(&v[first..first + n]),
        }
    }

    pub(super) fn is_wide(&self) -> bool {
        matches!(self.codes, Narrow::U16(_))
    }

    fn build(reader: &CodeReader<'_>, rows: usize, ends: &[usize]) -> Self {
        fn fill<T: Copy + Default + Send>(
            reader: &CodeReader<'_>,
            (rows, ends): (usize, &[usize]),
            narrow: impl Fn(u32) -> T + Sync,
        ) -> (Vec<T>, bool) {
            let mut codes = vec![T::default(); rows];
            let part = |(i, out): (usize, &mut [T])| {
                let mut has_blank = false;
                reader.read_all(i * PART, ends, out, |code| {
                    has_blank |= code == 0;
                    narrow(code)
                });
                has_blank
            };
            let blanks: Vec<bool> = codes.par_chunks_mut(PART).enumerate().map(part).collect();
            (codes, blanks.contains(&true))
        }
        let of = (rows, ends);
        if bytes_per_row(reader.column.cardinality()) == Some(1) {
            let (codes, has_blank) = fill(reader, of, |c| c as u8);
            Self { codes: Narrow::U8(codes), has_blank }
        } else {
            let (codes, has_blank) = fill(reader, of, |c| c as u16);
            Self { codes: Narrow::U16(codes), has_blank }
        }
    }
}

/// `None` where a column has too many values.
fn bytes_per_row(cardinality: u32) -> Option<usize> {
    match cardinality {
        0..=0x100 => Some(1),
        0x101..=0x1_0000 => Some(2),
        _ => None,
    }
}

/// What a version knows of columns over relationships beyond the relationships themselves.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts scans.
    now: u64,
    bytes: usize,
    beside: HashMap<PathColumn, Entry>,
    /// Codes behind the codes of a relationship's key: as many as keys, so that they need no limit.
    behind: HashMap<PathColumn, Arc<Behind>>,
}

#[derive(Debug)]
struct Entry {
    last_use: u64,
    bytes: usize,
    codes: Option<Arc<Beside>>,
}

impl Attributes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a scan that begins.
    pub(super) fn begin(&self) -> u64 {
        let mut state = self.state();
        state.now += 1;
        state.now
    }

    pub(super) fn behind(&self, version: &StoreVersion, at: &PathColumn) -> Result<Arc<Behind>> {
        if let Some(known) = self.state().behind.get(at) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(Behind::new(version, at)?);
        self.state().behind.insert(at.clone(), Arc::clone(&made));
        Ok(made)
    }

    /// Codes that are there already.
    pub(super) fn known(&self, scan: u64, at: &PathColumn) -> Option<Arc<Beside>> {
        let mut state = self.state();
        let entry = state.beside.get_mut(at)?;
        let codes = Arc::clone(entry.codes.as_ref()?);
        entry.last_use = scan;
        Some(codes)
    }

    /// Codes that are there, or are built now since an earlier scan wanted them too.
    pub(super) fn wanted(
        &self,
        version: &StoreVersion,
        scan: u64,
        at: &PathColumn,
    ) -> Result<Option<Arc<Beside>>> {
        if let Some(known) = self.known(scan, at) {
            return Ok(Some(known));
        }
        let column = version.table(at.column.table).column(at.column.column);
        let base = at.path.first().and_then(|first| version.relationship(*first));
        let (Some(base), Some(width)) = (base, bytes_per_row(column.cardinality())) else {
            return Ok(None);
        };
        let table = version.table(base.def.from.table);
        let rows = table.rows();
        if rows < FEWEST_ROWS || !self.state().admits(scan, at, width * rows, rows * BYTES_PER_ROW)
        {
            return Ok(None);
        }
        let reader = CodeReader::over(version, at)?;
        let built = Arc::new(Beside::build(&reader, rows, &table.piece_ends()));
        self.state().keep(at, &built);
        Ok(Some(built))
    }
}

impl State {
    /// Notes that a scan wants a column; whether its codes are to be built now. Others make room
    /// that were not used since it was wanted before.
    fn admits(&mut self, scan: u64, at: &PathColumn, bytes: usize, budget: usize) -> bool {
        let fresh = Entry { last_use: 0, bytes, codes: None };
        let entry = self.beside.entry(at.clone()).or_insert(fresh);
        let before = std::mem::replace(&mut entry.last_use, scan);
        if before == 0 || before == scan || bytes > budget {
            return false;
        }
        while self.bytes + bytes > budget {
            let idle = self
                .beside
                .values_mut()
                .filter(|e| e.codes.is_some() && e.last_use < before)
                .min_by_key(|e| e.last_use);
            let Some(idle) = idle else { return false };
            idle.codes = None;
            self.bytes -= idle.bytes;
        }
        true
    }

    fn keep(&mut self, at: &PathColumn, built: &Arc<Beside>) {
        // Two scans may have built the same.
        if let Some(entry) = self.beside.get_mut(at)
            && entry.codes.is_none()
        {
            entry.codes = Some(Arc::clone(built));
            self.bytes += entry.bytes;
        }
    }
}
