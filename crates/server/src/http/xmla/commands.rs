//! `Execute`: statements, object commands, backups, cancelling.

use std::sync::Arc;

use evercube_base::{Error, ErrorKind, Result, Rowset};
use evercube_model::changes::{ObjectChange, Verb};
use evercube_model::tmsl::RefreshKind;
use evercube_service::backup_use::{BackupRequest, RestoreRequest};
use evercube_service::browse::SchemaRequest;
use evercube_service::call::WriteAnswer;
use evercube_service::discover::metadata_object;
use evercube_service::query::QueryAnswer;
use evercube_service::refresh::RefreshRequest;
use evercube_service::refresh::overrides::SourceOverrides;
use evercube_xmla::{Backup, Cancel, Discover, Execute, ObjectCommand, Restore};

use super::{
    Command, Content, Engine, Kind, Language, ObjectVerb, Opened, Response, Results, ServerState,
    browse, done, language, schema_rows, tables, traces, unwritten,
};

/// The answer's bytes, and the version it speaks of where there is one.
type Done = (Vec<u8>, Option<u64>);

pub(super) async fn run(
    state: &Arc<ServerState>,
    opened: &Opened,
    execute: &Execute,
) -> Result<Done> {
    let id = opened.id.as_deref();
    match &execute.command {
        Command::Statement(text) => statement(state, opened, execute, text).await,
        Command::Empty | Command::SequencePoint { .. } => nothing(id),
        Command::ClearCache { database_id } => {
            state.service.clear_cache(&opened.call, Some(database_id)).await?;
            nothing(id)
        }
        Command::Cancel(cancel) => {
            stop(state, opened, cancel).await?;
            nothing(id)
        }
        Command::Batch { commands, .. } => batch(state, opened, execute, commands).await,
        Command::Discover(discover) => {
            discovered(state, opened, execute, std::slice::from_ref(discover)).await
        }
        Command::BeginTransaction | Command::CommitTransaction | Command::RollbackTransaction => {
            Err(Error::unsupported(
                "Transactions over several requests are not supported; send the commands as one batch or TMSL sequence, which is all or nothing.",
            ))
        }
        Command::Unsupported { name, .. } => {
            Err(Error::unsupported(format!("The command {name} is not supported by this server.")))
        }
        command => written(id, &write(state, opened, command).await?, None),
    }
}

fn nothing(id: Option<&str>) -> Result<Done> {
    Ok((done(id, &WriteAnswer::default(), None).map_err(unwritten)?, None))
}

fn written(id: Option<&str>, answer: &WriteAnswer, count: Option<usize>) -> Result<Done> {
    Ok((done(id, answer, count).map_err(unwritten)?, Some(answer.seq)))
}

async fn statement(
    state: &Arc<ServerState>,
    opened: &Opened,
    execute: &Execute,
    text: &str,
) -> Result<Done> {
    let (service, call, id) = (&state.service, &opened.call, opened.id.as_deref());
    let content = Content::from_properties(&execute.properties);
    let parameters = execute.parameters.clone();
    match language(text) {
        Language::Script => written(id, &service.execute_tmsl(call, text).await?, None),
        Language::SchemaQuery => {
            let browse = browse(opened, &execute.properties);
            let id = opened.id.clone();
            let write =
                move |rowset: Rowset| schema_rows(Kind::Execute, id.as_deref(), &rowset, content);
            let (body, seq) = service.dmv(call, text, parameters, browse, write).await?;
            Ok((body, Some(seq)))
        }
        Language::Dax => {
            let format =
                execute.properties.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case("Format"));
            if format.is_some_and(|(_, v)| v.trim().eq_ignore_ascii_case("Multidimensional")) {
                return Err(Error::unsupported(
                    "The results of a DAX query are tables and cannot be returned as a cell set; ask for Format=Tabular (ExecuteReader).",
                ));
            }
            let id = opened.id.clone();
            let write = move |found: QueryAnswer| {
                Ok((tables(id.as_deref(), &found.result, content)?, Some(found.seq)))
            };
            service.query(call, text, parameters, write).await
        }
        Language::Other => Err(Error::unsupported(
            "The statement is neither DAX (EVALUATE, DEFINE), TMSL nor a query of $SYSTEM; MDX is not supported yet.",
        )),
    }
}

