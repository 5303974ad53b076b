//! Functions that a query defines or a model stores: calls bind the function's body in their place.
//! Parameters passed by value become variables, evaluated once where the call stands; those passed
//! as expressions are put into the body as they are.

use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::{DataType, Error, ErrorKind, Result};
use evercube_dax::ast::{Binding, DefinitionKind, Expr, ExprKind, Parameter, Span};

use super::{Binder, BoundVariable, Scope, variable};
use crate::functions;
use crate::plan::{Kind, Node, Uses};

/// A function of the query or the model.
#[derive(Debug, Clone)]
pub(crate) struct UserFunction {
    name: Arc<str>,
    parameters: Vec<Declared>,
    body: Expr,
    /// The model stores it; else the query defines it.
    stored: bool,
}

/// Expressions remember into how many bodies they were passed.
const MOST_NESTED: usize = 100;

#[derive(Debug, Clone)]
struct Declared {
    name: Arc<str>,
    accepts: Accepts,
    by_expression: bool,
    default: Option<Expr>,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepts {
    Any,
    Scalar(Option<DataType>),
    Numeric,
    Table,
    Reference,
    ColumnReference,
    MeasureReference,
    TableReference,
}

impl Accepts {
    fn is_reference(self) -> bool {
        !matches!(self, Self::Any | Self::Scalar(_) | Self::Numeric | Self::Table)
    }
}

fn declared(p: &Parameter) -> Result<Declared> {
    let mut accepts = Accepts::Any;
    let mut mode = None;
    for hint in &p.hints {
        match &**hint {
            "ANYVAL" | "VARIANT" => {}
            "SCALAR" => accepts = Accepts::Scalar(None),
            "TABLE" => accepts = Accepts::Table,
            "NUMERIC" => accepts = Accepts::Numeric,
            "ANYREF" => accepts = Accepts::Reference,
            "COLUMNREF" => accepts = Accepts::ColumnReference,
            "MEASUREREF" => accepts = Accepts::MeasureReference,
            "TABLEREF" => accepts = Accepts::TableReference,
            "VAL" => mode = Some(false),
            "EXPR" => mode = Some(true),
            other => match subtype(other) {
                Some(t) => accepts = Accepts::Scalar(Some(t)),
                None => {
                    return Err(Error::invalid(format!(
                        "'{other}' is no type of the parameter {}. Types are ANYVAL, SCALAR, TABLE, ANYREF, COLUMNREF, MEASUREREF and TABLEREF, subtypes BOOLEAN, DATETIME, DECIMAL, DOUBLE, INT64, NUMERIC, STRING and VARIANT, modes VAL and EXPR.",
                        p.name
                    )));
                }
            },
        }
    }
    if accepts.is_reference() && mode == Some(false) {
        return Err(Error::invalid(format!(
            "The parameter {} takes a reference; it cannot be passed by value (VAL).",
            p.name
        )));
    }
    let by_expression = mode.unwrap_or(accepts.is_reference());
    Ok(Declared { name: Arc::clone(&p.name), accepts, by_expression, default: p.default.clone() })
}

fn subtype(word: &str) -> Option<DataType> {
    Some(match word {
        "BOOLEAN" => DataType::Boolean,
        "DATETIME" => DataType::DateTime,
        "DECIMAL" => DataType::Decimal,
        "DOUBLE" => DataType::Double,
        "INT64" => DataType::Int64,
        "STRING" => DataType::String,
        _ => return None,
    })
}

impl Binder<'_> {
    /// Makes a function of the query known.
    pub fn define_function(&mut self, definition: &DefinitionKind) -> Result<()> {
        let DefinitionKind::Function { name, parameters, body } = definition else { return Ok(()) };
        if functions::lookup(name).is_some() {
            return Err(Error::invalid(format!(
                "The function {name} cannot be defined: it has the name of a function of the language."
            )));
        }
        let parameters = parameters.iter().map(declared).collect::<Result<Vec<_>>>()?;
        let (name, body) = (Arc::clone(name), body.clone());
        let key = name.to_lowercase();
        let function = UserFunction { name, parameters, body, stored: false };
        self.functions.insert(key, Arc::new(function));
        Ok(())
    }

