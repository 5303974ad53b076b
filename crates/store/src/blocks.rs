//! Codes of a column in blocks of 4096 rows, packed at the width each block needs; where values
//! repeat, a block keeps its runs. The bytes are those of the file. `docs/formats/segment.md`.

mod cell;
mod kernels;
mod pack;
mod plain;

use evercube_base::{Error, ErrorKind, Result};

pub(crate) use cell::Cell;
pub(crate) use kernels::SLACK;
use kernels::{GROUP, SPREAD};

use crate::bytes::Bytes;
use pack::{pack_block, width_of};

pub(crate) const BLOCK_ROWS: usize = 4096;
/// Bytes of the marks where runs begin, one bit a row.
const MARKS: usize = BLOCK_ROWS / 8;
/// Runs a block has at most; more are not worth it.
const MAX_RUNS: usize = BLOCK_ROWS / 2;
const HEAD: usize = 16;

/// How codes are packed; which way does not change what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// What is shortest.
    #[default]
    Shortest,
    /// Never as runs.
    Fixed,
    /// As runs wherever a block may be.
    Runs,
    /// At whole bytes, never as runs.
    Bytes,
}

/// What a block begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Head {
    /// Where its bytes begin.
    offset: u32,
    /// Its smallest and largest code.
    min: u32,
    max: u32,
    /// Number of runs; 0 where every row has a code of its own.
    runs: u16,
    /// Bits of a code above `min`.
    width: u8,
}

#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    rows: usize,
    /// The largest code.
    most: u32,
    heads: Vec<Head>,
    /// The blocks, and at least [`SLACK`] bytes.
    data: Bytes,
}

impl Blocks {
    pub(crate) fn pack(codes: &[u32], packing: Packing) -> Self {
        let mut heads = Vec::with_capacity(codes.len().div_ceil(BLOCK_ROWS));
        let mut data = Vec::new();
        let mut runs = Vec::new();
        for block in codes.chunks(BLOCK_ROWS) {
            heads.push(pack_block(block, packing, &mut data, &mut runs));
        }
        data.resize(data.len() + SLACK, 0);
        data.shrink_to_fit();
        Self::new(codes.len(), heads, Bytes::from(data))
    }

