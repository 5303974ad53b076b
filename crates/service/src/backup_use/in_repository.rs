//! Backups in repositories: found by database, version or time, proved, pruned.

use std::collections::{BTreeMap, BTreeSet};

use evercube_base::{Error, ErrorKind, Result};

use crate::backup::header::BackupHeader;
use crate::backup::repository::{
    Pick, Proof, Repository, RepositoryPlace, Setup, SlotFacts, Snapshot, SnapshotName,
};
use crate::backup::{self, Found, Keep, Target, WholeBackup};
use crate::backup_use::catalog::{BackupFacts, about, is_below, state_of};
use crate::call::{At, Call};
use crate::service::Service;

/// A database in a repository: the folder of its manifests, what it is called, of which group.
struct Shelf {
    folder: String,
    database: String,
    cluster: String,
}

/// Of records about what was shipped by itself: they stand for no single backup.
pub(super) fn is_of_log(key: &str) -> bool {
    key.contains(".evr/log/")
}

impl Service {
    /// Makes a repository.
    pub async fn init_repository(&self, call: &Call, place: &str, setup: Setup) -> Result<()> {
        self.check_administrator(call, "Making a repository at", place)?;
        let at = self.repository_at(place)?;
        let password = self.backup_password(&Target::Repository(at.clone()), setup.password)?;
        Repository::make(&at.base, Setup { password, ..setup }).await.map(|_| ())
    }

    /// The passwords that open a repository.
    pub async fn repository_passwords(
        &self,
        call: &Call,
        place: &str,
        password: Option<String>,
    ) -> Result<Vec<SlotFacts>> {
        self.check_administrator(call, "Listing the passwords of", place)?;
        Ok(self.open_alone(place, password).await?.slots())
    }

    /// Lets another password open a repository; `password` is one that does.
    pub async fn add_password(
        &self,
        call: &Call,
        place: &str,
        password: Option<String>,
        label: &str,
        new: String,
    ) -> Result<()> {
        self.check_administrator(call, "Changing the passwords of", place)?;
        self.open_alone(place, password).await?.add_password(label, new).await
    }

    pub async fn remove_password(
        &self,
        call: &Call,
        place: &str,
        password: Option<String>,
        label: &str,
    ) -> Result<()> {
        self.check_administrator(call, "Changing the passwords of", place)?;
        self.open_alone(place, password).await?.remove_password(label).await
    }

    fn repository_at(&self, place: &str) -> Result<RepositoryPlace> {
        match self.target(place)? {
            Target::Repository(at) if at.pick == Pick::All => Ok(at),
            _ => Err(Error::invalid(format!(
                "'{place}' is no repository; its name ends in .evr, as /backups/group.evr or s3://bucket/group.evr"
            ))),
        }
    }

    async fn open_alone(&self, place: &str, password: Option<String>) -> Result<Repository> {
        let at = self.repository_at(place)?;
        let password = self.backup_password(&Target::Repository(at.clone()), password)?;
        Repository::open(&at.base, password.as_deref()).await
    }

    /// Opens the repository of a place with the password that is given, or configured.
    async fn open_repository(
        &self,
        place: &RepositoryPlace,
        password: Option<&String>,
    ) -> Result<std::sync::Arc<Repository>> {
        let target = Target::Repository(place.clone());
        let password = self.backup_password(&target, password.cloned())?;
        place.open(password.as_deref()).await
    }

    /// Where the group's record of a backup in a repository is kept.
    pub(super) fn key_in_repository(&self, place: &RepositoryPlace) -> String {
        let mut key = place.base.describe();
        if let Pick::One(name, _) = &place.pick {
            key = format!("{key}/{}", name.path());
        }
        match Target::Repository(place.clone()).path() {
            Some(_) => format!("{key}@{}", self.config.name),
            None => key,
        }
    }

    /// What of a repository's backups a place means; none where there is no repository.
    pub(super) async fn picked_in(
        &self,
        place: &RepositoryPlace,
        password: Option<&String>,
    ) -> Result<Vec<Found>> {
        let all = backup::list(&Target::Repository(place.clone())).await?;
        let Pick::Text(text) = &place.pick else { return Ok(all) };
        if all.iter().any(|f| f.name == *text) {
            return Ok(all.into_iter().filter(|f| f.name == *text).collect());
        }
        let repository = self.open_repository(place, password).await?;
        let shelves = shelves(&repository).await?;
        let (database, seq) = split_pick(text, &shelves);
        let wanted: BTreeSet<&str> = same(&shelves, database).map(|s| s.folder.as_str()).collect();
        let mut found = Vec::new();
        for f in all {
            let name = picked(&f)?;
            if wanted.contains(name.database.as_str()) && seq.is_none_or(|s| name.seq == s) {
                found.push(f);
            }
        }
        if found.is_empty() {
            return Err(Error::not_found(format!("there is no backup {}", place.describe())));
        }
        Ok(found)
    }

