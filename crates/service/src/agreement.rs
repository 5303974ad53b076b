//! Whether the servers hold the same metadata: each compares its state, part by part, with the
//! others' at the same log entry. What most hold is right, whoever leads. A server that holds
//! something else serves the databases in question no more, says what differs, and takes the state
//! of the others over.

mod describe;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Member, State, digest};
use serde::{Deserialize, Serialize};

use crate::service::{Service, from_json, to_json};

const EVERY: Duration = Duration::from_secs(5);
/// A server that starts with something else is found out sooner.
const AT_FIRST: Duration = Duration::from_millis(500);
const FIRST_ROUNDS: u32 = 10;
const LIMIT: Duration = Duration::from_secs(2);

/// What members that compare run: other releases may keep other things.
fn release() -> String {
    crate::drift::release()
}

/// How far the servers are known to agree, as `status` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The newest log entry at which this server's state was compared, and found the same.
    pub agreed_seq: Option<u64>,
    /// What differs now, in words.
    pub diverged: Vec<String>,
    /// How often something differed since the start, and what did the last time.
    pub times: u64,
    pub last: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct AgreementBook {
    known: Mutex<Agreement>,
    /// Databases that are not served here meanwhile, by lower-case name, and why.
    withheld: Mutex<BTreeMap<String, String>>,
    /// The last states that were taken apart.
    apart: Mutex<Vec<Apart>>,
}

/// A state taken apart.
#[derive(Debug, Clone)]
struct Apart {
    index: u64,
    state: Arc<State>,
    parts: Arc<BTreeMap<String, String>>,
    digest: String,
}

/// States by log entry and digest, as members tell each other.
#[derive(Debug, Serialize, Deserialize)]
struct Digests {
    release: String,
    digests: Vec<(u64, String)>,
}

/// Starts comparing; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    let weak = Arc::downgrade(service);
    service.metastore.spawn(async move {
        let mut round = 0;
        loop {
            tokio::time::sleep(if round < FIRST_ROUNDS { AT_FIRST } else { EVERY }).await;
            round = FIRST_ROUNDS.min(round + 1);
            let Some(service) = weak.upgrade() else { return };
            if let Err(e) = service.compare_states().await {
                tracing::debug!(error = %e, "the states could not be compared");
            }
        }
    });
}

impl Service {
    pub fn agreement(&self) -> Agreement {
        self.agreement.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why this server does not serve a database, where its metadata differs from the others'.
    pub(crate) fn withheld(&self, database: &str) -> Option<Error> {
        let withheld = self.agreement.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        let why = withheld.get(&database.to_lowercase())?;
        Some(Error::new(
            ErrorKind::Unavailable,
            format!("database '{database}' is not served by this server: {why}"),
        ))
    }

    /// Answers another member: `digests`, `parts` and `whole` of a log entry.
    pub(crate) fn answer_state(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>> {
        if operation == "digests" {
            let digests = self.taken_apart().into_iter().map(|a| (a.index, a.digest)).collect();
            return to_json(&Digests { release: release(), digests });
        }
        let index: u64 = from_json(body)?;
        let found = self.taken_apart().into_iter().find(|a| a.index == index);
        let found = found.ok_or_else(|| Error::not_found("that state is not here any more"))?;
        match operation {
            "parts" => to_json(&*found.parts),
            "whole" => to_json(&*found.state),
            other => Err(Error::not_found(format!("there is no question '{other}' of a state"))),
        }
    }

    /// The states that can be compared, newest first.
    fn taken_apart(&self) -> Vec<Apart> {
        let mut known = self.agreement.apart.lock().unwrap_or_else(PoisonError::into_inner);
        let states = self.metastore.checkpoints();
        let apart = states.into_iter().map(|(index, state)| {
            let before = known.iter().find(|a| a.index == index && Arc::ptr_eq(&a.state, &state));
            before.cloned().unwrap_or_else(|| {
                let parts = Arc::new(state.parts());
                Apart { index, digest: digest(&parts), state, parts }
            })
        });
        *known = apart.collect();
        known.clone()
    }

    async fn compare_states(&self) -> Result<()> {
        let state = self.metastore.state();
        let members = state.members.iter().filter(|(id, _)| **id != self.identity.node_id);
        let asked = members.map(|(_, member)| async move {
            let address = &member.peer_address;
            let answer = self.transport.call(address, "state/digests", Vec::new(), LIMIT).await;
            // A server that is not a member any more, and only reads, hears it here.
            if let Err(e) = &answer {
                self.metastore.refused_by(address, e);
            }
            let said: Digests = from_json(&answer.ok()?).ok()?;
            (said.release == release()).then(|| (member.clone(), said.digests))
        });
        let said: Vec<(Member, Vec<(u64, String)>)> =
            futures::future::join_all(asked).await.into_iter().flatten().collect();
        let at = |index: u64| -> Vec<(&Member, &str)> {
            let of = |all: &[(u64, String)]| all.iter().position(|(i, _)| *i == index);
            let found = said.iter().filter_map(|(m, all)| Some((m, all.get(of(all)?)?.1.as_str())));
            found.collect()
        };
        // The newest state of which most members speak.
        let mine = self.taken_apart();
        let Some(mine) = mine.iter().rev().max_by_key(|a| at(a.index).len()) else { return Ok(()) };
        let others = at(mine.index);
        if others.is_empty() {
            return Ok(());
        }
        match judge(&mine.digest, &others) {
            Judgement::Same => self.agree(mine.index),
            Judgement::Wrong(member) => self.take_over(mine, &member).await?,
            Judgement::Open(member) => {
                let parts = self.state_parts_of(&member, mine.index).await?;
                let differing = differing(&mine.parts, &parts);
                let why =
                    "its metadata differs between servers and no majority says which is right";
                self.withhold(&differing, why);
                self.note_divergence(&format!(
                    "{} (entry {}): {why}",
                    differing.join(", "),
                    mine.index
                ));
            }
        }
        Ok(())
    }

    /// Takes over the state that most members hold.
    async fn take_over(&self, mine: &Apart, from: &Member) -> Result<()> {
        let parts = self.state_parts_of(from, mine.index).await?;
        let differing = differing(&mine.parts, &parts);
        self.withhold(&differing, "its metadata here is not what most servers hold");
        let body = to_json(&mine.index)?;
        let call = self.transport.call(&from.peer_address, "state/whole", body, LIMIT * 10);
        let theirs: State = from_json(&call.await?)?;
        if digest(&theirs.parts()) != digest(&parts) {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "a state arrived otherwise than it was told",
            ));
        }
        let words = self.difference(&mine.state, &theirs, &differing).await;
        let told = format!(
            "at entry {} this server's metadata was not what most servers hold: {words}",
            mine.index
        );
        self.metastore.repair(mine.index, theirs)?;
        self.agreement.withheld.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.note_divergence(&format!("{told}; it was taken over from server '{}'", from.name));
        Ok(())
    }

