//! The measured server: a process of its own, asked over HTTP as clients do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json as object;
use tokio::process::Child;

use crate::client::{Client, Connection, Secrets, percent_encode, request_id};
use crate::demo::group::{free_port, start};
use crate::failure::{Failure, Outcome};

pub const DATABASE: &str = "Retail";
/// How long the server may take to come up.
const PATIENCE: Duration = Duration::from_secs(300);
/// Clock ticks of `/proc` in a second.
const TICKS: f64 = 100.0;

/// Ends its process when dropped.
pub struct Server {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
    pub client: Client,
}

/// What a server keeps of its answers.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    /// As servers do.
    Results,
    Nothing,
}

impl Kept {
    fn settings(self) -> &'static str {
        match self {
            Self::Results => "",
            Self::Nothing => "scan_cache = \"0MB\"\n",
        }
    }
}

impl Server {
    /// Starts a server on the folder, which may have data of an earlier one.
    pub async fn start(folder: &Path, threads: usize, kept: Kept) -> Outcome<Self> {
        let address = free_port()?;
        let settings = folder.join("evercube.toml");
        std::fs::write(&settings, kept.settings())
            .map_err(|e| Failure::Refused(format!("cannot write {}: {e}", settings.display())))?;
        let arguments = [
            "serve".to_owned(),
            "--no-auth".to_owned(),
            format!("--threads={threads}"),
            format!("--listen={address}"),
            format!("--data={}", folder.join("data").display()),
            format!("--source-dir={}", folder.join("sources").display()),
        ];
        let process = start(folder, "server", &arguments)?;
        let server = Self { process, address, folder: folder.to_owned(), client: client(address)? };
        let begun = Instant::now();
        while let Err(failure) = server.client.get("/health/ready").await {
            if begun.elapsed() > PATIENCE {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    pub async fn stop(mut self) {
        let _gone_already = self.process.kill().await;
    }

    /// A client with connections of its own.
    pub fn another_client(&self) -> Outcome<Client> {
        client(self.address)
    }

    pub async fn deploy(&self, model: &str) -> Outcome {
        let folder = format!("DataFolder={}", self.folder.join("sources").display());
        let path =
            format!("/api/v1/deploy?database={DATABASE}&parameter={}", percent_encode(&folder));
        let body = Bytes::copy_from_slice(model.as_bytes());
        self.client.post(&path, body, &request_id()?).await.map(drop)
    }

    pub async fn refresh(&self) -> Outcome {
        let path = format!("/api/v1/databases/{DATABASE}/refresh");
        self.client.post_json(&path, &object!({}), &request_id()?).await.map(drop)
    }

    pub async fn clear_cache(&self) -> Outcome {
        self.client.post_json("/api/v1/cache/clear", &object!({}), &request_id()?).await.map(drop)
    }

    /// Processor time of the process so far, in seconds.
    pub fn processor_seconds(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()?)).ok()?;
        // The name in parentheses may hold spaces.
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<f64>().ok();
        Some((ticks()? + ticks()?) / TICKS)
    }

    /// Memory of the process in megabytes: now (`VmRSS`) or at most (`VmHWM`).
    pub fn memory(&self, field: &str) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))?;
        let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes / 1024.0)
    }

    /// Megabytes on disk.
    pub fn disk(&self) -> f64 {
        bytes_of(&self.folder.join("data")) as f64 / (1 << 20) as f64
    }
}

fn client(address: SocketAddr) -> Outcome<Client> {
    let at =
        Connection { server: format!("http://{address}"), user: None, token_file: None, ca: None };
    Client::new(&at, None, &Secrets::default())
}

/// Asks a query and reads the whole answer; how long it took.
pub async fn ask(client: &Client, query: &str) -> Outcome<Duration> {
    let path = format!("/api/v1/databases/{DATABASE}/query");
    let body = object!({ "query": query });
    let id = request_id()?;
    let begun = Instant::now();
    client.post_json(&path, &body, &id).await?;
    Ok(begun.elapsed())
}

fn bytes_of(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let size = |e: std::fs::DirEntry| match e.metadata() {
        Ok(m) if m.is_dir() => bytes_of(&e.path()),
        Ok(m) => m.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Writes the data a model of so many rows is loaded from.
pub async fn write_data(folder: &Path, rows: usize) -> Outcome {
    let to = folder.join("sources");
    std::fs::create_dir_all(&to)
        .map_err(|e| Failure::Refused(format!("cannot make {}: {e}", to.display())))?;
    let written = tokio::task::spawn_blocking(move || crate::demo::retail::write(&to, rows)).await;
    written
        .map_err(|e| Failure::Refused(format!("the data was not written: {e}")))?
        .map_err(|e| Failure::Refused(e.to_string()))
}