    /// The backup of a repository that is restored: the newest one that a place means and that is
    /// not after `at`.
    ///
    /// # Errors
    /// `Invalid` where it has backups of several databases and none is named; `Corrupt` where the
    /// group wrote a newer one than there is.
    pub(crate) async fn pick_in(
        &self,
        place: &RepositoryPlace,
        at: Option<At>,
        database: Option<&str>,
        password: Option<&String>,
    ) -> Result<Target> {
        let repository = self.open_repository(place, password).await?;
        let found = self.picked_in(place, password).await?;
        let names: Vec<&SnapshotName> = found.iter().map(picked).collect::<Result<_>>()?;
        let shelves = shelves(&repository).await?;
        let there: BTreeSet<&str> = names.iter().map(|n| n.database.as_str()).collect();
        let mut of: Vec<&Shelf> =
            shelves.iter().filter(|s| there.contains(s.folder.as_str())).collect();
        if let Some(name) = database
            && of.iter().any(|s| s.database.to_lowercase() == name.to_lowercase())
        {
            of.retain(|s| s.database.to_lowercase() == name.to_lowercase());
        }
        let shelf = match of.as_slice() {
            [] => {
                return Err(Error::not_found(format!(
                    "there is no backup in {}",
                    place.describe()
                )));
            }
            [one] => *one,
            [one, two, ..] => {
                let base = place.base.describe();
                let how = if one.database.to_lowercase() == two.database.to_lowercase() {
                    let newest = names.iter().filter(|n| n.database == two.folder).max();
                    format!(
                        "of databases '{}' of {} groups; name the backup as it is listed, as {base}/{}",
                        one.database,
                        of.len(),
                        newest.map_or_else(String::new, |n| n.text())
                    )
                } else {
                    format!("of {} databases; name one, as {base}/{}", of.len(), one.database)
                };
                return Err(Error::invalid(format!("{} holds backups {how}", place.describe())));
            }
        };
        let of_shelf: Vec<&SnapshotName> =
            names.into_iter().filter(|n| n.database == shelf.folder).collect();
        let chosen = newest_not_after(&of_shelf, at)?.ok_or_else(|| {
            Error::not_found(format!(
                "there is no backup of '{}' in {} that is as old as that",
                shelf.database,
                place.describe()
            ))
        })?;
        let is_named = matches!(place.pick, Pick::Text(ref t) if t.contains(['@', '/']));
        if !is_named {
            if of_shelf.iter().all(|n| n.seq <= chosen.seq) {
                self.none_newer_was_written(place, shelf, chosen, at)?;
            }
            let lost = repository.lost().await?;
            let of_shelf: Vec<&SnapshotName> =
                lost.iter().filter(|n| n.database == shelf.folder).collect();
            none_is_lost(place, shelf, chosen, newest_not_after(&of_shelf, at)?)?;
        }
        let words = format!("{}@{}", shelf.database, chosen.seq);
        Ok(Target::Repository(place.one(chosen.clone(), Some(words))))
    }