    /// A call of a function of the query; `None` where there is none of the name.
    pub(super) fn user_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        let key = name.to_lowercase();
        let Some(function) = self.user_function(&key)? else { return Ok(None) };
        // What was passed into bodies stands where it was written.
        let written = self.calling.len().saturating_sub(usize::from(span.passed));
        if self.bodies_around(written).any(|name| name == key) {
            return Err(Error::invalid(format!(
                "A circular dependency was detected: the function {} calls itself.",
                function.name
            )));
        }
        let given = function.arguments(arguments)?;
        let first = self.slots;
        let known = if function.stored { Vec::new() } else { self.query_scope.variables.clone() };
        let mut inner = Scope { variables: known.clone(), ..scope.clone() };
        // The rows around the call are not the body's, but for what is passed in.
        inner.frames.iter_mut().for_each(|f| f.behind = f.behind.saturating_add(1));
        let (mut bound, mut replaced, mut uses) = (Vec::new(), HashMap::new(), Uses::default());
        for (p, e) in function.parameters.iter().zip(given) {
            // A default knows what is known where the function is defined.
            let of = match arguments.iter().any(|a| std::ptr::eq(a, e)) {
                true => scope.clone(),
                false => Scope { variables: known.clone(), ..inner.clone() },
            };
            if p.by_expression {
                self.check_reference(p, e)?;
                let is_table = |name: &str| self.model.table_id(name).is_some();
                let placed = placed(e, &of.variables, &mut inner.variables, &is_table);
                replaced.insert(p.name.to_lowercase(), placed);
                continue;
            }
            let node = self.passed(&of, p, e)?;
            let slot = self.next_slot();
            let mut v = variable(&p.name, slot, &node);
            v.base = self.base_of(&of, &node);
            uses = uses.and(node.uses);
            inner.variables.push(v);
            bound.push((slot, Arc::new(node)));
        }
        let body = substituted(&function.body, &replaced);
        if self.calling.len() >= MOST_NESTED {
            return Err(Error::new(
                ErrorKind::NestingLimit,
                format!("Functions call each other more than {MOST_NESTED} deep."),
            ));
        }
        self.calling.push((key, written));
        let result = self.any(&inner, &body);
        self.calling.pop();
        let result = result.map_err(|e| {
            if function.stored {
                let what = format!("In the function {}", function.name);
                return self.model.told_of(&what, e).at(span.place());
            }
            e
        })?;
        let ty = result.ty.clone();
        let uses = uses.and(result.uses).outside_slot(first);
        let kind = Kind::Let { bindings: bound, result: Box::new(result) };
        Ok(Some(Self::node(kind, ty, uses, span)))
    }

    /// A measure's expression, which is written in no function's body even where one is being called.
    pub(super) fn in_measure_named(
        &mut self,
        name: &str,
        span: Span,
        own: &Scope,
        expression: &Expr,
    ) -> Result<Node> {
        if self.calling.is_empty() {
            return self.scalar(own, expression);
        }
        let written = self.calling.len().saturating_sub(usize::from(span.passed));
        // In brackets it is the name of no function.
        self.calling.push((format!("[{name}]"), written));
        let bound = self.scalar(own, expression);
        self.calling.pop();
        bound
    }

    /// The functions in whose bodies an expression is written that stands in the first so many that
    /// are being called.
    fn bodies_around(&self, mut written: usize) -> impl Iterator<Item = &str> {
        std::iter::from_fn(move || {
            let (name, called_from) = self.calling.get(written.checked_sub(1)?)?;
            written = *called_from;
            Some(name.as_str())
        })
    }

    /// A function of the query, or of the model.
    fn user_function(&mut self, key: &str) -> Result<Option<Arc<UserFunction>>> {
        if let Some(known) = self.functions.get(key) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(stored) = self.model.function(key) else { return Ok(None) };
        let name: Arc<str> = stored.name.as_str().into();
        let function = stored.definition.clone().and_then(|(parameters, body)| {
            let parameters = parameters.iter().map(declared).collect::<Result<Vec<_>>>()?;
            Ok(UserFunction { name: Arc::clone(&name), parameters, body, stored: true })
        });
        let function = function
            .map_err(|e| self.model.told_of(&format!("The function {name} has an error"), e))?;
        let function = Arc::new(function);
        self.functions.insert(key.to_owned(), Arc::clone(&function));
        Ok(Some(function))
    }

    /// An argument passed by value, in the type its parameter asks for.
    fn passed(&mut self, scope: &Scope, p: &Declared, e: &Expr) -> Result<Node> {
        let node = match p.accepts {
            Accepts::Table => self.table(scope, e)?,
            Accepts::Scalar(_) | Accepts::Numeric => self.scalar(scope, e)?,
            _ => self.any(scope, e)?,
        };
        let target = match p.accepts {
            Accepts::Scalar(Some(t)) => t,
            Accepts::Numeric if !node.data_type().is_numeric() => DataType::Double,
            _ => return Ok(node),
        };
        if node.data_type() == target { Ok(node) } else { Self::converted(node, target) }
    }

    /// Refuses an argument that is not the reference its parameter asks for.
    fn check_reference(&self, p: &Declared, e: &Expr) -> Result<()> {
        let name = match &e.kind {
            ExprKind::Bracketed(name) | ExprKind::Qualified { name, .. } => Some(name),
            _ => None,
        };
        let is_measure = name.is_some_and(|n| self.is_measure(n));
        let is_column = name.is_some() && !is_measure;
        let is_table = matches!(e.kind, ExprKind::Name { .. });
        let (fits, what) = match p.accepts {
            Accepts::Reference => (is_measure || is_column || is_table, "a reference"),
            Accepts::ColumnReference => (is_column, "a column"),
            Accepts::MeasureReference => (is_measure, "a measure"),
            Accepts::TableReference => (is_table, "a table"),
            _ => (true, ""),
        };
        match fits {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "The parameter {} takes {what}, named as such.",
                p.name
            ))
            .at(e.span.place())),
        }
    }
}

