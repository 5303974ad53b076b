//! Rows of a small model, asked for as the usual clients do.

use evercube_base::{DateTime, ErrorKind, Rowset, Value};
use evercube_model::tabular::Database;

use super::context::{
    DatabaseFacts, DatabaseInfo, DiscoverContext, FunctionInfo, ParameterInfo, ServerInfo,
    SessionInfo,
};
use super::{discover, dmv};

const MODEL: &str = r#"{"name":"Shop","compatibilityLevel":1600,"model":{"culture":"en-US",
 "tables":[
  {"name":"Sales","columns":[{"name":"Amount","dataType":"double"},{"name":"Key","dataType":"int64","isHidden":true}],
   "measures":[{"name":"Total","expression":"SUM(Sales[Amount])"},{"name":"Secret","expression":"1","isHidden":true}]},
  {"name":"Cust]omer","columns":[{"name":"Id","dataType":"int64","isKey":true},{"name":"City","dataType":"string"},
    {"name":"Row","type":"rowNumber"}],
   "hierarchies":[{"name":"Geo","levels":[{"name":"Town","ordinal":0,"column":"City"}]}]},
  {"name":"Hidden","isHidden":true,"columns":[{"name":"X","dataType":"string"}]}],
 "relationships":[{"name":"r","fromTable":"Sales","fromColumn":"Key","toTable":"Cust]omer","toColumn":"Id"}],
 "perspectives":[{"name":"Small","tables":[{"name":"Sales","measures":[{"name":"Total"}]}]}]}}"#;

struct Facts;

impl DatabaseFacts for Facts {
    fn row_count(&self, table: &str) -> Option<u64> {
        (table == "Sales").then_some(10)
    }
    fn members(&self, _table: &str, column: &str, _limit: usize) -> Vec<Value> {
        match column {
            "City" => vec![Value::Blank, "Oslo".into(), "Paris".into()],
            _ => Vec::new(),
        }
    }
    fn is_secured(&self, table: &str, object: Option<&str>) -> bool {
        table == "Sales" && object == Some("Nothing")
    }
}

fn with_context<T>(is_admin: bool, run: impl FnOnce(&DiscoverContext<'_>) -> T) -> T {
    let database: Database = serde_json::from_str(MODEL).unwrap();
    let day = DateTime::from_ymd(2024, 5, 1).unwrap();
    let server = ServerInfo {
        name: "ever".into(),
        version: "16.0.43.208".into(),
        edition: "Enterprise64".into(),
        created: day,
        schema_updated: day,
        port: 2383,
    };
    let roles = ["*".to_owned()];
    let info = DatabaseInfo {
        name: "Shop",
        id: "shop-id",
        compatibility_level: 1600,
        created: day,
        schema_updated: day,
        data_updated: Some(day),
        version: 7,
        is_read_only: false,
        roles: &roles,
        is_admin,
        database: &database,
        facts: &Facts,
    };
    let functions = [FunctionInfo {
        name: "SUM".into(),
        category: "Aggregation".into(),
        description: "Adds.".into(),
        returns_table: false,
        parameters: vec![ParameterInfo { name: "ColumnName".into(), ..Default::default() }],
    }];
    let sessions = [
        SessionInfo { id: "s1".into(), spid: 11, user: "ann".into(), ..Default::default() },
        SessionInfo { id: "s2".into(), spid: 12, user: "bob".into(), ..Default::default() },
    ];
    let trace =
        crate::traces::TraceInfo { id: "t1".into(), name: "Of the boss".into(), created: day };
    let other = DatabaseInfo { name: "Zoo", id: "zoo", ..info };
    run(&DiscoverContext {
        server: &server,
        databases: &[info, other],
        catalog: Some("Shop"),
        user: "ann",
        is_admin,
        session_id: Some("s1"),
        properties: &[],
        sessions: &sessions,
        commands: &[],
        functions: &functions,
        keywords: &["EVALUATE", "DEFINE"],
        traces: &[trace],
        now: day,
    })
}

#[test]
fn traces_are_told_to_administrators_only() {
    let told = |is_admin| {
        let found = with_context(is_admin, |c| discover("DISCOVER_TRACES", &[], c)).unwrap();
        cells(&found, "TraceName")
    };
    assert_eq!(told(true), ["Of the boss"]);
    assert!(told(false).is_empty());
}

fn restrictions(pairs: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), vec![(*v).to_owned()])).collect()
}

