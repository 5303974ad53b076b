//! Backing a database up, and the requests for that and for bringing it back.

pub mod catalog;
pub(crate) mod continuous;
pub mod in_repository;
mod one_partition;
mod one_table;
pub(crate) mod restore;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evercube_base::{Diagnostic, Error, ErrorKind, Result};
use evercube_model::tmsl::{BackupCommand, RestoreCommand};
use evercube_store::Hash;

use crate::backup::header::History;
use crate::backup::preamble::Secrets;
use crate::backup::slots::Keys;
use crate::backup::{
    self, BackupHeader, ObjectEntry, Options, ProbeReport, ReadBack, Target, local,
};
use crate::call::{At, Call, ReadLevel, WriteAnswer};
use crate::change::finish::warning;
use crate::objects::blocking;
use crate::once::request_id;
use crate::running::{RunningGuard, RunningRequest};
use crate::service::Service;

/// What to back up, and where to.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BackupRequest {
    pub database: String,
    /// `file:PATH`, a path, `s3://bucket/name`, `az://…`, `gs://…`, `NAME:rest` of a configured
    /// target, or a bare name for the group's own folder.
    pub target: String,
    /// Encrypts the backup.
    pub password: Option<String>,
    /// Replace a backup that is there.
    pub overwrite: bool,
    /// How much of it is read back.
    pub read_back: ReadBack,
}

/// What to bring back, and as what.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RestoreRequest {
    /// As the target of a backup.
    pub source: String,
    /// The backed-up name where absent.
    pub database: Option<String>,
    pub password: Option<String>,
    /// Replace a database that is there.
    pub overwrite: bool,
    /// `keep`, `skip` or `drop-members`.
    pub roles: String,
    /// The newest backup of a folder that is not after this; a single backup must not be either.
    pub at: Option<At>,
    /// Brings this table back and leaves the rest of the database as it is.
    pub table: Option<String>,
    /// Brings this partition of the table back alone.
    pub partition: Option<String>,
}

/// A backup in one file that is still to be read back, and its password.
type Unproved = (Target, Secrets);

impl Service {
    /// Writes the newest version of a database into one file; queries and writes go on.
    pub async fn backup(&self, call: &Call, request: BackupRequest) -> Result<WriteAnswer> {
        let target = match call.session.rules() {
            true => self.target(&request.target)?,
            // Other places are reached with the rights of the server.
            false => {
                self.see_all_commits().await?;
                self.need_administrator_of(&call.session, &request.database, "Backing up")?;
                let target = self.target(&request.target)?;
                match &target {
                    Target::Own(name) if request.overwrite => {
                        self.replaces_its_own(&request.database, name, &target).await?;
                    }
                    Target::Own(_) => {}
                    _ => self.check_administrator(call, "Backing up to", &request.target)?,
                }
                target
            }
        };
        let id = request_id(call)?;
        let listed = self.enter(call, &request.database, "backup");
        let cancel = Arc::clone(&listed.cancel);
        let written = Box::pin(self.back_up(call, &id, &target, request, cancel)).await;
        let answer = match written {
            Ok((answer, Some((target, secrets)))) => {
                self.progress.update(&id, |p| p.state = "reading back".into());
                Box::pin(self.prove_file(&target, secrets)).await.map(|()| answer)
            }
            written => written.map(|(answer, _)| answer),
        };
        self.ended(&id, answer.is_ok());
        answer.map_err(|e| e.context("The backup failed"))
    }

