// Runs the DAX scripts of `tests/scripts` on a small star schema: queries, each followed by
// `----` and the table it gives. The engine and the reference evaluator give the same answers to
// those in the folder itself; those in `calculated` are about a model with calculated objects and
// roles, which the reference evaluator does not know, and may begin with `-- roles: A, B`.
// `EVERCUBE_BLESS=1` with the tests named `written_answers` writes the engine's answers into the
// files.

#![allow(dead_code, unused_imports)]
use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use evercube_base::{
    Collation, ColumnData, DataType, DateTime, Decimal, ErrorKind, RowBatch, Value,
};
use evercube_engine::{
    CompiledModel, Dataset, QueryContext, ResultCache, ResultTable, Rule, Rules, calculate, query,
    scalar,
};
use evercube_model::tabular::Database;
use evercube_store::{Packing, RowGroup, SegmentBuilder, StoreVersion, TableData};
use evercube_testkit::reference::{Reference, Table};
use evercube_work::{Limits, Work};

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

    let types = |t: usize| -> Vec<DataType> {
        compiled.tables()[t].columns.iter().map(|c| c.data_type).collect()
    };
    let mut tables = sources(&types(0)[5..]);
    for t in tables.len()..compiled.tables().len() {
        let empty = TableData::from_batches(&types(t), Collation::default(), &[]).unwrap();
        tables.push(Arc::new(empty));
    }
    let found = calculate(&compiled, tables.clone(), &QueryContext::default()).unwrap();
    assert!(found.failures.is_empty(), "{:?}", found.failures);
    for (id, batches) in found.tables {
        let of = types(id.0 as usize);
        let made = TableData::from_batches(&of, Collation::default(), &batches).unwrap();
        tables[id.0 as usize] = Arc::new(made);
    }
    for (id, values) in found.columns {
        let mut data = ColumnData::empty(compiled.column_info(id).data_type);
        values.into_iter().for_each(|v| data.push(v).unwrap());
        let place = &mut tables[id.table.0 as usize];
        *place = Arc::new(place.with_columns(vec![(id.column, data)]).unwrap());
    }
    dataset(&database, tables)
}

fn print(names: &[String], rows: &[Vec<Value>]) -> String {
    let mut out = names.join(" | ");
    for row in rows {
        let cells = row.iter().map(|v| match v {
            v if v.is_blank() => "(blank)".to_owned(),
            v => scalar::to_text(v),
        });
        write!(out, "\n{}", cells.collect::<Vec<_>>().join(" | ")).unwrap();
    }
    out
}

/// Whether a client that reads the column's type can read the value: any number as a double, and
/// whole ones as fixed decimals.
fn fits(value: &Value, to: DataType) -> bool {
    use DataType as D;
    match value {
        Value::Blank => true,
        Value::Int(_) => matches!(to, D::Int64 | D::Decimal | D::Double | D::Variant),
        Value::Decimal(_) => matches!(to, D::Decimal | D::Double | D::Variant),
        Value::Double(_) => matches!(to, D::Double | D::Variant),
        Value::DateTime(_) => matches!(to, D::DateTime | D::Variant),
        Value::Boolean(_) => matches!(to, D::Boolean | D::Variant),
        Value::String(_) => matches!(to, D::String | D::Variant),
    }
}

fn now() -> DateTime {
    DateTime::from_ymd(2024, 6, 15).unwrap()
}

/// The reference evaluator's answer; `None` where it says that it does not know something.
fn refer(dataset: &Dataset, text: &str) -> Option<String> {
    let mut reference = Reference::new(&dataset.model, &dataset.store, now());
    match reference.query(text) {
        Ok(tables) => {
            let shown = |t: &Table| {
                let names: Vec<String> =
                    t.columns.iter().map(|c| reference.shown_name(c)).collect();
                print(&names, &t.rows)
            };
            Some(tables.iter().map(shown).collect::<Vec<_>>().join("\n\n"))
        }
        Err(e) if e.kind == ErrorKind::Unsupported => None,
        Err(_) => Some("error".to_owned()),
    }
}

fn answer(dataset: &Dataset, text: &str, memory_limit: usize) -> String {
    answer_with(dataset, text, memory_limit, QueryContext::default())
}

