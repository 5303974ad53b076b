//! Whole servers in one world, on wires and disks that fail as the seed says: what is acknowledged
//! is on two disks, every answer is that of its version, nothing is seen half done, what rots is
//! healed, a store of backups that lies is found out, and no secret is told.

mod checks;
mod listening;
mod moves;
mod planted;
mod rot;
mod strains;
mod wires;
mod world;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Result, Value};
use evercube_model::tmsl::RefreshKind;
use evercube_service::Service;
use evercube_service::backup_use::{BackupRequest, RestoreRequest};
use evercube_service::call::{Call, ReadLevel};
use evercube_service::deploy::DeployRequest;
use evercube_service::refresh::RefreshRequest;
use tokio::time::{Instant, sleep, timeout};

pub use planted::Planted;

use crate::chance::Chance;
use crate::host;
use crate::report::Report;
use wires::Cut;
use world::{World, admin};

const NAMES: [&str; 3] = ["a", "b", "c"];
/// How long a step may take that faults hinder.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many steps a world has.
const STEPS: i64 = 10;

const MODEL: &str = r#"{ "name": "Retail", "compatibilityLevel": 1600, "model": { "tables": [
    { "name": "Sales", "columns": [ { "name": "V", "dataType": "int64", "sourceColumn": "V" } ],
      "partitions": [ { "name": "all", "source": { "type": "m", "expression":
        "Table.TransformColumnTypes(Table.PromoteHeaders(Csv.Document(File.Contents(\"sales.csv\"))), {{\"V\", Int64.Type}})" } } ] },
    { "name": "Twin", "columns": [ { "name": "V", "dataType": "int64", "sourceColumn": "V" } ],
      "partitions": [ { "name": "all", "source": { "type": "m", "expression":
        "Table.TransformColumnTypes(Table.PromoteHeaders(Csv.Document(File.Contents(\"twin.csv\"))), {{\"V\", Int64.Type}})" } } ] } ] } }"#;

/// Both tables hold the number of the refresh that filled them, in every row.
const QUESTION: &str = r#"EVALUATE ROW("a", MIN(Sales[V]), "b", MAX(Sales[V]), "c", MIN(Twin[V]),
    "d", MAX(Twin[V]), "n", COUNTROWS(Sales), "m", COUNTROWS(Twin))"#;

/// Rows of each table after this refresh.
fn rows_of(number: i64) -> i64 {
    200 + number
}

/// Lives through the world of this seed in this folder, which is there and empty. The process
/// belongs to it from now on.
pub fn simulate(seed: u64, planted: Planted, folder: &Path, aloud: bool) -> Report {
    host::files::watch(folder);
    host::enter(seed);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // More than messages to a server whose disk hangs take up.
        .worker_threads(8)
        .thread_stack_size(evercube_service::STACK)
        .enable_all()
        .build()
        .unwrap_or_else(|e| panic!("no runtime: {e}"));
    let (done, report) = std::sync::mpsc::channel();
    let folder = folder.to_owned();
    runtime.spawn(async move {
        let world = World::new(seed, planted, folder);
        if aloud {
            world.history.say();
        }
        live(&world).await;
        // Whoever waits for it is gone only where the process ends.
        let _sent = done.send(world.report());
    });
    let report = report.recv().unwrap_or_else(|e| panic!("the world ended early: {e}"));
    // What still runs in it is not waited for.
    runtime.shutdown_background();
    report
}