impl UserFunction {
    /// The argument of every parameter, defaults for those left out.
    fn arguments<'e>(&'e self, given: &'e [Expr]) -> Result<Vec<&'e Expr>> {
        let most = self.parameters.len();
        let least = self.parameters.iter().rposition(|p| p.default.is_none()).map_or(0, |i| i + 1);
        if given.len() > most || given.len() < least {
            let names: Vec<&str> = self.parameters.iter().map(|p| &*p.name).collect();
            return Err(Error::invalid(format!(
                "The function {} was called with {} arguments; its form is {} ( {} ).",
                self.name,
                given.len(),
                self.name,
                names.join(", ")
            )));
        }
        let one = |(i, p): (usize, &'e Declared)| {
            let explicit = given.get(i).filter(|e| !matches!(e.kind, ExprKind::Omitted));
            explicit.or(p.default.as_ref()).ok_or_else(|| {
                Error::invalid(format!(
                    "The function {} was called without its parameter {}.",
                    self.name, p.name
                ))
            })
        };
        self.parameters.iter().enumerate().map(one).collect()
    }
}

/// An argument as it stands in a body: the caller's variables get names that nothing in the body
/// has, and tables are named so that no variable of the body hides them.
fn placed(
    e: &Expr,
    caller: &[BoundVariable],
    body: &mut Vec<BoundVariable>,
    is_table: &dyn Fn(&str) -> bool,
) -> Expr {
    let mut rename = |name: &Arc<str>| {
        let lower = name.to_lowercase();
        match caller.iter().rev().find(|v| v.name == lower) {
            Some(v) => {
                let unique = format!("{lower}\u{0}{}", v.slot);
                if !body.iter().any(|b| b.name == unique) {
                    body.push(BoundVariable { name: unique.clone(), ..v.clone() });
                }
                Some((unique.into(), false))
            }
            None => is_table(name).then(|| (Arc::clone(name), true)),
        }
    };
    let mut passed = renamed(e, &mut rename, &mut Vec::new());
    pass_on(&mut passed);
    passed
}

