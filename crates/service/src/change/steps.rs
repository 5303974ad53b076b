//! How an operation runs: alone on its database, step by step on a draft, then one commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evercube_base::{Error, ErrorKind, Result};
use evercube_engine::QueryContext;
use evercube_model::apply::{Change, apply};
use evercube_model::changes::{Verb, apply_changes};
use evercube_model::tmsl::{RefreshKind, without_secrets};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::OwnedMutexGuard;

use crate::call::{Call, ReadLevel, WriteAnswer};
use crate::change::Step;
use crate::change::cancelled::unless_cancelled;
use crate::change::draft::Draft;
use crate::change::finish::finish;
use crate::commit::NewState;
use crate::once::request_id;
use crate::refresh::RefreshRequest;
use crate::refresh::ahead::ReadAhead;
use crate::refresh::overrides::SourceOverrides;
use crate::rights::Need;
use crate::running::RunningRequest;
use crate::service::Service;
use crate::versions::LoadedVersion;

impl Service {
    /// Runs the steps on the database called `name` and commits what comes out.
    pub(crate) async fn write(
        &self,
        call: &Call,
        name: &str,
        text: &str,
        steps: Vec<Step>,
    ) -> Result<WriteAnswer> {
        let request_id = request_id(call)?;
        if let Some(answer) = self.answered(&request_id) {
            self.see_all_commits().await?;
            let now = self.committed_name(name).unwrap_or_else(|| name.to_owned());
            // Of a database that is gone nobody has rights; that it went was the caller's doing.
            if let Some(current) = self.current(&now).await? {
                self.check_rights(call, name, Some(&current), &steps)?;
            }
            return answer;
        }
        let now = match self.may_write(call, name, &steps).await {
            // Who else may take writes is not asked of a majority.
            Err(e) if e.kind == ErrorKind::Unavailable => return Err(e),
            // Other refusals must hold on the newest state.
            Err(_) => {
                self.see_all_commits().await?;
                self.may_write(call, name, &steps).await?
            }
            Ok(now) => now,
        };
        let cancel = Arc::new(AtomicBool::new(false));
        let _listed = self.running.enter(RunningRequest {
            session: call.session.number,
            request_id: Some(request_id.clone()),
            user: call.session.user.clone(),
            database: now.clone(),
            text: without_secrets(text),
            started: self.now(),
            cancel: Arc::clone(&cancel),
            work: None,
            cancelled: Arc::default(),
        });
        self.progress.update(&request_id, |p| p.by.clone_from(&call.session.user));
        let work = self.write_steps(call, &request_id, (name, &now), steps, &cancel);
        let answer = match in_time(work, call, &cancel).await {
            Err(e) => Err(self.or_elsewhere(with_way_out(e)).await),
            done => done,
        };
        let state = if answer.is_ok() { "done" } else { "failed" };
        self.progress.update(&request_id, |p| p.state = state.into());
        if answer.as_ref().is_err_and(|e| !may_go_on(e)) {
            self.forget_reads(&request_id).await;
        }
        answer
    }

    /// The database's name, where this server writes it and the caller may, as far as is known here.
    async fn may_write(&self, call: &Call, name: &str, steps: &[Step]) -> Result<String> {
        let now = self.committed_name(name).unwrap_or_else(|| name.to_owned());
        self.epoch_of(&now)?;
        self.check_rights(call, name, self.current(&now).await?.as_deref(), steps)?;
        self.not_a_standby(&now)?;
        Ok(now)
    }

