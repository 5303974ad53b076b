//! A repository holds each object once, tells every way it can be wrong in its own words, and loses
//! nothing that somebody relies on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use evercube_base::{Error, ErrorKind, Result};
use evercube_store::Hash;

use super::config::Config;
use super::sealed::{self, Kind};
use super::{Base, Known, Repository, Setup, Snapshot, Written};
use crate::backup::ReadBack;
use crate::backup::header::{BackupHeader, History, ObjectEntry};
use crate::backup::preamble::KdfCost;
use crate::backup::{Sink, WholeBackup};

/// Cheap enough to try thousands of times.
const CHEAP: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };

fn setup(password: Option<&str>) -> Setup {
    Setup { password: password.map(str::to_owned), kdf: CHEAP, ..Setup::default() }
}

fn contents(n: u8) -> Vec<Vec<u8>> {
    let mut noise = vec![0; 3000];
    blake3::Hasher::new().update(&[n]).finalize_xof().fill(&mut noise);
    vec![format!("model {n}").into_bytes(), format!("manifest {n}").into_bytes(), noise]
}

fn header(contents: &[Vec<u8>], seq: u64) -> BackupHeader {
    let entry = |c: &Vec<u8>| ObjectEntry { hash: blake3::hash(c).into(), length: c.len() as u64 };
    let objects: Vec<ObjectEntry> = contents.iter().map(entry).collect();
    BackupHeader {
        database: "Sales".into(),
        cluster: "group".into(),
        seq,
        created_micros: i64::try_from(seq).unwrap() * 1_000_000,
        request: format!("request {seq}"),
        root: *blake3::hash(&contents.concat()).as_bytes(),
        model: objects[0].hash,
        manifest: objects[1].hash,
        objects,
        ..BackupHeader::default()
    }
}

async fn write(repository: &Repository, contents: &[Vec<u8>], seq: u64) -> Result<Written> {
    let header = header(contents, seq);
    let known = repository.known(&header).await?;
    put(repository, header, contents, &known).await
}

async fn put(
    repository: &Repository,
    header: BackupHeader,
    contents: &[Vec<u8>],
    known: &Known,
) -> Result<Written> {
    let all: BTreeMap<Hash, Vec<u8>> =
        contents.iter().map(|c| (*blake3::hash(c).as_bytes(), c.clone())).collect();
    let gone = || Error::new(ErrorKind::Cancelled, "stopped on the way");
    let written = repository
        .write(header, known, move |hash| {
            all.get(hash).filter(|c| !c.is_empty()).cloned().ok_or_else(gone)
        })
        .await?;
    repository.prove_written(&written, "tested", ReadBack::Sample(0)).await?;
    Ok(written)
}

/// Keeps what a backup holds.
#[derive(Clone, Default)]
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

async fn read(repository: &Repository, snapshot: &Snapshot) -> Result<Vec<Vec<u8>>> {
    let kept = Keep::default();
    let whole: WholeBackup = repository.read(snapshot, kept.clone()).await?;
    assert_eq!(whole.header, snapshot.header);
    let found = kept.0.lock().unwrap().clone();
    Ok(found)
}

/// Reads the newest backup as somebody who knows its name.
async fn restored(base: &Base, password: Option<&str>, of: &Snapshot) -> Result<Vec<Vec<u8>>> {
    let repository = Repository::open(base, password).await?;
    let snapshot = repository.snapshot(&of.name).await?;
    read(&repository, &snapshot).await
}

struct Place {
    folder: tempfile::TempDir,
    base: Base,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let base = Base::Folder(folder.path().join("g.evr"));
    Place { folder, base }
}

impl Place {
    fn root(&self) -> PathBuf {
        self.folder.path().join("g.evr")
    }