fn ask(name: &str, pairs: &[(&str, &str)]) -> Rowset {
    with_context(true, |c| discover(name, &restrictions(pairs), c)).unwrap()
}

fn cells(rowset: &Rowset, column: &str) -> Vec<String> {
    let i = rowset.column(column).unwrap_or_else(|| panic!("no column {column}"));
    let texts = rowset.rows.iter().map(|r| match &r[i] {
        Value::Blank => "-".to_owned(),
        Value::String(s) => s.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Boolean(b) => b.to_string(),
        other => format!("{other:?}"),
    });
    texts.collect()
}

fn dmv(statement: &str) -> Rowset {
    let parameters = [("CubeName".to_owned(), Value::from("Model"))];
    with_context(true, |c| dmv::select(statement, &parameters, c)).unwrap()
}

#[test]
fn every_rowset_answers_with_rows_of_its_width() {
    for d in super::definitions::DEFINITIONS {
        let r = ask(d.name, &[]);
        for row in &r.rows {
            assert_eq!(row.len(), r.columns.len(), "{}", d.name);
        }
        assert!(r.nested.is_sorted_by_key(|n| n.row), "{}", d.name);
    }
    let e = with_context(true, |c| discover("NO_SUCH", &[], c)).unwrap_err();
    assert_eq!(e.message, "The NO_SUCH request type was not recognized by the server.");
}

#[test]
fn properties_are_restricted_by_value_lists() {
    let wanted = ["catalog", "DBMSVersion", "ApplicationContext"].map(str::to_owned).to_vec();
    let r = with_context(true, |c| {
        discover("DISCOVER_PROPERTIES", &[("PropertyName".to_owned(), wanted)], c)
    })
    .unwrap();
    assert_eq!(cells(&r, "PropertyName"), ["DBMSVersion", "Catalog"]);
    assert_eq!(cells(&r, "Value"), ["16.0.43.208", "Shop"]);
}

#[test]
fn cubes_and_their_dimensions() {
    assert_eq!(
        cells(&ask("MDSCHEMA_CUBES", &[("CUBE_SOURCE", "3")]), "CUBE_NAME"),
        ["Model", "Small"]
    );
    let r = ask("MDSCHEMA_DIMENSIONS", &[("CUBE_NAME", "Model")]);
    assert_eq!(cells(&r, "DIMENSION_UNIQUE_NAME"), ["[Measures]", "[Sales]", "[Cust]]omer]"]);
    let r = ask("MDSCHEMA_DIMENSIONS", &[("CUBE_NAME", "Model"), ("DIMENSION_VISIBILITY", "2")]);
    assert_eq!(cells(&r, "DIMENSION_NAME"), ["Hidden"]);
    let r = ask("MDSCHEMA_MEASURES", &[("CUBE_NAME", "Small"), ("MEASURE_VISIBILITY", "3")]);
    assert_eq!(cells(&r, "MEASURE_UNIQUE_NAME"), ["[Measures].[Total]"]);
    let r = ask("MDSCHEMA_MEASUREGROUP_DIMENSIONS", &[("CUBE_NAME", "Model")]);
    assert_eq!(cells(&r, "DIMENSION_UNIQUE_NAME"), ["[Sales]", "[Cust]]omer]"]);
    assert_eq!(r.nested.len(), 2);
    assert!(ask("MDSCHEMA_CUBES", &[("CATALOG_NAME", "None")]).rows.is_empty());
}

