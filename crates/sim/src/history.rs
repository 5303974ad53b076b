//! What was asked, answered and done, in order, and its hash.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::host;
use crate::report::Report;

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Commit,
    Strong,
    Session,
    Bounded(Duration),
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The answer was that nothing was changed.
    Refused,
    /// No answer came in the end.
    Unknown,
}

/// One request of a client.
#[derive(Debug, Clone)]
pub struct Op {
    pub client: u64,
    pub asked: Asked,
    pub database: String,
    pub began: Duration,
    pub answered: Duration,
    pub outcome: Outcome,
    /// Of a commit: what it makes and what it was made from. Of a read: what it saw.
    pub seq: u64,
    pub root: [u8; 32],
    pub parent: [u8; 32],
    /// Of a commit: the epoch of the lease it was made under.
    pub lease: Option<u64>,
}

#[derive(Default)]
struct Book {
    ops: Vec<Op>,
    leases: BTreeMap<u64, bool>,
    notes: Vec<(Duration, String)>,
    violations: Vec<String>,
    faults: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
}

/// Everything a run leaves behind.
#[derive(Default)]
pub struct History {
    book: Mutex<Book>,
    aloud: AtomicBool,
}

impl History {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every line is printed as it comes.
    pub fn say(&self) {
        self.aloud.store(true, Ordering::Relaxed);
    }

    pub fn note(&self, what: String) {
        if self.aloud.load(Ordering::Relaxed) {
            println!("{:>10.4} {what}", host::now().as_secs_f64());
        }
        self.book().notes.push((host::now(), what));
    }

    pub fn fault(&self, kind: &str, what: &str) {
        *self.book().faults.entry(kind.to_owned()).or_default() += 1;
        self.note(format!("fault: {kind} {what}"));
    }

    pub fn error(&self, kind: &str) {
        *self.book().errors.entry(kind.to_owned()).or_default() += 1;
    }

    pub fn violation(&self, invariant: &str, what: &str) {
        let line = format!("{invariant}: {what}");
        self.note(format!("VIOLATION {line}"));
        self.book().violations.push(line);
    }

    pub fn add(&self, op: Op) {
        self.note(format!(
            "client {} {:?} {} of {:.4}: {:?} {} {}",
            op.client,
            op.asked,
            op.database,
            op.began.as_secs_f64(),
            op.outcome,
            op.seq,
            hex::encode(&op.root[..4])
        ));
        self.book().ops.push(op);
    }

    /// The lease of the group has this epoch; `planned`: it was handed on.
    pub fn leased(&self, epoch: u64, planned: bool) {
        self.book().leases.insert(epoch, planned);
    }

    pub fn leases(&self) -> BTreeMap<u64, bool> {
        self.book().leases.clone()
    }

    pub fn ops(&self) -> Vec<Op> {
        self.book().ops.clone()
    }

    pub fn is_broken(&self) -> bool {
        !self.book().violations.is_empty()
    }

    /// What came of the world, with these counts of what it knows.
    pub fn report(
        &self,
        seed: u64,
        commits: u64,
        reads: u64,
        entries: u64,
        messages: u64,
    ) -> Report {
        let book = self.book();
        let (violations, faults) = (book.violations.clone(), book.faults.clone());
        let (errors, steps) = (book.errors.clone(), book.notes.len() as u64);
        drop(book);
        Report {
            seed,
            hash: self.hash(),
            violations,
            faults,
            errors,
            commits,
            reads,
            entries,
            messages,
            steps,
            lasted_ms: u64::try_from(host::now().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The lines of the history.
    pub fn lines(&self) -> Vec<String> {
        let line = |(at, what): &(Duration, String)| format!("{:>10.4} {what}", at.as_secs_f64());
        self.book().notes.iter().map(line).collect()
    }

    /// The same for the same history only.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for line in self.lines() {
            hasher.update(line.as_bytes());
            hasher.update(b"\n");
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }
}
