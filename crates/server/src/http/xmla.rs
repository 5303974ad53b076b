//! The XMLA endpoint: messages of reporting and modelling clients.

mod commands;
mod noted;
mod session;
mod skimmed;
mod traces;

use std::sync::Arc;

use bytes::Bytes;
use evercube_base::{Error, Result, Rowset, Severity};
use evercube_service::auth::Identity;
use evercube_service::browse::Browse;
use evercube_service::call::WriteAnswer;
use evercube_service::discover::dmv;
use evercube_service::query::QueryResult;
use evercube_xmla::{
    Command, Content, Engine, Kind, Limits, Method, ObjectVerb, Request, Response, Results,
    SessionHeader, decode, fault,
};
use http::{HeaderValue, Method as Verb, StatusCode};

use super::answer::{Answer, answer};
use super::asked::Asked;
use super::{Place, ServerState, azure};
use session::{Opened, SEEN_COOKIE};

/// One decoded message.
pub struct Message(Request);

/// What a statement is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Script,
    SchemaQuery,
    Dax,
    Other,
}

/// Whether a request is for this endpoint.
pub fn is_endpoint(asked: &Asked) -> bool {
    let path = asked.path.trim_end_matches('/').to_ascii_lowercase();
    let path = path.strip_suffix(":rw").unwrap_or(&path).trim_end_matches('/');
    asked.method == Verb::POST && matches!(path, "" | "/xmla" | "/olap/msmdpump.dll" | azure::XMLA)
}

impl Message {
    pub fn read(asked: &Asked) -> Result<Self> {
        decode(&asked.body, &Limits::default()).map(Self)
    }

    /// The answer to a message that could not be read.
    pub fn unread(error: &Error) -> Answer {
        marked(xml(fault(None, error)), error)
    }

    pub fn fault(&self, error: &Error) -> Answer {
        let id = match &self.0.session {
            Some(SessionHeader::Continue(id)) => Some(id.as_str()),
            _ => None,
        };
        marked(xml(fault(id, error)), error)
    }

    /// Whether it is carried out once under its request id, however often and to whomever it is
    /// sent: changes of a model and its data, and not what writes files.
    pub fn is_done_once(&self) -> bool {
        let Method::Execute(execute) = &self.0.method else { return false };
        let writes_files = |text: &str| {
            let text = text.to_ascii_lowercase();
            text.contains("backup") || text.contains("restore")
        };
        match &execute.command {
            Command::Statement(text) => language(text) == Language::Script && !writes_files(text),
            command => {
                place_of(command) == Place::Writer
                    && !matches!(command, Command::Backup(_) | Command::Restore(_))
                    && !matches!(command, Command::Batch { commands, .. } if commands
                        .iter()
                        .any(|c| matches!(c, Command::Backup(_) | Command::Restore(_) | Command::Statement(_))))
            }
        }
    }

    pub fn place(&self) -> Place {
        match &self.0.method {
            Method::Discover(_) => Place::Reader,
            Method::Execute(execute) => place_of(&execute.command),
        }
    }
}

fn place_of(command: &Command) -> Place {
    match command {
        Command::Statement(text) => match language(text) {
            Language::Script => Place::Writer,
            Language::SchemaQuery | Language::Dax => Place::Reader,
            Language::Other => Place::Here,
        },
        Command::Batch { commands, .. } => match commands.as_slice() {
            [] => Place::Here,
            all if all.iter().all(|c| matches!(c, Command::Discover(_))) => Place::Reader,
            _ => Place::Writer,
        },
        Command::Discover(_) => Place::Reader,
        Command::Object { command, .. } if traces::named(&command.fields).is_some() => Place::Here,
        Command::Object { .. } | Command::Backup(_) | Command::Restore(_) => Place::Writer,
        _ => Place::Here,
    }
}

/// Told by the first word, comments aside.
fn language(text: &str) -> Language {
    let text = without_comments(text);
    if text.starts_with('{') {
        return Language::Script;
    }
    if dmv::is_dmv(text) {
        return Language::SchemaQuery;
    }
    let word = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    match word.to_ascii_uppercase().as_str() {
        "EVALUATE" | "DEFINE" => Language::Dax,
        _ => Language::Other,
    }
}

/// `text` from its first character that is no space and in no comment.
fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    loop {
        let after = if rest.starts_with("--") || rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}

