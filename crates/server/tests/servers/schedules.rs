//! What the group does on its own: schedules and refreshes in the background.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::process::{Group, exchange, post};

/// Asks until the answer is what is waited for.
fn until(what: impl Fn() -> Json, is_it: impl Fn(&Json) -> bool) -> Json {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        let found = what();
        if is_it(&found) {
            return found;
        }
        assert!(Instant::now() < limit, "never happened: {found:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn json(to: &str, method: &str, path: &str, body: &str) -> (u16, Json) {
    let (status, text) = exchange(to, method, path, body).unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}")))
}

/// Runs a schedule now and waits for the end; the run.
fn run_now(to: &str, name: &str) -> Json {
    let (status, asked) = json(to, "POST", &format!("/api/v1/schedules/{name}/run"), "{}");
    assert_eq!(status, 200, "{asked}");
    let runs = || json(to, "GET", &format!("/api/v1/schedules/{name}"), "").1;
    let of = |all: &Json| {
        let mut runs = all["runs"].as_array().unwrap().iter();
        runs.find(|r| r["id"] == asked["run"]).cloned().unwrap_or_default()
    };
    of(&until(runs, |all| !matches!(of(all)["state"].as_str(), Some("waiting" | "running"))))
}

#[test]
fn the_group_runs_its_schedules_and_refreshes_whoever_dies() {
    let mut group = Group::start(3);
    super::deployed(&group, 0);
    let add = |words: &[&str]| {
        let words = [&["schedule", "add"][..], words, &["--cron", "0 3 * * *"]].concat();
        let (code, text) = group.run(&words);
        assert_eq!(code, Some(0), "{text}");
    };
    add(&["data", "refresh", "Shop"]);
    add(&["copy", "backup", "Shop", "--last", "1", "--time-zone", "Europe/Zurich"]);
    add(&["proof", "drill", "Shop", "--probe", "EVALUATE ROW(\"t\", [Total])"]);
    add(&["other", "restore", "Shop2", "--of", "Shop"]);
    add(&["wrong", "drill", "Shop", "--probe", "EVALUATE Nowhere", "--retries", "0"]);
    let (code, text) = group.run(&["schedule", "add", "x", "refresh", "Shop", "--cron", "1 2"]);
    assert!(code == Some(1) && text.contains("2 fields"), "{text}");
    for (words, status, why) in [
        (&["refresh", "Nope"][..], 1, "no database 'Nope'; the group has Shop"),
        (&["backup", "Nope"], 1, "no database 'Nope'"),
        (&["drill", "Nope"], 1, "no database 'Nope'"),
        (&["refresh", "Shop", "--table", "Nope"], 1, "no table of that name"),
        (&["refresh", "Shop", "--daily", "3"], 2, "--daily is of a backup"),
        (&["refresh", "Shop", "/backups"], 2, "TARGET"),
        (&["backup", "Shop", "--type", "full"], 2, "--type is of a refresh"),
        (&["drill", "Shop", "--roles", "skip"], 2, "--roles is of a restore"),
    ] {
        let words = [&["schedule", "add", "x"], words, &["--cron", "@daily"]].concat();
        let (code, text) = group.run(&words);
        assert!(code == Some(status) && text.contains(why), "{words:?}: {code:?} {text}");
    }

    let leader = group.leader();
    let before = run_now(&group.url(leader), "copy");
    assert_eq!(before["state"], "succeeded", "{before:#}");
    group.kill(leader);
    let to = group.url((leader + 1) % 3);
    for (name, state) in [
        ("data", "succeeded"),
        ("copy", "succeeded"),
        ("proof", "succeeded"),
        ("other", "succeeded"),
    ] {
        let run = run_now(&to, name);
        assert_eq!(run["state"], state, "{name}: {run:#}");
    }
    assert_eq!(super::total(&to), "7.5");
    let of_copy =
        post(&to, "/api/v1/databases/Shop2/query", r#"{"query":"EVALUATE ROW(\"t\", [Total])"}"#);
    assert!(of_copy.1.contains("7.5"), "{of_copy:?}");
    let wrong = run_now(&to, "wrong");
    assert_eq!(wrong["state"], "failed");
    assert!(wrong["errors"][0]["message"].as_str().unwrap().contains("Nowhere"), "{wrong:#}");
    // The backup before went when the next one was there; both were proved.
    let (_, text) = exchange(&to, "POST", "/api/v1/backups/list", "{}").unwrap();
    assert!(text.matches("\"verified\":\"2").count() == 1, "{text}");
    let (code, text) = group.run(&["schedule", "list"]);
    assert!(code == Some(0) && text.contains("Europe/Zurich") && text.contains("failed"), "{text}");
    refreshes_in_the_background(&to, &group.url((leader + 2) % 3));
}

fn refreshes_in_the_background(one: &str, other: &str) {
    let path = "/servers/any:rw/models/Shop/refreshes";
    let (status, asked) = json(one, "POST", path, r#"{"Type":"Full","CommitMode":"partialBatch"}"#);
    assert!(status == 202 && asked["status"] == "notStarted", "{status} {asked:#}");
    let one_path = format!("{path}/{}", asked["refreshId"].as_str().unwrap());
    let ended = until(|| json(other, "GET", &one_path, "").1, |r| r.get("endTime").is_some());
    assert_eq!(ended["status"], "succeeded", "{ended:#}");
    assert_eq!(ended["objects"][0]["status"], "succeeded", "{ended:#}");
    let (status, kept) = json(other, "DELETE", &one_path, "");
    assert!(status == 200 && kept["status"] == "succeeded", "{status} {kept:#}");
    let (_, all) = json(other, "GET", path, "");
    assert_eq!(all[0]["refreshId"], asked["refreshId"], "{all:#}");
    assert_eq!(all[1]["refreshType"], "Scheduled", "{all:#}");
    for (method, path, body, status) in [
        ("POST", path, "{\"Objects\":[{\"table\":\"Nothing\"}]}", 404),
        ("POST", path, "{\"Type\":\"add\"}", 400),
        ("POST", "/servers/any/models/Nope/refreshes", "", 404),
        ("GET", "/servers/any/models/Shop/refreshes/none", "", 404),
    ] {
        let (got, answer) = json(one, method, path, body);
        assert_eq!(got, status, "{method} {path} {body}: {answer:#}");
    }
    let sync = "/servers/any:rw/models/Shop/sync";
    let (status, started) = json(one, "POST", sync, "");
    assert_eq!(status, 202, "{started:#}");
    let id = started["operationId"].as_str().unwrap();
    until(|| json(other, "GET", &format!("{sync}/{id}"), "").1, |s| s["syncstate"] == 2);
}
