//! The backups at a place: listed, read back and proved, pruned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use evercube_base::{DateTime, Error, ErrorKind, Result};
use evercube_metastore::{BackupRecord, Command, Reply, State};
use evercube_store::Hash;
use serde::{Deserialize, Serialize};

use crate::backup::preamble::Secrets;
use crate::backup::repository::Pick;
use crate::backup::target::{EXTENSION, file_name};
use crate::backup::{self, BackupHeader, Found, Keep, Sink, Target};
use crate::backup_use::in_repository::is_of_log;
use crate::call::{At, Call};
use crate::service::Service;

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFacts {
    pub name: String,
    pub place: String,
    pub database: Option<String>,
    pub version: Option<u64>,
    /// UTC.
    pub created: Option<String>,
    /// Of the file; in a repository of all the files it needs, which others may need as well.
    pub bytes: u64,
    /// `ok`; `encrypted` where it was listed without its password; or what is wrong: `password`,
    /// `damaged`, `truncated`, `swapped`, `missing`, `older`, `replaced`, `foreign`, `unreadable`.
    pub state: String,
    pub detail: Option<String>,
    /// When all of it was last proved, UTC.
    pub verified: Option<String>,
    /// Where not all of it was read for that: how many of how many objects, the others being there
    /// with their lengths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<(u64, u64)>,
    #[serde(skip)]
    pub(super) created_micros: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedBackup {
    pub database: String,
    /// When it was written, UTC; null: none was proved.
    pub created: Option<String>,
    /// When it was last proved, UTC.
    pub verified: Option<String>,
}

/// Reads and forgets.
struct Nowhere;

impl Sink for Nowhere {
    fn begin(&mut self, _: &BackupHeader) -> Result<()> {
        Ok(())
    }
    fn object(&mut self, _: Hash, _: Vec<u8>) -> Result<()> {
        Ok(())
    }
}

impl Service {
    /// The backups at a place, or in the group's own folder.
    pub async fn list_backups(
        &self,
        call: &Call,
        place: Option<&str>,
        password: Option<String>,
    ) -> Result<Vec<BackupFacts>> {
        self.check_administrator(call, "Listing backups at", place.unwrap_or("the own folder"))?;
        let mut facts = Vec::new();
        for found in self.backups_there(place, password.as_ref()).await? {
            facts.push(self.facts(&found, password.clone()).await?);
        }
        Ok(facts)
    }

    /// As [`Service::backups_at`], of a place that is there: who mistypes it is not told that it is empty.
    async fn backups_there(
        &self,
        place: Option<&str>,
        password: Option<&String>,
    ) -> Result<Vec<Found>> {
        let found = self.backups_at(place, password).await?;
        let Some(text) = place.filter(|_| found.is_empty()) else { return Ok(found) };
        let target = self.target(text)?;
        let is_there = match &target {
            Target::File(path) => path.is_dir(),
            Target::Repository(repository) => {
                let opened = repository.open(None).await;
                opened.err().is_none_or(|e| e.kind != ErrorKind::NotFound)
                    && repository.pick == Pick::All
            }
            Target::Own(_) | Target::Cloud(_) => false,
        };
        if is_there {
            return Ok(found);
        }
        Err(Error::not_found(format!(
            "there is no backup, and no folder, at {}",
            target.describe()
        )))
    }

    /// Reads every backup at a place back, whole, and says of each what it found; those that the
    /// group wrote there and that are gone as well.
    pub async fn verify_backups(
        &self,
        call: &Call,
        place: Option<&str>,
        password: Option<String>,
    ) -> Result<Vec<BackupFacts>> {
        self.check_administrator(call, "Verifying backups at", place.unwrap_or("the own folder"))?;
        let mut facts = Vec::new();
        let mut seen = BTreeSet::new();
        let whole = match place {
            Some(text) => self.target(text)?,
            None => Target::Own(String::new()),
        };
        let all = self.backups_at(place, password.as_ref()).await?;
        seen.extend(all.iter().map(|found| self.record_key(&found.target)));
        if let Target::Repository(repository) = &whole {
            facts = self.prove_repository(repository, all, password).await?;
        } else {
            for found in all {
                facts.push(self.prove(&found, password.clone()).await?);
            }
        }
        let below = self.record_key(&whole);
        let state = self.metastore.state();
        // Of some backups in a repository nothing is said about the others.
        let some = matches!(&whole, Target::Repository(place) if place.pick != Pick::All);
        let gone = state.backups.iter().filter(|(key, _)| {
            let known = some || seen.contains(*key) || is_of_log(key);
            !known && is_looked_at(key, &whole) && is_below(key, &below, whole.path().is_some())
        });
        facts.extend(gone.map(|(key, record)| missing(key, record)));
        if facts.is_empty() {
            return Err(Error::not_found("there is no backup at this place"));
        }
        Ok(facts)
    }

    /// Removes the backups that need not be kept; which they are. Those that cannot be read are
    /// left alone, as is the newest one of every database.
    pub async fn prune_backups(
        &self,
        call: &Call,
        place: Option<&str>,
        password: Option<String>,
        keep: Keep,
        dry_run: bool,
    ) -> Result<Vec<BackupFacts>> {
        self.check_administrator(call, "Pruning backups at", place.unwrap_or("the own folder"))?;
        if keep.is_empty() {
            return Err(Error::invalid(
                "nothing says which backups are kept; give last, daily, weekly or monthly",
            ));
        }
        if let Some(Target::Repository(repository)) = place.map(|t| self.target(t)).transpose()? {
            return self.prune_repository(&repository, password, keep, dry_run).await;
        }
        let mut by_database: BTreeMap<String, Vec<(i64, BackupFacts, Target)>> = BTreeMap::new();
        for found in self.backups_there(place, password.as_ref()).await? {
            let facts = self.facts(&found, password.clone()).await?;
            if let (Some(database), Some(time)) = (&facts.database, facts.created_micros) {
                let all = by_database.entry(database.to_lowercase()).or_default();
                all.push((time, facts, found.target));
            }
        }
        let mut removed = Vec::new();
        for mut all in by_database.into_values() {
            all.sort_by_key(|(time, ..)| std::cmp::Reverse(*time));
            let times: Vec<i64> = all.iter().map(|(time, ..)| *time).collect();
            for ((_, facts, target), kept) in all.into_iter().zip(keep.kept(&times)) {
                if kept {
                    continue;
                }
                if !dry_run {
                    self.remove_backup(&target).await?;
                }
                removed.push(facts);
            }
        }
        Ok(removed)
    }

    pub(crate) async fn remove_backup(&self, target: &Target) -> Result<()> {
        match target {
            Target::Own(name) => self.remove_own(name).await?,
            other => backup::remove(other).await?,
        }
        self.put_record(self.record_key(target), None).await
    }

    /// The password is needed only to find the backups of one database in a repository.
    pub(crate) async fn backups_at(
        &self,
        place: Option<&str>,
        password: Option<&String>,
    ) -> Result<Vec<Found>> {
        match place.map(|text| self.target(text)).transpose()? {
            None => self.list_own().await,
            Some(Target::Own(name)) => {
                let all = self.list_own().await?;
                Ok(all.into_iter().filter(|f| f.name == name).collect())
            }
            Some(Target::Repository(place)) => self.picked_in(&place, password).await,
            Some(target) => backup::list(&target).await,
        }
    }

    /// The backup of a place that is restored: the one that is named, or of a folder's the newest
    /// one not after `at`.
    pub(crate) async fn backup_as_of(
        &self,
        place: &Target,
        at: At,
        database: Option<&str>,
        password: Option<&String>,
    ) -> Result<Target> {
        if let Target::Repository(place) = place {
            return self.pick_in(place, Some(at), database, password).await;
        }
        let mut all = Vec::new();
        for found in backup::list(place).await? {
            let facts = self.facts(&found, password.cloned()).await?;
            let reached = match at {
                At::Seq(seq) => facts.version.is_some_and(|v| v <= seq),
                At::Time(t) => facts.created_micros.is_some_and(|c| c <= t.unix_micros()),
            };
            if reached {
                all.push((facts, found.target));
            }
        }
        let same = |f: &BackupFacts, name: &str| {
            f.database.as_ref().is_some_and(|d| d.to_lowercase() == name.to_lowercase())
        };
        if let Some(name) = database
            && all.iter().any(|(f, _)| same(f, name))
        {
            all.retain(|(f, _)| same(f, name));
        }
        let names: BTreeSet<String> =
            all.iter().filter_map(|(f, _)| f.database.as_ref().map(|d| d.to_lowercase())).collect();
        if names.len() > 1 {
            return Err(Error::invalid(format!(
                "there are backups of {} databases in {}; name the file to restore",
                names.len(),
                place.describe()
            )));
        }
        let newest = all.into_iter().max_by_key(|(f, _)| (f.version, f.created_micros));
        newest.map(|(_, target)| target).ok_or_else(|| {
            Error::not_found(format!(
                "there is no backup in {} that is as old as that",
                place.describe()
            ))
        })
    }

    /// The newest backup at a place, or in the own folder, of one database where it is named. One
    /// that cannot be read is told by its name, so that an older one is not taken for the newest.
    pub(crate) async fn newest_backup(
        &self,
        place: Option<&str>,
        database: Option<&str>,
    ) -> Result<(BackupFacts, Target)> {
        if let Some(Target::Repository(at)) = place.map(|t| self.target(t)).transpose()? {
            let target = self.pick_in(&at, None, database, None).await?;
            return Ok((self.facts_of(&target).await?, target));
        }
        let wanted = database.map(str::to_lowercase);
        let stem = wanted.as_deref().map(|name| file_name(name).to_lowercase());
        let stem = stem.as_deref().and_then(|s| s.strip_suffix(&format!(".{EXTENSION}")));
        let mut newest: Option<(i64, BackupFacts, Target)> = None;
        for found in self.backups_at(place, None).await? {
            let facts = self.facts(&found, None).await?;
            let is_it = match (&wanted, &facts.database) {
                (None, _) => true,
                (Some(wanted), Some(name)) => name.to_lowercase() == *wanted,
                (Some(_), None) => stem.is_some_and(|s| found.name.to_lowercase().starts_with(s)),
            };
            let time = facts.created_micros.unwrap_or(found.modified_micros);
            if is_it && newest.as_ref().is_none_or(|(t, ..)| *t < time) {
                newest = Some((time, facts, found.target));
            }
        }
        let at = place.unwrap_or("the group's own folder");
        let (_, facts, target) = newest.ok_or_else(|| {
            let of = database.map_or_else(String::new, |name| format!(" of database '{name}'"));
            Error::not_found(format!("there is no backup{of} in {at}"))
        })?;
        Ok((facts, target))
    }

    /// What a backup says of itself, or where it is locked, what the group wrote there.
    pub(super) async fn facts(
        &self,
        found: &Found,
        password: Option<String>,
    ) -> Result<BackupFacts> {
        let record = self.record_of(&found.target);
        let mut facts = about(found, record.as_ref());
        let secrets = self.backup_secrets(&found.target, password)?;
        if let Target::Own(name) = &found.target {
            self.bring_backup_here(name).await?;
        }
        let password = secrets.password.clone();
        let locked = password.is_none();
        match backup::inspect(&found.target, secrets, &self.backup_folder()).await {
            Ok(header) => {
                facts.say(&header);
                self.say_proof(&found.target, password, &mut facts).await;
            }
            Err(e) => {
                let state = state_of(&e);
                let record = record.filter(|r| r.length == found.length);
                if let Some(r) = record.filter(|_| state == "password") {
                    facts.database = Some(r.database);
                    facts.version = Some(r.seq);
                    facts.dated(r.created_micros);
                }
                facts.state =
                    if locked && state == "password" { "encrypted" } else { state }.to_owned();
                facts.detail = (facts.state != "encrypted").then_some(e.message);
            }
        }
        Ok(facts)
    }

    async fn prove(&self, found: &Found, password: Option<String>) -> Result<BackupFacts> {
        let record = self.record_of(&found.target);
        let mut facts = about(found, record.as_ref());
        let secrets = self.backup_secrets(&found.target, password)?;
        if let Target::Own(name) = &found.target {
            self.bring_backup_here(name).await?;
        }
        let folder = self.backup_folder();
        let whole = match backup::read(&found.target, secrets, &folder, Nowhere).await {
            Ok(whole) => whole,
            Err(e) => {
                state_of(&e).clone_into(&mut facts.state);
                facts.detail = Some(e.message);
                return Ok(facts);
            }
        };
        facts.say(&whole.header);
        if let Err(e) = self.is_what_was_written(&found.target, &whole) {
            let older = record.is_some_and(|r| whole.header.created_micros < r.created_micros);
            facts.state = if older { "older" } else { "replaced" }.to_owned();
            facts.detail = Some(e.message);
            return Ok(facts);
        }
        facts.verified = Some(self.was_proved(&found.target, &whole).await?.to_string());
        Ok(facts)
    }

    /// Reads a backup in one file back that has just been written.
    ///
    /// # Errors
    /// `Corrupt` where it is not what was written.
    pub(super) async fn prove_file(&self, target: &Target, secrets: Secrets) -> Result<()> {
        let whole = backup::read(target, secrets, &self.backup_folder(), Nowhere).await;
        let whole = whole.map_err(|e| {
            e.context("The backup was written and read back, and is not good; make it again")
        })?;
        self.is_what_was_written(target, &whole)?;
        self.was_proved(target, &whole).await.map(|_| ())
    }

    /// Records that all of a backup was read and is what was written; when that was.
    pub(crate) async fn was_proved(
        &self,
        target: &Target,
        whole: &backup::WholeBackup,
    ) -> Result<DateTime> {
        let now = self.now();
        let verified = BackupRecord {
            verified_micros: Some(now.unix_micros()),
            ..record_of(&whole.header, whole.content, whole.length)
        };
        self.put_record(self.record_key(target), Some(verified)).await?;
        Ok(now)
    }

    /// Refuses a backup that is older than the one the group wrote at this place.
    pub(crate) fn is_what_was_written(
        &self,
        target: &Target,
        whole: &backup::WholeBackup,
    ) -> Result<()> {
        let Some(record) = self.record_of(target) else { return Ok(()) };
        let header = &whole.header;
        if record.content == whole.content || header.created_micros > record.created_micros {
            return Ok(());
        }
        let what = if header.created_micros < record.created_micros {
            "an older backup was put back in its place"
        } else {
            "another backup was put in its place"
        };
        Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "{what}: it holds version {} of {}, the group wrote version {} of {} there; nothing of it is used. If it is the one that is meant, give it another name",
                header.seq,
                time(header.created_micros),
                record.seq,
                time(record.created_micros)
            ),
        ))
    }

    /// Of every database that was backed up, the newest backup that was proved.
    pub fn verified_backups(&self, call: &Call) -> Result<Vec<VerifiedBackup>> {
        self.check_administrator(call, "Listing backups of", "the group")?;
        let state = self.metastore.state();
        let shown = |micros: Option<i64>| micros.map(|t| time(t).to_string());
        let row = |(database, record): (&str, Option<&BackupRecord>)| VerifiedBackup {
            database: database.to_owned(),
            created: shown(record.map(|r| r.created_micros)),
            verified: shown(record.and_then(|r| r.verified_micros)),
        };
        Ok(newest_verified(&state).into_iter().map(row).collect())
    }

    /// Where the group's record of a backup is kept.
    pub(crate) fn record_key(&self, target: &Target) -> String {
        match target {
            Target::File(path) => format!("{}@{}", path.display(), self.config.name),
            Target::Own(name) => format!("own:{name}"),
            Target::Cloud(at) => at.describe(),
            Target::Repository(place) => self.key_in_repository(place),
        }
    }

    pub(super) fn record_of(&self, target: &Target) -> Option<BackupRecord> {
        self.metastore.state().backups.get(&self.record_key(target)).cloned()
    }

    pub(crate) async fn put_record(
        &self,
        place: String,
        record: Option<BackupRecord>,
    ) -> Result<()> {
        match self.metastore.propose(Command::PutBackup { place, record }).await? {
            Reply::Done { .. } => Ok(()),
            Reply::Refused(e) => Err(e),
        }
    }
}

