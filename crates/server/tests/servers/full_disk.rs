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
    fn server(&self, client: &str, peer: &str, log: &Path) -> Child {
        let said = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let server = Command::new("nsenter")
            .arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()))
            .arg(env!("CARGO_BIN_EXE_evercube"))
            .args(["serve", "--no-auth", "--listen", client, "--peer-listen", peer, "--data"])
            .arg(self.at.path())
            .current_dir("/")
            .stderr(said)
            .spawn()
            .unwrap();
        let limit = Instant::now() + Duration::from_secs(40);
        while !matches!(exchange(client, "GET", "/health/ready", ""), Ok((200, _))) {
            assert!(Instant::now() < limit, "the server is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Leaves not a byte.
    fn fill(&self) {
        use std::io::Write as _;
        for (name, piece) in [("filler", 1 << 16), ("more", 1)] {
            let mut file = std::fs::File::create(self.path(name)).unwrap();
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
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

#[test]
fn a_full_disk_loses_nothing_and_is_gone_on_with_once_there_is_space() {
    let disk = match Disk::small() {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    let (client, peer) = (free(), free());
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut server = disk.server(&client, &peer, log.path());
    let refresh = || post(&client, "/api/v1/databases/Shop/refresh", "{}");
    assert_eq!(post(&client, "/api/v1/deploy", MODEL).0, 200);
    let mut acknowledged = 0;
    let mut took = |(status, body): (u16, String)| {
        assert_eq!(status, 200, "{body}");
        let seq = serde_json::from_str::<serde_json::Value>(&body).unwrap()["seq"].as_u64();
        acknowledged = acknowledged.max(seq.unwrap());
    };
    took(refresh());
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
    server.kill().unwrap();
    server.wait().unwrap();
    disk.free();
    let mut server = disk.server(&client, &peer, log.path());
    let (_, status) = exchange(&client, "GET", "/api/v1/status", "").unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let version = status["servers"][0]["databases"][0]["version"].as_u64();
    assert_eq!(version, Some(acknowledged));
    let (_, proof) =
        exchange(&client, "GET", "/api/v1/databases/Shop/verify?deep=true", "").unwrap();
    assert!(proof.contains("\"same\":true"), "{proof}");
    assert_eq!(total(&client), "7.5");
    server.kill().unwrap();
    server.wait().unwrap();
}
