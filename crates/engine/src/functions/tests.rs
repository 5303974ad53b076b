//! Runs the cases of `tests/*.txt`: one `FUNCTION(arguments) => result` a line.

use std::cell::Cell;

use super::*;
use evercube_base::{Decimal, Error};

/// Splits at commas outside of quotes.
fn split(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
        }
        if c == ',' && !quoted {
            out.push(String::new());
        } else if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out.into_iter().map(|t| t.trim().to_owned()).collect()
}

/// `"text"`, `12`, `1.5`, `$1.5` fixed decimal, `TRUE`, `BLANK`, `#2024-01-31#` a date.
fn literal(t: &str) -> Value {
    if let Some(s) = t.strip_prefix('"').and_then(|r| r.strip_suffix('"')) {
        return Value::from(s);
    }
    if let Some(d) = t.strip_prefix('#').and_then(|r| r.strip_suffix('#')) {
        return Value::DateTime(DateTime::parse_iso(d).expect("date"));
    }
    if let Some(d) = t.strip_prefix('$') {
        return Value::Decimal(Decimal::parse(d).expect("decimal"));
    }
    match t {
        "TRUE" => true.into(),
        "FALSE" => false.into(),
        "BLANK" => Value::Blank,
        _ => t
            .parse::<i64>()
            .map(Value::Int)
            .or_else(|_| t.parse::<f64>().map(Value::Double))
            .unwrap_or_else(|_| panic!("literal {t}")),
    }
}

fn call(line: &str) -> Result<Value, Error> {
    let (name, rest) = line.split_once('(').expect("call");
    let arguments = rest.trim_end().strip_suffix(')').expect("closing parenthesis");
    let arguments: Vec<Value> = if arguments.trim().is_empty() {
        Vec::new()
    } else {
        split(arguments).iter().map(|a| literal(a)).collect()
    };
    let f = lookup(name.trim()).unwrap_or_else(|| panic!("function {name}"));
    assert!(f.accepts(arguments.len()), "{line}: number of arguments");
    let random = Cell::new(1);
    let now = DateTime::parse_iso("2024-03-15T10:20:30").expect("date");
    let context = ScalarContext {
        collation: Collation::default(),
        locale: "en-US",
        now,
        utc_now: now,
        user: "ann@example.com",
        custom_data: None,
        random: &random,
    };
    match f.kind {
        FunctionKind::Scalar(run) => run(&context, &arguments),
        FunctionKind::Special => panic!("{name} is no scalar function"),
    }
}

fn run_file(text: &str) {
    let mut wrong = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with("--")) {
        let (input, expected) = line.split_once("=>").expect("arrow");
        let expected = expected.trim();
        let got = call(input.trim());
        let fits = match (&got, expected) {
            (Err(_), "ERROR") => true,
            (_, "ERROR") | (Err(_), _) => false,
            (Ok(v), _) => match (v, &literal(expected)) {
                // A result is right to nine digits or to as many as stand in the file.
                (Value::Double(x), want @ (Value::Double(_) | Value::Int(_))) => {
                    let y = want.as_f64().unwrap_or(0.0);
                    (x - y).abs() <= 2e-8 * y.abs().max(1.0)
                }
                (v, want) => v == want,
            },
        };
        if !fits {
            wrong.push(format!("{input}=> {expected}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn scalar_functions() {
    run_file(include_str!("tests/scalars.txt"));
}

#[test]
fn distributions() {
    run_file(include_str!("tests/distributions.txt"));
}

#[test]
fn financial() {
    run_file(include_str!("tests/financial.txt"));
}

#[test]
fn every_function_is_described_once() {
    let names: std::collections::BTreeSet<_> = all().iter().map(|f| f.name).collect();
    assert_eq!(names.len(), all().len());
    assert!(all().iter().all(|f| !f.description.is_empty() && !f.category.is_empty()));
    assert!(matches!(lookup("calculate").map(|f| f.kind), Some(FunctionKind::Special)));
    assert!(lookup("NOW").is_some_and(|f| f.volatile));
    assert!(lookup("NO SUCH FUNCTION").is_none());
}
