//! Queries told to those who listen to traces.

use std::time::{Duration, Instant};

use evercube_base::{DateTime, Result, Value};
use evercube_engine::{Explanation, Scan, ScanSource};

use crate::call::Call;
use crate::query::QueryAnswer;
use crate::service::Service;
use crate::traces::{Event, EventKind, Traces};

impl Service {
    /// Answers a query and tells the traces of it.
    pub(crate) async fn traced_query<T: Send + 'static>(
        &self,
        call: &Call,
        text: &str,
        parameters: Vec<(String, Value)>,
        write: impl FnOnce(QueryAnswer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let began = Instant::now();
        let base = self.event(call, text);
        self.traces.tell(base.clone());
        let (traces, told) = (std::sync::Arc::clone(&self.traces), base.clone());
        let done = self
            .run(call, text, parameters, move |version, text, context| {
                let (result, how) = evercube_engine::explain(&version.dataset(), text, context)?;
                tell_how(&traces, &told, &how);
                let written = write(QueryAnswer { result, seq: version.seq })?;
                Ok((written, evercube_work::busy()))
            })
            .await;
        let took = began.elapsed();
        self.traces.tell(Event {
            kind: EventKind::QueryEnd,
            end: Some(after(base.start, took)),
            duration_ms: Some(millis(took)),
            cpu_ms: done.as_ref().ok().map(|(_, busy)| millis(*busy)),
            failed: Some(done.is_err()),
            ..base
        });
        done.map(|(written, _)| written)
    }

    fn event(&self, call: &Call, text: &str) -> Event {
        let session = &call.session;
        let name = |n: &Option<String>| n.clone().unwrap_or_default();
        Event {
            start: self.now(),
            database: name(&session.catalog),
            user: session.acting_user().to_owned(),
            application: name(&session.application),
            session_id: name(&call.names.session),
            spid: crate::browse::spid(session.number),
            activity_id: name(&call.names.activity),
            request_id: name(&call.names.request),
            ..Event::new(EventKind::QueryBegin, text)
        }
    }
}

/// Tells the plans and the scans of a query that was answered.
fn tell_how(traces: &Traces, of: &Event, how: &Explanation) {
    let plan = |kind, text: String, took: Duration| Event {
        kind,
        text,
        end: Some(after(of.start, took)),
        duration_ms: Some(0),
        ..of.clone()
    };
    traces.tell(plan(EventKind::LogicalPlan, how.logical.clone(), Duration::ZERO));
    for scan in &how.scans {
        tell_scan(traces, of, scan);
    }
    traces.tell(plan(EventKind::PhysicalPlan, how.physical(), how.time));
}

fn tell_scan(traces: &Traces, of: &Event, scan: &Scan) {
    let start = after(of.start, scan.start);
    let begin = Event { kind: EventKind::ScanBegin, text: scan.text.clone(), start, ..of.clone() };
    if scan.source != ScanSource::Storage {
        traces.tell(Event {
            kind: EventKind::ScanCached,
            end: Some(start),
            duration_ms: Some(0),
            cpu_ms: Some(0),
            ..begin
        });
        return;
    }
    traces.tell(begin.clone());
    let text = format!(
        "{}\n\nEstimated size ( volume, marshalling bytes ) : {}, {}\n",
        scan.text,
        scan.groups,
        scan.groups * 8
    );
    traces.tell(Event {
        kind: EventKind::ScanEnd,
        text,
        end: Some(after(start, scan.time)),
        duration_ms: Some(millis(scan.time)),
        cpu_ms: Some(millis(scan.time)),
        ..begin
    });
}

fn after(start: DateTime, took: Duration) -> DateTime {
    DateTime(start.0 + i64::try_from(took.as_micros()).unwrap_or(i64::MAX / 2))
}

fn millis(took: Duration) -> i64 {
    i64::try_from(took.as_millis()).unwrap_or(i64::MAX)
}
