//! Settings that the group keeps for all its servers, one that joins included: limits of queries, and
//! places for backups. A server's own setting comes before the group's.

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
