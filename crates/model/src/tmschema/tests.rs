use std::collections::HashSet;

use evercube_base::{ColumnKind, DataType, DateTime, Value};

use super::{ModelFacts, columns, rowset};
use crate::ids::ObjectIds;
use crate::objects::specs;
use crate::tabular::Database;

struct Facts;

impl ModelFacts for Facts {
    fn state(&self, object: &str) -> Option<String> {
        (object == "Sales[Bad]").then(|| "Unknown name X.".to_owned())
    }
    fn refreshed(&self, table: &str, _partition: &str) -> Option<DateTime> {
        (table == "Sales").then(|| DateTime::from_days(45_000))
    }
    fn modified(&self) -> DateTime {
        DateTime::from_days(45_001)
    }
    fn structure_modified(&self) -> DateTime {
        DateTime::from_days(45_001)
    }
    fn measure_type(&self, measure: &str) -> Option<DataType> {
        (measure == "Total").then_some(DataType::Decimal)
    }
    fn version(&self) -> u64 {
        7
    }
}

/// A model with one object of nearly every kind.
pub(crate) fn everything() -> Database {
    serde_json::from_str(include_str!("everything.json")).expect("the sample model is well formed")
}

fn cell(database: &Database, ids: &ObjectIds, name: &str, row: usize, column: &str) -> Value {
    let rowset = rowset(name, database, ids, &Facts).expect("a rowset of model objects");
    let column = rowset.column(column).expect("a column");
    rowset.rows.get(row).and_then(|r| r.get(column)).cloned().expect("a row")
}

#[test]
fn every_kind_of_object_has_rows_and_ids_are_unique_and_closed() {
    let database = everything();
    let ids = ObjectIds::assign(None, &database);
    let mut seen = HashSet::new();
    let mut refs = Vec::new();
    for spec in specs::ALL {
        let name = format!("TMSCHEMA_{}", spec.rowset);
        let rowset = rowset(&name, &database, &ids, &Facts).expect("a rowset");
        assert!(!rowset.rows.is_empty(), "{name} has no rows");
        for row in &rowset.rows {
            for (column, value) in rowset.columns.iter().zip(row) {
                match (column.kind, value) {
                    (_, Value::Blank) => {}
                    (ColumnKind::UnsignedLong, Value::Int(id)) if column.name == "ID" => {
                        assert!(seen.insert(*id), "{name}: number {id} twice");
                    }
                    (ColumnKind::UnsignedLong, Value::Int(id)) => refs.push(*id),
                    (ColumnKind::Long | ColumnKind::Int, Value::Int(_))
                    | (ColumnKind::Boolean, Value::Boolean(_))
                    | (ColumnKind::DateTime, Value::DateTime(_))
                    | (ColumnKind::String, Value::String(_)) => {}
                    other => panic!("{name}.{}: {other:?}", column.name),
                }
            }
        }
    }
    assert!(refs.iter().all(|id| seen.contains(id)));
}

#[test]
fn values_are_those_of_the_protocol() {
    let d = everything();
    let ids = ObjectIds::assign(None, &d);
    let id = |path: &str| Value::Int(ids.get(path).expect(path) as i64);
    let at = |name: &str, row: usize, column: &str| cell(&d, &ids, name, row, column);
    assert_eq!(at("TMSCHEMA_MODEL", 0, "Version"), Value::Int(7));
    assert_eq!(at("TMSCHEMA_COLUMNS", 0, "SortByColumnID"), id("Tables/Sales/Columns/Amount"));
    assert_eq!(at("TMSCHEMA_COLUMNS", 1, "ExplicitDataType"), Value::Int(10));
    assert_eq!(at("TMSCHEMA_COLUMNS", 2, "ExplicitDataType"), Value::Int(1));
    assert_eq!(at("TMSCHEMA_COLUMNS", 2, "InferredDataType"), Value::Int(6));
    assert_eq!(at("TMSCHEMA_COLUMNS", 2, "State"), Value::Int(5));
    assert_eq!(at("TMSCHEMA_COLUMNS", 2, "ErrorMessage"), "Unknown name X.".into());
    assert_eq!(at("TMSCHEMA_MEASURES", 0, "DataType"), Value::Int(10));
    assert_eq!(at("TMSCHEMA_MEASURES", 0, "KPIID"), id("Tables/Sales/Measures/Total/KPI"));
    assert_eq!(at("TMSCHEMA_PARTITIONS", 0, "Type"), Value::Int(4));
    assert_eq!(at("TMSCHEMA_PARTITIONS", 0, "State"), Value::Int(1));
    assert_eq!(at("TMSCHEMA_PARTITIONS", 1, "State"), Value::Int(3));
    assert_eq!(at("TMSCHEMA_DATA_SOURCES", 0, "ConnectionString"), "Host=h".into());
    assert_eq!(at("TMSCHEMA_DATA_SOURCES", 0, "Password"), Value::Blank);
    assert_eq!(at("TMSCHEMA_DATA_SOURCES", 1, "Credential"), r#"{"Username":"u"}"#.into());
    assert_eq!(at("TMSCHEMA_FUNCTIONS", 0, "ModelID"), id("Model"));
    assert_eq!(at("TMSCHEMA_FUNCTIONS", 0, "Name"), "Twice".into());
    assert_eq!(at("TMSCHEMA_FUNCTIONS", 0, "Expression"), "( x ) => 2 * x".into());
    assert_eq!(at("TMSCHEMA_FUNCTIONS", 0, "IsHidden"), Value::Boolean(true));
    let translated = "Tables/Sales/Measures/Total";
    assert_eq!(at("TMSCHEMA_OBJECT_TRANSLATIONS", 1, "ObjectID"), id(translated));
    assert_eq!(at("TMSCHEMA_OBJECT_TRANSLATIONS", 1, "ObjectType"), Value::Int(8));
    let annotation = columns("tmschema_annotations").expect("columns");
    let kinds: Vec<_> = annotation.iter().map(|c| (c.name.as_str(), c.kind)).collect();
    assert_eq!(kinds[0], ("ID", ColumnKind::UnsignedLong));
    assert_eq!(kinds[2], ("ObjectType", ColumnKind::Int));
    assert_eq!(kinds.last(), Some(&("Version", ColumnKind::Long)));
    assert!(rowset("TMSCHEMA_NONE", &d, &ids, &Facts).is_none());
}
