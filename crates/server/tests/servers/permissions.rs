//! The permission matrix: everything a client can ask, by everybody who may ask it, against the table
//! in `permissions.txt`. What there is to ask comes from what the server says it has, so that nothing
//! new is left out. `EVERCUBE_WRITE_PERMISSIONS=1` writes the table anew, to be read before it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use serde_json::{Value as Json, json};

use crate::process::Group;

/// `Ward`: rows of item `a` only, no table `Vault`, no column `Margin` for members of Reader.
const MODEL: &str = include_str!("ward.json");
const TABLE: &str = include_str!("permissions.txt");

const PASSWORD: &str = "Pass-word-1";
/// Users with a role of the model, or none.
const USERS: [&str; 5] = ["stranger", "reader", "both", "refresher", "owner"];

/// Who asks: a user, and the properties sent along.
const PRINCIPALS: [(&str, Option<&str>, &str); 10] = [
    ("anonymous", None, ""),
    ("stranger", Some("stranger"), ""),
    ("reader", Some("reader"), ""),
    ("readRefresh", Some("both"), ""),
    ("refresh", Some("refresher"), ""),
    ("owner", Some("owner"), ""),
    ("admin", Some("admin"), ""),
    ("admin-as-reader", Some("admin"), "<EffectiveUserName>reader</EffectiveUserName>"),
    ("admin-in-role", Some("admin"), "<Roles>Reader</Roles>"),
    ("reader-as-admin", Some("reader"), "<EffectiveUserName>admin</EffectiveUserName>"),
];

/// What nobody but owners and administrators may learn from an answer, unless they asked by name.
const HIDDEN: [&str; 6] =
    ["Vault", "Margin", "Forbidden-Row", "Filter-Word", "Other-Role", "Source-Word"];

struct Server {
    address: String,
    admin_password: String,
}

impl Server {
    fn header(&self, user: Option<&str>) -> String {
        let Some(user) = user else { return String::new() };
        let password = if user == "admin" { &self.admin_password } else { PASSWORD };
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        format!("authorization: Basic {text}\r\n")
    }

    fn ask(&self, user: Option<&str>, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask_with(&self.header(user), method, path, body)
    }

    /// `who` are lines of the head.
    fn ask_with(&self, who: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let text = self.raw(who, method, path, body);
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let body = text.split_once("\r\n\r\n").map(|(_, b)| b.to_owned()).unwrap_or_default();
        (status, body)
    }

    /// The whole answer.
    fn raw(&self, who: &str, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\n{who}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn xmla(&self, user: Option<&str>, method: &str) -> (u16, String) {
        let message = format!(
            "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body>{method}</Body></Envelope>"
        );
        self.ask(user, "POST", "/xmla", &message)
    }

    fn deploy(&self) {
        let (status, text) = self.ask(Some("admin"), "POST", "/api/v1/deploy", MODEL);
        assert_eq!(status, 200, "{text}");
        let (status, text) =
            self.ask(Some("admin"), "POST", "/api/v1/databases/Ward/refresh", "{}");
        assert_eq!(status, 200, "{text}");
    }
}

/// One thing to ask.
struct Asked {
    name: String,
    kind: Kind,
    /// It may change the database, which is deployed again then.
    changes: bool,
}

enum Kind {
    Rest {
        method: String,
        path: String,
        body: String,
    },
    /// What is inside of `Body`; `@@` stands for the principal's.
    Xmla(String),
}

fn xmla(name: impl Into<String>, method: impl Into<String>) -> Asked {
    Asked { name: name.into(), kind: Kind::Xmla(method.into()), changes: false }
}

fn execute(command: &str) -> String {
    format!(
        "<Execute xmlns=\"urn:schemas-microsoft-com:xml-analysis\"><Command>{command}</Command><Properties><PropertyList>@@</PropertyList></Properties></Execute>"
    )
}

fn statement(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    execute(&format!("<Statement>{text}</Statement>"))
}

fn discover(rowset: &str) -> String {
    format!(
        "<Discover xmlns=\"urn:schemas-microsoft-com:xml-analysis\"><RequestType>{rowset}</RequestType><Restrictions/><Properties><PropertyList>@@</PropertyList></Properties></Discover>"
    )
}

/// Every route the server describes, with a request that would be done.
fn routes(server: &Server) -> Vec<Asked> {
    let (_, text) = server.ask(Some("admin"), "GET", "/api/v1/openapi.json", "");
    let document: Json = serde_json::from_str(&text).unwrap();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let name = format!("{} {path}", method.to_uppercase());
            let body = body_of(&name);
            let ends = path.ends_with("/query") || path.ends_with("/explain");
            let changes = method != "get" && !ends;
            let path = path.replace("{server}", "any").replace("{model}", "Ward");
            let named = match path.contains("/databases/") {
                true => path.replace("{database}", "Ward").replace("{name}", "Ward"),
                // Somebody there is not, so that nobody is lost.
                false => path.replace("{name}", "nobody").replace("{id}", "nothing"),
            };
            let (method, body) = (method.to_uppercase(), body.to_string());
            let kind = Kind::Rest { method, path: named, body };
            all.push(Asked { name, kind, changes });
        }
    }
    all
}

