//! The wires between servers: delays, losses, duplicates, and splits that may go one way only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::Transport;
use tokio::time::{Instant, sleep, timeout_at};

use crate::chance::Chance;
use crate::mutation::Mutation;
use crate::world::World;

/// How messages travel now.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Shortest and longest way in microseconds.
    pub delay: (u64, u64),
    /// One in so many messages is lost; 0: none.
    pub loss: u64,
    /// One in so many messages of the consensus arrives twice; 0: none.
    pub twice: u64,
}

/// The longest way of a message in any weather.
pub const LONGEST: Duration = Duration::from_millis(400);

impl Weather {
    pub const FAIR: Self = Self { delay: (300, 4_000), loss: 0, twice: 0 };
}

struct State {
    weather: Weather,
    /// Server and server it cannot speak to.
    cut: BTreeSet<(String, String)>,
    /// Servers whose disk or processor is slow: what they answer comes late.
    slow: BTreeSet<String>,
    chance: Chance,
    messages: BTreeMap<String, u64>,
}

pub struct Network {
    state: Mutex<State>,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        let chance = Chance::new(seed, "network");
        let state = State {
            weather: Weather::FAIR,
            cut: BTreeSet::new(),
            slow: BTreeSet::new(),
            chance,
            messages: BTreeMap::new(),
        };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    /// `from` cannot speak to `to` any more; `to` can still speak to `from`.
    pub fn cut(&self, from: &str, to: &str) {
        self.state().cut.insert((from.to_owned(), to.to_owned()));
    }

    /// Whether two servers reach each other both ways.
    pub fn are_joined(&self, one: &str, other: &str) -> bool {
        let state = self.state();
        let cut = |from: &str, to: &str| state.cut.contains(&(from.to_owned(), to.to_owned()));
        !cut(one, other) && !cut(other, one)
    }

    pub fn slow_down(&self, server: &str) {
        self.state().slow.insert(server.to_owned());
    }

    /// Every server reaches every other one, in fair weather.
    pub fn heal(&self) {
        let mut state = self.state();
        state.cut.clear();
        state.slow.clear();
        state.weather = Weather::FAIR;
    }

    /// Messages sent, by what they ask for.
    pub fn messages(&self) -> BTreeMap<String, u64> {
        self.state().messages.clone()
    }

    /// How long the next message is under way; `None` where it does not arrive.
    fn way(&self, from: &str, to: &str) -> Option<Duration> {
        let mut state = self.state();
        let Weather { delay: (least, most), loss, .. } = state.weather;
        if state.cut.contains(&(from.to_owned(), to.to_owned())) {
            return None;
        }
        if loss > 0 && state.chance.one_in(loss) {
            return None;
        }
        let late = if state.slow.contains(from) { state.chance.within(20_000..200_000) } else { 0 };
        let micros = state.chance.within(least..most + 1) + late;
        Some(Duration::from_micros(micros).min(LONGEST))
    }

    fn comes_twice(&self, path: &str) -> bool {
        let mut state = self.state();
        *state.messages.entry(kind_of(path).to_owned()).or_default() += 1;
        let twice = state.weather.twice;
        let consensus = matches!(kind_of(path), "raft/append" | "raft/vote" | "raft/snapshot");
        consensus && twice > 0 && state.chance.one_in(twice)
    }
}

/// What a message asks for, without the member it is for.
pub fn kind_of(path: &str) -> &str {
    path.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('/')
}

/// One server's end of the wires.
pub struct Wire {
    pub world: Weak<World>,
    pub from: String,
    /// The life of the server this belongs to; what earlier lives send does not arrive.
    pub life: u64,
    pub introduction: Mutex<String>,
}

fn lost(to: &str) -> Error {
    Error::new(ErrorKind::Unknown, format!("the server at {to} did not answer in time"))
}

impl Wire {
    async fn exchange(&self, to: &str, path: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let Some(world) = self.world.upgrade() else { return std::future::pending().await };
        if !world.lives(&self.from, self.life) {
            return std::future::pending().await;
        }
        if let Some(forged) = world.mutation.forges(path, &body) {
            return Ok(forged);
        }
        world.watch.sent(&self.from, to, path, &body);
        let body = world.mutation.on_the_wire(to, path, body);
        let twice = world.network.comes_twice(path);
        let Some(way) = world.network.way(&self.from, to) else {
            return std::future::pending().await;
        };
        let again = if twice { world.network.way(&self.from, to) } else { None };
        if let Some(later) = again {
            let (world, to, path, body) =
                (Arc::clone(&world), to.to_owned(), path.to_owned(), body.clone());
            tokio::spawn(async move {
                sleep(way + later).await;
                if let Some(life) = world.life(&to) {
                    let _twice = life.handle(&path, body).await;
                }
            });
        }
        sleep(way).await;
        let Some(life) = world.life(to) else {
            return Err(Error::new(ErrorKind::Unavailable, format!("{to} refuses connections")));
        };
        // The receiver goes on with it even when nobody waits for the answer any more.
        let (owned, number) = (path.to_owned(), life.number);
        let answer = tokio::spawn(async move { life.handle(&owned, body).await });
        let answer = answer.await.unwrap_or_else(|e| Err(Error::internal(e.to_string())));
        if !world.lives(to, number) {
            return Err(Error::new(ErrorKind::Unknown, format!("the connection to {to} broke")));
        }
        match world.network.way(to, &self.from) {
            Some(back) => sleep(back).await,
            None => return std::future::pending().await,
        }
        answer
    }
}

#[async_trait]
impl Transport for Wire {
    async fn call(&self, to: &str, path: &str, body: Vec<u8>, limit: Duration) -> Result<Vec<u8>> {
        let asked = Instant::now();
        let deaf = self.world.upgrade().is_some_and(|w| w.mutation == Mutation::WaitForEver);
        if deaf {
            return self.exchange(to, path, body).await;
        }
        timeout_at(asked + limit, self.exchange(to, path, body)).await.unwrap_or(Err(lost(to)))
    }

    fn introduce(&self, identity: &str) {
        identity.clone_into(&mut self.introduction.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