/// Notes that an expression was passed into one more body.
fn pass_on(e: &mut Expr) {
    e.span.passed = e.span.passed.saturating_add(1);
    e.parts_mut().into_iter().for_each(pass_on);
}

/// The name that takes a name's place, and whether it is quoted.
type Rename<'a> = dyn FnMut(&Arc<str>) -> Option<(Arc<str>, bool)> + 'a;

fn renamed(e: &Expr, rename: &mut Rename<'_>, own: &mut Vec<String>) -> Expr {
    rebuilt(e, own, &mut |e, own| match &e.kind {
        ExprKind::Name { name, quoted: false } if !own.contains(&name.to_lowercase()) => {
            let (name, quoted) = rename(name)?;
            Some(Expr { kind: ExprKind::Name { name, quoted }, span: e.span })
        }
        _ => None,
    })
}

/// The body with arguments in the place of parameters.
fn substituted(body: &Expr, arguments: &HashMap<String, Expr>) -> Expr {
    rebuilt(body, &mut Vec::new(), &mut |e, own| match &e.kind {
        ExprKind::Name { name, quoted: false } => {
            let key = name.to_lowercase();
            arguments.get(&key).filter(|_| !own.contains(&key)).cloned()
        }
        _ => None,
    })
}

type Replace<'f> = dyn FnMut(&Expr, &[String]) -> Option<Expr> + 'f;

/// A copy of an expression with some parts replaced; `own`: the variables around a part that the
/// expression itself defines.
fn rebuilt(e: &Expr, own: &mut Vec<String>, replace: &mut Replace<'_>) -> Expr {
    if let Some(other) = replace(e, own) {
        return other;
    }
    let mut one = |e: &Expr, own: &mut Vec<String>| rebuilt(e, own, &mut *replace);
    let kind = match &e.kind {
        ExprKind::Call { function, function_span, arguments } => ExprKind::Call {
            function: Arc::clone(function),
            function_span: *function_span,
            arguments: arguments.iter().map(|a| one(a, own)).collect(),
        },
        ExprKind::Unary { operator, operand } => {
            ExprKind::Unary { operator: *operator, operand: Box::new(one(operand, own)) }
        }
        ExprKind::Binary { operator, left, right } => ExprKind::Binary {
            operator: *operator,
            left: Box::new(one(left, own)),
            right: Box::new(one(right, own)),
        },
        ExprKind::In { left, right } => {
            ExprKind::In { left: Box::new(one(left, own)), right: Box::new(one(right, own)) }
        }
        ExprKind::TableConstructor(rows) => ExprKind::TableConstructor(
            rows.iter().map(|r| r.iter().map(|c| one(c, own)).collect()).collect(),
        ),
        ExprKind::Tuple(parts) => ExprKind::Tuple(parts.iter().map(|p| one(p, own)).collect()),
        ExprKind::Variables { bindings, result } => {
            let before = own.len();
            let mut copied = Vec::with_capacity(bindings.len());
            for b in bindings {
                let expression = one(&b.expression, own);
                copied.push(Binding { name: Arc::clone(&b.name), expression, span: b.span });
                own.push(b.name.to_lowercase());
            }
            let result = Box::new(one(result, own));
            own.truncate(before);
            ExprKind::Variables { bindings: copied, result }
        }
        other => other.clone(),
    };
    Expr { kind, span: e.span }
}
