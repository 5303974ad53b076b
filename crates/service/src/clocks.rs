//! Whether the servers' clocks go alike. Nothing acknowledged depends on them, but schedules, tokens and
//! certificates do, and the times that versions are told by.

use crate::status::ServerStatus;

/// How far a clock may be from the others'. Asking takes less than a second of it.
const ASTRAY_MS: i64 = 5000;

/// A server whose clock is not that of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Astray {
    pub server: String,
    /// How far, of which server's clock, which is the middle one of all.
    pub words: String,
}

/// The servers whose clocks are far from the middle one: that is right as long as most are.
pub fn astray(servers: &[ServerStatus]) -> Vec<Astray> {
    let told = servers.iter().filter_map(|s| Some((s.clock_ahead_ms?, s.name.as_str())));
    let mut by_clock: Vec<(i64, &str)> = told.collect();
    by_clock.sort_unstable();
    let Some(&(middle, of)) = by_clock.get(by_clock.len().saturating_sub(1) / 2) else {
        return Vec::new();
    };
    let far = by_clock.into_iter().map(|(ahead, name)| (ahead - middle, name));
    let far = far.filter(|(off, _)| off.abs() > ASTRAY_MS);
    far.map(|(off, server)| {
        let side = if off > 0 { "ahead of" } else { "behind" };
        let seconds = (off.abs() + 500) / 1000;
        let words = format!("the clock of server {server} is {seconds} s {side} that of {of}");
        Astray { server: server.to_owned(), words }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_astray_that_is_far_from_most() {
        let found = |clocks: &[(&str, Option<i64>)]| {
            let server = |(name, clock_ahead_ms): &(&str, Option<i64>)| ServerStatus {
                name: (*name).into(),
                clock_ahead_ms: *clock_ahead_ms,
                ..ServerStatus::default()
            };
            let servers: Vec<ServerStatus> = clocks.iter().map(server).collect();
            astray(&servers).into_iter().map(|a| a.words).collect::<Vec<_>>()
        };
        assert_eq!(found(&[]), [""; 0]);
        assert_eq!(found(&[("a", Some(0)), ("b", Some(4900)), ("c", None)]), [""; 0]);
        let ahead = ["the clock of server b is 7 s ahead of that of a"];
        assert_eq!(found(&[("a", Some(0)), ("b", Some(7200))]), ahead);
        assert_eq!(found(&[("a", Some(0)), ("b", Some(7200)), ("c", Some(-300))]), ahead);
        // Who asks is the one that is wrong.
        let me = ["the clock of server a is 60 s behind that of c"];
        assert_eq!(found(&[("a", Some(0)), ("b", Some(60_300)), ("c", Some(60_100))]), me);
    }
}
