//! What the audit log tells of a message.

use evercube_service::Service;
use evercube_service::audit::{Event, Stream};
use evercube_xmla::{Command, Engine, Method, ObjectCommand, ObjectVerb, SessionHeader};

use super::session::laid_over;
use super::skimmed::{Skimmed, Texts};
use super::{Language, Message, language, traces};
use crate::http::audit::{event, without_secret};

impl Message {
    /// What it asks for, and whether that is of no note unless it is refused.
    pub fn noted(&self, service: &Service, with_text: bool) -> (Event, bool) {
        let given = match &self.0.method {
            Method::Discover(d) => &d.properties,
            Method::Execute(e) => &e.properties,
        };
        let fixed = match &self.0.session {
            Some(SessionHeader::Continue(id) | SessionHeader::End(id)) => {
                service.resume_session(id).unwrap_or_default()
            }
            _ => Default::default(),
        };
        let session = laid_over(fixed, given);
        let (of, plain) = match &self.0.method {
            Method::Discover(d) => (read("discover", Some(&d.request_type)), false),
            Method::Execute(execute) => of_command(&execute.command, with_text),
        };
        let acting_as = session.effective_user.clone().or_else(|| {
            (!session.roles.is_empty()).then(|| format!("roles {}", session.roles.join(", ")))
        });
        let database = of.database.clone().or(session.catalog);
        (Event { database, acting_as, ..of }, plain)
    }
}

fn read(action: &str, object: Option<&str>) -> Event {
    let object = object.map(str::to_owned);
    Event { stream: Stream::Queries, object, ..event(action, None) }
}

fn of_command(command: &Command, with_text: bool) -> (Event, bool) {
    let of = match command {
        Command::Statement(text) => of_statement(text, with_text),
        Command::Empty | Command::SequencePoint { .. } => return (event("nothing", None), true),
        Command::Discover(d) => read("discover", Some(&d.request_type)),
        Command::Cancel(_) => event("cancel", None),
        Command::ClearCache { database_id } => event("clear cache", Some(database_id)),
        Command::Object { verb, engine, command } => of_object(*verb, *engine, command),
        Command::Batch { commands, .. } => of_batch(commands, with_text),
        Command::Backup(backup) => Event {
            object: Some(without_secret(&backup.file)),
            ..event("backup", Some(&backup.database_id))
        },
        Command::Restore(restore) => Event {
            object: Some(without_secret(&restore.file)),
            ..event("restore", restore.database_name.as_deref())
        },
        Command::BeginTransaction | Command::CommitTransaction | Command::RollbackTransaction => {
            return (event("transaction", None), true);
        }
        Command::Unsupported { name, .. } => event(&name.to_lowercase(), None),
    };
    (of, false)
}

fn of_batch(commands: &[Command], with_text: bool) -> Event {
    let marks = |c: &&Command| !matches!(c, Command::SequencePoint { .. } | Command::Empty);
    let told: Vec<Event> =
        commands.iter().filter(marks).take(20).map(|c| of_command(c, with_text).0).collect();
    let Some(first) = told.first().cloned() else { return event("nothing", None) };
    let objects: Vec<&str> = told.iter().filter_map(|e| e.object.as_deref()).collect();
    let changes = told.iter().find(|e| e.stream == Stream::Changes).cloned().unwrap_or(first);
    Event { object: (!objects.is_empty()).then(|| objects.join("; ")), ..changes }
}

fn of_object(verb: ObjectVerb, engine: Engine, command: &ObjectCommand) -> Event {
    let verb = format!("{verb:?}").to_lowercase();
    if let Some(trace) = traces::named(&command.fields) {
        let object = Some(trace.to_owned());
        return Event { object, ..event(&format!("{verb} trace"), None) };
    }
    let rows = command.objects.iter().map(|o| format!("{} {}", o.rows.len(), o.collection));
    let object = match engine {
        Engine::Y2014 => Some(rows.collect::<Vec<_>>().join(", ")),
        Engine::Y2003 => command.field("Type").map(str::to_owned),
    };
    let database = match command.database_id.as_str() {
        "" => command.field("Database/Name").or_else(|| command.field("Database/ID")),
        id => Some(id),
    };
    Event { object: object.filter(|o| !o.is_empty()), ..event(&verb, database) }
}

fn of_statement(text: &str, with_text: bool) -> Event {
    let told = || with_text.then(|| text.to_owned());
    match language(text) {
        Language::Script => of_script(text),
        Language::SchemaQuery => {
            let upper = text.to_ascii_uppercase();
            let from = upper.find("$SYSTEM").and_then(|at| text.get(at..));
            let name = from.and_then(|f| f.split_whitespace().next());
            Event { text: told(), ..read("discover", name) }
        }
        Language::Dax => Event { text: told(), ..read("query", None) },
        Language::Other => Event { text: told(), ..read("statement", None) },
    }
}

fn of_script(text: &str) -> Event {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let Ok(script) = serde_json::from_str::<std::collections::BTreeMap<String, Skimmed>>(text)
    else {
        return event("script", None);
    };
    let Some((action, of)) = script.into_iter().next() else { return event("script", None) };
    let mut paths: Vec<Texts> = of.object.into_iter().chain(of.parent).chain(of.objects).collect();
    let mut inner = Vec::new();
    for operation in of.operations {
        for (name, arguments) in operation {
            inner.push(name);
            paths.extend(arguments.object);
        }
    }
    let in_path = paths.iter().find_map(|p| p.get("database"));
    let database = in_path.or_else(|| of.database.as_ref()?.get("name")).map(str::to_owned);
    let words = paths.iter().take(20).map(|p| {
        let parts = p.0.iter().filter(|(k, _)| k != "database");
        parts.map(|(k, v)| format!("{k} '{v}'")).collect::<Vec<_>>().join(" ")
    });
    let object: Vec<String> = inner
        .into_iter()
        .chain(of.kind)
        .chain(of.file.map(|f| without_secret(&f)))
        .chain(words.filter(|w| !w.is_empty()))
        .collect();
    Event {
        object: (!object.is_empty()).then(|| object.join("; ")),
        ..event(&action, database.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_told_by_its_names() {
        for (text, told) in [
            (
                r#"{"refresh":{"type":"full","objects":[{"database":"Shop","table":"Sales"}]}}"#,
                "refresh Shop full; table 'Sales'",
            ),
            (
                r#"{"createOrReplace":{"object":{"database":"Shop"},"database":{"name":"Shop",
                   "model":{"dataSources":[{"connectionString":"Password=secret"}]}}}}"#,
                "createOrReplace Shop -",
            ),
            (
                r#"{"backup":{"database":"Shop","file":"x.abf","password":"secret"}}"#,
                "backup Shop x.abf",
            ),
            (
                r#"{"sequence":{"operations":[{"delete":{"object":{"database":"Shop",
                   "role":"R"}}}]}}"#,
                "sequence Shop delete; role 'R'",
            ),
            (
                r#"{"alter":{"object":{"database":"Shop","table":"T","x":[1,{"y":2}]},"database":7}}"#,
                "script - -",
            ),
            (r#"{"restore":{"database":"Shop","file":"x.abf"}}"#, "restore Shop x.abf"),
            ("{", "script - -"),
        ] {
            let of = of_script(text);
            let or = |t: &Option<String>| t.clone().unwrap_or_else(|| "-".into());
            let is = format!("{} {} {}", of.action, or(&of.database), or(&of.object));
            assert_eq!(is, told);
        }
    }
}
