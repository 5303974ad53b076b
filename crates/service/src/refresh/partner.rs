//! A refresh that another group makes, too: both read their sources at the same time, what they
//! read is compared, and both commit it; a difference is repaired by a backup, or refused.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use evercube_base::{Diagnostic, Error, ErrorKind, Result};
use evercube_metastore::{OnDifference, Partner, Policy, SyncMode};
use evercube_model::tabular::Database;
use evercube_model::tmsl::RefreshKind;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::backup::ReadBack;
use crate::backup_use::BackupRequest;
use crate::call::{Call, ReadLevel};
use crate::change::Step;
use crate::change::draft::Draft;
use crate::change::finish::warning;
use crate::objects::blocking;
use crate::other_group::encoded;
use crate::refresh::RefreshRequest;
use crate::refresh::finished::{Finished, Groups};
use crate::refresh::overrides::SourceOverrides;
use crate::refresh::parallel::judge::judge;
use crate::refresh::parallel::{PartitionSum, ServerReading, sums};
use crate::refresh::plan::{Place, has_source, places};
use crate::rights::Need;
use crate::service::{Service, from_json, to_json};

/// What a group asks of its partner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerAsk {
    /// `read`: read the partitions and keep them; `commit`: make them the version; `forget` them.
    pub step: String,
    /// The same for all steps of one refresh.
    pub request_id: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// Tables, or partitions of tables; empty: everything.
    #[serde(default)]
    pub objects: Vec<(String, Option<String>)>,
}

/// What it read or committed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PartnerAnswer {
    #[serde(default)]
    pub sums: Vec<PartitionSum>,
}

/// What is left to do with the partner once this group has committed.
#[derive(Debug)]
pub(crate) struct PartnerTurn {
    partner: Partner,
    ask: PartnerAsk,
    /// What both read; `None`: the partner read something else, or was away.
    same: Option<Vec<PartitionSum>>,
}

/// Reading takes as long as it takes.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

impl Service {
    fn partner_of(&self, database: &str) -> Option<(Partner, OnDifference, Policy)> {
        let state = self.metastore.state();
        let entry = state.database(database)?;
        let partner = entry.sync.partner.clone()?;
        Some((partner, entry.sync.on_difference, entry.policy))
    }

    async fn ask_partner(
        &self,
        partner: &Partner,
        database: &str,
        ask: &PartnerAsk,
    ) -> Result<PartnerAnswer> {
        let path = format!("/api/v1/databases/{}/parallel", encoded(database));
        from_json(&self.post_to(partner, &path, to_json(ask)?).await?)
    }

    async fn post_to(&self, partner: &Partner, path: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let token = self.opened(partner.token.as_deref())?;
        self.transport.ask_group(&partner.url, path, token.as_deref(), body, LIMIT).await
    }

    /// Deploys the newest model of a database to the partner.
    pub(crate) async fn give_model(&self, database: &str, partner: &Partner) -> Result<()> {
        let version = self.newest(database).await?;
        let model = to_json(&version.model.database)?;
        let path = format!("/api/v1/deploy?database={}", encoded(&version.name));
        self.post_to(partner, &path, model).await.map(|_| ())
    }

