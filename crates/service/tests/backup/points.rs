//! Earlier versions and backups as points to go back to: reading as of one, rolling back, single
//! tables; and what becomes of a backup that was tampered with.

use evercube_base::{DateTime, ErrorKind};
use evercube_service::Service;
use evercube_service::backup::Keep;
use evercube_service::backup_use::{BackupRequest, RestoreRequest};
use evercube_service::call::{At, Call};

use super::{
    World, admin, back_up, filled, from, read_anew, restore, retail, rows, to, version, world,
};

/// Gives the database other rows.
pub async fn refreshed(world: &World, server: &Service, text: &str) -> u64 {
    std::fs::write(world.folder.path().join("sales.csv"), text).unwrap();
    read_anew(server, &[]).await
}

fn at(seq: u64) -> Call {
    Call { at: Some(At::Seq(seq)), ..admin() }
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_versions_are_read_and_gone_back_to() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    let first = version(&one, "Retail").await;
    let mut last = 0;
    for n in 1..6 {
        last = refreshed(&world, &one, &format!("Amount\n{}", "7\n".repeat(n))).await;
    }
    // Long out of memory by now.
    let old = one.version(&at(first.seq), "Retail").await.unwrap();
    assert_eq!((old.root, rows(&old)), (first.root, 3));
    let between = one.version(&at(last - 1), "Retail").await.unwrap();
    assert_eq!(rows(&between), 4);
    let time = DateTime::from_unix_micros(first.updated_micros).unwrap();
    let then = one.version(&Call { at: Some(At::Time(time)), ..admin() }, "Retail").await.unwrap();
    assert_eq!(then.seq, first.seq);
    let never = one.version(&at(1), "Retail").await.unwrap_err();
    assert!(never.kind == ErrorKind::NotFound && never.message.contains("oldest"), "{never}");
    assert!(one.version(&at(last + 1000), "Retail").await.is_err());
    // What earlier roles allowed is nobody's right.
    let ann = Call { at: Some(At::Seq(first.seq)), ..Call::default() };
    assert_eq!(one.version(&ann, "Retail").await.unwrap_err().kind, ErrorKind::Denied);

    let listed = one.versions_of(&admin(), "retail").await.unwrap();
    assert!(listed[0].current && listed[0].version == last);
    assert!(listed.iter().any(|v| v.version == first.seq));
    let call = Call { request_id: Some("back".into()), ..admin() };
    let back = one.roll_back(&call, "retail", At::Seq(first.seq)).await.unwrap();
    let now = version(&one, "Retail").await;
    assert_eq!((now.seq, now.root, rows(&now)), (back.seq, first.root, 3));
    // Sent again it is answered, and asked again there is nothing to do.
    assert_eq!(one.roll_back(&call, "retail", At::Seq(first.seq)).await.unwrap().seq, back.seq);
    let again = one.roll_back(&admin(), "Retail", At::Seq(back.seq)).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
    let nobody = one.roll_back(&Call::default(), "Retail", At::Seq(last)).await.unwrap_err();
    assert_eq!(nobody.kind, ErrorKind::Denied);

    one.drop_database(&admin(), "Retail").await.unwrap();
    assert!(one.version(&Call::default(), "Retail").await.is_err());
    one.roll_back(&admin(), "Retail", At::Seq(last)).await.unwrap();
    assert_eq!(rows(&*version(&one, "Retail").await), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_backups_is_restored_as_of_a_version_or_time() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    let folder = world.path("b");
    std::fs::create_dir(&folder).unwrap();
    let mut made = Vec::new();
    for n in 1..4 {
        let seq = refreshed(&world, &one, &format!("Amount\n{}", "7\n".repeat(n))).await;
        back_up(&one, to(folder.join(format!("{n}.evb")))).await.unwrap();
        made.push((seq, one.now()));
    }
    let as_of = |at| RestoreRequest {
        at: Some(at),
        database: Some("Copy".into()),
        overwrite: true,
        ..from(&folder)
    };
    for (n, (seq, time)) in made.iter().enumerate() {
        for at in [At::Seq(*seq), At::Time(*time)] {
            restore(&one, as_of(at)).await.unwrap();
            assert_eq!(rows(&*version(&one, "Copy").await), n as u64 + 1);
        }
    }
    assert_eq!(restore(&one, as_of(At::Seq(1))).await.unwrap_err().kind, ErrorKind::NotFound);
    let newer = RestoreRequest {
        at: Some(At::Seq(made[0].0)),
        overwrite: true,
        ..from(folder.join("3.evb"))
    };
    assert!(restore(&one, newer).await.unwrap_err().message.contains("later than"));

    let keep = Keep { last: 2, ..Keep::default() };
    let place = folder.to_str().unwrap();
    let pruned = one.prune_backups(&admin(), Some(place), None, keep, true).await.unwrap();
    assert_eq!(pruned.iter().map(|b| b.name.as_str()).collect::<Vec<_>>(), ["1.evb"]);
    assert!(folder.join("1.evb").exists());
    one.prune_backups(&admin(), Some(place), None, keep, false).await.unwrap();
    assert!(!folder.join("1.evb").exists() && folder.join("2.evb").exists());
    // What was pruned is not missed.
    let verified = one.verify_backups(&admin(), Some(place), None).await.unwrap();
    assert!(verified.len() == 2 && verified.iter().all(|b| b.state == "ok"), "{verified:?}");
    let nothing = one.prune_backups(&admin(), Some(place), None, Keep::default(), false).await;
    assert_eq!(nothing.unwrap_err().kind, ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_table_comes_back_and_the_rest_stays() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    let path = world.path("b.evb");
    back_up(&one, to(&path)).await.unwrap();
    refreshed(&world, &one, "Amount\n1\n").await;
    let more = r##"{ "createOrReplace": { "object": { "database": "Retail", "table": "Other" },
        "table": { "name": "Other", "columns": [ { "name": "X", "dataType": "int64", "sourceColumn": "X" } ],
        "partitions": [ { "name": "p", "source": { "type": "m", "expression": "#table({\"X\"},{{5}})" } } ] } } }"##;
    one.execute_tmsl(&admin(), more).await.unwrap();
    read_anew(&one, &["Other"]).await;
    assert_eq!(rows(&*version(&one, "Retail").await), 2);
    let table = |name: &str| RestoreRequest { table: Some(name.into()), ..from(&path) };
    restore(&one, table("sales")).await.unwrap();
    let now = version(&one, "Retail").await;
    assert_eq!(rows(&now), 4);
    assert_eq!(now.model.database.model.tables.len(), 2);
    // A table that is gone comes back too.
    let gone = r#"{ "delete": { "object": { "database": "Retail", "table": "Sales" } } }"#;
    one.execute_tmsl(&admin(), gone).await.unwrap();
    restore(&one, table("Sales")).await.unwrap();
    assert_eq!(rows(&*version(&one, "Retail").await), 4);
    let e = restore(&one, table("Nothing")).await.unwrap_err();
    assert!(e.message.contains("has no table 'Nothing'"), "{e}");
    let elsewhere = RestoreRequest { database: Some("New".into()), ..table("Sales") };
    assert_eq!(restore(&one, elsewhere).await.unwrap_err().kind, ErrorKind::NotFound);
}

