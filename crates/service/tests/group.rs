//! Three servers in one process: versions shipped, committed, loaded, proved the same, and found
//! out when a byte is not.

#[path = "in_process/config.rs"]
mod config;
#[path = "in_process/wires.rs"]
mod wires;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Collation, ColumnData, DataType, Error, ErrorKind, Result, RowBatch, Value};
use evercube_metastore::{Command, Leases, VERSIONS_KEPT};
use evercube_service::browse::Browse;
use evercube_service::call::{Call, ReadLevel};
use evercube_service::commit::NewState;
use evercube_service::session::Session;
use evercube_service::versions::{LoadedVersion, StoredModel};
use evercube_service::{Service, ServiceConfig};
use evercube_store::{Manifest, PartitionManifest, SegmentBuilder, SegmentRef, TableManifest};
use tokio::time::Instant;

use config::config;
use wires::{Wire, Wires};

struct World {
    wires: Arc<Wires>,
    folder: tempfile::TempDir,
}

impl World {
    fn data_dir(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn start(&self, name: &str, join: &[&str]) -> Arc<Service> {
        self.start_with(name, join, None).await
    }

    /// A server that wants to know who asks, where it is said how old the rights may be.
    async fn start_with(
        &self,
        name: &str,
        join: &[&str],
        rights_age: Option<Duration>,
    ) -> Arc<Service> {
        let config = ServiceConfig {
            no_auth: rights_age.is_none(),
            rights_age: rights_age.unwrap_or_default(),
            ..config(name, self.data_dir(name), self.folder.path(), join)
        };
        self.start_as(config).await
    }

    async fn start_as(&self, config: ServiceConfig) -> Arc<Service> {
        let (name, wire) = (config.name.clone(), Arc::new(Wire(Arc::clone(&self.wires))));
        let service = Service::start(config, wire).await.unwrap();
        self.wires.0.lock().unwrap().insert(name, Arc::clone(&service));
        service
    }

    /// As `kill -9` does: nothing is said, nothing more is answered.
    async fn kill(&self, name: &str) {
        let gone = self.wires.0.lock().unwrap().remove(name);
        if let Some(service) = gone {
            service.metastore.shutdown().await;
        }
    }

    async fn of_three(&self) -> [Arc<Service>; 3] {
        let a = self.start("a", &[]).await;
        let b = self.start("b", &["a"]).await;
        let c = self.start("c", &["b", "a"]).await;
        for s in [&a, &b, &c] {
            eventually("three members", || s.metastore.state().members.len() == 3).await;
        }
        // The leader's own grant, which would otherwise come after what a test does.
        eventually("the writes are given", || a.metastore.state().lease.is_some()).await;
        [a, b, c]
    }
}

fn world() -> World {
    World { wires: Arc::default(), folder: tempfile::tempdir().unwrap() }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never happened: {what}");
}

fn model() -> StoredModel {
    let text = r#"{ "database": { "name": "Retail", "model": { "tables": [
        { "name": "Sales", "columns": [ { "name": "Amount", "dataType": "int64" } ] } ] } } }"#;
    StoredModel::from_bytes(text.as_bytes()).unwrap()
}

/// A state with one segment of these amounts, stored on `server`.
fn state(server: &Service, expected_seq: u64, amounts: &[i64]) -> NewState {
    let mut builder = SegmentBuilder::new(&[DataType::Int64], Collation::default());
    let columns = vec![ColumnData::Int64(amounts.iter().copied().map(Some).collect())];
    builder.push(&RowBatch { columns, rows: amounts.len() }).unwrap();
    let bytes = builder.finish().to_bytes().unwrap();
    let segment = SegmentRef {
        hash: server.objects.put(&bytes).unwrap(),
        rows: amounts.len() as u64,
        bytes: bytes.len() as u64,
        columns: vec![0],
    };
    let partition = PartitionManifest {
        name: "all".into(),
        refreshed_micros: None,
        groups: vec![vec![segment]],
    };
    let manifest = Manifest {
        tables: vec![TableManifest { id: "Sales".into(), partitions: vec![partition] }],
    };
    NewState { name: "Retail".into(), expected_seq, model: model(), manifest, logins: vec![] }
}

