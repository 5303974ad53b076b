//! Deploying, refreshing and changing a model whose data are files, on one server.

#[path = "in_process/config.rs"]
mod config;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evercube_base::{Error, ErrorKind, Result, Severity, Value};
use evercube_metastore::Transport;
use evercube_model::changes::{ObjectChange, Verb};
use evercube_model::tmsl::RefreshKind;
use evercube_service::browse::Browse;
use evercube_service::call::Call;
use evercube_service::deploy::DeployRequest;
use evercube_service::refresh::RefreshRequest;
use evercube_service::versions::LoadedVersion;
use evercube_service::{Service, ServiceConfig};
use evercube_sources::FilePolicy;

use config::config;

struct Alone;

#[async_trait]
impl Transport for Alone {
    async fn call(&self, to: &str, _: &str, _: Vec<u8>, _: Duration) -> Result<Vec<u8>> {
        Err(Error::new(ErrorKind::Unavailable, format!("{to} is not reachable")))
    }
}

struct World {
    folder: tempfile::TempDir,
    service: Arc<Service>,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let config = ServiceConfig {
        file_policy: FilePolicy::Folders(vec![folder.path().into()]),
        ..config("one", folder.path().join("data"), folder.path(), &[])
    };
    let service = Service::start(config, Arc::new(Alone)).await.unwrap();
    let world = World { folder, service };
    world.file("sales.csv", "Product,Amount\n1,10\n2,20\n2,30\n");
    world.file("more.csv", "Product,Amount\n1,5\n");
    world.file("product.csv", "Key,Name\n1,Apple\n2,Pear\n");
    world
}

fn admin() -> Call {
    let mut call = Call::default();
    call.session.is_admin = true;
    call.session.user = "admin".into();
    call
}

fn with_id(id: &str) -> Call {
    Call { request_id: Some(id.into()), ..admin() }
}

fn csv(file: &str, types: &str) -> String {
    format!(
        "Table.TransformColumnTypes(Table.PromoteHeaders(Csv.Document(File.Contents(\\\"{file}\\\"), [Delimiter=\\\",\\\"])), {{{types}}})"
    )
}

/// Two tables and a measure; `measure` is its expression.
fn retail(measure: &str) -> String {
    let sales = r#"{\"Product\", Int64.Type}, {\"Amount\", Int64.Type}"#;
    let product = r#"{\"Key\", Int64.Type}"#;
    format!(
        r#"{{ "name": "Retail", "compatibilityLevel": 1600, "model": {{ "culture": "en-US",
        "tables": [
        {{ "name": "Sales",
           "columns": [ {{ "name": "Product", "dataType": "int64", "sourceColumn": "Product" }},
                        {{ "name": "Amount", "dataType": "int64", "sourceColumn": "Amount" }} ],
           "measures": [ {{ "name": "Total", "expression": "{measure}" }} ],
           "partitions": [
             {{ "name": "main", "source": {{ "type": "m", "expression": "{}" }} }},
             {{ "name": "more", "source": {{ "type": "m", "expression": "{}" }} }} ] }},
        {{ "name": "Product",
           "columns": [ {{ "name": "Key", "dataType": "int64", "sourceColumn": "Key" }},
                        {{ "name": "Name", "dataType": "string", "sourceColumn": "Name" }} ],
           "partitions": [
             {{ "name": "all", "source": {{ "type": "m", "expression": "{}" }} }} ] }} ],
        "relationships": [ {{ "name": "r", "fromTable": "Sales", "fromColumn": "Product",
                              "toTable": "Product", "toColumn": "Key" }} ] }} }}"#,
        csv("sales.csv", sales),
        csv("more.csv", sales),
        csv("product.csv", product)
    )
}

impl World {
    fn file(&self, name: &str, text: &str) {
        std::fs::write(Path::join(self.folder.path(), name), text).unwrap();
    }

    async fn deploy(&self, call: &Call, text: &str) -> Result<evercube_service::call::WriteAnswer> {
        let request = DeployRequest { text: text.into(), ..DeployRequest::default() };
        self.service.deploy(call, request).await
    }

    async fn refresh(&self, kind: RefreshKind, objects: &[(&str, Option<&str>)]) -> Result<u64> {
        let own = |(t, p): &(&str, Option<&str>)| ((*t).to_owned(), p.map(str::to_owned));
        let request = RefreshRequest {
            kind,
            objects: objects.iter().map(own).collect(),
            readers: None,
            overrides: Default::default(),
        };
        Ok(self.service.refresh(&admin(), "Retail", request).await?.seq)
    }

