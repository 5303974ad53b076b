//! Backing up and restoring on servers in one process, each with a folder of its own.

#[path = "in_process/config.rs"]
mod config;
#[path = "backup/in_repository.rs"]
mod in_repository;
#[path = "backup/points.rs"]
mod points;
#[path = "in_process/wires.rs"]
mod wires;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{ErrorKind, Result};
use evercube_service::Service;
use evercube_service::backup::Keep;
use evercube_service::backup::repository::Setup;
use evercube_service::backup_use::{BackupRequest, RestoreRequest};
use evercube_service::call::{Call, WriteAnswer};
use evercube_service::deploy::DeployRequest;
use evercube_service::refresh::RefreshRequest;
use evercube_service::versions::LoadedVersion;

use config::config;
use wires::{Wire, Wires};

struct World {
    wires: Arc<Wires>,
    folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sales.csv"), "Amount\n10\n20\n30\n").unwrap();
    World { wires: Arc::default(), folder }
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn start(&self, name: &str, join: &[&str]) -> Arc<Service> {
        let config = config(name, self.path(name), self.folder.path(), join);
        let wire = Arc::new(Wire(Arc::clone(&self.wires)));
        let service = Service::start(config, wire).await.unwrap();
        self.wires.0.lock().unwrap().insert(name.into(), Arc::clone(&service));
        service
    }

    /// As `kill -9` does: nothing is said, nothing more is answered.
    async fn kill(&self, name: &str) {
        let gone = self.wires.0.lock().unwrap().remove(name);
        if let Some(service) = gone {
            service.metastore.shutdown().await;
        }
    }
}

fn admin() -> Call {
    let mut call = Call::default();
    call.session.is_admin = true;
    call.session.user = "admin".into();
    call
}

const MODEL: &str = r#"{ "name": "Retail", "id": "retail-id", "compatibilityLevel": 1600, "model": {
    "culture": "en-US",
    "roles": [ { "name": "Readers", "modelPermission": "read", "members": [ { "memberName": "ann" } ] } ],
    "tables": [ { "name": "Sales",
      "columns": [ { "name": "Amount", "dataType": "int64", "sourceColumn": "Amount" } ],
      "partitions": [ { "name": "all", "source": { "type": "m", "expression":
        "Table.TransformColumnTypes(Table.PromoteHeaders(Csv.Document(File.Contents(\"sales.csv\"))), {{\"Amount\", Int64.Type}})" } } ] } ] } }"#;

/// Deploys and fills the database on `server`.
async fn retail(server: &Service) {
    filled(server, MODEL).await;
}

/// Deploys a model of the database and reads its rows.
async fn filled(server: &Service, model: &str) {
    let request = DeployRequest { text: model.into(), ..DeployRequest::default() };
    server.deploy(&admin(), request).await.unwrap();
    read_anew(server, &[]).await;
}

/// Reads all rows of these tables of the database; of all where none is named.
async fn read_anew(server: &Service, tables: &[&str]) -> u64 {
    let request = RefreshRequest {
        kind: evercube_model::tmsl::RefreshKind::Full,
        objects: tables.iter().map(|t| ((*t).to_owned(), None)).collect(),
        readers: None,
        overrides: Default::default(),
    };
    server.refresh(&admin(), "Retail", request).await.unwrap().seq
}

