//! Window functions: `INDEX`, `OFFSET`, `WINDOW`, `RANK`, `ROWNUMBER`.

use std::collections::BTreeMap;

use evercube_base::{Error, Result};
use evercube_dax::ast::{Expr, ExprKind, Span};
use evercube_store::{ColumnId, TableId};

use super::call::{WHOLE, all_uses};
use super::table_call::{extension, projection};
use super::{Binder, CONTEXT, Scope, table_type};
use crate::plan::{
    Blanks, Current, Kind, NamedNode, Node, TableColumn, Type, Uses, WindowEnd, WindowKey,
    WindowKind, WindowNode,
};

/// The arguments after the position, told apart by what they are.
struct Shape<'e> {
    relation: Option<&'e Expr>,
    order_by: &'e [Expr],
    partition_by: &'e [Expr],
    /// The columns that tell the current row; all where none is named.
    match_by: &'e [Expr],
    /// Where blanks come, unless a part of the order says otherwise.
    blanks: Blanks,
}

/// The column of `RELATED ( column )`, or the expression itself.
fn of_related(e: &Expr) -> &Expr {
    match &e.kind {
        ExprKind::Call { function, arguments, .. } if function.eq_ignore_ascii_case("RELATED") => {
            arguments.first().unwrap_or(e)
        }
        _ => e,
    }
}

fn word(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Name { name, quoted: false } => Some(name.to_ascii_uppercase()),
        _ => None,
    }
}

