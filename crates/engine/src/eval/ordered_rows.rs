//! Rows that are the same for many cells, compared by what is asked of each of them, as in
//! `FILTER ( ALLSELECTED ( Customer[Name] ), [Sales] >= mine )`: what is asked is worked out once for
//! the rows, not once for every pair of a cell and a row, and put in order; each cell looks up
//! which places it lets through. Where cells differ in what they ask, as by year, there is an order
//! for each of the contexts that differ.

use std::ops::Range;

use evercube_base::{Result, Value};
use evercube_dax::ast::BinaryOperator;
use evercube_work::{tick, watched};

use super::Evaluator;
use super::alike::differing;
use super::cells::{Cells, Scalars};
use super::logic::conjuncts;
use super::ordered_filter::{Part, is_outside, turned};
use super::rows::{CellTable, Rows};
use super::same_rows::is_of_row;
use crate::plan::{Kind, Node, Uses};
use crate::rules::Rule;
use crate::scalar as rules;

/// Fewer cells ask the ordinary way.
const WORTH_IT: usize = 4;
/// More rows are not held at once.
const MOST_ROWS: usize = 1 << 22;

/// A condition on rows.
enum Condition<'n> {
    /// What is asked of the row, compared with what does not look at it.
    Compared { side: &'n Node, operator: BinaryOperator, bound: &'n Node, whole: &'n Node },
    /// A condition on the row alone.
    Test(&'n Node),
}

/// Rows, and which of them each cell lets through.
pub(super) struct OrderedRows {
    /// Cells that stand for others, and for each cell which one does.
    pub some: Cells,
    pub place: Vec<u32>,
    /// The rows of these cells.
    pub table: CellTable,
    pub parts: Vec<Part>,
}

impl OrderedRows {
    /// The rows that a cell lets through.
    pub(super) fn passing(&self, cell: usize) -> impl Iterator<Item = usize> {
        let of_cell = self.table.range(self.place[cell] as usize);
        of_cell.filter(move |row| self.parts.iter().all(|p| p.passes(cell, *row)))
    }
}

impl Evaluator<'_> {
    /// The rows of a table compared in order, with everything in `bodies` the same of a row for
    /// all cells that one stands for; `None` where the condition is another one, where every cell
    /// may differ, or where it fails: whoever goes row by row says why.
    pub(super) fn ordered_rows(
        &self,
        cells: &Cells,
        table: &Node,
        condition: &Node,
        bodies: &[&Node],
    ) -> Result<Option<OrderedRows>> {
        let is_long = match table.kind {
            Kind::ModelTable { table, .. } => self.store.table(table).rows() > MOST_ROWS,
            _ => false,
        };
        let is_plain = !table.uses.volatile && table.uses.frame == Uses::NONE && !is_long;
        if !self.has(Rule::OrderedFilter) || cells.n < WORTH_IT || !is_plain {
            return Ok(None);
        }
        let mut conditions = Vec::new();
        if !conditions_of(condition, cells.frames.len(), &mut conditions) {
            return Ok(None);
        }
        match self.put_in_order(cells, table, &conditions, bodies) {
            Err(e) if !e.kind.is_stop() => Ok(None),
            found => found,
        }
    }

    fn put_in_order(
        &self,
        cells: &Cells,
        table: &Node,
        conditions: &[Condition<'_>],
        bodies: &[&Node],
    ) -> Result<Option<OrderedRows>> {
        let asked = conditions.iter().map(|c| match c {
            Condition::Compared { side, .. } => *side,
            Condition::Test(test) => *test,
        });
        let asked: Vec<&Node> = asked.chain(bodies.iter().copied()).collect();
        let Some(mut telling) = self.telling_in_rows(cells, table, &asked) else {
            return Ok(None);
        };
        // Rows around the iteration become filters where a row is asked.
        if cells.transitioned < cells.frames.len() {
            let outside = self.transition(cells)?;
            let Some(more) = self.telling_in_rows(&outside, table, &asked) else {
                return Ok(None);
            };
            telling.extend(more);
        }
        let Some((first, place)) = differing(cells.n, &telling) else { return Ok(None) };
        let some = cells.select(&first);
        let found = self.table(&some, table)?;
        let rows: usize = (0..some.n).map(|cell| found.range(cell).len()).sum();
        if !(2..=MOST_ROWS).contains(&rows) {
            return Ok(None);
        }
        self.check_size(rows)?;
        let table = found.with_rows_of_its_own(some.n);
        let mut parts = Vec::new();
        for condition in conditions {
            let part = match condition {
                Condition::Compared { side, operator, bound, whole } => match side.kind {
                    Kind::RowColumn { .. } => self.compared_in_order(cells, &table.rows, whole)?,
                    _ => self.compared_by_values(cells, (&some, &table), side, *operator, bound)?,
                },
                Condition::Test(test) => Some(self.tested(cells.n, (&some, &table), test)?),
            };
            let Some(part) = part else { return Ok(None) };
            parts.push(part);
        }
        Ok(Some(OrderedRows { some, place, table, parts }))
    }

    fn tested(&self, n: usize, (some, table): (&Cells, &CellTable), test: &Node) -> Result<Part> {
        let (inner, _) = some.iterate(table);
        let found = self.scalars(&inner, test)?;
        let place = |row| rules::to_bool(found.get(row), &self.culture).map(u32::from);
        let places = watched(0..table.rows.len).map(place).collect::<Result<_>>()?;
        Ok(Part { places, ranges: vec![1..2; n], blanks: None })
    }

    /// The places of rows in the order of an expression's values, and those each cell lets through.
    fn compared_by_values(
        &self,
        cells: &Cells,
        (some, table): (&Cells, &CellTable),
        side: &Node,
        operator: BinaryOperator,
        bound: &Node,
    ) -> Result<Option<Part>> {
        let (inner, _) = some.iterate(table);
        let values = self.scalars(&inner, side)?;
        let Some((places, in_order)) = self.places(&values, table.rows.len)? else {
            return Ok(None);
        };
        let bounds = self.bounds(cells, &table.rows, bound)?;
        let of_places = (0..in_order.len() as u32, |place: u32| in_order[place as usize].clone());
        let ranges = self.ranges(of_places, operator, &bounds, cells.n)?;
        Ok(Some(Part { places, ranges, blanks: None }))
    }

    /// What rows are compared with. Any row will do: it does not look at it, but its own row
    /// contexts come after it.
    fn bounds(&self, cells: &Cells, rows: &Rows, bound: &Node) -> Result<Scalars> {
        let (inner, _) = cells.iterate(&CellTable::shared(rows.take(&[0])));
        self.scalars(&inner, bound)
    }

    /// The place of each value in their order, those that are equal at the same one, and the value
    /// of each place; `None` where they are not all of one type.
    pub(super) fn places(
        &self,
        values: &Scalars,
        n: usize,
    ) -> Result<Option<(Vec<u32>, Vec<Value>)>> {
        let kind = |v: &Value| std::mem::discriminant(v);
        let mut filled = watched(0..n).map(|i| values.get(i)).filter(|v| !v.is_blank());
        let of_first = filled.next().map(kind);
        if !filled.all(|v| Some(kind(v)) == of_first) {
            return Ok(None);
        }
        let order = |a: &Value, b: &Value| {
            tick();
            rules::compare(a, b, &self.collation).unwrap_or(std::cmp::Ordering::Equal)
        };
        let mut rows: Vec<u32> = (0..n as u32).collect();
        rows.sort_by(|a, b| order(values.get(*a as usize), values.get(*b as usize)));
        let (mut places, mut in_order) = (vec![0; n], Vec::<Value>::new());
        for row in watched(rows) {
            let value = values.get(row as usize);
            if in_order.last().is_none_or(|last| order(last, value).is_ne()) {
                in_order.push(value.clone());
            }
            places[row as usize] = in_order.len() as u32 - 1;
        }
        Ok(Some((places, in_order)))
    }

    /// The rows of each cell of a table whose rows are compared by more than their columns; `None`
    /// where it is another one.
    pub(super) fn filtered_in_order(
        &self,
        cells: &Cells,
        table: &Node,
        condition: &Node,
    ) -> Result<Option<CellTable>> {
        if !compares_values(condition, cells.frames.len()) {
            return Ok(None);
        }
        let Some(found) = self.ordered_rows(cells, table, condition, &[])? else { return Ok(None) };
        self.passing_rows(cells.n, &found).map(Some)
    }

    /// The rows that each cell lets through.
    pub(super) fn passing_rows(&self, n: usize, found: &OrderedRows) -> Result<CellTable> {
        let (mut kept, mut of) = (Vec::new(), Vec::new());
        for cell in 0..n {
            tick();
            kept.extend(found.passing(cell).map(|row| row as u32));
            of.resize(kept.len(), cell as u32);
            self.check_size(kept.len())?;
        }
        Ok(CellTable::from_cells(&found.table.rows.take(&kept), &of, n))
    }
}

/// Whether a condition compares more of rows than their columns.
pub(super) fn compares_values(condition: &Node, frame: usize) -> bool {
    let mut conditions = Vec::new();
    let is_of_column = |c: &Condition<'_>| match c {
        Condition::Compared { side, .. } => matches!(side.kind, Kind::RowColumn { .. }),
        Condition::Test(_) => true,
    };
    conditions_of(condition, frame, &mut conditions) && !conditions.iter().all(is_of_column)
}

