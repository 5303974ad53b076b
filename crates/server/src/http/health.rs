//! Health for balancers and figures for monitoring; neither needs a login.

use std::fmt::Write as _;
use std::sync::Arc;

use http::StatusCode;

use super::ServerState;
use super::answer::{Answer, answer};
use super::asked::Asked;

const TEXT: &str = "text/plain; charset=utf-8";

pub fn is_endpoint(asked: &Asked) -> bool {
    matches!(asked.path.as_str(), "/health/live" | "/health/ready" | "/metrics")
}

pub fn run(state: &Arc<ServerState>, asked: &Asked) -> Answer {
    match asked.path.as_str() {
        "/health/ready" if !state.service.is_ready() => {
            let text = format!("{}\n", state.service.own_status().state);
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
        }
        "/metrics" => answer(StatusCode::OK, TEXT, metrics(state)),
        _ => answer(StatusCode::OK, TEXT, "ok\n"),
    }
}

/// Figures in the text format of Prometheus.
fn metrics(state: &Arc<ServerState>) -> String {
    let status = state.service.own_status();
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, rows: &[(String, u64)]| {
        let _ = writeln!(out, "# HELP evercube_{name} {help}\n# TYPE evercube_{name} gauge");
        for (labels, value) in rows {
            let _ = writeln!(out, "evercube_{name}{labels} {value}");
        }
    };
    let one = |value| [(String::new(), value)];
    gauge("ready", "Whether the server serves queries.", &one(u64::from(state.service.is_ready())));
    gauge("applied_seq", "The newest applied change.", &one(status.applied_seq.unwrap_or(0)));
    gauge(
        "last_contact_ms",
        "Age of the last contact with a majority.",
        &one(status.last_contact_ms.unwrap_or(u64::MAX)),
    );
    let of = |value: fn(&evercube_service::status::DatabaseStatus) -> u64| {
        let row = |d: &evercube_service::status::DatabaseStatus| {
            let name = d.name.replace('\\', "\\\\").replace('"', "\\\"");
            (format!("{{database=\"{name}\"}}"), value(d))
        };
        status.databases.iter().map(row).collect::<Vec<_>>()
    };
    gauge("database_version", "The version served.", &of(|d| d.version.unwrap_or(0)));
    gauge("database_lag_ms", "Time behind the newest version.", &of(|d| d.lag_ms.unwrap_or(0)));
    out
}
