use evercube_base::{DateTime, ErrorKind, Value};
use serde_json::{Value as Json, json};

use super::{ObjectChange, Verb, apply_changes};
use crate::ids::ObjectIds;
use crate::objects::fields::Of;
use crate::objects::graph::{Graph, MODEL};
use crate::objects::kinds::Kind;
use crate::objects::specs;
use crate::tabular::Database;
use crate::tmschema::{Metadata, ModelFacts};

struct Facts;

impl ModelFacts for Facts {
    fn state(&self, _: &str) -> Option<String> {
        None
    }
    fn refreshed(&self, _: &str, _: &str) -> Option<DateTime> {
        None
    }
    fn modified(&self) -> DateTime {
        DateTime::from_days(1)
    }
    fn structure_modified(&self) -> DateTime {
        DateTime::from_days(1)
    }
    fn version(&self) -> u64 {
        1
    }
}

fn everything() -> Database {
    serde_json::from_str(include_str!("../tmschema/everything.json")).expect("a model")
}

fn change(verb: Verb, collection: &str, rows: &[&[(&str, &str)]]) -> ObjectChange {
    let own = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
    let rows = rows.iter().map(|r| r.iter().map(own).collect()).collect();
    ObjectChange { verb, collection: collection.into(), rows }
}

fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Blank => return None,
        Value::Boolean(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::DateTime(t) => t.to_string(),
        Value::String(s) => s.to_string(),
        other => panic!("{other:?} in a metadata rowset"),
    })
}

/// `TableID.Table` and so on, as clients name objects that have no number yet.
fn path(graph: &Graph, column: &str, index: usize) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let mut at = index;
    while at != MODEL {
        let object = &graph.objects[at];
        if !object.kind.spec().key.is_empty() {
            parts.insert(
                0,
                (format!("{column}.{}", object.kind.spec().name), graph.name(at).to_owned()),
            );
        }
        at = object.parent.expect("a parent");
    }
    parts
}

/// A database as the changes that make it; creation in an unhelpful order.
fn as_creation(database: &Database) -> Vec<ObjectChange> {
    let graph = Graph::of(database).expect("objects");
    let metadata = Metadata::new(database, &ObjectIds::default()).expect("metadata");
    let mut changes = Vec::new();
    for spec in specs::ALL.iter().rev() {
        let rowset = metadata.rowset(&format!("TMSCHEMA_{}", spec.rowset), &Facts).expect("rows");
        let objects = graph.all().filter(|(_, o)| o.kind == spec.kind);
        let mut rows = Vec::new();
        for ((index, object), cells) in objects.zip(&rowset.rows) {
            let mut row = Vec::new();
            for (field, cell) in spec.fields.iter().zip(cells) {
                match field.of {
                    Of::Parent => row.extend(path(&graph, field.column, object.parent.unwrap())),
                    Of::Link(_) => {
                        let target = graph.link(index, field.column);
                        row.extend(target.iter().flat_map(|t| path(&graph, field.column, *t)));
                    }
                    Of::Child(_) => {}
                    _ if matches!(field.column, "ID" | "InferredDataType")
                        && spec.kind != Kind::Column => {}
                    _ => row.extend(text(cell).map(|t| (field.column.to_owned(), t))),
                }
            }
            rows.push(row);
        }
        let verb = if spec.kind == Kind::Model { Verb::Alter } else { Verb::Create };
        changes.push(ObjectChange { verb, collection: spec.collection.into(), rows });
    }
    changes
}

