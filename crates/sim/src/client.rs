//! Clients: they write versions of a few databases and read them at every level, through any
//! server, as long as the world lasts.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Command, Commit, Metastore, Reply, State};
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::history::{Asked, Op, Outcome};
use crate::host;
use crate::mutation::Mutation;
use crate::world::{Life, World};

pub const DATABASES: [&str; 3] = ["sales", "stock", "staff"];
/// No request may take longer: the longest wait inside a server and a call made at its end.
const DEADLINE: Duration = Duration::from_secs(45);
pub const BOUND: Duration = Duration::from_millis(400);

pub struct Client {
    pub world: Arc<World>,
    pub number: u64,
    pub chance: Chance,
    /// The newest version this client's session has seen.
    pub seen: u64,
}

fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "no server runs")
}

impl Client {
    pub async fn run(mut self, until: Duration) {
        let mut requests = 0;
        while host::now() < until {
            sleep(Duration::from_millis(self.chance.within(5..250))).await;
            let database = (*self.chance.of(&DATABASES)).to_owned();
            match self.chance.within(0..10) {
                0..4 => {
                    requests += 1;
                    self.commit(&database, requests, until).await;
                }
                4..6 => self.read(Asked::Strong, &database).await,
                6 => self.read(Asked::Session, &database).await,
                7..9 => self.read(Asked::Bounded(BOUND), &database).await,
                _ => self.read(Asked::Any, &database).await,
            }
        }
    }

    fn somewhere(&mut self) -> Result<Arc<Life>> {
        let running = self.world.running();
        if running.is_empty() {
            return Err(gone());
        }
        let name = self.chance.of(&running).clone();
        self.world.life(&name).ok_or_else(gone)
    }

    /// Waits for an answer for no longer than one may take.
    async fn in_time<T>(
        &self,
        what: &str,
        life: &Life,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let answer = timeout(DEADLINE, life.until_the_end(work)).await;
        let answer = answer.unwrap_or_else(|_| {
            self.world
                .history
                .violation("I8", &format!("{what} had no answer within {DEADLINE:?}"));
            Err(Error::new(ErrorKind::Unknown, "no answer"))
        });
        if let Err(e) = &answer {
            if e.message.is_empty() || e.kind == ErrorKind::Internal {
                let what = format!("{what} failed without saying what to do: {e}");
                self.world.history.violation("I8", &what);
            }
            self.world.history.error(&format!("{what}: {:?}", e.kind));
        }
        answer
    }

    async fn commit(&mut self, database: &str, request: u64, until: Duration) {
        let began = host::now();
        let Ok(first) = self.somewhere() else { return };
        let state = first.metastore.state();
        let current = state.database(database);
        let parent = current.map_or([0; 32], |d| d.root);
        let mut id = format!("client-{}-request-{request:05}", self.number);
        let root = *blake3::hash(&[&parent[..], id.as_bytes()].concat()).as_bytes();
        let lease = state.lease_of(database).map(|l| l.epoch);
        let receipts = state.data_members().map(|(id, m)| (*id, m.disk_id)).collect();
        let mut commit = Commit {
            request_id: id.clone(),
            database: database.to_owned(),
            expected_seq: Some(current.map_or(0, |d| d.seq)),
            epoch: first.metastore.status().term,
            lease,
            root,
            receipts,
            now_micros: 7_000_000 + i64::try_from(began.as_millis()).unwrap_or(0),
            ..Commit::default()
        };
        let mut life = Some(first);
        let mut outcome = Outcome::Unknown;
        let mut seq = 0;
        // What became of a write whose answer was lost is asked under the same request id.
        for attempt in 0..12 {
            let Some(at) = life.take().or_else(|| self.somewhere().ok()) else {
                sleep(Duration::from_millis(500)).await;
                continue;
            };
            if self.world.mutation == Mutation::ForgetRequestIds && attempt > 0 {
                id = format!("client-{}-attempt-{request}-{attempt}", self.number);
                commit.request_id.clone_from(&id);
            }
            let proposed = at.metastore.propose(Command::Commit(commit.clone()));
            match self.in_time("commit", &at, proposed).await {
                Ok(Reply::Done { seq: made }) => {
                    (outcome, seq) = (Outcome::Done, made);
                    break;
                }
                Ok(Reply::Refused(e)) if e.kind != ErrorKind::Unavailable => {
                    self.world.history.error(&format!("commit refused: {:?}", e.kind));
                    outcome = Outcome::Refused;
                    break;
                }
                Ok(Reply::Refused(_)) if attempt == 0 => {
                    outcome = Outcome::Refused;
                    break;
                }
                _ if host::now() > until + DEADLINE => break,
                _ => sleep(Duration::from_millis(self.chance.within(20..400))).await,
            }
        }
        if outcome == Outcome::Done {
            self.seen = self.seen.max(seq);
        }
        self.note(Asked::Commit, database, began, outcome, (seq, root, parent), lease);
    }

    async fn read(&mut self, asked: Asked, database: &str) {
        let began = host::now();
        let Ok(life) = self.somewhere() else { return };
        let store = Arc::clone(&life.metastore);
        let (seen, mutation) = (self.seen, self.world.mutation);
        let what = format!("{asked:?} read");
        let read = read_at(&store, asked, seen, mutation);
        let Ok(state) = self.in_time(&what, &life, read).await else { return };
        let entry = state.database(database);
        let found = entry.map_or((0, [0; 32], [0; 32]), |d| (d.seq, d.root, [0; 32]));
        if asked != Asked::Any {
            self.seen = self.seen.max(found.0);
        }
        self.note(asked, database, began, Outcome::Done, found, None);
    }

    fn note(
        &self,
        asked: Asked,
        database: &str,
        began: Duration,
        outcome: Outcome,
        (seq, root, parent): (u64, [u8; 32], [u8; 32]),
        lease: Option<u64>,
    ) {
        let (client, database, answered) = (self.number, database.to_owned(), host::now());
        let op = Op { client, asked, database, began, answered, outcome, seq, root, parent, lease };
        self.world.history.add(op);
    }
}

const HOLD: Duration = Duration::from_secs(30);

/// The state that a read of this level runs on, by the rules of the service.
async fn read_at(
    store: &Metastore,
    asked: Asked,
    seen: u64,
    mutation: Mutation,
) -> Result<Arc<State>> {
    let floor = match asked {
        Asked::Strong if mutation == Mutation::StrongReadsLocal => 0,
        Asked::Strong | Asked::Commit => store.read_index().await?,
        Asked::Session => seen,
        Asked::Any => 0,
        Asked::Bounded(_) if mutation == Mutation::BoundedReadsUnbounded => 0,
        Asked::Bounded(bound) => {
            let age = store.status().millis_since_quorum;
            match age.is_some_and(|a| u128::from(a) <= bound.as_millis()) {
                true => store.heard_commit(),
                false => store.read_index().await?,
            }
        }
    };
    store.wait_applied(floor, HOLD).await?;
    Ok(store.state())
}
