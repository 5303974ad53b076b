//! From the syntax tree to bound expressions: names become ids, row contexts and variables are
//! numbered, types are worked out. What the evaluator does not do is refused here, with its place.

mod aggregate_call;
mod call;
mod comparison;
mod context_call;
mod date_call;
mod filter_argument;
mod grouping_call;
mod info_call;
mod info_view;
mod lookup_call;
mod missing_items_call;
mod names;
mod object_call;
mod regression_call;
mod table_call;
mod user_function;
mod window_call;

pub(crate) use comparison::{may_compare, type_word};

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::{DataType, Error, ErrorKind, Result, Value};
use evercube_dax::ast::{BinaryOperator, Expr, ExprKind, Span, UnaryOperator};
use evercube_store::{ColumnId, TableId};

use crate::compiled_model::{CompiledModel, FORMAT_OF};
use crate::filter_context::{FilterContext, Visibility};
use crate::plan::{Kind, Node, Schema, TableColumn, Type, Uses};

/// A row context: the columns of its rows.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub schema: Schema,
    /// The rows are rows of this table of the model.
    pub table: Option<TableId>,
    /// Relationships as they are where the rows come from.
    pub relationships: Arc<FilterContext>,
    /// Bodies of functions between the rows and the expression at hand, which see them only where
    /// they were passed in.
    pub behind: u8,
}

impl Frame {
    /// Whether an expression that stands at `span` may name the rows' columns.
    pub fn is_seen_from(&self, span: Span) -> bool {
        self.behind <= span.passed
    }
}

#[derive(Debug, Clone)]
struct BoundVariable {
    name: String,
    slot: usize,
    ty: Type,
    uses: Uses,
    base: Option<TableId>,
    of_query: bool,
    /// A table the query defines, addressed like one of the model.
    is_table: bool,
}

/// Where an expression stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub frames: Vec<Frame>,
    variables: Vec<BoundVariable>,
    group: Option<GroupScope>,
}

/// The rows `CURRENTGROUP` stands for.
#[derive(Debug, Clone)]
struct GroupScope {
    schema: Schema,
    table: Option<TableId>,
    slot: usize,
}

/// A measure the query defines.
#[derive(Debug, Clone)]
pub(crate) struct DefinedMeasure {
    pub name: String,
    pub table: Option<TableId>,
    pub expression: Expr,
}

type BoundMeasures = HashMap<(String, Arc<FilterContext>), Arc<Node>>;

pub(crate) struct Binder<'a> {
    pub model: &'a CompiledModel,
    store: &'a evercube_store::StoreVersion,
    parameters: &'a [(String, Value)],
    /// Where the metadata of `INFO` functions comes from; `None` outside queries.
    pub rowsets: Option<crate::query::RowsetSource>,
    slots: usize,
    /// Measures the query defines, by lower-case name.
    pub defined: HashMap<String, DefinedMeasure>,
    /// Functions the query defines, and those of the model that were called, by lower-case name.
    functions: HashMap<String, Arc<user_function::UserFunction>>,
    /// Those whose bodies are being bound.
    calling: Vec<String>,
    /// The table an expression belongs to: where columns without table name are looked up first.
    home: Option<TableId>,
    /// Bound measures, by lower-case name and relationships.
    measures: RefCell<BoundMeasures>,
    /// Relationships as the `CALCULATE` around leaves them.
    relationships: Arc<FilterContext>,
    /// Measures being bound, each named by the one before it.
    binding: Vec<String>,
    query_scope: Scope,
    /// Expressions the current one is inside of, through measures too.
    depth: usize,
    /// The type of what `SELECTEDMEASURE` gives, where that is known.
    selected_type: DataType,
    /// The function whose arguments are being bound.
    callee: &'static str,
}

/// Deeper than the threads' stacks are sure to hold.
const MAX_DEPTH: usize = 1500;
/// Each variable knows all before it.
const MAX_VARIABLES: usize = 1000;

fn add_variable(scope: &mut Scope, variable: BoundVariable) -> Result<()> {
    if scope.variables.len() >= MAX_VARIABLES {
        return Err(Error::new(
            ErrorKind::NestingLimit,
            format!("The expression has more than {MAX_VARIABLES} variables."),
        ));
    }
    scope.variables.push(variable);
    Ok(())
}