fn body_of(route: &str) -> Json {
    match route.replace("/api/v1", "").as_str() {
        "POST /deploy" => serde_json::from_str(MODEL).unwrap(),
        "POST /restore" => json!({ "source": "ward.abf", "overwrite": true }),
        "POST /databases/{database}/query" => json!({ "query": "EVALUATE Sales" }),
        "POST /databases/{database}/explain" => json!({ "query": "EVALUATE Sales" }),
        "POST /databases/{database}/backup" => json!({ "target": "ward.abf", "overwrite": true }),
        "POST /databases/{database}/rollback" => json!({ "version": 1 }),
        "POST /databases/{database}/policy" => json!({ "policy": "available" }),
        "POST /failover" => json!({ "to": "nobody" }),
        "POST /drain" => json!({ "server": "nobody" }),
        "POST /drill" => json!({ "kill": "nobody" }),
        "POST /members" => json!({ "name": "nobody" }),
        "POST /promote" => json!({ "accept_loss": false }),
        "POST /users" => json!({ "name": "new", "password": PASSWORD }),
        "POST /admins" => json!({ "name": "new" }),
        "POST /tokens" => json!({ "name": "new", "user": "nobody" }),
        "POST /databases/{database}/parallel" => {
            json!({ "step": "forget", "request_id": "none", "type": "full" })
        }
        "POST /limits" => json!({ "name": "query_rows", "value": "10000000" }),
        "POST /targets" => json!({ "name": "new", "settings": { "url": "/tmp" } }),
        "POST /credentials" => json!({ "kind": "PostgreSQL", "path": "h", "password": PASSWORD }),
        "POST /credentials/remove" => json!({ "kind": "PostgreSQL", "path": "nobody" }),
        "POST /links" => json!({ "name": "new", "target": "here" }),
        "POST /firewall" => json!({ "name": "new", "first": "10.0.0.1" }),
        "POST /backups/test" => json!({ "target": "file:elsewhere" }),
        "POST /backups/prune" => json!({ "last": 9, "dry_run": true }),
        "POST /schedules" => json!({ "name": "new", "kind": "refresh", "database": "Ward",
            "cron": "0 0 1 1 *" }),
        "POST /databases/{database}/sync-mode" => json!({ "mode": "replicate" }),
        // It takes writes here, so it cannot follow.
        "POST /databases/{database}/follow" => json!({ "group": "other", "source": "elsewhere/",
            "every_seconds": 60 }),
        "POST /backups/init" => json!({ "target": "ward.evr" }),
        "POST /backups/passwords" => json!({ "target": "file:none.evr" }),
        "POST /backups/add-password" => {
            json!({ "target": "file:none.evr", "label": "x", "new_password": "y" })
        }
        "POST /backups/remove-password" => json!({ "target": "file:none.evr", "label": "x" }),
        _ => json!({}),
    }
}