#[test]
fn hierarchies_levels_and_members() {
    let r = ask(
        "MDSCHEMA_HIERARCHIES",
        &[("CUBE_NAME", "Model"), ("DIMENSION_UNIQUE_NAME", "[Cust]]omer]")],
    );
    assert_eq!(cells(&r, "HIERARCHY_NAME"), ["Geo", "Id", "City"]);
    assert_eq!(cells(&r, "HIERARCHY_ORIGIN"), ["1", "6", "2"]);
    let r = ask(
        "MDSCHEMA_LEVELS",
        &[("CUBE_NAME", "Model"), ("HIERARCHY_UNIQUE_NAME", "[Cust]]omer].[Geo]")],
    );
    assert_eq!(
        cells(&r, "LEVEL_UNIQUE_NAME"),
        ["[Cust]]omer].[Geo].[(All)]", "[Cust]]omer].[Geo].[Town]"]
    );
    let city = ("HIERARCHY_UNIQUE_NAME", "[Cust]]omer].[City]");
    let r = ask("MDSCHEMA_MEMBERS", &[("CUBE_NAME", "Model"), city]);
    assert_eq!(
        cells(&r, "MEMBER_UNIQUE_NAME"),
        [
            "[Cust]]omer].[City].[All]",
            "[Cust]]omer].[City].&",
            "[Cust]]omer].[City].&[Oslo]",
            "[Cust]]omer].[City].&[Paris]"
        ]
    );
    let all = ("MEMBER_UNIQUE_NAME", "[Cust]]omer].[City].[All]");
    let r = ask("MDSCHEMA_MEMBERS", &[("CUBE_NAME", "Model"), city, all, ("TREE_OP", "1")]);
    assert_eq!(cells(&r, "MEMBER_NAME"), ["", "Oslo", "Paris"]);
}

