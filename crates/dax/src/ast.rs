//! The syntax tree. Every expression carries its byte range in the source text.

use std::sync::Arc;

use evercube_base::Value;

/// Byte range `start..end` in the text that was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    pub start: u32,
    pub end: u32,
    /// Into how many bodies of functions the text was passed as an argument; 0 where it stands
    /// where it was written.
    pub passed: u8,
}

impl Span {
    /// As errors tell a place: the bytes where it starts and ends.
    pub fn place(self) -> (usize, usize) {
        (self.start as usize, self.end as usize)
    }
}

/// A whole query: `DEFINE … EVALUATE … ORDER BY … START AT …`, with one or more `EVALUATE`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    pub definitions: Vec<Definition>,
    pub evaluates: Vec<Evaluate>,
}

impl Query {
    /// The expressions of a query: what it defines, evaluates, orders by and starts at.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let defined = self.definitions.iter().flat_map(|d| match &d.kind {
            DefinitionKind::Function { parameters, body, .. } => {
                parameters.iter().filter_map(|p| p.default.as_ref()).chain([body]).collect()
            }
            DefinitionKind::Measure { expression, .. }
            | DefinitionKind::Variable { expression, .. }
            | DefinitionKind::Table { expression, .. }
            | DefinitionKind::Column { expression, .. } => vec![expression],
        });
        let evaluated = self.evaluates.iter().flat_map(|e| {
            let ordered = e.order_by.iter().map(|o| &o.expression);
            std::iter::once(&e.expression).chain(ordered).chain(&e.start_at)
        });
        defined.chain(evaluated)
    }

    /// As [`Query::expressions`].
    pub fn expressions_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let defined = self.definitions.iter_mut().flat_map(|d| match &mut d.kind {
            DefinitionKind::Function { parameters, body, .. } => {
                parameters.iter_mut().filter_map(|p| p.default.as_mut()).chain([body]).collect()
            }
            DefinitionKind::Measure { expression, .. }
            | DefinitionKind::Variable { expression, .. }
            | DefinitionKind::Table { expression, .. }
            | DefinitionKind::Column { expression, .. } => vec![expression],
        });
        let evaluated = self.evaluates.iter_mut().flat_map(|e| {
            let ordered = e.order_by.iter_mut().map(|o| &mut o.expression);
            std::iter::once(&mut e.expression).chain(ordered).chain(&mut e.start_at)
        });
        defined.chain(evaluated)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub kind: DefinitionKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DefinitionKind {
    /// `MEASURE 'T'[M] = expression [FORMATSTRINGDEFINITION…]`. The table may be left out.
    Measure {
        table: Option<Arc<str>>,
        name: Arc<str>,
        expression: Expr,
    },
    Variable {
        name: Arc<str>,
        expression: Expr,
    },
    Table {
        name: Arc<str>,
        expression: Expr,
    },
    Column {
        table: Arc<str>,
        name: Arc<str>,
        expression: Expr,
    },
    /// `FUNCTION name = ( a, b : INT64 VAL = 1 ) => body`.
    Function {
        name: Arc<str>,
        parameters: Vec<Parameter>,
        body: Expr,
    },
}

/// A parameter of a function that a query defines.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: Arc<str>,
    /// Words of its type, subtype and passing mode, in upper case.
    pub hints: Vec<Arc<str>>,
    /// Its value where a call leaves it out.
    pub default: Option<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Evaluate {
    pub expression: Expr,
    pub order_by: Vec<OrderBy>,
    pub start_at: Vec<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OrderBy {
    pub expression: Expr,
    pub descending: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// Number, text, `TRUE`/`FALSE` literals appear as calls; dates as `dt"…"` literals.
    Literal(Value),
    /// `@name` parameter of the request.
    Parameter(Arc<str>),
    /// A bare or quoted name without brackets: a table, a variable, or a keyword argument
    /// (`ASC`, `DESC`, `BOTH`, `DAY`, `DENSE` …). `quoted` is true for `'name'`.
    Name {
        name: Arc<str>,
        quoted: bool,
    },
    /// `[Name]`: a measure, a column of the row context, or an extension column.
    Bracketed(Arc<str>),
    /// `Table[Column]` or `'Table'[Column]`; also `Table[Measure]`.
    Qualified {
        table: Arc<str>,
        name: Arc<str>,
    },
    /// `Table[Column].[Level]`: a level of the hierarchy that the column's variation names, as Power
    /// BI makes one for every column of dates.
    Level {
        table: Option<Arc<str>>,
        column: Arc<str>,
        level: Arc<str>,
    },
    /// Function call; the name as written (functions may contain dots: `PERCENTILE.INC`).
    /// An omitted argument (`F(a,,b)`) is `ExprKind::Omitted`.
    Call {
        function: Arc<str>,
        function_span: Span,
        arguments: Vec<Expr>,
    },
    Omitted,
    Unary {
        operator: UnaryOperator,
        operand: Box<Expr>,
    },
    Binary {
        operator: BinaryOperator,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `left IN right`; right is a table expression or constructor.
    In {
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `{ a, b }` or `{ (a, b), (c, d) }`: rows of equal length.
    TableConstructor(Vec<Vec<Expr>>),
    /// `( a, b )` outside a constructor: only left of `IN`, or as a row.
    Tuple(Vec<Expr>),
    /// `VAR a = … VAR b = … RETURN result`.
    Variables {
        bindings: Vec<Binding>,
        result: Box<Expr>,
    },
    /// Something that did not parse; the parser reported a diagnostic for it.
    Error,
}

impl Expr {
    /// The expressions this one is made of, in the order of the text.
    pub fn parts(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Call { arguments, .. } => arguments.iter().collect(),
            ExprKind::Unary { operand, .. } => vec![operand],
            ExprKind::Binary { left, right, .. } | ExprKind::In { left, right } => {
                vec![left, right]
            }
            ExprKind::TableConstructor(rows) => rows.iter().flatten().collect(),
            ExprKind::Tuple(parts) => parts.iter().collect(),
            ExprKind::Variables { bindings, result } => {
                let definitions = bindings.iter().map(|b| &b.expression);
                definitions.chain(std::iter::once(result.as_ref())).collect()
            }
            _ => Vec::new(),
        }
    }

    pub fn parts_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.kind {
            ExprKind::Call { arguments, .. } => arguments.iter_mut().collect(),
            ExprKind::Unary { operand, .. } => vec![operand],
            ExprKind::Binary { left, right, .. } | ExprKind::In { left, right } => {
                vec![left, right]
            }
            ExprKind::TableConstructor(rows) => rows.iter_mut().flatten().collect(),
            ExprKind::Tuple(parts) => parts.iter_mut().collect(),
            ExprKind::Variables { bindings, result } => {
                let definitions = bindings.iter_mut().map(|b| &mut b.expression);
                definitions.chain(std::iter::once(result.as_mut())).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    pub name: Arc<str>,
    pub expression: Expr,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    Minus,
    Plus,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    Or,
    And,
    Equal,
    /// `==`: blank equals only blank.
    StrictEqual,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// `&`
    Concatenate,
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

impl BinaryOperator {
    /// Whether it gives true or false for any two values that may be compared.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::StrictEqual
                | Self::NotEqual
                | Self::Less
                | Self::LessEqual
                | Self::Greater
                | Self::GreaterEqual
        )
    }
}
