//! The reference evaluator: slow, obvious, one row at a time. It shares parser, the model's objects
//! and filter propagation with the engine and nothing else, so that the two can be held against each
//! other: who may know which name, and what a query defines, it works out on its own.
//!
//! What it does not know it refuses; it never guesses.

mod aggregate;
mod calculate;
mod calculation_group;
mod dates;
mod definitions;
mod functions;
mod group_by;
mod join;
mod names;
mod roles;
mod rollup;
mod scalar;
mod selected;
mod sets;
mod statistics;
mod summarize;
mod summarize_columns;
mod table;
mod window;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use evercube_base::{Collation, DateTime, Error, Result, Value};
use evercube_dax::ast::{Evaluate, Expr, ExprKind};
use evercube_engine::functions::{ReturnType, ScalarContext, lookup};
use evercube_engine::scalar::Culture;
use evercube_engine::{CompiledModel, Dataset, Filter, FilterContext, Visibility, scalar as rules};
use evercube_store::{BitSet, ColumnId, StoreVersion, TableId};

/// A column of a table expression.
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    /// Name without brackets.
    pub name: String,
    /// The model column it stands for.
    pub lineage: Option<ColumnId>,
}

/// The rows of a table expression.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    pub columns: Vec<TableColumn>,
    pub rows: Vec<Vec<Value>>,
    /// The rows are those of a table of the model, all its columns in order.
    whole: Option<evercube_store::TableId>,
    /// Where the rows become filters, those that are there stay.
    keep: bool,
}

/// A row that column references look into.
#[derive(Debug, Clone)]
struct RowContext {
    columns: Rc<Vec<TableColumn>>,
    values: Vec<Value>,
    /// The row is one of a table of the model.
    whole: Option<evercube_store::TableId>,
    keep: bool,
    /// Relationships as they were where the rows were gone through first.
    relationships: Rc<FilterContext>,
    /// How many bodies of functions stood around where the row was gone through.
    level: usize,
}

/// A variable: evaluated where it was defined, when it is first asked for by the definition itself.
#[derive(Debug, Clone)]
enum Bound {
    Scalar(Value),
    Table(Rc<Table>),
    /// What a function was passed as an expression: evaluated where its name stands.
    Expression(Rc<functions::Passed>),
}

/// Everything an expression sees.
#[derive(Debug, Clone, Default)]
struct Env {
    rows: Vec<RowContext>,
    /// Row contexts below this number have become filters already.
    transitioned: usize,
    filters: FilterContext,
    variables: Vec<(String, Bound)>,
    /// The first of the variables are those of the query, which measures know too.
    of_query: usize,
    /// How many bodies of functions stand around.
    level: usize,
    /// Rows of lower levels are not seen: by the body at hand last, by those around before.
    sees: Vec<usize>,
    /// What `ALLSELECTED` goes back to, the last one first asked.
    shadows: Vec<selected::Shadow>,
    /// The rows of `CURRENTGROUP`.
    group: Option<Rc<Table>>,
    /// The measure whose place a calculation item takes.
    selected_measure: Option<String>,
    /// The selected measure's own format string is being made.
    in_own_format: bool,
    /// Calculation groups of which an item is being applied.
    applied_groups: Vec<calculation_group::AppliedGroup>,
    /// In `SUMMARIZE`, the group columns that the row is a subtotal over.
    left_out: Option<Vec<ColumnId>>,
}

/// A dataset with what a query defines on top.
pub struct Reference {
    model: Arc<CompiledModel>,
    store: Arc<StoreVersion>,
    /// Of the query, by lower-case name.
    measures: Vec<(String, Expr)>,
    /// Of the query, by lower-case name.
    functions: Vec<(String, functions::Function)>,
    now: DateTime,
    /// The model's culture, as `en-US`.
    locale: String,
    culture: Culture,
    random: Cell<u64>,
    depth: Cell<u32>,
    /// For each table the rows that the caller's roles show; `None` where they show all.
    own_rows: Vec<Option<roles::Rows>>,
    /// What these leave of every table that they reach.
    shown: Arc<Vec<Filter>>,
    hidden: names::Hidden,
    /// Filters that had several ways, none better than the others, where rows were asked for.
    ambiguous: std::cell::RefCell<Option<String>>,
}

