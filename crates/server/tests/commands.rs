//! The commands as processes against a small server of the test: what they send, print and the
//! exit status scripts see.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Answers one request with `status` and `body`; hands over what was asked.
fn answering(status: &'static str, body: &'static str) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/xmla", listener.local_addr().unwrap());
    let (asked, receiver) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "the request ended early: {head}");
        }
        let length = head
            .lines()
            .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        let mut sent = vec![0; length];
        reader.read_exact(&mut sent).unwrap();
        let n = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {n}\r\n\r\n{body}");
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        asked.send((head, String::from_utf8(sent).unwrap())).unwrap();
    });
    (url, receiver)
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evercube"));
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("EVERCUBE_")) {
        command.env_remove(name);
    }
    command.args(args);
    command
}

fn evercube(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// The first line of a process that goes on which holds `part`; ends the process.
fn says(args: &[&str], part: &'static str) -> String {
    let mut process = command(args).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let (said, heard) = channel();
    std::thread::spawn(move || {
        let found = lines.map_while(Result::ok).find(|line| line.contains(part));
        // Nobody may wait any more.
        let _late = said.send(found);
    });
    let found = heard.recv_timeout(Duration::from_secs(60));
    process.kill().unwrap();
    process.wait().unwrap();
    found.unwrap().unwrap()
}

fn asked(receiver: &Receiver<(String, String)>) -> (String, String) {
    receiver.recv_timeout(Duration::from_secs(10)).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn query_prints_what_it_got() {
    const BODY: &str = r#"{"results":[{"columns":[{"name":"[N]","type":"int64"}],"rows":[[7]]}]}"#;
    let (url, request) = answering("200 OK", BODY);
    let out = evercube(&["query", "--server", &url, "A b", "EVALUATE X", "--format", "csv"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "[N]\r\n7\r\n");
    let (head, body) = asked(&request);
    assert!(head.starts_with("POST /api/v1/databases/A%20b/query HTTP/1.1"), "{head}");
    assert_eq!(body, r#"{"query":"EVALUATE X"}"#);
}

#[test]
fn a_write_carries_an_id_and_the_user() {
    const BODY: &str =
        r#"{"seq":4,"messages":[{"severity":"Warning","object":"T","message":"m"}]}"#;
    let (url, request) = answering("200 OK", BODY);
    let secret = std::env::temp_dir().join(format!("evercube-secret-{}", std::process::id()));
    std::fs::write(&secret, "pw\n").unwrap();
    let file = secret.to_str().unwrap();
    let login = ["--user", "u", "--password-file", file];
    let out = evercube(&[&["refresh", "--server", &url, "D", "--table", "T"][..], &login].concat());
    std::fs::remove_file(&secret).unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("version 4"));
    assert!(text(&out.stderr).contains("warning: T: m"));
    let (head, body) = asked(&request);
    assert!(head.contains("authorization: Basic dTpwdw=="), "{head}");
    assert!(head.to_ascii_lowercase().contains("x-evercube-request-id: "), "{head}");
    assert_eq!(body, r#"{"type":"full","objects":[{"table":"T"}]}"#);
}

#[test]
fn exit_statuses_tell_what_happened() {
    let (url, _request) =
        answering("409 Conflict", r#"{"error":{"kind":"Invalid","message":"no"}}"#);
    let refused = evercube(&["explain", "--server", &url, "D", "EVALUATE X"]);
    assert_eq!((refused.status.code(), text(&refused.stderr)), (Some(1), "evercube: no\n".into()));

    assert_eq!(evercube(&["query", "--server", &url, "D"]).status.code(), Some(2));
    assert_eq!(evercube(&["status", "--server", "ftp://h"]).status.code(), Some(2));
    assert_eq!(evercube(&["no-such-command"]).status.code(), Some(2));

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = evercube(&["status", "--server", &format!("http://{free}")]);
    assert_eq!(away.status.code(), Some(3), "{}", text(&away.stderr));

    const REPORT: &str = r#"{"database":"D","seq":3,"root":"ab","same":false,
        "difference":"server s2, segment 9","servers":[]}"#;
    let (url, request) = answering("200 OK", REPORT);
    let different = evercube(&["verify", "--server", &url, "D", "--deep"]);
    assert_eq!(different.status.code(), Some(4));
    assert!(text(&different.stderr).contains("server s2, segment 9"));
    assert!(asked(&request).0.starts_with("GET /api/v1/databases/D/verify?deep=true "));
}

#[test]
fn a_file_that_cannot_be_deployed_is_named() {
    let (url, _request) =
        answering("400 x", r#"{"error":{"kind":"Invalid","message":"no model"}}"#);
    let refused = evercube(&["deploy", "--server", &url, "Cargo.toml"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(text(&refused.stderr), "evercube: Cargo.toml: no model\n");
}

#[test]
fn every_command_has_help_with_an_example() {
    for name in
        ["deploy", "refresh", "query", "explain", "backup", "restore", "verify", "status", "config"]
    {
        let out = evercube(&[name, "--help"]);
        assert_eq!(out.status.code(), Some(0));
        assert!(text(&out.stdout).contains("Example:"), "{name}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_at_once_with_the_reason() {
    let data = std::env::temp_dir().join(format!("evercube-no-data-{}", std::process::id()));
    let serve = ["serve", "--no-auth", "--data", data.to_str().unwrap(), "--join"];
    let sync = ["sync-mode", "--server", "http://h:1", "D"];
    for (words, why) in [
        ([&serve[..], &["nonsense"]].concat(), "'nonsense' is no address"),
        ([&serve[..], &["127.0.0.1:1,h:x"]].concat(), "'h:x' is no address"),
        (vec!["gateway", "--servers", "nonsense"], "write it as http://host:8383"),
        (vec!["gateway", "--servers", "http://h:99999"], "no number from 1 to 65535"),
        ([&sync[..], &["replicate", "--on-difference", "refuse"]].concat(), "--on-difference"),
        ([&sync[..], &["parallel", "--every", "5m"]].concat(), "--every"),
    ] {
        let out = evercube(&words);
        let said = text(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains(why), "{words:?}: {said}");
    }
    assert!(!data.exists(), "nothing was begun");
}

#[test]
fn whoever_is_not_reached_is_told_while_it_is_asked_again() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let gateway = ["gateway", "--listen", "127.0.0.1:0", "--servers", &free];
    let said = says(&gateway, "has not answered");
    assert!(said.contains(&free) && said.contains("refused"), "{said}");
    let data = std::env::temp_dir().join(format!("evercube-joining-{}", std::process::id()));
    let joining = ["serve", "--no-auth", "--listen", "127.0.0.1:0", "--data"];
    let joining = [&joining[..], &[data.to_str().unwrap(), "--join", &free]].concat();
    let said = says(&joining, "not let into a group");
    std::fs::remove_dir_all(&data).unwrap();
    assert!(said.contains(&free) && said.contains("refused"), "{said}");
}
