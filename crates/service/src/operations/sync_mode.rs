//! How the servers keep a database the same.

use evercube_base::{Error, Result};
use evercube_metastore::{Command, OnDifference, StandbyPlan, Sync, SyncMode};

use super::{Progress, Report};
use crate::call::Call;
use crate::seal::{self, Purpose};
use crate::service::Service;

/// What is wanted of a database.
#[derive(Debug, Clone, Default)]
pub struct SyncRequest {
    /// `replicate`, `parallel` or `standby`.
    pub mode: String,
    /// With `parallel`: `repair` (the default) or `refuse`.
    pub on_difference: Option<String>,
    /// With `standby`: base URL and token of the other group, the folder for backups that both
    /// groups reach, and how often they are made.
    pub to: Option<String>,
    pub token: Option<String>,
    pub target: Option<String>,
    pub every_seconds: Option<u64>,
}

impl Service {
    pub async fn set_sync_mode(
        &self,
        call: &Call,
        database: &str,
        request: &SyncRequest,
    ) -> Result<Report> {
        self.may_operate(call, "Setting how a database is kept the same").await?;
        let mode = match request.mode.to_ascii_lowercase().as_str() {
            "replicate" => SyncMode::Replicate,
            "parallel" => SyncMode::Parallel,
            "standby" => SyncMode::Standby,
            other => {
                return Err(Error::invalid(format!(
                    "'{other}' is no way to keep servers the same; use replicate, parallel or standby"
                )));
            }
        };
        let on_difference = match request.on_difference.as_deref() {
            None | Some("repair") => OnDifference::Repair,
            Some("refuse") => OnDifference::Refuse,
            Some(other) => {
                return Err(Error::invalid(format!(
                    "'{other}' does not say what becomes of a difference; use repair or refuse"
                )));
            }
        };
        self.not_a_standby(database)?;
        let mut progress = Progress::new();
        let standby = match mode {
            SyncMode::Standby => Some(self.standby_plan(request)?),
            _ => None,
        };
        if let Some(plan) = &standby {
            // The first backup and restore show that everything is in place.
            self.supply(database, plan).await?;
            progress.note(format!(
                "a backup was written to {}, restored by the group at {} and verified there",
                plan.target, plan.url
            ));
        }
        let sync = Sync { mode, on_difference, standby };
        self.order(Command::SetSync { database: database.to_owned(), sync }).await?;
        progress.note(match mode {
            SyncMode::Parallel => format!(
                "database '{database}' is kept the same by '{mode}': every data server reads the sources, and a difference is {}",
                if on_difference == OnDifference::Refuse { "refused" } else { "repaired" }
            ),
            _ => format!("database '{database}' is kept the same by '{mode}'"),
        });
        progress.end().await
    }

    fn standby_plan(&self, request: &SyncRequest) -> Result<StandbyPlan> {
        let missing = |what: &str| Error::invalid(format!("the mode standby needs {what}"));
        let url =
            request.to.clone().ok_or_else(|| missing("the base URL of the other group (--to)"))?;
        let target = request
            .target
            .clone()
            .ok_or_else(|| missing("a folder for backups that both groups reach (--target)"))?;
        self.target(&target)?;
        need_address(&url, request.token.is_some())?;
        let keys = self.keys();
        let seal = |token: &String| seal::seal(&keys, Purpose::OtherGroup, token.as_bytes());
        Ok(StandbyPlan {
            url: url.trim_end_matches('/').to_owned(),
            token: request.token.as_ref().map(seal).transpose()?,
            target,
            every_seconds: request.every_seconds.unwrap_or(EVERY_SECONDS).max(1),
        })
    }
}

/// How often a standby is supplied where nothing is said.
const EVERY_SECONDS: u64 = 900;

/// Refuses an address that is none, or over which a token could be read on the way.
fn need_address(url: &str, with_token: bool) -> Result<()> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || host.contains('@') || !["http", "https"].contains(&scheme) {
        return Err(Error::invalid(format!(
            "'{url}' is no address of another group; write it as https://host:port"
        )));
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let near = name == "localhost"
        || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback());
    match scheme == "http" && with_token && !near {
        true => Err(Error::invalid(format!(
            "the token could be read on the way to {url}; use https:// (a private authority is named by the setting ca)"
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_encrypted_or_not_at_all() {
        for url in ["https://b.example", "http://127.0.0.1:1", "http://localhost", "http://[::1]:2"]
        {
            assert!(need_address(url, true).is_ok(), "{url}");
        }
        assert!(need_address("http://b.example", false).is_ok());
        for url in ["http://b.example", "http://10.0.0.1:80", "ftp://b", "b.example", "https://u@b"]
        {
            assert!(need_address(url, true).is_err(), "{url}");
        }
    }
}
