//! What is asked again under the same request id, as a gateway does when an answer was lost: done
//! once, answered the same, and to nobody else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use serde_json::{Value as Json, json};

use crate::MODEL;
use crate::process::Group;

struct Server {
    address: String,
    passwords: Vec<(String, String)>,
}

impl Server {
    /// One request; with `id`, the same again is a repetition.
    fn ask(&self, user: &str, id: &str, method: &str, path: &str, body: &Json) -> (u16, Json) {
        let password = self.passwords.iter().find(|(u, _)| u == user).map_or("", |(_, p)| p);
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let message = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {text}\r\nx-evercube-request-id: {id}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(message.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, b)| b);
        (status, serde_json::from_str(body).unwrap_or(Json::String(body.to_owned())))
    }

    fn done(&self, id: &str, method: &str, path: &str, body: Json) -> Json {
        let (status, answer) = self.ask("admin", id, method, path, &body);
        assert!(matches!(status, 200 | 202), "{method} {path}: {status} {answer}");
        answer
    }

    /// Asks twice under one id; both answers are the same.
    fn twice(&self, id: &str, method: &str, path: &str, body: Json) -> Json {
        let first = self.done(id, method, path, body.clone());
        let second = self.done(id, method, path, body);
        assert_eq!(first, second, "{method} {path}");
        first
    }

    fn count(&self, path: &str, key: &str) -> usize {
        self.done("-", "GET", path, Json::Null)[key].as_array().map_or(0, Vec::len)
    }
}

fn secured(group: &Group) -> Server {
    let password = std::fs::read_to_string(group.admin_password_file()).unwrap();
    let passwords = vec![("admin".to_owned(), password.trim().to_owned())];
    Server { address: group.url(0), passwords }
}

#[test]
fn changes_of_the_group_are_made_once_and_answered_again() {
    let group = Group::secured();
    let server = secured(&group);
    // A password that was drawn is told again, and is the user's.
    let made = server.twice("u1", "POST", "/users", json!({ "name": "ann" }));
    let ann = made["secret"].as_str().unwrap().to_owned();
    let as_ann = Server { address: server.address.clone(), passwords: vec![("ann".into(), ann)] };
    assert_eq!(as_ann.ask("ann", "-", "GET", "/status", &Json::Null).0, 200);
    // So is the secret of a token; under another id the name is taken.
    let token = server.twice("t1", "POST", "/tokens", json!({ "name": "t", "user": "ann" }));
    assert!(token["secret"].as_str().unwrap().starts_with("evercube_"));
    let again = json!({ "name": "t", "user": "ann" });
    assert_eq!(server.ask("admin", "t2", "POST", "/tokens", &again).0, 409);
    let join = server.twice("j1", "POST", "/join-tokens", json!({ "uses": 3 }));
    assert_eq!(server.count("/join-tokens", "join_tokens"), 1, "{join}");
    server.twice(
        "f1",
        "POST",
        "/firewall",
        json!({ "name": "all", "first": "0.0.0.0", "last": "255.255.255.255" }),
    );
    server.twice("a1", "POST", "/admins", json!({ "name": "ann" }));
    // Of a restore, whose database need not be there.
    let schedule =
        json!({ "name": "s", "kind": "restore", "database": "Shop", "cron": "0 0 1 1 *" });
    server.twice("s1", "POST", "/schedules", schedule);
    let run = server.twice("r1", "POST", "/schedules/s/run", json!({}));
    let runs = server.done("-", "GET", "/schedules/s", Json::Null);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{run} {runs}");
    // What is taken away is taken away once, and is no error the second time.
    for (id, path, list, key) in [
        ("d1", "/schedules/s", "/schedules", "schedules"),
        ("d2", "/tokens/t", "/tokens", "tokens"),
        ("d3", "/firewall/all", "/firewall", "rules"),
        ("d5", "/admins/ann", "/admins", "admins"),
        ("d6", "/users/ann", "/users", "users"),
    ] {
        let before = server.count(list, key);
        server.twice(id, "DELETE", path, Json::Null);
        assert_eq!(server.count(list, key), before - 1, "{path}");
    }
    // A token that is gone is not told again.
    let (status, answer) = server.ask("admin", "t1", "POST", "/tokens", &again);
    assert!(status == 409 && answer.to_string().contains("removed or replaced"), "{answer}");
}

