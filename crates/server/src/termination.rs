//! The signals that end a process in order: SIGTERM, and SIGINT as by Ctrl-C.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, Outcome};

/// Listens from when it is made: a signal that comes while something else is waited for is there
/// when it is asked for.
pub struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    /// # Errors
    /// `Refused` where the system lets no signal through.
    pub fn listen() -> Outcome<Self> {
        let of = |kind| {
            signal(kind).map_err(|e| Failure::Refused(format!("cannot listen for signals: {e}")))
        };
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    pub async fn comes(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