    /// Refuses the newest backup of a database that is not the newest one the group wrote there.
    fn none_newer_was_written(
        &self,
        place: &RepositoryPlace,
        shelf: &Shelf,
        newest: &SnapshotName,
        at: Option<At>,
    ) -> Result<()> {
        let state = self.metastore.state();
        if shelf.cluster != state.cluster_id {
            return Ok(());
        }
        let below = self.key_in_repository(&place.whole());
        let files = Target::Repository(place.clone()).path().is_some();
        let newer = state.backups.iter().find(|(key, r)| {
            let wanted = match at {
                None => true,
                Some(At::Seq(seq)) => r.seq <= seq,
                Some(At::Time(t)) => r.created_micros <= t.unix_micros(),
            };
            wanted
                && r.seq > newest.seq
                && r.database.to_lowercase() == shelf.database.to_lowercase()
                && is_below(key, &below, files)
        });
        let Some((_, record)) = newer else { return Ok(()) };
        let base = place.base.describe();
        Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "the newest backup of '{0}' at {base} is version {1}, and the group wrote version {2} there: an older state was put back, or it is missing; nothing of it is used. If version {1} is the one that is meant, name it: {base}/{0}@{1}",
                shelf.database, newest.seq, record.seq
            ),
        ))
    }

    /// What is said of one backup of a repository.
    pub(super) async fn facts_of(&self, target: &Target) -> Result<BackupFacts> {
        let listed = backup::list(target).await?.into_iter().next();
        let found = listed.ok_or_else(|| {
            Error::not_found(format!("there is no backup at {}", target.describe()))
        })?;
        self.facts(&Found { target: target.clone(), ..found }, None).await
    }

    /// Adds what a repository itself says of the last verification, and the backup's name in words.
    pub(super) async fn say_proof(
        &self,
        target: &Target,
        password: Option<String>,
        facts: &mut BackupFacts,
    ) {
        let Target::Repository(place) = target else { return };
        if let (Some(database), Some(version)) = (&facts.database, facts.version) {
            facts.place = format!("{}/{database}@{version}", place.base.describe());
        }
        let proof = async {
            let repository = place.open(password.as_deref()).await?;
            let snapshot = repository.snapshot(place.picked()?).await?;
            facts.bytes = snapshot.all_bytes();
            repository.proof(&snapshot).await
        };
        // One that cannot be read is as good as none.
        if let Ok(Some(proof)) = proof.await {
            facts.verified = Some(super::catalog::time(proof.micros).to_string());
            facts.sampled = (proof.objects < proof.of).then_some((proof.objects, proof.of));
        }
    }

    /// Reads every object of some backups in a repository, each once.
    pub(super) async fn prove_repository(
        &self,
        place: &RepositoryPlace,
        all: Vec<Found>,
        password: Option<String>,
    ) -> Result<Vec<BackupFacts>> {
        let mut facts: Vec<BackupFacts> = Vec::new();
        let mut read: Vec<(usize, Snapshot, Target)> = Vec::new();
        let opened = self.open_repository(place, password.as_ref()).await;
        for found in all {
            let mut one = about(&found, self.record_of(&found.target).as_ref());
            let snapshot = match &opened {
                Ok(repository) => repository.snapshot(picked(&found)?).await,
                Err(e) => Err(e.clone()),
            };
            match snapshot {
                Ok(snapshot) => {
                    one.say(&snapshot.header);
                    one.bytes = snapshot.all_bytes();
                    one.place = format!(
                        "{}/{}@{}",
                        place.base.describe(),
                        snapshot.header.database,
                        snapshot.header.seq
                    );
                    read.push((facts.len(), snapshot, found.target));
                }
                Err(e) => wrong(&mut one, e),
            }
            facts.push(one);
        }
        let Ok(repository) = opened else { return Ok(facts) };
        facts.extend(self.lost_in(place, &repository).await?);
        let snapshots: Vec<Snapshot> = read.iter().map(|(_, s, _)| s.clone()).collect();
        let outcomes = repository.prove(&snapshots, |_| true).await?;
        for ((i, snapshot, target), outcome) in read.into_iter().zip(outcomes) {
            let Some(one) = facts.get_mut(i) else { continue };
            match outcome {
                Some(e) => wrong(one, e),
                None => self.proved_in(&repository, &snapshot, &target, one).await?,
            }
        }
        Ok(facts)
    }

    /// What is said of the backups of a place that were proved there and are gone.
    async fn lost_in(
        &self,
        place: &RepositoryPlace,
        repository: &Repository,
    ) -> Result<Vec<BackupFacts>> {
        let lost = repository.lost().await?;
        if lost.is_empty() || matches!(place.pick, Pick::One(..)) {
            return Ok(Vec::new());
        }
        let shelves = shelves(repository).await?;
        let wanted = match &place.pick {
            Pick::Text(text) => Some(split_pick(text, &shelves)),
            _ => None,
        };
        let mut facts = Vec::new();
        for name in lost {
            let shelf = shelves.iter().find(|s| s.folder == name.database);
            let database = shelf.map_or(name.database.as_str(), |s| s.database.as_str());
            if wanted.is_some_and(|(of, seq)| {
                of.to_lowercase() != database.to_lowercase() || seq.is_some_and(|s| s != name.seq)
            }) {
                continue;
            }
            let words = format!("{database}@{}", name.seq);
            let found = Found {
                name: name.text(),
                length: 0,
                modified_micros: name.created_micros,
                target: Target::Repository(place.one(name.clone(), Some(words))),
            };
            // What the group remembers of itself is told with its other records.
            if self.record_of(&found.target).is_some() {
                continue;
            }
            let mut one = about(&found, None);
            one.database = Some(database.to_owned());
            one.version = Some(name.seq);
            let gone = format!("its manifest {} is missing in the repository", name.path());
            wrong(&mut one, Error::new(ErrorKind::Corrupt, gone));
            facts.push(one);
        }
        Ok(facts)
    }

    async fn proved_in(
        &self,
        repository: &Repository,
        snapshot: &Snapshot,
        target: &Target,
        facts: &mut BackupFacts,
    ) -> Result<()> {
        let whole = WholeBackup {
            header: snapshot.header.clone(),
            content: snapshot.content,
            length: snapshot.length,
        };
        if let Err(e) = self.is_what_was_written(target, &whole) {
            facts.state = "replaced".to_owned();
            facts.detail = Some(e.message);
            return Ok(());
        }
        let now = self.now();
        let objects = snapshot.header.objects.len() as u64;
        let proof = Proof {
            manifest: hex::encode(snapshot.content),
            micros: now.unix_micros(),
            server: self.config.name.clone(),
            objects,
            of: objects,
        };
        // Whoever may only read proves it all the same.
        if let Err(e) = repository.put_proof(&snapshot.name, &proof).await {
            tracing::debug!(error = %e, "the result of a verification was not written");
        }
        // What ships itself is a backup per commit; the group remembers the newest.
        if !snapshot.name.is_log() {
            self.was_proved(target, &whole).await?;
        }
        facts.verified = Some(now.to_string());
        Ok(())
    }

    /// Removes the backups of a repository that need not be kept, and the objects that none has
    /// named for the grace; which backups they are.
    pub(super) async fn prune_repository(
        &self,
        place: &RepositoryPlace,
        password: Option<String>,
        keep: Keep,
        dry_run: bool,
    ) -> Result<Vec<BackupFacts>> {
        let repository = self.open_repository(place, password.as_ref()).await?;
        let mut removed = Vec::new();
        for found in not_kept(self.picked_in(place, password.as_ref()).await?, keep)? {
            removed.push(self.facts(&found, password.clone()).await?);
            if !dry_run {
                self.remove_backup(&found.target).await?;
            }
        }
        if !dry_run {
            let swept = repository.sweep().await?;
            tracing::info!(
                objects = swept.objects,
                bytes = swept.bytes,
                place = place.base.describe(),
                "objects that no backup names were removed"
            );
        }
        Ok(removed)
    }

    /// Removes a database's backups that need not be kept; how many.
    pub(crate) async fn retain_in(
        &self,
        place: &RepositoryPlace,
        database: &str,
        keep: Keep,
    ) -> Result<usize> {
        let repository = self.open_repository(place, None).await?;
        let cluster = self.metastore.state().cluster_id.clone();
        let of = shelves(&repository).await?;
        let ours = same(&of, database).find(|s| s.cluster == cluster);
        let mut found = backup::list(&Target::Repository(place.clone())).await?;
        found.retain(|f| {
            picked(f).is_ok_and(|n| ours.is_some_and(|shelf| shelf.folder == n.database))
        });
        let old = not_kept(found, keep)?;
        for found in &old {
            self.remove_backup(&found.target).await?;
        }
        repository.sweep().await?;
        Ok(old.len())
    }
}

