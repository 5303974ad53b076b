//! Runs the DAX scripts of `tests/scripts` on a small star schema: queries, each followed by
//! `----` and the table it gives. The reference evaluator gives the same answers wherever it knows
//! all that a query names. Those in `calculated` are about a model with calculated objects and
//! roles, and may begin with `-- roles: A, B`; those in `mistakes` are refused.
//! `EVERCUBE_BLESS=1` with the tests named `written_answers` writes the engine's answers into the
//! files.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, Decimal, RowBatch};
use evercube_engine::{CompiledModel, Dataset, QueryContext, ResultCache, Rule, Rules};
use evercube_model::tabular::Database;
use evercube_store::{Packing, StoreVersion, TableData};
use evercube_testkit::coverage::Coverage;
use evercube_testkit::script::{answer, answer_with, computed, packed, run_folder};

const MODEL: &str = include_str!("scripts/retail.json");
const ADDITIONS: &str = include_str!("scripts/calculated/additions.json");

fn integers(v: &[i64]) -> ColumnData {
    ColumnData::Int64(v.iter().copied().map(Some).collect())
}

fn texts(v: &[&str]) -> ColumnData {
    ColumnData::String(v.iter().map(|t| (!t.is_empty()).then(|| Arc::from(*t))).collect())
}

fn amounts(v: &[i64]) -> ColumnData {
    ColumnData::Decimal(v.iter().map(|x| Decimal::from_int(*x)).collect())
}

fn table(columns: Vec<ColumnData>) -> Arc<TableData> {
    let types: Vec<DataType> = columns.iter().map(ColumnData::data_type).collect();
    let batch = RowBatch { rows: columns[0].len(), columns };
    Arc::new(TableData::from_batches(&types, Collation::default(), &[batch]).unwrap())
}

/// Six sales, one of them (product 9) without a product; two dates each; three products.
/// `added`: columns of the sales that are still blank.
fn sources(added: &[DataType]) -> Vec<Arc<TableData>> {
    let blank = |to: &DataType| {
        let mut column = ColumnData::empty(*to);
        (0..6).for_each(|_| column.push_blank());
        column
    };
    let mut sales = vec![
        integers(&[1, 1, 2, 3, 9, 2]),
        integers(&[20230, 20240, 20240, 20230, 20240, 20230]),
        integers(&[20240, 20240, 20240, 20230, 20240, 20230]),
        integers(&[1, 2, 3, 4, 5, 6]),
        amounts(&[10, 20, 30, 40, 50, 60]),
    ];
    sales.extend(added.iter().map(blank));
    vec![
        table(sales),
        table(vec![
            integers(&[1, 2, 3]),
            texts(&["Shirt", "Cap", "Bell"]),
            texts(&["Red", "RED", "Blue"]),
            integers(&[7, 7, 8]),
        ]),
        table(vec![integers(&[7, 8]), texts(&["Clothing", "Bikes"])]),
        table(vec![integers(&[20230, 20240]), integers(&[2023, 2024])]),
    ]
}

fn dataset(database: &Database, tables: Vec<Arc<TableData>>) -> Dataset {
    let model = CompiledModel::compile(database);
    let store = StoreVersion::new(tables, &model.relationship_defs()).unwrap();
    Dataset { model: Arc::new(model), store: Arc::new(store) }
}

fn retail() -> Dataset {
    let made = dataset(&serde_json::from_str(MODEL).unwrap(), sources(&[]));
    let bad: Vec<_> = made.model.states().iter().filter(|s| s.error.is_some()).collect();
    assert!(bad.is_empty(), "{bad:?}");
    made
}

/// The same with calculated columns and tables, calculation groups, and roles, one of them wrong.
fn calculated() -> Dataset {
    let mut json: serde_json::Value = serde_json::from_str(MODEL).unwrap();
    let more: serde_json::Value = serde_json::from_str(ADDITIONS).unwrap();
    let model = &mut json["model"];
    let append = |to: &mut serde_json::Value, from: &serde_json::Value| {
        to.as_array_mut().unwrap().extend(from.as_array().unwrap().clone());
    };
    append(&mut model["tables"], &more["tables"]);
    append(&mut model["tables"][0]["columns"], &more["columns"]);
    append(&mut model["tables"][0]["measures"], &more["measures"]);
    model["roles"] = more["roles"].clone();
    let database: Database = serde_json::from_value(json).unwrap();
    let compiled = Arc::new(CompiledModel::compile(&database));
    let bad: Vec<&str> =
        compiled.states().iter().filter(|s| s.error.is_some()).map(|s| &*s.object).collect();
    assert_eq!(bad, ["role 'Wrong'/table 'Product'"]);

    let types: Vec<DataType> =
        compiled.tables()[0].columns[5..].iter().map(|c| c.data_type).collect();
    let tables = computed(&compiled, sources(&types));
    dataset(&database, tables)
}

