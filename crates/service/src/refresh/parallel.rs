//! A refresh in which every data server reads the sources at the same time. What they read is
//! compared by what the values say; what most read becomes the version, on all of them.

pub(super) mod judge;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_engine::CompiledModel;
use evercube_metastore::{Member, OnDifference};
use evercube_model::tabular::Database;
use evercube_store::{Manifest, PartitionManifest, logical_checksum};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::change::draft::Draft;
use crate::change::finish::warning;
use crate::layout::load_partition;
use crate::objects::{blocking, data_peers, pull};
use crate::refresh::finished::{Ahead, Groups};
use crate::refresh::overrides::SourceOverrides;
use crate::refresh::plan::Place;
use crate::refresh::run;
use crate::running::RunningRequest;
use crate::service::{Service, from_json, to_json};

/// What the values of a partition say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartitionSum {
    pub table: String,
    pub partition: String,
    pub rows: u64,
    /// Hexadecimal.
    pub checksum: String,
}

/// What one server read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerReading {
    pub server: String,
    pub region: String,
    pub took_ms: u64,
    pub rows: u64,
    /// Whether its reading became the version.
    pub taken: bool,
    /// Whether it read what the taken one did.
    pub same: bool,
    pub error: Option<String>,
    /// Whether the server was not there, rather than unable to read.
    #[serde(default)]
    pub away: bool,
    pub partitions: Vec<PartitionSum>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadRequest {
    request_id: String,
    user: String,
    database: Database,
    places: Vec<Place>,
    /// How many partitions are read at the same time.
    #[serde(default)]
    readers: Option<usize>,
    #[serde(default)]
    overrides: SourceOverrides,
}

/// What is read: partitions, how many at a time, and what of their sources is otherwise.
type Wanted = (Vec<Place>, Option<usize>, SourceOverrides);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reading {
    took_ms: u64,
    groups: Vec<(Place, Groups)>,
    sums: Vec<PartitionSum>,
}

const LIMIT: Duration = Duration::from_secs(24 * 3600);
/// How often a server that reads is asked whether it is still there, and how often it may not
/// answer.
const LOOK: Duration = Duration::from_secs(1);
const MISSES: u32 = 4;

impl Service {
    /// Has every data server read these partitions, and gives the reading that is taken; its
    /// objects are here then.
    pub(crate) async fn read_everywhere(
        &self,
        draft: &mut Draft,
        (wanted, readers, overrides): Wanted,
        on_difference: OnDifference,
    ) -> Result<Vec<(Place, Groups)>> {
        let database = draft.existing()?.clone();
        let state = self.metastore.state();
        let mut peers = data_peers(&state, self.identity.node_id);
        peers.retain(|(id, _)| !state.draining.contains(id));
        let ask = ReadRequest {
            request_id: draft.request_id.clone(),
            user: String::new(),
            database: database.clone(),
            places: wanted.clone(),
            readers,
            overrides: overrides.clone(),
        };
        let body = to_json(&ask)?;
        let others = async {
            let asked = peers.iter().map(|(_, member)| self.ask_to_read(member, body.clone()));
            Ok(futures::future::join_all(asked).await)
        };
        let own = async {
            let wanted = (wanted, readers, overrides);
            match self.read_and_sum(&database, &draft.request_id, &draft.cancel, wanted).await {
                // Who is cancelled does not wait for the others.
                Err(e) if e.kind == ErrorKind::Cancelled => Err(e),
                read => Ok(read),
            }
        };
        let (own, others) = tokio::try_join!(own, others)?;
        let names = std::iter::once((self.config.name.clone(), self.config.region.clone()))
            .chain(peers.iter().map(|(_, m)| (m.name.clone(), m.region.clone())));
        let read: Vec<Result<Reading>> = std::iter::once(own).chain(others).collect();
        let mut table: Vec<ServerReading> = names
            .zip(&read)
            .map(|((server, region), reading)| reading_of(server, region, reading))
            .collect();
        let verdict = judge::judge(&table);
        if let Some(verdict) = &verdict {
            verdict.mark(&mut table);
        }
        self.progress.update(&draft.request_id, |p| p.servers.clone_from(&table));
        let Some(verdict) = verdict else {
            return Err(none_read(&table, read));
        };
        // Servers that are away are the policy's business, as with any commit.
        if on_difference == OnDifference::Refuse && !verdict.notes.is_empty() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the servers did not read the same, and the database refuses that; nothing was changed. {}. Refresh again, or let differences be repaired: evercube sync-mode DATABASE parallel --on-difference repair",
                    verdict.sentences().join(". ")
                ),
            ));
        }
        let name = table.get(verdict.taken).map_or("", |r| r.server.as_str());
        for (server, e) in &verdict.away {
            let message = format!("it could not read ({e}); what '{name}' read is shipped to it");
            draft.say(warning(format!("server '{server}'"), message, None));
        }
        for (object, message) in verdict.notes {
            let message = format!("{message}; what '{name}' read is taken everywhere");
            self.alarm("different", &format!("{object} of '{}': {message}", database.name));
            draft.say(warning(object, message, None));
        }
        let Some(Ok(taken)) = read.into_iter().nth(verdict.taken) else {
            return Err(Error::internal("the reading that was taken is not there"));
        };
        if let Some((id, member)) = verdict.taken.checked_sub(1).and_then(|i| peers.get(i)) {
            let hashes: Vec<_> = taken
                .groups
                .iter()
                .flat_map(|(_, groups)| groups.iter().flatten().map(|s| s.hash))
                .collect();
            let from = [(*id, member.clone())];
            pull(&self.transport, &self.objects, &from, &hashes).await?;
        }
        Ok(taken.groups)
    }

    /// Reads for a server that leads a refresh.
    pub(crate) async fn read_for_other(&self, ask: ReadRequest) -> Result<Reading> {
        let cancel = Arc::new(AtomicBool::new(false));
        let _listed = self.running.enter(RunningRequest {
            session: 0,
            request_id: Some(ask.request_id.clone()),
            user: ask.user,
            database: ask.database.name.clone(),
            text: "read the sources for a refresh".into(),
            started: self.now(),
            cancel: Arc::clone(&cancel),
            work: None,
            cancelled: Arc::default(),
        });
        let wanted = (ask.places, ask.readers, ask.overrides);
        self.read_and_sum(&ask.database, &ask.request_id, &cancel, wanted).await
    }

    async fn read_and_sum(
        &self,
        database: &Database,
        request_id: &str,
        cancel: &Arc<AtomicBool>,
        (wanted, readers, overrides): Wanted,
    ) -> Result<Reading> {
        let started = Instant::now();
        let manifest = Manifest::default();
        let recorded = false;
        let (manifest, overrides) = (&manifest, &overrides);
        let reading =
            run::Reading { database, manifest, request_id, cancel, readers, overrides, recorded };
        let read = self.read_all(&reading, wanted, &mut Ahead::new()).await?;
        let groups: Vec<(Place, Groups)> =
            read.into_iter().map(|(place, finished)| (place, finished.groups)).collect();
        let objects = Arc::clone(&self.objects);
        let (database, pool) = (database.clone(), Arc::clone(&self.pool));
        let (mut groups, sums) = blocking(move || {
            pool.install(|| {
                let sums = sums(&objects, &database, &groups)?;
                Ok((groups, sums))
            })
        })
        .await?;
        groups.sort_by_key(|(place, _)| *place);
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Reading { took_ms, groups, sums })
    }

    /// The reading of another server; given up where it is not there any more.
    async fn ask_to_read(&self, member: &Member, body: Vec<u8>) -> Result<Reading> {
        let address = &member.peer_address;
        let answer = self.transport.call(address, "refresh/read", body, LIMIT);
        let gone = async {
            let mut misses = 0;
            while misses < MISSES {
                tokio::time::sleep(LOOK).await;
                let asked = self.transport.call(address, "raft/who", Vec::new(), LOOK).await;
                misses = if asked.is_ok() { 0 } else { misses + 1 };
            }
        };
        tokio::select! {
            answer = answer => from_json(&answer?),
            () = gone => Err(Error::new(
                ErrorKind::Unavailable,
                "it did not answer any more while it read",
            )),
        }
    }
}

