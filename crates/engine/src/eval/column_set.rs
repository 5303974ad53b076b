//! Conditions on one column as a filter of it: in `FILTER ( ALL ( Sales[Price] ), Sales[Price] >= 10 )`
//! the codes that pass lie between places in the order of the column's values, which is told without
//! a list of the values and a comparison with each. Columns of millions of values are filtered so.

use std::ops::Range;
use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_dax::ast::BinaryOperator;
use evercube_store::{BitSet, ColumnId};

use super::Evaluator;
use super::cells::Cells;
use super::logic::Logic;
use super::ordered_filter::sides;
use super::rows::{CellTable, RowColumn, Rows};
use crate::plan::{Kind, Node, Schema};
use crate::rules::Rule;

/// Values of a column, all of whose rows are seen.
pub(super) struct ColumnSet {
    pub(super) column: ColumnId,
    pub(super) codes: Arc<BitSet>,
}

/// Codes for which a condition holds.
enum Passing {
    /// Those of a range, and whether blank, code 0, is one.
    Between(Range<u32>, bool),
    Codes(BitSet),
}

impl Evaluator<'_> {
    /// The values of a column that meet a condition, as they are for every cell; `None` where the
    /// table is another one, or where filters have a say in which values there are.
    pub(super) fn column_set(&self, cells: &Cells, node: &Node) -> Result<Option<ColumnSet>> {
        if !self.has(Rule::OrderedFilter) || cells.n == 0 {
            return Ok(None);
        }
        if cells.n > 1 {
            return match node.uses.is_constant() {
                true => self.column_set(&cells.representative(), node),
                false => Ok(None),
            };
        }
        let found = self.set_of(cells, node)?;
        if let Some(set) = found.as_ref().filter(|_| self.journal.is_some()) {
            let mark = self.begin(node, cells.n);
            self.end(mark, set.codes.count());
        }
        Ok(found)
    }

    fn set_of(&self, cells: &Cells, node: &Node) -> Result<Option<ColumnSet>> {
        match &node.kind {
            Kind::Variable(slot) => {
                let found = cells.variables.iter().rev().find(|(s, _, _)| s == slot);
                let definition = found.map(|(_, variable, _)| variable);
                let Some(variable) = definition.filter(|v| v.cells.n == 1) else { return Ok(None) };
                self.set_of(&variable.cells, &variable.node)
            }
            Kind::KeepFilters(inner) => self.set_of(cells, inner),
            Kind::Unfiltered(inner) => self.set_of(&cells.unfiltered(), inner),
            Kind::Values { columns, blank_row } => match columns.as_slice() {
                [column] => Ok(self.all_values(cells, *column, *blank_row)),
                _ => Ok(None),
            },
            Kind::Filter { table, condition } => {
                let Some(all) = self.set_of(cells, table)? else { return Ok(None) };
                let Some(passing) = self.passing(cells, &all, &table.schema(), condition)? else {
                    return Ok(None);
                };
                let codes = Arc::new(passing.of(&all.codes));
                Ok(Some(ColumnSet { column: all.column, codes }))
            }
            _ => Ok(None),
        }
    }

    /// All values of a column, where no filter is in force.
    fn all_values(&self, cells: &Cells, column: ColumnId, blank_row: bool) -> Option<ColumnSet> {
        let context = cells.distinct.first()?;
        let is_free = context.filters.is_empty() && context.secured.is_empty();
        if !cells.have_one_context() || !is_free {
            return None;
        }
        let of = self.store.table(column.table).column(column.column);
        let mut codes = of.present().clone();
        if blank_row && self.store.has_blank_row(column.table) {
            codes.insert(0);
        }
        Some(ColumnSet { column, codes: Arc::new(codes) })
    }

    /// The codes for which a condition on the column's value holds; `None` where it is of another
    /// kind, or where it fails: whoever goes value by value says why.
    fn passing(
        &self,
        cells: &Cells,
        all: &ColumnSet,
        schema: &Schema,
        condition: &Node,
    ) -> Result<Option<Passing>> {
        let both = |left, right, join: fn(Passing, Passing, usize) -> Passing| {
            let Some(left) = self.passing(cells, all, schema, left)? else { return Ok(None) };
            let Some(right) = self.passing(cells, all, schema, right)? else { return Ok(None) };
            Ok(Some(join(left, right, all.codes.len())))
        };
        match Logic::of(condition) {
            Logic::And(left, right) => both(left, right, Passing::and),
            Logic::Or(left, right) => both(left, right, Passing::or),
            Logic::Not(inner) => {
                let found = self.passing(cells, all, schema, inner)?;
                Ok(found.map(|passing| passing.not(all.codes.len())))
            }
            Logic::One(node) => match self.compared_with_bound(cells, all, schema, node) {
                Err(e) if e.kind.is_stop() => Err(e),
                found => Ok(found.unwrap_or(None)),
            },
        }
    }

    fn compared_with_bound(
        &self,
        cells: &Cells,
        all: &ColumnSet,
        schema: &Schema,
        node: &Node,
    ) -> Result<Option<Passing>> {
        let Kind::Binary { operator, left, right } = &node.kind else { return Ok(None) };
        let is_other_than = *operator == BinaryOperator::NotEqual;
        let operator = if is_other_than { BinaryOperator::Equal } else { *operator };
        let Some((_, operator, bound)) = sides(operator, left, right, cells.frames.len()) else {
            return Ok(None);
        };
        let of = self.store.table(all.column.table).column(all.column.column);
        if !of.is_in_order() || of.cardinality() < 2 {
            return Ok(None);
        }
        // The bound does not look at the row, but its own row contexts come after it.
        let codes = Arc::new(vec![1]);
        let row = Rows {
            schema: Arc::clone(schema),
            len: 1,
            columns: vec![RowColumn::Codes { column: all.column, codes }],
            ..Rows::default()
        };
        let (inner, _) = cells.iterate(&CellTable::shared(row));
        let bounds = self.scalars(&inner, bound)?;
        let ranges =
            self.ranges((1..of.cardinality(), |code| of.value(code)), operator, &bounds, 1)?;
        let blanks = self.blanks(operator, &bounds, 1)?;
        let (Some(range), Some(blank)) = (ranges.into_iter().next(), blanks.first()) else {
            return Err(Error::internal("a comparison has no bound"));
        };
        let passing = Passing::Between(range, *blank);
        Ok(Some(if is_other_than { passing.not(all.codes.len()) } else { passing }))
    }
}

