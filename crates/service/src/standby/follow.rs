//! The side that follows: the newest backup restored, proved and told of; the promotion.

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Command, Reply, Restored, StandbyOf};
use serde::{Deserialize, Serialize};

use super::time;
use crate::backup;
use crate::call::{At, Call};
use crate::once::request_id;
use crate::operations::{Progress, Report};
use crate::service::Service;

/// What the followed group says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowRequest {
    /// Its id.
    pub group: String,
    /// The folder of its backups.
    pub source: String,
    pub every_seconds: u64,
    /// Its newest version, and the moment it was the newest.
    #[serde(default)]
    pub seq: Option<u64>,
    #[serde(default)]
    pub as_of_micros: i64,
}

impl Service {
    /// Makes a database follow the one of this name in another group, or takes word of that one.
    pub async fn follow(&self, call: &Call, database: &str, ask: FollowRequest) -> Result<Report> {
        self.may_operate(call, "Following a database of another group").await?;
        let state = self.metastore.state();
        if ask.group == state.cluster_id {
            return Err(Error::invalid(
                "a group cannot be the standby of itself; name another group's URL",
            ));
        }
        let known = match state.database(database) {
            None => None,
            Some(entry) => match &entry.standby_of {
                Some(of) if of.group == ask.group => Some(of.clone()),
                Some(of) => {
                    return Err(refused(format!(
                        "database '{database}' follows group {} here already; promote or delete it first",
                        of.group
                    )));
                }
                None => {
                    return Err(refused(format!(
                        "there is a database '{database}' in this group that takes writes, as after a promotion; nothing was restored over it. Delete it here to follow again"
                    )));
                }
            },
        };
        let restored = known.and_then(|of| of.restored);
        let of = StandbyOf {
            group: ask.group,
            source: ask.source,
            every_seconds: ask.every_seconds.max(1),
            as_of_micros: 0,
            restored,
        };
        let mut of = self.take_newest(database, &of).await?;
        let mut progress = Progress::new();
        let Some(restored) = &of.restored else {
            return Err(Error::not_found(format!(
                "there is no backup of '{database}' in {}",
                of.source
            )));
        };
        progress.note(format!(
            "database '{database}' holds version {} of group {}, {}",
            restored.seq,
            of.group,
            if restored.verified { "verified" } else { "NOT VERIFIED" }
        ));
        // What the other group says is the newest is here: nothing up to then is missing.
        if ask.seq.is_some_and(|seq| restored.seq >= seq) && ask.as_of_micros > of.as_of_micros {
            of.as_of_micros = ask.as_of_micros;
            self.put_standby(database, Some(of)).await?;
        }
        progress.end().await
    }

    /// Restores the newest backup of the folder, if it is not the one that is held; what is held
    /// then.
    pub(super) async fn take_newest(&self, database: &str, of: &StandbyOf) -> Result<StandbyOf> {
        let folder = self.target(&of.source)?;
        let newest = self.backup_as_of(&folder, At::Seq(u64::MAX), Some(database), None).await?;
        let header =
            backup::inspect(&newest, self.backup_secrets(&newest, None)?, &self.backup_folder())
                .await?;
        if header.database.to_lowercase() != database.to_lowercase() || header.cluster != of.group {
            return Err(Error::not_found(format!(
                "there is no backup of database '{database}' of group {} in {}",
                of.group, of.source
            )));
        }
        let held = of.restored.as_ref();
        if held.is_some_and(|r| {
            (r.seq, r.created_micros) == (header.seq, header.created_micros) && r.verified
        }) {
            return Ok(of.clone());
        }
        self.restore_standby(&newest, database, &header).await?;
        self.see_all_commits().await?;
        let proof = self.prove_everywhere(database, true).await?;
        if let Some(difference) = &proof.difference {
            self.alarm(
                "standby",
                &format!("the restored standby '{database}' differs: {difference}"),
            );
        }
        let of = StandbyOf {
            as_of_micros: header.created_micros,
            restored: Some(Restored {
                seq: header.seq,
                created_micros: header.created_micros,
                restored_micros: self.now().unix_micros(),
                verified: proof.same,
            }),
            ..of.clone()
        };
        self.put_standby(database, Some(of.clone())).await?;
        Ok(of)
    }

    /// Makes a standby take writes; it follows nobody from then on.
    pub async fn promote_standby(&self, call: &Call, database: &str) -> Result<Report> {
        self.may_operate(call, "Promoting a database").await?;
        let what = format!("database '{database}' takes writes here now");
        if let Some(mut report) = self.carried_out(call, &what)? {
            // The server that was asked first may have stopped before this.
            let mut progress = Progress::new();
            self.links_follow(call, database, &mut progress).await?;
            report.done.extend(progress.end().await?.done);
            return Ok(report);
        }
        let state = self.metastore.state();
        let entry = state.database(database).ok_or_else(|| self.no_such_database(database))?;
        let Some(of) = &entry.standby_of else {
            return Err(refused(format!(
                "database '{database}' is no standby; it takes writes already"
            )));
        };
        let mut progress = Progress::new();
        let command = Command::SetStandby { database: database.to_owned(), standby: None };
        self.change_once(&request_id(call)?, command).await?;
        let held = of.restored.as_ref().map_or_else(String::new, |r| {
            format!(
                "it holds version {} of group {}, of {}",
                r.seq,
                of.group,
                time(r.created_micros)
            )
        });
        progress.note(format!("database '{database}' takes writes here now; {held}"));
        progress.note(format!(
            "nothing committed there up to {} is missing; what was committed later is not here",
            time(of.as_of_micros)
        ));
        self.links_follow(call, database, &mut progress).await?;
        self.alarm("promoted", &format!("the standby '{database}' was promoted"));
        progress.end().await
    }

    async fn put_standby(&self, database: &str, standby: Option<StandbyOf>) -> Result<()> {
        let command = Command::SetStandby { database: database.to_owned(), standby };
        match self.metastore.propose(command).await? {
            Reply::Done { seq } => self.metastore.wait_applied(seq, crate::read::HOLD).await,
            Reply::Refused(e) => Err(e),
        }
    }
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::Conflict, message)
}
