//! Server processes of a test, and the little HTTP they are asked with.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(40);

struct Member {
    client: String,
    peer: String,
    kind: &'static str,
    process: Option<Child>,
}

/// Servers `s0`, `s1` … in regions of their own; killed when dropped.
pub struct Group {
    folder: tempfile::TempDir,
    members: Vec<Member>,
    gateway: Option<Child>,
    secured: bool,
    /// Further arguments of servers that are started from now on.
    pub extra: Vec<String>,
    /// Variables of servers that are started from now on.
    pub environment: Vec<(String, String)>,
}

/// An address nobody listens on. Ports the kernel gives to outgoing connections are left out:
/// clients under load would take one before the server listens there.
pub fn free() -> String {
    const PORTS: u32 = 20_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (std::process::id() * 100 + step) % PORTS;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

fn command_in(folder: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evercube"));
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("EVERCUBE_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn evercube(folder: &Path, arguments: &[String]) -> Child {
    command_in(folder, arguments).spawn().unwrap()
}

impl Drop for Group {
    fn drop(&mut self) {
        let processes = self.members.iter_mut().filter_map(|m| m.process.take());
        for mut process in processes.chain(self.gateway.take()) {
            let _gone = process.kill();
            let _waited = process.wait();
        }
    }
}

impl Group {
    pub fn start(count: usize) -> Self {
        Self::of_kinds(&vec!["data"; count])
    }

    pub fn of_kinds(kinds: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let count = kinds.len();
        let member =
            |kind: &&'static str| Member { client: free(), peer: free(), kind, process: None };
        let members = kinds.iter().map(member).collect();
        let mut group = Self {
            folder,
            members,
            gateway: None,
            secured: false,
            extra: Vec::new(),
            environment: Vec::new(),
        };
        for i in 0..count {
            group.restart(i);
        }
        group.wait_ready(count);
        group
    }

    /// One server that wants to know who asks.
    pub fn secured() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let member = Member { client: free(), peer: free(), kind: "data", process: None };
        let mut group = Self {
            folder,
            members: vec![member],
            gateway: None,
            secured: true,
            extra: Vec::new(),
            environment: Vec::new(),
        };
        group.restart(0);
        let limit = Instant::now() + PATIENCE;
        while exchange(&group.url(0), "GET", "/health/ready", "").is_err() {
            assert!(Instant::now() < limit, "the server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        group
    }

    /// The file with the first administrator's password.
    pub fn admin_password_file(&self) -> String {
        self.data(0).join("admin-password").display().to_string()
    }

    /// A file of the test with this text.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub fn url(&self, at: usize) -> String {
        self.members[at].client.clone()
    }

    /// A path beside the servers' folders.
    pub fn beside(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The process of a server.
    pub fn process_id(&self, at: usize) -> u32 {
        self.members[at].process.as_ref().unwrap().id()
    }

    pub fn data(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("data{at}"))
    }

    /// Starts a server, on the folder it had before if that is still there.
    pub fn restart(&mut self, at: usize) {
        self.start_joining(at, (at > 0).then_some(0));
    }

    /// Starts a server that joins through another one.
    pub fn join_through(&mut self, at: usize, other: usize) {
        self.start_joining(at, Some(other));
    }

    fn start_joining(&mut self, at: usize, through: Option<usize>) {
        let member = &self.members[at];
        let mut arguments = vec![
            "serve".to_owned(),
            format!("--name=s{at}"),
            format!("--region=r{at}"),
            format!("--kind={}", member.kind),
            format!("--listen={}", member.client),
            format!("--peer-listen={}", member.peer),
            format!("--data={}", self.data(at).display()),
        ];
        if !self.secured {
            arguments.push("--no-auth".into());
        }
        if let Some(other) = through {
            arguments.push(format!("--join={}", self.members[other].peer));
        }
        arguments.extend(self.extra.iter().cloned());
        let folder = self.working_folder(at);
        let mut command = command_in(&folder, &arguments);
        let log =
            std::fs::File::options().append(true).create(true).open(folder.join("server.log"));
        command.envs(self.environment.iter().cloned()).stderr(log.unwrap());
        self.members[at].process = Some(command.spawn().unwrap());
    }

    /// Where a server's log is, `server.log`.
    pub fn log_folder(&self, at: usize) -> PathBuf {
        self.working_folder(at)
    }

    /// Where a server starts, and relative paths of models with it.
    fn working_folder(&self, at: usize) -> PathBuf {
        let folder = self.folder.path().join(format!("at{at}"));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A file that one server reads under a relative path.
    pub fn source(&self, at: usize, name: &str, text: &str) {
        std::fs::write(self.working_folder(at).join(name), text).unwrap();
    }

    pub fn start_gateway(&mut self) -> String {
        let address = free();
        let servers: Vec<String> =
            self.members.iter().map(|m| format!("http://{}", m.client)).collect();
        self.start_gateway_at(&address, &servers, &[]);
        address
    }

    pub fn start_gateway_at(&mut self, address: &str, servers: &[String], extra: &[String]) {
        let mut arguments = vec![
            "gateway".to_owned(),
            format!("--listen={address}"),
            format!("--servers={}", servers.join(",")),
        ];
        arguments.extend_from_slice(extra);
        self.gateway = Some(evercube(self.folder.path(), &arguments));
        let limit = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < limit, "the gateway does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn status(&self) -> Option<serde_json::Value> {
        let up = self.members.iter().filter(|m| m.process.is_some());
        let answers = up.filter_map(|m| exchange(&m.client, "GET", "/api/v1/status", "").ok());
        answers
            .filter(|(status, _)| *status == 200)
            .find_map(|(_, b)| serde_json::from_str(&b).ok())
    }

    pub fn wait_ready(&self, count: usize) {
        let limit = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            let servers = status.as_ref().and_then(|s| s["servers"].as_array().cloned());
            let servers = servers.unwrap_or_default();
            if servers.iter().filter(|s| s["state"] == "ready").count() == count {
                return;
            }
            assert!(Instant::now() < limit, "not ready: {status:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn leader(&self) -> usize {
        let status = self.status().expect("a server answers");
        let name = status["leader"].as_str().expect("there is a leader");
        name.trim_start_matches('s').parse().unwrap()
    }

    pub fn kill(&mut self, at: usize) {
        let mut process = self.members[at].process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub fn delete_folder(&self, at: usize) {
        std::fs::remove_dir_all(self.data(at)).unwrap();
    }

    /// Adds a server of another kind, and starts it.
    pub fn add(&mut self, kind: &'static str) -> usize {
        self.members.push(Member { client: free(), peer: free(), kind, process: None });
        let at = self.members.len() - 1;
        self.restart(at);
        at
    }

    /// Starts a server that is to end by itself, as one that may not join: its exit status, and
    /// what it said.
    pub fn try_join(&self, through: usize, extra: &[String]) -> (Option<i32>, String) {
        let mut arguments = vec![
            "serve".to_owned(),
            format!("--listen={}", free()),
            format!("--data={}", self.beside(&format!("stranger{}", free()))),
            format!("--join={}", self.members[through].peer),
        ];
        arguments.extend_from_slice(extra);
        let mut command = Command::new(env!("CARGO_BIN_EXE_evercube"));
        command.args(&arguments).current_dir(self.folder.path()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let limit = Instant::now() + PATIENCE;
        while process.try_wait().unwrap().is_none() {
            if Instant::now() > limit {
                process.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let out = process.wait_with_output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    }

    /// Where the other members reach a server.
    pub fn peer(&self, at: usize) -> String {
        self.members[at].peer.clone()
    }

    pub fn wait_listening(&self, at: usize) {
        let limit = Instant::now() + PATIENCE;
        while TcpStream::connect(&self.members[at].client).is_err() {
            assert!(Instant::now() < limit, "server {at} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The group as one server sees it.
    pub fn status_of(&self, at: usize) -> serde_json::Value {
        let (status, body) =
            exchange(&self.members[at].client, "GET", "/api/v1/status", "").unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until one server sees `what`.
    pub fn eventually(&self, at: usize, what: impl Fn(&serde_json::Value) -> bool) {
        let limit = Instant::now() + PATIENCE;
        loop {
            let status = self.status_of(at);
            if what(&status) {
                return;
            }
            assert!(Instant::now() < limit, "never happened: {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs a command against the gateway; what it printed.
    pub fn operate(&self, gateway: &str, words: &[&str]) -> String {
        let (status, text) = self.command(gateway, words);
        assert_eq!(status, Some(0), "{words:?}: {text}");
        text
    }

    /// Runs a command against an address; its exit status and what it printed.
    pub fn command(&self, server: &str, words: &[&str]) -> (Option<i32>, String) {
        self.run_bare(&[words, &["--server", server]].concat())
    }

    /// Runs a command as it is; its exit status and what it printed.
    pub fn run_bare(&self, words: &[&str]) -> (Option<i32>, String) {
        let out = Command::new(env!("CARGO_BIN_EXE_evercube")).args(words).output().unwrap();
        let text = [out.stdout, out.stderr].concat();
        (out.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs a command against a server that is up: its exit status, and what it said.
    pub fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let up = self.members.iter().find(|m| m.process.is_some()).unwrap();
        let server = format!("http://{}", up.client);
        self.command(&server, words)
    }

    pub fn verify(&self, database: &str) -> String {
        self.run(&["verify", database]).1
    }

    pub fn verify_deep(&self, database: &str) -> (Option<i32>, String) {
        self.run(&["verify", database, "--deep"])
    }

    /// Damages the largest file among the objects of a server.
    pub fn flip_a_byte(&self, at: usize) {
        flip(self.object_files(at).last().unwrap());
    }

    /// The files of a server's objects, the largest last.
    pub fn object_files(&self, at: usize) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.data(at).join("store")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => files.push((entry.metadata().unwrap().len(), entry.path())),
                }
            }
        }
        files.retain(|(_, path)| path.extension().is_none());
        files.sort();
        files.into_iter().map(|(_, path)| path).collect()
    }

    /// Waits until the figures of a server are as wanted.
    pub fn until_metrics(&self, at: usize, what: impl Fn(&str) -> bool) {
        let limit = Instant::now() + PATIENCE;
        loop {
            let figures = self.metrics(at);
            if what(&figures) {
                return;
            }
            assert!(Instant::now() < limit, "never happened: {figures}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The figures a server gives to monitoring.
    pub fn metrics(&self, at: usize) -> String {
        exchange(&self.members[at].client, "GET", "/metrics", "").unwrap().1
    }
}

/// Changes one bit in the middle of a file.
pub fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

pub fn exchange(to: &str, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let message = format!(
        "{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // In one piece: a server that answers after the first bytes may have gone before the last ones.
    stream.write_all(message.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut chunked = false;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        chunked |= line.to_ascii_lowercase().starts_with("transfer-encoding: chunked");
        if line.trim().is_empty() {
            break;
        }
    }
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    assert!(!chunked, "small answers come whole");
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Ok((status, text))
}

/// As [`post`], to a server that may go away meanwhile.
pub fn try_post(to: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    exchange(to, "POST", path, body)
}

pub fn post(to: &str, path: &str, body: &str) -> (u16, String) {
    exchange(to, "POST", path, body).unwrap()
}

/// Sends an XMLA message as it stands.
pub fn xml_text(to: &str, message: &str) -> String {
    let (status, text) = post(to, "/xmla", message);
    assert_eq!(status, 200, "{text}");
    text
}

/// Executes a statement with these properties, outside of a session.
pub fn execute(to: &str, statement: &str, properties: &str) -> String {
    execute_in(to, "", statement, properties)
}

/// Executes a statement with a header block.
pub fn execute_in(to: &str, header: &str, statement: &str, properties: &str) -> String {
    let statement = statement.replace('&', "&amp;").replace('<', "&lt;");
    xml_text(
        to,
        &format!(
            "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Header>{header}</Header><Body>\
             <Execute xmlns=\"urn:schemas-microsoft-com:xml-analysis\"><Command><Statement>{statement}</Statement></Command>\
             <Properties><PropertyList>{properties}</PropertyList></Properties></Execute></Body></Envelope>"
        ),
    )
}