impl Binder<'_> {
    pub(super) fn window_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        let mut rest = arguments;
        let (kind, from, to) = match name {
            "INDEX" => {
                let from = self.window_end(scope, name, true, &mut rest)?;
                (WindowKind::Index, from, None)
            }
            "OFFSET" => {
                let from = self.window_end(scope, name, false, &mut rest)?;
                (WindowKind::Offset, from, None)
            }
            "WINDOW" => {
                let from = self.window_end(scope, name, false, &mut rest)?;
                let to = self.window_end(scope, name, false, &mut rest)?;
                (WindowKind::Window, from, Some(to))
            }
            "RANK" | "ROWNUMBER" => {
                let ties = rest.first().and_then(word);
                let dense = ties.as_deref() == Some("DENSE");
                let skipped = rest.first().is_some_and(|e| matches!(e.kind, ExprKind::Omitted));
                if name == "RANK" && (dense || skipped || ties.as_deref() == Some("SKIP")) {
                    rest = &rest[1..];
                }
                let kind = match name {
                    "RANK" => WindowKind::Rank { dense },
                    _ => WindowKind::RowNumber,
                };
                let position = Box::new(Node::default());
                (kind, WindowEnd { position, absolute: true }, None)
            }
            "ORDERBY" | "PARTITIONBY" | "MATCHBY" => {
                return Err(Error::invalid(format!(
                    "{name} can stand only among the arguments of a window function."
                )));
            }
            _ => return Ok(None),
        };
        let shape = shape(name, rest)?;
        self.window(scope, kind, (from, to), &shape, span).map(Some)
    }

    /// A position, and the word `ABS` or `REL` after it.
    fn window_end(
        &mut self,
        scope: &Scope,
        name: &str,
        absolute: bool,
        rest: &mut &[Expr],
    ) -> Result<WindowEnd> {
        let Some((first, after)) = rest.split_first() else {
            return Err(Error::invalid(format!("{name} needs a position.")));
        };
        let position = Box::new(self.scalar(scope, first)?);
        *rest = after;
        let mut end = WindowEnd { position, absolute };
        if name == "WINDOW"
            && let Some((e, after)) = rest.split_first()
        {
            let given = word(e).filter(|w| w == "ABS" || w == "REL");
            if given.is_some() || matches!(e.kind, ExprKind::Omitted) {
                end.absolute = given.as_deref() == Some("ABS");
                *rest = after;
            }
        }
        Ok(end)
    }

    fn window(
        &mut self,
        scope: &Scope,
        kind: WindowKind,
        ends: (WindowEnd, Option<WindowEnd>),
        shape: &Shape<'_>,
        span: Span,
    ) -> Result<Node> {
        let relation = match shape.relation {
            Some(e) => self.table(scope, e)?,
            None => self.selected_relation(scope, shape, span)?,
        };
        let own = relation.schema();
        let relation = self.with_related_columns(scope, relation, shape, span)?;
        let inner = self.inside(scope, &relation);
        let schema = relation.schema();
        let mut partition_by = Vec::new();
        for e in shape.partition_by {
            partition_by.push(self.position(scope, &relation, of_related(e))?);
        }
        let mut order_by = self.window_keys(&inner, shape)?;
        let depth = scope.frames.len();
        if order_by.is_empty() {
            // By every column that is not part of the partition.
            for (i, c) in own.iter().enumerate().filter(|(i, _)| !partition_by.contains(i)) {
                let uses = Uses { frame: depth, ..Uses::default() };
                let kind = Kind::RowColumn { frame: depth, column: i };
                let node = Self::node(kind, Type::Scalar(c.data_type), uses, span);
                order_by.push(WindowKey { node, descending: false, blanks: shape.blanks });
            }
        }
        let outer =
            |c: &TableColumn| outer_column(scope, c).map(|(frame, columns)| (frame, columns[0]));
        // Rows are told apart by all columns of the relation, or by those that are named for it.
        let mut tells = partition_by.clone();
        for e in shape.match_by {
            tells.push(self.position(scope, &relation, of_related(e))?);
        }
        // A place counted from the partition's ends asks for the partition alone.
        let is_place = matches!(kind, WindowKind::RowNumber | WindowKind::Rank { .. });
        let (from, to) = ends;
        let by_ends = !is_place && from.absolute && to.as_ref().is_none_or(|t| t.absolute);
        if !is_place && !by_ends && own.iter().all(|c| c.lineage.is_none()) {
            return Err(Error::invalid(
                "OFFSET and WINDOW tell the current row by columns of the model, and every column of this table is made by an expression. Use a table with columns of the model, or INDEX, or WINDOW with ABS for both ends.",
            ));
        }
        // What no row context has of a related table follows from the row that is current.
        let follows = partition_by.iter().any(|p| *p >= own.len() && outer(&schema[*p]).is_none());
        let current: Vec<Current> = schema
            .iter()
            .enumerate()
            .map(|(i, c)| match (outer(c), c.lineage) {
                _ if !shape.match_by.is_empty() && !tells.contains(&i) => Current::Unknown,
                (found, _) if by_ends && !partition_by.contains(&i) => match found {
                    Some((frame, column)) if follows => Current::Row { frame, column },
                    _ => Current::Unknown,
                },
                (Some((frame, column)), _) => Current::Row { frame, column },
                (None, Some(_)) => Current::Visible,
                (None, None) => Current::Unknown,
            })
            .collect();
        for (column, current) in schema.iter().zip(&current) {
            if matches!(current, Current::Row { .. }) {
                check_is_one(scope, column)?;
            }
        }
        let visible = self.visible_columns(&schema, &current, span);
        let uses = all_uses(order_by.iter().map(|k| &k.node)).outside_frame(depth);
        let ends = to.iter().fold(from.position.uses, |u, t| u.and(t.position.uses));
        let frame = if depth > 0 { 0 } else { Uses::NONE };
        let uses = uses.and(ends).and(relation.uses).and(Uses { frame, ..CONTEXT });
        let ty = relation.ty.clone();
        let node = Box::new(WindowNode {
            kind,
            from,
            to,
            relation: Box::new(relation),
            order_by,
            blanks: shape.blanks,
            partition_by,
            current,
            visible,
        });
        Ok(match kind {
            WindowKind::RowNumber | WindowKind::Rank { .. } => {
                Self::node(Kind::WindowRank(node), WHOLE, uses, span)
            }
            _ => {
                let rows = Self::node(Kind::Window(node), ty, uses, span);
                match own.len() < schema.len() {
                    true => projection(scope, rows, &own, &Vec::from_iter(0..own.len()), span),
                    false => rows,
                }
            }
        })
    }

    /// The relation, with the columns of related tables by which it is cut or its rows are told.
    fn with_related_columns(
        &mut self,
        scope: &Scope,
        relation: Node,
        shape: &Shape<'_>,
        span: Span,
    ) -> Result<Node> {
        let inner = self.inside(scope, &relation);
        let depth = scope.frames.len();
        let (mut added, mut schema) = (Vec::new(), relation.schema().to_vec());
        for e in shape.partition_by.iter().chain(shape.match_by) {
            let (node, column) = self.group_column(scope, &inner, &relation, of_related(e))?;
            let is_own = matches!(node.kind, Kind::RowColumn { frame, .. } if frame == depth);
            if !is_own && !schema.iter().any(|c| c.lineage == column.lineage) {
                added.push(NamedNode { name: column.name.clone(), node });
                schema.push(column);
            }
        }
        if added.is_empty() {
            return Ok(relation);
        }
        Ok(extension(scope, relation, added, true, table_type(schema), span))
    }

    /// The columns whose current values are those that are visible, by their tables.
    fn visible_columns(
        &self,
        schema: &[TableColumn],
        current: &[Current],
        span: Span,
    ) -> Vec<(Vec<usize>, Node)> {
        let mut of: BTreeMap<TableId, Vec<(usize, ColumnId)>> = BTreeMap::new();
        for (i, (column, current)) in schema.iter().zip(current).enumerate() {
            if let (Some(id), Current::Visible) = (column.lineage, current) {
                of.entry(id.table).or_default().push((i, id));
            }
        }
        let together = |columns: Vec<(usize, ColumnId)>| {
            let (places, ids): (Vec<usize>, Vec<ColumnId>) = columns.into_iter().unzip();
            (places, self.values(ids, true, span))
        };
        of.into_values().map(together).collect()
    }

    /// The parts of `ORDERBY`: an expression, then its order, as `DESC BLANKS LAST`.
    fn window_keys(&mut self, inner: &Scope, shape: &Shape<'_>) -> Result<Vec<WindowKey>> {
        let mut keys = Vec::new();
        for pair in shape.order_by.chunks(2) {
            let node = self.scalar(inner, &pair[0])?;
            let (mut blanks, mut order) = (shape.blanks, pair.get(1).cloned());
            if let Some(Expr { kind: ExprKind::Name { name, .. }, span }) = &mut order
                && let Some((direction, of_blanks)) = name.clone().split_once(" BLANKS ")
            {
                blanks = blanks_named(of_blanks).ok_or_else(|| {
                    Error::invalid("Blanks come FIRST, LAST or by DEFAULT.").at(span.place())
                })?;
                *name = direction.into();
            }
            let descending = !self.is_ascending(order.as_ref(), true)?;
            keys.push(WindowKey { node, descending, blanks });
        }
        Ok(keys)
    }

    /// Without a relation: `ALLSELECTED` of the columns named in order and partition.
    fn selected_relation(&mut self, scope: &Scope, shape: &Shape<'_>, span: Span) -> Result<Node> {
        let mut columns: Vec<ColumnId> = Vec::new();
        for e in shape.order_by.iter().step_by(2).chain(shape.partition_by) {
            let id = match &e.kind {
                ExprKind::Qualified { .. } => self.column_reference(e)?,
                _ => {
                    return Err(Error::invalid(
                        "A window function without a table orders and partitions by columns alone, written as Table[Column]; to order by something else give it a table.",
                    )
                    .at(e.span.place()));
                }
            };
            if !columns.contains(&id) {
                columns.push(id);
            }
        }
        let Some(first) = columns.first() else {
            return Err(Error::invalid("A window function needs a table, or columns to order by."));
        };
        if columns.iter().any(|c| c.table != first.table) {
            return Err(Error::invalid(
                "A window function without a table orders and partitions by columns of one table; give it a table to go over columns of several.",
            ));
        }
        let body = self.values(columns.clone(), true, span);
        Ok(Self::all_selected(scope, columns, body, span))
    }
}

