//! Sign-ins that failed: after too many of them nobody is let try again for a while.
//!
//! One caller (a name from an address) has few tries; an address and a name altogether have more,
//! so that one client behind a gateway does not keep the others out, and guessing one name from many
//! addresses ends too. Who signed in from an address of late is not kept out by what others try.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures count for this long, and keep out for this long.
const WINDOW: Duration = Duration::from_secs(300);
const OF_CALLER: u32 = 10;
const OF_NAME: u32 = 50;
const OF_ADDRESS: u32 = 200;
/// How long a good sign-in is remembered.
const KNOWN: Duration = Duration::from_secs(24 * 3600);
const REMEMBERED: usize = 50_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Caller(String, IpAddr),
    Name(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

#[derive(Debug, Default)]
struct Seen {
    failures: HashMap<Key, Failures>,
    known: HashMap<(String, IpAddr), Instant>,
}

#[derive(Debug, Default)]
pub struct Attempts(Mutex<Seen>);

/// Somebody has as many addresses of version 6 as they like within their network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

impl Attempts {
    /// How long this caller has to wait; `None`: may try now.
    pub fn wait(&self, user: &str, from: IpAddr, now: Instant) -> Option<Duration> {
        let (user, from) = (user.to_lowercase(), network(from));
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |key: &Key, limit: u32| {
            let of = seen.failures.get(key).filter(|f| f.count >= limit)?;
            WINDOW.checked_sub(now.saturating_duration_since(of.since)).filter(|d| !d.is_zero())
        };
        if let Some(wait) = left(&Key::Caller(user.clone(), from), OF_CALLER) {
            return Some(wait);
        }
        let known = seen.known.get(&(user.clone(), from));
        if known.is_some_and(|at| now.saturating_duration_since(*at) < KNOWN) {
            return None;
        }
        left(&Key::Name(user), OF_NAME).or_else(|| left(&Key::Address(from), OF_ADDRESS))
    }

    pub fn failed(&self, user: &str, from: IpAddr, now: Instant) {
        let (user, from) = (user.to_lowercase(), network(from));
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.failures.len() >= REMEMBERED {
            seen.failures.retain(|_, f| now.saturating_duration_since(f.since) < WINDOW);
        }
        if seen.failures.len() >= REMEMBERED {
            seen.failures.clear();
        }
        for key in [Key::Caller(user.clone(), from), Key::Name(user), Key::Address(from)] {
            let of = seen.failures.entry(key).or_insert(Failures { since: now, count: 0 });
            if now.saturating_duration_since(of.since) >= WINDOW {
                *of = Failures { since: now, count: 0 };
            }
            of.count += 1;
        }
    }

    pub fn succeeded(&self, user: &str, from: IpAddr, now: Instant) {
        let (user, from) = (user.to_lowercase(), network(from));
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.failures.remove(&Key::Caller(user.clone(), from));
        if seen.known.len() >= REMEMBERED {
            seen.known.clear();
        }
        seen.known.insert((user, from), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn a_caller_who_guesses_waits_and_others_do_not() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..OF_CALLER {
            assert_eq!(attempts.wait("ann", address(1), now), None);
            attempts.failed("Ann", address(1), now);
        }
        assert_eq!(attempts.wait("ann", address(1), now), Some(WINDOW));
        assert_eq!(attempts.wait("ann", address(2), now), None);
        assert_eq!(attempts.wait("bob", address(1), now), None);
        assert_eq!(attempts.wait("ann", address(1), now + WINDOW), None);
        // Within one network of version 6, addresses are one.
        let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        for n in 0..10 {
            attempts.failed("joe", v6(n), now);
        }
        assert!(attempts.wait("joe", v6(99), now).is_some());
    }

    #[test]
    fn a_name_guessed_from_many_addresses_is_kept_for_those_who_know_it() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        attempts.succeeded("ann", address(200), now);
        for n in 0..10 {
            for _ in 0..5 {
                attempts.failed("ann", address(n), now);
            }
        }
        assert!(attempts.wait("ann", address(100), now).is_some());
        assert_eq!(attempts.wait("ann", address(200), now), None);
    }

    #[test]
    fn many_names_guessed_from_one_address_end() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..OF_ADDRESS {
            attempts.failed(&format!("user{n}"), address(1), now);
        }
        assert!(attempts.wait("somebody", address(1), now).is_some());
        assert_eq!(attempts.wait("somebody", address(2), now), None);
    }
}
