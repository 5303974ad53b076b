//! Runs the examples of `tests/functions`: one `expression => result` or `query => rows` a line,
//! over a small shop. Every function of the registry has an example there, and the page about the
//! functions is made from the registry and the examples. `EVERCUBE_BLESS=1` writes both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evercube_base::{
    Collation, ColumnData, ColumnKind, DataType, DateTime, Decimal, Rowset, RowsetColumn, Value,
};
use evercube_dax::ast::{DefinitionKind, Expr, ExprKind, UnaryOperator};
use evercube_engine::functions::{self, FunctionDef, ReturnType};
use evercube_engine::{CompiledModel, Dataset, QueryContext, RowsetSource, query, scalar};
use evercube_model::ids::ObjectIds;
use evercube_model::tabular::Database;
use evercube_model::tmschema::{self, ModelFacts};
use evercube_store::{StoreVersion, TableData};

const MODEL: &str = include_str!("functions/shop.json");

fn date(text: &str) -> DateTime {
    DateTime::parse_iso(text).unwrap()
}

/// A column of values written as literals.
fn column(of: DataType, values: &[&str]) -> ColumnData {
    let mut out = ColumnData::empty(of);
    for v in values {
        let v = scalar::convert(&literal(v), of, &scalar::Culture::UNITED_STATES).unwrap();
        out.push(v).unwrap();
    }
    out
}

fn table(columns: Vec<ColumnData>) -> Arc<TableData> {
    let types: Vec<DataType> = columns.iter().map(ColumnData::data_type).collect();
    let batch = evercube_base::RowBatch { rows: columns[0].len(), columns };
    Arc::new(TableData::from_batches(&types, Collation::default(), &[batch]).unwrap())
}

/// The days of two years.
fn dates() -> Arc<TableData> {
    let first = date("2023-01-01").days();
    let days: Vec<DateTime> = (0..731).map(|d| DateTime::from_days(first + d)).collect();
    let numbers =
        |f: fn(&DateTime) -> i64| ColumnData::Int64(days.iter().map(|d| Some(f(d))).collect());
    let mut of_date = ColumnData::empty(DataType::DateTime);
    days.iter().for_each(|d| of_date.push(Value::DateTime(*d)).unwrap());
    table(vec![of_date, numbers(|d| i64::from(d.ymd().0)), numbers(|d| i64::from(d.ymd().1))])
}

fn sales() -> Arc<TableData> {
    use DataType as D;
    table(vec![
        column(
            D::DateTime,
            &[
                "#2023-01-15#",
                "#2023-02-10#",
                "#2023-12-31#",
                "#2024-01-15#",
                "#2024-02-29#",
                "#2024-03-01#",
            ],
        ),
        column(D::Int64, &["1", "2", "1", "3", "2", "3"]),
        column(D::Int64, &["2", "1", "3", "4", "5", "BLANK"]),
        column(D::Decimal, &["10", "20", "30", "40", "50", "60"]),
        column(D::Double, &["0.5", "1.5", "2.5", "-1.0", "4.0", "BLANK"]),
        column(D::String, &["\"a\"", "\"b\"", "BLANK", "\"d\"", "\"A\"", "\"f\""]),
        column(D::Boolean, &["TRUE", "FALSE", "TRUE", "FALSE", "TRUE", "BLANK"]),
    ])
}

fn products() -> Arc<TableData> {
    use DataType as D;
    table(vec![
        column(D::Int64, &["1", "2", "3", "4"]),
        column(D::String, &["\"Shirt\"", "\"Cap\"", "\"Bell\"", "\"Sock\""]),
        column(D::String, &["\"Red\"", "\"Red\"", "\"Blue\"", "BLANK"]),
        column(D::Int64, &["BLANK", "1", "2", "1"]),
    ])
}

struct Facts;