    /// Every file, by its name in the repository.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
            for entry in std::fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(root, &path, found);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    match std::fs::read(&path) {
                        // Swept while the folder was gone through.
                        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                        read => drop(found.insert(name, read.unwrap())),
                    }
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.root(), &self.root(), &mut found);
        found
    }

    fn count(&self, folder: &str) -> usize {
        self.files().keys().filter(|n| n.starts_with(&format!("{folder}/"))).count()
    }

    /// Makes every file as old as this.
    fn age(&self, by: Duration) {
        for name in self.files().keys() {
            let file = std::fs::File::options().write(true).open(self.root().join(name)).unwrap();
            file.set_modified(SystemTime::now() - by).unwrap();
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn an_object_is_kept_once_and_comes_back() {
    for password in [None, Some("open sesame")] {
        let place = place();
        let repository = Repository::make(&place.base, setup(password)).await.unwrap();
        let first = write(&repository, &contents(1), 1).await.unwrap();
        assert_eq!((first.new_objects, place.count("obj")), (3, 3));
        // Another version that shares an object with it.
        let mut other = contents(2);
        other[2] = contents(1)[2].clone();
        let second = write(&repository, &other, 2).await.unwrap();
        assert_eq!((second.new_objects, place.count("obj")), (2, 5));
        // Long after, what manifests name still need not be sent.
        place.age(DAY * 10);
        let third = write(&repository, &contents(1), 3).await.unwrap();
        assert_eq!((third.new_objects, place.count("obj")), (0, 5));
        for (snapshot, contents) in [(&first, contents(1)), (&second, other), (&third, contents(1))]
        {
            let found = restored(&place.base, password, &snapshot.snapshot).await.unwrap();
            assert_eq!(found, contents);
        }
        assert!(repository.proof(&first.snapshot).await.unwrap().is_some());
        // Sent again, a request finds its work done.
        let again = write(&repository, &contents(1), 3).await.unwrap();
        assert_eq!(again.snapshot, third.snapshot);
        assert_eq!(place.count("man"), 3);
    }
}

#[tokio::test]
async fn what_a_broken_backup_sent_is_used_by_the_next_one() {
    let place = place();
    let repository = Repository::make(&place.base, setup(Some("pw"))).await.unwrap();
    let whole = contents(1);
    let mut broken = whole.clone();
    broken[2] = Vec::new();
    let all: BTreeMap<Hash, Vec<u8>> =
        whole.iter().zip(&broken).map(|(w, b)| (*blake3::hash(w).as_bytes(), b.clone())).collect();
    let nothing = Known::nothing();
    let stopped = repository.write(header(&whole, 1), &nothing, move |hash| {
        all.get(hash)
            .filter(|c| !c.is_empty())
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Cancelled, "stopped on the way"))
    });
    assert_eq!(stopped.await.unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!((place.count("obj"), place.count("man")), (2, 0));
    let resumed = write(&repository, &whole, 1).await.unwrap();
    assert_eq!((resumed.new_objects, place.count("obj")), (1, 3));
}

#[tokio::test]
async fn an_encrypted_repository_shows_nothing() {
    let place = place();
    let repository = Repository::make(&place.base, setup(Some("pw"))).await.unwrap();
    let contents = contents(1);
    write(&repository, &contents, 1).await.unwrap();
    let plain = hex::encode(blake3::hash(&contents[0]).as_bytes());
    for (name, bytes) in place.files() {
        assert!(!name.contains(&plain) && !name.to_lowercase().contains("sales"), "{name}");
        for secret in ["Sales", "model 1", "group", &plain] {
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{name}");
        }
    }
}

/// The words by which a failure is told from others.
fn word(e: &Error) -> &'static str {
    let m = &e.message;
    match e.kind {
        ErrorKind::Corrupt if m.contains("truncated") => "truncated",
        ErrorKind::Corrupt if m.contains("(swapped)") => "swapped",
        ErrorKind::Corrupt if m.contains("is missing in") => "missing",
        ErrorKind::Corrupt if m.contains("damaged") => "damaged",
        ErrorKind::Invalid if m.contains("password") => "password",
        ErrorKind::NotFound => "absent",
        ErrorKind::Unsupported => "newer",
        _ => "other",
    }
}

