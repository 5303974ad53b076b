//! `LINEST` and `LINESTX`: a straight line fitted to columns or to expressions over rows.

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Span};

use super::call::all_uses;
use super::{Binder, Scope, column, table_type};
use crate::plan::{Kind, Node, TableColumn};

impl Binder<'_> {
    pub(super) fn regression_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        let (table, values) = match name {
            "LINEST" => (self.column_rows(scope, &arguments[0])?, arguments),
            "LINESTX" => (self.table(scope, &arguments[0])?, &arguments[1..]),
            _ => return Ok(None),
        };
        let (values, intercept) = match values.split_last().map(|(e, rest)| (truth(e), rest)) {
            Some((Some(given), rest)) => (rest, given),
            _ => (values, true),
        };
        if values.len() < 2 {
            return Err(Error::invalid(format!(
                "{name} needs the values to explain and at least one to explain them by."
            )));
        }
        let inner = self.inside(scope, &table);
        let mut bound = Vec::with_capacity(values.len());
        for e in values {
            let node = self.scalar(&inner, e)?;
            if node.data_type() == DataType::String {
                return Err(Error::invalid(format!(
                    "{name} cannot work with values of type String."
                ))
                .at(e.span.place()));
            }
            bound.push(node);
        }
        let uses = all_uses(&bound).outside_frame(scope.frames.len()).and(table.uses);
        let schema = columns(values.len() - 1);
        let kind = Kind::FitLine { table: Box::new(table), values: bound, intercept };
        Ok(Some(Self::node(kind, table_type(schema), uses, span)))
    }
}

/// A constant `TRUE` or `FALSE`.
fn truth(e: &Expr) -> Option<bool> {
    match &e.kind {
        ExprKind::Literal(Value::Boolean(b)) => Some(*b),
        ExprKind::Call { function, arguments, .. } if arguments.is_empty() => {
            match function.to_ascii_uppercase().as_str() {
                "TRUE" => Some(true),
                "FALSE" => Some(false),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What is said about a line with this many slopes.
fn columns(slopes: usize) -> Vec<TableColumn> {
    let numbered = |what: &str| (1..=slopes).map(|i| format!("{what}{i}")).collect::<Vec<_>>();
    let mut names = numbered("Slope");
    names.push("Intercept".to_owned());
    names.extend(numbered("StandardErrorSlope"));
    names.extend(
        [
            "StandardErrorIntercept",
            "CoefficientOfDetermination",
            "StandardError",
            "FStatistic",
            "DegreesOfFreedom",
            "RegressionSumOfSquares",
            "ResidualSumOfSquares",
        ]
        .map(str::to_owned),
    );
    let of = |name: &str| match name {
        "DegreesOfFreedom" => DataType::Int64,
        _ => DataType::Double,
    };
    names.iter().map(|n| column(n, of(n))).collect()
}
