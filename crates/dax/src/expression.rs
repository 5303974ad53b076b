//! Expressions: operators by precedence, calls, constructors, variables.
//!
//! From tight to loose: `^`, sign, `* /`, `+ -`, `&`, comparisons and `IN`, `NOT`, `&&`, `||`.
//! Operators of one level group from the left.

use std::sync::Arc;

use evercube_base::Value;

use crate::ast::{BinaryOperator, Binding, Expr, ExprKind, Span, UnaryOperator};
use crate::lexer::TokenKind;
use crate::parser::Parser;

pub(crate) const NOT_POWER: u8 = 3;
pub(crate) const COMPARE_POWER: u8 = 4;
pub(crate) const SIGN_POWER: u8 = 8;

/// Binding power of a binary operator; higher binds tighter.
pub(crate) fn binding_power(operator: BinaryOperator) -> u8 {
    use BinaryOperator as B;
    match operator {
        B::Or => 1,
        B::And => 2,
        B::Equal | B::StrictEqual | B::NotEqual => COMPARE_POWER,
        B::Less | B::LessEqual | B::Greater | B::GreaterEqual => COMPARE_POWER,
        B::Concatenate => 5,
        B::Add | B::Subtract => 6,
        B::Multiply | B::Divide => 7,
        B::Power => 9,
    }
}

fn binary_operator(symbol: &str) -> Option<BinaryOperator> {
    use BinaryOperator as B;
    Some(match symbol {
        "||" => B::Or,
        "&&" => B::And,
        "=" => B::Equal,
        "==" => B::StrictEqual,
        "<>" => B::NotEqual,
        "<" => B::Less,
        "<=" => B::LessEqual,
        ">" => B::Greater,
        ">=" => B::GreaterEqual,
        "&" => B::Concatenate,
        "+" => B::Add,
        "-" => B::Subtract,
        "*" => B::Multiply,
        "/" => B::Divide,
        "^" => B::Power,
        _ => return None,
    })
}