pub(crate) fn table_type(schema: Vec<TableColumn>) -> Type {
    Type::Table(Arc::new(schema))
}

pub(crate) fn span_of(e: &Expr) -> (usize, usize) {
    (e.span.start as usize, e.span.end as usize)
}

pub(crate) const CONTEXT: Uses =
    Uses { filter_context: true, volatile: false, frame: Uses::NONE, slot: Uses::NONE };

/// Objects of a model whose expressions parse and do not bind, by the names of their states.
pub(crate) fn failures(model: &CompiledModel) -> Vec<(String, Error)> {
    let store = evercube_store::StoreVersion::default();
    let mut binder = Binder::new(model, &store, &[]);
    let scope = Scope::default();
    let mut out = Vec::new();
    for measure in model.measures() {
        let Ok(expression) = &measure.expression else { continue };
        binder.binding = vec![measure.name.clone()];
        if let Err(e) = binder.at_home(Some(measure.table), |b| b.scalar(&scope, expression)) {
            let table = &model.table(measure.table).name;
            out.push((format!("{table}[{}]", measure.name), e));
        }
        binder.binding.clear();
        if let Some(Ok(format)) = &measure.format
            && let Err(e) = binder.at_home(Some(measure.table), |b| b.scalar(&scope, format))
        {
            let table = &model.table(measure.table).name;
            out.push((format!("{table}[{}]{FORMAT_OF}", measure.name), e));
        }
    }
    for (id, table) in (0..).map(TableId).zip(model.tables()) {
        if let Some(Ok(expression)) = &table.expression
            && let Err(e) = binder.table(&scope, expression)
        {
            out.push((table.name.clone(), e));
        }
        for column in &table.columns {
            let Some(Ok(expression)) = &column.expression else { continue };
            if let Err(e) = binder.in_rows_of(id, expression) {
                out.push((format!("{}[{}]", table.name, column.name), e));
            }
        }
    }
    for group in model.calculation_groups() {
        for item in group.all() {
            let of = [(Some(&item.expression), ""), (item.format.as_ref(), FORMAT_OF)];
            for (expression, part) in of {
                let Some(Ok(expression)) = expression else { continue };
                if let Err(e) = binder.scalar(&scope, expression) {
                    let table = &model.table(group.table).name;
                    out.push((format!("{table}[{}]{part}", item.name), e));
                }
            }
        }
    }
    for filter in model.all_role_filters() {
        let Ok(expression) = &filter.expression else { continue };
        if let Err(e) = binder.in_rows_of(filter.table, expression) {
            let table = &model.table(filter.table).name;
            out.push((format!("role '{}'/table '{table}'", filter.role), e));
        }
    }
    out
}

/// What the calculation groups of a model make of the types of measures: the type that an item's
/// values share with those of the measure it takes the place of, if there is one.
pub(crate) fn types_under_groups(model: &CompiledModel) -> Vec<(DataType, DataType)> {
    use DataType as D;
    let store = evercube_store::StoreVersion::default();
    let under = |own: DataType| {
        let each = model.calculation_groups().iter().rev();
        each.fold(own, |ty, group| {
            let types = group.all().map(|item| {
                let mut binder = Binder::new(model, &store, &[]);
                binder.selected_type = ty;
                let expression = item.expression.as_ref().ok()?;
                let node = binder.scalar(&Scope::default(), expression).ok()?;
                // An item that gives nothing leaves the type alone.
                Some(if node.is_blank_literal() { ty } else { node.data_type() })
            });
            types.fold(ty, |a, b| b.map_or(D::Variant, |b| common_type(a, b)))
        })
    };
    let all = [D::Boolean, D::Int64, D::Decimal, D::Double, D::DateTime, D::String];
    all.into_iter().map(|own| (own, under(own))).collect()
}

impl<'a> Binder<'a> {
    /// Gives variables numbers from here on.
    pub fn start_slots(&mut self, first: usize) {
        self.slots = first;
    }

    /// An expression in the row context of a model table: a calculated column, a row filter.
    pub fn in_rows_of(&mut self, table: TableId, expression: &Expr) -> Result<Node> {
        let scope = Scope::default();
        let rows = self.model_table(table, false, expression.span);
        let inner = self.inside(&scope, &rows);
        self.at_home(Some(table), |b| b.scalar(&inner, expression))
    }

