//! What tells cells apart for an expression: the keys and contexts whose filters are still there
//! where a table is read, the rows that `ALLSELECTED` goes back to, and what tells variables apart.

use std::collections::HashSet;
use std::sync::Arc;

use evercube_store::{ColumnId, TableId};

use super::Telling;
use crate::eval::Evaluator;
use crate::eval::cells::{Cells, KeyTarget, compose};
use crate::filter_context::FilterContext;
use crate::plan::{FilterArgument, Kind, Node};

/// More explicit contexts than this are not compared for what is left of them.
const MOST_CONTEXTS: usize = 64;

impl Evaluator<'_> {
    /// What tells cells apart for an expression that looks at no row outside of it; `None` where
    /// that is not known.
    pub(super) fn telling(&self, cells: &Cells, node: &Node) -> Option<Telling> {
        let mut look = Look { of: self, cells, telling: Vec::new() };
        look.visit(node, &Place::default()).then_some(look.telling)
    }

    /// What tells cells apart for a table and what is asked in its rows.
    pub(in crate::eval) fn telling_in_rows(
        &self,
        cells: &Cells,
        table: &Node,
        asked: &[&Node],
    ) -> Option<Telling> {
        let mut look = Look { of: self, cells, telling: Vec::new() };
        let at = Place::default();
        let inner = look.inside(table, &at);
        let known = look.visit(table, &at) && asked.iter().all(|part| look.visit(part, &inner));
        known.then_some(look.telling)
    }
}

/// Where in the expression a part of it stands.
#[derive(Clone, Default)]
struct Place<'n> {
    /// Columns whose filters outside of the expression are gone.
    gone: Vec<ColumnId>,
    /// All of them are.
    is_free: bool,
    /// Columns that the rows it stands in have and that become filters with the next transition.
    rows: Vec<ColumnId>,
    /// Columns of the rows that iterations inside of the expression go through.
    shadows: Vec<ColumnId>,
    /// What columns those are is not all known.
    has_unknown_shadow: bool,
    in_group: bool,
    bound: Vec<(usize, &'n Node)>,
}

/// The columns of rows.
#[derive(Default)]
struct RowColumns {
    columns: Vec<ColumnId>,
    /// Where they become filters, those that are there stay.
    may_keep: bool,
    /// They may be rows of a model table, which are more columns.
    may_be_model_rows: bool,
}

/// Goes through an expression.
struct Look<'a, 'e> {
    of: &'a Evaluator<'e>,
    cells: &'a Cells,
    telling: Telling,
}

impl Look<'_, '_> {
    fn tell(&mut self, numbers: &Arc<Vec<u32>>) {
        if !self.telling.iter().any(|t| Arc::ptr_eq(t, numbers)) {
            self.telling.push(Arc::clone(numbers));
        }
    }

