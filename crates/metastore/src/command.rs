//! The commands of the replicated state. Each is applied by every member in the same order and
//! must give the same result everywhere: no clock, no chance, no floating maps.

use evercube_base::Error;
use serde::{Deserialize, Serialize};

use crate::backups::BackupRecord;
use crate::jobs::JobChange;
use crate::joining::{Authority, AuthorityStep, JoinToken};
use crate::keeping::{StandbyOf, Sync};
use crate::links::LinkChange;
use crate::logins::LoginChange;
use crate::reads::ReadChange;
use crate::schedules::ScheduleChange;
use crate::shared::SharedChange;
use crate::state::{FirewallRule, Hash, Leases, Member, Policy, TokenEntry};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The first command of a group.
    Init {
        cluster_id: String,
        session_key: [u8; 32],
    },
    /// A server joins, or comes back with other addresses. A member of the same name with another
    /// id was replaced (its disk is gone) and leaves with the same command.
    PutMember {
        id: u64,
        member: Member,
    },
    RemoveMember {
        id: u64,
    },
    Commit(Commit),
    /// The group goes on without a failure domain.
    Degrade {
        domain: String,
    },
    /// A failure domain is counted on again.
    Restore {
        domain: String,
    },
    PutUser {
        name: String,
        password_hash: String,
        admin: bool,
    },
    DeleteUser {
        name: String,
    },
    PutSetting {
        name: String,
        value: String,
    },
    /// These databases are written by this member from now on.
    Grant {
        leases: Leases,
        to: u64,
    },
    /// The leases of one database, or all that were moved, go back to who held them before.
    Return {
        database: Option<String>,
    },
    /// A member takes no new work, or takes it again.
    Drain {
        member: u64,
        draining: bool,
    },
    SetPolicy {
        database: String,
        policy: Policy,
    },
    /// How a database is kept the same.
    SetSync {
        database: String,
        sync: Sync,
    },
    /// Makes a database follow one of another group, tells what it holds of it, or ends that.
    SetStandby {
        database: String,
        standby: Option<StandbyOf>,
    },
    /// Makes a user an administrator, or one no more.
    SetAdmin {
        name: String,
        admin: bool,
    },
    PutToken {
        name: String,
        token: TokenEntry,
    },
    DeleteToken {
        name: String,
    },
    PutFirewallRule {
        name: String,
        rule: FirewallRule,
    },
    DeleteFirewallRule {
        name: String,
    },
    /// Changes nothing; shows that the group takes writes.
    Probe,
    /// A backup was written or proved at a place, or is gone from it.
    PutBackup {
        place: String,
        record: Option<BackupRecord>,
    },
    Schedules(ScheduleChange),
    Jobs(JobChange),
    PutAuthority(Authority),
    PutJoinToken {
        name: String,
        token: JoinToken,
    },
    DeleteJoinToken {
        name: String,
    },
    /// A server shows the secret with this hash.
    UseJoinToken {
        hash: Hash,
        server: u64,
        now_unix: i64,
    },
    Reads(ReadChange),
    Links(LinkChange),
    Authority(AuthorityStep),
    Shared(SharedChange),
    /// A change that is made once, however often it is asked for under this id.
    Once {
        request_id: String,
        command: Box<Command>,
    },
    /// The login of a data source.
    Login(LoginChange),
    /// A move of leases that was planned: who held them may still commit what it has under way.
    Planned(Box<Command>),
}

/// The newest commands this release understands.
pub const LEVEL: u32 = 6;
/// The level from which on changes are recorded under request ids.
pub(crate) const RECORDED: u32 = 3;
/// The level from which on what is under way goes on while leases and leadership change hands.
pub(crate) const HANDED_ON: u32 = 4;
/// The level from which on a commit whose writer was replaced may be made anew under its request id.
pub(crate) const REPEATABLE: u32 = 6;

impl Command {
    /// The level a member must have to understand the command. A command is proposed only when
    /// every member does.
    pub fn level(&self) -> u32 {
        match self {
            Self::Grant { .. }
            | Self::Return { .. }
            | Self::Drain { .. }
            | Self::SetPolicy { .. }
            | Self::SetAdmin { .. }
            | Self::PutToken { .. }
            | Self::DeleteToken { .. }
            | Self::PutFirewallRule { .. }
            | Self::DeleteFirewallRule { .. }
            | Self::Probe
            | Self::PutBackup { .. } => 1,
            // A server of the release before would drop the other group.
            Self::SetSync { sync, .. } if sync.partner.is_some() => 3,
            Self::Schedules(change) if change.is_of_level_3() => 3,
            Self::Schedules(_)
            | Self::Jobs(_)
            | Self::Reads(_)
            | Self::PutAuthority(_)
            | Self::PutJoinToken { .. }
            | Self::DeleteJoinToken { .. }
            | Self::UseJoinToken { .. }
            | Self::SetSync { .. }
            | Self::SetStandby { .. } => 2,
            Self::Shared(change) if change.is_of_level_5() => 5,
            Self::Links(_) | Self::Authority(_) | Self::Shared(_) | Self::Login(_) => 3,
            Self::Commit(c) if c.repeatable => REPEATABLE,
            Self::Commit(c) if !c.logins.is_empty() => 3,
            Self::Planned(_) => HANDED_ON,
            Self::Once { command, .. } => command.level().max(RECORDED),
            _ => 0,
        }
    }
}

/// A new version of a database, or its end.
///
/// Refused when the caller is fenced (`epoch`), when the database moved on (`expected_seq`), or
/// when too few failure domains hold the objects (`receipts`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Commit {
    /// A repeated request is answered from the record instead of being applied again.
    pub request_id: String,
    pub database: String,
    /// The version this one was made from; 0: the database must not exist; `None`: any.
    pub expected_seq: Option<u64>,
    pub epoch: u64,
    /// The epoch of the lease the writer holds; `None` where it knows of none.
    #[serde(default)]
    pub lease: Option<u64>,
    pub drop: bool,
    pub rename_to: Option<String>,
    pub model: Hash,
    pub manifest: Hash,
    pub objects: Vec<Hash>,
    pub root: Hash,
    /// Member and disk that hold every object.
    pub receipts: Vec<(u64, u64)>,
    pub now_micros: i64,
    /// Logins that came with the model and are not in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<LoginChange>,
    /// Where it is refused because its writer was replaced, the same request may succeed when it is
    /// made anew: the refusal is not recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeatable: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Applied as log entry `seq`, which is also the number of the version it made.
    Done {
        seq: u64,
    },
    Refused(Error),
}