    /// Makes the change while a majority is asked for the newest state: mostly this server knows it
    /// already, since it made all the changes since it was granted the lease. Where it turns out that it
    /// did not, nothing is committed, and the change is made again.
    async fn write_steps(
        &self,
        call: &Call,
        request_id: &str,
        names: (&str, &str),
        steps: Vec<Step>,
        cancel: &Arc<AtomicBool>,
    ) -> Result<WriteAnswer> {
        let mut tries = 0;
        loop {
            tries += 1;
            let seen: Seen<'_> = self.see_all_commits().boxed().shared();
            let mut from = self.version_number(names.1);
            let attempt = Box::pin(async {
                let attempt = Attempt { call, request_id, names, steps: &steps, cancel };
                self.attempt(attempt, &mut from, seen.clone()).await
            });
            let ended = beside(seen.clone(), attempt).await;
            if ended.is_ok() || tries == TRIES {
                return ended;
            }
            seen.await?;
            let now = self.committed_name(names.0);
            let now = now.as_deref().unwrap_or(names.1);
            // What was under way when the writes moved is ended, and not begun again.
            if self.version_number(now) == from || self.epoch_of(now).is_err() {
                return ended;
            }
        }
    }

    fn version_number(&self, database: &str) -> Option<u64> {
        self.metastore.state().database(database).map(|d| d.seq)
    }

