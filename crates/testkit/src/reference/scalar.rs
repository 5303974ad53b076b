//! Expressions with one value.

use evercube_base::{Collation, Error, Result, Value};
use evercube_dax::ast::{BinaryOperator, Expr, ExprKind, Span, UnaryOperator};
use evercube_engine::functions::arguments::Args;
use evercube_engine::functions::{FunctionKind, ReturnType, lookup};
use evercube_engine::scalar as rules;
use evercube_store::ColumnId;

use super::calculation_group::Asked;
use super::{Bound, Env, Reference, TableColumn, unsupported};

/// Arguments that are words, such as an interval or a type.
const WORDS: [(&str, usize); 4] =
    [("DATEDIFF", 2), ("CONVERT", 1), ("PATHITEM", 2), ("PATHITEMREVERSE", 2)];

impl Reference {
    pub(super) fn scalar(&self, env: &Env, e: &Expr) -> Result<Value> {
        self.deeper(|| self.scalar_inner(env, e)).map_err(|error| error.at(e.span.place()))
    }

    fn scalar_inner(&self, env: &Env, e: &Expr) -> Result<Value> {
        let collation = Collation::default();
        match &e.kind {
            ExprKind::Literal(v) => Ok(v.clone()),
            ExprKind::Omitted => Ok(Value::Blank),
            ExprKind::Qualified { table, name } => match self.column_named(table, name) {
                Some(id) => match self.column_value(env, id, e.span, 0) {
                    Err(_) if self.model.is_of_levels(table) => self.related(env, e),
                    found => found,
                },
                None => self.measure_or_format(env, name)?.ok_or_else(|| {
                    Error::invalid(format!("There is no column or measure {table}[{name}]."))
                }),
            },
            ExprKind::Level { level, .. } => {
                Err(Error::invalid(format!("There is no hierarchy with the level {level}.")))
            }
            ExprKind::Bracketed(name) => match self.measure_or_format(env, name)? {
                Some(value) => Ok(value),
                None => self.named_value(env, name, e.span, 0),
            },
            ExprKind::Name { name, .. } => match env.variable(name) {
                Some(Bound::Scalar(v)) => Ok(v.clone()),
                Some(Bound::Expression(p)) => self.scalar(&env.of_passed(p), &p.expression),
                _ => self.single(self.table(env, e)?),
            },
            ExprKind::Unary { operator, operand } => {
                let v = self.scalar(env, operand)?;
                match operator {
                    UnaryOperator::Minus => rules::negate(&v, &self.culture),
                    UnaryOperator::Plus => Ok(v),
                    UnaryOperator::Not => Ok(Value::Boolean(!rules::to_bool(&v, &self.culture)?)),
                }
            }
            ExprKind::Binary { operator, left, right } => {
                let a = self.scalar(env, left)?;
                match operator {
                    BinaryOperator::And if !rules::to_bool(&a, &self.culture)? => {
                        return Ok(false.into());
                    }
                    BinaryOperator::Or if rules::to_bool(&a, &self.culture)? => {
                        return Ok(true.into());
                    }
                    _ => {}
                }
                rules::binary(*operator, &a, &self.scalar(env, right)?, &collation, &self.culture)
            }
            ExprKind::In { left, right } => {
                let wanted: Vec<Value> = match &left.kind {
                    ExprKind::Tuple(parts) => {
                        parts.iter().map(|p| self.scalar(env, p)).collect::<Result<_>>()?
                    }
                    _ => vec![self.scalar(env, left)?],
                };
                for row in self.shown_table(env, right)?.rows {
                    let same =
                        wanted.iter().zip(&row).map(|(a, b)| rules::strict_equal(a, b, &collation));
                    if same.collect::<Result<Vec<bool>>>()?.into_iter().all(|s| s) {
                        return Ok(true.into());
                    }
                }
                Ok(false.into())
            }
            ExprKind::Variables { bindings, result } => {
                let mut inner = env.clone();
                for b in bindings {
                    let value = self.bind(&inner, &b.expression)?;
                    inner.variables.push((b.name.to_lowercase(), value));
                }
                self.scalar(&inner, result)
            }
            ExprKind::Call { function, arguments, .. } => self.call(env, function, arguments),
            ExprKind::TableConstructor(_) => self.single(self.table(env, e)?),
            ExprKind::Parameter(_) | ExprKind::Tuple(_) | ExprKind::Error => {
                Err(unsupported("this expression"))
            }
        }
    }