/// The conditions that hold together; false where one of them is another than those known, or none
/// compares.
fn conditions_of<'n>(node: &'n Node, frame: usize, out: &mut Vec<Condition<'n>>) -> bool {
    let (node, bindings) = match &node.kind {
        Kind::Let { bindings, result } => (result.as_ref(), bindings.as_slice()),
        _ => (node, &[][..]),
    };
    let defined = |n: &'n Node| match n.kind {
        Kind::Variable(slot) => {
            bindings.iter().find(|(s, _)| *s == slot).map_or(n, |(_, d)| d.as_ref())
        }
        _ => n,
    };
    let mut parts = Vec::new();
    conjuncts(node, &mut parts);
    // What is defined in the condition may look at the row.
    let is_inside = |slot: usize| bindings.iter().any(|(s, _)| *s == slot);
    let conditions =
        parts.into_iter().map(|part| compared(part, frame, &defined)).map(|condition| {
            condition.filter(|c| match c {
                Condition::Compared { bound, .. } => !mentions(bound, &is_inside),
                Condition::Test(_) => true,
            })
        });
    for condition in conditions {
        match condition {
            Some(condition) => out.push(condition),
            None => return false,
        }
    }
    out.iter().any(|c| matches!(c, Condition::Compared { .. }))
}

