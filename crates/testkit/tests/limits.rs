//! Limits of a query: each ends it with its own error, wherever it is.

use std::sync::Arc;

use evercube_base::ErrorKind;
use evercube_engine::{CompiledModel, Dataset, QueryContext, query};
use evercube_model::tabular::Database;
use evercube_store::StoreVersion;
use evercube_work::{Counting, Limits, Stop, Work};

#[global_allocator]
static ALLOCATOR: Counting<std::alloc::System> = Counting(std::alloc::System);

fn empty() -> Dataset {
    let database: Database =
        serde_json::from_str(r#"{"name": "empty", "model": {"tables": []}}"#).unwrap();
    let model = Arc::new(CompiledModel::compile(&database));
    Dataset { model, store: Arc::new(StoreVersion::default()) }
}

/// What a query with little memory and few rows ends with, and the most memory it held.
fn ended(text: &str) -> (ErrorKind, String, usize) {
    let work = Arc::new(Work::new(Limits { memory: 16 << 20, ..Limits::default() }));
    let context = QueryContext { row_limit: 1000, ..QueryContext::default() };
    let done = work.run(|| query(&empty(), text, &context));
    let error = done.err().unwrap_or_else(|| panic!("{text} was answered"));
    (error.kind, error.message, work.most_memory())
}

#[test]
fn each_limit_has_its_error() {
    let row = |expression: &str| format!("EVALUATE ROW(\"x\", {expression})");
    let doubling: String = (0..30).map(|i| format!(" VAR a{} = a{i} & a{i}", i + 1)).collect();
    let chain: String = (0..2000).map(|i| format!(" VAR a{} = a{i}", i + 1)).collect();
    let series = "GENERATESERIES(1, 100000)";
    for (text, kind) in [
        (row("COUNTROWS(GENERATESERIES(1, 1E9))"), ErrorKind::MemoryLimit),
        (row("COUNTROWS(GENERATESERIES(1, 1E300))"), ErrorKind::MemoryLimit),
        (
            row(&format!(
                "COUNTROWS(CROSSJOIN({series}, SELECTCOLUMNS({series}, \"b\", [Value])))"
            )),
            ErrorKind::MemoryLimit,
        ),
        (row(&format!("LEN(CONCATENATEX({series}, REPT(\"x\", 1000)))")), ErrorKind::MemoryLimit),
        (
            row(&format!(
                "COUNTROWS(DISTINCT(SELECTCOLUMNS({series}, \"b\", REPT(\"x\", 1000) & [Value])))"
            )),
            ErrorKind::MemoryLimit,
        ),
        (
            row(
                "LEN(SUBSTITUTE(SUBSTITUTE(REPT(\"a\", 1000), \"a\", REPT(\"b\", 1000)), \"b\", REPT(\"c\", 1000)))",
            ),
            ErrorKind::MemoryLimit,
        ),
        (row(&format!("VAR a0 = \"abcd\"{doubling} RETURN LEN(a30)")), ErrorKind::MemoryLimit),
        ("EVALUATE GENERATESERIES(1, 2000)".to_owned(), ErrorKind::RowLimit),
        (row(&format!("VAR a0 = 1{chain} RETURN a2000")), ErrorKind::NestingLimit),
        (row(&format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000))), ErrorKind::Invalid),
    ] {
        let (found, message, held) = ended(&text);
        let shown: String = text.chars().take(100).collect();
        assert_eq!(found, kind, "{shown}: {message}");
        assert!(held < 40 << 20, "{shown} held {held} bytes");
    }
}

/// Loops that make rows notice that they are too many, also where they call nothing else.
#[test]
fn too_many_rows_are_noticed_while_they_are_made() {
    let days = "DEFINE TABLE D = CALENDAR(DATE(1990, 1, 1), DATE(2009, 12, 31))";
    let numbers = "GENERATESERIES(1, 3000)";
    let one = |name: &str| format!("SELECTCOLUMNS({numbers}, \"k\", 1, \"{name}\", [Value])");
    for text in [
        format!("{days} EVALUATE ADDCOLUMNS(D, \"x\", COUNTROWS(DATESYTD(D[Date])))"),
        format!("{days} EVALUATE ADDCOLUMNS(D, \"x\", CALCULATE(COUNTROWS(D), DATESYTD(D[Date])))"),
        format!("EVALUATE NATURALINNERJOIN({}, {})", one("a"), one("b")),
        format!("EVALUATE NATURALLEFTOUTERJOIN({}, {})", one("a"), one("b")),
        format!("EVALUATE GENERATE({}, {})", one("a"), one("b").replace("\"k\"", "\"l\"")),
        format!("EVALUATE ADDCOLUMNS({numbers}, \"x\", COUNTROWS(CALENDAR(1000, 2000 + [Value])))"),
        format!("EVALUATE ADDCOLUMNS({numbers}, \"x\", COUNTROWS({{ 1, [Value] }}))")
            .replace("3000", "1000000"),
    ] {
        let (found, message, held) = ended(&text);
        assert_eq!(found, ErrorKind::MemoryLimit, "{text}: {message}");
        assert!(held < 40 << 20, "{text} held {held} bytes");
    }
}

/// No `IFERROR` answers a stop, and no number of cells is too many to notice it.
#[test]
fn a_query_stops_where_it_is() {
    for body in [
        "SUMX(GENERATESERIES(1, 1000000), SUMX(GENERATESERIES(1, 1000000 + [Value] * 0), 1))",
        "IFERROR(SUMX(GENERATESERIES(1, 1E5), COUNTROWS(GENERATESERIES(1, 1E6 + [Value]))), 1)",
        "SUMX(GENERATESERIES(1, 1E6), COUNTROWS(TOPN(1, GENERATESERIES(1, 1E6 - [Value]), [Value])))",
    ] {
        for (stop, kind) in
            [(Stop::Cancelled, ErrorKind::Cancelled), (Stop::TimedOut, ErrorKind::TimeLimit)]
        {
            let work = Arc::new(Work::default());
            let text = format!("EVALUATE ROW(\"x\", {body})");
            let error = std::thread::scope(|scope| {
                let running =
                    scope.spawn(|| work.run(|| query(&empty(), &text, &QueryContext::default())));
                while work.most_memory() < 1 << 20 {
                    std::thread::yield_now();
                }
                work.stop(stop);
                running.join().unwrap().unwrap_err()
            });
            assert_eq!(error.kind, kind, "{body}");
        }
    }
}

/// What ranks against the same rows ranks against them once, however many rows ask.
#[test]
fn ranking_by_calculate_holds_little() {
    let text = "DEFINE TABLE T = GENERATESERIES(1, 3000) EVALUATE \
                ROW(\"x\", SUMX(T, RANKX(T, CALCULATE(SUM(T[Value]), ALL(T[Value])) * CALCULATE(COUNTROWS(T)))))";
    let work = Arc::new(Work::new(Limits { memory: 16 << 20, ..Limits::default() }));
    let found = work.run(|| query(&empty(), text, &QueryContext::default())).unwrap();
    assert_eq!(found.results[0].rows, [[evercube_base::Value::Int(3000)]]);
}
