//! What the audit log tells of a request: its kind and the names in it, never what may be secret.

use std::net::IpAddr;
use std::sync::Arc;

use evercube_base::ErrorKind;
use evercube_service::audit::{Event, Queries, Stream};
use evercube_service::auth::Identity;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::answer::Answer;
use super::asked::{Asked, RELAYED, REQUEST_ID};
use super::rest::{Route, route};
use super::schedules::SchedulesRoute;
use super::{ServerState, Task, access, credentials, group, refreshes};

/// Between members: how a forwarded request ended, where its answer does not tell.
pub const FAILED: HeaderName = HeaderName::from_static("x-evercube-failed");
/// For whom a gateway asks.
pub const FORWARDED_FOR: &str = "x-forwarded-for";

/// Parts of a request's body that are names.
const NAMES: [&str; 18] = [
    "name",
    "user",
    "target",
    "source",
    "database",
    "table",
    "partition",
    "to",
    "server",
    "kill",
    "kind",
    "policy",
    "version",
    "at",
    "first",
    "last",
    "type",
    "path",
];

/// A request that is going to be answered.
pub struct Noted {
    event: Event,
    began: Instant,
    /// Told only when it is refused: it changes and shows nothing of note.
    plain: bool,
}

impl Noted {
    pub fn of(
        state: &ServerState,
        asked: &Asked,
        task: &Task,
        by: &Identity,
        from: Option<IpAddr>,
    ) -> Self {
        let with_text = state.service.audit.queries == Queries::Text;
        let (event, plain) = match task {
            Task::Rest => of_rest(asked, with_text),
            Task::Refreshes(route) => refreshes::noted(route),
            Task::Xmla(message) => message.noted(&state.service, with_text),
        };
        let event = Event {
            time: state.service.now(),
            user: by.user.clone(),
            request: asked.header(REQUEST_ID).map(str::to_owned),
            ..event
        };
        Self { event: placed(event, asked, from), began: Instant::now(), plain }
    }

    /// Tells how it ended.
    pub fn end(mut self, state: &Arc<ServerState>, answer: &Answer) {
        self.event.failed = answer.extensions().get::<ErrorKind>().copied();
        self.event.took = Some(self.began.elapsed());
        match self.event.failed {
            // A refusal is never among what many queries push out.
            Some(ErrorKind::Denied) => self.event.stream = Stream::Changes,
            _ if self.plain => return,
            _ => {}
        }
        state.service.audit.tell(self.event);
    }
}

/// What the last proxy says it saw; those before it may say anything.
fn forwarded_for(headers: &HeaderMap) -> Option<&str> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back();
    last.and_then(|v| v.to_str().ok()).and_then(|v| v.rsplit(',').next()).map(str::trim)
}

/// The client for whom a gateway of the group asks. A client that says so itself is only looked at
/// once more.
pub fn behind_gateway(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get(RELAYED)?;
    forwarded_for(headers)?.parse().ok()
}

/// Whether somebody stands between the client and this server, and says so.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    let said = [RELAYED, FORWARDED_FOR, "forwarded"];
    said.into_iter().any(|name| headers.contains_key(name))
}

/// An event with where its request came from.
fn placed(event: Event, asked: &Asked, from: Option<IpAddr>) -> Event {
    let forwarded = forwarded_for(&asked.headers);
    Event {
        from: from.map(|a| a.to_canonical().to_string()).unwrap_or_default(),
        forwarded_for: forwarded.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()),
        ..event
    }
}

/// A sign-in, or its refusal.
pub fn signed_in(
    state: &ServerState,
    asked: &Asked,
    from: Option<IpAddr>,
    user: &str,
    how: &str,
    failed: Option<ErrorKind>,
) {
    let event = Event {
        time: state.service.now(),
        action: "sign-in".into(),
        user: user.to_owned(),
        object: Some(how.to_owned()),
        failed,
        ..Event::default()
    };
    state.service.audit.tell_sign_in(placed(event, asked, from));
}

/// A client the firewall does not let in.
pub fn kept_out(state: &ServerState, from: IpAddr) {
    state.service.audit.tell_sign_in(Event {
        time: state.service.now(),
        action: "firewall".into(),
        from: from.to_canonical().to_string(),
        failed: Some(ErrorKind::Denied),
        ..Event::default()
    });
}

fn of_rest(asked: &Asked, with_text: bool) -> (Event, bool) {
    let Some(route) = route(asked) else { return (event("unknown", None), true) };
    let mut of = told(&route);
    if !matches!(route, Route::Deploy)
        && let Ok(body) = serde_json::from_slice::<Json>(&asked.body)
    {
        let names = NAMES.iter().filter_map(|name| match &body[*name] {
            Json::String(text) => Some(format!("{name}={}", without_secret(text))),
            Json::Number(number) => Some(format!("{name}={number}")),
            _ => None,
        });
        let names: Vec<String> = of.object.take().into_iter().chain(names).collect();
        of.object = (!names.is_empty()).then(|| names.join(" "));
        if with_text {
            of.text = body["query"].as_str().map(str::to_owned);
        }
    }
    if matches!(route, Route::Deploy) {
        of.database = asked.parameter("database").or_else(|| asked.parameter("stem"));
    }
    (of, is_plain(&route))
}

pub(super) fn event(action: &str, database: Option<&str>) -> Event {
    let database = database.filter(|d| !d.is_empty()).map(str::to_owned);
    Event { action: action.to_owned(), database, ..Event::default() }
}