impl Parser<'_> {
    /// An expression that stands for itself: an argument, a definition, a result.
    pub(crate) fn expression(&mut self) -> Expr {
        let result = self.operators(0);
        self.reject_tuple(&result);
        result
    }

    fn reject_tuple(&mut self, expression: &Expr) {
        if matches!(expression.kind, ExprKind::Tuple(_)) {
            self.error(
                "a list in parentheses may only stand left of IN or as a row inside { }",
                expression.span,
            );
        }
    }

    /// Operators that bind tighter than `floor`.
    fn operators(&mut self, floor: u8) -> Expr {
        self.nested(|parser| {
            let mut left = parser.operand();
            loop {
                let token = parser.peek();
                let operator = match &token.kind {
                    TokenKind::Symbol(symbol) => binary_operator(symbol),
                    _ => None,
                };
                let is_in = token.is_word("IN");
                let power = match operator {
                    Some(operator) => binding_power(operator),
                    None if is_in => COMPARE_POWER,
                    None => return left,
                };
                if power <= floor {
                    return left;
                }
                let below = parser.height;
                parser.advance();
                let right = parser.operators(power);
                let below = below.max(parser.height);
                parser.reject_tuple(&right);
                if operator.is_some() {
                    parser.reject_tuple(&left);
                }
                if !parser.grow(below) {
                    return parser.broken();
                }
                let span = Span { start: left.span.start, end: right.span.end, passed: 0 };
                let (left_box, right) = (Box::new(left), Box::new(right));
                let kind = match operator {
                    Some(operator) => ExprKind::Binary { operator, left: left_box, right },
                    None => ExprKind::In { left: left_box, right },
                };
                left = Expr { kind, span };
            }
        })
    }

    fn operand(&mut self) -> Expr {
        let token = self.peek();
        let not = token.is_word("NOT");
        let (operator, power) = match &token.kind {
            TokenKind::Symbol("-") => (UnaryOperator::Minus, SIGN_POWER),
            TokenKind::Symbol("+") => (UnaryOperator::Plus, SIGN_POWER),
            TokenKind::Name(_) if not => (UnaryOperator::Not, NOT_POWER),
            _ => return self.primary(),
        };
        let start = self.start();
        self.advance();
        let operand = self.operators(power);
        self.reject_tuple(&operand);
        if !self.grow(self.height) {
            return self.broken();
        }
        Expr {
            kind: ExprKind::Unary { operator, operand: Box::new(operand) },
            span: self.span_from(start),
        }
    }

    fn primary(&mut self) -> Expr {
        self.height = 1;
        let start = self.start();
        let kind = match self.peek().kind.clone() {
            TokenKind::Name(name) => return self.named(name),
            TokenKind::Symbol("(") => return self.parenthesized(),
            TokenKind::Symbol("{") => return self.constructor(),
            TokenKind::Integer(value) => ExprKind::Literal(Value::from(value)),
            TokenKind::Double(value) => ExprKind::Literal(Value::from(value)),
            TokenKind::Date(value) => ExprKind::Literal(Value::from(value)),
            TokenKind::Text(text) => ExprKind::Literal(Value::text(text)),
            TokenKind::Parameter(name) => ExprKind::Parameter(name),
            TokenKind::Bracketed(name) => return self.without_table(name, start),
            TokenKind::Quoted(name) => {
                self.advance();
                // `''[x]` is the full name of a column that belongs to no table.
                if name.is_empty()
                    && let TokenKind::Bracketed(column) = self.peek().kind.clone()
                {
                    return self.without_table(column, start);
                }
                if self.peek().is_symbol("(") {
                    self.error_expected(
                        "no '(' after a quoted name; function names are not quoted",
                    );
                }
                return self.table_or_column(name, true, start);
            }
            TokenKind::Symbol(_) | TokenKind::Bad(_) | TokenKind::End => {
                self.error_expected("an expression");
                let broken = self.broken();
                self.recover();
                return broken;
            }
        };
        self.advance();
        Expr { kind, span: self.span_from(start) }
    }

    /// What begins with an unquoted name.
    fn named(&mut self, name: Arc<str>) -> Expr {
        let start = self.start();
        if self.at_variable() {
            return self.variables();
        }
        let before_bracket = matches!(self.peek_at(1).kind, TokenKind::Bracketed(_));
        let keyword = ["RETURN", "EVALUATE", "DEFINE", "IN"];
        if !before_bracket && keyword.iter().any(|word| name.eq_ignore_ascii_case(word)) {
            self.error_expected("an expression");
            let broken = self.broken();
            if name.eq_ignore_ascii_case("IN") {
                self.recover();
            }
            return broken;
        }
        let function_span = self.advance().span;
        if self.peek().is_symbol("(") {
            return self.call(name, function_span);
        }
        let is_order = ["ASC", "DESC"].iter().any(|word| name.eq_ignore_ascii_case(word));
        if is_order && self.peek().is_word("BLANKS") {
            return self.order_of_blanks(&name, start);
        }
        let truth = name.eq_ignore_ascii_case("TRUE") || name.eq_ignore_ascii_case("FALSE");
        if truth && !before_bracket {
            let kind = ExprKind::Call { function: name, function_span, arguments: Vec::new() };
            return Expr { kind, span: function_span };
        }
        self.table_or_column(name, false, start)
    }

    /// `DESC BLANKS LAST`: one word of an order.
    fn order_of_blanks(&mut self, direction: &str, start: u32) -> Expr {
        self.advance();
        let TokenKind::Name(of_blanks) = self.peek().kind.clone() else {
            self.error_expected("FIRST, LAST or DEFAULT");
            return self.broken();
        };
        self.advance();
        let name = format!("{direction} BLANKS {of_blanks}").into();
        Expr { kind: ExprKind::Name { name, quoted: false }, span: self.span_from(start) }
    }

    fn without_table(&mut self, name: Arc<str>, start: u32) -> Expr {
        self.advance();
        let kind = match self.level() {
            Some(level) => ExprKind::Level { table: None, column: name, level },
            None => ExprKind::Bracketed(name),
        };
        Expr { kind, span: self.span_from(start) }
    }

    fn table_or_column(&mut self, table: Arc<str>, quoted: bool, start: u32) -> Expr {
        let kind = if let TokenKind::Bracketed(name) = self.peek().kind.clone() {
            self.advance();
            match self.level() {
                Some(level) => ExprKind::Level { table: Some(table), column: name, level },
                None => ExprKind::Qualified { table, name },
            }
        } else {
            ExprKind::Name { name: table, quoted }
        };
        Expr { kind, span: self.span_from(start) }
    }

    /// The `.[Year]` of `T[Date].[Year]`.
    fn level(&mut self) -> Option<Arc<str>> {
        if !self.peek().is_symbol(".") {
            return None;
        }
        let TokenKind::Bracketed(level) = self.peek_at(1).kind.clone() else { return None };
        self.advance();
        self.advance();
        Some(level)
    }

    fn call(&mut self, function: Arc<str>, function_span: Span) -> Expr {
        self.advance();
        let (arguments, below) = self.list(")", true, Self::expression);
        self.expect(")", &format!("after the arguments of {function}"));
        if !self.grow(below) {
            return self.broken();
        }
        Expr {
            kind: ExprKind::Call { function, function_span, arguments },
            span: self.span_from(function_span.start),
        }
    }

    /// Items up to `close`, which stays; and the height of the highest.
    fn list(
        &mut self,
        close: &str,
        omittable: bool,
        item: fn(&mut Self) -> Expr,
    ) -> (Vec<Expr>, usize) {
        let (mut items, mut below) = (Vec::new(), 0);
        if self.peek().is_symbol(close) {
            return (items, below);
        }
        loop {
            let gap = self.peek().is_symbol(",") || self.peek().is_symbol(close);
            if omittable && gap {
                let at = self.start();
                let span = Span { start: at, end: at, passed: 0 };
                items.push(Expr { kind: ExprKind::Omitted, span });
            } else {
                items.push(item(self));
                below = below.max(self.height);
            }
            if !self.peek().is_symbol(",") && !self.peek().is_symbol(close) {
                self.error_expected(&format!("',' or '{close}'"));
                self.recover();
            }
            if !self.eat(",") {
                return (items, below);
            }
        }
    }

    fn parenthesized(&mut self) -> Expr {
        let start = self.start();
        self.advance();
        if self.peek().is_symbol(")") {
            self.error_expected("an expression inside the parentheses");
        }
        let (mut items, below) = self.list(")", false, Self::expression);
        self.expect(")", "to close the parenthesis");
        let span = self.span_from(start);
        if items.len() > 1 {
            if !self.grow(below) {
                return self.broken();
            }
            return Expr { kind: ExprKind::Tuple(items), span };
        }
        self.height = below.max(1);
        match items.pop() {
            Some(only) => Expr { kind: only.kind, span },
            None => Expr { kind: ExprKind::Error, span },
        }
    }

    fn constructor(&mut self) -> Expr {
        let start = self.start();
        self.advance();
        if self.peek().is_symbol("}") {
            self.error_expected("at least one value inside { }");
        }
        let (items, below) = self.list("}", false, |parser| parser.operators(0));
        self.expect("}", "to close the list");
        if !self.grow(below) {
            return self.broken();
        }
        let span = self.span_from(start);
        let mut rows: Vec<Vec<Expr>> = Vec::with_capacity(items.len());
        for item in items {
            let at = item.span;
            let row = match item.kind {
                ExprKind::Tuple(values) => values,
                kind => vec![Expr { kind, span: at }],
            };
            if let Some(first) = rows.first()
                && first.len() != row.len()
            {
                let message = format!(
                    "every row inside {{ }} needs as many values as the first, which has {}; \
                     this one has {}",
                    first.len(),
                    row.len()
                );
                self.error(&message, at);
            }
            rows.push(row);
        }
        Expr { kind: ExprKind::TableConstructor(rows), span }
    }

    fn variables(&mut self) -> Expr {
        let start = self.start();
        let (mut bindings, mut below) = (Vec::new(), 0);
        while self.at_variable() {
            let from = self.start();
            self.advance();
            let TokenKind::Name(name) = self.advance().kind else { break };
            self.advance();
            let expression = self.expression();
            below = below.max(self.height);
            bindings.push(Binding { name, expression, span: self.span_from(from) });
        }
        let result = if self.eat_word("RETURN") {
            self.expression()
        } else {
            self.error_expected("VAR or RETURN after the variable");
            self.recover();
            if self.eat_word("RETURN") { self.expression() } else { self.broken() }
        };
        if !self.grow(below.max(self.height)) {
            return self.broken();
        }
        let kind = ExprKind::Variables { bindings, result: Box::new(result) };
        Expr { kind, span: self.span_from(start) }
    }
}
