//! Looks at the servers: each is asked again and again whether it is ready, without waiting for the
//! answer before, so that a silence shows as soon as an answer is overdue.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use evercube_base::{Outage, Told};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};

use super::pool::{Member, Pool, Standing};
use crate::http::health::{GROUP, WRITES};

/// Time between two looks at a server, and between two judgements of what came back.
const EVERY: Duration = Duration::from_millis(60);
const JUDGED_EVERY: Duration = Duration::from_millis(20);
/// How long an answer to a look is waited for, and how many looks are under way at most.
const LIMIT: Duration = Duration::from_secs(1);
const UNDER_WAY: usize = 10;
/// How much later than usual the next answer may be at least before the server counts as late.
const SLACK: Duration = Duration::from_millis(80);
/// Silence after which a server counts as away.
const AWAY: Duration = Duration::from_millis(500);
/// Silence after which requests in flight are given up on.
const SILENCE: Duration = Duration::from_millis(2250);
/// Between two questions for the group's members.
const LEARN_EVERY: Duration = Duration::from_secs(2);

/// What came back from a server.
#[derive(Debug)]
pub(super) struct Looks {
    /// When an answer came last.
    heard: Instant,
    /// When the newest look was sent that was answered; `None` before the first.
    asked: Option<Instant>,
    /// How long an answer takes.
    usual: Duration,
    /// When a connection failed last; what was asked before does not tell that it works again.
    failed: Option<Instant>,
}

impl Looks {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, asked: None, usual: EVERY, failed: None }
    }

    /// Takes an answer in; false where a newer look was answered before.
    fn answered(&mut self, asked: Instant, now: Instant) -> bool {
        self.usual = (self.usual * 7 + (now - asked)) / 8;
        self.heard = now;
        let is_newest = self.asked.is_none_or(|newest| asked >= newest);
        if is_newest {
            self.asked = Some(asked);
        }
        is_newest
    }

    fn standing(&self, now: Instant) -> Standing {
        let silence = now - self.heard;
        let works = self.asked.is_some_and(|asked| self.failed.is_none_or(|at| asked > at));
        match () {
            () if silence >= SILENCE => Standing::Silent,
            () if silence >= AWAY || !works => Standing::Away,
            () if silence > EVERY + SLACK.max(self.usual / 2) => Standing::Late,
            () => Standing::InTime,
        }
    }
}

impl Member {
    /// A connection failed.
    pub(super) fn failed(&self, now: Instant) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.failed = Some(now);
        self.ready.store(false, Ordering::Relaxed);
        self.stands(looks.standing(now));
    }

    fn judge(&self, now: Instant) {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = looks.standing(now);
        if standing >= Standing::Away {
            self.ready.store(false, Ordering::Relaxed);
        }
        self.stands(standing);
    }

    fn stands(&self, standing: Standing) {
        self.standing.send_if_modified(|s| std::mem::replace(s, standing) != standing);
    }

    /// Has the log say that the server does not answer, or does again. While another one is ready, one
    /// that stays away may be gone for good, and is told once.
    fn tell(&self, told: Told, others_are_ready: bool) {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Told::Fails(lasts) if others_are_ready && lasts > AWAY * 10 => {}
            Told::Fails(lasts) => tracing::warn!(
                why = *why,
                "the server {} has not answered for {} s; asking again: check --servers, and that it runs",
                self.base,
                lasts.as_secs()
            ),
            Told::Over(lasted) => {
                tracing::warn!("the server {} answers, after {} s", self.base, lasted.as_secs());
            }
        }
    }

    fn answered(&self, asked: Instant, answer: &Response<Bytes>) {
        let now = Instant::now();
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.answered(asked, now) && looks.failed.is_none_or(|at| asked > at) {
            let ready = answer.status() == StatusCode::OK && !self.foreign.load(Ordering::Relaxed);
            self.ready.store(ready, Ordering::Relaxed);
            self.writes.store(answer.headers().contains_key(WRITES), Ordering::Relaxed);
        }
        self.stands(looks.standing(now));
    }
}

