//! The server's use cases around one shared state: [`Service`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use evercube_base::{DateTime, Error, ErrorKind, Result};
use evercube_engine::ResultCache;
use evercube_metastore::{Bootstrap, MemberKind, Metastore, Transport};
use evercube_store::ObjectDir;
use evercube_work::{SharedMemory, Threads, Turns};
use tokio::sync::broadcast;

use crate::agreement::AgreementBook;
use crate::alarm::Alarm;
use crate::attempts::Attempts;
use crate::audit::Audit;
use crate::auth::{
    Identity, PasswordCache, generate_password, hash_password, login_cookie, read_login_cookie,
    require_admin,
};
use crate::call::Call;
use crate::change::WriteLocks;
use crate::config::ServiceConfig;
use crate::damage::DamageBook;
use crate::encryption::RenewalBook;
use crate::identity::ServerIdentity;
use crate::objects::{self, Receipt};
use crate::progress::ProgressBook;
use crate::running::{NamedRequest, Running};
use crate::seal::{SealingKey, random};
use crate::session::{Session, freshness_cookie, read_freshness_cookie};
use crate::traces::Traces;
use crate::versions::Versions;

/// One server: its copy of the group's metadata, its objects, the versions it serves.
pub struct Service {
    pub config: ServiceConfig,
    pub metastore: Arc<Metastore>,
    pub objects: Arc<ObjectDir>,
    pub(crate) transport: Arc<dyn Transport>,
    pub versions: Arc<Versions>,
    pub(crate) running: Arc<Running>,
    pub(crate) progress: ProgressBook,
    pub(crate) damage: Arc<DamageBook>,
    pub(crate) renewal: RenewalBook,
    pub(crate) agreement: AgreementBook,
    /// Databases whose standby is not kept up, and why.
    pub(crate) failing_standbys: Mutex<BTreeMap<String, String>>,
    pub(crate) pool: Arc<rayon::ThreadPool>,
    /// What queries and what else takes turns runs on.
    pub(crate) request_threads: Arc<Threads>,
    pub traces: Arc<Traces>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) kept: Option<Arc<ResultCache>>,
    pub(crate) queries_memory: Arc<SharedMemory>,
    pub(crate) identity: ServerIdentity,
    pub(crate) writes: WriteLocks,
    /// Everything somebody should know at once.
    pub alarms: broadcast::Sender<Alarm>,
    /// What the leader finds wrong.
    pub watched: crate::watch::Watched,
    pub audit: Audit,
    /// Sign-ins that failed.
    pub attempts: Attempts,
    passwords: PasswordCache,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.config.name).finish_non_exhaustive()
    }
}

/// How long a query goes on before it lets another one have its turn; the first time longer.
const TURN: Duration = Duration::from_millis(20);

