//! Functions over the filter context and over row contexts.

use std::sync::Arc;

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::{BinaryOperator, Expr, ExprKind, Span};
use evercube_store::ColumnId;

use super::call::{BOOLEAN, all_uses};
use super::{Binder, CONTEXT, Frame, Scope, literal};
use crate::filter_context::{FilterContext, Visibility};
use crate::plan::{ContextTest, FilterArgument, Kind, Node, Schema, SelectedMeasure, Type, Uses};

/// The measure an argument names; whether there is one is not asked, as in any list of names.
fn measure_name(e: &Expr) -> Result<String> {
    match &e.kind {
        ExprKind::Bracketed(name) | ExprKind::Qualified { name, .. } => Ok(name.to_string()),
        _ => Err(Error::invalid("A measure is expected here, as [Sales].").at(e.span.place())),
    }
}

impl Binder<'_> {
    fn selected_measure(&self, scope: &Scope, what: SelectedMeasure, span: Span) -> Node {
        let data_type = match &what {
            SelectedMeasure::Value => self.selected_type,
            SelectedMeasure::Name | SelectedMeasure::FormatString => DataType::String,
            SelectedMeasure::IsOneOf(_) => DataType::Boolean,
        };
        let frame = if scope.frames.is_empty() { Uses::NONE } else { 0 };
        let uses = Uses { frame, ..CONTEXT };
        Self::node(Kind::SelectedMeasure(what), Type::Scalar(data_type), uses, span)
    }

    pub(super) fn context_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        Ok(Some(match name {
            "CALCULATE" => {
                let filters = self.filter_arguments(scope, &arguments[1..])?;
                let body = self.under(&filters, |b| b.scalar(scope, &arguments[0]))?;
                Self::calculate(scope, body, filters, span)
            }
            "CALCULATETABLE" => {
                let filters = self.filter_arguments(scope, &arguments[1..])?;
                let body = self.under(&filters, |b| b.table(scope, &arguments[0]))?;
                Self::calculate_table(scope, body, filters, span)
            }
            "RELATEDTABLE" => {
                let body = self.table(scope, &arguments[0])?;
                Self::calculate_table(scope, body, Vec::new(), span)
            }
            "DETAILROWS" => self.detail_rows(scope, &arguments[0], span)?,
            "SELECTEDMEASURE" => self.selected_measure(scope, SelectedMeasure::Value, span),
            "SELECTEDMEASURENAME" => self.selected_measure(scope, SelectedMeasure::Name, span),
            "SELECTEDMEASUREFORMATSTRING" => {
                self.selected_measure(scope, SelectedMeasure::FormatString, span)
            }
            "ISSELECTEDMEASURE" => {
                let names = arguments.iter().map(measure_name).collect::<Result<_>>()?;
                self.selected_measure(scope, SelectedMeasure::IsOneOf(names), span)
            }
            "RELATED" => self.related(scope, &arguments[0], span)?,
            "EARLIER" | "EARLIEST" => self.earlier(scope, name, arguments, span)?,
            "HASONEVALUE" => {
                let column = self.column_reference(&arguments[0])?;
                let values = self.values(vec![column], true, span);
                let uses = values.uses;
                let count =
                    Self::node(Kind::CountRows(Box::new(values)), super::call::WHOLE, uses, span);
                Self::binary(count, BinaryOperator::Equal, literal(Value::Int(1), span), span)
            }
            "SELECTEDVALUE" => {
                let column = self.column_reference(&arguments[0])?;
                let values = self.values(vec![column], true, span);
                let otherwise = arguments.get(1).map(|e| self.scalar(scope, e)).transpose()?;
                let ty = super::shared_type([&values].into_iter().chain(&otherwise));
                let uses = otherwise.iter().fold(values.uses, |u, o| u.and(o.uses));
                let otherwise = otherwise.map(Box::new);
                let kind = Kind::SingleValue { table: Box::new(values), otherwise, strict: false };
                Self::node(kind, Type::Scalar(ty), uses, span)
            }
            "ISFILTERED" => self.test(ContextTest::IsFiltered, arguments, span)?,
            "ISCROSSFILTERED" => self.test(ContextTest::IsCrossFiltered, arguments, span)?,
            "HASONEFILTER" => self.test(ContextTest::HasOneFilter, arguments, span)?,
            "ISINSCOPE" => self.test(ContextTest::IsInScope, arguments, span)?,
            "KEEPFILTERS" if arguments.len() == 1 => {
                let table = self.table(scope, &arguments[0])?;
                let (ty, uses) = (table.ty.clone(), table.uses);
                Self::node(Kind::KeepFilters(Box::new(table)), ty, uses, span)
            }
            "REMOVEFILTERS" | "USERELATIONSHIP" | "CROSSFILTER" => {
                return Err(Error::invalid(format!(
                    "{name} can stand only among the filter arguments of CALCULATE and CALCULATETABLE."
                )));
            }
            _ => return Ok(None),
        }))
    }

    /// The rows behind a measure: as its definition says, or the table it belongs to.
    fn detail_rows(&mut self, scope: &Scope, e: &Expr, span: Span) -> Result<Node> {
        let name = measure_name(e)?;
        let Some(measure) = self.model.measure(&name) else {
            return Err(
                Error::invalid(format!("The model has no measure [{name}].")).at(e.span.place())
            );
        };
        let table = measure.table;
        let body = match measure.detail_rows.clone() {
            None => self.model_table(table, false, span),
            Some(expression) => {
                // The rows around are filters there; none of their columns can be named.
                let nameless =
                    |f: &Frame| Frame { schema: Schema::default(), table: None, ..f.clone() };
                let frames = scope.frames.iter().map(nameless).collect();
                let own = Scope { frames, group: None, ..self.query_scope() };
                let bound =
                    expression.and_then(|e| self.at_home(Some(table), |b| b.table(&own, &e)));
                bound.map_err(|e| {
                    let what = format!("In the detail rows of the measure [{name}]");
                    self.model.told_of(&what, e)
                })?
            }
        };
        Ok(Self::calculate_table(scope, body, Vec::new(), span))
    }

    /// Binds under the relationships that these arguments leave.
    fn under<T>(&mut self, filters: &[FilterArgument], bind: impl FnOnce(&mut Self) -> T) -> T {
        let mut changed = FilterContext::clone(&self.relationships);
        for filter in filters {
            match filter {
                FilterArgument::Use(id) => changed.used.push(*id),
                FilterArgument::Direct(id, direction) => changed.directions.push((*id, *direction)),
                _ => {}
            }
        }
        if changed == *self.relationships {
            return bind(self);
        }
        let outer = std::mem::replace(&mut self.relationships, Arc::new(changed));
        let bound = bind(self);
        self.relationships = outer;
        bound
    }

    /// What the arguments and the body of a `CALCULATE` depend on.
    fn calculated_uses(scope: &Scope, body: &Node, filters: &[FilterArgument]) -> Uses {
        let tables = filters.iter().filter_map(FilterArgument::table);
        // All rows around become filters.
        let frame = if scope.frames.is_empty() { Uses::NONE } else { 0 };
        all_uses(tables).and(body.uses).and(Uses { frame, ..CONTEXT })
    }

    pub(super) fn calculate(
        scope: &Scope,
        body: Node,
        filters: Vec<FilterArgument>,
        span: Span,
    ) -> Node {
        let uses = Self::calculated_uses(scope, &body, &filters);
        let ty = body.ty.clone();
        let kind = Kind::Calculate { body: Box::new(body), filters, transition: true };
        Self::node(kind, ty, uses, span)
    }

    pub(super) fn calculate_table(
        scope: &Scope,
        body: Node,
        filters: Vec<FilterArgument>,
        span: Span,
    ) -> Node {
        let uses = Self::calculated_uses(scope, &body, &filters);
        let ty = body.ty.clone();
        Self::node(Kind::CalculateTable { body: Box::new(body), filters }, ty, uses, span)
    }

    fn test(&mut self, test: ContextTest, arguments: &[Expr], span: Span) -> Result<Node> {
        let columns = match &arguments[0].kind {
            ExprKind::Name { name, .. } => self.model.columns_of(self.model_table_id(name)?),
            _ => vec![self.column_reference(&arguments[0])?],
        };
        Ok(Self::node(Kind::Context { test, columns }, BOOLEAN, CONTEXT, span))
    }

    fn related(&mut self, scope: &Scope, e: &Expr, span: Span) -> Result<Node> {
        let column = self.column_reference(e)?;
        if let Some(found) = self.related_column(scope, column, span) {
            return Ok(found);
        }
        Err(Error::invalid(format!(
            "The column {} either does not exist or does not have a relationship to any table available in the current row context.",
            self.model.column_name(column)
        )))
    }

    /// A column of the expanded table of the innermost row context that reaches it.
    pub(super) fn related_column(
        &self,
        scope: &Scope,
        column: ColumnId,
        span: Span,
    ) -> Option<Node> {
        let v = Visibility { model: self.model, store: self.store };
        let seen = scope.frames.iter().enumerate().filter(|(_, f)| f.is_seen_from(span));
        for (frame, f) in seen.rev() {
            let Some(base) = f.table else { continue };
            let expanded = v.expanded(&f.relationships, base);
            let Some((_, path)) = expanded.into_iter().find(|(t, _)| *t == column.table) else {
                continue;
            };
            let ty = Type::Scalar(self.model.column_info(column).data_type);
            let kind = match path.is_empty() {
                true => Kind::RowColumn { frame, column: column.column as usize },
                false => Kind::Related { frame, path, column },
            };
            return Some(Self::node(kind, ty, Uses { frame, ..Uses::default() }, span));
        }
        None
    }

    fn earlier(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let steps = match arguments.get(1).map(|e| &e.kind) {
            None | Some(ExprKind::Omitted) => 1,
            Some(ExprKind::Literal(Value::Int(n))) if *n >= 0 => *n as usize,
            Some(_) => {
                return Err(Error::invalid(
                    "The number of EARLIER is a constant: how many row contexts to go out.",
                ));
            }
        };
        let mut narrowed = scope.clone();
        let mut found = Vec::new();
        while !narrowed.frames.is_empty() {
            // The innermost column of that name in what is left.
            let node = match self.any(&narrowed, &arguments[0]) {
                Ok(node) => node,
                Err(_) => break,
            };
            let Kind::RowColumn { frame, .. } = node.kind else { break };
            narrowed.frames.truncate(frame);
            found.push(node);
        }
        // A column that only rows further out have is theirs, `FILTER ( T2, T2[k] = EARLIER ( T1[k] ) )`.
        let mut outer = scope.clone();
        outer.frames.truncate(scope.frames.len().saturating_sub(steps));
        let chosen = match name {
            "EARLIEST" => found.pop(),
            _ => found.into_iter().nth(steps).or_else(|| self.any(&outer, &arguments[0]).ok()),
        };
        chosen
            .filter(|n| matches!(n.kind, Kind::RowColumn { .. }))
            .map(|n| Node { span, ..n })
            .ok_or_else(|| {
                Error::invalid(format!(
                    "{name} refers to a row context further out that does not exist."
                ))
            })
    }
}
