//! The end of a change that is cancelled, or that nobody waits for any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_work::{Limits, Of, Stop, Work};

use crate::change::finish::Finished;
use crate::objects::blocking;
use crate::service::Service;

/// How often a flag is looked at while something else is waited for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// What `work` comes to, unless the change is cancelled before; it is dropped then.
pub(crate) async fn unless_cancelled<T>(
    cancel: &AtomicBool,
    work: impl Future<Output = T>,
) -> Result<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            () = tokio::time::sleep(BETWEEN_LOOKS) => {}
        }
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "the operation was cancelled"));
        }
    }
}

/// Stops what is computed when the one who waits for it is gone.
struct Computing {
    work: Arc<Work>,
    is_done: bool,
}

impl Drop for Computing {
    fn drop(&mut self) {
        if !self.is_done {
            self.work.stop(Stop::Cancelled);
        }
    }
}

impl Service {
    /// What `make` computes for a new version, within the memory that calculations may hold. It ends
    /// where it is when the change is cancelled or the caller is gone, also while it waits for others.
    pub(crate) async fn computed(
        &self,
        cancel: &Arc<AtomicBool>,
        make: impl FnOnce() -> Result<Finished> + Send + 'static,
    ) -> Result<Finished> {
        let memory = self.limits().calculation_memory;
        let limits = Limits { memory, of: Of::Calculation, ..Limits::default() };
        let work = Arc::new(Work::new(limits).cancelled_by(Arc::clone(cancel)));
        let mut computing = Computing { work: Arc::clone(&work), is_done: false };
        let pool = Arc::clone(&self.pool);
        let made = blocking(move || pool.install(|| work.run(make)));
        let done = unless_cancelled(cancel, made).await?;
        computing.is_done = true;
        done
    }
}
