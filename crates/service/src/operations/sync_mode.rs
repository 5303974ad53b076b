//! How the servers keep a database the same.

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Command, OnDifference, Partner, StandbyPlan, Sync, SyncMode};

use super::{Progress, Report, refused};
use crate::call::Call;
use crate::other_group::need_address;
use crate::service::Service;

/// What is wanted of a database.
#[derive(Debug, Clone, Default)]
pub struct SyncRequest {
    /// `replicate`, `parallel` or `standby`.
    pub mode: String,
    /// With `parallel`: `repair` (the default) or `refuse`.
    pub on_difference: Option<String>,
    /// With `standby`, or `parallel` where it names another group: base URL and token of that
    /// group, and the folder for backups that both groups reach; with `standby` how often they are
    /// made.
    pub to: Option<String>,
    pub token: Option<String>,
    pub target: Option<String>,
    pub every_seconds: Option<u64>,
}

impl SyncRequest {
    /// What is said, as options of the command, that this mode has no use for.
    pub fn unused(&self) -> Vec<&'static str> {
        let mode = self.mode.to_ascii_lowercase();
        let names_group = mode == "standby" || (mode == "parallel" && self.to.is_some());
        let said = [
            ("--on-difference", self.on_difference.is_some(), mode == "parallel"),
            ("--to", self.to.is_some(), mode != "replicate"),
            ("--to-token-file", self.token.is_some(), names_group),
            ("--target", self.target.is_some(), names_group),
        ];
        said.into_iter().filter(|(_, said, used)| *said && !used).map(|(name, ..)| name).collect()
    }
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
        if let Some(option) = request.unused().first() {
            return Err(Error::invalid(format!("the mode {mode} has no use for {option}")));
        }
        self.not_a_standby(database)?;
        let mut progress = Progress::new();
        let standby = match mode {
            SyncMode::Standby => Some(self.standby_plan(request)?),
            _ => None,
        };
        if let Some(plan) = &standby {
            // The first backup and restore show that everything is in place.
            self.supply(database, plan).await.map_err(|e| not_reached(&plan.url, e))?;
            progress.note(format!(
                "a backup was written to {}, restored by the group at {} and verified there",
                plan.target, plan.url
            ));
        }
        let partner = match (mode, &request.to) {
            (SyncMode::Parallel, Some(url)) => Some(self.partner(url, request, on_difference)?),
            _ => None,
        };
        if let Some(partner) = &partner {
            // What the other group cannot do shows now.
            self.give_model(database, partner).await.map_err(|e| not_reached(&partner.url, e))?;
            progress.note(format!(
                "the group at {} has the model of '{database}' and reads its sources at every refresh, too",
                partner.url
            ));
        }
        let sync = Sync { mode, on_difference, standby, partner };
        self.order(call, Command::SetSync { database: database.to_owned(), sync }).await?;
        progress.note(match mode {
            SyncMode::Parallel => format!(
                "database '{database}' is kept the same by '{mode}': every data server reads the sources, and a difference is {}",
                if on_difference == OnDifference::Refuse { "refused" } else { "repaired" }
            ),
            _ => format!("database '{database}' is kept the same by '{mode}'"),
        });
        progress.end().await
    }

    fn partner(
        &self,
        url: &str,
        request: &SyncRequest,
        on_difference: OnDifference,
    ) -> Result<Partner> {
        need_address(url, request.token.is_some())?;
        match &request.target {
            Some(target) => {
                self.target(target)?;
            }
            None if on_difference == OnDifference::Repair => {
                return Err(Error::invalid(
                    "a difference to another group is repaired by a backup: name a folder that both groups reach (--target), or let differences be refused (--on-difference refuse)",
                ));
            }
            None => {}
        }
        Ok(Partner {
            url: url.trim_end_matches('/').to_owned(),
            token: self.sealed(request.token.as_ref())?,
            target: request.target.clone(),
        })
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
        Ok(StandbyPlan {
            url: url.trim_end_matches('/').to_owned(),
            token: self.sealed(request.token.as_ref())?,
            target,
            every_seconds: request.every_seconds.unwrap_or(EVERY_SECONDS).max(1),
        })
    }
}

/// What is away is another group: nobody is to wait here, as for a leader of this one.
fn not_reached(url: &str, error: Error) -> Error {
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::Unknown => refused(format!(
            "the group at {url} was not brought in step, and the mode was not changed: {}",
            error.message
        )),
        _ => error,
    }
}

/// How often a standby is supplied where nothing is said.
const EVERY_SECONDS: u64 = 900;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mode_has_no_use_for_is_named() {
        let all = |mode: &str, to: bool| SyncRequest {
            mode: mode.into(),
            on_difference: Some("repair".into()),
            to: to.then(|| "https://a:1".into()),
            token: Some("t".into()),
            target: Some("/b".into()),
            every_seconds: Some(1),
        };
        assert_eq!(
            all("replicate", true).unused(),
            ["--on-difference", "--to", "--to-token-file", "--target"]
        );
        assert_eq!(all("parallel", true).unused(), [""; 0]);
        assert_eq!(all("Parallel", false).unused(), ["--to-token-file", "--target"]);
        assert_eq!(all("standby", true).unused(), ["--on-difference"]);
    }
}
