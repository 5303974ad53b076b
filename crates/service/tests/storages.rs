//! Backups in object storage, against the S3 emulator `moto`, whole and through a proxy that
//! breaks requests and answers.

#[path = "storages/moto.rs"]
mod moto;
#[path = "storages/proxy.rs"]
mod proxy;

use std::path::Path;
use std::sync::{Arc, Mutex};

use evercube_base::{Error, ErrorKind, Result};
use evercube_service::NamedTargets;
use evercube_service::backup::preamble::Secrets;
use evercube_service::backup::{self, BackupHeader, ObjectEntry, Options, Sink, Target};
use evercube_store::Hash;
use moto::Moto;
use proxy::{FAULTS, Fault, Plan, Proxy};

const SECRET: &str = "a-very-secret-key";

/// The emulator; says why where there is none.
fn emulator() -> Option<Moto> {
    Moto::start().map_err(|why| println!("skipped: moto is not there: {why}")).ok()
}

/// A storage at an address.
struct Storage(NamedTargets);

impl Storage {
    fn at(address: &str, url: &str) -> Self {
        let mut named = NamedTargets::default();
        let mut settings = vec![("url", url.to_owned())];
        settings.push(("endpoint", format!("http://{address}")));
        if url.starts_with("s3:") {
            settings.push(("access_key_id", "test".into()));
            settings.push(("secret_access_key", SECRET.into()));
        }
        let owned = settings.into_iter().map(|(n, v)| (n.to_owned(), v));
        named.add("tested", owned.collect()).unwrap();
        Self(named)
    }

    fn target(&self, name: &str) -> Target {
        self.0.resolve(&format!("tested:{name}"), Path::new("/")).unwrap()
    }

    async fn write(&self, name: &str, contents: &[Vec<u8>], overwrite: bool) -> Result<u64> {
        let entry =
            |c: &Vec<u8>| ObjectEntry { hash: blake3::hash(c).into(), length: c.len() as u64 };
        let header = BackupHeader {
            database: "Sales".into(),
            objects: contents.iter().map(entry).collect(),
            ..BackupHeader::default()
        };
        let options = Options { password: Some("pw".into()), overwrite, ..Options::default() };
        let all = contents.to_vec();
        let mut rest = all.into_iter();
        let next = move |_: &Hash| {
            let object = rest.next().filter(|c| !c.is_empty());
            object.ok_or_else(|| Error::new(ErrorKind::Cancelled, "stopped on the way"))
        };
        Ok(backup::write(&self.target(name), header, options, next).await?.summary.written)
    }

    async fn read(&self, name: &str, password: &str) -> Result<Vec<Vec<u8>>> {
        let kept = Arc::default();
        let sink = Keep(Arc::clone(&kept));
        backup::read(
            &self.target(name),
            Secrets::of_password(Some(password)),
            Path::new("/"),
            sink,
        )
        .await?;
        let found = kept.lock().unwrap().clone();
        Ok(found)
    }