/// A table of two partitions, each read from a file of its own.
async fn two_years(world: &World, server: &Service, first: &str, second: &str) {
    let file = |name: &str, text: &str| {
        std::fs::write(world.folder.path().join(format!("{name}.csv")), text).unwrap();
    };
    file("first", first);
    file("second", second);
    let partition = |name: &str| {
        format!(
            r#"{{ "name": "{name}", "source": {{ "type": "m", "expression": "Table.TransformColumnTypes(Table.PromoteHeaders(Csv.Document(File.Contents(\"{name}.csv\"))), {{{{\"Amount\", Int64.Type}}, {{\"Kind\", type text}}}})" }} }}"#
        )
    };
    let model = format!(
        r#"{{ "name": "Retail", "compatibilityLevel": 1600, "model": {{ "culture": "en-US", "tables": [ {{
          "name": "Sales", "columns": [
            {{ "name": "Amount", "dataType": "int64", "sourceColumn": "Amount" }},
            {{ "name": "Kind", "dataType": "string", "sourceColumn": "Kind" }},
            {{ "type": "calculated", "name": "Twice", "dataType": "int64", "expression": "[Amount] * 2" }} ],
          "partitions": [ {}, {} ] }} ] }} }}"#,
        partition("first"),
        partition("second"),
    );
    filled(server, &model).await;
}