impl ModelFacts for Facts {
    fn state(&self, _: &str) -> Option<String> {
        None
    }
    fn refreshed(&self, _: &str, _: &str) -> Option<DateTime> {
        None
    }
    fn modified(&self) -> DateTime {
        date("2024-06-15")
    }
    fn structure_modified(&self) -> DateTime {
        date("2024-06-15")
    }
    fn version(&self) -> u64 {
        1
    }
}

/// The model's own rowsets; those the server makes have one row with their name.
fn rowsets(database: &Database) -> RowsetSource {
    let database = database.clone();
    RowsetSource::new(move |name, _| {
        let own = tmschema::rowset(name, &database, &ObjectIds::default(), &Facts);
        Ok(own.unwrap_or_else(|| {
            let mut other = Rowset::new(name, vec![RowsetColumn::new("Name", ColumnKind::String)]);
            other.push(&[("Name", Value::from(name))]);
            other
        }))
    })
}

struct Shop {
    dataset: Dataset,
    context: QueryContext,
}

fn shop() -> Shop {
    let database: Database = serde_json::from_str(MODEL).unwrap();
    let model = CompiledModel::compile(&database);
    let bad: Vec<_> = model.states().iter().filter(|s| s.error.is_some()).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let views = table(vec![column(
        DataType::String,
        &["\"Twice\"", "\"Name\"", "\"Is total\"", "\"Format\""],
    )]);
    let tables = vec![dates(), sales(), products(), views];
    let store = StoreVersion::new(tables, &model.relationship_defs()).unwrap();
    let context = QueryContext {
        user: "ann@example.com".into(),
        now: date("2024-06-15T10:20:30"),
        utc_now: date("2024-06-15T08:20:30"),
        rowsets: Some(rowsets(&database)),
        ..QueryContext::default()
    };
    Shop { dataset: Dataset { model: Arc::new(model), store: Arc::new(store) }, context }
}

fn is_query(example: &str) -> bool {
    example.starts_with("EVALUATE ") || example.starts_with("DEFINE ")
}

fn query_text(example: &str) -> String {
    if is_query(example) { example.to_owned() } else { format!("EVALUATE {{ {example} }}") }
}

/// `12`, `1.5`, `$1.5` for a fixed decimal, `"text"`, `TRUE`, `#2024-01-31#`, `BLANK`.
fn shown(v: &Value) -> String {
    match v {
        Value::Blank => "BLANK".to_owned(),
        Value::Boolean(b) => b.to_string().to_uppercase(),
        Value::Int(i) => i.to_string(),
        Value::Decimal(d) => format!("${d}"),
        Value::Double(f) => format!("{f:?}"),
        Value::DateTime(d) => format!("#{}#", d.to_string().trim_end_matches("T00:00:00")),
        Value::String(s) => format!("\"{}\"", s.replace('"', "\"\"").replace('\n', "\\n")),
    }
}

fn literal(text: &str) -> Value {
    let inside = |a: &str, b: &str| text.strip_prefix(a).and_then(|r| r.strip_suffix(b));
    if let Some(t) = inside("\"", "\"") {
        return Value::from(t.replace("\"\"", "\"").replace("\\n", "\n"));
    }
    if let Some(d) = inside("#", "#") {
        return Value::DateTime(date(d));
    }
    if let Some(d) = text.strip_prefix('$') {
        return Value::Decimal(Decimal::parse(d).unwrap());
    }
    match text {
        "TRUE" => true.into(),
        "FALSE" => false.into(),
        "BLANK" => Value::Blank,
        "NaN" | "inf" | "-inf" => Value::Double(text.parse().unwrap()),
        _ => text
            .parse::<i64>()
            .map(Value::Int)
            .or_else(|_| text.parse::<f64>().map(Value::Double))
            .unwrap_or_else(|_| panic!("literal {text}")),
    }
}