/// Three servers that know each other, the first of which has the database.
async fn three(world: &World) -> [Arc<Service>; 3] {
    let a = world.start("a", &[]).await;
    let b = world.start("b", &["a"]).await;
    let c = world.start("c", &["a"]).await;
    for s in [&a, &b, &c] {
        while s.metastore.state().members.len() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    retail(&a).await;
    [a, b, c]
}

fn to(target: impl AsRef<Path>) -> BackupRequest {
    BackupRequest {
        database: "Retail".into(),
        target: target.as_ref().to_str().unwrap().into(),
        ..BackupRequest::default()
    }
}

fn from(source: impl AsRef<Path>) -> RestoreRequest {
    RestoreRequest { source: source.as_ref().to_str().unwrap().into(), ..RestoreRequest::default() }
}

async fn back_up(server: &Service, request: BackupRequest) -> Result<WriteAnswer> {
    server.backup(&admin(), request).await
}

async fn restore(server: &Service, request: RestoreRequest) -> Result<WriteAnswer> {
    server.restore(&admin(), request).await
}

async fn version(server: &Service, name: &str) -> Arc<LoadedVersion> {
    server.version(&Call::default(), name).await.unwrap()
}

fn rows(version: &LoadedVersion) -> u64 {
    version.manifest.tables.iter().map(evercube_store::TableManifest::rows).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_on_another_server_as_it_was_and_under_another_name() {
    let (here, there) = (world(), world());
    let (one, two) = (here.start("one", &[]).await, there.start("two", &[]).await);
    retail(&one).await;
    let folder = here.path("backups");
    std::fs::create_dir(&folder).unwrap();
    let original = version(&one, "Retail").await;
    let answer = back_up(&one, to(&folder)).await.unwrap();
    assert_eq!(answer.seq, original.seq);
    assert!(folder.join("Retail.evb").exists());
    restore(&two, from(&folder)).await.unwrap();
    let restored = version(&two, "Retail").await;
    assert_eq!(restored.root, original.root);
    assert_eq!(rows(&restored), 3);
    let copy = RestoreRequest {
        database: Some("Copy".into()),
        roles: "drop-members".into(),
        ..from(folder.join("Retail.evb"))
    };
    restore(&two, copy).await.unwrap();
    let copied = version(&two, "copy").await;
    assert_eq!((copied.name.as_str(), rows(&copied)), ("Copy", 3));
    assert_eq!(copied.model.database.id, None);
    assert!(copied.model.database.model.roles[0].members.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_restored_leaves_everything_as_it_was() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    let path = world.path("b/secret.evb");
    let secret = |password: &str| Some(password.to_owned());
    let request = BackupRequest { password: secret("right"), ..to(&path) };
    back_up(&one, request.clone()).await.unwrap();
    let again = back_up(&one, request.clone()).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict, "{again}");
    back_up(&one, BackupRequest { overwrite: true, ..request }).await.unwrap();

    let before = one.metastore.state();
    let there = restore(&one, RestoreRequest { password: secret("right"), ..from(&path) }).await;
    assert_eq!(there.unwrap_err().kind, ErrorKind::Conflict);
    let as_new = |source: &Path, password: Option<&str>| RestoreRequest {
        database: Some("New".into()),
        password: password.map(str::to_owned),
        ..from(source)
    };
    let said = async |request, words: &str| {
        let e = restore(&one, request).await.unwrap_err();
        assert!(e.message.contains(words), "{e}");
    };
    said(as_new(&path, Some("wrong")), "password is not the one").await;
    said(as_new(&path, None), "no password was given").await;
    said(as_new(&world.path("nothing.evb"), None), "there is no backup at").await;
    let whole = std::fs::read(&path).unwrap();
    let cut = world.path("cut.evb");
    std::fs::write(&cut, &whole[..whole.len() - 40]).unwrap();
    said(as_new(&cut, Some("right")), "truncated").await;
    let mut bytes = whole.clone();
    let middle = bytes.len() - 100;
    bytes[middle] ^= 1;
    std::fs::write(&cut, &bytes).unwrap();
    said(as_new(&cut, Some("right")), "damaged or was tampered with").await;
    // Under no name that a deployment could not give, and with no password that everybody has.
    for name in ["$system", "a\tb", "a\u{1b}[2J"] {
        let named = RestoreRequest { database: Some(name.into()), ..as_new(&path, Some("right")) };
        said(named, if name.starts_with('$') { "reserved" } else { "control character" }).await;
    }
    said(as_new(&path, Some("")), "the password is empty").await;
    let open_to_all = BackupRequest { password: secret(""), ..to(world.path("all.evb")) };
    let e = back_up(&one, open_to_all).await.unwrap_err();
    assert!(e.message.contains("the password is empty") && !world.path("all.evb").exists(), "{e}");
    assert_eq!(one.metastore.state().databases, before.databases);

    let overwrite = RestoreRequest { overwrite: true, password: secret("right"), ..from(&path) };
    let seq = restore(&one, overwrite).await.unwrap().seq;
    assert_eq!(version(&one, "Retail").await.seq, seq);
    assert!(seq > before.database("Retail").unwrap().seq);
}

/// Who mistypes a place is not told that it is empty, or that all is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_there_is_told() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    let keep = Keep { last: 1, ..Keep::default() };
    let asked = async |place: &str| {
        let list = one.list_backups(&admin(), Some(place), None).await.map(|all| all.len());
        let prune = one.prune_backups(&admin(), Some(place), None, keep, false).await;
        (list, prune.map(|all| all.len()))
    };
    for name in ["none", "none/", "none.evb", "none.evr", "none.evr/Retail"] {
        let place = world.path(name);
        let (Err(list), Err(prune)) = asked(place.to_str().unwrap()).await else {
            panic!("{name} is there")
        };
        assert_eq!((list.kind, prune.kind), (ErrorKind::NotFound, ErrorKind::NotFound), "{list}");
        assert!(list.message.contains(name.split('/').next().unwrap()), "{list}");
    }
    assert_eq!(asked("none.evb").await.0.unwrap_err().kind, ErrorKind::NotFound);
    // What is there and empty is no mistake.
    std::fs::create_dir(world.path("empty")).unwrap();
    assert_eq!(asked(world.path("empty").to_str().unwrap()).await, (Ok(0), Ok(0)));
    let place = world.path("new.evr");
    let place = place.to_str().unwrap();
    one.init_repository(&admin(), place, Setup::default()).await.unwrap();
    assert_eq!(asked(place).await, (Ok(0), Ok(0)));
    assert_eq!(asked(&format!("{place}/Retail")).await.0.unwrap_err().kind, ErrorKind::NotFound);
    // A place that cannot be a folder is reported as one where no backups should be kept.
    let file = world.path("sales.csv");
    let report = one.test_target(&admin(), file.to_str().unwrap()).await.unwrap();
    assert!(!report.usable && report.checks[0].name == "write", "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_back_up_and_restore_and_a_repeated_request_is_answered() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    let call = Call { request_id: Some("b-1".into()), ..admin() };
    let text =
        r#"{ "backup": { "database": "Retail", "file": "r.abf", "allowOverwrite": false } }"#;
    let first = one.execute_tmsl(&call, text).await.unwrap();
    assert_eq!(one.execute_tmsl(&call, text).await.unwrap().seq, first.seq);
    assert!(one.execute_tmsl(&admin(), text).await.is_err());
    assert!(world.path("one/backup/r.abf").exists());
    let text =
        r#"{ "restore": { "database": "Again", "file": "r.abf", "security": "ignoreSecurity" } }"#;
    let call = Call { request_id: Some("r-1".into()), ..admin() };
    let first = one.execute_tmsl(&call, text).await.unwrap();
    assert_eq!(one.execute_tmsl(&call, text).await.unwrap().seq, first.seq);
    let again = version(&one, "Again").await;
    assert!(again.model.database.model.roles.is_empty());
    let nobody = one.execute_tmsl(&Call::default(), text).await.unwrap_err();
    assert_eq!(nobody.kind, ErrorKind::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_name_is_kept_on_two_members_and_restored_while_one_lives() {
    let world = world();
    let [a, b, c] = three(&world).await;
    let answer = back_up(&a, to("r.abf")).await.unwrap();
    assert_eq!(answer.messages, Vec::new());
    let holders: Vec<&str> = ["a", "b", "c"]
        .into_iter()
        .filter(|n| world.path(n).join("backup/r.abf").exists())
        .collect();
    assert_eq!(holders.len(), 2);
    assert!(holders.contains(&"a"));
    world.kill("a").await;
    let leader = loop {
        if let Some(s) = [&b, &c].into_iter().find(|s| s.is_writer()) {
            break s;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let copy = RestoreRequest { database: Some("Copy".into()), ..from("r.abf") };
    restore(leader, copy).await.unwrap();
    let copy = version(leader, "Copy").await;
    assert_eq!(rows(&copy), 3);
    let again = back_up(leader, to("r.abf")).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
}