#[test]
fn a_model_made_by_changes_is_the_model() {
    let mut expected = serde_json::to_value(everything()).unwrap();
    let model = &mut expected["model"];
    // What clients do not see does not come back.
    model.as_object_mut().unwrap().remove("somethingNew");
    model.as_object_mut().unwrap().remove("defaultMode");
    model["dataSources"][0].as_object_mut().unwrap().remove("password");
    model["dataSources"][0]["connectionString"] = "Host=h".into();
    model["dataSources"][1]["credential"].as_object_mut().unwrap().remove("Password");
    let expected: Database = serde_json::from_value(expected).unwrap();
    let empty: Database = serde_json::from_value(
        json!({"name": "Everything", "compatibilityLevel": 1600, "model": {"name": "Model"}}),
    )
    .unwrap();
    let made = apply_changes(&empty, &ObjectIds::default(), &as_creation(&everything())).unwrap();
    let (made_json, expected_json) = (lines(&made.database), lines(&expected));
    for (made, expected) in made_json.iter().zip(&expected_json) {
        assert_eq!(made, expected);
    }
    assert_eq!(made.database, expected);
    assert!(made.ids.get("Tables/Sales").is_some());
}

/// Every value with the way to it, in order, so that a difference is easy to read.
fn lines(database: &Database) -> Vec<String> {
    fn walk(json: &Json, at: &str, into: &mut Vec<String>) {
        match json {
            Json::Object(map) => map.iter().for_each(|(k, v)| walk(v, &format!("{at}/{k}"), into)),
            Json::Array(items) => {
                items.iter().enumerate().for_each(|(i, v)| walk(v, &format!("{at}/{i}"), into));
            }
            value => into.push(format!("{at} = {value}")),
        }
    }
    let mut lines = Vec::new();
    walk(&serde_json::to_value(database).unwrap(), "", &mut lines);
    lines.sort();
    lines
}

#[test]
fn what_is_sent_back_unchanged_changes_nothing() {
    let database = everything();
    let ids = ObjectIds::assign(None, &database);
    assert_eq!(Graph::of(&database).unwrap().database().unwrap(), database);
    let metadata = Metadata::new(&database, &ids).unwrap();
    let mut changes = Vec::new();
    for spec in specs::ALL {
        let rowset = metadata.rowset(&format!("TMSCHEMA_{}", spec.rowset), &Facts).unwrap();
        let named = |row: &Vec<Value>| {
            let cells = rowset.columns.iter().zip(row);
            cells.filter_map(|(c, v)| Some((c.name.clone(), text(v)?))).collect()
        };
        changes.push(ObjectChange {
            verb: Verb::Alter,
            collection: spec.collection.into(),
            rows: rowset.rows.iter().map(named).collect(),
        });
    }
    let changed = apply_changes(&database, &ids, &changes).unwrap();
    assert_eq!(changed.database, database);
    assert_eq!(changed.ids, ids);
}

