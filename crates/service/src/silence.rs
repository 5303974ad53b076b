//! Whether a member is still there, while something long is asked of it: an answer that takes its
//! time is waited for, one of a member that is cut off is not.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::Transport;
use tokio::time::Instant;

use crate::service::Service;

/// Silence after which another member is asked.
const SILENT: Duration = Duration::from_secs(1);
/// What a member is given at least.
const SHORTEST: Duration = Duration::from_millis(100);

/// What `asked` of the member at `address` comes to, unless that is silent for `limit` meanwhile.
async fn unless_silent<T>(
    transport: &Arc<dyn Transport>,
    address: &str,
    limit: Duration,
    asked: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        answer = asked => answer,
        () = falls_silent(transport, address, limit) => Err(Error::new(
            ErrorKind::Unavailable,
            format!("the server at {address} has been silent for {} ms", limit.as_millis()),
        )),
    }
}

async fn falls_silent(transport: &Arc<dyn Transport>, address: &str, limit: Duration) {
    let step = limit / 8;
    let mut silent = Duration::ZERO;
    while silent < limit {
        tokio::time::sleep(step).await;
        let asked = Instant::now();
        let left = limit.saturating_sub(silent).max(step);
        // Only time spent on calls in vain counts: this server may have been busy itself.
        match transport.call(address, "raft/who", Vec::new(), left).await {
            Ok(_) => silent = Duration::ZERO,
            Err(_) => silent += asked.elapsed() + step,
        }
    }
}

impl Service {
    /// As `unless_silent`, for a read that another member answers and that is given up at `deadline`
    /// where nobody does.
    pub async fn unless_member_silent<T>(
        &self,
        address: &str,
        deadline: Instant,
        asked: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let left = deadline.saturating_duration_since(Instant::now());
        unless_silent(&self.transport, address, SILENT.min(left).max(SHORTEST), asked).await
    }

    /// Returns when a member has been silent for as long as nobody waits for.
    pub(crate) async fn member_silent(&self, address: &str) {
        falls_silent(&self.transport, address, SILENT).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers for a while, and then never again.
    struct Dying(Instant);

    #[async_trait::async_trait]
    impl Transport for Dying {
        async fn call(&self, _: &str, _: &str, _: Vec<u8>, limit: Duration) -> Result<Vec<u8>> {
            if self.0.elapsed() < Duration::from_millis(400) {
                return Ok(Vec::new());
            }
            tokio::time::sleep(limit).await;
            Err(Error::new(ErrorKind::Unknown, "no answer"))
        }
    }

    #[tokio::test]
    async fn long_answers_are_waited_for_and_lost_ones_are_not() {
        let dying: Arc<dyn Transport> = Arc::new(Dying(Instant::now()));
        let limit = Duration::from_millis(100);
        let long = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(1)
        };
        assert_eq!(unless_silent(&dying, "a", limit, long).await.unwrap(), 1);
        let never = std::future::pending::<Result<u8>>();
        let lost = unless_silent(&dying, "a", limit, never).await.unwrap_err();
        assert_eq!(lost.kind, ErrorKind::Unavailable);
    }
}
