//! Schema requests and DMV queries over the versions this server holds.

mod dependencies;
mod facts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{DateTime, ErrorKind, Result, Rowset, Value};
use evercube_engine::functions::{ParameterKind, ReturnType};
use evercube_engine::{QueryContext, RowsetSource};

use crate::call::Call;
use crate::discover::{
    self, CommandInfo, DatabaseInfo, DiscoverContext, FunctionInfo, ParameterInfo, Restrictions,
    ServerInfo, SessionInfo, dmv,
};
use crate::query::effective_roles;
use crate::service::Service;
use crate::versions::LoadedVersion;
use facts::VersionFacts;

/// The generation of Analysis Services that clients take this server for.
const GENERATION: &str = "16.0.43.208";
/// How long metadata waits for a database that is just being loaded, unless it is the one asked for.
const OTHERS_WAIT: Duration = Duration::from_secs(2);
const KEYWORDS: [&str; 17] = [
    "AND", "ASC", "BY", "COLUMN", "DEFINE", "DESC", "EVALUATE", "FALSE", "FUNCTION", "IN",
    "MEASURE", "NOT", "ORDER", "RETURN", "START", "TABLE", "VAR",
];

/// The metadata rowsets of a version for the queries of a caller: administrators of the database
/// read them, nobody else.
pub(crate) fn metadata_of(version: &Arc<LoadedVersion>, context: &QueryContext) -> RowsetSource {
    let updated = time(version.updated_micros);
    let is_admin = context.roles.is_empty();
    let visible = Visible {
        id: version.model.database.id.clone().unwrap_or_else(|| version.name.clone()),
        created: updated,
        roles: if is_admin { vec!["*".to_owned()] } else { context.roles.clone() },
        is_admin,
        facts: VersionFacts::new(Arc::clone(version), context.clone()),
        version: Arc::clone(version),
    };
    let (user, now) = (context.user.clone(), context.now);
    RowsetSource::new(move |name, restrictions| {
        let server = Server {
            info: ServerInfo {
                name: String::new(),
                version: GENERATION.into(),
                edition: "Enterprise64".into(),
                created: updated,
                schema_updated: updated,
                port: 0,
            },
            user: user.clone(),
            is_admin,
            catalog: None,
            sessions: Vec::new(),
            commands: Vec::new(),
            traces: Vec::new(),
            functions: functions(),
            now,
            browse: Browse::default(),
        };
        with_context(std::slice::from_ref(&visible), &server, |context| {
            discover::discover(name, restrictions, context)
        })
    })
}

/// What a schema request comes with besides its call.
#[derive(Debug, Clone, Default)]
pub struct Browse {
    /// Properties of the session and the request, the request's last.
    pub properties: Vec<(String, String)>,
    /// Id of the caller's session.
    pub session_id: Option<String>,
}

/// One of several schema requests that come together.
#[derive(Debug, Clone, Default)]
pub struct SchemaRequest {
    pub request_type: String,
    /// Name and accepted values.
    pub restrictions: Vec<(String, Vec<String>)>,
}

/// A database the caller may see, with what answers about it.
struct Visible {
    version: Arc<LoadedVersion>,
    id: String,
    created: DateTime,
    roles: Vec<String>,
    is_admin: bool,
    facts: VersionFacts,
}

/// Everything about the server that a request's answer may hold.
struct Server {
    info: ServerInfo,
    user: String,
    is_admin: bool,
    catalog: Option<String>,
    sessions: Vec<SessionInfo>,
    commands: Vec<CommandInfo>,
    functions: Vec<FunctionInfo>,
    traces: Vec<crate::traces::TraceInfo>,
    now: DateTime,
    browse: Browse,
}

