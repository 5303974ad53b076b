//! Scripts of DAX queries with the tables they give, and small models to run them on.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, DateTime, RowBatch, Value};
use evercube_engine::scalar::Culture;
use evercube_engine::{
    CompiledModel, Dataset, QueryContext, ResultTable, calculate, query, scalar,
};
use evercube_model::tabular::Database;
use evercube_store::{Packing, RowGroup, SegmentBuilder, StoreVersion, TableData};
use evercube_work::{Limits, Work};
use serde_json::Value as Json;

/// A table as scripts write it.
pub fn print(names: &[String], rows: &[Vec<Value>]) -> String {
    let mut out = names.join(" | ");
    for row in rows {
        let cells = row.iter().map(|v| match v {
            v if v.is_blank() => "(blank)".to_owned(),
            v => scalar::plain_text(v),
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

/// When the queries of scripts run.
pub fn now() -> DateTime {
    DateTime::from_ymd(2024, 6, 15).unwrap()
}

pub fn answer(dataset: &Dataset, text: &str, memory_limit: usize) -> String {
    answer_with(dataset, text, memory_limit, QueryContext::default())
}

/// What a query's first line says of its caller or its model.
fn told<'a>(query: &'a str, what: &str) -> Option<&'a str> {
    query.lines().next().and_then(|l| l.strip_prefix(what))
}

/// The roles that a query's first line names, as `-- roles: A, B`.
pub fn roles_of(query: &str) -> Vec<String> {
    let asked = told(query, "-- roles: ");
    asked.map(|r| r.split(", ").map(str::to_owned).collect()).unwrap_or_default()
}

/// The model's culture that a query's first line names, as `-- culture: de-DE`.
pub fn culture_of(query: &str) -> Option<&str> {
    told(query, "-- culture: ")
}

pub fn answer_with(
    dataset: &Dataset,
    text: &str,
    memory_limit: usize,
    context: QueryContext,
) -> String {
    let roles = roles_of(text);
    let locale = culture_of(text).map_or(context.locale, str::to_owned);
    let context = QueryContext { roles, locale, now: now(), ..context };
    let work = Work::new(Limits { memory: memory_limit, ..Limits::default() });
    match Arc::new(work).run(|| query(dataset, text, &context)) {
        Ok(found) => {
            let shown = |t: &ResultTable| {
                for row in &t.rows {
                    for (v, c) in row.iter().zip(&t.columns) {
                        assert!(fits(v, c.data_type), "{v:?} is no {:?}\n{text}", c.data_type);
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
pub fn run_folder(folder: &str, dataset: &Dataset, check: impl Fn(&str, &str)) -> usize {
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

/// The same rows in two segments to a table, their codes packed in one way.
pub fn packed(dataset: &Dataset, packing: Packing) -> Dataset {
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

/// The tables of a model with what is computed, over their source data: calculated columns blank,
/// calculated tables missing.
pub fn computed(
    model: &Arc<CompiledModel>,
    mut tables: Vec<Arc<TableData>>,
) -> Vec<Arc<TableData>> {
    let types = |t: usize| -> Vec<DataType> {
        model.tables()[t].columns.iter().map(|c| c.data_type).collect()
    };
    for t in tables.len()..model.tables().len() {
        let empty = TableData::from_batches(&types(t), Collation::default(), &[]).unwrap();
        tables.push(Arc::new(empty));
    }
    let found = calculate(model, tables.clone(), &QueryContext::default()).unwrap();
    assert!(found.failures.is_empty(), "{:?}", found.failures);
    for (id, batches) in found.tables {
        let of = types(id.0 as usize);
        let made = TableData::from_batches(&of, Collation::default(), &batches).unwrap();
        tables[id.0 as usize] = Arc::new(made);
    }
    for (id, values) in found.columns {
        let mut data = ColumnData::empty(model.column_info(id).data_type);
        values.into_iter().for_each(|v| data.push(v).unwrap());
        let place = &mut tables[id.table.0 as usize];
        *place = Arc::new(place.with_columns(vec![(id.column, data)]).unwrap());
    }
    tables
}

/// A value of a model's data.
fn value(json: &Json, to: DataType) -> Value {
    match json {
        Json::Null => Value::Blank,
        Json::Bool(b) => Value::Boolean(*b),
        Json::Number(n) => {
            let v = n.as_i64().map_or_else(|| Value::Double(n.as_f64().unwrap()), Value::Int);
            scalar::convert(&v, to, &Culture::UNITED_STATES).unwrap()
        }
        Json::String(s) if to == DataType::DateTime => {
            Value::DateTime(DateTime::parse_iso(s).unwrap())
        }
        other => Value::from(other.as_str().unwrap()),
    }
}

/// A topic's model with its data. The file has the database and beside it `data`: for each table
/// that is not calculated its source columns and their values, or `days`, the first and the last
/// of a column of all days between.
pub fn topic(text: &str) -> Dataset {
    let mut json: Json = serde_json::from_str(text).unwrap();
    let data = json.as_object_mut().unwrap().remove("data").unwrap();
    let database: Database = serde_json::from_value(json).unwrap();
    let model = Arc::new(CompiledModel::compile(&database));
    let bad: Vec<_> = model.states().iter().filter(|s| s.error.is_some()).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let made = model.tables().iter().take_while(|t| t.expression.is_none()).map(|table| {
        let given = &data[&table.name];
        let days = given["days"].as_array().map(|d| {
            let of = |i: usize| DateTime::parse_iso(d[i].as_str().unwrap()).unwrap().days();
            (of(0)..=of(1)).map(|d| Value::DateTime(DateTime::from_days(d))).collect::<Vec<_>>()
        });
        let rows = match &days {
            Some(days) => days.len(),
            None => given.as_object().unwrap().values().next().unwrap().as_array().unwrap().len(),
        };
        let columns: Vec<ColumnData> = (0..table.columns.len())
            .map(|i| {
                let info = &table.columns[i];
                let mut column = ColumnData::empty(info.data_type);
                let values: Vec<Value> = match (&days, given[&info.name].as_array()) {
                    (Some(days), _) if i == 0 => days.clone(),
                    (_, Some(values)) => values.iter().map(|v| value(v, info.data_type)).collect(),
                    (_, None) => vec![Value::Blank; rows],
                };
                assert_eq!(values.len(), rows, "{}[{}]", table.name, info.name);
                values.into_iter().for_each(|v| column.push(v).unwrap());
                column
            })
            .collect();
        let types: Vec<DataType> = columns.iter().map(ColumnData::data_type).collect();
        let batch = RowBatch { rows, columns };
        Arc::new(TableData::from_batches(&types, Collation::default(), &[batch]).unwrap())
    });
    let tables = computed(&model, made.collect());
    let store = StoreVersion::new(tables, &model.relationship_defs()).unwrap();
    Dataset { model, store: Arc::new(store) }
}
