//! Aggregations of columns and iterators over tables.

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::{BinaryOperator, Expr, ExprKind, Span};

use super::call::{WHOLE, no_booleans};
use super::{Binder, Scope, common_type, literal};
use crate::plan::{Fold, Kind, Node, SortKey, Type};

/// What an aggregation folds, by the name of the function over a column.
fn column_fold(name: &str) -> Option<Fold> {
    Some(match name {
        "SUM" => Fold::Sum,
        "AVERAGE" | "AVERAGEA" => Fold::Average,
        "MIN" | "MINA" => Fold::Min,
        "MAX" | "MAXA" => Fold::Max,
        "COUNT" | "COUNTA" => Fold::Count,
        "COUNTBLANK" => Fold::CountBlank,
        "DISTINCTCOUNT" | "APPROXIMATEDISTINCTCOUNT" => Fold::DistinctCount,
        "DISTINCTCOUNTNOBLANK" => Fold::DistinctCountNoBlank,
        "PRODUCT" => Fold::Product,
        "GEOMEAN" => Fold::GeoMean,
        "MEDIAN" => Fold::Median,
        "PERCENTILE.INC" => Fold::PercentileInc,
        "PERCENTILE.EXC" => Fold::PercentileExc,
        "STDEV.P" => Fold::StdevP,
        "STDEV.S" => Fold::StdevS,
        "VAR.P" => Fold::VarP,
        "VAR.S" => Fold::VarS,
        _ => return None,
    })
}

/// The same for iterators.
fn iterator_fold(name: &str) -> Option<Fold> {
    Some(match name {
        "SUMX" => Fold::Sum,
        "AVERAGEX" => Fold::Average,
        "MINX" => Fold::Min,
        "MAXX" => Fold::Max,
        "COUNTX" | "COUNTAX" => Fold::Count,
        "PRODUCTX" => Fold::Product,
        "GEOMEANX" => Fold::GeoMean,
        "MEDIANX" => Fold::Median,
        "PERCENTILEX.INC" => Fold::PercentileInc,
        "PERCENTILEX.EXC" => Fold::PercentileExc,
        "STDEVX.P" => Fold::StdevP,
        "STDEVX.S" => Fold::StdevS,
        "VARX.P" => Fold::VarP,
        "VARX.S" => Fold::VarS,
        "CONCATENATEX" => Fold::Concatenate,
        "XIRR" => Fold::Xirr,
        "XNPV" => Fold::Xnpv,
        _ => return None,
    })
}

