//! Data folders that are encrypted: nothing of the data lies in them readable, the keys are changed
//! while queries go on, a folder that was plain becomes encrypted, and damage is healed as ever.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::damage::heals;
use crate::process::{Group, flip, post};
use crate::{MODEL, total};

/// What is looked for: in rows, in the model, in the name of a user's file.
const CANARY: &str = "canary";

fn model() -> String {
    MODEL
        .replace("{\\\"a\\\",1.5}", "{\\\"a canary\\\",1.5}")
        .replace("\"Total\"", "\"Total\",\"description\":\"a canary sings\"")
}

fn deployed(group: &Group) {
    for (path, body) in
        [("/api/v1/deploy", model()), ("/api/v1/databases/Shop/refresh", "{}".into())]
    {
        let (status, said) = post(&group.url(0), path, &body);
        assert_eq!(status, 200, "{said}");
    }
}

/// Files below a folder that hold the canary.
fn singing(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(singing(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let holds = bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes());
            found.extend(holds.then_some(path));
        }
    }
    found
}

fn encryption(status: &serde_json::Value, at: usize) -> &serde_json::Value {
    let servers = status["servers"].as_array().unwrap();
    &servers.iter().find(|s| s["name"] == format!("s{at}")).unwrap()["encryption"]
}

/// Waits until every file of a server is encrypted with a data key.
fn settled(group: &Group, at: usize, data_key: u32) {
    group.eventually(at, |status| {
        let e = encryption(status, at);
        e["data_key"] == data_key && e["files_left"] == 0
    });
}

/// Names of the keys that open the first server's folder.
fn opened_by(group: &Group) -> Vec<serde_json::Value> {
    encryption(&group.status_of(0), 0)["opened_by"].as_array().unwrap().clone()
}

#[test]
fn a_folder_becomes_encrypted_and_its_keys_change_while_queries_go_on() {
    let mut group = Group::start(1);
    deployed(&group);
    assert!(!singing(&group.data(0)).is_empty());
    group.kill(0);
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let key = group.file("key", &old);
    group.extra = vec![format!("--encryption-key-file={key}")];
    group.restart(0);
    group.wait_ready(1);
    settled(&group, 0, 1);
    assert_eq!(singing(&group.data(0)), Vec::<PathBuf>::new());
    let first = opened_by(&group);

    let stop = Arc::new(AtomicBool::new(false));
    let reading = {
        let (stop, url) = (Arc::clone(&stop), group.url(0));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(total(&url), "7.5");
            }
        })
    };
    // The new key wraps too, then it alone; then everything is written anew.
    std::fs::write(&key, format!("{new}\n{old}\n")).unwrap();
    assert_eq!(group.run(&["encryption", "rotate"]).0, Some(0));
    assert_eq!(opened_by(&group).len(), 2);
    std::fs::write(&key, &new).unwrap();
    let (status, said) = group.run(&["encryption", "rotate", "--on", "s0", "--new-data-key"]);
    assert_eq!(status, Some(0), "{said}");
    settled(&group, 0, 2);
    stop.store(true, Ordering::Relaxed);
    reading.join().expect("every answer was right");
    assert_ne!(opened_by(&group), first);
    assert_eq!(group.run(&["audit", "verify"]).0, Some(0));
    let (status, said) = group.verify_deep("Shop");
    assert_eq!(status, Some(0), "{said}");

    // The old key opens nothing any more, nor does none, and both say what to do.
    group.kill(0);
    let started = |extra: &[&str]| {
        let data = format!("--data={}", group.data(0).display());
        let words = [&["serve", "--no-auth", "--listen=127.0.0.1:0", &data], extra].concat();
        group.run_bare(&words)
    };
    let old_file = group.file("old", &old);
    let with_old = format!("--encryption-key-file={old_file}");
    for extra in [&[][..], &[with_old.as_str()]] {
        let (status, said) = started(extra);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("is encrypted") && said.contains("encryption_key_file"), "{said}");
    }
    group.restart(0);
    group.wait_ready(1);
    assert_eq!(total(&group.url(0)), "7.5");
    assert_eq!(singing(&group.data(0)), Vec::<PathBuf>::new());

    // In the group's own folder a backup is encrypted with the folder's keys; elsewhere with its own
    // password only, and it says where it has none.
    let done = |words: &[&str]| {
        let (status, said) = group.run(words);
        assert_eq!(status, Some(0), "{said}");
        said
    };
    let warned = |words: &[&str]| {
        let said = done(&[&["backup", "Shop"], words].concat());
        said.contains("The data folder is encrypted and the backup")
    };
    assert!(!warned(&["own.evb"]));
    assert_eq!(singing(&group.data(0)), Vec::<PathBuf>::new());
    let status = group.status_of(0);
    let clear = encryption(&status, 0)["in_the_clear"].to_string();
    assert!(!clear.contains("backup"), "{clear}");
    assert!(done(&["backups", "verify"]).contains("ok"));
    done(&["restore", "own.evb", "--database", "Copy"]);
    let secret = group.file("secret", "Backup-1");
    assert!(!warned(&["locked.evb", "--password-file", &secret]));
    assert!(warned(&[&group.beside("clear.evb")]));

    // Elsewhere one of the operator's keys opens it, and what is missing is said.
    let mut other = Group::start(1);
    let own = group.data(0).join("backup/own.evb");
    let own = own.to_str().unwrap();
    let (status, said) = other.run(&["restore", own]);
    let name = opened_by(&group)[0].as_str().unwrap().to_owned();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("operator's keys") && said.contains(&name), "{said}");
    other.kill(0);
    other.extra = vec![format!("--encryption-key-file={key}")];
    other.restart(0);
    other.wait_ready(1);
    let (status, said) = other.run(&["restore", own]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(total(&other.url(0)), "7.5");
}

/// Each server has a key of its own, or none; what they hold is the same, and a file that is cut,
/// flipped or exchanged is healed by another one.
#[test]
fn servers_with_other_keys_hold_the_same_and_heal_each_other() {
    let mut group = Group::start(3);
    deployed(&group);
    for at in [1, 2] {
        group.kill(at);
        group.delete_folder(at);
        let key = group.file(&format!("key{at}"), &format!("{at}{at}").repeat(32));
        group.extra = vec![format!("--encryption-key-file={key}")];
        group.restart(at);
        group.wait_ready(3);
        assert_eq!(singing(&group.data(at)), Vec::<PathBuf>::new());
    }
    let (status, said) = group.verify_deep("Shop");
    assert_eq!(status, Some(0), "{said}");
    let names = |at| -> Vec<_> {
        let files = group.object_files(at);
        files.iter().map(|f| f.file_name().unwrap().to_owned()).collect()
    };
    assert!(names(1).iter().all(|name| !names(2).contains(name)));
    let files = group.object_files(1);
    flip(&files[0]);
    std::fs::File::options().write(true).open(&files[1]).unwrap().set_len(50).unwrap();
    let (status, said) = group.verify_deep("Shop");
    assert_eq!(status, Some(4), "{said}");
    heals(&group);
}