    /// Who administers one database replaces no backup of another one.
    async fn replaces_its_own(&self, database: &str, name: &str, target: &Target) -> Result<()> {
        let asked = self.committed_name(database).unwrap_or_else(|| database.to_owned());
        let state = self.metastore.state();
        let own = match state.backups.get(&self.record_key(target)) {
            Some(known) => known.database.to_lowercase() == asked.to_lowercase(),
            None => !self.any_copy(name).await?,
        };
        match own {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::Denied,
                format!(
                    "'{name}' is not known to be a backup of '{database}', and only a server administrator replaces others; give the backup another name"
                ),
            )),
        }
    }

    /// Writes a backup.
    async fn back_up(
        &self,
        call: &Call,
        id: &str,
        target: &Target,
        request: BackupRequest,
        cancel: Arc<AtomicBool>,
    ) -> Result<(WriteAnswer, Option<Unproved>)> {
        let BackupRequest { database, password, overwrite, read_back, .. } = request;
        let password = self.backup_password(target, password)?;
        let secrets = Secrets { password: password.clone(), keys: self.backup_keys() };
        let is_locked = password.is_some();
        let in_own_folder = matches!(target, Target::Own(_));
        let keys = Some(&secrets.keys).filter(|k| k.vault.is_some() && in_own_folder).cloned();
        self.see_all_commits().await?;
        let name = self.committed_name(&database);
        let name = name.ok_or_else(|| self.no_such_database(&database))?;
        let session = call.session.clone();
        let newest = Call { session, read: ReadLevel::Strong, at: call.at, ..Call::default() };
        let version = self.version(&newest, &name).await?;
        let target = &target.for_database(&name);
        let own_folder = self.backup_folder();
        let written = match target {
            Target::Own(name) if !overwrite && self.any_copy(name).await? => {
                self.bring_backup_here(name).await?;
                Err(local::exists(&target.describe()))
            }
            _ => {
                let mut objects = vec![version.model_hash, version.manifest_hash];
                objects.extend(version.manifest.objects().into_iter().map(|(_, hash)| hash));
                let header = self.header(&version.name, version.seq, version.root, objects).await?;
                let header = BackupHeader { request: id.to_owned(), ..header };
                self.progress.update(id, |p| {
                    p.state = "writing".into();
                    p.partitions_total = u32::try_from(header.objects.len()).unwrap_or(u32::MAX);
                    p.current = target.describe();
                });
                let options = Options {
                    password,
                    keys,
                    overwrite,
                    own_folder: own_folder.clone(),
                    server: self.config.name.clone(),
                    read_back,
                };
                let objects = Arc::clone(&self.objects);
                let (progress, of) = (self.progress.clone(), id.to_owned());
                let written = backup::write(target, header.clone(), options, move |hash| {
                    not_cancelled(&cancel)?;
                    progress.update(&of, |p| p.partitions_done += 1);
                    objects.get(hash)
                });
                written.await.map(|placed| (header, placed))
            }
        };
        let mut unproved = None;
        let seq = match written {
            Ok((header, placed)) => {
                let summary = placed.summary;
                let mut record = catalog::record_of(&header, summary.content, summary.written);
                let in_repository = matches!(placed.target, Target::Repository(_));
                if in_repository && read_back != ReadBack::None {
                    record.verified_micros = Some(self.now().unix_micros());
                }
                let key = self.record_key(&placed.target);
                // The backup is there; without its record it is only not known again.
                if let Err(e) = self.put_record(key, Some(record)).await {
                    tracing::warn!(place = target.describe(), error = %e, "a backup could not be recorded");
                }
                if !in_repository && read_back != ReadBack::None {
                    unproved = Some((placed.target, secrets));
                }
                version.seq
            }
            // Where the request had been carried out and only its answer was lost, it is done.
            Err(e) if matches!(e.kind, ErrorKind::Conflict | ErrorKind::Source) => {
                let found = backup::inspect(target, secrets, &own_folder).await;
                found.ok().filter(|h| h.request == id).ok_or(e)?.seq
            }
            Err(e) => return Err(e),
        };
        let mut messages = match target {
            Target::Own(file) => self.keep_twice(file).await?,
            _ => Vec::new(),
        };
        messages.extend(self.in_the_clear(target, is_locked));
        Ok((WriteAnswer { seq, messages }, unproved))
    }

    /// Tests whether backups can be kept at a target.
    pub async fn test_target(&self, call: &Call, target: &str) -> Result<ProbeReport> {
        self.check_administrator(call, "Testing", target)?;
        let target = self.target(target)?;
        backup::test(&target, &self.backup_folder()).await
    }

    pub(crate) fn target(&self, text: &str) -> Result<Target> {
        self.targets().resolve(text, &self.config.working_dir)
    }

    /// The password that was given, else that of the target's configuration.
    pub(crate) fn backup_password(
        &self,
        target: &Target,
        given: Option<String>,
    ) -> Result<Option<String>> {
        match given {
            Some(password) if password.is_empty() => Err(Error::invalid(
                "the password is empty: leave it out, or give one that nobody guesses",
            )),
            Some(password) => Ok(Some(password)),
            None => self.targets().password(target, &self.config.working_dir),
        }
    }

    /// What opens a backup: its password where it has one, else the keys of the operator and of the
    /// group.
    pub(crate) fn backup_secrets(&self, target: &Target, given: Option<String>) -> Result<Secrets> {
        Ok(Secrets { password: self.backup_password(target, given)?, keys: self.backup_keys() })
    }

    fn backup_keys(&self) -> Keys {
        Keys {
            vault: self.config.vault.clone(),
            group: self.metastore.state().cluster_id.clone(),
            of_group: self.keys(),
        }
    }

    /// Warns where a backup lies readable on a disk while the data folder is encrypted. Whoever is
    /// told of a place outside reads it with neither these servers nor their keys.
    fn in_the_clear(&self, target: &Target, is_locked: bool) -> Option<Diagnostic> {
        if is_locked || target.path().is_none() || self.config.vault.is_none() {
            return None;
        }
        let text = format!(
            "The data folder is encrypted and the backup at {} is not: outside of the group's own folder backups are encrypted with their own password only; give it one.",
            target.describe()
        );
        Some(warning(String::new(), text, None))
    }

    /// Brings a backup in the own folder to a second member; warns where that cannot be done now.
    async fn keep_twice(&self, name: &str) -> Result<Vec<Diagnostic>> {
        self.count_own_copy(name).await?;
        Ok(match self.send_backup_on(name).await {
            Ok(_) => Vec::new(),
            Err(e) => vec![warning(
                String::new(),
                format!(
                    "The backup '{name}' is kept on server '{}' only: no other server took it ({e}).",
                    self.config.name
                ),
                None,
            )],
        })
    }

    /// What a backup of a version says of itself; `objects` begins with model and manifest, and may
    /// name one several times.
    pub(crate) async fn header(
        &self,
        name: &str,
        seq: u64,
        root: Hash,
        mut objects: Vec<Hash>,
    ) -> Result<BackupHeader> {
        let [model, manifest, ..] = *objects.as_slice() else {
            return Err(Error::internal("a version has no model and manifest"));
        };
        let mut seen = BTreeSet::new();
        objects.retain(|hash| seen.insert(*hash));
        let folder = Arc::clone(&self.objects);
        let entries = blocking(move || {
            let entry = |hash| Ok(ObjectEntry { hash, length: folder.length(&hash)? });
            objects.into_iter().map(entry).collect::<Result<Vec<_>>>()
        });
        let state = self.metastore.state();
        Ok(BackupHeader {
            database: name.to_owned(),
            cluster: state.cluster_id.clone(),
            seq,
            created_micros: self.now().unix_micros(),
            request: String::new(),
            product: env!("CARGO_PKG_VERSION").to_owned(),
            root,
            model,
            manifest,
            objects: entries.await?,
            history: History { incarnation: state.incarnation, branch: state.branch },
            log: false,
        })
    }

    pub(crate) fn check_administrator(&self, call: &Call, doing: &str, what: &str) -> Result<()> {
        if call.session.rules() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Denied,
            format!("{doing} '{what}' needs an administrator; the caller is not one."),
        ))
    }

    /// Lists the operation among those that run, so that it can be cancelled.
    fn enter(&self, call: &Call, database: &str, text: &str) -> RunningGuard {
        if let (Some(_), Ok(id)) = (&call.request_id, request_id(call)) {
            self.progress.update(&id, |p| p.by.clone_from(&call.session.user));
        }
        self.running.enter(RunningRequest {
            session: call.session.number,
            request_id: call.request_id.clone(),
            user: call.session.user.clone(),
            database: database.to_owned(),
            text: text.to_owned(),
            started: self.now(),
            cancel: Arc::default(),
            work: None,
            cancelled: Arc::default(),
        })
    }

    fn ended(&self, request_id: &str, well: bool) {
        let state = if well { "done" } else { "failed" };
        self.progress.update(request_id, |p| p.state = state.into());
    }
}

