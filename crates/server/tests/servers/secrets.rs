//! No secret that somebody gives a server is found anywhere else: not in its files, its log, its
//! answers, its errors or its backups; and sources are logged in to with it all the same.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use crate::process::{Group, exchange, execute, post};

/// Every secret of the test holds this word.
const CANARY: &str = "canary";

/// Something that asks for passwords as PostgreSQL does, remembers them and lets nobody in.
struct Doorkeeper {
    port: u16,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Doorkeeper {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let book = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _gone = hear(stream, &book);
            }
        });
        Self { port, heard }
    }

    /// User and password since the last time.
    fn heard(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

fn hear(mut stream: TcpStream, heard: &Mutex<Vec<(String, String)>>) -> std::io::Result<()> {
    let message = |stream: &mut TcpStream| -> std::io::Result<Vec<u8>> {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut body)?;
        Ok(body)
    };
    let mut start = message(&mut stream)?;
    // Whether it encrypts; it does not.
    if start == 80_877_103u32.to_be_bytes() {
        stream.write_all(b"N")?;
        start = message(&mut stream)?;
    }
    let words: Vec<String> =
        start[4..].split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
    let user = words.iter().skip_while(|w| *w != "user").nth(1).cloned().unwrap_or_default();
    stream.write_all(b"R\0\0\0\x08\0\0\0\x03")?;
    stream.read_exact(&mut [0])?;
    let password = message(&mut stream)?;
    let password = String::from_utf8_lossy(&password[..password.len() - 1]).into_owned();
    heard.lock().unwrap().push((user, password));
    let said = b"SFATAL\0C28P01\0Mnobody comes in\0\0";
    stream.write_all(b"E")?;
    stream.write_all(&(said.len() as u32 + 4).to_be_bytes())?;
    stream.write_all(said)
}

