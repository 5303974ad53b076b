//! The ways to keep servers the same within a group, and what tells that they are not.

use serde_json::{Value as Json, json};

use crate::deployed;
use crate::process::{Group, post};

pub const FROM_FILE: &str = r##"{"name":"Files","compatibilityLevel":1600,"model":{"culture":"en-US",
 "tables":[{"name":"Sales",
  "columns":[{"name":"Item","dataType":"string","sourceColumn":"Item"},
             {"name":"Amount","dataType":"int64","sourceColumn":"Amount"}],
  "partitions":[{"name":"All","mode":"import","source":{"type":"m",
    "expression":"Table.TransformColumnTypes(Table.PromoteHeaders(Csv.Document(File.Contents(\"s.csv\"), [Delimiter=\",\"])), {{\"Amount\", Int64.Type}})"}}]}]}}"##;

const SUM: &str = "EVALUATE ROW(\"s\", SUM(Sales[Amount]))";

/// Refreshes; the servers' readings, and all of the answer.
fn refresh(group: &Group, at: usize) -> (u16, Json, String) {
    let (status, body) = post(&group.url(at), "/api/v1/databases/Files/refresh", "{}");
    let answer: Json = serde_json::from_str(&body).unwrap_or_default();
    (status, answer["servers"].clone(), body)
}

fn reading<'a>(servers: &'a Json, name: &str) -> &'a Json {
    let all = servers.as_array().expect("every server's reading is told");
    all.iter().find(|s| s["server"] == name).expect("every server reads")
}

#[test]
fn all_servers_read_and_what_they_read_is_compared() {
    let group = Group::start(3);
    for at in 0..3 {
        group.source(at, "s.csv", "Item,Amount\na,1\nb,2\n");
    }
    let (status, body) = post(&group.url(0), "/api/v1/deploy", FROM_FILE);
    assert_eq!(status, 200, "{body}");
    let (status, said) = group.run(&["sync-mode", "Files", "parallel"]);
    assert_eq!(status, Some(0), "{said}");
    // The order of the rows does not count.
    group.source(1, "s.csv", "Item,Amount\nb,2\na,1\n");
    let (status, servers, body) = refresh(&group, 1);
    assert_eq!(status, 200, "{body}");
    for name in ["s0", "s1", "s2"] {
        assert_eq!(reading(&servers, name)["same"], true, "{servers}");
    }
    assert!(body.contains("\"messages\":[]"), "{body}");

    // The writer's own source changed before the others'; they are right together.
    group.source(0, "s.csv", "Item,Amount\na,1\nb,200\n");
    let (status, servers, body) = refresh(&group, 0);
    assert_eq!(status, 200, "{body}");
    assert_eq!(reading(&servers, "s0")["same"], false, "{servers}");
    assert!(body.contains("table 'Sales' partition 'All'"), "{body}");
    for at in 0..3 {
        let query = format!("{{\"query\":{}}}", Json::from(SUM));
        let (_, answer) = post(&group.url(at), "/api/v1/databases/Files/query", &query);
        assert!(answer.contains("[[3]]"), "server {at}: {answer}");
    }
    assert_eq!(group.verify_deep("Files").0, Some(0));

    let (status, said) =
        group.run(&["sync-mode", "Files", "parallel", "--on-difference", "refuse"]);
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = group.run(&["refresh", "Files"]);
    assert!(status == Some(1) && said.contains("nothing was changed"), "{status:?}: {said}");
    let status = group.status_of(2);
    assert_eq!(status["servers"][0]["databases"][0]["sync_mode"], "parallel");
}

#[test]
fn servers_that_were_told_different_things_are_named() {
    let mut group = Group::start(2);
    deployed(&group, 0);
    let drift = |status: &Json| status["drift"].as_array().cloned().unwrap_or_default();
    assert_eq!(drift(&group.status_of(0)), [Json::Null; 0]);
    group.extra = vec!["--tls-min-version=1.3".into(), "--threads=3".into()];
    group.kill(1);
    group.restart(1);
    group.wait_ready(2);
    let words = "tls_min_version is '1.2' on s0, '1.3' on s1";
    group.eventually(0, |status| drift(status).iter().any(|d| d == words));
    assert!(group.run(&["status"]).1.contains(&format!("DRIFT: {words}")));
    let (status, said) = group.run(&["verify", "Shop"]);
    assert!(status == Some(0) && said.contains(words), "it is no difference of the data: {said}");
    let leader = group.leader();
    let told = "evercube_trouble{kind=\"drift\",what=\"tls_min_version\"} 1";
    group.until_metrics(leader, |figures| figures.contains(told));
    group.extra.clear();
    group.kill(1);
    group.restart(1);
    group.wait_ready(2);
    group.eventually(0, |status| drift(status).is_empty());
    let leader = group.leader();
    group.until_metrics(leader, |figures| !figures.contains("drift"));
}