/// Schema requests of one batch, answered on the same versions.
async fn discovered(
    state: &Arc<ServerState>,
    opened: &Opened,
    execute: &Execute,
    requests: &[Discover],
) -> Result<Done> {
    let asked = requests.iter().map(|d| SchemaRequest {
        request_type: d.request_type.clone(),
        restrictions: d.restrictions.clone(),
    });
    let browse = browse(opened, &execute.properties);
    let id = opened.id.clone();
    let write = move |rowsets: Vec<Rowset>| {
        let mut out = Response::new(Vec::new(), Kind::Execute, id.as_deref(), Results::Multiple);
        for rowset in &rowsets {
            evercube_work::check()?;
            let name = metadata_object(&rowset.name).map(|(_, name)| name);
            out.rowset(rowset, name, Content::SchemaData).map_err(unwritten)?;
        }
        out.finish().map_err(unwritten)
    };
    let (body, seq) =
        state.service.discover_all(&opened.call, asked.collect(), browse, write).await?;
    Ok((body, Some(seq)))
}

async fn batch(
    state: &Arc<ServerState>,
    opened: &Opened,
    execute: &Execute,
    commands: &[Command],
) -> Result<Done> {
    let id = opened.id.as_deref();
    let mut requests = Vec::new();
    let mut changes: Vec<ObjectChange> = Vec::new();
    let mut database: Option<&str> = None;
    for command in commands {
        match command {
            Command::Discover(d) => requests.push(d.clone()),
            Command::SequencePoint { .. } | Command::Empty => {}
            Command::Object { verb, engine: Engine::Y2014, command } => {
                if database.is_some_and(|d| !d.eq_ignore_ascii_case(&command.database_id)) {
                    return Err(Error::unsupported(
                        "A batch changes one database, all or nothing; send one batch for each.",
                    ));
                }
                database = Some(&command.database_id);
                changes.extend(object_changes(*verb, command)?);
            }
            // Alone, such a command is as good as its batch.
            alone if commands.len() == 1 => {
                let answer = write(state, opened, alone).await?;
                return written(id, &answer, Some(1));
            }
            _ => {
                return Err(Error::unsupported(
                    "A batch holds changes of model objects only; send the other commands one by one.",
                ));
            }
        }
    }
    if !requests.is_empty() && changes.is_empty() {
        return discovered(state, opened, execute, &requests).await;
    }
    let Some(database) = database else { return nothing(id) };
    let answer = state.service.change_model(&opened.call, database, changes).await?;
    written(id, &answer, Some(commands.len()))
}

async fn write(
    state: &Arc<ServerState>,
    opened: &Opened,
    command: &Command,
) -> Result<WriteAnswer> {
    let (service, call) = (&state.service, &opened.call);
    match command {
        Command::Object { verb, command, .. } if traces::named(&command.fields).is_some() => {
            traces::change(state, opened, *verb, &command.fields)
        }
        Command::Object { verb, engine: Engine::Y2014, command } => {
            let changes = object_changes(*verb, command)?;
            service.change_model(call, &command.database_id, changes).await
        }
        Command::Object { verb, engine: Engine::Y2003, command } => match verb {
            ObjectVerb::Alter | ObjectVerb::Create => {
                let allow = command.attribute("AllowCreate").is_some_and(|v| v.trim() == "true");
                let fields = command.fields.iter().filter_map(|(k, v)| {
                    Some((k.strip_prefix("Database/")?.to_owned(), v.clone()))
                });
                let allow = allow || *verb == ObjectVerb::Create;
                service.put_database_properties(call, fields.collect(), allow).await
            }
            ObjectVerb::Delete | ObjectVerb::Drop => {
                service.drop_database(call, &command.database_id).await
            }
            ObjectVerb::Process | ObjectVerb::Refresh => {
                let request = RefreshRequest {
                    kind: process_kind(command)?,
                    objects: Vec::new(),
                    readers: None,
                    overrides: SourceOverrides::default(),
                };
                service.refresh(call, &command.database_id, request).await
            }
            ObjectVerb::Rename => Err(Error::unsupported(
                "Rename a database by an Alter with its new name, or by a TMSL alter.",
            )),
        },
        Command::Backup(backup) => service.backup(call, backup_request(backup)).await,
        Command::Restore(restore) => service.restore(call, restore_request(restore)).await,
        _ => Err(Error::unsupported("The command is not supported by this server.")),
    }
}

