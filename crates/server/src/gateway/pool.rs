//! The servers behind a gateway, and which of them to ask.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::transport::PeerClient;

/// Time between two looks at a server.
const PROBE_EVERY: Duration = Duration::from_millis(100);
const PROBE_LIMIT: Duration = Duration::from_millis(500);
/// How much longer than twice its usual time a look may take before the server counts as late.
const PROBE_SLACK: Duration = Duration::from_millis(50);
/// Silence after which requests in flight are given up on.
const SILENCE: Duration = Duration::from_millis(2250);
/// Looks between two questions for the group's members.
const LEARN_EVERY: u32 = 20;

#[derive(Debug)]
struct Member {
    /// `http://host:port`, or with https.
    base: String,
    /// Answers, in touch with the group, complete.
    ready: AtomicBool,
    /// Answers at all.
    answers: AtomicBool,
    in_flight: AtomicUsize,
    /// True while a look takes longer than it should, or has failed.
    late: watch::Sender<bool>,
    /// True while the server is silent.
    silent: watch::Sender<bool>,
}

/// A list that only grows: a server that is gone for good is simply never chosen.
pub struct Pool {
    members: RwLock<Vec<Arc<Member>>>,
    pub client: PeerClient,
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
        let pool = Self { members: RwLock::default(), client };
        for server in servers {
            pool.add(server);
        }
        pool
    }

    fn members(&self) -> Vec<Arc<Member>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn member(&self, index: usize) -> Option<Arc<Member>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).get(index).cloned()
    }

    /// Adds a server that is not there yet.
    fn add(&self, base: String) -> Option<Arc<Member>> {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        if members.iter().any(|m| m.base == base) {
            return None;
        }
        let member = Arc::new(Member {
            base,
            ready: AtomicBool::new(false),
            answers: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            late: watch::Sender::new(false),
            silent: watch::Sender::new(false),
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

    /// The best server not tried yet: ready and in time before merely ready before merely
    /// answering before silent, then the one with the fewest requests in flight, then the first of
    /// the list.
    pub fn choose(&self, tried: &[usize]) -> Option<usize> {
        self.best(tried).map(|(_, i)| i)
    }

    fn best(&self, tried: &[usize]) -> Option<(u32, usize)> {
        let members = self.members();
        let open = members.iter().enumerate().filter(|(i, _)| !tried.contains(i));
        let ranked = open.map(|(i, m)| {
            let rank = match (m.ready.load(Ordering::Relaxed), m.answers.load(Ordering::Relaxed)) {
                (true, _) if !*m.late.borrow() => 0,
                (true, _) => 1,
                (false, true) => 2,
                (false, false) => 3,
            };
            (rank, m.in_flight.load(Ordering::Relaxed), i)
        });
        ranked.min().map(|(rank, _, i)| (rank, i))
    }

    /// Waits until a server is late while another one, not tried yet, is not: that one. Where all
    /// are late the machine is busy or the network slow, and asking twice would not help.
    pub async fn better_than(&self, index: usize, tried: &[usize]) -> usize {
        let Some(member) = self.member(index) else { return std::future::pending().await };
        let mut late = member.late.subscribe();
        loop {
            if late.wait_for(|late| *late).await.is_err() {
                return std::future::pending().await;
            }
            match self.best(tried) {
                Some((0, other)) if other != index => return other,
                _ => tokio::time::sleep(PROBE_SLACK).await,
            }
        }
    }

    /// Marks a request to a server as in flight; also gives what tells that the server is silent.
    pub fn enter(&self, index: usize) -> Option<(InFlight, watch::Receiver<bool>)> {
        let member = self.member(index)?;
        member.in_flight.fetch_add(1, Ordering::Relaxed);
        let silent = member.silent.subscribe();
        Some((InFlight(member), silent))
    }

    /// A connection to the server failed: it is not asked first until it answers again.
    pub fn failed(&self, index: usize) {
        if let Some(member) = self.member(index) {
            member.ready.store(false, Ordering::Relaxed);
            member.answers.store(false, Ordering::Relaxed);
            member.late.send_replace(true);
        }
    }

    /// Looks at every server from now on.
    pub fn watch(self: &Arc<Self>) {
        for member in self.members() {
            self.watch_member(member);
        }
    }

    fn watch_member(self: &Arc<Self>, member: Arc<Member>) {
        let pool = Arc::clone(self);
        // Boxed: watching learns of members, and learning of one starts watching it.
        let watching: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let mut usual = PROBE_EVERY;
            let mut heard = Instant::now();
            for look in 0_u64.. {
                let asked = Instant::now();
                let found = pool.look_in_time(&member, usual * 2 + PROBE_SLACK).await;
                let answers = found.is_some();
                if answers {
                    usual = (usual * 7 + asked.elapsed()) / 8;
                    heard = Instant::now();
                }
                member.answers.store(answers, Ordering::Relaxed);
                member.ready.store(found == Some(StatusCode::OK), Ordering::Relaxed);
                member.late.send_replace(!answers);
                member.silent.send_replace(heard.elapsed() >= SILENCE);
                if answers && look.is_multiple_of(u64::from(LEARN_EVERY)) {
                    // Beside the looks, which a slow answer would hold up.
                    let (pool, member) = (Arc::clone(&pool), Arc::clone(&member));
                    tokio::spawn(async move { pool.learn(&member).await });
                }
                tokio::time::sleep(PROBE_EVERY).await;
            }
        });
        tokio::spawn(watching);
    }

    /// Looks whether a server is ready; notes when that takes longer than it should.
    async fn look_in_time(&self, member: &Member, should: Duration) -> Option<StatusCode> {
        let mut look = std::pin::pin!(self.look(member, "/health/ready"));
        let found = match tokio::time::timeout(should, &mut look).await {
            Ok(found) => found,
            Err(_) => {
                member.late.send_replace(true);
                look.await
            }
        };
        found.map(|(status, _)| status)
    }

    async fn look(&self, member: &Member, path: &str) -> Option<(StatusCode, Bytes)> {
        let request =
            Request::get(format!("{}{path}", member.base)).body(Full::new(Bytes::new())).ok()?;
        let answer = self.client.send(request, PROBE_LIMIT).await.ok()?;
        Some((answer.status(), answer.into_body()))
    }

    /// Adds members of the group that nobody named. Where status needs a login there is nothing
    /// to learn, and the named servers are all there are.
    async fn learn(self: &Arc<Self>, member: &Member) {
        let Some((StatusCode::OK, body)) = self.look(member, "/api/v1/status").await else {
            return;
        };
        let Ok(group) = serde_json::from_slice::<GroupMembers>(&body) else { return };
        // Members of a group are reached alike.
        let scheme = if member.base.starts_with("https:") { "https" } else { "http" };
        for found in group.servers.into_iter().filter(|s| !s.address.is_empty()) {
            if let Some(new) = self.add(format!("{scheme}://{}", found.address)) {
                self.watch_member(new);
            }
        }
    }
}

#[derive(Deserialize)]
struct GroupMembers {
    servers: Vec<GroupMember>,
}

#[derive(Deserialize)]
struct GroupMember {
    address: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_servers_come_first_and_load_is_spread() {
        let servers = ["http://a:1", "http://b:1", "https://c:1"].map(str::to_owned).to_vec();
        let client =
            PeerClient::new(crate::tls::client_config(rustls::RootCertStore::empty()).unwrap());
        let pool = Pool::new(servers, client);
        assert_eq!(pool.choose(&[]), Some(0));
        pool.member(1).unwrap().ready.store(true, Ordering::Relaxed);
        pool.member(2).unwrap().ready.store(true, Ordering::Relaxed);
        assert_eq!(pool.choose(&[]), Some(1));
        let busy = pool.enter(1);
        assert_eq!(pool.choose(&[]), Some(2));
        drop(busy);
        pool.member(1).unwrap().late.send_replace(true);
        assert_eq!(pool.choose(&[]), Some(2));
        pool.member(1).unwrap().late.send_replace(false);
        pool.failed(1);
        assert_eq!(pool.choose(&[2]), Some(0));
        assert_eq!(pool.choose(&[0, 1, 2]), None);
    }
}
