//! That expressions over a long table are answered by scans: no operator is evaluated for each of
//! its rows, or for each value of a column of many, and contexts are not scanned for one by one.

use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, Decimal, RowBatch, Value};
use evercube_engine::{CompiledModel, Dataset, QueryContext, Rule, Rules, explain, query};
use evercube_model::tabular::Database;
use evercube_store::{StoreVersion, TableData};

const MODEL: &str = include_str!("scripts/retail.json");
const ROWS: i64 = 20_000;
const YEARS: i64 = 24;
/// More cells than any of the questions has by what it shows.
const MANY: u64 = 1000;

fn integers(n: i64, value: impl Fn(i64) -> i64) -> ColumnData {
    ColumnData::Int64((0..n).map(|i| Some(value(i))).collect())
}

fn texts(v: &[&str]) -> ColumnData {
    ColumnData::String(v.iter().map(|t| Some(Arc::from(*t))).collect())
}

fn table(columns: Vec<ColumnData>) -> Arc<TableData> {
    let types: Vec<DataType> = columns.iter().map(ColumnData::data_type).collect();
    let batch = RowBatch { rows: columns[0].len(), columns };
    Arc::new(TableData::from_batches(&types, Collation::default(), &[batch]).unwrap())
}

fn retail() -> Dataset {
    let database: Database = serde_json::from_str(MODEL).unwrap();
    let model = CompiledModel::compile(&database);
    let amounts = (0..ROWS).map(|i| Decimal::from_int(i % 91)).collect();
    let tables = vec![
        table(vec![
            integers(ROWS, |i| i % 3 + 1),
            integers(ROWS, |i| i % YEARS),
            integers(ROWS, |i| i * 7 % YEARS),
            integers(ROWS, |i| i * 3),
            ColumnData::Decimal(amounts),
        ]),
        table(vec![
            integers(3, |i| i + 1),
            texts(&["Shirt", "Cap", "Bell"]),
            texts(&["Red", "Green", "Blue"]),
            integers(3, |i| 7 + i % 2),
        ]),
        table(vec![integers(2, |i| 7 + i), texts(&["Clothing", "Bikes"])]),
        table(vec![integers(YEARS, |i| i), integers(YEARS, |i| 2000 + i)]),
    ];
    let store = StoreVersion::new(tables, &model.relationship_defs()).unwrap();
    Dataset { model: Arc::new(model), store: Arc::new(store) }
}

#[test]
fn no_row_is_looked_at_for_itself() {
    let dataset = retail();
    let questions = [
        "EVALUATE ROW ( \"x\", SUMX ( Sales, SWITCH ( RELATED ( Product[Color] ), \"red\", 3, 1 ) * Sales[Amount] ) )",
        "EVALUATE ROW ( \"x\", AVERAGEX ( Sales, IF ( Sales[ProductKey] > 1, Sales[Line], Sales[OrderDate] ) * 2 ) )",
        "EVALUATE GROUPBY ( Sales, Category[Category], \"x\", SUMX ( CURRENTGROUP (), Sales[Amount] ), \"n\", COUNTROWS ( CURRENTGROUP () ) )",
        "EVALUATE SUMMARIZECOLUMNS ( FILTER ( KEEPFILTERS ( VALUES ( Sales[Line] ) ), AND ( Sales[Line] >= 5, NOT ( Sales[Line] = 9 ) ) ), \"x\", [Total] )",
        "DEFINE VAR Some = FILTER ( ALL ( Sales[Line] ), Sales[Line] < 50 || Sales[Line] > 500 ) EVALUATE SUMMARIZECOLUMNS ( 'Date'[Year], Some, \"x\", [Total] )",
        "EVALUATE ROW ( \"x\", CALCULATE ( [Total], Sales[Line] >= 100, Sales[Line] < 9000 ) )",
        "EVALUATE SUMMARIZECOLUMNS ( 'Date'[Year], \"new\", COUNTROWS ( EXCEPT ( VALUES ( Sales[ProductKey] ), CALCULATETABLE ( VALUES ( Sales[ProductKey] ), FILTER ( ALL ( 'Date' ), 'Date'[Year] < MIN ( 'Date'[Year] ) ) ) ) ) )",
    ];
    for question in questions {
        let (_, how) = explain(&dataset, question, &QueryContext::default()).unwrap();
        let heavy: Vec<_> = how.operators.iter().filter(|o| o.cells > MANY).collect();
        assert!(heavy.is_empty(), "{question}: {heavy:?}");
        assert!(how.fallbacks.is_empty(), "{question}: {:?}", how.fallbacks);
    }
}

