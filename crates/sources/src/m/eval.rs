//! Lazy evaluation of the tree. A name is computed when it is first needed, and once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use evercube_base::{Error, ErrorKind, Result, error::line_column};

use super::ast::{Expr, ExprRef, Item, Kind, Op, Span, TypeExpr, Unary};
use super::library;
use super::value::{Base, Function, Lazy, M, MType, Num};
use crate::SourceContext;
use crate::table::Table;

/// The text an expression was read from, to speak of places in it.
pub(crate) struct Unit {
    pub text: String,
    /// Name of the shared expression; empty for the partition itself.
    pub name: String,
}

impl Unit {
    pub fn place(&self, span: Span) -> String {
        let (line, column) = line_column(&self.text, span.0);
        if self.name.is_empty() {
            format!("line {line}, column {column}")
        } else {
            format!("line {line}, column {column} of the shared expression '{}'", self.name)
        }
    }
    pub fn unsupported(&self, name: &str, span: Span) -> Error {
        let what = if name.contains('.') || name.starts_with('#') {
            format!("the M function or source '{name}' is not supported")
        } else {
            format!("the M name '{name}' is not known")
        };
        Error::unsupported(format!("{what} ({})", self.place(span))).at(span)
    }
}

pub(crate) struct Env {
    vars: RefCell<HashMap<Arc<str>, Lazy>>,
    parent: Option<Rc<Env>>,
    unit: Rc<Unit>,
}

impl Env {
    fn root(unit: Rc<Unit>) -> Rc<Self> {
        Rc::new(Self { vars: RefCell::default(), parent: None, unit })
    }
    fn child(parent: &Rc<Env>) -> Rc<Self> {
        Rc::new(Self {
            vars: RefCell::default(),
            parent: Some(parent.clone()),
            unit: parent.unit.clone(),
        })
    }
    fn find(&self, name: &str) -> Option<Lazy> {
        let mut env = self;
        loop {
            if let Some(v) = env.vars.borrow().get(name) {
                return Some(v.clone());
            }
            env = env.parent.as_deref()?;
        }
    }
}

const MAX_DEPTH: u32 = 1500;

pub(crate) struct Interp {
    pub ctx: SourceContext,
    shared: RefCell<HashMap<String, Lazy>>,
    depth: Cell<u32>,
}

impl Interp {
    pub fn new(ctx: SourceContext) -> Rc<Self> {
        Rc::new(Self { ctx, shared: RefCell::default(), depth: Cell::new(0) })
    }