/// Every schema rowset, asked for as one and selected from.
fn rowsets(server: &Server) -> Vec<Asked> {
    let (_, text) =
        server.xmla(Some("admin"), &discover("DISCOVER_SCHEMA_ROWSETS").replace("@@", ""));
    let names: BTreeSet<&str> = text
        .split("<SchemaName>")
        .skip(1)
        .filter_map(|t| t.split("</SchemaName>").next())
        .collect();
    assert!(names.len() > 60, "{text}");
    let mut all = Vec::new();
    for name in names {
        all.push(xmla(format!("Discover {name}"), discover(name)));
        let select = format!("SELECT * FROM $SYSTEM.{name}");
        all.push(xmla(format!("SELECT {name}"), statement(&select)));
    }
    all
}

/// Every function of DAX that shows metadata.
fn info_functions(server: &Server) -> Vec<Asked> {
    let request = discover("MDSCHEMA_FUNCTIONS").replace("@@", "");
    let (_, text) = server.xmla(Some("admin"), &request);
    let named = text.split("<FUNCTION_NAME>").skip(1);
    let names: BTreeSet<&str> = named
        .filter_map(|t| t.split("</FUNCTION_NAME>").next())
        .filter(|n| n.starts_with("INFO."))
        .collect();
    assert!(names.len() > 40, "{names:?}");
    let call =
        |name: &&str| xmla(format!("EVALUATE {name}"), statement(&format!("EVALUATE {name} ( )")));
    names.iter().map(call).collect()
}

/// Every command of TMSL that the server names, which must be among those that are asked.
fn is_every_command_asked(server: &Server, asked: &[Asked]) {
    let (_, text) = server.xmla(Some("admin"), &statement("{\"nothing\":{}}").replace("@@", ""));
    let known = text.split("known are ").nth(1).and_then(|t| t.split(['.', '<', '"']).next());
    let known = known.unwrap_or_default().replace(" and ", ", ");
    let known: Vec<&str> = known.split(", ").map(str::trim).filter(|w| !w.is_empty()).collect();
    assert!(known.len() > 5, "{text}");
    for command in known {
        let name = format!("TMSL {command}");
        assert!(asked.iter().any(|a| a.name.starts_with(&name)), "'{command}' is not asked");
    }
}

fn statements() -> Vec<Asked> {
    let mut all = Vec::new();
    for (name, text) in [
        ("EVALUATE Sales", "EVALUATE Sales"),
        ("EVALUATE a hidden table", "EVALUATE Vault"),
        ("EVALUATE a hidden column", "EVALUATE VALUES ( Sales[Margin] )"),
        ("EVALUATE a measure of what is hidden", "EVALUATE ROW ( \"x\", [Vault Total] )"),
        (
            "DEFINE MEASURE",
            "DEFINE MEASURE Sales[M] = COUNTROWS ( Sales ) EVALUATE ROW ( \"m\", [M] )",
        ),
        ("DEFINE COLUMN", "DEFINE COLUMN Sales[C] = 1 EVALUATE Sales"),
        ("MDX", "SELECT [Measures].Members ON 0 FROM [Model]"),
    ] {
        all.push(xmla(name, statement(text)));
    }
    let database = json!({ "database": "Ward" });
    let measure = json!({ "database": "Ward", "table": "Sales", "measure": "M" });
    let definition = json!({ "name": "M", "expression": "1" });
    let model: Json = serde_json::from_str(MODEL).unwrap();
    let other = json!({ "name": "Other", "model": {} });
    for (name, script) in [
        ("TMSL refresh", json!({ "refresh": { "type": "full", "objects": [database] } })),
        (
            "TMSL refresh of a table",
            json!({ "refresh": { "type": "full",
            "objects": [{ "database": "Ward", "table": "Sales" }] } }),
        ),
        (
            "TMSL createOrReplace database",
            json!({ "createOrReplace": { "object": database,
            "database": model } }),
        ),
        (
            "TMSL createOrReplace measure",
            json!({ "createOrReplace": { "object": measure,
            "measure": definition } }),
        ),
        ("TMSL create database", json!({ "create": { "database": other } })),
        (
            "TMSL create measure",
            json!({ "create": { "parentObject": { "database": "Ward",
            "table": "Sales" }, "measure": { "name": "M2", "expression": "1" } } }),
        ),
        (
            "TMSL alter database",
            json!({ "alter": { "object": database,
            "database": { "description": "x" } } }),
        ),
        (
            "TMSL alter role",
            json!({ "alter": { "object": { "database": "Ward", "role": "Reader" },
            "role": { "name": "Reader", "modelPermission": "read",
                "members": [{ "memberName": "reader" }] } } }),
        ),
        (
            "TMSL delete role",
            json!({ "delete": { "object": { "database": "Ward",
            "role": "Reader" } } }),
        ),
        ("TMSL delete database", json!({ "delete": { "object": database } })),
        (
            "TMSL sequence of refreshes",
            json!({ "sequence": { "operations": [
            { "refresh": { "type": "full", "objects": [database] } }] } }),
        ),
        (
            "TMSL sequence of a refresh and a change",
            json!({ "sequence": { "operations": [
            { "refresh": { "type": "full", "objects": [database] } },
            { "createOrReplace": { "object": measure, "measure": definition } }] } }),
        ),
        (
            "TMSL backup",
            json!({ "backup": { "database": "Ward", "file": "ward.abf",
            "allowOverwrite": true } }),
        ),
        (
            "TMSL backup elsewhere",
            json!({ "backup": { "database": "Ward",
            "file": "file:backups/ward.abf", "allowOverwrite": true } }),
        ),
        (
            "TMSL restore",
            json!({ "restore": { "database": "Ward", "file": "ward.abf",
            "allowOverwrite": true } }),
        ),
    ] {
        let kind = Kind::Xmla(statement(&script.to_string()));
        all.push(Asked { name: name.into(), kind, changes: true });
    }
    all
}