const DEPTH: u32 = 120;

/// How a refusal begins; the name of what is not known follows.
pub const REFUSAL: &str = "the reference evaluator does not know ";

impl Reference {
    pub fn new(dataset: &Dataset, now: DateTime) -> Self {
        Self {
            model: Arc::clone(&dataset.model),
            store: Arc::clone(&dataset.store),
            measures: Vec::new(),
            functions: Vec::new(),
            now,
            locale: "en-US".to_owned(),
            culture: Culture::UNITED_STATES,
            random: Cell::new(1),
            depth: Cell::new(0),
            own_rows: Vec::new(),
            shown: Arc::default(),
            hidden: names::Hidden::default(),
            ambiguous: std::cell::RefCell::default(),
        }
    }

    /// Texts say numbers and dates in the ways of another culture.
    pub fn speaking(self, locale: &str) -> Self {
        let culture = Culture::named(locale, self.now.ymd().0);
        Self { locale: locale.to_owned(), culture, ..self }
    }

    /// Answers a query: one table per `EVALUATE`.
    pub fn query(&mut self, text: &str) -> Result<Vec<Table>> {
        let mut query = evercube_dax::parse_query(text).into_result()?;
        self.model.resolve_levels(&mut query);
        let env = self.define(&query.definitions)?;
        let tables: Vec<Table> =
            query.evaluates.iter().map(|e| self.evaluate(&env, e)).collect::<Result<_>>()?;
        match self.ambiguous.take() {
            Some(message) => Err(Error::evaluation(message)),
            None => Ok(tables),
        }
    }

    fn evaluate(&self, env: &Env, evaluate: &Evaluate) -> Result<Table> {
        let mut table = self.shown_table(env, &evaluate.expression)?;
        let mut keyed = Vec::new();
        for (inner, values) in env.with_rows(&table).iter().zip(std::mem::take(&mut table.rows)) {
            let keys: Result<Vec<Value>> =
                evaluate.order_by.iter().map(|o| self.scalar(inner, &o.expression)).collect();
            keyed.push((keys?, values));
        }
        let collation = Collation::default();
        let order = |a: &[Value], b: &[Value]| {
            let each = a.iter().zip(b).zip(&evaluate.order_by).map(|((x, y), o)| {
                let order = rules::total_order(x, y, &collation);
                if o.descending { order.reverse() } else { order }
            });
            each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        };
        keyed.sort_by(|(a, _), (b, _)| order(a, b));
        let start: Vec<Value> =
            evaluate.start_at.iter().map(|e| self.scalar(env, e)).collect::<Result<_>>()?;
        keyed.retain(|(keys, _)| order(keys, &start).is_ge());
        table.rows = keyed.into_iter().map(|(_, values)| values).collect();
        Ok(table)
    }

    /// A column's name as results show it.
    pub fn shown_name(&self, column: &TableColumn) -> String {
        match column.lineage {
            Some(id) if self.model.column_info(id).name == column.name => {
                format!("{}[{}]", self.model.table(id.table).name, column.name)
            }
            _ => format!("[{}]", column.name),
        }
    }

    /// Evaluates a variable's expression, as a table where it is one.
    fn bind(&self, env: &Env, expression: &Expr) -> Result<Bound> {
        if self.is_table(env, expression) {
            return Ok(Bound::Table(Rc::new(self.table(env, expression)?)));
        }
        Ok(Bound::Scalar(self.scalar(env, expression)?))
    }

