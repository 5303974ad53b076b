//! Statements read, refused and applied.

use evercube_base::ErrorKind;
use evercube_model::apply::{Change, apply, target_database};
use evercube_model::document::{read_database, read_json};
use evercube_model::script::script;
use evercube_model::tabular::Database;
use evercube_model::tmsl::{Command, ObjectKind, RefreshKind, deploy_command, parse_statement};
use serde_json::{Value, json};

fn shop() -> Database {
    let text = include_str!("models/shop.bim");
    read_database(&read_json(text.as_bytes()).unwrap()).unwrap()
}

fn run(database: Option<&Database>, statement: &Value) -> Result<Change, String> {
    let command = parse_statement(&statement.to_string()).map_err(|e| e.message)?;
    apply(database, &command).map_err(|e| e.message)
}

fn changed(statement: &Value) -> Value {
    match run(Some(&shop()), statement) {
        Ok(Change::Put(database)) => serde_json::to_value(database).unwrap(),
        other => panic!("{statement}: {other:?}"),
    }
}

fn item<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = list.as_array().and_then(|l| l.iter().find(|i| i["name"] == name));
    found.unwrap_or(&Value::Null)
}

#[test]
fn documents_are_read_liberally_and_kept_whole() {
    let shop = shop();
    assert_eq!(shop.compatibility_level, Some(1604));
    let sales = &shop.model.tables[0];
    assert_eq!(&*sales.measures[0].expression, "VAR x = 1\nRETURN x");
    assert_eq!(sales.partitions[0].source.kind.as_deref(), Some("m"));
    assert_eq!(shop.model.extra["newThing"], json!({"Some": ["thing", null]}));
    assert_eq!(sales.columns[0].extra["newFlag"], json!(7));
    assert_eq!(sales.columns[1].data_type, None);
    let again = read_database(&read_json(script(&shop).as_bytes()).unwrap()).unwrap();
    assert_eq!(again, shop);
    for (document, place) in [
        (
            json!({"model": {"tables": [{"name": "T", "columns": [{"name": 3}]}]}}),
            "$.model.tables[0].columns[0].name",
        ),
        (
            json!({"model": {"tables": [{"columns": [{"dataType": "money"}]}]}}),
            "$.model.tables[0].columns[0].dataType",
        ),
        (json!({"model": {"tables": {}}}), "$.model.tables"),
        (
            json!({"model": {"relationships": [{"isActive": "maybe"}]}}),
            "$.model.relationships[0].isActive",
        ),
        (json!({"model": {"culture": "a", "Culture": "b"}}), "$.model.culture"),
        (json!({"compatibilityLevel": "high"}), "$.compatibilityLevel"),
    ] {
        let error = read_database(&document).unwrap_err();
        assert!(error.message.contains(place), "{document}: {error}");
    }
}

#[test]
fn statements_that_are_refused_say_why() {
    for (statement, words) in [
        (
            "{\"refresh\": {\"type\": \"full\", \"objects\": [{\"database\": \"D\"}], \"tpye\": 1}}",
            "'tpye'",
        ),
        ("{\"refresh\": {\"type\": \"some\", \"objects\": [{\"database\": \"D\"}]}}", "'some'"),
        ("{\"refresh\": {\"type\": \"full\", \"objects\": []}}", "empty"),
        (
            "{\"refresh\": {\"type\": \"full\", \"objects\": [{\"database\": \"D\", \"tabel\": \"T\"}]}}",
            "'tabel'",
        ),
        ("{\"mergepartitions\": {}}", "not supported"),
        ("{\"attach\": {}}", "not supported"),
        ("{\"frobnicate\": {}}", "no command"),
        ("{\"delete\": {}, \"alter\": {}}", "exactly one"),
        ("{\"delete\": {\"object\": {\"database\": \"D\", \"tables\": \"T\"}}}", "'tables'"),
        (
            "{\"createOrReplace\": {\"object\": {\"database\": \"D\", \"table\": \"T\"}, \"role\": {}}}",
            "names a table but defines a role",
        ),
        ("{\"create\": {\"table\": {\"name\": \"T\"}}}", "parentObject"),
        ("{\"backup\": {\"database\": \"D\"}}", "'file'"),
        ("{\"restore\": {\"file\": \"f\", \"security\": \"some\"}}", "restore.security"),
        ("{\"sequence\": {\"maxParallelism\": 0, \"operations\": []}}", "at least 1"),
        (
            "{\"sequence\": {\"operations\": [{\"delete\": {\"object\": {\"database\": \"A\"}}}, \
            {\"delete\": {\"object\": {\"database\": \"B\"}}}]}}",
            "'A' and 'B'",
        ),
        ("{\"sequence\": {\"operations\": [{\"delete\": {}}]}}", "operations[0]"),
        ("{\"refresh\": ", "line 1"),
    ] {
        let error = parse_statement(statement).unwrap_err();
        assert!(error.message.contains(words), "{statement}: {error}");
    }
}

