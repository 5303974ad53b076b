//! Whole queries: what a caller brings, what comes back.

use std::sync::Arc;

use evercube_base::{DataType, DateTime, Error, ErrorKind, Result, Rowset, Value};
use evercube_dax::ast::{Definition, DefinitionKind, OrderBy};
use evercube_store::{SCAN_PART, StoreVersion};

use crate::bind::{Binder, DefinedMeasure, may_compare, type_word};
use crate::compiled_model::CompiledModel;
use crate::eval::{Cells, Evaluator};
use crate::explain::{Explanation, tree};
use crate::plan::{Node, SortKey};
use crate::query_column::with_column;
use crate::query_parameter::check_parameters;
use crate::query_table::with_table;
use crate::result_cache::{Question, ResultCache, Volatile};
use crate::rules::Rules;
use crate::scalar::{self as rules, Culture};
use crate::secured::secured;

/// A model and the data of one version of it.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub model: Arc<CompiledModel>,
    pub store: Arc<StoreVersion>,
}

/// Variables of a query with their numbers, in order.
pub(crate) type Variables = Vec<(usize, Arc<Node>)>;

/// Name and accepted values of each restriction.
type Restrictions = [(String, Vec<String>)];
type ReadRowset = dyn Fn(&str, &Restrictions) -> Result<Rowset> + Send + Sync;

/// Reads metadata rowsets, as `TMSCHEMA_TABLES`, for the caller of a query.
#[derive(Clone)]
pub struct RowsetSource {
    source: Arc<ReadRowset>,
    volatile: Volatile,
}

impl RowsetSource {
    pub fn new(
        read: impl Fn(&str, &Restrictions) -> Result<Rowset> + Send + Sync + 'static,
    ) -> Self {
        Self { source: Arc::new(read), volatile: Volatile::default() }
    }

    pub(crate) fn read(&self, name: &str, restrictions: &Restrictions) -> Result<Rowset> {
        self.volatile.note();
        (self.source)(name, restrictions)
    }

    /// The same, telling `volatile` when it is read.
    fn noting(&self, volatile: &Volatile) -> Self {
        Self { source: Arc::clone(&self.source), volatile: volatile.clone() }
    }
}

impl std::fmt::Debug for RowsetSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowsetSource")
    }
}

/// Everything an evaluation may depend on besides model, data and text.
#[derive(Debug, Clone)]
pub struct QueryContext {
    /// Roles whose filters apply; rows any of them lets through are visible. Empty: everything.
    pub roles: Vec<String>,
    pub user: String,
    pub custom_data: Option<String>,
    /// The model's culture, as `en-US`.
    pub locale: String,
    /// What the caller's client says of its own; the model's where it says nothing.
    pub user_culture: Option<String>,
    /// Local time of the query's start.
    pub now: DateTime,
    pub utc_now: DateTime,
    /// Start of the random sequence.
    pub seed: u64,
    /// Rows one result may have.
    pub row_limit: usize,
    /// Values of `@parameters`.
    pub parameters: Vec<(String, Value)>,
    /// Answers `INFO` functions.
    pub rowsets: Option<RowsetSource>,
    /// Optimizations in force.
    pub rules: Rules,
    /// Rows from which on a table's scans are worth planning together.
    pub long_table: usize,
    /// Rows of a table that one thread scans at a time.
    pub scan_part: usize,
    /// Results that are kept between queries.
    pub kept: Option<Arc<ResultCache>>,
    /// Whether the evaluation looked at `now`, `utc_now` or the random sequence.
    pub volatile: Volatile,
}

impl QueryContext {
    /// How texts say numbers and dates.
    pub fn culture(&self) -> Culture {
        Culture::named(&self.locale, self.now.ymd().0)
    }
}

/// Shorter tables are scanned as often as asked.
pub const LONG_TABLE: usize = 1 << 16;

