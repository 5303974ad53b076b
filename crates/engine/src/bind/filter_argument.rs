//! Arguments of `CALCULATE`: tables, conditions on columns, modifiers.

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_store::{ColumnId, RelationshipId};

use super::{Binder, Scope};
use crate::filter_context::{Direction, FilterContext, Visibility};
use crate::functions::{self, FunctionKind, ParameterKind};
use crate::plan::{FilterArgument, Kind, Node, Uses};

impl Binder<'_> {
    pub(super) fn filter_arguments(
        &mut self,
        scope: &Scope,
        arguments: &[Expr],
    ) -> Result<Vec<FilterArgument>> {
        let given = arguments.iter().filter(|a| !matches!(a.kind, ExprKind::Omitted));
        let bind =
            |a: &Expr| self.filter_argument(scope, a, false).map_err(|e| e.at(a.span.place()));
        given.map(bind).collect()
    }

    fn filter_argument(&mut self, scope: &Scope, e: &Expr, keep: bool) -> Result<FilterArgument> {
        if let ExprKind::Call { function, arguments, .. } = &e.kind {
            let name = function.to_ascii_uppercase();
            match (name.as_str(), &arguments[..]) {
                ("KEEPFILTERS", [inner]) => return self.filter_argument(scope, inner, true),
                // Only how totals are shown differs.
                ("NONVISUAL" | "NONFILTER", [inner]) => {
                    return self.filter_argument(scope, inner, keep);
                }
                _ => {}
            }
            if !keep && let Some(def) = functions::lookup(&name).filter(|f| is_modifier(f.name)) {
                super::call::check_count(def, arguments.len())?;
                return self.as_arguments_of(def.name, |b| b.modifier(def.name, arguments));
            }
        }
        let table =
            if self.is_condition(e) { self.condition(scope, e)? } else { self.table(scope, e)? };
        // Without a column of the model it filters nothing, and is no mistake: a union may have lost
        // the place of its columns.
        Ok(match table.schema().iter().any(|c| c.lineage.is_some()) {
            true => FilterArgument::Table { table, keep },
            false => FilterArgument::Remove(Vec::new()),
        })
    }

    /// Functions that change filters or relationships instead of adding rows.
    fn modifier(&mut self, name: &str, arguments: &[Expr]) -> Result<FilterArgument> {
        Ok(match name {
            "ALL" | "REMOVEFILTERS" | "ALLNOBLANKROW" => match self.columns_named(arguments)? {
                Some(columns) => FilterArgument::Remove(columns),
                None => FilterArgument::RemoveAll,
            },
            "ALLSELECTED" => FilterArgument::Selected(self.columns_named(arguments)?),
            "ALLEXCEPT" => FilterArgument::Remove(self.all_except(arguments)?),
            "ALLCROSSFILTERED" => {
                let ExprKind::Name { name, .. } = &arguments[0].kind else {
                    return Err(Error::invalid("ALLCROSSFILTERED takes a table of the model."));
                };
                let table = self.model_table_id(name)?;
                let v = Visibility { model: self.model, store: self.store };
                let context = FilterContext::default();
                let tables = (0..self.model.tables().len() as u32).map(evercube_store::TableId);
                let reaching = tables.filter(|t| v.reaches(&context, *t, table));
                let mut columns = self.expanded_columns(table);
                columns.extend(reaching.flat_map(|t| self.model.columns_of(t)));
                FilterArgument::Remove(columns)
            }
            "USERELATIONSHIP" => {
                let id = self.relationship(name, arguments)?;
                FilterArgument::Use(id)
            }
            "CROSSFILTER" => {
                let id = self.relationship(name, arguments)?;
                FilterArgument::Direct(id, self.direction(id, arguments)?)
            }
            _ => return Err(Error::internal("a function that is no modifier of filters")),
        })
    }

    /// The third argument of `CROSSFILTER`, a word or its number. Left and right are the columns as
    /// they are given.
    fn direction(&mut self, id: RelationshipId, arguments: &[Expr]) -> Result<Direction> {
        const WORDS: [&str; 5] =
            ["NONE", "ONEWAY", "BOTH", "ONEWAY_RIGHTFILTERSLEFT", "ONEWAY_LEFTFILTERSRIGHT"];
        let word = match arguments.get(2).map(|e| &e.kind) {
            Some(ExprKind::Name { name, .. }) => name.to_ascii_uppercase(),
            Some(ExprKind::Literal(Value::Int(n))) => {
                let word = usize::try_from(*n).ok().and_then(|n| WORDS.get(n));
                word.copied().unwrap_or_default().to_owned()
            }
            _ => String::new(),
        };
        let left_filters = match word.as_str() {
            "NONE" => return Ok(Direction::None),
            "ONEWAY" => return Ok(Direction::OneWay),
            "BOTH" => return Ok(Direction::Both),
            "ONEWAY_LEFTFILTERSRIGHT" => true,
            "ONEWAY_RIGHTFILTERSLEFT" => false,
            _ => {
                return Err(Error::invalid(
                    "The direction of CROSSFILTER is NONE, ONEWAY, ONEWAY_LEFTFILTERSRIGHT, ONEWAY_RIGHTFILTERSLEFT or BOTH.",
                ));
            }
        };
        let def = self.model.relationship(id).def;
        if !def.many_to_many {
            return Err(Error::invalid(format!(
                "{word} of CROSSFILTER is for relationships of many to many; this one filters from its one side with ONEWAY."
            )));
        }
        let left_is_to = self.column_reference(&arguments[0])? == def.to;
        Ok(if left_filters == left_is_to { Direction::OneWay } else { Direction::Reversed })
    }

    fn relationship(&mut self, name: &str, arguments: &[Expr]) -> Result<RelationshipId> {
        let a = self.column_reference(&arguments[0])?;
        let b = self.column_reference(&arguments[1])?;
        let id = self.model.relationship_between(a, b).ok_or_else(|| {
            let full = |c| self.model.column_name(c);
            Error::invalid(format!(
                "{name} names the columns {} and {}, between which the model has no relationship.",
                full(a),
                full(b)
            ))
        })?;
        // What roles let through follows the relationships as the model has them.
        match [a.table, b.table].iter().find(|t| self.secured.contains(t)) {
            Some(table) => Err(Error::invalid(format!(
                "The UseRelationship() and CrossFilter() functions may not be used when querying '{}' because it is constrained by row-level security.",
                self.model.table(*table).name
            ))),
            None => Ok(id),
        }
    }

    /// Model columns that arguments such as those of `ALL` stand for; `None`: no argument.
    pub(super) fn columns_named(&mut self, arguments: &[Expr]) -> Result<Option<Vec<ColumnId>>> {
        let (mut out, mut columns) = (Vec::new(), Vec::new());
        for a in arguments {
            match &a.kind {
                ExprKind::Name { name, .. } => {
                    let table = self.model_table_id(name).map_err(|e| e.at(a.span.place()))?;
                    out.extend(self.expanded_columns(table));
                }
                ExprKind::Omitted => {}
                _ => {
                    let column = self.column_reference(a)?;
                    if columns.first().is_some_and(|first: &ColumnId| first.table != column.table)
                        && self.callee != "ALLEXCEPT"
                    {
                        return Err(Error::invalid(format!(
                            "All column arguments of {} must be from the same table.",
                            self.callee
                        ))
                        .at(a.span.place()));
                    }
                    columns.push(column);
                }
            }
        }
        out.extend(columns);
        Ok((!arguments.is_empty()).then_some(out))
    }

    pub(super) fn model_table_id(&self, name: &str) -> Result<evercube_store::TableId> {
        self.model
            .table_id(name)
            .ok_or_else(|| Error::invalid(format!("The model has no table '{name}'.")))
    }

    /// Columns of the expanded table but for those named.
    pub(super) fn all_except(&mut self, arguments: &[Expr]) -> Result<Vec<ColumnId>> {
        let Some(ExprKind::Name { name, .. }) = arguments.first().map(|a| &a.kind) else {
            return Err(Error::invalid("ALLEXCEPT takes a table of the model and columns of it."));
        };
        let table = self.model_table_id(name)?;
        let spared = self.columns_named(&arguments[1..])?.unwrap_or_default();
        let mut columns = self.expanded_columns(table);
        if let Some(other) = spared.iter().find(|c| !columns.contains(c)) {
            return Err(Error::invalid(format!(
                "ALLEXCEPT names {}, which is no column of '{}' or of a table that it refers to.",
                self.model.column_name(*other),
                self.model.table(table).name
            )));
        }
        columns.retain(|c| !spared.contains(c));
        Ok(columns)
    }

    /// Whether an argument is a condition on columns and not a table.
    pub(super) fn is_condition(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Binary { .. } | ExprKind::Unary { .. } | ExprKind::In { .. } => true,
            ExprKind::Literal(_) | ExprKind::Qualified { .. } | ExprKind::Bracketed(_) => true,
            ExprKind::Variables { result, .. } => self.is_condition(result),
            ExprKind::Call { function, .. } => functions::lookup(function).is_some_and(|f| {
                matches!(f.kind, FunctionKind::Scalar(_))
                    || matches!(f.return_type, functions::ReturnType::Fixed(DataType::Boolean))
                    || matches!(f.name, "IF" | "SWITCH" | "COALESCE" | "IFERROR")
            }),
            _ => false,
        }
    }

    /// A condition as the table of the combinations of its columns' values that fulfil it.
    pub(super) fn condition(&mut self, scope: &Scope, e: &Expr) -> Result<Node> {
        let mut columns = Vec::new();
        self.columns_in(e, &mut columns)?;
        let Some(first) = columns.first() else {
            // A name that is not known says more.
            self.scalar(scope, e)?;
            return Err(Error::invalid(
                "The True/False expression does not specify a column. A condition used as a filter must refer to a column.",
            ));
        };
        if columns.iter().any(|c| c.table != first.table) {
            return Err(Error::invalid(
                "The True/False expression names columns of several tables; a condition used as a filter can look at one. FILTER over a table does the rest.",
            ));
        }
        let values = self.values(columns, true, e.span);
        let (ty, span) = (values.ty.clone(), e.span);
        let free = Self::node(Kind::Unfiltered(Box::new(values)), ty, Uses::default(), span);
        self.filter(scope, free, e, span)
    }

    /// Columns whose rows a condition goes through: those not inside of an aggregation.
    fn columns_in(&mut self, e: &Expr, out: &mut Vec<ColumnId>) -> Result<()> {
        match &e.kind {
            ExprKind::Qualified { table, name } => {
                if let Some(c) = self.model.column(table, name) {
                    if !out.contains(&c) {
                        out.push(c);
                    }
                } else if self.is_measure(name) {
                    return Err(measure_in_condition(name).at(e.span.place()));
                }
            }
            ExprKind::Bracketed(name) => {
                if self.is_measure(name) {
                    return Err(measure_in_condition(name).at(e.span.place()));
                }
                let c = self.column_reference(e)?;
                if !out.contains(&c) {
                    out.push(c);
                }
            }
            ExprKind::Call { function, arguments, .. } => {
                let Some(def) = functions::lookup(function) else { return Ok(()) };
                if matches!(def.name, "CALCULATE" | "CALCULATETABLE") {
                    return Err(Error::invalid(format!(
                        "{} cannot stand in a True/False expression that is used as a filter; put it into a variable before.",
                        def.name
                    ))
                    .at(e.span.place()));
                }
                let over = def.parameters.first().map(|p| p.kind);
                if matches!(over, Some(ParameterKind::Table | ParameterKind::Column))
                    || (matches!(def.name, "MIN" | "MAX") && arguments.len() == 1)
                {
                    return Ok(());
                }
                for a in arguments {
                    self.columns_in(a, out)?;
                }
            }
            ExprKind::Unary { operand, .. } => self.columns_in(operand, out)?,
            ExprKind::Binary { left, right, .. } => {
                self.columns_in(left, out)?;
                self.columns_in(right, out)?;
            }
            ExprKind::In { left, .. } => self.columns_in(left, out)?,
            ExprKind::Tuple(parts) => {
                for p in parts {
                    self.columns_in(p, out)?;
                }
            }
            ExprKind::Variables { bindings, result } => {
                for b in bindings {
                    self.columns_in(&b.expression, out)?;
                }
                self.columns_in(result, out)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a function changes filters or relationships where it stands among the arguments of
/// `CALCULATE`.
fn is_modifier(name: &str) -> bool {
    matches!(
        name,
        "ALL"
            | "REMOVEFILTERS"
            | "ALLNOBLANKROW"
            | "ALLSELECTED"
            | "ALLEXCEPT"
            | "ALLCROSSFILTERED"
            | "USERELATIONSHIP"
            | "CROSSFILTER"
    )
}

fn measure_in_condition(name: &str) -> Error {
    Error::invalid(format!(
        "The measure [{name}] is used in a True/False expression that serves as a filter, where measures are not allowed; put it into a variable before, or use FILTER."
    ))
}