impl Binder<'_> {
    pub(super) fn aggregate_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        if let Some(fold) = column_fold(name) {
            return self.column_aggregate(scope, name, fold, arguments, span).map(Some);
        }
        if let Some(fold) = iterator_fold(name) {
            return self.iterator(scope, name, fold, arguments, span).map(Some);
        }
        Ok(Some(match name {
            "COUNTROWS" => {
                let table = match (arguments.first(), self.home) {
                    (Some(table), _) => self.table(scope, table)?,
                    (None, Some(home)) => self.model_table(home, false, span),
                    (None, None) => {
                        return Err(Error::invalid(
                            "COUNTROWS needs the table whose rows it counts; without one it counts those of the table that its measure or calculated column belongs to.",
                        ));
                    }
                };
                let uses = table.uses;
                Self::node(Kind::CountRows(Box::new(table)), WHOLE, uses, span)
            }
            "RANKX" => self.rank_x(scope, arguments, span)?,
            "RANK.EQ" => self.rank_eq(scope, arguments, span)?,
            _ => return Ok(None),
        }))
    }

    fn column_aggregate(
        &mut self,
        scope: &Scope,
        name: &str,
        fold: Fold,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let table = self.column_rows(scope, &arguments[0])?;
        let inner = self.inside(scope, &table);
        let body = self.scalar(&inner, &arguments[0])?;
        let body = match name {
            // True counts as one.
            "AVERAGEA" | "MINA" | "MAXA" if body.data_type() == DataType::Boolean => {
                Self::converted(body, DataType::Int64)?
            }
            // Text counts as zero.
            "AVERAGEA" | "MINA" | "MAXA" if body.data_type() == DataType::String => {
                Self::zero_where_filled(body)
            }
            _ => body,
        };
        let extra = self.scalars_of(scope, &arguments[1..])?;
        let of = self.column_reference(&arguments[0]).ok();
        self.folded(scope, name, fold, table, body, extra, Vec::new(), span).map_err(|mut e| {
            if let Some(column) = of {
                let shown = self.model.column_name(column);
                e.message =
                    format!("{}, which those of {shown} are.", e.message.trim_end_matches('.'));
            }
            e
        })
    }

    /// Zero in place of each value that is not blank.
    fn zero_where_filled(value: Node) -> Node {
        let (uses, span) = (value.uses, value.span);
        let blank = || literal(Value::Blank, span);
        let condition = Self::binary(value, BinaryOperator::StrictEqual, blank(), span);
        let kind = Kind::If {
            condition: Box::new(condition),
            then: Box::new(blank()),
            otherwise: Some(Box::new(literal(Value::Int(0), span))),
        };
        Self::node(kind, WHOLE, uses, span)
    }

    /// The rows over which a column is aggregated: of its model table, or of a table of the query.
    pub(super) fn column_rows(&mut self, scope: &Scope, e: &Expr) -> Result<Node> {
        if let ExprKind::Qualified { table, .. } = &e.kind
            && self.model.table_id(table).is_none()
        {
            return self.name(scope, table, true, e.span);
        }
        let column = self.column_reference(e)?;
        Ok(self.model_table(column.table, false, e.span))
    }

    fn iterator(
        &mut self,
        scope: &Scope,
        name: &str,
        fold: Fold,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let table = self.table(scope, &arguments[0])?;
        let inner = self.inside(scope, &table);
        let mut body = self.scalar(&inner, &arguments[1])?;
        // Of a column MEDIANX is what MEDIAN is; of other expressions it does not leave blanks out.
        if name == "MEDIANX" && !matches!(body.kind, Kind::RowColumn { .. }) {
            let (ty, uses, at) = (body.ty.clone(), body.uses, body.span);
            let kind = Kind::Coalesce(vec![body, literal(Value::Int(0), at)]);
            body = Self::node(kind, ty, uses, at);
        }
        let rest = &arguments[2..];
        let (mut extra, mut order_by) = (Vec::new(), Vec::new());
        match fold {
            Fold::Concatenate => {
                if let Some(delimiter) = rest.first() {
                    extra.push(self.scalar(scope, delimiter)?);
                }
                order_by = self.sort_keys(&inner, rest.get(1..).unwrap_or_default(), false)?;
            }
            Fold::Xirr | Fold::Xnpv => {
                extra.push(self.scalar(&inner, &rest[0])?);
                extra.extend(self.scalars_of(scope, &rest[1..])?);
            }
            Fold::Min | Fold::Max | Fold::PercentileInc | Fold::PercentileExc => {
                extra = self.scalars_of(scope, rest)?;
            }
            _ => {}
        }
        self.folded(scope, name, fold, table, body, extra, order_by, span)
    }

    #[allow(clippy::too_many_arguments)]
    fn folded(
        &self,
        scope: &Scope,
        name: &str,
        fold: Fold,
        table: Node,
        body: Node,
        extra: Vec<Node>,
        order_by: Vec<SortKey>,
        span: Span,
    ) -> Result<Node> {
        let of = body.data_type();
        let data_type = folded_type(name, fold, of)?;
        let inside = order_by.iter().fold(body.uses, |u, k| u.and(k.expression.uses));
        let inside = extra.iter().fold(inside, |u, e| u.and(e.uses));
        let uses = table.uses.and(inside.outside_frame(scope.frames.len()));
        let kind =
            Kind::Iterate { fold, table: Box::new(table), body: Box::new(body), extra, order_by };
        Ok(Self::node(kind, Type::Scalar(data_type), uses, span))
    }

    fn rank_x(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let table = self.table(scope, &arguments[0])?;
        let inner = self.inside(scope, &table);
        let expression = self.scalar(&inner, &arguments[1])?;
        // Without a value it is the expression where RANKX stands.
        let given = arguments.get(2).filter(|e| !matches!(e.kind, ExprKind::Omitted));
        let value = self.scalar(scope, given.unwrap_or(&arguments[1]))?;
        let ascending = self.is_ascending(arguments.get(3), false)?;
        let ties = match arguments.get(4).map(|e| &e.kind) {
            None | Some(ExprKind::Omitted) => "skip".to_owned(),
            Some(ExprKind::Name { name, .. }) => name.to_lowercase(),
            Some(ExprKind::Literal(Value::String(text))) => text.to_lowercase(),
            Some(_) => String::new(),
        };
        let dense = match ties.as_str() {
            "dense" => true,
            "skip" => false,
            _ => return Err(Error::invalid("The ties of RANKX are SKIP or DENSE.")),
        };
        let uses = expression.uses.outside_frame(scope.frames.len());
        let uses = uses.and(table.uses).and(value.uses);
        let kind = Kind::RankX {
            table: Box::new(table),
            expression: Box::new(expression),
            value: Some(Box::new(value)),
            ascending,
            dense,
        };
        Ok(Self::node(kind, WHOLE, uses, span))
    }

    fn rank_eq(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let value = self.scalar(scope, &arguments[0])?;
        let id = self.column_reference(&arguments[1])?;
        let rows = self.model_table(id.table, false, arguments[1].span);
        let column = self.select(scope, rows, &[id], arguments[1].span);
        let ascending = self.is_ascending(arguments.get(2), false)?;
        let uses = value.uses.and(column.uses);
        let kind = Kind::RankEq { value: Box::new(value), column: Box::new(column), ascending };
        Ok(Self::node(kind, WHOLE, uses, span))
    }

    /// Pairs of expression and order; an order may be left out.
    pub(super) fn sort_keys(
        &mut self,
        inner: &Scope,
        arguments: &[Expr],
        descending: bool,
    ) -> Result<Vec<SortKey>> {
        let mut keys: Vec<SortKey> = Vec::new();
        let mut rest = arguments;
        while let Some((first, after)) = rest.split_first() {
            let expression = self.scalar(inner, first)?;
            let order = after.first();
            let descending = !self.is_ascending(order, !descending)?;
            keys.push(SortKey { expression, descending });
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(keys)
    }

    /// `ASC`, `DESC`, or a constant: true and one ascend.
    pub(super) fn is_ascending(&mut self, order: Option<&Expr>, otherwise: bool) -> Result<bool> {
        let Some(e) = order else { return Ok(otherwise) };
        let wrong = || {
            Error::invalid(
                "An order is ASC or DESC, or a constant: 1 or TRUE ascends, 0 or FALSE descends.",
            )
            .at(e.span.place())
        };
        match &e.kind {
            ExprKind::Omitted => Ok(otherwise),
            ExprKind::Name { name, .. } if name.eq_ignore_ascii_case("asc") => Ok(true),
            ExprKind::Name { name, .. } if name.eq_ignore_ascii_case("desc") => Ok(false),
            ExprKind::Literal(Value::Int(n)) => Ok(*n != 0),
            ExprKind::Literal(Value::Boolean(b)) => Ok(*b),
            ExprKind::Call { function, .. } if function.eq_ignore_ascii_case("true") => Ok(true),
            ExprKind::Call { function, .. } if function.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(wrong()),
        }
    }
}

fn folded_type(name: &str, fold: Fold, of: DataType) -> Result<DataType> {
    use DataType as D;
    let no_text = matches!(of, D::String | D::Boolean);
    Ok(match fold {
        _ if of == D::Boolean
            && matches!(name, "MIN" | "MAX" | "MINX" | "MAXX" | "COUNT" | "COUNTX") =>
        {
            return Err(no_booleans(name));
        }
        Fold::Count | Fold::CountBlank | Fold::DistinctCount | Fold::DistinctCountNoBlank => {
            D::Int64
        }
        Fold::Min | Fold::Max => of,
        Fold::Concatenate => D::String,
        _ if no_text || (name == "MEDIAN" && of == D::DateTime) => {
            return Err(Error::invalid(format!(
                "The function {name} cannot work with values of type {of:?}."
            )));
        }
        Fold::Sum | Fold::Product if of.is_numeric() => {
            if fold == Fold::Product {
                common_type(of, D::Double)
            } else {
                of
            }
        }
        _ => D::Double,
    })
}
