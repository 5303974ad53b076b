//! Backups in repositories, as a server makes and restores them, and every version shipped there as
//! soon as it is committed.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{DateTime, ErrorKind};
use evercube_metastore::{BackupTask, Task};
use evercube_service::Service;
use evercube_service::backup::Keep;
use evercube_service::backup::repository::Setup;
use evercube_service::backup_use::catalog::BackupFacts;
use evercube_service::backup_use::{BackupRequest, RestoreRequest};
use evercube_service::call::{At, Call};
use evercube_service::schedule::ScheduleRequest;

use super::points::refreshed;
use super::{World, admin, back_up, from, restore, retail, rows, three, to, version, world};

/// Every file below a folder.
fn files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| if e.path().is_dir() { files(&e.path()) } else { 1 }).sum()
}

fn amounts(n: usize) -> String {
    format!("Amount\n{}", "7\n".repeat(n))
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_kept_once_and_restored_by_version_time_and_name() {
    let (here, there) = (world(), world());
    let one = here.start("one", &[]).await;
    let two = there.start("two", &[]).await;
    retail(&one).await;
    let place = here.path("b/group.evr");
    let secret = |request: BackupRequest| BackupRequest { password: Some("pw".into()), ..request };
    let mut made = Vec::new();
    for n in 1..4 {
        let seq = refreshed(&here, &one, &amounts(n)).await;
        assert_eq!(back_up(&one, secret(to(&place))).await.unwrap().seq, seq);
        made.push((seq, one.now(), version(&one, "Retail").await.root));
    }
    let objects = files(&place.join("obj"));
    // The same version again brings nothing but a manifest.
    back_up(&one, secret(to(&place))).await.unwrap();
    assert_eq!((files(&place.join("obj")), files(&place.join("man"))), (objects, 4));

    let wanted = |source: &str, at| RestoreRequest {
        at,
        password: Some("pw".into()),
        database: Some("Copy".into()),
        overwrite: true,
        ..from(source)
    };
    let base = place.to_str().unwrap();
    for (seq, time, root) in &made {
        let by_name = format!("{base}/Retail@{seq}");
        let all =
            [(base, Some(At::Seq(*seq))), (base, Some(At::Time(*time))), (by_name.as_str(), None)];
        for (source, at) in all {
            restore(&two, wanted(source, at)).await.unwrap();
            // Under its own name it is the same to the last bit.
            let same = RestoreRequest { database: None, ..wanted(source, at) };
            restore(&two, same).await.unwrap();
            assert_eq!(version(&two, "Retail").await.root, *root);
        }
    }
    restore(&two, wanted(base, None)).await.unwrap();
    assert_eq!(rows(&*version(&two, "Copy").await), 3);
    let before = two.metastore.state().databases.clone();
    let said = async |request, kind, words: &str| {
        let e = restore(&two, request).await.unwrap_err();
        assert!(e.kind == kind && e.message.contains(words), "{e}");
    };
    let early = wanted(base, Some(At::Seq(1)));
    said(early, ErrorKind::NotFound, "as old as that").await;
    said(wanted(&format!("{base}/Other"), None), ErrorKind::NotFound, "no backup").await;
    let no_password = RestoreRequest { password: None, ..wanted(base, None) };
    said(no_password, ErrorKind::Invalid, "no password was given").await;
    let wrong = RestoreRequest { password: Some("no".into()), ..wanted(base, None) };
    said(wrong, ErrorKind::Invalid, "none of those that open").await;
    let nowhere = there.path("x.evr");
    said(wanted(nowhere.to_str().unwrap(), None), ErrorKind::NotFound, "no backup repository")
        .await;
    assert_eq!(two.metastore.state().databases, before);

    // Another database beside it needs its name.
    let copy = BackupRequest { database: "Copy".into(), ..secret(to(&place)) };
    back_up(&two, copy).await.unwrap();
    said(RestoreRequest { database: None, ..wanted(base, None) }, ErrorKind::Invalid, "name one")
        .await;
    restore(&two, wanted(&format!("{base}/copy"), None)).await.unwrap();
    let statement = format!(
        r#"{{ "restore": {{ "database": "Third", "file": "{base}/Retail", "password": "pw" }} }}"#
    );
    two.execute_tmsl(&admin(), &statement).await.unwrap();
    assert_eq!(rows(&*version(&two, "Third").await), 3);
    let bare = back_up(&one, to("group.evr")).await.unwrap_err();
    assert!(bare.message.contains("a place of its own"), "{bare}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_listed_proved_pruned_and_its_loss_is_told() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    let place = world.path("group.evr");
    let base = place.to_str().unwrap();
    let mut made = Vec::new();
    for n in 1..4 {
        made.push(refreshed(&world, &one, &amounts(n)).await);
        back_up(&one, to(&place)).await.unwrap();
    }
    let listed = one.list_backups(&admin(), Some(base), None).await.unwrap();
    let seen: Vec<Option<u64>> = listed.iter().map(|f| f.version).collect();
    assert_eq!(seen, made.iter().map(|s| Some(*s)).collect::<Vec<_>>());
    assert!(listed.iter().all(|f| f.state == "ok" && f.verified.is_some()), "{listed:?}");
    assert_eq!(listed[2].place, format!("{base}/Retail@{}", made[2]));
    let states = async |place: &str| {
        let all = one.verify_backups(&admin(), Some(place), None).await.unwrap();
        all.into_iter().map(|f| f.state).collect::<Vec<_>>()
    };
    assert_eq!(states(base).await, ["ok", "ok", "ok"]);
    assert_eq!(states(&format!("{base}/Retail@{}", made[1])).await, ["ok"]);
    // The folder it lies in has backups of its own, and so have folders below.
    std::fs::create_dir(world.path("below")).unwrap();
    for file in ["beside.evb", "below/deeper.evb"] {
        back_up(&one, to(world.path(file))).await.unwrap();
    }
    let folder = format!("{}/", place.parent().unwrap().display());
    assert_eq!(states(&folder).await, ["ok"]);
    std::fs::remove_file(world.path("beside.evb")).unwrap();
    assert_eq!(states(&folder).await, ["missing"]);

    // A file of the newest is cut, gone, and whole again.
    let manifests = || {
        let folder = std::fs::read_dir(place.join("man")).unwrap().next().unwrap().unwrap().path();
        let mut all: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    };
    let newest = manifests().pop().unwrap();
    let whole = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(states(base).await, ["ok", "ok", "truncated"]);
    std::fs::copy(&manifests()[1], &newest).unwrap();
    assert_eq!(states(base).await, ["ok", "ok", "swapped"]);
    std::fs::remove_file(&newest).unwrap();
    assert_eq!(states(base).await, ["ok", "ok", "missing"]);
    // What is the newest now is not taken for the newest.
    let before = one.metastore.state().databases.clone();
    let copy = |source: &str| RestoreRequest { database: Some("Copy".into()), ..from(source) };
    let e = restore(&one, copy(base)).await.unwrap_err();
    assert!(e.kind == ErrorKind::Corrupt && e.message.contains("an older state"), "{e}");
    assert_eq!(one.metastore.state().databases, before);
    restore(&one, copy(&format!("{base}/Retail@{}", made[1]))).await.unwrap();
    std::fs::write(&newest, &whole).unwrap();
    // What others leave there is nothing of the repository's, and stops nothing.
    let strange = [place.join("man/strange"), newest.with_file_name("strange")];
    for path in &strange {
        std::fs::write(path, "x").unwrap();
    }
    assert_eq!(states(base).await, ["ok", "ok", "ok"]);
    restore(&one, RestoreRequest { overwrite: true, ..copy(base) }).await.unwrap();
    for path in &strange {
        std::fs::remove_file(path).unwrap();
    }

    let keep = Keep { last: 1, ..Keep::default() };
    let pruned = one.prune_backups(&admin(), Some(base), None, keep, true).await.unwrap();
    assert_eq!((pruned.len(), manifests().len()), (2, 3));
    one.prune_backups(&admin(), Some(base), None, keep, false).await.unwrap();
    // What was pruned is not missed, and what is left is whole.
    assert_eq!(states(base).await, ["ok"]);
    assert_eq!(rows(&*version(&one, "Retail").await), 3);

    // Only administrators, and only repositories.
    let nobody = one.repository_passwords(&Call::default(), base, None).await.unwrap_err();
    assert_eq!(nobody.kind, ErrorKind::Denied);
    let setup = || Setup { password: Some("a".into()), ..Setup::default() };
    let e = one.init_repository(&admin(), "/tmp/x", setup()).await.unwrap_err();
    assert!(e.message.contains("ends in .evr"), "{e}");
    let locked = world.path("locked.evr");
    let locked = locked.to_str().unwrap();
    one.init_repository(&admin(), locked, setup()).await.unwrap();
    one.add_password(&admin(), locked, Some("a".into()), "second", "b".into()).await.unwrap();
    one.remove_password(&admin(), locked, Some("b".into()), "first").await.unwrap();
    let slots = one.repository_passwords(&admin(), locked, Some("b".into())).await.unwrap();
    assert_eq!(slots.len(), 1);
}

/// A schedule that ships every version to a target.
fn following(target: Option<&std::path::Path>) -> ScheduleRequest {
    let task = BackupTask {
        database: "Retail".into(),
        target: target.map(|t| t.to_str().unwrap().into()),
        verify: true,
        continuous: true,
        ..BackupTask::default()
    };
    ScheduleRequest {
        name: "log".into(),
        task: Task::Backup(task),
        cron: "@monthly".into(),
        zone: "UTC".into(),
        run_on: None,
        retries: 0,
        retry_pause_seconds: 1,
        catch_up: false,
        replace: false,
    }
}

/// Waits until every version is in the repository.
async fn shipped(server: &Service) {
    while server.log_lags(server.now().unix_micros()).values().any(|(_, lag)| *lag > 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn writer<'a>(all: &[&'a Arc<Service>]) -> &'a Arc<Service> {
    loop {
        if let Some(s) = all.iter().find(|s| s.is_writer()) {
            return s;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Versions are shipped before and after the writer dies; when all servers are lost, each of them is
/// restored by its number and by its time.
#[tokio::test(flavor = "multi_thread")]
async fn every_version_survives_the_loss_of_every_server() {
    let world = world();
    let [a, b, c] = three(&world).await;
    let place = world.path("shared/group.evr");
    let nowhere = a.put_schedule(&admin(), following(None)).await.unwrap_err();
    assert!(nowhere.message.contains(".evr"), "{nowhere}");
    a.put_schedule(&admin(), following(Some(&place))).await.unwrap();
    let mut made: Vec<(u64, DateTime, [u8; 32], u64)> = Vec::new();
    let mut note = async |world: &World, server: &Service, n: usize| {
        let seq = refreshed(world, server, &amounts(n)).await;
        let now = version(server, "Retail").await;
        let time = DateTime::from_unix_micros(now.updated_micros).unwrap();
        made.push((seq, time, now.root, rows(&now)));
    };
    for n in 1..4 {
        note(&world, &a, n).await;
    }
    shipped(&a).await;
    world.kill("a").await;
    let next = writer(&[&b, &c]).await;
    for n in 5..8 {
        note(&world, next, n).await;
    }
    shipped(next).await;
    for name in ["b", "c"] {
        world.kill(name).await;
    }

    let elsewhere = super::world();
    let new = elsewhere.start("new", &[]).await;
    let base = place.to_str().unwrap();
    for (seq, time, root, count) in &made {
        for at in [At::Seq(*seq), At::Time(*time)] {
            let request = RestoreRequest { at: Some(at), overwrite: true, ..from(base) };
            restore(&new, request).await.unwrap();
            let back = version(&new, "Retail").await;
            assert_eq!((back.root, rows(&back)), (*root, *count), "version {seq}");
        }
    }
    let verified = new.verify_backups(&admin(), Some(base), None).await.unwrap();
    assert!(verified.iter().all(|f| f.state == "ok"), "{verified:?}");
    // Every version once, whoever shipped it.
    let seqs: Vec<u64> = verified.iter().filter_map(|f| f.version).collect();
    let mut once = seqs.clone();
    once.dedup();
    assert_eq!(seqs, once);
    assert!(made.iter().all(|(seq, ..)| seqs.contains(seq)), "{seqs:?}");
    println!("{} versions, each restored by number and by time", made.len());
}

/// A version that was taken out of the log is missed: the one before it is not restored in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_the_log_is_told() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    let place = world.path("group.evr");
    one.put_schedule(&admin(), following(Some(&place))).await.unwrap();
    let mut made = Vec::new();
    for n in 1..4 {
        made.push(refreshed(&world, &one, &amounts(n)).await);
        shipped(&one).await;
    }
    let base = place.to_str().unwrap();
    let copy = |at| RestoreRequest {
        at,
        database: Some("Copy".into()),
        overwrite: true,
        ..from(place.join("Retail"))
    };
    let states = async || {
        let verified = one.verify_backups(&admin(), Some(base), None).await.unwrap();
        let of = |f: &BackupFacts| (f.version.unwrap(), f.state.clone());
        verified.iter().map(of).collect::<std::collections::BTreeMap<_, _>>()
    };
    assert!(states().await.values().all(|s| s == "ok"));
    let shelf = std::fs::read_dir(place.join("man")).unwrap().next().unwrap().unwrap().path();
    let digits = format!("-{:016x}-", made[1]);
    let mut files = std::fs::read_dir(&shelf).unwrap().map(|f| f.unwrap().path());
    let middle = files.find(|f| f.to_str().unwrap().contains(&digits)).unwrap();
    std::fs::rename(&middle, world.path("taken")).unwrap();
    for at in [made[1], made[2] - 1] {
        let e = restore(&one, copy(Some(At::Seq(at)))).await.unwrap_err();
        assert!(e.kind == ErrorKind::Corrupt && e.message.contains("is missing in"), "{e}");
    }
    // What is there is restored, and so is the version before where it is named.
    restore(&one, copy(Some(At::Seq(made[0])))).await.unwrap();
    restore(&one, copy(None)).await.unwrap();
    assert_eq!(rows(&*version(&one, "Copy").await), rows(&*version(&one, "Retail").await));
    let named = format!("{base}/Retail@{}", made[0]);
    restore(&one, RestoreRequest { source: named, ..copy(None) }).await.unwrap();
    assert_eq!(states().await[&made[1]], "missing");
    std::fs::rename(world.path("taken"), &middle).unwrap();
    restore(&one, copy(Some(At::Seq(made[1])))).await.unwrap();
    // What is pruned is not missed.
    let keep = Keep { last: 1, ..Keep::default() };
    one.prune_backups(&admin(), Some(base), None, keep, false).await.unwrap();
    let left = states().await;
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [(made[2], "ok".to_owned())]);
}

/// While the place is away versions wait and the lag grows; when it is back all of them get there.
#[tokio::test(flavor = "multi_thread")]
async fn versions_wait_for_a_place_that_is_away() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    // A file stands where the folder should be.
    let blocked = world.path("away");
    std::fs::write(&blocked, "in the way").unwrap();
    let place = blocked.join("group.evr");
    one.put_schedule(&admin(), following(Some(&place))).await.unwrap();
    let mut made = Vec::new();
    for n in 1..4 {
        made.push(refreshed(&world, &one, &amounts(n)).await);
    }
    let lag = |now: i64| one.log_lags(now)["log"].1;
    let now = one.now().unix_micros();
    assert!(lag(now + 10_000_000) > 9_000_000, "{}", lag(now));
    std::fs::remove_file(&blocked).unwrap();
    shipped(&one).await;
    let listed = one.list_backups(&admin(), place.to_str(), None).await.unwrap();
    let seqs: Vec<u64> = listed.iter().filter_map(|f| f.version).collect();
    assert!(made.iter().all(|seq| seqs.contains(seq)), "{seqs:?}");
}