    /// Notes what tells cells apart for a part of the expression; false where that is not known.
    fn visit(&mut self, node: &Node, at: &Place<'_>) -> bool {
        match &node.kind {
            Kind::Literal(_) | Kind::RowColumn { .. } | Kind::Related { .. } => true,
            Kind::CurrentGroup => at.in_group,
            Kind::Variable(slot) => self.variable(*slot, at),
            Kind::ModelTable { table, .. } => {
                self.reads(*table, at);
                true
            }
            Kind::Values { columns, .. } | Kind::Context { columns, .. } => {
                columns.iter().for_each(|c| self.reads(c.table, at));
                true
            }
            Kind::Filters(column) => {
                self.reads(column.table, at);
                true
            }
            Kind::Measure { body, .. } => {
                let inner = Place { bound: Vec::new(), ..transitioned(at) };
                self.of.model.calculation_groups().is_empty() && self.visit(body, &inner)
            }
            Kind::Unfiltered(inner) => self.visit(inner, &Place { is_free: true, ..at.clone() }),
            Kind::Calculate { body, filters, transition } => {
                self.calculate(body, filters, *transition, at)
            }
            Kind::CalculateTable { body, filters } => self.calculate(body, filters, true, at),
            Kind::AllSelected { columns, body } => {
                let mut inner = at.clone();
                self.selected(Some(columns), &mut inner) && self.visit(body, &inner)
            }
            Kind::Let { bindings, result } => {
                let mut inner = at.clone();
                for (slot, definition) in bindings {
                    if !self.visit(definition, &inner) {
                        return false;
                    }
                    inner.bound.push((*slot, definition));
                }
                self.visit(result, &inner)
            }
            Kind::Iterate { table, extra, .. } => {
                extra.iter().all(|e| self.visit(e, at)) && self.rows(table, &[], node, at)
            }
            // Without a value it is the expression outside that is ranked.
            Kind::RankX { table, value, expression, .. } => {
                let outside = [value.as_ref().unwrap_or(expression).as_ref()];
                let is_value = value.is_some();
                self.visit(outside[0], at)
                    && self.rows(table, if is_value { &outside } else { &[] }, node, at)
            }
            Kind::TopN { table, count, skip, .. } => {
                let mut outside: Vec<&Node> = vec![count];
                outside.extend(skip.as_deref());
                outside.iter().all(|n| self.visit(n, at)) && self.rows(table, &outside, node, at)
            }
            Kind::Filter { table, .. }
            | Kind::Extend { table, .. }
            | Kind::NonBlank { table, .. }
            | Kind::Generate { outer: table, .. } => self.rows(table, &[], node, at),
            Kind::Summarize { rollup, .. } if !rollup.chains.is_empty() => false,
            Kind::Summarize { .. } => {
                self.all(node, &Place { has_unknown_shadow: true, ..at.clone() })
            }
            Kind::GroupBy { .. } => {
                self.all(node, &Place { has_unknown_shadow: true, in_group: true, ..at.clone() })
            }
            Kind::SummarizeColumns { groups, .. } => {
                groups.iter().for_each(|c| self.reads(c.table, at));
                self.all(node, &Place { has_unknown_shadow: true, ..at.clone() })
            }
            Kind::NaturalJoin { .. }
            | Kind::Dates { .. }
            | Kind::Calendar(_)
            | Kind::GenerateSeries(_) => self.all(node, at),
            kind if kind.is_of_its_parts() => self.all(node, at),
            _ => false,
        }
    }

    fn all(&mut self, node: &Node, at: &Place<'_>) -> bool {
        node.children().into_iter().all(|part| self.visit(part, at))
    }

    /// An iteration: its table, and everything but what is `outside` in its rows.
    fn rows(&mut self, table: &Node, outside: &[&Node], node: &Node, at: &Place<'_>) -> bool {
        let inner = self.inside(table, at);
        self.visit(table, at)
            && node
                .children()
                .into_iter()
                .filter(|part| !outside.iter().chain([&table]).any(|o| std::ptr::eq(*o, *part)))
                .all(|part| self.visit(part, &inner))
    }

