//! Bytes of a client's message to a [`Request`].

use evercube_base::{DateTime, Decimal, Error, Result, Value};

use crate::names::{self, ENGINE_2014, XSD};
use crate::request::{
    Backup, Cancel, Command, Discover, Engine, Execute, Method, ObjectCommand, ObjectRows,
    ObjectVerb, Request, Restore, SessionHeader,
};
use crate::tree::{self, Limits, Node};

/// Header blocks that may be marked `mustUnderstand` and change nothing here.
const IGNORED_HEADERS: [&str; 6] = [
    "Version",
    "NamespaceCompatibility",
    "BeginGetSessionToken",
    "ProtocolCapabilities",
    "Security",
    "Authenticate",
];

/// Decodes one SOAP message.
///
/// # Errors
/// `Invalid` for bytes that are not a readable XMLA message, `Limit` for one beyond `limits`.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Request> {
    let envelope = tree::parse(&tree::decode_text(bytes)?, limits)?;
    if envelope.name != "Envelope" {
        return Err(Error::invalid(format!(
            "The request is a '{}' element; a SOAP Envelope was expected.",
            envelope.name
        )));
    }
    let session = match envelope.child("Header") {
        Some(header) => session(header)?,
        None => None,
    };
    let body = envelope
        .child("Body")
        .ok_or_else(|| Error::invalid("The SOAP envelope has no Body element."))?;
    let call = body.children.first().ok_or_else(|| {
        Error::invalid("The SOAP body is empty; a Discover or Execute element was expected.")
    })?;
    let method = match call.name.as_str() {
        "Discover" => Method::Discover(discover(call)),
        "Execute" => Method::Execute(execute(call)?),
        other => {
            return Err(Error::invalid(format!(
                "The SOAP body asks for '{other}'; this server knows Discover and Execute."
            )));
        }
    };
    Ok(Request { session, method })
}

