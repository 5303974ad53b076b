//! Earlier versions of a database: which there are, reading as of one, and going back to one.

use std::sync::Arc;

use evercube_base::{DateTime, Error, ErrorKind, Result};
use evercube_metastore::{DatabaseEntry, EarlierVersion, State};
use evercube_store::{Hash, Manifest, ObjectDir};
use serde::{Deserialize, Serialize};

use crate::call::{At, Call, WriteAnswer};
use crate::commit::NewState;
use crate::objects::{blocking, data_peers, pull};
use crate::once::request_id;
use crate::service::Service;
use crate::versions::{LoadedVersion, StoredModel};

/// A version in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionFacts {
    pub version: u64,
    /// When it became the newest, UTC.
    pub time: String,
    pub root: String,
    /// Whether it is the newest one.
    pub current: bool,
}

impl Service {
    /// The versions of a database that can be read and gone back to, the newest first. A database
    /// that was dropped has those it had.
    pub async fn versions_of(&self, call: &Call, database: &str) -> Result<Vec<VersionFacts>> {
        self.check_administrator(call, "Listing the versions of", database)?;
        self.see_all_commits().await?;
        let all = self.known_versions(database);
        if all.is_empty() {
            return Err(self.no_such_database(database));
        }
        let current = self.metastore.state().database(database).map(|e| e.seq);
        let facts = all.iter().rev().map(|v| VersionFacts {
            version: v.seq,
            time: time(v.updated_micros).to_string(),
            root: hex::encode(v.root),
            current: Some(v.seq) == current,
        });
        Ok(facts.collect())
    }