/// Every bit of every file is flipped, every file is cut off everywhere, files change places, go
/// away, or are replaced by older ones: each is told, and nothing wrong is ever given out.
#[tokio::test]
async fn every_change_to_a_repository_is_told() {
    let mut told: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for password in [None, Some("pw")] {
        let place = place();
        let repository = Repository::make(&place.base, setup(password)).await.unwrap();
        let mut small = contents(1);
        small[2].truncate(40);
        let older = write(&repository, &small, 1).await.unwrap().snapshot;
        let mut same = contents(2);
        same[2] = contents(7)[2][..40].to_vec();
        let newer = write(&repository, &same, 2).await.unwrap().snapshot;
        let good = place.files();
        let root = place.root();
        let used: BTreeSet<String> = newer
            .header
            .objects
            .iter()
            .zip(&newer.stored)
            .map(|(o, s)| repository.object_name(&o.hash, s))
            .chain([newer.name.path(), "repo.json".to_owned()])
            .collect();
        let mut note = |what, found: Result<Vec<Vec<u8>>>, name: &str, words: &[&str]| {
            let e = match found {
                Ok(_) => panic!("{what} of {name} was not found"),
                Err(e) => e,
            };
            let word = word(&e);
            assert!(words.contains(&word), "{what} of {name}: {word}: {e}");
            *told.entry((what, word)).or_default() += 1;
        };
        for name in &used {
            let bytes = &good[name];
            let path = root.join(name);
            // All of them as the file is read, and some of them all the way to a restore.
            let opened = |bytes: &[u8]| -> Result<Vec<Vec<u8>>> {
                let (keys, most) = (&repository.keys, 1 << 20);
                match name.split('/').next() {
                    Some("obj") => sealed::open(keys, Kind::Object, name, bytes, most),
                    Some("man") => sealed::open(keys, Kind::Manifest, name, bytes, most),
                    _ => Config::from_bytes(bytes).and_then(|c| c.to_bytes()),
                }
                .map(|content| vec![content])
            };
            assert!(opened(bytes).is_ok(), "{name}");
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                // A length that says more than there is runs over the end.
                let words = ["damaged", "truncated", "newer"];
                note("bit", opened(&bad), name, &words);
                if bit % (bytes.len() / 3) == 0 {
                    std::fs::write(&path, bad).unwrap();
                    note("bit", restored(&place.base, password, &newer).await, name, &words);
                }
            }
            for length in 0..bytes.len() {
                let words: &[&str] =
                    if name == "repo.json" { &["damaged"] } else { &["truncated"] };
                note("cut", opened(&bytes[..length]), name, words);
                if length % (bytes.len() / 10) == 0 {
                    std::fs::write(&path, &bytes[..length]).unwrap();
                    note("cut", restored(&place.base, password, &newer).await, name, words);
                }
            }
            std::fs::write(&path, [bytes.as_slice(), b"!"].concat()).unwrap();
            note("longer", restored(&place.base, password, &newer).await, name, &["damaged"]);
            std::fs::remove_file(&path).unwrap();
            let words: &[&str] = if name.starts_with("obj") { &["missing"] } else { &["absent"] };
            note("missing", restored(&place.base, password, &newer).await, name, words);
            for (other, content) in good.iter().filter(|(n, _)| *n != name) {
                std::fs::write(&path, content).unwrap();
                let words: &[&str] = match (name.as_str(), other.as_str()) {
                    // The copy of the settings is as good.
                    ("repo.json", "repo.copy.json") => continue,
                    ("repo.json", _) => &["damaged"],
                    (_, "repo.json" | "repo.copy.json" | "clock/now") => &["truncated", "damaged"],
                    _ => &["swapped"],
                };
                note("swapped", restored(&place.base, password, &newer).await, name, words);
            }
            std::fs::write(&path, bytes).unwrap();
        }
        // An older manifest under the name of the newer one, and an object of the same length.
        let path = root.join(newer.name.path());
        std::fs::write(&path, &good[&older.name.path()]).unwrap();
        let replayed = restored(&place.base, password, &newer).await;
        note("replayed", replayed, &newer.name.path(), &["swapped"]);
        std::fs::write(&path, &good[&newer.name.path()]).unwrap();
        let [a, b] = [&older, &newer]
            .map(|s| repository.object_name(&s.header.objects[2].hash, &s.stored[2]));
        assert_eq!(good[&a].len(), good[&b].len());
        std::fs::write(root.join(&b), &good[&a]).unwrap();
        note("replayed", restored(&place.base, password, &newer).await, &b, &["swapped"]);
        std::fs::write(root.join(&b), &good[&b]).unwrap();
        // The passwords.
        for wrong in [None, Some("pw"), Some("other"), Some("")] {
            if wrong != password {
                let found = restored(&place.base, wrong, &newer).await;
                note("password", found, "repo.json", &["password"]);
            }
        }
        // Nothing that was tried left a trace: all is there as it was.
        assert_eq!(place.files(), good);
        assert_eq!(restored(&place.base, password, &newer).await.unwrap(), same);
        assert_eq!(restored(&place.base, password, &older).await.unwrap(), small);
    }
    for ((what, word), count) in &told {
        println!("{count:6} × {what}: told as {word}");
    }
    let all: usize = told.values().sum();
    println!("{all} changes, all told");
    assert!(all > 20_000, "{all}");
}