fn answer_with(
    dataset: &Dataset,
    text: &str,
    memory_limit: usize,
    context: QueryContext,
) -> String {
    let asked = text.lines().next().and_then(|l| l.strip_prefix("-- roles: "));
    let roles = asked.map(|r| r.split(", ").map(str::to_owned).collect()).unwrap_or_default();
    let context = QueryContext { roles, now: now(), ..context };
    let work = Work::new(Limits { memory: memory_limit, ..Limits::default() });
    match Arc::new(work).run(|| query(dataset, text, &context)) {
        Ok(found) => {
            let shown = |t: &ResultTable| {
                for row in &t.rows {
                    for (v, c) in row.iter().zip(&t.columns) {
                        if !fits(v, c.data_type) {
                            println!("!!! {v:?} is no {:?}", c.data_type);
                        }
                    }
                }
                let names: Vec<String> = t.columns.iter().map(|c| c.name.clone()).collect();
                print(&names, &t.rows)
            };
            found.results.iter().map(shown).collect::<Vec<_>>().join("\n\n")
        }
        Err(e) => format!("error: {e}"),
    }
}

/// Runs every script of a folder; gives the number of cases.
fn run_folder(folder: &str, dataset: &Dataset, check: impl Fn(&str, &str)) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let bless = std::env::var_os("EVERCUBE_BLESS").is_some();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "dax"));
    files.sort();
    let (mut cases, mut wrong) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut blessed = Vec::new();
        for block in text.split("\n\n====\n\n") {
            let (query, expected) = block.split_once("\n----\n").unwrap_or((block, ""));
            let got = answer(dataset, query, usize::MAX);
            cases += 1;
            if got.trim() != expected.trim() {
                wrong.push(format!(
                    "{}\n{query}\nexpected\n{expected}\ngot\n{got}\n",
                    file.display()
                ));
            }
            check(query, &got);
            blessed.push(format!("{}\n----\n{got}", query.trim_end()));
        }
        if bless {
            std::fs::write(&file, format!("{}\n", blessed.join("\n\n====\n\n"))).unwrap();
        }
    }
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n"));
    cases
}

#[allow(dead_code)]
fn engine_and_reference_give_the_written_answers() {
    let dataset = retail();
    let compared = Cell::new(0);
    let cases = run_folder("tests/scripts", &dataset, |query, got| {
        let Some(expected) = refer(&dataset, query) else { return };
        compared.set(compared.get() + 1);
        let is_same = got == expected || (expected == "error" && got.starts_with("error"));
        assert!(is_same, "{query}\nengine\n{got}\nreference\n{expected}");
    });
    assert!(cases > 20 && compared.get() > 20, "{cases} cases, {} compared", compared.get());
}

/// With little memory an answer is the same or refused, never another.
#[allow(dead_code)]
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
#[allow(dead_code)]
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
#[allow(dead_code)]
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

/// The same rows in two segments to a table, their codes packed in one way.
fn packed(dataset: &Dataset, packing: Packing) -> Dataset {
    let tables = dataset.store.tables.iter().map(|table| {
        let of = |i: usize| table.column(i as u32);
        let types: Vec<DataType> = (0..table.columns()).map(|i| of(i).data_type()).collect();
        let half = table.rows().div_ceil(2);
        let groups = [0..half, half..table.rows()].map(|rows| {
            let column = |i: usize| {
                let mut data = ColumnData::empty(types[i]);
                rows.clone().for_each(|r| data.push(of(i).value(of(i).code(r))).unwrap());
                data
            };
            let columns = (0..types.len()).map(column).collect();
            let mut builder = SegmentBuilder::new(&types, table.collation()).packed(packing);
            builder.push(&RowBatch { columns, rows: rows.len() }).unwrap();
            RowGroup::whole(Arc::new(builder.finish()))
        });
        Arc::new(TableData::from_groups(&types, table.collation(), &groups).unwrap())
    });
    let store = StoreVersion::new(tables.collect(), &dataset.model.relationship_defs()).unwrap();
    Dataset { model: Arc::clone(&dataset.model), store: Arc::new(store) }
}

/// How codes are packed, and into how many segments, changes no answer.
#[allow(dead_code)]
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

#[allow(dead_code)]
fn calculated_objects_and_roles_give_the_written_answers() {
    assert!(run_folder("tests/scripts/calculated", &calculated(), |_, _| ()) > 10);
}

#[test]
fn probe() {
    let text = std::fs::read_to_string(std::env::var("PROBE").unwrap()).unwrap();
    let dataset = if std::env::var_os("PLAIN").is_some() { retail() } else { calculated() };
    for block in text.split("\n\n====\n\n") {
        let query = block.split_once("\n----\n").map_or(block, |(q, _)| q).trim();
        println!("{query}\n    {}", answer(&dataset, query, usize::MAX).replace("\n", "\n    "));
        if std::env::var_os("PLAIN").is_some()
            && let Some(r) = refer(&dataset, query)
        {
            println!("  R {}", r.replace("\n", "\n    "));
        }
    }
}
