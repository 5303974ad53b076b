//! From a finished new state to an acknowledged version: store, ship, collect receipts, commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Command, Commit, LoginChange, Member, Policy, Reply, State};
use evercube_store::{Hash, Manifest, state_root};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::objects::{Receipt, blocking, data_peers};
use crate::parcel::{Parcel, push};
use crate::service::Service;
use crate::versions::StoredModel;

/// How often a ship looks whether those it waits for are still there.
const LOOK: Duration = Duration::from_millis(200);

/// A new state of a database, complete but for its acknowledgement.
#[derive(Debug, Clone)]
pub struct NewState {
    pub name: String,
    /// The version this state was made from; 0 for a database that must not exist yet.
    pub expected_seq: u64,
    pub model: StoredModel,
    pub manifest: Manifest,
    /// Logins that came with the model.
    pub logins: Vec<LoginChange>,
}

impl Service {
    /// Stores, ships and commits a state; the version's number once a quorum has it and enough
    /// failure domains hold its objects.
    pub async fn commit(&self, request_id: &str, new: NewState) -> Result<u64> {
        self.commit_as(request_id, new, None, async { Ok(()) }).await
    }

    /// As [`Service::commit`]; the same commit gives the database another name. `judged` comes to be
    /// while the objects are shipped, and without it nothing is committed.
    pub(crate) async fn commit_as(
        &self,
        request_id: &str,
        new: NewState,
        rename_to: Option<String>,
        judged: impl Future<Output = Result<()>>,
    ) -> Result<u64> {
        let served_as = rename_to.clone().unwrap_or_else(|| new.name.clone());
        let objects = Arc::clone(&self.objects);
        let state = self.metastore.state();
        let policy = state.policy(&new.name);
        let (new, model_hash, manifest_hash, parcel) = blocking(move || {
            let model_hash = objects.put(&new.model.to_bytes()?)?;
            let manifest_hash = objects.put(&new.manifest.to_bytes()?)?;
            let mut all: BTreeSet<Hash> =
                new.manifest.objects().into_iter().map(|(_, h)| h).collect();
            all.extend([model_hash, manifest_hash]);
            // What the version before holds is there already, or fetched by now.
            let before = state.database(&new.name).map_or(&[][..], |d| &d.objects);
            let parcel = Parcel::pack(&objects, all.into_iter().collect(), before)?;
            Ok((new, model_hash, manifest_hash, parcel))
        })
        .await?;
        let parcel = Arc::new(parcel);
        let root = state_root(&model_hash, &new.manifest);
        let (receipts, judged) = tokio::join!(self.ship(&parcel, policy), judged);
        judged?;
        let receipts = receipts?;
        let command = self.metastore.repeatable(Commit {
            request_id: request_id.to_owned(),
            database: new.name.clone(),
            expected_seq: Some(new.expected_seq),
            epoch: self.term_of(&new.name),
            lease: self.epoch_to_end(&new.name)?,
            drop: false,
            rename_to,
            model: model_hash,
            manifest: manifest_hash,
            objects: parcel.hashes().to_vec(),
            root,
            receipts: receipts.iter().map(|r| (r.member, r.disk_id)).collect(),
            now_micros: self.now().unix_micros(),
            logins: new.logins,
            repeatable: false,
        });
        let seq = self.propose_write(command).await?;
        self.wait_loaded(&served_as, seq).await;
        Ok(seq)
    }

    /// Commits the end of a database on every server.
    pub async fn commit_drop(&self, request_id: &str, name: &str, seq: u64) -> Result<u64> {
        let command = self.metastore.repeatable(Commit {
            request_id: request_id.to_owned(),
            database: name.to_owned(),
            expected_seq: Some(seq),
            epoch: self.term_of(name),
            lease: self.epoch_to_end(name)?,
            drop: true,
            now_micros: self.now().unix_micros(),
            ..Commit::default()
        });
        let seq = self.propose_write(command).await?;
        // The next change of a database of this name begins from here.
        self.metastore.wait_applied(seq, crate::read::HOLD).await?;
        Ok(seq)
    }

    /// The term in which a version is made: that of the version before at least, for while consensus
    /// starts again it knows none.
    fn term_of(&self, database: &str) -> u64 {
        let before = self.metastore.state().database(database).map_or(0, |d| d.epoch);
        self.metastore.status().term.max(before)
    }

    async fn propose_write(&self, command: Command) -> Result<u64> {
        match self.metastore.propose(command).await? {
            Reply::Done { seq } => Ok(seq),
            Reply::Refused(e) => Err(e),
        }
    }

