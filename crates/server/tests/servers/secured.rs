//! Members that prove to each other who they are: joining by token, strangers, removed members,
//! certificates that are renewed.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::encrypted::until;
use crate::process::{Group, post};

/// A group of servers that want to know who asks, and its administrator.
struct Secured {
    group: Group,
    password: String,
}

impl Secured {
    fn new() -> Self {
        let group = Group::secured();
        let password = group.admin_password_file();
        Self { group, password }
    }

    /// Repeats a command of the administrator until it is done; what it said.
    fn admin(&self, at: usize, words: &[&str]) -> String {
        self.expect(at, words, "")
    }

    fn expect(&self, at: usize, words: &[&str], wanted: &str) -> String {
        let who = ["--user", "admin", "--password-file", &self.password];
        until(&self.group, &self.group.url(at), &[words, &who].concat(), (0, wanted))
    }

    /// Runs a command of the administrator once.
    fn try_admin(&self, at: usize, words: &[&str]) -> (Option<i32>, String) {
        let who = ["--user", "admin", "--password-file", &self.password];
        self.group.command(&self.group.url(at), &[words, &who].concat())
    }

    /// A file with a new join token.
    fn token(&self, name: &str, words: &[&str]) -> String {
        let create = [&["join-token", "create", "--name", name][..], words].concat();
        self.group.file(name, &self.admin(0, &create))
    }

    fn join(&mut self, token: &str) -> usize {
        self.group.extra.push(format!("--join-token-file={token}"));
        let at = self.group.add("data");
        self.group.extra.pop();
        at
    }

