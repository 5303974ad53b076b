//! A proxy that breaks what goes through it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The storage never sees the request; the answer is 503.
    Refuse,
    /// The connection ends without an answer.
    Drop,
    /// The storage does it, and the answer is 500.
    DoneButFailed,
    /// The storage does it, and the connection ends without an answer.
    DoneAndDropped,
    /// The answer ends in its middle.
    Truncate,
    /// The answer comes late.
    Delay,
}

pub const FAULTS: [Fault; 6] = [
    Fault::Refuse,
    Fault::Drop,
    Fault::DoneButFailed,
    Fault::DoneAndDropped,
    Fault::Truncate,
    Fault::Delay,
];

/// Breaks the next requests with this method.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub fault: Fault,
    pub method: &'static str,
    /// So many requests of the method pass first.
    pub after: usize,
    /// So many are broken then.
    pub times: usize,
}

pub struct Proxy {
    pub address: String,
    plan: Arc<Mutex<Option<Plan>>>,
}

impl Proxy {
    pub fn before(storage: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let plan: Arc<Mutex<Option<Plan>>> = Arc::default();
        let (shared, storage) = (Arc::clone(&plan), storage.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (plan, storage) = (Arc::clone(&shared), storage.clone());
                std::thread::spawn(move || {
                    let _broken_off = relay(stream, &storage, &plan);
                });
            }
        });
        Self { address, plan }
    }

    pub fn set(&self, plan: Option<Plan>) {
        *self.plan.lock().unwrap() = plan;
    }

    /// Whether the plan was carried out.
    pub fn is_spent(&self) -> bool {
        self.plan.lock().unwrap().is_none_or(|p| p.times == 0)
    }
}

fn due(plan: &Mutex<Option<Plan>>, method: &str) -> Option<Fault> {
    let mut plan = plan.lock().unwrap();
    let plan = plan.as_mut().filter(|p| p.method == method && p.times > 0)?;
    if plan.after > 0 {
        plan.after -= 1;
        return None;
    }
    plan.times -= 1;
    Some(plan.fault)
}

/// One request and its answer.
fn relay(client: TcpStream, storage: &str, plan: &Mutex<Option<Plan>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    reader.read_line(&mut head)?;
    let method = head.split(' ').next().unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let low = line.to_ascii_lowercase();
        if let Some(n) = low.strip_prefix("content-length:") {
            length = n.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
        if !low.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut client = client;
    let fault = due(plan, &method);
    let plain = |status: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    };
    match fault {
        Some(Fault::Refuse) => return client.write_all(plain("503 Broken").as_bytes()),
        Some(Fault::Drop) => return Ok(()),
        _ => {}
    }
    let mut upstream = TcpStream::connect(storage)?;
    upstream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
    upstream.write_all(&body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    match fault {
        Some(Fault::DoneButFailed) => client.write_all(plain("500 Broken").as_bytes()),
        Some(Fault::DoneAndDropped) => Ok(()),
        Some(Fault::Truncate) => {
            let start = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |i| i + 4);
            client.write_all(&answer[..start + (answer.len() - start) / 2])
        }
        Some(Fault::Delay) => {
            std::thread::sleep(Duration::from_millis(1500));
            client.write_all(&answer)
        }
        _ => client.write_all(&answer),
    }
}