    /// Makes an earlier version the newest again: model, data and roles, as one commit. A dropped
    /// database comes back.
    pub async fn roll_back(&self, call: &Call, database: &str, to: At) -> Result<WriteAnswer> {
        self.check_administrator(call, "Rolling back", database)?;
        let id = request_id(call)?;
        self.see_all_commits().await?;
        let (name, _alone) = self.alone(database).await;
        if let Some(answer) = self.answered(&id) {
            return answer;
        }
        self.not_a_standby(&name)?;
        let wanted = self.pick(&name, to)?;
        let state = self.metastore.state();
        let current = state.database(&name).map(|e| (e.name.clone(), e.seq));
        if current.as_ref().is_some_and(|(_, seq)| *seq == wanted.seq) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("version {} is the newest version of '{name}' already", wanted.seq),
            ));
        }
        let (name, seq) = current.unwrap_or_else(|| (wanted.name.clone(), 0));
        self.objects_of(&wanted).await?;
        let taken_ids = self.ids_of_others(&name);
        let objects = Arc::clone(&self.objects);
        let new = blocking(move || {
            let mut model = StoredModel::from_bytes(&objects.get(&wanted.model)?)?;
            let manifest = Manifest::from_bytes(&objects.get(&wanted.manifest)?)?;
            model.database.name.clone_from(&name);
            let is_taken = |id: &String| taken_ids.iter().any(|t| t.eq_ignore_ascii_case(id));
            if model.database.id.as_ref().is_some_and(is_taken) {
                model.database.id = None;
            }
            Ok(NewState { name, expected_seq: seq, model, manifest, logins: Vec::new() })
        });
        let seq = self.commit(&id, new.await?).await?;
        Ok(WriteAnswer { seq, messages: Vec::new() })
    }

    /// A version as of a number or time; `None` where that is the newest. What earlier roles allowed
    /// is nobody's right any more, so only administrators read earlier versions.
    pub(crate) async fn version_at(
        &self,
        call: &Call,
        database: &str,
        at: At,
    ) -> Result<Option<Arc<LoadedVersion>>> {
        if !call.session.rules() {
            return Err(Error::new(
                ErrorKind::Denied,
                "Reading a database as it was needs an administrator; the caller is not one.",
            ));
        }
        let state = self.metastore.state();
        let entry = state.database(database).ok_or_else(|| self.no_such_database(database))?;
        let wanted = self.pick(database, at)?;
        if wanted.seq == entry.seq {
            return Ok(None);
        }
        if let Some(version) = self.versions.get_at(database, wanted.seq) {
            return Ok(Some(version));
        }
        let objects_needed = self.objects_of(&wanted).await?;
        let entry = DatabaseEntry {
            name: wanted.name,
            seq: wanted.seq,
            epoch: 0,
            model: wanted.model,
            manifest: wanted.manifest,
            objects: objects_needed,
            root: wanted.root,
            created_micros: wanted.created_micros,
            updated_micros: wanted.updated_micros,
            lease: entry.lease,
            policy: entry.policy,
            sync: entry.sync.clone(),
            standby_of: entry.standby_of.clone(),
        };
        let (objects, pool) = (Arc::clone(&self.objects), Arc::clone(&self.pool));
        let current = self.versions.get(database);
        let load = move || {
            pool.install(|| crate::loader::load_version(&objects, &entry, current.as_deref()))
        };
        let version = Arc::new(blocking(load).await?);
        self.versions.add_earlier(database, Arc::clone(&version));
        Ok(Some(version))
    }

    /// Every version of a database that is known, oldest first.
    pub(crate) fn known_versions(&self, database: &str) -> Vec<EarlierVersion> {
        let state = self.metastore.state();
        let mut all: Vec<EarlierVersion> = state.earlier.of(database).cloned().collect();
        all.extend(state.database(database).map(|e| EarlierVersion {
            name: e.name.clone(),
            seq: e.seq,
            model: e.model,
            manifest: e.manifest,
            root: e.root,
            created_micros: e.created_micros,
            updated_micros: e.updated_micros,
        }));
        all
    }

    /// The version that was the newest at a number or time.
    fn pick(&self, database: &str, at: At) -> Result<EarlierVersion> {
        let all = self.known_versions(database);
        let Some(oldest) = all.first() else { return Err(self.no_such_database(database)) };
        let applied = self.metastore.status().applied;
        let reached = |v: &&EarlierVersion| match at {
            At::Seq(seq) => v.seq <= seq && seq <= applied,
            At::Time(t) => v.updated_micros <= t.unix_micros(),
        };
        all.iter().rev().find(reached).cloned().ok_or_else(|| {
            let what = match at {
                At::Seq(n) => format!("version {n}"),
                At::Time(t) => format!("version of {t}"),
            };
            Error::not_found(format!(
                "database '{database}' has no {what}; the oldest version that is kept is {} of {}",
                oldest.seq,
                time(oldest.updated_micros)
            ))
        })
    }

    /// Brings the objects of an earlier version here; their names.
    pub(crate) async fn objects_of(&self, version: &EarlierVersion) -> Result<Vec<Hash>> {
        let state = self.metastore.state();
        let peers = data_peers(&state, self.receipt().member);
        let mut all = vec![version.model, version.manifest];
        pull(&self.transport, &self.objects, &peers, &all).await?;
        let (objects, hash) = (Arc::clone(&self.objects), version.manifest);
        let manifest = blocking(move || Manifest::from_bytes(&objects.get(&hash)?)).await?;
        all.extend(manifest.objects().into_iter().map(|(_, hash)| hash));
        pull(&self.transport, &self.objects, &peers, &all).await?;
        Ok(all)
    }
}

/// What the earlier versions need of what is here. Of a version whose manifest is not here, nothing
/// was ever brought here.
pub(crate) fn needed_by_earlier(objects: &ObjectDir, state: &State) -> Result<Vec<Hash>> {
    let mut needed = Vec::new();
    for version in state.earlier.all() {
        needed.extend([version.model, version.manifest]);
        if objects.has(&version.manifest) {
            let manifest = Manifest::from_bytes(&objects.get(&version.manifest)?)?;
            needed.extend(manifest.objects().into_iter().map(|(_, hash)| hash));
        }
    }
    Ok(needed)
}

fn time(micros: i64) -> DateTime {
    DateTime::from_unix_micros(micros).unwrap_or_default()
}
