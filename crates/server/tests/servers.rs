//! Real server processes on loopback: asked over REST and XMLA, killed, restarted.

#[path = "servers/at_rest.rs"]
mod at_rest;
#[path = "servers/audit.rs"]
mod audit;
#[path = "servers/bearer.rs"]
mod bearer;
#[path = "servers/damage.rs"]
mod damage;
#[path = "servers/encrypted.rs"]
mod encrypted;
#[path = "servers/formats.rs"]
mod formats;
#[path = "servers/full_disk.rs"]
mod full_disk;
#[path = "servers/hostile.rs"]
mod hostile;
#[path = "servers/keeping.rs"]
mod keeping;
#[path = "servers/operations.rs"]
mod operations;
#[path = "servers/permissions.rs"]
mod permissions;
#[path = "servers/process.rs"]
mod process;
#[path = "servers/repeated.rs"]
mod repeated;
#[path = "servers/restore_kills.rs"]
mod restore_kills;
#[path = "servers/resume.rs"]
mod resume;
#[path = "servers/schedules.rs"]
mod schedules;
#[path = "servers/secrets.rs"]
mod secrets;
#[path = "servers/secured.rs"]
mod secured;
#[path = "servers/standby.rs"]
mod standby;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use process::{Group, execute, execute_in, post, xml_text};

const MODEL: &str = r##"{"name":"Shop","compatibilityLevel":1600,"model":{"culture":"en-US",
 "tables":[{"name":"Sales",
  "columns":[{"name":"Item","dataType":"string","sourceColumn":"Item"},
             {"name":"Amount","dataType":"double","sourceColumn":"Amount"}],
  "partitions":[{"name":"Sales","mode":"import","source":{"type":"m",
    "expression":"#table({\"Item\",\"Amount\"},{{\"a\",1.5},{\"b\",2},{\"c\",4}})"}}],
  "measures":[{"name":"Total","expression":"SUM(Sales[Amount])"},
              {"name":"Broken","expression":"SUM(Sales[Nothing])"}]}],
 "roles":[{"name":"OnlyA","modelPermission":"read",
  "tablePermissions":[{"name":"Sales","filterExpression":"Sales[Item] = \"a\""}]}]}}"##;

const TOTAL: &str = "EVALUATE ROW(\"t\", [Total])";

fn deployed(group: &Group, at: usize) {
    let (status, body) = post(&group.url(at), "/api/v1/deploy", MODEL);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("Nothing"), "the broken measure is named: {body}");
    let (status, body) = post(&group.url(at), "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(status, 200, "{body}");
}

