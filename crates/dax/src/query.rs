//! Queries: definitions, then `EVALUATE` with its order and start.

use std::sync::Arc;

use crate::ast::{Definition, DefinitionKind, Evaluate, Expr, OrderBy, Parameter, Query};
use crate::lexer::TokenKind;
use crate::parser::Parser;

impl Parser<'_> {
    pub(crate) fn query(&mut self) -> Query {
        let mut query = Query::default();
        while !self.at_end() {
            let before = self.position();
            if self.peek().is_word("DEFINE") {
                self.definitions(&mut query);
            } else if self.peek().is_word("EVALUATE") {
                let evaluate = self.evaluate();
                query.evaluates.push(evaluate);
            } else {
                self.error_expected(if query.evaluates.is_empty() {
                    "DEFINE or EVALUATE"
                } else {
                    "an operator, ORDER BY, EVALUATE or the end of the query"
                });
                self.skip_to_statement();
            }
            if self.position() == before {
                self.advance();
            }
        }
        if query.evaluates.is_empty() {
            self.error_expected("EVALUATE and a table expression");
        }
        query
    }

    fn skip_to_statement(&mut self) {
        while !self.at_end() && !self.peek().is_word("EVALUATE") && !self.peek().is_word("DEFINE") {
            self.advance();
        }
    }

    fn definitions(&mut self, query: &mut Query) {
        let define = self.advance().span;
        if !query.evaluates.is_empty() {
            self.error("DEFINE must stand before the first EVALUATE", define);
        }
        let mut found = false;
        while !self.at_end() && !self.peek().is_word("EVALUATE") && !self.peek().is_word("DEFINE") {
            let start = self.start();
            match self.definition() {
                Some(kind) => {
                    query.definitions.push(Definition { kind, span: self.span_from(start) });
                }
                None => self.skip_to_definition(),
            }
            found = true;
        }
        if !found {
            self.error_expected("MEASURE, VAR, TABLE, COLUMN or FUNCTION after DEFINE");
        }
    }

    /// Skips at least one token, up to what looks like the next definition or statement.
    fn skip_to_definition(&mut self) {
        if self.peek().is_word("EVALUATE") {
            return;
        }
        self.advance();
        let words = ["MEASURE", "VAR", "TABLE", "COLUMN", "FUNCTION"];
        while !self.at_end() && !self.peek().is_word("EVALUATE") && !self.peek().is_word("DEFINE") {
            let named = matches!(self.peek_at(1).kind, TokenKind::Name(_) | TokenKind::Quoted(_));
            if named && words.iter().any(|word| self.peek().is_word(word)) {
                return;
            }
            self.advance();
        }
    }

    fn definition(&mut self) -> Option<DefinitionKind> {
        let word = match &self.peek().kind {
            TokenKind::Name(name) => name.to_ascii_uppercase(),
            _ => String::new(),
        };
        match word.as_str() {
            "MEASURE" => {
                self.advance();
                let table = self.table_name();
                let name = self.bracketed("the measure's name as 'Table'[Name]")?;
                self.is_defined_as()?;
                Some(DefinitionKind::Measure { table, name, expression: self.expression() })
            }
            "COLUMN" => {
                self.advance();
                let Some(table) = self.table_name() else {
                    self.error_expected("the column's name as 'Table'[Name]");
                    return None;
                };
                let name = self.bracketed("the column's name as 'Table'[Name]")?;
                self.is_defined_as()?;
                Some(DefinitionKind::Column { table, name, expression: self.expression() })
            }
            "TABLE" => {
                self.advance();
                let Some(name) = self.table_name() else {
                    self.error_expected("the table's name");
                    return None;
                };
                self.is_defined_as()?;
                Some(DefinitionKind::Table { name, expression: self.expression() })
            }
            "VAR" => {
                self.advance();
                let name = self.plain_name("the variable's name")?;
                self.is_defined_as()?;
                Some(DefinitionKind::Variable { name, expression: self.expression() })
            }
            "FUNCTION" => {
                self.advance();
                let name = self.plain_name("the function's name")?;
                self.is_defined_as()?;
                let (parameters, body) = self.function()?;
                Some(DefinitionKind::Function { name, parameters, body })
            }
            "MPARAMETER" => {
                let span = self.peek().span;
                self.error("MPARAMETER is not available; remove it from DEFINE", span);
                None
            }
            _ => {
                self.error_expected(
                    "an operator, MEASURE, VAR, TABLE, COLUMN, FUNCTION or EVALUATE",
                );
                None
            }
        }
    }

    fn is_defined_as(&mut self) -> Option<()> {
        self.expect("=", "before the definition's expression").then_some(())
    }

    fn table_name(&mut self) -> Option<Arc<str>> {
        let name = match &self.peek().kind {
            TokenKind::Name(name) | TokenKind::Quoted(name) if !name.is_empty() => Arc::clone(name),
            _ => return None,
        };
        self.advance();
        Some(name)
    }

    fn plain_name(&mut self, what: &str) -> Option<Arc<str>> {
        let TokenKind::Name(name) = self.peek().kind.clone() else {
            self.error_expected(what);
            return None;
        };
        self.advance();
        Some(name)
    }

    fn bracketed(&mut self, what: &str) -> Option<Arc<str>> {
        let TokenKind::Bracketed(name) = self.peek().kind.clone() else {
            self.error_expected(what);
            return None;
        };
        self.advance();
        Some(name)
    }

    /// `( a, b : SCALAR = 1 )`.
    fn parameters(&mut self) -> Option<Vec<Parameter>> {
        if !self.expect("(", "before the function's parameters") {
            return None;
        }
        let mut parameters = Vec::new();
        if self.eat(")") {
            return Some(parameters);
        }
        loop {
            parameters.push(self.parameter()?);
            if self.eat(")") {
                return Some(parameters);
            }
            if !self.eat(",") {
                self.error_expected("',' or ')' in the function's parameters");
                return None;
            }
        }
    }

    /// `( a, b : INT64 = 1 ) => body`.
    pub(crate) fn function(&mut self) -> Option<(Vec<Parameter>, Expr)> {
        let parameters = self.parameters()?;
        let has_body = self.expect("=>", "before the function's body");
        has_body.then(|| (parameters, self.expression()))
    }

    fn parameter(&mut self) -> Option<Parameter> {
        let start = self.start();
        let name = self.plain_name("a parameter's name")?;
        let mut hints = Vec::new();
        if self.eat(":") {
            let first = self.plain_name("a type hint such as SCALAR, TABLE or ANYREF")?;
            hints.push(first.to_ascii_uppercase().into());
            while let TokenKind::Name(word) = &self.peek().kind {
                hints.push(word.to_ascii_uppercase().into());
                self.advance();
            }
        }
        let default = if self.eat("=") { Some(self.expression()) } else { None };
        Some(Parameter { name, hints, default, span: self.span_from(start) })
    }

    fn evaluate(&mut self) -> Evaluate {
        let start = self.start();
        self.advance();
        let expression = self.expression();
        let (mut order_by, mut start_at) = (Vec::new(), Vec::new());
        if self.peek().is_word("ORDER") && self.peek_at(1).is_word("BY") {
            self.advance();
            self.advance();
            loop {
                let expression = self.expression();
                let descending = self.eat_word("DESC");
                if !descending {
                    self.eat_word("ASC");
                }
                order_by.push(OrderBy { expression, descending });
                if !self.eat(",") {
                    break;
                }
            }
        }
        if self.peek().is_word("START") && self.peek_at(1).is_word("AT") {
            if order_by.is_empty() {
                self.error_expected("ORDER BY before START AT");
            }
            self.advance();
            let at = self.advance().span;
            loop {
                start_at.push(self.expression());
                if !self.eat(",") {
                    break;
                }
            }
            if start_at.len() > order_by.len() {
                self.error("START AT has more values than ORDER BY has expressions", at);
            }
        }
        Evaluate { expression, order_by, start_at, span: self.span_from(start) }
    }
}