async fn asked(server: &Service, text: &str) -> String {
    let call = Call {
        session: evercube_service::session::Session {
            catalog: Some("Retail".into()),
            ..admin().session
        },
        ..admin()
    };
    let read = |found: evercube_service::query::QueryAnswer| {
        let results = &found.result;
        Ok((format!("{results:?}"), found.seq))
    };
    server.query(&call, text, Vec::new(), read).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn one_partition_comes_back_and_its_neighbour_stays() {
    let world = world();
    let one = world.start("one", &[]).await;
    two_years(&world, &one, "Amount,Kind\n1,a\n2,b\n", "Amount,Kind\n10,c\n").await;
    let file = world.path("b.evb");
    let shelf = world.path("r.evr");
    back_up(&one, to(&file)).await.unwrap();
    back_up(&one, to(&shelf)).await.unwrap();
    let sums = "EVALUATE ROW(\"all\", SUM(Sales[Amount]), \"twice\", SUM(Sales[Twice]))";
    let sources = [file.clone(), shelf.join("Retail")];
    for source in &sources {
        two_years(&world, &one, "Amount,Kind\n3,a\n", "Amount,Kind\n20,c\n").await;
        let said = asked(&one, sums).await;
        assert!(said.contains("23") && said.contains("46"), "{said}");
        let partition = |table: &str, name: &str| RestoreRequest {
            table: Some(table.into()),
            partition: Some(name.into()),
            ..from(source)
        };
        restore(&one, partition("sales", "FIRST")).await.unwrap();
        // What is calculated from the rows that came back is calculated again.
        let said = asked(&one, sums).await;
        assert!(said.contains("23") && said.contains("46"), "{said}");
        assert_eq!(rows(&*version(&one, "Retail").await), 3);
        let e = restore(&one, partition("Sales", "third")).await.unwrap_err();
        assert!(e.message.contains("has no partition 'third'"), "{e}");
        let e = restore(&one, partition("Nothing", "first")).await.unwrap_err();
        assert!(e.message.contains("has no table 'Nothing'"), "{e}");
        let alone = RestoreRequest { table: None, ..partition("", "first") };
        assert_eq!(restore(&one, alone).await.unwrap_err().kind, ErrorKind::Invalid);
    }
    // One that was deleted comes back beside the others; TMSL says it too.
    let gone = r#"{ "delete": { "object": { "database": "Retail", "table": "Sales", "partition": "second" } } }"#;
    one.execute_tmsl(&admin(), gone).await.unwrap();
    assert_eq!(rows(&*version(&one, "Retail").await), 2);
    let back = serde_json::json!({ "restore": { "database": "Retail", "file": file.to_str().unwrap(),
        "table": "Sales", "partition": "second" } });
    one.execute_tmsl(&admin(), &back.to_string()).await.unwrap();
    assert!(asked(&one, sums).await.contains("13"));
    // Rows that do not fit the columns of today are refused, not put into the wrong ones.
    let column = |name: &str, kind: &str, source: &str| {
        serde_json::json!({ "createOrReplace": {
            "object": { "database": "Retail", "table": "Sales", "column": name },
            "column": { "name": name, "dataType": kind, "sourceColumn": source } } })
    };
    for (change, word) in [
        (column("New", "int64", "New"), "Sales[New] was not there"),
        (column("Amount", "int64", "Other"), "Sales[Amount] is read from another column"),
        (column("Amount", "double", "Amount"), "with another type"),
    ] {
        let before = version(&one, "Retail").await;
        one.execute_tmsl(&admin(), &change.to_string()).await.unwrap();
        let request = RestoreRequest {
            table: Some("Sales".into()),
            partition: Some("first".into()),
            ..from(&file)
        };
        let e = restore(&one, request).await.unwrap_err();
        assert!(e.kind == ErrorKind::Conflict && e.message.contains(word), "{e}");
        one.roll_back(&admin(), "Retail", At::Seq(before.seq)).await.unwrap();
    }
}

/// Each way a backup is not what was written has its own word, and restoring it changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn tampered_backups_are_told_apart_and_change_nothing() {
    let world = world();
    let one = world.start("one", &[]).await;
    retail(&one).await;
    let mut told = 0;
    for password in [None, Some("right".to_owned())] {
        // A password takes its time.
        let samples = if password.is_some() { 20 } else { 100 };
        let folder = world.path(if password.is_some() { "locked" } else { "open" });
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("r.evb");
        let request = BackupRequest { password: password.clone(), ..to(&path) };
        back_up(&one, request.clone()).await.unwrap();
        let older = std::fs::read(&path).unwrap();
        back_up(&one, BackupRequest { overwrite: true, ..request.clone() }).await.unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut cases: Vec<(Vec<u8>, &[&str])> =
            vec![(older, &["older"][..]), (b"A,B\n1,2\n".to_vec(), &["foreign"][..])];
        for length in (0..whole.len()).step_by(whole.len() / 20) {
            cases.push((whole[..length].to_vec(), &["truncated"][..]));
        }
        for place in (0..whole.len()).step_by(whole.len() / samples) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            // A changed length runs over the end.
            cases.push((bytes, &["damaged", "truncated"]));
        }
        let before = one.metastore.state().databases.clone();
        for (bytes, words) in cases {
            std::fs::write(&path, bytes).unwrap();
            let place = folder.to_str().unwrap();
            let found = if words == ["foreign"] { path.to_str().unwrap() } else { place };
            let verified =
                one.verify_backups(&admin(), Some(found), password.clone()).await.unwrap();
            let state = verified[0].state.as_str();
            assert!(words.contains(&state), "{words:?}: {verified:?}");
            let again =
                RestoreRequest { overwrite: true, password: password.clone(), ..from(&path) };
            restore(&one, again).await.unwrap_err();
            told += 1;
        }
        assert_eq!(one.metastore.state().databases, before);
        std::fs::write(&path, &whole).unwrap();
        let place = folder.to_str().unwrap();
        let state = async |password: Option<&str>| {
            let password = password.map(str::to_owned);
            one.verify_backups(&admin(), Some(place), password).await.unwrap()[0].state.clone()
        };
        if password.is_some() {
            assert_eq!(state(Some("wrong")).await, "password");
            assert_eq!(state(None).await, "password");
            let listed = one.list_backups(&admin(), Some(place), None).await.unwrap();
            assert_eq!(
                (listed[0].state.as_str(), listed[0].database.as_deref()),
                ("encrypted", Some("Retail"))
            );
            told += 2;
        }
        assert_eq!(state(password.as_deref()).await, "ok");
        let listed = one.list_backups(&admin(), Some(place), password.clone()).await.unwrap();
        assert!(listed[0].verified.is_some(), "{listed:?}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(state(password.as_deref()).await, "missing");
        told += 1;
        assert_eq!(one.metastore.state().databases, before);
    }
    println!("{told} changed backups were told apart");
    assert!(told > 150, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_folder_is_listed_proved_and_pruned_on_every_member() {
    let world = world();
    let a = world.start("a", &[]).await;
    let b = world.start("b", &["a"]).await;
    while a.metastore.state().members.len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    retail(&a).await;
    for name in ["x.abf", "y.abf"] {
        back_up(&a, to(name)).await.unwrap();
    }
    let listed = b.list_backups(&admin(), None, None).await.unwrap();
    assert_eq!(listed.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["x.abf", "y.abf"]);
    let proved = a.verify_backups(&admin(), None, None).await.unwrap();
    assert!(proved.iter().all(|f| f.state == "ok"), "{proved:?}");
    let keep = Keep { last: 1, ..Keep::default() };
    a.prune_backups(&admin(), None, None, keep, false).await.unwrap();
    for name in ["a", "b"] {
        assert!(!world.path(name).join("backup/x.abf").exists());
        assert!(world.path(name).join("backup/y.abf").exists());
    }
    let nobody = a.list_backups(&Call::default(), None, None).await.unwrap_err();
    assert_eq!(nobody.kind, ErrorKind::Denied);
}
