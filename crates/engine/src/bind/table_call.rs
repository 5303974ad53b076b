//! Functions that give tables: filters, values, projections, joins and sets.

use std::sync::Arc;

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Span};
use evercube_store::ColumnId;

use super::call::{all_uses, type_named};
use super::{Binder, Scope, column, common_type, comparison, literal, table_type};
use crate::plan::{Kind, NamedNode, Node, Schema, SetOperation, TableColumn, Type, Uses};
use crate::scalar::{Culture, convert, negate};

impl Binder<'_> {
    pub(super) fn table_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        Ok(Some(match name {
            "FILTER" => {
                let table = self.table(scope, &arguments[0])?;
                self.filter(scope, table, &arguments[1], span)?
            }
            "VALUES" | "DISTINCT" => self.distinct(scope, name, &arguments[0], span)?,
            "ALL" | "ALLNOBLANKROW" | "ALLSELECTED" | "ALLEXCEPT" => {
                self.all(scope, name, arguments, span)?
            }
            "FILTERS" => {
                let id = self.column_reference(&arguments[0])?;
                let ty = table_type(vec![self.model_column(id)]);
                Self::node(Kind::Filters(id), ty, super::CONTEXT, span)
            }
            "ADDCOLUMNS" => self.add_columns(scope, arguments, span)?,
            "SELECTCOLUMNS" => self.select_columns(scope, arguments, span)?,
            "ROW" => self.row(scope, arguments, span)?,
            "DATATABLE" => self.data_table(arguments, span)?,
            "CROSSJOIN" => {
                let tables: Vec<Node> =
                    arguments.iter().map(|a| self.shown_table(scope, a)).collect::<Result<_>>()?;
                let schema = tables.iter().flat_map(|t| t.schema().to_vec()).collect();
                let ty = table_type(distinct_names(schema, name)?);
                let uses = all_uses(&tables);
                Self::node(Kind::CrossJoin(tables), ty, uses, span)
            }
            "GENERATE" | "GENERATEALL" => self.generate(scope, name, arguments, span)?,
            "UNION" => self.set(scope, SetOperation::Union, arguments, span)?,
            "INTERSECT" => self.set(scope, SetOperation::Intersect, arguments, span)?,
            "EXCEPT" => self.set(scope, SetOperation::Except, arguments, span)?,
            "NATURALINNERJOIN" | "NATURALLEFTOUTERJOIN" => {
                self.natural_join(scope, name, arguments, span)?
            }
            "TOPN" | "TOPNSKIP" => self.top_n(scope, name, arguments, span)?,
            "SAMPLE" => {
                let count = self.scalar(scope, &arguments[0])?;
                let table = self.table(scope, &arguments[1])?;
                let inner = self.inside(scope, &table);
                let order_by = self.sort_keys(&inner, &arguments[2..], true)?;
                let keys = all_uses(order_by.iter().map(|k| &k.expression));
                let uses = keys.outside_frame(scope.frames.len()).and(count.uses).and(table.uses);
                let ty = table.ty.clone();
                let (count, table) = (Box::new(count), Box::new(table));
                Self::node(Kind::Sample { count, table, order_by }, ty, uses, span)
            }
            "TREATAS" => self.treat_as(scope, arguments, span)?,
            "SUBSTITUTEWITHINDEX" => self.substitute(scope, arguments, span)?,
            _ => return Ok(None),
        }))
    }

    pub(super) fn filter(
        &mut self,
        scope: &Scope,
        table: Node,
        condition: &Expr,
        span: Span,
    ) -> Result<Node> {
        let inner = self.inside(scope, &table);
        let condition = self.scalar(&inner, condition)?;
        let uses = condition.uses.outside_frame(scope.frames.len()).and(table.uses);
        let ty = table.ty.clone();
        let kind = Kind::Filter { table: Box::new(table), condition: Box::new(condition) };
        Ok(Self::node(kind, ty, uses, span))
    }

    fn distinct(&mut self, scope: &Scope, name: &str, e: &Expr, span: Span) -> Result<Node> {
        let blank_row = name == "VALUES";
        match &e.kind {
            ExprKind::Name { name: table, quoted }
                if self.variable_named(scope, table, *quoted).is_none() && blank_row =>
            {
                Ok(self.model_table(self.model_table_id(table)?, true, span))
            }
            ExprKind::Qualified { table, .. } if self.model.table_id(table).is_some() => {
                Ok(self.values(vec![self.column_reference(e)?], blank_row, span))
            }
            ExprKind::Bracketed(_) => {
                Ok(self.values(vec![self.column_reference(e)?], blank_row, span))
            }
            ExprKind::Qualified { table, .. } => {
                // A column of a table of the query.
                let rows = self.name(scope, table, true, e.span)?;
                let one = self.select_named(scope, rows, std::slice::from_ref(e), span)?;
                let (ty, uses) = (one.ty.clone(), one.uses);
                Ok(Self::node(Kind::Distinct(Box::new(one)), ty, uses, span))
            }
            _ => {
                let table = self.table(scope, e)?;
                let (ty, uses) = (table.ty.clone(), table.uses);
                Ok(Self::node(Kind::Distinct(Box::new(table)), ty, uses, span))
            }
        }
    }

    /// `ALL` and its relatives where they give a table.
    fn all(&mut self, scope: &Scope, name: &str, arguments: &[Expr], span: Span) -> Result<Node> {
        let blank_row = name != "ALLNOBLANKROW";
        let body = match arguments.first().map(|a| &a.kind) {
            None => {
                return Err(Error::invalid(format!(
                    "{name} without arguments can only modify the filters of CALCULATE."
                )));
            }
            Some(ExprKind::Name { name: table, .. }) if name == "ALLEXCEPT" => {
                let table = self.model_table_id(table)?;
                let mut columns = self.all_except(arguments)?;
                columns.retain(|c| c.table == table);
                self.values(columns, blank_row, span)
            }
            Some(ExprKind::Name { name: table, .. }) => {
                self.model_table(self.model_table_id(table)?, blank_row, span)
            }
            Some(_) => {
                let columns = self.columns_named(arguments)?.unwrap_or_default();
                self.values(columns, blank_row, span)
            }
        };
        let ty = body.ty.clone();
        if name == "ALLSELECTED" {
            let columns = match &body.kind {
                Kind::Values { columns, .. } => columns.clone(),
                Kind::ModelTable { table, .. } => self.expanded_columns(*table),
                _ => Vec::new(),
            };
            return Ok(Self::all_selected(scope, columns, body, span));
        }
        Ok(Self::node(Kind::Unfiltered(Box::new(body)), ty, Uses::default(), span))
    }

    /// A table as it is without the filters of iterations on columns.
    pub(super) fn all_selected(
        scope: &Scope,
        columns: Vec<ColumnId>,
        body: Node,
        span: Span,
    ) -> Node {
        let ty = body.ty.clone();
        // What was selected is up to the rows around, too.
        let frame = if scope.frames.is_empty() { Uses::NONE } else { 0 };
        let uses = Uses { frame, ..super::CONTEXT };
        Self::node(Kind::AllSelected { columns, body: Box::new(body) }, ty, uses, span)
    }

    /// A constant text: the name of a new column.
    pub(super) fn new_name(e: &Expr) -> Result<Arc<str>> {
        match &e.kind {
            ExprKind::Literal(Value::String(s)) => Ok(Arc::from(&**s)),
            _ => Err(Error::invalid("The name of a new column is a text in double quotes.")
                .at(e.span.place())),
        }
    }

    /// Pairs of name and expression.
    pub(super) fn named(&mut self, inner: &Scope, arguments: &[Expr]) -> Result<Vec<NamedNode>> {
        let mut out = Vec::new();
        for pair in arguments.chunks(2) {
            let name = Self::new_name(&pair[0])?;
            let Some(e) = pair.get(1) else {
                return Err(Error::invalid(format!("The column '{name}' has no expression."))
                    .at(pair[0].span.place()));
            };
            out.push(NamedNode { name, node: self.scalar(inner, e)? });
        }
        Ok(out)
    }

    fn add_columns(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let table = self.table(scope, &arguments[0])?;
        let inner = self.inside(scope, &table);
        let columns = self.named(&inner, &arguments[1..])?;
        let mut schema = table.schema().to_vec();
        schema.extend(columns.iter().map(|c| column(&c.name, c.node.data_type())));
        let ty = table_type(distinct_names(schema, "ADDCOLUMNS")?);
        Ok(extension(scope, table, columns, true, ty, span))
    }

    fn select_columns(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let table = self.table(scope, &arguments[0])?;
        let inner = self.inside(scope, &table);
        let of_table = table.schema();
        let (mut columns, mut schema) = (Vec::new(), Vec::new());
        let mut rest = &arguments[1..];
        while let Some((first, after)) = rest.split_first() {
            let given = match (&first.kind, after.first()) {
                (ExprKind::Literal(Value::String(s)), Some(e)) => Some((Arc::from(&**s), e)),
                _ => None,
            };
            let (name, e): (Option<Arc<str>>, &Expr) = match given {
                Some((name, e)) => (Some(name), e),
                None => (None, first),
            };
            rest = if name.is_some() { &after[1..] } else { after };
            let node = self.scalar(&inner, e)?;
            let source = match node.kind {
                Kind::RowColumn { frame, column } if frame == scope.frames.len() => {
                    of_table.get(column).cloned()
                }
                _ => None,
            };
            let result = match (&name, source) {
                (Some(n), Some(s)) => TableColumn { name: Arc::clone(n), table: None, ..s },
                (None, Some(s)) => s,
                (Some(n), None) => column(n, node.data_type()),
                (None, None) => match &e.kind {
                    ExprKind::Bracketed(n) => column(n, node.data_type()),
                    _ => {
                        return Err(Error::invalid(
                            "Only a column can stand in SELECTCOLUMNS without a name before it.",
                        )
                        .at(e.span.place()));
                    }
                },
            };
            columns.push(NamedNode { name: Arc::clone(&result.name), node });
            schema.push(result);
        }
        let ty = table_type(distinct_names(schema, "SELECTCOLUMNS")?);
        Ok(extension(scope, table, columns, false, ty, span))
    }

    /// Some columns of a table, by reference.
    pub(super) fn select_named(
        &mut self,
        scope: &Scope,
        table: Node,
        references: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let schema = table.schema();
        let mut at = Vec::new();
        for e in references {
            at.push(self.position(scope, &table, e)?);
        }
        Ok(projection(scope, table, &schema, &at, span))
    }

    /// Some columns of a model table.
    pub(super) fn select(
        &self,
        scope: &Scope,
        table: Node,
        columns: &[ColumnId],
        span: Span,
    ) -> Node {
        let schema = table.schema();
        let at: Vec<usize> = columns.iter().map(|c| c.column as usize).collect();
        projection(scope, table, &schema, &at, span)
    }

    fn row(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let columns = self.named(scope, arguments)?;
        let schema = columns.iter().map(|c| column(&c.name, c.node.data_type())).collect();
        let ty = table_type(distinct_names(schema, "ROW")?);
        let nodes: Vec<Node> = columns.into_iter().map(|c| c.node).collect();
        let uses = all_uses(&nodes);
        Ok(Self::node(Kind::Rows(vec![nodes]), ty, uses, span))
    }

    /// `DATATABLE ( "Name", TYPE, …, { { value, … }, … } )`.
    fn data_table(&self, arguments: &[Expr], span: Span) -> Result<Node> {
        let Some((data, head)) = arguments.split_last() else {
            return Err(Error::invalid("DATATABLE needs columns and rows."));
        };
        let mut schema = Vec::new();
        for pair in head.chunks(2) {
            let name = Self::new_name(&pair[0])?;
            let word = match pair.get(1).map(|e| &e.kind) {
                Some(ExprKind::Name { name, .. }) => name.to_ascii_uppercase(),
                _ => String::new(),
            };
            let data_type = type_named(&word).ok_or_else(|| {
                Error::invalid(format!(
                    "The type of the column '{name}' is one of INTEGER, DOUBLE, STRING, BOOLEAN, CURRENCY, DATETIME."
                ))
            })?;
            schema.push(column(&name, data_type));
        }
        let ExprKind::TableConstructor(given) = &data.kind else {
            return Err(Error::invalid("The last argument of DATATABLE are its rows in braces."));
        };
        let mut rows = Vec::new();
        for row in given {
            // Each row is itself in braces.
            let values: Vec<&Expr> = match row.as_slice() {
                [Expr { kind: ExprKind::TableConstructor(inner), .. }] => {
                    inner.iter().flatten().collect()
                }
                plain => plain.iter().collect(),
            };
            if values.len() != schema.len() {
                return Err(Error::invalid(
                    "Every row of DATATABLE has one value for each column.",
                ));
            }
            let mut out = Vec::new();
            for (e, c) in values.into_iter().zip(&schema) {
                let value = convert(&constant(e)?, c.data_type, self.model.culture())?;
                out.push(literal(value, e.span));
            }
            rows.push(out);
        }
        Ok(Self::node(Kind::Rows(rows), table_type(schema), Uses::default(), span))
    }

    fn generate(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let outer = self.table(scope, &arguments[0])?;
        let inside = self.inside(scope, &outer);
        let inner = self.table(&inside, &arguments[1])?;
        let mut schema = outer.schema().to_vec();
        schema.extend(inner.schema().to_vec());
        let ty = table_type(distinct_names(schema, name)?);
        let uses = inner.uses.outside_frame(scope.frames.len()).and(outer.uses);
        let kind = Kind::Generate {
            outer: Box::new(outer),
            inner: Box::new(inner),
            all: name == "GENERATEALL",
        };
        Ok(Self::node(kind, ty, uses, span))
    }

    fn set(
        &mut self,
        scope: &Scope,
        operation: SetOperation,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let mut tables: Vec<Node> =
            arguments.iter().map(|a| self.shown_table(scope, a)).collect::<Result<_>>()?;
        let mut schema = tables[0].schema().to_vec();
        for t in &tables[1..] {
            let other = t.schema();
            if other.len() != schema.len() {
                return Err(Error::invalid(format!(
                    "Each table argument of {} must have the same number of columns.",
                    format!("{operation:?}").to_uppercase()
                )));
            }
            if operation != SetOperation::Union {
                continue;
            }
            for (c, o) in schema.iter_mut().zip(other.iter()) {
                let is_text = |t| t == DataType::String;
                c.data_type = match common_type(c.data_type, o.data_type) {
                    DataType::Variant if is_text(c.data_type) || is_text(o.data_type) => {
                        DataType::String
                    }
                    shared => shared,
                };
                if c.lineage != o.lineage {
                    c.lineage = None;
                    c.table = None;
                }
            }
        }
        if operation == SetOperation::Union {
            let texts = |t| Self::with_texts(scope, t, &schema, span);
            tables = tables.into_iter().map(texts).collect::<Result<_>>()?;
        }
        let uses = all_uses(&tables);
        Ok(Self::node(Kind::Set(operation, tables), table_type(schema), uses, span))
    }

    /// The table with texts in the columns that are texts in the tables it is put together with.
    fn with_texts(scope: &Scope, table: Node, target: &[TableColumn], span: Span) -> Result<Node> {
        let schema = table.schema();
        let becomes_text = |i: usize| {
            target[i].data_type == DataType::String && schema[i].data_type != DataType::String
        };
        if !(0..schema.len()).any(becomes_text) {
            return Ok(table);
        }
        let frame = scope.frames.len();
        let mut columns = Vec::with_capacity(schema.len());
        for (i, c) in schema.iter().enumerate() {
            let uses = Uses { frame, ..Uses::default() };
            let kind = Kind::RowColumn { frame, column: i };
            let mut node = Self::node(kind, Type::Scalar(c.data_type), uses, span);
            if becomes_text(i) {
                node = Self::converted(node, DataType::String)?;
            }
            columns.push(NamedNode { name: Arc::clone(&c.name), node });
        }
        let retyped = schema.iter().enumerate().map(|(i, c)| match becomes_text(i) {
            true => column(&c.name, DataType::String),
            false => c.clone(),
        });
        let ty = table_type(retyped.collect());
        Ok(extension(scope, table, columns, false, ty, span))
    }

    fn natural_join(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let left = self.shown_table(scope, &arguments[0])?;
        let right = self.shown_table(scope, &arguments[1])?;
        let (l, r) = (left.schema(), right.schema());
        // Columns of one full name are joined on: 'Product'[Key] and 'Category'[Key] are two.
        let on: Vec<(usize, usize)> = (0..l.len())
            .filter_map(|i| Some((i, r.iter().position(|c| full_name(&l[i]) == full_name(c))?)))
            .collect();
        for (a, b) in on.iter().map(|(i, j)| (&l[*i], &r[*j])) {
            if a.lineage != b.lineage {
                return Err(Error::invalid(format!(
                    "An incompatible join column, [{}], was detected: {name} cannot join on it, for it has another lineage in one table than in the other. Rename one of them, or add an empty text or a zero to both.",
                    a.name
                )));
            }
            let known = ![a.data_type, b.data_type].contains(&DataType::Variant);
            if known && a.data_type != b.data_type {
                return Err(Error::invalid(format!(
                    "An incompatible join column, [{}], was detected: {name} cannot join on it, for it is of type {} in one table and of type {} in the other. Convert one of them.",
                    a.name,
                    comparison::type_word(a.data_type),
                    comparison::type_word(b.data_type)
                )));
            }
        }
        let (on, once) =
            if on.is_empty() { (self.related_keys(name, &l, &r)?, false) } else { (on, true) };
        let mut schema = l.to_vec();
        let rest = r.iter().enumerate().filter(|(i, _)| !once || !on.iter().any(|(_, o)| o == i));
        schema.extend(rest.map(|(_, c)| c.clone()));
        let ty = table_type(distinct_names(schema, name)?);
        let uses = left.uses.and(right.uses);
        let kind = Kind::NaturalJoin {
            left: Box::new(left),
            right: Box::new(right),
            outer: name == "NATURALLEFTOUTERJOIN",
            on,
            once,
        };
        Ok(Self::node(kind, ty, uses, span))
    }

    /// The two columns of the relationship between tables that share no column.
    fn related_keys(
        &self,
        name: &str,
        left: &[TableColumn],
        right: &[TableColumn],
    ) -> Result<Vec<(usize, usize)>> {
        let place =
            |of: &[TableColumn], id: ColumnId| of.iter().position(|c| c.lineage == Some(id));
        let regular = self.model.relationships().iter().filter(|r| r.active);
        let regular = regular.filter(|r| !r.def.many_to_many);
        let ends = regular.flat_map(|r| [(r.def.from, r.def.to), (r.def.to, r.def.from)]);
        let mut found = ends.filter_map(|(a, b)| Some((place(left, a)?, place(right, b)?)));
        let Some(on) = found.next() else {
            return Err(Error::invalid(format!(
                "No common join columns detected: {name} needs a column of the same name and lineage in both tables, or a relationship between them."
            )));
        };
        let (a, b) = (&left[on.0], &right[on.1]);
        let is_plain = a.table.is_none() || b.table.is_none();
        if is_plain && a.name.to_lowercase() == b.name.to_lowercase() {
            return Err(Error::invalid(format!(
                "An incompatible join column, [{}], was detected: {name} would join the tables over their relationship, whose columns both have this name; rename one of them, with SELECTCOLUMNS for example.",
                a.name
            )));
        }
        Ok(vec![on])
    }

    fn top_n(&mut self, scope: &Scope, name: &str, arguments: &[Expr], span: Span) -> Result<Node> {
        let count = self.scalar(scope, &arguments[0])?;
        let (skip, rest) = match name {
            "TOPNSKIP" => (Some(self.scalar(scope, &arguments[1])?), &arguments[2..]),
            _ => (None, &arguments[1..]),
        };
        let Some((table, keys)) = rest.split_first() else {
            return Err(Error::invalid(format!("{name} needs a table.")));
        };
        if name == "TOPNSKIP" && skip.iter().chain([&count]).any(|n| n.uses.frame != Uses::NONE) {
            return Err(Error::invalid(
                "The numbers of TOPNSKIP cannot depend on columns of a row context around it; put them into variables of the query.",
            ));
        }
        let table = self.table(scope, table)?;
        let inner = self.inside(scope, &table);
        let order_by = self.sort_keys(&inner, keys, true)?;
        let uses = all_uses(order_by.iter().map(|k| &k.expression));
        let uses = uses.outside_frame(scope.frames.len()).and(count.uses).and(table.uses);
        let uses = skip.iter().fold(uses, |u, s| u.and(s.uses));
        let ty = table.ty.clone();
        let kind = Kind::TopN {
            count: Box::new(count),
            skip: skip.map(Box::new),
            table: Box::new(table),
            order_by,
        };
        Ok(Self::node(kind, ty, uses, span))
    }

    fn treat_as(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let table = self.shown_table(scope, &arguments[0])?;
        let mut schema = Vec::new();
        for e in &arguments[1..] {
            let id = self.column_reference(e)?;
            schema.push(self.model_column(id));
        }
        if table.schema().len() != schema.len() {
            return Err(Error::invalid(format!(
                "TREATAS was given {} columns for a table of {}.",
                schema.len(),
                table.schema().len()
            )));
        }
        for (to, from) in schema.iter().zip(table.schema().iter()) {
            if !comparison::may_compare(from.data_type, to.data_type) {
                return Err(Error::invalid(format!(
                    "TREATAS cannot take the values of the column '{}', of type {}, for those of '{}'[{}], of type {}.",
                    from.name,
                    comparison::type_word(from.data_type),
                    to.table.as_deref().unwrap_or_default(),
                    to.name,
                    comparison::type_word(to.data_type)
                )));
            }
        }
        let uses = table.uses;
        Ok(Self::node(Kind::TreatAs(Box::new(table)), table_type(schema), uses, span))
    }

    /// `SUBSTITUTEWITHINDEX ( table, "name", index table, expression, order, … )`.
    fn substitute(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let table = self.shown_table(scope, &arguments[0])?;
        let name = Self::new_name(&arguments[1])?;
        let index = self.shown_table(scope, &arguments[2])?;
        let inner = self.inside(scope, &index);
        let order_by = self.sort_keys(&inner, &arguments[3..], true)?;
        let (l, r) = (table.schema(), index.schema());
        let same = |a: &TableColumn, b: &TableColumn| {
            (a.lineage.is_some() && a.lineage == b.lineage)
                || (a.lineage.is_none() && b.lineage.is_none() && a.name == b.name)
        };
        let on: Vec<(usize, usize)> = (0..l.len())
            .filter_map(|i| Some((i, r.iter().position(|c| same(&l[i], c))?)))
            .collect();
        let keep: Vec<usize> = (0..l.len()).filter(|i| !on.iter().any(|(a, _)| a == i)).collect();
        let mut schema: Vec<TableColumn> = keep.iter().map(|i| l[*i].clone()).collect();
        schema.push(column(&name, DataType::Int64));
        let keys = all_uses(order_by.iter().map(|k| &k.expression));
        let uses = keys.outside_frame(scope.frames.len()).and(table.uses).and(index.uses);
        let (table, index) = (Box::new(table), Box::new(index));
        let kind = Kind::SubstituteWithIndex { table, index, on, keep, order_by };
        Ok(Self::node(kind, table_type(schema), uses, span))
    }
}

