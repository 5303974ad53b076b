//! Measures of the query and the model, and what their values are shown with.

use std::sync::Arc;

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::Span;

use super::{Binder, CONTEXT, Scope, literal};
use crate::plan::{Kind, Node, Type, Uses};

impl Binder<'_> {
    /// A measure of the query or the model.
    pub(super) fn measure(
        &mut self,
        scope: &Scope,
        name: &str,
        span: Span,
    ) -> Result<Option<Node>> {
        let in_rows = !scope.frames.is_empty();
        let key = name.to_lowercase();
        let node = |name: &str, body: Arc<Node>| {
            // A calculation item may turn a value of one type into one of another.
            let ty = Type::Scalar(self.model.type_under_groups(body.data_type()));
            // The rows around the reference become filters of the measure.
            let frame = if in_rows { 0 } else { Uses::NONE };
            let uses = Uses { frame, volatile: body.uses.volatile, ..CONTEXT };
            Self::node(Kind::Measure { name: name.into(), body }, ty, uses, span)
        };
        let known = (key.clone(), Arc::clone(&self.relationships));
        if let Some(body) = self.measures.borrow().get(&known) {
            return Ok(Some(node(name, Arc::clone(body))));
        }
        let (shown, home, expression) = match self.defined.get(&key) {
            Some(m) => (m.name.clone(), m.table, m.expression.clone()),
            None => match self.model.measure(name) {
                Some(m) => (
                    m.name.clone(),
                    Some(m.table),
                    m.expression.clone().map_err(|e| {
                        self.model.told_of(&format!("The measure [{}] has an error", m.name), e)
                    })?,
                ),
                None => return self.format_of_measure(scope, name, span),
            },
        };
        let is_it = |name: &String| name.to_lowercase() == key;
        if let Some(first) = self.binding.iter().position(is_it) {
            let cycle = self.binding[first..].iter().chain([&shown]);
            let cycle: Vec<String> = cycle.map(|name| format!("[{name}]")).collect();
            return Err(Error::invalid(format!(
                "A circular dependency was detected: {}.",
                cycle.join(" → ")
            )));
        }
        self.binding.push(shown.clone());
        let own = Scope { frames: Vec::new(), group: None, ..self.query_scope.clone() };
        let bound = self.at_home(home, |b| b.in_measure_named(&shown, span, &own, &expression));
        self.binding.pop();
        let of_query = self.defined.contains_key(&key);
        let bound = bound.map_err(|e| {
            let what = format!("In the measure [{shown}]");
            // Only the text of a measure of the query is part of the query's.
            if of_query { e.context(what) } else { self.model.told_of(&what, e) }
        })?;
        let body = Arc::new(bound);
        self.measures.borrow_mut().insert(known, Arc::clone(&body));
        Ok(Some(node(&shown, body)))
    }

    /// `[_Sales FormatString]`: what the values of the measure `[Sales]` are shown with. Reports
    /// ask for it beside the measure.
    pub(super) fn format_of_measure(
        &mut self,
        scope: &Scope,
        name: &str,
        span: Span,
    ) -> Result<Option<Node>> {
        let Some(of) = self.model.measure_of_format(name) else { return Ok(None) };
        let Some(measure) = self.measure(scope, &of.name, span)? else { return Ok(None) };
        let Kind::Measure { name, body } = measure.kind else { return Ok(None) };
        let ty = Type::Scalar(DataType::String);
        Ok(Some(Self::node(Kind::FormatString { name, body }, ty, measure.uses, span)))
    }

    /// The expression of a measure's own format string, whatever calculation items say.
    pub fn own_format(&mut self, name: &str) -> Result<Node> {
        let nothing = || literal(Value::Blank, Span::default());
        let Some(of) = self.model.measure(name) else { return Ok(nothing()) };
        match &of.format {
            None => {
                let text = of.format_string.as_deref();
                Ok(text.map_or_else(nothing, |t| literal(Value::from(t), Span::default())))
            }
            Some(expression) => {
                let expression = expression.clone()?;
                self.at_home(Some(of.table), |b| b.scalar(&Scope::default(), &expression))
            }
        }
    }
}
