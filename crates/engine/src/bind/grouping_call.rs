//! `SUMMARIZECOLUMNS`, `SUMMARIZE`, `GROUPBY`.

use std::sync::Arc;

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Span};
use evercube_store::ColumnId;

use super::call::all_uses;
use super::table_call::{distinct_names, projection};
use super::{Binder, CONTEXT, Scope, column, table_type};
use crate::eval::{flag_columns, subtotal_column};
use crate::plan::{
    FilterArgument, GroupFilter, Kind, NamedNode, Node, Rollup, RollupChain, RollupLevel,
    TableColumn, Uses,
};

/// The parts of a call of `SUMMARIZECOLUMNS`.
#[derive(Default)]
struct Parts<'e> {
    groups: Vec<ColumnId>,
    rollup: Rollup,
    filters: Vec<GroupFilter>,
    named: Vec<(Arc<str>, &'e Expr, bool)>,
}

pub(super) fn called<'e>(e: &'e Expr, name: &str) -> Option<&'e [Expr]> {
    match &e.kind {
        ExprKind::Call { function, arguments, .. } if function.eq_ignore_ascii_case(name) => {
            Some(arguments)
        }
        _ => None,
    }
}

impl Binder<'_> {
    pub(super) fn grouping_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        Ok(Some(match name {
            "SUMMARIZECOLUMNS" => self.summarize_columns(scope, arguments, span)?,
            "SUMMARIZE" => self.summarize(scope, arguments, span)?,
            "GROUPBY" => self.group_by(scope, arguments, span)?,
            "CURRENTGROUP" => {
                let Some(group) = scope.group.clone() else {
                    return Err(Error::invalid(
                        "CURRENTGROUP can stand only in an iterator inside of GROUPBY.",
                    ));
                };
                let uses = Uses { slot: group.slot, ..CONTEXT };
                let ty = crate::plan::Type::Table(group.schema);
                Self::node(Kind::CurrentGroup, ty, uses, span)
            }
            "ADDMISSINGITEMS" => self.add_missing_items(scope, arguments, span)?,
            "ISSUBTOTAL" => self.is_subtotal(scope, &arguments[0], span)?,
            "ROLLUP"
            | "ROLLUPGROUP"
            | "ROLLUPADDISSUBTOTAL"
            | "ROLLUPISSUBTOTAL"
            | "IGNORE"
            | "NONVISUAL" => {
                return Err(Error::invalid(format!(
                    "{name} can stand only among the arguments of SUMMARIZE or SUMMARIZECOLUMNS."
                )));
            }
            _ => return Ok(None),
        }))
    }

    fn summarize_columns(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let parts = self.parts(scope, arguments)?;
        let (mut columns, mut ignored) = (Vec::new(), Vec::new());
        for (name, e, is_ignored) in parts.named {
            if is_ignored {
                ignored.push(columns.len());
            }
            columns.push(NamedNode { name, node: self.scalar(scope, e)? });
        }
        let mut schema: Vec<TableColumn> =
            parts.groups.iter().map(|c| self.model_column(*c)).collect();
        schema.extend(flag_columns(&parts.rollup));
        schema.extend(columns.iter().map(|c| column(&c.name, c.node.data_type())));
        if schema.is_empty() {
            return Err(Error::invalid("SUMMARIZECOLUMNS needs a column or an expression."));
        }
        let chains = parts.rollup.chains.iter();
        let of_chains = chains.flat_map(|c| {
            c.total_filters.iter().chain(c.levels.iter().flat_map(|level| &level.filters))
        });
        let filters = parts.filters.iter().chain(of_chains);
        let tables = filters.filter_map(|f| f.filter.table());
        let frame = if scope.frames.is_empty() { Uses::NONE } else { 0 };
        let uses = all_uses(columns.iter().map(|c| &c.node).chain(tables));
        let uses = uses.and(Uses { frame, ..CONTEXT });
        let schema = distinct_names(schema, "SUMMARIZECOLUMNS")?;
        let order = shown_order(parts.groups.len(), &parts.rollup, schema.len());
        let kind = Kind::SummarizeColumns {
            groups: parts.groups,
            rollup: parts.rollup,
            filters: self.coalesced(scope, parts.filters, &columns, span)?,
            columns,
            ignored,
        };
        let node = Self::node(kind, table_type(schema), uses, span);
        let schema = node.schema();
        Ok(match order.is_sorted() {
            true => node,
            false => projection(scope, node, &schema, &order, span),
        })
    }

    /// A table as a filter of `SUMMARIZECOLUMNS`; `None` where it filters nothing.
    fn group_filter(&mut self, scope: &Scope, e: &Expr) -> Result<Option<GroupFilter>> {
        let hidden = called(e, "NONVISUAL").and_then(<[Expr]>::first);
        let given = hidden.unwrap_or(e);
        match self.filter_arguments(scope, std::slice::from_ref(given))?.pop() {
            Some(filter @ FilterArgument::Table { .. }) => {
                Ok(Some(GroupFilter { filter, visual: hidden.is_none() }))
            }
            Some(FilterArgument::Remove(of)) if of.is_empty() => Ok(None),
            _ => {
                Err(Error::invalid("The filters of SUMMARIZECOLUMNS are tables.")
                    .at(e.span.place()))
            }
        }
    }

    fn parts<'e>(&mut self, scope: &Scope, arguments: &'e [Expr]) -> Result<Parts<'e>> {
        let mut out = Parts::default();
        let mut rest = arguments;
        while let Some((e, after)) = rest.split_first() {
            rest = after;
            match &e.kind {
                ExprKind::Literal(Value::String(name)) => {
                    let Some((of, after)) = after.split_first() else {
                        return Err(Error::invalid(format!(
                            "The column '{name}' has no expression."
                        ))
                        .at(e.span.place()));
                    };
                    rest = after;
                    let inner = called(of, "IGNORE").and_then(<[Expr]>::first);
                    out.named.push((Arc::from(&**name), inner.unwrap_or(of), inner.is_some()));
                }
                ExprKind::Qualified { .. } => {
                    self.group(e, &mut out)?;
                }
                _ => match (called(e, "ROLLUPADDISSUBTOTAL"), called(e, "ROLLUPGROUP")) {
                    (Some(levels), _) => self.rollup(scope, levels, &mut out)?,
                    (_, Some(columns)) => {
                        for c in columns {
                            self.group(c, &mut out)?;
                        }
                    }
                    _ => {
                        let filter = self.group_filter(scope, e)?;
                        out.filters.extend(filter);
                    }
                },
            }
        }
        Ok(out)
    }

    /// One more column to group by; gives its position.
    fn group(&mut self, e: &Expr, out: &mut Parts<'_>) -> Result<usize> {
        let id = self.column_reference(e)?;
        if out.groups.contains(&id) {
            let name = self.model.column_name(id);
            return Err(Error::invalid(format!(
                "The column {name} stands more than once among those SUMMARIZECOLUMNS groups by."
            ))
            .at(e.span.place()));
        }
        out.groups.push(id);
        Ok(out.groups.len() - 1)
    }

    /// `ROLLUPADDISSUBTOTAL ( [filter of the total,] column or group, "flag", [filter,] … )`.
    fn rollup<'e>(&mut self, scope: &Scope, levels: &'e [Expr], out: &mut Parts<'e>) -> Result<()> {
        let mut chain = RollupChain::default();
        let mut rest = levels;
        while let Some((e, after)) = rest.split_first() {
            rest = after;
            let columns = match called(e, "ROLLUPGROUP") {
                Some(columns) => columns,
                None if matches!(e.kind, ExprKind::Qualified { .. }) => std::slice::from_ref(e),
                None => {
                    let filter = self.group_filter(scope, e)?;
                    match chain.levels.last_mut() {
                        Some(level) => level.filters.extend(filter),
                        None => chain.total_filters.extend(filter),
                    }
                    continue;
                }
            };
            let mut of_level = Vec::new();
            for c in columns {
                of_level.push(self.group(c, out)?);
            }
            let name = match after.split_first() {
                Some((n, after)) if matches!(n.kind, ExprKind::Literal(Value::String(_))) => {
                    rest = after;
                    Some(Self::new_name(n)?)
                }
                _ => None,
            };
            chain.levels.push(RollupLevel { columns: of_level, flag: name, filters: Vec::new() });
        }
        out.rollup.chains.push(chain);
        Ok(())
    }

    fn summarize(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let table = self.table(scope, &arguments[0])?;
        let inner = self.inside(scope, &table);
        let (mut groups, mut schema) = (Vec::new(), Vec::new());
        let mut rollup = Rollup::default();
        let mut rest = &arguments[1..];
        while let Some((e, after)) = rest.split_first() {
            if matches!(e.kind, ExprKind::Literal(_)) {
                break;
            }
            rest = after;
            let mut chain = RollupChain::default();
            for (columns, rolled) in summarize_level(e) {
                let mut of_level = Vec::new();
                for c in columns {
                    let (node, shown) = self.group_column(scope, &inner, &table, c)?;
                    of_level.push(groups.len());
                    groups.push(node);
                    schema.push(shown);
                }
                if rolled {
                    let level = RollupLevel { columns: of_level, flag: None, filters: Vec::new() };
                    chain.levels.push(level);
                }
            }
            if !chain.levels.is_empty() {
                rollup.chains.push(chain);
            }
        }
        let mut of_groups = scope.clone();
        let told = schema.iter().cloned().chain((0..schema.len()).map(subtotal_column));
        of_groups.frames.push(super::Frame {
            schema: Arc::new(told.collect()),
            table: None,
            relationships: Arc::clone(&self.relationships),
            behind: 0,
        });
        let columns = self.named(&of_groups, rest)?;
        schema.extend(columns.iter().map(|c| column(&c.name, c.node.data_type())));
        if schema.is_empty() {
            return Err(Error::invalid("SUMMARIZE needs a column to group by."));
        }
        let depth = scope.frames.len();
        let uses = all_uses(groups.iter().chain(columns.iter().map(|c| &c.node)));
        let frame = if depth > 0 && !columns.is_empty() { 0 } else { Uses::NONE };
        let uses = uses.outside_frame(depth).and(table.uses).and(Uses { frame, ..CONTEXT });
        let schema = distinct_names(schema, "SUMMARIZE")?;
        let kind = Kind::Summarize { table: Box::new(table), groups, rollup, columns };
        Ok(Self::node(kind, table_type(schema), uses, span))
    }

    /// Whether a group column is rolled up in the row of `SUMMARIZE` at hand.
    fn is_subtotal(&self, scope: &Scope, e: &Expr, span: Span) -> Result<Node> {
        let column = self.column_reference(e)?;
        let flag = scope.frames.last().and_then(|f| {
            let group = f.schema.iter().position(|c| c.lineage == Some(column))?;
            f.schema.iter().position(|c| c.name == subtotal_column(group).name)
        });
        let Some(flag) = flag else {
            return Err(Error::invalid(
                "ISSUBTOTAL can stand only among the expressions of SUMMARIZE, and names one of the columns it groups by.",
            ));
        };
        let frame = scope.frames.len() - 1;
        let uses = Uses { frame, ..Uses::default() };
        let kind = Kind::RowColumn { frame, column: flag };
        Ok(Self::node(kind, super::call::BOOLEAN, uses, span))
    }

    /// A column to group by: of the table, or of one its rows are related to.
    pub(super) fn group_column(
        &mut self,
        scope: &Scope,
        inner: &Scope,
        table: &Node,
        e: &Expr,
    ) -> Result<(Node, TableColumn)> {
        let depth = scope.frames.len();
        if let Ok(node) = self.any(inner, e)
            && let Kind::RowColumn { frame, column } = node.kind
            && frame == depth
        {
            let schema = table.schema();
            return Ok((node, schema[column].clone()));
        }
        let id = self.column_reference(e)?;
        match self.related_column(inner, id, e.span) {
            Some(node) if node.uses.frame == depth => Ok((node, self.model_column(id))),
            _ => Err(Error::invalid(format!(
                "The column {} to group by is neither in the table nor in one related to it.",
                self.model.column_name(id)
            ))
            .at(e.span.place())),
        }
    }

    /// Refuses what an expression of `GROUPBY` may not do: look at the filter context.
    fn only_current_group(&self, table: &Node, e: &Expr) -> Result<()> {
        let refused = match &e.kind {
            ExprKind::Call { function, arguments, .. } => {
                let name = function.to_ascii_uppercase();
                matches!(&*name, "CALCULATE" | "CALCULATETABLE")
                    || OF_COLUMNS.contains(&&*name)
                    || (matches!(&*name, "MIN" | "MAX") && arguments.len() == 1)
            }
            ExprKind::Bracketed(name) => {
                let lower = name.to_lowercase();
                self.is_measure(name)
                    && !table.schema().iter().any(|c| c.name.to_lowercase() == lower)
            }
            _ => false,
        };
        if refused {
            return Err(Error::invalid(
                "The expressions of GROUPBY are aggregations over CURRENTGROUP () such as SUMX; CALCULATE, measures and aggregations over a column see the filter context and cannot stand in them.",
            )
            .at(e.span.place()));
        }
        e.parts().into_iter().try_for_each(|part| self.only_current_group(table, part))
    }

    fn group_by(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let table = self.table(scope, &arguments[0])?;
        let inner = self.inside(scope, &table);
        let (mut groups, mut schema) = (Vec::new(), Vec::new());
        let mut rest = &arguments[1..];
        while let Some((e, after)) = rest.split_first() {
            if matches!(e.kind, ExprKind::Literal(_)) {
                break;
            }
            rest = after;
            let (node, shown) = self.group_column(scope, &inner, &table, e)?;
            groups.push(node);
            schema.push(shown);
        }
        let slot = self.next_slot();
        let mut of_group = scope.clone();
        let frame = self.frame_of(scope, &table);
        of_group.group = Some(super::GroupScope { schema: frame.schema, table: frame.table, slot });
        for e in rest {
            self.only_current_group(&table, e)?;
        }
        let columns = self.named(&of_group, rest)?;
        schema.extend(columns.iter().map(|c| column(&c.name, c.node.data_type())));
        let uses = all_uses(columns.iter().map(|c| &c.node)).outside_slot(slot);
        let uses = all_uses(&groups).outside_frame(scope.frames.len()).and(uses).and(table.uses);
        let schema = distinct_names(schema, "GROUPBY")?;
        let kind = Kind::GroupBy { table: Box::new(table), groups, columns };
        Ok(Self::node(kind, table_type(schema), uses, span))
    }
}

