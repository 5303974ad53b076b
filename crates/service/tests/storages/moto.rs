//! The S3 emulator `moto`, installed once for this build folder.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The emulator, ended with the test.
pub struct Moto {
    process: Child,
    pub address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// The Python that has moto; the reason where it cannot be installed.
fn installed() -> Result<PathBuf, String> {
    static ONE_INSTALLS: Mutex<()> = Mutex::new(());
    let _installing = ONE_INSTALLS.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto");
    let (python, whole) = (folder.join("bin/python"), folder.join("installed"));
    if whole.exists() {
        return Ok(python);
    }
    let run = |command: &mut Command| match command.output() {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
        Err(e) => Err(e.to_string()),
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    run(Command::new(folder.join("bin/pip")).args([
        "install",
        "--quiet",
        "--timeout=60",
        "moto[s3,server]==5.*",
    ]))?;
    std::fs::write(whole, "").map_err(|e| e.to_string())?;
    Ok(python)
}

impl Moto {
    /// A running emulator with the bucket `box`; the reason where there is none.
    pub fn start() -> Result<Self, String> {
        let python = installed()?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let port = port.map_err(|e| e.to_string())?.port();
        let process = Command::new(python)
            .args(["-c", include_str!("moto.py"), &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("moto cannot be started: {e}"))?;
        let moto = Self { process, address: format!("127.0.0.1:{port}") };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !moto.makes_a_bucket() {
            if Instant::now() > deadline {
                return Err("moto did not answer within 60 s".into());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(moto)
    }

    fn makes_a_bucket(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(&self.address)?;
            let host = &self.address;
            write!(
                stream,
                "PUT /box HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|a| a.starts_with("HTTP/1.1 200"))
    }
}
