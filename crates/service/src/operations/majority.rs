//! What takes voting servers away is refused where those that are left could not go on.

use evercube_base::{Error, Result};
use evercube_metastore::State;
use tokio::time::{Duration, Instant};

use super::{Progress, refused};
use crate::service::Service;

/// How long servers are waited for that are away: one that was just started is there in a moment.
const PATIENCE: Duration = Duration::from_secs(2);

/// The voting servers but for some.
struct Left {
    needed: usize,
    /// How many take part.
    there: usize,
    /// Names of those that do not.
    away: Vec<String>,
}

impl Left {
    fn suffice(&self) -> bool {
        self.there >= self.needed
    }

    fn all(&self) -> usize {
        self.there + self.away.len()
    }

    /// What to do about those that are away, after a reason.
    fn remedy(&self) -> String {
        match self.away.as_slice() {
            [] => String::new(),
            [one] => format!(
                "; server '{one}' is away: bring it back first, or take it out with 'members remove {one}'"
            ),
            many => format!("; servers {} are away: bring them back first", many.join(", ")),
        }
    }
}

impl Service {
    /// Waits a while for the other voters, where they are a majority of so many.
    async fn left_without(&self, state: &State, gone: &[u64], of: usize) -> Left {
        let needed = of / 2 + 1;
        let others: Vec<u64> = voters(state).filter(|id| !gone.contains(id)).collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut found = self.statuses_of(state, &others).await;
            found.retain(|(_, s)| s.state != "fenced");
            if found.len() >= needed || others.len() < needed || Instant::now() >= deadline {
                let is_away = |id: &&u64| !found.iter().any(|(there, _)| there == *id);
                let away = others.iter().filter(is_away).map(|id| self.name_of(*id)).collect();
                return Left { needed, there: found.len(), away };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Refuses to kill servers where the others could not go on.
    pub(super) async fn require_majority_without(
        &self,
        state: &State,
        gone: &[u64],
    ) -> Result<(), Error> {
        let all = voters(state).count();
        let left = self.left_without(state, gone, all).await;
        if left.suffice() {
            return Ok(());
        }
        Err(refused(format!(
            "the group would stop: {} of {all} voting servers would be left, and a majority is needed{}",
            left.there,
            left.remedy()
        )))
    }

    /// Refuses to empty a server, which is then stopped, where the others could not go on because
    /// some of them are away. Where they could not even so, as one of two, that is told.
    pub(super) async fn require_majority_while_stopped(
        &self,
        progress: &mut Progress,
        state: &State,
        id: u64,
    ) -> Result<(), Error> {
        if voters(state).all(|voter| voter != id) {
            return Ok(());
        }
        let all = voters(state).count();
        let left = self.left_without(state, &[id], all).await;
        if left.suffice() {
            return Ok(());
        }
        if left.away.is_empty() {
            progress.note(format!(
                "while server {} is stopped there is no majority: {} of {all} voting servers would be left, and writes wait",
                self.name_of(id),
                left.there
            ));
            return Ok(());
        }
        Err(refused(format!(
            "server '{}' is needed: without it the group would stop, {} of {all} voting servers would be left, and a majority is needed{}",
            self.name_of(id),
            left.there,
            left.remedy()
        )))
    }

    /// Refuses to do without the vote of a server for good where the voters that are left could not
    /// go on.
    pub(super) async fn require_majority_after(&self, state: &State, id: u64) -> Result<(), Error> {
        if voters(state).all(|voter| voter != id) {
            return Ok(());
        }
        let left = self.left_without(state, &[id], voters(state).count() - 1).await;
        if left.suffice() {
            return Ok(());
        }
        Err(refused(format!(
            "the vote of server '{}' is needed: of the {} voting servers without it {} would be there, and a majority is needed{}",
            self.name_of(id),
            left.all(),
            left.there,
            left.remedy()
        )))
    }
}

fn voters(state: &State) -> impl Iterator<Item = u64> {
    state.members.iter().filter(|(_, m)| m.kind.votes()).map(|(id, _)| *id)
}