impl Service {
    /// Opens the folder, forms or joins the group, and starts loading what the group holds.
    pub async fn start(
        mut config: ServiceConfig,
        transport: Arc<dyn Transport>,
    ) -> Result<Arc<Self>> {
        std::fs::create_dir_all(&config.data_dir).map_err(|e| {
            Error::new(
                ErrorKind::Source,
                format!("the data folder {} cannot be made: {e}", config.data_dir.display()),
            )
        })?;
        let identity = ServerIdentity::open(&mut config)?;
        let objects =
            Arc::new(ObjectDir::open_with(&config.data_dir.join("store"), config.vault.clone())?);
        // For queries; another service of the process may have made them.
        let _made = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads)
            .thread_name(|i| format!("query-{i}"))
            .stack_size(crate::STACK)
            .build_global();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads)
            .thread_name(|i| format!("compute-{i}"))
            .stack_size(crate::STACK)
            .build()
            .map_err(|e| Error::internal(format!("the compute pool cannot be started: {e}")))?;
        let metastore = Metastore::open(
            identity.metastore_config(&config),
            Arc::clone(&transport),
            bootstrap(&config)?,
        )
        .await?;
        let sealing = Arc::clone(&metastore);
        let audit = Audit::open(
            &config.data_dir.join("audit"),
            config.audit,
            (&config.name, identity.node_id),
            config.vault.clone(),
            move || keys_of(&sealing),
        )?;
        let service = Arc::new(Self {
            audit,
            metastore,
            objects,
            transport,
            versions: Arc::default(),
            running: Arc::default(),
            progress: ProgressBook::default(),
            damage: Arc::default(),
            renewal: RenewalBook::default(),
            agreement: AgreementBook::default(),
            failing_standbys: Mutex::default(),
            pool: Arc::new(pool),
            traces: Arc::default(),
            kept: match config.limits.scan_cache {
                0 => None,
                budget => Some(Arc::new(ResultCache::new(budget))),
            },
            turns: Arc::new(Turns::new(config.threads, TURN)),
            request_threads: Arc::new(Threads::new("request", crate::STACK)),
            queries_memory: Arc::new(SharedMemory::new(config.limits.queries_memory)),
            identity,
            writes: WriteLocks::default(),
            alarms: broadcast::channel(64).0,
            watched: crate::watch::Watched::default(),
            attempts: Attempts::default(),
            passwords: PasswordCache::new()?,
            config,
        });
        if !service.config.no_auth {
            service.ensure_first_administrator().await?;
        }
        crate::loader::spawn(&service);
        crate::collect::spawn(&service);
        crate::guardian::spawn(&service);
        crate::able::spawn(&service);
        crate::audit::spawn(&service);
        crate::scrub::spawn(&service);
        crate::encryption::spawn(&service);
        crate::agreement::spawn(&service);
        crate::schedule::spawn(&service);
        crate::backup_use::continuous::spawn(&service);
        crate::standby::spawn(&service);
        crate::watch::spawn(&service);
        Ok(service)
    }

    /// Wall clock in UTC.
    pub fn now(&self) -> DateTime {
        DateTime::from_unix_micros(chrono::Utc::now().timestamp_micros()).unwrap_or_default()
    }

    pub(crate) fn receipt(&self) -> Receipt {
        Receipt { member: self.identity.node_id, disk_id: self.identity.disk_id }
    }

    pub(crate) fn keys(&self) -> Vec<SealingKey> {
        keys_of(&self.metastore)
    }

    // Callers ------------------------------------------------------------------------------

    /// Checks a name and password. Slow the first time for each password; call it off the
    /// network threads.
    pub fn authenticate(&self, user: &str, password: &str) -> Result<Identity> {
        let state = self.metastore.state();
        let key = user.to_lowercase();
        let entry = state.users.get(&key);
        // A hash is checked even for an unknown user, so that the time tells nothing.
        const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let stored = entry.map_or(NOBODY, |e| e.password_hash.as_str());
        if self.passwords.verify(stored, password)
            && let Some(e) = entry
        {
            return Ok(Identity { user: key, is_admin: e.admin, groups: Vec::new() });
        }
        Err(Error::new(ErrorKind::Denied, "The user name or password is not right."))
    }

    /// As [`Self::authenticate`] for a password that was right before, without the long work.
    pub fn authenticate_again(&self, user: &str, password: &str) -> Option<Identity> {
        let key = user.to_lowercase();
        let state = self.metastore.state();
        let entry = state.users.get(&key)?;
        let known = self.passwords.knows(&entry.password_hash, password);
        known.then(|| Identity { user: key, is_admin: entry.admin, groups: Vec::new() })
    }

    fn stored_hash(&self, user: &str) -> Option<String> {
        self.metastore.state().users.get(user).map(|u| u.password_hash.clone())
    }

    pub fn login_cookie(&self, identity: &Identity) -> Result<String> {
        let stored = self.stored_hash(&identity.user).unwrap_or_default();
        login_cookie(&self.keys(), identity, &stored, chrono::Utc::now().timestamp())
    }

    pub fn from_login_cookie(&self, cookie: &str) -> Option<Identity> {
        let now = chrono::Utc::now().timestamp();
        let found = read_login_cookie(&self.keys(), cookie, now, |u| self.stored_hash(u))?;
        // Rights are read again: an administrator may have been demoted since.
        let is_admin = self.metastore.state().users.get(&found.user)?.admin;
        Some(Identity { is_admin, ..found })
    }

    // Sessions -----------------------------------------------------------------------------

    /// Opens a session; the id that any server of the group continues.
    pub fn begin_session(&self, session: Session) -> Result<(Session, String)> {
        let session = session.begin()?;
        let id = session.to_id(&self.keys())?;
        Ok((session, id))
    }

    pub fn resume_session(&self, id: &str) -> Result<Session> {
        Session::from_id(&self.keys(), id)
    }

    pub fn freshness_cookie(&self, seq: u64) -> Result<String> {
        freshness_cookie(&self.keys(), seq)
    }

    pub fn read_freshness(&self, cookie: &str) -> Option<u64> {
        read_freshness_cookie(&self.keys(), cookie)
    }

    // Group --------------------------------------------------------------------------------

    /// Peer addresses of the other members that keep data, for forwarding reads.
    pub fn data_peers(&self) -> Vec<String> {
        let state = self.metastore.state();
        let peers = objects::data_peers(&state, self.identity.node_id);
        peers.into_iter().map(|(_, m)| m.peer_address).collect()
    }

    /// Whether this server can answer queries at all.
    pub fn serves_queries(&self) -> bool {
        self.config.kind != "witness"
    }

    /// How far the operation of this server under a request id is, for who asked for it.
    pub fn operation(&self, call: &Call, request_id: &str) -> Option<crate::progress::Progress> {
        let own = self.progress.get(&crate::once::of_caller(request_id, &call.session.user));
        own.or_else(|| self.progress.of_anybody(request_id).filter(|_| call.session.rules()))
    }

    /// The session with this short number that has a request running here.
    pub fn session_of_spid(&self, spid: i64) -> Option<u64> {
        let running = self.running.list();
        running.iter().map(|(_, r)| r.session).find(|n| crate::browse::spid(*n) == spid)
    }

    /// Forgets the results kept for later queries, here and on every other server.
    pub async fn clear_cache(&self, call: &Call, database: Option<&str>) -> Result<()> {
        match database.filter(|d| !d.is_empty()) {
            Some(of) => self.need_administrator_of(&call.session, of, "Clearing the cache of")?,
            None => require_admin(call.session.rules(), "Clearing the cache")?,
        }
        self.kept.iter().for_each(|cache| cache.clear());
        for address in self.data_peers() {
            let limit = Duration::from_millis(500);
            let _away = self.transport.call(&address, "cache/clear", Vec::new(), limit).await;
        }
        Ok(())
    }

    /// Stops what runs for a session, here and on every other server.
    pub async fn cancel(&self, session: u64) -> usize {
        let mut stopped = self.running.cancel_session(session);
        for address in self.data_peers() {
            let body = session.to_le_bytes().to_vec();
            let limit = Duration::from_millis(500);
            if let Ok(answer) = self.transport.call(&address, "session/cancel", body, limit).await {
                stopped += answer.first().copied().map_or(0, usize::from);
            }
        }
        stopped
    }

    /// Stops a request by its id, here and on every other server.
    pub async fn cancel_request(&self, request: &NamedRequest) -> Result<usize> {
        let mut stopped = self.running.cancel_request(request);
        let body = to_json(request)?;
        for address in self.data_peers() {
            let limit = Duration::from_millis(500);
            let asked = self.transport.call(&address, "request/cancel", body.clone(), limit);
            if let Ok(answer) = asked.await {
                stopped += answer.first().copied().map_or(0, usize::from);
            }
        }
        Ok(stopped)
    }

    /// Answers another member.
    pub async fn peer_handle(self: &Arc<Self>, path: &str, body: Bytes) -> Result<Vec<u8>> {
        match path.split_once('/') {
            Some(("raft", _)) => self.metastore.handle(path, &body).await,
            Some(("objects", operation)) => {
                objects::answer(&self.objects, self.receipt(), operation, body.to_vec()).await
            }
            Some(("backup", operation)) => self.answer_backup(operation, &body).await,
            Some(("session", "cancel")) => {
                let number = body.as_ref().try_into().map(u64::from_le_bytes);
                let stopped = number.map_or(0, |n| self.running.cancel_session(n));
                Ok(vec![u8::try_from(stopped).unwrap_or(u8::MAX)])
            }
            Some(("request", "cancel")) => {
                let stopped = self.running.cancel_request(&from_json(&body)?);
                Ok(vec![u8::try_from(stopped).unwrap_or(u8::MAX)])
            }
            Some(("cache", "clear")) => {
                self.kept.iter().for_each(|cache| cache.clear());
                Ok(Vec::new())
            }
            Some(("server", "unable")) => Ok(self.unable().unwrap_or_default().into_bytes()),
            Some(("server", "status")) => to_json(&self.own_status()),
            Some(("server", "running")) => to_json(&self.running.list().len()),
            Some(("primary", "probe")) => self.probe_here().await.map(|()| Vec::new()),
            Some(("encryption", "rotate")) => to_json(&self.rotate_here(from_json(&body)?).await?),
            Some(("audit", "verify")) => to_json(&self.prove_audit_here(from_json(&body)?).await),
            Some(("database", "verify")) => {
                let ask: crate::verify::VerifyRequest = from_json(&body)?;
                to_json(&self.verify_here(&ask).await)
            }
            Some(("state", operation)) => self.answer_state(operation, &body),
            Some(("refresh", "read")) => to_json(&self.read_for_other(from_json(&body)?).await?),
            _ => Err(Error::not_found(format!("this server knows no peer request '{path}'"))),
        }
    }

    async fn ensure_first_administrator(&self) -> Result<()> {
        if !self.metastore.state().users.is_empty() || !self.config.join.is_empty() {
            return Ok(());
        }
        let password = generate_password()?;
        let hash = hash_password(&password)?;
        let file = self.config.data_dir.join("admin-password");
        crate::identity::write_secret(&file, format!("{password}\n").as_bytes())?;
        let command = evercube_metastore::Command::PutUser {
            name: "admin".into(),
            password_hash: hash,
            admin: true,
        };
        self.metastore.propose(command).await?;
        Ok(())
    }
}