fn commands() -> Vec<Asked> {
    const OLD: &str = "http://schemas.microsoft.com/analysisservices/2003/engine";
    const NEW: &str = "http://schemas.microsoft.com/analysisservices/2014/engine";
    let object = "<Object><DatabaseID>Ward</DatabaseID></Object>";
    let mut all = Vec::new();
    for (name, command) in [
        (
            "Cancel of another session",
            format!("<Cancel xmlns=\"{OLD}\"><SessionID>00000000000000AA</SessionID></Cancel>"),
        ),
        ("Cancel of one's own", format!("<Cancel xmlns=\"{OLD}\"/>")),
        ("ClearCache", format!("<ClearCache xmlns=\"{OLD}\">{object}</ClearCache>")),
        (
            "Backup",
            format!(
                "<Backup xmlns=\"{OLD}\"><DatabaseID>Ward</DatabaseID><File>ward.abf</File><AllowOverwrite>true</AllowOverwrite></Backup>"
            ),
        ),
        (
            "Restore",
            format!(
                "<Restore xmlns=\"{OLD}\"><File>ward.abf</File><AllowOverwrite>true</AllowOverwrite></Restore>"
            ),
        ),
        ("Process", format!("<Process xmlns=\"{OLD}\">{object}<Type>ProcessFull</Type></Process>")),
        (
            "Alter of a database",
            format!(
                "<Alter xmlns=\"{OLD}\">{object}<ObjectDefinition><Database><ID>Ward</ID><Name>Ward</Name><Description>x</Description></Database></ObjectDefinition></Alter>"
            ),
        ),
        ("Delete of a database", format!("<Delete xmlns=\"{OLD}\">{object}</Delete>")),
        (
            "Create of a trace",
            format!(
                "<Create xmlns=\"{OLD}\"><ObjectDefinition><Trace><ID>t</ID><Name>t</Name><Events><Event><EventID>9</EventID><Columns><ColumnID>42</ColumnID></Columns></Event></Events></Trace></ObjectDefinition></Create>"
            ),
        ),
        (
            "Delete of a trace",
            format!("<Delete xmlns=\"{OLD}\"><Object><TraceID>t</TraceID></Object></Delete>"),
        ),
        (
            "Subscribe to a trace there is not",
            format!(
                "<Subscribe xmlns=\"{OLD}\"><Object><TraceID>none</TraceID></Object></Subscribe>"
            ),
        ),
        (
            "Alter of the model",
            format!("<Alter xmlns=\"{NEW}\"><DatabaseID>Ward</DatabaseID></Alter>"),
        ),
        (
            "Refresh of objects",
            format!("<Refresh xmlns=\"{NEW}\"><DatabaseID>Ward</DatabaseID></Refresh>"),
        ),
        (
            "Batch of schema requests",
            format!(
                "<Batch xmlns=\"{OLD}\"><Discover xmlns=\"urn:schemas-microsoft-com:xml-analysis\"><RequestType>TMSCHEMA_TABLES</RequestType><Restrictions><RestrictionList><DatabaseName>Ward</DatabaseName></RestrictionList></Restrictions><Properties/></Discover></Batch>"
            ),
        ),
    ] {
        let kind = Kind::Xmla(execute(&command));
        all.push(Asked { name: format!("XMLA {name}"), kind, changes: true });
    }
    all
}