    pub fn new(
        model: &'a CompiledModel,
        store: &'a evercube_store::StoreVersion,
        parameters: &'a [(String, Value)],
    ) -> Self {
        Self {
            model,
            store,
            parameters,
            rowsets: None,
            slots: 0,
            defined: HashMap::new(),
            functions: HashMap::new(),
            calling: Vec::new(),
            home: None,
            measures: RefCell::default(),
            relationships: Arc::default(),
            binding: Vec::new(),
            query_scope: Scope::default(),
            depth: 0,
            selected_type: DataType::Variant,
            callee: "",
        }
    }

    /// Makes a variable of the query known to everything that follows.
    pub fn define_variable(&mut self, name: &str, expression: &Expr) -> Result<(usize, Arc<Node>)> {
        let scope = self.query_scope.clone();
        self.check_variable(name)?;
        if self.variable_named(&scope, name, false).is_some() {
            return Err(Error::invalid(format!("The query defines the variable {name} twice.")));
        }
        let node = self.any(&scope, expression)?;
        let slot = self.next_slot();
        let base = self.base_of(&scope, &node);
        let v = BoundVariable { of_query: true, base, ..variable(name, slot, &node) };
        add_variable(&mut self.query_scope, v)?;
        Ok((slot, Arc::new(node)))
    }

    /// Makes a table of the query known, with the columns the query adds to it: they are
    /// addressed as `Name[Column]`.
    pub fn define_table(
        &mut self,
        name: &str,
        expression: &Expr,
        columns: &[(Arc<str>, &Expr)],
    ) -> Result<(usize, Arc<Node>)> {
        let scope = self.query_scope.clone();
        let inner = self.shown_table(&scope, expression)?;
        let own = |c: &TableColumn| TableColumn {
            name: Arc::clone(&c.name),
            lineage: None,
            table: Some(name.into()),
            data_type: c.data_type,
        };
        let schema = inner.schema().iter().map(own).collect();
        let (uses, span) = (inner.uses, inner.span);
        let mut node = Self::node(Kind::TreatAs(Box::new(inner)), table_type(schema), uses, span);
        for (column, expression) in columns {
            node = self.table_with_column(&scope, node, name, column, expression)?;
        }
        let slot = self.next_slot();
        let v = BoundVariable { of_query: true, is_table: true, ..variable(name, slot, &node) };
        self.query_scope.variables.push(v);
        Ok((slot, Arc::new(node)))
    }

    pub fn query_scope(&self) -> Scope {
        self.query_scope.clone()
    }

    fn next_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    pub(crate) fn columns_of(&self, table: TableId) -> Vec<ColumnId> {
        let n = self.model.table(table).columns.len() as u32;
        (0..n).map(|column| ColumnId { table, column }).collect()
    }

    pub(crate) fn expanded_columns(&self, table: TableId) -> Vec<ColumnId> {
        let v = Visibility { model: self.model, store: self.store };
        let expanded = v.expanded(&FilterContext::default(), table);
        expanded.iter().flat_map(|(t, _)| self.columns_of(*t)).collect()
    }

    pub(crate) fn model_column(&self, id: ColumnId) -> TableColumn {
        let info = self.model.column_info(id);
        TableColumn {
            name: info.name.as_str().into(),
            lineage: Some(id),
            table: Some(self.model.table(id.table).name.as_str().into()),
            data_type: info.data_type,
        }
    }

    pub(crate) fn node(kind: Kind, ty: Type, uses: Uses, span: Span) -> Node {
        Node { kind, ty, uses, span }
    }

    pub(crate) fn model_table(&self, table: TableId, blank_row: bool, span: Span) -> Node {
        let schema = self.columns_of(table).into_iter().map(|c| self.model_column(c)).collect();
        Self::node(Kind::ModelTable { table, blank_row }, table_type(schema), CONTEXT, span)
    }

    pub(crate) fn values(&self, columns: Vec<ColumnId>, blank_row: bool, span: Span) -> Node {
        let schema = columns.iter().map(|c| self.model_column(*c)).collect();
        Self::node(Kind::Values { columns, blank_row }, table_type(schema), CONTEXT, span)
    }