async fn live(world: &Arc<World>) {
    let (seed, planted) = (world.seed, world.planted);
    world.form().await;
    world.wires.hinder(true);
    let reading: Vec<_> = (0..2u64).map(|n| tokio::spawn(read_on(Arc::clone(world), n))).collect();
    let mut chance = Chance::new(seed, "steps");
    for number in 1..=STEPS {
        write(world, number).await;
        if world.is_broken() {
            break;
        }
        // Numbers of the changes that are under way while something moves.
        let meanwhile = number + 500;
        let kind = match planted {
            Planted::FullDisksLie => 7,
            Planted::SlowDisksLie => 8,
            _ => chance.within(0..14),
        };
        match kind {
            0 => rot(world, &mut chance).await,
            1 => {
                tokio::join!(crash(world, &mut chance), write(world, meanwhile));
            }
            2 => {
                tokio::join!(cut_off(world, &mut chance), write(world, meanwhile));
            }
            13 => {
                tokio::join!(all_crash(world, &mut chance), write(world, meanwhile));
            }
            3 => back_up_and_restore(world, &mut chance, number).await,
            4 => moves::writes_move(world, &mut chance, meanwhile).await,
            5 => moves::a_server_is_emptied(world, &mut chance, meanwhile).await,
            6 => moves::a_guest_comes_and_goes(world, &mut chance, meanwhile).await,
            7 => strains::a_disk_fills(world, &mut chance, meanwhile).await,
            8 => strains::a_disk_is_slow(world, &mut chance, meanwhile).await,
            9 => strains::a_disk_hangs(world, &mut chance, meanwhile).await,
            10 => strains::the_clock_jumps(world, &mut chance, meanwhile).await,
            11 => moves::the_model_changes(world, meanwhile).await,
            12 => moves::roles_change(world, meanwhile).await,
            _ => {}
        }
    }
    if !world.is_broken() {
        rot(world, &mut chance).await;
        back_up_and_restore(world, &mut chance, 100).await;
    }
    for reader in reading {
        reader.abort();
    }
    world.wires.hinder(false);
    // Where something was found wrong before, nobody waited for the others to catch up.
    if !world.is_broken() {
        world.well().await;
        checks::acknowledged_are_there(world).await;
    }
    checks::secrets_are_kept(world);
    world.judge();
}

fn refresh(tables: &[&str]) -> RefreshRequest {
    RefreshRequest {
        kind: RefreshKind::Full,
        objects: tables.iter().map(|t| ((*t).to_owned(), None)).collect(),
        readers: None,
        overrides: Default::default(),
    }
}

/// What the next refresh reads.
fn fill_sources(world: &World, number: i64) {
    let text = format!("V\n{}", format!("{number}\n").repeat(rows_of(number) as usize));
    for file in ["sales.csv", "twin.csv"] {
        let written = host::files::by_the_world(|| std::fs::write(world.path(file), &text));
        written.expect("a source can be written");
    }
    world.oracle().tried(number);
}

/// Makes a version at whoever takes the writes, as a request would be sent on to.
async fn write(world: &World, number: i64) {
    fill_sources(world, number);
    let parts: &[&[&str]] = match world.planted {
        Planted::TwoCommits => &[&["Sales"], &["Twin"]],
        _ => &[&[]],
    };
    for (i, tables) in parts.iter().enumerate() {
        let call = Call { request_id: Some(format!("write {number} {i}")), ..admin() };
        let made = world.at_writer(|s| {
            let call = call.clone();
            let request = refresh(tables);
            async move { s.refresh(&call, "Retail", request).await.map(|a| a.seq) }
        });
        let Some(seq) = made.await else { return };
        world.oracle().acknowledged(seq, number);
        checks::is_on_two_disks(world, seq);
    }
}

/// Asks some server or other, at some level or other, until the world ends.
async fn read_on(world: Arc<World>, reader: u64) {
    let mut chance = Chance::new(world.seed, &format!("reader {reader}"));
    let mut before: Option<Vec<Value>> = None;
    // What this reader's session has seen.
    let mut seen = 0;
    loop {
        sleep(Duration::from_millis(5 + chance.within(0..40))).await;
        let Some(server) = world.some_server(&mut chance) else { continue };
        let level = match chance.within(0..4) {
            0 => ReadLevel::Any,
            3 => ReadLevel::Session,
            1 => ReadLevel::Bounded(Duration::from_secs(1)),
            _ => ReadLevel::Strong,
        };
        let floor = world.oracle().newest();
        let min_seq = (level == ReadLevel::Session).then_some(seen);
        let call = Call { read: level, min_seq, ..admin() };
        // Who asked a server that was killed would keep what is left of it.
        let asked = timeout(PATIENCE / 10, ask(&server, &call, "Retail")).await;
        let (seq, row) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => {
                world.history.error(&format!("read: {:?}", e.kind));
                continue;
            }
            Err(_) => {
                world.history.error("read: no answer in time");
                continue;
            }
        };
        let name = &server.config.name;
        world.note(format!("reader {reader} at {name} {level:?}: version {seq} is {row:?}"));
        let said = match (world.planted, before.replace(row.clone())) {
            (Planted::AnswerOfBefore, Some(before)) => before,
            _ => row,
        };
        let floor = (level == ReadLevel::Strong).then_some(floor);
        world.oracle().answered(seq, &said, floor);
        if level == ReadLevel::Session {
            world.oracle().in_session(seen, seq);
            seen = seq;
        }
    }
}