    /// Reads with `own` here, and at the same time in the other group where the database has a
    /// partner; compares.
    pub(crate) async fn read_with_partner(
        &self,
        draft: &mut Draft,
        request: &RefreshRequest,
        wanted: &[Place],
        own: impl AsyncFnOnce(&mut Draft) -> Result<Vec<(Place, Groups)>>,
    ) -> Result<Vec<(Place, Groups)>> {
        let name = draft.current.as_ref().map_or_else(|| draft.name.clone(), |v| v.name.clone());
        let Some((partner, on_difference, policy)) = self.partner_of(&name) else {
            return own(draft).await;
        };
        let database = draft.existing()?.clone();
        let ask = PartnerAsk {
            step: "read".into(),
            // Whose request it is, is not the other group's business; it is one request all the same.
            request_id: blake3::hash(draft.request_id.as_bytes()).to_hex().to_string(),
            kind: request.kind.word().to_owned(),
            objects: names(&database, wanted),
        };
        let (own, theirs) = tokio::join!(own(draft), self.ask_partner(&partner, &name, &ask));
        let own = match own {
            Ok(own) => own,
            Err(e) => {
                self.forget_at(&partner, &name, &ask).await;
                return Err(e);
            }
        };
        let sums = self.sums_of(database, own.clone()).await?;
        let (same, notes, away) = compared(&partner.url, sums, &theirs);
        let refuses = match away {
            // One that is away is the policy's business, as with any commit.
            true => policy == Policy::Strict,
            false => on_difference == OnDifference::Refuse && same.is_none(),
        };
        if refuses {
            self.forget_at(&partner, &name, &ask).await;
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the group at {} did not read the same, and the database refuses that; nothing was changed: {}",
                    partner.url,
                    notes.join(". ")
                ),
            ));
        }
        for note in notes {
            self.alarm("different", &format!("database '{name}': {note}"));
            draft.say(warning(format!("group at {}", partner.url), note, None));
        }
        draft.partner = Some(PartnerTurn { partner, ask, same });
        Ok(own)
    }

    async fn forget_at(&self, partner: &Partner, database: &str, ask: &PartnerAsk) {
        let ask = PartnerAsk { step: "forget".into(), ..ask.clone() };
        if let Err(e) = self.ask_partner(partner, database, &ask).await {
            tracing::info!(error = %e, "what the other group read is forgotten there by itself");
        }
    }

    async fn sums_of(
        &self,
        database: Database,
        groups: Vec<(Place, Groups)>,
    ) -> Result<Vec<PartitionSum>> {
        let (objects, pool) = (Arc::clone(&self.objects), Arc::clone(&self.pool));
        blocking(move || pool.install(|| sums(&objects, &database, &groups))).await
    }

    /// Once this group has committed: the partner does, or receives what this group holds.
    pub(crate) async fn end_turn(&self, database: &str, turn: PartnerTurn) -> Vec<Diagnostic> {
        let PartnerTurn { partner, ask, same } = turn;
        let ended = async {
            let Some(same) = same else {
                return self.bring_to_partner(database, &partner).await;
            };
            let ask = PartnerAsk { step: "commit".into(), ..ask };
            match self.ask_partner(&partner, database, &ask).await?.sums == same {
                true => Ok(()),
                // A file changed between its two readings there.
                false => self.bring_to_partner(database, &partner).await,
            }
        };
        self.told_of_partner(database, &partner.url, ended.await)
    }

    /// Says how the other group was kept the same.
    fn told_of_partner(&self, database: &str, url: &str, done: Result<()>) -> Vec<Diagnostic> {
        match done {
            Ok(()) => {
                self.standby_works(database);
                Vec::new()
            }
            Err(e) => {
                let text = format!("it does not hold what this group holds: {e}");
                self.standby_fails(database, &e);
                vec![warning(format!("group at {url}"), text, None)]
            }
        }
    }

    /// A backup of the newest version, restored over what the partner has.
    async fn bring_to_partner(&self, database: &str, partner: &Partner) -> Result<()> {
        let Some(target) = &partner.target else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "no folder that both groups reach is named, by which it could be brought there",
            ));
        };
        let version = self.newest(database).await?;
        let file = crate::backup::target::file_name(&format!("{}-{}", version.name, version.seq));
        let place = format!("{}/{file}", target.trim_end_matches('/'));
        let call = Call::of_server(ReadLevel::Strong);
        let request = BackupRequest {
            database: version.name.clone(),
            target: place.clone(),
            password: None,
            overwrite: true,
            // Who restores it reads all of it.
            read_back: ReadBack::None,
        };
        self.backup(&call, request).await?;
        let body = json!({ "source": place, "database": version.name, "overwrite": true });
        self.post_to(partner, "/api/v1/restore", to_json(&body)?).await.map(|_| ())
    }

    /// After a change of the model: the partner receives it.
    pub(crate) async fn model_to_partner(&self, database: &str) -> Vec<Diagnostic> {
        let Some((partner, ..)) = self.partner_of(database) else { return Vec::new() };
        let given = self.give_model(database, &partner).await;
        self.told_of_partner(database, &partner.url, given)
    }

    /// Does its part for a group whose partner this one is.
    pub async fn answer_partner(
        &self,
        call: &Call,
        database: &str,
        ask: PartnerAsk,
    ) -> Result<PartnerAnswer> {
        self.see_all_commits().await?;
        let name = self.committed_name(database).unwrap_or_else(|| database.to_owned());
        self.epoch_of(&name)?;
        let kind = RefreshKind::parse(&ask.kind)?;
        let request = RefreshRequest {
            kind,
            objects: ask.objects.clone(),
            readers: None,
            overrides: SourceOverrides::default(),
        };
        let state = self.metastore.state();
        let entry = state.database(&name);
        if entry.is_some_and(|d| d.sync.mode == SyncMode::Parallel) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "database '{name}' is kept by 'parallel' there, too; only one group of two may name the other"
                ),
            ));
        }
        match ask.step.as_str() {
            "read" => {
                let version = self.newest(&name).await?;
                self.need_right(&call.session, database, Some(&version), &Need::Refresh)?;
                self.not_a_standby(&name)?;
                let cancel = Arc::new(AtomicBool::new(false));
                let steps = [Step::Refresh(request)];
                let ahead = self.read_ahead(&ask.request_id, &name, &steps, &cancel).await?;
                let read: Vec<Finished> = ahead.read.into_values().collect();
                if !read.is_empty() {
                    self.record(&ask.request_id, read.clone()).await?;
                }
                let database = version.model.database.clone();
                let groups = read.into_iter().filter_map(|f| {
                    let place = place_of(&database, &f.table, &f.partition)?;
                    Some((place, f.groups))
                });
                let groups = groups.collect();
                Ok(PartnerAnswer { sums: self.sums_of(database, groups).await? })
            }
            "commit" => {
                let call = Call { request_id: Some(ask.request_id.clone()), ..call.clone() };
                self.refresh(&call, database, request).await?;
                let version = self.newest(&name).await?;
                let database = version.model.database.clone();
                let wanted = places(&database, &ask.objects)?.into_iter().filter(|(t, p)| {
                    let table = database.model.tables.get(*t);
                    table.and_then(|t| t.partitions.get(*p)).is_some_and(has_source)
                });
                let groups = wanted.filter_map(|(t, p)| {
                    let table = version.manifest.tables.get(t)?;
                    Some(((t, p), table.partitions.get(p)?.groups.clone()))
                });
                let groups = groups.collect();
                Ok(PartnerAnswer { sums: self.sums_of(database, groups).await? })
            }
            "forget" => {
                let version = self.newest(&name).await?;
                self.need_right(&call.session, database, Some(&version), &Need::Refresh)?;
                self.forget_reads(&ask.request_id).await;
                Ok(PartnerAnswer::default())
            }
            other => Err(Error::invalid(format!(
                "'{other}' is no step of a refresh in two groups; there are read, commit and forget"
            ))),
        }
    }
}