    async fn version(&self) -> Arc<LoadedVersion> {
        self.service.version(&Call::default(), "Retail").await.unwrap()
    }

    async fn rows(&self) -> Vec<usize> {
        self.version().await.store.tables.iter().map(|t| t.rows()).collect()
    }
}

fn column(version: &LoadedVersion, table: usize, column: u32) -> Vec<Value> {
    let data = &version.store.tables[table];
    (0..data.rows()).map(|r| data.column(column).value(data.column(column).code(r))).collect()
}

fn ints(values: &[i64]) -> Vec<Value> {
    values.iter().copied().map(Value::Int).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_deployed_refreshed_and_deployed_again_with_its_data() {
    let w = world().await;
    let first = w.deploy(&with_id("d1"), &retail("SUM ( Sales[Amount] )")).await.unwrap();
    assert_eq!(w.rows().await, [0, 0]);
    let seq = w.refresh(RefreshKind::Full, &[]).await.unwrap();
    assert!(seq > first.seq);
    assert_eq!(w.rows().await, [4, 2]);
    assert_eq!(column(&*w.version().await, 0, 1), ints(&[10, 20, 30, 5]));
    assert!(w.version().await.manifest.tables[0].partitions[1].refreshed_micros.is_some());

    // The same request again is answered, not done again.
    let again = w.deploy(&with_id("d1"), &retail("SUM ( Sales[Amount] )")).await.unwrap();
    assert_eq!((again.seq, w.rows().await), (first.seq, vec![4, 2]));

    // Another measure, columns in another order, one partition gone: the rest keeps its data.
    let changed = retail("SUM ( ")
        .replace(r#"{ "name": "Product", "dataType": "int64", "sourceColumn": "Product" },"#, "");
    let changed = changed.replace(
        r#"{ "name": "Amount", "dataType": "int64", "sourceColumn": "Amount" } ]"#,
        r#"{ "name": "Amount", "dataType": "int64", "sourceColumn": "Amount" },
           { "name": "Product", "dataType": "int64", "sourceColumn": "Product" } ]"#,
    );
    let changed = changed.replace(r#""name": "more""#, r#""name": "other""#);
    let answer = w.deploy(&admin(), &changed).await.unwrap();
    assert_eq!(w.rows().await, [3, 2]);
    assert_eq!(column(&*w.version().await, 0, 0), ints(&[10, 20, 30]));
    assert_eq!(column(&*w.version().await, 0, 1), ints(&[1, 2, 2]));
    let bad = answer.messages.iter().find(|m| m.object == "Sales[Total]").unwrap();
    assert!(bad.severity == Severity::Warning && bad.message.contains("line 1"), "{bad:?}");

    w.refresh(RefreshKind::Automatic, &[]).await.unwrap();
    assert_eq!(w.rows().await, [4, 2]);
    w.refresh(RefreshKind::Add, &[("sales", Some("OTHER"))]).await.unwrap();
    assert_eq!(w.rows().await, [5, 2]);
    w.refresh(RefreshKind::ClearValues, &[("Sales", Some("main"))]).await.unwrap();
    assert_eq!(w.rows().await, [2, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_fails_changes_nothing_and_says_where() {
    let w = world().await;
    w.deploy(&admin(), &retail("1")).await.unwrap();
    let seq = w.refresh(RefreshKind::Full, &[]).await.unwrap();

    w.file("sales.csv", "Product,Amount\n1,10\n2,many\n");
    let e = w.refresh(RefreshKind::Full, &[]).await.unwrap_err();
    for part in ["'Sales'", "'main'", "Amount", "many"] {
        assert!(e.message.contains(part), "{e}");
    }
    w.file("sales.csv", "Product,Amount\n1,10\n");
    w.file("product.csv", "Key,Name\n1,Apple\n1,Pear\n");
    let e = w.refresh(RefreshKind::Full, &[]).await.unwrap_err();
    assert!(e.message.contains("Product[Key]") && e.message.contains("value 1 "), "{e}");
    let e = w.refresh(RefreshKind::Full, &[("Nothing", None)]).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::NotFound);
    let version = w.version().await;
    assert_eq!((version.seq, w.rows().await), (seq, vec![4, 2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_refuse_a_deployment_and_what_is_only_unknown_warns() {
    let w = world().await;
    let dangling = retail("1").replace(r#""toColumn": "Key""#, r#""toColumn": "Id""#);
    let e = w.deploy(&admin(), &dangling).await.unwrap_err();
    assert!(e.kind == ErrorKind::Invalid && e.message.contains("Id"), "{e}");
    let unread = retail("1").replace("[Delimiter=", "[[Delimiter=");
    assert!(w.deploy(&admin(), &unread).await.is_err());
    assert!(w.service.metastore.state().databases.is_empty());

    let unknown = retail("1").replace("File.Contents(\\\"more.csv\\\")", "Web.Contents(\\\"x\\\")");
    let answer = w.deploy(&admin(), &unknown).await.unwrap();
    let warning = answer.messages.iter().find(|m| m.object.contains("'more'")).unwrap();
    assert!(warning.message.contains("Web.Contents"), "{warning:?}");
    let e = w.refresh(RefreshKind::Full, &[("Sales", None)]).await.unwrap_err();
    assert!(e.message.contains(&warning.message), "{e} / {warning:?}");

    let mut reader = admin();
    reader.session.is_admin = false;
    assert_eq!(w.deploy(&reader, &retail("1")).await.unwrap_err().kind, ErrorKind::Denied);
    let request = RefreshRequest {
        kind: RefreshKind::Full,
        objects: Vec::new(),
        readers: None,
        overrides: Default::default(),
    };
    let e = w.service.refresh(&reader, "Retail", request).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::NotFound, "who may do nothing there does not learn of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequence_is_one_version_or_none() {
    let w = world().await;
    w.deploy(&admin(), &retail("1")).await.unwrap();
    let measure = r#"{ "createOrReplace": { "object": { "database": "Retail", "table": "Sales", "measure": "Twice" },
        "measure": { "name": "Twice", "expression": "2" } } }"#;
    let refresh = r#"{ "refresh": { "type": "full", "objects": [ { "database": "Retail" } ] } }"#;
    let seq = |parts: &[&str]| {
        format!(r#"{{ "sequence": {{ "operations": [ {} ] }} }}"#, parts.join(", "))
    };
    let missing = r#"{ "delete": { "object": { "database": "Retail", "table": "Nothing" } } }"#;
    assert!(w.service.execute_tmsl(&admin(), &seq(&[measure, missing])).await.is_err());
    assert_eq!(w.version().await.model.database.model.tables[0].measures.len(), 1);
    w.service.execute_tmsl(&admin(), &seq(&[measure, refresh])).await.unwrap();
    assert_eq!(w.version().await.model.database.model.tables[0].measures.len(), 2);
    assert_eq!(w.rows().await, [4, 2]);

    let delete = r#"{ "delete": { "object": { "database": "Retail" } } }"#;
    w.service.execute_tmsl(&with_id("gone"), delete).await.unwrap();
    let e = w.service.version(&Call::default(), "Retail").await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::NotFound);
    w.service.execute_tmsl(&with_id("gone"), delete).await.unwrap();
    assert!(w.service.drop_database(&admin(), "Retail").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saved_changes_and_new_names_keep_the_data() {
    let w = world().await;
    let text = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    let fields = vec![text("ID", "Retail"), text("Name", "Retail")];
    w.service.put_database_properties(&admin(), fields, true).await.unwrap();
    assert!(w.version().await.model.database.model.tables.is_empty());
    w.deploy(&admin(), &retail("1")).await.unwrap();
    w.refresh(RefreshKind::Full, &[]).await.unwrap();

    let table = w.version().await.model.ids.get("Tables/Sales").unwrap().to_string();
    let row = |verb, collection: &str, row: Vec<(String, String)>| ObjectChange {
        verb,
        collection: collection.into(),
        rows: vec![row],
    };
    let changes = vec![
        row(Verb::Rename, "Tables", vec![text("ID", &table), text("Name", "Orders")]),
        row(
            Verb::Create,
            "Measures",
            vec![text("TableID", &table), text("Name", "More"), text("Expression", "3")],
        ),
    ];
    w.service.change_model(&admin(), "Retail", changes).await.unwrap();
    let version = w.version().await;
    assert_eq!(version.model.database.model.tables[0].name, "Orders");
    assert_eq!(version.model.database.model.tables[0].measures.len(), 2);
    assert_eq!(version.model.ids.get("Tables/Orders").map(|n| n.to_string()), Some(table));
    assert_eq!(w.rows().await, [4, 2]);

    let fields = vec![text("ID", "Retail"), text("Name", "Shop")];
    w.service.put_database_properties(&admin(), fields, false).await.unwrap();
    let version = w.service.version(&Call::default(), "shop").await.unwrap();
    assert_eq!(version.store.tables[0].rows(), 4);
    assert_eq!(version.model.database.id.as_deref(), Some("Retail"));
    // The identifier still finds it.
    let request = RefreshRequest {
        kind: RefreshKind::Calculate,
        objects: Vec::new(),
        readers: None,
        overrides: Default::default(),
    };
    w.service.refresh(&admin(), "Retail", request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn info_functions_answer_administrators_alone() {
    let w = world().await;
    let roles = r#""model": { "roles": [ { "name": "Readers", "modelPermission": "read" } ], "#;
    let model = retail("SUM ( Sales[Amount] )").replacen(r#""model": { "#, roles, 1);
    w.deploy(&admin(), &model).await.unwrap();
    let ask = async |call: &Call, query: &str| {
        let mut call = call.clone();
        call.session.catalog = Some("Retail".into());
        let answer = w.service.query(&call, query, Vec::new(), Ok).await;
        answer.map(|a| a.result.results[0].rows.clone()).map_err(|e| e.message)
    };
    let tables = r#"EVALUATE SELECTCOLUMNS ( INFO.TABLES ( ), "n", [Name] ) ORDER BY [n]"#;
    let names = |all: &[&str]| all.iter().map(|n| vec![Value::from(*n)]).collect::<Vec<_>>();
    assert_eq!(ask(&admin(), tables).await.unwrap(), names(&["Product", "Sales"]));
    let one = r#"EVALUATE SELECTCOLUMNS ( INFO.MEASURES ( "Name", "total" ), [Expression] )"#;
    assert_eq!(ask(&admin(), one).await.unwrap(), names(&["SUM ( Sales[Amount] )"]));
    let wrong = ask(&admin(), r#"EVALUATE INFO.MEASURES ( "Colour", "1" )"#).await.unwrap_err();
    assert!(wrong.contains("no column 'Colour'"), "{wrong}");
    let mut reader = admin();
    reader.session.roles = vec!["Readers".into()];
    let denied = ask(&reader, tables).await.unwrap_err();
    assert!(denied.contains("administrators"), "{denied}");
}

/// Answers nothing until the request is stopped.
fn endless<T>(_: T) -> Result<()> {
    loop {
        evercube_work::check()?;
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_requests_stop_at_their_time_limit_and_where_they_are_cancelled() {
    let world = world().await;
    let statement = "SELECT * FROM $SYSTEM.DISCOVER_KEYWORDS";
    let mut call = Call { timeout: Some(Duration::from_millis(1)), ..admin() };
    let found = world.service.dmv(&call, statement, Vec::new(), Browse::default(), endless).await;
    assert_eq!(found.unwrap_err().kind, ErrorKind::TimeLimit);
    call.timeout = None;
    call.session.number = 7;
    let service = Arc::clone(&world.service);
    let asked = tokio::spawn(async move {
        let name = "DISCOVER_KEYWORDS";
        service.discover(&call, name, &Vec::new(), Browse::default(), endless).await
    });
    while world.service.cancel(7).await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(asked.await.unwrap().unwrap_err().kind, ErrorKind::Cancelled);
}

/// One thread computes what is calculated: a change that goes on would keep all others waiting.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_calculated_ends_with_its_change() {
    let world = Arc::new(world().await);
    let endless = r#"{ "name": "Endless", "compatibilityLevel": 1600, "model": { "tables": [
        { "name": "T", "columns": [], "partitions": [ { "name": "p", "source": { "type": "calculated",
          "expression": "ROW(\"n\", SUMX(GENERATESERIES(1, 1000000), SUMX(GENERATESERIES(1, 1000000 + [Value] * 0), 1)))" } } ] } ] } }"#;
    let begin = |id: &'static str, number| {
        let world = Arc::clone(&world);
        let mut call = with_id(id);
        call.session.number = number;
        tokio::spawn(async move { world.deploy(&call, endless).await })
    };
    let calculates = async |id: &str| {
        while world.service.operation(&admin(), id).is_none_or(|p| p.state != "calculating") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let gone = begin("gone", 1);
    calculates("gone").await;
    // Its client leaves.
    gone.abort();
    gone.await.unwrap_err();
    let cancelled = begin("cancelled", 2);
    calculates("cancelled").await;
    // Another one waits for the thread, and is cancelled there.
    let waiting = begin("waiting", 3);
    for number in [3, 2] {
        while world.service.cancel(number).await == 0 {
            tokio::task::yield_now().await;
        }
    }
    for ended in [waiting, cancelled] {
        assert_eq!(ended.await.unwrap().unwrap_err().kind, ErrorKind::Cancelled);
    }
    world.deploy(&admin(), &retail("1")).await.unwrap();
    world.refresh(RefreshKind::Full, &[]).await.unwrap();
}
