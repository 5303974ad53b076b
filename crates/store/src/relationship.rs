//! Relationships as indexes, computed once per version: row of the many side → row of the one side.

use std::sync::OnceLock;

use evercube_base::{Error, ErrorKind, Result};

use crate::scan_request::ColumnId;
use crate::table::TableData;

/// `from` is the many side (either side of a one-to-one relationship).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationshipDef {
    pub from: ColumnId,
    pub to: ColumnId,
    /// Limited: joined by value, neither side is unique, no blank row.
    pub many_to_many: bool,
}

#[derive(Debug)]
pub struct RelationshipIndex {
    pub def: RelationshipDef,
    targets: Vec<u32>,
    has_orphans: bool,
    /// Rows of the one side, its blank row included.
    one_side_rows: usize,
    sources: OnceLock<Sources>,
}

/// One side row → rows of the many side.
#[derive(Debug)]
pub struct Sources {
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Sources {
    /// Many-side rows of a one-side row, ascending; the blank row has the orphans.
    pub fn of(&self, one_side_row: usize) -> &[u32] {
        match (self.starts.get(one_side_row), self.starts.get(one_side_row + 1)) {
            (Some(a), Some(b)) => &self.rows[*a as usize..*b as usize],
            _ => &[],
        }
    }
}

impl RelationshipIndex {
    pub(crate) fn new(def: RelationshipDef, from: &TableData, to: &TableData) -> Result<Self> {
        let (many, one) = (from.column(def.from.column), to.column(def.to.column));
        let no_row = to.rows() as u32;
        let mut row_of_code = vec![no_row; one.cardinality() as usize];
        let mut codes = vec![0; 1 << 16];
        let mut first = 0;
        while first < to.rows() {
            let n = codes.len().min(to.rows() - first);
            one.read_codes(first, &mut codes[..n]);
            for (i, code) in codes[..n].iter().enumerate() {
                let row = &mut row_of_code[*code as usize];
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
            first += n;
        }
        // Blank on the many side is an orphan unless the one side has a blank key.
        let translate: Vec<u32> = (0..many.cardinality())
            .map(|c| one.code_of(&many.value(c)).map_or(no_row, |code| row_of_code[code as usize]))
            .collect();
        let mut targets = vec![0; from.rows()];
        many.read_codes(0, &mut targets);
        let mut has_orphans = false;
        for t in &mut targets {
            *t = translate[*t as usize];
            has_orphans |= *t == no_row;
        }
        Ok(Self {
            def,
            targets,
            has_orphans,
            one_side_rows: to.rows() + 1,
            sources: OnceLock::new(),
        })
    }

    /// Row of the one side; its blank row (= number of its rows) for orphans.
    #[inline]
    pub fn target(&self, from_row: usize) -> u32 {
        self.targets.get(from_row).copied().unwrap_or(self.one_side_rows as u32 - 1)
    }

    pub fn targets(&self) -> &[u32] {
        &self.targets
    }

    pub fn has_orphans(&self) -> bool {
        self.has_orphans
    }

    pub fn sources(&self) -> &Sources {
        self.sources.get_or_init(|| {
            let mut starts = vec![0u32; self.one_side_rows + 1];
            for t in &self.targets {
                starts[*t as usize + 1] += 1;
            }
            for i in 1..starts.len() {
                starts[i] += starts[i - 1];
            }
            let mut next = starts.clone();
            let mut rows = vec![0; self.targets.len()];
            for (row, t) in self.targets.iter().enumerate() {
                let at = &mut next[*t as usize];
                rows[*at as usize] = row as u32;
                *at += 1;
            }
            Sources { starts, rows }
        })
    }
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