    /// The model column that a reference names, whatever the row context.
    pub(crate) fn column_reference(&self, e: &Expr) -> Result<ColumnId> {
        let found = match &e.kind {
            ExprKind::Qualified { table, name } => self.model.column(table, name),
            ExprKind::Bracketed(name) if self.home_column(name).is_some() => self.home_column(name),
            ExprKind::Bracketed(name) => {
                let mut tables =
                    self.model.tables().iter().filter_map(|t| self.model.column(&t.name, name));
                tables.next().filter(|_| tables.next().is_none())
            }
            _ => None,
        };
        found.ok_or_else(|| self.no_column_reference(e).at(span_of(e)))
    }

    fn no_column_reference(&self, e: &Expr) -> Error {
        let wanted = match self.callee {
            "" => "A column of the model is expected here, as Table[Column]".to_owned(),
            function => format!("{function} takes a column of the model here, as Table[Column]"),
        };
        Error::invalid(match &e.kind {
            ExprKind::Qualified { name, .. } | ExprKind::Bracketed(name)
                if self.is_measure(name) =>
            {
                format!("{wanted}; [{name}] is a measure.")
            }
            ExprKind::Qualified { table, name } => return self.no_column(table, name),
            ExprKind::Bracketed(name) => {
                let of = |t: &&str| self.model.column(t, name).is_some();
                let mut tables: Vec<&str> = self.model.table_names().filter(of).collect();
                tables.sort_unstable();
                match tables.as_slice() {
                    [] => format!("{wanted}; no table has a column '{name}'."),
                    [first, ..] => format!(
                        "The column '{name}' is in several tables: {}. Write it with its table, as '{first}'[{name}].",
                        tables.join(", ")
                    ),
                }
            }
            ExprKind::Name { name, .. } if self.model.table_id(name).is_some() => {
                format!("{wanted}; '{name}' is a table.")
            }
            _ => format!("{wanted}."),
        })
    }

    fn no_column(&self, table: &str, name: &str) -> Error {
        Error::invalid(match self.model.table_id(table) {
            Some(id) => {
                let near = names::nearest(name, self.model.column_names(id));
                format!("Column '{name}' in table '{table}' cannot be found.{near}")
            }
            None => {
                let near = names::nearest(table, self.model.table_names());
                format!("Cannot find table '{table}'.{near}")
            }
        })
    }

    fn home_column(&self, name: &str) -> Option<ColumnId> {
        self.model.column(&self.model.table(self.home?).name, name)
    }

