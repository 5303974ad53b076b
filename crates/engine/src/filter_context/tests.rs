//! A small star with a snowflaked dimension, an orphan, a second (inactive) date relationship, a
//! two-way bridge and a limited relationship.

use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, RowBatch, Value};
use evercube_model::tabular::Database;
use evercube_store::TableData;

use super::*;

const MODEL: &str = r#"{ "name": "T", "model": {
  "tables": [
    { "name": "Sales", "columns": [
      { "name": "Product", "dataType": "int64" }, { "name": "Order", "dataType": "int64" },
      { "name": "Ship", "dataType": "int64" } ] },
    { "name": "Product", "columns": [
      { "name": "Key", "dataType": "int64" }, { "name": "Category", "dataType": "int64" } ] },
    { "name": "Category", "columns": [ { "name": "Key", "dataType": "int64" } ] },
    { "name": "Date", "columns": [ { "name": "Key", "dataType": "int64" } ] },
    { "name": "Budget", "columns": [ { "name": "Category", "dataType": "int64" } ] } ],
  "relationships": [
    { "name": "1", "fromTable": "Sales", "fromColumn": "Product", "toTable": "Product", "toColumn": "Key" },
    { "name": "2", "fromTable": "Product", "fromColumn": "Category", "toTable": "Category", "toColumn": "Key",
      "crossFilteringBehavior": "bothDirections" },
    { "name": "3", "fromTable": "Sales", "fromColumn": "Order", "toTable": "Date", "toColumn": "Key" },
    { "name": "4", "fromTable": "Sales", "fromColumn": "Ship", "toTable": "Date", "toColumn": "Key",
      "isActive": false },
    { "name": "5", "fromTable": "Budget", "fromColumn": "Category", "toTable": "Product",
      "toColumn": "Category", "fromCardinality": "many", "toCardinality": "many" } ] } }"#;

struct World {
    model: CompiledModel,
    store: StoreVersion,
}

fn table(columns: &[&[i64]]) -> Arc<TableData> {
    let data = columns.iter().map(|c| ColumnData::Int64(c.iter().copied().map(Some).collect()));
    let batch = RowBatch { columns: data.collect(), rows: columns[0].len() };
    let types = vec![DataType::Int64; columns.len()];
    Arc::new(TableData::from_batches(&types, Collation::default(), &[batch]).unwrap())
}

impl World {
    fn new() -> Self {
        let database: Database = serde_json::from_str(MODEL).unwrap();
        let model = CompiledModel::compile(&database);
        let tables = vec![
            // Product 99 of the fifth row does not exist.
            table(&[&[1, 1, 2, 3, 99], &[10, 11, 10, 11, 11], &[11, 12, 11, 12, 12]]),
            table(&[&[1, 2, 3], &[100, 100, 200]]),
            table(&[&[100, 200, 300]]),
            table(&[&[10, 11, 12]]),
            table(&[&[100, 200, 200]]),
        ];
        let store = StoreVersion::new(tables, &model.relationship_defs()).unwrap();
        Self { model, store }
    }

    fn equals(&self, table: &str, column: &str, values: &[i64]) -> Filter {
        let column = self.model.column(table, column).unwrap();
        let data = self.store.table(column.table).column(column.column);
        let mut codes = BitSet::new(data.cardinality() as usize, false);
        for v in values {
            codes.insert(data.code_of(&Value::Int(*v)).unwrap() as usize);
        }
        Filter::Column { column, codes: Arc::new(codes) }
    }

    /// Visible rows of a table; `blank` is its blank row.
    fn see(&self, context: &FilterContext, table: &str) -> String {
        let id = self.model.table_id(table).unwrap();
        let rows = Visibility { model: &self.model, store: &self.store }.rows(context, id);
        let n = self.store.table(id).rows();
        let name = |r: usize| if r == n { "blank".to_owned() } else { r.to_string() };
        rows.iter().map(name).collect::<Vec<_>>().join(" ")
    }
}

fn context(filters: Vec<Filter>) -> FilterContext {
    FilterContext { filters, ..FilterContext::default() }
}

#[test]
fn without_filters_everything_is_visible_and_only_some_tables_have_a_blank_row() {
    let w = World::new();
    let all = FilterContext::default();
    assert_eq!(w.see(&all, "Sales"), "0 1 2 3 4");
    assert_eq!(w.see(&all, "Product"), "0 1 2 blank");
    assert_eq!(w.see(&all, "Date"), "0 1 2");
}

