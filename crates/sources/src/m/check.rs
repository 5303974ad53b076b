//! What can be known about an expression without running it.

use std::collections::HashSet;
use std::sync::Arc;

use evercube_base::{Diagnostic, Error, Severity};
use evercube_model::tabular::DataSource;

use super::ast::{Expr, Item, Kind, TypeExpr};
use super::eval::{Unit, syntax_error};
use super::library;

pub(crate) struct Checker<'a> {
    pub expressions: &'a [(String, String)],
    pub data_sources: &'a [DataSource],
    pub out: Vec<Diagnostic>,
    seen: HashSet<String>,
}

impl<'a> Checker<'a> {
    pub fn new(expressions: &'a [(String, String)], data_sources: &'a [DataSource]) -> Self {
        Self { expressions, data_sources, out: Vec::new(), seen: HashSet::new() }
    }

    fn add(&mut self, severity: Severity, e: Error) {
        let (message, span, object) = (e.message, e.span, String::new());
        let d = Diagnostic { severity, object, message, span };
        if !self.out.contains(&d) {
            self.out.push(d);
        }
    }

    pub fn warn(&mut self, e: Error) {
        self.add(Severity::Warning, e);
    }

    pub fn text(&mut self, name: &str, text: &str) {
        let unit = Unit { text: text.to_owned(), name: name.to_owned() };
        match super::parser::parse(text) {
            Err(e) => self.add(Severity::Error, syntax_error(&unit, e)),
            Ok(e) => self.walk(&e, &unit, &mut Vec::new()),
        }
    }

    fn name(&mut self, name: &Arc<str>, e: &Expr, unit: &Unit, scope: &[Arc<str>]) {
        if scope.contains(name) || library::constant(name).is_some() {
            return;
        }
        if let Some((n, text)) = self.expressions.iter().find(|x| x.0 == **name) {
            if self.seen.insert(n.clone()) {
                self.text(n, text);
            }
        } else if let Some(d) = self.data_sources.iter().find(|d| d.name == **name) {
            if let Err(err) = crate::connection::of_data_source(d) {
                let message = format!("{} ({})", err.message, unit.place(e.span));
                self.warn(Error { message, ..err }.at(e.span));
            }
        } else if library::builtin(name).is_none() {
            self.warn(unit.unsupported(name, e.span));
        }
    }

    fn walk(&mut self, e: &Expr, u: &Unit, scope: &mut Vec<Arc<str>>) {
        let mark = scope.len();
        match &e.kind {
            Kind::Name(n) => self.name(n, e, u, scope),
            Kind::Let(b, body) => {
                scope.extend(b.iter().map(|b| b.0.clone()));
                for (_, b) in b {
                    self.walk(b, u, scope);
                }
                self.walk(body, u, scope);
            }
            Kind::Record(f) => {
                scope.extend(f.iter().map(|f| f.0.clone()));
                for (_, f) in f {
                    self.walk(f, u, scope);
                }
            }
            Kind::Function(p, body) => {
                scope.extend(p.iter().map(|p| p.name.clone()));
                self.walk(body, u, scope);
            }
            Kind::If(a, b, c) => [a, b, c].into_iter().for_each(|e| self.walk(e, u, scope)),
            Kind::List(items) => {
                for i in items {
                    match i {
                        Item::Single(a) => self.walk(a, u, scope),
                        Item::Range(a, b) => {
                            [a, b].into_iter().for_each(|e| self.walk(e, u, scope));
                        }
                    }
                }
            }
            Kind::Field { of, .. } | Kind::Projection { of, .. } => self.walk(of, u, scope),
            Kind::Select { of, index, .. } => {
                self.walk(of, u, scope);
                self.walk(index, u, scope);
            }
            Kind::Call(f, args) => {
                self.walk(f, u, scope);
                args.iter().for_each(|a| self.walk(a, u, scope));
            }
            Kind::Unary(_, a) | Kind::Error(a) => self.walk(a, u, scope),
            Kind::Is(a, t) | Kind::As(a, t) => {
                self.walk(a, u, scope);
                self.types(t, u, scope);
            }
            Kind::Type(t) => self.types(t, u, scope),
            Kind::Binary(_, a, b) => [a, b].into_iter().for_each(|e| self.walk(e, u, scope)),
            Kind::Try { body, otherwise, .. } => {
                self.walk(body, u, scope);
                otherwise.iter().for_each(|o| self.walk(o, u, scope));
            }
            Kind::Null
            | Kind::Logical(_)
            | Kind::Int(_)
            | Kind::Double(_)
            | Kind::Text(_)
            | Kind::NotImplemented => {}
        }
        scope.truncate(mark);
    }

    fn types(&mut self, t: &TypeExpr, u: &Unit, scope: &mut Vec<Arc<str>>) {
        match t {
            TypeExpr::Value(e) => self.walk(e, u, scope),
            TypeExpr::Nullable(t) => self.types(t, u, scope),
            TypeExpr::Table(c) => c.iter().for_each(|c| self.types(&c.1, u, scope)),
            TypeExpr::Primitive(_) | TypeExpr::Record | TypeExpr::List | TypeExpr::Function => {}
        }
    }
}
