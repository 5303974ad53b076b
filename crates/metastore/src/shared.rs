//! Settings that the group keeps for all its servers, one that joins included: limits, and places for
//! backups. A server's own setting comes before the group's.

use std::collections::BTreeMap;

use evercube_base::Error;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shared {
    /// Texts as in the settings file, by name.
    pub limits: BTreeMap<String, String>,
    /// The settings of each place, by its lower-case name. What lets a server in there is not among
    /// them.
    pub targets: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SharedChange {
    PutLimit { name: String, value: String },
    RemoveLimit { name: String },
    PutTarget { name: String, settings: BTreeMap<String, String> },
    RemoveTarget { name: String },
}

/// The limits that servers of level 3 know.
const FIRST_LIMITS: [&str; 4] = ["query_memory", "query_rows", "query_timeout", "source_hosts"];

impl SharedChange {
    /// Whether a server of the release before would not keep to it.
    pub(crate) fn is_of_level_5(&self) -> bool {
        matches!(self, Self::PutLimit { name, .. } if !FIRST_LIMITS.contains(&name.as_str()))
    }
}

impl Shared {
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty() && self.targets.is_empty()
    }

    pub(crate) fn change(&mut self, change: SharedChange) -> Result<(), Error> {
        let gone = |what: &str, name: &str| {
            Error::not_found(format!("the group keeps no {what} '{name}'"))
        };
        match change {
            SharedChange::PutLimit { name, value } => {
                self.limits.insert(name, value);
            }
            SharedChange::RemoveLimit { name } => {
                self.limits.remove(&name).ok_or_else(|| gone("limit", &name))?;
            }
            SharedChange::PutTarget { name, settings } => {
                self.targets.insert(name.to_lowercase(), settings);
            }
            SharedChange::RemoveTarget { name } => {
                self.targets.remove(&name.to_lowercase()).ok_or_else(|| gone("target", &name))?;
            }
        }
        Ok(())
    }
}