    async fn test(&self) -> backup::ProbeReport {
        backup::test(&self.target("probe/"), Path::new("/")).await.unwrap()
    }
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

/// What does not compress, so that it takes several parts.
fn large(mib: usize) -> Vec<Vec<u8>> {
    let mut noise = vec![0; mib << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    vec![b"model".to_vec(), noise]
}

fn small() -> Vec<Vec<u8>> {
    vec![b"model".to_vec()]
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_go_to_s3_storage_and_come_back() {
    let Some(moto) = emulator() else { return };
    let storage = Storage::at(&moto.address, "s3://box/deep/");
    for (name, contents) in [("small.evb", small()), ("large.evb", large(9))] {
        assert!(storage.write(name, &contents, false).await.unwrap() > 0);
        assert_eq!(storage.read(name, "pw").await.unwrap(), contents);
        let there = storage.write(name, &contents, false).await.unwrap_err();
        assert_eq!(there.kind, ErrorKind::Conflict, "{there}");
        storage.write(name, &contents, true).await.unwrap();
        assert!(storage.read(name, "other").await.unwrap_err().message.contains("password"));
    }
    storage.write("folder/", &small(), false).await.unwrap();
    assert_eq!(storage.read("folder/Sales.evb", "pw").await.unwrap(), small());
    assert_eq!(storage.read("folder/", "pw").await.unwrap(), small());
    let absent = storage.read("nothing.evb", "pw").await.unwrap_err();
    assert_eq!(absent.kind, ErrorKind::NotFound, "{absent}");
    // Nothing is there of a backup that fails on the way, and what was there stays.
    for broken in [vec![b"m".to_vec(), Vec::new()], [large(9), vec![Vec::new()]].concat()] {
        let stopped = storage.write("broken.evb", &broken, false).await.unwrap_err();
        assert_eq!(stopped.kind, ErrorKind::Cancelled, "{stopped}");
        let gone = storage.read("broken.evb", "pw").await.unwrap_err();
        assert_eq!(gone.kind, ErrorKind::NotFound);
        storage.write("small.evb", &broken, true).await.unwrap_err();
        assert_eq!(storage.read("small.evb", "pw").await.unwrap(), small());
    }
    let elsewhere = Storage::at(&moto.address, "s3://absent/").read("x.evb", "pw").await;
    let e = elsewhere.unwrap_err();
    assert!(e.kind == ErrorKind::NotFound && e.message.contains("bucket"), "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_is_tested_before_it_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let file = Target::parse(&format!("{}/", folder.path().display()), Path::new("/")).unwrap();
    let report = backup::test(&file, Path::new("/")).await.unwrap();
    assert!(report.usable, "{report:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    let Some(moto) = emulator() else { return };
    let report = Storage::at(&moto.address, "s3://box").test().await;
    assert!(report.usable && report.checks.iter().all(|c| c.ok), "{report:?}");
    // What does not answer as Google's storage does is found out.
    let report = Storage::at(&moto.address, "gs://box").test().await;
    assert!(!report.usable && report.target == "gs://box/probe/", "{report:?}");
    let report = Storage::at("127.0.0.1:1", "s3://box").test().await;
    assert!(!report.usable && report.checks.len() == 1, "{report:?}");
    assert!(!format!("{report:?}").contains(SECRET));
}

/// After whatever happened on the way, a backup is there whole or not at all, and who was told
/// that it is there finds it.
#[tokio::test(flavor = "multi_thread")]
async fn broken_requests_leave_no_broken_backup() {
    let Some(moto) = emulator() else { return };
    let proxy = Proxy::before(&moto.address);
    let broken = Storage::at(&proxy.address, "s3://box/faults/");
    let direct = Storage::at(&moto.address, "s3://box/faults/");
    // The requests that writing each of them takes.
    let one: &[_] = &[("HEAD", 0), ("PUT", 0)];
    let parts: &[_] = &[("POST", 0), ("PUT", 0), ("PUT", 1), ("POST", 1)];
    let (mut tried, mut done) = (0, 0);
    for (size, contents, requests) in [("small", small(), one), ("large", large(9), parts)] {
        for fault in FAULTS {
            for (method, after) in requests.iter().copied() {
                let name = format!("{size}-{fault:?}-{method}-{after}.evb");
                proxy.set(Some(Plan { fault, method, after, times: 1 }));
                let outcome = broken.write(&name, &contents, false).await;
                let broke = proxy.is_spent();
                proxy.set(None);
                if !broke {
                    continue;
                }
                tried += 1;
                done += usize::from(outcome.is_ok());
                match (outcome, direct.read(&name, "pw").await) {
                    (Ok(_), found) => assert_eq!(found.as_ref(), Ok(&contents), "{name}"),
                    (Err(e), Ok(found)) => {
                        // The answer was lost: the caller finds its own work done.
                        let lost = matches!(e.kind, ErrorKind::Conflict | ErrorKind::Source);
                        assert!(lost && found == contents, "{name}: {e}");
                    }
                    (Err(e), Err(absent)) => {
                        assert_eq!(absent.kind, ErrorKind::NotFound, "{name}: {e}: {absent}");
                    }
                }
            }
            proxy.set(Some(Plan { fault, method: "GET", after: 0, times: 1 }));
            let name = format!("read-{size}.evb");
            direct.write(&name, &contents, true).await.unwrap();
            tried += 1;
            match broken.read(&name, "pw").await {
                Ok(found) => {
                    done += 1;
                    assert_eq!(found, contents, "{fault:?}");
                }
                Err(e) => assert!(!e.message.contains(SECRET), "{e}"),
            }
        }
    }
    println!("{tried} broken requests, {done} of the operations went through");
    assert!(tried > 30 && done > tried / 2, "{done} of {tried}");
    // A storage that stays away is said to be away, and the secret is not.
    proxy.set(Some(Plan { fault: Fault::Refuse, method: "PUT", after: 0, times: usize::MAX }));
    let away = broken.write("away.evb", &small(), true).await.unwrap_err();
    assert_eq!(away.kind, ErrorKind::Source, "{away}");
    assert!(away.message.contains("503") && !away.message.contains(SECRET), "{away}");
}

/// A repository whose storage breaks requests: what was told to be there is there, what was told to
/// have failed is found by the next attempt, and nothing is ever half there.
#[tokio::test(flavor = "multi_thread")]
async fn broken_requests_leave_no_broken_repository() {
    let Some(moto) = emulator() else { return };
    let proxy = Proxy::before(&moto.address);
    let broken = Storage::at(&proxy.address, "s3://box/repositories/");
    let direct = Storage::at(&moto.address, "s3://box/repositories/");
    let target = |storage: &Storage, name: &str| storage.target(&format!("{name}.evr"));
    let (mut tried, mut done) = (0, 0);
    for fault in FAULTS {
        let requests = [("PUT", 0), ("PUT", 1), ("PUT", 3), ("GET", 0), ("GET", 2)];
        for (method, after) in requests {
            let name = format!("{fault:?}-{method}-{after}").to_lowercase();
            proxy.set(Some(Plan { fault, method, after, times: 1 }));
            let first = add(target(&broken, &name), &small()).await;
            let broke = proxy.is_spent();
            proxy.set(None);
            if !broke {
                continue;
            }
            tried += 1;
            done += usize::from(first.is_ok());
            if let Err(e) = &first {
                assert!(!e.message.contains(SECRET), "{e}");
            }
            let placed = match first {
                Ok(placed) => placed,
                // Whatever was left behind is no obstacle.
                Err(_) => add(target(&direct, &name), &small()).await.unwrap(),
            };
            assert_eq!(taken(placed).await.unwrap(), small(), "{name}");
        }
    }
    println!("{tried} broken requests, {done} of the operations went through");
    assert!(tried > 10 && done > 0, "{done} of {tried}");
    // What does not fit into one request comes back as well.
    let placed = add(target(&direct, "large"), &large(20)).await.unwrap();
    assert_eq!(placed.target.describe(), "s3://box/repositories/large.evr/Sales@0");
    assert_eq!(taken(placed).await.unwrap().iter().map(Vec::len).sum::<usize>(), (20 << 20) + 5);
}

async fn add(target: Target, contents: &[Vec<u8>]) -> Result<backup::Placed> {
    let entry = |c: &Vec<u8>| ObjectEntry { hash: blake3::hash(c).into(), length: c.len() as u64 };
    let header = BackupHeader {
        database: "Sales".into(),
        objects: contents.iter().map(entry).collect(),
        ..BackupHeader::default()
    };
    // A password takes its time, and changes nothing about requests.
    let options = Options::default();
    let all = contents.to_vec();
    let of = move |hash: &Hash| {
        let found = all.iter().find(|c| blake3::hash(c).as_bytes() == hash);
        found.cloned().ok_or_else(|| Error::internal("no such object"))
    };
    backup::write(&target, header, options, of).await
}

async fn taken(placed: backup::Placed) -> Result<Vec<Vec<u8>>> {
    let kept = Arc::default();
    let sink = Keep(Arc::clone(&kept));
    backup::read(&placed.target, Secrets::default(), Path::new("/"), sink).await?;
    let found = kept.lock().unwrap().clone();
    Ok(found)
}