    /// Binds an expression of an object of this table.
    fn at_home<T>(&mut self, table: Option<TableId>, bind: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.home, table);
        let bound = bind(self);
        self.home = outer;
        bound
    }

    /// A frame's row context for the rows of a table expression.
    pub(crate) fn frame_of(&self, scope: &Scope, table: &Node) -> Frame {
        let relationships = Arc::clone(&self.relationships);
        Frame {
            schema: table.schema(),
            table: self.base_of(scope, table),
            relationships,
            behind: 0,
        }
    }

    /// The model table whose rows an expression's rows are.
    fn base_of(&self, scope: &Scope, node: &Node) -> Option<TableId> {
        match &node.kind {
            Kind::ModelTable { table, .. } => Some(*table),
            Kind::Filter { table, .. }
            | Kind::TopN { table, .. }
            | Kind::Sample { table, .. }
            | Kind::Distinct(table)
            | Kind::Unfiltered(table)
            | Kind::KeepFilters(table)
            | Kind::CalculateTable { body: table, .. }
            | Kind::AllSelected { body: table, .. }
            | Kind::Extend { table, keep: true, .. } => self.base_of(scope, table),
            Kind::Let { result, .. } => self.base_of(scope, result),
            Kind::Variable(slot) => {
                scope.variables.iter().find(|v| v.slot == *slot).and_then(|v| v.base)
            }
            Kind::CurrentGroup => scope.group.as_ref().and_then(|g| g.table),
            _ => None,
        }
    }

    pub(crate) fn inside(&self, scope: &Scope, table: &Node) -> Scope {
        let mut inner = scope.clone();
        inner.frames.push(self.frame_of(scope, table));
        inner
    }

    /// An expression that gives a table.
    pub(crate) fn table(&mut self, scope: &Scope, e: &Expr) -> Result<Node> {
        if let ExprKind::Qualified { table, name } = &e.kind
            && let Some(column) = self.model.column(table, name)
        {
            let wanted = match self.callee {
                "" => "A table is expected here".to_owned(),
                function => format!("{function} takes a table here"),
            };
            let shown = self.model.column_name(column);
            return Err(Error::invalid(format!(
                "{wanted}, and {shown} is a column; VALUES ( {shown} ) is the table of its values."
            ))
            .at(span_of(e)));
        }
        let node = self.any(scope, e)?;
        if node.is_table() {
            return Ok(node);
        }
        Err(Error::invalid(
            "The expression refers to a single value where a table is expected; put it in braces to make a table of it.",
        )
        .at(span_of(e)))
    }

    /// The same with the columns the caller may know of: where columns count by their position, or
    /// are shown.
    pub(crate) fn shown_table(&mut self, scope: &Scope, e: &Expr) -> Result<Node> {
        let table = self.table(scope, e)?;
        let schema = table.schema();
        let hidden =
            |c: &TableColumn| c.lineage.is_some_and(|id| self.model.column_info(id).hidden);
        if !schema.iter().any(&hidden) {
            return Ok(table);
        }
        let shown: Vec<usize> = (0..schema.len()).filter(|i| !hidden(&schema[*i])).collect();
        Ok(table_call::projection(scope, table, &schema, &shown, e.span))
    }

    /// An expression that gives a single value; a table of one column counts as its only value.
    pub(crate) fn scalar(&mut self, scope: &Scope, e: &Expr) -> Result<Node> {
        let node = self.any(scope, e)?;
        let Type::Table(schema) = &node.ty else { return Ok(node) };
        if schema.len() != 1 {
            return Err(Error::invalid(
                "The expression refers to multiple columns; they cannot be converted to a single value.",
            )
            .at(span_of(e)));
        }
        let (ty, uses, span) = (Type::Scalar(schema[0].data_type), node.uses, node.span);
        let kind = Kind::SingleValue { table: Box::new(node), otherwise: None, strict: true };
        Ok(Self::node(kind, ty, uses, span))
    }

    pub(crate) fn any(&mut self, scope: &Scope, e: &Expr) -> Result<Node> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::NestingLimit,
                format!("Expressions and the measures they use are nested more than {MAX_DEPTH} levels deep."),
            )
            .at(span_of(e)));
        }
        evercube_work::check()?;
        self.depth += 1;
        let bound = self.any_inner(scope, e).map_err(|error| error.at(span_of(e)));
        self.depth -= 1;
        bound
    }

    fn any_inner(&mut self, scope: &Scope, e: &Expr) -> Result<Node> {
        let span = e.span;
        match &e.kind {
            ExprKind::Literal(v) => Ok(literal(v.clone(), span)),
            ExprKind::Parameter(name) => {
                let given = self.parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
                let (_, v) = given.ok_or_else(|| {
                    Error::invalid(format!("The request gives no value for the parameter @{name}."))
                })?;
                Ok(literal(v.clone(), span))
            }
            ExprKind::Name { name, quoted } => self.name(scope, name, *quoted, span),
            ExprKind::Bracketed(name) => self.bracketed(scope, name, span),
            ExprKind::Qualified { table, name } => self.qualified(scope, table, name, span),
            ExprKind::Call { function, arguments, .. } => {
                self.call(scope, &function.to_ascii_uppercase(), arguments, span)
            }
            ExprKind::Omitted => Ok(literal(Value::Blank, span)),
            ExprKind::Unary { operator, operand } => {
                let inner = self.scalar(scope, operand)?;
                let uses = inner.uses;
                Ok(match operator {
                    UnaryOperator::Plus => inner,
                    UnaryOperator::Minus => {
                        let ty = Type::Scalar(negated_type(inner.data_type()));
                        Self::node(Kind::Negate(Box::new(inner)), ty, uses, span)
                    }
                    UnaryOperator::Not => Self::node(
                        Kind::Not(Box::new(inner)),
                        Type::Scalar(DataType::Boolean),
                        uses,
                        span,
                    ),
                })
            }
            ExprKind::Binary { operator, left, right } => {
                let (l, r) = (self.scalar(scope, left)?, self.scalar(scope, right)?);
                if is_comparison(*operator) {
                    self.check_operands(&l, &r)?;
                }
                let uses = l.uses.and(r.uses);
                let ty = Type::Scalar(operator_type(*operator, &l, &r));
                let (left, right) = (Box::new(l), Box::new(r));
                let kind = match operator {
                    BinaryOperator::And => Kind::And(left, right),
                    BinaryOperator::Or => Kind::Or(left, right),
                    operator => Kind::Binary { operator: *operator, left, right },
                };
                Ok(Self::node(kind, ty, uses, span))
            }
            ExprKind::In { left, right } => {
                let parts = match &left.kind {
                    ExprKind::Tuple(parts) => parts.iter().collect(),
                    _ => vec![left.as_ref()],
                };
                let left: Vec<Node> =
                    parts.into_iter().map(|p| self.scalar(scope, p)).collect::<Result<_>>()?;
                let right = self.shown_table(scope, right)?;
                if right.schema().len() != left.len() {
                    return Err(Error::invalid(
                        "IN needs as many columns on its right as it has values on its left.",
                    ));
                }
                let outer = std::mem::replace(&mut self.callee, "CONTAINSROW");
                let checked = self.check_row(&left, &right);
                self.callee = outer;
                checked?;
                let uses = left.iter().fold(right.uses, |u, n| u.and(n.uses));
                let kind = Kind::In { left, right: Box::new(right) };
                Ok(Self::node(kind, Type::Scalar(DataType::Boolean), uses, span))
            }
            ExprKind::TableConstructor(rows) => self.constructor(scope, rows, span),
            ExprKind::Tuple(_) => {
                Err(Error::invalid("A row of values is expected only before IN."))
            }
            ExprKind::Variables { bindings, result } => {
                let mut inner = scope.clone();
                let mut bound = Vec::new();
                let first = self.slots;
                let mut uses = Uses::default();
                for b in bindings {
                    self.check_variable(&b.name)?;
                    let node = self.any(&inner, &b.expression)?;
                    let slot = self.next_slot();
                    let mut v = variable(&b.name, slot, &node);
                    v.base = self.base_of(&inner, &node);
                    uses = uses.and(node.uses);
                    add_variable(&mut inner, v)?;
                    bound.push((slot, Arc::new(node)));
                }
                let result = self.any(&inner, result)?;
                let ty = result.ty.clone();
                let uses = uses.and(result.uses).outside_slot(first);
                let kind = Kind::Let { bindings: bound, result: Box::new(result) };
                Ok(Self::node(kind, ty, uses, span))
            }
            ExprKind::Error => Err(Error::invalid("The expression has a syntax error.")),
        }
    }

    /// Variables do not hide tables.
    fn check_variable(&self, name: &str) -> Result<()> {
        match self.model.table_id(name) {
            Some(_) => Err(Error::invalid(format!(
                "The variable {name} has the name of a table of the model; give it another name."
            ))),
            None => Ok(()),
        }
    }

    /// Checks the values of a row against the columns of the table it is looked for in.
    pub(super) fn check_row(&self, values: &[Node], table: &Node) -> Result<()> {
        let schema = table.schema();
        let mut pairs = values.iter().zip(schema.iter());
        pairs.try_for_each(|(value, column)| self.check_compared(value, column.data_type))
    }

    fn variable_named<'s>(
        &self,
        scope: &'s Scope,
        name: &str,
        quoted: bool,
    ) -> Option<&'s BoundVariable> {
        let name = name.to_lowercase();
        scope.variables.iter().rev().find(|v| v.name == name && (!quoted || v.is_table))
    }

    fn is_measure(&self, name: &str) -> bool {
        self.defined.contains_key(&name.to_lowercase()) || self.model.measure(name).is_some()
    }

    fn name(&mut self, scope: &Scope, name: &str, quoted: bool, span: Span) -> Result<Node> {
        if let Some(v) = self.variable_named(scope, name, quoted) {
            let uses = match v.of_query {
                // Of the one cell a query starts in.
                true => Uses::default(),
                false => Uses { slot: v.slot, ..v.uses },
            };
            return Ok(Self::node(Kind::Variable(v.slot), v.ty.clone(), uses, span));
        }
        match self.model.table_id(name) {
            Some(table) => Ok(self.model_table(table, false, span)),
            None => {
                let variables = scope.variables.iter().map(|v| &*v.name);
                let near = names::nearest(name, self.model.table_names().chain(variables));
                Err(Error::invalid(format!("Cannot find the table or variable '{name}'.{near}")))
            }
        }
    }

    fn row_column(
        &self,
        scope: &Scope,
        find: impl Fn(&TableColumn) -> bool,
        span: Span,
    ) -> Option<Node> {
        let seen = scope.frames.iter().enumerate().filter(|(_, f)| f.is_seen_from(span));
        for (frame, f) in seen.rev() {
            if let Some(column) = f.schema.iter().position(&find) {
                let uses = Uses { frame, ..Uses::default() };
                let ty = Type::Scalar(f.schema[column].data_type);
                return Some(Self::node(Kind::RowColumn { frame, column }, ty, uses, span));
            }
        }
        None
    }

    fn bracketed(&mut self, scope: &Scope, name: &str, span: Span) -> Result<Node> {
        let same = |c: &TableColumn| c.name.to_lowercase() == name.to_lowercase();
        let extension = |c: &TableColumn| same(c) && c.table.is_none();
        if let Some(found) = self.row_column(scope, extension, span) {
            return Ok(found);
        }
        if let Some(measure) = self.measure(scope, name, span)? {
            return Ok(measure);
        }
        self.row_column(scope, same, span).ok_or_else(|| {
            let may_be_named =
                |c: &&TableColumn| c.lineage.is_none_or(|id| !self.model.column_info(id).hidden);
            let columns = scope.frames.iter().flat_map(|f| f.schema.iter().filter(may_be_named));
            let columns = columns.map(|c| &*c.name);
            let near = names::nearest(name, self.model.measure_names().chain(columns));
            Error::invalid(format!(
                "The value for '{name}' cannot be determined: there is no such measure, and no column of that name in the row context.{near}"
            ))
        })
    }

    fn qualified(&mut self, scope: &Scope, table: &str, name: &str, span: Span) -> Result<Node> {
        let (t, n) = (table.to_lowercase(), name.to_lowercase());
        let is_it = |c: &TableColumn| {
            c.name.to_lowercase() == n && c.table.as_ref().is_some_and(|of| of.to_lowercase() == t)
        };
        if let Some(found) = self.row_column(scope, is_it, span) {
            return Ok(found);
        }
        if self.model.column(table, name).is_some() {
            return Err(Error::invalid(format!(
                "A single value for column '{name}' in table '{table}' cannot be determined. This happens where a column is named without an aggregation such as MIN, MAX, COUNT or SUM, outside of a row context."
            )));
        }
        if let Some(measure) = self.measure(scope, name, span)? {
            return Ok(measure);
        }
        Err(self.no_column(table, name))
    }

    /// A measure of the query or the model.
    fn measure(&mut self, scope: &Scope, name: &str, span: Span) -> Result<Option<Node>> {
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
                    m.expression
                        .clone()
                        .map_err(|e| e.context(format!("The measure [{}] has an error", m.name)))?,
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
        let bound = self.at_home(home, |b| b.scalar(&own, &expression));
        self.binding.pop();
        let of_query = self.defined.contains_key(&key);
        let bound = bound.map_err(|mut e| {
            // Only the text of a measure of the query is part of the query's.
            if !of_query {
                e.span = None;
            }
            e.context(format!("In the measure [{shown}]"))
        })?;
        let body = Arc::new(bound);
        self.measures.borrow_mut().insert(known, Arc::clone(&body));
        Ok(Some(node(&shown, body)))
    }

    /// `[_Sales FormatString]`: what the values of the measure `[Sales]` are shown with. Reports
    /// ask for it beside the measure.
    fn format_of_measure(&mut self, scope: &Scope, name: &str, span: Span) -> Result<Option<Node>> {
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

    fn constructor(&mut self, scope: &Scope, rows: &[Vec<Expr>], span: Span) -> Result<Node> {
        let width = rows.first().map_or(1, Vec::len);
        let mut uses = Uses::default();
        let mut bound = Vec::new();
        for row in rows {
            if row.len() != width {
                return Err(Error::invalid(
                    "All rows of a table constructor have the same number of values.",
                ));
            }
            let nodes: Vec<Node> =
                row.iter().map(|e| self.scalar(scope, e)).collect::<Result<_>>()?;
            uses = nodes.iter().fold(uses, |u, n| u.and(n.uses));
            bound.push(nodes);
        }
        let schema = (0..width).map(|i| {
            let name = if width == 1 { "Value".to_owned() } else { format!("Value{}", i + 1) };
            column(&name, shared_type(bound.iter().map(|row: &Vec<Node>| &row[i])))
        });
        let schema = schema.collect();
        Ok(Self::node(Kind::Rows(bound), table_type(schema), uses, span))
    }
}

