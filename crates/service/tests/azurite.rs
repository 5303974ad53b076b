//! Backups in Azure Blob storage, against the Azurite emulator, which npm installs.
//!
//! The emulator's address goes to the server by environment variables, as in production; so the
//! test runs itself again as a process that has them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evercube_base::{Error, ErrorKind, Result};
use evercube_service::backup::preamble::Secrets;
use evercube_service::backup::repository::{Repository, Setup};
use evercube_service::backup::{self, BackupHeader, ObjectEntry, Options, Sink, Target};
use evercube_store::Hash;

const INNER: &str = "EVERCUBE_TEST_AZURITE_RUNS";
const ACCOUNT: &str = "devstoreaccount1";
/// The emulator's key, the same everywhere.
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Makes the container `box`; the emulator wants requests signed.
const MAKE_CONTAINER: &str = r#"
const [url, account, key] = process.argv.slice(1);
const date = new Date().toUTCString(), version = '2021-08-06';
const text = 'PUT\n\n\n\n\n\n\n\n\n\n\n\n' + `x-ms-date:${date}\nx-ms-version:${version}\n`
  + `/${account}/${account}/box\nrestype:container`;
const hmac = require('crypto').createHmac('sha256', Buffer.from(key, 'base64'));
const signature = hmac.update(text, 'utf8').digest('base64');
const headers = { 'x-ms-date': date, 'x-ms-version': version,
  authorization: `SharedKey ${account}:${signature}` };
fetch(`${url}/box?restype=container`, { method: 'PUT', headers }).then(async r => {
  if (r.status !== 201) { console.error(r.status, await r.text()); process.exit(1); }
});
"#;

/// The emulator, ended with the test.
struct Azurite {
    process: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// Installs Azurite once for this build folder; the reason where that cannot be done.
fn installed() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("azurite");
    let program = folder.join("node_modules/.bin/azurite-blob");
    if program.exists() {
        return Ok(program);
    }
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let npm = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error", "azurite@3"])
        .args(["--fetch-timeout=60000", "--fetch-retries=1", "--prefix"])
        .arg(&folder)
        .output()
        .map_err(|e| format!("npm cannot be run: {e}"))?;
    if npm.status.success() && program.exists() {
        return Ok(program);
    }
    Err(format!("npm did not install azurite: {}", String::from_utf8_lossy(&npm.stderr)))
}

