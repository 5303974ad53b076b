//! A disk that is full: nothing acknowledged is lost, errors say what to do, and the server goes on by
//! itself once there is space. The disk is a small file system in memory, which only root may mount.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{exchange, free, post};
use crate::{MODEL, total};

const SIZE: &str = "size=20m";

/// A disk that only this test and its server see; gone when dropped.
struct Disk {
    /// Keeps the mount namespace.
    holder: Child,
    at: tempfile::TempDir,
}

impl Disk {
    /// `None` with the reason where it cannot be made.
    fn small() -> Result<Self, String> {
        let at = tempfile::tempdir().unwrap();
        let mount = format!(
            "mount -t tmpfs -o {SIZE} tmpfs '{0}' && touch '{0}/mounted' && exec sleep 600",
            at.path().display()
        );
        let holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", &mount])
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("unshare: {e}"))?;
        let mut disk = Self { holder, at };
        let limit = Instant::now() + Duration::from_secs(10);
        while !disk.path("mounted").exists() {
            if disk.holder.try_wait().unwrap().is_some() || Instant::now() > limit {
                return Err("no file system can be mounted here; it needs root".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(disk)
    }

    /// A file on the disk, as this process reaches it.
    fn path(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        PathBuf::from(root).join(self.at.path().strip_prefix("/").unwrap()).join(name)
    }

    /// A server on the disk, which adds what it says to `log`.
    fn server(&self, client: &str, peer: &str, log: &Path) -> Server {
        let server = self.start(client, peer, log, &[]);
        ready(client);
        server
    }

    /// As [`Self::server`], before it is ready.
    fn start(&self, client: &str, peer: &str, log: &Path, arguments: &[String]) -> Server {
        let said = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let server = Command::new("nsenter")
            .arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()))
            .arg(env!("CARGO_BIN_EXE_evercube"))
            .args(["serve", "--no-auth", "--listen", client, "--peer-listen", peer, "--data"])
            .arg(self.at.path())
            .args(arguments)
            .stderr(said)
            .spawn();
        Server(server.unwrap())
    }