    /// The place of what is asked in the rows of a table.
    fn inside<'n>(&self, table: &Node, at: &Place<'n>) -> Place<'n> {
        let rows = self.columns(table, at);
        let mut inner = at.clone();
        inner.shadows.extend(&rows.columns);
        inner.has_unknown_shadow |= rows.may_be_model_rows;
        if !rows.may_keep {
            inner.rows.extend(rows.columns);
        }
        inner
    }

    fn columns(&self, table: &Node, at: &Place<'_>) -> RowColumns {
        let columns = table.lineages().into_iter().collect();
        let mut out = RowColumns { columns, ..RowColumns::default() };
        self.look_at_rows(table, at, &mut out);
        out
    }

    fn look_at_rows(&self, node: &Node, at: &Place<'_>, out: &mut RowColumns) {
        match &node.kind {
            Kind::KeepFilters(_) => out.may_keep = true,
            Kind::ModelTable { .. } => out.may_be_model_rows = true,
            Kind::Variable(slot) => {
                if let Some((_, bound)) = at.bound.iter().rev().find(|(s, _)| s == slot) {
                    self.look_at_rows(bound, at, out);
                } else if let Some((_, of, _)) =
                    self.cells.variables.iter().rev().find(|v| v.0 == *slot)
                {
                    // Variables of the definition are those that its cells have.
                    let look = Look { of: self.of, cells: &of.cells, telling: Vec::new() };
                    look.look_at_rows(&of.node, &Place::default(), out);
                } else {
                    (out.may_keep, out.may_be_model_rows) = (true, true);
                }
            }
            _ => node.children().into_iter().for_each(|part| self.look_at_rows(part, at, out)),
        }
    }

    fn calculate(
        &mut self,
        body: &Node,
        filters: &[FilterArgument],
        transition: bool,
        at: &Place<'_>,
    ) -> bool {
        if !filters.iter().filter_map(FilterArgument::table).all(|table| self.visit(table, at)) {
            return false;
        }
        let mut inner = if transition { transitioned(at) } else { at.clone() };
        for filter in filters {
            match filter {
                FilterArgument::Table { table, keep: false } => {
                    inner.gone.extend(table.lineages());
                }
                FilterArgument::Table { .. } => {}
                FilterArgument::Remove(columns) => inner.gone.extend(columns),
                FilterArgument::RemoveAll => inner.is_free = true,
                FilterArgument::Selected(columns) => {
                    if !self.selected(columns.as_deref(), &mut inner) {
                        return false;
                    }
                }
                FilterArgument::Use(_) | FilterArgument::Direct(..) => return false,
            }
        }
        self.visit(body, &inner)
    }

    /// Filters on columns become those that `ALLSELECTED` goes back to.
    fn selected(&mut self, columns: Option<&[ColumnId]>, at: &mut Place<'_>) -> bool {
        let concerned = |c: &ColumnId| columns.is_none_or(|of| of.contains(c));
        if at.has_unknown_shadow || at.shadows.iter().any(concerned) {
            return false;
        }
        let Some((shadow, mut restored)) = self.of.shadow_of(self.cells, columns) else {
            return true;
        };
        at.gone.append(&mut restored);
        let is_same = match &shadow.grouped {
            Some(outside) => outside.n == 1,
            None => shadow.table.starts.is_none(),
        };
        if !is_same {
            let index = Arc::clone(&shadow.index);
            self.tell(&index);
        }
        true
    }

    /// A variable, with what tells the cells of its definition apart.
    fn variable(&mut self, slot: usize, at: &Place<'_>) -> bool {
        if at.bound.iter().any(|(s, _)| *s == slot) {
            return true;
        }
        let found = self.cells.variables.iter().rev().find(|(s, _, _)| *s == slot);
        let Some((_, variable, index)) = found else { return false };
        match (self.of.standing_for(variable), index) {
            (Some(alike), _) if alike.cells.n == 1 => {}
            (Some(alike), Some(index)) => self.telling.push(compose(&alike.place, index)),
            (Some(alike), None) => self.tell(&alike.place),
            (None, Some(index)) => self.tell(index),
            (None, None) => return false,
        }
        true
    }

    /// The rows of a table that are visible.
    fn reads(&mut self, table: TableId, at: &Place<'_>) {
        if at.is_free {
            return;
        }
        let gone: HashSet<ColumnId> = at.gone.iter().copied().collect();
        let contexts: Vec<&FilterContext> = {
            let mut some: Vec<&FilterContext> = Vec::new();
            for c in self.cells.distinct.iter() {
                if !some.iter().any(|k| k.used == c.used && k.directions == c.directions) {
                    some.push(c);
                }
            }
            some
        };
        for key in &self.cells.keys {
            let from = key.target.table();
            let is_gone = match &key.target {
                KeyTarget::Column(c) => gone.contains(c),
                KeyTarget::Row { table, without } => {
                    let columns = self.of.model.columns_of(*table);
                    columns.iter().all(|c| gone.contains(c) || without.contains(c))
                }
            };
            let mut reached = contexts.iter();
            if !is_gone && reached.any(|c| self.of.visibility().reaches(c, from, table)) {
                self.tell(&key.codes);
            }
        }
        if let Some(of) = &self.cells.of
            && !self.is_alike_without(&at.gone)
        {
            self.tell(of);
        }
    }

    /// Whether the explicit contexts are the same without filters on some columns.
    fn is_alike_without(&self, gone: &[ColumnId]) -> bool {
        let distinct = &self.cells.distinct;
        if gone.is_empty() || distinct.len() > MOST_CONTEXTS {
            return distinct.len() == 1;
        }
        let mut left = distinct.iter().map(|c| {
            let mut c = c.as_ref().clone();
            c.remove(gone);
            c
        });
        let first = left.next();
        left.all(|c| Some(c) == first)
    }
}

/// The place where rows have become filters.
fn transitioned<'n>(at: &Place<'n>) -> Place<'n> {
    let mut inner = at.clone();
    inner.gone.append(&mut inner.rows);
    inner
}