#[test]
fn changes_as_clients_send_them() {
    let d = everything();
    let ids = ObjectIds::assign(None, &d);
    let id = |path: &str| ids.get(path).expect(path).to_string();
    let (customer, amount) = (id("Tables/Customer"), id("Tables/Sales/Columns/Amount"));
    let (sales, key) = (id("Tables/Sales"), id("Tables/Customer/Columns/Key"));
    let (name, role) = (id("Tables/Customer/Columns/Name"), id("Roles/Reader"));
    let (calculated, view) = (id("Tables/Calc/Partitions/C"), id("Perspectives/View"));
    let culture = id("Cultures/de-DE");
    let changes = [
        change(
            Verb::Alter,
            "Tables",
            &[&[("ID", &customer), ("Name", "Kunde")], &[("ID", &sales), ("Description", "")]],
        ),
        change(
            Verb::Alter,
            "Columns",
            &[
                &[("ID", &name), ("ExplicitName", "Titel")],
                &[("ID", &amount), ("IsNullable", "true")],
            ],
        ),
        change(Verb::Create, "Tables", &[&[("Name", "T9")]]),
        change(
            Verb::Create,
            "Relationships",
            &[&[
                ("Name", "R9"),
                ("FromTableID.Table", "T9"),
                ("FromColumnID.Table", "T9"),
                ("FromColumnID.Column", "A"),
                ("FromCardinality", "2"),
                ("ToTableID", &customer),
                ("ToColumnID", &key),
                ("ToCardinality", "1"),
            ]],
        ),
        change(
            Verb::Create,
            "Columns",
            &[
                &[("TableID.Table", "T9"), ("ExplicitName", "RowNumber"), ("Type", "3")],
                &[
                    ("TableID.Table", "T9"),
                    ("ExplicitName", "A"),
                    ("ExplicitDataType", "6"),
                    ("SortByColumnID.Table", "T9"),
                    ("SortByColumnID.Column", "B"),
                ],
                &[("TableID.Table", "T9"), ("ExplicitName", "B"), ("ExplicitDataType", "2")],
            ],
        ),
        change(
            Verb::Create,
            "Partitions",
            &[&[("TableID.Table", "T9"), ("Name", "pp"), ("QueryDefinition", "1"), ("Type", "4")]],
        ),
        change(
            Verb::Create,
            "Measures",
            &[&[("TableID.Table", "T9"), ("Name", "mm"), ("Expression", "1")]],
        ),
        change(
            Verb::Create,
            "Annotations",
            &[&[
                ("ObjectID.Table", "T9"),
                ("ObjectID.Measure", "mm"),
                ("ObjectType", "12"),
                ("Name", "q"),
                ("Value", "r"),
            ]],
        ),
        change(
            Verb::Create,
            "Kpis",
            &[&[("MeasureID.Table", "T9"), ("MeasureID.Measure", "mm"), ("StatusExpression", "1")]],
        ),
        change(
            Verb::Create,
            "PerspectiveTables",
            &[&[("PerspectiveID", &view), ("TableID.Table", "T9")]],
        ),
        change(
            Verb::Create,
            "PerspectiveColumns",
            &[&[
                ("PerspectiveTableID.Perspective", "View"),
                ("PerspectiveTableID.PerspectiveTable", "T9"),
                ("ColumnID.Table", "T9"),
                ("ColumnID.Column", "A"),
            ]],
        ),
        change(
            Verb::Create,
            "TablePermissions",
            &[&[("RoleID", &role), ("TableID.Table", "T9"), ("FilterExpression", "TRUE()")]],
        ),
        change(
            Verb::Create,
            "ColumnPermissions",
            &[&[
                ("TablePermissionID.Role", "Reader"),
                ("TablePermissionID.TablePermission", "T9"),
                ("ColumnID.Table", "T9"),
                ("ColumnID.Column", "A"),
                ("MetadataPermission", "1"),
            ]],
        ),
        change(
            Verb::Create,
            "ObjectTranslations",
            &[&[
                ("CultureID", &culture),
                ("ObjectID.Table", "T9"),
                ("ObjectID.Measure", "mm"),
                ("ObjectType", "8"),
                ("Property", "1"),
                ("Value", "Maß"),
            ]],
        ),
        change(Verb::Refresh, "Tables", &[&[("ID", &customer), ("RefreshType", "1")]]),
        change(Verb::Refresh, "Partitions", &[&[("ID", &calculated), ("RefreshType", "4")]]),
        change(Verb::Refresh, "Model", &[&[("RefreshType", "3")]]),
    ];
    let changed = apply_changes(&d, &ids, &changes).unwrap();
    let kunde = (Some("Kunde".to_owned()), None, 1);
    let part = (Some("Calc".to_owned()), Some("C".to_owned()), 4);
    assert_eq!(changed.refreshes, [kunde, part, (None, None, 3)]);
    assert_eq!(changed.ids.get("Tables/Kunde"), ids.get("Tables/Customer"));
    let m = serde_json::to_value(&changed.database.model).unwrap();
    assert_eq!(m["tables"][0]["description"], Json::Null);
    assert_eq!(m["tables"][0]["columns"][1]["isNullable"], Json::Null);
    assert_eq!(m["relationships"][0]["toTable"], "Kunde");
    assert_eq!(m["relationships"][0]["toColumn"], "Titel");
    assert_eq!(
        m["tables"][5],
        json!({"name": "T9",
            "columns": [
                {"name": "A", "dataType": "int64", "sortByColumn": "B"},
                {"name": "B", "dataType": "string"}],
            "partitions": [{"name": "pp", "source": {"type": "m", "expression": "1"}}],
            "measures": [{"name": "mm", "expression": "1",
                "kpi": {"statusExpression": "1", "annotations": [{"name": "q", "value": "r"}]}}]})
    );
    assert_eq!(m["relationships"][2]["fromColumn"], "A");
    assert_eq!(
        m["perspectives"][0]["tables"][2],
        json!({"name": "T9", "columns": [{"name": "A"}]})
    );
    assert_eq!(m["roles"][0]["tablePermissions"][0]["name"], "Kunde");
    assert_eq!(m["roles"][0]["tablePermissions"][0]["columnPermissions"][0]["name"], "Titel");
    assert_eq!(m["roles"][0]["tablePermissions"][1]["columnPermissions"][0]["name"], "A");
    let translated = &m["cultures"][0]["translations"]["model"]["tables"];
    assert_eq!(translated[1]["name"], "Kunde");
    assert_eq!(translated[2]["measures"][0]["translatedCaption"], "Maß");
}