#[test]
fn limits_and_targets_of_the_group_count_on_every_server() {
    let mut group = Group::start(2);
    deployed(&group, 0);
    let ask = |group: &Group, at: usize, words: &[&str]| group.command(&group.url(at), words);
    let ok = |group: &Group, at: usize, words: &[&str]| {
        let (status, said) = ask(group, at, words);
        assert_eq!(status, Some(0), "{words:?}: {said}");
        said
    };
    let query = ["query", "Shop", "EVALUATE Sales"];
    ok(&group, 1, &query);
    let said = ok(&group, 0, &["limit", "set", "query_rows", "2"]);
    assert!(said.contains("on every server"), "{said}");
    let folder = group.beside("shelf");
    std::fs::create_dir(&folder).unwrap();
    ok(&group, 0, &["target", "set", "shelf", &folder]);
    // One that joins later knows both; what its own settings say comes before.
    let late = group.add("replica");
    let own = group.file("own.toml", "query_rows = 3\n");
    group.extra = vec![format!("--config={own}")];
    group.kill(1);
    group.restart(1);
    group.wait_ready(3);
    for at in [0, late] {
        let (status, said) = ask(&group, at, &query);
        assert!(status == Some(1) && said.contains("limit of 2"), "{at}: {said}");
    }
    ok(&group, 1, &query);
    let drift =
        |s: &Json| s["drift"].to_string().contains("query_rows is '10000000' on s0, s2, '3' on s1");
    group.eventually(0, drift);
    ok(&group, late, &["backup", "Shop", "shelf:one.evb"]);
    assert!(std::path::Path::new(&folder).join("one.evb").exists());
    assert!(ok(&group, 1, &["target", "list"]).contains(&folder));

    // So do those of requests and connections.
    ok(&group, 0, &["limit", "set", "request_size", "64KB"]);
    let long = format!("EVALUATE Sales // {}", "x".repeat(70_000));
    let (status, said) = ask(&group, late, &["query", "Shop", &long]);
    assert!(status == Some(1) && said.contains("larger than 65536 bytes"), "{said}");
    ok(&group, 0, &["limit", "set", "connections_per_address", "8"]);
    let address = group.url(late).trim_start_matches("http://").to_owned();
    let held: Vec<_> = (0..8).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    assert_eq!(ask(&group, late, &query).0, Some(3));
    drop(held);
    for name in ["request_size", "connections_per_address"] {
        ok(&group, 0, &["limit", "remove", name]);
    }

    for (words, why) in [
        (["limit", "set", "scan_cache", "1GB"], "for each server"),
        (["limit", "set", "query_rows", "0"], "a number from 1"),
        (["limit", "set", "query_memory", "much"], "write it as 512MB"),
        (["target", "set", "cloud", "s3://b --setting secret_access_key=hush"], "cannot"),
    ] {
        let words: Vec<&str> = words.iter().flat_map(|w| w.split(' ')).collect();
        let (status, said) = ask(&group, 0, &words);
        assert!(status == Some(1), "{words:?}: {said}");
        assert!(said.contains(why) || said.contains("secrets belong"), "{said}");
    }
    ok(&group, 0, &["limit", "remove", "query_rows"]);
    ok(&group, 0, &query);
    ok(&group, 0, &["target", "remove", "shelf"]);
    assert_eq!(ask(&group, 0, &["target", "remove", "shelf"]).0, Some(1));
}

#[test]
fn calculated_tables_keep_to_their_memory_and_a_refresh_that_needs_more_changes_nothing() {
    let mut group = Group::start(1);
    group.kill(0);
    group.environment = vec![("EVERCUBE_CALCULATION_MEMORY".into(), "4MB".into())];
    group.restart(0);
    group.wait_ready(1);
    let model = |rows: &str| {
        let expression = format!("GENERATESERIES ( 1, {rows} )");
        json!({ "name": "Many", "compatibilityLevel": 1600, "model": { "tables": [ { "name": "T",
            "partitions": [ { "name": "T",
                "source": { "type": "calculated", "expression": expression } } ] } ] } })
        .to_string()
    };
    let url = group.url(0);
    let (status, said) = post(&url, "/api/v1/deploy", &model("10"));
    assert_eq!(status, 200, "{said}");
    let (status, said) = post(&url, "/api/v1/databases/Many/refresh", "{}");
    assert_eq!(status, 200, "{said}");
    let (status, said) = post(&url, "/api/v1/deploy", &model("3000000"));
    assert!(status == 413 && said.contains("calculation_memory"), "{status}: {said}");
    let count = json!({ "query": "EVALUATE ROW ( \"n\", COUNTROWS ( T ) )" }).to_string();
    let (_, rows) = post(&url, "/api/v1/databases/Many/query", &count);
    assert!(rows.contains("[10]"), "{rows}");
}
