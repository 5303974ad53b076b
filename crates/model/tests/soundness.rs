//! Structural faults: each with the object it names, and models that are sound.

use evercube_base::Severity;
use evercube_model::document::read_database;
use evercube_model::validate::validate;
use serde_json::{Value, json};

/// Tables of the given names, each with an `id` and a `text` column.
fn model(tables: &[&str]) -> Value {
    let tables: Vec<Value> = tables
        .iter()
        .map(|name| {
            json!({"name": name, "columns": [
                {"name": "id", "dataType": "int64"}, {"name": "text", "dataType": "string"}],
                "partitions": [{"name": "p", "source": {"type": "m", "expression": "1"}}]})
        })
        .collect();
    json!({"name": "D", "compatibilityLevel": 1500, "model": {"tables": tables}})
}

/// `A>B` filters from A (one) to B (many), `A=B` both ways, `A-B` one to one, `A*B` many to many
/// from A to B, `~` before it inactive.
fn related(tables: &[&str], relationships: &str) -> Value {
    let mut db = model(tables);
    let list: Vec<Value> = relationships
        .split_whitespace()
        .map(|text| {
            let name = text;
            let text = text.trim_start_matches('~');
            let mut r = json!({"name": name, "isActive": !name.starts_with('~'),
                "fromColumn": "id", "toColumn": "id"});
            let sign = text.find(['>', '=', '-', '*']).unwrap();
            r["toTable"] = json!(&text[..sign]);
            r["fromTable"] = json!(&text[sign + 1..]);
            match &text[sign..=sign] {
                "=" => r["crossFilteringBehavior"] = json!("bothDirections"),
                "-" => {
                    r["fromCardinality"] = json!("one");
                    r["crossFilteringBehavior"] = json!("bothDirections");
                }
                "*" => r["toCardinality"] = json!("many"),
                _ => {}
            }
            r
        })
        .collect();
    db["model"]["relationships"] = json!(list);
    db
}

fn findings(db: &Value, severity: Severity) -> Vec<String> {
    let database = read_database(db).unwrap();
    let found = validate(&database).into_iter().filter(|d| d.severity == severity);
    found.map(|d| format!("{}: {}", d.object, d.message)).collect()
}

#[test]
fn faults_name_the_object() {
    for (pointer, value, expected) in [
        ("/name", json!(" "), ": the name of the database is empty"),
        ("/compatibilityLevel", json!(1100), ": the compatibility level 1100"),
        ("/model/tables/1/name", json!("sales"), "table 'sales': there are two tables"),
        ("/model/tables/1/name", json!("Measures"), "table 'Measures': the name 'Measures' is res"),
        ("/model/tables/1/name", json!("a\tb"), "table 'a\tb': the name of a table 'a\\tb' holds"),
        ("/model/tables/0/columns/1/name", json!("ID"), "Sales[ID]: there are two columns"),
        ("/model/tables/0/columns/1/name", json!(""), "Sales[]: the name of a column of table"),
        ("/model/tables/0/columns/1/sortByColumn", json!("x"), "Sales[text]: the column 'x' of"),
        (
            "/model/tables/0/partitions/0/source/dataSource",
            json!("x"),
            "table 'Sales'/partition 'p': the data source 'x' does not exist",
        ),
        (
            "/model/tables/0/partitions/1",
            json!({"name": "P"}),
            "table 'Sales'/partition 'P': there",
        ),
        (
            "/model/tables/0/measures",
            json!([{"name": "Id"}]),
            "Sales[Id]: a measure and a column of one table are named 'Id'",
        ),
        (
            "/model/tables/1/measures",
            json!([{"name": "m"}, {"name": "M"}]),
            "'Big Product'[M]: a measure of that name, letter case aside, is 'Big Product'[m]",
        ),
        (
            "/model/tables/0/hierarchies",
            json!([{"name": "H", "levels": [{"name": "L", "column": "x"}]}]),
            "table 'Sales'/hierarchy 'H'/level 'L': the column 'x' of the table 'Sales' does not",
        ),
        (
            "/model/tables/0/hierarchies",
            json!([{"name": "H", "levels": [{"name": "L"}]}]),
            "table 'Sales'/hierarchy 'H'/level 'L': the column it points at is not named",
        ),
        (
            "/model/tables/0/columns/0/variations",
            json!([{"name": "V", "relationship": "x",
            "defaultHierarchy": {"table": "Sales", "hierarchy": "H"}}]),
            "Sales[id]/variation 'V': the relationship 'x' does not exist",
        ),
        (
            "/model/roles",
            json!([{"name": "US", "tablePermissions": [{"name": "x"}]}]),
            "role 'US'/table 'x': the table 'x' does not exist",
        ),
        (
            "/model/roles",
            json!([{"name": "US", "tablePermissions": [{"name": "Sales",
            "columnPermissions": [{"name": "x"}]}]}]),
            "role 'US'/table 'Sales'/column 'x': the column 'x' of the table 'Sales' does not",
        ),
        ("/model/roles", json!([{"name": "a"}, {"name": "A"}]), "role 'A': there are two roles"),
        (
            "/model/perspectives",
            json!([{"name": "P", "tables": [{"name": "Sales",
            "measures": [{"name": "x"}]}]}]),
            "perspective 'P'/table 'Sales'/measure 'x': the measure 'x' of the table 'Sales'",
        ),
        ("/model/expressions", json!([{"name": "e"}, {"name": "E"}]), "expression 'E': there are"),
        ("/model/relationships/0/toTable", json!("x"), "relationship 'r': the table 'x' of its to"),
        ("/model/relationships/0/fromColumn", json!("x"), "relationship 'r': the column Sales[x]"),
        ("/model/relationships/0/toCardinality", json!("few"), "relationship 'r': 'toCardinality'"),
        ("/model/relationships/0/toTable", json!("Sales"), "relationship 'r': both ends lie in"),
        (
            "/model/relationships/1",
            json!({"name": "R", "fromTable": "Sales", "fromColumn": "text",
            "toTable": "Big Product", "toColumn": "text", "isActive": false}),
            "relationship 'R': there are two relationships",
        ),
        (
            "/model/relationships/1",
            json!({"name": "s", "fromTable": "Big product", "fromColumn":
            "ID", "toTable": "Sales", "toColumn": "id", "isActive": false}),
            "relationship 's': the relationship 'r' joins the same two columns",
        ),
        (
            "/model/relationships/1",
            json!({"name": "s", "fromTable": "Sales", "fromColumn": "text",
            "toTable": "Big Product", "toColumn": "text"}),
            "relationship 's': the tables 'Sales' and 'Big Product' are joined by",
        ),
    ] {
        let mut db = model(&["Sales", "Big Product"]);
        db["model"]["relationships"] = json!([{"name": "r", "fromTable": "Sales",
            "fromColumn": "id", "toTable": "Big Product", "toColumn": "id"}]);
        assert_eq!(findings(&db, Severity::Error), [""; 0]);
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match db.pointer_mut(parent).unwrap() {
            Value::Array(list) if key.parse() == Ok(list.len()) => list.push(value),
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            other => other[key] = value,
        }
        // The relationship follows the table it is not about.
        if pointer == "/model/tables/1/name" {
            db["model"]["relationships"] = json!([]);
        }
        let found = findings(&db, Severity::Error);
        assert!(found.iter().any(|f| f.starts_with(expected)), "{pointer}: {found:#?}");
    }
}

