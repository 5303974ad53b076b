//! `INFO.…`: metadata rowsets as constant tables.

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Span};

use super::{Binder, Scope, column, literal, table_type};
use crate::functions::info;
use crate::plan::{Kind, Node, Uses};
use crate::scalar::plain_text;

impl Binder<'_> {
    pub(super) fn info_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        if !name.starts_with("INFO.") {
            return Ok(None);
        }
        let rowsets = self.rowsets.as_ref().ok_or_else(|| {
            Error::invalid(format!("{name} can only be used in queries, not in the model."))
        })?;
        if let Some(view) = Self::info_view(rowsets, name, span)? {
            return Ok(Some(view));
        }
        let Some(rowset) = info::rowset_of(name) else { return Ok(None) };
        let mut restrictions = Vec::new();
        for pair in arguments.chunks(2) {
            let [of, value] = pair else {
                return Err(Error::invalid(format!(
                    "The restrictions of {name} come in pairs of a name and a value."
                )));
            };
            let of = self.constant_text(scope, name, of)?;
            restrictions.push((of, vec![self.constant_text(scope, name, value)?]));
        }
        let rowset = rowsets.read(rowset, &restrictions)?;
        let mut wanted = Vec::new();
        for (of, values) in &restrictions {
            let at = rowset.column(of).ok_or_else(|| {
                Error::invalid(format!("{name} has no column '{of}' to be restricted."))
            })?;
            wanted.extend(values.iter().map(|v| (at, v)));
        }
        let passes = |row: &&Vec<Value>| {
            wanted.iter().all(|(at, v)| plain_text(&row[*at]).eq_ignore_ascii_case(v))
        };
        let cells = |row: &Vec<Value>| row.iter().map(|v| literal(v.clone(), span)).collect();
        let rows = rowset.rows.iter().filter(passes).map(cells).collect();
        let schema = rowset.columns.iter().map(|c| column(&c.name, c.kind.data_type())).collect();
        Ok(Some(Self::node(Kind::Rows(rows), table_type(schema), Uses::default(), span)))
    }

    /// The text of a constant, or of a variable that is one.
    fn constant_text(&self, scope: &Scope, function: &str, e: &Expr) -> Result<String> {
        let known = match &e.kind {
            ExprKind::Literal(v) => Some(v),
            ExprKind::Name { name, quoted: false } => {
                self.variable_named(scope, name, false).and_then(|v| v.constant.as_ref())
            }
            _ => None,
        };
        known.map(plain_text).ok_or_else(|| {
            Error::invalid(format!("The restrictions of {function} are constants."))
                .at(e.span.place())
        })
    }
}
