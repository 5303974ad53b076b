//! DAX and the SELECTs of schema rowsets.

use std::sync::{Arc, OnceLock};

use evercube_base::{DateTime, Value};
use evercube_engine::{Dataset, QueryContext, query};
use evercube_service::discover::{DiscoverContext, ServerInfo, dmv};
use evercube_testkit::random::{Chance, random_model};
use evercube_work::{Limits, Work};

use super::{Target, judged, texts};

const WORDS: &[&str] = &[
    "EVALUATE ",
    "DEFINE ",
    "MEASURE F0[x] = ",
    "VAR a = ",
    " RETURN ",
    "(",
    ")",
    "{",
    "}",
    "[Value]",
    "D0[Key]",
    "F0[Number]",
    "[F0 sum]",
    "SUMX(F0,",
    "CALCULATE(",
    "FILTER(D0,",
    "ORDER BY ",
    "START AT ",
    "\"",
    "'",
    "//",
    "/*",
    "*/",
    " IN ",
    "&&",
    "||",
    "^",
    "-",
    "DATATABLE(",
    "EARLIER(",
    "SUMMARIZECOLUMNS(",
    "TOPN(2,",
    "WINDOW(",
    "OFFSET(",
    "FORMAT(1,\"",
    "@p",
    "BLANK()",
    "1e308",
    "REPT(\"a\",",
    "GENERATESERIES(1,",
    "PARTITIONBY(",
];

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "EVALUATE SUMMARIZECOLUMNS(D0[Key], FILTER(ALL(D0[Text]), D0[Text] <> \"a\"), \"s\", [F0 sum]) ORDER BY D0[Key] DESC",
        "DEFINE MEASURE F0[m] = VAR a = SUM(F0[Number]) RETURN IF(a > 1, a / 2, BLANK()) EVALUATE ADDCOLUMNS(VALUES(D0[Text]), \"x\", [m])",
        "EVALUATE TOPN(2, GENERATESERIES(1, 10, 2), [Value], DESC)",
        "EVALUATE { (1, \"a\", DATE(2024,1,31), 1.5, TRUE) }",
        "DEFINE FUNCTION f = (x : NUMERIC) => x * 2 EVALUATE ROW(\"a\", f(2), \"b\", FORMAT(1234.5, \"#,0.00;-0;x\"))",
        "EVALUATE WINDOW(1, ABS, -1, REL, D0, ORDERBY(D0[Key]))",
    ])
}

pub const PARSE: Target = Target {
    name: "parse",
    run: |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let parsed = evercube_dax::parse_query(text);
        if let Ok(tree) = parsed.into_result() {
            // What is printed is read as the same again.
            let printed = evercube_dax::print_query(&tree);
            assert!(evercube_dax::parse_query(&printed).into_result().is_ok(), "{printed}");
        }
        let _errors = evercube_dax::parse_expression(text);
        let _errors = evercube_dax::parse_function(text);
    },
    seeds,
    words: WORDS,
};

/// A small model that is the same in every run.
fn dataset() -> &'static Dataset {
    static DATASET: OnceLock<Dataset> = OnceLock::new();
    DATASET.get_or_init(|| random_model(&mut Chance::new(5)).dataset())
}

pub const QUERY: Target = Target {
    name: "query",
    run: |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let limits = Limits { memory: 1 << 20, ..Limits::default() };
        let work = Arc::new(Work::new(limits));
        judged(work.run(|| query(dataset(), text, &QueryContext::default())));
    },
    seeds,
    words: WORDS,
};

/// Runs a statement as an administrator of a server without databases.
fn select(text: &str) -> evercube_base::Result<evercube_base::Rowset> {
    let server = ServerInfo {
        name: "fuzzing".into(),
        version: "16.0.43.208".into(),
        edition: "Enterprise64".into(),
        created: DateTime::default(),
        schema_updated: DateTime::default(),
        port: 2383,
    };
    let context = DiscoverContext {
        server: &server,
        databases: &[],
        catalog: None,
        user: "ann",
        is_admin: true,
        session_id: None,
        properties: &[],
        sessions: &[],
        commands: &[],
        functions: &[],
        keywords: &["EVALUATE", "VAR"],
        traces: &[],
        now: DateTime::default(),
    };
    let _is_one = dmv::is_dmv(text);
    dmv::select(text, &[("p".to_owned(), Value::from("a"))], &context)
}

pub const DMV: Target = Target {
    name: "dmv",
    run: |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        judged(select(text));
    },
    seeds: || {
        texts(&[
            "SELECT DISTINCT TOP 5 [CATALOG_NAME] AS a, 1 + 2 FROM $SYSTEM.DBSCHEMA_CATALOGS WHERE [CATALOG_NAME] = 'a' AND NOT ([X] > 1.5 OR [Y] IS NULL) ORDER BY [CATALOG_NAME] DESC",
            "select * from SYSTEMRESTRICTSCHEMA($system.DISCOVER_CALC_DEPENDENCY, CATALOG='x', OBJECT_TYPE='y')",
            "SELECT [Keyword], LEN([Keyword]) + 1 FROM $SYSTEM.DISCOVER_KEYWORDS WHERE [Keyword] > 'A' OR [Keyword] = @p ORDER BY [Keyword] DESC",
            "SELECT LEFT([A], 2), LEN(@p) FROM $SYSTEM.TMSCHEMA_TABLES WHERE [Name] LIKE 'a%'",
        ])
    },
    words: &[
        "SELECT ",
        "* ",
        "FROM ",
        "$SYSTEM.",
        "WHERE ",
        " AND ",
        " OR ",
        "NOT ",
        "(",
        ")",
        "[",
        "]",
        "'",
        "''",
        "@p",
        "TOP ",
        "ORDER BY ",
        "LIKE ",
        "<>",
        "+",
        "-",
        "IS NULL",
        "CASE ",
    ],
};
