//! What of a model's sources is otherwise while one refresh runs; nothing of it is kept.

use std::collections::BTreeMap;
use std::fmt;

use evercube_base::{Error, Result};
use evercube_model::tabular::{DataSource, Database};
use evercube_model::tmsl::{Command, ObjectKind, Override, parse_statement};
use evercube_sources::{Login, Logins, overridden};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Properties that a data source has instead of its own.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceOverride {
    /// The table it counts for; `None`: all.
    pub table: Option<String>,
    pub partition: Option<String>,
    pub data_source: String,
    pub properties: Json,
}

impl fmt::Debug for SourceOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceOverride")
            .field("table", &self.table)
            .field("data_source", &self.data_source)
            .finish_non_exhaustive()
    }
}

impl SourceOverride {
    fn counts_for(&self, (table, partition): &(String, String)) -> bool {
        let same = |wanted: &Option<String>, name: &String| {
            wanted.as_ref().is_none_or(|w| w.to_lowercase() == name.to_lowercase())
        };
        same(&self.table, table) && same(&self.partition, partition)
    }
}

/// All that is otherwise.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SourceOverrides {
    pub data_sources: Vec<SourceOverride>,
    /// Logins by the name of the source.
    pub logins: BTreeMap<String, Login>,
}

impl SourceOverrides {
    /// Those of a list as a refresh command has it; null is an empty one. Databases may be left
    /// out of it.
    ///
    /// # Errors
    /// `Invalid` for what a command would refuse, `Unsupported` for what is no data source.
    pub fn from_json(given: &Json) -> Result<Self> {
        if given.is_null() {
            return Ok(Self::default());
        }
        // Which database it is stands elsewhere.
        let command = serde_json::json!({ "refresh": {
            "type": "full", "objects": [{ "database": "this" }], "overrides": given } });
        match parse_statement(&command.to_string())? {
            Command::Refresh(refresh) => Self::of(&refresh.overrides),
            _ => Err(Error::internal("a refresh was read as another command")),
        }
    }

    /// Those of a refresh command.
    ///
    /// # Errors
    /// `Unsupported` for what is no data source.
    pub(crate) fn of(given: &[Override]) -> Result<Self> {
        let mut all = Self::default();
        for one in given {
            for replacement in &one.replacements {
                let path = &replacement.object;
                if path.kind() != ObjectKind::DataSource {
                    return Err(Error::unsupported(
                        "of the overrides of a refresh only those of data sources are supported; alter the partition or the expression, then refresh it",
                    ));
                }
                all.data_sources.push(SourceOverride {
                    table: one.scope.as_ref().and_then(|s| s.table.clone()),
                    partition: one.scope.as_ref().and_then(|s| s.partition.clone()),
                    data_source: path.name().to_owned(),
                    properties: replacement.properties.clone(),
                });
            }
        }
        Ok(all)
    }

    /// These, and `logins` where these say nothing.
    pub(crate) fn over(&self, logins: &BTreeMap<String, Login>) -> Self {
        let mut all = self.clone();
        for (name, login) in logins {
            all.logins.entry(name.clone()).or_insert_with(|| login.clone());
        }
        all
    }

    /// The logins that are kept, with those given here in their place.
    pub(crate) fn logins_over(&self, mut kept: Logins) -> Logins {
        // One for a whole server goes before those of its databases.
        kept.0.retain(|name, _| !self.logins.keys().any(|k| name.starts_with(&format!("{k};"))));
        kept.0.extend(self.logins.clone());
        kept
    }

    /// # Errors
    /// `NotFound` where a data source is not in the model.
    pub(crate) fn check(&self, database: &Database) -> Result<()> {
        let all = &database.model.data_sources;
        match self.data_sources.iter().find(|o| !all.iter().any(|s| is(s, o))) {
            None => Ok(()),
            Some(o) => Err(Error::not_found(format!(
                "the refresh overrides the data source '{}', which the model does not have",
                o.data_source
            ))),
        }
    }

    /// Gives the data sources the properties they have for a partition.
    pub(crate) fn apply(&self, sources: &mut [DataSource], label: &(String, String)) -> Result<()> {
        for with in self.data_sources.iter().filter(|o| o.counts_for(label)) {
            for source in sources.iter_mut().filter(|s| is(s, with)) {
                *source = overridden(source, &with.properties)?;
            }
        }
        Ok(())
    }
}

fn is(source: &DataSource, with: &SourceOverride) -> bool {
    source.name.to_lowercase() == with.data_source.to_lowercase()
}