fn total(url: &str) -> String {
    let body = format!("{{\"query\":{}}}", serde_json::Value::from(TOTAL));
    let (status, body) = post(url, "/api/v1/databases/Shop/query", &body);
    assert_eq!(status, 200, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    answer["results"][0]["rows"][0][0].to_string()
}

#[test]
fn one_server_answers_over_rest_and_xmla() {
    let group = Group::start(1);
    deployed(&group, 0);
    assert_eq!(total(&group.url(0)), "7.5");
    let url = group.url(0);

    let catalog = "<Catalog>Shop</Catalog>";
    let begun = execute_in(
        &url,
        "<BeginSession xmlns=\"urn:schemas-microsoft-com:xml-analysis\"/>",
        "",
        catalog,
    );
    let id = begun.split("SessionId=\"").nth(1).and_then(|t| t.split('"').next()).unwrap();
    let header =
        format!("<Session xmlns=\"urn:schemas-microsoft-com:xml-analysis\" SessionId=\"{id}\"/>");
    let rows = execute_in(&url, &header, TOTAL, "");
    assert!(rows.contains(">7.5<") && rows.contains("[t]"), "{rows}");

    let secured = execute(&url, TOTAL, &format!("{catalog}<Roles>OnlyA</Roles>"));
    assert!(secured.contains(">1.5<"), "{secured}");
    let several = execute(&url, &format!("{TOTAL} EVALUATE Sales"), catalog);
    assert_eq!(several.matches("<root").count(), 2, "{several}");
    let tables = execute(&url, "SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES", catalog);
    assert!(tables.contains("Sales"), "{tables}");
    for (statement, said) in [
        ("SELECT [Measures].[Total] ON 0 FROM [Model]", "MDX is not supported yet"),
        ("EVALUATE ROW(\"x\", [Broken])", "Nothing"),
        ("EVALUATE Nowhere", "Nowhere"),
    ] {
        let fault = execute(&url, statement, catalog);
        assert!(fault.contains("Fault") && fault.contains(said), "{statement}: {fault}");
    }
    let foreign =
        "<Session xmlns=\"urn:schemas-microsoft-com:xml-analysis\" SessionId=\"made-up\"/>";
    let fault = execute_in(&url, foreign, TOTAL, catalog);
    assert!(fault.contains("Fault") && fault.contains("session"), "{fault}");
    let unread = xml_text(&url, "<not-soap/>");
    assert!(unread.contains("Fault"), "{unread}");

    // A repeated write is answered, not repeated.
    let tmsl = r#"{"refresh":{"type":"full","objects":[{"database":"Shop"}]}}"#;
    let done = execute(&url, tmsl, "");
    assert!(!done.contains("Fault"), "{done}");
}

#[test]
fn a_killed_leader_costs_no_answer_and_no_commit() {
    let mut group = Group::start(3);
    deployed(&group, 1);
    let gateway = group.start_gateway();
    let stop = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicU64::new(0));
    let reading = {
        let (stop, answers, url) = (Arc::clone(&stop), Arc::clone(&answers), gateway.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(total(&url), "7.5");
                answers.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let leader = group.leader();
    group.kill(leader);
    // Through the gateway the next write waits for the new leader.
    let (status, body) = post(&gateway, "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(status, 200, "{body}");
    let before = answers.load(Ordering::Relaxed);
    let limit = Instant::now() + Duration::from_secs(20);
    while answers.load(Ordering::Relaxed) < before + 5 && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
    stop.store(true, Ordering::Relaxed);
    reading.join().expect("every answer was right");
    assert!(answers.load(Ordering::Relaxed) >= before + 5, "reads go on");
    group.restart(leader);
    group.wait_ready(3);
    let verified = group.verify("Shop");
    assert!(verified.contains("all servers hold the same"), "{verified}");
}

#[test]
fn a_server_that_lost_its_folder_comes_back() {
    let mut group = Group::start(3);
    deployed(&group, 2);
    group.kill(2);
    group.delete_folder(2);
    assert_eq!(total(&group.url(0)), "7.5");
    group.restart(2);
    group.wait_ready(3);
    assert_eq!(total(&group.url(2)), "7.5");
    let (status, said) = group.run(&["verify", "Shop"]);
    assert_eq!(status, Some(0), "{said}");
    // One flipped byte is found and named.
    group.flip_a_byte(1);
    let found = group.verify_deep("Shop");
    assert_eq!(found.0, Some(4), "{}", found.1);
    assert!(found.1.contains("s1"), "{}", found.1);
}

#[test]
fn a_witness_that_leads_has_data_servers_write() {
    // The founder leads, and holds no data.
    let mut group = Group::of_kinds(&["witness", "data", "data"]);
    assert_eq!(group.leader(), 0);
    deployed(&group, 0);
    for at in 0..3 {
        assert_eq!(total(&group.url(at)), "7.5");
    }
    // A data server goes; the other one writes, whoever leads.
    group.kill(1);
    let (status, body) = post(&group.url(0), "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(status, 200, "{body}");
    group.restart(1);
    group.wait_ready(3);
    assert!(group.verify("Shop").contains("all servers hold the same"));
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_database_or_the_new_one() {
    let mut group = Group::start(1);
    deployed(&group, 0);
    let (status, body) =
        post(&group.url(0), "/api/v1/databases/Shop/backup", "{\"target\":\"s.evb\"}");
    assert_eq!(status, 200, "{body}");
    let filtered = MODEL.replace("{\\\"c\\\",4}", "{\\\"c\\\",40}");
    assert_ne!(filtered, MODEL);
    let (mut old, mut new) = (0, 0);
    for wait in (0..40).step_by(4) {
        let (status, body) = post(&group.url(0), "/api/v1/deploy", &filtered);
        assert_eq!(status, 200, "{body}");
        let (status, body) = post(&group.url(0), "/api/v1/databases/Shop/refresh", "{}");
        assert_eq!(status, 200, "{body}");
        let url = group.url(0);
        let restoring = std::thread::spawn(move || {
            let body = "{\"source\":\"s.evb\",\"overwrite\":true}";
            process::try_post(&url, "/api/v1/restore", body)
        });
        std::thread::sleep(Duration::from_millis(wait));
        group.kill(0);
        let answered = restoring.join().unwrap().is_ok_and(|(status, _)| status == 200);
        group.restart(0);
        group.wait_ready(1);
        match total(&group.url(0)).as_str() {
            "7.5" => new += 1,
            "43.5" if !answered => old += 1,
            other => panic!("after {wait} ms: {other}, answered: {answered}"),
        }
        assert!(group.verify("Shop").contains("all servers hold the same"));
    }
    println!("killed {} times: {old} old, {new} new", old + new);
}

#[test]
fn backups_and_earlier_versions_from_the_command_line() {
    let group = Group::start(1);
    deployed(&group, 0);
    let run = |words: &[&str]| group.run(words);
    let json = |words: &[&str]| -> serde_json::Value {
        let (status, text) = run(words);
        assert_eq!(status, Some(0), "{words:?}: {text}");
        serde_json::from_str(&text).unwrap()
    };
    let folder = group.beside("backups/");
    let file = |name: &str| format!("{folder}{name}");
    for name in ["1.evb", "2.evb"] {
        assert_eq!(run(&["backup", "Shop", &file(name)]).0, Some(0));
    }
    let listed = json(&["backups", "list", &folder, "--json"]);
    assert_eq!(listed["backups"][1]["name"], "2.evb", "{listed}");
    assert_eq!(json(&["backups", "verify", &folder, "--json"])["ok"], true);
    let tested = json(&["backups", "test", &folder, "--json"]);
    assert_eq!(tested["usable"], true, "{tested}");
    let (status, said) = run(&["backups", "test", &file("1.evb")]);
    assert!(status == Some(1) && said.contains("FAILED write"), "{said}");
    assert_eq!(run(&["backups", "list", &file("none")]).0, Some(1));
    let nothing = group.file("nothing", "\n");
    let (status, said) = run(&["backup", "Shop", &file("3.evb"), "--password-file", &nothing]);
    assert!(status == Some(2) && said.contains("holds no secret"), "{said}");

    let changed = MODEL.replace("\"SUM(Sales[Amount])\"", "\"2 * SUM(Sales[Amount])\"");
    assert_ne!(changed, MODEL);
    let (status, body) = post(&group.url(0), "/api/v1/deploy", &changed);
    assert_eq!((status, total(&group.url(0)).as_str()), (200, "15.0"), "{body}");
    let versions = json(&["rollback", "Shop", "--json"]);
    let before = versions["versions"][1]["version"].to_string();
    let query = |at: &[&str]| run(&[&["query", "Shop", TOTAL, "--format", "csv"][..], at].concat());
    assert!(query(&["--at", &before]).1.contains("7.5"));
    assert!(query(&[]).1.contains("15"));
    let (status, said) = run(&["rollback", "Shop", &before]);
    assert_eq!((status, total(&group.url(0)).as_str()), (Some(0), "7.5"), "{said}");
    assert_eq!(run(&["rollback", "Shop", "1"]).0, Some(1));
    assert_eq!(run(&["rollback", "Shop", "yesterday"]).0, Some(1));

    let (status, said) = run(&["restore", &folder, "--database", "Copy", "--at", &before]);
    assert_eq!(status, Some(0), "{said}");
    assert!(run(&["query", "Copy", TOTAL]).1.contains("7.5"));
    assert_eq!(run(&["restore", &file("1.evb"), "--table", "Sales"]).0, Some(0));

    let mut bytes = std::fs::read(file("1.evb")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file("1.evb"), bytes).unwrap();
    let (status, said) = run(&["backups", "verify", &folder]);
    assert!(status == Some(4) && said.contains("damaged"), "{status:?}: {said}");
    std::fs::remove_file(file("1.evb")).unwrap();
    assert_eq!(run(&["backup", "Shop", &file("3.evb")]).0, Some(0));
    let pruned = json(&["backups", "prune", &folder, "--last", "1", "--json"]);
    assert_eq!(pruned["removed"][0]["name"], "2.evb", "{pruned}");
    assert_eq!(run(&["backups", "prune", &folder]).0, Some(1));
    let document = json(&["status", "--json"]);
    assert!(document["servers"][0]["databases"].as_array().is_some_and(|d| d.len() == 2));
}