pub(super) fn sums(
    objects: &evercube_store::ObjectDir,
    database: &Database,
    groups: &[(Place, Groups)],
) -> Result<Vec<PartitionSum>> {
    let compiled = CompiledModel::compile(database);
    let collation = crate::loader::collation(database);
    let mut sums = Vec::new();
    for ((t, p), groups) in groups {
        let Some(table) = database.model.tables.get(*t) else { continue };
        let Some(partition) = table.partitions.get(*p) else { continue };
        let columns = compiled.tables().get(*t).map_or(&[][..], |t| &t.columns);
        let types: Vec<_> = columns.iter().map(|c| c.data_type).collect();
        let manifest = PartitionManifest { groups: groups.clone(), ..PartitionManifest::default() };
        let data = load_partition(objects, &types, collation, &manifest)?;
        sums.push(PartitionSum {
            table: table.name.clone(),
            partition: partition.name.clone(),
            rows: data.rows() as u64,
            checksum: hex::encode(logical_checksum(&data).to_hash()),
        });
    }
    sums.sort();
    Ok(sums)
}

fn reading_of(server: String, region: String, reading: &Result<Reading>) -> ServerReading {
    let named = ServerReading { server, region, ..ServerReading::default() };
    match reading {
        Ok(reading) => ServerReading {
            took_ms: reading.took_ms,
            rows: reading.sums.iter().map(|s| s.rows).sum(),
            partitions: reading.sums.clone(),
            ..named
        },
        Err(e) => ServerReading {
            error: Some(e.message.clone()),
            away: matches!(e.kind, ErrorKind::Unavailable | ErrorKind::Unknown),
            ..named
        },
    }
}

/// The error where no server read everything: that of the server that leads the refresh, and what
/// the others said.
fn none_read(table: &[ServerReading], read: Vec<Result<Reading>>) -> Error {
    let others: Vec<String> = table
        .iter()
        .skip(1)
        .filter_map(|r| Some(format!("server '{}': {}", r.server, r.error.as_ref()?)))
        .collect();
    let own = read.into_iter().next().and_then(Result::err);
    let mut error = own.unwrap_or_else(|| Error::internal("nothing was read"));
    if !others.is_empty() {
        error.message = format!("{} (no other server could: {})", error.message, others.join("; "));
    }
    error
}
