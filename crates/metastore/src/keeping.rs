//! How a database is kept the same: on the servers of a group, and in another group.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// One server reads the sources; the others receive what it made of them.
    #[default]
    Replicate,
    /// Every data server reads the sources at the same time; what they read is compared.
    Parallel,
    /// As `Replicate`; besides, another group restores backups of the database.
    Standby,
}

impl fmt::Display for SyncMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replicate => "replicate",
            Self::Parallel => "parallel",
            Self::Standby => "standby",
        })
    }
}

/// What becomes of a refresh whose servers read different data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDifference {
    /// What most servers read is taken, and shipped to the others.
    #[default]
    Repair,
    /// It is refused.
    Refuse,
}

impl fmt::Display for OnDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repair => "repair",
            Self::Refuse => "refuse",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sync {
    pub mode: SyncMode,
    #[serde(default)]
    pub on_difference: OnDifference,
    #[serde(default)]
    pub standby: Option<StandbyPlan>,
    /// With [`SyncMode::Parallel`]: another group that reads the sources, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<Partner>,
}

/// Another group that holds a database of the same name, and reads its sources at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// Base URL of the other group.
    pub url: String,
    /// Its token, sealed by this group.
    #[serde(default)]
    pub token: Option<String>,
    /// A folder for backups that both groups reach, by which a difference is repaired.
    #[serde(default)]
    pub target: Option<String>,
}

/// How another group is kept supplied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandbyPlan {
    /// Base URL of the other group.
    pub url: String,
    /// Its token, sealed by this group.
    #[serde(default)]
    pub token: Option<String>,
    /// A folder for backups that both groups reach.
    pub target: String,
    pub every_seconds: u64,
}

/// That a database follows one of another group; it is read-only until it is promoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandbyOf {
    /// Id of the other group.
    pub group: String,
    /// The folder its backups are in.
    pub source: String,
    pub every_seconds: u64,
    /// Up to when nothing of the other group is missing here, as it said itself.
    #[serde(default)]
    pub as_of_micros: i64,
    #[serde(default)]
    pub restored: Option<Restored>,
}

/// The backup a standby holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The version in the other group, and when its backup was made.
    pub seq: u64,
    pub created_micros: i64,
    pub restored_micros: i64,
    /// Whether all servers were found to hold the same after it.
    pub verified: bool,
}
