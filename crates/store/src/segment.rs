//! A segment in memory: an immutable run of rows, column by column, each column coded.
//!
//! Code 0 of every column is blank. Other codes are either positions in the segment's own
//! dictionary (code 1 is its first value) or offsets from a smallest value.

use evercube_base::DataType;

use crate::blocks::{BLOCK_ROWS, Blocks, Cell, Packing};
use crate::code_map::CodeMap;
use crate::dictionary::Dictionary;

/// The codes of a column's rows.
#[derive(Debug, Clone)]
pub(crate) enum Codes {
    /// Every row has this code.
    Constant {
        code: u32,
        rows: usize,
    },
    Blocks(Blocks),
}

/// Codes of neighbouring rows, as narrow as the segment's codes allow.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CodeBlock<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    /// Every row has this code.
    Constant(u32),
}

impl Codes {
    pub(crate) fn pack(codes: &[u32], packing: Packing) -> Self {
        match codes.first() {
            Some(first) if codes.iter().all(|c| c == first) => {
                Self::Constant { code: *first, rows: codes.len() }
            }
            None => Self::Constant { code: 0, rows: 0 },
            Some(_) => Self::Blocks(Blocks::pack(codes, packing)),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Constant { rows, .. } => *rows,
            Self::Blocks(b) => b.rows(),
        }
    }

    /// Bytes of the codes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Constant { .. } => 0,
            Self::Blocks(b) => b.len(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> u32 {
        match self {
            Self::Constant { code, .. } => *code,
            Self::Blocks(b) => b.get(row),
        }
    }

    /// Smallest and largest code of some rows, or less and more.
    pub(crate) fn zone(&self, first: usize, rows: usize) -> (u32, u32) {
        match self {
            Self::Constant { code, .. } => (*code, *code),
            Self::Blocks(b) => b.zone(first, rows),
        }
    }

    /// The segment's codes of up to [`BLOCK_ROWS`] rows from `first` on, as `see` gets them.
    pub(crate) fn with_block<R>(
        &self,
        first: usize,
        n: usize,
        see: impl FnOnce(CodeBlock<'_>) -> R,
    ) -> R {
        match self {
            Self::Constant { code, .. } => see(CodeBlock::Constant(*code)),
            Self::Blocks(b) if self.cell_bytes() == 1 => {
                let mut codes = [0; BLOCK_ROWS];
                b.read(first, 0, &mut codes[..n]);
                see(CodeBlock::U8(&codes[..n]))
            }
            Self::Blocks(b) if self.cell_bytes() == 2 => {
                let mut codes = [0; BLOCK_ROWS];
                b.read(first, 0, &mut codes[..n]);
                see(CodeBlock::U16(&codes[..n]))
            }
            Self::Blocks(b) => {
                let mut codes = [0; BLOCK_ROWS];
                b.read(first, 0, &mut codes[..n]);
                see(CodeBlock::U32(&codes[..n]))
            }
        }
    }

    /// Codes of rows in ascending order, each given to `see`.
    pub(crate) fn get_many(&self, rows: impl Iterator<Item = usize>, mut see: impl FnMut(u32)) {
        match self {
            Self::Constant { code, .. } => rows.for_each(|_| see(*code)),
            Self::Blocks(b) => b.get_many(rows, see),
        }
    }

    /// Bytes the codes of a block take.
    pub(crate) fn cell_bytes(&self) -> usize {
        match self {
            Self::Constant { .. } => 0,
            Self::Blocks(b) if b.most() <= u8::MAX.into() => 1,
            Self::Blocks(b) if b.most() <= u16::MAX.into() => 2,
            Self::Blocks(_) => 4,
        }
    }

    /// Codes of rows from `first` on, mapped. A cell holds every code of the column.
    pub(crate) fn read<T: Cell>(&self, first: usize, map: &CodeMap, out: &mut [T]) {
        match (self, map.shift()) {
            (Self::Constant { code, .. }, _) => out.fill(T::of(map.get(*code))),
            (Self::Blocks(b), Some(by)) => b.read(first, by, out),
            (Self::Blocks(b), None) => {
                b.read(first, 0, out);
                map.apply(out);
            }
        }
    }
}

/// One column of a segment.
#[derive(Debug, Clone)]
pub struct SegmentColumn {
    pub data_type: DataType,
    pub dictionary: Dictionary,
    pub(crate) codes: Codes,
}

#[derive(Debug, Clone, Default)]
pub struct Segment {
    pub rows: usize,
    pub columns: Vec<SegmentColumn>,
}

impl Segment {
    /// Other rows, each with the values of one that there is.
    pub(crate) fn with_rows(self, rows: &[u32]) -> Self {
        let expanded = |column: SegmentColumn| {
            let of_rows: Vec<u32> = (0..self.rows).map(|row| column.codes.get(row)).collect();
            let codes = evercube_work::map_blocks(rows, |row| of_rows[*row as usize]);
            SegmentColumn { codes: Codes::pack(&codes, Packing::default()), ..column }
        };
        Self { rows: rows.len(), columns: self.columns.into_iter().map(expanded).collect() }
    }
}