#[test]
fn a_record_is_told_to_nobody_else() {
    let group = Group::secured();
    let mut server = secured(&group);
    for user in ["ann", "bob"] {
        let made = server.done(user, "POST", "/users", json!({ "name": user }));
        let secret = made["secret"].as_str().unwrap().to_owned();
        server.passwords.push((user.into(), secret));
    }
    let mut model: Json = serde_json::from_str(MODEL).unwrap();
    model["model"]["roles"] = json!([{ "name": "R", "modelPermission": "readRefresh",
        "members": [{ "memberName": "ann" }] }]);
    let deployed = server.done("d1", "POST", "/deploy", model.clone());
    let refresh = "/databases/Shop/refresh";
    let of = |user: &str, id: &str| server.ask(user, id, "POST", refresh, &json!({}));
    let (status, first) = of("ann", "same");
    assert_eq!(status, 200, "{first}");
    // Again, it is answered and not done.
    assert_eq!(of("ann", "same").1["seq"], first["seq"]);
    // Who may not refresh learns nothing by asking under ids of others.
    for id in ["same", "d1"] {
        let (status, answer) = of("bob", id);
        assert_eq!(status, 404, "{answer}");
        assert!(!answer.to_string().contains("seq"), "{answer}");
    }
    let (status, answer) = server.ask("bob", "d1", "POST", "/deploy", &model);
    assert!(status != 200 && answer["seq"].is_null(), "{answer} {deployed}");
    assert_eq!(server.ask("bob", "-", "GET", "/operations/same", &Json::Null).0, 404);
    assert_eq!(server.ask("ann", "-", "GET", "/operations/same", &Json::Null).0, 200);
    // Nor is an administrator's own request taken for somebody else's.
    let (status, other) = of("admin", "same");
    assert!(status == 200 && other["seq"] != first["seq"], "{other}");
    // Who lost the right is not told what was done while they had it.
    model["model"]["roles"] = json!([]);
    server.done("d2", "POST", "/deploy", model);
    let (status, answer) = of("ann", "same");
    assert_eq!(status, 404, "{answer}");
}

#[test]
fn a_member_is_taken_out_once() {
    let group = Group::start(3);
    group.wait_ready(3);
    let server = Server { address: group.url(0), passwords: Vec::new() };
    let out = |id: &str| server.ask("", id, "DELETE", "/members/s2", &Json::Null);
    let (status, answer) = out("m1");
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = out("m1");
    assert!(status == 200 && answer.to_string().contains("no member any more"), "{answer}");
    assert_eq!(out("m2").0, 404);
    assert_eq!(server.count("/members", "members"), 2);
}

/// Who administers one database does no harm to another one.
#[test]
fn an_owner_replaces_no_backup_of_others() {
    let group = Group::secured();
    let mut server = secured(&group);
    let made = server.done("o", "POST", "/users", json!({ "name": "owner" }));
    server.passwords.push(("owner".into(), made["secret"].as_str().unwrap().to_owned()));
    let mut model: Json = serde_json::from_str(MODEL).unwrap();
    model["model"]["roles"] = json!([{ "name": "R", "modelPermission": "administrator",
        "members": [{ "memberName": "owner" }] }]);
    server.done("d1", "POST", "/deploy", model.clone());
    model["name"] = json!("Other");
    model["model"]["roles"] = json!([]);
    server.done("d2", "POST", "/deploy", model);
    let to = |target: &str| json!({ "target": target, "overwrite": true });
    server.done("b1", "POST", "/databases/Other/backup", to("other.abf"));
    let by_owner = |id: &str, target: &str| {
        server.ask("owner", id, "POST", "/databases/Shop/backup", &to(target))
    };
    assert_eq!(by_owner("b2", "shop.abf").0, 200);
    assert_eq!(by_owner("b3", "shop.abf").0, 200);
    let (status, answer) = by_owner("b4", "other.abf");
    assert_eq!(status, 403, "{answer}");
    // Whether a database exists is told by no spelling of its name.
    let said = |name: &str| {
        let path = format!(
            "GET /servers/x/models/{name}/refreshes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        );
        let secret = &server.passwords[1].1;
        let who = base64::engine::general_purpose::STANDARD.encode(format!("owner:{secret}"));
        let mut stream = TcpStream::connect(&server.address).unwrap();
        write!(stream, "{path}authorization: Basic {who}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").map_or("", |(_, b)| b).replace(name, "…")
    };
    assert_eq!(said("OTHER"), said("Nothing"));
}