fn start(program: &Path) -> Result<Azurite, String> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let port = port.map_err(|e| e.to_string())?.port();
    let data = tempfile::tempdir().map_err(|e| e.to_string())?;
    let process = Command::new(program)
        .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--silent"])
        .args(["--skipApiVersionCheck", "--disableTelemetry", "--location"])
        .arg(data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("azurite cannot be started: {e}"))?;
    let url = format!("http://127.0.0.1:{port}/{ACCOUNT}");
    let azurite = Azurite { process, url, _data: data };
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > deadline {
            return Err("azurite did not listen within 30 s".into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(azurite)
}

fn succeeded(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn backups_go_to_azure_storage_and_come_back() {
    if let Ok(part) = std::env::var(INNER) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            match part.as_str() {
                "everything" => against_the_emulator().await,
                "repository" => a_repository().await,
                part => {
                    write(part, &[b"model".to_vec()], false).await.unwrap();
                    assert_eq!(read(part, "pw").await.unwrap(), [b"model"]);
                }
            }
        });
        return;
    }
    let azurite = match installed().and_then(|program| start(&program)) {
        Ok(azurite) => azurite,
        Err(why) => {
            println!("skipped: Azurite is not there: {why}");
            return;
        }
    };
    let made =
        Command::new("node").args(["-e", MAKE_CONTAINER, &azurite.url, ACCOUNT, KEY]).output();
    succeeded(&made.unwrap());
    let (host, _) = azurite.url.rsplit_once('/').unwrap();
    let connection =
        format!("AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={};", azurite.url);
    let account = [("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT), ("AZURE_STORAGE_ACCOUNT_KEY", KEY)];
    let with = |more: &[(&'static str, &str)]| {
        let all = account.iter().chain(more).map(|(n, v)| (*n, (*v).to_owned()));
        all.collect::<Vec<_>>()
    };
    for part in ["repository", "everything"] {
        run(part, with(&[("AZURE_STORAGE_ENDPOINT", &azurite.url)]));
    }
    run("by-host", with(&[("AZURE_ENDPOINT", host), ("AZURE_STORAGE_USE_EMULATOR", "true")]));
    let emulator = [("AZURE_STORAGE_USE_EMULATOR", "true"), ("AZURITE_BLOB_STORAGE_URL", host)];
    run("emulator", emulator.map(|(n, v)| (n, v.to_owned())).to_vec());
    run("connection", vec![("AZURE_STORAGE_CONNECTION_STRING", connection)]);
}

/// Runs this test as a process with these environment variables.
fn run(part: &str, environment: Vec<(&'static str, String)>) {
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "backups_go_to_azure_storage_and_come_back", "--nocapture"])
        .env(INNER, part)
        .envs(environment)
        .output();
    succeeded(&again.unwrap());
}

/// Keeps what a backup holds.
struct Keep(Arc<Mutex<Vec<Vec<u8>>>>);

impl Sink for Keep {
    fn begin(&mut self, _: &BackupHeader) -> Result<()> {
        Ok(())
    }
    fn object(&mut self, _: Hash, content: Vec<u8>) -> Result<()> {
        self.0.lock().unwrap().push(content);
        Ok(())
    }
}

fn target(name: &str) -> Target {
    Target::parse(&format!("az://box/{name}"), Path::new("/")).unwrap()
}

fn header(contents: &[Vec<u8>], seq: u64) -> BackupHeader {
    let entry = |c: &Vec<u8>| ObjectEntry { hash: blake3::hash(c).into(), length: c.len() as u64 };
    BackupHeader {
        database: "Sales".into(),
        seq,
        objects: contents.iter().map(entry).collect(),
        ..BackupHeader::default()
    }
}

async fn write(name: &str, contents: &[Vec<u8>], overwrite: bool) -> Result<u64> {
    let header = header(contents, 0);
    let options = Options { password: Some("pw".into()), overwrite, ..Options::default() };
    let all = contents.to_vec();
    let mut rest = all.into_iter();
    let next = move |_: &Hash| {
        let object = rest.next().filter(|c| !c.is_empty());
        object.ok_or_else(|| Error::new(ErrorKind::Cancelled, "stopped on the way"))
    };
    Ok(backup::write(&target(name), header, options, next).await?.summary.written)
}

async fn read(name: &str, password: &str) -> Result<Vec<Vec<u8>>> {
    let kept = Arc::default();
    let sink = Keep(Arc::clone(&kept));
    backup::read(&target(name), Secrets::of_password(Some(password)), Path::new("/"), sink).await?;
    let found = kept.lock().unwrap().clone();
    Ok(found)
}

async fn against_the_emulator() {
    // What does not compress, so that it takes several blocks.
    let mut noise = vec![0; 30 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let (small, large) = (vec![b"model".to_vec()], vec![b"model".to_vec(), noise]);
    for (name, contents) in [("s/small.evb", &small), ("l/large.evb", &large)] {
        assert!(write(name, contents, false).await.unwrap() > 0);
        assert_eq!(read(name, "pw").await.unwrap(), *contents);
        let there = write(name, contents, false).await.unwrap_err();
        assert_eq!(there.kind, ErrorKind::Conflict, "{there}");
        write(name, contents, true).await.unwrap();
        assert!(read(name, "other").await.unwrap_err().message.contains("password"));
    }
    // A folder gets a file named after the database, and gives its only one back.
    write("folder/", &small, false).await.unwrap();
    assert_eq!(read("folder/Sales.evb", "pw").await.unwrap(), small);
    assert_eq!(read("folder/", "pw").await.unwrap(), small);
    assert_eq!(read("nothing.evb", "pw").await.unwrap_err().kind, ErrorKind::NotFound);
    // Nothing is there of a backup that fails on the way, and what was there stays.
    for broken in [vec![b"m".to_vec(), Vec::new()], [large.clone(), vec![Vec::new()]].concat()] {
        let stopped = write("broken.evb", &broken, false).await.unwrap_err();
        assert_eq!(stopped.kind, ErrorKind::Cancelled, "{stopped}");
        assert_eq!(read("broken.evb", "pw").await.unwrap_err().kind, ErrorKind::NotFound);
        write("s/small.evb", &broken, true).await.unwrap_err();
        assert_eq!(read("s/small.evb", "pw").await.unwrap(), small);
    }
    let elsewhere = Target::parse("az://absent/x.evb", Path::new("/")).unwrap();
    let e = backup::inspect(&elsewhere, Secrets::default(), Path::new("/")).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::NotFound, "{e}");
}

/// What only a removed backup of a repository named goes, and the others stay whole.
async fn a_repository() {
    let Target::Repository(place) = target("r.evr") else { panic!("it is a repository") };
    let setup = Setup { password: Some("pw".into()), grace_seconds: Some(0), ..Setup::default() };
    let repository = Repository::make(&place.base, setup).await.unwrap();
    let all = [b"first model", b"second mode"].map(|m| vec![m.to_vec(), b"shared".to_vec()]);
    let mut placed = Vec::new();
    for (seq, contents) in (1..).zip(&all) {
        let options = Options { password: Some("pw".into()), ..Options::default() };
        let of = contents.clone();
        let next = move |hash: &Hash| {
            let found = of.iter().find(|c| blake3::hash(c).as_bytes() == hash);
            found.cloned().ok_or_else(|| Error::internal("no such object"))
        };
        let target = Target::Repository(place.clone());
        let written = backup::write(&target, header(contents, seq), options, next).await.unwrap();
        placed.push(written.target);
    }
    let read = async |target: &Target| {
        let kept: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let sink = Keep(Arc::clone(&kept));
        let done =
            backup::read(target, Secrets::of_password(Some("pw")), Path::new("/"), sink).await;
        let found = kept.lock().unwrap().clone();
        done.map(|_| found)
    };
    for (target, contents) in placed.iter().zip(&all) {
        assert_eq!(read(target).await.unwrap(), *contents);
    }
    let whole = Target::Repository(place.clone());
    assert_eq!(backup::list(&whole).await.unwrap().len(), 2);
    backup::remove(&placed[0]).await.unwrap();
    // Without a grace the second backup relied on nothing that was there: each has its own copy.
    assert_eq!(repository.sweep().await.unwrap().objects, 2);
    assert_eq!(read(&placed[1]).await.unwrap(), all[1]);
    assert_eq!(read(&placed[0]).await.unwrap_err().kind, ErrorKind::NotFound);
}
