//! The tree of an M expression. Every node knows its byte range.

use std::rc::Rc;
use std::sync::Arc;

/// Half-open byte range in the text of the expression.
pub(crate) type Span = (usize, usize);

#[derive(Debug)]
pub(crate) struct Expr {
    pub span: Span,
    pub kind: Kind,
}

pub(crate) type ExprRef = Rc<Expr>;

#[derive(Debug)]
pub(crate) struct Param {
    pub name: Arc<str>,
    pub optional: bool,
}

#[derive(Debug)]
pub(crate) enum Item {
    Single(ExprRef),
    Range(ExprRef, ExprRef),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Or,
    And,
    Coalesce,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Concat,
    Multiply,
    Divide,
    Meta,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Plus,
    Minus,
    Not,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Logical(bool),
    Int(i64),
    Double(f64),
    Text(Arc<str>),
    Name(Arc<str>),
    Let(Vec<(Arc<str>, ExprRef)>, ExprRef),
    If(ExprRef, ExprRef, ExprRef),
    Function(Rc<Vec<Param>>, ExprRef),
    Record(Vec<(Arc<str>, ExprRef)>),
    List(Vec<Item>),
    Field { of: ExprRef, name: Arc<str>, optional: bool },
    Projection { of: ExprRef, names: Vec<Arc<str>>, optional: bool },
    Select { of: ExprRef, index: ExprRef, optional: bool },
    Call(ExprRef, Vec<ExprRef>),
    Unary(Unary, ExprRef),
    Binary(Op, ExprRef, ExprRef),
    Try { body: ExprRef, otherwise: Option<ExprRef>, catch: bool },
    Error(ExprRef),
    Type(TypeExpr),
    Is(ExprRef, TypeExpr),
    As(ExprRef, TypeExpr),
    NotImplemented,
}

#[derive(Debug)]
pub(crate) enum TypeExpr {
    Primitive(&'static str),
    Nullable(Box<TypeExpr>),
    Table(Vec<(Arc<str>, TypeExpr)>),
    Record,
    List,
    Function,
    Value(ExprRef),
}
