//! The servers behind a gateway, and which of them to ask.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::looks::Looks;
use crate::transport::PeerClient;

/// Between two looks for another server while none is in time.
const PAUSE: Duration = Duration::from_millis(25);

/// How a server does, by its answers to looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    InTime,
    /// Answers are missing that should have come.
    Late,
    /// So many that it is probably gone, or a connection to it failed.
    Away,
    /// For so long that requests in flight are given up on.
    Silent,
}

#[derive(Debug)]
pub(super) struct Member {
    /// `http://host:port`, or with https.
    pub base: String,
    /// By its last answer: in touch with the group, complete.
    pub ready: AtomicBool,
    /// By its last answer: takes writes.
    pub writes: AtomicBool,
    /// By its last answer: of another group than the gateway serves, and never asked.
    pub foreign: AtomicBool,
    in_flight: AtomicUsize,
    pub standing: watch::Sender<Standing>,
    pub looks: Mutex<Looks>,
    /// Why the last look was not answered.
    pub why: Mutex<String>,
}

/// A list that only grows: a server that is gone for good is simply never chosen.
pub struct Pool {
    members: RwLock<Vec<Arc<Member>>>,
    pub client: PeerClient,
    /// The group of the server that was ready first, and the newest history of it.
    group: Mutex<Option<(String, String)>>,
    /// Where servers are, as one of them told last.
    pub(super) told: Mutex<String>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Counts a request in flight until dropped.
pub struct InFlight(Arc<Member>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// `servers` are `http://host:port`, or with https.
    pub fn new(servers: Vec<String>, client: PeerClient) -> Self {
        let pool = Self {
            members: RwLock::default(),
            client,
            group: Mutex::default(),
            told: Mutex::default(),
        };
        for server in servers {
            pool.add(server);
        }
        pool
    }

    pub(super) fn members(&self) -> Vec<Arc<Member>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn member(&self, index: usize) -> Option<Arc<Member>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).get(index).cloned()
    }

    /// Adds a server that is not there yet.
    pub(super) fn add(&self, base: String) -> Option<Arc<Member>> {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        if members.iter().any(|m| m.base == base) {
            return None;
        }
        let member = Arc::new(Member {
            base,
            ready: AtomicBool::new(false),
            writes: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            standing: watch::Sender::new(Standing::Away),
            looks: Mutex::new(Looks::new(Instant::now())),
            why: Mutex::default(),
        });
        members.push(Arc::clone(&member));
        Some(member)
    }

    pub fn names(&self) -> Vec<String> {
        self.members().iter().map(|m| m.base.clone()).collect()
    }

    pub fn name(&self, index: usize) -> String {
        self.member(index).map(|m| m.base.clone()).unwrap_or_default()
    }

    pub fn is_ready(&self) -> bool {
        self.members().iter().any(|m| m.ready.load(Ordering::Relaxed))
    }

    /// Whether a server is of another group than this gateway serves, which is that of the server
    /// that was ready first, or of a history that the group has left. `named` is what the server
    /// says, as `group/history`; one of an earlier release says nothing.
    pub(super) fn is_foreign(&self, named: Option<&str>, is_ready: bool) -> bool {
        let named = named.and_then(|n| n.split_once('/')).filter(|(group, _)| !group.is_empty());
        let Some((group, history)) = named else { return false };
        let number = |history: &str| -> u64 {
            history.split('.').next().and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        let mut own = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        match &*own {
            Some((own_group, _)) if own_group != group => true,
            Some((_, own_history)) if number(own_history) > number(history) => true,
            Some((_, own_history)) if own_history == history => false,
            _ if !is_ready => false,
            _ => {
                *own = Some((group.to_owned(), history.to_owned()));
                false
            }
        }
    }

    /// The best server not tried yet: ready and in time before merely ready before merely
    /// answering before silent, for a write the one that takes them, then the one with the fewest
    /// requests in flight, then the first of the list.
    pub fn choose(&self, tried: &[usize], is_read: bool) -> Option<usize> {
        self.best(tried, is_read).map(|(_, i)| i)
    }

    fn best(&self, tried: &[usize], is_read: bool) -> Option<(u32, usize)> {
        let members = self.members();
        let open = members
            .iter()
            .enumerate()
            .filter(|(i, m)| !tried.contains(i) && !m.foreign.load(Ordering::Relaxed));
        let ranked = open.map(|(i, m)| {
            let rank = match (m.ready.load(Ordering::Relaxed), *m.standing.borrow()) {
                (true, Standing::InTime) => 0,
                (true, Standing::Late) => 1,
                (false, Standing::InTime | Standing::Late) => 2,
                (_, Standing::Away | Standing::Silent) => 3,
            };
            let forwards = !is_read && !m.writes.load(Ordering::Relaxed);
            (rank, forwards, m.in_flight.load(Ordering::Relaxed), i)
        });
        ranked.min().map(|(rank, _, _, i)| (rank, i))
    }

    /// Waits until a server stands as badly as this while another one, not tried yet, is ready and
    /// in time: that one. Where all are late the machine is busy or the network slow, and asking
    /// twice would not help.
    pub async fn better_than(
        &self,
        index: usize,
        tried: &[usize],
        (standing, is_read): (Standing, bool),
    ) -> usize {
        let Some(member) = self.member(index) else { return std::future::pending().await };
        let mut now = member.standing.subscribe();
        loop {
            if now.wait_for(|now| *now >= standing).await.is_err() {
                return std::future::pending().await;
            }
            match self.best(tried, is_read) {
                Some((0, other)) if other != index => return other,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// A server that is ready and in time, and not one of these.
    pub fn ready_beside(&self, asked: &[usize], is_read: bool) -> Option<usize> {
        self.best(asked, is_read).filter(|(rank, _)| *rank == 0).map(|(_, i)| i)
    }

    /// Marks a request to a server as in flight; also gives what tells how the server does.
    pub fn enter(&self, index: usize) -> Option<(InFlight, watch::Receiver<Standing>)> {
        let member = self.member(index)?;
        member.in_flight.fetch_add(1, Ordering::Relaxed);
        let standing = member.standing.subscribe();
        Some((InFlight(member), standing))
    }

    /// A connection to the server failed: it is not asked first until it answers again.
    pub fn failed(&self, index: usize) {
        if let Some(member) = self.member(index) {
            member.failed(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_and_servers_that_were_left_behind_are_foreign() {
        let client =
            PeerClient::new(crate::tls::client_config(rustls::RootCertStore::empty()).unwrap());
        let pool = Pool::new(Vec::new(), client);
        for (named, is_ready, foreign) in [
            (None, true, false),
            (Some("x/0"), false, false),
            (Some("g/0"), true, false),
            (Some("x/0"), true, true),
            (Some("g/1.a"), false, false),
            (Some("g/0"), true, false),
            (Some("g/1.a"), true, false),
            (Some("g/0"), true, true),
            (Some("/0"), false, false),
            (None, true, false),
        ] {
            assert_eq!(pool.is_foreign(named, is_ready), foreign, "{named:?}");
        }
    }

    #[test]
    fn ready_servers_come_first_and_load_is_spread() {
        let servers = ["http://a:1", "http://b:1", "https://c:1"].map(str::to_owned).to_vec();
        let client =
            PeerClient::new(crate::tls::client_config(rustls::RootCertStore::empty()).unwrap());
        let pool = Pool::new(servers, client);
        let choose = |tried: &[usize]| pool.choose(tried, true);
        let stands = |i, standing| {
            pool.member(i).unwrap().standing.send_replace(standing);
        };
        assert_eq!(choose(&[]), Some(0));
        for i in [1, 2] {
            pool.member(i).unwrap().ready.store(true, Ordering::Relaxed);
            stands(i, Standing::InTime);
        }
        assert_eq!(choose(&[]), Some(1));
        let busy = pool.enter(1);
        assert_eq!(choose(&[]), Some(2));
        pool.member(1).unwrap().writes.store(true, Ordering::Relaxed);
        assert_eq!(pool.choose(&[], false), Some(1), "it need not be forwarded");
        drop(busy);
        stands(1, Standing::Late);
        assert_eq!(choose(&[]), Some(2));
        assert_eq!(pool.choose(&[], false), Some(2), "one that answers comes first");
        stands(1, Standing::InTime);
        pool.failed(1);
        assert_eq!(choose(&[2]), Some(0));
        assert_eq!(choose(&[0, 1, 2]), None);
    }
}
