//! Requests that run on this server, so that they can be listed and cancelled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evercube_base::DateTime;

/// One running request.
#[derive(Debug, Clone)]
pub struct RunningRequest {
    pub session: u64,
    pub user: String,
    pub database: String,
    pub text: String,
    pub started: DateTime,
    pub cancel: Arc<AtomicBool>,
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
        let requests = self.lock();
        let of_session = requests.values().filter(|r| r.session == session);
        of_session.map(|r| r.cancel.store(true, Ordering::Relaxed)).count()
    }

    pub fn list(&self) -> Vec<(u64, RunningRequest)> {
        self.lock().iter().map(|(n, r)| (*n, r.clone())).collect()
    }
}
