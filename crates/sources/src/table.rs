//! Tables as lazy streams of batches; each step asks the one before only for the columns it needs.

use std::rc::Rc;
use std::sync::Arc;

use arrow_array::ArrayRef;
use evercube_base::{Error, Result};

use crate::m::eval::Interp;
use crate::m::value::{Lazy, M, MType};

pub(crate) const BATCH_ROWS: usize = 65_536;
pub(crate) type Name = Arc<str>;

/// Where the rows of a table come from.
pub(crate) trait Origin {
    /// Starts reading; batches hold just the columns at the positions `wanted`, in that order.
    fn open(&self, it: &Rc<Interp>, wanted: &[usize]) -> Result<Box<dyn Rows>>;
}

pub(crate) trait Rows {
    fn next(&mut self) -> Result<Option<Batch>>;
}

pub(crate) struct Table {
    pub names: Vec<Name>,
    pub types: Vec<Option<MType>>,
    pub origin: Rc<dyn Origin>,
}

#[derive(Clone)]
pub(crate) enum Cells {
    Arrow(ArrayRef),
    Values(Rc<Vec<M>>),
}

/// Which rows of which file were read together.
pub(crate) struct Place {
    file: Name,
    rows: FileRows,
}

enum FileRows {
    /// The line that each begins in.
    Lines(Vec<u32>),
    /// The number of the first one, from 1.
    From(u64),
}

impl Place {
    pub fn lines(file: Name, lines: Vec<u32>) -> Self {
        Self { file, rows: FileRows::Lines(lines) }
    }
    pub fn from(file: Name, first: u64) -> Self {
        Self { file, rows: FileRows::From(first) }
    }
}

/// One column of a batch: cells, and which of them count.
#[derive(Clone)]
pub(crate) struct Column {
    pub cells: Cells,
    pub chosen: Option<Rc<Vec<u32>>>,
    place: Option<Rc<Place>>,
    /// Which row of the place each cell is of; none: cell by cell.
    of_place: Option<Rc<Vec<u32>>>,
}