impl Pool {
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
            let under_way = Arc::new(Semaphore::new(UNDER_WAY));
            let mut every = tokio::time::interval(JUDGED_EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut looked, mut learned) = (None::<Instant>, None::<Instant>);
            let (begun, mut outage) = (Instant::now(), Outage::default());
            loop {
                let now = every.tick().await;
                member.judge(now);
                let answers = *member.standing.borrow() < Standing::Away;
                if let Some(told) = outage.look(begun.elapsed(), answers) {
                    member.tell(told, pool.is_ready());
                }
                let is_due = |last: Option<Instant>, every| last.is_none_or(|at| now - at >= every);
                if is_due(looked, EVERY)
                    && let Ok(counted) = Arc::clone(&under_way).try_acquire_owned()
                {
                    looked = Some(now);
                    let (pool, member) = (Arc::clone(&pool), Arc::clone(&member));
                    tokio::spawn(async move {
                        pool.look_at(&member).await;
                        drop(counted);
                    });
                }
                let is_own = !member.foreign.load(Ordering::Relaxed);
                let in_time = *member.standing.borrow() == Standing::InTime;
                if is_own && in_time && is_due(learned, LEARN_EVERY) {
                    learned = Some(now);
                    let (pool, member) = (Arc::clone(&pool), Arc::clone(&member));
                    tokio::spawn(async move { pool.learn(&member).await });
                }
            }
        });
        tokio::spawn(watching);
    }

    async fn look_at(&self, member: &Member) {
        let asked = Instant::now();
        match self.ask(member, "/health/ready").await {
            Ok(answer) => {
                let group = answer.headers().get(GROUP).and_then(|v| v.to_str().ok());
                let foreign = self.is_foreign(group, answer.status() == StatusCode::OK);
                if foreign && !member.foreign.swap(foreign, Ordering::Relaxed) {
                    tracing::warn!(
                        server = member.base,
                        "of another group, or of a history that the group has left; it is not asked"
                    );
                }
                member.foreign.store(foreign, Ordering::Relaxed);
                member.answered(asked, &answer);
            }
            Err(e) => {
                member.why.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&e.message);
                // Refused or broken; one that only takes long is told by the silence.
                if asked.elapsed() < LIMIT {
                    member.failed(asked);
                }
            }
        }
    }

    async fn ask(&self, member: &Member, path: &str) -> evercube_base::Result<Response<Bytes>> {
        let request = Request::get(format!("{}{path}", member.base)).body(Full::new(Bytes::new()));
        let request = request.map_err(|e| evercube_base::Error::invalid(e.to_string()))?;
        self.client.send(request, LIMIT).await
    }

    /// Adds members of the group that nobody named. Where status needs a login they are told with
    /// the answers to those who signed in.
    async fn learn(self: &Arc<Self>, member: &Member) {
        let Ok(answer) = self.ask(member, "/api/v1/status").await else { return };
        if answer.status() != StatusCode::OK {
            return;
        }
        let Ok(group) = serde_json::from_slice::<GroupMembers>(answer.body()) else { return };
        self.add_all(member, group.servers.iter().map(|s| s.address.as_str()));
    }

    /// Adds the members that one of them tells of, as `host:port`, with commas between.
    pub(super) fn follow(self: &Arc<Self>, index: usize, servers: &str) {
        // Every answer tells it, and hardly one something new.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == servers {
            return;
        }
        let teller = self.member(index);
        if let Some(teller) = teller.filter(|m| !m.foreign.load(Ordering::Relaxed)) {
            self.add_all(&teller, servers.split(','));
            servers.clone_into(&mut told);
        }
    }

    fn add_all<'a>(self: &Arc<Self>, teller: &Member, addresses: impl Iterator<Item = &'a str>) {
        // Members of a group are reached alike.
        let scheme = if teller.base.starts_with("https:") { "https" } else { "http" };
        for address in addresses.filter(|a| !a.is_empty()) {
            if let Some(new) = self.add(format!("{scheme}://{address}")) {
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
    fn a_server_is_late_then_away_then_silent_and_a_failure_shows_at_once() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut looks = Looks::new(begin);
        assert_eq!(looks.standing(at(1)), Standing::Away, "nothing is known of it yet");
        assert!(looks.answered(at(10), at(12)));
        for (silent, standing) in [
            (0, Standing::InTime),
            (140, Standing::InTime),
            (141, Standing::Late),
            (500, Standing::Away),
            (2250, Standing::Silent),
        ] {
            assert_eq!(looks.standing(at(12 + silent)), standing, "{silent} ms");
        }
        // The answer to a look that was sent before the failure says nothing.
        looks.failed = Some(at(3000));
        assert!(looks.answered(at(2990), at(3001)));
        assert_eq!(looks.standing(at(3001)), Standing::Away);
        assert!(looks.answered(at(3010), at(3011)));
        assert_eq!(looks.standing(at(3011)), Standing::InTime);
        assert!(!looks.answered(at(3005), at(3012)), "a newer one was answered");
    }

    #[test]
    fn answers_from_far_away_may_vary_more() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut looks = Looks::new(begin);
        for n in 0..50 {
            looks.answered(at(n * 60), at(n * 60 + 300));
        }
        let heard = 49 * 60 + 300;
        assert_eq!(looks.standing(at(heard + 200)), Standing::InTime);
        assert_eq!(looks.standing(at(heard + 215)), Standing::Late);
    }
}
