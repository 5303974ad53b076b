//! The engine and the reference evaluator agree on random queries over random models.
//!
//! `EVERCUBE_SEED` and `EVERCUBE_CASES` run others than those of every test run; see
//! `scripts/random-agreement`.

use evercube_base::{DateTime, ErrorKind, Result, Value};
use evercube_engine::{Dataset, QueryContext, Rules};
use evercube_testkit::random::{Chance, random_model, random_query};
use evercube_testkit::reference::Reference;

/// A value as both evaluators show it: real numbers to nine digits.
fn shown(v: &Value) -> String {
    match v {
        Value::Double(d) => format!("{d:.9e}"),
        Value::Int(i) => format!("{:.9e}", *i as f64),
        Value::Decimal(d) => format!("{:.9e}", d.to_f64()),
        v if v.is_blank() => "-".to_owned(),
        v => evercube_engine::scalar::plain_text(v),
    }
}

/// Rows as they come where the query has an order, else in no particular one.
fn rows<'r>(text: &str, rows: impl IntoIterator<Item = &'r Vec<Value>>) -> Vec<String> {
    let row = |r: &Vec<Value>| r.iter().map(shown).collect::<Vec<_>>().join(" | ");
    let mut all: Vec<String> = rows.into_iter().map(row).collect();
    if !text.contains(" ORDER BY ") {
        all.sort();
    }
    all
}

fn of_engine(dataset: &Dataset, text: &str, context: &QueryContext) -> Result<Vec<String>> {
    let found = evercube_engine::query(dataset, text, context)?;
    Ok(rows(text, found.results.iter().flat_map(|t| &t.rows)))
}

fn of_reference(dataset: &Dataset, text: &str, roles: &[String]) -> Result<Vec<String>> {
    let mut reference = Reference::new(dataset, DateTime::default());
    reference.see_as(roles)?;
    let found = reference.query(text)?;
    Ok(rows(text, found.iter().flat_map(|t| &t.rows)))
}

/// Whether the two answers are the same; `None` where the reference evaluator does not know.
fn agree(a: &Result<Vec<String>>, b: &Result<Vec<String>>) -> Option<bool> {
    match (a, b) {
        (_, Err(e)) if e.kind == ErrorKind::Unsupported => None,
        // One of them asks for rows that the other does without.
        (_, Err(e)) | (Err(e), _) if e.message.contains("ambiguous paths") => None,
        (Err(_), Err(_)) => Some(true),
        (Ok(a), Ok(b)) => Some(a == b),
        _ => Some(false),
    }
}

/// With all rules or none, with scans planned together as for long tables or not, and with parts of
/// few rows or many.
fn way_of_running(chance: &mut Chance) -> QueryContext {
    let usual = QueryContext::default();
    QueryContext {
        rules: if chance.percent(50) { Rules::all() } else { Rules::none() },
        long_table: if chance.percent(50) { 0 } else { usual.long_table },
        scan_part: if chance.percent(25) { 2 } else { usual.scan_part },
        ..usual
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn engine_and_reference_agree_on_random_queries() {
    let (seed, cases) = (number("EVERCUBE_SEED", 1), number("EVERCUBE_CASES", 400));
    let (mut compared, mut failed) = (0, 0);
    for case in seed..seed + cases {
        let mut chance = Chance::new(case);
        let model = random_model(&mut chance);
        let dataset = model.dataset();
        // Simple queries first: the first that fails is the easiest to read.
        for depth in 0..4 {
            let text = random_query(&model, &mut chance, depth);
            let roles = model.some_roles(&mut chance);
            let expected = of_reference(&dataset, &text, &roles);
            let context = QueryContext { roles, ..way_of_running(&mut chance) };
            let got = of_engine(&dataset, &text, &context);
            let Some(same) = agree(&got, &expected) else { continue };
            compared += 1;
            if !same {
                failed += 1;
                println!(
                    "seed {case}, depth {depth}, {:?}, long from {}, parts of {}, as {:?}\n{}\n{text}\nengine    {got:?}\nreference {expected:?}\n",
                    context.rules,
                    context.long_table,
                    context.scan_part,
                    context.roles,
                    model.shown()
                );
                break;
            }
        }
        assert!(failed < 20, "{failed} disagreements");
    }
    assert_eq!(failed, 0, "of {compared} compared");
    assert!(compared as u64 > cases, "{compared} of {cases} cases compared");
}
