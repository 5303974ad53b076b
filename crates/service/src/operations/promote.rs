//! Going on without a majority, by a human's word.

use std::sync::Arc;

use evercube_base::{Error, Result};
use tokio::time::{Duration, Instant};

use super::{Progress, Report};
use crate::auth::require_admin;
use crate::call::Call;
use crate::once::request_id;
use crate::seal::random;
use crate::service::Service;

/// What it may take at most until a server that goes on alone leads.
const ELECTED: Duration = Duration::from_secs(5);

impl Service {
    /// Makes this server the only member of a new history of the group, with what it holds. What
    /// the others acknowledged without it is given up, and they are refused from then on.
    pub async fn promote(self: &Arc<Self>, call: &Call, accept_loss: bool) -> Result<Report> {
        require_admin(call.session.rules(), "Promoting a server")?;
        if !accept_loss {
            return Err(Error::invalid(
                "a server is promoted only where the loss of what it does not hold is accepted in so many words",
            ));
        }
        let what = format!("server {} goes on alone", self.config.name);
        if let Some(report) = self.carried_out(call, &what)? {
            return Ok(report);
        }
        self.metastore.require_no_majority().await?;
        let mut branch = [0_u8; 8];
        random(&mut branch)?;
        let mut progress = Progress::new();
        let id = request_id(call)?;
        self.metastore.go_on_alone(u64::from_le_bytes(branch) >> 12, &id).await?;
        self.wait_to_lead().await;
        let state = self.metastore.state();
        progress.note(format!(
            "server {} goes on alone, in history {} of the group",
            self.config.name,
            state.history()
        ));
        for entry in state.databases.values() {
            let missing = entry.objects.iter().filter(|o| !self.objects.has(o)).count();
            let what = if missing == 0 {
                "is complete here".to_owned()
            } else {
                format!(
                    "lacks {missing} of its {} files here; restore a backup",
                    entry.objects.len()
                )
            };
            progress.note(format!("database '{}' version {} {what}", entry.name, entry.seq));
        }
        progress.note(
            "the servers left behind keep their folders for inspection; each joins again from an empty folder",
        );
        self.alarm("promoted", &progress.report.done[0].clone());
        progress.end().await
    }

    /// Whoever asks next finds a leader here: alone, this server needs a moment to be elected.
    async fn wait_to_lead(&self) {
        let deadline = Instant::now() + ELECTED;
        let leads = || {
            let status = self.metastore.status();
            status.leader == Some(status.me) && status.is_in_contact()
        };
        while !leads() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
