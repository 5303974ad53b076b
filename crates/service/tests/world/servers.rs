//! The servers of a world, and what is known of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use evercube_base::Result;
use evercube_service::call::Call;
use evercube_service::{Service, ServiceConfig};
use tokio::time::{Instant, sleep};

use super::chance::Chance;
use super::checks::Oracle;
use super::config::config;
use super::wires::{Wire, Wires};
use super::{NAMES, PATIENCE, Planted, deploy, listening, machine, rot};

pub struct World {
    pub seed: u64,
    pub planted: Planted,
    pub wires: Arc<Wires>,
    folder: tempfile::TempDir,
    oracle: Mutex<Oracle>,
    notes: Mutex<Vec<String>>,
    violations: Mutex<Vec<String>>,
}

pub fn admin() -> Call {
    let mut call = Call::default();
    call.session.is_admin = true;
    call.session.user = "admin".into();
    call
}

impl World {
    pub fn new(seed: u64, planted: Planted) -> Arc<Self> {
        listening::begin();
        Arc::new(Self {
            seed,
            planted,
            wires: Wires::new(seed, planted),
            folder: tempfile::tempdir().unwrap(),
            oracle: Mutex::default(),
            notes: Mutex::default(),
            violations: Mutex::default(),
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn objects_of(&self, server: &str) -> PathBuf {
        self.path(server).join("store/objects")
    }

    /// The password of this world's backups, which is nowhere else.
    pub fn secret(&self) -> String {
        format!("hush-{:?}-{}", self.planted, self.seed)
    }

    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap()
    }

    pub fn note(&self, what: String) {
        self.notes.lock().unwrap().push(what);
    }

    pub fn violation(&self, invariant: &str, what: String) {
        self.violations.lock().unwrap().push(format!("{invariant}: {what}"));
    }

    /// Whether something was found wrong: what comes after tells nothing new.
    pub fn is_broken(&self) -> bool {
        !self.violations.lock().unwrap().is_empty() || self.oracle().is_broken()
    }

    /// What was found wrong, and what had happened where something was.
    pub fn take_violations(&self) -> Vec<String> {
        let mut found = std::mem::take(&mut *self.violations.lock().unwrap());
        found.extend(self.oracle().take_violations());
        if !found.is_empty() {
            found.push(format!("the history: {:#?}", self.notes.lock().unwrap()));
        }
        found
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
        let config = ServiceConfig {
            kind: kind.to_owned(),
            degrade_grace: Duration::from_millis(200),
            ..config(name, self.path(name), self.folder.path(), join)
        };
        let wire = Arc::new(Wire { wires: Arc::clone(&self.wires), from: name.to_owned() });
        let until = Instant::now() + PATIENCE;
        // What is left of a process that was killed lets go of the folder a little later.
        let service = loop {
            match Service::start(config.clone(), Arc::clone(&wire) as _).await {
                Ok(service) => break service,
                Err(e) if Instant::now() > until + PATIENCE => panic!("{name} does not start: {e}"),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        };
        self.wires.servers.lock().unwrap().insert(name.to_owned(), service);
    }

    /// As a crash does: nothing is said, nothing more is answered, and objects lose what was not synced.
    pub async fn kill(&self, name: &str) {
        let gone = self.wires.servers.lock().unwrap().remove(name);
        if let Some(service) = gone {
            service.metastore.shutdown().await;
        }
        for file in rot::files(&self.objects_of(name)) {
            machine::forget_unsynced(&file);
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.wires.servers.lock().unwrap().keys().cloned().collect()
    }

    /// A server, unless it was killed. Who goes through [`Self::running`] and waits holds all of them.
    pub fn server(&self, name: &str) -> Option<Arc<Service>> {
        self.wires.servers.lock().unwrap().get(name).cloned()
    }

    pub fn running(&self) -> Vec<Arc<Service>> {
        self.wires.servers.lock().unwrap().values().cloned().collect()
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