/// Of every database with a backup on record, the newest one that was proved.
pub fn newest_verified(state: &State) -> BTreeMap<&str, Option<&BackupRecord>> {
    let mut newest: BTreeMap<&str, Option<&BackupRecord>> = BTreeMap::new();
    for record in state.backups.values() {
        let known = newest.entry(&record.database).or_default();
        let newer = known.is_none_or(|k| k.created_micros < record.created_micros);
        if record.verified_micros.is_some() && newer {
            *known = Some(record);
        }
    }
    newest
}

pub(crate) fn record_of(header: &BackupHeader, content: Hash, length: u64) -> BackupRecord {
    BackupRecord {
        database: header.database.clone(),
        seq: header.seq,
        created_micros: header.created_micros,
        content,
        length,
        verified_micros: None,
    }
}

/// Whether the list of a place would hold what a record is of: folders are looked into, and not into the
/// repositories there, nor on disks into the folders below.
fn is_looked_at(key: &str, place: &Target) -> bool {
    match place {
        Target::Repository(_) | Target::Own(_) => true,
        Target::Cloud(_) => !key.contains(".evr/"),
        Target::File(folder) => {
            let path = Path::new(key.rsplit_once('@').map_or(key, |(path, _)| path));
            path == folder || path.parent() == Some(folder)
        }
    }
}