#[test]
fn engine_and_reference_give_the_written_answers() {
    let dataset = retail();
    let coverage = RefCell::new(Coverage::default());
    run_folder("tests/scripts", &dataset, |query, got| {
        coverage.borrow_mut().compare(&dataset, query, got);
    });
    // What the reference evaluator does not answer, and why.
    let refused = [
        // Its pages tell what it does for charts, not how its arguments go together.
        "ADDMISSINGITEMS",
        // Which filters cross a table is a question of their propagation, which is not its own.
        "ALLCROSSFILTERED",
        // How values are joined to a text is not evaluation either.
        "CONCATENATEX",
        // Rowsets are the service's.
        "INFO.TABLES",
        // How values are written down is text, not evaluation.
        "TOCSV",
        // The function's page promises an error, the engine gives a blank.
        "the spread of a sample of less than two",
        // Combinations of what is seen of each table are not made.
        "window functions over columns of several tables",
    ];
    coverage.into_inner().check(225, &refused);
}

/// With little memory an answer is the same or refused, never another.
#[test]
fn little_memory_changes_no_answer() {
    let dataset = retail();
    let refused = Cell::new(0);
    let cases = run_folder("tests/scripts", &dataset, |query, got| {
        let with_little = answer(&dataset, query, 48 * 7);
        match with_little.contains("memory one query may use") {
            true => refused.set(refused.get() + 1),
            false => assert_eq!(with_little, got, "{query}"),
        }
    });
    assert!(refused.get() * 2 < cases, "{} of {cases} refused", refused.get());
}

/// No optimization changes an answer: without one of them, and without all, it is the same.
#[test]
fn rules_change_no_answer() {
    let dataset = retail();
    let every =
        [Rules::none(), Rules::all()].into_iter().chain(Rule::ALL.map(|r| Rules::all().without(r)));
    let every: Vec<Rules> = every.collect();
    run_folder("tests/scripts", &dataset, |query, got| {
        for rules in &every {
            let context = QueryContext { rules: *rules, long_table: 0, ..QueryContext::default() };
            let found = answer_with(&dataset, query, usize::MAX, context);
            assert_eq!(found, got, "{rules:?}\n{query}");
        }
    });
}

/// Results kept from earlier queries change no answer, whichever roles the earlier ones had.
#[test]
fn kept_results_change_no_answer() {
    let dataset = calculated();
    let kept = Arc::new(ResultCache::new(64 << 20));
    for _ in 0..2 {
        run_folder("tests/scripts/calculated", &dataset, |query, got| {
            let context = QueryContext { kept: Some(Arc::clone(&kept)), ..QueryContext::default() };
            assert_eq!(answer_with(&dataset, query, usize::MAX, context), got, "{query}");
        });
    }
    assert!(kept.bytes() > 0);
}

/// How codes are packed, and into how many segments, changes no answer.
#[test]
fn packings_change_no_answer() {
    let dataset = retail();
    let every = [Packing::Shortest, Packing::Fixed, Packing::Runs, Packing::Bytes]
        .map(|p| (p, packed(&dataset, p)));
    run_folder("tests/scripts", &dataset, |query, got| {
        for (packing, dataset) in &every {
            assert_eq!(answer(dataset, query, usize::MAX), got, "{packing:?}\n{query}");
        }
    });
}

/// Neither the number of threads nor how many rows one of them takes at a time changes an answer:
/// parts of one row and of two, on threads of one, three and seven.
#[test]
fn parts_and_threads_change_no_answer() {
    let dataset = packed(&retail(), Packing::Shortest);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let every = [(1, pool(1)), (1, pool(3)), (2, pool(7))];
    run_folder("tests/scripts", &dataset, |query, got| {
        for (part, pool) in &every {
            let context =
                QueryContext { scan_part: *part, long_table: 0, ..QueryContext::default() };
            let found = pool.install(|| answer_with(&dataset, query, usize::MAX, context));
            assert_eq!(found, got, "parts of {part}, {pool:?}\n{query}");
        }
    });
}

/// What users get wrong is refused with one message that says what and where; the reference
/// evaluator is not as strict.
#[test]
fn mistakes_give_the_written_messages() {
    assert!(run_folder("tests/scripts/mistakes", &retail(), |_, _| ()) > 20);
}

#[test]
fn calculated_objects_and_roles_give_the_written_answers() {
    let dataset = calculated();
    let coverage = RefCell::new(Coverage::default());
    run_folder("tests/scripts/calculated", &dataset, |query, got| {
        coverage.borrow_mut().compare(&dataset, query, got);
    });
    // Statistics are of what is stored; columns of related tables are not looked up for windows.
    let refused = ["COLUMNSTATISTICS", "columns beyond the relation of a window function"];
    coverage.into_inner().check(49, &refused);
}
