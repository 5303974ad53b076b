//! Nothing panics, whatever the query: the scripts' queries with pieces changed at random are
//! parsed, bound and evaluated. `EVERCUBE_SEED` and `EVERCUBE_CASES` run others.

use std::path::Path;
use std::sync::Arc;

use evercube_engine::{Dataset, QueryContext, query};
use evercube_testkit::random::{Chance, random_model};
use evercube_work::{Limits, Work};

/// Pieces that may stand anywhere in a query.
const PIECES: [&str; 40] = [
    "(",
    ")",
    ",",
    "{",
    "}",
    "=",
    "==",
    "<>",
    "+",
    "-",
    "/",
    "*",
    "&",
    "&&",
    "IN",
    "NOT",
    "VAR x =",
    "RETURN",
    "BLANK ( )",
    "1",
    "-1",
    "0",
    "1e308",
    "9223372036854775807",
    "\"a\"",
    "\"\"",
    "[Value]",
    "D0[Key]",
    "D0[Text]",
    "F0[Number]",
    "F0",
    "D0",
    "[F0 sum]",
    "ALL ( D0 )",
    "VALUES ( F0[Text] )",
    "CALCULATE ( [F0 sum] )",
    "EARLIER ( D0[Key] )",
    "SUMX ( F0,",
    "FILTER ( D0,",
    "TOPN ( 2,",
];

/// A query in pieces: words, numbers, texts, signs.
fn pieces(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut piece = String::from(c);
        let closing = match c {
            '"' => Some('"'),
            '[' => Some(']'),
            '\'' => Some('\''),
            _ => None,
        };
        if let Some(end) = closing {
            for c in chars.by_ref() {
                piece.push(c);
                if c == end {
                    break;
                }
            }
        } else if c.is_alphanumeric() || c == '.' {
            while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '.' || *c == '_') {
                piece.push(c);
            }
        }
        if !c.is_whitespace() {
            out.push(piece);
        }
    }
    out
}

fn changed(of: &[Vec<String>], chance: &mut Chance) -> String {
    let mut query = of[chance.below(of.len())].clone();
    for _ in 0..=chance.below(4) {
        let at = chance.below(query.len().max(1));
        if query.is_empty() {
            break;
        }
        match chance.below(6) {
            0 => {
                query.remove(at);
            }
            1 => query.insert(at, query[at].clone()),
            2 => query[at] = PIECES[chance.below(PIECES.len())].to_owned(),
            3 => query.insert(at, PIECES[chance.below(PIECES.len())].to_owned()),
            4 => {
                let other = chance.below(query.len());
                query.swap(at, other);
            }
            // A part of another query in place of the rest.
            _ => {
                let other = &of[chance.below(of.len())];
                let from = chance.below(other.len());
                query.truncate(at);
                query.extend_from_slice(&other[from..]);
            }
        }
    }
    query.join(" ")
}

/// Queries of the scripts, their tables being those of a random model.
fn queries() -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "dax"));
    files.sort();
    let mut out = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for block in text.split("\n\n====\n\n") {
            let query = block.split("\n----\n").next().unwrap_or_default();
            let here = query
                .replace("Sales", "F0")
                .replace("Product", "D0")
                .replace("Category", "D0")
                .replace("'Date'", "D0")
                .replace("[Total]", "[F0 sum]")
                .replace("[Name]", "[Text]")
                .replace("[Color]", "[Text]")
                .replace("[Amount]", "[Number]")
                .replace("[Year]", "[Number]");
            out.push(pieces(&here));
        }
    }
    out.retain(|q| !q.is_empty());
    out
}

fn try_query(dataset: &Dataset, text: &str) {
    let work = Arc::new(Work::new(Limits { memory: 1 << 20, ..Limits::default() }));
    if let Err(e) = work.run(|| query(dataset, text, &QueryContext::default())) {
        assert!(!e.message.is_empty(), "{text}");
        assert!(e.kind != evercube_base::ErrorKind::Internal, "{text}\n{e}");
    }
}

#[test]
fn changed_queries_never_panic() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise)
    };
    let (seed, cases) = (number("EVERCUBE_SEED", 1), number("EVERCUBE_CASES", 4000));
    let queries = queries();
    assert!(queries.len() > 50);
    let mut chance = Chance::new(seed);
    let mut dataset = random_model(&mut chance).dataset();
    for case in 0..cases {
        if case % 200 == 0 {
            dataset = random_model(&mut chance).dataset();
        }
        try_query(&dataset, &changed(&queries, &mut chance));
    }
}