#[test]
fn filters_flow_down_to_the_fact_over_every_step() {
    let w = World::new();
    let category = context(vec![w.equals("Category", "Key", &[100])]);
    assert_eq!(w.see(&category, "Product"), "0 1");
    assert_eq!(w.see(&category, "Sales"), "0 1 2");
    // Not up again from the fact.
    assert_eq!(w.see(&category, "Date"), "0 1 2");
    let both = context(vec![w.equals("Category", "Key", &[100]), w.equals("Date", "Key", &[10])]);
    assert_eq!(w.see(&both, "Sales"), "0 2");
}

#[test]
fn a_two_way_relationship_filters_its_one_side() {
    let w = World::new();
    let product = context(vec![w.equals("Product", "Key", &[3])]);
    assert_eq!(w.see(&product, "Category"), "1");
    let mut one_way = product;
    one_way.directions.push((RelationshipId(1), Direction::OneWay));
    // The blank row of the products brings one to the categories.
    assert_eq!(w.see(&one_way, "Category"), "0 1 2 blank");
    let mut off = context(vec![w.equals("Category", "Key", &[100])]);
    off.directions.push((RelationshipId(1), Direction::None));
    assert_eq!(w.see(&off, "Sales"), "0 1 2 3 4");
}

#[test]
fn rows_of_roles_reach_no_table_but_their_own() {
    let w = World::new();
    let product = w.model.table_id("Product").unwrap();
    let mut rows = BitSet::new(4, false);
    rows.insert(2);
    let alone = Filter::Rows {
        table: product,
        rows: Arc::new(rows),
        without: Vec::new(),
        relationships: None,
    };
    let mut seen = context(Vec::new());
    seen.secured = Arc::new(vec![alone]);
    assert_eq!(w.see(&seen, "Product"), "2");
    // Two ways for filters, one way for roles.
    assert_eq!(w.see(&seen, "Category"), "0 1 2 blank");
    // A filter goes through the rows that are there.
    seen.filters.push(w.equals("Product", "Category", &[100, 200]));
    assert_eq!(w.see(&seen, "Product"), "2");
    assert_eq!(w.see(&seen, "Category"), "1");
}

#[test]
fn filters_of_roles_flow_as_the_model_secures() {
    let w = World::new();
    let mut role = context(vec![w.equals("Product", "Key", &[3])]);
    role.by_security = true;
    assert_eq!(w.see(&role, "Sales"), "3");
    assert_eq!(w.see(&role, "Category"), "0 1 2 blank");
}

#[test]
fn the_blank_row_is_seen_by_a_filter_on_blank() {
    let w = World::new();
    let column = w.model.column("Product", "Key").unwrap();
    let cardinality = w.store.table(column.table).column(column.column).cardinality();
    let mut codes = BitSet::new(cardinality as usize, false);
    codes.insert(0);
    let blank = context(vec![Filter::Column { column, codes: Arc::new(codes) }]);
    assert_eq!(w.see(&blank, "Product"), "blank");
    assert_eq!(w.see(&blank, "Sales"), "4");
}

#[test]
fn an_inactive_relationship_takes_the_place_of_the_active_one() {
    let w = World::new();
    let mut date = context(vec![w.equals("Date", "Key", &[11])]);
    assert_eq!(w.see(&date, "Sales"), "1 3 4");
    date.used.push(RelationshipId(3));
    assert_eq!(w.see(&date, "Sales"), "0 2");
}

#[test]
fn a_limited_relationship_joins_by_value() {
    let w = World::new();
    let product = context(vec![w.equals("Product", "Key", &[3])]);
    assert_eq!(w.see(&product, "Budget"), "1 2");
}

#[test]
fn combinations_filter_together_and_their_projection_elsewhere() {
    let w = World::new();
    let product = w.model.column("Product", "Key").unwrap();
    let date = w.model.column("Date", "Key").unwrap();
    let code = |c: ColumnId, v: i64| {
        w.store.table(c.table).column(c.column).code_of(&Value::Int(v)).unwrap()
    };
    let pairs =
        vec![vec![code(product, 1), code(date, 11)], vec![code(product, 2), code(date, 10)]];
    let mut tuples =
        context(vec![Filter::Tuples { columns: vec![product, date], tuples: Arc::new(pairs) }]);
    assert_eq!(w.see(&tuples, "Sales"), "1 2");
    assert_eq!(w.see(&tuples, "Product"), "0 1");
    tuples.remove(&[date]);
    assert_eq!(w.see(&tuples, "Sales"), "0 1 2");
    tuples.remove(&[product]);
    assert!(tuples.filters.is_empty());
}
