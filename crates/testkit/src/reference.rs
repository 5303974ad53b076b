//! The reference evaluator: slow, obvious, one row at a time. It shares parser, names and filter
//! propagation with the engine and nothing else, so that the two can be held against each other.
//!
//! What it does not know it refuses; it never guesses.

mod aggregate;
mod calculate;
mod calculation_group;
mod dates;
mod group_by;
mod join;
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
use evercube_dax::ast::{DefinitionKind, Evaluate, Expr, ExprKind};
use evercube_engine::functions::ScalarContext;
use evercube_engine::{CompiledModel, Filter, FilterContext, Visibility, scalar as rules};
use evercube_store::{ColumnId, StoreVersion};

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
}

/// A variable: evaluated where it was defined, when it is first asked for by the definition itself.
#[derive(Debug, Clone)]
enum Bound {
    Scalar(Value),
    Table(Rc<Table>),
}

/// Everything an expression sees.
#[derive(Debug, Clone, Default)]
struct Env {
    rows: Vec<RowContext>,
    /// Row contexts below this number have become filters already.
    transitioned: usize,
    filters: FilterContext,
    variables: Vec<(String, Bound)>,
    /// What `ALLSELECTED` goes back to, the last one first asked.
    shadows: Vec<selected::Shadow>,
    /// The rows of `CURRENTGROUP`.
    group: Option<Rc<Table>>,
    /// The measure whose place a calculation item takes.
    selected_measure: Option<String>,
    /// Calculation groups of which an item is being applied.
    applied_groups: Vec<evercube_store::TableId>,
    /// In `SUMMARIZE`, the group columns that the row is a subtotal over.
    left_out: Option<Vec<ColumnId>>,
}

/// A dataset with what a query defines on top.
pub struct Reference<'a> {
    model: &'a CompiledModel,
    store: &'a StoreVersion,
    measures: Vec<(String, Expr)>,
    now: DateTime,
    random: Cell<u64>,
    depth: Cell<u32>,
    /// The rows that the caller's roles show, of every table where they do not show all.
    shown: Arc<Vec<Filter>>,
}

const DEPTH: u32 = 120;

/// How a refusal begins; the name of what is not known follows.
pub const REFUSAL: &str = "the reference evaluator does not know ";

impl<'a> Reference<'a> {
    pub fn new(model: &'a CompiledModel, store: &'a StoreVersion, now: DateTime) -> Self {
        let random = Cell::new(1);
        let (measures, depth, shown) = (Vec::new(), Cell::new(0), Arc::default());
        Self { model, store, measures, now, random, depth, shown }
    }

    /// Answers a query: one table per `EVALUATE`.
    pub fn query(&mut self, text: &str) -> Result<Vec<Table>> {
        let query = evercube_dax::parse_query(text).into_result()?;
        if self.has_several_ways() {
            return Err(unsupported("several ways of a filter"));
        }
        let mut env = Env { filters: self.unfiltered(), ..Env::default() };
        for definition in &query.definitions {
            match &definition.kind {
                DefinitionKind::Measure { name, expression, .. } => {
                    self.measures.push((name.to_lowercase(), expression.clone()));
                }
                DefinitionKind::Variable { name, expression } => {
                    let value = self.bind(&env, expression)?;
                    env.variables.push((name.to_lowercase(), value));
                }
                _ => return Err(unsupported("definitions of columns, tables and functions")),
            }
        }
        query.evaluates.iter().map(|e| self.evaluate(&env, e)).collect()
    }

    fn evaluate(&self, env: &Env, evaluate: &Evaluate) -> Result<Table> {
        let mut table = self.table(env, &evaluate.expression)?;
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
                Some(bound) => matches!(bound, Bound::Table(_)),
                None => self.model.table_id(name).is_some(),
            },
            ExprKind::Variables { result, .. } => self.is_table(env, result),
            ExprKind::Call { function, .. } => evercube_engine::functions::lookup(function)
                .is_some_and(|f| f.return_type == evercube_engine::functions::ReturnType::Table),
            _ => false,
        }
    }

    /// Whether a filter could come from one table to another in several ways.
    fn has_several_ways(&self) -> bool {
        let tables = self.model.tables().len();
        let mut steps: Vec<(usize, usize)> = Vec::new();
        for r in self.model.relationships().iter().filter(|r| r.active) {
            let (many, one) = (r.def.from.table.0 as usize, r.def.to.table.0 as usize);
            steps.push((one, many));
            if r.both_directions {
                steps.push((many, one));
            }
        }
        (0..tables).any(|from| {
            let (mut ways, mut open) = (vec![0; tables], vec![vec![from]]);
            while let Some(way) = open.pop() {
                ways[way[way.len() - 1]] += 1;
                for (_, to) in steps.iter().filter(|(at, _)| *at == way[way.len() - 1]) {
                    if !way.contains(to) {
                        open.push([&way[..], &[*to]].concat());
                    }
                }
            }
            ways.iter().any(|n| *n > 1)
        })
    }

    /// What is seen where no filter is in force.
    fn unfiltered(&self) -> FilterContext {
        FilterContext { secured: Arc::clone(&self.shown), ..FilterContext::default() }
    }

    fn visibility(&self) -> Visibility<'_> {
        Visibility { model: self.model, store: self.store }
    }

    fn with_scalar_context<T>(&self, use_it: impl FnOnce(&ScalarContext<'_>) -> T) -> T {
        use_it(&ScalarContext {
            collation: Collation::default(),
            locale: "en-US",
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
            });
            inner
        };
        table.rows.iter().map(row).collect()
    }

    fn variable(&self, name: &str) -> Option<&Bound> {
        let name = name.to_lowercase();
        self.variables.iter().rev().find(|(n, _)| *n == name).map(|(_, b)| b)
    }
}

fn unsupported(what: &str) -> Error {
    Error::unsupported(format!("{REFUSAL}{what}"))
}