impl Column {
    pub fn values(v: Vec<M>) -> Self {
        Self { cells: Cells::Values(Rc::new(v)), chosen: None, place: None, of_place: None }
    }
    /// Cells as a file has them.
    pub fn read(a: ArrayRef, place: Option<Rc<Place>>) -> Self {
        Self { cells: Cells::Arrow(a), chosen: None, place, of_place: None }
    }
    /// What was made of each cell of this column.
    pub fn made(&self, v: Vec<M>) -> Self {
        let of_place = match (&self.chosen, &self.of_place) {
            (None, of_place) => of_place.clone(),
            (Some(chosen), None) => Some(Rc::clone(chosen)),
            (Some(chosen), Some(of_place)) => {
                let of = |at: &u32| of_place.get(*at as usize).copied().unwrap_or(u32::MAX);
                Some(Rc::new(chosen.iter().map(of).collect()))
            }
        };
        Self { place: self.place.clone(), of_place, ..Self::values(v) }
    }
    /// Where a row stands, for messages: `number` is that of the step, from 1.
    pub fn row_words(&self, row: usize, number: u64) -> String {
        let at = self.position(row);
        let at = self.of_place.as_ref().map_or(Some(at), |of| of.get(at).map(|p| *p as usize));
        let found = self.place.as_ref().zip(at).and_then(|(place, at)| match &place.rows {
            FileRows::Lines(lines) => {
                let line = lines.get(at)?;
                Some(format!("row {number}, line {line} of the file '{}'", place.file))
            }
            FileRows::From(first) => {
                Some(format!("row {} of the file '{}'", first + at as u64, place.file))
            }
        });
        found.unwrap_or_else(|| format!("row {number}"))
    }
    pub fn position(&self, row: usize) -> usize {
        match &self.chosen {
            Some(c) => c.get(row).map_or(usize::MAX, |p| *p as usize),
            None => row,
        }
    }
    pub fn cell(&self, row: usize) -> Result<M> {
        let at = self.position(row);
        match &self.cells {
            Cells::Values(v) => Ok(v.get(at).cloned().unwrap_or(M::Null)),
            Cells::Arrow(a) => crate::arrow_cell::cell(a.as_ref(), at),
        }
    }
    pub fn take(&self, rows: &Rc<Vec<u32>>) -> Self {
        let chosen = match &self.chosen {
            None => rows.clone(),
            Some(old) => {
                Rc::new(rows.iter().map(|r| old.get(*r as usize).copied().unwrap_or(0)).collect())
            }
        };
        Self { chosen: Some(chosen), ..self.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Batch {
    pub columns: Vec<Column>,
    pub rows: usize,
}

impl Batch {
    pub fn take(&self, rows: Vec<u32>) -> Self {
        let n = rows.len();
        let rows = Rc::new(rows);
        Self { columns: self.columns.iter().map(|c| c.take(&rows)).collect(), rows: n }
    }
    pub fn row(&self, row: usize) -> Result<Vec<M>> {
        self.columns.iter().map(|c| c.cell(row)).collect()
    }
}

impl Table {
    pub fn new(names: Vec<Name>, origin: Rc<dyn Origin>) -> Self {
        let types = vec![None; names.len()];
        Self { names, types, origin }
    }
    pub fn literal(names: Vec<Name>, rows: Vec<Vec<Lazy>>) -> Self {
        Self::new(names, Rc::new(Literal(Rc::new(rows))))
    }
    pub fn all(&self) -> Vec<usize> {
        (0..self.names.len()).collect()
    }
    pub fn position(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|n| **n == *name).ok_or_else(|| no_column(name, &self.names))
    }
    pub fn positions(&self, names: &[Name]) -> Result<Vec<usize>> {
        names.iter().map(|n| self.position(n)).collect()
    }
    /// Every row, for small tables and for printing.
    pub fn rows(&self, it: &Rc<Interp>) -> Result<Vec<Vec<M>>> {
        let mut out = Vec::new();
        let mut rows = self.origin.open(it, &self.all())?;
        while let Some(b) = rows.next()? {
            it.check_cancel()?;
            for r in 0..b.rows {
                out.push(b.row(r)?);
            }
        }
        Ok(out)
    }
    pub fn column_values(&self, it: &Rc<Interp>, name: &str) -> Result<M> {
        let at = self.position(name)?;
        let mut out = Vec::new();
        let mut rows = self.origin.open(it, &[at])?;
        while let Some(b) = rows.next()? {
            for r in 0..b.rows {
                out.extend(b.columns.first().map(|c| c.cell(r)).transpose()?);
            }
        }
        Ok(M::list(out))
    }
    pub fn record(&self, cells: Vec<M>) -> M {
        let fields = self.names.iter().cloned().zip(cells.into_iter().map(Lazy::done));
        M::Record(Rc::new(fields.collect()))
    }
    pub fn row(&self, it: &Rc<Interp>, mut at: u64) -> Result<Option<M>> {
        let mut rows = self.origin.open(it, &self.all())?;
        while let Some(b) = rows.next()? {
            if at < b.rows as u64 {
                return Ok(Some(self.record(b.row(at as usize)?)));
            }
            at -= b.rows as u64;
        }
        Ok(None)
    }
    /// The only row whose columns equal the fields of `keys`.
    pub fn find(&self, it: &Rc<Interp>, keys: &[(Name, Lazy)]) -> Result<Option<M>> {
        let names: Vec<Name> = keys.iter().map(|k| k.0.clone()).collect();
        let at = self.positions(&names)?;
        let wanted: Result<Vec<M>> = keys.iter().map(|k| k.1.force(it)).collect();
        let wanted = wanted?;
        let mut found = None;
        for row in self.rows(it)? {
            let mut same = true;
            for (i, w) in at.iter().zip(&wanted) {
                let cell = row.get(*i).unwrap_or(&M::Null);
                same &= crate::m::library::equal(it, cell, w)?;
            }
            if same && found.replace(row).is_some() {
                return Err(Error::evaluation("the key matches more than one row of the table"));
            }
        }
        Ok(found.map(|r| self.record(r)))
    }
    /// The named columns in that order; missing ones become null columns when `optional`.
    pub fn select(t: &Rc<Table>, names: &[Name], optional: bool) -> Result<Table> {
        let mut map = Vec::new();
        for n in names {
            match t.position(n) {
                Ok(i) => map.push(Some(i)),
                Err(_) if optional => map.push(None),
                Err(e) => return Err(e),
            }
        }
        let types = map.iter().map(|i| i.and_then(|i| t.types.get(i).cloned().flatten())).collect();
        let origin = Rc::new(Pick { input: t.clone(), map });
        Ok(Table { names: names.to_vec(), types, origin })
    }
}

pub(crate) fn no_column(name: &str, names: &[Name]) -> Error {
    let has: Vec<String> = names.iter().take(60).map(|n| format!("[{}]", shown(n))).collect();
    let has = if has.is_empty() { "no columns".to_owned() } else { has.join(", ") };
    Error::evaluation(format!("the column [{name}] was not found; the source has {has}"))
}

/// A text of a source as messages show it: its beginning, without characters that steer terminals.
pub(crate) fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(80).map(visible).collect()
}

struct Literal(Rc<Vec<Vec<Lazy>>>);

struct LiteralRows {
    it: Rc<Interp>,
    rows: Rc<Vec<Vec<Lazy>>>,
    wanted: Vec<usize>,
    at: usize,
}

impl Origin for Literal {
    fn open(&self, it: &Rc<Interp>, wanted: &[usize]) -> Result<Box<dyn Rows>> {
        Ok(Box::new(LiteralRows {
            it: it.clone(),
            rows: self.0.clone(),
            wanted: wanted.to_vec(),
            at: 0,
        }))
    }
}

impl Rows for LiteralRows {
    fn next(&mut self) -> Result<Option<Batch>> {
        let rows: Vec<&Vec<Lazy>> = self.rows.iter().skip(self.at).take(BATCH_ROWS).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        self.at += rows.len();
        let mut columns = Vec::new();
        for w in &self.wanted {
            let mut out = Vec::with_capacity(rows.len());
            for r in &rows {
                out.push(r.get(*w).map_or(Ok(M::Null), |v| v.force(&self.it))?);
            }
            columns.push(Column::values(out));
        }
        Ok(Some(Batch { columns, rows: rows.len() }))
    }
}

struct Pick {
    input: Rc<Table>,
    map: Vec<Option<usize>>,
}

struct PickRows {
    input: Box<dyn Rows>,
    /// For each column asked for, its place in the input's batches.
    places: Vec<Option<usize>>,
}

impl Origin for Pick {
    fn open(&self, it: &Rc<Interp>, wanted: &[usize]) -> Result<Box<dyn Rows>> {
        let mut need = Vec::new();
        let places = wanted
            .iter()
            .map(|w| {
                self.map.get(*w).copied().flatten().map(|i| {
                    need.push(i);
                    need.len() - 1
                })
            })
            .collect();
        Ok(Box::new(PickRows { input: self.input.origin.open(it, &need)?, places }))
    }
}

impl Rows for PickRows {
    fn next(&mut self) -> Result<Option<Batch>> {
        let Some(b) = self.input.next()? else { return Ok(None) };
        let null = || Column::values(vec![M::Null; b.rows]);
        let columns = self
            .places
            .iter()
            .map(|p| p.and_then(|p| b.columns.get(p).cloned()).unwrap_or_else(null))
            .collect();
        Ok(Some(Batch { columns, rows: b.rows }))
    }
}
