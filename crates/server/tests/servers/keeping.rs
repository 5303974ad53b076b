//! The ways to keep servers the same: all read the sources and compare, or another group restores.

use serde_json::Value as Json;

use crate::process::{Group, post};
use crate::{MODEL, deployed, total};

const FROM_FILE: &str = r##"{"name":"Files","compatibilityLevel":1600,"model":{"culture":"en-US",
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
fn another_group_stands_by_until_it_is_promoted() {
    let (here, there) = (Group::start(1), Group::start(1));
    deployed(&here, 0);
    let folder = here.beside("standby");
    std::fs::create_dir(&folder).unwrap();
    let to = format!("http://{}", there.url(0));
    let plan = ["sync-mode", "Shop", "standby", "--to", &to, "--target", &folder, "--every", "1s"];
    let (status, said) = here.run(&plan);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(total(&there.url(0)), "7.5");
    let standby = |status: &Json| status["servers"][0]["databases"][0]["standby"].clone();
    assert_eq!(standby(&there.status_of(0))["verified"], true);
    for (path, body) in [("deploy", MODEL), ("databases/Shop/refresh", "{}")] {
        let (status, said) = post(&there.url(0), &format!("/api/v1/{path}"), body);
        assert!(status != 200 && said.contains("promote"), "{status}: {said}");
    }
    // A new version comes by itself.
    let changed = MODEL.replace("{\\\"c\\\",4}", "{\\\"c\\\",40}");
    assert_ne!(changed, MODEL);
    post(&here.url(0), "/api/v1/deploy", &changed);
    let (status, body) = post(&here.url(0), "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(status, 200, "{body}");
    let seq: Json = serde_json::from_str::<Json>(&body).unwrap()["seq"].clone();
    there.eventually(0, |status| standby(status)["version"] == seq);
    assert_eq!(total(&there.url(0)), "43.5");

    let (status, said) = there.run(&["promote", "Shop"]);
    assert_eq!(status, Some(0), "{said}");
    let (status, body) = post(&there.url(0), "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(status, 200, "{body}");
    // The group that was followed overwrites nothing, and says so.
    here.eventually(0, |s| s["servers"][0]["databases"][0]["standby_error"].is_string());
    assert!(there.run(&["promote", "Shop"]).0 == Some(1));
}