#[test]
fn relationships_together() {
    let abcd = ["A", "B", "C", "D"];
    for (relationships, expected) in [
        ("A>B B>C C>D", ""),
        ("A>B B>A", "joins the same two columns"),
        ("A>B ~B>A", "joins the same two columns"),
        ("A>B B>C C>A", "circle: 'A', 'B', 'C'"),
        ("D>A A>B B>C C>A", "circle"),
        ("A>B B>C ~C>A", ""),
        // Two ways down.
        ("A>B B>D A>C C>D", "a filter on 'A' reaches 'D' in two ways"),
        ("A>B B>D ~A>C C>D", ""),
        ("A>B A>C B>C", "a filter on 'A' reaches 'C'"),
        // A bridge that filters back.
        ("A=B C=B C>D", ""),
        // Two fact tables both filter back: two ways of one kind.
        ("A=B C=B A=D C=D", "two ways"),
        ("A>B C>B A>D C>D", ""),
        ("A=B C>B A>D C>D", ""),
        // Straight down is better than down and up again.
        ("A>C A=B C=B", "two ways"),
        ("A>C A>B C=B", "two ways"),
        ("A>C A=D C=D ~A>B", "two ways"),
        ("A-B B>C", ""),
        ("A-B B>C A>C", "two ways"),
        ("A*B B>C", ""),
        ("A*B B>C A>C", ""),
    ] {
        let found = findings(&related(&abcd, relationships), Severity::Error);
        match expected {
            "" => assert_eq!(found, [""; 0], "{relationships}"),
            words => {
                assert!(found.iter().any(|f| f.contains(words)), "{relationships}: {found:#?}");
                assert!(found.len() <= 4, "{relationships}: {found:#?}");
            }
        }
    }
}

#[test]
fn many_tables_are_looked_at_in_time() {
    let names: Vec<String> = (0..60).map(|i| format!("T{i}")).collect();
    let tables: Vec<&str> = names.iter().map(String::as_str).collect();
    let every: Vec<String> = (0..30)
        .flat_map(|i| (30..60).filter(move |j| (i + j) % 3 == 0).map(move |j| format!("T{i}=T{j}")))
        .collect();
    assert!(!findings(&related(&tables, &every.join(" ")), Severity::Error).is_empty());
}

#[test]
fn sloppy_models_are_sound() {
    for db in [
        json!({"name": "D", "model": {}}),
        json!({"name": "D (dev) & co.", "compatibilityLevel": 1200, "model": {"tables": [
            {"name": "Empty"}, {"name": " m ", "measures": [{"name": "a.b]c", "expression": ""}]}]}}),
        json!({"name": "D", "model": {"tables": [
            {"name": "Dates", "partitions": [{"name": "p", "source":
                {"type": "calculated", "expression": "CALENDARAUTO()"}}]},
            {"name": "F", "columns": [{"name": "d", "dataType": "dateTime"}]}],
            "relationships": [{"name": "r", "fromTable": "f", "fromColumn": "D",
                "toTable": "dates", "toColumn": "Date", "fromCardinality": "one",
                "toCardinality": "many"}]}}),
    ] {
        assert_eq!(findings(&db, Severity::Error), [""; 0], "{db}");
        assert_eq!(findings(&db, Severity::Warning), [""; 0], "{db}");
    }
    let mut mixed = related(&["A", "B"], "A>B");
    mixed["model"]["relationships"][0]["fromColumn"] = json!("text");
    assert_eq!(findings(&mixed, Severity::Error), [""; 0]);
    assert!(findings(&mixed, Severity::Warning)[0].contains("Text and Integer"));
    let newer = json!({"name": "D", "compatibilityLevel": 1800, "model": {}});
    assert_eq!(findings(&newer, Severity::Error), [""; 0]);
    assert_eq!(findings(&newer, Severity::Warning).len(), 1);
}
