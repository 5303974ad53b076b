//! Calculated columns and tables: computed over source data, in the order they need each other.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use evercube_base::{ColumnData, DataType, Error, ErrorKind, Result, RowBatch, Value};
use evercube_dax::ast::Expr;
use evercube_store::{ColumnId, StoreVersion, TableData, TableId};
use evercube_work::watched;

use crate::bind::{Binder, Scope};
use crate::compiled_model::{CompiledModel, ObjectState};
use crate::eval::Evaluator;
use crate::plan::TableColumn;
use crate::query::QueryContext;
use crate::references::{Item, References};
use crate::row_filters::columns_filtered;
use crate::row_values::row_values;
use crate::scalar::{Culture, convert};

/// What was computed, and what could not be.
#[derive(Debug, Default)]
pub struct Calculated {
    /// Rows of calculated tables, columns in model order.
    pub tables: Vec<(TableId, Vec<RowBatch>)>,
    /// One value per row of the column's table.
    pub columns: Vec<(ColumnId, Vec<Value>)>,
    pub failures: Vec<ObjectState>,
}

/// Computes every calculated table and column. `tables` holds the source data in model order:
/// calculated columns blank, calculated tables empty.
///
/// # Errors
/// Only for what stops everything (cancelled, limits); a bad expression is a failure of its object.
pub fn calculate(
    model: &Arc<CompiledModel>,
    tables: Vec<Arc<TableData>>,
    context: &QueryContext,
) -> Result<Calculated> {
    let store = StoreVersion::default().with_tables(tables, &model.relationship_defs());
    let mut work =
        Work { model, context, store, pending: HashMap::new(), out: Calculated::default() };
    for step in order(model) {
        match step {
            Ok(item) => work.compute(item)?,
            Err((item, circle)) => work.fail(item, circle),
        }
    }
    Ok(work.out)
}

/// Columns a calculated table will have: name, source column, type.
///
/// # Errors
/// Where the table's expression does not bind.
pub fn calculated_table_columns(
    model: &CompiledModel,
    table: TableId,
) -> Result<Vec<(String, String, DataType)>> {
    let Some(expression) = &model.table(table).expression else { return Ok(Vec::new()) };
    let expression = expression.clone()?;
    let store = StoreVersion::default();
    let node = Binder::new(model, &store, &[]).table(&Scope::default(), &expression)?;
    let shown = |c: &TableColumn| (c.name.to_string(), source_name(c), c.data_type);
    Ok(node.schema().iter().map(shown).collect())
}

/// The type that a calculated column's expression has; `None` where only its values tell, or where
/// it does not bind.
pub fn calculated_column_type(model: &CompiledModel, column: ColumnId) -> Option<DataType> {
    let Some(Ok(expression)) = &model.column_info(column).expression else { return None };
    let store = StoreVersion::default();
    let node = Binder::new(model, &store, &[]).in_rows_of(column.table, expression).ok()?;
    Some(node.data_type()).filter(|t| *t != DataType::Variant)
}

/// A column of a table expression as `sourceColumn` names it.
fn source_name(c: &TableColumn) -> String {
    match &c.table {
        Some(t) => format!("{t}[{}]", c.name),
        None => format!("[{}]", c.name),
    }
}

/// What is computed in which order; an item that needs itself comes with the circle.
fn order(model: &CompiledModel) -> Vec<Result<Item, (Item, Error)>> {
    let mut items = Vec::new();
    for (id, table) in (0..).map(TableId).zip(model.tables()) {
        if table.expression.is_some() {
            items.push(Item::Table(id));
        }
        for (column, info) in (0..).zip(&table.columns) {
            if info.expression.is_some() {
                items.push(Item::Column(ColumnId { table: id, column }));
            }
        }
    }
    // Keys of relationships first: others may look over the relationships.
    let is_key = |item: &Item| {
        let Item::Column(id) = item else { return false };
        model.relationships().iter().any(|r| r.def.from == *id || r.def.to == *id)
    };
    items.sort_by_key(|i| !is_key(i));
    let mut sorter = Sorter { model, state: HashMap::new(), path: Vec::new(), out: Vec::new() };
    items.into_iter().for_each(|item| sorter.visit(item));
    sorter.out
}

struct Sorter<'a> {
    model: &'a CompiledModel,
    /// Done (true) or on the way (false).
    state: HashMap<Item, bool>,
    path: Vec<Item>,
    out: Vec<Result<Item, (Item, Error)>>,
}

