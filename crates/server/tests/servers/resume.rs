//! Refreshes that outlive the server that reads.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::process::{Group, exchange, post};

/// A pipe that is read as a file: counts who opens it, and gives rows once it may.
struct Source {
    path: String,
    opened: Arc<AtomicUsize>,
}

fn make_pipe(path: &str) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

impl Source {
    fn new(path: String, may_answer: Arc<AtomicBool>) -> Self {
        make_pipe(&path);
        let opened = Arc::new(AtomicUsize::new(0));
        let (own, count) = (path.clone(), Arc::clone(&opened));
        std::thread::spawn(move || {
            loop {
                // Waits for a reader. The next one gets a pipe of its own.
                let mut pipe = std::fs::File::options().write(true).open(&own).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let next = format!("{own}.next");
                make_pipe(&next);
                std::fs::rename(&next, &own).unwrap();
                let may_answer = Arc::clone(&may_answer);
                std::thread::spawn(move || {
                    while !may_answer.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    // Who asked may be dead.
                    let _sent = pipe.write_all(b"Amount\r\n1\r\n2\r\n");
                });
            }
        });
        Self { path, opened }
    }

    fn count(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }
}

fn model(sources: &[Source]) -> String {
    let partition = |name: &str, m: &str| {
        serde_json::json!({ "name": name, "mode": "import",
            "source": { "type": "m", "expression": m } })
    };
    let table = |name: &str, partitions: Vec<serde_json::Value>| {
        serde_json::json!({ "name": name, "partitions": partitions, "columns": [
            { "name": "Amount", "dataType": "int64", "sourceColumn": "Amount" }] })
    };
    let of = |(i, s): (usize, &Source)| {
        let csv = "Csv.Document(File.Contents(";
        let m = format!("Table.PromoteHeaders({csv}\"{}\")))", s.path);
        partition(&format!("p{i}"), &m)
    };
    let long = sources.iter().enumerate().map(of).collect();
    let short = vec![partition("p", "#table({\"Amount\"},{{5}})")];
    serde_json::json!({ "name": "Long", "compatibilityLevel": 1600,
        "model": { "tables": [table("Long", long), table("Short", short)] } })
    .to_string()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < limit, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_refresh_whose_server_dies_reads_only_the_rest_and_stops_no_other_meanwhile() {
    let mut group = Group::start(3);
    let (yes, later) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let source = |i: usize| {
        let may = if i < 2 { &yes } else { &later };
        Source::new(group.beside(&format!("p{i}.csv")), Arc::clone(may))
    };
    let sources: Vec<Source> = (0..4).map(source).collect();
    let (status, body) = post(&group.url(0), "/api/v1/deploy", &model(&sources));
    assert_eq!(status, 200, "{body}");
    let writer = group.leader();
    let other = group.url((writer + 1) % 3);
    let path = "/servers/any/models/Long/refreshes";
    let (status, body) = post(&other, path, r#"{"type":"full","objects":[{"table":"Long"}]}"#);
    assert_eq!(status, 202, "{body}");
    let (status, again) = post(&other, path, "{}");
    assert_eq!(status, 409, "{again}");
    let recorded = || exchange(&other, "GET", "/metrics", "").unwrap().1;
    until("two partitions are recorded", || recorded().contains("evercube_reads_recorded 2\n"));
    until("the others are asked", || sources[2].count() > 0 && sources[3].count() > 0);
    let short = r#"{"objects":[{"table":"Short"}]}"#;
    let (status, body) = post(&other, "/api/v1/databases/Long/refresh", short);
    assert_eq!(status, 200, "another table is refreshed meanwhile: {body}");

    let before: Vec<usize> = sources.iter().map(Source::count).collect();
    group.kill(writer);
    until("the rest is read again", || {
        sources[2].count() > before[2] && sources[3].count() > before[3]
    });
    later.store(true, Ordering::SeqCst);
    until("the refresh ends", || {
        let (_, all) = exchange(&other, "GET", path, "").unwrap();
        assert!(!all.contains("failed"), "{all}");
        all.contains("succeeded")
    });
    let read_again = |i: usize| sources[i].count() - before[i];
    assert_eq!((read_again(0), read_again(1)), (0, 0), "what was read is kept");
    let query = r#"{"query":"EVALUATE ROW(\"t\", SUM(Long[Amount]) + SUM(Short[Amount]))"}"#;
    let (_, body) = post(&other, "/api/v1/databases/Long/query", query);
    assert!(body.contains("[17]"), "{body}");
    assert!(recorded().contains("evercube_reads_recorded 0\n"));
}
