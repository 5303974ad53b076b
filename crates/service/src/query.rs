//! Queries: pick a version, build the context, run the engine on the compute pool.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use evercube_base::error::line_column;
use evercube_base::{Error, ErrorKind, Result, Value};
use evercube_engine::QueryContext;
pub use evercube_engine::{Explanation, QueryResult, ResultColumn, ResultTable, ScanSource};
use evercube_model::tabular::Role;
use evercube_work::{Limits, Of, Ready, Stop, Work};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinError, JoinHandle};

use crate::browse::metadata_of;
use crate::call::Call;
use crate::config::ServerLimits;
use crate::running::RunningRequest;
use crate::service::Service;
use crate::versions::LoadedVersion;
use crate::windows_locale::culture_of;

#[derive(Debug)]
pub struct QueryAnswer {
    pub result: Arc<QueryResult>,
    /// The version the answer was computed on.
    pub seq: u64,
}

impl Service {
    /// Answers a DAX query; `write` turns the answer into what the caller sends, under the same
    /// limits and on the same thread.
    pub async fn query<T: Send + 'static>(
        &self,
        call: &Call,
        text: &str,
        parameters: Vec<(String, Value)>,
        write: impl FnOnce(QueryAnswer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.traces.is_listened_to() {
            return self.traced_query(call, text, parameters, write).await;
        }
        self.run(call, text, parameters, |version, text, context| {
            let result = evercube_engine::query(&version.dataset(), text, context)?;
            write(QueryAnswer { result, seq: version.seq })
        })
        .await
    }

    /// Answers a DAX query and tells how.
    pub async fn explain(&self, call: &Call, text: &str) -> Result<Explanation> {
        self.run(call, text, Vec::new(), |version, text, context| {
            let model = &version.model.database.model;
            let narrows = |name: &String| {
                let role = model.roles.iter().find(|r| r.name.eq_ignore_ascii_case(name));
                role.is_none_or(|r| !r.table_permissions.is_empty())
            };
            // What is read and tested would tell the filters of roles, and what they hide.
            if context.roles.iter().any(narrows) {
                return Err(Error::new(
                    ErrorKind::Denied,
                    "How a query is answered is not told to callers whose roles filter rows or hide objects; ask an administrator of the database.",
                ));
            }
            evercube_engine::explain(&version.dataset(), text, context).map(|(_, how)| how)
        })
        .await
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: &Call,
        text: &str,
        parameters: Vec<(String, Value)>,
        run: impl FnOnce(&LoadedVersion, &str, &QueryContext) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.resolve_catalog(call)?;
        let version = self.version(call, &database).await?;
        let mut context = self.query_context(call, &version, parameters)?;
        context.rowsets = Some(metadata_of(&version, &context));
        let (name, owned) = (version.name.clone(), text.to_owned());
        let work = move || run(&version, &owned, &context);
        let answer = self.within_limits(call, name, text, work).await;
        answer.map_err(|e| placed(e, text))
    }

    /// Does what a request asks for, from its first turn on, on a thread of its own, within the limits
    /// of requests and where `Cancel` reaches it; `database` and `text` are what lists of running
    /// requests show.
    pub(crate) async fn within_limits<T: Send + 'static>(
        &self,
        call: &Call,
        database: String,
        text: &str,
        run: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let own = self.limits();
        let limits = limits_of(call, own);
        let (cancel, cancelled) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        self.queries_memory.limit_to(own.queries_memory);
        let work = Work::new(limits).among(&self.turns, &self.queries_memory);
        let work = Arc::new(work.cancelled_by(Arc::clone(&cancel)));
        let guard = self.running.enter(RunningRequest {
            session: call.session.number,
            request_id: call.request_id.clone(),
            user: call.session.user.clone(),
            database,
            text: text.to_owned(),
            started: self.now(),
            cancel,
            work: Some(Arc::clone(&work)),
            cancelled: Arc::clone(&cancelled),
        });
        let turn = work.first_turn();
        let (done, answer) = oneshot::channel();
        let on_a_thread = move |ready: Ready| {
            let answer = ready.run(run);
            drop(guard);
            // Who waited for it may be gone.
            let _sent = done.send(answer);
        };
        let threads = Arc::clone(&self.request_threads);
        let task = tokio::spawn(async move {
            let ready = turn.await?;
            let begun = threads.run(move || on_a_thread(ready));
            begun.map_err(|e| Error::internal(format!("no thread for the query: {e}")))?;
            answer.await.unwrap_or_else(|_| Err(gone(&"its thread is gone")))
        });
        let _stops_when_dropped = StopWhenGone(Arc::clone(&work));
        finish_in_time(task, limits.timeout, &work, &cancelled).await
    }

    /// Builds the engine's context; decides which roles filter what the caller sees.
    pub(crate) fn query_context(
        &self,
        call: &Call,
        version: &LoadedVersion,
        parameters: Vec<(String, Value)>,
    ) -> Result<QueryContext> {
        let session = &call.session;
        Ok(QueryContext {
            roles: effective_roles(call, version)?,
            user: session.acting_user().to_owned(),
            custom_data: session.custom_data.clone(),
            locale: version.model.database.model.culture.clone().unwrap_or_else(|| "en-US".into()),
            user_culture: culture_of(session.locale).map(str::to_owned),
            now: self.now(),
            utc_now: self.now(),
            seed: session.number,
            row_limit: self.limits().query_rows,
            parameters,
            kept: self.kept.clone(),
            ..QueryContext::default()
        })
    }
}