async fn ask(server: &Service, call: &Call, database: &str) -> Result<(u64, Vec<Value>)> {
    let mut call = call.clone();
    call.session.catalog = Some(database.to_owned());
    let first =
        |a: evercube_service::query::QueryAnswer| Ok((a.seq, a.result.results[0].rows[0].clone()));
    server.query(&call, QUESTION, Vec::new(), first).await
}

/// Files of one server are damaged, while it runs or while it is down.
async fn rot(world: &World, chance: &mut Chance) {
    let name = *chance.of(&NAMES);
    let is_down = chance.one_in(2);
    if is_down {
        world.kill(name, chance).await;
    }
    let damaged = rot::damage(&world.objects_of(name), chance);
    world.fault("files damaged", format!("{name} (down: {is_down}) lost {damaged:?}"));
    if is_down {
        world.start(name, &[]).await;
    }
    checks::is_healed(world, name).await;
}

async fn crash(world: &World, chance: &mut Chance) {
    let name = *chance.of(&NAMES);
    sleep(Duration::from_millis(chance.within(0..60))).await;
    world.fault("crash", name);
    world.kill(name, chance).await;
    sleep(Duration::from_millis(chance.within(0..1500))).await;
    world.start(name, &[]).await;
}

/// All servers crash at once, as where the power fails.
async fn all_crash(world: &World, chance: &mut Chance) {
    sleep(Duration::from_millis(chance.within(0..60))).await;
    world.fault("crash", "all");
    for name in NAMES {
        world.kill(name, chance).await;
    }
    for name in NAMES {
        world.start(name, &[]).await;
    }
}

async fn cut_off(world: &World, chance: &mut Chance) {
    let name = *chance.of(&NAMES);
    let cut = *chance.of(&[Cut::Both, Cut::Out, Cut::In]);
    world.fault("cut", format!("{name}: {cut:?}"));
    world.wires.cut(Some((name, cut)));
    sleep(Duration::from_millis(300 + chance.within(0..1200))).await;
    world.wires.cut(None);
}

/// A backup goes to a store that may lose, damage or exchange what it has acknowledged: then
/// nothing is restored, or what was backed up.
async fn back_up_and_restore(world: &World, chance: &mut Chance, number: i64) {
    let place = world.path(&format!("store-{number}.evr"));
    let target = place.to_str().unwrap().to_owned();
    let backup = BackupRequest {
        database: "Retail".into(),
        target: target.clone(),
        password: Some(world.secret()),
        overwrite: true,
        ..BackupRequest::default()
    };
    if world.planted == Planted::SecretInLog {
        tracing::debug!(password = backup.password, "a backup is asked for");
    }
    let made = world.at_writer(|s| {
        let request = backup.clone();
        async move { s.backup(&admin(), request).await }
    });
    if made.await.is_none() {
        return;
    }
    let lies = chance.one_in(2).then(|| rot::damage(&place, chance));
    let request = RestoreRequest {
        source: target,
        database: Some("Copy".into()),
        password: Some(world.secret()),
        overwrite: true,
        ..RestoreRequest::default()
    };
    let restored = restore(world, &request, lies.is_some()).await;
    match (restored, lies) {
        (Ok(()), _) => {
            let copied = world.at_writer(|s| async move { ask(&s, &admin(), "Copy").await });
            if let Some((_, row)) = copied.await {
                world.oracle().restored(&row);
            }
        }
        (Err(_), Some(lost)) => world.note(format!("refused, for the store lost {lost:?}")),
        (Err(e), None) => world.violation("I1", format!("a whole backup was not restored: {e}")),
    }
}

async fn restore(world: &World, request: &RestoreRequest, may_fail: bool) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut last = "no server runs".to_owned();
        for server in world.running() {
            match server.restore(&admin(), request.clone()).await {
                Ok(_) => return Ok(()),
                Err(e) => last = e.to_string(),
            }
        }
        if may_fail || Instant::now() > until {
            return Err(last);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn deploy() -> DeployRequest {
    DeployRequest { text: MODEL.into(), ..DeployRequest::default() }
}

fn is_whole(file: &Path, name: &[u8; 32]) -> bool {
    std::fs::read(file).is_ok_and(|bytes| blake3::hash(&bytes).as_bytes() == name)
}
