//! Conditions that compare a column of the row with what is the same for all rows of a cell, as
//! `'Date'[Date] <= MAX ( 'Date'[Date] )`: the values of the column are put in order once, and each
//! cell looks up between which of them its rows lie, instead of comparing every row. Where the codes
//! of a column are in the order of its values they are the places, and a single cell is worth it, too.
//! Beside such comparisons there may be conditions on the row alone, which are tested once.

use std::cmp::Ordering;
use std::ops::Range;

use evercube_base::{Result, Value};
use evercube_dax::ast::BinaryOperator;
use evercube_store::Column;
use evercube_work::{map_blocks, tick, watched};
use hashbrown::HashMap;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::logic::conjuncts;
use super::rows::{CellTable, RowColumn, Rows};
use crate::plan::{Kind, Node, Uses};
use crate::rules::Rule;
use crate::scalar as rules;

/// Codes to a row at most where codes are places for many cells.
const SPREAD: usize = 4;

/// One comparison: the place of each row in the order of its column, and what each cell lets
/// through.
pub(super) struct Part {
    pub(super) places: Vec<u32>,
    pub(super) ranges: Vec<Range<u32>>,
    /// Where places are codes: whether blank, code 0, passes in each cell.
    pub(super) blanks: Option<Vec<bool>>,
}

impl Part {
    pub(super) fn passes(&self, cell: usize, row: usize) -> bool {
        match (&self.blanks, self.places[row]) {
            (Some(blanks), 0) => blanks[cell],
            (_, place) => self.ranges[cell].contains(&place),
        }
    }

    /// How many of all rows each cell lets through: those up to the end of its range without those
    /// before its start.
    fn counts_of_all(&self) -> Vec<i64> {
        let places = self.places.iter().max().map_or(0, |last| *last as usize + 1);
        let mut before = vec![0_i64; places + 1];
        watched(&self.places).for_each(|place| before[*place as usize + 1] += 1);
        (0..places).for_each(|place| before[place + 1] += before[place]);
        let until = |place: u32| before[(place as usize).min(places)];
        let count = |r: &Range<u32>| (until(r.end) - until(r.start)).max(0);
        let blank = |cell: usize| self.blanks.as_ref().is_some_and(|blanks| blanks[cell]);
        let blanks = |cell| if blank(cell) { until(1) } else { 0 };
        self.ranges.iter().enumerate().map(|(cell, r)| count(r) + blanks(cell)).collect()
    }
}