/// The limits of a query: the server's, and narrower ones of the request. Only an administrator may
/// have more memory than the server gives.
fn limits_of(call: &Call, own: ServerLimits) -> Limits {
    let memory = match call.memory {
        Some(asked) if call.session.rules() => asked,
        Some(asked) => asked.min(own.query_memory),
        None => own.query_memory,
    };
    let given = call.timeout.filter(|t| !t.is_zero());
    let timeout = given.into_iter().chain(own.query_timeout).min();
    Limits { memory, timeout, of: Of::Query }
}

/// Stops work whose answer nobody waits for any more, because the client is gone.
struct StopWhenGone(Arc<Work>);

impl Drop for StopWhenGone {
    fn drop(&mut self) {
        self.0.stop(Stop::Cancelled);
    }
}

/// Roles whose filters apply: those an administrator asked for, those of the effective user, or
/// those the user is a member of. Administrators without such a request see everything.
pub(crate) fn effective_roles(call: &Call, version: &LoadedVersion) -> Result<Vec<String>> {
    let session = &call.session;
    let model = &version.model.database.model;
    let asks = !session.roles.is_empty() || session.effective_user.is_some();
    if asks && !session.is_admin {
        return Err(Error::new(
            ErrorKind::Denied,
            "The properties Roles and EffectiveUserName need an administrator; the caller is not one.",
        ));
    }
    for asked in &session.roles {
        if !model.roles.iter().any(|r| r.name.eq_ignore_ascii_case(asked)) {
            return Err(Error::not_found(format!(
                "The role '{asked}' does not exist in database '{}'.",
                version.name
            )));
        }
    }
    if !session.roles.is_empty() {
        let asked = |r: &&Role| session.roles.iter().any(|a| r.name.eq_ignore_ascii_case(a));
        return readable(model.roles.iter().filter(asked), call, version);
    }
    let rights = session.rights(model);
    if rights.administer {
        return Ok(Vec::new());
    }
    readable(model.roles.iter().filter(|r| session.is_member(r)), call, version)
}

/// The names of those roles that let their members read; the others add nothing to what is seen.
fn readable<'a>(
    roles: impl Iterator<Item = &'a Role>,
    call: &Call,
    version: &LoadedVersion,
) -> Result<Vec<String>> {
    let reads = |role: &&Role| {
        let permission = role.model_permission.as_deref();
        matches!(permission, Some("read" | "readRefresh" | "administrator"))
    };
    let roles: Vec<String> = roles.filter(reads).map(|r| r.name.clone()).collect();
    if roles.is_empty() {
        return Err(no_access(call.session.catalog.as_deref().unwrap_or(&version.name)));
    }
    Ok(roles)
}

/// There is no such database, or none for this caller: the same words for both.
pub(crate) fn no_access(database: &str) -> Error {
    Error::not_found(format!(
        "Either the database '{database}' does not exist, or the user has no permission to access it."
    ))
}

/// An error with line and column of its place in the query before it; errors of the parser say
/// their place themselves.
fn placed(mut e: Error, text: &str) -> Error {
    if let Some((start, _)) = e.span
        && !e.message.contains(" line ")
    {
        let (line, column) = line_column(text, start);
        e.message = format!("Query ({line}, {column}) {}", e.message);
    }
    e
}

type Joined<T> = Result<Result<T>, JoinError>;

/// How long a query that was stopped may take to end before its caller is told so: giving back much
/// memory takes a while.
const WIND_UP: Duration = Duration::from_millis(50);

/// Waits for a query, and stops it when its time is over.
async fn finish_in_time<T>(
    mut task: JoinHandle<Result<T>>,
    timeout: Option<Duration>,
    work: &Work,
    cancelled: &Notify,
) -> Result<T> {
    let time_over = async {
        match timeout {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let done = tokio::select! {
        done = &mut task => done,
        () = cancelled.notified() => stopped(task, work).await?,
        () = time_over => {
            work.stop(Stop::TimedOut);
            stopped(task, work).await?
        }
    };
    done.unwrap_or_else(|e| Err(gone(&e)))
}

fn gone(e: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("the query's task ended before its answer: {e}"))
}

/// What a query that was told to stop ends with.
async fn stopped<T>(task: JoinHandle<Result<T>>, work: &Work) -> Result<Joined<T>> {
    match tokio::time::timeout(WIND_UP, task).await {
        Ok(done) => Ok(done),
        Err(_) => work.verdict().and_then(|()| Err(Error::internal("a stop was taken back"))),
    }
}