fn blanks_named(word: &str) -> Option<Blanks> {
    Some(match word.to_ascii_uppercase().as_str() {
        "DEFAULT" | "KEEP" => Blanks::Default,
        "FIRST" => Blanks::First,
        "LAST" => Blanks::Last,
        _ => return None,
    })
}

fn shape<'e>(name: &str, rest: &'e [Expr]) -> Result<Shape<'e>> {
    let mut out = Shape {
        relation: None,
        order_by: &[],
        partition_by: &[],
        match_by: &[],
        blanks: Blanks::Default,
    };
    for e in rest {
        match &e.kind {
            ExprKind::Omitted => {}
            ExprKind::Call { function, arguments, .. }
                if function.eq_ignore_ascii_case("ORDERBY") =>
            {
                out.order_by = arguments;
            }
            ExprKind::Call { function, arguments, .. }
                if function.eq_ignore_ascii_case("PARTITIONBY") =>
            {
                out.partition_by = arguments;
            }
            ExprKind::Call { function, arguments, .. }
                if function.eq_ignore_ascii_case("MATCHBY") =>
            {
                out.match_by = arguments;
            }
            ExprKind::Name { name: word, quoted: false } if blanks_named(word).is_some() => {
                out.blanks = blanks_named(word).unwrap_or(Blanks::Default);
            }
            ExprKind::Name { name: word, quoted: false }
                if ["NONE", "LOWESTPARENT", "HIGHESTPARENT"]
                    .iter()
                    .any(|reset| word.eq_ignore_ascii_case(reset)) =>
            {
                return Err(Error::unsupported(format!(
                    "The argument {word} of {name} says where a visual calculation starts anew; outside of a report's visual use PARTITIONBY."
                ))
                .at(e.span.place()));
            }
            _ if out.relation.is_none() => out.relation = Some(e),
            _ => {
                return Err(Error::invalid(format!(
                    "{name} has an argument that is neither its table nor ORDERBY, PARTITIONBY or MATCHBY."
                ))
                .at(e.span.place()));
            }
        }
    }
    Ok(out)
}