#[tokio::test]
async fn a_repository_without_encryption_is_not_put_in_the_place_of_one_with() {
    let (locked, open) = (place(), place());
    let one = Repository::make(&locked.base, setup(Some("pw"))).await.unwrap();
    let snapshot = write(&one, &contents(1), 1).await.unwrap().snapshot;
    let other = Repository::make(&open.base, setup(None)).await.unwrap();
    write(&other, &contents(1), 1).await.unwrap();
    std::fs::copy(open.root().join("repo.json"), locked.root().join("repo.json")).unwrap();
    let e = Repository::open(&locked.base, Some("pw")).await.unwrap_err();
    assert!(e.message.contains("not encrypted"), "{e}");
    // Nor one with another key and the same password.
    let third = place();
    Repository::make(&third.base, setup(Some("pw"))).await.unwrap();
    std::fs::copy(third.root().join("repo.json"), locked.root().join("repo.json")).unwrap();
    let e = restored(&locked.base, Some("pw"), &snapshot).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::Corrupt, "{e}");
}

#[tokio::test]
async fn passwords_come_and_go_and_nothing_is_written_anew() {
    let place = place();
    let mut repository = Repository::make(&place.base, setup(Some("old"))).await.unwrap();
    let snapshot = write(&repository, &contents(1), 1).await.unwrap().snapshot;
    let before = place.files();
    repository.add_password("second", "new".into()).await.unwrap();
    let open = async |password: &str| restored(&place.base, Some(password), &snapshot).await;
    assert!(open("old").await.is_ok() && open("new").await.is_ok());
    repository.remove_password("first").await.unwrap();
    assert_eq!(word(&open("old").await.unwrap_err()), "password");
    assert_eq!(open("new").await.unwrap(), contents(1));
    let labels: Vec<String> = repository.slots().into_iter().map(|s| s.label).collect();
    assert_eq!(labels, ["second"]);
    let last = repository.remove_password("second").await.unwrap_err();
    assert_eq!(last.kind, ErrorKind::Conflict);
    assert_eq!(repository.remove_password("x").await.unwrap_err().kind, ErrorKind::NotFound);
    let twice = repository.add_password("second", "x".into()).await.unwrap_err();
    assert_eq!(twice.kind, ErrorKind::Conflict);
    let after = place.files();
    let changed = before.iter().filter(|(n, b)| after[*n] != **b).map(|(n, _)| n.as_str());
    assert_eq!(changed.collect::<Vec<_>>(), ["repo.copy.json", "repo.json"]);
    assert_eq!(after["repo.json"], after["repo.copy.json"]);
    // Somebody else changed them meanwhile.
    let mut late = Repository::open(&place.base, Some("new")).await.unwrap();
    repository.add_password("third", "3".into()).await.unwrap();
    assert_eq!(late.remove_password("third").await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(late.add_password("4", "4".into()).await.unwrap_err().kind, ErrorKind::Conflict);
}

/// Whoever writes to a repository has the servers remove nothing elsewhere.
#[tokio::test]
async fn what_links_lead_to_is_not_swept() {
    let (place, elsewhere) = (place(), tempfile::tempdir().unwrap());
    let repository = Repository::make(&place.base, setup(None)).await.unwrap();
    write(&repository, &contents(1), 1).await.unwrap();
    let root = place.root();
    std::fs::write(elsewhere.path().join("theirs"), "x").unwrap();
    std::fs::write(root.join("obj/stray"), "x").unwrap();
    std::fs::write(root.join("obj/.stray.0a.part"), "x").unwrap();
    place.age(DAY * 10);
    let theirs =
        std::fs::File::options().write(true).open(elsewhere.path().join("theirs")).unwrap();
    theirs.set_modified(SystemTime::now() - DAY * 10).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), root.join("obj/zz")).unwrap();
    // A circle.
    std::os::unix::fs::symlink(&root, root.join("man/up")).unwrap();
    assert_eq!(repository.sweep().await.unwrap().objects, 1);
    assert!(elsewhere.path().join("theirs").exists());
    assert!(!root.join("obj/stray").exists() && !root.join("obj/.stray.0a.part").exists());
}

