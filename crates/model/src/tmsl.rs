//! The tabular scripting language: statements as JSON, and model files that are deployed.

mod arguments;
mod command;
mod deploy;
mod parameter;
mod path;
mod refresh;
mod secrets;
mod statement;

pub use self::command::{
    BackupCommand, Command, Definition, Override, Refresh, RefreshKind, RefreshObject, Replacement,
    RestoreCommand,
};
pub use self::deploy::deploy_command;
pub use self::path::{ObjectKind, ObjectPath};
pub use self::secrets::without_secrets;
pub use self::statement::parse_statement;