#[test]
fn commands_are_read_in_any_spelling() {
    let command = parse_statement(
        "// nightly\n{ \"Sequence\": { \"MaxParallelism\": \"3\", \"operations\": [ \
         { \"REFRESH\": { \"type\": \"DataOnly\", \"applyRefreshPolicy\": \"false\", \"objects\": \
         [ { \"database\": [\"Sh\", \"op\"], \"table\": \"Sales\" }, ], \"overrides\": [ { \
         \"scope\": { \"table\": \"Sales\" }, \"partitions\": [ { \"originalObject\": \
         { \"partition\": \"p\" }, \"Source\": { \"Query\": [\"a\", \"b\"] } } ] } ] } } ] } }",
    )
    .unwrap();
    assert_eq!(target_database(&command), Some("Sh\nop"));
    let Command::Sequence { max_parallelism: Some(3), operations } = command else {
        panic!("not a sequence")
    };
    let [Command::Refresh(refresh)] = &operations[..] else { panic!("not a refresh") };
    assert_eq!((refresh.kind, refresh.apply_refresh_policy), (RefreshKind::DataOnly, Some(false)));
    let replacement = &refresh.overrides[0].replacements[0];
    assert_eq!(replacement.object.object, Some((ObjectKind::Partition, "p".to_owned())));
    assert_eq!(replacement.object.table.as_deref(), Some("Sales"));
    assert_eq!(replacement.properties, json!({"source": {"query": ["a", "b"]}}));
    assert_eq!(RefreshKind::from_tom(4), Ok(RefreshKind::DataOnly));
    assert!(RefreshKind::from_tom(0).is_err() && RefreshKind::from_tom(8).is_err());
    let backup = parse_statement(
        "{\"backup\": {\"database\": \"D\", \"file\": \"f\", \"password\": \"secret\", \
         \"allowOverwrite\": \"true\"}}",
    )
    .unwrap();
    assert!(!format!("{backup:?}").contains("secret"));
}

#[test]
fn objects_are_created_replaced_altered_and_deleted() {
    let sales = json!({"database": "Shop", "table": "sales"});
    let with = |path: &Value, key: &str, name: &str| {
        let mut path = path.clone();
        path[key] = json!(name);
        path
    };
    let total = with(&sales, "measure", "Total");
    let db = changed(&json!({"create": {"parentObject": sales, "measure":
        {"name": "New", "Expression": "1"}}}));
    assert_eq!(item(&db["model"]["tables"][0]["measures"], "New")["expression"], "1");
    // What is not given returns to its default, the expression stays.
    let db = changed(&json!({"alter": {"object": total, "measure": {"displayFolder": "F"}}}));
    let measure = item(&db["model"]["tables"][0]["measures"], "Total");
    assert_eq!(
        measure,
        &json!({"name": "Total", "expression": ["VAR x = 1", "RETURN x"],
        "displayFolder": "F"})
    );
    let db = changed(&json!({"createOrReplace": {"object": total,
        "measure": {"name": "Sum", "expression": "2"}}}));
    assert_eq!(db["model"]["tables"][0]["measures"], json!([{"name": "Sum", "expression": "2"}]));
    // Renaming a table takes along what points at it.
    let mut table = db["model"]["tables"][0].clone();
    table["name"] = json!("Turnover");
    let db = changed(&json!({"createOrReplace": {"object": sales, "table": table}}));
    assert_eq!(db["model"]["relationships"][0]["fromTable"], "Turnover");
    // Deleting it takes along its relationships.
    let db = changed(&json!({"delete": {"object": sales}}));
    assert!(db["model"]["relationships"].is_null() && db["model"]["tables"][1].is_null());
    for kind in ["role", "expression", "perspective", "culture", "dataSource"] {
        let path = with(&json!({"database": "Shop"}), kind, "X");
        let create = json!({"createOrReplace": {"object": path, kind: {"newThing": 1}}});
        let db = changed(&create);
        let collection = format!("{kind}s");
        assert_eq!(item(&db["model"][&collection], "X")["newThing"], 1, "{kind}");
        let database: Database = serde_json::from_value(db).unwrap();
        let gone = run(Some(&database), &json!({"delete": {"object": path}})).unwrap();
        assert_eq!(gone, Change::Put(shop()), "{kind}");
    }
    let db = changed(&json!({"alter": {"object": {"database": "Shop"}, "database":
        {"model": {"culture": "de-DE"}}}}));
    assert_eq!(db["model"]["culture"], "de-DE");
    assert_eq!(db["model"]["tables"][0]["name"], "Sales");
}