#[tokio::test]
async fn what_nothing_names_goes_after_the_grace_and_not_before() {
    let place = place();
    let repository = Repository::make(&place.base, setup(None)).await.unwrap();
    let first = write(&repository, &contents(1), 1).await.unwrap().snapshot;
    let second = write(&repository, &contents(2), 2).await.unwrap().snapshot;
    place.age(DAY * 10);
    let at = super::RepositoryPlace::new(place.base.clone(), super::Pick::All);
    at.one(first.name.clone(), None).forget().await.unwrap();
    assert_eq!(repository.snapshots().await.unwrap(), std::slice::from_ref(&second.name));
    // It was there a moment ago, and somebody may rely on what it named.
    assert_eq!(repository.sweep().await.unwrap().objects, 0);
    assert_eq!(place.count("obj"), 6);
    // Who begins now relies on no object that only a forgotten manifest names.
    let third = write(&repository, &contents(1), 3).await.unwrap();
    assert_eq!(third.new_objects, 3);
    for name in place.files().keys().filter(|n| n.starts_with("gone/")) {
        let file = std::fs::File::options().write(true).open(place.root().join(name)).unwrap();
        file.set_modified(SystemTime::now() - DAY - Duration::from_secs(60)).unwrap();
    }
    let swept = repository.sweep().await.unwrap();
    assert_eq!((swept.objects, place.count("obj"), place.count("gone")), (3, 6, 0));
    assert_eq!(read(&repository, &third.snapshot).await.unwrap(), contents(1));
    assert_eq!(read(&repository, &second).await.unwrap(), contents(2));
    // A manifest that cannot be read keeps everything.
    place.age(DAY * 10);
    let path = place.root().join(second.name.path());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let orphan = contents(9);
    put(&repository, header(&orphan, 9), &orphan, &Known::nothing()).await.unwrap();
    assert!(repository.sweep().await.is_err());
    assert_eq!(place.count("obj"), 9);
}