/// What a question gives, and the cells that the busiest operator had.
fn asked(dataset: &Dataset, question: &str, rules: Rules) -> (Vec<Vec<Value>>, u64) {
    let context = QueryContext { rules, ..QueryContext::default() };
    let found = query(dataset, question, &context).unwrap();
    let (_, how) = explain(dataset, question, &context).unwrap();
    let rows = found.results.iter().flat_map(|t| t.rows.clone()).collect();
    (rows, how.operators.iter().map(|o| o.cells).max().unwrap_or_default())
}

#[test]
fn the_first_rows_are_found_among_the_groups_of_the_first_values() {
    let dataset = retail();
    let questions = [
        "EVALUATE TOPN ( 5, SUMMARIZECOLUMNS ( Sales[Line], Product[Name], \"t\", [Total] ), Sales[Line], ASC )",
        "EVALUATE TOPN ( 7, SUMMARIZECOLUMNS ( 'Date'[Year], Sales[Line], \"t\", [Total] ), Sales[Line], DESC, 'Date'[Year], ASC )",
        // The first values have no rows, which takes more of them.
        "EVALUATE TOPN ( 3, SUMMARIZECOLUMNS ( Sales[Line], TREATAS ( { \"Cap\" }, Product[Name] ), TREATAS ( { 2003 }, 'Date'[Year] ), \"n\", COUNTROWS ( Sales ) ), Sales[Line], ASC )",
        "EVALUATE TOPN ( 2, SUMMARIZECOLUMNS ( Sales[Line], \"t\", [Total], \"m\", DIVIDE ( [Total], MAX ( Sales[OrderDate] ) ) ), Sales[Line], DESC )",
    ];
    for question in questions {
        let (rows, cells) = asked(&dataset, question, Rules::all());
        let (all_rows, of_all) = asked(&dataset, question, Rules::all().without(Rule::FirstGroups));
        assert_eq!(rows, all_rows, "{question}");
        assert!(cells <= of_all && cells < MANY, "{question}: {cells} of {of_all} cells");
    }
    let by_measure = "EVALUATE TOPN ( 2, SUMMARIZECOLUMNS ( Sales[Line], \"t\", [Total] ), [t], DESC, Sales[Line], ASC )";
    let (rows, _) = asked(&dataset, by_measure, Rules::all());
    assert_eq!(rows.len(), 2);
}

#[test]
fn sums_over_rows_are_scans_and_not_a_cell_for_each_row() {
    let dataset = retail();
    let questions = [
        "EVALUATE SUMMARIZECOLUMNS ( Product[Name], \"x\", SUMX ( 'Date', [Total] * 'Date'[Year] ) )",
        "EVALUATE SUMMARIZECOLUMNS ( Product[Name], \"x\", SUMX ( VALUES ( 'Date'[Key] ), 3 * [Total] * CALCULATE ( MAX ( 'Date'[Year] ) ) ) )",
        "EVALUATE SUMMARIZECOLUMNS ( Product[Name], \"x\", AVERAGEX ( 'Date', [Total] ), \"n\", COUNTROWS ( FILTER ( 'Date', [Total] > 25000 ) ) )",
    ];
    for question in questions {
        let (rows, cells) = asked(&dataset, question, Rules::all());
        assert_eq!(rows, asked(&dataset, question, Rules::none()).0, "{question}");
        assert!(cells < YEARS as u64, "{question}: {cells} cells");
    }
}

#[test]
fn set_operations_over_a_column_have_no_row_for_each_value() {
    let dataset = retail();
    let before = "CALCULATETABLE ( VALUES ( Sales[Line] ), FILTER ( ALL ( 'Date' ), 'Date'[Year] < MIN ( 'Date'[Year] ) ) )";
    let questions = [
        format!(
            "EVALUATE SUMMARIZECOLUMNS ( 'Date'[Year], \"x\", COUNTROWS ( EXCEPT ( VALUES ( Sales[Line] ), {before} ) ) )"
        ),
        format!(
            "EVALUATE ADDCOLUMNS ( VALUES ( 'Date'[Year] ), \"x\", VAR earlier = {before} RETURN COUNTROWS ( DISTINCT ( UNION ( earlier, VALUES ( Sales[Line] ) ) ) ) )"
        ),
    ];
    for question in questions {
        let context = QueryContext::default();
        let (_, how) = explain(&dataset, &question, &context).unwrap();
        let rows = how.operators.iter().map(|o| o.rows).max().unwrap_or_default();
        assert!(rows < MANY, "{question}: {rows} rows");
        let without = Rules::all().without(Rule::ValueSets);
        let alike = asked(&dataset, &question, Rules::all()).0;
        assert_eq!(alike, asked(&dataset, &question, without).0, "{question}");
    }
}