fn picked(found: &Found) -> Result<&SnapshotName> {
    match &found.target {
        Target::Repository(place) => place.picked(),
        _ => Err(Error::internal("a backup of a repository is none")),
    }
}

fn wrong(facts: &mut BackupFacts, e: Error) {
    state_of(&e).clone_into(&mut facts.state);
    facts.detail = Some(e.message);
}

/// The databases of a repository; one manifest of each is read for that.
async fn shelves(repository: &Repository) -> Result<Vec<Shelf>> {
    let mut newest: BTreeMap<String, Vec<SnapshotName>> = BTreeMap::new();
    for name in repository.snapshots().await? {
        newest.entry(name.database.clone()).or_default().push(name);
    }
    let mut found = Vec::new();
    for (folder, names) in newest {
        // One that is damaged does not hide the others.
        let mut last = None;
        for name in names.iter().rev() {
            match repository.snapshot(name).await {
                Ok(snapshot) => {
                    let BackupHeader { database, cluster, .. } = snapshot.header;
                    found.push(Shelf { folder: folder.clone(), database, cluster });
                    last = None;
                    break;
                }
                Err(e) => last = Some(e),
            }
        }
        if let Some(e) = last {
            return Err(e);
        }
    }
    Ok(found)
}

fn same<'a>(shelves: &'a [Shelf], database: &str) -> impl Iterator<Item = &'a Shelf> {
    let wanted = database.to_lowercase();
    shelves.iter().filter(move |s| s.database.to_lowercase() == wanted)
}