fn object_changes(verb: ObjectVerb, command: &ObjectCommand) -> Result<Vec<ObjectChange>> {
    let verb = match verb {
        ObjectVerb::Create => Verb::Create,
        ObjectVerb::Alter => Verb::Alter,
        ObjectVerb::Delete | ObjectVerb::Drop => Verb::Delete,
        ObjectVerb::Rename => Verb::Rename,
        ObjectVerb::Refresh => Verb::Refresh,
        ObjectVerb::Process => {
            return Err(Error::unsupported("Process is for databases; use Refresh for objects."));
        }
    };
    let of = command.objects.iter().map(|rows| ObjectChange {
        verb,
        collection: rows.collection.clone(),
        rows: rows.rows.clone(),
    });
    Ok(of.collect())
}

fn process_kind(command: &ObjectCommand) -> Result<RefreshKind> {
    if let Some((path, _)) =
        command.fields.iter().find(|(k, _)| k.starts_with("Object/") && !k.ends_with("DatabaseID"))
    {
        return Err(Error::unsupported(format!(
            "Process of {path} is not supported; refresh tables and partitions by TMSL."
        )));
    }
    let kind = command.field("Type").unwrap_or("ProcessDefault").trim();
    let known = match kind {
        "ProcessFull" => "full",
        "ProcessDefault" => "automatic",
        "ProcessData" => "dataOnly",
        "ProcessRecalc" => "calculate",
        "ProcessClear" => "clearValues",
        "ProcessAdd" => "add",
        "ProcessDefrag" => "defragment",
        other => other,
    };
    RefreshKind::parse(known)
}

fn backup_request(backup: &Backup) -> BackupRequest {
    BackupRequest {
        database: backup.database_id.clone(),
        target: backup.file.clone(),
        password: backup.password.clone(),
        overwrite: backup.allow_overwrite,
        ..BackupRequest::default()
    }
}

fn restore_request(restore: &Restore) -> RestoreRequest {
    let roles = match restore.security.as_deref() {
        Some("SkipMembership") => "drop-members",
        Some("IgnoreSecurity") => "skip",
        _ => "keep",
    };
    RestoreRequest {
        source: restore.file.clone(),
        database: restore.database_name.clone(),
        password: restore.password.clone(),
        overwrite: restore.allow_overwrite,
        roles: roles.to_owned(),
        ..RestoreRequest::default()
    }
}

/// Stops requests of the caller's session, or of another one that an administrator names.
async fn stop(state: &Arc<ServerState>, opened: &Opened, cancel: &Cancel) -> Result<()> {
    let (service, session) = (&state.service, &opened.call.session);
    let named = cancel.session_id.as_deref().filter(|id| !id.trim().is_empty());
    let number = cancel.spid.as_deref().or(cancel.connection_id.as_deref());
    let target = match (named, number) {
        (Some(id), _) => match service.resume_session(id) {
            Ok(of) => Some(of.number),
            Err(_) => u64::from_str_radix(id.trim(), 16).ok(),
        },
        (None, Some(spid)) => spid.trim().parse().ok().and_then(|n| service.session_of_spid(n)),
        (None, None) => Some(session.number),
    };
    let Some(target) = target else {
        return Err(Error::not_found("The session to cancel is not running anything here."));
    };
    if target != session.number && !session.rules() {
        return Err(Error::new(
            ErrorKind::Denied,
            "Cancelling another session's requests needs an administrator; the caller is not one.",
        ));
    }
    service.cancel(target).await;
    Ok(())
}
