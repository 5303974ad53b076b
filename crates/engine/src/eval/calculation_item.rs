//! Measures under calculation groups: where an item is selected, its expression takes the
//! measure's place, and its format string that of the measure's.
//!
//! The group of highest precedence is applied first. An applied item takes the filters on its
//! group away, so that `SELECTEDMEASURE` inside finds the measure under the groups that are left,
//! and a `CALCULATE` that selects another item applies that one. What stands for no selection is
//! applied once: inside of an item no filter on its group means that the item has been applied.
//! What stands for several items or none sees the filters on its group, to tell what is selected,
//! and is not applied again under them.

use std::collections::BTreeMap;
use std::sync::Arc;

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::Expr;
use evercube_work::watched;

use super::Evaluator;
use super::cells::{AppliedGroup, Cells, Scalars};
use crate::bind::{Binder, Scope};
use crate::calculation_group::CalculationGroupInfo;
use crate::plan::{ContextTest, Node, SelectedMeasure};

/// The measure a calculation item works on.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    pub name: Arc<str>,
    pub body: Arc<Node>,
    /// The measure's own format string is being made; what stands for it there is the fixed one.
    in_own_format: bool,
}

/// What is asked of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Value,
    Format,
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
        inner.selected = Some(selected(name, body, false));
        self.under_groups(&inner, 0, Asked::Value, &|cells| self.scalars(cells, body))
    }

    /// What the values of a measure are shown with in each cell: the format string of the items
    /// that are applied, and without any that of the measure.
    pub(crate) fn format_strings(
        &self,
        cells: &Cells,
        name: &Arc<str>,
        body: &Arc<Node>,
    ) -> Result<Scalars> {
        let mut inner = self.measure_cells(cells)?;
        inner.selected = Some(selected(name, body, false));
        let of_measure = |cells: &Cells| {
            let mut cells = cells.clone();
            cells.selected = Some(selected(name, body, true));
            let node = self.measure_format(name)?;
            self.deeper(|| self.scalars(&cells, &node))
        };
        let found = self.under_groups(&inner, 0, Asked::Format, &of_measure)?;
        let as_text = |v: Value| match v {
            Value::Blank | Value::String(_) => v,
            v => Value::from(crate::scalar::to_text(&v, &self.culture)),
        };
        Ok(match found {
            Scalars::Same(v) => Scalars::Same(as_text(v)),
            each => Scalars::each(each.into_vec(cells.n).into_iter().map(as_text).collect()),
        })
    }

    fn under_groups(
        &self,
        cells: &Cells,
        from: usize,
        asked: Asked,
        of_measure: &dyn Fn(&Cells) -> Result<Scalars>,
    ) -> Result<Scalars> {
        let groups = self.model.calculation_groups();
        for (at, group) in groups.iter().enumerate().skip(from) {
            let mut choices = self.choices(cells, group)?;
            let applied = cells.applied.iter().rfind(|a| a.group == at);
            for choice in &mut choices {
                let again = match choice {
                    Choice::NoSelection => applied.is_some(),
                    Choice::ManySelected => applied.is_some_and(|a| a.many_selected),
                    Choice::Measure | Choice::Item(_) => false,
                };
                if again || chosen_expression(group, *choice, asked).is_none() {
                    *choice = Choice::Measure;
                }
            }
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
                    Choice::Measure => self.under_groups(&some, at + 1, asked, of_measure)?,
                    choice => self.chosen(some, at, choice, asked)?,
                };
                for (i, cell) in of.iter().enumerate() {
                    out[*cell as usize] = values.get(i).clone();
                }
            }
            return Ok(Scalars::each(out));
        }
        of_measure(cells)
    }

    /// What is selected of a group in each cell.
    fn choices(&self, cells: &Cells, group: &CalculationGroupInfo) -> Result<Vec<Choice>> {
        let columns = self.model.columns_of(group.table);
        let filtered = self.context_test(cells, ContextTest::IsFiltered, &columns)?;
        let is_filtered = |cell: usize| *filtered.get(cell) == Value::Boolean(true);
        let (unfiltered, several) = (Choice::NoSelection, Choice::ManySelected);
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
        Ok(watched(0..cells.n).map(choice).collect())
    }

    /// An item's expression over cells without filters on its group, but where it is about them.
    fn chosen(
        &self,
        mut cells: Cells,
        group: usize,
        choice: Choice,
        asked: Asked,
    ) -> Result<Scalars> {
        let of = &self.model.calculation_groups()[group];
        let Some(expression) = chosen_expression(of, choice, asked) else {
            return Err(Error::internal("a calculation item without expression was applied"));
        };
        let many_selected = choice == Choice::ManySelected;
        if !many_selected {
            cells.remove(&self.model.columns_of(of.table));
        }
        cells.applied.push(AppliedGroup { group, many_selected });
        let node = self.item_node(group, choice, asked, expression)?;
        self.deeper(|| self.scalars(&cells, &node))
    }

    /// An item's bound expression, bound once per query.
    fn item_node(
        &self,
        group: usize,
        choice: Choice,
        asked: Asked,
        e: &Result<Expr>,
    ) -> Result<Arc<Node>> {
        let of = &self.model.calculation_groups()[group];
        let (number, name) = match choice {
            Choice::Item(i) => (i + 2, format!("item '{}'", of.items[i].name)),
            choice => {
                (usize::from(choice == Choice::ManySelected), "selection expression".to_owned())
            }
        };
        let table = &self.model.table(of.table).name;
        let what = match asked {
            Asked::Value => format!("The calculation {name} of '{table}' has an error"),
            Asked::Format => format!("The format string of the {name} of '{table}' has an error"),
        };
        let key = 2 * number + usize::from(asked == Asked::Format);
        self.bound_once((group + 1, key), what, |binder| {
            e.clone().and_then(|e| binder.scalar(&Scope::default(), &e))
        })
    }

    /// A measure's own format string.
    fn measure_format(&self, name: &str) -> Result<Arc<Node>> {
        let lower = name.to_lowercase();
        let is_it = |m: &crate::compiled_model::MeasureInfo| m.name.to_lowercase() == lower;
        let at = self.model.measures().iter().position(is_it).unwrap_or_default();
        let what = format!("The format string of the measure [{name}] has an error");
        self.bound_once((0, at), what, |binder| binder.own_format(name))
    }

    /// An expression of the model that stands outside of the query's, bound once.
    fn bound_once(
        &self,
        key: (usize, usize),
        what: String,
        bind: impl FnOnce(&mut Binder<'_>) -> Result<Node>,
    ) -> Result<Arc<Node>> {
        if let Some(node) = self.items.borrow().get(&key) {
            return Ok(Arc::clone(node));
        }
        let mut binder = Binder::of_query(self.model, self.store, self.context);
        // Numbers of variables that no other expression of the query has.
        binder.start_slots(((key.0 + 1) << 40) + ((key.1 + 1) << 16));
        let node = Arc::new(bind(&mut binder).map_err(|e| self.model.told_of(&what, e))?);
        self.items.borrow_mut().insert(key, Arc::clone(&node));
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
                "SELECTEDMEASURE and its like are known only while a calculation item is applied to a measure, and in format strings.",
            ));
        };
        Ok(match what {
            SelectedMeasure::Value => {
                return self.measure_scalars(cells, &selected.name, &selected.body);
            }
            SelectedMeasure::Name => Scalars::Same(Value::from(&*selected.name)),
            SelectedMeasure::FormatString if !selected.in_own_format => {
                return self.format_strings(cells, &selected.name, &selected.body);
            }
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

fn selected(name: &Arc<str>, body: &Arc<Node>, in_own_format: bool) -> Arc<Selected> {
    Arc::new(Selected { name: Arc::clone(name), body: Arc::clone(body), in_own_format })
}

/// What takes the place of a measure, or of its format string.
fn chosen_expression(
    group: &CalculationGroupInfo,
    choice: Choice,
    asked: Asked,
) -> Option<&Result<Expr>> {
    let item = match choice {
        Choice::Item(i) => group.items.get(i),
        Choice::NoSelection => group.no_selection.as_ref(),
        Choice::ManySelected => group.many_selected.as_ref(),
        Choice::Measure => None,
    }?;
    match asked {
        Asked::Value => Some(&item.expression),
        Asked::Format => item.format.as_ref(),
    }
}