pub(super) fn extension(
    scope: &Scope,
    table: Node,
    columns: Vec<NamedNode>,
    keep: bool,
    ty: Type,
    span: Span,
) -> Node {
    let uses = all_uses(columns.iter().map(|c| &c.node));
    let uses = uses.outside_frame(scope.frames.len()).and(table.uses);
    let kind = Kind::Extend { table: Box::new(table), columns, keep };
    Node { kind, ty, uses, span }
}

pub(super) fn projection(
    scope: &Scope,
    table: Node,
    schema: &Schema,
    at: &[usize],
    span: Span,
) -> Node {
    let frame = scope.frames.len();
    let reference = |i: &usize| NamedNode {
        name: Arc::clone(&schema[*i].name),
        node: Node {
            kind: Kind::RowColumn { frame, column: *i },
            ty: Type::Scalar(schema[*i].data_type),
            uses: Uses { frame, ..Uses::default() },
            span,
        },
    };
    let columns = at.iter().map(reference).collect();
    let ty = table_type(at.iter().map(|i| schema[*i].clone()).collect());
    extension(scope, table, columns, false, ty, span)
}

/// A column's table, where its name is said with it, and its name.
fn full_name(c: &TableColumn) -> (Option<String>, String) {
    (c.table.as_ref().map(|t| t.to_lowercase()), c.name.to_lowercase())
}

