//! A restore that is killed leaves the database as it was or as it is to be, whichever step it was
//! killed at: a library loaded into the server copies its folder before each change of a file, which is
//! what a kill leaves there, and a server is started on the copies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::process::{exchange, free, post, try_post};

/// Copies of each way of a restore that a server is started on; all with `EVERCUBE_EVERY_STEP`.
const TRIED: usize = 7;

/// One of two versions that differ in every part: rows of both tables, a measure, a role.
fn model(n: u32) -> String {
    let table = |name: &str, rows: String, measures: Json| {
        json!({ "name": name, "measures": measures,
            "columns": [{ "name": "Amount", "dataType": "int64", "sourceColumn": "Amount" }],
            "partitions": [{ "name": name, "mode": "import", "source": { "type": "m",
                "expression": format!("#table({{\"Amount\"}},{{{rows}}})") } }] })
    };
    let sales = format!("{{{n}}},{{{}}}", n * 10);
    let measures = json!([{ "name": "Mark", "expression": n.to_string() }]);
    json!({ "name": "Shop", "compatibilityLevel": 1600, "model": {
        "roles": [{ "name": format!("Of{n}"), "modelPermission": "read" }],
        "tables": [table("Sales", sales, json!([])), table("Stock", format!("{{{n}}}"), measures)] } })
    .to_string()
}

struct Server {
    process: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _waited = self.process.wait();
    }
}

impl Server {
    fn start(data: &Path, steps: Option<(&Path, &Path)>) -> Self {
        let url = free();
        let mut command = Command::new(env!("CARGO_BIN_EXE_evercube"));
        command.args(["serve", "--no-auth", "--listen", &url, "--peer-listen", &free(), "--data"]);
        command.arg(data).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((library, to)) = steps {
            command.env("LD_PRELOAD", library).env("STEPS_OF", data).env("STEPS_TO", to);
        }
        let server = Self { process: command.spawn().unwrap(), url };
        let limit = Instant::now() + Duration::from_secs(60);
        let ready = || exchange(&server.url, "GET", "/health/ready", "");
        while !ready().is_ok_and(|(status, _)| status == 200) {
            assert!(Instant::now() < limit, "the server on {} does not start", data.display());
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    fn done(&self, path: &str, body: &str) -> Json {
        let (status, text) = post(&self.url, path, body);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// What a database says of every part that differs, in one answer of one version; `absent`
    /// where there is none.
    fn says(&self, database: &str) -> String {
        let ask = |query: &str| {
            let path = format!("/api/v1/databases/{database}/query");
            try_post(&self.url, &path, &json!({ "query": query }).to_string()).unwrap()
        };
        let (status, text) = ask(
            "EVALUATE ROW(\"sales\", SUM(Sales[Amount]), \"stock\", SUM(Stock[Amount]), \"mark\", [Mark], \
             \"role\", MAXX(INFO.ROLES(), [Name]))",
        );
        match status {
            404 => "absent".into(),
            200 => {
                let answer: Json = serde_json::from_str(&text).unwrap();
                answer["results"][0]["rows"][0].to_string()
            }
            _ => panic!("{status}: {text}"),
        }
    }
}

fn copied(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.is_ok_and(|s| s.success()), "{} is copied", from.display());
}

/// The library, or why it cannot be made here.
fn library(folder: &Path) -> Result<PathBuf, String> {
    let to = folder.join("each_step.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/each_step.c");
    let made =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&to).arg(source).output();
    match made {
        Ok(out) if out.status.success() => Ok(to),
        Ok(out) => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        Err(e) => Err(format!("there is no C compiler: {e}")),
    }
}

/// One way to restore: what is asked, and the database it is about.
struct Way {
    name: &'static str,
    ask: Json,
    database: &'static str,
    before: &'static str,
    after: &'static str,
}

const PASSWORD: &str = "of the repository";
const OLD: &str = r#"[11,1,1,"Of1"]"#;
const NEW: &str = r#"[22,2,2,"Of2"]"#;
const MIXED: &str = r#"[22,1,1,"Of1"]"#;

/// Where the newer database lies.
struct Backups {
    file: String,
    repository: String,
    /// With a password.
    encrypted: String,
    /// With the older one after it.
    both: String,
}

fn ways(backups: &Backups, at: u64) -> Vec<Way> {
    let Backups { file, repository, encrypted, both } = backups;
    let way = |name, ask, after| Way { name, ask, database: "Shop", before: OLD, after };
    vec![
        way("file", json!({ "source": file, "overwrite": true }), NEW),
        way(
            "encrypted repository",
            json!({ "source": encrypted, "password": PASSWORD, "overwrite": true }),
            NEW,
        ),
        way("repository", json!({ "source": repository, "overwrite": true }), NEW),
        way("point in time", json!({ "source": both, "at": at, "overwrite": true }), NEW),
        way("table of a file", json!({ "source": file, "table": "Sales" }), MIXED),
        way(
            "partition of a file",
            json!({ "source": file, "table": "Sales", "partition": "Sales" }),
            MIXED,
        ),
        way(
            "partition of an encrypted repository",
            json!({ "source": encrypted, "password": PASSWORD, "table": "Sales", "partition": "Sales" }),
            MIXED,
        ),
        way("table of a repository", json!({ "source": repository, "table": "Sales" }), MIXED),
        Way {
            name: "another name",
            ask: json!({ "source": repository, "database": "Copy" }),
            database: "Copy",
            before: "absent",
            after: NEW,
        },
    ]
}

/// Restores on a copy of `base` while a client asks; the folder of every step, in order.
fn restored(way: &Way, base: &Path, folder: &Path, library: &Path) -> Vec<(String, PathBuf)> {
    let (data, steps) = (folder.join("data"), folder.join("steps"));
    std::fs::create_dir_all(&steps).unwrap();
    copied(base, &data);
    let server = Server::start(&data, Some((library, &steps)));
    assert_eq!(server.says(way.database), way.before, "{}", way.name);
    let stop = AtomicBool::new(false);
    let mut seen = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                seen.push(server.says(way.database));
            }
            seen
        });
        std::fs::write(steps.join("armed"), "").unwrap();
        let answer = post(&server.url, "/api/v1/restore", &way.ask.to_string());
        std::fs::remove_file(steps.join("armed")).unwrap();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(answer.0, 200, "{}: {}", way.name, answer.1);
        asked.join().unwrap()
    });
    seen.dedup();
    let fits = [way.before, way.after];
    assert!(
        fits.starts_with(&seen.iter().map(String::as_str).collect::<Vec<_>>())
            || seen == [way.after],
        "{seen:?}"
    );
    assert_eq!(server.says(way.database), way.after, "{}", way.name);
    drop(server);
    let again = Server::start(&data, None);
    assert_eq!(again.says(way.database), way.after, "{}, killed after it was answered", way.name);
    let told = std::fs::read_to_string(steps.join("steps")).unwrap();
    let step = |line: &str| {
        let (number, what) = line.split_once(' ').unwrap();
        (what.to_owned(), steps.join(number))
    };
    told.lines().map(step).collect()
}

