//! DAX text to tokens to a tree with positions, recovering from errors; and back to text.
//!
//! Never here: knowledge of a model. Names stay names; the engine binds them.

pub mod ast;
mod expression;
mod lexer;
mod parser;
mod printer;
mod query;

use evercube_base::{Error, Result};

use ast::{Expr, ExprKind, Parameter, Query, Span};
pub use printer::{print_expr, print_query};

/// A tree and what was wrong with the text. With errors, the tree has `ExprKind::Error` at the
/// places that could not be read, and the rest is usable.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<T> {
    pub tree: T,
    /// In the order they were found; at most 50.
    pub errors: Vec<ParseError>,
}

/// One syntax error; the message starts with its line and column, both from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub message: String,
    pub span: Span,
}

impl<T> Parsed<T> {
    /// The tree, or the first error as `ErrorKind::Invalid` with its place.
    pub fn into_result(self) -> Result<T> {
        match self.errors.into_iter().next() {
            None => Ok(self.tree),
            Some(error) => Err(Error::invalid(error.message).at(error.span.place())),
        }
    }
}

/// Reads a whole query: `DEFINE … EVALUATE …`.
pub fn parse_query(text: &str) -> Parsed<Query> {
    let mut parser = parser::Parser::new(text);
    let tree = parser.query();
    Parsed { tree, errors: parser.into_errors() }
}

/// Reads a function as a model stores it: `( a, b : INT64 ) => body`.
pub fn parse_function(text: &str) -> Parsed<(Vec<Parameter>, Expr)> {
    let mut parser = parser::Parser::new(text);
    let tree = parser.function();
    if tree.is_some() {
        parser.expect_end("an operator or the end of the function");
    }
    let nothing = || (Vec::new(), Expr { kind: ExprKind::Error, span: Span::default() });
    Parsed { tree: tree.unwrap_or_else(nothing), errors: parser.into_errors() }
}

/// Reads the expression of a measure, column, table or filter; a leading `=` is tolerated.
pub fn parse_expression(text: &str) -> Parsed<Expr> {
    let mut parser = parser::Parser::new(text);
    parser.eat("=");
    let tree = parser.expression();
    parser.expect_end("an operator or the end of the expression");
    Parsed { tree, errors: parser.into_errors() }
}
