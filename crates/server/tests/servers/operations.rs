//! What operators do on purpose, while a client reads and another one writes through the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::Value as Json;

use crate::process::{Group, post};
use crate::{deployed, total};

/// A reader and a writer that stand no failure.
struct Load {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(gateway: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (reads, writes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let looping = |count: &Arc<AtomicU64>, work: fn(&str)| {
            let (stop, count, url) = (Arc::clone(&stop), Arc::clone(count), gateway.to_owned());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    work(&url);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let reading = looping(&reads, |url| assert_eq!(total(url), "7.5"));
        let writing = looping(&writes, |url| {
            let (status, body) = post(url, "/api/v1/databases/Shop/refresh", "{}");
            assert_eq!(status, 200, "{body}");
        });
        Self { stop, reads, writes, threads: vec![reading, writing] }
    }

    /// Ends after both have gone on for a while, and fails where one ever failed.
    fn end(self) {
        let (reads, writes) =
            (self.reads.load(Ordering::Relaxed), self.writes.load(Ordering::Relaxed));
        while self.threads.iter().all(|t| !t.is_finished())
            && (self.reads.load(Ordering::Relaxed) < reads + 3
                || self.writes.load(Ordering::Relaxed) < writes + 2)
        {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("nothing failed");
        }
    }
}

fn report(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The server that writes a database, as `at` sees it.
fn primary(status: &Json, database: &str) -> Option<String> {
    let of = |s: &Json| -> bool {
        let databases = s["databases"].as_array().cloned().unwrap_or_default();
        databases.iter().any(|d| d["name"] == database && d["primary"] == true)
    };
    let servers = status["servers"].as_array()?;
    let found: Vec<&Json> = servers.iter().filter(|s| of(s)).collect();
    assert!(found.len() <= 1, "one primary at most: {status}");
    found.first().and_then(|s| s["name"].as_str()).map(str::to_owned)
}

#[test]
fn writes_move_on_purpose_and_nobody_notices() {
    let mut group = Group::start(3);
    deployed(&group, 0);
    let gateway = group.start_gateway();
    let load = Load::start(&gateway);
    let to = |server: &'static str| move |s: &Json| primary(s, "Shop").as_deref() == Some(server);
    let moved = report(&group.operate(&gateway, &["failover", "--to", "r2", "--json"]));
    assert!(moved["gap_ms"].is_u64() && moved["read_gap_ms"].is_u64(), "{moved}");
    group.eventually(1, to("s2"));
    assert_eq!(group.leader(), 2, "{moved}");
    // One database alone: the leadership stays.
    group.operate(&gateway, &["failover", "Shop", "--to", "s1"]);
    group.eventually(0, to("s1"));
    assert_eq!(group.leader(), 2);
    let (status, text) = group.command(&gateway, &["failover", "--to", "nowhere"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("neither a server nor a region"), "{text}");

    let back = group.operate(&gateway, &["failback"]);
    assert!(back.contains("moved from s2 to s0") && back.contains("measured gap"), "{back}");
    group.eventually(2, to("s0"));
    assert_eq!(group.leader(), 0);
    let again = group.operate(&gateway, &["failback"]);
    assert!(again.contains("nothing was moved away"), "{again}");

    let drained = group.operate(&gateway, &["drain", "s0"]);
    assert!(drained.contains("nothing runs on server s0") || drained.contains("still run"));
    assert_ne!(group.leader(), 0);
    group.eventually(1, |s| s["servers"][0]["state"] == "draining");
    group.kill(0);
    group.restart(0);
    group.wait_ready(3);
    load.end();
    assert!(group.verify("Shop").contains("all servers hold the same"));
}

#[test]
fn a_drill_kills_the_writer_and_says_what_clients_saw() {
    let mut group = Group::start(3);
    deployed(&group, 0);
    let gateway = group.start_gateway();
    let load = Load::start(&gateway);
    // Asked of the server that dies, another one runs it.
    let victim = format!("s{}", group.leader());
    let drill = ["drill", "--kill", &victim, "--seconds", "1", "--json"];
    let done = report(&group.operate(&group.url(group.leader()), &drill));
    let text = done["done"].to_string();
    assert!(text.contains("was killed") && text.contains("was ready again"), "{done}");
    assert!(text.contains(&format!("writes moved from {victim}")), "{done}");
    group.wait_ready(3);
    load.end();
    assert!(group.verify("Shop").contains("all servers hold the same"));
    // What would stop the group is refused, and who is away is told.
    group.kill(1);
    for words in [
        ["drain", "s2", "--json"],
        ["replicas", "add", "s2"],
        ["members", "remove", "s2"],
        ["drill", "--kill", "r2"],
    ] {
        let (status, text) = group.command(&gateway, &words);
        assert!(status == Some(1) && text.contains("server 's1' is away"), "{words:?}: {text}");
    }
    group.operate(&gateway, &["refresh", "Shop"]);
    group.operate(&gateway, &["members", "remove", "s1"]);
    // Of two, either may be emptied; what its stop means is told.
    let drained = group.operate(&gateway, &["drain", "s2"]);
    assert!(drained.contains("there is no majority"), "{drained}");
    group.operate(&gateway, &["drain", "s2", "--end"]);
    let (status, text) = group.command(&gateway, &["drill", "--kill", "r2"]);
    assert!(status == Some(1) && text.contains("would stop"), "{text}");
}

#[test]
fn members_come_and_go_under_load() {
    let mut group = Group::start(3);
    deployed(&group, 0);
    let gateway = group.start_gateway();
    let load = Load::start(&gateway);
    for kind in ["replica", "learner", "replica"] {
        group.add(kind);
    }
    group.wait_ready(6);
    let listed = report(&group.operate(&gateway, &["replicas", "list", "--json"]));
    assert_eq!(listed["members"].as_array().map(Vec::len), Some(3), "{listed}");
    assert_eq!(total(&group.url(4)), "7.5");
    // A learner votes from now on, and takes writes.
    group.operate(&gateway, &["members", "add", "s4"]);
    group.operate(&gateway, &["failover", "--to", "s4"]);
    assert_eq!(group.leader(), 4);
    // Who leads and writes leaves.
    let gone = group.operate(&gateway, &["members", "remove", "s4"]);
    assert!(gone.contains("writes moved from s4") && gone.contains("no member any more"), "{gone}");
    group.operate(&gateway, &["replicas", "remove", "s3"]);
    group.eventually(0, |s| s["servers"].as_array().is_some_and(|all| all.len() == 4));
    // It is told why nobody listens to it, also after a restart.
    group.kill(4);
    group.restart(4);
    group.wait_listening(4);
    group.eventually(4, |s| {
        let all = s["servers"].as_array().cloned().unwrap_or_default();
        all.iter().any(|s| s["name"] == "s4" && s["state"] == "fenced")
    });
    load.end();
    let read =
        |level| group.command(&gateway, &["query", "Shop", "EVALUATE Sales", "--read", level]);
    let ((status, text), (wrong, why)) = (read("any"), read("now"));
    assert_eq!((status, wrong), (Some(0), Some(1)), "{text}");
    assert!(why.contains("read level"), "{why}");
    let (status, hint) = group.command(&gateway, &["members", "add", "s9"]);
    assert!(status == Some(1) && hint.contains("--join"), "{hint}");
    assert!(group.verify("Shop").contains("all servers hold the same"));
}

#[test]
fn a_strict_database_takes_no_commit_that_one_region_alone_holds() {
    let mut group = Group::of_kinds(&["data", "data", "witness"]);
    deployed(&group, 0);
    group.operate(&group.url(1), &["policy", "Shop", "strict"]);
    group.kill(1);
    let (status, body) = post(&group.url(0), "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("strict"), "{body}");
    assert_eq!(total(&group.url(0)), "7.5");
    group.operate(&group.url(0), &["policy", "Shop", "available"]);
    let (status, body) = post(&group.url(0), "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(status, 200, "{body}");
    assert_eq!(group.status_of(0)["degraded"][0], "r1");
    group.restart(1);
    group.eventually(0, |s| s["degraded"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn a_server_goes_on_alone_by_an_operators_word() {
    let mut group = Group::start(2);
    deployed(&group, 0);
    let promote = ["promote", "--accept-loss"];
    let (status, text) = group.command(&group.url(1), &promote);
    assert_eq!(status, Some(1), "a majority is there: {text}");
    assert_eq!(group.command(&group.url(1), &["promote"]).0, Some(2));
    group.kill(0);
    group.eventually(1, |s| s["quorum"] == false);
    let done = group.operate(&group.url(1), &promote);
    assert!(done.contains("goes on alone") && done.contains("complete here"), "{done}");
    assert_eq!(group.status_of(1)["leader"], "s1", "as soon as it says so");
    let (status, body) = post(&group.url(1), "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(status, 200, "{body}");
    // The side that was left behind writes nothing into the new history, nor answers from the old.
    group.restart(0);
    group.wait_listening(0);
    group.eventually(0, |s| {
        let all = s["servers"].as_array().cloned().unwrap_or_default();
        let says_why =
            |s: &Json| s["error"].as_str().is_some_and(|why| why.contains("empty folder"));
        all.iter().any(|s| s["name"] == "s0" && s["state"] == "fenced" && says_why(s))
    });
    assert_eq!(group.status_of(1)["servers"].as_array().map(Vec::len), Some(1));
    // With an empty folder it is a member again.
    group.kill(0);
    group.delete_folder(0);
    group.join_through(0, 1);
    group.wait_ready(2);
    assert!(group.verify("Shop").contains("all servers hold the same"));
}

#[test]
fn users_tokens_and_the_firewall_are_state_of_the_group() {
    let group = Group::secured();
    let url = group.url(0);
    let admin = ["--user", "admin", "--password-file", &group.admin_password_file()];
    let run = |words: &[&str], by: &[&str]| group.command(&url, &[words, by].concat());
    let ok = |words: &[&str], by: &[&str]| {
        let (status, text) = run(words, by);
        assert_eq!(status, Some(0), "{words:?}: {text}");
        text
    };
    assert_eq!(run(&["status"], &[]).0, Some(1), "nobody in particular");
    let password = group.file("pw", "correct horse\n");
    ok(&["user", "add", "Ann", "--new-password-file", &password], &admin);
    let ann = ["--user", "ann", "--password-file", &password];
    ok(&["status"], &ann);
    assert_eq!(run(&["user", "list"], &ann).0, Some(1), "only for administrators");
    ok(&["admin", "add", "ann"], &admin);
    ok(&["admin", "remove", "admin"], &ann);
    let (status, text) = run(&["user", "remove", "ann"], &ann);
    assert!(status == Some(1) && text.contains("last administrator"), "{text}");

    let made = report(&ok(&["token", "add", "nightly", "--json"], &ann));
    let secret = group.file("token", made["secret"].as_str().unwrap());
    let token = ["--token-file", secret.as_str()];
    assert!(ok(&["token", "list"], &token).contains("nightly"));
    ok(&["token", "remove", "nightly"], &token);
    assert_eq!(run(&["status"], &token).0, Some(1), "the token is gone");

    ok(&["firewall", "add", "office", "10.1.0.0", "10.1.255.255"], &ann);
    let rules = report(&ok(&["firewall", "list", "--json"], &ann));
    assert_eq!(rules["rules"][0]["last"], "10.1.255.255", "{rules}");
    for (range, why) in [
        (&["10.2.0.0", "10.1.0.0"][..], "no address from 10.2.0.0"),
        (&["10.0.0.0/8"], "its first and its last address"),
        (&["10.0.0.1", "::1"], "different kinds"),
    ] {
        let (status, text) = run(&[&["firewall", "add", "x"], range].concat(), &ann);
        assert!(status == Some(1) && text.contains(why), "{text}");
    }
    // However an address is written, it is told as clients have it.
    ok(&["firewall", "add", "mapped", "::ffff:10.3.0.1"], &ann);
    let rules = report(&ok(&["firewall", "list", "--json"], &ann));
    assert_eq!(rules["rules"][0]["first"], "10.3.0.1", "{rules}");
    ok(&["firewall", "remove", "mapped"], &ann);
    ok(&["firewall", "remove", "office"], &ann);
}