/// Commits at whoever takes writes, as a request would be sent on to.
async fn commit_at_writer(
    servers: &[&Arc<Service>],
    request: &str,
    expected: u64,
    amounts: &[i64],
) -> Result<u64> {
    for _ in 0..1500 {
        for server in servers {
            match server.commit(request, state(server, expected, amounts)).await {
                Err(e) if e.kind == ErrorKind::Unavailable => {}
                done => return done,
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody takes writes");
}

fn admin() -> Call {
    let session = Session { is_admin: true, ..Session::default() };
    Call { session, ..Call::default() }
}

fn first_amount(version: &LoadedVersion) -> Value {
    let column = version.store.tables[0].column(0);
    column.value(column.code(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_on_every_server_and_outlives_the_leader() {
    let world = world();
    let [a, b, c] = world.of_three().await;
    let seq = a.commit("r1", state(&a, 0, &[10, 20])).await.unwrap();
    // A read without a session sees the commit through any server.
    for s in [&a, &b, &c] {
        let version = s.version(&Call::default(), "retail").await.unwrap();
        assert_eq!((version.seq, first_amount(&version)), (seq, Value::Int(10)));
    }
    let report = b.verify(&admin(), "Retail", true).await.unwrap();
    assert!(report.same, "{report:?}");
    assert_eq!(report.servers.len(), 3);

    world.kill("a").await;
    let again = commit_at_writer(&[&b, &c], "r2", seq, &[30]).await.unwrap();
    assert!(again > seq);
    let version = b.version(&Call::default(), "Retail").await.unwrap();
    assert_eq!((version.seq, first_amount(&version)), (again, Value::Int(30)));
    let status = b.status().await;
    let gone = status.servers.iter().find(|s| s.name == "a").unwrap();
    assert_eq!(gone.state, "unreachable");
    assert!(status.leader.is_some_and(|l| l != "a"));
}

/// Two regions and a witness: a member that is away has been so since it was heard last, and not since
/// somebody began to wait for it; and one that comes back in time is not gone on without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_is_waited_for_until_it_has_been_away_for_the_grace() {
    let world = world();
    let grace = Duration::from_secs(3);
    let start = async |name: &str, kind: &str| {
        let config = config(name, world.data_dir(name), world.folder.path(), &["a"]);
        let join = if name == "a" { Vec::new() } else { config.join.clone() };
        let kind = kind.to_owned();
        world.start_as(ServiceConfig { kind, join, degrade_grace: grace, ..config }).await
    };
    let [a, b, c] =
        [start("a", "data").await, start("b", "data").await, start("c", "witness").await];
    eventually("three members", || {
        [&a, &b, &c].iter().all(|s| s.metastore.state().members.len() == 3)
    })
    .await;
    eventually("the writes are given", || a.metastore.state().lease.is_some()).await;
    let degraded = |s: &Service| !s.metastore.state().degraded.is_empty();
    let cut = |name: &str| world.wires.0.lock().unwrap().remove(name).unwrap();
    let back = |name: &str, s| drop(world.wires.0.lock().unwrap().insert(name.into(), s));

    let away = cut("b");
    let (asked, new) = (Arc::clone(&a), state(&a, 0, &[1]));
    let commit = tokio::spawn(async move { asked.commit("r1", new).await });
    tokio::time::sleep(grace / 4).await;
    back("b", away);
    let seq = commit.await.unwrap().unwrap();
    assert!(!degraded(&a), "it came back in time");

    let away = cut("b");
    tokio::time::sleep(grace).await;
    let begun = Instant::now();
    let seq = a.commit("r2", state(&a, seq, &[2])).await.unwrap();
    assert!(degraded(&a) && begun.elapsed() < grace / 2, "{:?}", begun.elapsed());
    back("b", away);
    eventually("it is counted on again", || !degraded(&a) && !degraded(&b)).await;

    // Whoever leads next knows since when the one before has been away.
    world.kill("a").await;
    tokio::time::sleep(grace).await;
    let begun = Instant::now();
    commit_at_writer(&[&b], "r3", seq, &[3]).await.unwrap();
    assert!(degraded(&b) && begun.elapsed() < grace / 2, "{:?}", begun.elapsed());
}

/// A commit is acknowledged when two of three hold it. What the third one is about to fetch is no
/// difference.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_waits_for_a_server_that_fetches_what_was_just_committed() {
    let world = world();
    let [a, _b, c] = world.of_three().await;
    let away = world.wires.0.lock().unwrap().remove("c").unwrap();
    a.commit("r1", state(&a, 0, &[10])).await.unwrap();
    world.wires.0.lock().unwrap().insert("c".into(), away);
    let report = a.verify(&admin(), "Retail", true).await.unwrap();
    assert!(report.same && report.servers.len() == 3, "{report:?}");
    assert!(c.versions.get("Retail").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_is_refused_leaves_nothing_running() {
    let world = world();
    let [a, b, c] = world.of_three().await;
    drop(b);
    world.kill("b").await;
    a.drain(&admin(), "c", false).await.unwrap_err();
    // What measures the gap writes fifty times a second.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = c.metastore.status().applied;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = c.metastore.status().applied;
    assert!(after < before + 10, "from {before} to {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_flipped_byte_is_found_named_and_healed() {
    let world = world();
    let [a, b, c] = world.of_three().await;
    let new = state(&a, 0, &(0..5000).collect::<Vec<i64>>());
    let (_, segment) = new.manifest.objects()[0].clone();
    let seq = a.commit("r1", new).await.unwrap();
    let call = Call { read: ReadLevel::Strong, ..admin() };
    c.version(&call, "Retail").await.unwrap();

    let file = object_file(&world.data_dir("c"), &hex::encode(segment));
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&file, bytes).unwrap();

    let report = b.verify(&call, "Retail", false).await.unwrap();
    assert!(!report.same);
    let difference = report.difference.unwrap();
    assert!(difference.contains("'c'") && difference.contains("'Sales'"), "{difference}");

    // A restart loads from the files, sets the bad one aside and fetches it again.
    world.kill("c").await;
    drop(c);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let c = world.start("c", &[]).await;
    let version = c.version(&call, "Retail").await.unwrap();
    assert_eq!(version.seq, seq);
    let report = b.verify(&call, "Retail", true).await.unwrap();
    assert!(report.same, "{:?}", report.difference);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_failed_and_forgotten_changes_are_collected() {
    let world = world();
    let a = world.start("a", &[]).await;
    let mut seq = a.commit("r1", state(&a, 0, &[1])).await.unwrap();
    let first = a.versions.get("retail").unwrap().manifest.objects()[0].1;
    // Written, but for another version than there is.
    let failed = state(&a, seq + 7, &[2]);
    let left = failed.manifest.objects()[0].1;
    assert!(a.commit("r2", failed).await.is_err());
    assert_eq!(a.collect(Duration::from_secs(60)).await.unwrap(), (0, 0));
    // Its segment and manifest; the model is that of the first version.
    assert_eq!(a.collect(Duration::ZERO).await.unwrap().0, 2);
    assert!(!a.objects.has(&left) && a.objects.has(&first));
    // The earlier versions that can be gone back to stay whole.
    for n in 0..=VERSIONS_KEPT {
        let amount = 100 + i64::try_from(n).unwrap();
        seq = a.commit(&format!("k{n}"), state(&a, seq, &[amount])).await.unwrap();
        assert!(a.objects.has(&first));
        if n < VERSIONS_KEPT {
            assert_eq!(a.collect(Duration::ZERO).await.unwrap().0, 0);
        }
    }
    assert_eq!(a.collect(Duration::ZERO).await.unwrap().0, 2);
    assert!(!a.objects.has(&first));
    let report = a.verify(&admin(), "Retail", true).await.unwrap();
    assert!(report.same, "{report:?}");
}

/// Two of three are gone: whoever asks the third is let in by rights that it cannot know to be there
/// still, so for as long only as its operator says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_cut_off_goes_by_what_it_knows_of_rights_for_a_while_only() {
    let world = world();
    let hour = Some(Duration::from_secs(3600));
    let a = world.start_with("a", &[], hour).await;
    let b = world.start_with("b", &["a"], hour).await;
    let c = world.start_with("c", &["a"], Some(Duration::from_millis(1))).await;
    eventually("three members", || {
        [&a, &b, &c].iter().all(|s| s.metastore.state().members.len() == 3)
    })
    .await;
    let seq = a.commit("r1", state(&a, 0, &[10])).await.unwrap();
    eventually("it is everywhere", || {
        [&a, &b, &c].iter().all(|s| s.versions.get("Retail").is_some_and(|v| v.seq == seq))
    })
    .await;
    let of = |user: &str, read, min_seq| {
        let session = Session { user: user.into(), is_admin: true, ..Session::default() };
        // As a gateway asks, which goes elsewhere instead of waiting.
        Call { session, read, min_seq, is_relayed: true, ..Call::default() }
    };
    let ways = [
        (ReadLevel::Any, None),
        (ReadLevel::Session, Some(seq)),
        (ReadLevel::Bounded(Duration::from_secs(86_400)), None),
    ];
    for (read, min_seq) in ways {
        for server in [&b, &c] {
            assert_eq!(server.version(&of("ann", read, min_seq), "Retail").await.unwrap().seq, seq);
        }
    }
    world.kill("a").await;
    world.kill("b").await;
    eventually("it is cut off", || c.is_out_of_touch()).await;
    for (read, min_seq) in ways {
        let refused = c.version(&of("ann", read, min_seq), "Retail").await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Unavailable, "{read:?}");
        // The server itself goes on with its own work.
        assert!(c.version(&of("", read, min_seq), "Retail").await.is_ok(), "{read:?}");
    }
    // Who waits for a leader does so no longer than was said, and hears what can be done.
    let deadline = Some(Instant::now() + Duration::from_millis(50));
    let waits = Call { deadline, is_relayed: false, ..of("", ReadLevel::Strong, None) };
    let read = tokio::time::timeout(Duration::from_secs(20), c.version(&waits, "Retail"));
    let given_up = read.await.expect("its time is over").unwrap_err();
    assert_eq!(given_up.kind, ErrorKind::Unavailable);
    assert!(given_up.message.contains("--read any"), "{given_up}");
}

/// Who has no right to a database hears nothing of it from its errors either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_read_is_told_to_nobody_without_a_right() {
    let world = world();
    let a = world.start_with("a", &[], Some(Duration::from_secs(3600))).await;
    let text = r#"{ "database": { "name": "Retail", "model": { "tables": [
        { "name": "Sales", "columns": [ { "name": "Amount", "dataType": "int64" } ] } ],
        "roles": [ { "name": "R", "modelPermission": "read", "members": [ { "memberName": "ann" } ] } ] } } }"#;
    let model = StoredModel::from_bytes(text.as_bytes()).unwrap();
    let new = NewState { model, ..state(&a, 0, &[10]) };
    let (_, segment) = new.manifest.objects()[0].clone();
    a.commit("r1", new).await.unwrap();
    eventually("it is loaded", || a.versions.get("Retail").is_some()).await;
    // As after a restart that finds a damaged file.
    std::fs::write(object_file(&world.data_dir("a"), &hex::encode(segment)), "no segment").unwrap();
    a.versions.retain(|_| false);
    a.versions.set_failure("Retail", Error::new(ErrorKind::Corrupt, "a segment is damaged"));
    let asks = async |user: &str, database: &str| {
        let session = Session { user: user.into(), ..Session::default() };
        let patience = Some(Duration::from_millis(100));
        let error = a.version(&Call { session, patience, ..Call::default() }, database).await;
        let Error { kind, message, .. } = error.unwrap_err();
        (kind, message.replace(database, "X"))
    };
    assert_eq!(asks("joe", "Retail").await, asks("joe", "Nothing").await);
    assert_eq!(asks("ann", "Nothing").await, asks("joe", "Nothing").await);
    assert_eq!(asks("ann", "Retail").await.0, ErrorKind::Unavailable);
    // A connection that names it is told of the server as where it can be read.
    let browses = async |user: &str, database: &str| {
        let catalog = Some(database.to_owned());
        let session = Session { user: user.into(), catalog, ..Session::default() };
        let call = Call { session, patience: Some(Duration::from_millis(100)), ..Call::default() };
        let rows = |r: evercube_base::Rowset| Ok(r.rows.len());
        let asked = a.discover(&call, "DISCOVER_KEYWORDS", &[], Browse::default(), rows);
        asked.await.map(|(rows, _)| rows).map_err(|e| e.kind)
    };
    assert_eq!(browses("joe", "Retail").await, browses("joe", "Nothing").await);
    assert!(browses("joe", "Retail").await.is_ok());
    assert_eq!(browses("ann", "Retail").await, Err(ErrorKind::Unavailable));
}