/// What a member of Reader tries, to learn of other rows and of what is hidden.
const ATTACKS: &[&str] = &[
    "EVALUATE ALL ( Sales )",
    "EVALUATE ALLNOBLANKROW ( Sales[Item] )",
    "EVALUATE CALCULATETABLE ( Sales, REMOVEFILTERS ( ) )",
    "EVALUATE CALCULATETABLE ( VALUES ( Sales[Item] ), ALL ( ) )",
    "EVALUATE ROW ( \"x\", CALCULATE ( [Total], ALL ( Sales ) ) )",
    "EVALUATE ROW ( \"x\", SUMX ( ALL ( Sales[Item], Sales[Amount] ), Sales[Amount] ) )",
    "EVALUATE SUMMARIZECOLUMNS ( Sales[Item], \"t\", CALCULATE ( [Total], ALL ( Sales ) ) )",
    "EVALUATE ROW ( \"x\", LOOKUPVALUE ( Sales[Item], Sales[Amount], 2 ) )",
    "EVALUATE ROW ( \"x\", CONCATENATEX ( ALL ( Sales ), Sales[Item] ) )",
    "EVALUATE ROW ( \"x\", ERROR ( CONCATENATEX ( ALL ( Sales ), Sales[Item] ) ) )",
    "DEFINE COLUMN Sales[C] = SUMX ( ALL ( Sales ), Sales[Amount] ) EVALUATE Sales",
    "DEFINE COLUMN Sales[C] = ERROR ( Sales[Item] ) EVALUATE Sales",
    "DEFINE COLUMN Sales[C] = CONCATENATEX ( ALL ( Sales ), Sales[Item] ) EVALUATE Sales",
    "DEFINE TABLE T = ALL ( Sales[Item] ) EVALUATE T",
    "DEFINE TABLE T = SELECTCOLUMNS ( Sales, \"i\", Sales[Item] ) EVALUATE T",
    "DEFINE FUNCTION F = ( ) => ALL ( Sales[Item] ) EVALUATE F ( )",
    "DEFINE VAR x = ALL ( Sales ) EVALUATE x",
    "EVALUATE COLUMNSTATISTICS ( )",
    "EVALUATE TOPN ( 5, ALL ( Sales ), Sales[Item], DESC )",
    "EVALUATE ROW ( \"x\", TOCSV ( ALL ( Sales ) ) )",
    "EVALUATE ROW ( \"x\", TOJSON ( ALL ( Sales ) ) )",
    "EVALUATE ROW ( \"x\", MAXX ( ALL ( Sales ), Sales[Item] ) )",
    "EVALUATE OFFSET ( 1, ALL ( Sales[Item] ), ORDERBY ( Sales[Item] ) )",
    "EVALUATE WINDOW ( 1, ABS, -1, ABS, ALL ( Sales[Item] ) )",
    "EVALUATE GENERATE ( ALL ( Sales[Item] ), ROW ( \"x\", [Total] ) )",
    "EVALUATE NATURALINNERJOIN ( ALL ( Sales[Item] ), ALL ( Sales[Item] ) )",
    "EVALUATE SAMPLE ( 10, ALL ( Sales ), Sales[Item] )",
    "EVALUATE Vaul",
    "EVALUATE ROW ( \"x\", [Vaul Total] )",
    "EVALUATE VALUES ( Sales[Margi] )",
    "EVALUATE ROW ( \"x\", [Totl] )",
    "EVALUATE INFO.STORAGETABLECOLUMNSEGMENTS ( )",
    "EVALUATE INFO.DEPENDENCIES ( )",
    "EVALUATE INFO.CALCDEPENDENCY ( )",
    "EVALUATE INFO.VIEW.COLUMNS ( )",
    "EVALUATE INFO.VIEW.MEASURES ( )",
    "EVALUATE INFO.VIEW.RELATIONSHIPS ( )",
    "EVALUATE INFO.KPIS ( )",
    "EVALUATE INFO.TABLEPERMISSIONS ( )",
    "SELECT * FROM $SYSTEM.DBSCHEMA_COLUMNS",
    "SELECT * FROM $SYSTEM.MDSCHEMA_MEMBERS WHERE [HIERARCHY_UNIQUE_NAME] = '[Sales].[Item]'",
    "SELECT * FROM SYSTEMRESTRICTSCHEMA ( $SYSTEM.DISCOVER_CALC_DEPENDENCY, QUERY = 'EVALUATE Sales' )",
    "SELECT * FROM SYSTEMRESTRICTSCHEMA ( $SYSTEM.MDSCHEMA_CUBES, CUBE_SOURCE = '3' )",
    "SELECT DISTINCT [CATALOG_NAME] FROM $SYSTEM.DBSCHEMA_CATALOGS",
    "SELECT * FROM $SYSTEM.DISCOVER_COMMANDS",
];

