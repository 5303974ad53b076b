//! The state an operation works on before it is committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use evercube_base::{Diagnostic, Error, Result, Severity};
use evercube_model::ids::ObjectIds;
use evercube_model::tabular::{Database, Model};
use evercube_model::validate::validate;
use evercube_sources::{Login, take_login};
use evercube_store::{Manifest, PartitionManifest};

use crate::change::finish::{Parts, refused};
use crate::change::keep::{Side, empty_table, keep};
use crate::refresh::finished::Ahead;
use crate::refresh::partner::PartnerTurn;
use crate::refresh::plan::Place;
use crate::versions::LoadedVersion;

#[derive(Debug)]
pub(crate) struct Draft {
    pub request_id: String,
    /// Name the operation was asked for.
    pub name: String,
    pub current: Option<Arc<LoadedVersion>>,
    pub database: Option<Database>,
    pub ids: ObjectIds,
    pub manifest: Manifest,
    pub data_changed: bool,
    pub model_changed: bool,
    /// What a change of the model did to the data; taken back by a refresh.
    data_messages: Vec<Diagnostic>,
    pub cancel: Arc<AtomicBool>,
    /// Partitions that were read already.
    pub ahead: Ahead,
    /// What is left to do in another group once this one has committed.
    pub partner: Option<PartnerTurn>,
    /// Logins that came with the model's data sources, by the name of the source; they never stay
    /// in the model.
    pub logins: BTreeMap<String, Login>,
}

impl Draft {
    pub fn new(
        request_id: String,
        name: String,
        current: Option<Arc<LoadedVersion>>,
        cancel: Arc<AtomicBool>,
    ) -> Self {
        let from = current.as_deref();
        let mut draft = Self {
            request_id,
            name,
            database: from.map(|v| v.model.database.clone()),
            ids: from.map(|v| v.model.ids.clone()).unwrap_or_default(),
            manifest: from.map(|v| v.manifest.clone()).unwrap_or_default(),
            current: None,
            data_changed: false,
            model_changed: false,
            data_messages: Vec::new(),
            cancel,
            ahead: Ahead::default(),
            partner: None,
            logins: BTreeMap::new(),
        };
        draft.current = current;
        if let Some(database) = &mut draft.database {
            draft.logins.extend(logins_out_of(database));
        }
        if let Some(database) = &draft.database {
            draft.ids = ObjectIds::assign(Some(&draft.ids), database);
            align(&mut draft.manifest, database);
        }
        draft
    }

    pub fn existing(&self) -> Result<&Database> {
        self.database.as_ref().ok_or_else(|| {
            Error::not_found(format!(
                "Either the database '{}' does not exist, or the user has no permission to access it.",
                self.name
            ))
        })
    }

    /// Puts a model in place of the one there is and keeps what data it can.
    pub fn put(&mut self, mut database: Database, ids: Option<ObjectIds>) {
        self.logins.extend(logins_out_of(&mut database));
        let ids = ids.unwrap_or_else(|| ObjectIds::assign(Some(&self.ids), &database));
        self.manifest = match &self.database {
            Some(old) => {
                if database.id.is_none() {
                    // The identifier stays when the name changes.
                    let renamed = old.name != database.name;
                    let first = || renamed.then(|| old.name.clone());
                    database.id = old.id.clone().or_else(first);
                }
                let (from, to) = (
                    Side { database: old, ids: &self.ids },
                    Side { database: &database, ids: &ids },
                );
                keep(from, &self.manifest, to, &mut self.data_messages)
            }
            None => Manifest { tables: database.model.tables.iter().map(empty_table).collect() },
        };
        self.database = Some(database);
        self.ids = ids;
        self.model_changed = true;
    }

    pub fn remove(&mut self) {
        self.database = None;
        self.manifest = Manifest::default();
        self.data_messages.clear();
        self.model_changed = true;
    }

    pub fn partition(&mut self, (table, partition): Place) -> Option<&mut PartitionManifest> {
        self.manifest.tables.get_mut(table)?.partitions.get_mut(partition)
    }

    /// Something the one who asked for the change should know.
    pub fn say(&mut self, message: Diagnostic) {
        self.data_messages.push(message);
    }

    /// The table at `place` was read again: what was said of its data before is no longer so.
    pub fn is_fresh(&mut self, (table, _): Place) {
        let tables = self.database.as_ref().map(|d| &d.model.tables);
        let Some(table) = tables.and_then(|t| t.get(table)) else { return };
        let column = format!("{}[", table.name);
        self.data_messages.retain(|m| m.object != table.name && !m.object.starts_with(&column));
    }

    /// Refuses a model with structural faults; gives the warnings.
    pub fn check(&self) -> Result<Vec<Diagnostic>> {
        let database = self.existing()?;
        let mut findings = validate(database);
        findings.extend(crate::deploy::check_sources(database));
        let is_error = |d: &Diagnostic| d.severity == Severity::Error;
        let (faults, warnings): (Vec<_>, Vec<_>) = findings.into_iter().partition(is_error);
        if faults.is_empty() { Ok(warnings) } else { Err(refused(&database.name, &faults)) }
    }

    /// What is left to finish, and what was said on the way.
    pub fn into_parts(self) -> Option<(Parts, Vec<Diagnostic>)> {
        let parts = Parts {
            database: self.database?,
            ids: self.ids,
            manifest: self.manifest,
            data_changed: self.data_changed || self.current.is_none(),
            current: self.current,
        };
        Some((parts, self.data_messages))
    }

    /// Sets properties of the database itself; makes an empty one where there is none.
    pub fn set_properties(
        &mut self,
        fields: &[(String, String)],
        allow_create: bool,
    ) -> Result<()> {
        let field = |name: &str| {
            let found = fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
        };
        let mut database = match &self.database {
            Some(d) => d.clone(),
            None if allow_create => Database {
                name: self.name.clone(),
                model: Model { name: Some("Model".into()), ..Model::default() },
                ..Database::default()
            },
            None => return self.existing().map(|_| ()),
        };
        if let Some(name) = field("Name") {
            name.clone_into(&mut database.name);
        }
        if database.id.is_none() {
            database.id = field("ID").map(str::to_owned);
        }
        if let Some(level) = field("CompatibilityLevel") {
            let level = level.parse().map_err(|_| {
                Error::invalid(format!(
                    "'{level}' is no compatibility level; use a whole number such as 1600"
                ))
            })?;
            database.compatibility_level = Some(level);
        }
        if let Some(text) = field("Description") {
            database.description = Some(evercube_model::tabular::Text(text.to_owned()));
        }
        self.put(database, None);
        Ok(())
    }
}

/// Takes the logins out of a model's data sources.
fn logins_out_of(database: &mut Database) -> Vec<(String, Login)> {
    database.model.data_sources.iter_mut().filter_map(take_login).collect()
}

/// Gives the manifest a place for every table and partition of the model.
fn align(manifest: &mut Manifest, database: &Database) {
    for (i, table) in database.model.tables.iter().enumerate() {
        let empty = empty_table(table);
        match manifest.tables.get_mut(i) {
            None => manifest.tables.push(empty),
            Some(there) => {
                let from = there.partitions.len().min(empty.partitions.len());
                there.partitions.extend(empty.partitions.into_iter().skip(from));
            }
        }
    }
}
