//! Servers that only pretend, and a gateway process before them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(40);

/// Longer than a gateway waits for a sign of a server that has a write which it may send twice, and
/// shorter than it waits for one it may not.
const FADES: Duration = Duration::from_millis(1500);

/// Longer than a gateway waits before it asks another server, and not so long that it gives one up.
const CUT: Duration = Duration::from_millis(800);

/// A good part of the second that a gateway is told to wait.
const HOLDS: Duration = Duration::from_millis(400);

#[derive(Debug, Clone)]
pub enum Behaviour {
    /// The connection is closed without a byte of answer.
    Close,
    /// An answer of which only `written` bytes of the body are sent before the connection ends.
    Answer { status: u16, body: String, written: usize },
    /// No answer; and from then on even its health takes a while.
    Drag,
    /// Not now, said after a while.
    Hold,
    /// Not now the first time; then this answer.
    Later { body: String },
    /// No answer; it tells of its health again after a while without.
    Cut,
    /// An answer long after it has ceased to tell of its health.
    Fade { body: String },
}

#[derive(Debug, Default)]
struct Seen {
    request_ids: Vec<String>,
    versions: Vec<String>,
    asked: usize,
    asked_at: Option<Instant>,
    looks: usize,
}

/// A server that is ready for work and does one thing with it.
pub struct Stub {
    address: String,
    seen: Arc<Mutex<Seen>>,
}

impl Stub {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (behaviour, seen) = (behaviour.clone(), Arc::clone(&shared));
                std::thread::spawn(move || converse(stream, &behaviour, &seen));
            }
        });
        Self { address, seen }
    }

    /// Requests other than those about its health.
    pub fn asked(&self) -> usize {
        self.seen.lock().unwrap().asked
    }

    pub fn request_ids(&self) -> Vec<String> {
        self.seen.lock().unwrap().request_ids.clone()
    }

    pub fn versions_asked_for(&self) -> Vec<String> {
        self.seen.lock().unwrap().versions.clone()
    }
}

/// First line and headers of a message, names in lower case.
fn head(reader: &mut impl std::io::BufRead) -> Option<(String, Vec<(String, String)>)> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => return Some((first.trim().to_owned(), headers)),
        }
    }
}

fn value(headers: &[(String, String)], name: &str) -> Option<String> {
    headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
}

fn converse(stream: TcpStream, behaviour: &Behaviour, seen: &Mutex<Seen>) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (first, headers) = head(&mut reader)?;
        let length = value(&headers, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let path = first.split(' ').nth(1)?.to_owned();
        if path == "/health/ready" {
            let mut seen = seen.lock().unwrap();
            seen.looks += 1;
            let drags = matches!(behaviour, Behaviour::Drag) && seen.asked > 0;
            let faded = matches!(behaviour, Behaviour::Fade { .. }) && seen.asked > 0;
            let is_cut = matches!(behaviour, Behaviour::Cut)
                && seen.asked_at.is_some_and(|at| at.elapsed() < CUT);
            drop(seen);
            if is_cut {
                std::thread::sleep(CUT);
            }
            if faded {
                std::thread::sleep(PATIENCE * 2);
                return None;
            }
            if drags {
                std::thread::sleep(Duration::from_millis(300));
            }
            writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
            continue;
        }
        if path == "/api/v1/status" {
            writer.write_all(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n").ok()?;
            continue;
        }
        let mut seen = seen.lock().unwrap();
        seen.asked += 1;
        seen.asked_at.get_or_insert_with(Instant::now);
        let is_first = seen.asked == 1;
        seen.request_ids.extend(value(&headers, "x-evercube-request-id"));
        seen.versions.extend(value(&headers, "x-evercube-at"));
        drop(seen);
        let nothing = String::new();
        let (status, body, written) = match behaviour {
            Behaviour::Answer { status, body, written } => (status, body, written),
            Behaviour::Fade { body } => {
                std::thread::sleep(FADES);
                (&200, body, &usize::MAX)
            }
            Behaviour::Hold => {
                std::thread::sleep(HOLDS);
                (&503, &nothing, &0)
            }
            Behaviour::Later { .. } if is_first => (&503, &nothing, &0),
            Behaviour::Later { body } => (&200, body, &usize::MAX),
            Behaviour::Close => return None,
            Behaviour::Drag | Behaviour::Cut => {
                std::thread::sleep(PATIENCE * 2);
                return None;
            }
        };
        let start = format!(
            "HTTP/1.1 {status} x\r\nx-evercube-version: 7\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(start.as_bytes()).ok()?;
        writer.write_all(&body.as_bytes()[..body.len().min(*written)]).ok()?;
        if *written < body.len() {
            return None;
        }
    }
}

/// A gateway process; killed when dropped.
pub struct Gateway {
    address: String,
    process: Child,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _waited = self.process.wait();
    }
}

impl Gateway {
    /// Starts a gateway and waits until it knows that its first server is ready.
    pub fn start(servers: &[&Stub], more: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let urls: Vec<String> = servers.iter().map(|s| format!("http://{}", s.address)).collect();
        let process = Command::new(env!("CARGO_BIN_EXE_evercube"))
            .args(["gateway", &format!("--listen={address}")])
            .arg(format!("--servers={}", urls.join(",")))
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let gateway = Self { address, process };
        let limit = Instant::now() + PATIENCE;
        while !gateway.exchange("GET", "/health/ready", "").is_ok_and(|(status, _)| status == 200) {
            assert!(Instant::now() < limit, "the gateway is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        // After its second look at a server it knows what the first one found.
        let looks = |s: &&Stub| s.seen.lock().unwrap().looks;
        while servers.iter().any(|s| looks(s) < 2) {
            assert!(Instant::now() < limit, "the gateway does not look at its servers");
            std::thread::sleep(Duration::from_millis(20));
        }
        gateway
    }

    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.post_raw(path, body).unwrap()
    }

    pub fn post_raw(&self, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        self.exchange("POST", path, body)
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let early = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let mut reader = BufReader::new(stream);
        let (first, headers) = head(&mut reader).ok_or_else(early)?;
        let status = first.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let mut text = Vec::new();
        if value(&headers, "transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16).map_err(|_| early())?;
                let mut chunk = vec![0; size + 2];
                reader.read_exact(&mut chunk)?;
                if size == 0 {
                    break;
                }
                text.extend_from_slice(&chunk[..size]);
            }
        } else {
            reader.read_to_end(&mut text)?;
        }
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }
}
