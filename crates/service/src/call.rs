//! What a request brings along: who, in which session, how fresh the answer must be.

use std::time::Duration;

use evercube_base::{DateTime, Diagnostic};
use tokio::time::Instant;

use crate::session::Session;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadLevel {
    /// Never older than what the session has seen; without a session, as `Strong`.
    #[default]
    Session,
    /// Sees every commit acknowledged before the request was sent.
    Strong,
    /// Not further behind than this, by the age of the last contact with the leader.
    Bounded(Duration),
    /// Whatever this server holds.
    Any,
}

impl ReadLevel {
    /// `strong`, `session`, `any`, `bounded:2s`, `bounded:500ms`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "session" => Self::Session,
            "strong" => Self::Strong,
            "any" => Self::Any,
            t => {
                let bound = t.strip_prefix("bounded:")?;
                let (digits, unit) = match bound.strip_suffix("ms") {
                    Some(d) => (d, 1),
                    None => (bound.strip_suffix('s').unwrap_or(bound), 1000),
                };
                let n: u64 = digits.parse().ok()?;
                Self::Bounded(Duration::from_millis(n.checked_mul(unit)?))
            }
        })
    }
}

/// A version asked for by number or by time instead of the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Seq(u64),
    Time(DateTime),
}

impl At {
    /// Reads a number, or a time: UTC, or with its distance from it as `+01:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(n) = text.parse() {
            return Some(Self::Seq(n));
        }
        let with_zone = || {
            let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
            DateTime::from_unix_micros(time.timestamp_micros())
        };
        DateTime::parse_iso(text).or_else(with_zone).map(Self::Time)
    }
}

/// The surroundings of one request.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The session with the request's own properties laid over it.
    pub session: Session,
    pub read: ReadLevel,
    /// The newest version the session has seen; `None` for a request without a session.
    pub min_seq: Option<u64>,
    pub at: Option<At>,
    /// Makes a repeated write be answered instead of done again.
    pub request_id: Option<String>,
    pub timeout: Option<Duration>,
    /// How long the read may wait here for its version; `None`: as long as any.
    pub patience: Option<Duration>,
    /// When the read is given up that waits for a leader or its version; `None`: it has just begun.
    pub deadline: Option<Instant>,
    /// Whether a gateway asks, which goes to another server where this one is cut off.
    pub is_relayed: bool,
    /// Memory the request may hold, in bytes, where it says so itself.
    pub memory: Option<usize>,
    pub names: CallNames,
}

impl Call {
    /// A read for the server itself, which keeps no roles from it.
    pub(crate) fn of_server(read: ReadLevel) -> Self {
        let session = Session { is_admin: true, ..Session::default() };
        Self { session, read, ..Self::default() }
    }
}

/// How the client names the request, for those who watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallNames {
    pub session: Option<String>,
    pub activity: Option<String>,
    pub request: Option<String>,
}

/// The answer to a write.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteAnswer {
    /// The version that holds the change.
    pub seq: u64,
    pub messages: Vec<Diagnostic>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_levels_are_read() {
        assert_eq!(ReadLevel::parse("Strong"), Some(ReadLevel::Strong));
        let bounded = |ms| Some(ReadLevel::Bounded(Duration::from_millis(ms)));
        assert_eq!(ReadLevel::parse("bounded:2s"), bounded(2000));
        assert_eq!(ReadLevel::parse("bounded:250ms"), bounded(250));
        assert_eq!(ReadLevel::parse("bounded:x"), None);
        assert_eq!(ReadLevel::parse("fast"), None);
    }

    #[test]
    fn times_are_of_utc_or_say_of_which_zone() {
        let time = |text: &str| DateTime::parse_iso(text).map(At::Time);
        let noon = time("2026-01-31T12:00:00");
        for text in
            ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", " 2026-01-31 07:30:00-04:30"]
        {
            assert_eq!(At::parse(text), noon, "{text}");
        }
        assert_eq!(At::parse(" 1042 "), Some(At::Seq(1042)));
        for text in ["", "yesterday", "2026-02-30T00:00:00", "2026-01-31T12:00:00+25:00", "-1"] {
            assert_eq!(At::parse(text), None, "{text}");
        }
    }
}