fn told(route: &Route) -> Event {
    let of = |action: &str, database: &String| event(action, Some(database));
    let named =
        |action: &str, name: &str| Event { object: Some(name.to_owned()), ..event(action, None) };
    match route {
        Route::Status => event("status", None),
        Route::OpenApi => event("openapi", None),
        Route::Deploy => event("deploy", None),
        Route::Operation(id) => named("operation", id),
        Route::Cancel(id) => named("cancel", id),
        Route::ClearCache => event("clear cache", None),
        Route::Drop(database) => of("drop database", database),
        Route::Refresh(database) => of("refresh", database),
        Route::Query(database) => Event { stream: Stream::Queries, ..of("query", database) },
        Route::Explain(database) => Event { stream: Stream::Queries, ..of("explain", database) },
        Route::Verify(database) => of("verify", database),
        Route::Backup(database) => of("backup", database),
        Route::Backups(operation) => named("backups", &format!("{operation:?}").to_lowercase()),
        Route::Versions(database) => of("versions", database),
        Route::Rollback(database) => of("rollback", database),
        Route::Restore => event("restore", None),
        Route::Audit => event("audit verify", None),
        Route::Schedules(route) => match route {
            SchedulesRoute::List => event("schedules", None),
            SchedulesRoute::Add => event("put schedule", None),
            SchedulesRoute::Runs(name) => named("schedule runs", name),
            SchedulesRoute::Run(name) => named("run schedule", name),
            SchedulesRoute::Remove(name) => named("remove schedule", name),
        },
        Route::Credentials(verb) => match verb {
            credentials::Verb::List => event("list credentials", None),
            credentials::Verb::Add => event("put credential", None),
            credentials::Verb::Remove => event("remove credential", None),
        },
        Route::Group(operation) => of_group(operation),
        Route::Access(kind, verb) => of_named(&format!("{kind:?}"), verb),
        Route::Shared(kind, verb) => of_named(&format!("{kind:?}"), verb),
    }
}

/// Of things that have names.
fn of_named(kind: &str, verb: &access::Verb) -> Event {
    let kind = kind.to_lowercase();
    match verb {
        access::Verb::List => event(&format!("list {kind}s"), None),
        access::Verb::Add => event(&format!("put {kind}"), None),
        access::Verb::Remove(name) => {
            Event { object: Some(name.clone()), ..event(&format!("remove {kind}"), None) }
        }
    }
}

fn of_group(operation: &group::Operation) -> Event {
    use group::Operation;
    match operation {
        Operation::Failover => event("failover", None),
        Operation::Failback => event("failback", None),
        Operation::Drain => event("drain", None),
        Operation::Drill => event("drill", None),
        Operation::Members => event("members", None),
        Operation::AddMember => event("add member", None),
        Operation::RemoveMember(name) => {
            Event { object: Some(name.clone()), ..event("remove member", None) }
        }
        Operation::Policy(database) => event("policy", Some(database)),
        Operation::RotateEncryption => event("rotate encryption", None),
        Operation::SyncMode(database) => event("sync mode", Some(database)),
        Operation::Parallel(database) => event("parallel", Some(database)),
        Operation::Follow(database) => event("follow", Some(database)),
        Operation::PromoteStandby(database) => event("promote", Some(database)),
        Operation::Promote => event("promote", None),
        Operation::RotateAuthority => event("rotate authority", None),
    }
}

/// What scripts ask all the time to see how things are.
fn is_plain(route: &Route) -> bool {
    matches!(
        route,
        Route::Status
            | Route::OpenApi
            | Route::Operation(_)
            | Route::Versions(_)
            | Route::Group(group::Operation::Members)
            | Route::Schedules(SchedulesRoute::List | SchedulesRoute::Runs(_))
    )
}

/// A place without what may be a key: user information and what stands after `?`.
pub(super) fn without_secret(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(h, p)| (h, Some(p)));
            let host = host.rsplit('@').next().unwrap_or_default();
            let path = path.map(|p| format!("/{p}")).unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => text.to_owned(),
    }
}

/// Tells the member that forwarded a request how it ended.
pub fn mark(answer: &mut Answer) {
    let kind = answer.extensions().get::<ErrorKind>().map(|kind| format!("{kind:?}"));
    if let Some(value) = kind.and_then(|k| HeaderValue::from_str(&k).ok()) {
        answer.headers_mut().insert(FAILED, value);
    }
}

/// Takes over what [`mark`] told.
pub fn take_mark(answer: &mut Answer) {
    let Some(value) = answer.headers_mut().remove(FAILED) else { return };
    let kind = value.to_str().map(|v| serde_json::from_value(Json::String(v.to_owned())));
    if let Ok(Ok(kind)) = kind {
        answer.extensions_mut().insert::<ErrorKind>(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_without_their_keys() {
        for (text, told) in [
            ("az://c/p?sig=abc", "az://c/p"),
            ("s3://key:secret@bucket/a@b", "s3://bucket/a@b"),
            ("file:/backups/x.abf", "file:/backups/x.abf"),
            ("Shop", "Shop"),
        ] {
            assert_eq!(without_secret(text), told);
        }
    }

    #[test]
    fn how_a_request_ended_goes_from_member_to_member() {
        let mut answer = super::super::answer::failed(&evercube_base::Error::not_found("x"));
        mark(&mut answer);
        answer.extensions_mut().clear();
        take_mark(&mut answer);
        assert_eq!(answer.extensions().get(), Some(&ErrorKind::NotFound));
        assert!(!answer.headers().contains_key(FAILED));
    }
}
