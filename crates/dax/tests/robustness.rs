//! Nothing panics or overflows, whatever the text; and what parses prints to the same tree.

#[path = "common/shapes.rs"]
mod shapes;

use evercube_base::ErrorKind;
use evercube_dax::{parse_expression, parse_query, print_expr, print_query};
use shapes::{show_query, without_places};

/// A small generator of numbers (xorshift), so that every run is the same.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn try_text(text: &str) {
    let expression = parse_expression(text);
    let printed = print_expr(&expression.tree);
    if expression.errors.is_empty() {
        let again = parse_expression(&printed);
        assert!(again.errors.is_empty(), "{text:?} -> {printed:?}: {:?}", again.errors);
        assert_eq!(without_places(&again.tree), without_places(&expression.tree), "{text:?}");
    }
    let query = parse_query(text);
    let printed = print_query(&query.tree);
    if query.errors.is_empty() {
        let again = parse_query(&printed);
        assert!(again.errors.is_empty(), "{text:?} -> {printed:?}: {:?}", again.errors);
        assert_eq!(show_query(&again.tree), show_query(&query.tree), "{text:?}");
    }
    for error in expression.errors.iter().chain(&query.errors) {
        assert!(error.span.start <= error.span.end && error.span.end as usize <= text.len());
        assert!(error.message.starts_with("syntax error at line "), "{}", error.message);
    }
}

#[test]
fn random_pieces() {
    let pieces = [
        "(",
        ")",
        "{",
        "}",
        ",",
        ".",
        ":",
        ";",
        "!",
        "|",
        "&&",
        "||",
        "=",
        "==",
        "=>",
        "<>",
        "<",
        "+",
        "-",
        "- ",
        "*",
        "/",
        "^",
        "&",
        " ",
        "\n",
        "//",
        "--",
        "/*",
        "*/",
        "\"",
        "'",
        "[",
        "]",
        "\"a\"",
        "'t'",
        "[c]",
        "T",
        "x",
        "F(",
        "A.B(",
        "1",
        ".5",
        "1e5",
        "dt\"2024-01-31\"",
        "@p",
        "NOT ",
        " IN ",
        "VAR x = ",
        " RETURN ",
        "TRUE",
        "EVALUATE ",
        "DEFINE ",
        "MEASURE T[m] = ",
        "ORDER BY ",
        " DESC",
        "START AT ",
        "FUNCTION f = (a) => ",
        "TABLE t = ",
        "é",
        "\u{0}",
        "😀",
    ];
    let mut chance = Chance(0x5eed_cafe);
    for _ in 0..60_000 {
        let count = 1 + chance.below(14);
        let text: String = (0..count).map(|_| pieces[chance.below(pieces.len())]).collect();
        try_text(&text);
    }
}

#[test]
fn random_changes_and_bytes() {
    let scripts = [include_str!("scripts/expressions.txt"), include_str!("scripts/queries.txt")];
    let inputs: Vec<&str> = scripts
        .iter()
        .flat_map(|script| script.split("### "))
        .filter_map(|case| case.split_once('\n')?.1.split("\n====\n").next())
        .collect();
    let mut chance = Chance(0x0bad_5eed);
    for _ in 0..20_000 {
        let mut bytes = inputs[chance.below(inputs.len())].as_bytes().to_vec();
        for _ in 0..=chance.below(4) {
            let at = chance.below(bytes.len() + 1);
            match chance.below(3) {
                0 => bytes.insert(at, chance.below(256) as u8),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        try_text(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn depth_is_limited() {
    let many = 100_000;
    let deep = [
        "(".repeat(many) + "1" + &")".repeat(many),
        "(".repeat(many),
        "{".repeat(many),
        "F(".repeat(many),
        "- ".repeat(many),
        "NOT ".repeat(many),
        "VAR x = ".repeat(many),
        "1 ^ ".repeat(many) + "1",
        "1 + ".repeat(many) + "1",
    ];
    for text in &deep {
        for text in [text.clone(), format!("EVALUATE {text}")] {
            let parsed = parse_query(&text);
            drop(print_query(&parsed.tree));
            let parsed = parse_expression(&text);
            drop(print_expr(&parsed.tree));
        }
        let error = parse_expression(text).into_result().unwrap_err();
        assert!(error.message.contains("nested more") || error.message.contains("more than 1000"));
    }
    let fits = "(".repeat(150) + "1" + &")".repeat(150);
    assert!(parse_expression(&fits).errors.is_empty());
    let fits = "1 + ".repeat(900) + "1";
    try_text(&fits);
}

#[test]
fn first_error_has_kind_and_place() {
    let error = parse_expression("1 +\n  * 2").into_result().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(error.span, Some((6, 7)));
    assert_eq!(
        error.message,
        "syntax error at line 2, column 3: expected an expression, found '*'"
    );
}
