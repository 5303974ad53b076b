//! `evercube backup`: one version of a database as a file or prefix.

use serde_json::json as object;

use super::{WriteAnswer, credentials::AccountOfBackup};
use crate::client::{json, percent_encode, request_id};
use crate::failure::Outcome;
use crate::output::print;

/// Back a database up while queries go on
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube backup --server http://127.0.0.1:8383 Sales \
    /backups/sales.evb --password-file backup.secret")]
pub struct Backup {
    #[command(flatten)]
    account: AccountOfBackup,
    /// Name of the database
    database: String,
    /// Path on the server, file:PATH, s3://, az:// or gs://bucket/name, NAME:rest of a target in the
    /// server's settings, or a bare name for the group's own folder
    target: String,
    /// Replace a backup that is there already
    #[arg(long)]
    overwrite: bool,
    /// How much is read back once it is written: all, none, or sample:10% of what a repository had
    /// already, besides what is new
    #[arg(long, value_name = "HOW", default_value = "all")]
    verify: String,
}

pub async fn run(args: &Backup) -> Outcome {
    let mut body = object!({
        "target": args.target, "overwrite": args.overwrite, "verify": args.verify,
    });
    if let Some(password) = args.account.backup_password()? {
        body["password"] = password.into();
    }
    let path = format!("/api/v1/databases/{}/backup", percent_encode(&args.database));
    let client = args.account.client()?;
    let done: WriteAnswer = json(&client.post_json(&path, &body, &request_id()?).await?)?;
    done.warn();
    print(&format!("backed up '{}' to '{}'\n", args.database, args.target))
}
