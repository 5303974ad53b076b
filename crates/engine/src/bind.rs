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
mod measure;
mod missing_items_call;
mod model_check;
mod name_of;
mod names;
mod object_call;
mod reference;
mod regression_call;
mod table_call;
mod types;
mod user_function;
mod value_filters;
mod window_call;

pub(crate) use comparison::{may_compare, type_word};
pub(crate) use model_check::{failures, types_under_groups};
pub(crate) use types::{common_type, series_type, shared_type};
use types::{negated_type, operator_type};

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::{DataType, Error, ErrorKind, Result, Value};
use evercube_dax::ast::{BinaryOperator, Expr, ExprKind, Span, UnaryOperator};
use evercube_store::{ColumnId, TableId};

use crate::compiled_model::CompiledModel;
use crate::filter_context::{FilterContext, Visibility};
use crate::plan::{Kind, Node, Schema, TableColumn, Type, Uses};
use crate::query::QueryContext;
use crate::secured::tables_with_filters;

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
    /// Its value, where that is written down.
    constant: Option<Value>,
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
    /// Tables whose rows the caller's roles filter.
    secured: Vec<TableId>,
    /// Where the metadata of `INFO` functions comes from; `None` outside queries.
    pub rowsets: Option<crate::query::RowsetSource>,
    slots: usize,
    /// Measures the query defines, by lower-case name.
    pub defined: HashMap<String, DefinedMeasure>,
    /// Functions the query defines, and those of the model that were called, by lower-case name.
    functions: HashMap<String, Arc<user_function::UserFunction>>,
    /// Those whose bodies are being bound, and the measures that these name: each with how many of
    /// those before it were being called where its call is written.
    calling: Vec<(String, usize)>,
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

pub(crate) const CONTEXT: Uses =
    Uses { filter_context: true, volatile: false, frame: Uses::NONE, slot: Uses::NONE };

impl<'a> Binder<'a> {
    /// Gives variables numbers from here on.
    pub fn start_slots(&mut self, first: usize) {
        self.slots = first;
    }

    /// An expression in the row context of a model table: a calculated column, a row filter.
    pub fn in_rows_of(&mut self, table: TableId, expression: &Expr) -> Result<Node> {
        let scope = self.query_scope();
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
            secured: Vec::new(),
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

    /// For what a caller asks for.
    pub fn of_query(
        model: &'a CompiledModel,
        store: &'a evercube_store::StoreVersion,
        context: &'a QueryContext,
    ) -> Self {
        let secured = tables_with_filters(model, &context.roles);
        Self { secured, ..Self::new(model, store, &context.parameters) }
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

    pub fn query_scope(&self) -> Scope {
        self.query_scope.clone()
    }

    fn next_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    pub(crate) fn expanded_columns(&self, table: TableId) -> Vec<ColumnId> {
        let v = Visibility { model: self.model, store: self.store };
        let expanded = v.expanded(&FilterContext::default(), table);
        expanded.iter().flat_map(|(t, _)| self.model.columns_of(*t)).collect()
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
        let schema =
            self.model.columns_of(table).into_iter().map(|c| self.model_column(c)).collect();
        Self::node(Kind::ModelTable { table, blank_row }, table_type(schema), CONTEXT, span)
    }

    pub(crate) fn values(&self, columns: Vec<ColumnId>, blank_row: bool, span: Span) -> Node {
        let schema = columns.iter().map(|c| self.model_column(*c)).collect();
        Self::node(Kind::Values { columns, blank_row }, table_type(schema), CONTEXT, span)
    }

    /// Binds an expression of an object of this table.
    fn at_home<T>(&mut self, table: Option<TableId>, bind: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.home, table);
        let bound = bind(self);
        self.home = outer;
        bound
    }

    /// Binds arguments of a function, which errors about them name.
    fn as_arguments_of<T>(
        &mut self,
        function: &'static str,
        bind: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = std::mem::replace(&mut self.callee, function);
        let bound = bind(self);
        self.callee = outer;
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
            .at(e.span.place()));
        }
        let node = self.any(scope, e)?;
        if node.is_table() {
            return Ok(node);
        }
        Err(Error::invalid(
            "The expression refers to a single value where a table is expected; put it in braces to make a table of it.",
        )
        .at(e.span.place()))
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
            .at(e.span.place()));
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
            .at(e.span.place()));
        }
        evercube_work::check()?;
        self.depth += 1;
        let bound = self.any_inner(scope, e).map_err(|error| error.at(e.span.place()));
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
            ExprKind::Level { column, level, .. } => Err(reference::no_level(column, level)),
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
                if operator.is_comparison() {
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
                self.as_arguments_of("CONTAINSROW", |b| b.check_row(&left, &right))?;
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

    /// Checks the values of a row against the columns of the table it is looked for in.
    pub(super) fn check_row(&self, values: &[Node], table: &Node) -> Result<()> {
        let schema = table.schema();
        let mut pairs = values.iter().zip(schema.iter());
        pairs.try_for_each(|(value, column)| self.check_compared(value, column.data_type))
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
        let mut schema = Vec::with_capacity(width);
        for i in 0..width {
            let name = if width == 1 { "Value".to_owned() } else { format!("Value{}", i + 1) };
            schema.push(column(&name, Self::as_one_type(&mut bound, i)?));
        }
        Ok(Self::node(Kind::Rows(bound), table_type(schema), uses, span))
    }

    /// The type of a column of a table constructor: where one of its values is text, all are.
    fn as_one_type(rows: &mut [Vec<Node>], at: usize) -> Result<DataType> {
        let shared = shared_type(rows.iter().map(|row| &row[at]));
        let has_text = rows.iter().any(|row| row[at].data_type() == DataType::String);
        if shared != DataType::Variant || !has_text {
            return Ok(shared);
        }
        for row in rows {
            if row[at].data_type() != DataType::String && !row[at].is_blank_literal() {
                let value = std::mem::replace(&mut row[at], literal(Value::Blank, Span::default()));
                row[at] = Self::converted(value, DataType::String)?;
            }
        }
        Ok(DataType::String)
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
        constant: match &node.kind {
            Kind::Literal(v) => Some(v.clone()),
            _ => None,
        },
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