    async fn state_parts_of(
        &self,
        member: &Member,
        index: u64,
    ) -> Result<BTreeMap<String, String>> {
        let call =
            self.transport.call(&member.peer_address, "state/parts", to_json(&index)?, LIMIT);
        from_json(&call.await?)
    }

    fn agree(&self, index: u64) {
        self.agreement.withheld.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut known = self.agreement.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.agreed_seq = Some(index);
        known.diverged.clear();
    }

    /// Databases among what differs are not served until the servers agree.
    fn withhold(&self, differing: &[String], why: &str) {
        let mut withheld = self.agreement.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        for part in differing {
            let name = part.strip_prefix("database '").and_then(|p| p.strip_suffix('\''));
            withheld.extend(name.map(|name| (name.to_owned(), why.to_owned())));
        }
    }

    fn note_divergence(&self, words: &str) {
        let mut known = self.agreement.known.lock().unwrap_or_else(PoisonError::into_inner);
        let new = !known.diverged.iter().any(|d| d == words);
        known.diverged = vec![words.to_owned()];
        if new {
            known.times += 1;
            known.last = Some(words.to_owned());
            drop(known);
            self.alarm("diverged", words);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Judgement<M> {
    Same,
    /// Most hold another state, as this member does.
    Wrong(M),
    /// There is no majority; this member holds another state.
    Open(M),
}

/// Who is wrong, by what everybody who was asked and this server say.
fn judge<M: Clone>(mine: &str, others: &[(&M, &str)]) -> Judgement<M> {
    let count = |digest: &str| others.iter().filter(|(_, d)| *d == digest).count();
    let all = others.len() + 1;
    let Some(differs) = others.iter().filter(|(_, d)| *d != mine).max_by_key(|(_, d)| count(d))
    else {
        return Judgement::Same;
    };
    if (count(mine) + 1) * 2 > all {
        Judgement::Same
    } else if count(differs.1) * 2 > all {
        Judgement::Wrong(differs.0.clone())
    } else {
        Judgement::Open(differs.0.clone())
    }
}

fn differing(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<String> {
    let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| a.get(*name) != b.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_is_right_whoever_asks() {
        let judged = |mine: &str, others: &[&str]| {
            let names: Vec<usize> = (0..others.len()).collect();
            let others: Vec<(&usize, &str)> = names.iter().zip(others.iter().copied()).collect();
            judge(mine, &others)
        };
        assert_eq!(judged("a", &["a", "a"]), Judgement::Same);
        assert_eq!(judged("a", &["a", "b"]), Judgement::Same);
        assert_eq!(judged("b", &["a", "a"]), Judgement::Wrong(1));
        assert_eq!(judged("a", &["b"]), Judgement::Open(0));
        assert!(matches!(judged("a", &["b", "c"]), Judgement::Open(_)));
    }
}