impl Sorter<'_> {
    fn visit(&mut self, item: Item) {
        if expression_of(self.model, item).0.is_none() {
            return;
        }
        if self.state.contains_key(&item) {
            return;
        }
        self.state.insert(item, false);
        self.path.push(item);
        let references = references_of(self.model, item);
        for wished in references.perhaps {
            if !self.state.contains_key(&wished) && !needs(self.model, wished, item) {
                self.visit(wished);
            }
        }
        let mut circle = None;
        for needed in references.found {
            if self.state.get(&needed) == Some(&false) {
                let from = self.path.iter().position(|i| *i == needed).unwrap_or_default();
                let mut names: Vec<String> =
                    self.path[from..].iter().map(|i| name_of(self.model, *i)).collect();
                names.push(name_of(self.model, needed));
                circle = Some(Error::invalid(format!(
                    "A circular dependency was detected: {}.",
                    names.join(", ")
                )));
            } else {
                self.visit(needed);
            }
        }
        self.path.pop();
        self.state.insert(item, true);
        self.out.push(match circle {
            Some(e) => Err((item, e)),
            None => Ok(item),
        });
    }
}

/// The expression of an item, and the table whose rows it is evaluated in.
fn expression_of(model: &CompiledModel, item: Item) -> (Option<&Result<Expr>>, Option<TableId>) {
    match item {
        Item::Table(t) => (model.table(t).expression.as_ref(), None),
        Item::Column(c) => (model.column_info(c).expression.as_ref(), Some(c.table)),
    }
}

/// What an item needs: what it names, and of a column whose rows become filters the other ones that
/// are filtered.
fn references_of(model: &CompiledModel, item: Item) -> References<'_> {
    let mut references = named_by_item(model, item);
    if let Item::Column(column) = item {
        let others = filtered_columns(model, column);
        // A column made of this one does not filter it, but where it filters by its own rows as well.
        let is_needed = |other: &ColumnId| {
            !filtered_columns(model, *other).is_empty()
                || !reaches(Item::Column(*other), item, |next| named_by_item(model, next).found)
        };
        references.found.extend(others.into_iter().filter(is_needed).map(Item::Column));
    }
    references
}

fn named_by_item(model: &CompiledModel, item: Item) -> References<'_> {
    let (expression, home) = expression_of(model, item);
    let mut references = References::new(model, home);
    if let Some(Ok(e)) = expression {
        references.visit(e);
    }
    if let Item::Column(id) = item {
        references.found.insert(Item::Table(id.table));
    }
    references
}

fn filtered_columns(model: &CompiledModel, column: ColumnId) -> BTreeSet<ColumnId> {
    let expression = model.column_info(column).expression.as_ref();
    let Some(Ok(e)) = expression else { return BTreeSet::new() };
    columns_filtered(model, column, e)
}

/// Whether an item needs another one, over others too.
fn needs(model: &CompiledModel, item: Item, other: Item) -> bool {
    reaches(item, other, |next| references_of(model, next).found)
}

fn reaches(item: Item, other: Item, references: impl Fn(Item) -> BTreeSet<Item>) -> bool {
    let (mut open, mut seen) = (vec![item], BTreeSet::new());
    while let Some(next) = open.pop() {
        if next == other {
            return true;
        }
        if seen.insert(next) {
            open.extend(references(next));
        }
    }
    false
}

fn name_of(model: &CompiledModel, item: Item) -> String {
    match item {
        Item::Table(t) => model.table(t).name.clone(),
        Item::Column(c) => {
            format!("{}[{}]", model.table(c.table).name, model.column_info(c).name)
        }
    }
}

struct Work<'a> {
    model: &'a CompiledModel,
    context: &'a QueryContext,
    store: StoreVersion,
    /// Computed columns that the store does not have yet.
    pending: HashMap<TableId, Vec<(u32, ColumnData)>>,
    out: Calculated,
}