#[test]
fn the_server_and_a_database_as_documents() {
    let r = ask("DISCOVER_XML_METADATA", &[("ObjectExpansion", "ExpandObject")]);
    let text = &cells(&r, "METADATA")[0];
    for part in [
        "<ServerMode xmlns=\"http://schemas.microsoft.com/analysisservices/2011/engine/300\">Tabular<",
        "<Databases><Database><ID>shop-id</ID><Name>Shop</Name>",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let r = ask(
        "DISCOVER_XML_METADATA",
        &[("DatabaseID", "shop-id"), ("ObjectExpansion", "ExpandObject")],
    );
    assert!(cells(&r, "METADATA")[0].contains(">TabularMetadata</StorageEngineUsed>"));
    assert!(ask("DISCOVER_XML_METADATA", &[("DatabaseID", "x")]).rows.is_empty());
}

#[test]
fn the_conceptual_schema() {
    let r = ask("DISCOVER_CSDL_METADATA", &[("VERSION", "2.5"), ("CATALOG_NAME", "Shop")]);
    let text = &cells(&r, "METADATA")[0];
    for part in [
        "bi:Version=\"2.5\"",
        "<EntitySet Name=\"Cust_omer\" EntityType=\"Sandbox.Cust_omer\"><bi:EntitySet Caption=\"Cust]omer\"",
        "<bi:Measure Caption=\"Total\"",
        "<bi:Level Name=\"Town\" Caption=\"Town\" ReferenceName=\"Town\"><bi:Source><bi:PropertyRef Name=\"City\"/>",
        "Type=\"Sandbox.Sales\" Multiplicity=\"*\"/>",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let small = ask("DISCOVER_CSDL_METADATA", &[("PERSPECTIVE_NAME", "Small")]);
    assert!(!cells(&small, "METADATA")[0].contains("Cust"));
    let newer = restrictions(&[("VERSION", "9.0")]);
    assert!(with_context(true, |c| discover("DISCOVER_CSDL_METADATA", &newer, c)).is_err());
}

#[test]
fn who_sees_what() {
    assert_eq!(cells(&ask("DISCOVER_SESSIONS", &[]), "SESSION_SPID"), ["11", "12"]);
    let own = with_context(false, |c| discover("DISCOVER_SESSIONS", &[], c)).unwrap();
    assert_eq!(cells(&own, "SESSION_SPID"), ["11"]);
    for name in ["TMSCHEMA_TABLES", "DISCOVER_STORAGE_TABLES"] {
        let e = with_context(false, |c| discover(name, &[], c)).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Denied, "{name}");
    }
    let r = with_context(false, |c| discover("MDSCHEMA_MEASURES", &[], c)).unwrap();
    assert_eq!(cells(&r, "EXPRESSION")[0], "-");
    let calendars = ask("TMSCHEMA_CALENDARS", &[("DatabaseName", "Shop")]);
    assert!(calendars.rows.is_empty());
    assert_eq!(calendars.column("TableID"), Some(1));
    assert_eq!(ask("TMSCHEMA_STRING_INDEX_STORAGES", &[]).columns.len(), 2);
    assert!(with_context(true, |c| discover("TMSCHEMA_NONE", &[], c)).is_err());
}

#[test]
fn statements_of_the_usual_tools() {
    let r = dmv(
        "select [DIMENSION_CAPTION]from $system.mdschema_dimensions where [CUBE_NAME]=@CubeName and [DIMENSION_UNIQUE_NAME] <> '[Measures]' and [DIMENSION_IS_VISIBLE]",
    );
    assert_eq!(cells(&r, "DIMENSION_CAPTION"), ["Sales", "Cust]omer"]);
    let r = dmv(
        "SELECT DIMENSION_NAME AS [Table], ROWS_COUNT - 3 AS N FROM $SYSTEM.DISCOVER_STORAGE_TABLES WHERE RIGHT(LEFT(TABLE_ID,2),1) <> '$' ORDER BY ROWS_COUNT DESC, DIMENSION_NAME;",
    );
    assert_eq!(cells(&r, "Table"), ["Sales", "Cust]omer", "Hidden"]);
    assert_eq!(cells(&r, "N"), ["7", "-3", "-3"]);
    assert_eq!(r.columns[1].kind, evercube_base::ColumnKind::Long);
    let r = dmv("SELECT TOP 1 * FROM $SYSTEM.DBSCHEMA_CATALOGS");
    assert_eq!(cells(&r, "CATALOG_NAME"), ["Shop"]);
    let r = dmv(
        "SELECT DISTINCT TABLE_TYPE FROM SYSTEMRESTRICTSCHEMA($System.DBSCHEMA_TABLES, [TABLE_CATALOG] = 'Shop') WHERE NOT (TABLE_TYPE = 'x' OR TRIM(TABLE_NAME) = '') ORDER BY TABLE_TYPE",
    );
    assert_eq!(cells(&r, "TABLE_TYPE"), ["SCHEMA", "SYSTEM TABLE", "TABLE"]);
    let r = dmv("SELECT SESSION_SPID FROM $SYSTEM.DISCOVER_SESSIONS WHERE SESSION_ID = \"s2\"");
    assert_eq!(cells(&r, "SESSION_SPID"), ["12"]);
    let r = dmv(
        "SELECT CATALOG_NAME FROM $SYSTEM.MDSCHEMA_CUBES WHERE CATALOG_NAME='Zoo' AND CUBE_SOURCE=1",
    );
    assert_eq!(cells(&r, "CATALOG_NAME"), ["Zoo", "Zoo"]);
}

#[test]
fn statements_that_are_wrong_say_so() {
    for (statement, part) in [
        ("SELECT * FROM Sales", "$SYSTEM was expected"),
        ("SELECT x FROM $SYSTEM.DBSCHEMA_CATALOGS", "no column 'x'"),
        ("SELECT * FROM $SYSTEM.NOPE", "NOPE request type was not recognized"),
        ("SELECT * FROM $SYSTEM.DBSCHEMA_CATALOGS WHERE a = @b", "@b"),
        ("SELECT * FROM $SYSTEM.DBSCHEMA_CATALOGS WHERE [a", "without its ]"),
        ("SELECT FOO(1) FROM $SYSTEM.DBSCHEMA_CATALOGS", "no function FOO"),
        ("SELECT * FROM $SYSTEM.DISCOVER_XML_METADATA", "cannot be read with SELECT"),
    ] {
        let e = with_context(true, |c| dmv::select(statement, &[], c)).unwrap_err();
        assert!(e.message.contains(part), "{statement}: {}", e.message);
    }
    let deep = format!("SELECT * FROM $SYSTEM.DBSCHEMA_CATALOGS WHERE {}1", "(".repeat(100_000));
    assert!(with_context(true, |c| dmv::select(&deep, &[], c)).is_err());
}
