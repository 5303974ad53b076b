//! Writes: one operation at a time for each database, all or nothing, answered once.

pub(crate) mod calculated;
pub(crate) mod cancelled;
pub(crate) mod draft;
pub(crate) mod finish;
pub(crate) mod keep;
mod lock;
mod steps;

use evercube_base::{Error, ErrorKind, Result};
use evercube_model::changes::ObjectChange;
use evercube_model::tmsl::{Command, ObjectKind, Refresh, parse_statement};

pub(crate) use self::lock::WriteLocks;
use crate::call::{Call, WriteAnswer};
use crate::objects::blocking;
use crate::once::request_id;
use crate::refresh::RefreshRequest;
use crate::refresh::overrides::SourceOverrides;
use crate::service::Service;

/// One part of an operation; its parts become one commit.
#[derive(Debug)]
pub(crate) enum Step {
    Command(Command),
    Refresh(RefreshRequest),
    Objects(Vec<ObjectChange>),
    Properties { fields: Vec<(String, String)>, allow_create: bool },
}

impl Service {
    /// Carries out a TMSL statement; a sequence is one operation.
    pub async fn execute_tmsl(&self, call: &Call, text: &str) -> Result<WriteAnswer> {
        let whole = text.to_owned();
        let command = blocking(move || parse_statement(&whole)).await?;
        Box::pin(self.execute(call, command, text)).await
    }

    pub(crate) async fn execute(
        &self,
        call: &Call,
        command: Command,
        text: &str,
    ) -> Result<WriteAnswer> {
        match command {
            // On the heap: what they keep while they wait is large.
            Command::Backup(backup) => Box::pin(self.backup(call, backup.into())).await,
            Command::Restore(restore) => Box::pin(self.restore(call, restore.into())).await,
            Command::Delete { path } if path.kind() == ObjectKind::Database => {
                self.drop_database(call, &path.database).await
            }
            command => {
                let name = the_database(&command)?;
                let mut steps = Vec::new();
                flatten(command, &mut steps)?;
                self.write(call, &name, text, steps).await
            }
        }
    }

    /// Changes single objects of a model, as clients save them, with the refreshes they ask for.
    pub async fn change_model(
        &self,
        call: &Call,
        database_id: &str,
        changes: Vec<ObjectChange>,
    ) -> Result<WriteAnswer> {
        self.write(call, database_id, "save changes", vec![Step::Objects(changes)]).await
    }

    /// Sets properties of a database: `ID` or `Name` says which, `Name` renames it. With
    /// `allow_create` one that is not there is made, empty.
    pub async fn put_database_properties(
        &self,
        call: &Call,
        fields: Vec<(String, String)>,
        allow_create: bool,
    ) -> Result<WriteAnswer> {
        let field = |name: &str| {
            let found = fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.map(|(_, v)| v.trim().to_owned()).filter(|v| !v.is_empty())
        };
        let (id, name) = (field("ID"), field("Name"));
        let known = id.clone().filter(|id| self.committed_name(id).is_some());
        let Some(target) = known.or(name).or(id) else {
            return Err(Error::invalid(
                "the properties of a database cannot be set: neither ID nor Name says which one",
            ));
        };
        let steps = vec![Step::Properties { fields, allow_create }];
        self.write(call, &target, "properties of a database", steps).await
    }

    /// Ends a database on every server.
    pub async fn drop_database(&self, call: &Call, database: &str) -> Result<WriteAnswer> {
        if !call.session.rules() {
            return Err(self.denied(database));
        }
        let request_id = request_id(call)?;
        self.see_all_commits().await?;
        let (name, _alone) = self.alone(database).await;
        if let Some(answer) = self.answered(&request_id) {
            return answer;
        }
        self.epoch_of(&name)?;
        let state = self.metastore.state();
        let entry = state.database(&name).ok_or_else(|| self.no_such_database(database))?;
        let seq = self.commit_drop(&request_id, &entry.name, entry.seq).await?;
        Ok(WriteAnswer { seq, messages: Vec::new() })
    }

    /// The name of the database that a client calls by its name or its identifier.
    pub(crate) fn committed_name(&self, name_or_id: &str) -> Option<String> {
        let state = self.metastore.state();
        if let Some(entry) = state.database(name_or_id) {
            return Some(entry.name.clone());
        }
        let wanted = name_or_id.to_lowercase();
        let is_it = |id: &String| id.to_lowercase() == wanted;
        let mut all = self.versions.all().into_iter();
        let version = all.find(|v| v.model.database.id.as_ref().is_some_and(is_it))?;
        state.database(&version.name).map(|entry| entry.name.clone())
    }

    fn denied(&self, database: &str) -> Error {
        Error::new(
            ErrorKind::Denied,
            format!(
                "Deleting database '{database}' needs a server administrator; the caller is not one."
            ),
        )
    }
}

/// The one database of a command and all its parts.
fn the_database(command: &Command) -> Result<String> {
    let mut names: Vec<String> = Vec::new();
    databases(command, &mut names);
    let Some(first) = names.first().cloned() else {
        return Err(Error::invalid("the statement names no database to work on"));
    };
    match names.iter().find(|n| n.to_lowercase() != first.to_lowercase()) {
        None => Ok(first),
        Some(other) => Err(Error::unsupported(format!(
            "the statement works on the databases '{first}' and '{other}'; a statement changes one database, all or nothing: send one statement for each"
        ))),
    }
}

fn databases(command: &Command, names: &mut Vec<String>) {
    match command {
        Command::Sequence { operations, .. } => {
            for operation in operations {
                databases(operation, names);
            }
        }
        Command::Refresh(r) => names.extend(r.objects.iter().map(|o| o.database.clone())),
        other => names.extend(other.database().map(str::to_owned)),
    }
}

fn flatten(command: Command, steps: &mut Vec<Step>) -> Result<()> {
    match command {
        Command::Sequence { operations, .. } => {
            for operation in operations {
                flatten(operation, steps)?;
            }
        }
        Command::Refresh(refresh) => steps.push(Step::Refresh(refresh_request(refresh)?)),
        Command::Backup(_) | Command::Restore(_) => {
            return Err(Error::unsupported(
                "backup and restore cannot be part of a sequence; send them as statements of their own",
            ));
        }
        command => steps.push(Step::Command(command)),
    }
    Ok(())
}

fn refresh_request(refresh: Refresh) -> Result<RefreshRequest> {
    let overrides = SourceOverrides::of(&refresh.overrides)?;
    // One object that is the whole database makes the others moot.
    let whole = refresh.objects.iter().any(|o| o.table.is_none());
    let parts = refresh.objects.into_iter().filter_map(|o| Some((o.table?, o.partition)));
    let objects = if whole { Vec::new() } else { parts.collect() };
    Ok(RefreshRequest { kind: refresh.kind, objects, readers: None, overrides })
}