impl Work<'_> {
    fn fail(&mut self, item: Item, error: Error) {
        let object = name_of(self.model, item);
        self.out.failures.push(ObjectState { object, error: Some(error), place: None });
    }

    fn compute(&mut self, item: Item) -> Result<()> {
        let (Some(Ok(expression)), home) = expression_of(self.model, item) else { return Ok(()) };
        let own = home.map(Item::Table);
        let references = references_of(self.model, item);
        let failed =
            references.found.iter().filter(|needed| Some(**needed) != own).find(|needed| {
                let name = name_of(self.model, **needed);
                self.out.failures.iter().any(|f| f.object == name)
            });
        if let Some(needed) = failed {
            let name = name_of(self.model, *needed);
            self.fail(item, Error::invalid(format!("{name}, which it refers to, has an error.")));
            return Ok(());
        }
        self.settle()?;
        let done = match item {
            Item::Table(table) => self.table(table, expression),
            Item::Column(column) => self.column(column, expression),
        };
        match done {
            Ok(()) => Ok(()),
            Err(e) if e.kind.is_stop() && e.kind != ErrorKind::NestingLimit => Err(e),
            Err(e) if e.kind == ErrorKind::Limit => Err(e),
            Err(e) => {
                self.fail(item, e);
                Ok(())
            }
        }
    }

    /// Puts computed columns into the store.
    fn settle(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut tables = self.store.tables.clone();
        for (table, columns) in self.pending.drain() {
            let place = &mut tables[table.0 as usize];
            *place = Arc::new(place.with_columns(columns)?);
        }
        self.store = self.store.with_tables(tables, &self.model.relationship_defs());
        Ok(())
    }

    fn column(&mut self, column: ColumnId, expression: &Expr) -> Result<()> {
        let mut binder = Binder::new(self.model, &self.store, &[]);
        let rows = binder.model_table(column.table, false, expression.span);
        let node = binder.in_rows_of(column.table, expression)?;
        let evaluator = Evaluator::new(self.model, &self.store, self.context, false);
        let start = evaluator.start();
        let all = evaluator.table(&start, &rows)?;
        let values = row_values(&evaluator, &start, (column.table, &all), &node)?;
        let data = stored(&values, self.model.column_info(column).data_type, &evaluator.culture);
        self.pending.entry(column.table).or_default().push((column.column, data));
        self.out.columns.push((column, values));
        Ok(())
    }

    /// A table cannot have a column that waits for the table itself.
    fn check_is_computed(&self, table: TableId, schema: &[TableColumn]) -> Result<()> {
        let waits = |id: &ColumnId| {
            self.model.column_info(*id).expression.is_some()
                && !self.out.columns.iter().any(|(done, _)| done == id)
        };
        let Some(id) = schema.iter().filter_map(|c| c.lineage).find(waits) else { return Ok(()) };
        let (column, table) = (Item::Column(id), Item::Table(table));
        if !needs(self.model, column, table) {
            return Ok(());
        }
        let (column, table) = (name_of(self.model, column), name_of(self.model, table));
        Err(Error::invalid(format!(
            "A circular dependency was detected: {table}, {column}, {table}."
        )))
    }

    fn table(&mut self, table: TableId, expression: &Expr) -> Result<()> {
        let mut binder = Binder::new(self.model, &self.store, &[]);
        let node = binder.table(&Scope::default(), expression)?;
        self.check_is_computed(table, &node.schema())?;
        let evaluator = Evaluator::new(self.model, &self.store, self.context, false);
        let found = evaluator.table(&evaluator.start(), &node)?;
        let schema = node.schema();
        let columns = &self.model.table(table).columns;
        let mut data = Vec::new();
        for info in columns {
            let source = info.source.as_deref().unwrap_or(&info.name).to_lowercase();
            let is_it = |c: &TableColumn| {
                source_name(c).to_lowercase() == source || c.name.to_lowercase() == source
            };
            let at = schema.iter().position(is_it).filter(|_| info.expression.is_none());
            let values: Vec<Value> = match at {
                Some(at) => {
                    (0..found.rows.len).map(|r| found.rows.value(&self.store, at, r)).collect()
                }
                None => vec![Value::Blank; found.rows.len],
            };
            data.push(stored(&values, info.data_type, &evaluator.culture));
        }
        let batch = RowBatch { rows: found.rows.len, columns: data };
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type).collect();
        let place = table.0 as usize;
        let collation = self.store.table(table).collation();
        let mut tables = self.store.tables.clone();
        let made = TableData::from_batches(&types, collation, std::slice::from_ref(&batch))?;
        tables[place] = Arc::new(made);
        self.store = self.store.with_tables(tables, &self.model.relationship_defs());
        self.out.tables.push((table, vec![batch]));
        Ok(())
    }
}

/// Values in a column's type; those that do not convert are blank here and refused where they are
/// stored.
pub(crate) fn stored(values: &[Value], data_type: DataType, culture: &Culture) -> ColumnData {
    let mut out = ColumnData::empty(data_type);
    let own = out.data_type();
    for v in watched(values) {
        let converted = if v.is_blank() { Ok(Value::Blank) } else { convert(v, own, culture) };
        let value = converted.unwrap_or_default();
        if value.is_blank() || out.push(value).is_err() {
            out.push_blank();
        }
    }
    out
}