    /// Leaves not a byte.
    fn fill(&self) {
        use std::io::Write as _;
        for (name, piece) in [("filler", 1 << 16), ("more", 1)] {
            let mut file = std::fs::File::create(self.path(name)).unwrap();
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    /// Leaves so many bytes.
    fn fill_but(&self, bytes: usize) {
        std::fs::write(self.path("room"), vec![0; bytes]).unwrap();
        self.fill();
        std::fs::remove_file(self.path("room")).unwrap();
    }

    fn free(&self) {
        for name in ["filler", "more"] {
            std::fs::remove_file(self.path(name)).unwrap();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = self.holder.kill();
        let _waited = self.holder.wait();
    }
}

/// A process that is gone when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _waited = self.0.wait();
    }
}

fn ready(client: &str) {
    let limit = Instant::now() + Duration::from_secs(40);
    while !matches!(exchange(client, "GET", "/health/ready", ""), Ok((200, _))) {
        assert!(Instant::now() < limit, "the server is not ready");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_full_disk_loses_nothing_and_is_gone_on_with_once_there_is_space() {
    let disk = match Disk::small() {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    let (client, peer) = (free(), free());
    let log = tempfile::NamedTempFile::new().unwrap();
    let server = disk.server(&client, &peer, log.path());
    let refresh = || post(&client, "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(post(&client, "/api/v1/deploy", MODEL).0, 200);
    let mut acknowledged = 0;
    let mut took = |(status, body): (u16, String)| {
        assert_eq!(status, 200, "{body}");
        let seq = serde_json::from_str::<serde_json::Value>(&body).unwrap()["seq"].as_u64();
        acknowledged = acknowledged.max(seq.unwrap());
    };
    took(refresh());
    // What it has still to write would give space back: a file is made before it replaces one.
    std::thread::sleep(Duration::from_secs(2));
    disk.fill();
    for _ in 0..3 {
        let (status, body) = refresh();
        assert!(status >= 400 && body.contains("free space"), "{status}: {body}");
    }
    assert_eq!(total(&client), "7.5", "queries go on");
    // The log that records this is tried again and again, and is not a word each time.
    std::thread::sleep(Duration::from_secs(5));
    let said = std::fs::read_to_string(log.path()).unwrap();
    let of_audit: Vec<&str> = said.lines().filter(|l| l.contains("audit")).collect();
    assert!((1..=2).contains(&of_audit.len()), "{of_audit:#?}");
    disk.free();
    let limit = Instant::now() + Duration::from_secs(40);
    loop {
        let (status, body) = refresh();
        if status == 200 {
            took((status, body));
            break;
        }
        assert!(Instant::now() < limit, "{status}: {body}");
    }
    // The disk is full when the process dies: what was acknowledged is there.
    disk.fill();
    let _refused = refresh();
    drop(server);
    disk.free();
    let _server = disk.server(&client, &peer, log.path());
    let (_, status) = exchange(&client, "GET", "/api/v1/status", "").unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let version = status["servers"][0]["databases"][0]["version"].as_u64();
    assert_eq!(version, Some(acknowledged));
    let (_, proof) =
        exchange(&client, "GET", "/api/v1/databases/Shop/verify?deep=true", "").unwrap();
    assert!(proof.contains("\"same\":true"), "{proof}");
    assert_eq!(total(&client), "7.5");
}

/// Rows that come to about a megabyte, each time others.
fn rows(folder: &Path, time: u64) {
    let mut text = String::from("Item,Amount\n");
    let mut x = 88_172_645_463_325_252 + time;
    for _ in 0..60_000 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        text.push_str(&format!("i{x},1\n"));
    }
    std::fs::write(folder.join("rows.csv"), text).unwrap();
}

/// The server that writes `database`, by what the server at `client` says.
fn writer(client: &str, database: &str) -> String {
    let (_, status) = exchange(client, "GET", "/api/v1/status", "").unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let servers = status["servers"].as_array().unwrap();
    let of = |s: &serde_json::Value, d: &serde_json::Value| {
        (d["name"] == database && d["primary"] == true)
            .then(|| s["name"].as_str().unwrap().to_owned())
    };
    let mut found = servers.iter().flat_map(|s| {
        s["databases"].as_array().into_iter().flatten().filter_map(move |d| of(s, d))
    });
    found.next().unwrap_or_default()
}

/// The servers whose disks take no files, by what the server at `client` says.
fn refusing(client: &str) -> Vec<usize> {
    let (_, status) = exchange(client, "GET", "/api/v1/status", "").unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let servers = status["servers"].as_array().unwrap().iter().enumerate();
    servers.filter(|(_, s)| s["files"]["refuses"].is_string()).map(|(i, _)| i).collect()
}

#[test]
fn a_writer_whose_disk_is_full_is_replaced_and_the_change_is_done_elsewhere() {
    const FROM_FILE: &str = r##"{"name":"Rows","compatibilityLevel":1600,"model":{"culture":"en-US",
     "tables":[{"name":"Rows",
      "columns":[{"name":"Item","dataType":"string","sourceColumn":"Item"},
                 {"name":"Amount","dataType":"int64","sourceColumn":"Amount"}],
      "partitions":[{"name":"Rows","mode":"import","source":{"type":"m","expression":
        "Table.TransformColumnTypes(Table.PromoteHeaders(Csv.Document(File.Contents(\"FOLDER/rows.csv\"), [Delimiter=\",\"])), {{\"Amount\", Int64.Type}})"}}]}]}}"##;
    let mut disks = Vec::new();
    for _ in 0..3 {
        match Disk::small() {
            Ok(disk) => disks.push(disk),
            Err(why) => return println!("skipped: {why}"),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    rows(folder.path(), 0);
    let at: Vec<(String, String)> = disks.iter().map(|_| (free(), free())).collect();
    let mut servers = Vec::new();
    for (i, (disk, (client, peer))) in disks.iter().zip(&at).enumerate() {
        let sources = format!("--source-dir={}", folder.path().display());
        let mut arguments = vec![format!("--name=s{i}"), format!("--region=r{i}"), sources];
        if i > 0 {
            arguments.push(format!("--join={}", at[0].1));
        }
        let log = folder.path().join(format!("s{i}.log"));
        servers.push(disk.start(client, peer, &log, &arguments));
        ready(client);
    }
    let client = |i: usize| &*at[i].0;
    let refresh = |i: usize, database: &str| {
        let (status, body) =
            post(client(i), &format!("/api/v1/databases/{database}/refresh"), "{}");
        assert_eq!(status, 200, "{database} through s{i}: {body}");
    };
    let position = |name: &str| name.trim_start_matches('s').parse::<usize>().unwrap();
    let from_file = FROM_FILE.replace("FOLDER", &folder.path().display().to_string());
    for model in [MODEL, &from_file] {
        assert_eq!(post(client(0), "/api/v1/deploy", model).0, 200);
    }
    refresh(0, "Shop");
    refresh(0, "Rows");

    // There is room for the log, but not for the rows; the change is asked of the writer itself.
    let first = position(&writer(client(0), "Rows"));
    disks[first].fill_but(200_000);
    rows(folder.path(), 1);
    refresh(first, "Rows");
    let other = (first + 1) % 3;
    let second = position(&writer(client(other), "Rows"));
    assert_ne!(second, first, "another server writes");
    assert_eq!(refusing(client(other)), [first]);
    disks[first].free();

    // So it is with a refresh in the background.
    disks[second].fill_but(200_000);
    rows(folder.path(), 2);
    let path = "/servers/any/models/Rows/refreshes";
    let (status, body) = post(client(other), path, "{\"Type\":\"Full\"}");
    assert_eq!(status, 202, "{body}");
    let limit = Instant::now() + Duration::from_secs(40);
    loop {
        let (_, runs) = exchange(client(other), "GET", path, "").unwrap();
        let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
        match runs[0]["status"].as_str() {
            Some("succeeded") => break,
            Some("notStarted" | "inProgress") => {}
            ended => panic!("{ended:?}: {runs}"),
        }
        assert!(Instant::now() < limit, "{runs}");
        std::thread::sleep(Duration::from_millis(50));
    }
    disks[second].free();
    let second = position(&writer(client(other), "Rows"));

    // There is no room at all on a server that writes one database and does not lead.
    let third = (0..3).find(|i| *i != first && *i != second).unwrap();
    let to = format!("{{\"database\":\"Shop\",\"to\":\"s{third}\"}}");
    let limit = Instant::now() + Duration::from_secs(40);
    while refusing(client(second)).contains(&third) {
        assert!(Instant::now() < limit, "a disk with space is not tried again");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (status, body) = post(client(second), "/api/v1/failover", &to);
    assert_eq!(status, 200, "{body}");
    assert_eq!(position(&writer(client(second), "Shop")), third);
    disks[third].fill();
    refresh(third, "Shop");
    assert_ne!(position(&writer(client(second), "Shop")), third, "another server writes");
    disks[third].free();
    for i in 0..3 {
        ready(client(i));
        let limit = Instant::now() + Duration::from_secs(40);
        let same = || {
            let path = "/api/v1/databases/Rows/verify?deep=true";
            let (_, proof) = exchange(client(i), "GET", path, "").unwrap();
            proof.contains("\"same\":true")
        };
        while !same() {
            assert!(Instant::now() < limit, "the servers are not the same");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(total(client(i)), "7.5");
    }
}
