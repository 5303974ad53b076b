//! Replicated metadata: members, databases and their versions, users, keys; and the consensus
//! that keeps it the same on every server.
//!
//! Never here: segments, queries. Only `raft` knows the consensus library; `state` is pure.

mod acknowledged;
mod backups;
mod coding;
mod command;
mod dated;
mod earlier;
#[cfg(test)]
mod formats;
mod jobs;
mod joining;
mod keeping;
mod links;
mod log_store;
mod logins;
mod metastore;
mod raft;
mod reads;
mod refusal;
mod schedules;
mod shared;
mod state;
mod state_machine;

pub use backups::BackupRecord;
pub use command::{Command, Commit, LEVEL, Reply};
pub use earlier::{EarlierVersion, EarlierVersions, VERSIONS_KEPT};
pub use jobs::{
    BackupTask, DrillTask, Job, JobChange, JobEnd, JobError, JobPart, JobReport, JobState, Jobs,
    RefreshObject, RefreshTask, RestoreTask, Retention, Task,
};
pub use joining::{Authority, AuthorityChange, AuthorityStep, JoinToken, Joining};
pub use keeping::{OnDifference, Partner, Restored, StandbyOf, StandbyPlan, Sync, SyncMode};
pub use links::{Link, LinkChange};
pub use logins::{LoginChange, SealedLogin, SealedLogins};
pub use metastore::{Bootstrap, Config, Ground, Metastore, Status, Timing, Transport};
pub use reads::{ReadChange, ReadSoFar};
pub use refusal::{other_history, removed};
pub use schedules::{Schedule, ScheduleChange};
pub use shared::{Shared, SharedChange};
pub use state::{
    DatabaseEntry, FirewallRule, Hash, Lease, Leases, Member, MemberKind, Policy, RequestOutcome,
    SessionKey, State, TokenEntry, UserEntry, digest,
};
