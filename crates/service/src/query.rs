//! Queries: pick a version, build the context, run the engine on the compute pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evercube_base::error::line_column;
use evercube_base::{Error, ErrorKind, Result, Value};
use evercube_engine::{LONG_TABLE, QueryContext, Rules};
pub use evercube_engine::{QueryResult, ResultTable};

use crate::browse::metadata_of;
use crate::call::Call;
use crate::running::RunningRequest;
use crate::service::Service;
use crate::versions::LoadedVersion;

#[derive(Debug)]
pub struct QueryAnswer {
    pub result: QueryResult,
    /// The version the answer was computed on.
    pub seq: u64,
}

impl Service {
    /// Answers a DAX query.
    pub async fn query(
        &self,
        call: &Call,
        text: &str,
        parameters: Vec<(String, Value)>,
    ) -> Result<QueryAnswer> {
        let (version, result) = self
            .run(call, text, parameters, |version, text, context| {
                evercube_engine::query(&version.dataset(), text, context)
            })
            .await?;
        Ok(QueryAnswer { result, seq: version.seq })
    }

    /// How a DAX query would be answered, as text.
    pub async fn explain(&self, call: &Call, text: &str) -> Result<String> {
        let (_, plan) = self
            .run(call, text, Vec::new(), |version, text, context| {
                evercube_engine::explain(&version.dataset(), text, context)
            })
            .await?;
        Ok(plan)
    }

    async fn run<T: Send + 'static>(
        &self,
        call: &Call,
        text: &str,
        parameters: Vec<(String, Value)>,
        work: impl FnOnce(&LoadedVersion, &str, &QueryContext) -> Result<T> + Send + 'static,
    ) -> Result<(Arc<LoadedVersion>, T)> {
        let database = self.resolve_catalog(call)?;
        let version = self.version(call, &database).await?;
        let cancel = Arc::new(AtomicBool::new(false));
        let mut context = self.query_context(call, &version, Arc::clone(&cancel), parameters)?;
        context.rowsets = Some(metadata_of(&version, &context));
        let guard = self.running.enter(RunningRequest {
            session: call.session.number,
            user: call.session.user.clone(),
            database: version.name.clone(),
            text: text.to_owned(),
            started: self.now(),
            cancel: Arc::clone(&cancel),
        });
        let (pool, on_pool, owned) =
            (Arc::clone(&self.pool), Arc::clone(&version), text.to_owned());
        let task = tokio::task::spawn_blocking(move || {
            let _listed = guard;
            pool.install(|| {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    work(&on_pool, &owned, &context)
                }))
            })
            .unwrap_or_else(|_| {
                Err(Error::internal(
                    "the query stopped on a defect of the engine; please report it with the query text",
                ))
            })
        });
        let answer = finish_in_time(task, call.timeout, &cancel).await;
        Ok((version, answer.map_err(|e| placed(e, text))?))
    }

    /// Builds the engine's context; decides which roles filter what the caller sees.
    pub(crate) fn query_context(
        &self,
        call: &Call,
        version: &LoadedVersion,
        cancel: Arc<AtomicBool>,
        parameters: Vec<(String, Value)>,
    ) -> Result<QueryContext> {
        let session = &call.session;
        Ok(QueryContext {
            roles: effective_roles(call, version)?,
            user: session.acting_user().to_owned(),
            custom_data: session.custom_data.clone(),
            locale: version.model.database.model.culture.clone().unwrap_or_else(|| "en-US".into()),
            now: self.now(),
            utc_now: self.now(),
            seed: session.number,
            cancel,
            memory_limit: self.config.query_memory,
            row_limit: self.config.query_rows,
            parameters,
            rowsets: None,
            rules: Rules::all(),
            long_table: LONG_TABLE,
        })
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
        return Ok(session.roles.clone());
    }
    if session.is_admin && session.effective_user.is_none() {
        return Ok(Vec::new());
    }
    let user = session.acting_user();
    let member_of = model.roles.iter().filter(|role| {
        let reads = !matches!(role.model_permission.as_deref(), None | Some("none" | "refresh"));
        reads && role.members.iter().any(|m| m.member_name.eq_ignore_ascii_case(user))
    });
    let roles: Vec<String> = member_of.map(|r| r.name.clone()).collect();
    if roles.is_empty() {
        return Err(Error::not_found(format!(
            "Either the database '{}' does not exist, or the user '{user}' has no permission to access it.",
            version.name
        )));
    }
    Ok(roles)
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

async fn finish_in_time<T>(
    mut task: tokio::task::JoinHandle<Result<T>>,
    timeout: Option<Duration>,
    cancel: &AtomicBool,
) -> Result<T> {
    let ended_early =
        |e| Err(Error::internal(format!("the query's task ended before its answer: {e}")));
    let Some(limit) = timeout.filter(|t| !t.is_zero()) else {
        return task.await.unwrap_or_else(ended_early);
    };
    match tokio::time::timeout(limit, &mut task).await {
        Ok(done) => done.unwrap_or_else(ended_early),
        Err(_) => {
            cancel.store(true, Ordering::Relaxed);
            let _stopped = task.await;
            Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "The query ran longer than its timeout of {} s and was stopped.",
                    limit.as_secs()
                ),
            ))
        }
    }
}
