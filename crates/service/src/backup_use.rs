//! Backing a database up and bringing it back.

use evercube_base::{Error, ErrorKind, Result};
use evercube_model::tmsl::{BackupCommand, RestoreCommand};

use crate::call::{Call, WriteAnswer};
use crate::service::Service;

/// What to back up, and where to.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BackupRequest {
    pub database: String,
    /// `file:PATH`, a path, `az://container/prefix`, or a bare name for the group's own folder.
    pub target: String,
    /// Encrypts the backup.
    pub password: Option<String>,
    /// Replace a backup that is there.
    pub overwrite: bool,
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
}

impl Service {
    /// Writes the newest version of a database into one file; queries and writes go on.
    pub async fn backup(&self, call: &Call, request: BackupRequest) -> Result<WriteAnswer> {
        self.check_administrator(call, "Backing up", &request.database)?;
        Err(Error::unsupported(format!("'{}' is no target of this version", request.target)))
    }

    /// Brings a backup back as a database, all or nothing.
    pub async fn restore(&self, call: &Call, request: RestoreRequest) -> Result<WriteAnswer> {
        self.check_administrator(call, "Restoring", &request.source)?;
        Err(Error::unsupported(format!("'{}' is no source of this version", request.source)))
    }

    fn check_administrator(&self, call: &Call, doing: &str, what: &str) -> Result<()> {
        if call.session.is_admin {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Denied,
            format!("{doing} '{what}' needs an administrator; the caller is not one."),
        ))
    }
}

impl From<BackupCommand> for BackupRequest {
    fn from(command: BackupCommand) -> Self {
        Self {
            database: command.database,
            target: command.file,
            password: command.password,
            overwrite: command.allow_overwrite,
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
            .finish()
    }
}