#[test]
fn a_removed_table_takes_along_what_speaks_of_it() {
    let d = everything();
    let ids = ObjectIds::assign(None, &d);
    let id = |path: &str| ids.get(path).expect(path).to_string();
    let relationship = id("Relationships/R1");
    let changes = [
        change(Verb::Delete, "Tables", &[&[("ID", &id("Tables/Customer"))]]),
        change(Verb::Delete, "Relationships", &[&[("ID", &relationship)]]),
        change(
            Verb::Rename,
            "Measures",
            &[&[("ID.Measure", "Total"), ("ID.Table", "Sales"), ("Name", "All")]],
        ),
    ];
    let changed = apply_changes(&d, &ids, &changes).unwrap();
    let text = serde_json::to_string(&changed.database).unwrap();
    assert!(
        !text.contains("Customer\",\"hierarchy") && changed.database.model.relationships.is_empty()
    );
    let m = serde_json::to_value(&changed.database.model).unwrap();
    assert_eq!(m["perspectives"][0]["tables"].as_array().map(Vec::len), Some(1));
    assert_eq!(m["perspectives"][0]["tables"][0]["measures"][0]["name"], "All");
    assert_eq!(m["roles"][0]["tablePermissions"], Json::Null);
    assert_eq!(m["defaultMeasure"]["measure"], "All");
    assert!(changed.ids.get("Tables/Customer").is_none());
    assert_eq!(
        changed.ids.get("Tables/Sales/Measures/All"),
        ids.get("Tables/Sales/Measures/Total")
    );
}

#[test]
fn wrong_changes_are_named() {
    let d = everything();
    let ids = ObjectIds::assign(None, &d);
    let fails = |c: ObjectChange| apply_changes(&d, &ids, &[c]).unwrap_err();
    let e = fails(change(Verb::Alter, "Measures", &[&[("ID", "99999"), ("Name", "x")]]));
    assert_eq!(e.kind, ErrorKind::NotFound);
    assert!(e.message.contains("Altering Measure 'x': ID 99999 is no object"), "{e}");
    let e = fails(change(Verb::Create, "Columns", &[&[("TableID.Table", "Nope"), ("Name", "x")]]));
    assert!(e.message.contains("TableID names Table 'Nope'"), "{e}");
    let e = fails(change(
        Verb::Create,
        "Columns",
        &[&[("TableID.Table", "Sales"), ("Name", "x"), ("SummarizeBy", "77")]],
    ));
    assert!(e.message.contains("SummarizeBy: 77 is none of: 1 default"), "{e}");
    assert_eq!(fails(change(Verb::Create, "Widgets", &[])).kind, ErrorKind::Unsupported);
    let e = fails(change(Verb::Create, "Roles", &[&[("Name", "x"), ("Colour", "red")]]));
    assert!(e.message.contains("property Colour is not known"), "{e}");
    let e = fails(change(Verb::Refresh, "Model", &[&[("RefreshType", "9")]]));
    assert!(e.message.contains("RefreshType must be"), "{e}");
}
