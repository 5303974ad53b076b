//! Health for balancers, and figures for monitoring, which need a login from another machine only.

use std::fmt::Write as _;
use std::sync::Arc;

use evercube_service::status::DatabaseStatus;
use http::{HeaderValue, StatusCode};

use super::answer::{Answer, answer};
use super::asked::Asked;
use super::{ServerState, metrics};

/// On the answer of a server that takes writes.
pub const WRITES: &str = "x-evercube-writes";

/// On the answer whether a server is ready: the group it belongs to, and its history in it.
pub const GROUP: &str = "x-evercube-group";

const TEXT: &str = "text/plain; charset=utf-8";

pub fn is_endpoint(asked: &Asked) -> bool {
    matches!(asked.path.as_str(), "/health/live" | "/health/ready" | "/metrics")
}

/// Whether the answer names databases.
pub fn tells_names(asked: &Asked) -> bool {
    asked.path == "/metrics"
}

/// `names`: whether the caller may read the names of databases.
pub fn run(state: &Arc<ServerState>, asked: &Asked, names: bool) -> Answer {
    let mut answer = by_path(state, asked, names);
    if asked.path == "/health/ready" {
        if state.service.is_writer() {
            answer.headers_mut().insert(WRITES, HeaderValue::from_static("1"));
        }
        let group = state.service.metastore.state();
        let named = format!("{}/{}", group.cluster_id, group.history());
        if let Ok(named) = HeaderValue::from_str(&named) {
            answer.headers_mut().insert(GROUP, named);
        }
    }
    answer
}

fn by_path(state: &Arc<ServerState>, asked: &Asked, names: bool) -> Answer {
    match asked.path.as_str() {
        "/health/ready" if !state.service.is_ready() => {
            let text = format!("{}\n", state.service.own_status().state);
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
        }
        "/metrics" => answer(StatusCode::OK, TEXT, metrics(state, names)),
        _ => answer(StatusCode::OK, TEXT, "ok\n"),
    }
}

/// Whether the labels of a figure may hold the name of a database.
fn has_names(labels: &str) -> bool {
    ["database=\"", "schedule=\"", "what=\""].iter().any(|label| labels.contains(label))
}

/// Figures in the text format of Prometheus.
fn metrics(state: &Arc<ServerState>, names: bool) -> String {
    let service = &state.service;
    let status = service.own_status();
    let raft = service.metastore.status();
    let group = service.metastore.state();
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, rows: &[(String, u64)]| {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ = writeln!(out, "# HELP evercube_{name} {help}\n# TYPE evercube_{name} {kind}");
        for (labels, value) in rows.iter().filter(|(labels, _)| names || !has_names(labels)) {
            let _ = writeln!(out, "evercube_{name}{labels} {value}");
        }
    };
    let one = |value| [(String::new(), value)];
    let is = |what: bool| [(String::new(), u64::from(what))];
    gauge("ready", "Whether the server serves queries.", &is(service.is_ready()));
    gauge("draining", "Whether the server is being emptied.", &is(service.is_draining()));
    gauge("applied_seq", "The newest applied change.", &one(status.applied_seq.unwrap_or(0)));
    gauge(
        "last_contact_ms",
        "Age of the last contact with a majority; the largest number for none yet.",
        &one(status.last_contact_ms.unwrap_or(u64::MAX)),
    );
    let clock = u64::try_from(service.now().unix_micros() / 1_000_000).unwrap_or(0);
    gauge("clock_seconds", "The server's clock, seconds since 1970.", &one(clock));
    gauge("has_leader", "Whether the server knows a leader.", &is(raft.leader.is_some()));
    gauge("leader", "Whether the server leads the group.", &is(raft.leader == Some(raft.me)));
    let refused = raft.refused.is_some();
    gauge("refused", "Whether other members refuse this server.", &is(refused));
    gauge("members", "Members of the group.", &one(group.members.len() as u64));
    let heartbeat = u64::try_from(raft.timing.heartbeat().as_millis()).unwrap_or(0);
    gauge("heartbeat_ms", "Time between heartbeats of the leader.", &one(heartbeat));
    let degraded: Vec<_> =
        group.degraded.iter().map(|d| (format!("{{domain=\"{}\"}}", label(d)), 1)).collect();
    gauge("degraded", "Failure domains the group goes on without.", &degraded);
    let files = &status.files;
    let refuses = files.refuses.is_some();
    gauge("disk_refuses", "Whether the disk takes no files.", &is(refuses));
    gauge("files_damaged", "Files that are damaged now.", &one(files.open.len() as u64));
    gauge("files_damaged_total", "Files found damaged since the start.", &one(files.found));
    gauge("files_healed_total", "Damaged files that were written again.", &one(files.healed));
    gauge("files_checked", "Files of the last whole look.", &one(files.checked));
    let troubles = service.watched.troubles();
    let troubles: Vec<_> = troubles
        .iter()
        .map(|(kind, what)| (format!("{{kind=\"{kind}\",what=\"{}\"}}", label(what)), 1))
        .collect();
    gauge("trouble", "What the leader finds wrong; none on the others.", &troubles);
    let now_micros = service.now().unix_micros();
    let logs = metrics::of_logs(service, now_micros);
    for (name, help, rows) in metrics::of_schedules(&group, now_micros).into_iter().chain([logs]) {
        gauge(name, help, &rows);
    }
    let ends = status.certificates.terms().map(|(what, term)| {
        let until = u64::try_from(term.until_unix).unwrap_or(0);
        (format!("{{certificate=\"{what}\"}}"), until)
    });
    gauge(
        "certificate_expires_seconds",
        "When a certificate ends, seconds since 1970.",
        &ends.collect::<Vec<_>>(),
    );
    let agreement = &status.agreement;
    gauge(
        "diverged",
        "Whether this server's metadata differs from the others'.",
        &is(!agreement.diverged.is_empty()),
    );
    gauge(
        "divergences_total",
        "Differences of the metadata since the start.",
        &one(agreement.times),
    );
    gauge(
        "agreed_seq",
        "The newest change at which the metadata was found the same.",
        &one(agreement.agreed_seq.unwrap_or(0)),
    );
    let of = |value: fn(&DatabaseStatus) -> u64| {
        let row = |d: &DatabaseStatus| (format!("{{database=\"{}\"}}", label(&d.name)), value(d));
        status.databases.iter().map(row).collect::<Vec<_>>()
    };
    gauge("database_version", "The version served.", &of(|d| d.version.unwrap_or(0)));
    gauge("database_ready", "Whether the newest version is served.", &of(|d| u64::from(d.ready)));
    gauge("database_lag_ms", "Time behind the newest version.", &of(|d| d.lag_ms.unwrap_or(0)));
    gauge("database_primary", "Whether the server takes writes.", &of(|d| u64::from(d.primary)));
    out
}

/// Text as the value of a label.
pub(super) fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
