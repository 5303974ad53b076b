//! Requests meant to harm: refused early, with memory bounded, while others are answered.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use serde_json::json;

use crate::process::Group;
use crate::{TOTAL, deployed, total};

/// What comes back for some bytes; with `ends`, nothing else is said to follow them.
fn send_and_end(to: &str, bytes: &[u8], ends: bool) -> String {
    let Ok(mut stream) = TcpStream::connect(to) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    // The server may close before it has read everything.
    let _all = stream.write_all(bytes);
    if ends {
        let _closed = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _rest = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn send(to: &str, bytes: &[u8]) -> String {
    send_and_end(to, bytes, false)
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

const SHARED_TEXT: &str =
    "EVALUATE ADDCOLUMNS ( GENERATESERIES ( 1, 1000000 ), \"x\", REPT ( \"x\", 32000 ) )";

fn chunked(rest: &str) -> Vec<u8> {
    let head =
        "POST /xmla HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    [head.as_bytes(), rest.as_bytes()].concat()
}

/// The beginning of a stream that would unpack to a thousand times its length.
fn bomb() -> Vec<u8> {
    let head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xec\xc1\x01\x0d";
    [head.as_slice(), &[0; 200_000]].concat()
}

fn query_of(text: &str) -> String {
    json!({ "query": text }).to_string()
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
        (
            format!("POST {query} HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\nx").into(),
            "HTTP/1.1 413",
        ),
        (b"POST /xmla HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_vec(), "HTTP/1.1 400"),
        (
            b"POST /xmla HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
            "HTTP/1.1 400",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00".to_vec(), ""),
        // A hello of TLS that ends in its middle, and one that promises more than there can be.
        ([b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03".as_slice(), &[7; 5000]].concat(), ""),
        (chunked("ffffffffffffffff\r\nx"), ""),
        (chunked("7fffffffffffffff\r\nx"), ""),
        (chunked(&format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(300_000))), "HTTP/1.1 400"),
        (chunked(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(20_000))), ""),
        (chunked(&format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(100_000))), "HTTP/1.1 200"),
        // Both lengths: where a proxy and a server disagree, requests are smuggled. The connection ends.
        (
            b"POST /xmla HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/status HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            "HTTP/1.1 200",
        ),
        (b"GET /api/v1/status HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_vec(), "HTTP/1.1 400"),
        (b"POST /xmla HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde".to_vec(), "HTTP/1.1 400"),
        // A bomb: bodies are not unpacked.
        (request("POST", query, "content-encoding: gzip\r\n", &bomb()), "HTTP/1.1 501"),
        (request("POST", "/xmla", "content-encoding: deflate\r\n", &bomb()), "HTTP/1.1 501"),
        // Numbers no machine holds.
        (request("POST", query, "", format!("{{\"query\":\"EVALUATE {{1}}\",\"timeout\":1e{}}}", "9".repeat(9999)).as_bytes()), "HTTP/1.1 400"),
        (request("POST", query, "", b"{\"query\":\"EVALUATE {1}\",\"timeout\":1e300}"), "HTTP/1.1 400"),
        (request("POST", query, "", b"{\"query\":\"EVALUATE {1}\",\"at\":99999999999999999999999999}"), "HTTP/1.1 4"),
        (request("POST", query, "", query_of(&format!("EVALUATE {{ {} }}", "9".repeat(50_000))).as_bytes()), ""),
        (request("POST", query, "", query_of("EVALUATE { REPT ( \"x\", 1e18 ) }").as_bytes()), "HTTP/1.1 4"),
        (request("POST", query, "", query_of("EVALUATE GENERATESERIES ( 1, 1e18 )").as_bytes()), "HTTP/1.1 4"),
        // A text that many rows share, which is written for each of them: 32 GB.
        (request("POST", query, "", query_of(SHARED_TEXT).as_bytes()), "HTTP/1.1 413"),
        (request("POST", "/xmla", "", statement(SHARED_TEXT).as_bytes()), "HTTP/1.1 200"),
        // A coding of the body that somebody in between may not know.
        (
            b"POST /xmla HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\nconnection: close\r\n\r\n0\r\n\r\n".to_vec(),
            "HTTP/1.1 501",
        ),
        (request("POST", query, "x-evercube-read: bounded:99999999999999999999s\r\n", query_of(TOTAL).as_bytes()), "HTTP/1.1 400"),
        (request("POST", query, &format!("x-evercube-request-id: {}\r\n", "i".repeat(5000)), query_of(TOTAL).as_bytes()), ""),
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
    attacked(&group.url(0), group.process_id(0));
}

/// The gateway takes the same, and hands nothing on that harms the server behind it.
#[test]
fn bad_requests_harm_nobody_behind_a_gateway() {
    let mut group = Group::start(1);
    deployed(&group, 0);
    let gateway = group.start_gateway();
    attacked(&gateway, group.process_id(0));
}

/// Sends every bad request to `url` while a good client goes on there; `process` is the server's.
fn attacked(url: &str, process: u32) {
    let url = url.to_owned();
    let limit = json!({ "name": "query_memory", "value": "256MB" }).to_string();
    assert_eq!(crate::process::post(&url, "/api/v1/limits", &limit).0, 200);
    // Clients that never come to the end of a head or of a body.
    let begun = [
        "POST /xmla HTTP/1.1\r\nhost: x\r\nco",
        "POST /xmla HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n<Env",
        "POST /xmla HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n<Env",
    ];
    let slow: Vec<TcpStream> = (0..200)
        .map(|n| {
            let mut stream = TcpStream::connect(&url).unwrap();
            stream.write_all(begun[n % begun.len()].as_bytes()).unwrap();
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
    let (before, mut most) = (memory(process), 0);
    let all = requests();
    for (bytes, begins) in &all {
        let answer = send_and_end(&url, bytes, begins.is_empty());
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
        assert!(
            answer.starts_with(begins),
            "{shown}\n{}",
            answer.chars().take(300).collect::<String>()
        );
        assert!(
            answer.matches("HTTP/1.1 ").count() <= 1,
            "more than one answer: {shown}\n{answer}"
        );
        assert!(!answer.contains("a defect of the server"), "{shown}");
        assert!(!answer.contains("root:"), "{shown}");
        most = most.max(memory(process));
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

/// A client that the firewall keeps out comes in by no gateway.
#[test]
fn the_firewall_looks_behind_a_gateway() {
    let group = Group::start(1);
    let url = group.url(0);
    let rule = json!({ "name": "office", "first": "10.0.0.1", "last": "10.0.0.9" }).to_string();
    let (status, body) = crate::process::post(&url, "/api/v1/firewall", &rule);
    assert_eq!(status, 200, "{body}");
    let asked = |headers: &str| send(&url, &request("GET", "/api/v1/status", headers, b""));
    let relayed =
        |client: &str| asked(&format!("x-evercube-relayed: 1\r\nx-forwarded-for: {client}\r\n"));
    assert!(relayed("10.0.0.5").starts_with("HTTP/1.1 200"));
    // What comes before the gateway's own word is the client's.
    for client in
        ["203.0.113.9", "10.0.0.5, 203.0.113.9", "10.0.0.5\r\nx-forwarded-for: 2001:db8::1"]
    {
        let answer = relayed(client);
        assert!(answer.starts_with("HTTP/1.1 403"), "{client}: {answer}");
    }
    assert!(asked("x-forwarded-for: 203.0.113.9\r\n").starts_with("HTTP/1.1 200"));
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
