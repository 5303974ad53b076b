//! The tree of an M expression. Every node knows its byte range.

use std::rc::Rc;
use std::sync::Arc;

/// Half-open byte range in the text of the expression.
pub(crate) type Span = (usize, usize);

#[derive(Debug)]
pub(crate) struct Expr {
    pub span: Span,
    pub kind: Kind,
    /// Nodes from here to the deepest leaf: what walks the tree takes as much stack.
    pub height: u32,
}

impl Expr {
    pub fn new(span: Span, kind: Kind) -> Self {
        Self { span, height: 1 + kind.height(), kind }
    }
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

impl Kind {
    /// Height of the highest child.
    fn height(&self) -> u32 {
        let of = |all: &[&ExprRef]| all.iter().map(|e| e.height).max().unwrap_or(0);
        let named = |all: &[(Arc<str>, ExprRef)]| all.iter().map(|(_, e)| e.height).max();
        match self {
            Self::Let(bindings, body) => named(bindings).unwrap_or(0).max(body.height),
            Self::Record(fields) => named(fields).unwrap_or(0),
            Self::If(a, b, c) => of(&[a, b, c]),
            Self::List(items) => {
                let item = |i: &Item| match i {
                    Item::Single(e) => e.height,
                    Item::Range(a, b) => of(&[a, b]),
                };
                items.iter().map(item).max().unwrap_or(0)
            }
            Self::Call(f, arguments) => {
                arguments.iter().map(|e| e.height).max().unwrap_or(0).max(f.height)
            }
            Self::Select { of: a, index: b, .. } | Self::Binary(_, a, b) => of(&[a, b]),
            Self::Field { of: e, .. }
            | Self::Projection { of: e, .. }
            | Self::Function(_, e)
            | Self::Unary(_, e)
            | Self::Error(e)
            | Self::Is(e, _)
            | Self::As(e, _) => e.height,
            Self::Try { body, otherwise, .. } => {
                otherwise.as_ref().map_or(0, |e| e.height).max(body.height)
            }
            Self::Null
            | Self::Logical(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Name(_)
            | Self::Type(_)
            | Self::NotImplemented => 0,
        }
    }
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
