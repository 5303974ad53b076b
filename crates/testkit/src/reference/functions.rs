//! Functions that a query defines or a model stores.
//!
//! What is passed by value is a variable of the body. What is passed as an expression is evaluated
//! again wherever its name stands in the body, in the filters and rows there, and knows the variables
//! and rows of the caller; a name of a column, measure or table is put in the place of the parameter.
//! The body knows neither the rows nor the variables around the call.

use std::rc::Rc;

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Parameter};
use evercube_engine::scalar as rules;

use super::{Bound, Env, Reference, Table};

#[derive(Debug, Clone)]
pub(super) struct Function {
    pub parameters: Vec<Parameter>,
    pub body: Expr,
    /// The query defines it, and it knows the variables of the query.
    pub of_query: bool,
}

/// An expression on its way through bodies, with what its writer knows.
#[derive(Debug)]
pub(super) struct Passed {
    pub expression: Expr,
    variables: Vec<(String, Bound)>,
    of_query: usize,
    sees: Vec<usize>,
}

fn has_hint(p: &Parameter, hints: &[&str]) -> bool {
    p.hints.iter().any(|h| hints.contains(&&**h))
}

fn by_expression(p: &Parameter) -> bool {
    let references = ["EXPR", "ANYREF", "COLUMNREF", "MEASUREREF", "TABLEREF", "CALENDARREF"];
    has_hint(p, &references)
}

fn is_reference(env: &Env, e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Qualified { .. } | ExprKind::Bracketed(_) => true,
        ExprKind::Name { name, .. } => env.variable(name).is_none(),
        _ => false,
    }
}

/// The value in the type that the parameter says.
fn converted(p: &Parameter, value: Value, culture: &rules::Culture) -> Result<Value> {
    let types = [
        ("BOOLEAN", DataType::Boolean),
        ("DATETIME", DataType::DateTime),
        ("DECIMAL", DataType::Decimal),
        ("DOUBLE", DataType::Double),
        ("INT64", DataType::Int64),
        ("STRING", DataType::String),
    ];
    let is_number = matches!(value, Value::Int(_) | Value::Decimal(_) | Value::Double(_));
    let to = match types.iter().find(|(hint, _)| has_hint(p, &[hint])) {
        Some((_, to)) => *to,
        None if has_hint(p, &["NUMERIC"]) && !is_number => DataType::Double,
        None => return Ok(value),
    };
    if value.is_blank() { Ok(value) } else { rules::convert(&value, to, culture) }
}

/// Puts an expression in the place of a name; variables of the body that have the name hide it.
fn put(body: &mut Expr, name: &str, expression: &Expr) {
    match &mut body.kind {
        ExprKind::Name { name: of, quoted: false } if of.eq_ignore_ascii_case(name) => {
            *body = expression.clone();
        }
        ExprKind::Variables { bindings, result } => {
            for b in bindings {
                put(&mut b.expression, name, expression);
                if b.name.eq_ignore_ascii_case(name) {
                    return;
                }
            }
            put(result, name, expression);
        }
        _ => body.parts_mut().into_iter().for_each(|part| put(part, name, expression)),
    }
}

impl Reference {
    fn user_function(&self, name: &str) -> Result<Function> {
        let lower = name.to_lowercase();
        if let Some((_, known)) = self.functions.iter().find(|(n, _)| *n == lower) {
            return Ok(known.clone());
        }
        let stored = self
            .function_named(name)
            .ok_or_else(|| Error::invalid(format!("There is no function {name}.")))?;
        let (parameters, body) = stored.definition.clone()?;
        Ok(Function { parameters, body, of_query: false })
    }

    /// What the body of a function sees that is called here, and the body with references in it.
    pub(super) fn entered(&self, env: &Env, name: &str, arguments: &[Expr]) -> Result<(Env, Expr)> {
        let function = self.user_function(name)?;
        let defined = env.in_body(&function);
        let (mut inner, mut body) = (defined.clone(), function.body.clone());
        for (p, of, e) in given(&function, env, &defined, arguments)? {
            let bound = if !by_expression(p) {
                match has_hint(p, &["TABLE"]) {
                    true => Bound::Table(Rc::new(self.table(of, e)?)),
                    false => match self.bind(of, e)? {
                        Bound::Scalar(value) => Bound::Scalar(converted(p, value, &self.culture)?),
                        other => other,
                    },
                }
            } else if is_reference(of, e) {
                let mut reference = e.clone();
                reference.span.passed += 1;
                put(&mut body, &p.name, &reference);
                continue;
            } else {
                Bound::Expression(Rc::new(of.pass(e)))
            };
            inner.variables.push((p.name.to_lowercase(), bound));
        }
        Ok((inner, body))
    }

    /// Whether a call of a function gives a table: its body does, with tables and single values in
    /// the place of its parameters.
    pub(super) fn gives_table(&self, env: &Env, name: &str, arguments: &[Expr]) -> bool {
        let looked = self.deeper(|| {
            let function = self.user_function(name)?;
            let defined = env.in_body(&function);
            let mut inner = defined.clone();
            for (p, of, e) in given(&function, env, &defined, arguments)? {
                let bound = match has_hint(p, &["TABLE", "TABLEREF"]) || self.is_table(of, e) {
                    true => Bound::Table(Rc::new(Table::default())),
                    false => Bound::Scalar(Value::Blank),
                };
                inner.variables.push((p.name.to_lowercase(), bound));
            }
            Ok(self.is_table(&inner, &function.body))
        });
        looked.unwrap_or(false)
    }
}

/// Each parameter with its argument and where that is evaluated: where the call stands, or for a
/// default where the function is defined.
fn given<'e>(
    function: &'e Function,
    env: &'e Env,
    defined: &'e Env,
    arguments: &'e [Expr],
) -> Result<Vec<(&'e Parameter, &'e Env, &'e Expr)>> {
    if arguments.len() > function.parameters.len() {
        return Err(Error::invalid("The function has fewer parameters."));
    }
    let one = |(i, p): (usize, &'e Parameter)| {
        let given = arguments.get(i).filter(|e| !matches!(e.kind, ExprKind::Omitted));
        match (given, &p.default) {
            (Some(e), _) => Ok((p, env, e)),
            (None, Some(e)) => Ok((p, defined, e)),
            (None, None) => Err(Error::invalid("The function was called without a parameter.")),
        }
    };
    function.parameters.iter().enumerate().map(one).collect()
}

impl Env {
    /// What the body of a function sees before it is passed anything.
    fn in_body(&self, function: &Function) -> Self {
        let mut inner = self.clone();
        if !function.of_query {
            inner.of_query = 0;
        }
        inner.variables.truncate(inner.of_query);
        inner.level += 1;
        if inner.sees.is_empty() {
            inner.sees.push(0);
        }
        inner.sees.push(inner.level);
        inner
    }

    fn pass(&self, e: &Expr) -> Passed {
        let sees = if self.sees.is_empty() { vec![0] } else { self.sees.clone() };
        let (variables, of_query) = (self.variables.clone(), self.of_query);
        Passed { expression: e.clone(), variables, of_query, sees }
    }

    /// Where an expression that was passed is evaluated: here, with what its writer knows.
    pub(super) fn of_passed(&self, p: &Passed) -> Self {
        let mut inner = self.clone();
        inner.variables.clone_from(&p.variables);
        inner.of_query = p.of_query;
        inner.sees.clone_from(&p.sees);
        inner
    }
}