    pub fn check_cancel(&self) -> Result<()> {
        if self.ctx.cancel.load(Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "the refresh was cancelled"));
        }
        Ok(())
    }

    /// Evaluates the text of a whole expression.
    pub fn run(self: &Rc<Self>, name: &str, text: &str) -> Result<M> {
        let unit = Rc::new(Unit { text: text.to_owned(), name: name.to_owned() });
        let e = super::parser::parse(text).map_err(|e| syntax_error(&unit, e))?;
        self.eval_raw(&e, &Env::root(unit))
    }

    pub fn eval(self: &Rc<Self>, e: &ExprRef, env: &Rc<Env>) -> Result<M> {
        self.eval_raw(e, env).map(M::strip)
    }

    pub fn eval_raw(self: &Rc<Self>, e: &ExprRef, env: &Rc<Env>) -> Result<M> {
        let depth = self.depth.get();
        if depth >= MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("the M expression calls itself deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.depth.set(depth + 1);
        let r = self.eval_kind(e, env);
        self.depth.set(depth);
        r.map_err(|err| place(err, e, env))
    }

    fn lazy(self: &Rc<Self>, e: &ExprRef, env: &Rc<Env>) -> Lazy {
        match &e.kind {
            Kind::Int(i) => Lazy::done(M::int(*i)),
            Kind::Double(d) => Lazy::done(M::double(*d)),
            Kind::Text(t) => Lazy::done(M::Text(t.clone())),
            Kind::Null => Lazy::done(M::Null),
            _ => Lazy::pending(e.clone(), env.clone()),
        }
    }

    fn eval_kind(self: &Rc<Self>, e: &ExprRef, env: &Rc<Env>) -> Result<M> {
        Ok(match &e.kind {
            Kind::Null => M::Null,
            Kind::Logical(b) => M::Logical(*b),
            Kind::Int(i) => M::int(*i),
            Kind::Double(d) => M::double(*d),
            Kind::Text(t) => M::Text(t.clone()),
            Kind::Name(n) => return self.name(n, e.span, env),
            Kind::Let(bindings, body) => {
                let scope = Env::child(env);
                for (n, b) in bindings {
                    let v = self.lazy(b, &scope);
                    scope.vars.borrow_mut().insert(n.clone(), v);
                }
                return self.eval_raw(body, &scope);
            }
            Kind::If(c, a, b) => {
                return if logical(self.eval(c, env)?)? {
                    self.eval_raw(a, env)
                } else {
                    self.eval_raw(b, env)
                };
            }
            Kind::Function(params, body) => M::Function(Rc::new(Function::Closure {
                params: params.clone(),
                body: body.clone(),
                env: env.clone(),
            })),
            Kind::Record(fields) => {
                let scope = Env::child(env);
                let mut out = Vec::with_capacity(fields.len());
                for (n, f) in fields {
                    let v = self.lazy(f, &scope);
                    scope.vars.borrow_mut().insert(n.clone(), v.clone());
                    out.push((n.clone(), v));
                }
                M::Record(Rc::new(out))
            }
            Kind::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                for i in items {
                    match i {
                        Item::Single(e) => out.push(self.lazy(e, env)),
                        Item::Range(a, b) => {
                            let (a, b) = (self.eval(a, env)?, self.eval(b, env)?);
                            range(&a, &b, &mut out)?;
                        }
                    }
                }
                M::List(Rc::new(out))
            }
            Kind::Field { of, name, optional } => {
                return self.field(&self.eval(of, env)?, name, *optional);
            }
            Kind::Projection { of, names, optional } => match self.eval(of, env)? {
                M::Record(r) => {
                    let mut out = Vec::new();
                    for n in names {
                        match r.iter().find(|f| f.0 == *n) {
                            Some(f) => out.push(f.clone()),
                            None if *optional => out.push((n.clone(), Lazy::done(M::Null))),
                            None => return Err(no_field(n, r.iter().map(|f| &f.0))),
                        }
                    }
                    M::Record(Rc::new(out))
                }
                M::Table(t) => M::Table(Rc::new(Table::select(&t, names, *optional)?)),
                v => return Err(Error::evaluation(format!("a {} has no fields", v.kind()))),
            },
            Kind::Select { of, index, optional } => {
                let (of, index) = (self.eval(of, env)?, self.eval(index, env)?);
                return self.select(&of, &index, *optional);
            }
            Kind::Call(f, args) => {
                let f = self.eval(f, env)?;
                let args: Vec<Lazy> = args.iter().map(|a| self.lazy(a, env)).collect();
                return self.call(&f, args);
            }
            Kind::Unary(op, v) => match (op, self.eval(v, env)?) {
                (_, M::Null) => M::Null,
                (Unary::Not, v) => M::Logical(!logical(v)?),
                (Unary::Plus, v @ (M::Number(_) | M::Duration(_))) => v,
                (Unary::Minus, M::Number(Num::Int(i))) => {
                    i.checked_neg().map_or_else(|| M::double(-(i as f64)), M::int)
                }
                (Unary::Minus, M::Number(Num::Exact(v, s))) => M::Number(Num::Exact(-v, s)),
                (Unary::Minus, M::Number(n)) => M::double(-n.f64()),
                (Unary::Minus, M::Duration(d)) => M::Duration(d.saturating_neg()),
                (_, v) => {
                    return Err(Error::evaluation(format!("a {} cannot have a sign", v.kind())));
                }
            },
            Kind::Binary(op, a, b) => return self.binary(*op, a, b, env),
            Kind::Try { body, otherwise, catch } => {
                return self.attempt(body, otherwise, *catch, env);
            }
            Kind::Error(v) => {
                let text = match self.eval(v, env)? {
                    M::Text(t) => t.to_string(),
                    M::Record(r) => match r.iter().find(|f| &*f.0 == "Message") {
                        Some(f) => match f.1.force(self)? {
                            M::Text(t) => t.to_string(),
                            v => super::print::print(self, &v)?,
                        },
                        None => "the expression raised an error".to_owned(),
                    },
                    v => super::print::print(self, &v)?,
                };
                return Err(Error::evaluation(text));
            }
            Kind::Type(t) => M::Type(Rc::new(self.type_of(t, env)?)),
            Kind::Is(v, t) => {
                let (v, t) = (self.eval(v, env)?, self.type_of(t, env)?);
                M::Logical(library::is_of(&v, &t))
            }
            Kind::As(v, t) => {
                let (v, t) = (self.eval(v, env)?, self.type_of(t, env)?);
                if !library::is_of(&v, &t) {
                    let m = format!("a {} is not of the type {}", v.kind(), t.name());
                    return Err(Error::evaluation(m));
                }
                v
            }
            Kind::NotImplemented => {
                return Err(Error::evaluation(
                    "the expression ends in '...': it is not written yet",
                ));
            }
        })
    }

    fn name(self: &Rc<Self>, name: &Arc<str>, span: Span, env: &Rc<Env>) -> Result<M> {
        if let Some(v) = env.find(name) {
            return v.force_raw(self);
        }
        let known = self.shared.borrow().get(&**name).cloned();
        if let Some(v) = known {
            return v.force_raw(self);
        }
        if let Some((n, text)) = self.ctx.expressions.iter().find(|e| e.0 == **name) {
            let unit = Rc::new(Unit { text: text.clone(), name: n.clone() });
            let e = super::parser::parse(text).map_err(|e| syntax_error(&unit, e))?;
            let v = Lazy::pending(e, Env::root(unit));
            self.shared.borrow_mut().insert(n.clone(), v.clone());
            return v.force_raw(self);
        }
        if let Some(d) = self.ctx.data_sources.iter().find(|d| d.name == **name) {
            let target = crate::connection::of_data_source(d)?;
            return Ok(M::Navigation(Rc::new(self.ctx.complete(target)?)));
        }
        if let Some(v) = library::constant(name) {
            return Ok(v);
        }
        library::builtin(name)
            .map(|n| M::Function(Rc::new(Function::Builtin(n))))
            .ok_or_else(|| env.unit.unsupported(name, span))
    }

    pub fn field(self: &Rc<Self>, of: &M, name: &Arc<str>, optional: bool) -> Result<M> {
        match of {
            M::Record(r) => match r.iter().find(|f| f.0 == *name) {
                Some(f) => f.1.force_raw(self),
                None if optional => Ok(M::Null),
                None => Err(no_field(name, r.iter().map(|f| &f.0))),
            },
            M::Table(t) => t.column_values(self, name),
            M::Null if optional => Ok(M::Null),
            v => Err(Error::evaluation(format!("a {} has no field [{name}]", v.kind()))),
        }
    }

    fn select(self: &Rc<Self>, of: &M, index: &M, optional: bool) -> Result<M> {
        if let M::Navigation(target) = of {
            let M::Record(keys) = index else {
                return Err(Error::unsupported(
                    "a database is navigated by name: Source{[Schema=\"…\",Item=\"…\"]}[Data]",
                ));
            };
            let mut texts = Vec::new();
            for (n, v) in keys.iter() {
                match v.force(self)? {
                    M::Text(t) => texts.push((n.clone(), t)),
                    v => {
                        return Err(Error::evaluation(format!(
                            "[{n}] is a {}, not text",
                            v.kind()
                        )));
                    }
                }
            }
            return crate::postgres::navigate(target, &texts);
        }
        let found = match (of, index) {
            (M::List(l), M::Number(n)) => match n.whole().and_then(|i| usize::try_from(i).ok()) {
                Some(i) => l.get(i).map(|v| v.force_raw(self)).transpose()?,
                None => return Err(Error::evaluation("a position is a whole number from 0")),
            },
            (M::Table(t), M::Number(n)) => {
                let i = n.whole().and_then(|i| u64::try_from(i).ok());
                let i =
                    i.ok_or_else(|| Error::evaluation("a position is a whole number from 0"))?;
                t.row(self, i)?
            }
            (M::Table(t), M::Record(keys)) => t.find(self, keys)?,
            (v, i) => {
                let m = format!("a {} cannot be indexed by a {}", v.kind(), i.kind());
                return Err(Error::evaluation(m));
            }
        };
        match found {
            Some(v) => Ok(v),
            None if optional => Ok(M::Null),
            None => Err(Error::evaluation("no row or item is there for the key or position")),
        }
    }

    pub fn call(self: &Rc<Self>, f: &M, args: Vec<Lazy>) -> Result<M> {
        let M::Function(f) = f else {
            return Err(Error::evaluation(format!("a {} is not a function", f.kind())));
        };
        match &**f {
            Function::Builtin(n) => library::call(self, n, &args),
            Function::Closure { params, body, env } => {
                let least = params.iter().filter(|p| !p.optional).count();
                if args.len() < least || args.len() > params.len() {
                    return Err(Error::evaluation(format!(
                        "the function takes {} arguments but got {}",
                        params.len(),
                        args.len()
                    )));
                }
                let scope = Env::child(env);
                {
                    let mut vars = scope.vars.borrow_mut();
                    let mut args = args.into_iter();
                    for p in params.iter() {
                        let v = args.next().unwrap_or_else(|| Lazy::done(M::Null));
                        vars.insert(p.name.clone(), v);
                    }
                }
                self.eval_raw(body, &scope)
            }
        }
    }

    fn attempt(
        self: &Rc<Self>,
        body: &ExprRef,
        otherwise: &Option<ExprRef>,
        catch: bool,
        env: &Rc<Env>,
    ) -> Result<M> {
        let r = self.eval(body, env);
        // What a user stopped or this version lacks is not an error of the data.
        if let Err(e) = &r
            && matches!(e.kind, ErrorKind::Cancelled | ErrorKind::Unsupported | ErrorKind::Denied)
        {
            return r;
        }
        let error = |e: &Error| {
            M::Record(Rc::new(vec![
                ("Reason".into(), Lazy::done(M::text("Expression.Error"))),
                ("Message".into(), Lazy::done(M::text(e.message.as_str()))),
                ("Detail".into(), Lazy::done(M::Null)),
            ]))
        };
        match (r, otherwise) {
            (Ok(v), Some(_)) => Ok(v),
            (Err(e), Some(o)) if catch => {
                let f = self.eval(o, env)?;
                let none = matches!(&f, M::Function(f)
                    if matches!(&**f, Function::Closure { params, .. } if params.is_empty()));
                self.call(&f, if none { Vec::new() } else { vec![Lazy::done(error(&e))] })
            }
            (Err(_), Some(o)) => self.eval_raw(o, env),
            (r, None) => {
                let (failed, n, v) = match r {
                    Ok(v) => (false, "Value", v),
                    Err(e) => (true, "Error", error(&e)),
                };
                Ok(M::Record(Rc::new(vec![
                    ("HasError".into(), Lazy::done(M::Logical(failed))),
                    (n.into(), Lazy::done(v)),
                ])))
            }
        }
    }

    fn binary(self: &Rc<Self>, op: Op, a: &ExprRef, b: &ExprRef, env: &Rc<Env>) -> Result<M> {
        if op == Op::Meta {
            let v = self.eval(a, env)?;
            return Ok(M::WithMeta(Rc::new((v, self.eval(b, env)?))));
        }
        let left = self.eval(a, env)?;
        match (op, &left) {
            (Op::Coalesce, M::Null) => return self.eval_raw(b, env),
            (Op::Coalesce, _) => return Ok(left),
            (Op::And, M::Logical(false)) | (Op::Or, M::Logical(true)) => return Ok(left),
            _ => {}
        }
        let right = self.eval(b, env)?;
        match op {
            Op::And | Op::Or => match (left, right) {
                (M::Null, M::Logical(r)) if r == (op == Op::Or) => Ok(M::Logical(r)),
                (M::Null, M::Null | M::Logical(_)) | (_, M::Null) => Ok(M::Null),
                (_, r) => logical(r).map(M::Logical),
            },
            Op::Equal => library::equal(self, &left, &right).map(M::Logical),
            Op::NotEqual => library::equal(self, &left, &right).map(|e| M::Logical(!e)),
            Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => {
                if matches!(left, M::Null) || matches!(right, M::Null) {
                    return Ok(M::Null);
                }
                let same = left.kind() == right.kind();
                let Some(o) = left.compare(&right) else {
                    return if same && matches!(left, M::Number(_)) {
                        Ok(M::Logical(false))
                    } else {
                        Err(unfit("compare", &left, &right))
                    };
                };
                Ok(M::Logical(match op {
                    Op::Less => o.is_lt(),
                    Op::LessEqual => o.is_le(),
                    Op::Greater => o.is_gt(),
                    _ => o.is_ge(),
                }))
            }
            _ => library::arithmetic(op, left, right),
        }
    }

    fn type_of(self: &Rc<Self>, t: &TypeExpr, env: &Rc<Env>) -> Result<MType> {
        Ok(match t {
            TypeExpr::Primitive(p) => MType::new(library::primitive(p)),
            TypeExpr::Nullable(t) => MType { nullable: true, ..self.type_of(t, env)? },
            TypeExpr::Record => MType::new(Base::Record),
            TypeExpr::List => MType::new(Base::List),
            TypeExpr::Function => MType::new(Base::Function),
            TypeExpr::Table(fields) => {
                let mut columns = Vec::new();
                for (n, t) in fields {
                    columns.push((n.clone(), self.type_of(t, env)?));
                }
                MType { columns: Rc::new(columns), ..MType::new(Base::Table) }
            }
            TypeExpr::Value(e) => match self.eval(e, env)? {
                M::Type(t) => (*t).clone(),
                v => return Err(Error::evaluation(format!("a {} is not a type", v.kind()))),
            },
        })
    }
}