/// The sealing keys of the group; none before this server knows its state.
fn keys_of(metastore: &Metastore) -> Vec<SealingKey> {
    let state = metastore.state();
    state.keys.iter().map(|k| SealingKey { id: k.id, bytes: k.bytes }).collect()
}

/// What to do where the folder belongs to no group yet.
fn bootstrap(config: &ServiceConfig) -> Result<Bootstrap> {
    if !config.join.is_empty() {
        return Ok(Bootstrap::Join { addresses: config.join.clone() });
    }
    let (mut id, mut key) = ([0u8; 16], [0u8; 32]);
    random(&mut id)?;
    random(&mut key)?;
    Ok(Bootstrap::New { cluster_id: hex::encode(id), session_key: key })
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| {
        Error::internal(format!("an answer between servers could not be written: {e}"))
    })
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::invalid(format!("a request between servers cannot be read: {e}")))
}

/// The kind of member a configuration text names.
pub(crate) fn member_kind(text: &str) -> Result<MemberKind> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "" | "data" => MemberKind::Data,
        "witness" => MemberKind::Witness,
        "learner" => MemberKind::Learner,
        "replica" => MemberKind::Replica,
        other => {
            return Err(Error::invalid(format!(
                "'{other}' is no kind of server; use data, witness, learner or replica"
            )));
        }
    })
}