pub(crate) fn not_cancelled(cancel: &AtomicBool) -> Result<()> {
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::Cancelled, "the operation was cancelled"));
    }
    Ok(())
}

impl From<BackupCommand> for BackupRequest {
    fn from(command: BackupCommand) -> Self {
        Self {
            database: command.database,
            target: command.file,
            password: command.password,
            overwrite: command.allow_overwrite,
            read_back: ReadBack::All,
        }
    }
}

impl From<RestoreCommand> for RestoreRequest {
    fn from(command: RestoreCommand) -> Self {
        let roles = match command.security.as_deref() {
            Some("skipMembership") => "drop-members",
            Some("ignoreSecurity") => "skip",
            _ => "keep",
        };
        Self {
            source: command.file,
            database: command.database,
            password: command.password,
            overwrite: command.allow_overwrite,
            roles: roles.to_owned(),
            at: None,
            table: command.table,
            partition: command.partition,
        }
    }
}

/// Passwords never reach a log.
fn hidden(password: Option<&String>) -> &'static str {
    if password.is_some() { "given" } else { "none" }
}

impl std::fmt::Debug for BackupRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupRequest")
            .field("database", &self.database)
            .field("target", &self.target)
            .field("password", &hidden(self.password.as_ref()))
            .field("overwrite", &self.overwrite)
            .field("read_back", &self.read_back)
            .finish()
    }
}

impl std::fmt::Debug for RestoreRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreRequest")
            .field("source", &self.source)
            .field("database", &self.database)
            .field("password", &hidden(self.password.as_ref()))
            .field("overwrite", &self.overwrite)
            .field("roles", &self.roles)
            .field("at", &self.at)
            .field("table", &self.table)
            .field("partition", &self.partition)
            .finish()
    }
}