fn session(header: &Node) -> Result<Option<SessionHeader>> {
    let id = |n: &Node| {
        n.attribute("SessionId").filter(|v| !v.is_empty()).map(str::to_owned).ok_or_else(|| {
            Error::invalid(format!("The {} header has no SessionId attribute.", n.name))
        })
    };
    let mut found = None;
    for block in &header.children {
        match block.name.as_str() {
            "BeginSession" => found = Some(SessionHeader::Begin),
            "Session" => found = Some(SessionHeader::Continue(id(block)?)),
            "EndSession" => found = Some(SessionHeader::End(id(block)?)),
            name if IGNORED_HEADERS.contains(&name) => {}
            name if block.attribute("mustUnderstand") == Some("1") => {
                return Err(Error::invalid(format!(
                    "The request's header '{name}' must be understood, but this server does not know it."
                )));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn discover(call: &Node) -> Discover {
    let list = call.child("Restrictions").and_then(|r| r.child("RestrictionList"));
    let mut restrictions = Vec::new();
    for r in list.map_or(&[][..], |l| &l.children) {
        let values: Vec<String> = if r.children.is_empty() {
            Some(r.text.clone()).filter(|t| !t.trim().is_empty()).into_iter().collect()
        } else {
            let given = r.children.iter().filter(|c| c.name == "Value");
            given.map(|c| c.text.clone()).filter(|t| !t.is_empty()).collect()
        };
        if !values.is_empty() {
            restrictions.push((names::decode(&r.name), values));
        }
    }
    Discover {
        request_type: call.child_text("RequestType").to_owned(),
        restrictions,
        properties: properties(call),
    }
}

fn properties(call: &Node) -> Vec<(String, String)> {
    let list = call.child("Properties").and_then(|p| p.child("PropertyList"));
    let pairs = list.map_or(&[][..], |l| &l.children).iter();
    pairs.map(|p| (names::decode(&p.name), p.text.clone())).collect()
}

fn execute(call: &Node) -> Result<Execute> {
    let command = match call.child("Command").map(|c| c.children.as_slice()) {
        Some([one]) => command(one)?,
        Some([]) => Command::Empty,
        Some(many) => {
            return Err(Error::invalid(format!(
                "The Command element holds {} elements; send one, or put them in a Batch.",
                many.len()
            )));
        }
        None => return Err(Error::invalid("The Execute element has no Command element.")),
    };
    let mut parameters = Vec::new();
    for p in call.child("Parameters").map_or(&[][..], |p| &p.children) {
        let name = p.child_text("Name").trim_start_matches('@').to_owned();
        let value = match p.child("Value") {
            Some(v) => parameter(&name, v)?,
            None => Value::Blank,
        };
        parameters.push((name, value));
    }
    Ok(Execute { command, properties: properties(call), parameters })
}

/// Value of a parameter by its `xsi:type`; text where there is none.
fn parameter(name: &str, node: &Node) -> Result<Value> {
    if node.attribute("nil") == Some("true") {
        return Ok(Value::Blank);
    }
    let kind = node.attribute("type").unwrap_or("xsd:string");
    let kind = kind.rsplit(':').next().unwrap_or(kind);
    let text = node.text.trim();
    let value = match kind {
        "boolean" => match text {
            "true" | "1" => Some(Value::Boolean(true)),
            "false" | "0" => Some(Value::Boolean(false)),
            _ => None,
        },
        "byte" | "short" | "int" | "long" | "integer" | "unsignedByte" | "unsignedShort"
        | "unsignedInt" | "unsignedLong" => text.parse().ok().map(Value::Int),
        "float" | "double" => match text {
            "INF" => Some(Value::Double(f64::INFINITY)),
            "-INF" => Some(Value::Double(f64::NEG_INFINITY)),
            _ => text.parse().ok().map(Value::Double),
        },
        "decimal" => Decimal::parse(text).map(Value::Decimal),
        "dateTime" | "date" => DateTime::parse_iso(text).map(Value::DateTime),
        _ => Some(Value::text(node.text.as_str())),
    };
    value.ok_or_else(|| {
        Error::invalid(format!("Parameter '{name}' has the value '{text}', which is no {kind}."))
    })
}

fn database_id(node: &Node) -> String {
    let direct = node.child_text("DatabaseID");
    if !direct.is_empty() {
        return direct.to_owned();
    }
    let inside = ["Object", "ParentObject"].iter().filter_map(|o| node.child(o));
    let mut ids = inside.map(|o| o.child_text("DatabaseID")).filter(|t| !t.is_empty());
    ids.next().unwrap_or("").to_owned()
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text == "1"
}

fn optional(node: &Node, name: &str) -> Option<String> {
    Some(node.child_text(name)).filter(|t| !t.is_empty()).map(str::to_owned)
}

fn command(node: &Node) -> Result<Command> {
    let verb = |verb| {
        let engine = if node.namespace == ENGINE_2014 { Engine::Y2014 } else { Engine::Y2003 };
        Command::Object { verb, engine, command: object_command(node) }
    };
    Ok(match node.name.as_str() {
        "Statement" => statement(&node.text),
        "Batch" => {
            let mut commands = Vec::new();
            for c in &node.children {
                if c.name == "Parallel" {
                    for inner in &c.children {
                        commands.push(command(inner)?);
                    }
                } else if !["ErrorConfiguration", "Bindings", "DataSource", "DataSourceView"]
                    .contains(&c.name.as_str())
                {
                    commands.push(command(c)?);
                }
            }
            // A batch is one transaction unless it says otherwise.
            let transaction = node.attribute("Transaction").is_none_or(is_true);
            Command::Batch { transaction, commands }
        }
        "Discover" => Command::Discover(discover(node)),
        "Cancel" => Command::Cancel(Cancel {
            connection_id: optional(node, "ConnectionID"),
            session_id: optional(node, "SessionID"),
            spid: optional(node, "SPID"),
            associated: is_true(node.child_text("CancelAssociated")),
        }),
        "ClearCache" => Command::ClearCache { database_id: database_id(node) },
        "SequencePoint" => Command::SequencePoint { database_id: database_id(node) },
        "BeginTransaction" => Command::BeginTransaction,
        "CommitTransaction" => Command::CommitTransaction,
        "RollbackTransaction" => Command::RollbackTransaction,
        "Backup" => Command::Backup(Backup {
            database_id: database_id(node),
            file: node.child_text("File").to_owned(),
            allow_overwrite: is_true(node.child_text("AllowOverwrite")),
            apply_compression: optional(node, "ApplyCompression").map(|t| is_true(&t)),
            password: optional(node, "Password"),
            security: optional(node, "Security"),
        }),
        "Restore" => Command::Restore(Restore {
            file: node.child_text("File").to_owned(),
            database_name: optional(node, "DatabaseName"),
            database_id: optional(node, "DatabaseID"),
            allow_overwrite: is_true(node.child_text("AllowOverwrite")),
            password: optional(node, "Password"),
            security: optional(node, "Security"),
            read_write_mode: optional(node, "ReadWriteMode"),
        }),
        "Alter" => verb(ObjectVerb::Alter),
        "Create" => verb(ObjectVerb::Create),
        "Delete" => verb(ObjectVerb::Delete),
        "Drop" => verb(ObjectVerb::Drop),
        "Rename" => verb(ObjectVerb::Rename),
        "Refresh" => verb(ObjectVerb::Refresh),
        "Process" => verb(ObjectVerb::Process),
        name => Command::Unsupported { name: name.to_owned(), fields: object_command(node).fields },
    })
}

/// An empty text, a transaction statement, or any other statement.
fn statement(text: &str) -> Command {
    let words: Vec<String> = text
        .trim_end_matches([';', ' ', '\n', '\r', '\t'])
        .split_whitespace()
        .take(3)
        .map(str::to_ascii_uppercase)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Command::Empty,
        ["BEGIN", "TRANSACTION" | "TRAN"] => Command::BeginTransaction,
        ["COMMIT", "TRANSACTION" | "TRAN"] => Command::CommitTransaction,
        ["ROLLBACK", "TRANSACTION" | "TRAN"] => Command::RollbackTransaction,
        _ => Command::Statement(text.to_owned()),
    }
}

fn is_schema(node: &Node) -> bool {
    node.name == "schema" && node.namespace == XSD
}

fn object_command(node: &Node) -> ObjectCommand {
    let mut out = ObjectCommand {
        database_id: database_id(node),
        attributes: node.attributes.clone(),
        ..ObjectCommand::default()
    };
    for child in &node.children {
        let is_rows = child.children.iter().any(|c| c.name == "row" || is_schema(c));
        if is_rows {
            let rows = child.children.iter().filter(|c| c.name == "row").map(|row| {
                row.children.iter().map(|c| (names::decode(&c.name), c.text.clone())).collect()
            });
            out.objects.push(ObjectRows { collection: child.name.clone(), rows: rows.collect() });
        } else if child.name == "ObjectDefinition" {
            for definition in &child.children {
                flatten(definition, "", &mut out.fields);
            }
        } else {
            flatten(child, "", &mut out.fields);
        }
    }
    out
}

/// Leaves below `node` as (path, text).
fn flatten(node: &Node, prefix: &str, out: &mut Vec<(String, String)>) {
    let path =
        if prefix.is_empty() { node.name.clone() } else { format!("{prefix}/{}", node.name) };
    if node.children.is_empty() {
        out.push((path, node.text.clone()));
        return;
    }
    for child in node.children.iter().filter(|c| !is_schema(c)) {
        flatten(child, &path, out);
    }
}