/// Files below a folder that hold the canary.
fn singing(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            singing(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
}

fn model(port: u16) -> Json {
    let address = json!({ "server": format!("127.0.0.1:{port}"), "database": "structured" });
    let table = |name: &str, source: Json| {
        json!({ "name": name, "columns": [{ "name": "c", "dataType": "string", "sourceColumn": "c" }],
            "partitions": [{ "name": name, "mode": "import", "source": source }] })
    };
    let m = |db: &str| {
        let text = format!(
            "PostgreSQL.Database(\"127.0.0.1:{port}\", \"{db}\"){{[Schema=\"s\",Item=\"i\"]}}[Data]"
        );
        json!({ "type": "m", "expression": text })
    };
    json!({ "name": "Shop", "compatibilityLevel": 1600, "model": {
        "dataSources": [
            { "type": "structured", "name": "New",
              "connectionDetails": { "protocol": "postgresql", "address": address },
              "credential": { "AuthenticationKind": "UsernamePassword", "kind": "PostgreSQL",
                "Username": "new", "Password": "canary-structured", "EncryptConnection": false } },
            { "name": "Old", "provider": "Npgsql", "connectionString":
                format!("Host=127.0.0.1;Port={port};Database=legacy;Username=old;Password=canary-legacy") }],
        "tables": [
            table("Structured", m("structured")),
            table("Legacy", json!({ "type": "query", "dataSource": "Old", "query": "SELECT 1" })),
            table("Kept", m("kept")) ] } })
}

/// Refreshes one table, which no source lets in; what the answer says.
fn refresh(group: &Group, more: &Json) -> String {
    let mut body = json!({ "type": "full" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, said) = post(&group.url(0), "/api/v1/databases/Shop/refresh", &body.to_string());
    assert!(status != 200 && said.contains("nobody comes in"), "{said}");
    said
}

#[test]
fn secrets_reach_their_source_and_nothing_else() {
    let door = Doorkeeper::start();
    let mut group = Group::start(1);
    group.kill(0);
    group.environment = vec![("EVERCUBE_LOG".into(), "debug".into())];
    group.restart(0);
    group.wait_ready(1);
    let secret = |name: &str| group.file(&format!("secret-{name}"), &format!("canary-{name}"));
    let mut said = Vec::new();
    let mut run = |words: &[&str], wanted: i32| {
        let (status, text) = group.run(words);
        assert_eq!(status, Some(wanted), "{words:?}: {text}");
        said.push(text);
    };
    let file = group.file("shop.bim", &model(door.port).to_string());
    run(&["deploy", &file], 0);
    run(&["user", "add", "ann", "--new-password-file", &secret("user")], 0);
    let place = format!("127.0.0.1:{};kept", door.port);
    let kept = ["PostgreSQL", place.as_str()];
    let of = |more: &[&str]| -> Vec<String> {
        let words = [&["credentials", "add"], &kept[..], more].concat();
        words.iter().map(|w| (*w).to_owned()).collect()
    };
    let words = of(&["--username", "etl", "--secret-file", &secret("kept")]);
    run(&words.iter().map(String::as_str).collect::<Vec<_>>(), 0);
    run(&["credentials", "list", "--json"], 0);

    let table = |name: &str| json!({ "objects": [{ "table": name }] });
    let heard = |user: &str, password: &str| {
        assert_eq!(door.heard(), [(user.to_owned(), password.to_owned())]);
    };
    let mut answers = vec![refresh(&group, &table("Structured"))];
    heard("new", "canary-structured");
    answers.push(refresh(&group, &table("Legacy")));
    heard("old", "canary-legacy");
    answers.push(refresh(&group, &table("Kept")));
    heard("etl", "canary-kept");

    // Overridden for one refresh, in each of the ways there are.
    let mut more = table("Kept");
    more["credentials"] = json!([{ "kind": "PostgreSQL", "path": place, "username": "once",
        "password": "canary-once" }]);
    answers.push(refresh(&group, &more));
    heard("once", "canary-once");
    let mut more = table("Structured");
    more["overrides"] = json!([{ "dataSources": [{ "originalObject": { "dataSource": "New" },
        "credential": { "Password": "canary-over" } }] }]);
    answers.push(refresh(&group, &more));
    heard("new", "canary-over");
    let string = format!(
        "Host=127.0.0.1;Port={};Database=other;Username=script;Password=canary-script",
        door.port
    );
    let tmsl = json!({ "refresh": { "type": "full",
        "objects": [{ "database": "Shop", "table": "Legacy" }],
        "overrides": [{ "dataSources": [{ "originalObject":
            { "database": "Shop", "dataSource": "Old" }, "connectionString": string }] }] } });
    let fault = execute(&group.url(0), &tmsl.to_string(), "");
    assert!(fault.contains("nobody comes in"), "{fault}");
    answers.push(fault);
    heard("script", "canary-script");
    answers.push(refresh(&group, &table("Legacy")));
    heard("old", "canary-legacy");

    // Without its password a model keeps the login.
    let mut bare = model(door.port);
    bare["model"]["dataSources"][0]["credential"].as_object_mut().unwrap().remove("Password");
    let file = group.file("bare.bim", &bare.to_string());
    run(&["deploy", &file], 0);
    answers.push(refresh(&group, &table("Structured")));
    heard("new", "canary-structured");

    // What is said to be wrong with a statement does not repeat it.
    for broken in [
        r#"{"createOrReplace":{"object":{"database":"Shop"},"database":{"name":"Shop","model":{"dataSources":[{"name":"x","password":"canary-x","nonsense":1}]}}}}"#,
        r#"{"refresh":{"type":"full","objects":[{"database":"Shop"}],"overrides":[{"dataSources":[{"originalObject":{"dataSource":"Nowhere"},"connectionString":"Password=canary-x"}]}]}}"#,
        r#"{"createOrReplace":{"object":{"database":"Shop"},"database":{"password":"canary-x""#,
    ] {
        answers.push(execute(&group.url(0), broken, ""));
    }
    for body in [
        json!({ "kind": "SQL", "path": "x", "password": "canary-x" }),
        json!({ "kind": "PostgreSQL", "path": "x", "password": ["canary-x"] }),
        json!({ "kind": "PostgreSQL", "path": "x", "database": "Nowhere", "password": "canary-x" }),
    ] {
        let (status, text) = post(&group.url(0), "/api/v1/credentials", &body.to_string());
        assert_ne!(status, 200, "{text}");
        answers.push(text);
    }

    let backup = group.beside("backups/shop.evb");
    run(&["backup", "Shop", &backup], 0);
    let sealed = group.beside("backups/sealed.evb");
    run(&["backup", "Shop", &sealed, "--password-file", &secret("backup")], 0);
    run(&["status", "--json"], 0);
    run(&["audit", "verify", "--json"], 0);
    answers.append(&mut said);
    answers.push(group.metrics(0));
    for query in [
        "SELECT * FROM $SYSTEM.TMSCHEMA_DATA_SOURCES",
        "SELECT * FROM $SYSTEM.DISCOVER_DATASOURCES",
        "SELECT * FROM $SYSTEM.DISCOVER_COMMANDS",
        "SELECT * FROM $SYSTEM.DISCOVER_XML_METADATA",
    ] {
        answers.push(execute(&group.url(0), query, "<Catalog>Shop</Catalog>"));
    }
    for path in ["/api/v1/status", "/api/v1/credentials", "/api/v1/databases/Shop/versions"] {
        answers.push(exchange(&group.url(0), "GET", path, "").unwrap().1);
    }
    for (at, answer) in answers.iter().enumerate() {
        assert!(!answer.contains(CANARY), "answer {at}: {answer}");
    }
    let mut found = Vec::new();
    singing(&group.data(0), &mut found);
    singing(Path::new(&group.beside("backups")), &mut found);
    singing(Path::new(&group.log_folder(0)), &mut found);
    assert_eq!(found, Vec::<String>::new());
    let log = std::fs::read(Path::new(&group.log_folder(0)).join("server.log")).unwrap();
    assert!(log.len() > 1000, "the server's log is looked at");

    assert_eq!(group.run(&["credentials", "remove", "PostgreSQL", &place]).0, Some(0));
    assert_eq!(group.run(&["credentials", "remove", "PostgreSQL", &place]).0, Some(1));
    let body = table("Kept").to_string();
    assert_ne!(post(&group.url(0), "/api/v1/databases/Shop/refresh", &body).0, 200);
    assert!(door.heard().is_empty());
}
