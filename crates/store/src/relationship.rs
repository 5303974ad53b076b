//! Relationships as indexes, computed once per version: code of the many side's key → row of the
//! one side.

use std::sync::Arc;

use evercube_base::{Error, ErrorKind, Result};

use crate::column::Column;
use crate::scan_request::{BitSet, ColumnId, each_bit};
use crate::table::TableData;

/// `from` is the many side (either side of a one-to-one relationship).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationshipDef {
    pub from: ColumnId,
    pub to: ColumnId,
    /// Limited: joined by value, neither side is unique, no blank row.
    pub many_to_many: bool,
}

/// The many side's key column, and for each of its codes the row of the one side.
#[derive(Debug)]
pub struct RelationshipIndex {
    pub def: RelationshipDef,
    key: Arc<Column>,
    row_of_code: Vec<u32>,
    blank_row: u32,
    has_orphans: bool,
}

impl RelationshipIndex {
    pub(crate) fn new(def: RelationshipDef, from: &TableData, to: &TableData) -> Result<Self> {
        let (key, one) = (from.shared_column(def.from.column), to.column(def.to.column));
        let no_row = to.rows() as u32;
        let rows = unique_rows(one)?;
        // Blank on the many side is an orphan unless the one side has a blank key.
        let row = |c| one.code_of(&key.value(c)).map_or(no_row, |code| rows[code as usize]);
        let row_of_code: Vec<u32> = (0..key.cardinality()).map(row).collect();
        let is_orphan = |c: &u32| row_of_code[*c as usize] == no_row;
        let has_orphans = key.has_blank() && is_orphan(&0)
            || (1..key.cardinality()).any(|c| is_orphan(&c))
                && key.present().iter().any(|c| is_orphan(&(c as u32)));
        Ok(Self { def, key, row_of_code, blank_row: no_row, has_orphans })
    }

    /// Row of the one side; its blank row (= number of its rows) for orphans.
    #[inline]
    pub fn target(&self, from_row: usize) -> u32 {
        if from_row < self.key.rows() {
            self.row_of_code[self.key.code(from_row) as usize]
        } else {
            self.blank_row
        }
    }

    /// The many side's key column.
    pub fn key(&self) -> &Column {
        &self.key
    }

    /// Row of the one side for each code of the key; its blank row (= number of its rows) where no
    /// row has the value.
    pub fn row_of_code(&self) -> &[u32] {
        &self.row_of_code
    }

    /// The number of the one side's blank row.
    pub(crate) fn blank_row(&self) -> u32 {
        self.blank_row
    }

    /// Calls `see` with each row of the many side and its row of the one side.
    pub fn each_target(&self, mut see: impl FnMut(usize, usize)) {
        let mut codes = vec![0; 4096];
        for first in (0..self.key.rows()).step_by(codes.len()) {
            let n = codes.len().min(self.key.rows() - first);
            self.key.read_codes(first, &mut codes[..n]);
            for (row, code) in (first..).zip(&codes[..n]) {
                see(row, self.row_of_code[*code as usize] as usize);
            }
        }
    }

    /// The rows of the one side, its blank row last, that some of these rows of the many side have;
    /// the blank row of the many side is not looked at.
    pub fn targets(&self, rows: &BitSet) -> BitSet {
        /// Codes are read one by one where so few rows of a block are asked for.
        const FEW: u32 = 64;
        let mut met = BitSet::new(self.row_of_code.len(), false);
        let mut codes = vec![0; 4096];
        for (block, words) in rows.words().chunks(codes.len() / 64).enumerate() {
            let first = block * codes.len();
            let asked: u32 = words.iter().map(|w| w.count_ones()).sum();
            if asked == 0 || first >= self.key.rows() {
                continue;
            }
            evercube_work::tick();
            let n = codes.len().min(self.key.rows() - first);
            if asked > FEW {
                self.key.read_codes(first, &mut codes[..n]);
            }
            each_bit(words).take_while(|at| *at < n).for_each(|at| {
                let code = if asked > FEW { codes[at] } else { self.key.code(first + at) };
                met.insert(code as usize);
            });
        }
        let mut targets = BitSet::new(self.blank_row as usize + 1, false);
        met.iter().for_each(|code| targets.insert(self.row_of_code[code] as usize));
        targets
    }

    pub fn has_orphans(&self) -> bool {
        self.has_orphans
    }
}

/// The row of each code of a column of unique values; the number of rows for codes without one.
fn unique_rows(one: &Column) -> Result<Vec<u32>> {
    let no_row = one.rows() as u32;
    let mut rows = vec![no_row; one.cardinality() as usize];
    let mut codes = vec![0; 1 << 14];
    for first in (0..one.rows()).step_by(codes.len()) {
        let n = codes.len().min(one.rows() - first);
        one.read_codes(first, &mut codes[..n]);
        for (i, code) in codes[..n].iter().enumerate() {
            let row = &mut rows[*code as usize];
            if *row != no_row {
                return Err(Error::new(
                    ErrorKind::Evaluation,
                    format!(
                        "the value {} occurs more than once on the one side of a relationship, which needs unique values",
                        describe(&one.value(*code))
                    ),
                ));
            }
            *row = (first + i) as u32;
        }
    }
    Ok(rows)
}

fn describe(value: &evercube_base::Value) -> String {
    use evercube_base::Value;
    match value {
        Value::Blank => "blank".into(),
        Value::Boolean(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Decimal(d) => d.to_string(),
        Value::Double(d) => d.to_string(),
        Value::DateTime(t) => t.to_string(),
        Value::String(s) => format!("'{s}'"),
    }
}
