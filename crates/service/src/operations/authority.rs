//! Another certificate authority takes the place of the group's, while members go on talking to
//! each other: both are trusted, members get certificates of the new one, the old one is forgotten.

use std::time::Duration;

use evercube_base::Result;
use evercube_metastore::{Authority, AuthorityChange, AuthorityStep, Command};
use tokio::time::Instant;

use super::{Progress, Report, refused};
use crate::call::Call;
use crate::certificates::{Certificates, print};
use crate::once::{part_of, request_id};
use crate::service::Service;

/// How long members may take for one step, and to answer before the first one.
const STEP: Duration = Duration::from_secs(30);
const PRESENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

impl Service {
    /// Carries the exchange out, or on from where an earlier attempt stopped; `new` is the next
    /// authority, where none was chosen yet.
    ///
    /// # Errors
    /// `Conflict` where a member is away: it would be locked out.
    pub async fn rotate_authority(&self, call: &Call, new: Authority) -> Result<Report> {
        self.may_operate(call, "Exchanging the group's authority").await?;
        let mut progress = Progress::new();
        let Some(before) = self.authority() else {
            return Err(refused(
                "the members of this group do not prove to each other who they are (it was formed with --no-auth); there is no authority to exchange",
            ));
        };
        let old = print(&before.certificate);
        let mut step = self.metastore.state().joining.change.clone();
        if step.is_none() {
            // Nothing is begun that could not be ended.
            self.all_members(1, PRESENCE, |_| true).await?;
            self.take(call, AuthorityStep::Trust(new)).await?;
            step.clone_from(&self.metastore.state().joining.change);
        }
        if let Some(AuthorityChange::Next(next)) = &step {
            let next = print(&next.certificate);
            self.all_members(1, STEP, |c| c.trusted.contains(&next)).await?;
            progress.note(format!("1 of 3: every member trusts the new authority {next}, too"));
            self.take(call, AuthorityStep::Switch).await?;
        }
        let present = self.authority().map(|a| print(&a.certificate)).unwrap_or_default();
        self.all_members(2, STEP, |c| c.trusted.first() == Some(&present)).await?;
        progress.note(format!("2 of 3: every member has a certificate of {present}"));
        self.take(call, AuthorityStep::Forget).await?;
        self.all_members(3, STEP, |c| c.trusted == [present.as_str()]).await?;
        progress.note(match old == present {
            true => "3 of 3: the authority before is trusted no more".to_owned(),
            false => format!("3 of 3: the authority before, {old}, is trusted no more"),
        });
        progress.note("join tokens made before are of no use any more; make new ones");
        progress.end().await
    }

    /// Takes a step once for each request: asked for again, an exchange that ended is not begun anew.
    async fn take(&self, call: &Call, step: AuthorityStep) -> Result<()> {
        let part = match &step {
            AuthorityStep::Trust(_) => "trust",
            AuthorityStep::Switch => "switch",
            AuthorityStep::Forget => "forget",
        };
        let id = part_of(&request_id(call)?, part);
        self.change_once(&id, Command::Authority(step)).await.map(drop)
    }

    /// Waits until every member says that it has done its part.
    async fn all_members(
        &self,
        step: u32,
        patience: Duration,
        done: impl Fn(&Certificates) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let state = self.metastore.state();
            let ids: Vec<u64> = state.members.keys().copied().collect();
            let mut late = ids.clone();
            for (id, status) in self.statuses_of(&state, &ids).await {
                if done(&status.certificates) {
                    late.retain(|l| *l != id);
                }
            }
            if late.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let names: Vec<&str> = late
                    .iter()
                    .filter_map(|id| Some(state.members.get(id)?.name.as_str()))
                    .collect();
                return Err(refused(format!(
                    "the exchange of the authority waits at step {step} of 3 for {}, which would be locked out; bring it back, or remove it from the group, and run the command again: it goes on from here",
                    names.join(", ")
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
