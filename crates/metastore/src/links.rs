//! Aliases by which clients find a server: each leads to this group, or to another one.

use std::collections::BTreeMap;

use evercube_base::Error;
use serde::{Deserialize, Serialize};

/// Where an alias leads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Link {
    /// As `asazure://host:port/name`; `None`: to this group, by whichever address it was asked at.
    pub target: Option<String>,
    /// When this database, a standby here, is promoted, the alias leads here.
    #[serde(default)]
    pub database: Option<String>,
}

/// A change of an alias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LinkChange {
    Put { name: String, link: Link },
    Remove { name: String },
}

/// Applies a change; names do not tell capital letters from small ones.
pub(crate) fn change(links: &mut BTreeMap<String, Link>, change: LinkChange) -> Result<(), Error> {
    match change {
        LinkChange::Put { name, link } => {
            links.insert(name.to_lowercase(), link);
        }
        LinkChange::Remove { name } => {
            if links.remove(&name.to_lowercase()).is_none() {
                return Err(Error::not_found(format!("there is no link '{name}'")));
            }
        }
    }
    Ok(())
}