#[test]
fn a_restore_killed_at_any_step_leaves_the_old_database_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = |name: &str| at(name).display().to_string();
    let library = match library(folder.path()) {
        Ok(library) => library,
        Err(why) => return println!("skipped, {why}"),
    };
    let base = at("base");
    let backups = Backups {
        file: text("new.evb"),
        repository: text("new.evr"),
        encrypted: text("encrypted.evr"),
        both: text("both.evr"),
    };
    let server = Server::start(&base, None);
    let mut version = 0;
    for n in [2, 1] {
        server.done("/api/v1/deploy", &model(n));
        let done = server.done("/api/v1/databases/Shop/refresh", "{}");
        let Backups { file, repository, encrypted, both } = &backups;
        let all = [file, repository, encrypted, both];
        for target in if n == 2 { &all[..] } else { &all[3..] } {
            let password = (*target == encrypted).then_some(PASSWORD);
            let ask = json!({ "target": target, "password": password }).to_string();
            server.done("/api/v1/databases/Shop/backup", &ask);
        }
        if n == 2 {
            version = done["seq"].as_u64().unwrap();
        }
    }
    drop(server);
    let every = std::env::var_os("EVERCUBE_EVERY_STEP").is_some();
    let (mut killed, mut steps_in_all) = (0, 0);
    for way in ways(&backups, version) {
        let own = at(way.name);
        let steps = restored(&way, &base, &own, &library);
        steps_in_all += steps.len();
        let tried: Vec<_> = if every { steps.clone() } else { chosen(&steps) };
        killed += tried.len();
        let found: Mutex<BTreeMap<&str, usize>> = Mutex::default();
        std::thread::scope(|scope| {
            for half in tried.chunks(tried.len().div_ceil(2)) {
                let (found, way) = (&found, &way);
                scope.spawn(move || {
                    for (what, image) in half {
                        let server = Server::start(image, None);
                        let says = server.says(way.database);
                        let is = [way.before, way.after].into_iter().find(|s| *s == says);
                        let is = is
                            .unwrap_or_else(|| panic!("{} killed before {what}: {says}", way.name));
                        if every {
                            println!("{} killed before {what}: {is}", way.name);
                        }
                        *found.lock().unwrap().entry(is).or_default() += 1;
                        if way.database == "Shop" {
                            let proof =
                                exchange(&server.url, "GET", "/api/v1/databases/Shop/verify", "");
                            let proof = proof.unwrap().1;
                            assert!(proof.contains("\"same\":true"), "{proof}");
                        }
                    }
                });
            }
        });
        let found = found.into_inner().unwrap();
        println!("{}: {} steps, killed at {}: {found:?}", way.name, steps.len(), tried.len());
        assert!(found.contains_key(way.before), "{}", way.name);
        // What was begun and broken off does not keep it from being done.
        let server = Server::start(&steps[steps.len() / 2].1, None);
        let mut again = way.ask.clone();
        again["overwrite"] = json!(true);
        server.done("/api/v1/restore", &again.to_string());
        assert_eq!(server.says(way.database), way.after, "{}", way.name);
        drop(server);
        std::fs::remove_dir_all(own).unwrap();
    }
    println!("restores killed at {killed} of {steps_in_all} steps");
}

/// Some of the steps: the last ones, where the commit is, and others evenly.
fn chosen(steps: &[(String, PathBuf)]) -> Vec<(String, PathBuf)> {
    let (early, late) = steps.split_at(steps.len().saturating_sub(TRIED / 2));
    let every = early.len().div_ceil(TRIED - TRIED / 2).max(1);
    early.iter().step_by(every).chain(late).cloned().collect()
}