    fn new(rows: usize, heads: Vec<Head>, data: Bytes) -> Self {
        let most = heads.iter().map(|h| h.max).max().unwrap_or(0);
        Self { rows, most, heads, data }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The largest code, or more.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// Bytes of the blocks and their heads.
    pub(crate) fn len(&self) -> usize {
        self.heads.len() * HEAD + self.data.len() - SLACK
    }

    /// Appends the heads, then the blocks.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for h in &self.heads {
            out.extend(h.offset.to_le_bytes());
            out.extend(h.min.to_le_bytes());
            out.extend(h.max.to_le_bytes());
            out.extend(h.runs.to_le_bytes());
            out.extend([h.width, 0]);
        }
        out.extend(&self.data[..self.data.len() - SLACK]);
    }

    /// Reads what [`Blocks::write`] wrote, which at least [`SLACK`] other bytes follow in `bytes`.
    /// Every code is looked at: none is above `most`.
    pub(crate) fn read_from(bytes: &Bytes, rows: usize, most: u32) -> Result<Self> {
        let count = rows.div_ceil(BLOCK_ROWS);
        let heads = bytes.get(..count * HEAD).ok_or_else(unfit)?;
        let heads = heads.as_chunks::<HEAD>().0.iter().map(|h| {
            let four = |at: usize| u32::from_le_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]]);
            Head {
                offset: four(0),
                min: four(4),
                max: four(8),
                runs: u16::from_le_bytes([h[12], h[13]]),
                width: h[14],
            }
        });
        let heads: Vec<Head> = heads.collect();
        let data = bytes.slice(count * HEAD, bytes.len());
        let blocks = Self::new(rows, heads, data);
        blocks.check(most)?;
        Ok(blocks)
    }

    fn check(&self, most: u32) -> Result<()> {
        for (i, head) in self.heads.iter().enumerate() {
            let rows = BLOCK_ROWS.min(self.rows - i * BLOCK_ROWS);
            let width = usize::from(head.width);
            let values = if head.runs == 0 { rows } else { usize::from(head.runs) };
            let marks = if head.runs == 0 { 0 } else { MARKS };
            let end = head.offset as usize + marks + values.div_ceil(GROUP) * 8 * width;
            let fits = end + SLACK <= self.data.len()
                && width <= 32
                && width != 31
                && values <= if marks == 0 { BLOCK_ROWS } else { MAX_RUNS }
                && head.min <= head.max
                && width >= usize::from(width_of(head.max - head.min))
                && head.max <= most;
            if !fits || marks > 0 && !self.marks_fit(head, rows) {
                return Err(unfit());
            }
            let groups = values.div_ceil(GROUP);
            if kernels::highest(self.values(head), width, groups) > head.max - head.min {
                return Err(unfit());
            }
        }
        Ok(())
    }

    /// Whether the runs of a block begin with its first row and are as many as it says.
    fn marks_fit(&self, head: &Head, rows: usize) -> bool {
        let marks = self.marks(head);
        let begun: u32 = marks.iter().map(|m| u64::from_le_bytes(*m).count_ones()).sum();
        let beyond = (rows..BLOCK_ROWS).any(|r| marks[r / 64][r % 64 / 8] >> (r % 8) & 1 == 1);
        begun == u32::from(head.runs) && marks[0][0] & 1 == 1 && !beyond
    }

    fn marks(&self, head: &Head) -> &[[u8; 8]] {
        self.data[head.offset as usize..][..MARKS].as_chunks().0
    }

    fn values(&self, head: &Head) -> &[u8] {
        let marks = if head.runs == 0 { 0 } else { MARKS };
        &self.data[head.offset as usize + marks..]
    }

    /// Smallest and largest code of some rows, or less and more.
    pub(crate) fn zone(&self, first: usize, rows: usize) -> (u32, u32) {
        let last = (first + rows).div_ceil(BLOCK_ROWS).min(self.heads.len());
        let heads = &self.heads[(first / BLOCK_ROWS).min(last)..last];
        let min = heads.iter().map(|h| h.min).min().unwrap_or(0);
        (min, heads.iter().map(|h| h.max).max().unwrap_or(0))
    }

    pub(crate) fn get(&self, row: usize) -> u32 {
        let head = &self.heads[row / BLOCK_ROWS];
        let row = row % BLOCK_ROWS;
        let at = if head.runs == 0 { row } else { begun(self.marks(head), 0, row + 1) - 1 };
        head.min.wrapping_add(plain::get(self.values(head), head.width.into(), at))
    }

    /// Codes of rows in ascending order, each given to `each`.
    pub(crate) fn get_many(&self, rows: impl Iterator<Item = usize>, mut each: impl FnMut(u32)) {
        // The block looked at, and the runs begun in it before a row.
        let (mut block, mut known, mut runs) = (usize::MAX, 0, 0);
        for row in rows {
            let head = &self.heads[row / BLOCK_ROWS];
            let within = row % BLOCK_ROWS;
            let at = if head.runs == 0 {
                within
            } else {
                if block != row / BLOCK_ROWS {
                    (block, known, runs) = (row / BLOCK_ROWS, 0, 0);
                }
                runs += begun(self.marks(head), known, within + 1);
                known = within + 1;
                runs - 1
            };
            each(head.min.wrapping_add(plain::get(self.values(head), head.width.into(), at)));
        }
    }

    /// Codes of rows from `first` on; those above 0 are raised by `by`. A cell holds every result.
    pub(crate) fn read<T: Cell>(&self, first: usize, by: u32, out: &mut [T]) {
        let (mut row, mut rest) = (first, out);
        while !rest.is_empty() {
            let head = &self.heads[row / BLOCK_ROWS];
            let n = (BLOCK_ROWS - row % BLOCK_ROWS).min(rest.len());
            let (here, later) = rest.split_at_mut(n);
            if head.min > 0 || by == 0 {
                self.read_block(head, row % BLOCK_ROWS, by, here);
            } else {
                self.read_block(head, row % BLOCK_ROWS, 0, here);
                for o in here.iter_mut().filter(|o| o.code() != 0) {
                    *o = T::of(o.code() + by);
                }
            }
            (row, rest) = (row + n, later);
        }
    }

    fn read_block<T: Cell>(&self, head: &Head, from: usize, by: u32, out: &mut [T]) {
        let base = head.min.wrapping_add(by);
        let width = usize::from(head.width);
        let values = self.values(head);
        if width == 0 {
            out.fill(T::of(base));
        } else if head.runs == 0 {
            by_groups(from, out, |group, out| {
                kernels::unpack(&values[group * 8 * width..], width, base, out);
            });
        } else {
            let mut runs = [T::of(0); MAX_RUNS + GROUP];
            let n = usize::from(head.runs).next_multiple_of(GROUP);
            kernels::unpack(values, width, base, &mut runs[..n]);
            let runs = &runs[..n + SPREAD];
            let marks = self.marks(head);
            by_groups(from, out, |group, out| {
                let before = begun(marks, 0, group * GROUP);
                let marks = &marks[group..group + out.len() / GROUP];
                kernels::spread(marks, before, runs, out);
            });
        }
    }
}

/// Fills `out` from row `from` of a block on by a decoder of whole groups.
fn by_groups<T: Cell>(from: usize, out: &mut [T], decode: impl Fn(usize, &mut [T])) {
    let mut some = [T::of(0); GROUP];
    let lead = (from.next_multiple_of(GROUP) - from).min(out.len());
    let (head, rest) = out.split_at_mut(lead);
    if lead > 0 {
        decode(from / GROUP, &mut some);
        head.copy_from_slice(&some[from % GROUP..][..lead]);
    }
    let group = (from + lead) / GROUP;
    let (whole, tail) = rest.split_at_mut(rest.len() / GROUP * GROUP);
    if !whole.is_empty() {
        decode(group, whole);
    }
    if !tail.is_empty() {
        decode(group + whole.len() / GROUP, &mut some);
        tail.copy_from_slice(&some[..tail.len()]);
    }
}

