//! Traces: what administrators want to be told of the queries this server answers.
//!
//! A trace belongs to this server and is gone with it. Who listens too slowly misses events rather
//! than holding queries up.

mod event;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evercube_base::{DateTime, Error, ErrorKind, Result, Value};
use tokio::sync::mpsc;

use crate::session::Session;
use event::EVENT_CLASS;
pub use event::{COLUMNS, EVENTS, Event, EventKind, TraceColumn};

/// Events that wait for one listener.
const WAITING: usize = 10_000;

/// What a trace tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceDefinition {
    pub id: String,
    pub name: String,
    /// Columns of each event, by their numbers.
    pub events: BTreeMap<i64, BTreeSet<i64>>,
    pub filter: Filter,
}

/// Which events are told: those whose columns have the given texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Number of a column and the text it must have.
    pub equal: Vec<(i64, String)>,
    /// One of them is enough.
    pub any: bool,
}

#[derive(Debug)]
struct Trace {
    definition: TraceDefinition,
    created: DateTime,
    listeners: Vec<mpsc::Sender<Arc<Event>>>,
}

/// A trace as schema rowsets show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceInfo {
    pub id: String,
    pub name: String,
    pub created: DateTime,
}

/// Events of one trace as they come, and the columns wanted of them.
#[derive(Debug)]
pub struct Subscription {
    pub columns: Vec<&'static TraceColumn>,
    events: mpsc::Receiver<Arc<Event>>,
    definition: TraceDefinition,
}

#[derive(Debug, Default)]
pub struct Traces {
    by_id: Mutex<BTreeMap<String, Trace>>,
    listeners: AtomicUsize,
}

impl Traces {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Trace>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a trace, or changes what it tells; who listens goes on.
    pub fn put(&self, by: &Session, definition: TraceDefinition, now: DateTime) -> Result<()> {
        needs_administrator(by)?;
        let mut traces = self.lock();
        match traces.get_mut(&definition.id) {
            Some(known) => known.definition = definition,
            None => {
                let trace = Trace { created: now, listeners: Vec::new(), definition };
                traces.insert(trace.definition.id.clone(), trace);
            }
        }
        Ok(())
    }

    /// Removes a trace; its subscriptions end.
    pub fn remove(&self, by: &Session, id: &str) -> Result<()> {
        needs_administrator(by)?;
        let mut traces = self.lock();
        traces.remove(id).ok_or_else(|| unknown(id))?;
        self.count(&traces);
        Ok(())
    }

    pub fn list(&self) -> Vec<TraceInfo> {
        let info = |t: &Trace| TraceInfo {
            id: t.definition.id.clone(),
            name: t.definition.name.clone(),
            created: t.created,
        };
        self.lock().values().map(info).collect()
    }

    /// Listens to a trace.
    pub fn subscribe(&self, by: &Session, id: &str) -> Result<Subscription> {
        needs_administrator(by)?;
        let mut traces = self.lock();
        let trace = traces.get_mut(id).ok_or_else(|| unknown(id))?;
        let (tell, events) = mpsc::channel(WAITING);
        trace.listeners.push(tell);
        let definition = trace.definition.clone();
        let mut wanted: BTreeSet<i64> = definition.events.values().flatten().copied().collect();
        // Without it nobody knows what the other columns are about.
        wanted.insert(EVENT_CLASS);
        let columns = COLUMNS.iter().filter(|c| wanted.contains(&c.id)).collect();
        self.count(&traces);
        Ok(Subscription { columns, events, definition })
    }

    /// Whether anybody listens at all.
    pub fn is_listened_to(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    /// Tells an event to all who want it.
    pub fn tell(&self, event: Event) {
        let event = Arc::new(event);
        let mut traces = self.lock();
        for trace in traces.values_mut() {
            let wanted = trace.definition.wants(&event);
            trace.listeners.retain(|listener| match wanted {
                true => !matches!(
                    listener.try_send(Arc::clone(&event)),
                    Err(mpsc::error::TrySendError::Closed(_))
                ),
                false => !listener.is_closed(),
            });
        }
        self.count(&traces);
    }

    fn count(&self, traces: &BTreeMap<String, Trace>) {
        let all = traces.values().map(|t| t.listeners.len()).sum();
        self.listeners.store(all, Ordering::Relaxed);
    }
}

impl TraceDefinition {
    fn wants(&self, event: &Event) -> bool {
        if !self.events.contains_key(&event.kind.class()) {
            return false;
        }
        let equal = |(column, text): &(i64, String)| match event.column(*column) {
            Value::String(s) => s.eq_ignore_ascii_case(text),
            Value::Int(n) => n.to_string() == *text,
            _ => false,
        };
        match self.filter.any {
            true => self.filter.equal.iter().any(equal),
            false => self.filter.equal.iter().all(equal),
        }
    }
}

impl Subscription {
    /// The next event as a row of [`Self::columns`]; `None` when the trace is gone.
    pub async fn next(&mut self) -> Option<Vec<Value>> {
        let event = self.events.recv().await?;
        let wanted = self.definition.events.get(&event.kind.class());
        let is_wanted = |c: i64| c == EVENT_CLASS || wanted.is_some_and(|w| w.contains(&c));
        let value = |c: &&TraceColumn| match is_wanted(c.id) {
            true => event.column(c.id),
            false => Value::Blank,
        };
        Some(self.columns.iter().map(value).collect())
    }
}

fn needs_administrator(by: &Session) -> Result<()> {
    if by.rules() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Denied,
        "Traces show what others ask; they need an administrator, and the caller is not one.",
    ))
}

fn unknown(id: &str) -> Error {
    Error::not_found(format!("There is no trace '{id}' on this server."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(session: &str) -> Event {
        Event { session_id: session.to_owned(), ..Event::new(EventKind::QueryBegin, "EVALUATE T") }
    }

    #[tokio::test]
    async fn a_listener_hears_the_events_and_columns_it_asked_for() {
        let traces = Traces::default();
        let admin = Session { is_admin: true, ..Session::default() };
        let definition = TraceDefinition {
            id: "t".into(),
            name: "T".into(),
            events: BTreeMap::from([(9, BTreeSet::from([42]))]),
            filter: Filter { equal: vec![(39, "mine".into())], any: true },
        };
        assert!(traces.put(&Session::default(), definition.clone(), DateTime::default()).is_err());
        traces.put(&admin, definition, DateTime::default()).unwrap();
        let mut heard = traces.subscribe(&admin, "t").unwrap();
        traces.tell(event("another"));
        traces.tell(Event { session_id: "mine".into(), ..Event::new(EventKind::QueryEnd, "") });
        traces.tell(event("mine"));
        assert_eq!(heard.next().await, Some(vec![Value::Int(9), "EVALUATE T".into()]));
        traces.remove(&admin, "t").unwrap();
        assert_eq!(heard.next().await, None);
        assert!(!traces.is_listened_to());
    }
}