/// Aggregations over a column, which see the filter context.
const OF_COLUMNS: [&str; 14] = [
    "SUM",
    "AVERAGE",
    "COUNT",
    "COUNTA",
    "COUNTBLANK",
    "DISTINCTCOUNT",
    "DISTINCTCOUNTNOBLANK",
    "PRODUCT",
    "MEDIAN",
    "STDEV.P",
    "STDEV.S",
    "VAR.P",
    "VAR.S",
    "GEOMEAN",
];

/// Where each shown column is among groups, flags and expressions: a flag follows the columns of
/// its level.
fn shown_order(groups: usize, rollup: &Rollup, columns: usize) -> Vec<usize> {
    let levels = rollup.chains.iter().flat_map(|chain| &chain.levels);
    let flagged = levels.filter(|l| l.flag.is_some());
    let lasts: Vec<Option<usize>> = flagged.map(|l| l.columns.iter().max().copied()).collect();
    let mut order = Vec::with_capacity(columns);
    for group in 0..groups {
        order.push(group);
        let flags = lasts.iter().enumerate().filter(|(_, last)| **last == Some(group));
        order.extend(flags.map(|(flag, _)| groups + flag));
    }
    order.extend(groups + lasts.len()..columns);
    order
}

/// The columns of one argument of `SUMMARIZE`, and whether they are rolled up.
fn summarize_level(e: &Expr) -> Vec<(&[Expr], bool)> {
    match called(e, "ROLLUP") {
        Some(levels) => levels
            .iter()
            .map(|l| (called(l, "ROLLUPGROUP").unwrap_or(std::slice::from_ref(l)), true))
            .collect(),
        None => vec![(called(e, "ROLLUPGROUP").unwrap_or(std::slice::from_ref(e)), false)],
    }
}