    /// Brings objects to the other data members until enough failure domains hold them. A member
    /// that is away is waited for until it has been so for the grace; then the group goes on degraded,
    /// and says so, or the commit is refused where the policy is strict.
    async fn ship(&self, parcel: &Arc<Parcel>, policy: Policy) -> Result<Vec<Receipt>> {
        let mut receipts = vec![self.receipt()];
        let state = self.metastore.state();
        let (grace, started) = (self.config.degrade_grace, Instant::now());
        let mut pushes = JoinSet::new();
        let push_to = |id: u64, member: &Member, pause: Duration| {
            let (transport, objects) = (Arc::clone(&self.transport), Arc::clone(&self.objects));
            let push = push(transport, objects, member.peer_address.clone(), Arc::clone(parcel));
            async move {
                tokio::time::sleep(pause).await;
                (id, push.await)
            }
        };
        let mut waited_for = BTreeMap::new();
        for (id, member) in data_peers(&state, self.identity.node_id) {
            pushes.spawn(push_to(id, &member, Duration::ZERO));
            waited_for.insert(id, (member, None));
        }
        // Much data takes its time: the ship waits for whoever is there at all.
        let is_away = |id: &u64| self.metastore.silence_of(*id).is_some_and(|s| s >= grace);
        let mut look = started + if waited_for.keys().all(is_away) { Duration::ZERO } else { LOOK };
        let mut last_error = None;
        while !self.enough(&state, &receipts, policy) {
            tokio::select! {
                done = pushes.join_next() => match done {
                    Some(Ok((id, Ok(receipt)))) => {
                        waited_for.remove(&id);
                        receipts.push(receipt);
                    }
                    Some(Ok((id, Err(e)))) => {
                        // One that is being started again is there a moment later.
                        let may_come = e.kind == ErrorKind::Unavailable && started.elapsed() < grace;
                        last_error = Some(e);
                        match waited_for.get(&id).filter(|_| may_come) {
                            Some((member, _)) => {
                                pushes.spawn(push_to(id, member, LOOK));
                            }
                            None => drop(waited_for.remove(&id)),
                        }
                    }
                    Some(Err(_)) => {}
                    None => break,
                },
                () = tokio::time::sleep_until(look) => {
                    if let Some(e) = self.all_silent(&mut waited_for).await {
                        last_error = Some(e);
                        break;
                    }
                    look = Instant::now() + LOOK;
                }
            }
        }
        if self.enough(&state, &receipts, policy) {
            // The others go on receiving in the background; what they miss they fetch themselves.
            pushes.detach_all();
            return Ok(receipts);
        }
        self.go_on_without(&receipts, policy, last_error).await?;
        Ok(receipts)
    }

    /// The failure domains without a receipt are gone on without, or the policy forbids it.
    async fn go_on_without(
        &self,
        receipts: &[Receipt],
        policy: Policy,
        last_error: Option<Error>,
    ) -> Result<()> {
        let why = last_error.map_or_else(String::new, |e: Error| e.message);
        if policy == Policy::Strict {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the policy of the database is strict and too few failure domains hold the new version ({why}); nothing was changed: try again when they are back, or set the policy to available"
                ),
            ));
        }
        self.degrade(receipts, &why).await
    }

    /// Why waiting for these members is no use: none has answered for as long as the grace. Beside
    /// each stands since when it has not.
    async fn all_silent(
        &self,
        members: &mut BTreeMap<u64, (Member, Option<Instant>)>,
    ) -> Option<Error> {
        let begun = Instant::now();
        let asked = members.iter_mut().map(|(id, (member, silent_since))| async move {
            // The leader may have missed it for longer than this commit is under way.
            let (answers, silence) =
                tokio::join!(self.is_able(member), self.metastore.silence_told(*id));
            if answers {
                *silent_since = None;
                return;
            }
            let missed = silence.and_then(|silence| begun.checked_sub(silence));
            *silent_since = silent_since.or(Some(begun)).min(Some(missed.unwrap_or(begun)));
        });
        futures::future::join_all(asked).await;
        let grace = self.config.degrade_grace;
        let silent = |(_, since): &(Member, Option<Instant>)| {
            since.is_some_and(|since| since.elapsed() >= grace)
        };
        if !members.values().all(silent) {
            return None;
        }
        let names: Vec<&str> = members.values().map(|(m, _)| m.name.as_str()).collect();
        let message = format!("{} did not answer for {} ms", names.join(", "), grace.as_millis());
        Some(Error::new(ErrorKind::Unavailable, message))
    }

    fn enough(&self, state: &State, receipts: &[Receipt], policy: Policy) -> bool {
        let have: Vec<(u64, u64)> = receipts.iter().map(|r| (r.member, r.disk_id)).collect();
        state.receipts_suffice(&have, policy)
    }

    /// Commits, explicitly, that the failure domains without a receipt are gone on without.
    async fn degrade(&self, receipts: &[Receipt], why: &str) -> Result<()> {
        let state = self.metastore.state();
        let have: BTreeSet<String> =
            receipts.iter().filter_map(|r| state.failure_domain(r.member)).collect();
        for domain in state.failure_domains() {
            if have.contains(&domain) || state.degraded.contains(&domain) {
                continue;
            }
            let message = format!("the group goes on without {domain}: {why}");
            match self.metastore.propose(Command::Degrade { domain }).await? {
                Reply::Done { .. } => self.alarm("degraded", &message),
                Reply::Refused(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Waits, within reason, until this server serves the version it has just committed.
    pub(crate) async fn wait_loaded(&self, name: &str, seq: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut changes = self.versions.changes();
        while self.versions.get(name).is_none_or(|v| v.seq < seq)
            && self.versions.failure(name).is_none()
        {
            match tokio::time::timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
    }
}