/// How an answer ended, in one word.
fn outcome(asked: &Asked, status: u16, text: &str) -> String {
    let word = match (&asked.kind, status) {
        (_, 401) => "login",
        (Kind::Rest { .. }, 200 | 202) => "yes",
        // The refresh of the one before goes on.
        (Kind::Rest { path, .. }, 409) if path.ends_with("/refreshes") => "yes",
        (Kind::Rest { .. }, 403) => "denied",
        (Kind::Rest { .. }, 404) => "unknown",
        (Kind::Rest { .. }, other) => return other.to_string(),
        (Kind::Xmla(_), _) => match fault(text) {
            Some(kind) => kind,
            None if asked.name.starts_with("Discover") || asked.name.starts_with("SELECT") => {
                match text.contains("<row>") || text.contains("<row ") {
                    true => "rows",
                    false => "none",
                }
            }
            None => "yes",
        },
    };
    word.to_owned()
}

/// The kind of error in an answer, by its code.
fn fault(text: &str) -> Option<&'static str> {
    let in_fault = text.split("XMLAnalysisError.0x").nth(1).and_then(|t| t.get(..8));
    let in_rows = || {
        let code = text.split("ErrorCode=\"").nth(1)?.split('"').next()?.parse::<i64>().ok()?;
        Some(format!("{:08x}", code & 0xffff_ffff))
    };
    let code = in_fault.map(str::to_owned).or_else(in_rows)?;
    Some(match code.to_ascii_lowercase().as_str() {
        "c11c0006" => "denied",
        "c10e0003" => "unknown",
        "c1000011" => "unsupported",
        "c10a0049" => "invalid",
        _ => "fault",
    })
}

