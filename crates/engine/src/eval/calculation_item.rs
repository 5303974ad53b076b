//! Measures under calculation groups: where an item is selected, its expression takes the
//! measure's place.
//!
//! The group of highest precedence is applied first. An applied item takes the filters on its
//! group away, so that `SELECTEDMEASURE` inside finds the measure under the groups that are left,
//! and a `CALCULATE` that selects another item applies that one.

use std::collections::BTreeMap;
use std::sync::Arc;

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::Expr;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use crate::bind::{Binder, Scope};
use crate::calculation_group::CalculationGroupInfo;
use crate::plan::{ContextTest, Node, SelectedMeasure};

/// The measure a calculation item works on.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    pub name: Arc<str>,
    pub body: Arc<Node>,
}

/// What stands in a measure's place in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Choice {
    Measure,
    Item(usize),
    NoSelection,
    ManySelected,
}

impl Evaluator<'_> {
    /// The value of a measure in each cell.
    pub(crate) fn measure_scalars(
        &self,
        cells: &Cells,
        name: &Arc<str>,
        body: &Arc<Node>,
    ) -> Result<Scalars> {
        let mut inner = self.measure_cells(cells)?;
        if self.model.calculation_groups().is_empty() {
            return self.scalars(&inner, body);
        }
        inner.selected =
            Some(Arc::new(Selected { name: Arc::clone(name), body: Arc::clone(body) }));
        self.under_groups(&inner, 0, body)
    }

    fn under_groups(&self, cells: &Cells, from: usize, body: &Node) -> Result<Scalars> {
        let groups = self.model.calculation_groups();
        for (at, group) in groups.iter().enumerate().skip(from) {
            let choices = self.choices(cells, group)?;
            if choices.iter().all(|c| *c == Choice::Measure) {
                continue;
            }
            let mut members: BTreeMap<Choice, Vec<u32>> = BTreeMap::new();
            for (cell, choice) in (0..).zip(choices) {
                members.entry(choice).or_default().push(cell);
            }
            let mut out = vec![Value::Blank; cells.n];
            for (choice, of) in members {
                let some = cells.select(&of);
                let values = match choice {
                    Choice::Measure => self.under_groups(&some, at + 1, body)?,
                    choice => self.chosen(some, at, choice)?,
                };
                for (i, cell) in of.iter().enumerate() {
                    out[*cell as usize] = values.get(i).clone();
                }
            }
            return Ok(Scalars::each(out));
        }
        self.scalars(cells, body)
    }

    /// What is selected of a group in each cell.
    fn choices(&self, cells: &Cells, group: &CalculationGroupInfo) -> Result<Vec<Choice>> {
        let columns = self.columns_of(group.table);
        let filtered = self.context_test(cells, ContextTest::IsFiltered, &columns)?;
        let is_filtered = |cell: usize| *filtered.get(cell) == Value::Boolean(true);
        let unfiltered =
            if group.no_selection.is_some() { Choice::NoSelection } else { Choice::Measure };
        let several =
            if group.many_selected.is_some() { Choice::ManySelected } else { Choice::Measure };
        if (0..cells.n).all(|cell| !is_filtered(cell)) {
            return Ok(vec![unfiltered; cells.n]);
        }
        let rows = self.model_rows(cells, group.table, false, &Arc::default())?;
        let names = self.store.table(group.table).column(group.column.column);
        let item = |row: usize| {
            let name = names.value(names.code(rows.rows.base_row(row)));
            let is_it = |i: &crate::calculation_group::CalculationItemInfo| matches!(&name, Value::String(t) if *i.name == **t);
            group.items.iter().position(is_it).map_or(several, Choice::Item)
        };
        let choice = |cell: usize| match (is_filtered(cell), rows.range(cell)) {
            (false, _) => unfiltered,
            (true, range) if range.len() == 1 => item(range.start),
            _ => several,
        };
        Ok((0..cells.n).map(choice).collect())
    }

    /// An item's expression over cells without filters on its group.
    fn chosen(&self, mut cells: Cells, group: usize, choice: Choice) -> Result<Scalars> {
        let of = &self.model.calculation_groups()[group];
        let (number, expression) = match choice {
            Choice::Item(i) => (i + 2, Some(&of.items[i].expression)),
            Choice::NoSelection => (0, of.no_selection.as_ref()),
            Choice::ManySelected => (1, of.many_selected.as_ref()),
            Choice::Measure => (0, None),
        };
        let Some(expression) = expression else {
            return Err(Error::internal("a calculation item without expression was applied"));
        };
        let columns = self.columns_of(of.table);
        cells.remove(&columns);
        let node = self.item_node(group, number, expression)?;
        self.deeper(|| self.scalars(&cells, &node))
    }

    /// An item's bound expression, bound once per query.
    fn item_node(&self, group: usize, number: usize, e: &Result<Expr>) -> Result<Arc<Node>> {
        if let Some(node) = self.items.borrow().get(&(group, number)) {
            return Ok(Arc::clone(node));
        }
        let of = &self.model.calculation_groups()[group];
        let name = match number {
            0 | 1 => "selection expression".to_owned(),
            i => format!("item '{}'", of.items[i - 2].name),
        };
        let table = &self.model.table(of.table).name;
        let what = format!("The calculation {name} of '{table}' has an error");
        let bound = e.clone().and_then(|expression| {
            let mut binder = Binder::new(self.model, self.store, &self.context.parameters);
            // Numbers of variables that no other expression of the query has.
            binder.start_slots(((group + 1) << 32) + (number << 16));
            binder.scalar(&Scope::default(), &expression)
        });
        let node = Arc::new(bound.map_err(|mut e| {
            e.span = None;
            e.context(what)
        })?);
        self.items.borrow_mut().insert((group, number), Arc::clone(&node));
        Ok(node)
    }

    /// `SELECTEDMEASURE` and the questions about it.
    pub(crate) fn selected_measure(
        &self,
        cells: &Cells,
        what: &SelectedMeasure,
    ) -> Result<Scalars> {
        let Some(selected) = &cells.selected else {
            return Err(Error::evaluation(
                "SELECTEDMEASURE and its like are known only while a calculation item is applied to a measure.",
            ));
        };
        Ok(match what {
            SelectedMeasure::Value => {
                return self.measure_scalars(cells, &selected.name, &selected.body);
            }
            SelectedMeasure::Name => Scalars::Same(Value::from(&*selected.name)),
            SelectedMeasure::FormatString => {
                let of = self.model.measure(&selected.name);
                let format = of.and_then(|m| m.format_string.as_deref());
                Scalars::Same(format.map_or(Value::Blank, Value::from))
            }
            SelectedMeasure::IsOneOf(names) => {
                let lower = selected.name.to_lowercase();
                Scalars::Same(Value::Boolean(names.iter().any(|n| n.to_lowercase() == lower)))
            }
        })
    }
}