impl Service {
    /// Answers a schema request; `write` turns the rows into what the caller sends, under the same
    /// limits and on the same thread. Gives the newest version they speak of too.
    pub async fn discover<T: Send + 'static>(
        self: &Arc<Self>,
        call: &Call,
        request_type: &str,
        restrictions: &Restrictions,
        browse: Browse,
        write: impl FnOnce(Rowset) -> Result<T> + Send + 'static,
    ) -> Result<(T, u64)> {
        let (name, restrictions) = (request_type.to_owned(), restrictions.to_vec());
        self.browse(call, browse, request_type, move |context| {
            write(discover::discover(&name, &restrictions, context)?)
        })
        .await
    }

    /// Answers several schema requests on the same versions, in their order.
    pub async fn discover_all<T: Send + 'static>(
        self: &Arc<Self>,
        call: &Call,
        requests: Vec<SchemaRequest>,
        browse: Browse,
        write: impl FnOnce(Vec<Rowset>) -> Result<T> + Send + 'static,
    ) -> Result<(T, u64)> {
        let names: Vec<&str> = requests.iter().map(|r| r.request_type.as_str()).collect();
        let shown = names.join(", ");
        self.browse(call, browse, &shown, move |context| {
            let answer =
                |r: &SchemaRequest| discover::discover(&r.request_type, &r.restrictions, context);
            write(requests.iter().map(answer).collect::<Result<_>>()?)
        })
        .await
    }

    /// Answers `SELECT … FROM $SYSTEM.…`.
    pub async fn dmv<T: Send + 'static>(
        self: &Arc<Self>,
        call: &Call,
        statement: &str,
        parameters: Vec<(String, Value)>,
        browse: Browse,
        write: impl FnOnce(Rowset) -> Result<T> + Send + 'static,
    ) -> Result<(T, u64)> {
        let text = statement.to_owned();
        self.browse(call, browse, statement, move |context| {
            write(dmv::select(&text, &parameters, context)?)
        })
        .await
    }

    async fn browse<T: Send + 'static>(
        self: &Arc<Self>,
        call: &Call,
        browse: Browse,
        shown: &str,
        answer: impl FnOnce(&DiscoverContext<'_>) -> Result<T> + Send + 'static,
    ) -> Result<(T, u64)> {
        self.wait_fresh(call).await?;
        let seq = self.metastore.status().applied;
        let visible = self.visible(call).await?;
        let server = self.server_facts(call, browse);
        let database = call.session.catalog.clone().unwrap_or_default();
        let work = move || with_context(&visible, &server, answer);
        Ok((self.within_limits(call, database, shown, work).await?, seq))
    }

    /// The databases the caller may see, each in its newest version.
    async fn visible(self: &Arc<Self>, call: &Call) -> Result<Vec<Visible>> {
        let entries: Vec<_> = self.metastore.state().databases.values().cloned().collect();
        let mut visible = Vec::new();
        for entry in entries {
            let wanted = call
                .session
                .catalog
                .as_deref()
                .is_some_and(|c| c.to_lowercase() == entry.name.to_lowercase());
            let newest = self.version(call, &entry.name);
            let version = match tokio::time::timeout(OTHERS_WAIT, newest).await {
                Ok(Ok(version)) => version,
                // Gone by now, or nobody the caller may know of: as little is told of it while it
                // is loaded as afterwards.
                Ok(Err(e)) if e.kind == ErrorKind::NotFound => continue,
                Ok(Err(e)) if wanted => return Err(e),
                _ => match self.versions.get(&entry.name) {
                    Some(older) => older,
                    None => continue,
                },
            };
            let Ok(roles) = effective_roles(call, &version) else { continue };
            let is_admin = roles.is_empty();
            let context = self.query_context(call, &version, Vec::new())?;
            visible.push(Visible {
                id: version.model.database.id.clone().unwrap_or_else(|| version.name.clone()),
                created: time(entry.created_micros),
                roles: if is_admin { vec!["*".to_owned()] } else { roles },
                is_admin,
                facts: VersionFacts::new(Arc::clone(&version), context),
                version,
            });
        }
        Ok(visible)
    }

    fn server_facts(&self, call: &Call, browse: Browse) -> Server {
        let now = self.now();
        let session = &call.session;
        let running = self.running.list();
        let mut sessions: BTreeMap<u64, SessionInfo> = BTreeMap::new();
        sessions.insert(
            session.number,
            SessionInfo {
                catalog: session.catalog.clone(),
                application: session.application.clone(),
                ..session_info(session.number, &session.user, now)
            },
        );
        let mut commands = Vec::new();
        for (number, request) in &running {
            let of = sessions
                .entry(request.session)
                .or_insert_with(|| session_info(request.session, &request.user, request.started));
            of.commands += 1;
            of.last_command.clone_from(&request.text);
            of.last_start = Some(request.started);
            commands.push(CommandInfo {
                spid: of.spid,
                session_id: of.id.clone(),
                number: *number,
                started: request.started,
                ended: None,
                text: request.text.clone(),
            });
        }
        let port = self.config.http_address.rsplit(':').next().and_then(|p| p.parse().ok());
        Server {
            info: ServerInfo {
                name: self.config.name.clone(),
                version: GENERATION.into(),
                edition: "Enterprise64".into(),
                created: now,
                schema_updated: now,
                port: port.unwrap_or(0),
            },
            user: session.acting_user().to_owned(),
            is_admin: session.rules(),
            catalog: session.catalog.clone(),
            sessions: sessions.into_values().collect(),
            commands,
            functions: functions(),
            traces: self.traces.list(),
            now,
            browse,
        }
    }
}