fn variable(name: &str, slot: usize, node: &Node) -> BoundVariable {
    BoundVariable {
        name: name.to_lowercase(),
        slot,
        ty: node.ty.clone(),
        uses: node.uses,
        base: None,
        of_query: false,
        is_table: false,
    }
}

/// A column that stands for no column of the model.
pub(crate) fn column(name: &str, data_type: DataType) -> TableColumn {
    TableColumn { name: name.into(), lineage: None, table: None, data_type }
}

pub(crate) fn literal(v: Value, span: Span) -> Node {
    let ty = Type::Scalar(v.data_type().unwrap_or(DataType::Variant));
    Node { kind: Kind::Literal(v), ty, uses: Uses::default(), span }
}

/// The type two alternatives share.
pub(crate) fn common_type(a: DataType, b: DataType) -> DataType {
    match (a, b) {
        _ if a == b => a,
        _ if a.is_numeric() && b.is_numeric() => {
            if a == DataType::Double || b == DataType::Double {
                DataType::Double
            } else {
                DataType::Decimal
            }
        }
        _ => DataType::Variant,
    }
}

/// The type several alternatives share; `BLANK ()` is of any.
pub(crate) fn shared_type<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> DataType {
    let typed = nodes.into_iter().filter(|n| !n.is_blank_literal());
    typed.map(Node::data_type).reduce(common_type).unwrap_or(DataType::Variant)
}

