//! Traces over XMLA: made and removed as objects, listened to by a rowset without end.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use evercube_base::{Error, Result, Rowset, RowsetColumn};
use evercube_service::call::WriteAnswer;
use evercube_service::traces::{Subscription, TraceDefinition};
use evercube_xmla::{Kind, ObjectVerb, Response, Results};
use tokio::sync::mpsc;

use super::{Opened, ServerState};
use crate::http::answer::{Answer, streamed};

/// Pieces of a subscription's answer that wait for the client.
const PIECES: usize = 16;

/// The id of the trace an object command or a `Subscribe` names.
pub(super) fn named(fields: &[(String, String)]) -> Option<&str> {
    let id = fields.iter().find(|(path, _)| path == "Object/TraceID" || path == "Trace/ID");
    id.map(|(_, id)| id.trim())
}

/// Reads the definition of a trace from the leaves of its document.
pub(super) fn definition(fields: &[(String, String)]) -> Result<TraceDefinition> {
    let mut out = TraceDefinition::default();
    let number = |text: &str| {
        let read = text.trim().parse::<i64>();
        read.map_err(|_| {
            Error::invalid(format!("'{text}' is no number of a trace's event or column"))
        })
    };
    let mut event: Option<i64> = None;
    let mut column = None;
    for (path, value) in fields {
        match path.as_str() {
            "Trace/ID" => value.trim().clone_into(&mut out.id),
            "Trace/Name" => value.trim().clone_into(&mut out.name),
            "Trace/Events/Event/EventID" => {
                event = Some(number(value)?);
                out.events.entry(number(value)?).or_insert_with(BTreeSet::new);
            }
            "Trace/Events/Event/Columns/ColumnID" => {
                let of = event.ok_or_else(|| Error::invalid("a trace's columns have no event"))?;
                out.events.entry(of).or_default().insert(number(value)?);
            }
            other => {
                let Some(filter) = other.strip_prefix("Trace/Filter/") else { continue };
                out.filter.any |= filter.starts_with("Or/");
                let test = filter.trim_start_matches("Or/").trim_start_matches("And/");
                match test {
                    "Equal/ColumnID" => column = Some(number(value)?),
                    "Equal/Value" => {
                        out.filter.equal.extend(column.take().map(|c| (c, value.clone())));
                    }
                    _ => {
                        return Err(Error::unsupported(format!(
                            "A trace is filtered by Equal, alone or under one And or Or, not by {test}."
                        )));
                    }
                }
            }
        }
    }
    if out.id.is_empty() {
        return Err(Error::invalid("A trace needs an ID."));
    }
    Ok(out)
}

/// Makes, changes or removes a trace.
pub(super) fn change(
    state: &ServerState,
    opened: &Opened,
    verb: ObjectVerb,
    fields: &[(String, String)],
) -> Result<WriteAnswer> {
    let (traces, by) = (&state.service.traces, &opened.call.session);
    match verb {
        ObjectVerb::Create | ObjectVerb::Alter => {
            traces.put(by, definition(fields)?, state.service.now())?;
        }
        _ => traces.remove(by, named(fields).unwrap_or_default())?,
    }
    Ok(WriteAnswer::default())
}

/// Answers with the events of a trace as they come, until it is removed or the client goes.
pub(super) fn subscribe(
    state: &Arc<ServerState>,
    opened: &Opened,
    fields: &[(String, String)],
) -> Result<Answer> {
    let id = named(fields).ok_or_else(|| {
        Error::unsupported("Subscribe needs the ID of a trace; there is no session trace.")
    })?;
    let subscription = state.service.traces.subscribe(&opened.call.session, id)?;
    let (pieces, body) = mpsc::channel(PIECES);
    let may_listen = while_administrator(state, &opened.call.session.user);
    tokio::spawn(stream(subscription, opened.id.clone(), pieces, may_listen));
    Ok(streamed("text/xml", body))
}

/// A comment as long as the buffer that clients fill before they look at what they have: without it
/// they would see an event only when the next ones come.
fn padding() -> String {
    format!("<!--{:8192}-->", "")
}

/// How long somebody is listened for whom only a token of an issuer vouches: about as long as one is
/// good. Who still has the right subscribes again.
const BY_TOKEN: Duration = Duration::from_secs(3600);

/// Whether a user of the group who administers now still does. Of others only their own tokens
/// tell, with each request.
fn while_administrator(state: &Arc<ServerState>, user: &str) -> impl Fn() -> bool + Send + 'static {
    let (state, user) = (Arc::clone(state), user.to_lowercase());
    let anybody = state.service.config.no_auth;
    let administers = move || {
        let known = state.service.metastore.state();
        known.users.get(&user).is_some_and(|u| u.admin)
    };
    may_listen(anybody, administers, Instant::now() + BY_TOKEN, Instant::now)
}