    /// The value of a table with one row and one column; blank where it has no row.
    pub(super) fn single(&self, table: super::Table) -> Result<Value> {
        match (table.columns.len(), table.rows.as_slice()) {
            (1, []) => Ok(Value::Blank),
            (1, [row]) => Ok(row[0].clone()),
            _ => Err(Error::evaluation(
                "A table of multiple values was supplied where a single value was expected.",
            )),
        }
    }

    fn call(&self, env: &Env, function: &str, arguments: &[Expr]) -> Result<Value> {
        let Some(definition) = lookup(function) else {
            let (inner, body) = self.entered(env, function, arguments)?;
            return self.scalar(&inner, &body);
        };
        if !definition.accepts(arguments.len()) {
            return Err(Error::invalid(format!(
                "The function {} was called with {} arguments.",
                definition.name,
                arguments.len()
            )));
        }
        if let FunctionKind::Scalar(run) = definition.kind {
            let value = |(i, a): (usize, &Expr)| match &a.kind {
                ExprKind::Name { name, .. } if WORDS.contains(&(definition.name, i)) => {
                    Ok(Value::from(&**name))
                }
                _ => self.scalar(env, a),
            };
            let values: Vec<Value> =
                arguments.iter().enumerate().map(value).collect::<Result<_>>()?;
            return self.with_scalar_context(|c| run(c, Args::new(&values, &self.culture)));
        }
        let argument = |i: usize| self.scalar(env, &arguments[i]);
        let truth = |i: usize| argument(i).and_then(|v| rules::to_bool(&v, &self.culture));
        match definition.name {
            "IF" => match (truth(0)?, arguments.len()) {
                (true, _) => argument(1),
                (false, 3) => argument(2),
                (false, _) => Ok(Value::Blank),
            },
            "SWITCH" => self.switch(env, arguments),
            "COALESCE" => {
                for a in arguments {
                    let v = self.scalar(env, a)?;
                    if !v.is_blank() {
                        return Ok(v);
                    }
                }
                Ok(Value::Blank)
            }
            "DIVIDE" => self.divide(env, arguments),
            "BLANK" => Ok(Value::Blank),
            "IFERROR" => match argument(0) {
                Ok(v) if is_finite(&v) => Ok(v),
                _ => argument(1),
            },
            "ISERROR" => Ok((!argument(0).is_ok_and(|v| is_finite(&v))).into()),
            "CALCULATE" => {
                let inner = self.calculate(env, &arguments[1..])?;
                self.scalar(&inner, &arguments[0])
            }
            "EARLIER" => {
                let up = match arguments.get(1) {
                    Some(n) => rules::to_f64(&self.scalar(env, n)?, &self.culture)? as usize,
                    None => 1,
                };
                match &arguments[0].kind {
                    ExprKind::Qualified { table, name } => {
                        let id = self.column_named(table, name);
                        let id = id.ok_or_else(|| unknown(table, name))?;
                        self.column_value(env, id, arguments[0].span, up)
                    }
                    ExprKind::Bracketed(name) => self.named_value(env, name, arguments[0].span, up),
                    _ => Err(Error::invalid("EARLIER takes a column.")),
                }
            }
            "LOOKUPVALUE" => self.lookup_value(env, arguments),
            "RELATED" => self.related(env, &arguments[0]),
            "FIRSTNONBLANKVALUE" | "LASTNONBLANKVALUE" => {
                let last = definition.name == "LASTNONBLANKVALUE";
                let found = self.non_blank(env, arguments, last)?;
                let inner = env.with_rows(&found);
                inner.first().map_or(Ok(Value::Blank), |e| {
                    self.scalar(&self.calculate(e, &[])?, &arguments[1])
                })
            }
            "SELECTEDMEASURE"
            | "SELECTEDMEASURENAME"
            | "SELECTEDMEASUREFORMATSTRING"
            | "ISSELECTEDMEASURE" => self.selected_measure(env, definition.name, arguments),
            name if super::dates::is_balance(name) => self.balance(env, name, arguments),
            _ if definition.return_type == ReturnType::Table => {
                self.single(self.table_call(env, definition.name, arguments)?)
            }
            _ => self.aggregate(env, definition.name, arguments),
        }
    }

    fn switch(&self, env: &Env, arguments: &[Expr]) -> Result<Value> {
        let subject = self.scalar(env, &arguments[0])?;
        let mut rest = arguments[1..].chunks_exact(2);
        for pair in &mut rest {
            let candidate = self.scalar(env, &pair[0])?;
            if rules::equal(&subject, &candidate, &Collation::default())? {
                return self.scalar(env, &pair[1]);
            }
        }
        rest.remainder().first().map_or(Ok(Value::Blank), |e| self.scalar(env, e))
    }