fn is_comparison(operator: BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(
        operator,
        Op::Equal
            | Op::StrictEqual
            | Op::NotEqual
            | Op::Less
            | Op::LessEqual
            | Op::Greater
            | Op::GreaterEqual
    )
}

/// As arithmetic sees a value; `None` where only the value tells (text, or of any type).
fn arithmetic_type(t: DataType) -> Option<DataType> {
    match t {
        DataType::Boolean => Some(DataType::Int64),
        DataType::String | DataType::Variant | DataType::Binary => None,
        t => Some(t),
    }
}

fn negated_type(t: DataType) -> DataType {
    match arithmetic_type(t) {
        Some(DataType::DateTime) => DataType::Double,
        Some(t) => t,
        None => DataType::Variant,
    }
}

/// The type of what [`crate::scalar::binary`] gives.
fn operator_type(operator: BinaryOperator, left: &Node, right: &Node) -> DataType {
    use BinaryOperator as Op;
    use DataType as D;
    let operand = |n: &Node| match n.is_blank_literal() {
        true => Some(D::Int64),
        false => arithmetic_type(n.data_type()),
    };
    match operator {
        Op::Concatenate => return D::String,
        Op::Power => return D::Double,
        Op::Add | Op::Subtract | Op::Multiply | Op::Divide => {}
        _ => return D::Boolean,
    }
    let (Some(a), Some(b)) = (operand(left), operand(right)) else { return D::Variant };
    match (operator, a, b) {
        (Op::Add, D::DateTime, _) | (Op::Add, _, D::DateTime) => D::DateTime,
        (Op::Subtract, D::DateTime, _) => D::DateTime,
        (Op::Multiply | Op::Divide, D::Decimal, D::Decimal) => D::Double,
        (Op::Multiply, D::Decimal, _) | (Op::Multiply, _, D::Decimal) => D::Decimal,
        (Op::Divide, D::Decimal, D::Int64 | D::Double) | (Op::Divide, D::Int64, D::Decimal) => {
            D::Decimal
        }
        (Op::Divide, _, _) => D::Double,
        _ if a == D::DateTime || b == D::DateTime => D::Double,
        _ => common_type(a, b),
    }
}