/// The result of an example: a value, or rows as `(1, 2); (3, 4)`.
fn answer(shop: &Shop, example: &str) -> String {
    match query(&shop.dataset, &query_text(example), &shop.context) {
        Err(e) => format!("error: {}", e.message.replace('\n', "\\n")),
        Ok(found) => {
            let rows = found.results.iter().flat_map(|t| &t.rows);
            let lines: Vec<String> = rows
                .map(|r| {
                    let cells: Vec<String> = r.iter().map(shown).collect();
                    if is_query(example) {
                        format!("({})", cells.join(", "))
                    } else {
                        cells.concat()
                    }
                })
                .collect();
            if lines.is_empty() { "no rows".to_owned() } else { lines.join("; ") }
        }
    }
}

/// Equal, or decimal numbers that differ in the last digits only.
fn fits(got: &str, expected: &str) -> bool {
    if got == expected {
        return true;
    }
    if let Some(beginning) = expected.strip_suffix('…') {
        return got.starts_with(beginning);
    }
    let single = |t: &str| t.parse::<f64>().ok().filter(|_| t.contains(['.', 'e']));
    match (single(got), single(expected)) {
        (Some(g), Some(e)) => (g - e).abs() <= 2e-8 * e.abs().max(1e-6),
        _ => false,
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions")
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "txt"));
    files.sort();
    files
}

fn is_blessing() -> bool {
    std::env::var_os("EVERCUBE_BLESS").is_some()
}

fn split(line: &str) -> Option<(&str, &str)> {
    let is_example = !line.trim().is_empty() && !line.starts_with("--");
    is_example
        .then(|| line.rsplit_once(" => ").map_or((line.trim(), ""), |(e, r)| (e.trim(), r.trim())))
}

#[test]
fn examples_give_the_written_results() {
    let shop = shop();
    let mut wrong = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines = Vec::new();
        for line in text.lines() {
            let Some((example, expected)) = split(line) else {
                lines.push(line.to_owned());
                continue;
            };
            let got = answer(&shop, example);
            if fits(&got, expected) {
                lines.push(line.to_owned());
                continue;
            }
            lines.push(format!("{example} => {got}"));
            wrong.push(format!("{}: {example} => {expected}, got {got}", file.display()));
        }
        if is_blessing() {
            std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        }
    }
    assert!(is_blessing() || wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn calls(e: &Expr, found: &mut BTreeSet<String>) {
    if let ExprKind::Call { function, .. } = &e.kind {
        found.insert(function.to_ascii_uppercase());
    }
    if let ExprKind::Unary { operator: UnaryOperator::Not, .. } = &e.kind {
        found.insert("NOT".to_owned());
    }
    e.parts().into_iter().for_each(|p| calls(p, found));
}

fn functions_in(example: &str) -> BTreeSet<String> {
    let parsed = evercube_dax::parse_query(&query_text(example)).into_result();
    let mut found = BTreeSet::new();
    let Ok(parsed) = parsed else { return found };
    for d in &parsed.definitions {
        match &d.kind {
            DefinitionKind::Measure { expression, .. }
            | DefinitionKind::Variable { expression, .. }
            | DefinitionKind::Table { expression, .. }
            | DefinitionKind::Column { expression, .. }
            | DefinitionKind::Function { body: expression, .. } => calls(expression, &mut found),
        }
    }
    parsed.evaluates.iter().for_each(|e| calls(&e.expression, &mut found));
    // What the calculation items do is shown by the queries that choose one.
    for (item, function) in ITEMS {
        if example.contains(&format!("Views[View] = \"{item}\"")) {
            found.insert(function.to_owned());
        }
    }
    found
}

/// The calculation items of the shop, and the function each calls.
const ITEMS: [(&str, &str); 4] = [
    ("Twice", "SELECTEDMEASURE"),
    ("Name", "SELECTEDMEASURENAME"),
    ("Is total", "ISSELECTEDMEASURE"),
    ("Format", "SELECTEDMEASUREFORMATSTRING"),
];

/// For every function its shortest example that shows what it does: a result, or the refusal.
fn examples() -> BTreeMap<String, (String, String)> {
    let mut found: BTreeMap<String, (String, String)> = BTreeMap::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        for (example, result) in text.lines().filter_map(split) {
            for name in functions_in(example) {
                let Some(def) = functions::lookup(&name) else { continue };
                if result.starts_with("error") == def.is_evaluated() || result.is_empty() {
                    continue;
                }
                let first = |e: &str| e.to_uppercase().starts_with(&format!("{name}("));
                let rank = |e: &str| (!first(e), e.len());
                let entry = found.get(&name);
                if entry.is_none_or(|(old, _)| rank(example) < rank(old)) {
                    found.insert(name, (example.to_owned(), result.to_owned()));
                }
            }
        }
    }
    found
}