/// Carries a message out.
pub async fn run(
    state: &Arc<ServerState>,
    asked: &Asked,
    message: &Message,
    by: &Identity,
) -> Result<Answer> {
    let request = &message.0;
    let given = match &request.method {
        Method::Discover(d) => &d.properties,
        Method::Execute(e) => &e.properties,
    };
    let opened = session::open(&state.service, asked, request.session.as_ref(), given, by)?;
    if let Method::Execute(execute) = &request.method
        && let Command::Unsupported { name, fields } = &execute.command
        && name == "Subscribe"
    {
        return traces::subscribe(state, &opened, fields);
    }
    let (body, seq) = match &request.method {
        Method::Discover(d) => {
            let browse = browse(&opened, given);
            let (id, content) = (opened.id.clone(), Content::from_properties(given));
            let write =
                move |rowset: Rowset| schema_rows(Kind::Discover, id.as_deref(), &rowset, content);
            let (call, asked) = (&opened.call, (&d.request_type, &d.restrictions));
            let (body, seq) = state.service.discover(call, asked.0, asked.1, browse, write).await?;
            (body, Some(seq))
        }
        Method::Execute(execute) => commands::run(state, &opened, execute).await?,
    };
    let mut answer = xml(body);
    let seen = seq.unwrap_or_else(|| state.service.metastore.status().applied);
    answer.headers_mut().insert("x-evercube-version", seen.into());
    if opened.id.is_some() {
        let newest = seen.max(opened.call.min_seq.unwrap_or(0));
        let cookie = state.service.freshness_cookie(newest)?;
        let cookie = format!("{SEEN_COOKIE}={cookie}; Path=/; HttpOnly");
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().append(http::header::SET_COOKIE, value);
        }
    }
    Ok(answer)
}

fn browse(opened: &Opened, given: &[(String, String)]) -> Browse {
    let mut properties = opened.properties.clone();
    properties.extend(given.iter().cloned());
    Browse { properties, session_id: opened.id.clone() }
}

fn xml(body: impl Into<Bytes>) -> Answer {
    answer(StatusCode::OK, "text/xml", body)
}

/// An answer that says within the server what it is about.
fn marked(mut answer: Answer, error: &Error) -> Answer {
    answer.extensions_mut().insert(error.kind);
    answer
}

fn unwritten(e: std::io::Error) -> Error {
    Error::internal(format!("the answer could not be written: {e}"))
}

/// The rows of a schema request as the answer to it.
fn schema_rows(kind: Kind, id: Option<&str>, rowset: &Rowset, content: Content) -> Result<Vec<u8>> {
    evercube_work::check()?;
    let mut out = Response::new(Vec::new(), kind, id, Results::Single);
    out.rowset(rowset, None, content).map_err(unwritten)?;
    out.finish().map_err(unwritten)
}

/// Rows written before it is looked whether the request still wants them.
const ROWS_AT_ONCE: usize = 16;

/// A query's results, several where the query has several.
fn tables(id: Option<&str>, result: &QueryResult, content: Content) -> Result<Vec<u8>> {
    let several = result.results.len() > 1;
    let results = if several { Results::Multiple } else { Results::Single };
    let mut out = Response::new(Vec::new(), Kind::Execute, id, results);
    for table in &result.results {
        let columns: Vec<_> = table.columns.iter().map(|c| (c.name.clone(), c.data_type)).collect();
        out.begin_table(&columns, content).map_err(unwritten)?;
        for rows in table.rows.chunks(ROWS_AT_ONCE) {
            evercube_work::check()?;
            for row in rows {
                out.row(row).map_err(unwritten)?;
            }
        }
        out.end_table(&[]).map_err(unwritten)?;
    }
    out.finish().map_err(unwritten)
}

/// `count` empty results, the last with the findings of a write.
fn done(id: Option<&str>, answer: &WriteAnswer, count: Option<usize>) -> std::io::Result<Vec<u8>> {
    let messages: Vec<evercube_xmla::Message> = answer
        .messages
        .iter()
        .map(|m| {
            let place = if m.object.is_empty() { String::new() } else { format!("{}: ", m.object) };
            let text = format!("{place}{}", m.message);
            match m.severity {
                Severity::Warning => evercube_xmla::Message::warning(text),
                // The write is done: what is wrong with an object's expression does not undo it.
                Severity::Error => evercube_xmla::Message::warning(text),
            }
        })
        .collect();
    let results = if count.is_some() { Results::Multiple } else { Results::Single };
    let mut out = Response::new(Vec::new(), Kind::Execute, id, results);
    for _ in 1..count.unwrap_or(1) {
        out.empty(&[])?;
    }
    out.empty(&messages)?;
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_told_by_the_first_word() {
        for (text, expected) in [
            ("\u{feff} {\"create\":{}}", Language::Script),
            ("-- x\n/* y */ // z\nevaluate Sales", Language::Dax),
            ("DEFINE MEASURE T[M]=1 EVALUATE T", Language::Dax),
            ("select * from $SYSTEM.TMSCHEMA_TABLES", Language::SchemaQuery),
            ("SELECT [Measures].Members ON 0 FROM [Model]", Language::Other),
            ("/* never ends", Language::Other),
        ] {
            assert_eq!(language(text), expected, "{text}");
        }
    }
}
