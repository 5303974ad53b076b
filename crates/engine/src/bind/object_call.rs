//! Tables about objects of the model, and rows picked from tables.

use evercube_base::{DataType, Error, Result};
use evercube_dax::ast::{BinaryOperator, Expr, ExprKind, Span};
use evercube_store::TableId;

use super::call::{BOOLEAN, all_uses};
use super::{Binder, CONTEXT, Scope, column, table_type};
use crate::plan::{Kind, Node, Type, Uses};

impl Binder<'_> {
    pub(super) fn object_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        Ok(Some(match name {
            "TABLEOF" => {
                let table = self.home_of(&arguments[0])?;
                self.model_table(table, false, span)
            }
            "COLUMNSTATISTICS" => {
                let schema = vec![
                    column("Table Name", DataType::String),
                    column("Column Name", DataType::String),
                    column("Min", DataType::Variant),
                    column("Max", DataType::Variant),
                    column("Cardinality", DataType::Int64),
                    column("Max Length", DataType::Int64),
                ];
                Self::node(Kind::ColumnStatistics, table_type(schema), CONTEXT, span)
            }
            "DEPENDON" => self.depend_on(scope, arguments, span)?,
            "SAMPLEAXISWITHLOCALMINMAX" => self.sample_axis(scope, arguments, span)?,
            _ => return Ok(None),
        }))
    }

    /// The rows of a table whose first columns have the current values of columns outside: of a row
    /// context that has them, else those that are visible.
    fn depend_on(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let table = self.table(scope, &arguments[0])?;
        let (schema, frame) = (table.schema(), scope.frames.len());
        if schema.len() < arguments.len() - 1 {
            return Err(Error::invalid(format!(
                "DEPENDON was given {} columns for a table of {}.",
                arguments.len() - 1,
                schema.len()
            )));
        }
        let mut condition: Option<Node> = None;
        for (place, e) in arguments[1..].iter().enumerate() {
            let column = self.column_reference(e)?;
            let of_row = |frame: usize, column: usize, ty: DataType| {
                let uses = Uses { frame, ..Uses::default() };
                let kind = Kind::RowColumn { frame, column };
                Self::node(kind, Type::Scalar(ty), uses, e.span)
            };
            let own = of_row(frame, place, schema[place].data_type);
            let outside = scope.frames.iter().enumerate().rev().find_map(|(frame, f)| {
                let at = f.schema.iter().position(|c| c.lineage == Some(column))?;
                Some(of_row(frame, at, f.schema[at].data_type))
            });
            let is_current = match outside {
                Some(value) => Self::binary(own, BinaryOperator::StrictEqual, value, e.span),
                None => {
                    let right = self.values(vec![column], true, e.span);
                    let uses = own.uses.and(right.uses);
                    let kind = Kind::In { left: vec![own], right: Box::new(right) };
                    Self::node(kind, BOOLEAN, uses, e.span)
                }
            };
            condition = Some(match condition {
                None => is_current,
                Some(others) => {
                    let uses = others.uses.and(is_current.uses);
                    let kind = Kind::And(Box::new(others), Box::new(is_current));
                    Self::node(kind, BOOLEAN, uses, span)
                }
            });
        }
        let Some(condition) = condition else { return Ok(table) };
        let uses = condition.uses.outside_frame(frame).and(table.uses);
        let ty = table.ty.clone();
        let kind = Kind::Filter { table: Box::new(table), condition: Box::new(condition) };
        Ok(Self::node(kind, ty, uses, span))
    }

    /// `( size, table, axis, measure, …, resolution, … )`: what follows the measures says how the
    /// work is cut up, which is not taken over.
    fn sample_axis(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let count = self.scalar(scope, &arguments[0])?;
        let table = self.table(scope, &arguments[1])?;
        let inner = self.inside(scope, &table);
        let axis = self.scalar(&inner, &arguments[2])?;
        let is_measure = |e: &&Expr| {
            !matches!(e.kind, ExprKind::Literal(_) | ExprKind::Omitted | ExprKind::Name { .. })
        };
        let measures: Vec<Node> = arguments[3..]
            .iter()
            .take_while(is_measure)
            .map(|e| self.scalar(&inner, e))
            .collect::<Result<_>>()?;
        let inside = all_uses(measures.iter().chain([&axis])).outside_frame(scope.frames.len());
        let uses = inside.and(count.uses).and(table.uses);
        let ty = table.ty.clone();
        let (count, table, axis) = (Box::new(count), Box::new(table), Box::new(axis));
        Ok(Self::node(Kind::SampleAxis { count, table, axis, measures }, ty, uses, span))
    }

    /// The table a column or a measure belongs to.
    fn home_of(&mut self, e: &Expr) -> Result<TableId> {
        if let Some(name) = self.measure_name(e) {
            let defined = self.defined.get(&name.to_lowercase());
            let home = match defined {
                Some(m) => m.table,
                None => self.model.measure(&name).map(|m| m.table),
            };
            return home.ok_or_else(|| {
                Error::invalid(format!("The measure [{name}] belongs to no table."))
                    .at(e.span.place())
            });
        }
        Ok(self.column_reference(e)?.table)
    }

    /// The name of the measure that a reference is to.
    fn measure_name(&self, e: &Expr) -> Option<String> {
        match &e.kind {
            ExprKind::Bracketed(name) | ExprKind::Qualified { name, .. }
                if self.is_measure(name) =>
            {
                Some(name.to_string())
            }
            _ => None,
        }
    }
}