    fn divide(&self, env: &Env, arguments: &[Expr]) -> Result<Value> {
        let (a, b) = (self.scalar(env, &arguments[0])?, self.scalar(env, &arguments[1])?);
        if rules::to_f64(&b, &self.culture)? == 0.0 {
            return arguments.get(2).map_or(Ok(Value::Blank), |e| self.scalar(env, e));
        }
        if a.is_blank() {
            return Ok(Value::Blank);
        }
        rules::binary(BinaryOperator::Divide, &a, &b, &Collation::default(), &self.culture)
    }

    pub(super) fn has_measure(&self, name: &str) -> bool {
        let defined = self.measures.iter().any(|(n, _)| *n == name.to_lowercase());
        defined || self.measure_named(name).is_some()
    }

    fn measure_or_format(&self, env: &Env, name: &str) -> Result<Option<Value>> {
        if self.has_measure(name) {
            return self.measure(env, name).map(Some);
        }
        self.format_of(name).map(|measure| self.format_string(env, measure)).transpose()
    }

    /// What a measure's expression sees: the rows of its caller are filters, and of variables there
    /// are those of the query.
    pub(super) fn in_measure(&self, env: &Env) -> Result<Env> {
        let mut inner = self.calculate(env, &[])?;
        inner.rows.clear();
        inner.transitioned = 0;
        inner.variables.truncate(inner.of_query);
        Ok(inner)
    }

    /// A measure is evaluated as if `CALCULATE` stood around it, and sees no row of its caller.
    pub(super) fn measure(&self, env: &Env, name: &str) -> Result<Value> {
        let inner = self.in_measure(env)?;
        if let Some(value) = self.under_group(&inner, name, Asked::Value)? {
            return Ok(value);
        }
        let defined = self.measures.iter().rev().find(|(n, _)| *n == name.to_lowercase());
        if let Some((_, expression)) = defined {
            return self.scalar(&inner, expression);
        }
        let measure = self.measure_named(name).ok_or_else(|| unknown("", name))?;
        self.scalar(&inner, measure.expression.as_ref().map_err(Clone::clone)?)
    }

    /// A model column's value in the row contexts, `up` of them that have it being skipped.
    fn column_value(&self, env: &Env, id: ColumnId, span: Span, up: usize) -> Result<Value> {
        let found = env.rows_seen(span.passed).map(|r| {
            let at = r.columns.iter().position(|c| c.lineage == Some(id))?;
            Some(r.values[at].clone())
        });
        further_out(found.collect(), up).ok_or_else(|| {
            let (table, column) = (&self.model.table(id.table).name, &self.model.column_info(id).name);
            Error::invalid(format!(
                "A single value for column '{column}' in table '{table}' cannot be determined: there is no current row; use an aggregation such as SUM, or an iterator."
            ))
        })
    }

    /// The value of a column of that name, of one without a table first.
    fn named_value(&self, env: &Env, name: &str, span: Span, up: usize) -> Result<Value> {
        let found = env.rows_seen(span.passed).map(|r| {
            let is_named =
                |c: &TableColumn| c.name.eq_ignore_ascii_case(name) && !self.is_hidden(c);
            let named = || (0..).zip(r.columns.iter()).filter(|(_, c)| is_named(c));
            let (at, _) = named().find(|(_, c)| c.lineage.is_none()).or_else(|| named().next())?;
            let at: usize = at;
            Some(r.values[at].clone())
        });
        further_out(found.collect(), up).ok_or_else(|| {
            Error::invalid(format!(
                "There is no measure and no column of the current row named [{name}]."
            ))
        })
    }
}

/// What the rows around have of a column, the innermost first, so many of those that have it further
/// out; or, where there are not as many, so many rows of any kind.
fn further_out(found: Vec<Option<Value>>, up: usize) -> Option<Value> {
    let nth = found.iter().flatten().nth(up);
    nth.or_else(|| found.iter().skip(up).flatten().next()).cloned()
}

pub(super) fn unknown(table: &str, name: &str) -> Error {
    Error::invalid(format!("There is no column {table}[{name}]."))
}

/// Infinity and NaN count as errors where errors are asked for.
fn is_finite(value: &Value) -> bool {
    !matches!(value, Value::Double(d) if !d.is_finite())
}
