//! Runs the DAX scripts of `tests/scripts` on a small star schema: queries, each followed by
//! `----` and the table it gives. `EVERCUBE_BLESS=1` writes the answers seen into the files.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, DateTime, Decimal, RowBatch};
use evercube_engine::{CompiledModel, scalar};
use evercube_store::{StoreVersion, TableData};
use evercube_testkit::reference::{Reference, Table};

const MODEL: &str = include_str!("scripts/retail.json");

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
fn retail() -> (CompiledModel, StoreVersion) {
    let database = serde_json::from_str(MODEL).unwrap();
    let model = CompiledModel::compile(&database);
    let bad: Vec<_> = model.states().iter().filter(|s| s.error.is_some()).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let tables = vec![
        table(vec![
            integers(&[1, 1, 2, 3, 9, 2]),
            integers(&[20230, 20240, 20240, 20230, 20240, 20230]),
            integers(&[20240, 20240, 20240, 20230, 20240, 20230]),
            integers(&[1, 2, 3, 4, 5, 6]),
            amounts(&[10, 20, 30, 40, 50, 60]),
        ]),
        table(vec![
            integers(&[1, 2, 3]),
            texts(&["Shirt", "Cap", "Bell"]),
            texts(&["Red", "RED", "Blue"]),
            integers(&[7, 7, 8]),
        ]),
        table(vec![integers(&[7, 8]), texts(&["Clothing", "Bikes"])]),
        table(vec![integers(&[20230, 20240]), integers(&[2023, 2024])]),
    ];
    let store = StoreVersion::new(tables, &model.relationship_defs()).unwrap();
    (model, store)
}

fn print(reference: &Reference<'_>, table: &Table) -> String {
    let names: Vec<String> = table.columns.iter().map(|c| reference.shown_name(c)).collect();
    let mut out = names.join(" | ");
    for row in &table.rows {
        let cells = row.iter().map(|v| match v {
            v if v.is_blank() => "(blank)".to_owned(),
            v => scalar::to_text(v),
        });
        write!(out, "\n{}", cells.collect::<Vec<_>>().join(" | ")).unwrap();
    }
    out
}

fn run(model: &CompiledModel, store: &StoreVersion, query: &str) -> String {
    let now = DateTime::from_ymd(2024, 6, 15).unwrap();
    let mut reference = Reference::new(model, store, now);
    match reference.query(query) {
        Ok(tables) => {
            let all: Vec<String> = tables.iter().map(|t| print(&reference, t)).collect();
            all.join("\n\n")
        }
        Err(e) => format!("error: {e}"),
    }
}

#[test]
fn scripts_give_their_answers() {
    let (model, store) = retail();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
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
            let got = run(&model, &store, query);
            cases += 1;
            if got.trim() != expected.trim() {
                wrong.push(format!(
                    "{}\n{query}\nexpected\n{expected}\ngot\n{got}\n",
                    file.display()
                ));
            }
            blessed.push(format!("{}\n----\n{got}", query.trim_end()));
        }
        if bless {
            std::fs::write(&file, format!("{}\n", blessed.join("\n\n====\n\n"))).unwrap();
        }
    }
    assert!(cases > 20, "only {cases} cases were found");
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n"));
}