fn with_context<T>(
    visible: &[Visible],
    server: &Server,
    answer: impl FnOnce(&DiscoverContext<'_>) -> Result<T>,
) -> Result<T> {
    let databases: Vec<DatabaseInfo<'_>> = visible.iter().map(Visible::info).collect();
    answer(&DiscoverContext {
        server: &server.info,
        databases: &databases,
        catalog: server.catalog.as_deref(),
        user: &server.user,
        is_admin: server.is_admin,
        session_id: server.browse.session_id.as_deref(),
        properties: &server.browse.properties,
        sessions: &server.sessions,
        commands: &server.commands,
        functions: &server.functions,
        keywords: &KEYWORDS,
        traces: &server.traces,
        now: server.now,
    })
}

impl Visible {
    fn info(&self) -> DatabaseInfo<'_> {
        let updated = time(self.version.updated_micros);
        let partitions = self.version.manifest.tables.iter().flat_map(|t| &t.partitions);
        DatabaseInfo {
            name: &self.version.name,
            id: &self.id,
            compatibility_level: self.version.model.database.compatibility_level.unwrap_or(1200),
            created: self.created,
            schema_updated: updated,
            data_updated: partitions.filter_map(|p| p.refreshed_micros).max().map(time),
            version: self.version.seq,
            is_read_only: false,
            roles: &self.roles,
            is_admin: self.is_admin,
            database: &self.version.model.database,
            facts: &self.facts,
        }
    }
}

fn time(micros: i64) -> DateTime {
    DateTime::from_unix_micros(micros).unwrap_or_default()
}

/// Clients show and send back a small number for a session.
pub(crate) fn spid(session: u64) -> i64 {
    i64::try_from(session & 0x7fff_ffff).unwrap_or_default()
}

fn session_info(number: u64, user: &str, started: DateTime) -> SessionInfo {
    let spid = spid(number);
    SessionInfo {
        id: format!("{number:016X}"),
        spid,
        connection: spid,
        user: user.to_owned(),
        started,
        ..SessionInfo::default()
    }
}

fn functions() -> Vec<FunctionInfo> {
    let evaluated = evercube_engine::functions::all().iter().filter(|f| f.is_evaluated());
    let shown = evaluated.map(|f| FunctionInfo {
        name: f.name.to_owned(),
        category: f.category.to_owned(),
        description: f.description.to_owned(),
        returns_table: f.return_type == ReturnType::Table,
        parameters: f
            .parameters
            .iter()
            .map(|p| ParameterInfo {
                name: p.name.to_owned(),
                description: described(p.kind).to_owned(),
                is_optional: p.optional,
                is_repeatable: p.repeating,
            })
            .collect(),
    });
    shown.collect()
}

fn described(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Table => "A table or an expression that gives one.",
        ParameterKind::Column => "A column.",
        ParameterKind::Scalar => "An expression that gives one value.",
        ParameterKind::Any => "An expression.",
    }
}
