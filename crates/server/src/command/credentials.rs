//! The options by which a command says where the server is and who asks.

use std::path::PathBuf;

use crate::client::{Client, Connection, Secrets};
use crate::failure::Outcome;

/// A connection whose password may come from a file.
#[derive(Debug, Clone, clap::Args)]
pub struct Account {
    #[command(flatten)]
    connection: Connection,
    /// File that holds the password of --user
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Account {
    pub fn client(&self) -> Outcome<Client> {
        let secrets = Secrets::from_environment();
        Client::new(&self.connection, self.password_file.as_deref(), &secrets)
    }
}

/// A connection for commands whose `--password-file` is the password of the backup: that of the
/// user comes from the environment.
#[derive(Debug, Clone, clap::Args)]
pub struct AccountOfBackup {
    #[command(flatten)]
    connection: Connection,
    /// File that holds the password of the backup itself; that of --user is in EVERCUBE_PASSWORD
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl AccountOfBackup {
    pub fn client(&self) -> Outcome<Client> {
        Client::new(&self.connection, None, &Secrets::from_environment())
    }

    /// The password the backup is encrypted with, where one was given.
    pub fn backup_password(&self) -> Outcome<Option<String>> {
        self.password_file.as_deref().map(crate::client::secret_of).transpose()
    }
}
