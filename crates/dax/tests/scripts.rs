//! Runs the scripts: each case is a heading, an input, and the tree and errors it gives.
//!
//! `EVERCUBE_BLESS=1` writes the present output into the scripts, to be reviewed as a change.

#[path = "common/shapes.rs"]
mod shapes;

use evercube_dax::{parse_expression, parse_query, print_expr, print_query};
use shapes::{show_expr, show_query, without_places};

fn run(file: &str, answer: impl Fn(&str) -> String) {
    let path = format!("{}/tests/scripts/{file}", env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(&path).unwrap();
    let mut written = String::new();
    for case in script.split("### ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let input = rest.split("\n====\n").next().unwrap().trim_end_matches('\n');
        written.push_str(&format!("### {title}\n{input}\n====\n{}\n", answer(input)));
    }
    if std::env::var_os("EVERCUBE_BLESS").is_some() {
        std::fs::write(&path, written).unwrap();
    } else {
        assert_eq!(script, written);
    }
}

#[test]
fn expressions() {
    run("expressions.txt", |input| {
        let parsed = parse_expression(input);
        let mut out = show_expr(&parsed.tree) + "\n";
        for error in &parsed.errors {
            out.push_str(&format!("! {}\n", error.message));
        }
        if parsed.errors.is_empty() {
            let again = parse_expression(&print_expr(&parsed.tree)).into_result().unwrap();
            assert_eq!(without_places(&again), without_places(&parsed.tree), "{input}");
        }
        out
    });
}

#[test]
fn queries() {
    run("queries.txt", |input| {
        let parsed = parse_query(input);
        let mut out = show_query(&parsed.tree);
        for error in &parsed.errors {
            out.push_str(&format!("! {}\n", error.message));
        }
        if parsed.errors.is_empty() {
            let printed = print_query(&parsed.tree);
            let again = parse_query(&printed).into_result().unwrap();
            assert_eq!(show_query(&again), show_query(&parsed.tree), "{input}");
            assert_eq!(print_query(&again), printed);
        }
        out
    });
}
