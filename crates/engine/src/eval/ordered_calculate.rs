//! `CALCULATE ( [Sales], FILTER ( ALLSELECTED ( Customer[Name] ), [Sales] >= mine ) )`: rows that are
//! the same for many cells as filters, of which each cell has those that it lets through by their
//! place in order. What the filter's rows have of the aggregates is asked once and added up in that
//! order, instead of a context for every cell.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use evercube_base::Result;
use evercube_store::TableId;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::ordered_fold::InOrder;
use super::ordered_rows::{OrderedRows, compares_values};
use super::values_by_scan::{Iterated, aggregate, plain_in};
use super::variable::{Evaluated, Variable};
use crate::plan::{FilterArgument, Fold, Kind, Node, Uses};

/// An aggregate that a body is made of.
struct Part<'n> {
    node: &'n Node,
    /// The table it is over.
    table: TableId,
    /// How its values are put together.
    fold: Fold,
    /// How many row contexts it is bound in.
    frames: usize,
}

impl Evaluator<'_> {
    /// The value of `CALCULATE` with such a filter alone; `None` where it is another one.
    pub(super) fn calculated_in_order(
        &self,
        cells: &Cells,
        body: &Node,
        filters: &[FilterArgument],
    ) -> Result<Option<Scalars>> {
        let [FilterArgument::Table { table, keep: false }] = filters else { return Ok(None) };
        let Kind::Filter { table: rows, condition } = &table.kind else { return Ok(None) };
        let frame = cells.frames.len();
        if cells.n < 2 || !compares_values(condition, frame) {
            return Ok(None);
        }
        let mut parts = Vec::new();
        let Some(rebuilt) = in_parts(body, frame, &mut parts) else { return Ok(None) };
        let asked: Vec<Node> = parts.iter().map(|part| in_rows(part.node)).collect();
        let asked: Vec<&Node> = asked.iter().collect();
        let Some(found) = self.ordered_rows(cells, rows, condition, &asked)? else {
            return Ok(None);
        };
        if !self.are_apart(cells, &found, &parts)? {
            return Ok(None);
        }
        let Some(order) = InOrder::of(&found, cells.n) else { return Ok(None) };
        let mut inner = cells.clone();
        for (at, part) in parts.iter().enumerate() {
            let values = self.of_rows(&found, part)?;
            let Some(folded) = self.fold_in_order(&order, part.fold, &values)? else {
                return Ok(None);
            };
            inner.variables.push((slot_of(at), Rc::new(known(part.node, cells, folded)), None));
        }
        self.scalars(&inner, &rebuilt).map(Some)
    }

    /// Whether every row an aggregate may see belongs to one of the filter's rows at most.
    fn are_apart(&self, cells: &Cells, found: &OrderedRows, parts: &[Part<'_>]) -> Result<bool> {
        let rows = &found.table.rows;
        let iterated = match &rows.base {
            Some((table, _)) => {
                let key = self.unique_column(*table);
                let has_blank = |c| self.store.table(*table).column(c).has_blank();
                if rows.keep || key.is_none_or(has_blank) {
                    return Ok(false);
                }
                Iterated { table: *table, columns: Vec::new() }
            }
            None => {
                let columns: Option<Vec<_>> = rows.schema.iter().map(|c| c.lineage).collect();
                let Some(columns) = columns.filter(|c| !rows.keep && !c.is_empty()) else {
                    return Ok(false);
                };
                let table = columns[0].table;
                if columns.iter().any(|c| c.table != table) || !self.are_different(found, &columns)
                {
                    return Ok(false);
                }
                Iterated { table, columns }
            }
        };
        let mut outside = self.transition(cells)?;
        outside.transitioned = outside.frames.len();
        Ok(parts.iter().all(|part| self.is_apart(&outside, &iterated, part.table)))
    }

    /// Whether no two rows of a cell have the same values.
    fn are_different(&self, found: &OrderedRows, columns: &[evercube_store::ColumnId]) -> bool {
        let rows = &found.table.rows;
        (0..found.some.n).all(|cell| {
            let range = found.table.range(cell);
            let mut seen = hashbrown::HashSet::with_capacity(range.len());
            range.into_iter().all(|row| {
                evercube_work::tick();
                let code = |(i, c): (usize, &_)| rows.code(self.store, i, *c, row);
                let codes: Option<Vec<u32>> = columns.iter().enumerate().map(code).collect();
                codes.is_some_and(|codes| seen.insert(codes))
            })
        })
    }

    /// What each row of a filter has of an aggregate.
    fn of_rows(&self, found: &OrderedRows, part: &Part<'_>) -> Result<Scalars> {
        let (inner, _) = found.some.iterate(&found.table);
        let mut inner = self.transition(&inner)?;
        inner.frames.truncate(part.frames);
        inner.transitioned = inner.frames.len();
        self.scalars(&inner, part.node)
    }
}