    /// Whether an expression gives a table.
    fn is_table(&self, env: &Env, expression: &Expr) -> bool {
        match &expression.kind {
            ExprKind::TableConstructor(_) => true,
            ExprKind::Name { name, .. } => match env.variable(name) {
                Some(Bound::Scalar(_)) => false,
                Some(Bound::Table(_)) => true,
                Some(Bound::Expression(p)) => self.is_table(&env.of_passed(p), &p.expression),
                None => self.table_named(name).is_some(),
            },
            ExprKind::Variables { result, .. } => self.is_table(env, result),
            ExprKind::Call { function, arguments, .. } => match lookup(function) {
                Some(f) => f.return_type == ReturnType::Table,
                None => self.gives_table(env, function, arguments),
            },
            _ => false,
        }
    }

    /// What is seen where no filter is in force.
    fn unfiltered(&self) -> FilterContext {
        FilterContext { secured: Arc::clone(&self.shown), ..FilterContext::default() }
    }

    fn visibility(&self) -> Visibility<'_> {
        Visibility { model: &self.model, store: &self.store }
    }

    /// Rows of a table, its blank row last, that filters leave. Filters come from the tables of their
    /// columns, of which some may have several ways.
    fn visible(&self, context: &FilterContext, table: TableId) -> BitSet {
        let comes_from = |f: &Filter, from: TableId| match f {
            Filter::Column { column, .. } => column.table == from,
            Filter::Tuples { columns, .. } => columns.iter().any(|c| c.table == from),
            Filter::Rows { table, .. } => *table == from,
        };
        for (from, message) in self.visibility().ambiguities(context, table) {
            if context.filters.iter().any(|f| comes_from(f, from)) {
                self.ambiguous.replace(Some(message));
            }
        }
        self.visibility().rows(context, table)
    }

    fn with_scalar_context<T>(&self, use_it: impl FnOnce(&ScalarContext<'_>) -> T) -> T {
        use_it(&ScalarContext {
            collation: Collation::default(),
            locale: &self.locale,
            user_culture: &self.locale,
            now: self.now,
            utc_now: self.now,
            user: "reference",
            custom_data: None,
            random: &self.random,
        })
    }

    /// Runs one level deeper; refuses to go on for ever.
    fn deeper<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.depth.get() >= DEPTH {
            return Err(Error::new(
                evercube_base::ErrorKind::Limit,
                "the expression is nested too deeply; it may refer to itself",
            ));
        }
        self.depth.set(self.depth.get() + 1);
        let done = run();
        self.depth.set(self.depth.get() - 1);
        done
    }
}

impl Env {
    /// The environments of a table's rows.
    fn with_rows(&self, table: &Table) -> Vec<Self> {
        let columns = Rc::new(table.columns.clone());
        let whole = Rc::new(table.clone());
        let relationships = Rc::new(FilterContext {
            used: self.filters.used.clone(),
            directions: self.filters.directions.clone(),
            ..FilterContext::default()
        });
        let row = |values: &Vec<Value>| {
            let mut inner = self.clone();
            let shadow = selected::Shadow::Rows(Rc::clone(&whole), Rc::clone(&relationships));
            inner.shadows.push(shadow);
            inner.rows.push(RowContext {
                columns: Rc::clone(&columns),
                values: values.clone(),
                whole: table.whole,
                keep: table.keep,
                relationships: Rc::clone(&relationships),
                level: inner.level,
            });
            inner
        };
        table.rows.iter().map(row).collect()
    }

    /// The row contexts that an expression may name columns of, the innermost first; `passed`: into
    /// how many bodies of functions its text was put.
    fn rows_seen(&self, passed: u8) -> impl Iterator<Item = &RowContext> {
        let from = self.sees.len().checked_sub(1 + usize::from(passed));
        let least = from.map_or(0, |at| self.sees[at]);
        self.rows.iter().rev().filter(move |r| r.level >= least)
    }

    fn variable(&self, name: &str) -> Option<&Bound> {
        let name = name.to_lowercase();
        self.variables.iter().rev().find(|(n, _)| *n == name).map(|(_, b)| b)
    }
}

fn unsupported(what: &str) -> Error {
    Error::unsupported(format!("{REFUSAL}{what}"))
}