fn may_listen(
    anybody: bool,
    administers: impl Fn() -> bool,
    until: Instant,
    now: impl Fn() -> Instant,
) -> impl Fn() -> bool {
    let did = administers();
    move || anybody || if did { administers() } else { now() < until }
}

async fn stream(
    mut subscription: Subscription,
    session: Option<String>,
    pieces: mpsc::Sender<io::Result<Bytes>>,
    may_listen: impl Fn() -> bool,
) {
    let columns = subscription.columns.iter().map(|c| RowsetColumn::new(c.name, c.kind)).collect();
    let rowset = Rowset::new("Trace", columns);
    let mut out = Response::new(Vec::new(), Kind::Execute, session.as_deref(), Results::Single);
    let mut send = out.begin_rowset(&rowset).map(|()| out.take_written());
    loop {
        let piece = send.map(Bytes::from);
        let failed = piece.is_err();
        if pieces.send(piece).await.is_err() || failed {
            return;
        }
        let next = tokio::select! {
            next = subscription.next() => next,
            () = pieces.closed() => return,
        };
        let Some(row) = next.filter(|_| may_listen()) else { break };
        let written = out.row(&row).and_then(|()| out.raw_root(&padding()));
        send = written.map(|()| out.take_written());
    }
    if let Ok(rest) = out.finish() {
        let _gone = pieces.send(Ok(rest.into())).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};

    use evercube_service::session::Session;
    use evercube_service::traces::{Event, EventKind, Filter, Traces};

    use super::*;

    #[tokio::test]
    async fn every_event_reaches_the_client_at_once() {
        let traces = Traces::default();
        let admin = Session { is_admin: true, ..Session::default() };
        let events = BTreeMap::from([(9, BTreeSet::from([0, 42]))]);
        let definition = TraceDefinition { id: "t".into(), events, ..TraceDefinition::default() };
        traces.put(&admin, definition, evercube_base::DateTime::default()).unwrap();
        let subscription = traces.subscribe(&admin, "t").unwrap();
        let (pieces, mut body) = mpsc::channel(PIECES);
        let listens = Arc::new(AtomicBool::new(true));
        let may = Arc::clone(&listens);
        tokio::spawn(stream(subscription, None, pieces, move || may.load(Ordering::Relaxed)));
        let schema = body.recv().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&schema).contains("EventClass"));
        traces.tell(Event::new(EventKind::QueryBegin, "EVALUATE T"));
        let event = body.recv().await.unwrap().unwrap();
        let row = "<row><EventClass>9</EventClass><TextData>EVALUATE T</TextData></row>";
        assert!(event.starts_with(row.as_bytes()), "{}", String::from_utf8_lossy(&event));
        assert!(event.len() > 8192);
        // Who loses the right hears no more.
        listens.store(false, Ordering::Relaxed);
        traces.tell(Event::new(EventKind::QueryBegin, "EVALUATE Secret"));
        let end = body.recv().await.unwrap().unwrap();
        assert!(end.ends_with(b"</soap:Envelope>"));
    }

    #[test]
    fn nobody_listens_longer_than_somebody_vouches_for_them() {
        let begin = Instant::now();
        let (until, later) = (begin + BY_TOKEN, move || begin + BY_TOKEN);
        let is_user = std::cell::Cell::new(true);
        let by_group = may_listen(false, || is_user.get(), until, later);
        assert!(by_group());
        is_user.set(false);
        assert!(!by_group());
        assert!(may_listen(false, || false, until, move || begin)());
        assert!(!may_listen(false, || false, until, later)());
        assert!(may_listen(true, || false, until, later)());
    }

    #[test]
    fn a_definition_is_read_from_its_leaves() {
        let fields = [
            ("Object/TraceID", "t"),
            ("Trace/ID", "t"),
            ("Trace/Name", "Mine"),
            ("Trace/Events/Event/EventID", "9"),
            ("Trace/Events/Event/Columns/ColumnID", "0"),
            ("Trace/Events/Event/Columns/ColumnID", "42"),
            ("Trace/Events/Event/EventID", "10"),
            ("Trace/Events/Event/Columns/ColumnID", "5"),
            ("Trace/Filter/Or/Equal/ColumnID", "39"),
            ("Trace/Filter/Or/Equal/Value", "s"),
        ];
        let fields: Vec<(String, String)> =
            fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let read = definition(&fields).unwrap();
        let events = BTreeMap::from([(9, BTreeSet::from([0, 42])), (10, BTreeSet::from([5]))]);
        assert_eq!((read.id.as_str(), read.name.as_str(), read.events), ("t", "Mine", events));
        assert_eq!(read.filter, Filter { equal: vec![(39, "s".into())], any: true });
        let like = [
            ("Trace/ID".to_owned(), "t".into()),
            ("Trace/Filter/Like/ColumnID".to_owned(), "1".into()),
        ];
        assert!(definition(&like).is_err());
    }
}