/// `DATABASE` or `DATABASE@VERSION`; a database may have an `@` in its name.
fn split_pick<'a>(text: &'a str, shelves: &[Shelf]) -> (&'a str, Option<u64>) {
    if same(shelves, text).next().is_some() {
        return (text, None);
    }
    let parts = text.rsplit_once('@').and_then(|(name, seq)| Some((name, seq.parse().ok()?)));
    parts.map_or((text, None), |(name, seq)| (name, Some(seq)))
}

/// Refuses a backup where a later one is meant that is there no more.
fn none_is_lost(
    place: &RepositoryPlace,
    shelf: &Shelf,
    chosen: &SnapshotName,
    lost: Option<&SnapshotName>,
) -> Result<()> {
    let rank = |n: &SnapshotName| (n.history.incarnation, n.seq);
    let Some(lost) = lost.filter(|lost| rank(lost) > rank(chosen)) else { return Ok(()) };
    let base = place.base.describe();
    Err(Error::new(
        ErrorKind::Corrupt,
        format!(
            "version {1} of '{0}' is what was asked for, it was proved at {base}, and its manifest {2} is missing in the repository; nothing of it is used. The version before it that is there is {3}: if it will do, name it: {base}/{0}@{3}",
            shelf.database,
            lost.seq,
            lost.path(),
            chosen.seq
        ),
    ))
}

/// The newest of some names that is not after a version or time. Of two histories the later one
/// counts: what the other one did besides was given up.
fn newest_not_after<'a>(
    names: &[&'a SnapshotName],
    at: Option<At>,
) -> Result<Option<&'a SnapshotName>> {
    let reached = |n: &&&SnapshotName| match at {
        None => true,
        Some(At::Seq(seq)) => n.seq <= seq,
        Some(At::Time(t)) => n.created_micros <= t.unix_micros(),
    };
    let rank = |n: &&SnapshotName| (n.history.incarnation, n.seq, n.created_micros);
    let newest = names.iter().filter(reached).copied().max_by_key(rank);
    let Some(newest) = newest else { return Ok(None) };
    let other = names.iter().filter(reached).find(|n| {
        n.history.incarnation == newest.history.incarnation && n.history != newest.history
    });
    if let Some(other) = other {
        return Err(Error::invalid(format!(
            "two sides of the group went on alone and wrote backups here; name the one that is meant as it is listed: {} or {}",
            newest.text(),
            other.text()
        )));
    }
    Ok(Some(newest))
}

/// The backups that a pruning does not keep, of each database for itself.
fn not_kept(all: Vec<Found>, keep: Keep) -> Result<Vec<Found>> {
    let mut shelves: BTreeMap<String, Vec<(SnapshotName, Found)>> = BTreeMap::new();
    for found in all {
        let name = picked(&found)?.clone();
        shelves.entry(name.database.clone()).or_default().push((name, found));
    }
    let mut old = Vec::new();
    for mut of in shelves.into_values() {
        // Versions follow each other whatever the clocks said.
        of.sort_by_key(|(n, _)| {
            std::cmp::Reverse((n.history.incarnation, n.seq, n.created_micros))
        });
        let times: Vec<i64> = of.iter().map(|(n, _)| n.created_micros).collect();
        let kept = keep.kept(&times);
        old.extend(of.into_iter().zip(kept).filter(|(_, kept)| !kept).map(|((_, found), _)| found));
    }
    Ok(old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::repository::Base;

    fn of_version(seq: u64, created_micros: i64) -> Found {
        let name = SnapshotName {
            database: "0a".into(),
            history: crate::backup::header::History::default(),
            seq,
            created_micros,
            which: "0b".into(),
        };
        let place = RepositoryPlace::new(Base::Folder("/x.evr".into()), Pick::All);
        let target = Target::Repository(place.one(name.clone(), None));
        Found { name: name.text(), target, length: 0, modified_micros: 0 }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_version_older() {
        let day = 24 * 3600 * 1_000_000;
        let all = || vec![of_version(1, 10 * day), of_version(2, 11 * day), of_version(3, 2 * day)];
        let removed = |keep: Keep| -> Vec<u64> {
            let old = not_kept(all(), keep).unwrap();
            old.iter().map(|found| picked(found).unwrap().seq).collect()
        };
        assert_eq!(removed(Keep { last: 1, ..Keep::default() }), [2, 1]);
        assert_eq!(removed(Keep { last: 2, ..Keep::default() }), [1]);
        // What is later than the newest version by its clock is not older than it.
        assert!(removed(Keep { within_days: 1, ..Keep::default() }).is_empty());
    }
}