/// Whether the answer tells what the principal may not know.
fn told<'a>(principal: &str, asked: &Asked, text: &'a str) -> Option<&'a str> {
    if matches!(principal, "owner" | "admin") || asked.name.contains("hidden") {
        return None;
    }
    let mut words: Vec<&str> = HIDDEN.to_vec();
    let without_echo = text.replace("'Ward'", "");
    if matches!(principal, "anonymous" | "stranger") && without_echo.contains("Ward") {
        // What was asked comes back as a property of the connection or the session.
        let echoes = ["DISCOVER_PROPERTIES", "DISCOVER_SESSIONS"];
        return (!echoes.iter().any(|e| asked.name.contains(e))).then_some("the database");
    }
    if matches!(principal, "readRefresh") {
        // Members of Both see every object and row; definitions are not theirs.
        words = vec!["Filter-Word", "Source-Word"];
    }
    let at = words.into_iter().find_map(|w| text.find(w))?;
    let start = (0..=at.saturating_sub(60)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text.get(start..(at + 20).min(text.len())).or(Some("…"))
}

/// Figures name databases to administrators, and to who asks on the machine itself; not to who asks
/// through somebody on it.
fn figures_name_databases_to_administrators(server: &Server) {
    let named = "database=\"Ward\"";
    for (user, status, names) in [
        (None, 401, false),
        (Some("stranger"), 200, false),
        (Some("reader"), 200, false),
        (Some("owner"), 200, false),
        (Some("admin"), 200, true),
    ] {
        let who = server.header(user);
        for through in ["x-forwarded-for: 203.0.113.9", "forwarded: for=203.0.113.9"] {
            let head = format!("{who}{through}\r\n");
            let (is, text) = server.ask_with(&head, "GET", "/metrics", "");
            assert_eq!((is, text.contains(named)), (status, names), "{user:?} {through}: {text}");
            assert_eq!(text.contains("Ward"), names, "{user:?}: {text}");
            let is_told = text.contains("evercube_ready 1");
            assert_eq!(is_told, status == 200, "{user:?}: {text}");
        }
        let (is, text) = server.ask_with(&who, "GET", "/metrics", "");
        assert_eq!((is, text.contains(named)), (200, true), "{user:?}: {text}");
    }
}

/// Roles that do not let their members read add nothing to what an administrator sees in them.
fn roles_that_do_not_read_show_nothing(server: &Server) {
    let ask = |roles: &str, text: &str| {
        let with = format!("<Catalog>Ward</Catalog><Roles>{roles}</Roles>");
        server.xmla(Some("admin"), &statement(text).replace("@@", &with)).1
    };
    for (roles, text, shows) in [
        ("Both", "EVALUATE Vault", true),
        ("Reader,Nothing", "EVALUATE Sales", true),
        ("Reader,Nothing", "EVALUATE Vault", false),
        ("Nothing", "EVALUATE Sales", false),
        ("Refresher", "EVALUATE Sales", false),
    ] {
        let answer = ask(roles, text);
        assert_eq!(fault(&answer).is_none(), shows, "{roles}: {text}: {answer}");
    }
}

/// What would be read otherwise by somebody in between is not read at all.
fn heads_of_two_minds_are_refused(server: &Server) {
    let who = server.header(Some("reader"));
    for (line, status) in [
        ("x: y", 200),
        ("content-encoding: identity", 200),
        ("content-encoding: gzip", 501),
        ("host: elsewhere", 400),
    ] {
        let head = format!("{who}{line}\r\n");
        let (is, text) = server.ask_with(&head, "GET", "/api/v1/members", "");
        assert_eq!(is, status, "{line}: {text}");
    }
}

/// A cookie that came along makes nobody somebody else, and pages of others change nothing with it.
fn a_cookie_is_for_who_says_nothing(server: &Server) {
    let answer = server.raw(&server.header(Some("admin")), "GET", "/api/v1/members", "");
    let cookie = answer.lines().find_map(|l| l.strip_prefix("set-cookie: "));
    let cookie = cookie.and_then(|c| c.split(';').next()).expect("a login cookie");
    let reader = server.header(Some("reader"));
    for (who, status) in [("", 200), (&*reader, 403), ("authorization: Basic eA==\r\n", 401)] {
        let head = format!("cookie: {cookie}\r\n{who}");
        let (is, text) = server.ask_with(&head, "GET", "/api/v1/users", "");
        assert_eq!(is, status, "{who}: {text}");
    }
    for (line, status) in [
        ("x: y", 200),
        ("origin: http://x", 200),
        ("origin: http://evil.example", 403),
        ("sec-fetch-site: cross-site", 403),
    ] {
        let head = format!("cookie: {cookie}\r\n{line}\r\n");
        let query = json!({ "query": "EVALUATE Sales" }).to_string();
        let (is, text) = server.ask_with(&head, "POST", "/api/v1/databases/Ward/query", &query);
        assert_eq!(is, status, "{line}: {text}");
    }
}

