//! Where the operator's keys come from.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evercube_base::{Error, ErrorKind, Result};

use crate::operator_key::OperatorKey;

/// How long a command may take to give a key.
const COMMAND_TIME: Duration = Duration::from_secs(60);

/// The settings that name the operator's keys. Every key of every source opens the folder.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeySources {
    /// Keys as they stand in a setting or variable.
    pub text: Option<String>,
    pub file: Option<PathBuf>,
    /// A command of the shell that prints keys: as one that has them decrypted by a key service.
    pub command: Option<String>,
}

impl fmt::Debug for KeySources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySources")
            .field("text", &self.text.as_ref().map(|_| "********"))
            .field("file", &self.file)
            .field("command", &self.command)
            .finish()
    }
}

impl KeySources {
    pub fn is_empty(&self) -> bool {
        self.text.is_none() && self.file.is_none() && self.command.is_none()
    }

    /// The keys of each source, or why it gives none.
    pub(crate) fn ask(&self) -> Vec<Result<Vec<OperatorKey>>> {
        let mut all = Vec::new();
        if let Some(text) = &self.text {
            all.push(OperatorKey::parse_all(text.as_bytes(), "EVERCUBE_ENCRYPTION_KEY"));
        }
        if let Some(file) = &self.file {
            let origin = file.display().to_string();
            let read = std::fs::read(file).map_err(|e| {
                let message = format!("the encryption key {origin} cannot be read: {e}");
                Error::new(ErrorKind::Source, message)
            });
            all.push(read.and_then(|bytes| OperatorKey::parse_all(&bytes, &origin)));
        }
        if let Some(command) = &self.command {
            let origin = format!("encryption_key_command ({command})");
            all.push(run(command).and_then(|out| OperatorKey::parse_all(&out, &origin)));
        }
        all
    }

    /// The keys of all sources.
    ///
    /// # Errors
    /// Where one of them gives none.
    pub(crate) fn all(&self) -> Result<Vec<OperatorKey>> {
        let mut keys: Vec<OperatorKey> = Vec::new();
        for found in self.ask() {
            for key in found? {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }
}

/// What a command of the shell prints.
fn run(command: &str) -> Result<Vec<u8>> {
    let failed = |why: String| {
        let message = format!("the encryption_key_command ({command}) gave no key: {why}");
        Error::new(ErrorKind::Source, message)
    };
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let out = std::thread::spawn(move || read_some(out));
    let err = std::thread::spawn(move || read_some(err));
    let until = Instant::now() + COMMAND_TIME;
    let status = loop {
        match child.try_wait().map_err(|e| failed(e.to_string()))? {
            Some(status) => break status,
            None if Instant::now() >= until => {
                let _ended_already = child.kill();
                let _reaped = child.wait();
                return Err(failed(format!("it took longer than {COMMAND_TIME:?}")));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() {
        return Ok(out);
    }
    let said = String::from_utf8_lossy(&err);
    Err(failed(format!("{status}: {}", said.trim().chars().take(300).collect::<String>())))
}

fn read_some(from: Option<impl Read>) -> Vec<u8> {
    let mut out = Vec::new();
    let _what_there_is = from.map(|f| f.take(64 << 10).read_to_end(&mut out));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_gives_keys_or_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let (a, b) = ("11".repeat(32), "22".repeat(32));
        std::fs::write(&file, format!("{a}\n{b}\n")).unwrap();
        let mut sources = KeySources {
            text: Some(a.clone()),
            file: Some(file.clone()),
            command: Some(format!("echo {}", "33".repeat(32))),
        };
        assert_eq!(sources.all().unwrap().len(), 3);
        assert!(!format!("{sources:?}").contains(&a));
        sources.command = Some("echo no access to the key >&2; exit 3".into());
        let e = sources.all().unwrap_err().message;
        assert!(e.contains("no access to the key") && e.contains("exit status: 3"), "{e}");
        sources.command = None;
        std::fs::remove_file(file).unwrap();
        let e = sources.all().unwrap_err().message;
        assert!(e.contains("cannot be read"), "{e}");
    }
}