#[test]
fn changes_that_do_not_fit_are_refused() {
    let create = json!({"create": {"parentObject": {"database": "Shop", "table": "Sales"},
        "measure": {"name": "TOTAL", "expression": "1"}}});
    let rename = json!({"alter": {"object": {"database": "Shop", "table": "Sales"},
        "table": {"name": "Product"}}});
    let delete =
        json!({"delete": {"object": {"database": "Shop", "table": "Sales", "column": "x"}}});
    let alter = json!({"alter": {"object": {"database": "Shop", "role": "x"}, "role": {}}});
    let whole = json!({"create": {"database": {"name": "Shop", "model": {}}}});
    for (statement, words) in [
        (&create, "exists already"),
        (&rename, "exists already"),
        (&delete, "does not exist"),
        (&alter, "does not exist"),
        (&whole, "exists already"),
    ] {
        let error = run(Some(&shop()), statement).unwrap_err();
        assert!(error.contains(words), "{statement}: {error}");
    }
    assert!(run(None, &delete).unwrap_err().contains("the database 'Shop' does not exist"));
    let command = parse_statement(&delete.to_string()).unwrap();
    assert_eq!(apply(None, &command).unwrap_err().kind, ErrorKind::NotFound);
    assert!(matches!(run(None, &whole), Ok(Change::Put(_))));
    let sequence = json!({"sequence": {"operations": [
        {"delete": {"object": {"database": "Shop"}}}, whole]}});
    assert!(matches!(run(Some(&shop()), &sequence), Ok(Change::Put(_))));
    let drop = json!({"delete": {"object": {"database": "Shop"}}});
    assert_eq!(run(Some(&shop()), &drop), Ok(Change::Drop));
}

#[test]
fn files_are_deployed_by_what_they_hold() {
    let text = include_str!("models/shop.bim");
    let name = |bytes: &[u8],
                stem,
                database,
                parameters: &[(&str, &str)]|
     -> evercube_base::Result<Database> {
        let parameters: Vec<(String, String)> =
            parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let command = deploy_command(bytes, stem, database, &parameters)?;
        match apply(None, &command)? {
            Change::Put(database) => Ok(database),
            other => panic!("{other:?}"),
        }
    };
    let named = name(text.as_bytes(), Some("file"), None, &[]).unwrap();
    assert_eq!(named.name, "Shop");
    assert_eq!(name(text.as_bytes(), None, Some("Other"), &[]).unwrap().name, "Other");
    let placeholder =
        b"\xef\xbb\xbf{\"name\": \"SemanticModel\", \"compatibilityLevel\": 1200, \"model\": {}}";
    assert_eq!(name(placeholder, Some("file"), None, &[]).unwrap().name, "file");
    assert!(name(placeholder, None, None, &[]).is_err());
    let wrapped = json!({"createOrReplace": {"object": {"database": "W"},
        "database": {"name": "W", "model": {}}}});
    assert_eq!(name(wrapped.to_string().as_bytes(), Some("f"), None, &[]).unwrap().name, "W");
    let created = json!({"create": {"database": {"name": "C", "model": {}}}}).to_string();
    assert_eq!(name(created.as_bytes(), Some("f"), Some("D"), &[]).unwrap().name, "D");
    let alter = json!({"alter": {"object": {"database": "A"}, "database": {"name": "B"}}});
    for (target, renamed) in [(None, ("A", "B")), (Some("C"), ("C", "B")), (Some("B"), ("B", "B"))]
    {
        match deploy_command(alter.to_string().as_bytes(), Some("f"), target, &[]).unwrap() {
            Command::Alter { path, definition } => {
                assert_eq!((path.database.as_str(), definition.name().unwrap()), renamed);
            }
            other => panic!("{other:?}"),
        }
    }
    let set = name(text.as_bytes(), None, None, &[("datafolder", "/data \"x\"")]).unwrap();
    assert_eq!(
        &*set.model.expressions[0].expression,
        "\"/data \"\"x\"\"\" meta [IsParameterQuery=true, Type=\"Text\"]"
    );
    let error = name(text.as_bytes(), None, None, &[("Folder", "x")]).unwrap_err();
    assert!(error.message.contains("'Folder'") && error.message.contains("DataFolder"));
    for bad in [
        "[]",
        "{\"a\": 1}",
        "{\"refresh\": {\"type\": \"full\", \"objects\": [{\"database\": \"D\"}]}}",
    ] {
        assert!(name(bad.as_bytes(), Some("f"), None, &[]).is_err(), "{bad}");
    }
}
