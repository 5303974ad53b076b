//! `evercube restore`: a backup becomes a database again, all or nothing.

use serde_json::{Value as Json, json as object};

use super::credentials::AccountOfBackup;
use crate::client::{json, request_id};
use crate::failure::Outcome;
use crate::output::print;

/// Restore a backup, under its own or another name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube restore --server http://127.0.0.1:8383 \
    /backups/sales.evb --database SalesCopy")]
pub struct Restore {
    #[command(flatten)]
    account: AccountOfBackup,
    /// Where the backup is: the target that was given to backup
    source: String,
    /// Name of the restored database; else the name in the backup
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Replace a database that is there already
    #[arg(long)]
    overwrite: bool,
    /// What becomes of the roles in the backup
    #[arg(long, default_value = "keep", value_parser = ["keep", "skip", "drop-members"])]
    roles: String,
    /// The newest backup of a folder that is not after this version or time (UTC)
    #[arg(long, value_name = "VERSION|TIME")]
    at: Option<String>,
    /// Bring back this table alone, into the database as it is now
    #[arg(long, value_name = "T")]
    table: Option<String>,
    /// Bring back this partition of the table alone
    #[arg(long, value_name = "P", requires = "table")]
    partition: Option<String>,
}

pub async fn run(args: &Restore) -> Outcome {
    let mut body = object!({
        "source": args.source, "overwrite": args.overwrite, "roles": args.roles,
    });
    if let Some(name) = &args.database {
        body["database"] = name.as_str().into();
    }
    for (key, value) in [("at", &args.at), ("table", &args.table), ("partition", &args.partition)] {
        if let Some(value) = value {
            body[key] = value.as_str().into();
        }
    }
    if let Some(password) = args.account.backup_password()? {
        body["password"] = password.into();
    }
    let client = args.account.client()?;
    json::<Json>(&client.post_json("/api/v1/restore", &body, &request_id()?).await?)?;
    let name = args.database.as_ref().map_or(String::new(), |n| format!(" as '{n}'"));
    print(&format!("restored '{}'{name}\n", args.source))
}
