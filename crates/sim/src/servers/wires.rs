//! Messages between servers that come late, twice, not at all, or whose answers are lost; and
//! objects that come as the disk of another server, or the way here, has made them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::Transport;
use evercube_service::Service;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::Planted;
use crate::chance::Chance;

/// Milliseconds for which a message is under way at most.
pub const LONGEST: u64 = 30;

pub struct Wires {
    pub servers: Mutex<BTreeMap<String, Arc<Service>>>,
    cut: Mutex<Option<(String, Cut)>>,
    /// How often each server has crashed.
    lives: Mutex<BTreeMap<String, u64>>,
    chance: Mutex<Chance>,
    hindered: AtomicBool,
    /// Where messages are handled: not on the threads of who sends them, which a disk may hold up.
    handlers: Handle,
    messages: AtomicU64,
    planted: Planted,
}

/// Which ways between a server and the others are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Both,
    /// It is heard by nobody.
    Out,
    /// It hears nobody.
    In,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives(u64),
    Lost,
    AnswerLost,
    Twice,
    Late(u64),
}

impl Wires {
    pub fn new(seed: u64, planted: Planted) -> Arc<Self> {
        Arc::new(Self {
            servers: Mutex::default(),
            cut: Mutex::default(),
            lives: Mutex::default(),
            chance: Mutex::new(Chance::new(seed, "wires")),
            hindered: AtomicBool::new(false),
            handlers: Handle::current(),
            messages: AtomicU64::new(0),
            planted,
        })
    }

    /// Whether messages have bad luck from now on.
    pub fn hinder(&self, hindered: bool) {
        self.hindered.store(hindered, Ordering::Relaxed);
    }

    /// How many were sent.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Cuts one server off from the others, or joins all again.
    pub fn cut(&self, server: Option<(&str, Cut)>) {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) =
            server.map(|(name, cut)| (name.to_owned(), cut));
    }

    pub fn life(&self, server: &str) -> u64 {
        let lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.get(server).copied().unwrap_or(0)
    }

    /// What was sent before is not answered any more; which life it is that begins.
    pub fn begin_life(&self, server: &str) -> u64 {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        let life = lives.entry(server.to_owned()).or_default();
        *life += 1;
        *life
    }

    /// Whether what one server sends reaches another.
    fn lead(&self, from: &str, to: &str) -> bool {
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        !cut.as_ref().is_some_and(|(name, cut)| {
            (name == from && *cut != Cut::In) || (name == to && *cut != Cut::Out)
        })
    }

    /// What a server answers, unless it is killed before: then the connection breaks, and nothing is
    /// left of what was done for it.
    pub async fn while_it_runs<T>(
        &self,
        server: &Arc<Service>,
        answered: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let is_gone = || {
            !self
                .servers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .any(|s| Arc::ptr_eq(s, server))
        };
        let gone = async {
            while !is_gone() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let killed = || Err(Error::new(ErrorKind::Unavailable, "the server was killed"));
        tokio::select! {
            // It may have been killed since it was looked at last: then it says nothing.
            answer = answered => if is_gone() { killed() } else { answer },
            () = gone => killed(),
        }
    }

    fn fate(&self) -> Fate {
        if !self.hindered.load(Ordering::Relaxed) {
            return Fate::Arrives(0);
        }
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        match chance.within(0..100) {
            0..2 => Fate::Lost,
            2..4 => Fate::AnswerLost,
            4..6 => Fate::Twice,
            6..14 => Fate::Late(chance.within(5..LONGEST)),
            _ => Fate::Arrives(chance.within(0..5)),
        }
    }

    /// Now and then an object is not what was asked for.
    fn spoil(&self, path: &str, mut answer: Vec<u8>) -> Vec<u8> {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        if path != "objects/get" || !self.hindered.load(Ordering::Relaxed) || !chance.one_in(4) {
            return answer;
        }
        match answer.len() {
            0 => {}
            n if chance.one_in(2) => answer.truncate(n / 2),
            n => answer[chance.within(0..n as u64) as usize] ^= 1,
        }
        answer
    }
}

pub struct Wire {
    pub wires: Arc<Wires>,
    pub from: String,
    /// The life of the sender.
    pub life: u64,
}

impl Wire {
    async fn deliver(&self, to: &Arc<Service>, path: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let gives_nothing = matches!(path, "objects/get" | "objects/put");
        match (self.wires.planted, path) {
            (Planted::MadeUpReceipts, "objects/take") => {
                let mut taken = to.peer_handle("objects/receipt", Vec::new().into()).await?;
                // Nothing is missing.
                taken.push(0);
                return Ok(taken);
            }
            (Planted::MadeUpReceipts | Planted::NothingHeals, _)
                if gives_nothing && self.wires.hindered.load(Ordering::Relaxed) =>
            {
                return Err(Error::new(ErrorKind::Unavailable, "the message was lost"));
            }
            _ => {}
        }
        let (handler, name) = (Arc::clone(to), path.to_owned());
        let handled = async move { handler.peer_handle(&name, body.into()).await };
        let gone = || Error::new(ErrorKind::Unavailable, "this world has ended");
        // Nothing is done any more for a sender that is gone.
        let mut handling = JoinSet::new();
        handling.spawn_on(handled, &self.wires.handlers);
        let answered = async { handling.join_next().await.and_then(Result::ok).ok_or_else(gone)? };
        Ok(self.wires.spoil(path, self.wires.while_it_runs(to, answered).await?))
    }
}

#[async_trait]
impl Transport for Wire {
    async fn call(
        &self,
        address: &str,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>> {
        let away = || Error::new(ErrorKind::Unavailable, format!("{address} is not reachable"));
        let broke = || Error::new(ErrorKind::Unknown, format!("the way to {address} broke"));
        if self.wires.life(&self.from) != self.life {
            // Nobody waits for it any more.
            return std::future::pending().await;
        }
        let server =
            self.wires.servers.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        let server = server.filter(|_| self.wires.lead(&self.from, address)).ok_or_else(away)?;
        self.wires.messages.fetch_add(1, Ordering::Relaxed);
        let fate = self.wires.fate();
        match fate {
            Fate::Lost => return Err(broke()),
            Fate::Late(millis) | Fate::Arrives(millis) => {
                sleep(Duration::from_millis(millis)).await;
            }
            Fate::Twice | Fate::AnswerLost => {}
        }
        let delivered = async {
            if fate == Fate::Twice {
                drop(self.deliver(&server, path, body.clone()).await);
            }
            self.deliver(&server, path, body).await
        };
        let began = Instant::now();
        let answer = timeout(limit, delivered).await;
        drop(server);
        // Nobody says that an answer is held up; it is sent again until there is a way, or nobody waits.
        while !self.wires.lead(address, &self.from) {
            if began.elapsed() >= limit {
                return Err(broke());
            }
            sleep(Duration::from_millis(20)).await;
        }
        match answer {
            Ok(answer) if fate != Fate::AnswerLost => answer,
            _ => Err(broke()),
        }
    }
}
