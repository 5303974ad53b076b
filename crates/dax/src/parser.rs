//! The parser's place in the tokens, its errors and its way back after one.

use evercube_base::error::line_column;

use crate::ParseError;
use crate::ast::{Expr, ExprKind, Span};
use crate::lexer::{Token, TokenKind, tokenize};

/// Levels of parentheses, calls and prefix operators inside each other.
const MAX_NESTING: usize = 200;
/// Height of the tree, where `a + b + c` counts one level for each operator.
const MAX_HEIGHT: usize = 1000;
const MAX_ERRORS: usize = 50;

const END: Token = Token { kind: TokenKind::End, span: Span { start: 0, end: 0, passed: 0 } };

pub(crate) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    position: usize,
    errors: Vec<ParseError>,
    nesting: usize,
    /// Height of the expression read last.
    pub(crate) height: usize,
    /// A limit was passed: nothing after it is read.
    stopped: bool,
    end: Token,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let fits = u32::try_from(text.len()).is_ok();
        let tokens = if fits { tokenize(text) } else { Vec::new() };
        let end = tokens.last().cloned().unwrap_or(END);
        let mut parser = Self {
            text,
            tokens,
            position: 0,
            errors: Vec::new(),
            nesting: 0,
            height: 0,
            stopped: false,
            end,
        };
        if !fits {
            parser.stop("the text is longer than 4 GiB; shorten it");
        }
        parser
    }

    pub(crate) fn into_errors(self) -> Vec<ParseError> {
        self.errors
    }

    pub(crate) fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    pub(crate) fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.position.saturating_add(ahead)).unwrap_or(&self.end)
    }

    /// Takes the next token; the end is never passed.
    pub(crate) fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if self.position < self.tokens.len() {
            self.position += 1;
        }
        token
    }

    pub(crate) fn at_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn start(&self) -> u32 {
        self.peek().span.start
    }

    /// From `start` to the end of the token taken last.
    pub(crate) fn span_from(&self, start: u32) -> Span {
        let last = self.position.checked_sub(1).and_then(|at| self.tokens.get(at));
        let end = last.map_or(start, |token| token.span.end);
        Span { start, end: end.max(start), passed: 0 }
    }

    pub(crate) fn eat(&mut self, symbol: &str) -> bool {
        let found = self.peek().is_symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_word(word);
        if found {
            self.advance();
        }
        found
    }

    pub(crate) fn expect(&mut self, symbol: &str, place: &str) -> bool {
        let found = self.eat(symbol);
        if !found {
            self.error_expected(&format!("'{symbol}' {place}"));
        }
        found
    }

    pub(crate) fn expect_end(&mut self, what: &str) {
        if !self.at_end() {
            self.error_expected(what);
        }
    }

    /// Reports that `what` should stand where the next token is.
    pub(crate) fn error_expected(&mut self, what: &str) {
        let token = self.peek().clone();
        let message = match &token.kind {
            TokenKind::Bad(reason) => reason.clone(),
            TokenKind::Symbol(";") => {
                format!("expected {what}, found ';'; arguments are separated by ','")
            }
            TokenKind::Symbol("!") => format!("expected {what}, found '!'; write NOT"),
            TokenKind::Symbol("|") => format!("expected {what}, found '|'; write '||' for or"),
            _ => format!("expected {what}, found {}", token.describe()),
        };
        self.error(&message, token.span);
    }

    /// Records an error, unless one at the same place is known already.
    pub(crate) fn error(&mut self, message: &str, span: Span) {
        let known = self.errors.last().is_some_and(|error| error.span.start == span.start);
        if self.stopped || known || self.errors.len() >= MAX_ERRORS {
            return;
        }
        let (line, column) = line_column(self.text, span.start as usize);
        let message = format!("syntax error at line {line}, column {column}: {message}");
        self.errors.push(ParseError { message, span });
    }

    /// Records an error and reads nothing more.
    fn stop(&mut self, message: &str) {
        let span = self.peek().span;
        self.error(message, span);
        self.stopped = true;
        self.position = self.tokens.len();
    }

    /// Runs `inside` one level deeper, or stops when that is too deep.
    pub(crate) fn nested(&mut self, inside: impl FnOnce(&mut Self) -> Expr) -> Expr {
        if self.nesting >= MAX_NESTING {
            self.stop(&format!(
                "the expression is nested more than {MAX_NESTING} levels deep; \
                 move inner parts into variables or measures"
            ));
            return self.broken();
        }
        self.nesting += 1;
        let result = inside(self);
        self.nesting -= 1;
        result
    }

    /// Notes the height of an expression made now, or stops when it is too high.
    pub(crate) fn grow(&mut self, below: usize) -> bool {
        self.height = below + 1;
        let fits = self.height <= MAX_HEIGHT;
        if !fits {
            self.stop(&format!(
                "more than {MAX_HEIGHT} operators follow each other; use IN with a list, \
                 or split the expression with variables"
            ));
        }
        fits
    }

    /// The expression that stands for unreadable text at the present place.
    pub(crate) fn broken(&mut self) -> Expr {
        self.height = 1;
        let start = self.start();
        Expr { kind: ExprKind::Error, span: Span { start, end: start, passed: 0 } }
    }

    /// Skips to the next `,`, closing mark or start of a statement that belongs to this level.
    pub(crate) fn recover(&mut self) {
        let mut open = 0usize;
        while !self.at_end() {
            let token = self.peek();
            match &token.kind {
                TokenKind::Symbol("(" | "{") => open += 1,
                TokenKind::Symbol(")" | "}") if open == 0 => return,
                TokenKind::Symbol(")" | "}") => open -= 1,
                TokenKind::Symbol(",") if open == 0 => return,
                TokenKind::Name(_) if token.is_word("EVALUATE") || token.is_word("DEFINE") => {
                    return;
                }
                TokenKind::Name(_) if open == 0 && self.at_statement() => return,
                _ => {}
            }
            self.advance();
        }
    }

    /// True where `RETURN`, `VAR x =` or the like begins.
    fn at_statement(&self) -> bool {
        let token = self.peek();
        token.is_word("RETURN")
            || self.at_variable()
            || (token.is_word("MEASURE") && !matches!(self.peek_at(1).kind, TokenKind::Symbol(_)))
            || (token.is_word("ORDER") && self.peek_at(1).is_word("BY"))
    }

    /// True at `VAR name =`.
    pub(crate) fn at_variable(&self) -> bool {
        self.peek().is_word("VAR")
            && matches!(self.peek_at(1).kind, TokenKind::Name(_))
            && self.peek_at(2).is_symbol("=")
    }
}
