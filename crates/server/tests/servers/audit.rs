//! The audit log of real servers: what it tells, what it never tells, and that tampering is found.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::deployed;
use crate::process::{Group, execute, post};

fn logs(folder: &Path, stream: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder.join("audit")).unwrap().map(|e| e.unwrap().path());
    let is_of = |p: &PathBuf| p.extension().is_some_and(|e| e == "log");
    let named = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with(stream);
    let mut found: Vec<PathBuf> = all.filter(|p| is_of(p) && named(p)).collect();
    found.sort();
    found
}

fn records(folder: &Path, stream: &str) -> Vec<Json> {
    let text: String =
        logs(folder, stream).iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
    let json = |line: &str| serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
    text.lines().map(json).collect()
}

fn find<'a>(records: &'a [Json], action: &str) -> &'a Json {
    let mut of = records.iter().rev();
    of.find(|r| r["action"] == action).unwrap_or_else(|| panic!("no {action} in {records:#?}"))
}

#[test]
fn who_did_what_is_written_down_without_secrets() {
    let mut group = Group::secured();
    let password = group.admin_password_file();
    let admin = |words: &[&str]| {
        group.run(&[words, &["--user", "admin", "--password-file", &password]].concat())
    };
    let model = group.file("model.json", crate::MODEL);
    assert_eq!(admin(&["deploy", &model]).0, Some(0));
    let secret = group.file("ann", "Anns-Secret-1");
    assert_eq!(admin(&["user", "add", "ann", "--new-password-file", &secret]).0, Some(0));
    let wrong = group.file("wrong", "Not-Anns-Secret");
    let words = ["status", "--user", "ann", "--password-file", &wrong];
    assert_eq!(group.run(&words).0, Some(1));
    let query = "EVALUATE ROW(\"Hidden-Literal\", 1)";
    let words = ["query", "Shop", query, "--user", "ann", "--password-file", &secret];
    assert_eq!(group.run(&words).0, Some(1), "ann has no role");
    assert_eq!(admin(&["query", "Shop", query]).0, Some(0));
    let (status, text) = admin(&["audit", "verify"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("every record is as it was written"), "{text}");
    let (status, text) =
        group.run(&["audit", "verify", "--user", "ann", "--password-file", &secret]);
    assert_eq!(status, Some(1), "{text}");

    // Proved again, so that everything before is in the files.
    assert_eq!(admin(&["audit", "verify"]).0, Some(0));
    let folder = group.data(0);
    let (changes, queries) = (records(&folder, "changes"), records(&folder, "queries"));
    let deploy = find(&changes, "deploy");
    assert_eq!((&deploy["user"], &deploy["outcome"]), (&"admin".into(), &"done".into()));
    assert_eq!(deploy["from"], "127.0.0.1");
    assert_eq!(find(&changes, "put user")["object"], "name=ann");
    let refused = changes.iter().find(|r| r["action"] == "sign-in" && r["outcome"] == "denied");
    assert_eq!(refused.unwrap()["user"], "ann");
    let denied = changes.iter().find(|r| r["outcome"] == "denied" && r["action"] == "audit verify");
    assert_eq!(denied.unwrap()["user"], "ann");
    let asked = find(&queries, "query");
    assert_eq!((&asked["user"], &asked["database"]), (&"admin".into(), &"Shop".into()));
    let everything = [&changes[..], &queries[..]].concat();
    let everything = serde_json::to_string(&everything).unwrap();
    let admins = std::fs::read_to_string(&password).unwrap();
    for secret in ["Anns-Secret", "Hidden-Literal", admins.trim()] {
        assert!(!everything.contains(secret), "{secret} is in the log");
    }

    // One changed byte.
    let log = logs(&folder, "changes").pop().unwrap();
    let whole = std::fs::read(&log).unwrap();
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(&log, &changed).unwrap();
    let (status, text) = admin(&["audit", "verify"]);
    assert_eq!(status, Some(4), "{text}");
    std::fs::write(&log, &whole).unwrap();

    // The end cut off while the server is down.
    group.kill(0);
    let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
    std::fs::write(&log, lines[..lines.len() - 3].concat()).unwrap();
    group.restart(0);
    group.wait_listening(0);
    let (status, text) =
        group.run(&["audit", "verify", "--user", "admin", "--password-file", &password]);
    assert_eq!(status, Some(4), "{text}");
    assert!(text.contains("tells of records that were cut off"), "{text}");
}

#[test]
fn the_server_that_was_asked_writes_down_how_it_ended_elsewhere() {
    let mut group = Group::start(2);
    deployed(&group, 0);
    let gateway = group.start_gateway();
    for at in 0..2 {
        let (status, _) = post(&group.url(at), "/api/v1/databases/None/refresh", "{}");
        assert_eq!(status, 404);
        let script = r#"{"refresh":{"type":"full","objects":[{"database":"Shop"}]}}"#;
        let done = execute(&group.url(at), script, "");
        assert!(!done.contains("faultstring"), "{done}");
    }
    let fault = execute(&gateway, "EVALUATE Nothing", "<Catalog>Shop</Catalog>");
    assert!(fault.contains("Nothing"), "{fault}");
    assert_eq!(group.run(&["audit", "verify"]).0, Some(0));
    let mut through = 0;
    for at in 0..2 {
        let changes = records(&group.data(at), "changes");
        let script = changes.iter().rev().find(|r| r["object"] == "full").unwrap();
        assert_eq!((&script["outcome"], &script["database"]), (&"done".into(), &"Shop".into()));
        let unknown = changes.iter().find(|r| r["database"] == "None").unwrap();
        assert_eq!(unknown["outcome"], "failed: NotFound");
        let queries = records(&group.data(at), "queries");
        let asked = queries.iter().find(|r| r["for"] == "127.0.0.1");
        through += asked.iter().filter(|r| r["outcome"] != "done").count();
    }
    assert_eq!(through, 1, "the gateway says for whom it asks");
}