#[test]
fn every_function_has_an_example() {
    let known = examples();
    let names = functions::all().iter().map(|f| f.name);
    let without: Vec<&str> = names.filter(|n| !known.contains_key(*n)).collect();
    assert!(without.is_empty(), "without an example: {}", without.join(", "));
}

fn returns(f: &FunctionDef) -> String {
    match f.return_type {
        ReturnType::Fixed(t) => match t {
            DataType::Int64 => "whole number".into(),
            DataType::Double => "decimal number".into(),
            DataType::Decimal => "fixed decimal number".into(),
            DataType::String => "text".into(),
            DataType::Boolean => "true or false".into(),
            DataType::DateTime => "date".into(),
            DataType::Variant | DataType::Binary => "any value".into(),
        },
        ReturnType::SameAsArgument(i) => {
            format!("as {}", f.parameters.get(i).map_or("its argument", |p| p.name))
        }
        ReturnType::Numeric => "number".into(),
        ReturnType::Table => "table".into(),
        ReturnType::Variant => "any value".into(),
    }
}

fn page() -> String {
    let mut out = String::from(
        "# DAX functions\n\nMade from the function registry and its tests by\n`EVERCUBE_BLESS=1 cargo test -p evercube-testkit --test functions`; a test fails when this page is\nnot what they say. Results are written as `12` whole, `1.5` decimal, `$1.5` fixed decimal,\n`\"text\"`, `#2024-01-31#` date; rows as `(1, 2); (3, 4)`. Examples are about the small shop of\n`crates/testkit/tests/functions/shop.json`.\n",
    );
    let known = examples();
    let mut categories: BTreeMap<&str, Vec<&FunctionDef>> = BTreeMap::new();
    let evaluated = functions::all().iter().filter(|f| f.is_evaluated());
    evaluated.for_each(|f| categories.entry(f.category).or_default().push(f));
    let escaped = |t: &str| t.replace('|', "\\|");
    let cut = |t: &str| match t.char_indices().nth(120) {
        Some((at, _)) => format!("{} …", &t[..at]),
        None => t.to_owned(),
    };
    for (category, functions) in categories {
        out.push_str(&format!(
            "\n## {category}\n\n| Function | | Returns | Example |\n| --- | --- | --- | --- |\n"
        ));
        for f in functions {
            let note = if f.volatile { " Differs from call to call." } else { "" };
            let example = known.get(f.name).map_or(String::new(), |(e, r)| {
                format!("`` {} `` gives `` {} ``", escaped(&cut(e)), escaped(&cut(r)))
            });
            out.push_str(&format!(
                "| `{}` | {}{note} | {} | {example} |\n",
                escaped(&f.form()),
                escaped(f.description),
                returns(f)
            ));
        }
    }
    out.push_str("\n## Known and refused\n\n| Function | Why |\n| --- | --- |\n");
    for f in functions::all() {
        if let functions::FunctionKind::Refused(why) = f.kind {
            out.push_str(&format!("| `{}` | {} |\n", f.name, escaped(why)));
        }
    }
    out
}

#[test]
fn the_page_about_functions_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dax-functions.md");
    if is_blessing() {
        std::fs::write(&file, page()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page(),
        "docs/dax-functions.md is not what the registry says; write it anew with EVERCUBE_BLESS=1"
    );
}