    /// Waits until a server sees this many that are ready.
    fn wait_ready(&self, at: usize, count: usize) {
        let limit = Instant::now() + Duration::from_secs(40);
        loop {
            let status = self.admin(at, &["status", "--json"]);
            if status.matches("\"state\":\"ready\"").count() == count {
                return;
            }
            assert!(Instant::now() < limit, "{status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn refused(&self, token: &str) -> String {
        let (status, said) = self.group.try_join(0, &[format!("--join-token-file={token}")]);
        assert_eq!(status, Some(1), "{said}");
        said
    }
}

#[test]
fn servers_join_by_token_and_strangers_do_not() {
    let mut all = Secured::new();
    let once = all.token("once", &[]);
    let first = all.join(&once);
    all.wait_ready(first, 2);
    assert!(all.refused(&once).contains("as often as it may be"));

    let twice = all.token("twice", &["--uses", "2"]);
    let second = all.join(&twice);
    all.wait_ready(second, 3);
    let listed = all.admin(first, &["join-token", "list"]);
    assert!(listed.contains("1 of 2") && listed.contains("s2"), "{listed}");
    // What the first server was told about who may come in, one that joined later knows.
    let secret = all.group.file("ann", "Anns-Secret-1");
    all.admin(0, &["user", "add", "ann", "--new-password-file", &secret]);
    all.admin(0, &["firewall", "add", "here", "10.0.0.0", "10.0.0.9"]);
    let ann = ["status", "--user", "ann", "--password-file", &secret];
    until(&all.group, &all.group.url(second), &ann, (0, "ready"));
    all.expect(second, &["firewall", "list"], "10.0.0.9");

    all.admin(0, &["join-token", "remove", "twice"]);
    assert!(all.refused(&twice).contains("not known here"));
    let short = all.token("short", &["--valid-for", "1s"]);
    std::thread::sleep(Duration::from_millis(1100));
    assert!(all.refused(&short).contains("is over"));
    let other = Secured::new();
    let foreign = other.token("foreign", &[]);
    assert!(all.refused(&foreign).contains("no member of the group that made the join token"));
    let garbage = all.group.file("garbage", "evercube-join.1.2");
    let (status, said) = all.group.try_join(0, &[format!("--join-token-file={garbage}")]);
    assert!(status == Some(2) && said.contains("holds no join token"), "{said}");
    let (status, said) = all.group.try_join(0, &[]);
    assert!(status == Some(2) && said.contains("needs --join-token-file"), "{said}");

    // The address for members answers nobody else.
    let (status, said) = post(&all.group.peer(0), "/peer/raft/who", "");
    assert!(status == 409 && said.contains("show each other certificates"), "{said}");

    // The group goes on without its leader, and takes it back without a token.
    all.group.kill(0);
    all.admin(first, &["user", "add", "ben", "--new-password-file", &secret]);
    all.group.restart(0);
    all.wait_ready(0, 3);
    all.expect(0, &["user", "list"], "ben");

    // One that was removed is refused with the reason, also after a restart.
    all.admin(0, &["members", "remove", "s2"]);
    all.group.kill(second);
    all.group.restart(second);
    let told = Instant::now() + Duration::from_secs(40);
    loop {
        let status = all.admin(second, &["status", "--json"]);
        if status.contains("was removed from the group") || status.contains("\"fenced\"") {
            break;
        }
        assert!(Instant::now() < told, "{status}");
        std::thread::sleep(Duration::from_millis(50));
    }
    all.wait_ready(0, 2);
    // In an empty folder, and with a token of its own, it is taken in again.
    all.group.kill(second);
    all.group.delete_folder(second);
    let again = all.token("again", &[]);
    all.group.extra = vec![format!("--join-token-file={again}")];
    all.group.restart(second);
    all.wait_ready(second, 3);

    // Once one was promoted, those left behind take no part, though they would be a majority.
    all.group.kill(0);
    all.group.kill(first);
    all.expect(second, &["promote", "--accept-loss"], "goes on alone");
    all.group.restart(0);
    all.group.restart(first);
    for at in [0, first] {
        all.expect(at, &["status", "--json"], "start it in an empty folder with --join");
    }
}

#[test]
fn certificates_of_members_are_renewed_before_they_end_and_after() {
    let mut all = Secured::new();
    all.group.kill(0);
    let settings = all.group.file("short.toml", "peer_certificate_life = \"3s\"\n");
    all.group.extra = vec![format!("--config={settings}")];
    all.group.restart(0);
    let token = all.token("one", &[]);
    let other = all.join(&token);
    all.wait_ready(other, 2);
    let certificate = |all: &Secured, at: usize| {
        std::fs::read_to_string(all.group.data(at).join("tls/member.json")).unwrap()
    };
    // New certificates come, and new connections use them: what is said goes on being heard.
    let limit = Instant::now() + Duration::from_secs(40);
    for round in 0..3 {
        let before = [certificate(&all, 0), certificate(&all, other)];
        while certificate(&all, 0) == before[0] || certificate(&all, other) == before[1] {
            assert!(Instant::now() < limit, "no new certificate in round {round}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    // Longer away than its certificate is good for, a member renews it by itself.
    all.group.kill(other);
    std::thread::sleep(Duration::from_millis(3200));
    all.group.restart(other);
    all.wait_ready(0, 2);
    let secret = all.group.file("ann", "Anns-Secret-1");
    all.admin(other, &["user", "add", "ann", "--new-password-file", &secret]);
    all.expect(0, &["user", "list"], "ann");
}

#[test]
fn the_authority_is_exchanged_while_members_go_on() {
    let mut all = Secured::new();
    for name in ["one", "two"] {
        let token = all.token(name, &[]);
        all.join(&token);
    }
    all.wait_ready(0, 3);
    let before = all.token("before", &["--uses", "9"]);
    let trusted = |all: &Secured| {
        let status: Json = serde_json::from_str(&all.admin(0, &["status", "--json"])).unwrap();
        let servers = status["servers"].as_array().unwrap().clone();
        servers.iter().map(|s| s["certificates"]["trusted"].clone()).collect::<Vec<_>>()
    };
    let first = trusted(&all);
    assert!(first.iter().all(|t| *t == first[0] && t.as_array().unwrap().len() == 1), "{first:?}");
    let said = all.admin(1, &["authority", "rotate"]);
    assert!(said.contains("3 of 3") && said.contains("make new ones"), "{said}");
    let second = trusted(&all);
    assert!(second.iter().all(|t| *t == second[0] && *t != first[0]), "{second:?}");
    assert!(all.group.metrics(0).contains("evercube_certificate_expires_seconds"));
    // Everybody goes on, also after a restart; new servers join, and by new tokens only.
    for at in [1, 2] {
        all.group.kill(at);
        all.group.restart(at);
    }
    all.wait_ready(0, 3);
    assert!(all.refused(&before).contains("no member of the group that made the join token"));
    let after = all.token("after", &[]);
    let fourth = all.join(&after);
    all.wait_ready(fourth, 4);

    // While a member is away nothing begins; without it, it does.
    all.group.kill(fourth);
    let (status, said) = all.try_admin(0, &["authority", "rotate"]);
    assert!(status == Some(1) && said.contains("waits at step 1 of 3 for s3"), "{said}");
    assert_eq!(trusted(&all)[0], second[0]);
    all.admin(0, &["members", "remove", "s3"]);
    all.admin(0, &["authority", "rotate"]);
    assert_ne!(trusted(&all)[0], second[0]);
    all.wait_ready(0, 3);
}