/// Whether a record's place lies in a folder, or is the place itself.
pub(super) fn is_below(key: &str, folder: &str, files: bool) -> bool {
    if folder == "own:" {
        return key.starts_with(folder);
    }
    let (key, folder) = if files {
        let (Some((path, server)), Some((of, here))) =
            (key.rsplit_once('@'), folder.rsplit_once('@'))
        else {
            return false;
        };
        if server != here {
            return false;
        }
        (path, of)
    } else {
        (key, folder)
    };
    key == folder || key.starts_with(&format!("{}/", folder.trim_end_matches('/')))
}

pub(super) fn about(found: &Found, record: Option<&BackupRecord>) -> BackupFacts {
    BackupFacts {
        name: found.name.clone(),
        place: found.target.describe(),
        database: None,
        version: None,
        created: None,
        bytes: found.length,
        state: "ok".into(),
        detail: None,
        verified: record.and_then(|r| r.verified_micros).map(|t| time(t).to_string()),
        sampled: None,
        created_micros: None,
    }
}

fn missing(key: &str, record: &BackupRecord) -> BackupFacts {
    let place = key.rsplit_once('@').map_or(key, |(path, _)| path);
    let mut facts = BackupFacts {
        name: place.rsplit('/').next().unwrap_or(place).to_owned(),
        place: place.to_owned(),
        database: Some(record.database.clone()),
        version: Some(record.seq),
        created: None,
        bytes: record.length,
        state: "missing".into(),
        detail: Some("the group wrote this backup, and it is not there any more".into()),
        verified: record.verified_micros.map(|t| time(t).to_string()),
        sampled: None,
        created_micros: None,
    };
    facts.dated(record.created_micros);
    facts
}

impl BackupFacts {
    pub(super) fn say(&mut self, header: &BackupHeader) {
        self.database = Some(header.database.clone());
        self.version = Some(header.seq);
        self.dated(header.created_micros);
    }

    fn dated(&mut self, micros: i64) {
        self.created = Some(time(micros).to_string());
        self.created_micros = Some(micros);
    }
}

/// One word for what is wrong with a backup.
pub(super) fn state_of(e: &Error) -> &'static str {
    let says = |text: &str| e.message.contains(text);
    match e.kind {
        _ if says("truncated") => "truncated",
        _ if says("(swapped)") => "swapped",
        _ if says("is missing in") => "missing",
        _ if says("password") => "password",
        ErrorKind::Corrupt => "damaged",
        ErrorKind::NotFound => "missing",
        ErrorKind::Invalid | ErrorKind::Unsupported => "foreign",
        _ => "unreadable",
    }
}

pub(super) fn time(micros: i64) -> DateTime {
    DateTime::from_unix_micros(micros).unwrap_or_default()
}