/// The innermost row context that knows a column of the relation, and its places there.
fn outer_column(scope: &Scope, column: &TableColumn) -> Option<(usize, Vec<usize>)> {
    let same = |o: &TableColumn| match column.lineage {
        Some(l) => o.lineage == Some(l),
        None => o.lineage.is_none() && o.name.to_lowercase() == column.name.to_lowercase(),
    };
    scope.frames.iter().enumerate().rev().find_map(|(frame, f)| {
        let places: Vec<usize> =
            f.schema.iter().enumerate().filter(|(_, o)| same(o)).map(|(i, _)| i).collect();
        (!places.is_empty()).then_some((frame, places))
    })
}

/// A row that has a column of the relation twice does not say which of them tells the current row.
fn check_is_one(scope: &Scope, column: &TableColumn) -> Result<()> {
    match outer_column(scope, column) {
        Some((frame, places)) if places.len() > 1 => {
            let name = |at: &usize| format!("[{}]", scope.frames[frame].schema[*at].name);
            let names: Vec<String> = places.iter().map(name).collect();
            Err(Error::invalid(format!(
                "The column '{}' of the window function's table has more than one corresponding outer column: {}. Leave out all but one of them, or add an empty text or a zero to the others so that they are columns of their own.",
                column.name,
                names.join(", ")
            )))
        }
        _ => Ok(()),
    }
}
