//! The servers of a world, and what is known of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evercube_base::Result;
use evercube_service::call::Call;
use evercube_service::{FilePolicy, Service, ServiceConfig};
use tokio::time::{Instant, sleep};

use super::checks::Oracle;
use super::wires::{Wire, Wires};
use super::{NAMES, PATIENCE, Planted, deploy, listening, rot};
use crate::chance::Chance;
use crate::history::History;
use crate::host::files;
use crate::report::Report;

pub struct World {
    pub seed: u64,
    pub planted: Planted,
    pub wires: Arc<Wires>,
    pub history: History,
    folder: PathBuf,
    oracle: Mutex<Oracle>,
}

pub fn admin() -> Call {
    let mut call = Call::default();
    call.session.is_admin = true;
    call.session.user = "admin".into();
    call
}

impl World {
    pub fn new(seed: u64, planted: Planted, folder: PathBuf) -> Arc<Self> {
        listening::begin();
        Arc::new(Self {
            seed,
            planted,
            wires: Wires::new(seed, planted),
            history: History::default(),
            folder,
            oracle: Mutex::default(),
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where a server keeps everything, from its last crash to its next one.
    pub fn disk(&self, server: &str) -> PathBuf {
        self.path(&format!("{server}.{}", self.wires.life(server)))
    }

    pub fn objects_of(&self, server: &str) -> PathBuf {
        self.disk(server).join("store/objects")
    }

    /// The password of this world's backups, which is nowhere else.
    pub fn secret(&self) -> String {
        format!("hush-{:?}-{}", self.planted, self.seed)
    }

    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of the history.
    pub fn note(&self, what: impl AsRef<str>) {
        self.history.note(self.shown(what.as_ref()));
    }

    /// Something goes wrong on purpose.
    pub fn fault(&self, kind: &str, what: impl AsRef<str>) {
        self.history.fault(kind, &self.shown(what.as_ref()));
    }

    pub fn violation(&self, invariant: &str, what: impl AsRef<str>) {
        self.history.violation(invariant, &self.shown(what.as_ref()));
    }

    /// As the history tells it, in which the folder has no name: it is another one each time.
    fn shown(&self, what: &str) -> String {
        what.replace(&*self.folder.to_string_lossy(), ".")
    }

    /// Whether something was found wrong: what comes after tells nothing new.
    pub fn is_broken(&self) -> bool {
        self.judge();
        self.history.is_broken()
    }

    /// Takes over what the oracle found wrong.
    pub fn judge(&self) {
        let found = self.oracle().take_violations();
        for (invariant, what) in found {
            self.violation(invariant, &what);
        }
    }

    pub fn report(&self) -> Report {
        let (commits, reads) = self.oracle().counts();
        self.history.report(self.seed, commits, reads, 0, self.wires.messages())
    }

    /// Three servers in three regions, with the database and no rows in it.
    pub async fn form(&self) {
        self.start("a", &[]).await;
        self.start("b", &["a"]).await;
        self.start("c", &["a"]).await;
        self.well().await;
        let deployed = self.at_writer(|s| async move { s.deploy(&admin(), deploy()).await });
        let seq = deployed.await.expect("a model is deployed").seq;
        self.oracle().acknowledged(seq, 0);
    }

    pub async fn start(&self, name: &str, join: &[&str]) {
        self.start_as(name, join, "data").await;
    }

    /// As [`Self::start`], as a server of this kind.
    pub async fn start_as(&self, name: &str, join: &[&str], kind: &str) {
        let config = config(name, kind, self.disk(name), &self.folder, join);
        let wire = Arc::new(Wire {
            wires: Arc::clone(&self.wires),
            from: name.to_owned(),
            life: self.wires.life(name),
        });
        // Nobody else has its folder: what is left of the process before has another one.
        let service = match Service::start(config, wire).await {
            Ok(service) => service,
            Err(e) => return self.violation("healing", format!("{name} does not start: {e}")),
        };
        self.wires
            .servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), service);
    }

    /// As a crash does: nothing is said, nothing more is answered or written, and what was not synced
    /// is lost, or some of it. What is left of the process goes on with a disk that takes nothing more.
    pub async fn kill(&self, name: &str, chance: &mut Chance) {
        let before = self.disk(name);
        files::abandon(&before);
        let gone = self.wires.servers.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        let life = self.wires.begin_life(name);
        let after = self.folder.join(format!("{name}.{life}"));
        files::by_the_world(|| std::fs::create_dir_all(&after)).expect("a disk can be made");
        for file in rot::all_below(&before) {
            let to = after.join(file.strip_prefix(&before).expect("it is below"));
            if files::as_after_a_crash(&file, &to, chance).expect("a file can be copied") {
                self.fault("unsynced writes lost", file.display().to_string());
            }
        }
        if let Some(service) = gone {
            // So that it takes no time from others.
            tokio::spawn(async move { service.metastore.shutdown().await });
        }
    }

    /// The next server of this name has a new disk.
    pub fn forget_disk(&self, name: &str) {
        let removed = files::by_the_world(|| std::fs::remove_dir_all(self.disk(name)));
        removed.expect("a disk of the world can be thrown away");
    }

    pub fn names(&self) -> Vec<String> {
        self.wires.servers.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// A server, unless it was killed. Who goes through [`Self::running`] and waits holds all of them.
    pub fn server(&self, name: &str) -> Option<Arc<Service>> {
        self.wires.servers.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub fn running(&self) -> Vec<Arc<Service>> {
        self.wires
            .servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    pub fn some_server(&self, chance: &mut Chance) -> Option<Arc<Service>> {
        let running = self.running();
        (!running.is_empty()).then(|| Arc::clone(chance.of(&running)))
    }

    /// Asks one server after the other until one has done it, as a request finds its way to the
    /// one that writes; nothing where none does in time, which is told.
    pub async fn at_writer<T, F: Future<Output = Result<T>>>(
        &self,
        ask: impl Fn(Arc<Service>) -> F,
    ) -> Option<T> {
        let until = Instant::now() + PATIENCE;
        let mut last = BTreeMap::new();
        while Instant::now() < until {
            for name in self.names() {
                let Some(server) = self.server(&name) else { continue };
                let (began, asked) = (Instant::now(), ask(Arc::clone(&server)));
                let asked = self.wires.while_it_runs(&server, asked);
                let why = match tokio::time::timeout(PATIENCE, asked).await {
                    Ok(Ok(done)) => return Some(done),
                    Ok(Err(e)) => e.to_string(),
                    Err(_) => "it never ended".to_owned(),
                };
                last.insert(name, (why, began.elapsed()));
            }
            sleep(Duration::from_millis(30)).await;
        }
        self.violation("I8", format!("no server does what is asked: {last:?}"));
        None
    }

    /// Waits until all three are members and ready.
    pub async fn well(&self) {
        let until = Instant::now() + PATIENCE;
        let is_well = || {
            let running = self.running();
            let all_in = |s: &Arc<Service>| s.metastore.state().members.len() == NAMES.len();
            running.len() == NAMES.len() && running.iter().all(|s| all_in(s) && s.is_ready())
        };
        while !is_well() {
            if Instant::now() > until {
                let states: Vec<_> = self.running().iter().map(|s| s.own_status().state).collect();
                return self.violation("healing", format!("the group is not well: {states:?}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Of a server that anybody may use and that is reached by its name; models read files below
/// `files`, or anywhere else.
fn config(name: &str, kind: &str, data_dir: PathBuf, files: &Path, join: &[&str]) -> ServiceConfig {
    ServiceConfig {
        name: name.into(),
        region: format!("region-{name}"),
        kind: kind.into(),
        node_id: None,
        data_dir,
        peer_address: name.into(),
        http_address: format!("{name}:80"),
        file_policy: FilePolicy::Any,
        authorities: Default::default(),
        working_dir: files.into(),
        no_auth: true,
        rights_age: Duration::from_secs(60),
        threads: 1,
        join: join.iter().map(|j| (*j).to_owned()).collect(),
        audit: Default::default(),
        limits: Default::default(),
        degrade_grace: Duration::from_millis(200),
        targets: Default::default(),
        settings: Default::default(),
        vault: None,
        own_limits: Default::default(),
        certificates: Default::default(),
    }
}
