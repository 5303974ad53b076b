//! Values of M while an expression is evaluated.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use evercube_base::{DateTime, Error, Result};

use super::ast::{ExprRef, Param};
use super::eval::{Env, Interp};
use crate::postgres::PgTarget;
use crate::table::{Name, Table};

/// A number keeps the form it came in, so that integers and decimals stay exact.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Num {
    Int(i64),
    /// `unscaled × 10^-scale`
    Exact(i128, i32),
    Double(f64),
}

impl Num {
    pub fn f64(self) -> f64 {
        match self {
            Self::Int(i) => i as f64,
            // Division by a power of ten rounds once; multiplication by its inverse would twice.
            Self::Exact(v, s) if s >= 0 => v as f64 / 10f64.powi(s),
            Self::Exact(v, s) => v as f64 * 10f64.powi(-s),
            Self::Double(d) => d,
        }
    }
    pub fn compare(self, o: Self) -> Option<Ordering> {
        match (self, o) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Exact(a, s), Self::Exact(b, t)) if s == t => Some(a.cmp(&b)),
            _ => self.f64().partial_cmp(&o.f64()),
        }
    }
    /// The whole number, where it is one.
    pub fn whole(self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(i),
            Self::Exact(v, s) if s <= 0 => {
                i64::try_from(v.checked_mul(10i128.checked_pow(s.unsigned_abs())?)?).ok()
            }
            Self::Exact(v, s) => {
                let d = 10i128.checked_pow(s.unsigned_abs())?;
                (v % d == 0).then(|| i64::try_from(v / d).ok()).flatten()
            }
            Self::Double(d) => (d.fract() == 0.0
                && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&d))
            .then_some(d as i64),
        }
    }
}

/// Names of types, with what matters for conversion.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MType {
    pub base: Base,
    pub nullable: bool,
    /// Columns of a table type.
    pub columns: Rc<Vec<(Arc<str>, MType)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Any,
    None,
    Null,
    Logical,
    Number,
    Int64,
    Currency,
    Double,
    Text,
    Date,
    DateTime,
    Time,
    Duration,
    Binary,
    List,
    Record,
    Table,
    Function,
    Type,
}

impl MType {
    pub fn new(base: Base) -> Self {
        Self { base, nullable: false, columns: Rc::new(Vec::new()) }
    }
    pub fn name(&self) -> &'static str {
        match self.base {
            Base::Any => "any",
            Base::None => "none",
            Base::Null => "null",
            Base::Logical => "logical",
            Base::Number => "number",
            Base::Int64 => "Int64.Type",
            Base::Currency => "Currency.Type",
            Base::Double => "Double.Type",
            Base::Text => "text",
            Base::Date => "date",
            Base::DateTime => "datetime",
            Base::Time => "time",
            Base::Duration => "duration",
            Base::Binary => "binary",
            Base::List => "list",
            Base::Record => "record",
            Base::Table => "table",
            Base::Function => "function",
            Base::Type => "type",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Binary {
    File(PathBuf),
    Bytes(Rc<Vec<u8>>),
}

impl Binary {
    /// The name of the file it is, for messages.
    pub fn file(&self) -> Option<Name> {
        match self {
            Self::File(path) => Some(path.display().to_string().into()),
            Self::Bytes(_) => None,
        }
    }
}

pub(crate) enum Function {
    Closure { params: Rc<Vec<Param>>, body: ExprRef, env: Rc<Env> },
    Builtin(&'static str),
}

#[derive(Clone)]
pub(crate) enum M {
    Null,
    Logical(bool),
    Number(Num),
    Text(Arc<str>),
    Date(DateTime),
    DateTime(DateTime),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds.
    Duration(i64),
    Binary(Rc<Binary>),
    List(Rc<Vec<Lazy>>),
    Record(Rc<Vec<(Arc<str>, Lazy)>>),
    Table(Rc<Table>),
    /// The navigation table of a database.
    Navigation(Rc<PgTarget>),
    Function(Rc<Function>),
    Type(Rc<MType>),
    WithMeta(Rc<(M, M)>),
}

impl M {
    pub fn int(v: i64) -> Self {
        Self::Number(Num::Int(v))
    }
    pub fn double(v: f64) -> Self {
        Self::Number(Num::Double(v))
    }
    pub fn text(v: impl Into<Arc<str>>) -> Self {
        Self::Text(v.into())
    }
    pub fn list(values: impl IntoIterator<Item = M>) -> Self {
        Self::List(Rc::new(values.into_iter().map(Lazy::done).collect()))
    }
    pub fn strip(self) -> Self {
        match self {
            Self::WithMeta(p) => p.0.clone().strip(),
            v => v,
        }
    }
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Logical(_) => "logical",
            Self::Number(_) => "number",
            Self::Text(_) => "text",
            Self::Date(_) => "date",
            Self::DateTime(_) => "datetime",
            Self::Time(_) => "time",
            Self::Duration(_) => "duration",
            Self::Binary(_) => "binary",
            Self::List(_) => "list",
            Self::Record(_) => "record",
            Self::Table(_) | Self::Navigation(_) => "table",
            Self::Function(_) => "function",
            Self::Type(_) => "type",
            Self::WithMeta(p) => p.0.kind(),
        }
    }
    /// Order of two values of one kind; `None` where M has no order for them.
    pub fn compare(&self, o: &Self) -> Option<Ordering> {
        match (self, o) {
            (Self::Null, Self::Null) => Some(Ordering::Equal),
            (Self::Logical(a), Self::Logical(b)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => a.compare(*b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::Date(b)) | (Self::DateTime(a), Self::DateTime(b)) => {
                Some(a.cmp(b))
            }
            (Self::Time(a), Self::Time(b)) | (Self::Duration(a), Self::Duration(b)) => {
                Some(a.cmp(b))
            }
            _ => None,
        }
    }
}

enum State {
    Pending(ExprRef, Rc<Env>),
    Busy,
    Done(M),
    Failed(Error),
}

/// A value computed at most once, when it is first asked for.
#[derive(Clone)]
pub(crate) struct Lazy(Rc<RefCell<State>>);

impl Lazy {
    pub fn done(v: M) -> Self {
        Self(Rc::new(RefCell::new(State::Done(v))))
    }
    pub fn pending(e: ExprRef, env: Rc<Env>) -> Self {
        Self(Rc::new(RefCell::new(State::Pending(e, env))))
    }
    pub fn force(&self, it: &Rc<Interp>) -> Result<M> {
        self.force_raw(it).map(M::strip)
    }
    /// The value with its metadata.
    pub fn force_raw(&self, it: &Rc<Interp>) -> Result<M> {
        match &*self.0.borrow() {
            State::Done(v) => return Ok(v.clone()),
            State::Failed(e) => return Err(e.clone()),
            State::Busy => {
                return Err(Error::invalid("the expression needs its own value to compute itself"));
            }
            State::Pending(..) => {}
        }
        let State::Pending(e, env) = self.0.replace(State::Busy) else {
            return Err(Error::internal("a value changed while it was read"));
        };
        let r = it.eval_raw(&e, &env);
        self.0.replace(match &r {
            Ok(v) => State::Done(v.clone()),
            Err(e) => State::Failed(e.clone()),
        });
        r
    }
}