fn object_file(data_dir: &Path, hash: &str) -> PathBuf {
    let (shelf, _) = hash.split_at(2);
    data_dir.join("store/objects").join(shelf).join(hash)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_given_again_and_a_stale_write_refused() {
    let world = world();
    let [a, b, _c] = world.of_three().await;
    let seq = a.commit("r1", state(&a, 0, &[1])).await.unwrap();
    let to = b.metastore.status().me;
    b.metastore.propose(Command::Grant { leases: Leases::All, to }).await.unwrap();
    eventually("b takes writes", || b.is_writer()).await;
    assert_eq!(b.commit("r1", state(&b, 0, &[1])).await.unwrap(), seq);
    eventually("a knows", || !a.is_writer()).await;
    let fenced = a.commit("r2", state(&a, seq, &[2])).await.unwrap_err();
    assert_eq!(fenced.kind, ErrorKind::Unavailable);
    let stale = b.commit("r2", state(&b, 0, &[2])).await.unwrap_err();
    assert_eq!(stale.kind, ErrorKind::Conflict);
    b.commit_drop("r3", "Retail", seq).await.unwrap();
    let gone = a.version(&Call::default(), "Retail").await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_metadata_is_wrong_finds_out_and_takes_the_others_over() {
    let world = world();
    let [a, b, c] = world.of_three().await;
    let seq = a.commit("r1", state(&a, 0, &[1])).await.unwrap();
    a.commit_drop("r2", "Retail", seq).await.unwrap();
    let seq = a.commit("r3", state(&a, 0, &[1])).await.unwrap();
    // One of them, and whoever leads: the majority is right either way.
    for wrong in [&c, &a] {
        let applied = a.metastore.status().applied;
        for s in [&a, &b, &c] {
            eventually("all are as far", || s.metastore.status().applied >= applied).await;
        }
        let (at, right) = wrong.metastore.checkpoints().remove(0);
        let mut bad = (*right).clone();
        let entry = bad.databases.get_mut("retail").unwrap();
        entry.root[0] ^= 1;
        entry.policy = evercube_metastore::Policy::Strict;
        let before = wrong.agreement().times;
        wrong.metastore.repair(at, bad.clone()).unwrap();
        // Until all three have been asked nobody can tell who is wrong.
        eventually("it finds out", || {
            let found = wrong.agreement();
            let said = found.last.unwrap_or_default();
            found.times > before
                && said.contains("database 'retail'")
                && said.contains("state root")
        })
        .await;
        eventually("it holds what the others hold", || {
            let entry = wrong.metastore.state().database("Retail").cloned().unwrap();
            entry == *right.database("Retail").unwrap()
        })
        .await;
        let call = Call { read: ReadLevel::Strong, ..Call::default() };
        let version = wrong.version(&call, "Retail").await.unwrap();
        assert_eq!((version.seq, first_amount(&version)), (seq, Value::Int(1)));
        eventually("they agree", || wrong.agreement().diverged.is_empty()).await;
        // The others never doubted themselves.
        assert_eq!(b.agreement().times, 0, "{:?}", b.agreement());
    }
}

/// Under a new id beside its old log it would take no part, and nobody would know why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_identity_does_not_start() {
    let world = world();
    drop(world.start("a", &[]).await);
    world.kill("a").await;
    std::fs::remove_file(world.data_dir("a").join("server.json")).unwrap();
    let config = config("a", world.data_dir("a"), world.folder.path(), &[]);
    let started = Service::start(config, Arc::new(Wire(Arc::clone(&world.wires)))).await;
    let refused = started.unwrap_err();
    assert!(refused.message.contains("server.json is gone"), "{refused}");
}