/// How many runs begin in the rows `from..to` of a block.
fn begun(marks: &[[u8; 8]], from: usize, to: usize) -> usize {
    let mut count = 0;
    for (i, mark) in marks.iter().enumerate().take(to.div_ceil(64)).skip(from / 64) {
        let mut mark = u64::from_le_bytes(*mark);
        if i == from / 64 {
            mark &= u64::MAX << (from % 64);
        }
        if i == to / 64 {
            mark &= (1 << (to % 64)) - 1;
        }
        count += mark.count_ones() as usize;
    }
    count
}

fn unfit() -> Error {
    Error::new(ErrorKind::Corrupt, "the segment is damaged: a column's codes do not fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes with blanks, runs, narrow and wide blocks, and a block that is not full.
    fn samples() -> Vec<Vec<u32>> {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32
        };
        let mut all: Vec<Vec<u32>> = Vec::new();
        for bits in [1, 2, 5, 8, 9, 15, 16, 17, 24, 30, 31, 32] {
            let mask = (u64::MAX >> (64 - bits)) as u32;
            for (rows, repeats) in [(BLOCK_ROWS * 2 + 77, 1), (BLOCK_ROWS + 1, 4), (63, 9)] {
                let mut codes = Vec::new();
                while codes.len() < rows {
                    let code = (next() << 1 | next() & 1) & mask;
                    codes.extend(std::iter::repeat_n(code, 1 + next() as usize % repeats));
                }
                codes.truncate(rows);
                all.push(codes);
            }
        }
        all.push((0..10_000).map(|r| 1_000_000 + r / 3).collect());
        all.push(vec![0; 5000]);
        all
    }

    #[test]
    fn blocks_give_back_what_was_packed_however_it_is_read() {
        for codes in samples() {
            for packing in [Packing::Shortest, Packing::Fixed, Packing::Runs, Packing::Bytes] {
                let blocks = Blocks::pack(&codes, packing);
                let mut bytes = Vec::new();
                blocks.write(&mut bytes);
                assert_eq!(bytes.len(), blocks.len());
                bytes.extend([1; SLACK]);
                let most = codes.iter().max().copied().unwrap_or(0);
                let bytes = Bytes::from(bytes);
                let blocks = Blocks::read_from(&bytes, codes.len(), most).unwrap();
                assert!(most == 0 || Blocks::read_from(&bytes, codes.len(), most - 1).is_err());
                let mut out = vec![9u32; codes.len()];
                blocks.read(0, 0, &mut out);
                assert_eq!(out, codes, "{packing:?}");
                for (first, n) in [(1, 5), (60, 200), (codes.len() / 2, 30), (codes.len() - 1, 1)] {
                    let n = n.min(codes.len() - first.min(codes.len() - 1));
                    let first = first.min(codes.len() - n);
                    blocks.read(first, 0, &mut out[..n]);
                    assert_eq!(out[..n], codes[first..first + n], "{packing:?} {first} {n}");
                    let zone = blocks.zone(first, n);
                    assert!(codes[first..first + n].iter().all(|c| (zone.0..=zone.1).contains(c)));
                }
                let some: Vec<usize> = (0..codes.len()).step_by(7).collect();
                let mut got = Vec::new();
                blocks.get_many(some.iter().copied(), |c| got.push(c));
                let one_by_one: Vec<u32> = some.iter().map(|r| blocks.get(*r)).collect();
                let expected: Vec<u32> = some.iter().map(|r| codes[*r]).collect();
                assert_eq!((&got, &one_by_one), (&expected, &expected), "{packing:?}");
            }
        }
    }

    #[test]
    fn narrow_cells_and_raised_codes() {
        let codes: Vec<u32> =
            (0..9000).map(|r| if r > 5000 { r % 200 + 1 } else { r % 3 }).collect();
        for packing in [Packing::Fixed, Packing::Runs] {
            let blocks = Blocks::pack(&codes, packing);
            let mut out = vec![0u8; 9000];
            blocks.read(0, 50, &mut out);
            let raised = codes.iter().map(|c| if *c == 0 { 0 } else { *c as u8 + 50 });
            assert_eq!(out, raised.collect::<Vec<u8>>());
        }
    }

    #[test]
    fn damaged_blocks_are_refused() {
        let codes: Vec<u32> = (0..9000).map(|r| r / 5 % 900).collect();
        let blocks = Blocks::pack(&codes, Packing::Shortest);
        let mut bytes = Vec::new();
        blocks.write(&mut bytes);
        bytes.extend([0; SLACK]);
        for at in 0..3 * HEAD {
            let mut bad = bytes.clone();
            bad[at] ^= 0x55;
            // Refused or harmless: only bits without a meaning may change nothing.
            if let Ok(read) = Blocks::read_from(&Bytes::from(bad), 9000, 900) {
                let mut out = vec![0u32; 9000];
                read.read(0, 0, &mut out);
                assert!(out.iter().all(|c| *c <= 900));
            }
        }
        assert!(Blocks::read_from(&Bytes::from(vec![0; 40]), 9000, 900).is_err());
    }
}
