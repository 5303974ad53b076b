//! A database that another group keeps ready, over plain and over encrypted connections.

use serde_json::Value as Json;

use crate::encrypted::{Authority, until};
use crate::keeping::FROM_FILE;
use crate::process::{Group, exchange, post};
use crate::{MODEL, deployed, total};

#[test]
fn another_group_stands_by_until_it_is_promoted() {
    let (here, mut there) = (Group::start(1), Group::start(1));
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

    // The alias leads to the group that writes: first the other one, after the promotion this one.
    let gateway = there.start_gateway();
    let link = |at: &str| exchange(at, "GET", "/link/Shop:rw", "").unwrap();
    let at_gateway = format!("asazure://{gateway}/Shop:rw");
    assert_eq!(link(&gateway), (200, at_gateway.clone()));
    let set = ["link", "set", "shop", "https://first.example:8443", "--database", "Shop"];
    let (status, said) = there.run(&set);
    assert!(status == Some(0) && said.contains("once database 'Shop' is promoted"), "{said}");
    let first = (200, "asazure://first.example:8443/evercube:rw".to_owned());
    assert_eq!([link(&gateway), link(&there.url(0))], [first.clone(), first]);
    assert_eq!(there.run(&["link", "set", "shop", "first.example"]).0, Some(1));
    assert_eq!(there.run(&["link", "set", "x", "here", "--database", "None"]).0, Some(1));

    let (status, said) = there.run(&["promote", "Shop"]);
    assert!(status == Some(0) && said.contains("link 'shop' leads to this group"), "{said}");
    assert_eq!(link(&gateway), (200, at_gateway));
    // One command sends the clients of the other group over.
    let (status, said) = here.run(&["link", "set", "shop", "https://second.example"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(link(&here.url(0)).1, "asazure://second.example/evercube:rw");
    assert!(here.run(&["link", "list"]).1.contains("second.example"));
    assert_eq!(here.run(&["link", "remove", "shop"]).0, Some(0));
    assert_eq!(here.run(&["link", "remove", "shop"]).0, Some(1));
    assert_eq!(link(&here.url(0)).1, format!("asazure://{}/Shop:rw", here.url(0)));
    let (status, body) = post(&there.url(0), "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(status, 200, "{body}");
    // The group that was followed overwrites nothing, and says so.
    here.eventually(0, |s| s["servers"][0]["databases"][0]["standby_error"].is_string());
    assert!(there.run(&["promote", "Shop"]).0 == Some(1));
}

#[test]
fn two_groups_read_the_sources_and_what_they_read_is_compared() {
    let (here, mut there) = (Group::start(1), Group::start(1));
    let model = here.file("files.json", FROM_FILE);
    let write = |group: &Group, text: &str| group.source(0, "s.csv", text);
    write(&here, "Item,Amount\na,1\nb,2\n");
    write(&there, "Item,Amount\nb,2\na,1\n");
    let url = format!("http://{}", there.url(0));
    let ok = |group: &Group, words: &[&str]| {
        let (status, said) = group.run(words);
        assert_eq!(status, Some(0), "{words:?}: {said}");
        said
    };
    ok(&here, &["deploy", &model]);
    let (status, said) = here.run(&["sync-mode", "Files", "parallel", "--to", &url]);
    assert!(status == Some(1) && said.contains("--target"), "{said}");
    let refuse = ["sync-mode", "Files", "parallel", "--on-difference", "refuse", "--to", &url];
    let said = ok(&here, &refuse);
    assert!(said.contains("has the model of 'Files'"), "{said}");
    // Deployed once, processed once: the other group has both.
    let sum = "EVALUATE ROW(\"s\", SUM(Sales[Amount]))";
    let held = |group: &Group| ok(group, &["query", "Files", sum, "--format", "csv"]);
    ok(&here, &["refresh", "Files"]);
    assert_eq!([held(&here), held(&there)], ["[s]\r\n3\r\n", "[s]\r\n3\r\n"]);
    // A difference is refused, and neither group changes.
    write(&here, "Item,Amount\na,10\n");
    write(&there, "Item,Amount\na,11\n");
    let (status, said) = here.run(&["refresh", "Files"]);
    assert!(status == Some(1) && said.contains("nothing was changed"), "{said}");
    assert!(said.contains("table 'Sales' partition 'All': read differently"), "{said}");
    assert_eq!([held(&here), held(&there)], ["[s]\r\n3\r\n", "[s]\r\n3\r\n"]);
    // Or it is repaired: what this group read is brought there.
    let shelf = here.beside("shelf");
    std::fs::create_dir(&shelf).unwrap();
    ok(&here, &["sync-mode", "Files", "parallel", "--to", &url, "--target", &shelf]);
    let said = ok(&here, &["refresh", "Files"]);
    assert!(said.contains("read differently"), "{said}");
    assert_eq!([held(&here), held(&there)], ["[s]\r\n10\r\n", "[s]\r\n10\r\n"]);
    // One that is away is said to be behind, and is no longer once it is back.
    there.kill(0);
    let said = ok(&here, &["refresh", "Files"]);
    assert!(said.contains("was away") && said.contains("does not hold"), "{said}");
    let error = |s: &Json| s["servers"][0]["databases"][0]["standby_error"].clone();
    assert!(error(&here.status_of(0)).is_string());
    there.restart(0);
    there.wait_ready(1);
    write(&there, "Item,Amount\na,10\n");
    ok(&here, &["refresh", "Files"]);
    assert!(error(&here.status_of(0)).is_null());
}

/// A group that speaks https by a certificate of this authority, and trusts that one besides those
/// of the machine.
fn encrypted(ours: &Authority) -> Group {
    let mut group = Group::secured();
    let (certificate, key) = ours.sign(&group, "server", 2090);
    group.extra = vec![
        format!("--tls-certificate={certificate}"),
        format!("--tls-key={key}"),
        format!("--ca={}", ours.file),
    ];
    group.kill(0);
    group.restart(0);
    group
}

#[test]
fn a_group_stands_by_over_https_with_a_private_authority() {
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let ours = Authority::in_folder(files.path(), "ours");
    let (here, there) = (encrypted(&ours), encrypted(&ours));
    let url = |group: &Group| format!("https://{}", group.url(0));
    let run = |group: &Group, words: &[&str], wanted: (i32, &str)| {
        let password = group.admin_password_file();
        let admin = ["--user", "admin", "--password-file", &password, "--ca", &ours.file];
        until(group, &url(group), &[words, &admin].concat(), wanted)
    };
    let model = file("model.json", MODEL);
    run(&here, &["deploy", &model], (0, ""));
    run(&here, &["refresh", "Shop"], (0, ""));
    let made = run(&there, &["token", "add", "standby"], (0, "shown this once: "));
    let token = file("token", made.trim().rsplit(' ').next().unwrap());
    let target = files.path().join("backups");
    std::fs::create_dir(&target).unwrap();
    let (to, target) = (url(&there), target.display().to_string());
    let plan = |to: &str, token: &str| {
        let words = ["sync-mode", "Shop", "standby", "--every", "1s", "--target", &target];
        [&words[..], &["--to", to, "--to-token-file", token]].concat().join("\n")
    };
    let ask = |plan: &str, wanted| run(&here, &plan.split('\n').collect::<Vec<_>>(), wanted);
    // Nothing is sent where it could be read, or to who is not let in.
    ask(&plan("http://10.9.8.7:1", &token), (1, "could be read on the way"));
    let stranger = file("stranger", "evercube_0000");
    ask(&plan(&to, &stranger), (1, "not known here"));
    ask(&plan(&to, &token), (0, "verified there"));
    let query = ["query", "Shop", "EVALUATE ROW(\"t\", [Total])", "--format", "csv"];
    run(&there, &query, (0, "7.5"));
    run(&there, &["status"], (0, "verified"));
    run(&there, &["refresh", "Shop"], (1, "promote"));
}
