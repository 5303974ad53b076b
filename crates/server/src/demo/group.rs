//! The processes of the demonstration: three servers in three regions, and the gateway.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};

use crate::failure::{Failure, Outcome};

pub const REGIONS: [&str; 3] = ["north", "west", "south"];

struct Member {
    region: &'static str,
    client: SocketAddr,
    peer: SocketAddr,
    process: Option<Child>,
}

/// Ends its processes when dropped.
pub struct Group {
    folder: PathBuf,
    members: Vec<Member>,
    gateway: Child,
    pub gateway_address: SocketAddr,
}

pub fn free_port() -> Outcome<SocketAddr> {
    let found = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr());
    found.map_err(|e| Failure::Refused(format!("there is no free port on loopback: {e}")))
}

pub fn start(folder: &Path, log: &str, arguments: &[String]) -> Outcome<Child> {
    let failed = |e| Failure::Refused(format!("cannot start a process of its own: {e}"));
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join(format!("{log}.log")))
        .map_err(failed)?;
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("EVERCUBE_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        // Ctrl-C reaches the demonstration alone, which then ends the others.
        .process_group(0)
        .spawn()
        .map_err(failed)
}

impl Group {
    /// Starts everything; the servers join by themselves.
    pub fn start(folder: &Path) -> Outcome<Self> {
        let mut members = Vec::new();
        for region in REGIONS {
            members.push(Member {
                region,
                client: free_port()?,
                peer: free_port()?,
                process: None,
            });
        }
        let gateway_address = free_port()?;
        let servers: Vec<String> = members.iter().map(|m| format!("http://{}", m.client)).collect();
        let gateway = start(
            folder,
            "gateway",
            &[
                "gateway".into(),
                format!("--listen={gateway_address}"),
                format!("--servers={}", servers.join(",")),
            ],
        )?;
        let mut group = Self { folder: folder.to_owned(), members, gateway, gateway_address };
        for region in REGIONS {
            group.start_server(region)?;
        }
        Ok(group)
    }

    /// Starts the server of a region, on the folder it had before.
    pub fn start_server(&mut self, region: &str) -> Outcome {
        let first = self.members.first().map(|m| m.peer);
        let Some(member) = self.members.iter_mut().find(|m| m.region == region) else {
            return Ok(());
        };
        let mut arguments = vec![
            "serve".to_owned(),
            "--no-auth".to_owned(),
            format!("--name={region}-1"),
            format!("--region={region}"),
            format!("--listen={}", member.client),
            format!("--peer-listen={}", member.peer),
            format!("--data={}", self.folder.join(region).display()),
            format!("--source-dir={}", self.folder.join("sources").display()),
        ];
        if let Some(first) = first.filter(|f| *f != member.peer) {
            arguments.push(format!("--join={first}"));
        }
        member.process = Some(start(&self.folder, region, &arguments)?);
        Ok(())
    }

    /// Kills the server of a region as `kill -9` does; its process id and how it ended.
    pub async fn kill(&mut self, region: &str) -> Outcome<Option<(u32, ExitStatus)>> {
        let member = self.members.iter_mut().find(|m| m.region == region);
        let Some(mut process) = member.and_then(|m| m.process.take()) else { return Ok(None) };
        let id = process.id().unwrap_or_default();
        let failed = |e| Failure::Refused(format!("cannot kill process {id}: {e}"));
        process.start_kill().map_err(failed)?;
        let status = process.wait().await.map_err(failed)?;
        Ok(Some((id, status)))
    }

    /// Ends every process and waits for it.
    pub async fn stop(mut self) {
        let _gone_already = self.gateway.kill().await;
        for member in &mut self.members {
            if let Some(process) = &mut member.process {
                let _gone_already = process.kill().await;
            }
        }
    }
}
