//! `SUMMARIZECOLUMNS`.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Span};
use evercube_engine::{Filter, FilterContext};
use evercube_store::{ColumnId, TableId};

use super::rollup::{Grouping, Rollup, groupings};
use super::selected::Shadow;
use super::{Env, Reference, Table, TableColumn};

/// Its arguments by kind.
struct Arguments<'e> {
    parts: Vec<Rollup>,
    filters: Vec<Expr>,
    /// Filters of the groups that the expressions do not see.
    non_visual: Vec<Expr>,
    named: &'e [Expr],
}

/// The one argument of a call of a function.
fn inside<'e>(e: &'e Expr, of: &str) -> Option<&'e Expr> {
    match &e.kind {
        ExprKind::Call { function, arguments, .. } if function.eq_ignore_ascii_case(of) => {
            arguments.first()
        }
        _ => None,
    }
}

impl Reference {
    fn sorted_arguments<'e>(&self, env: &Env, all: &'e [Expr]) -> Result<Arguments<'e>> {
        let mut found = Arguments {
            parts: Vec::new(),
            filters: Vec::new(),
            non_visual: Vec::new(),
            named: &[],
        };
        for (i, e) in all.iter().enumerate() {
            if let Some(part) = self.group_part(env, e)? {
                found.parts.push(part);
            } else if let Some(filter) = inside(e, "NONVISUAL") {
                found.non_visual.push(filter.clone());
            } else if self.is_table(env, e) {
                found.filters.push(e.clone());
            } else {
                found.named = &all[i..];
                break;
            }
        }
        let columns: Vec<ColumnId> =
            found.parts.iter().flat_map(|p| &p.steps).flat_map(|s| s.columns.clone()).collect();
        if (1..columns.len()).any(|i| columns[..i].contains(&columns[i])) {
            return Err(Error::invalid("A column is grouped by twice."));
        }
        Ok(found)
    }

    /// Group columns with roll-ups, filter tables, then named expressions; rows where all of these
    /// but those in `IGNORE` are blank are left out.
    pub(super) fn summarize_columns(&self, env: &Env, arguments: &[Expr]) -> Result<Table> {
        let arguments = self.sorted_arguments(env, arguments)?;
        let mut out = Table::default();
        for step in arguments.parts.iter().flat_map(|p| &p.steps) {
            out.columns.extend(step.columns.iter().map(|c| self.model_column(*c)));
            let flag = |name: &String| TableColumn { name: name.clone(), lineage: None };
            out.columns.extend(step.flag.as_ref().map(flag));
        }
        for pair in arguments.named.chunks_exact(2) {
            out.columns.push(TableColumn { name: self.text(env, &pair[0])?, lineage: None });
        }
        for grouping in groupings(&arguments.parts) {
            self.grouped(env, &arguments, &grouping, &mut out)?;
        }
        Ok(out)
    }

    /// The rows of one grouping.
    fn grouped(
        &self,
        env: &Env,
        arguments: &Arguments<'_>,
        grouping: &Grouping,
        out: &mut Table,
    ) -> Result<()> {
        let mut filters = arguments.filters.clone();
        let mut columns: Vec<ColumnId> = Vec::new();
        for (part, n) in arguments.parts.iter().zip(grouping) {
            columns.extend(part.steps[..*n].iter().flat_map(|s| s.columns.clone()));
            filters.extend(part.filters[*n].iter().cloned());
        }
        let mut outer = self.calculate(env, &filters)?;
        let kept = arguments.filters.iter().map(|f| inside(f, "KEEPFILTERS").is_some());
        self.coalesce(&mut outer.filters, filters.len(), &kept.collect::<Vec<_>>())?;
        outer.shadows.push(Shadow::Query(Rc::new(outer.filters.clone()), columns.clone()));
        filters.extend(arguments.non_visual.iter().cloned());
        let of_groups = self.calculate(env, &filters)?;
        // Filters outside count for the columns of their own table alone.
        let seen = |tables: &[TableId]| {
            let every = (0..self.model.tables().len() as u32).map(TableId);
            let others = every.filter(|t| !tables.contains(t)).flat_map(|t| self.columns_of(t));
            let others: Vec<Expr> = others.filter_map(|c| self.written(c)).collect();
            let mut all = filters.clone();
            if !others.is_empty() {
                let kind = ExprKind::Call {
                    function: "REMOVEFILTERS".into(),
                    function_span: Span::default(),
                    arguments: others,
                };
                all.push(Expr { kind, span: Span::default() });
            }
            Ok(self.calculate(env, &all)?.filters)
        };
        let base = self.group_combinations(&of_groups.filters, &columns, &seen)?;
        let base = Table { keep: true, ..base };
        for (row_env, row) in outer.with_rows(&base).iter().zip(&base.rows) {
            // The group's values are filters on top of those that are there, not a row context.
            let mut inner = self.calculate(row_env, &[])?;
            inner.rows.clear();
            inner.transitioned = 0;
            inner.shadows.clone_from(&outer.shadows);
            let (mut values, mut any, mut counted) = (Vec::new(), false, 0);
            for pair in arguments.named.chunks_exact(2) {
                let ignored = inside(&pair[1], "IGNORE");
                let v = self.scalar(&inner, ignored.unwrap_or(&pair[1]))?;
                counted += usize::from(ignored.is_none());
                any |= ignored.is_none() && !v.is_blank();
                values.push(v);
            }
            if any || counted == 0 {
                let mut shown = group_values(&arguments.parts, grouping, row);
                shown.extend(values);
                out.rows.push(shown);
            }
        }
        Ok(())
    }
}

