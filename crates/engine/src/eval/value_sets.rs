//! Set operations over the values of one column, as sets of its codes for each cell: how many
//! customers bought in a month and not before, or in two months, is counted without a row for each.

use evercube_base::Result;
use evercube_store::{BitSet, ColumnId};
use evercube_work::{tick, watched};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::iterate::not_zero;
use crate::plan::{Kind, Node, SetOperation};
use crate::rules::Rule;

/// Words of bits that the sets of all cells may have.
const MOST_WORDS: usize = 1 << 22;

/// Values of a column, by cell.
struct ValueSets {
    column: ColumnId,
    of_cells: Vec<BitSet>,
}

impl Evaluator<'_> {
    /// How many rows a set operation has in each cell; `None` where it is over something else than
    /// values of one column.
    pub(super) fn count_in_sets(&self, cells: &Cells, table: &Node) -> Result<Option<Scalars>> {
        let is_operation =
            matches!(table.kind, Kind::Set(..) | Kind::Distinct(_) | Kind::Variable(_));
        if !is_operation || !self.has(Rule::ValueSets) {
            return Ok(None);
        }
        let mark = self.begin(table, cells.n);
        let found = self.value_sets(cells, table, false)?;
        self.end(mark, cells.n);
        let count = |set: &BitSet| not_zero(set.count() as i64);
        Ok(found.map(|sets| Scalars::each(sets.of_cells.iter().map(count).collect())))
    }

    /// `as_set`: whether it does not matter how often a value occurs.
    fn value_sets(&self, cells: &Cells, node: &Node, as_set: bool) -> Result<Option<ValueSets>> {
        match &node.kind {
            Kind::Values { columns, blank_row } => match columns.as_slice() {
                [column] => self.visible_sets(cells, *column, *blank_row),
                _ => Ok(None),
            },
            Kind::Set(operation, tables) => match tables.as_slice() {
                [first, second] if as_set || *operation != SetOperation::Union => {
                    self.combined(cells, *operation, (first, second), as_set)
                }
                _ => Ok(None),
            },
            Kind::Distinct(inner) => self.value_sets(cells, inner, true),
            Kind::CalculateTable { body, filters } if is_of_values(body) => {
                let inner = self.calculate_cells(cells, filters, true)?;
                self.value_sets(&inner, body, as_set)
            }
            Kind::Variable(slot) => {
                let found = cells.variables.iter().rev().find(|(s, _, _)| s == slot);
                let Some((_, variable, index)) = found else { return Ok(None) };
                if !is_of_values(&variable.node) {
                    return Ok(None);
                }
                let defined = self.cells_of(variable);
                let Some(sets) = self.value_sets(defined, &variable.node, as_set)? else {
                    return Ok(None);
                };
                match self.place_in(variable, index.as_ref()) {
                    Some(index) => Ok(sets.for_cells(&index)),
                    None => Ok(Some(sets)),
                }
            }
            _ => Ok(None),
        }
    }

    fn combined(
        &self,
        cells: &Cells,
        operation: SetOperation,
        (first, second): (&Node, &Node),
        as_set: bool,
    ) -> Result<Option<ValueSets>> {
        if !is_of_values(first) || !is_of_values(second) {
            return Ok(None);
        }
        let Some(mut sets) = self.value_sets(cells, first, as_set)? else { return Ok(None) };
        let Some(others) = self.value_sets(cells, second, true)? else { return Ok(None) };
        if sets.column != others.column {
            return Ok(None);
        }
        for (set, mut other) in sets.of_cells.iter_mut().zip(others.of_cells) {
            tick();
            match operation {
                SetOperation::Union => set.union(&other),
                SetOperation::Intersect => set.intersect(&other),
                SetOperation::Except => {
                    other.invert();
                    set.intersect(&other);
                }
            }
        }
        Ok(Some(sets))
    }

    /// The values of a column that each cell sees.
    fn visible_sets(
        &self,
        cells: &Cells,
        column: ColumnId,
        blank_row: bool,
    ) -> Result<Option<ValueSets>> {
        let size = self.cardinality(column) as usize;
        if cells.n.saturating_mul(size.div_ceil(64)) > MOST_WORDS {
            return Ok(None);
        }
        let has_blank_row = blank_row && self.store.has_blank_row(column.table);
        if !has_blank_row {
            let contexts = Self::by_context(cells);
            let found = self.sets_together(cells, &contexts, column, MOST_WORDS)?;
            if let Some(of_cells) = found {
                return Ok(Some(ValueSets { column, of_cells }));
            }
        }
        let found = self.scan(cells, column.table, &[column], blank_row, &|_| Ok(Vec::new()))?;
        let mut of_cells = vec![BitSet::new(size, false); cells.n];
        for (cell, code) in watched(found.cells.iter().zip(&found.keys[0])) {
            tick();
            of_cells[*cell as usize].insert(*code as usize);
        }
        Ok(Some(ValueSets { column, of_cells }))
    }
}

impl ValueSets {
    /// Those of other cells, each taken from the cell that `from` names.
    fn for_cells(&self, from: &[u32]) -> Option<Self> {
        let words = self.of_cells.first().map_or(0, |set| set.words().len());
        if from.len().saturating_mul(words) > MOST_WORDS {
            return None;
        }
        let of_cells = from.iter().map(|cell| self.of_cells[*cell as usize].clone()).collect();
        Some(Self { column: self.column, of_cells })
    }
}

/// Whether a table may be values of one column, seen from its outside.
fn is_of_values(node: &Node) -> bool {
    match &node.kind {
        Kind::Values { columns, .. } => columns.len() == 1,
        Kind::Set(_, tables) => tables.len() == 2 && tables.iter().all(is_of_values),
        Kind::Distinct(inner) => is_of_values(inner),
        Kind::CalculateTable { body, .. } => is_of_values(body),
        Kind::Variable(_) => node.schema().len() == 1,
        _ => false,
    }
}
