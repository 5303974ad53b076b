//! What a database does while a failure domain it needs is away.

use evercube_base::{Error, Result};
use evercube_metastore::{Command, Policy};

use super::{Progress, Report};
use crate::call::Call;
use crate::service::Service;

impl Service {
    /// Sets the policy of a database: `strict` or `available`.
    pub async fn set_policy(&self, call: &Call, database: &str, policy: &str) -> Result<Report> {
        self.may_operate(call, "Setting the policy of a database").await?;
        let policy = match policy.to_ascii_lowercase().as_str() {
            "strict" => Policy::Strict,
            "available" => Policy::Available,
            other => {
                return Err(Error::invalid(format!(
                    "'{other}' is no policy; use strict or available"
                )));
            }
        };
        let mut progress = Progress::new();
        self.order(call, Command::SetPolicy { database: database.to_owned(), policy }).await?;
        progress.note(format!("the policy of database '{database}' is {policy}"));
        progress.end().await
    }
}
