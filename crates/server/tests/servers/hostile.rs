//! Requests meant to harm: refused early, with memory bounded, while others are answered.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use serde_json::json;

use crate::process::Group;
use crate::{deployed, total};

fn send(to: &str, bytes: &[u8]) -> String {
    let Ok(mut stream) = TcpStream::connect(to) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    // The server may close before it has read everything.
    let _all = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _rest = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn envelope(inside: &str) -> String {
    format!(
        "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body>{inside}</Body></Envelope>"
    )
}

fn statement(text: &str) -> String {
    let text = text.replace('<', "&lt;");
    envelope(&format!(
        "<Execute xmlns=\"urn:schemas-microsoft-com:xml-analysis\"><Command><Statement>{text}</Statement></Command><Properties><PropertyList><Catalog>Shop</Catalog></PropertyList></Properties></Execute>"
    ))
}

/// Bodies for the XMLA endpoint.
fn messages() -> Vec<String> {
    let deep = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
    let model = |expression: &str| {
        json!({ "createOrReplace": { "object": { "database": "Bad" }, "database": { "name": "Bad",
            "model": { "tables": [{ "name": "T", "partitions": [{ "name": "P",
                "source": { "type": "m", "expression": expression } }] }] } } } })
        .to_string()
    };
    vec![
        String::new(),
        "<".repeat(100_000),
        envelope(&"<a/>".repeat(1_500_000)),
        envelope(&deep("<a>", "</a>", 200_000)),
        format!(
            "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>{}",
            envelope("&b;")
        ),
        "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><x/>".to_owned(),
        envelope(&format!("<a {}/>", "b='c' ".repeat(200_000))),
        statement(&format!("EVALUATE {}", deep("(", ")", 100_000))),
        statement(&format!("EVALUATE ROW(\"x\", {}1)", "NOT ".repeat(100_000))),
        statement(&format!("EVALUATE ROW(\"x\", {}1)", "- ".repeat(100_000))),
        statement(&format!("EVALUATE ROW(\"x\", 1{})", " + 1".repeat(100_000))),
        statement(&format!(
            "EVALUATE ROW(\"x\", {}1{})",
            "IF(TRUE(),".repeat(20_000),
            ")".repeat(20_000)
        )),
        statement(&format!("EVALUATE {{{}}}", "1,".repeat(200_000))),
        statement(&format!("DEFINE {} EVALUATE Sales", "VAR x = 1 ".repeat(50_000))),
        statement(&"/*".repeat(100_000)),
        statement(&format!("EVALUATE ROW(\"x\", \"{}\")", "\u{0130}".repeat(500_000))),
        statement(&format!("{{\"sequence\":{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
        statement(&format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000))),
        statement(&model(&deep("(", ")", 100_000))),
        statement(&model(&format!("{}1", "let a = ".repeat(50_000)))),
        statement(&model(&format!("{}1{}", "{".repeat(50_000), "}".repeat(50_000)))),
        statement(&model(&format!("1{}", " + 1".repeat(100_000)))),
        statement(&model(&"each ".repeat(50_000))),
        statement(&format!("SELECT * FROM $SYSTEM.DBSCHEMA_TABLES WHERE {}1", "(".repeat(100_000))),
        statement(&format!(
            "SELECT * FROM $SYSTEM.DBSCHEMA_TABLES WHERE {}",
            "NOT ".repeat(100_000)
        )),
        statement(&format!("SELECT {} FROM $SYSTEM.DBSCHEMA_TABLES", "[a],".repeat(200_000))),
    ]
}

/// Requests as they go over the wire, with what the answer must begin with; nothing: any answer, or
/// none.
fn requests() -> Vec<(Vec<u8>, &'static str)> {
    let mut all: Vec<(Vec<u8>, &str)> = messages()
        .iter()
        .map(|m| (request("POST", "/xmla", "", m.as_bytes()), "HTTP/1.1 200"))
        .collect();
    let nested = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let query = "/api/v1/databases/Shop/query";
    all.extend([
        (request("POST", query, "", nested.as_bytes()), "HTTP/1.1 400"),
        (request("POST", "/api/v1/deploy", "", nested.as_bytes()), "HTTP/1.1 400"),
        (request("POST", "/api/v1/deploy?database=B", "", &[0xff; 10_000]), "HTTP/1.1 400"),
        (request("GET", "/api/v1/status", &format!("a: {}\r\n", "b".repeat(200_000)), b""), ""),
        (request("GET", "/api/v1/status", &"a: b\r\n".repeat(5000), b""), ""),
        (request("GET", &format!("/api/v1/{}", "a/".repeat(20_000)), "", b""), ""),
        (request("GET", "/api/v1/databases/%zz%/verify", "", b""), "HTTP/1.1 404"),
        (
            b"POST /xmla HTTP/1.1\r\nhost: x\r\ncontent-length: 900000000\r\n\r\nx".to_vec(),
            "HTTP/1.1 413",
        ),
        (b"POST /xmla HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_vec(), "HTTP/1.1 400"),
        (
            b"POST /xmla HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
            "HTTP/1.1 400",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00".to_vec(), ""),
        (vec![0; 100_000], ""),
        (request("POST", "/xmla", "", b"\xff\xfe<\x00"), "HTTP/1.1 200"),
        (
            request("POST", "/xmla", "", b"<?xml version='1.0' encoding='utf-7'?><a/>"),
            "HTTP/1.1 200",
        ),
    ]);
    all
}

/// Memory of a process in MiB, now.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[test]
fn bad_requests_harm_nobody() {
    let group = Group::start(1);
    deployed(&group, 0);
    let url = group.url(0);
    // Clients that never come to the end of a request.
    let slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(&url).unwrap();
            stream.write_all(b"POST /xmla HTTP/1.1\r\nhost: x\r\nco").unwrap();
            stream
        })
        .collect();
    let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let client = {
        let (stop, good, url) = (Arc::clone(&stop), Arc::clone(&good), url.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(total(&url), "7.5");
                good.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let (before, mut most) = (memory(group.process_id(0)), 0);
    let all = requests();
    for (bytes, begins) in &all {
        let answer = send(&url, bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
        assert!(
            answer.starts_with(begins),
            "{shown}\n{}",
            answer.chars().take(300).collect::<String>()
        );
        assert!(!answer.contains("a defect of the server"), "{shown}");
        assert!(!answer.contains("root:"), "{shown}");
        most = most.max(memory(group.process_id(0)));
    }
    stop.store(true, Ordering::Relaxed);
    client.join().expect("good clients are answered");
    println!(
        "{} bad requests, {} good ones meanwhile, memory {before} to {most} MiB",
        all.len(),
        good.load(Ordering::Relaxed)
    );
    assert!(good.load(Ordering::Relaxed) > 0);
    assert!(most < before + 1024, "memory went from {before} to {most} MiB");
    drop(slow);
}

fn signed_in(to: &str, user: &str, password: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let headers = format!("authorization: Basic {text}\r\n");
    send(to, &request("GET", "/api/v1/status", &headers, b""))
}

#[test]
fn who_guesses_waits_and_takes_no_more_connections_than_allowed() {
    let mut group = Group::secured();
    let url = group.url(0);
    let password = std::fs::read_to_string(group.admin_password_file()).unwrap();
    assert!(signed_in(&url, "admin", password.trim()).starts_with("HTTP/1.1 200"));
    // From somebody unknown not even the body is taken.
    let body =
        b"POST /xmla HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 250000000\r\n\r\n";
    let large = [body.as_slice(), &vec![b'x'; 2 << 20]].concat();
    assert!(matches!(send(&url, &large).get(..12), None | Some("HTTP/1.1 401")));
    for _ in 0..10 {
        assert!(signed_in(&url, "admin", "wrong").starts_with("HTTP/1.1 401"));
    }
    for password in ["wrong", password.trim()] {
        let answer = signed_in(&url, "admin", password).to_lowercase();
        assert!(answer.starts_with("http/1.1 429") && answer.contains("retry-after"), "{answer}");
    }
    assert!(signed_in(&url, "somebody", "wrong").starts_with("HTTP/1.1 401"));

    group.file("at0/evercube.toml", "connections_per_address = 5\n");
    group.kill(0);
    group.restart(0);
    group.wait_listening(0);
    while !signed_in(&url, "admin", password.trim()).starts_with("HTTP/1.1 200") {
        std::thread::sleep(Duration::from_millis(50));
    }
    let held: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(&url).unwrap()).collect();
    let is_closed = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        match stream.peek(&mut [0]) {
            Ok(_) => true,
            Err(e) => e.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    while held.iter().filter(|s| is_closed(s)).count() < 15 {
        assert!(std::time::Instant::now() < limit, "those too many are closed");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(held);
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    while !signed_in(&url, "admin", password.trim()).starts_with("HTTP/1.1 200") {
        assert!(std::time::Instant::now() < limit, "places are given back");
        std::thread::sleep(Duration::from_millis(50));
    }
}