    /// Reads what can be read beside others, and makes the change alone. `from` comes to be the version
    /// it is made from.
    async fn attempt(
        &self,
        Attempt { call, request_id, names: (asked, now), steps, cancel }: Attempt<'_>,
        from: &mut Option<u64>,
        seen: Seen<'_>,
    ) -> Result<WriteAnswer> {
        let ahead = Box::pin(self.read_ahead(request_id, now, steps, cancel)).await?;
        let (name, _alone) = unless_cancelled(cancel, self.alone(asked)).await?;
        if let Some(answer) = self.answered(request_id) {
            seen.await?;
            return answer;
        }
        self.epoch_to_end(&name)?;
        let current = self.current(&name).await?;
        *from = current.as_ref().map(|v| v.seq);
        self.check_rights(call, asked, current.as_deref(), steps)?;
        self.not_a_standby(&name)?;
        let made_from = *from;
        let judged = async {
            seen.await?;
            // Rights may have been taken away, and the version may not be the newest.
            if self.version_number(&name) != made_from {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("another server has changed database '{name}' meanwhile"),
                ));
            }
            let current = self.current(&name).await?;
            self.check_rights(call, asked, current.as_deref(), steps)?;
            self.not_a_standby(&name)
        };
        let mut draft =
            Draft::new(request_id.to_owned(), name.clone(), current, Arc::clone(cancel));
        let ReadAhead { read, held: _held } = ahead;
        draft.ahead = read;
        self.run_steps(draft, steps, judged).await
    }

    /// The newest version of a database, where there is one.
    async fn current(&self, name: &str) -> Result<Option<Arc<LoadedVersion>>> {
        match self.metastore.state().database(name) {
            Some(_) => Ok(Some(self.newest(name).await?)),
            None => Ok(None),
        }
    }

    /// The newest version that this server knows of. For one that writes the database, and has seen
    /// all commits since its request came, there is no newer one: the lock tells of its own, and
    /// another server's would refuse the commit.
    pub(crate) async fn newest(&self, name: &str) -> Result<Arc<LoadedVersion>> {
        let known = Call { min_seq: Some(0), ..Call::of_server(ReadLevel::Session) };
        self.version(&known, name).await
    }

    /// Waits until nobody else writes the database; its name then, since it may have been renamed
    /// meanwhile.
    pub(crate) async fn alone(&self, asked: &str) -> (String, OwnedMutexGuard<()>) {
        let now = || self.committed_name(asked).unwrap_or_else(|| asked.to_owned());
        loop {
            let name = now();
            let guard = self.writes.lock(&name).await;
            if now().to_lowercase() == name.to_lowercase() {
                return (now(), guard);
            }
        }
    }

    /// Waits until this server knows every commit that was acknowledged.
    pub(crate) async fn see_all_commits(&self) -> Result<()> {
        self.wait_fresh(&strong()).await
    }

    pub(crate) fn check_rights(
        &self,
        call: &Call,
        name: &str,
        current: Option<&LoadedVersion>,
        steps: &[Step],
    ) -> Result<()> {
        let refreshes = |step: &Step| match step {
            Step::Refresh(_) => true,
            Step::Objects(changes) => changes.iter().all(|c| c.verb == Verb::Refresh),
            Step::Command(_) | Step::Properties { .. } => false,
        };
        let need = match steps.iter().all(refreshes) {
            true => Need::Refresh,
            false => Need::Administer("Changing database"),
        };
        self.need_right(&call.session, name, current, &need)
    }

    async fn run_steps(
        &self,
        mut draft: Draft,
        steps: &[Step],
        judged: impl Future<Output = Result<()>>,
    ) -> Result<WriteAnswer> {
        for step in steps {
            match step {
                Step::Command(command) => match apply(draft.database.as_ref(), command)? {
                    Change::Put(database) => draft.put(database, None),
                    Change::Drop => draft.remove(),
                    Change::Unchanged => {}
                },
                Step::Properties { fields, allow_create } => {
                    draft.set_properties(fields, *allow_create)?;
                }
                Step::Refresh(request) => self.checked_refresh(&mut draft, request).await?,
                Step::Objects(changes) => {
                    let changed = apply_changes(draft.existing()?, &draft.ids, changes)?;
                    // A request for nothing but a refresh leaves the model as it is.
                    if Some(&changed.database) != draft.database.as_ref() {
                        draft.put(changed.database, Some(changed.ids));
                    }
                    for request in requests(changed.refreshes)? {
                        self.checked_refresh(&mut draft, &request).await?;
                    }
                }
            }
        }
        self.finish_draft(draft, judged).await
    }

    async fn checked_refresh(&self, draft: &mut Draft, request: &RefreshRequest) -> Result<()> {
        if draft.model_changed {
            draft.check()?;
        }
        self.refresh_draft(draft, request).await
    }

    /// Commits, and has another group follow where the database has a partner there.
    async fn finish_draft(
        &self,
        mut draft: Draft,
        judged: impl Future<Output = Result<()>>,
    ) -> Result<WriteAnswer> {
        let turn = draft.partner.take();
        let changed = draft.model_changed && draft.database.is_some();
        let name = draft.current.as_ref().map_or_else(|| draft.name.clone(), |v| v.name.clone());
        let mut answer = self.commit_draft(draft, judged).await?;
        // First the model: what was read is for the new one.
        if changed {
            answer.messages.extend(Box::pin(self.model_to_partner(&name)).await);
        }
        if let Some(turn) = turn {
            answer.messages.extend(Box::pin(self.end_turn(&name, turn)).await);
        }
        Ok(answer)
    }

    async fn commit_draft(
        &self,
        draft: Draft,
        judged: impl Future<Output = Result<()>>,
    ) -> Result<WriteAnswer> {
        let id = draft.request_id.clone();
        let (name, seq) = match &draft.current {
            Some(v) => (v.name.clone(), v.seq),
            None => (draft.name.clone(), 0),
        };
        let mut messages = if draft.model_changed && draft.database.is_some() {
            draft.check()?
        } else {
            Vec::new()
        };
        let cancel = Arc::clone(&draft.cancel);
        let logins = draft.logins.clone();
        let Some((parts, said)) = draft.into_parts() else {
            if seq == 0 {
                return Err(self.no_such_database(&name));
            }
            judged.await?;
            let seq = self.commit_drop(&id, &name, seq).await?;
            return Ok(WriteAnswer { seq, messages });
        };
        messages.extend(said);
        self.progress.update(&id, |p| p.state = "calculating".into());
        let context = QueryContext {
            locale: parts.database.model.culture.clone().unwrap_or_else(|| "en-US".into()),
            now: self.now(),
            utc_now: self.now(),
            ..QueryContext::default()
        };
        let objects = Arc::clone(&self.objects);
        let done = self.computed(&cancel, move || finish(&objects, parts, &context)).await?;
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "the operation was cancelled"));
        }
        messages.extend(done.messages);
        self.progress.update(&id, |p| p.state = "committing".into());
        let new_name = done.model.database.name.clone();
        let (name, rename_to) = if seq == 0 {
            (new_name, None)
        } else {
            let rename_to = Some(new_name).filter(|n| *n != name);
            (name, rename_to)
        };
        let logins = self.sealed_logins(&name, &logins)?;
        let (model, manifest) = (done.model, done.manifest);
        let new = NewState { name, expected_seq: seq, model, manifest, logins };
        let seq = self.commit_as(&id, new, rename_to, judged).await?;
        drop(done.tables);
        Ok(WriteAnswer { seq, messages })
    }
}