impl Evaluator<'_> {
    /// The rows of each cell that meet a condition of such comparisons alone; `None` where it is
    /// none, or where it fails: whoever goes row by row says why.
    pub(super) fn filter_in_order(
        &self,
        cells: &Cells,
        table: &CellTable,
        condition: &Node,
    ) -> Result<Option<CellTable>> {
        let Some(parts) = self.parts_in_order(cells, table, condition)? else { return Ok(None) };
        let (mut kept, mut of) = (Vec::new(), Vec::new());
        for cell in watched(0..cells.n) {
            let rows = watched(table.range(cell)).filter(|row| passes(&parts, cell, *row));
            kept.extend(rows.map(|row| row as u32));
            of.resize(kept.len(), cell as u32);
            self.check_size(kept.len())?;
        }
        Ok(Some(CellTable::from_cells(&table.rows.take(&kept), &of, cells.n)))
    }

    /// How many rows of each cell those are.
    pub(super) fn count_in_order(
        &self,
        cells: &Cells,
        table: &CellTable,
        condition: &Node,
    ) -> Result<Option<Vec<i64>>> {
        let Some(parts) = self.parts_in_order(cells, table, condition)? else { return Ok(None) };
        if let ([part], None) = (parts.as_slice(), &table.starts)
            && cells.n > 1
        {
            return Ok(Some(part.counts_of_all()));
        }
        let count = |cell| {
            watched(table.range(cell)).filter(|row| passes(&parts, cell, *row)).count() as i64
        };
        Ok(Some(watched(0..cells.n).map(count).collect()))
    }

    fn parts_in_order(
        &self,
        cells: &Cells,
        table: &CellTable,
        condition: &Node,
    ) -> Result<Option<Vec<Part>>> {
        if !self.has(Rule::OrderedFilter) || cells.n == 0 || table.rows.len < 2 {
            return Ok(None);
        }
        let mut conditions = Vec::new();
        conjuncts(condition, &mut conditions);
        let mut parts = Vec::new();
        for condition in conditions {
            let part = match self.compared_in_order(cells, &table.rows, condition) {
                Ok(None) => self.tested_once(cells, &table.rows, condition),
                known => known,
            };
            match part {
                Ok(Some(part)) => parts.push(part),
                Err(e) if e.kind.is_stop() => return Err(e),
                _ => return Ok(None),
            }
        }
        Ok(Some(parts))
    }

    /// A condition that looks at the row alone lets the same rows through in every cell.
    fn tested_once(&self, cells: &Cells, rows: &Rows, condition: &Node) -> Result<Option<Part>> {
        /// More are not held at once.
        const MOST_ROWS: usize = 1 << 22;
        let uses = condition.uses;
        let is_of_row = uses.frame >= cells.frames.len()
            && !uses.filter_context
            && !uses.volatile
            && uses.slot == Uses::NONE;
        if !is_of_row || cells.n < 2 || rows.len > MOST_ROWS {
            return Ok(None);
        }
        let (inner, _) = cells.select(&[0]).iterate(&CellTable::shared(rows.clone()));
        let tests = self.scalars(&inner, condition)?;
        let place = |row| rules::to_bool(tests.get(row), &self.culture).map(u32::from);
        let places = watched(0..rows.len).map(place).collect::<Result<_>>()?;
        Ok(Some(Part { places, ranges: vec![1..2; cells.n], blanks: None }))
    }

    pub(super) fn compared_in_order(
        &self,
        cells: &Cells,
        rows: &Rows,
        condition: &Node,
    ) -> Result<Option<Part>> {
        let Kind::Binary { operator, left, right } = &condition.kind else { return Ok(None) };
        let frame = cells.frames.len();
        let Some((column, operator, bound)) = sides(*operator, left, right, frame) else {
            return Ok(None);
        };
        let (RowColumn::Codes { column: id, .. } | RowColumn::Own(id)) = rows.columns[column]
        else {
            return Ok(None);
        };
        let of = self.store.table(id.table).column(id.column);
        let code = |row| rows.code(self.store, column, id, row).unwrap_or_default();
        let codes = || watched(0..rows.len).map(code).collect::<Vec<u32>>();
        // Any row will do: the bound does not look at it, but its own row contexts come after it.
        let bounds = || {
            let (inner, _) = cells.iterate(&CellTable::shared(rows.take(&[0])));
            self.scalars(&inner, bound)
        };
        // Codes that are far apart are no places to count at.
        let is_dense = of.cardinality() as usize / SPREAD <= rows.len;
        if of.is_in_order() && of.cardinality() > 1 && (cells.n == 1 || is_dense) {
            let bounds = bounds()?;
            let places = (1..of.cardinality(), |code| of.value(code));
            let ranges = self.ranges(places, operator, &bounds, cells.n)?;
            let blanks = self.blanks(operator, &bounds, cells.n)?;
            return Ok(Some(Part { places: codes(), ranges, blanks: Some(blanks) }));
        }
        if cells.n < 2 {
            return Ok(None);
        }
        let codes = codes();
        let Some(order) = self.in_order(of, &codes) else { return Ok(None) };
        let place_of: HashMap<u32, u32> = watched(order.iter().copied()).zip(0..).collect();
        let in_order = (0..order.len() as u32, |place: u32| of.value(order[place as usize]));
        let ranges = self.ranges(in_order, operator, &bounds()?, cells.n)?;
        let places = map_blocks(&codes, |code| place_of[code]);
        Ok(Some(Part { places, ranges, blanks: None }))
    }

    /// Whether the comparison with its bound lets blank through, for each cell.
    pub(super) fn blanks(
        &self,
        operator: BinaryOperator,
        bounds: &Scalars,
        n: usize,
    ) -> Result<Vec<bool>> {
        let passes = |cell| {
            let (blank, bound) = (&Value::Blank, bounds.get(cell));
            let found = rules::binary(operator, blank, bound, &self.collation, &self.culture)?;
            rules::to_bool(&found, &self.culture)
        };
        watched(0..n).map(passes).collect()
    }

    /// The different codes by their values; `None` where these do not compare.
    fn in_order(&self, of: &Column, codes: &[u32]) -> Option<Vec<u32>> {
        let mut order = codes.to_vec();
        order.sort_unstable();
        order.dedup();
        let mut failed = false;
        order.sort_by(|a, b| {
            tick();
            rules::compare(&of.value(*a), &of.value(*b), &self.collation).unwrap_or_else(|_| {
                failed = true;
                Ordering::Equal
            })
        });
        (!failed).then_some(order)
    }

    /// For each cell the places in the order that the comparison with its bound lets through.
    /// `value`: that of a place.
    pub(super) fn ranges(
        &self,
        (places, value): (Range<u32>, impl Fn(u32) -> Value),
        operator: BinaryOperator,
        bounds: &Scalars,
        n: usize,
    ) -> Result<Vec<Range<u32>>> {
        let range = |cell: usize| {
            let bound = bounds.get(cell);
            let order = |place| rules::compare(&value(place), bound, &self.collation);
            // All compare or none does: they are of one type.
            order(places.start)?;
            let compared = |place| order(place).unwrap_or(Ordering::Equal);
            let below = first_not(places.clone(), |place| compared(place).is_lt());
            let up_to = first_not(places.clone(), |place| compared(place).is_le());
            Ok(match operator {
                BinaryOperator::Less => places.start..below,
                BinaryOperator::LessEqual => places.start..up_to,
                BinaryOperator::Greater => up_to..places.end,
                BinaryOperator::GreaterEqual => below..places.end,
                _ => below..up_to,
            })
        };
        watched(0..n).map(range).collect()
    }
}