/// Refuses two columns that could not be told apart.
pub(super) fn distinct_names(schema: Vec<TableColumn>, function: &str) -> Result<Vec<TableColumn>> {
    let mut seen = std::collections::HashSet::new();
    for c in &schema {
        if !seen.insert(full_name(c)) {
            return Err(Error::invalid(format!(
                "{function} would give two columns the name '{}'; rename one of them, with SELECTCOLUMNS for example.",
                c.name
            )));
        }
    }
    Ok(schema)
}

/// A constant of `DATATABLE`.
fn constant(e: &Expr) -> Result<Value> {
    use evercube_dax::ast::UnaryOperator;
    match &e.kind {
        ExprKind::Literal(v) => Ok(v.clone()),
        ExprKind::Omitted => Ok(Value::Blank),
        ExprKind::Unary { operator: UnaryOperator::Minus, operand } => {
            negate(&constant(operand)?, &Culture::UNITED_STATES)
        }
        ExprKind::Call { function, arguments, .. } if arguments.is_empty() => {
            match function.to_ascii_uppercase().as_str() {
                "TRUE" => Ok(Value::Boolean(true)),
                "FALSE" => Ok(Value::Boolean(false)),
                "BLANK" => Ok(Value::Blank),
                _ => {
                    Err(Error::invalid("The values of DATATABLE are constants.").at(e.span.place()))
                }
            }
        }
        _ => Err(Error::invalid("The values of DATATABLE are constants.").at(e.span.place())),
    }
}