/// Somebody backs up again and again while somebody else prunes all but the newest, with everything
/// aged each time: no backup is ever missing what it names.
#[tokio::test(flavor = "multi_thread")]
async fn pruning_beside_a_backup_takes_nothing_it_needs() {
    let place = Arc::new(place());
    let repository = Arc::new(Repository::make(&place.base, setup(None)).await.unwrap());
    let pruning = {
        let (place, repository) = (Arc::clone(&place), Arc::clone(&repository));
        tokio::spawn(async move {
            let at = super::RepositoryPlace::new(place.base.clone(), super::Pick::All);
            let mut swept = 0;
            for _ in 0..60 {
                let names = repository.snapshots().await.unwrap();
                for name in names.iter().rev().skip(1) {
                    at.one(name.clone(), None).forget().await.unwrap();
                }
                swept += repository.sweep().await.unwrap().objects;
                tokio::task::yield_now().await;
            }
            swept
        })
    };
    let mut seq = 0;
    while !pruning.is_finished() {
        seq += 1;
        let n = u8::try_from(seq % 5).unwrap();
        let written = write(&repository, &contents(n), seq).await.unwrap();
        // All but what was written just now becomes old enough to go.
        let new: BTreeSet<String> = written
            .snapshot
            .header
            .objects
            .iter()
            .zip(&written.snapshot.stored)
            .map(|(o, s)| repository.object_name(&o.hash, s))
            .collect();
        for name in place.files().keys() {
            if (name.starts_with("obj/") || name.starts_with("gone/")) && !new.contains(name) {
                let path = place.root().join(name);
                if let Ok(file) = std::fs::File::options().write(true).open(path) {
                    file.set_modified(SystemTime::now() - DAY * 2).unwrap();
                }
            }
        }
        let wrong = repository.prove(std::slice::from_ref(&written.snapshot), |_| true).await;
        assert_eq!(wrong.unwrap(), [None], "version {seq}");
    }
    let swept = pruning.await.unwrap();
    println!("{seq} backups beside 60 prunings, {swept} objects went");
    assert!(swept > 0);
}

#[tokio::test]
async fn a_repository_is_made_once_and_never_over_something_else() {
    let place = place();
    let none = Repository::open(&place.base, None).await.unwrap_err();
    assert_eq!(none.kind, ErrorKind::NotFound);
    let makers = (0..8).map(|_| Repository::open_or_make(&place.base, setup(Some("pw"))));
    let made = futures::future::join_all(makers).await;
    let ids: BTreeSet<_> = made.iter().map(|r| *r.as_ref().unwrap().keys.repository()).collect();
    assert_eq!(ids.len(), 1);
    let again = Repository::make(&place.base, setup(None)).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
    // Where its settings went, none is begun among what is left.
    write(made[0].as_ref().unwrap(), &contents(1), 1).await.unwrap();
    std::fs::remove_file(place.root().join("repo.json")).unwrap();
    let e = Repository::open_or_make(&place.base, setup(Some("pw"))).await.unwrap_err();
    assert!(e.message.contains("repo.copy.json"), "{e}");
    let copy = place.root().join("repo.copy.json");
    std::fs::copy(copy, place.root().join("repo.json")).unwrap();
    Repository::open(&place.base, Some("pw")).await.unwrap();
}

#[tokio::test]
async fn a_version_that_ships_itself_has_one_name_whoever_ships_it() {
    let place = place();
    let repository = Repository::make(&place.base, setup(None)).await.unwrap();
    let log = |contents: &[Vec<u8>], request: &str, incarnation| BackupHeader {
        log: true,
        request: request.into(),
        history: History { incarnation, branch: 5 },
        ..header(contents, 4)
    };
    let nothing = Known::nothing;
    let one = put(&repository, log(&contents(1), "a", 0), &contents(1), &nothing()).await;
    let two = put(&repository, log(&contents(1), "b", 0), &contents(1), &nothing()).await;
    assert_eq!(one.unwrap().snapshot, two.unwrap().snapshot);
    // What was something else is refused and replaces nothing; another history stands beside it.
    let stale = put(&repository, log(&contents(2), "c", 0), &contents(2), &nothing()).await;
    assert_eq!(stale.unwrap_err().kind, ErrorKind::Conflict);
    put(&repository, log(&contents(2), "d", 1), &contents(2), &nothing()).await.unwrap();
    assert_eq!(place.count("man"), 2);
}
