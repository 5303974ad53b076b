//! How many connections clients may hold, all together and from one address.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use evercube_service::config::ServerLimits;

/// What clients may hold open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    pub all: usize,
    pub of_address: usize,
}

impl From<ServerLimits> for ConnectionLimits {
    fn from(limits: ServerLimits) -> Self {
        Self { all: limits.connections, of_address: limits.connections_per_address }
    }
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// What says how many there may be, whenever another one comes.
type Limits = dyn Fn() -> ConnectionLimits + Send + Sync;

/// The connections that are open.
#[derive(Clone)]
pub struct Connections {
    limits: Arc<Limits>,
    open: Arc<Mutex<Open>>,
}

/// One connection, for as long as it lives.
#[derive(Debug)]
pub struct Place {
    open: Arc<Mutex<Open>>,
    address: IpAddr,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Connections {
    /// `limits` is asked for every connection that comes; those that are open stay.
    pub fn new(limits: impl Fn() -> ConnectionLimits + Send + Sync + 'static) -> Self {
        Self { limits: Arc::new(limits), open: Arc::default() }
    }

    /// A place for one more, unless there are too many.
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let limits = (self.limits)();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= limits.all || of_address >= limits.of_address {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, of_address + 1);
        Some(Place { open: Arc::clone(&self.open), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(n) = open.by_address.get_mut(&self.address) {
            *n -= 1;
            if *n == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let connections = Connections::new(|| ConnectionLimits { all: 3, of_address: 2 });
        let address = |n| IpAddr::from([10, 0, 0, n]);
        let first = connections.enter(address(1));
        let second = connections.enter(address(1));
        assert!(first.is_some() && second.is_some());
        assert!(connections.enter(address(1)).is_none());
        let third = connections.enter(address(2));
        assert!(third.is_some() && connections.enter(address(3)).is_none());
        drop(first);
        assert!(connections.enter(address(1)).is_some());
    }
}