/// Whether an expression looks at one of some variables.
fn mentions(node: &Node, is_one: &impl Fn(usize) -> bool) -> bool {
    match node.kind {
        Kind::Variable(slot) => is_one(slot),
        _ => node.children().into_iter().any(|part| mentions(part, is_one)),
    }
}

fn compared<'n>(
    node: &'n Node,
    frame: usize,
    defined: &impl Fn(&'n Node) -> &'n Node,
) -> Option<Condition<'n>> {
    if let Kind::Binary { operator, left, right } = &node.kind
        && let Some(turned) = turned(*operator)
    {
        let (left, right) = (defined(left), defined(right));
        let looks_at_row = |n: &Node| n.uses.frame != Uses::NONE && !is_outside(n, frame);
        let sides = match (looks_at_row(left), looks_at_row(right)) {
            (true, false) => Some((left, *operator, right)),
            (false, true) => Some((right, turned, left)),
            _ => None,
        };
        if let Some((side, operator, bound)) = sides {
            let is_known = is_of_row(side, frame) && is_outside(bound, frame);
            let known = Condition::Compared { side, operator, bound, whole: node };
            return is_known.then_some(known);
        }
    }
    is_of_row(node, frame).then_some(Condition::Test(node))
}

/// The places that both let through.
pub(super) fn both(a: &Range<u32>, b: &Range<u32>) -> Range<u32> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}