impl Reference {
    /// A column as expressions write it; nothing where it is hidden.
    fn written(&self, column: ColumnId) -> Option<Expr> {
        let table = &self.model.table(column.table).name;
        let name = &self.model.column_info(column).name;
        self.column_named(table, name)?;
        let kind = ExprKind::Qualified { table: table.as_str().into(), name: name.as_str().into() };
        Some(Expr { kind, span: Span::default() })
    }

    /// Puts the first of the last filters of a context, those of the query, together where they are
    /// on columns of one table: the combinations that occur. `kept`: which of them keep filters
    /// outside.
    fn coalesce(&self, context: &mut FilterContext, last: usize, kept: &[bool]) -> Result<()> {
        let Some(start) = context.filters.len().checked_sub(last) else { return Ok(()) };
        if !self.model.coalesces_filters() {
            return Ok(());
        }
        let of_query = context.filters.split_off(start);
        let (mut given, rest) = (of_query[..kept.len()].to_vec(), &of_query[kept.len()..]);
        for table in (0..self.model.tables().len() as u32).map(TableId) {
            let own = self.columns_of(table);
            let columns = |f: &Filter| match f {
                Filter::Column { column, .. } => vec![*column],
                Filter::Tuples { columns, .. } => columns.clone(),
                Filter::Rows { .. } => Vec::new(),
            };
            let is_on_it = |f: &&Filter| {
                let of = columns(f);
                !of.is_empty()
                    && of.iter().all(|c| c.table == table)
                    && !own.iter().all(|c| of.contains(c))
            };
            let of_table: Vec<Filter> = given.iter().filter(is_on_it).cloned().collect();
            let mut all: Vec<ColumnId> = of_table.iter().flat_map(columns).collect();
            all.sort_unstable_by_key(|c| c.column);
            all.dedup();
            if of_table.len() < 2 || all.len() < 2 {
                continue;
            }
            let of_kept = of_query.iter().zip(kept).filter(|(f, _)| is_on_it(f)).map(|(_, k)| *k);
            let of_kept: Vec<bool> = of_kept.collect();
            if of_kept.iter().any(|k| *k != of_kept[0]) {
                return Err(Error::invalid("Filters on one table are kept and not kept."));
            }
            let alone = FilterContext { filters: of_table.clone(), ..self.unfiltered() };
            let data = self.store.table(table);
            let codes = |row: usize| all.iter().map(|c| data.column(c.column).code(row)).collect();
            let tuples: BTreeSet<Vec<u32>> =
                self.visibility().rows(&alone, table).iter().map(codes).collect();
            let tuples = Arc::new(tuples.into_iter().collect());
            given.retain(|f| !of_table.contains(f));
            given.push(Filter::Tuples { columns: all, tuples });
        }
        context.filters.extend(given);
        context.filters.extend_from_slice(rest);
        Ok(())
    }
}

/// Values and flags of the group columns, blank for those that are left out.
fn group_values(parts: &[Rollup], grouping: &Grouping, row: &[Value]) -> Vec<Value> {
    let mut given = row.iter().cloned();
    let mut shown = Vec::new();
    for (part, n) in parts.iter().zip(grouping) {
        for (i, step) in part.steps.iter().enumerate() {
            for _ in &step.columns {
                let value = if i < *n { given.next() } else { None };
                shown.push(value.unwrap_or(Value::Blank));
            }
            shown.extend(step.flag.as_ref().map(|_| Value::Boolean(i >= *n)));
        }
    }
    shown
}