impl Passing {
    fn and(self, other: Self, codes: usize) -> Self {
        match (self, other) {
            (Self::Between(a, a_blank), Self::Between(b, b_blank)) => {
                Self::Between(a.start.max(b.start)..a.end.min(b.end), a_blank && b_blank)
            }
            (a, b) => {
                let mut both = a.into_codes(codes);
                both.intersect(&b.into_codes(codes));
                Self::Codes(both)
            }
        }
    }

    fn or(self, other: Self, codes: usize) -> Self {
        let mut either = self.into_codes(codes);
        either.union(&other.into_codes(codes));
        Self::Codes(either)
    }

    fn not(self, codes: usize) -> Self {
        let mut others = self.into_codes(codes);
        others.invert();
        Self::Codes(others)
    }

    fn into_codes(self, codes: usize) -> BitSet {
        match self {
            Self::Between(..) => self.of(&BitSet::new(codes, true)),
            Self::Codes(codes) => codes,
        }
    }

    /// Those of some codes that pass.
    fn of(&self, codes: &BitSet) -> BitSet {
        match self {
            Self::Between(range, blank) => {
                let mut found = codes.between(range.start as usize..range.end as usize);
                if *blank && codes.get(0) {
                    found.insert(0);
                }
                found
            }
            Self::Codes(passing) => {
                let mut found = codes.clone();
                found.intersect(passing);
                found
            }
        }
    }
}