/// The partitions by name.
fn names(database: &Database, wanted: &[Place]) -> Vec<(String, Option<String>)> {
    let name = |(t, p): &Place| {
        let table = database.model.tables.get(*t)?;
        Some((table.name.clone(), Some(table.partitions.get(*p)?.name.clone())))
    };
    wanted.iter().filter_map(name).collect()
}

fn place_of(database: &Database, table: &str, partition: &str) -> Option<Place> {
    let t = database.model.tables.iter().position(|t| t.name == table)?;
    let table = database.model.tables.get(t)?;
    Some((t, table.partitions.iter().position(|p| p.name == partition)?))
}

/// What both read where it is the same, what differs in words, and whether the other group was away.
fn compared(
    url: &str,
    own: Vec<PartitionSum>,
    theirs: &Result<PartnerAnswer>,
) -> (Option<Vec<PartitionSum>>, Vec<String>, bool) {
    let here = ServerReading { server: "here".into(), ..ServerReading::default() };
    let there = ServerReading { server: url.to_owned(), ..ServerReading::default() };
    let table = [
        ServerReading { partitions: own.clone(), ..here },
        match theirs {
            Ok(answer) => ServerReading { partitions: answer.sums.clone(), ..there },
            Err(e) => ServerReading {
                error: Some(e.message.clone()),
                away: matches!(e.kind, ErrorKind::Unavailable | ErrorKind::Unknown),
                ..there
            },
        },
    ];
    let away = table[1].away;
    let Some(verdict) = judge(&table) else { return (None, Vec::new(), away) };
    let mut notes = verdict.sentences();
    notes.extend(verdict.away.iter().map(|(_, e)| format!("it was away: {e}")));
    let same = match theirs {
        Ok(answer) if answer.sums == own => Some(own),
        Ok(_) if notes.is_empty() => {
            notes.push("it did not read the same partitions; its model may be another one".into());
            None
        }
        _ => None,
    };
    (same, notes, away)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(partition: &str, checksum: &str) -> PartitionSum {
        let (table, partition) = ("T".to_owned(), partition.to_owned());
        PartitionSum { table, partition, rows: 1, checksum: checksum.into() }
    }

    #[test]
    fn what_two_groups_read_is_the_same_or_said_to_differ() {
        let own = || vec![sum("p", "a")];
        let answered = |sums| Ok(PartnerAnswer { sums });
        assert_eq!(compared("u", own(), &answered(own())), (Some(own()), vec![], false));
        let (same, notes, away) = compared("u", own(), &answered(vec![sum("p", "b")]));
        assert!(same.is_none() && !away && notes[0].contains("read differently"), "{notes:?}");
        let (same, notes, _) = compared("u", own(), &answered(vec![]));
        assert!(same.is_none() && notes[0].contains("same partitions"), "{notes:?}");
        let gone = Err(Error::new(ErrorKind::Unavailable, "not reached"));
        let (same, notes, away) = compared("u", own(), &gone);
        assert!(same.is_none() && away && notes[0].contains("not reached"), "{notes:?}");
        let failed = Err(Error::new(ErrorKind::Source, "no such file"));
        let (same, notes, away) = compared("u", own(), &failed);
        assert!(same.is_none() && !away && notes[0].contains("could not read"), "{notes:?}");
    }
}
