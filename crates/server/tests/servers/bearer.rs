//! Bearer tokens of a real OpenID Connect issuer, run by node where that and its registry are to be
//! had.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::process::{Group, free};
use crate::{MODEL, TOTAL};

struct Issuer(Child);

impl Drop for Issuer {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// The folder with the issuer's modules, or why there is none.
fn modules() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("issuer");
    if folder.join("node_modules/oidc-provider").exists() {
        return Ok(folder);
    }
    let install = ["install", "--no-audit", "--no-fund", "oidc-provider@9", "--prefix"];
    let done = Command::new("npm").args(install).arg(&folder).stdin(Stdio::null()).output();
    match done {
        Err(e) => Err(format!("npm cannot be run: {e}")),
        Ok(out) if !out.status.success() => {
            Err(String::from_utf8_lossy(&out.stderr).lines().take(3).collect())
        }
        Ok(_) => Ok(folder),
    }
}

fn issuer(modules: &Path, port: &str, key: &str) -> Result<Issuer, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/issuer.mjs");
    let mut command = Command::new("node");
    command.arg(script).arg(modules).args([port, key]).stdout(Stdio::piped());
    let child = command.stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
    let mut issuer = Issuer(child);
    let mut line = String::new();
    let _read = BufReader::new(issuer.0.stdout.take().unwrap()).read_line(&mut line);
    if line.trim() == "ready" { Ok(issuer) } else { Err("the issuer does not start".into()) }
}

fn exchange(to: &str, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    let length = body.len();
    let head = head.replace('\n', "\r\n");
    write!(
        stream,
        "{head}\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, text)
}

fn token(issuer: &str, resource: &str) -> String {
    // nightly:nightly-secret
    let head = "POST /token HTTP/1.1\nauthorization: Basic bmlnaHRseTpuaWdodGx5LXNlY3JldA==\ncontent-type: application/x-www-form-urlencoded";
    let body = format!("grant_type=client_credentials&resource={resource}");
    let (status, text) = exchange(issuer, head, &body);
    assert_eq!(status, 200, "{text}");
    text.split("\"access_token\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn query(server: &str, token: &str) -> (u16, String) {
    let head = format!("POST /api/v1/databases/Shop/query HTTP/1.1\nauthorization: Bearer {token}");
    let body = serde_json::json!({ "query": TOTAL }).to_string();
    exchange(server, &head, &body)
}

#[test]
fn programs_come_in_with_tokens_of_an_issuer() {
    let address = free();
    let port = address.rsplit(':').next().unwrap();
    let started = modules().and_then(|m| Ok((issuer(&m, port, "k1")?, m)));
    let (first, modules) = match started {
        Ok(started) => started,
        Err(why) => {
            println!("skipped: no OpenID Connect issuer can be run here: {why}");
            return;
        }
    };
    let mut group = Group::secured();
    let password = group.admin_password_file();
    let model = MODEL.replace(
        "\"name\":\"OnlyA\",",
        "\"name\":\"OnlyA\",\"members\":[{\"memberName\":\"Readers of OnlyA\"}],",
    );
    let model = group.file("model.json", &model);
    let admin = ["--user", "admin", "--password-file", &password];
    assert_eq!(group.run(&[&["deploy", &model], &admin[..]].concat()).0, Some(0));
    assert_eq!(group.run(&[&["refresh", "Shop"], &admin[..]].concat()).0, Some(0));
    // Without the setting no such token counts.
    let good = token(&address, "urn:evercube");
    assert_eq!(query(&group.url(0), &good).0, 401);
    group.file(
        "at0/evercube.toml",
        &format!(
            "oidc_issuer = \"http://127.0.0.1:{port}\"\noidc_audience = [\"api://evercube\"]\n"
        ),
    );
    group.kill(0);
    group.restart(0);
    group.wait_listening(0);
    let server = group.url(0);

    let (status, text) = query(&server, &good);
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("[[1.5]]"), "a group of the token is a member of the role: {text}");
    let (status, text) = query(&server, &token(&address, "urn:other"));
    assert!(status == 401 && text.contains("another audience"), "{text}");
    let (status, text) = query(&server, &good.replace('.', ".x"));
    assert_eq!(status, 401, "{text}");
    let (status, text) =
        exchange(&server, &format!("GET /api/v1/users HTTP/1.1\nauthorization: Bearer {good}"), "");
    assert_eq!(status, 403, "{text}");

    // The issuer has a new key: tokens by it count at once, whoever names unknown keys meanwhile, and
    // those by the old one no more.
    drop(first);
    let _second = issuer(&modules, port, "k2").unwrap();
    let new = token(&address, "urn:evercube");
    // {"alg":"RS256","kid":"unknown"}
    let header = "eyJhbGciOiJSUzI1NiIsImtpZCI6InVua25vd24ifQ";
    let unknown = format!("{header}.{}", good.split_once('.').unwrap().1);
    let (status, text) = query(&server, &unknown);
    assert!(status == 401 && text.contains("no such key"), "{text}");
    let (status, text) = query(&server, &new);
    assert_eq!(status, 200, "{text}");
    let (status, text) = query(&server, &good);
    assert!(status == 401 && text.contains("no such key"), "{text}");
}