/// The aggregates that an expression is made of, with variables in their places; `None` where it is
/// made of something else.
fn in_parts<'n>(node: &'n Node, frames: usize, parts: &mut Vec<Part<'n>>) -> Option<Node> {
    let is_measure = matches!(node.kind, Kind::Measure { .. });
    let plain = if is_measure { plain_in(node) } else { aggregate(node, frames) };
    if let Some((plain, of)) = plain.map(|p| (p, aggregated(node))) {
        let fold = match plain.fold {
            Fold::Count => Fold::Sum,
            fold @ (Fold::Sum | Fold::Min | Fold::Max) => fold,
            _ => return None,
        };
        let is_free = of.uses.frame == Uses::NONE && of.uses.slot == Uses::NONE;
        if !is_free || of.uses.volatile {
            return None;
        }
        let slot = slot_of(parts.len());
        parts.push(Part { node, table: plain.table, fold, frames });
        let uses = Uses { slot, ..Uses::default() };
        return Some(Node { kind: Kind::Variable(slot), uses, ..node.clone() });
    }
    let mut inside = |node: &'n Node| in_parts(node, frames, parts);
    let kind = match &node.kind {
        Kind::Literal(value) => Kind::Literal(value.clone()),
        Kind::Measure { body, .. } => return in_parts(body, 0, parts),
        Kind::Scalar { name, function, arguments } => {
            let arguments = arguments.iter().map(inside).collect::<Option<_>>()?;
            Kind::Scalar { name, function: *function, arguments }
        }
        Kind::Binary { operator, left, right } => {
            let (left, right) = (Box::new(inside(left)?), Box::new(inside(right)?));
            Kind::Binary { operator: *operator, left, right }
        }
        Kind::Negate(inner) => Kind::Negate(Box::new(inside(inner)?)),
        _ => return None,
    };
    let rebuilt = Node { kind, ..node.clone() };
    let uses = rebuilt.children().into_iter().fold(Uses::default(), |all, part| all.and(part.uses));
    Some(Node { uses: Uses { volatile: node.uses.volatile, ..uses }, ..rebuilt })
}

/// The aggregate that a measure is.
fn aggregated(node: &Node) -> &Node {
    match &node.kind {
        Kind::Measure { body, .. } => aggregated(body),
        _ => node,
    }
}

/// An aggregate as it is asked where rows have become filters.
fn in_rows(node: &Node) -> Node {
    let body = Box::new(node.clone());
    let kind = Kind::Calculate { body, filters: Vec::new(), transition: true };
    Node { kind, ..node.clone() }
}

/// Variables of no query.
fn slot_of(part: usize) -> usize {
    Uses::NONE - 1 - part
}

/// A variable whose values are known.
fn known(node: &Node, cells: &Cells, values: Scalars) -> Variable {
    Variable {
        alike: OnceCell::from(None),
        value: OnceCell::from(Ok(Evaluated::Scalars(values))),
        ..Variable::new(Arc::new(node.clone()), cells.clone())
    }
}