fn passes(parts: &[Part], cell: usize, row: usize) -> bool {
    parts.iter().all(|p| p.passes(cell, row))
}

/// The first of `places` for which something that holds up to some place does not hold; their end
/// where it holds for all.
fn first_not(places: Range<u32>, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (places.start, places.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The column of the row, the operator as seen from it, and what it is compared with.
pub(super) fn sides<'n>(
    operator: BinaryOperator,
    left: &'n Node,
    right: &'n Node,
    frame: usize,
) -> Option<(usize, BinaryOperator, &'n Node)> {
    let column = |n: &Node| match n.kind {
        Kind::RowColumn { frame: f, column } if f == frame => Some(column),
        _ => None,
    };
    let turned = turned(operator)?;
    let (column, operator, bound) = match (column(left), column(right)) {
        (Some(c), None) => (c, operator, right),
        (None, Some(c)) => (c, turned, left),
        _ => return None,
    };
    is_outside(bound, frame).then_some((column, operator, bound))
}

/// A comparison as seen from its other side; `None` where what it lets through is no range.
pub(super) fn turned(operator: BinaryOperator) -> Option<BinaryOperator> {
    use BinaryOperator as B;
    Some(match operator {
        B::Less => B::Greater,
        B::LessEqual => B::GreaterEqual,
        B::Greater => B::Less,
        B::GreaterEqual => B::LessEqual,
        B::Equal => B::Equal,
        _ => return None,
    })
}

/// Whether an expression does not look at the row of this frame.
pub(super) fn is_outside(node: &Node, frame: usize) -> bool {
    if node.uses.volatile {
        return false;
    }
    if node.uses.frame == Uses::NONE {
        return true;
    }
    match &node.kind {
        // Defined outside of the condition: those inside of it are in a `Let`.
        Kind::Variable(_) => true,
        Kind::RowColumn { frame: f, .. } | Kind::Related { frame: f, .. } => *f < frame,
        Kind::Binary { left, right, .. } => is_outside(left, frame) && is_outside(right, frame),
        Kind::Negate(inner) => is_outside(inner, frame),
        Kind::Scalar { arguments, .. } => arguments.iter().all(|a| is_outside(a, frame)),
        _ => false,
    }
}