impl Default for QueryContext {
    fn default() -> Self {
        Self {
            roles: Vec::new(),
            user: String::new(),
            custom_data: None,
            locale: "en-US".into(),
            user_culture: None,
            now: DateTime::default(),
            utc_now: DateTime::default(),
            seed: 1,
            row_limit: usize::MAX,
            parameters: Vec::new(),
            rowsets: None,
            rules: Rules::all(),
            long_table: LONG_TABLE,
            scan_part: SCAN_PART,
            kept: None,
            volatile: Volatile::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// As clients see it: `Table[Column]` or `[Name]`.
    pub name: String,
    pub data_type: DataType,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResultTable {
    pub columns: Vec<ResultColumn>,
    pub rows: Vec<Vec<Value>>,
}

/// One table per `EVALUATE`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QueryResult {
    pub results: Vec<ResultTable>,
}

/// Answers a query.
///
/// # Errors
/// `Syntax` and `Semantic` with a place in `text`; `Evaluation`; `Cancelled`; `Limit`.
pub fn query(dataset: &Dataset, text: &str, context: &QueryContext) -> Result<Arc<QueryResult>> {
    let kept = context.kept.as_ref().map(|kept| (kept, Question::new(dataset, text, context)));
    if let Some(found) = kept.as_ref().and_then(|(kept, question)| kept.answer(question)) {
        return Ok(found);
    }
    context.volatile.begin();
    let result = run(dataset, text, context, false).map(|(result, _)| Arc::new(result))?;
    if let Some((kept, question)) = kept
        && !context.volatile.is_noted()
    {
        kept.keep(question, &result);
    }
    Ok(result)
}

/// Answers a query and tells how it was answered.
///
/// # Errors
/// As [`query`].
pub fn explain(
    dataset: &Dataset,
    text: &str,
    context: &QueryContext,
) -> Result<(Arc<QueryResult>, Explanation)> {
    run(dataset, text, context, true).map(|(result, how)| (Arc::new(result), how))
}

fn run(
    dataset: &Dataset,
    text: &str,
    context: &QueryContext,
    explain: bool,
) -> Result<(QueryResult, Explanation)> {
    let mut parsed = evercube_dax::parse_query(text).into_result()?;
    check_parameters(&parsed, &context.parameters)?;
    let seen = dataset
        .model
        .seen_by(&context.roles)
        .map(|model| Dataset { model: Arc::new(model), store: Arc::clone(&dataset.store) });
    let dataset = seen.as_ref().unwrap_or(dataset);
    dataset.model.resolve_levels(&mut parsed);
    check_definitions(&dataset.model, &parsed.definitions)?;
    let extended = with_definitions(dataset, context, &parsed.definitions)?;
    let is_extended = extended.is_some();
    let dataset = extended.as_ref().unwrap_or(dataset);
    let mut binder = Binder::of_query(&dataset.model, &dataset.store, context);
    binder.rowsets = context.rowsets.as_ref().map(|r| r.noting(&context.volatile));
    let variables = define(&mut binder, &parsed.definitions)?;
    let mut evaluator = Evaluator::new(&dataset.model, &dataset.store, context, explain);
    // Tables and columns that a query defines are of no version.
    evaluator.cache = context
        .kept
        .as_ref()
        .filter(|_| !is_extended)
        .map(|kept| (Arc::clone(kept), Arc::clone(&dataset.store)));
    evaluator.base_context.secured = Arc::new(secured(dataset, context)?);
    evaluator.query_measures = binder.defined.keys().cloned().collect();
    let cells = evaluator.with_variables(&evaluator.start(), &variables);
    let mut results = Vec::new();
    for e in &parsed.evaluates {
        let scope = binder.query_scope();
        let table = binder.shown_table(&scope, &e.expression)?;
        let inner = binder.inside(&scope, &table);
        let key = |o: &OrderBy| {
            Ok(SortKey {
                expression: binder.scalar(&inner, &o.expression)?,
                descending: o.descending,
            })
        };
        let order_by = e.order_by.iter().map(key).collect::<Result<Vec<_>>>()?;
        let start_at: Vec<Node> =
            e.start_at.iter().map(|v| binder.scalar(&scope, v)).collect::<Result<_>>()?;
        check_start(&order_by, &start_at)?;
        if let Some(journal) = &evaluator.journal {
            journal.borrow_mut().add_logical(&tree(&dataset.model, &table));
        }
        results.push(evaluator.result(&cells, &table, &order_by, &start_at)?);
    }
    let journal = evaluator.journal.take();
    let explanation = journal.map(|j| j.into_inner().explanation()).unwrap_or_default();
    Ok((QueryResult { results }, explanation))
}

/// Refuses values of `START AT` that do not compare with what `ORDER BY` sorts.
fn check_start(order_by: &[SortKey], start_at: &[Node]) -> Result<()> {
    if start_at.len() > order_by.len() {
        return Err(Error::invalid("START AT has more values than ORDER BY has columns."));
    }
    for (place, (value, key)) in start_at.iter().zip(order_by).enumerate() {
        let (given, sorted) = (value.data_type(), key.expression.data_type());
        if !value.is_blank_literal() && !may_compare(given, sorted) {
            return Err(Error::invalid(format!(
                "The value number {} of START AT is of type {}, but ORDER BY sorts values of type {} there.",
                place + 1,
                type_word(given),
                type_word(sorted)
            ))
            .at(value.span.place()));
        }
    }
    Ok(())
}

/// Refuses definitions that could not be told apart, and measures of tables that do not exist.
fn check_definitions(model: &CompiledModel, given: &[Definition]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for d in given {
        let place = d.span.place();
        let (kind, name) = match &d.kind {
            DefinitionKind::Measure { table, name, .. } => {
                let unknown = table.as_ref().filter(|t| {
                    model.table_id(t).is_none() && !given.iter().any(|d| is_table(d, t))
                });
                if let Some(t) = unknown {
                    return Err(Error::invalid(format!(
                        "Cannot find the table '{t}' of the measure [{name}] that the query defines."
                    ))
                    .at(place));
                }
                ("measure", format!("[{name}]"))
            }
            DefinitionKind::Column { table, name, .. } => ("column", format!("'{table}'[{name}]")),
            DefinitionKind::Table { name, .. } => ("table", format!("'{name}'")),
            DefinitionKind::Function { name, .. } => ("function", name.to_string()),
            // Known to be new where it is bound.
            DefinitionKind::Variable { .. } => continue,
        };
        if !seen.insert((kind, name.to_lowercase())) {
            return Err(
                Error::invalid(format!("The query defines the {kind} {name} twice.")).at(place)
            );
        }
    }
    Ok(())
}

/// Whether a definition is a table of this name.
fn is_table(d: &Definition, name: &str) -> bool {
    matches!(&d.kind, DefinitionKind::Table { name: n, .. } if n.eq_ignore_ascii_case(name))
}

/// The dataset with the tables and columns a query defines, if it does: in the order of their
/// definitions, each knows those before it.
fn with_definitions(
    dataset: &Dataset,
    context: &QueryContext,
    given: &[Definition],
) -> Result<Option<Dataset>> {
    let mut extended: Option<Dataset> = None;
    for (at, d) in given.iter().enumerate() {
        let base = extended.as_ref().unwrap_or(dataset);
        let known = |binder: &mut Binder<'_>| {
            binder.rowsets = context.rowsets.as_ref().map(|r| r.noting(&context.volatile));
            define_measures(binder, given);
            define_functions(binder, given)?;
            define_variables(binder, &given[..at])
        };
        let wider = match &d.kind {
            DefinitionKind::Column { table, name, expression } => {
                with_column(base, context, known, (table, name), expression)
            }
            DefinitionKind::Table { name, expression } => {
                with_table(base, context, known, name, expression)
            }
            _ => continue,
        };
        let place = d.span.place();
        extended = Some(wider.map_err(|e| if e.span.is_none() { e.at(place) } else { e })?);
    }
    Ok(extended)
}

fn define_measures(binder: &mut Binder<'_>, given: &[Definition]) {
    for d in given {
        if let DefinitionKind::Measure { table, name, expression } = &d.kind {
            let measure = DefinedMeasure {
                name: name.to_string(),
                table: table.as_ref().and_then(|t| binder.model.table_id(t)),
                expression: expression.clone(),
            };
            binder.defined.insert(name.to_lowercase(), measure);
        }
    }
}

/// Makes the definitions of a query known; gives its variables in order.
fn define(binder: &mut Binder<'_>, given: &[Definition]) -> Result<Variables> {
    define_measures(binder, given);
    define_functions(binder, given)?;
    define_variables(binder, given)
}

fn define_functions(binder: &mut Binder<'_>, given: &[Definition]) -> Result<()> {
    for d in given {
        let place = d.span.place();
        binder.define_function(&d.kind).map_err(|e| e.at(place))?;
    }
    Ok(())
}

fn define_variables(binder: &mut Binder<'_>, given: &[Definition]) -> Result<Variables> {
    let variables = given.iter().filter_map(|d| match &d.kind {
        DefinitionKind::Variable { name, expression } => Some((name, expression)),
        _ => None,
    });
    variables.map(|(name, expression)| binder.define_variable(name, expression)).collect()
}

impl Evaluator<'_> {
    /// The rows of an `EVALUATE`, in their order.
    fn result(
        &self,
        cells: &Cells,
        node: &Node,
        order_by: &[SortKey],
        start_at: &[Node],
    ) -> Result<ResultTable> {
        let table = self.table(cells, node)?;
        let mut order = self.result_order(cells, &table, order_by)?;
        if !start_at.is_empty() {
            let keys = self.result_keys(cells, &table, order_by)?;
            let first: Vec<Value> =
                start_at.iter().map(|v| self.single(cells, v)).collect::<Result<_>>()?;
            let is_before = |row: &u32| {
                let parts = first.iter().zip(&keys).zip(order_by);
                let order = parts.fold(std::cmp::Ordering::Equal, |o, ((v, of), key)| {
                    o.then_with(|| {
                        let o = rules::total_order(of.get(*row as usize), v, &self.collation);
                        if key.descending { o.reverse() } else { o }
                    })
                });
                order.is_lt()
            };
            order.retain(|row| !is_before(row));
        }
        if order.len() > self.context.row_limit {
            return Err(Error::new(
                ErrorKind::RowLimit,
                format!(
                    "The result has {} rows, more than the limit of {}; narrow the query down.",
                    order.len(),
                    self.context.row_limit
                ),
            ));
        }
        let schema = node.schema();
        let columns = schema.iter().map(|c| ResultColumn {
            name: match &c.table {
                Some(t) => format!("{t}[{}]", c.name),
                None => format!("[{}]", c.name),
            },
            data_type: c.data_type,
        });
        let rows = order.iter().map(|r| table.rows.row(self.store, *r as usize)).collect();
        Ok(ResultTable { columns: columns.collect(), rows })
    }
}