/// Adds the place to an error once; the innermost expression has the word.
fn place(err: Error, e: &Expr, env: &Rc<Env>) -> Error {
    if err.span.is_some() || err.kind == ErrorKind::Cancelled {
        return err;
    }
    let message = format!("{} ({})", err.message, env.unit.place(e.span));
    Error { message, ..err }.at(e.span)
}

pub(crate) fn syntax_error(unit: &Unit, e: Error) -> Error {
    let place = unit.place(e.span.unwrap_or_default());
    Error { message: format!("M syntax: {} ({place})", e.message), ..e }
}

pub(crate) fn unfit(verb: &str, a: &M, b: &M) -> Error {
    Error::evaluation(format!("cannot {verb} a {} and a {}", a.kind(), b.kind()))
}

fn no_field<'a>(name: &str, has: impl Iterator<Item = &'a Arc<str>>) -> Error {
    let has: Vec<String> = has.take(40).map(|n| format!("[{n}]")).collect();
    Error::evaluation(format!("the record has no field [{name}]; it has {}", has.join(", ")))
}

pub(crate) fn logical(v: M) -> Result<bool> {
    match v {
        M::Logical(b) => Ok(b),
        v => Err(Error::evaluation(format!("a {} is not true or false", v.kind()))),
    }
}

fn range(a: &M, b: &M, out: &mut Vec<Lazy>) -> Result<()> {
    match (a, b) {
        (M::Number(a), M::Number(b)) => {
            let (Some(a), Some(b)) = (a.whole(), b.whole()) else {
                return Err(Error::evaluation("a range goes from whole number to whole number"));
            };
            if b.saturating_sub(a) > 10_000_000 {
                return Err(Error::new(ErrorKind::Limit, "the range has over 10 million items"));
            }
            out.extend((a..=b).map(|i| Lazy::done(M::int(i))));
            Ok(())
        }
        (M::Text(a), M::Text(b)) => match (a.chars().next(), b.chars().next()) {
            (Some(a), Some(b)) => {
                out.extend((a..=b).map(|c| Lazy::done(M::text(c.to_string()))));
                Ok(())
            }
            _ => Err(Error::evaluation("a range of text goes from one letter to another")),
        },
        (a, b) => Err(unfit("make a range from", a, b)),
    }
}