/// What a majority says of the newest state, for all that wait for it.
type Seen<'a> = Shared<BoxFuture<'a, Result<()>>>;

/// How often a change is made again because another server was the first.
const TRIES: u32 = 3;

/// A change that is tried.
struct Attempt<'a> {
    call: &'a Call,
    request_id: &'a str,
    /// What the caller calls the database, and its name.
    names: (&'a str, &'a str),
    steps: &'a [Step],
    cancel: &'a Arc<AtomicBool>,
}

/// What `work` comes to; the other goes on beside it.
async fn beside<T>(other: Seen<'_>, mut work: impl Future<Output = T> + Unpin) -> T {
    tokio::select! {
        biased;
        done = &mut work => return done,
        _ = other => {}
    }
    work.await
}

fn strong() -> Call {
    Call::of_server(ReadLevel::Strong)
}

/// Tables, or partitions of tables.
type Objects = Vec<(String, Option<String>)>;

/// Refreshes of single objects, those of one kind together.
fn requests(refreshes: Vec<(Option<String>, Option<String>, i64)>) -> Result<Vec<RefreshRequest>> {
    let mut kinds: BTreeMap<i64, Option<Objects>> = BTreeMap::new();
    for (table, partition, kind) in refreshes {
        let objects = kinds.entry(kind).or_insert_with(|| Some(Vec::new()));
        match (table, objects.as_mut()) {
            (Some(table), Some(list)) => list.push((table, partition)),
            // The whole model, whatever else is named.
            (None, _) => *objects = None,
            (Some(_), None) => {}
        }
    }
    let requests = kinds.into_iter().map(|(kind, objects)| {
        let kind = RefreshKind::from_tom(kind)?;
        let objects = objects.unwrap_or_default();
        Ok(RefreshRequest { kind, objects, readers: None, overrides: SourceOverrides::default() })
    });
    requests.collect()
}

/// Whether another server goes on with a request that ended so here.
fn may_go_on(e: &Error) -> bool {
    matches!(e.kind, ErrorKind::Unavailable | ErrorKind::Unknown)
}

/// What to do about an error that only the operator can end.
fn with_way_out(mut e: Error) -> Error {
    if e.message.contains(&std::io::Error::from_raw_os_error(NO_SPACE).to_string()) {
        e.message.push_str("; nothing was changed: free space on that disk, and try again");
    }
    e
}

/// The number of that error on Linux (ENOSPC).
const NO_SPACE: i32 = 28;

/// Stops the work when the caller's time is over.
async fn in_time<T>(
    work: impl Future<Output = Result<T>>,
    call: &Call,
    cancel: &AtomicBool,
) -> Result<T> {
    let Some(limit) = call.timeout.filter(|t| !t.is_zero()) else { return work.await };
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => done,
        () = tokio::time::sleep(limit) => {
            cancel.store(true, Ordering::Relaxed);
            // A commit under way is not broken off: its outcome is the answer.
            work.await.map_err(|e| {
                if e.kind == ErrorKind::Cancelled {
                    Error::new(
                        ErrorKind::TimeLimit,
                        format!("The operation ran longer than its timeout of {} s and was stopped; nothing was changed.", limit.as_secs()),
                    )
                } else {
                    e
                }
            })
        }
    }
}
