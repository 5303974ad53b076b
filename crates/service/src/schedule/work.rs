//! A server's part: it does the runs that are given to it, and says how they ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{
    Command, Job, JobChange, JobEnd, JobPart, JobReport, JobState, Reply, Task,
};

use crate::audit::Event;
use crate::call::Call;
use crate::once::of_caller;
use crate::progress::Progress;
use crate::running::NamedRequest;
use crate::service::Service;
use crate::session::Session;

/// How often a run's server looks whether it is to stop, and tells how far it is.
const LOOK: Duration = Duration::from_secs(1);
/// How long it waits before it tries again what cannot be done just now.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs that are being done here, by id, with the grant they are done under.
type Doing = Arc<Mutex<BTreeMap<String, u64>>>;

/// Starts doing what is given; ends when the service is dropped.
pub(super) fn spawn(service: &Arc<Service>) {
    if !service.serves_queries() {
        return;
    }
    let weak: Weak<Service> = Arc::downgrade(service);
    let mut changes = service.metastore.changes();
    let doing = Doing::default();
    tokio::spawn(async move {
        loop {
            let Some(service) = weak.upgrade() else { return };
            for job in service.given_to_me(&doing) {
                tokio::spawn(service.do_job(job, Arc::clone(&doing)));
            }
            drop(service);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    });
}

/// The call a job is done with: by whoever asked for it, each attempt under an id of its own, so
/// that two servers that both do it make one commit.
pub(super) fn call_of(job: &Job, part: usize) -> Call {
    let session =
        Session { user: job.asked_by.clone(), is_admin: job.asked_by_admin, ..Session::default() };
    Call { session, request_id: Some(request_id(job, part)), ..Call::default() }
}

fn request_id(job: &Job, part: usize) -> String {
    format!("run:{}:{}:{part}", job.id, job.attempt)
}

fn recorded_id(job: &Job, part: usize) -> String {
    of_caller(&request_id(job, part), &job.asked_by)
}

impl Service {
    /// The runs that are this server's and that it does not do yet.
    fn given_to_me(&self, doing: &Doing) -> Vec<Job> {
        let state = self.metastore.state();
        let mut doing = doing.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = |j: &&Job| {
            j.runner == Some(self.identity.node_id)
                && j.state == JobState::Running
                && !doing.contains_key(&j.id)
        };
        let new: Vec<Job> = state.jobs.unfinished().filter(mine).cloned().collect();
        doing.extend(new.iter().map(|j| (j.id.clone(), j.epoch)));
        new
    }

    /// Does a run and tells its end, unless another server was given it meanwhile.
    fn do_job(
        self: &Arc<Self>,
        job: Job,
        doing: Doing,
    ) -> impl Future<Output = ()> + Send + 'static {
        let service = Arc::clone(self);
        async move {
            let started = Instant::now();
            let outcome = tokio::select! {
                outcome = Box::pin(service.task(&job)) => Some(outcome),
                () = service.watch(&job) => None,
            };
            let passes = |e: &Error| e.kind == ErrorKind::Unavailable;
            match outcome {
                // Somebody else has it, or it cannot be done now: it stays as it is.
                None => {}
                Some(Err(e)) if passes(&e) => {
                    tracing::warn!(run = job.id, error = %e, "a run cannot be done now");
                    tokio::time::sleep(PAUSE).await;
                }
                Some(outcome) => service.tell_end(&job, started, outcome).await,
            }
            doing.lock().unwrap_or_else(PoisonError::into_inner).remove(&job.id);
        }
    }

    async fn task(self: &Arc<Self>, job: &Job) -> Result<JobReport> {
        if job.cancel && self.answered(&recorded_id(job, 0)).is_none() {
            return Err(Error::new(ErrorKind::Cancelled, "it was cancelled before it began"));
        }
        match &job.task {
            Task::Refresh(task) => self.refresh_task(job, task).await,
            Task::Backup(task) => self.backup_task(&call_of(job, 0), job, task).await,
            Task::Restore(task) => self.restore_task(&call_of(job, 0), job, task).await,
            Task::Drill(task) => self.drill_task(&call_of(job, 0), task).await,
        }
    }

    /// Tells how far the run is and stops it where that is wanted; returns where it is another
    /// server's now.
    async fn watch(&self, job: &Job) {
        loop {
            tokio::time::sleep(LOOK).await;
            let state = self.metastore.state();
            let Some(now) = state.jobs.get(&job.id).filter(|j| j.epoch == job.epoch) else {
                self.stop(job);
                return;
            };
            if now.is_over() {
                return;
            }
            if now.cancel {
                self.stop(job);
            }
            let parts = self.parts_of(job, now);
            if !parts.is_empty() && parts != now.parts {
                let (id, epoch) = (job.id.clone(), job.epoch);
                let change = Command::Jobs(JobChange::Parts { id, epoch, parts });
                // The next look tells it again.
                let _told = self.metastore.propose(change).await;
            }
        }
    }

    fn stop(&self, job: &Job) {
        let user = job.asked_by.clone();
        for part in 0..=job.parts.len() {
            let named =
                NamedRequest { id: request_id(job, part), user: user.clone(), by_admin: true };
            self.running.cancel_request(&named);
        }
    }

    /// The partitions of a refresh as this server's attempts left them.
    pub(super) fn parts_of(&self, job: &Job, known: &Job) -> Vec<JobPart> {
        let mut parts = known.parts.clone();
        let Task::Refresh(task) = &job.task else { return parts };
        let batches = task.batch.map_or(1, |_| task.objects.len().max(parts.len()).max(1));
        for batch in 0..batches {
            let Some(progress) = self.progress.get(&recorded_id(job, batch)) else { continue };
            take_over(&mut parts, &progress);
        }
        parts
    }

    async fn tell_end(&self, job: &Job, started: Instant, outcome: Result<JobReport>) {
        self.audit_run(job, started.elapsed(), outcome.as_ref().err().map(|e| e.kind));
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (end, failed) = match outcome {
            Ok(report) => (JobEnd::Done(JobReport { millis, ..report }), None),
            Err(e) if e.kind == ErrorKind::Cancelled => (JobEnd::Cancelled, None),
            Err(e) if e.kind == ErrorKind::TimeLimit => {
                (JobEnd::TimedOut(e.to_string()), Some(e.to_string()))
            }
            Err(e) => (JobEnd::Failed(e.to_string()), Some(e.to_string())),
        };
        let known = self.metastore.state().jobs.get(&job.id).cloned();
        let parts = known.map(|known| self.parts_of(job, &known)).unwrap_or_default();
        let (id, epoch) = (job.id.clone(), job.epoch);
        let now_micros = self.now().unix_micros();
        let changes = [
            (!parts.is_empty()).then(|| JobChange::Parts { id: id.clone(), epoch, parts }),
            Some(JobChange::End { id, epoch, end, now_micros }),
        ];
        for change in changes.into_iter().flatten() {
            match self.metastore.propose(Command::Jobs(change)).await {
                Ok(Reply::Done { .. }) => {}
                // Another server was given it, and tells its end.
                Ok(Reply::Refused(e)) => return tracing::debug!(error = %e, "an end was not taken"),
                Err(e) => return tracing::warn!(error = %e, "the end of a run could not be told"),
            }
        }
        if let Some(message) = failed {
            self.tell_failure(job, &message);
        }
    }

    /// A run has no request of a client beside which the log would tell of it.
    fn audit_run(&self, job: &Job, took: Duration, failed: Option<ErrorKind>) {
        self.audit.tell(Event {
            time: self.now(),
            action: format!("run: {}", job.task.word()),
            user: job.asked_by.clone(),
            database: Some(job.task.database().to_owned()),
            object: job.schedule.as_ref().map(|name| format!("schedule '{name}'")),
            request: Some(job.id.clone()),
            failed,
            took: Some(took),
            ..Event::default()
        });
    }

    fn tell_failure(&self, job: &Job, message: &str) {
        let what = match &job.schedule {
            Some(name) => {
                format!("schedule '{name}' ({} of '{}')", job.task.word(), job.task.database())
            }
            None => format!("{} of '{}'", job.task.word(), job.task.database()),
        };
        if job.attempt <= job.retries && !job.cancel {
            let left = job.retries + 1 - job.attempt;
            tracing::warn!("{what} failed and is tried again ({left} left): {message}");
            return;
        }
        let kind = match &job.task {
            Task::Refresh(_) => "refresh-failed",
            Task::Backup(_) => "backup-failed",
            Task::Restore(_) => "restore-failed",
            Task::Drill(_) => "drill-failed",
        };
        self.alarm(kind, &format!("{what} failed: {message}"));
    }
}

/// Notes what an attempt says of its partitions.
fn take_over(parts: &mut Vec<JobPart>, progress: &Progress) {
    for p in &progress.partitions {
        let known = parts.iter_mut().find(|k| k.table == p.table && k.partition == p.partition);
        match known {
            Some(known) => known.state.clone_from(&p.state),
            None => parts.push(JobPart {
                table: p.table.clone(),
                partition: p.partition.clone(),
                state: p.state.clone(),
            }),
        }
    }
}
