//! Values found in tables, and names of objects.

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Span};

use super::call::{BOOLEAN, WHOLE, all_uses};
use super::table_call::extension;
use super::{Binder, Scope, column, common_type, literal, table_type};
use crate::plan::{Kind, NamedNode, Node, TextForm, Type};

const TEXT: Type = Type::Scalar(DataType::String);

impl Binder<'_> {
    pub(super) fn lookup_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        Ok(Some(match name {
            "ISEMPTY" => {
                let table = self.table(scope, &arguments[0])?;
                let uses = table.uses;
                Self::node(Kind::IsEmpty(Box::new(table)), BOOLEAN, uses, span)
            }
            "CONTAINSROW" => {
                let right = self.shown_table(scope, &arguments[0])?;
                let left = self.scalars_of(scope, &arguments[1..])?;
                if right.schema().len() != left.len() {
                    return Err(Error::invalid(
                        "CONTAINSROW needs one value for each column of its table.",
                    ));
                }
                self.check_row(&left, &right)?;
                let uses = all_uses(&left).and(right.uses);
                Self::node(Kind::In { left, right: Box::new(right) }, BOOLEAN, uses, span)
            }
            "CONTAINS" => self.contains(scope, arguments, span)?,
            "LOOKUPVALUE" => self.lookup_value(scope, arguments, span)?,
            "PATH" => {
                let (ids, parents) =
                    (self.column_reference(&arguments[0])?, self.column_reference(&arguments[1])?);
                if ids.table != parents.table {
                    return Err(Error::invalid("The columns of PATH are columns of one table."));
                }
                let [id, parent] = self.two(scope, arguments)?;
                let uses = id.uses.and(parent.uses);
                let kind = Kind::Path { id: Box::new(id), parent: Box::new(parent), ids, parents };
                Self::node(kind, TEXT, uses, span)
            }
            "NETWORKDAYS" => {
                let bound: Vec<Node> =
                    arguments.iter().map(|a| self.any(scope, a)).collect::<Result<_>>()?;
                let uses = all_uses(&bound);
                Self::node(Kind::NetworkDays(bound), WHOLE, uses, span)
            }
            "NAMEOF" => literal(Value::from(self.name_of(arguments)?), span),
            "TOCSV" | "TOJSON" => self.text_of_table(scope, name, arguments, span)?,
            _ => return Ok(None),
        }))
    }

    fn contains(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let mut table = self.table(scope, &arguments[0])?;
        if arguments.len().is_multiple_of(2) {
            return Err(Error::invalid(
                "CONTAINS takes a table and pairs of a column and a value.",
            ));
        }
        let inner = self.inside(scope, &table);
        let mut schema = table.schema().to_vec();
        let (mut pairs, mut related) = (Vec::new(), Vec::new());
        for pair in arguments[1..].chunks_exact(2) {
            let at = match self.position(scope, &table, &pair[0]) {
                Ok(at) => at,
                // Of a table that the rows are related to.
                Err(e) => {
                    let node = self.column_of_related(scope, &inner, &pair[0]).ok_or(e)?;
                    schema.push(column("", node.data_type()));
                    related.push(NamedNode { name: "".into(), node });
                    schema.len() - 1
                }
            };
            let value = self.scalar(scope, &pair[1])?;
            self.check_compared(&value, schema[at].data_type)?;
            pairs.push((at, value));
        }
        if !related.is_empty() {
            table = extension(scope, table, related, true, table_type(schema), span);
        }
        let uses = all_uses(pairs.iter().map(|(_, n)| n)).and(table.uses);
        Ok(Self::node(Kind::Contains { table: Box::new(table), pairs }, BOOLEAN, uses, span))
    }

    /// A column of the model for the rows of `inner`, the row context just inside of `scope`.
    fn column_of_related(&mut self, scope: &Scope, inner: &Scope, e: &Expr) -> Option<Node> {
        let id = self.column_reference(e).ok()?;
        let node = self.related_column(inner, id, e.span)?;
        Some(node).filter(|n| n.uses.frame == scope.frames.len())
    }

    /// The position of a column, named by reference, in a table expression.
    pub(super) fn position(&mut self, scope: &Scope, table: &Node, e: &Expr) -> Result<usize> {
        let inner = self.inside(scope, table);
        let frame = scope.frames.len();
        match self.any(&inner, e)?.kind {
            Kind::RowColumn { frame: f, column } if f == frame => Ok(column),
            _ => Err(Error::invalid("A column of the table is expected here.").at(e.span.place())),
        }
    }

    fn lookup_value(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let result = self.column_reference(&arguments[0])?;
        let rest = &arguments[1..];
        let mut pairs = Vec::new();
        let mut chunks = rest.chunks_exact(2);
        for pair in &mut chunks {
            let column = self.column_reference(&pair[0])?;
            let value = self.scalar(scope, &pair[1])?;
            self.check_compared(&value, self.model.column_info(column).data_type)?;
            pairs.push((column, value));
        }
        if pairs.is_empty() {
            return Err(Error::invalid("LOOKUPVALUE needs a column to search and a value."));
        }
        let otherwise = match chunks.remainder() {
            [e] => Some(self.scalar(scope, e)?),
            _ => None,
        };
        let table = self.model_table(result.table, false, span);
        let uses = all_uses(pairs.iter().map(|(_, n)| n).chain(&otherwise));
        let of = self.model.column_info(result).data_type;
        let typed = otherwise.iter().filter(|o| !o.is_blank_literal());
        let data_type = typed.map(Node::data_type).fold(of, common_type);
        let otherwise = otherwise.map(Box::new);
        let kind = Kind::LookupValue { result, table: Box::new(table), pairs, otherwise };
        Ok(Self::node(kind, Type::Scalar(data_type), uses, span))
    }

    fn text_of_table(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let table = self.shown_table(scope, &arguments[0])?;
        let given = |i: usize| arguments.get(i).filter(|e| !matches!(e.kind, ExprKind::Omitted));
        let mut or = |i: usize, otherwise: Value| match given(i) {
            Some(e) => self.scalar(scope, e).map(Box::new),
            None => Ok(Box::new(literal(otherwise, span))),
        };
        let limit = or(1, Value::Int(10))?;
        let mut uses = table.uses.and(limit.uses);
        let form = match name {
            "TOCSV" => {
                let (delimiter, header) = (or(2, ",".into())?, or(3, true.into())?);
                uses = uses.and(delimiter.uses).and(header.uses);
                TextForm::Csv { delimiter, header }
            }
            _ => TextForm::Json,
        };
        Ok(Self::node(Kind::ToText { table: Box::new(table), form, limit }, TEXT, uses, span))
    }
}
