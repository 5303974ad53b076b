//! Rows of one block of the base table, and where their codes lie.

use std::sync::Arc;

use super::beside::Beside;
use crate::code_map::CodeMap;
use crate::column::Column;
use crate::dictionary::Dictionary;
use crate::segment::{CodeBlock, Codes};

/// Rows looked at together. No block crosses the end of a segment.
pub(super) const BLOCK: usize = 4096;

/// Codes are unpacked one by one where at most one row in so many is wanted.
const SPARSE: usize = 16;

/// The rows of a block that passed.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) first: usize,
    /// Rows of the block, whether they passed or not.
    pub(super) n: usize,
    /// Offsets from `first` of those that passed; `None`: all.
    pub(super) picked: Option<&'a [u32]>,
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        self.picked.map_or(self.n, <[u32]>::len)
    }
}

/// Codes of base rows: of a column of the base table, or attribute codes beside it.
#[derive(Clone)]
pub(super) enum Source<'a> {
    Column(&'a Column),
    Beside(Arc<Beside>),
}

/// The codes around one row: those of its segment.
pub(super) struct Local<'s> {
    codes: LocalCodes<'s>,
    /// From these codes to those of the whole column.
    pub(super) map: &'s CodeMap,
    /// What the codes stand for, where it is known.
    pub(super) dictionary: Option<&'s Dictionary>,
}

enum LocalCodes<'s> {
    Segment { codes: &'s Codes, first_row: usize },
    Beside(&'s Beside),
}

static BLANK: Codes = Codes::Constant { code: 0, rows: usize::MAX };
static SAME: CodeMap = CodeMap::Same;

impl<'a> Source<'a> {
    /// Codes around a row of the table.
    pub(super) fn local(&self, row: usize) -> Local<'_> {
        match self {
            Self::Beside(codes) => {
                Local { codes: LocalCodes::Beside(codes), map: &SAME, dictionary: None }
            }
            Self::Column(column) => Self::of_column(column, row),
        }
    }

    pub(super) fn of_column(column: &'a Column, row: usize) -> Local<'a> {
        let piece = column.piece(row);
        match piece.and_then(|p| Some((p, p.source.column()?))) {
            Some((piece, segment)) => Local {
                codes: LocalCodes::Segment { codes: &segment.codes, first_row: piece.first_row },
                map: &piece.map,
                dictionary: Some(&segment.dictionary),
            },
            None => Local {
                codes: LocalCodes::Segment { codes: &BLANK, first_row: 0 },
                map: &SAME,
                dictionary: None,
            },
        }
    }
}

impl<'s> Local<'s> {
    /// Codes of `n` rows from `row` of the table on, all of the same segment.
    pub(super) fn with_block<R>(
        &self,
        row: usize,
        n: usize,
        see: impl FnOnce(CodeBlock<'_>) -> R,
    ) -> R {
        match self.codes {
            LocalCodes::Segment { codes, first_row } => codes.with_block(row - first_row, n, see),
            LocalCodes::Beside(beside) => see(beside.block(row, n)),
        }
    }

    /// The code every row has, where that is known.
    pub(super) fn constant(&self) -> Option<u32> {
        match self.codes {
            LocalCodes::Segment { codes: Codes::Constant { code, .. }, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether codes are wider than one byte.
    pub(super) fn is_wide(&self) -> bool {
        match self.codes {
            LocalCodes::Segment { codes, .. } => codes.cell_bytes() > 1,
            LocalCodes::Beside(beside) => beside.is_wide(),
        }
    }

    /// Smallest and largest code of some rows, or less and more; `None` where nothing is known.
    pub(super) fn zone(&self, row: usize, n: usize) -> Option<(u32, u32)> {
        match self.codes {
            LocalCodes::Segment { codes, first_row } => Some(codes.zone(row - first_row, n)),
            LocalCodes::Beside(_) => None,
        }
    }

    /// Gives what `out` has for each row to `put`, with the row's code.
    #[inline]
    pub(super) fn fill<I: IntoIterator>(
        &self,
        rows: Rows<'_>,
        out: I,
        mut put: impl FnMut(I::Item, u32),
    ) {
        #[inline]
        fn through<T: Copy + Into<u32>, O>(
            codes: &[T],
            picked: Option<&[u32]>,
            out: impl Iterator<Item = O>,
            put: &mut impl FnMut(O, u32),
        ) {
            match picked {
                None => out.zip(codes).for_each(|(o, c)| put(o, (*c).into())),
                Some(picked) => {
                    out.zip(picked).for_each(|(o, at)| put(o, codes[*at as usize].into()));
                }
            }
        }
        let mut out = out.into_iter();
        // Few rows are not worth unpacking all.
        if let (Some(picked), LocalCodes::Segment { codes, first_row }) = (rows.picked, &self.codes)
            && picked.len() * SPARSE < rows.n
        {
            let from = rows.first - first_row;
            codes.get_many(picked.iter().map(|o| from + *o as usize), |code| {
                if let Some(o) = out.next() {
                    put(o, code);
                }
            });
            return;
        }
        self.with_block(rows.first, rows.n, |block| match block {
            CodeBlock::U8(codes) => through(codes, rows.picked, out, &mut put),
            CodeBlock::U16(codes) => through(codes, rows.picked, out, &mut put),
            CodeBlock::U32(codes) => through(codes, rows.picked, out, &mut put),
            CodeBlock::Constant(code) => out.for_each(|o| put(o, code)),
        });
    }

    /// As [`Local::fill`], with the codes of the whole column.
    #[inline]
    pub(super) fn fill_mapped<I: IntoIterator>(
        &self,
        rows: Rows<'_>,
        out: I,
        mut put: impl FnMut(I::Item, u32),
    ) {
        match self.map {
            CodeMap::Same => self.fill(rows, out, put),
            CodeMap::Shift(by) => {
                self.fill(rows, out, |o, c| put(o, if c == 0 { 0 } else { c + by }));
            }
            CodeMap::Table(table) => self.fill(rows, out, |o, c| put(o, table[c as usize])),
            scaled @ CodeMap::Scale { .. } => self.fill(rows, out, |o, c| put(o, scaled.get(c))),
        }
    }
}

impl Source<'_> {
    /// Whether some row has a blank.
    pub(super) fn has_blank(&self) -> bool {
        match self {
            Self::Column(column) => column.has_blank(),
            Self::Beside(codes) => codes.has_blank,
        }
    }
}
