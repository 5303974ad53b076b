//! Requests that run on this server, so that they can be listed and cancelled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evercube_base::DateTime;
use evercube_work::{Stop, Work};
use tokio::sync::Notify;

use crate::once::given_id;

/// One running request.
#[derive(Debug, Clone)]
pub struct RunningRequest {
    /// Number of the session; 0 for a request without one.
    pub session: u64,
    /// As the caller named the request, or as it is recorded.
    pub request_id: Option<String>,
    pub user: String,
    pub database: String,
    pub text: String,
    pub started: DateTime,
    pub cancel: Arc<AtomicBool>,
    /// A query's work; it may have to be woken to see that it is cancelled.
    pub work: Option<Arc<Work>>,
    /// Told when the request is cancelled.
    pub cancelled: Arc<Notify>,
}

/// A request that somebody wants to cancel.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct NamedRequest {
    pub id: String,
    pub user: String,
    pub by_admin: bool,
}

/// The running requests of this server by number.
#[derive(Debug, Default)]
pub struct Running {
    next: AtomicU64,
    requests: Mutex<BTreeMap<u64, RunningRequest>>,
}

/// Takes the request off the list when dropped.
#[derive(Debug)]
pub struct RunningGuard {
    running: Arc<Running>,
    number: u64,
    pub cancel: Arc<AtomicBool>,
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.lock().remove(&self.number);
    }
}

impl Running {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, RunningRequest>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request on the list for as long as the guard lives.
    pub fn enter(self: &Arc<Self>, request: RunningRequest) -> RunningGuard {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let cancel = Arc::clone(&request.cancel);
        self.lock().insert(number, request);
        RunningGuard { running: Arc::clone(self), number, cancel }
    }

    /// Cancels what runs for a session; the number of requests told so.
    pub fn cancel_session(&self, session: u64) -> usize {
        self.cancel(|r| session != 0 && r.session == session)
    }

    /// Cancels a request by its id, for the user who sent it or an administrator.
    pub fn cancel_request(&self, request: &NamedRequest) -> usize {
        self.cancel(|r| {
            r.request_id.as_deref().map(given_id) == Some(request.id.as_str())
                && (request.by_admin || r.user.eq_ignore_ascii_case(&request.user))
        })
    }

    fn cancel(&self, is_meant: impl Fn(&RunningRequest) -> bool) -> usize {
        let requests = self.lock();
        let meant = requests.values().filter(|r| is_meant(r));
        let stop = |r: &RunningRequest| {
            r.cancel.store(true, Ordering::Relaxed);
            r.work.iter().for_each(|work| work.stop(Stop::Cancelled));
            r.cancelled.notify_one();
        };
        meant.map(stop).count()
    }

    pub fn list(&self) -> Vec<(u64, RunningRequest)> {
        self.lock().iter().map(|(n, r)| (*n, r.clone())).collect()
    }
}