#[test]
fn everybody_may_what_the_table_says() {
    let group = Group::secured();
    let admin_password = std::fs::read_to_string(group.admin_password_file()).unwrap();
    let server = Server { address: group.url(0), admin_password: admin_password.trim().into() };
    for user in USERS {
        let body = json!({ "name": user, "password": PASSWORD }).to_string();
        assert_eq!(server.ask(Some("admin"), "POST", "/api/v1/users", &body).0, 200);
    }
    server.deploy();
    let backup = json!({ "target": "ward.abf" }).to_string();
    let path = "/api/v1/databases/Ward/backup";
    assert_eq!(server.ask(Some("admin"), "POST", path, &backup).0, 200);

    figures_name_databases_to_administrators(&server);
    roles_that_do_not_read_show_nothing(&server);
    heads_of_two_minds_are_refused(&server);
    a_cookie_is_for_who_says_nothing(&server);

    let all = routes(&server)
        .into_iter()
        .chain(rowsets(&server))
        .chain(info_functions(&server))
        .chain(statements())
        .chain(commands())
        .collect::<Vec<_>>();
    is_every_command_asked(&server, &all);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut cells, mut leaks) = (0, Vec::new());
    for asked in &all {
        for (principal, user, properties) in PRINCIPALS {
            let (status, text) = match &asked.kind {
                // Only XMLA carries properties.
                Kind::Rest { .. } if !properties.is_empty() => continue,
                Kind::Rest { method, path, body } => server.ask(user, method, path, body),
                Kind::Xmla(method) => {
                    let with = format!("<Catalog>Ward</Catalog>{properties}");
                    server.xmla(user, &method.replace("@@", &with))
                }
            };
            cells += 1;
            let outcome = outcome(asked, status, &text);
            if let Some(what) = told(principal, asked, &text) {
                leaks.push(format!("{principal}: {}: {what}", asked.name));
            }
            if asked.changes && matches!(outcome.as_str(), "yes") {
                server.deploy();
            }
            found.entry(asked.name.clone()).or_default().push(outcome);
        }
    }
    for attack in ATTACKS {
        let method = statement(attack).replace("@@", "<Catalog>Ward</Catalog>");
        let (_, text) = server.xmla(Some("reader"), &method);
        cells += 1;
        let asked = xmla(*attack, method);
        leaks.extend(told("reader", &asked, &text).map(|what| format!("{attack}: {what}")));
        // The sums of all rows, and of both columns that are hidden.
        for sum in [">3.5<", ">6<", ">3<"] {
            if !attack.starts_with("SELECT") && text.contains(sum) {
                leaks.push(format!("{attack}: {sum}"));
            }
        }
    }
    let mut text = String::new();
    for (name, outcomes) in &found {
        let _ = writeln!(text, "{name}: {}", outcomes.join(" "));
    }
    println!("{} things to ask, {cells} askings", all.len());
    if std::env::var_os("EVERCUBE_WRITE_PERMISSIONS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/permissions.txt");
        let head = PRINCIPALS.map(|(name, ..)| name).join(" ");
        std::fs::write(file, format!("# {head}\n{text}")).unwrap();
        return;
    }
    assert!(leaks.is_empty(), "{} answers tell what is hidden:\n{}", leaks.len(), leaks.join("\n"));
    let expected: BTreeSet<&str> = TABLE.lines().filter(|l| !l.starts_with('#')).collect();
    let is: BTreeSet<&str> = text.lines().collect();
    let differ: Vec<String> = is
        .difference(&expected)
        .map(|l| format!("is       {l}"))
        .chain(expected.difference(&is).map(|l| format!("expected {l}")))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
