//! Tokens → tree. Reports the first fault with its place and what was expected.

use std::rc::Rc;
use std::sync::Arc;

use evercube_base::{Error, Result};

use super::ast::{Expr, ExprRef, Item, Kind, Op, Param, Span, TypeExpr, Unary};
use super::lexer::{Token, tokens};

const MAX_NESTING: u32 = 200;
/// Operators, calls and fields one behind the other nest as well: each holds all before it.
const MAX_HEIGHT: u32 = 1000;

const KEYWORDS: [&str; 22] = [
    "and",
    "as",
    "each",
    "else",
    "error",
    "false",
    "if",
    "in",
    "is",
    "let",
    "meta",
    "not",
    "null",
    "or",
    "otherwise",
    "section",
    "shared",
    "then",
    "true",
    "try",
    "type",
    "catch",
];

const PRIMITIVES: [&str; 18] = [
    "any",
    "anynonnull",
    "binary",
    "date",
    "datetime",
    "datetimezone",
    "duration",
    "function",
    "list",
    "logical",
    "none",
    "null",
    "number",
    "record",
    "table",
    "text",
    "time",
    "type",
];

/// Parses a whole expression.
pub(crate) fn parse(text: &str) -> Result<ExprRef> {
    let mut p = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
    let e = p.expr()?;
    if *p.peek() != Token::End {
        return Err(p.expected("the end of the expression"));
    }
    Ok(e)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.peek_at(0)
    }
    fn peek_at(&self, n: usize) -> &Token {
        self.tokens.get(self.at + n).map_or(&Token::End, |t| &t.0)
    }
    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or((self.text.len(), self.text.len()), |t| t.1)
    }
    fn last_end(&self) -> usize {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(0, |t| t.1.1)
    }
    fn advance(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }
    fn is_symbol(&self, s: &str) -> bool {
        matches!(self.peek(), Token::Symbol(t) if *t == s)
    }
    fn is_word(&self, w: &str) -> bool {
        matches!(self.peek(), Token::Word(t) if &**t == w)
    }
    fn symbol(&mut self, s: &str) -> bool {
        let hit = self.is_symbol(s);
        if hit {
            self.advance();
        }
        hit
    }
    fn word(&mut self, w: &str) -> bool {
        let hit = self.is_word(w);
        if hit {
            self.advance();
        }
        hit
    }
    fn expected(&self, what: &str) -> Error {
        let (a, b) = self.span();
        let found = match self.text.get(a..b) {
            Some(t) if !t.is_empty() => format!("'{t}'"),
            _ => "the end of the expression".to_owned(),
        };
        Error::invalid(format!("expected {what} but found {found}")).at((a, b))
    }
    fn need_symbol(&mut self, s: &'static str) -> Result<()> {
        if self.symbol(s) { Ok(()) } else { Err(self.expected(&format!("'{s}'"))) }
    }
    fn need_word(&mut self, w: &str) -> Result<()> {
        if self.word(w) { Ok(()) } else { Err(self.expected(&format!("'{w}'"))) }
    }
    fn node(&self, start: usize, kind: Kind) -> ExprRef {
        Rc::new(Expr::new((start, self.last_end()), kind))
    }

    fn not_too_high(&self, e: &Expr) -> Result<()> {
        if e.height <= MAX_HEIGHT {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "more than {MAX_HEIGHT} operators or calls follow one on the other: split them with let"
        ))
        .at(self.span()))
    }

    fn expr(&mut self) -> Result<ExprRef> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(Error::invalid(format!(
                "the expression is nested deeper than {MAX_NESTING} levels: split it with let"
            ))
            .at(self.span()));
        }
        let e = self.statement();
        self.depth -= 1;
        e
    }

    fn statement(&mut self) -> Result<ExprRef> {
        let start = self.span().0;
        if self.word("let") {
            let mut bindings = Vec::new();
            loop {
                let name = self.name()?;
                self.need_symbol("=")?;
                bindings.push((name, self.expr()?));
                if !self.symbol(",") {
                    break;
                }
            }
            if !self.word("in") {
                return Err(self.expected("',' or 'in'"));
            }
            let body = self.expr()?;
            return Ok(self.node(start, Kind::Let(bindings, body)));
        }
        if self.word("if") {
            let c = self.expr()?;
            self.need_word("then")?;
            let a = self.expr()?;
            self.need_word("else")?;
            let b = self.expr()?;
            return Ok(self.node(start, Kind::If(c, a, b)));
        }
        if self.word("each") {
            let body = self.expr()?;
            let params = Rc::new(vec![Param { name: "_".into(), optional: false }]);
            return Ok(self.node(start, Kind::Function(params, body)));
        }
        if self.word("error") {
            let e = self.expr()?;
            return Ok(self.node(start, Kind::Error(e)));
        }
        if self.word("try") {
            let body = self.expr()?;
            let catch = self.is_word("catch");
            let otherwise = if self.word("otherwise") || self.word("catch") {
                Some(self.expr()?)
            } else {
                None
            };
            return Ok(self.node(start, Kind::Try { body, otherwise, catch }));
        }
        if self.is_symbol("(")
            && let Some(f) = self.function()?
        {
            return Ok(f);
        }
        self.binary(0)
    }

    /// `(a, optional b as text) as number => …`, or nothing (and no progress) for other brackets.
    fn function(&mut self) -> Result<Option<ExprRef>> {
        let (mark, start) = (self.at, self.span().0);
        let Some(params) = self.params() else {
            self.at = mark;
            return Ok(None);
        };
        if self.word("as") && self.type_expr().is_err() || !self.symbol("=>") {
            self.at = mark;
            return Ok(None);
        }
        let body = self.expr()?;
        Ok(Some(self.node(start, Kind::Function(Rc::new(params), body))))
    }

    fn params(&mut self) -> Option<Vec<Param>> {
        let mut out = Vec::new();
        self.symbol("(").then_some(())?;
        while !self.symbol(")") {
            let optional =
                self.is_word("optional") && !matches!(self.peek_at(1), Token::Symbol("," | ")"));
            if optional {
                self.advance();
            }
            let name = self.name().ok()?;
            if self.word("as") {
                self.type_expr().ok()?;
            }
            out.push(Param { name, optional });
            if !self.symbol(",") && !self.is_symbol(")") {
                return None;
            }
        }
        Some(out)
    }

    fn operator(&self) -> Option<(Op, u8)> {
        Some(match self.peek() {
            Token::Symbol(s) => match *s {
                "??" => (Op::Coalesce, 0),
                "=" => (Op::Equal, 5),
                "<>" => (Op::NotEqual, 5),
                "<" => (Op::Less, 6),
                "<=" => (Op::LessEqual, 6),
                ">" => (Op::Greater, 6),
                ">=" => (Op::GreaterEqual, 6),
                "+" => (Op::Add, 7),
                "-" => (Op::Subtract, 7),
                "&" => (Op::Concat, 7),
                "*" => (Op::Multiply, 8),
                "/" => (Op::Divide, 8),
                _ => return None,
            },
            Token::Word(w) => match &**w {
                "or" => (Op::Or, 1),
                "and" => (Op::And, 2),
                "meta" => (Op::Meta, 9),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn binary(&mut self, floor: u8) -> Result<ExprRef> {
        let start = self.span().0;
        let mut left = self.unary()?;
        loop {
            self.not_too_high(&left)?;
            if floor <= 3 && self.word("is") {
                let t = self.type_expr()?;
                left = self.node(start, Kind::Is(left, t));
            } else if floor <= 4 && self.word("as") {
                let t = self.type_expr()?;
                left = self.node(start, Kind::As(left, t));
            } else if let Some((op, level)) = self.operator().filter(|o| o.1 >= floor) {
                self.advance();
                let right = self.binary(level + 1)?;
                left = self.node(start, Kind::Binary(op, left, right));
            } else {
                return Ok(left);
            }
        }
    }

    fn unary(&mut self) -> Result<ExprRef> {
        let start = self.span().0;
        let op = if self.symbol("-") {
            Unary::Minus
        } else if self.symbol("+") {
            Unary::Plus
        } else if self.word("not") {
            Unary::Not
        } else {
            if ["let", "if", "each", "error", "try"].iter().any(|w| self.is_word(w)) {
                return self.expr();
            }
            return self.postfix();
        };
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.expected("fewer signs in a row"));
        }
        let e = self.unary()?;
        self.depth -= 1;
        Ok(self.node(start, Kind::Unary(op, e)))
    }

    fn postfix(&mut self) -> Result<ExprRef> {
        let start = self.span().0;
        let mut e = self.primary()?;
        loop {
            self.not_too_high(&e)?;
            if self.symbol("(") {
                let args = self.sequence(")", Self::expr)?;
                e = self.node(start, Kind::Call(e, args));
            } else if self.symbol("{") {
                let index = self.expr()?;
                self.need_symbol("}")?;
                let optional = self.symbol("?");
                e = self.node(start, Kind::Select { of: e, index, optional });
            } else if self.is_symbol("[") {
                self.advance();
                e = self.field(start, e)?;
            } else {
                return Ok(e);
            }
        }
    }

    /// What follows `[` behind an expression: a field or a projection.
    fn field(&mut self, start: usize, of: ExprRef) -> Result<ExprRef> {
        if self.is_symbol("[") {
            let names = self.sequence("]", |p| {
                p.need_symbol("[")?;
                let n = p.general_name()?;
                p.need_symbol("]")?;
                Ok(n)
            })?;
            let optional = self.symbol("?");
            return Ok(self.node(start, Kind::Projection { of, names, optional }));
        }
        let name = self.general_name()?;
        self.need_symbol("]")?;
        let optional = self.symbol("?");
        Ok(self.node(start, Kind::Field { of, name, optional }))
    }

    fn sequence<T>(
        &mut self,
        end: &'static str,
        mut one: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut out = Vec::new();
        if self.symbol(end) {
            return Ok(out);
        }
        loop {
            out.push(one(self)?);
            if self.symbol(end) {
                return Ok(out);
            }
            if !self.symbol(",") {
                return Err(self.expected(&format!("',' or '{end}'")));
            }
        }
    }

    fn name(&mut self) -> Result<Arc<str>> {
        let n = match self.peek() {
            Token::Quoted(n) => n.clone(),
            Token::Word(n) if !KEYWORDS.contains(&&**n) => n.clone(),
            _ => return Err(self.expected("a name")),
        };
        self.advance();
        Ok(n)
    }

    /// A field name, which may hold blanks and keywords without being quoted.
    fn general_name(&mut self) -> Result<Arc<str>> {
        if let Token::Quoted(n) = self.peek() {
            let n = n.clone();
            self.advance();
            return Ok(n);
        }
        let start = self.span().0;
        let from = self.at;
        while !matches!(
            self.peek(),
            Token::End
                | Token::Text(_)
                | Token::Symbol("]" | "=" | "," | "[" | "{" | "}" | "(" | ")")
        ) {
            self.advance();
        }
        if self.at == from {
            return Err(self.expected("a field name"));
        }
        Ok(self.text.get(start..self.last_end()).unwrap_or_default().into())
    }

    fn primary(&mut self) -> Result<ExprRef> {
        let start = self.span().0;
        let kind = match self.peek().clone() {
            Token::Int(v) => Kind::Int(v),
            Token::Double(v) => Kind::Double(v),
            Token::Text(t) => Kind::Text(t),
            Token::Quoted(n) => Kind::Name(n),
            Token::Symbol("...") => Kind::NotImplemented,
            Token::Symbol("@") => {
                self.advance();
                let n = self.name()?;
                return Ok(self.node(start, Kind::Name(n)));
            }
            Token::Symbol("(") => {
                self.advance();
                let e = self.expr()?;
                self.need_symbol(")")?;
                return Ok(e);
            }
            Token::Symbol("{") => {
                self.advance();
                let items = self.sequence("}", |p| {
                    let a = p.expr()?;
                    Ok(if p.symbol("..") { Item::Range(a, p.expr()?) } else { Item::Single(a) })
                })?;
                return Ok(self.node(start, Kind::List(items)));
            }
            Token::Symbol("[") => {
                self.advance();
                return self.bracket(start);
            }
            Token::Word(w) => match &*w {
                "null" => Kind::Null,
                "true" => Kind::Logical(true),
                "false" => Kind::Logical(false),
                "#infinity" => Kind::Double(f64::INFINITY),
                "#nan" => Kind::Double(f64::NAN),
                "type" => {
                    self.advance();
                    let t = self.type_expr()?;
                    return Ok(self.node(start, Kind::Type(t)));
                }
                k if KEYWORDS.contains(&k) => return Err(self.expected("an expression")),
                _ => Kind::Name(w),
            },
            _ => return Err(self.expected("an expression")),
        };
        self.advance();
        Ok(self.node(start, kind))
    }

    /// What follows a `[` that starts an expression: a record, or a field of the current row.
    fn bracket(&mut self, start: usize) -> Result<ExprRef> {
        if self.symbol("]") {
            return Ok(self.node(start, Kind::Record(Vec::new())));
        }
        let row = Rc::new(Expr::new((start, start + 1), Kind::Name("_".into())));
        if self.is_symbol("[") {
            return self.field(start, row);
        }
        let mark = self.at;
        let _ = self.general_name()?;
        let record = self.is_symbol("=");
        self.at = mark;
        if !record {
            return self.field(start, row);
        }
        let fields = self.sequence("]", |p| {
            let n = p.general_name()?;
            p.need_symbol("=")?;
            Ok((n, p.expr()?))
        })?;
        Ok(self.node(start, Kind::Record(fields)))
    }

    fn type_expr(&mut self) -> Result<TypeExpr> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.expected("a type nested less deeply"));
        }
        let t = self.type_inner();
        self.depth -= 1;
        t
    }

    fn type_inner(&mut self) -> Result<TypeExpr> {
        if self.word("nullable") {
            return Ok(TypeExpr::Nullable(Box::new(self.type_expr()?)));
        }
        if self.symbol("{") {
            self.type_expr()?;
            self.need_symbol("}")?;
            return Ok(TypeExpr::List);
        }
        if self.symbol("[") {
            self.type_fields()?;
            return Ok(TypeExpr::Record);
        }
        if let Token::Word(w) = self.peek()
            && let Some(p) = PRIMITIVES.iter().find(|p| **p == &**w)
        {
            self.advance();
            if *p == "table" && self.symbol("[") {
                return Ok(TypeExpr::Table(self.type_fields()?));
            }
            if *p == "function" && self.is_symbol("(") {
                self.params().ok_or_else(|| self.expected("the parameters of a function type"))?;
                self.need_word("as")?;
                self.type_expr()?;
                return Ok(TypeExpr::Function);
            }
            return Ok(TypeExpr::Primitive(p));
        }
        Ok(TypeExpr::Value(self.postfix()?))
    }

    fn type_fields(&mut self) -> Result<Vec<(Arc<str>, TypeExpr)>> {
        let mut out = Vec::new();
        if self.symbol("]") {
            return Ok(out);
        }
        loop {
            if self.symbol("...") {
                self.need_symbol("]")?;
                return Ok(out);
            }
            let optional = self.is_word("optional")
                && !matches!(self.peek_at(1), Token::Symbol("=" | "," | "]"));
            if optional {
                self.advance();
            }
            let name = self.general_name()?;
            let t = if self.symbol("=") { self.type_expr()? } else { TypeExpr::Primitive("any") };
            out.push((name, t));
            if self.symbol("]") {
                return Ok(out);
            }
            if !self.symbol(",") {
                return Err(self.expected("',' or ']'"));
            }
        }
    }
}
